"""All that changes the log: send, update, withdraw, and `publish_due`, which does it.

A sender's transaction only writes what is wanted, and `due_at`. After its commit `publish_due`
gives what is due its position, under the lock of `Head`, in a short transaction of its own. A
process that dies in between leaves a message that is due, and whoever calls `publish_due` next
(any commit, any hub, cron) goes on: now, scheduled and recovered are one path.
"""

from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import Error, IntegrityError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from . import doorbell
from .audience import Audience, enlist_members
from .cursor import Cursor, new_word
from .markup import render
from .models import CANARY, Change, Head, Message, waits_for_members
from .tally import say
from .validation import check

BATCH = 100  # messages that get their positions under one lock: some 10 ms
LEASE = timedelta(seconds=10)  # for a chunk of members, some 100 ms; after a kill, others take over
KEEP: Any = object()  # "leave it as it is", where None means "never"

_EVENTS = Change.Event


def send(title: str, *, to: Any, **options: Any) -> Message:
    """Send a message, now or later. Safe inside any transaction: rolled back, nothing was said.

    to: users, groups, querysets of users, or EVERYONE. exclude: those of them who do not get it,
    in the same way.
    body: Markdown, at most 10,000 characters. level: info, success, warning or error.
    link: http(s)://... or /path. sender: the user who is shown as its author.
    at: when to publish it (aware datetime; now if not given). expires: when it disappears.
    key: makes it idempotent; the same key twice is one message, the first.

    Returns the Message. Raises ValidationError, by field, before anything is written.
    """
    return post(title, to=to, **options)[0]


async def asend(title: str, *, to: Any, **options: Any) -> Message:
    """`send` for async code."""
    return await sync_to_async(send)(title, to=to, **options)


def post(
    title: str,
    *,
    to: Any,
    exclude: Any = (),
    body: str = "",
    level: str = Message.Level.INFO,
    link: str = "",
    sender: Any = None,
    at: datetime | None = None,
    expires: datetime | None = None,
    key: str | None = None,
) -> tuple[Message, bool]:
    """As `send`; also whether the message is new (False: the key was used already)."""
    now = timezone.now()
    if not (sender is None or isinstance(sender, get_user_model())):
        raise ValidationError({"sender": _("Must be a user.")})
    message = Message(title=title, body=body, level=level, link=link, sender=sender, key=key)
    message.publish_at, message.expires_at = at or now, expires
    check(message, now)
    audience = Audience.of(to, exclude)
    message.everyone = audience.everyone and not audience.without
    message.everyone_but = audience.everyone and not message.everyone
    message.html = render(message.body)
    message.due_at = message.next_due(now)
    with transaction.atomic():
        if (known := _keyed(key)) or (known := _insert(message)):
            return known, False
        audience.attach(message)
        _publish_on_commit()
    return _as_it_is_now(message), True


def update(
    message: Message,
    *,
    title: str = KEEP,
    body: str = KEEP,
    level: str = KEEP,
    link: str = KEEP,
    at: datetime = KEEP,
    expires: datetime | None = KEEP,
) -> Message:
    """Correct a message; who has it sees it change. Safe inside any transaction.

    `at` moves a message that is not published yet. Returns the message as it is then. Raises
    ValidationError for bad input, and when it has been withdrawn or has expired.
    """
    given: dict[str, Any] = {"title": title, "body": body, "level": level, "link": link}
    given |= {"publish_at": at, "expires_at": expires}
    with transaction.atomic():
        now = timezone.now()
        current = _locked(message)
        if current.is_over or current.withdraw_at:
            raise ValidationError(_("It has been withdrawn or has expired: send a new one."))
        if at is not KEEP and current.published_at:
            raise ValidationError({"at": _("It has been published already.")})
        before = _text(current)
        for name, value in given.items():
            if value is not KEEP:
                setattr(current, name, value)
        check(current, now)
        current.html = render(current.body)
        if current.published_at:
            current.revised_at = now
            if _text(current) != before:
                current.edited_at = now
        _want(current, now)
    return _as_it_is_now(current)


def _text(message: Message) -> tuple[str, ...]:
    return message.title, message.body, message.level, message.link


def withdraw(message: Message) -> Message:
    """Take a message back: it disappears for all, wherever it is open. Again: nothing happens.

    Safe inside any transaction. One that is not published yet never will be.
    """
    with transaction.atomic():
        now = timezone.now()
        current = _locked(message)
        if not (current.is_over or current.withdraw_at):
            current.withdraw_at = now
            if current.published_at is None:
                current.withdrawn_at = now
            _want(current, now)
    return _as_it_is_now(current)


def take_back(message: Message) -> bool:
    """Withdraw it if nobody has got it: False, and nothing happens, when it is published."""
    with transaction.atomic():
        current = _locked(message)
        if current.published_at is None:
            withdraw(current)
        return current.published_at is None


def publish_due() -> int:
    """Say in the log whatever is due; returns how many changes that made.

    Idempotent, and safe from any number of threads and processes at once. Not inside a
    transaction: the lock on `Head` must be short (RuntimeError).
    """
    written = 0
    while due := _due():
        # First what can be said at once, of whoever: nobody's message waits for another's members.
        dealt_with, changes = (0, 0) if all(due.values()) else _append()
        written += changes
        for message in filter(None, due.values()):
            if _prepare(message):
                found, changes = _append([message.pk])
                dealt_with, written = dealt_with + found, written + changes
        # Less than a batch: that was all; or all that is left is in somebody else's hands.
        if max(len(due), dealt_with) < BATCH or not dealt_with:
            break
    return written


