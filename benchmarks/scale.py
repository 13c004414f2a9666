"""The database at size: a million accounts, ten million recipients, and what each question costs.

    DATABASE_URL=postgres://... python -m benchmarks.scale [--accounts 1000000] [--keep]

Makes a database of its own beside that of DATABASE_URL (its name and `_scale`), fills it by SQL,
measures, prints a Markdown table, and drops it; with --keep the next run finds it filled. A tenth
or a hundredth of the accounts are a tenth or a hundredth of all rows, but not of what one reader
has: so two sizes show what depends on the size of the tables. MariaDB and SQLite take --accounts
100000 in the time that PostgreSQL takes a million.
"""

import argparse
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

ROUNDS = 9  # medians of so many
MONTHS = 36  # over which accounts came and messages were published
BROADCASTS = 5_000  # messages to everyone: four or five a day for three years
HEAVY = 10_000  # messages by name to each of the two heavy users
COMPANY = 100_000  # members of the large group
TEAMS = 50  # smaller groups, each of one in 250 accounts
HALF = TEAMS + 2  # the group of half of the accounts, and half of the large group's members
STATES = 500  # users whose states are read at once
ADMIN_PAGE = 100  # messages on a page of Django's admin

# Primary keys of those who are asked about. A reader has read most, a hoarder nothing.
READER, HOARDER, LIGHT, DILIGENT = 1, 2, 5_003, 1_001
SPECIAL = 2_000  # primary keys up to here get no messages but those meant for them

TEXT = "Some **text** of the length that such messages have, a sentence or two. " * 4


@dataclass(frozen=True)
class Size:
    """How many rows there are, and how often in the log each kind of message comes."""

    accounts: int
    messages: int

    @classmethod
    def of(cls, accounts: int) -> "Size":
        return cls(accounts, accounts * 5 // 4)

    @property
    def diligent(self) -> int:
        """Accounts that have marked all read: a row for each broadcast."""
        return self.accounts // 5_000

    def every(self, count: int) -> int:
        """One message in so many, for `count` of them; a multiple of 25, the log's smallest bar."""
        return max(self.messages // count // 25 * 25, 25)


# -------------------------------------------------------------------------------- the generator


@contextmanager
def database(suffix: str, keep: bool = False) -> Iterator[None]:
    """A migrated database beside that of DATABASE_URL, known to this process and to those that it
    starts. Dropped at the end, unless it is to be kept."""
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SECRET_KEY": "for a database that lives for minutes",
        "ALLOWED_HOSTS": "127.0.0.1",
        "DEBUG": "0",  # DEBUG keeps every query in memory
        "TRUST_X_FORWARDED_PROTO": "1",  # the readers say that they came over https
    }
    url = os.environ.setdefault("DATABASE_URL", "sqlite:////tmp/benchmark.sqlite3")
    import django

    django.setup()
    from django.db import connection

    name = f"{connection.settings_dict['NAME']}{suffix}"
    connection.settings_dict["TEST"]["NAME"] = name
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False, keepdb=keep)
    address, mark, options = url.partition("?")
    os.environ["DATABASE_URL"] = f"{address}{suffix}{mark}{options}"
    try:
        yield
    finally:
        connection.close()
        if not keep:
            connection.creation.destroy_test_db(name, verbosity=0)


# Rows come in by the million: without checks that this program's arithmetic makes superfluous.
QUICKLY = {
    "postgresql": "SET session_replication_role = replica; SET synchronous_commit = off",
    "mysql": "SET foreign_key_checks = 0, unique_checks = 0, max_recursive_iterations = 100000000",
    "sqlite": "PRAGMA foreign_keys = OFF",
}


def fill(size: Size) -> None:
    """Write all rows, by statements that each of the three databases understands."""
    from django.contrib.auth.models import Group, User
    from django.contrib.sessions.models import Session
    from django.core.management.color import no_style
    from django.db import connection

    from notifications.models import Change, Head, Inbox, Message, Recipient

    tables = [User, Message, Recipient, Change, Inbox, User.groups.through, Session]
    names = [connection.ops.quote_name(table._meta.db_table) for table in tables]
    with connection.cursor() as sql:
        sql.execute(QUICKLY[connection.vendor])
        for statement, parameters in _rows(size):
            sql.execute(statement, parameters)
        for reset in connection.ops.sequence_reset_sql(no_style(), [Group, *tables[:3]]):
            sql.execute(reset)
        Head.objects.update(position=size.messages, word=str(size.messages))
        # SQLite analyzes nothing by itself, so here neither.
        if connection.vendor == "postgresql":
            sql.execute(f"VACUUM ANALYZE {', '.join(names)}")
        elif connection.vendor == "mysql":
            sql.execute(f"ANALYZE TABLE {', '.join(names)}")
            sql.fetchall()
    connection.close()


