"""No question that is asked all day long walks through a table that grows for ever.

The statements are recorded from the real functions, on some ten thousand rows, and the database
tells how it answers each of them: PostgreSQL how many rows it really touched, MariaDB and SQLite
what they would do.
"""

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import starmap
from typing import Any, Self

import pytest
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from benchmarks import scale
from notifications import EVERYONE, access, acts, inbox, log, publish_due, send
from notifications.audience import Audience
from notifications.cursor import Cursor
from notifications.models import Change, Inbox, Message, Recipient
from notifications.staff import panels, reach
from notifications.staff.headcount import count
from notifications.staff.listing import MessageList

pytestmark = pytest.mark.django_db  # each test in a transaction that is rolled back

SIZE = scale.Size.of(4_000)
GROWING = {model._meta.db_table: model for model in
           (Message, Recipient, Change, Inbox, User, Session)}  # fmt: skip
ALIASES = {"m": Message, "r": Recipient, "c": Change, "i": Inbox, "i2": Inbox}  # in SQL by hand
PART = 0.25  # of a table: more than one reader's rows, less than all
PAGES = 5  # read to find one row: those of the index above it, and its own
LIGHT = SIZE.accounts  # the newest account has few messages
SOME = list(range(scale.SPECIAL + 1, SIZE.accounts, SIZE.accounts // 50))
END = SIZE.messages
OLD = END - 20
BROADCAST = END // SIZE.every(scale.BROADCASTS) * SIZE.every(scale.BROADCASTS)  # the newest


@pytest.fixture(scope="module", autouse=True)
def _rows(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock():
        scale.fill(SIZE)
        yield
        call_command("flush", interactive=False, verbosity=0)
        connection.close()


def light() -> User:
    return User.objects.get(pk=LIGHT)


def mine() -> int:
    """One of the light reader's messages by name."""
    rows = Recipient.objects.filter(user_id=LIGHT, read_at=None, message__withdrawn_at=None)
    return rows.order_by("pk")[0].message_id


def one_is_due() -> None:
    now = timezone.now()
    Message.objects.create(title="due", everyone=True, publish_at=now, due_at=now)
    assert publish_due() == 1


def first_act() -> None:
    Inbox.objects.filter(pk=LIGHT).delete()
    assert acts.read(light(), mine())


def staff(path: str = "", **query: Any) -> None:
    """A page of messages in the admin. Without broadcasts, for which accounts are counted."""
    client = Client()
    superuser = User.objects.filter(pk=LIGHT)
    superuser.update(is_staff=True, is_superuser=True)
    client.force_login(superuser.get())
    page = client.get(f"/admin/notifications/message/{path}", {"everyone__exact": 0} | query)
    assert page.status_code == 200


MONTH = timezone.now() - timedelta(days=90)
QUESTIONS: dict[str, Callable[[], Any]] = {
    "the list": lambda: inbox.listing(light()),
    "the list, unread": lambda: inbox.listing(light(), "unread"),
    "the list, archived": lambda: inbox.listing(light(), "archived"),
    "the list, older": lambda: inbox.listing(light(), "all", END // 2),
    "the list, grown": lambda: inbox.listing(light(), pages=inbox.MOST_PAGES),
    "one message": lambda: inbox.item(light(), mine()),
    "a state": lambda: inbox.state(light()),
    "many states": lambda: list(inbox.states(SOME)),
    "recently touched": lambda: list(inbox.touched_within(2.5)),
    "resume": lambda: log.replay(LIGHT, 0, Cursor(str(OLD), OLD)),
    "a cursor": lambda: (log.holds(Cursor("x", OLD)), log.knows(Cursor("x", OLD))),
    "a look": lambda: log.messages(log.page(OLD).changes),
    "an audience": lambda: log.audiences([mine()], SOME),
    "a large audience": lambda: log.audiences([Message.objects.filter(groups=1)[0].pk], SOME),
    "the sweep": lambda: (access.standings(SOME), access.open_sessions(list(map(str, SOME)))),
    "nothing is due": publish_due,
    "one is due": one_is_due,
    "read": lambda: acts.read(light(), mine()),
    "archive": lambda: acts.archive(light(), mine()),
    "read a broadcast": lambda: acts.read(light(), BROADCAST),
    "the first act": first_act,
    "seen": lambda: acts.seen(light()),
    "read all": lambda: acts.read_all(light()),
    "send to one": lambda: send("x", to=[light()]),
    "staff: the list": staff,
    "staff: the third page of it": lambda: staff(p=3),
    "staff: a month": lambda: staff(created_at__year=MONTH.year, created_at__month=MONTH.month),
    "staff: a search that finds nothing": lambda: staff(q="nowhere"),
    "staff: drafts, of which there are none": lambda: staff(state="draft"),
    "staff: expired, of which there are none": lambda: staff(state="expired"),
    "staff: a message": lambda: staff(f"{mine()}/change/"),
    "staff: the dashboard, every two seconds": lambda: panels.shown(panels.DASHBOARD),
    "staff: one user, every two seconds": lambda: panels.shown(panels.Subject(user=str(LIGHT))),
    "reach": lambda: reach.attach(list(Message.objects.filter(pk__gt=END - 5, everyone=False))),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_that_is_asked_all_day_walks_through_no_growing_table(question, monkeypatch):
    monkeypatch.setattr(MessageList, "window", 100)
    monkeypatch.setattr(log, "SMALL", 100)  # with some thousand accounts, a group is large
    statements: list[tuple[str, Any]] = []

    def record(execute, sql, params, many, context):
        if re.match(r"\s*(SELECT|WITH|UPDATE|DELETE|INSERT.*SELECT)", sql, re.DOTALL) and not many:
            statements.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(record):
        QUESTIONS[question]()
    assert statements
    assert not [(walk, sql) for sql, params in statements for walk in walked(sql, params)]


# How each database says that it read an index, and no row.
ALONE = {
    "postgresql": "Index Only Scan Backward using message_by_date",
    "mysql": "message_by_date .*Using index",
    "sqlite": "USING COVERING INDEX message_by_date",
}


def test_where_the_list_of_messages_ends_is_read_from_an_index_alone():
    """That is among the newest 50,000 messages, which are long."""
    rows = Message.objects.of_people().order_by("-created_at", "-pk").values("created_at")
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")  # as with millions
    assert re.search(ALONE[connection.vendor], rows[99:101].explain())


# Rows touched, or what SQLite calls instructions, for each that there is to be looked at.
ROWS_OF_A_PAGE = {"postgresql": 30, "mysql": 6, "sqlite": 70}
ROWS_OF_STATES = {"postgresql": 10, "mysql": 10, "sqlite": 70}


@pytest.mark.parametrize("kind", ["all", "unread"])
def test_a_page_of_the_list_looks_at_broadcasts_and_at_the_readers_own_rows_alone(kind):
    """Not at the whole log since the account was made."""
    old = User(pk=scale.SPECIAL + 1)
    inbox.listing(old, kind)  # makes what is made once
    may_show = Message.objects.filter(everyone=True).count()
    may_show += Recipient.objects.filter(user=old).count()
    with Work() as work:
        assert inbox.listing(old, kind).items
    assert work.done / may_show < ROWS_OF_A_PAGE[connection.vendor]


COMPANY, HALF = (Group(pk=pk) for pk in (1, scale.HALF))
AUDIENCES: dict[str, Callable[[], tuple[Any, Any]]] = {
    "everyone": lambda: (EVERYONE, ()),
    "everyone but half": lambda: (EVERYONE, HALF),
    "a group": lambda: (COMPANY, ()),
    "two groups": lambda: ([COMPANY, HALF], ()),
    "a group but half": lambda: (COMPANY, HALF),
    "a group but many by name": lambda: (COMPANY, many()),
    "many by name but a group": lambda: (many(), HALF),
}


def test_for_the_states_of_many_their_rows_are_read_and_not_each_broadcast_for_each():
    without_rows = range(scale.HOARDER + 1, scale.HOARDER + 101)
    rows = Message.objects.filter(everyone=True).count() + 2 * len(without_rows)
    with Work() as work:
        assert list(inbox.states(without_rows))
    assert work.done / rows < ROWS_OF_STATES[connection.vendor]


# Rows, or what SQLite calls instructions, for each account or membership.
MOST = {"postgresql": 6, "mysql": 3, "sqlite": 12}


def many() -> list[User]:
    return [User(pk=pk) for pk in range(scale.SPECIAL + 1, SIZE.accounts, 2)]


@pytest.mark.parametrize("audience", AUDIENCES)
def test_to_count_an_audience_looks_at_each_account_a_few_times(audience):
    of = Audience.of(*AUDIENCES[audience]())
    rows = User.objects.count() + User.groups.through.objects.count()
    with Work() as work:
        assert count(of).people
    assert work.done / rows < MOST[connection.vendor]


class Work:
    """How much the database does meanwhile, by its own account."""

    done = 0

    def __enter__(self) -> Self:
        self._statements: list[tuple[str, Any]] = []
        if connection.vendor == "sqlite":
            connection.connection.set_progress_handler(self._another, 1)
        self._recording = connection.execute_wrapper(self._record)
        self._recording.__enter__()
        self._before = self._handled()
        return self

    def __exit__(self, *_: Any) -> None:
        self.done += self._handled() - self._before
        self._recording.__exit__(None, None, None)
        if connection.vendor == "sqlite":
            connection.connection.set_progress_handler(None, 0)
        elif connection.vendor == "postgresql":
            self.done = sum(starmap(_rows_of, self._statements))

    def _another(self) -> None:
        self.done += 1

    def _record(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self._statements.append((sql, params))
        return execute(sql, params, many, context)

    @staticmethod
    def _handled() -> int:
        """MariaDB counts what it reads and puts aside, on this connection."""
        if connection.vendor != "mysql":
            return 0
        with connection.cursor() as cursor:
            cursor.execute("SHOW SESSION STATUS WHERE Variable_name REGEXP '^Handler_(read|tmp)'")
            return sum(int(number) for _, number in cursor.fetchall())


def _rows_of(sql: str, params: Any) -> int:
    """Which PostgreSQL touches for this."""
    plan = json.loads(_explain("EXPLAIN (ANALYZE, FORMAT JSON)", sql, params)[0])
    return sum(
        value * node["Actual Loops"]
        for node in _nodes(plan[0]["Plan"], "Plans")
        for name, value in node.items()
        if name == "Actual Rows" or name.startswith("Rows Removed")
    )


# ------------------------------------------------------------------ what each database tells of it


def walked(sql: str, params: Any) -> list[str]:
    """The growing tables that it answers this by walking through."""
    return {"postgresql": _postgresql, "mysql": _mariadb, "sqlite": _sqlite}[connection.vendor](
        sql, params
    )


def _postgresql(sql: str, params: Any) -> list[str]:
    # What fits on a few pages is quickest read whole. Forbidden that, it does so only where there
    # is no other way, as with millions.
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    plan = json.loads(_explain("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)", sql, params)[0])
    found = []
    for node in _nodes(plan[0]["Plan"], "Plans"):
        model = GROWING.get(node.get("Relation Name", ""))
        if model is None or node["Node Type"] == "ModifyTable":
            continue
        passed_by = node.get("Rows Removed by Filter", 0)
        rows = (node["Actual Rows"] + passed_by) * node["Actual Loops"]
        # An index may also be walked from end to end for a few rows: then its pages tell.
        pages = _read(node) - sum(map(_read, node.get("Plans", [])))
        few = PAGES * (rows + 10 * node["Actual Loops"])
        whole = PART * _size(node.get("Index Name", "")) * node["Actual Loops"]
        if rows > PART * _count(model) or pages > max(few, whole):
            found.append(f"{rows} rows, {pages} pages by {node['Node Type']} of {model.__name__}")
    return found


def _mariadb(sql: str, params: Any) -> list[str]:
    plan = json.loads(_explain("EXPLAIN FORMAT=JSON", sql, params)[0])
    found = []
    for node in _nodes(plan, None):
        name, access_type = node.get("table_name"), node.get("access_type")
        model = _model(name, sql) if name else None
        if model and access_type in ("ALL", "index") and node["rows"] > PART * _count(model):
            found.append(f"{access_type} of {model.__name__}")
    return found


def _sqlite(sql: str, params: Any) -> list[str]:
    lines = _explain("EXPLAIN QUERY PLAN", sql, params, column=3)
    # A few rows, or one, from the end of an index that has all messages: it stops there.
    lines = [ln for ln in lines if not (" LIMIT " in sql and "INDEX message_by_date" in ln)]
    names = [match[1] for line in lines if (match := re.match(r"SCAN (\w+)", line))]
    return [f"SCAN {name}" for name in names if _model(name, sql)]


def _explain(how: str, sql: str, params: Any, column: int = 0) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(f"{how} {sql}", params)
        rows = [row[column] for row in cursor.fetchall()]
    return [row if isinstance(row, str) else json.dumps(row) for row in rows]


def _nodes(plan: Any, children: str | None) -> Iterator[dict[str, Any]]:
    if isinstance(plan, dict):
        yield plan
        for value in [plan.get(children, [])] if children else plan.values():
            yield from _nodes(value, children)
    elif isinstance(plan, list):
        for each in plan:
            yield from _nodes(each, children)


def _model(name: str, sql: str) -> Any:
    """The growing table that is called `name` in this statement, which may be an alias."""
    by_alias = re.search(rf'[`"]?(\w+)[`"]? (?:AS )?[`"]?{re.escape(name)}[`"]?\b', sql)
    return GROWING.get(name) or ALIASES.get(name) or GROWING.get(by_alias[1] if by_alias else "")


def _read(node: dict[str, Any]) -> int:
    return node["Shared Hit Blocks"] + node["Shared Read Blocks"]


def _size(index: str) -> int:
    """Of an index of PostgreSQL, in pages."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT SUM(relpages) FROM pg_class WHERE relname = %s", [index])
        return cursor.fetchone()[0] or 0


_counted: dict[Any, int] = {}


def _count(model: Any) -> int:
    return _counted.setdefault(model, model.objects.count())
