"""One user's messages: the list, the counts, and what the user does with them.

Everything a user does is written under that user's `Inbox` row alone. It is not in the log: a
broadcast to a million readers would bring a million reads through the lock of one row.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from heapq import merge
from itertools import islice
from operator import attrgetter
from typing import Any, Literal, TypeVar

from django.db import transaction
from django.db.models import DateTimeField, Exists, F, Func, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, Now
from django.dispatch import Signal
from django.utils import timezone

from .cursor import Cursor
from .models import Head, Inbox, Message, Recipient

PAGE = 30  # messages on one page of the list
ACTS_KEPT = 20  # a page that missed more than so many acts fetches its list anew
BATCH = 500  # users whose states are read by one statement
TRIES = 3  # reads without a lock that may be spoilt by a change before one is made under locks

Filter = Literal["all", "unread", "archived"]
T = TypeVar("T")

# Sent after the commit of anything that concerns one user's inbox, with `user_id`: for the hub of
# the same process, which so learns of it at once.
touched = Signal()


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


# ------------------------------------------------------------------------------------- reading


def states(user_ids: Collection[Any]) -> Iterator[dict[Any, State]]:
    """The states of many users: per BATCH one statement, so each batch is of one moment.

    Users without an inbox row are left out: `Inbox.objects.ensure` first.
    """
    ids = list(user_ids)
    for start in range(0, len(ids), BATCH):
        head = Head.objects.filter(pk=Head.THE_ONE)
        rows = Inbox.objects.filter(user_id__in=ids[start : start + BATCH]).annotate(
            head_position=Subquery(head.values("position")),
            head_word=Subquery(head.values("word")),
            unread=_count(*_unread()),
            unseen=_count(*(part.filter(position__gt=OuterRef("seen")) for part in _unread())),
        )
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
        _lock(user_id)
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


def _unread() -> tuple[QuerySet[Message], QuerySet[Message]]:
    """Unread messages of an outer `Inbox` row: the named ones, and those to everyone."""
    user_id, since = OuterRef("user_id"), OuterRef("since")
    untouched = {"recipients__read_at": None, "recipients__archived_at": None}
    named = Message.objects.live().filter(everyone=False, recipients__user_id=user_id, **untouched)
    done = Recipient.objects.filter(
        ~Q(read_at=None) | ~Q(archived_at=None),
        message_id=OuterRef("pk"),
        user_id=OuterRef(user_id),
    )
    return named, Message.objects.live().broadcast_since(since).exclude(Exists(done))


def _count(*parts: QuerySet[Message]) -> Any:
    # A plain COUNT in the subquery's own SELECT: MariaDB lets no outer reference into a deeper one.
    counts = [
        Subquery(part.order_by().values(n=Func(Value(1), function="COUNT"))) for part in parts
    ]
    return Coalesce(counts[0], 0) + Coalesce(counts[1], 0)


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


# ------------------------------------------------------------------------------------- acting


def read(user: Any, message_id: int) -> bool:
    """Mark one message read. Whether the message is one of the user's; so for all of these."""
    return _one(user, message_id, "read", _read_at(timezone.now()), read_at=None)


def unread(user: Any, message_id: int) -> bool:
    """Mark it unread again. What was seen stays seen, and the first reading is remembered."""
    return _one(user, message_id, "unread", {"read_at": None}, read_at__isnull=False)


def archive(user: Any, message_id: int) -> bool:
    """Put it away, read or not."""
    now = timezone.now()
    values = {**_read_at(now), "archived_at": now}
    return _one(user, message_id, "archived", values, archived_at=None)


def unarchive(user: Any, message_id: int) -> bool:
    """Take it back into the list."""
    return _one(user, message_id, "unarchived", {"archived_at": None}, archived_at__isnull=False)