def _due() -> dict[int, Message | None]:
    """A batch of what is due, by primary key: the message if people are to be enlisted first."""
    due = Message.objects.due(timezone.now())
    if not due.exists():  # mostly; to put the other question together takes three times as long
        return {}
    asked = due.annotate(waits=waits_for_members())
    rows = asked.values_list("waits", "pk", "due_at", "everyone_but")[:BATCH]
    return {
        pk: Message(pk=pk, due_at=due_at, everyone_but=everyone_but) if waits else None
        for waits, pk, due_at, everyone_but in rows
    }


def _prepare(message: Message) -> bool:
    """Enlist whom it is for as of now; False when that is, or becomes, somebody else's business.

    To say so, `due_at` is put off, from chunk to chunk: meanwhile nobody else finds the message
    due. When this process is killed, it will be due again.
    """

    @transaction.atomic
    def is_ours() -> bool:
        # Whoever holds it now, in a longer transaction, will have something else to say of it.
        mine = Message.objects.locked(skip=True).filter(pk=message.pk, due_at=message.due_at)
        if mine.first() is None:
            return False
        message.due_at = timezone.now() + LEASE
        Message.objects.filter(pk=message.pk).update(due_at=message.due_at)
        return True

    return is_ours() and enlist_members(message, is_ours)


def _append(pks: Collection[int] = ()) -> tuple[int, int]:
    """Write what the log has to say about these messages, or about a batch of all that are due and
    wait for no members: (messages dealt with, changes)."""
    with Head.locked() as head:
        return _append_to(head, pks)


def _append_to(head: Head, pks: Collection[int]) -> tuple[int, int]:
    # Read after the lock, in a statement of its own: what was read before it may be old. So one
    # who got the lock also publishes for all who wait for it, and they find nothing left to do.
    # Nothing that others may hold for long is waited for under it.
    now = timezone.now()
    rows = Message.objects.locked(skip=True)
    rows = rows.filter(pk__in=pks) if pks else rows.due(now).exclude(waits_for_members())[:BATCH]
    messages = list(rows)
    if not messages:
        transaction.set_rollback(True)  # costs no write to the disk
        return 0, 0
    changes: list[Change] = []
    for message in messages:
        if message.published_at is None and message.expires_at and message.expires_at <= now:
            message.expired_at = now  # too late to be published at all
        while event := message.next_event(now):
            cursor = Cursor(new_word(), head.position + 1)
            changes.append(_change(message, event, cursor, head.word, now))
            head.position, head.word = cursor.position, cursor.word
        message.due_at = message.next_due(now)
    Change.objects.bulk_create(changes)
    _save_logged(messages)
    head.save(update_fields=["position", "word"])
    if changes:
        doorbell.ring()
        # No partial: when it fails, Django looks for its `__qualname__`.
        transaction.on_commit(lambda: _say(changes), robust=True)
    return len(messages), len(changes)


_LOGGED: list[Any] = [
    Message._meta.get_field(name)
    for name in (
        "position", "published_at", "updated_at", "withdrawn_at", "expired_at", "due_at",
    )
]  # fmt: skip


def _save_logged(messages: Iterable[Message]) -> None:
    """As `bulk_update`, which takes longer to put together than the rest takes under the lock."""
    values = ", ".join(f"{field.column} = %s" for field in _LOGGED)
    rows = [
        [
            *(f.get_db_prep_save(getattr(message, f.attname), connection) for f in _LOGGED),
            message.pk,
        ]
        for message in messages
    ]
    with connection.cursor() as sql:
        sql.executemany(f"UPDATE {Message._meta.db_table} SET {values} WHERE id = %s", rows)


def _say(changes: Iterable[Change]) -> None:
    for change in changes:
        if change.message.key != CANARY:
            say(change.event, message=change.message_id, position=change.position,
                everyone=change.message.everyone)  # fmt: skip


def _change(message: Message, event: str, cursor: Cursor, before: str, now: datetime) -> Change:
    if event == _EVENTS.PUBLISHED:
        message.position, message.published_at = cursor.position, now
    elif event == _EVENTS.UPDATED:
        # Not before `revised_at`, though another server's clock may be ahead of this one's.
        message.updated_at = max(now, message.revised_at or now)
    elif event == _EVENTS.WITHDRAWN:
        message.withdrawn_at = now
    else:
        message.expired_at = now
    return Change(
        position=cursor.position,
        word=cursor.word,
        before=before,
        event=event,
        message=message,
        at=now,
    )


def _want(message: Message, now: datetime) -> None:
    """Save what is to happen to `message`, and have it said when that is committed."""
    message.due_at = message.next_due(now)
    message.save()
    _publish_on_commit()


def _as_it_is_now(message: Message) -> Message:
    # Outside of a transaction all is committed by now, and what was due has been said.
    if not connection.in_atomic_block:
        with suppress(Error):  # it is sent: a connection that dies now must not say otherwise
            message.refresh_from_db()
    return message


def _publish_on_commit() -> None:
    # robust: the message is committed and due; an error here is for the log, not for its sender.
    transaction.on_commit(_publish_at_once, robust=True)


def _publish_at_once() -> None:
    # Without asking what is due: something is, and the question would cost its readers 2 ms.
    _append()
    publish_due()


def _locked(message: Message) -> Message:
    # The lock of one message, held as long as the sender's transaction; `_append` passes it by.
    return Message.objects.locked().get(pk=message.pk)


def _keyed(key: str | None) -> Message | None:
    return Message.objects.filter(key=key).first() if key else None


def _insert(message: Message) -> Message | None:
    """Insert it; the message that was faster with the same key, if there is one."""
    if not message.key:
        message.save(force_insert=True)
        return None
    try:
        with transaction.atomic():
            message.save(force_insert=True)
    except IntegrityError:
        if known := _keyed(message.key):
            return known
        raise
    return None
