"""What one user has: the list and the counts, each read such that it is of one moment."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from operator import itemgetter
from typing import Any, Literal, NamedTuple

from django.db import connection
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Now
from django.utils import timezone

from .batches import batches
from .cursor import Cursor
from .models import Head, Inbox, Message, Recipient, user_key

PAGE = 30  # messages on one page of the list
MOST_PAGES = 33  # in one answer: some thousand rows, which a browser still shows without effort
MANY = 1_000  # rows of one user, above which a page is looked for near its end first
NEAR = 10_000  # positions: where such a user has a page; reading them takes some ms
BATCH = 500  # users whose states are read by one statement
TRIES = 3  # reads without a lock that may be spoilt by a change before one is made under locks

Filter = Literal["all", "unread", "archived"]
_EVERYONE = Recipient.Via.EVERYONE.value
_MESSAGE, _RECIPIENT, _INBOX = (model._meta.db_table for model in (Message, Recipient, Inbox))


@dataclass(frozen=True, slots=True)
class State:
    """The truth about one user as of (position, version), read by one statement."""

    user_id: Any
    cursor: Cursor
    version: int
    unread: int
    unseen: int
    acts: list[dict[str, Any]]
    endings: int

    def acts_since(self, version: int) -> list[dict[str, Any]] | None:
        """The acts after `version`, or None when not all of them are known any more."""
        after = [act for act in self.acts if act["version"] > version]
        return after if len(after) == max(0, self.version - version) else None

    def counts(self, told: int) -> dict[str, Any]:
        """What a reader who was last told version `told` is told: the data of `state`."""
        return {
            "version": self.version,
            "position": self.cursor.position,
            "unread": self.unread,
            "unseen": self.unseen,
            "acts": self.acts_since(told),
        }


@dataclass(frozen=True, slots=True)
class Item:
    """A message as it stands in one user's list."""

    message: Message
    read: bool
    archived: bool

    @property
    def position(self) -> int:
        assert self.message.position is not None, "only published messages are in a list"
        return self.message.position

    @property
    def day(self) -> date:
        """Of its publication, by the current time zone."""
        assert self.message.published_at is not None, "only published messages are in a list"
        return timezone.localdate(self.message.published_at)


@dataclass(frozen=True, slots=True)
class Listing:
    """A part of the list, and the state of the same moment. `more`: there are older ones."""

    state: State
    items: list[Item]
    more: bool


# SQL by hand, for it is what a hub asks all day long: the ORM takes a hundred times as long to put
# it together as any database takes to answer. It says what `live` and `broadcast_since` of `models`
# say, in a form that reads indexes alone (tests/test_plans.py):
#
# - unread of those by name: the user's rows that are neither read nor put away;
# - unread of those to everyone: all since the inbox began, less the user's rows that say otherwise.
#   How many there are since a position is counted once for all users who share it.
_LIVE = "m.withdrawn_at IS NULL AND m.expired_at IS NULL"
_TO_EVERYONE = f"m.everyone = TRUE AND {_LIVE}"
# The users are named in each part: then a database knows who of them has many rows.
_MINE = f"""
    SELECT i.user_id, {{sign}} COUNT(*) AS unread,
        {{sign}} SUM(CASE WHEN m.position > i.seen THEN 1 ELSE 0 END) AS unseen
    FROM {_RECIPIENT} r {{messages}} = r.message_id
    JOIN {_INBOX} i ON i.user_id = r.user_id
    WHERE i.user_id IN ({{{{users}}}}) AND r.user_id IN ({{{{users}}}}) AND {{which}}
    GROUP BY i.user_id"""
_UNREAD = _MINE.format(
    sign="",
    messages=f"JOIN {_MESSAGE} m ON m.id",
    which=f"r.archived_at IS NULL AND r.read_at IS NULL AND r.via <> '{_EVERYONE}' "
    f"AND m.position > 0 AND {_LIVE}",
)
_DEALT_WITH = _MINE.format(
    sign="-",
    messages="{messages}",
    which=f"(r.archived_at IS NOT NULL OR r.read_at IS NOT NULL) AND r.via = '{_EVERYONE}' "
    f"AND m.position > i.since AND {_TO_EVERYONE}",
)
_STATES = f"""
    WITH mine AS (
        SELECT user_id, SUM(unread) AS unread, SUM(unseen) AS unseen
        FROM ({_UNREAD} UNION ALL {_DEALT_WITH}) part GROUP BY user_id
    ), broadcasts AS (
        SELECT s.since, COUNT(m.id) AS many
        FROM (SELECT DISTINCT since FROM {_INBOX} WHERE user_id IN ({{users}})) s
        LEFT JOIN {_MESSAGE} m ON m.position > s.since AND {_TO_EVERYONE}
        GROUP BY s.since
    )
    SELECT i.user_id, i.version, i.acts, i.endings,
        head.position AS head_position, head.word AS head_word,
        broadcasts.many + COALESCE(mine.unread, 0) AS unread,
        COALESCE(mine.unseen, 0)
            + CASE WHEN i.seen > i.since THEN ({{newer}}) ELSE broadcasts.many END AS unseen
    FROM {_INBOX} i
    JOIN broadcasts ON broadcasts.since = i.since
    LEFT JOIN mine ON mine.user_id = i.user_id
    CROSS JOIN {Head._meta.db_table} head
    WHERE head.id = {Head.THE_ONE} AND i.user_id IN ({{users}})
"""