def _rows(size: Size) -> Iterator[tuple[str, list[Any]]]:
    """INSERT ... SELECT, with parameters. Chance is arithmetic: every run makes the same rows."""
    from django.contrib.auth.models import Group, User
    from django.contrib.sessions.models import Session
    from django.db import connection
    from django.utils import timezone

    from notifications.models import Change, Inbox, Message, Recipient

    user, group, session = (each._meta.db_table for each in (User, Group, Session))
    message, change, inbox = (each._meta.db_table for each in (Message, Change, Inbox))
    recipient, members = Recipient._meta.db_table, User.groups.through._meta.db_table
    to_groups = Message.groups.through._meta.db_table
    before = connection.ops.quote_name("before")  # a word of MariaDB's own
    today = timezone.now().replace(microsecond=0)

    def days(count: int) -> Any:
        return connection.ops.adapt_datetimefield_value(today + timedelta(days=count))

    def numbers(end: int) -> str:
        return f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {end})"

    def months(rows: int) -> tuple[str, list[Any]]:
        """To be joined with `n`: when each of `rows` came (`at`), after which message (`since`)."""
        parts = [
            f"SELECT {rows * k // MONTHS} AS low, {rows * (k + 1) // MONTHS} AS high, "
            f"{size.messages * k // MONTHS} AS since, %s AS at"
            for k in range(MONTHS)
        ]
        table = f"({' UNION ALL '.join(parts)}) month"
        return f"{table} ON i > low AND i <= high", [days(30 * (k - MONTHS)) for k in range(MONTHS)]

    month, values = months(size.accounts)
    yield (
        f"""INSERT INTO {user} (id, username, password, first_name, last_name, email,
            is_superuser, is_staff, is_active, date_joined) {numbers(size.accounts)}
        SELECT i, i, '!', '', '', '', FALSE, FALSE, MOD(i, 50) <> 30, at FROM n JOIN {month}""",
        values,
    )
    yield (
        f"""INSERT INTO {inbox} (user_id, since, version, seen, acts, endings, touched_at)
        {numbers(size.accounts)} SELECT i, since, 3, {size.messages} - MOD(i, 1000), '[]', 0, %s
        FROM n JOIN {month}""",
        [days(-1), *values],
    )
    yield (
        f"""INSERT INTO {session} (session_key, session_data, expire_date)
        SELECT username, 'x', %s FROM {user} WHERE MOD(id, 2) = 0""",
        [days(9)],
    )
    yield f"INSERT INTO {group} (id, name) {numbers(HALF)} SELECT i, i FROM n", []
    for group_id, which in (
        ("1", f"MOD(id, {max(size.accounts // COMPANY, 1)}) = 0"),
        ("2 + MOD(id, 250)", f"MOD(id, 250) < {TEAMS}"),
        (str(HALF), "MOD(id, 40) < 20"),
    ):
        yield (
            f"""INSERT INTO {members} (user_id, group_id)
            SELECT id, {group_id} FROM {user} WHERE {which} AND id > {SPECIAL}""",
            [],
        )

    month, values = months(size.messages)
    yield (
        f"""INSERT INTO {message} (id, title, body, html, level, link, everyone, created_at,
            publish_at, position, published_at, withdrawn_at) {numbers(size.messages)}
        SELECT i, 'A title as they are', '{TEXT}', '{TEXT}', 'info', '/somewhere/',
            MOD(i, {size.every(BROADCASTS)}) = 0, at, at, i, at,
            CASE WHEN MOD(i, 50) = 7 THEN at END
        FROM n JOIN {month}""",
        values,
    )
    yield (
        f"""INSERT INTO {change} (position, word, {before}, event, message_id, at)
        SELECT position, position, position - 1, 'published', id, published_at FROM {message}""",
        [],
    )

    def enlist(user_id: str, source: str, via: str = "name", read: int = 80) -> Any:
        """`read` % have read it, and one of ten of those has put it away."""
        chance = f"MOD(m.id * 7 + {user_id} * 31, 100)"
        return (
            f"""INSERT INTO {recipient}
                (message_id, user_id, via, first_read_at, read_at, archived_at)
            SELECT m.id, {user_id}, '{via}', CASE WHEN {chance} < {read} THEN %s END,
                CASE WHEN {chance} < {read} THEN %s END,
                CASE WHEN {chance} < {read // 10} THEN %s END
            FROM {message} m {source}""",
            [days(-1)] * 3,
        )

    # Of each 25 messages, one may be to everyone, one to the company, one to a team; 22 are named.
    named, others = "MOD(m.id, 25) > 2", size.accounts - SPECIAL
    yield enlist(f"({SPECIAL} + MOD(m.id * 7919, {others}) + 1)", f"WHERE {named}")
    yield enlist(
        f"({SPECIAL} + MOD(m.id * 7919 + k * 1049, {others}) + 1)",
        "JOIN (SELECT 1 AS k UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4) more "
        f"ON {named} AND MOD(m.id, 2) = 0",
    )
    for group_id, which in (
        ("1", f"MOD(id, {size.every(40)}) = 1"),
        (f"2 + MOD(id * 7919, {TEAMS})", f"MOD(id, {size.every(500)}) = 2"),
    ):
        yield (
            f"""INSERT INTO {to_groups} (message_id, group_id)
            SELECT id, {group_id} FROM {message} WHERE {which}""",
            [],
        )
    yield enlist(
        "u.user_id",
        f"JOIN {to_groups} g ON g.message_id = m.id JOIN {members} u ON u.group_id = g.group_id",
        "group",
    )
    period = size.every(HEAVY)
    some = f"MOD(m.id, {period}) BETWEEN 4 AND {3 + HEAVY * period // size.messages}"
    yield enlist(str(READER), f"WHERE {some}", read=99)
    yield enlist(str(HOARDER), f"WHERE {some}", read=0)
    yield enlist(
        "u.id",
        f"JOIN {user} u ON u.id = {READER} OR u.id BETWEEN {DILIGENT} AND "
        f"{DILIGENT + size.diligent} WHERE m.everyone = TRUE",
        "everyone",
        read=99,
    )


