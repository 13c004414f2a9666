"""Reading the log: what comes after a cursor, and whom it concerns."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from django.db import connection

from . import wire
from .batches import batches
from .cursor import Cursor
from .models import Change, Head, Message, Recipient

PAGE = 200  # changes read at a time
SMALL = 2_000  # recipients read whole; of a larger audience only those who are connected

# One statement, so that the head and the rows are of one moment; the head also when no row is.
_PAGE = f"""
    SELECT head.position, head.word, c.position, c.word, c.before, c.event, c.message_id
    FROM {Head._meta.db_table} head
    LEFT JOIN {Change._meta.db_table} c ON c.position > %s
    WHERE head.id = {Head.THE_ONE}
    ORDER BY c.position LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Page:
    """Consecutive changes, and the end of the log at that moment."""

    head: Cursor
    changes: list[Change]

    def follows(self, cursor: Cursor) -> bool:
        """Whether this page goes on where `cursor` stands: the same history, nothing missing."""
        if not self.changes:
            # Nothing after it must mean that it is the end. The rest may have been pruned.
            return cursor == self.head
        for change in self.changes:
            if (change.before, change.position) != (cursor.word, cursor.position + 1):
                return False
            cursor = change.cursor
        return True

    def end(self, start: Cursor) -> Cursor:
        """The cursor of who has read from `start` to the end of this page."""
        return self.changes[-1].cursor if self.changes else start


def page(after: int, limit: int = PAGE) -> Page:
    """The next changes after position `after`, at most `limit`, without their messages."""
    with connection.cursor() as sql:
        sql.execute(_PAGE, [after, limit])
        rows = sql.fetchall()
    changes = [
        Change(position=position, word=word, before=before, event=event, message_id=message_id)
        for _, _, position, word, before, event, message_id in rows
        if position is not None
    ]
    return Page(Cursor(rows[0][1], rows[0][0]), changes)


def holds(cursor: Cursor) -> bool:
    """Whether a reader may go on from `cursor`: it is of this log, and all after it is there."""
    return page(cursor.position, limit=1).follows(cursor)


def head() -> Cursor:
    """The end of the log."""
    return Head.objects.get(pk=Head.THE_ONE).cursor


def messages(changes: Iterable[Change]) -> dict[int, Message]:
    """The messages of `changes` as they are now."""
    ids = {change.message_id for change in changes}
    return Message.objects.select_related("sender").in_bulk(ids) if ids else {}


@dataclass(frozen=True, slots=True)
class Replay:
    """What one user missed: the events up to `cursor`. `done`: that is the end of the log."""

    cursor: Cursor
    events: list[wire.Event]
    done: bool


def replay(user_id: Any, since: int, after: Cursor, limit: int = PAGE) -> Replay | None:
    """The next page of what `user_id` missed after `after`, with today's rights and texts.

    None when `after` cannot be resumed: too old, of another history, or ahead of the log.
    """
    found = page(after.position, limit)
    if not found.follows(after):
        return None
    ids = {change.message_id for change in found.changes}
    mine = Message.objects.addressed_to(user_id, since).select_related("sender").in_bulk(ids)
    events = [
        event
        for change in found.changes
        if change.message_id in mine and (event := wire.event(change, mine[change.message_id]))
    ]
    end = found.end(after)
    return Replay(end, events, end == found.head)


def audiences(
    message_ids: Collection[int], connected: Collection[Any]
) -> tuple[dict[int, set[Any]], bool]:
    """Who of `connected` each of these named messages is for; and whether that is all they are for.

    A small audience is read whole, so that those who come back later are known too.
    """
    found: dict[int, set[Any]] = {pk: set() for pk in message_ids}
    if not found:
        return found, True
    rows = Recipient.objects.filter(message_id__in=message_ids).values_list("message_id", "user_id")
    pairs = list(rows[: SMALL + 1])
    whole = len(pairs) <= SMALL
    if not whole:
        pairs = [pair for part in batches(connected) for pair in rows.filter(user_id__in=part)]
    for message_id, user_id in pairs:
        found[message_id].add(user_id)
    return found, whole


def knows(cursor: Cursor) -> bool:
    """Whether `cursor` may be of this log: False if the change at its position has another word."""
    words = Change.objects.filter(position=cursor.position).values_list("word", flat=True)
    return all(word == cursor.word for word in words)