# PostgreSQL may take a reader who has read thousands of broadcasts for one with few, and look each
# of them up. So made to read the broadcasts once, it takes a tenth of the time. The others would
# look up each broadcast for each user, who mostly has few rows: told to, they begin with the rows.
_MESSAGES = {
    "postgresql": f"JOIN {_MESSAGE} m ON m.id + 0",
    "sqlite": f"CROSS JOIN {_MESSAGE} m ON m.id",
    "mysql": f"STRAIGHT_JOIN {_MESSAGE} m ON m.id",
}
# How many broadcasts are newer than what the user has seen.
_NEWER = f"SELECT COUNT(*) FROM {_MESSAGE} m WHERE m.position > i.seen AND {_TO_EVERYONE}"
# MariaDB reads all broadcasts for that, however few are newer. So it reads them once for all users:
# a running sum over broadcasts and what is seen, in one order.
_NEWER_AT_ONCE = f"""
    SELECT many FROM (
        SELECT user_id, SUM(one) OVER (ORDER BY position DESC, one) AS many FROM (
            SELECT NULL AS user_id, position, 1 AS one FROM {_MESSAGE} m
            WHERE {_TO_EVERYONE} AND m.position > (
                SELECT MIN(seen) FROM {_INBOX} WHERE seen > since AND user_id IN ({{users}})
            )
            UNION ALL
            SELECT user_id, seen, 0 FROM {_INBOX} WHERE seen > since AND user_id IN ({{users}})
        ) broadcast_or_seen
    ) so_far WHERE so_far.user_id = i.user_id"""


def _states_sql(users: int) -> tuple[str, int]:
    """The statement for so many users, and how often it names them."""
    vendor = connection.vendor
    newer = _NEWER_AT_ONCE if vendor == "mysql" else _NEWER
    sql = _STATES.replace("{newer}", newer).replace("{messages}", _MESSAGES[vendor])
    return sql.replace("{users}", ",".join(["%s"] * users)), sql.count("{users}")


def states(user_ids: Collection[Any]) -> Iterator[dict[Any, State]]:
    """The states of many users: per BATCH one statement, so each batch is of one moment.

    Users without an inbox row are left out: `Inbox.objects.ensure` first.
    """
    for part in batches(map(user_key, user_ids), BATCH):
        sql, times = _states_sql(len(part))
        rows = Inbox.objects.raw(sql, part * times)
        yield {row.pk: _state(row) for row in rows}


def state(user: Any) -> State:
    """The state of one user, whose inbox is made if this is the first time."""
    Inbox.objects.ensure([user.pk])
    return _state_of(user.pk)


def touched_within(seconds: float) -> Iterator[tuple[Any, int, int]]:
    """(user id, version, endings) of the inboxes touched in the last `seconds`, by the clock of
    the database. Quick, but not the whole truth: an act may commit late (see `access.sweep`)."""
    rows = Inbox.objects.filter(touched_at__gte=Now() - timedelta(seconds=seconds))
    return iter(rows.values_list("pk", "version", "endings"))


def listing(
    user: Any,
    filter: Filter = "all",
    before: int | None = None,
    *,
    pages: int = 1,
    words: Sequence[str] = (),
) -> Listing:
    """`user`'s messages, newest position first, and the state of the same moment.

    before: only messages with a smaller position (None: from the newest). pages: how many of PAGE
    messages, up to MOST_PAGES. words: only messages that have each of them in title or body.
    """
    since = Inbox.objects.of(user.pk).since
    size = PAGE * min(pages, MOST_PAGES)

    def read(marks: _Marks) -> Listing:
        end = marks.position + 1 if before is None else before
        items: list[Item] = []
        if marks.many:
            near = range(end - NEAR, end)
            items = _items(user.pk, since, filter, before, size + 1, words, near)
        if len(items) <= size:
            items = _items(user.pk, since, filter, before, size + 1, words)
        return Listing(_state_of(user.pk), items[:size], len(items) > size)

    return _at_one_moment(user.pk, filter, read)


class _Marks(NamedTuple):
    version: int
    position: int
    many: int | None  # not None: the user has more than MANY rows that the list may show


def _at_one_moment(user_id: Any, filter: Filter, read: Callable[[_Marks], Listing]) -> Listing:
    """`read(marks)`, whose last statement reads the state, such that nothing changed in between.

    `atomic()` is not that: at READ COMMITTED each statement sees its own moment. So (position,
    version) must be the same before and after. Where changes come faster than that can be read,
    the last try holds them off.
    """
    for _ in range(TRIES):
        marks = _marks(user_id, filter)
        result = read(marks)
        if (result.state.version, result.state.cursor.position) == marks[:2]:
            return result
    with Head.locked(durable=False):
        Inbox.objects.locked(user_id)
        return read(_marks(user_id, filter))


