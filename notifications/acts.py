"""What a user does with messages: read, archive, look at the bell. And the end of streams.

Everything is written under that user's `Inbox` row alone. It is not in the log: a broadcast to a
million readers would bring a million reads through the lock of one row.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import DateTimeField, Exists, F, OuterRef, Value
from django.db.models.functions import Coalesce, Now
from django.dispatch import Signal
from django.utils import timezone

from .models import Head, Inbox, Message, Recipient

KEPT = 20  # acts remembered; a page that missed more fetches its list anew

_EVERYONE = Recipient.Via.EVERYONE.value
_USER = Inbox._meta.get_field("user").target_field

# Sent after the commit of anything that concerns one user's inbox, with `user_id`: for the hub of
# the same process, which so learns of it at once.
touched = Signal()


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
        time = Value(now, DateTimeField())
        time = Value(now, DateTimeField())
        made = Recipient.objects.write(
            missing.values_list("pk", Value(user.pk, _USER), Value(_EVERYONE), time, time),
            ["message", "user", "via", "read_at", "first_read_at"],
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
        inbox = Inbox.objects.locked(user_id)

        def record(act: str, ids: list[int], upto: int) -> None:
            inbox.version += 1
            entry = {"version": inbox.version, "act": act, "ids": ids, "upto": upto}
            inbox.acts = [*inbox.acts, entry][-KEPT:]
            inbox.touched_at = Now()
            inbox.save(update_fields=["version", "acts", "seen", "touched_at"])
            _tell(user_id)

        yield inbox, record


def _tell(user_id: Any) -> None:
    send = partial(touched.send, sender=Inbox, user_id=user_id)
    transaction.on_commit(send, robust=True)


def _clamped(upto: int | None) -> int:
    end = Head.objects.get(pk=Head.THE_ONE).position
    return end if upto is None else min(upto, end)