def read_all(user: Any, upto: int | None = None) -> None:
    """Mark read all up to position `upto` (None, or beyond: the end of the log). One act."""
    with _acting(user.pk) as (inbox, record):
        upto = _clamped(upto)
        addressed = Message.objects.addressed_to(user.pk, inbox.since).filter(position__lte=upto)
        done = Recipient.objects.filter(message_id=OuterRef("pk"), user_id=user.pk)
        missing = addressed.filter(everyone=True).live().exclude(Exists(done))
        now = timezone.now()
        made = Recipient.objects.bulk_create(
            [
                Recipient(
                    message_id=pk, user_id=user.pk, via=_EVERYONE, read_at=now, first_read_at=now
                )
                for pk in missing.values_list("pk", flat=True)
            ],
            batch_size=BATCH,
            ignore_conflicts=True,
        )
        mine = Recipient.objects.filter(user_id=user.pk, read_at=None)
        changed = mine.filter(message__position__lte=upto).update(**_read_at(now))
        if made or changed:
            record("all-read", [], upto)


def seen(user: Any, upto: int | None = None) -> None:
    """Move the user's `seen` watermark to position `upto` (None: the end); never backwards."""
    with _acting(user.pk) as (inbox, record):
        upto = _clamped(upto)
        if upto > inbox.seen:
            inbox.seen = upto
            record("seen", [], upto)


def end_streams(user_id: Any) -> None:
    """Note that this user's open streams are to end, on every process.

    Whoever may still log in comes back by itself. A counter, not a time: no clocks to compare.
    """
    Inbox.objects.ensure([user_id])
    rows = Inbox.objects.filter(pk=user_id)
    if rows.update(endings=F("endings") + 1, touched_at=Now()):
        _tell(user_id)


_EVERYONE = Recipient.Via.EVERYONE


def _keeping(name: str, now: datetime) -> Any:
    return Coalesce(name, Value(now, DateTimeField()))


def _read_at(now: datetime) -> dict[str, Any]:
    return {"read_at": _keeping("read_at", now), "first_read_at": _keeping("first_read_at", now)}


def _one(user: Any, message_id: int, act: str, values: dict[str, Any], **when: Any) -> bool:
    """Set `values` on the user's row of one message, where it is as `when` says."""
    with _acting(user.pk) as (inbox, record):
        message = Message.objects.addressed_to(user.pk, inbox.since).filter(pk=message_id).first()
        if message is None:
            return False
        rows = Recipient.objects.filter(user_id=user.pk, message=message)
        if message.everyone and not rows.exists() and act in ("read", "archived"):
            lazily = Recipient(user_id=user.pk, message=message, via=_EVERYONE)
            Recipient.objects.bulk_create([lazily], ignore_conflicts=True)
        if rows.filter(**when).update(**values):
            record(act, [message.pk], message.position)
    return True


@contextmanager
def _acting(user_id: Any) -> Iterator[tuple[Inbox, Callable[..., None]]]:
    """The user's inbox, locked; and `record(act, ids, upto)`, to call if something has changed."""
    Inbox.objects.ensure([user_id])
    with transaction.atomic():
        inbox = _lock(user_id)

        def record(act: str, ids: list[int], upto: int) -> None:
            inbox.version += 1
            entry = {"version": inbox.version, "act": act, "ids": ids, "upto": upto}
            inbox.acts = [*inbox.acts, entry][-ACTS_KEPT:]
            inbox.touched_at = Now()
            inbox.save(update_fields=["version", "acts", "seen", "touched_at"])
            _tell(user_id)

        yield inbox, record


def _lock(user_id: Any) -> Inbox:
    # SQLite has no row locks: there each transaction is IMMEDIATE, which locks more (see checks).
    return Inbox.objects.select_for_update().get(pk=user_id)


def _tell(user_id: Any) -> None:
    send = partial(touched.send, sender=Inbox, user_id=user_id)
    transaction.on_commit(send, robust=True)


def _clamped(upto: int | None) -> int:
    end = Head.objects.get(pk=Head.THE_ONE).position
    return end if upto is None else min(upto, end)