# ----------------------------------------------------------------------------- what is measured


@dataclass
class Cost:
    """Of one call, in ms: `took` in all, `database` of it in statements, `longest` one of them."""

    took: float = 0.0
    database: float = 0.0
    longest: float = 0.0
    statements: int = 0

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        begun = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            spent = (time.perf_counter() - begun) * 1000
            self.statements += 1
            self.database += spent
            self.longest = max(self.longest, spent)


def cost(work: Callable[[], Any], undo: bool = False) -> Cost:
    """What one call of `work` costs; `undo`: in a transaction that is rolled back."""
    from django.db import connection, transaction

    one = Cost()
    with transaction.atomic() if undo else nullcontext():
        with connection.execute_wrapper(one):
            begun = time.perf_counter()
            work()
            one.took = (time.perf_counter() - begun) * 1000
        if undo:
            transaction.set_rollback(True)
    return one


class Rival(threading.Thread):
    """Does `work` again and again on a connection of its own, and notes the longest it took."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__()
        self.work, self.waits, self._over = work, [0.0], threading.Event()

    def run(self) -> None:
        from django.db import connections

        while not self._over.wait(0.005):
            begun = time.perf_counter()
            self.work()
            self.waits.append((time.perf_counter() - begun) * 1000)
        connections.close_all()

    def __enter__(self) -> "Rival":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


THEN = date.today() - timedelta(days=365)
STAFF = {  # what is asked of the admin's list
    "": {}, ", page 200": {"p": 200}, ", a search that finds nothing": {"q": "nowhere"},
    ", expired, of which there are none": {"state": "expired"},
    ", a month a year ago": {"created_at__year": THEN.year, "created_at__month": THEN.month},
}  # fmt: skip

COMPANY_ID = 1
NAMED = {"whom": "named"}
SOME, MANY = (",".join(map(str, range(SPECIAL + 1, SPECIAL + 1 + n))) for n in (20, 3_000))
AUDIENCES = {  # what is chosen in the form in which one composes
    "everyone": {"whom": "everyone"},
    "everyone but the large group": {"whom": "everyone", "but_groups": COMPANY_ID},
    "everyone but half": {"whom": "everyone", "but_groups": HALF},
    "the large group": NAMED | {"groups": COMPANY_ID},
    "the large group but half": NAMED | {"groups": COMPANY_ID, "but_groups": HALF},
    "two groups": NAMED | {"groups": [COMPANY_ID, HALF]},
    "20 people": NAMED | {"usernames": SOME},
    "the large group and 20 people but half": NAMED | {
        "groups": COMPANY_ID, "usernames": SOME, "but_groups": HALF
    },
    "3,000 people": NAMED | {"usernames": MANY},
    "the large group but 3,000 people": NAMED | {"groups": COMPANY_ID, "but_usernames": MANY},
    "the large group and 3,000 people but half": NAMED | {
        "groups": COMPANY_ID, "usernames": MANY, "but_groups": HALF
    },
}  # fmt: skip


def staff(path: str, method: str = "get", **query: Any) -> bool:
    """A page about messages in the admin, as a superuser gets it, without its session; whether it
    has any content."""
    from django.contrib.auth.models import User
    from django.test import RequestFactory
    from django.urls import resolve

    address = f"/admin/notifications/message/{path}"
    ask = getattr(RequestFactory(), method)
    request: Any = ask(address, query, secure=True, headers={"host": "127.0.0.1"})
    request.user = User(pk=0, is_superuser=True, is_staff=True, is_active=True)
    request._messages, request._dont_enforce_csrf_checks = [], True
    view = resolve(address)
    response: Any = view.func(request, *view.args, **view.kwargs)
    assert response.status_code in (200, 204), (query, response.status_code, response.headers)
    if response.status_code == 200 and not response.is_rendered:
        response.render()
    return bool(response.content)


def count(query: dict[str, Any]) -> bool:
    return staff("audience-count/", "post", **query)


DOUBT, LONG = 0.03, 0.09  # s, as in compose.js


@contextmanager
def first_answers() -> Iterator[Callable[[dict[str, Any]], float]]:
    """How long, in ms, a sender waits for a number while he writes: for the exact one; or, after
    LONG, for about how many, which is asked for after DOUBT."""
    from django.db import connections

    def once(query: dict[str, Any]) -> float:
        begun = time.perf_counter()
        counted = pool.submit(count, query)
        if wait([counted], DOUBT).not_done:
            estimated = pool.submit(staff, "audience-estimate/", "post", **query)
            wait([counted], LONG - DOUBT)
            wait([counted, estimated], return_when=FIRST_COMPLETED)
            if not counted.done() and not estimated.result():
                wait([counted])
        took = (time.perf_counter() - begun) * 1000
        counted.result()
        return took

    def close() -> None:
        both.wait()
        connections.close_all()

    both = threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:  # each with a connection to the database, which it keeps
        yield lambda query: statistics.median([once(query) for _ in range(ROUNDS + 1)][1:])
        wait([pool.submit(close), pool.submit(close)])


def measure(size: Size) -> None:
    from django.contrib.auth.models import Group, User
    from django.db import connection

    from notifications import EVERYONE, access, acts, inbox, log, publish_due, send
    from notifications.cursor import Cursor
    from notifications.models import Inbox, Message, Recipient
    from notifications.staff import reach

    end = size.messages
    people = {
        "heavy reader": User(pk=READER), "hoarder": User(pk=HOARDER),
        "marks all read": User(pk=DILIGENT), "light reader": User(pk=LIGHT),
    }  # fmt: skip

    def row(what: str, work: Callable[[], Any], rounds: int = ROUNDS, undo: bool = False) -> None:
        costs = [cost(work, undo) for _ in range(rounds + 1)][1:]  # the first warms caches
        figures = [statistics.median(getattr(c, name) for c in costs) for name in COLUMNS]
        print(
            f"| {what} | " + " | ".join(f"{figure:,.1f}" for figure in figures) + " |", flush=True
        )

    print(f"\n{connection.vendor}: " + ", ".join(
        f"{count:,} {name}" for name, count in [
            ("accounts", size.accounts), ("messages", Message.objects.count()),
            ("recipients", Recipient.objects.count()),
            ("broadcasts", Message.objects.filter(everyone=True).count()),
            *((f"for the {name}", Recipient.objects.filter(user=user).count())
              for name, user in people.items()),
        ]))  # fmt: skip
    print("\n| | " + " | ".join(COLUMNS.values()) + " |\n|---|" + "---:|" * len(COLUMNS))

    for name, user in people.items():
        if name == "marks all read":
            row(f"{name}: counts", lambda: inbox.state(user))  # noqa: B023
            continue
        row(f"{name}: both counts", lambda: inbox.state(user))  # noqa: B023
        for kind in ("all", "unread", "archived"):
            row(f"{name}: page, {kind}", lambda: inbox.listing(user, kind))  # noqa: B023
        row(f"{name}: page, all, deep", lambda: inbox.listing(user, "all", end // 20))  # noqa: B023
        old = end - log.PAGE
        since = Inbox.objects.of(user.pk).since
        row(
            f"{name}: resume, {log.PAGE} changes back",
            lambda: log.replay(user.pk, since, Cursor(str(old), old)),  # noqa: B023
        )
    some = range(SPECIAL + 1, size.accounts, max((size.accounts - SPECIAL) // STATES, 1))
    crowd = list(some)[:STATES]
    row(f"states of {STATES} users", lambda: list(inbox.states(crowd)))
    row("recently touched", lambda: list(inbox.touched_within(2.5)))
    row(f"standings of {STATES} users", lambda: access.standings(crowd))
    keys = [str(pk) for pk in crowd]
    row(f"sessions of {STATES} users", lambda: access.open_sessions(keys))
    row("publish_due, nothing due", publish_due)
    big = Message.objects.filter(groups=1).latest("position").pk
    row(f"audience of a large message, {STATES} connected", lambda: log.audiences([big], crowd))
    row(f"a look's page, {log.PAGE} changes", lambda: log.messages(log.page(end - 200).changes))
    for name, of in (
        ("last", Message.objects.order_by("-pk")),
        ("largest", Message.objects.filter(groups=1)),
    ):
        page = list(of[:ADMIN_PAGE])
        row(f"admin: reach of the {len(page)} {name} messages", lambda: reach.attach(page), 3)  # noqa: B023
    for name, query in AUDIENCES.items():
        row(f"admin: live count, {name}", lambda: count(query))  # noqa: B023
    with first_answers() as first_answer:
        for name, query in AUDIENCES.items():
            print(f"| admin: first answer, {name} | {first_answer(query):,.1f} | | | |", flush=True)
    for name, query in STAFF.items():
        row(f"admin: the list{name}", lambda: staff("", **query), 3)  # noqa: B023
    for name, of in (
        ("newest", Message.objects.all()),
        ("large", Message.objects.filter(groups=1)),
        ("message to everyone, the newest", Message.objects.filter(everyone=True)),
    ):
        page = f"{of.latest('position').pk}/change/"
        row(f"admin: the page of a {name} message", lambda: staff(page, who=READER), 3)  # noqa: B023
    first = Message.objects.filter(recipients__user=HOARDER).latest("position").pk
    hoarder = people["hoarder"]
    row("hoarder: read one", lambda: acts.read(hoarder, first), undo=True)
    row("hoarder: archive one", lambda: acts.archive(hoarder, first), undo=True)
    row("hoarder: mark all read", lambda: acts.read_all(hoarder), 1, undo=True)
    if connection.vendor != "sqlite":
        light = people["light reader"]
        with Rival(lambda: acts.seen(light, 0)) as rival:
            cost(lambda: acts.read_all(hoarder), undo=True)
        print(f"| ... another reader's act meanwhile, at most | {max(rival.waits):,.1f} | | | |")
        with Rival(lambda: send("x", to=EVERYONE)) as rival:
            cost(lambda: acts.read_all(hoarder), undo=True)
        print(f"| ... a send meanwhile, at most | {max(rival.waits):,.1f} | | | |")
    row("send to everyone", lambda: send("x", to=EVERYONE))
    row("send to one", lambda: send("x", to=[hoarder]))
    company = Group.objects.get(pk=COMPANY_ID)
    members = company.user_set.count()
    row(f"send to a group of {members:,}", lambda: send("x", to=[company]), 3)
    with Rival(lambda: send("x", to=EVERYONE)) as rival:
        send("x", to=[company])
    print(f"| ... another's send meanwhile, at most | {max(rival.waits):,.1f} | | | |")


COLUMNS = {
    "took": "ms",
    "database": "of it database, ms",
    "longest": "longest statement, ms",
    "statements": "statements",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--accounts", type=int, choices=[10_000, 100_000, 1_000_000], default=1_000_000
    )
    parser.add_argument(
        "--messages", type=int, choices=[1_000_000], help="so many instead of 5 for 4 accounts"
    )
    parser.add_argument("--keep", action="store_true", help="keep the database, and use a kept one")
    options = parser.parse_args()
    size = Size.of(options.accounts)
    if options.messages:
        size = replace(size, messages=options.messages)
    with database("_scale", options.keep):
        from django.conf import settings
        from django.test import override_settings

        from notifications.models import Head

        if Head.objects.get().position == 0:
            begun = time.monotonic()
            fill(size)
            print(f"filled in {time.monotonic() - begun:.0f} s", flush=True)
        # The pages name their files as they are: nobody has collected them.
        plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
        with override_settings(STORAGES={**settings.STORAGES, "staticfiles": plain}):
            measure(size)


if __name__ == "__main__":
    main()
