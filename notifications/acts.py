"""What a user does with messages: read, archive, look at the bell. And the end of streams.

Everything is written under that user's `Inbox` row alone. It is not in the log: a broadcast to a
million readers would bring a million reads through the lock of one row.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import connection, transaction
from django.db.models import DateTimeField, Exists, F, OuterRef, Value
from django.db.models.functions import Coalesce, Now
from django.dispatch import Signal
from django.utils import timezone

from .models import Head, Inbox, Message, Recipient, user_key

KEPT = 20  # acts remembered; a page that missed more fetches its list anew
LARGEST = 2**63 - 1  # a larger id is nobody's, and too large for SQLite to be asked for

_EVERYONE = Recipient.Via.EVERYONE.value
_USER = Inbox._meta.get_field("user").target_field
_MESSAGE, _RECIPIENT, _INBOX = (model._meta.db_table for model in (Message, Recipient, Inbox))

# Sent after the commit of anything that concerns one user's inbox, with `user_id`: for the hub of
# the same process, which so learns of it at once.
touched = Signal()

# SQL by hand, for a broadcast brings all its readers at once, and the ORM takes four times as long
# to put an act together as the database takes for it. All of it is asked under the inbox's lock.

# What `addressed_to` of `models` says, and what is kept of it.
_FIND = f"""
    SELECT m.position, r.id IS NOT NULL
    FROM {_MESSAGE} m LEFT JOIN {_RECIPIENT} r ON r.message_id = m.id AND r.user_id = %(user)s
    WHERE m.id = %(message)s AND m.position IS NOT NULL
        AND ((m.everyone = TRUE AND m.position > %(since)s)
            OR (m.everyone = FALSE AND r.id IS NOT NULL))"""
_RECORD = f"""
    UPDATE {_INBOX} SET version = %s, acts = %s, seen = %s, touched_at = {{now}}
    WHERE user_id = %s"""


@dataclass(frozen=True, slots=True)
class _Act:
    """What is done to the user's row of one message."""

    name: str
    sets: str
    where: str  # or else it is done already
    row: str = ""  # first_read_at, read_at, archived_at of one that there was no need of before

    @property
    def update(self) -> str:
        return f"""UPDATE {_RECIPIENT} SET {self.sets}
            WHERE message_id = %(message)s AND user_id = %(user)s AND {self.where}"""

    @property
    def insert(self) -> str:
        columns = "message_id, user_id, via, first_read_at, read_at, archived_at"
        values = f"%(message)s, %(user)s, '{_EVERYONE}', {self.row}"
        return f"INSERT INTO {_RECIPIENT} ({columns}) VALUES ({values})" if self.row else ""


_TO_READ = "read_at = COALESCE(read_at, %(now)s), first_read_at = COALESCE(first_read_at, %(now)s)"
_READ = _Act("read", _TO_READ, "read_at IS NULL", "%(now)s, %(now)s, NULL")
_UNREAD = _Act("unread", "read_at = NULL", "read_at IS NOT NULL")
_ARCHIVE = _Act(
    "archived",
    f"{_TO_READ}, archived_at = %(now)s",
    "archived_at IS NULL",
    "%(now)s, %(now)s, %(now)s",
)
_UNARCHIVE = _Act("unarchived", "archived_at = NULL", "archived_at IS NOT NULL")


def read(user: Any, message_id: int) -> bool:
    """Mark one message read. Whether the message is one of the user's; so for all of these."""
    return _one(user, message_id, _READ)


def unread(user: Any, message_id: int) -> bool:
    """Mark it unread again. What was seen stays seen, and the first reading is remembered."""
    return _one(user, message_id, _UNREAD)


def archive(user: Any, message_id: int) -> bool:
    """Put it away, read or not."""
    return _one(user, message_id, _ARCHIVE)


def unarchive(user: Any, message_id: int) -> bool:
    """Take it back into the list."""
    return _one(user, message_id, _UNARCHIVE)


def undo_archive(user: Any, message_id: int) -> bool:
    """Take back what was put away unread, as it was: nobody sees it half done."""
    with transaction.atomic():
        return unread(user, message_id) and unarchive(user, message_id)


def read_all(user: Any, upto: int | None = None) -> None:
    """Mark read all up to position `upto` (None, or beyond: the end of the log). One act."""
    with _acting(user.pk) as (inbox, record):
        upto = _clamped(upto)
        done = Recipient.objects.filter(message_id=OuterRef("pk"), user_id=user.pk)
        broadcasts = Message.objects.live().broadcast_since(inbox.since)
        missing = broadcasts.filter(position__lte=upto).exclude(Exists(done))
        now = timezone.now()
        time = Value(now, DateTimeField())
        made = Recipient.objects.write(
            missing.values_list("pk", Value(user.pk, _USER), Value(_EVERYONE), time, time),
            ["message", "user", "via", "read_at", "first_read_at"],
        )
        mine = Recipient.objects.filter(user_id=user.pk, read_at=None)
        changed = mine.filter(message__position__lte=upto).update(
            read_at=now, first_read_at=Coalesce("first_read_at", time)
        )
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


def _one(user: Any, message_id: int, act: _Act) -> bool:
    """Do it to the user's row of one message, which is made if it is of one to everyone."""
    if message_id > LARGEST:
        return False
    with _acting(user.pk) as (inbox, record):
        now = connection.ops.adapt_datetimefield_value(timezone.now())
        known = {"user": user_key(user.pk), "message": message_id, "since": inbox.since, "now": now}
        with connection.cursor() as sql:
            sql.execute(_FIND, known)
            found = sql.fetchone()
            if found is None:
                return False
            position, has_row = found
            if change := act.update if has_row else act.insert:
                sql.execute(change, known)
                if sql.rowcount:
                    record(act.name, [message_id], position)
    return True


@contextmanager
def _acting(user_id: Any) -> Iterator[tuple[Inbox, Callable[..., None]]]:
    """The user's inbox, locked; and `record(act, ids, upto)`, to call if something has changed."""
    with ExitStack() as stack:
        stack.enter_context(transaction.atomic())
        try:
            inbox = Inbox.objects.locked(user_id)
        except Inbox.DoesNotExist:
            stack.close()  # made in a transaction of its own: two first acts may come at once
            Inbox.objects.make([user_id])
            stack.enter_context(transaction.atomic())
            inbox = Inbox.objects.locked(user_id)

        def record(act: str, ids: list[int], upto: int) -> None:
            version = inbox.version + 1
            entry = {"version": version, "act": act, "ids": ids, "upto": upto}
            kept = json.dumps([*inbox.acts, entry][-KEPT:])
            with connection.cursor() as sql:
                sql.execute(
                    _RECORD.format(now=_now()), [version, kept, inbox.seen, user_key(user_id)]
                )
            _tell(user_id)

        yield inbox, record


def _now() -> str:
    """The database's clock, in its own words."""
    sql: str = Inbox.objects.all().query.get_compiler(connection=connection).compile(Now())[0]
    return sql


def _tell(user_id: Any) -> None:
    send = partial(touched.send, sender=Inbox, user_id=user_id)
    transaction.on_commit(send, robust=True)


def _clamped(upto: int | None) -> int:
    end = Head.objects.get(pk=Head.THE_ONE).position
    return end if upto is None else min(upto, end)
