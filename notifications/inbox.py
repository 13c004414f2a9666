"""What one user has: the list and the counts, each read such that it is of one moment."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta
from heapq import merge
from itertools import islice
from operator import attrgetter
from typing import Any, Literal, TypeVar

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Subquery
from django.db.models.functions import Now

from .cursor import Cursor
from .models import Head, Inbox, Message, Recipient

PAGE = 30  # messages on one page of the list
BATCH = 500  # users whose states are read by one statement
TRIES = 3  # reads without a lock that may be spoilt by a change before one is made under locks

Filter = Literal["all", "unread", "archived"]
T = TypeVar("T")
_MESSAGE, _RECIPIENT = Message._meta.db_table, Recipient._meta.db_table


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


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of the list, and the state of the same moment. `more`: there are older ones."""

    state: State
    items: list[Item]
    more: bool


# SQL by hand, for it is what a hub asks all day long: the ORM takes a hundred times as long to put
# it together as any database takes to answer. It says what `live`, `named_to` and `broadcast_since`
# of `models` say.
_LIVE = "m.position > {after} AND m.withdrawn_at IS NULL AND m.expired_at IS NULL"
_NAMED = f"""(
    SELECT COUNT(*) FROM {_RECIPIENT} r JOIN {_MESSAGE} m ON m.id = r.message_id
    WHERE r.user_id = i.user_id AND r.read_at IS NULL AND r.archived_at IS NULL
        AND m.everyone = FALSE AND {_LIVE})"""
_BROADCAST = f"""(
    SELECT COUNT(*) FROM {_MESSAGE} m
    WHERE m.everyone = TRUE AND m.position > i.since AND {_LIVE} AND NOT EXISTS (
        SELECT 1 FROM {_RECIPIENT} r WHERE r.message_id = m.id AND r.user_id = i.user_id
            AND (r.read_at IS NOT NULL OR r.archived_at IS NOT NULL)))"""
_COUNT = f"{_NAMED} + {_BROADCAST}"
_STATES = f"""
    SELECT i.user_id, i.version, i.acts, i.endings,
        head.position AS head_position, head.word AS head_word,
        {_COUNT.format(after=0)} AS unread, {_COUNT.format(after="i.seen")} AS unseen
    FROM {Inbox._meta.db_table} i CROSS JOIN {Head._meta.db_table} head
    WHERE head.id = {Head.THE_ONE} AND i.user_id IN ({{users}})
"""


def states(user_ids: Collection[Any]) -> Iterator[dict[Any, State]]:
    """The states of many users: per BATCH one statement, so each batch is of one moment.

    Users without an inbox row are left out: `Inbox.objects.ensure` first.
    """
    user = Inbox._meta.get_field("user")
    ids = [user.get_db_prep_value(pk, connection) for pk in user_ids]
    for start in range(0, len(ids), BATCH):
        part = ids[start : start + BATCH]
        rows = Inbox.objects.raw(_STATES.format(users=",".join(["%s"] * len(part))), part)
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


def listing(user: Any, filter: Filter = "all", before: int | None = None) -> Listing:
    """A page of `user`'s messages, newest position first, and the state of the same moment.

    before: only messages with a smaller position (None: from the newest).
    """
    since = Inbox.objects.of(user.pk).since

    def read() -> Listing:
        items = _page(user.pk, since, filter, before)
        return Listing(_state_of(user.pk), items[:PAGE], len(items) > PAGE)

    return _at_one_moment(user.pk, read)


def _at_one_moment(user_id: Any, read: Callable[[], T]) -> T:
    """`read()` such that nothing changed between its statements.

    `atomic()` is not that: at READ COMMITTED each statement sees its own moment. So (position,
    version) must be the same before and after. Where changes come faster than that can be read,
    the last try holds them off.
    """
    for _ in range(TRIES):
        before = _marks(user_id)
        result = read()
        if _marks(user_id) == before:
            return result
    with transaction.atomic():
        Head.lock()
        Inbox.objects.locked(user_id)
        return read()


def _marks(user_id: Any) -> tuple[Any, ...] | None:
    head = Head.objects.filter(pk=Head.THE_ONE)
    rows = Inbox.objects.filter(pk=user_id)
    return rows.values_list("version", Subquery(head.values("position"))).first()


def _state_of(user_id: Any) -> State:
    return next(states([user_id]))[user_id]


def _state(row: Any) -> State:
    cursor = Cursor(row.head_word, row.head_position)
    acts = sorted(row.acts, key=lambda act: act["version"])
    return State(row.pk, cursor, row.version, row.unread, row.unseen, acts, row.endings)


def _page(user_id: Any, since: int, filter: Filter, before: int | None) -> list[Item]:
    """One item more than a page, if there is one."""
    # Two queries, each along an index, merged: no database finds a good plan for "this or that".
    mine = Recipient.objects.filter(message_id=OuterRef("pk"), user_id=user_id)
    live = Message.objects.live().select_related("sender")
    found = []
    for part in (live.named_to(user_id), live.broadcast_since(since)):
        if before is not None:
            part = part.filter(position__lt=before)
        part = part.annotate(
            was_read=Exists(mine.filter(read_at__isnull=False)),
            was_archived=Exists(mine.filter(archived_at__isnull=False)),
        ).filter(was_archived=filter == "archived")
        if filter == "unread":
            part = part.filter(was_read=False)
        found.append(part.order_by("-position")[: PAGE + 1])
    newest = merge(*found, key=attrgetter("position"), reverse=True)
    return [_item(message) for message in islice(newest, PAGE + 1)]


def _item(message: Any) -> Item:
    # Put away means dealt with: archived implies read.
    return Item(message, message.was_read or message.was_archived, message.was_archived)


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
    return _item(message) if message else None