def _marks(user_id: Any, filter: Filter) -> _Marks:
    head = Head.objects.filter(pk=Head.THE_ONE)
    beyond = _rows(user_id, filter).values("message")[MANY : MANY + 1]
    rows = Inbox.objects.filter(pk=user_id)
    found = rows.values_list("version", Subquery(head.values("position")), Subquery(beyond))
    return _Marks(*found.get())


def _state_of(user_id: Any) -> State:
    return next(states([user_id]))[user_id]


def _state(row: Any) -> State:
    cursor = Cursor(row.head_word, row.head_position)
    acts = sorted(row.acts, key=lambda act: act["version"])
    # MariaDB's SUM is a Decimal.
    unread, unseen = int(row.unread), int(row.unseen)
    return State(row.pk, cursor, row.version, unread, unseen, acts, row.endings)


def _items(
    user_id: Any,
    since: int,
    filter: Filter,
    before: int | None,
    size: int,
    words: Sequence[str],
    near: range | None = None,
) -> list[Item]:
    """The first `size` of them; `near`: of those whose position is in it."""
    parts = [_own(user_id, filter, _having(words, "message__"), near)]
    if filter != "archived":  # what is put away has a row of its own, whatever its audience
        parts.append(_broadcasts(user_id, since, filter, _having(words), near))
    found: list[tuple[int, int, datetime | None]] = []
    for part in parts:
        if before is not None:
            part = part.filter(at__lt=before)
        found += part.order_by("-at").values_list("at", "of", "was_read")[:size]
    newest = sorted(found, key=itemgetter(0), reverse=True)[:size]
    messages = Message.objects.select_related("sender").in_bulk([pk for _, pk, _ in newest])
    archived = filter == "archived"
    return [_item(messages[pk], bool(read_at), archived) for _, pk, read_at in newest]


def _having(words: Sequence[str], message: str = "") -> Q:
    """Each of the words is in the title or in the body."""
    conditions = Q()
    for word in words:
        title, body = f"{message}title__icontains", f"{message}body__icontains"
        conditions &= Q(**{title: word}) | Q(**{body: word})
    return conditions


# Two queries, merged: no database finds a good plan for "this or that". They find position, message
# and time of reading, and that in indexes alone; then only what the page shows is read. Positions
# are ordered as `+ 0`: or else a database may walk the whole log from its end, message by message,
# until it has found a page that is this user's. For who has many messages it may do that: `near`.


def _rows(user_id: Any, filter: Filter) -> QuerySet[Any, Recipient]:
    """The user's own rows: of what came by name; and if archived, of all."""
    rows = Recipient.objects.filter(user_id=user_id, archived_at__isnull=filter != "archived")
    if filter != "archived":
        rows = rows.exclude(via=_EVERYONE)
    if filter == "unread":
        rows = rows.filter(read_at=None)
    return rows


def _own(user_id: Any, filter: Filter, having: Q, near: range | None) -> QuerySet[Any, Any]:
    """What of these is live."""
    rows = _rows(user_id, filter).filter(message__withdrawn_at=None, message__expired_at=None)
    if near:
        rows = rows.filter(message__position__range=(near.start, near.stop - 1))
        if filter != "archived":  # said for the index
            rows = rows.filter(message__everyone=False)
    rows = rows.filter(having, message__position__isnull=False)
    return rows.annotate(at=F("message__position") + 0, of=F("message_id"), was_read=F("read_at"))


def _broadcasts(
    user_id: Any, since: int, filter: Filter, having: Q, near: range | None
) -> QuerySet[Any, Any]:
    """The messages to everyone that the user has not put away."""
    mine = Recipient.objects.filter(message_id=OuterRef("pk"), user_id=user_id)
    dealt_with = Q(archived_at__isnull=False)
    if filter == "unread":
        dealt_with |= Q(read_at__isnull=False)
    if near:
        since = max(since, near.start - 1)
    left = Message.objects.live().broadcast_since(since).filter(having)
    left = left.exclude(Exists(mine.filter(dealt_with)))
    was_read = Subquery(mine.values("read_at"))
    return left.annotate(at=F("position") + 0, of=F("pk"), was_read=was_read)


def _item(message: Message, read: bool, archived: bool) -> Item:
    # Put away means dealt with: archived implies read.
    return Item(message, read or archived, archived)


def item(user: Any, message_id: int) -> Item | None:
    """One message as `user` has it, also a withdrawn or expired one; None if it is not theirs."""
    mine = Recipient.objects.filter(message_id=OuterRef("pk"), user_id=user.pk)
    message = (
        Message.objects.visible_to(user)
        .select_related("sender")
        .annotate(
            was_read=Exists(mine.filter(read_at__isnull=False)),
            was_archived=Exists(mine.filter(archived_at__isnull=False)),
        )
        .filter(pk=message_id)
        .first()
    )
    return _item(message, message.was_read, message.was_archived) if message else None
