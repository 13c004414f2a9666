"""The recent past, in memory, so that those who come back do not read the log again."""

from collections import deque
from dataclasses import dataclass
from typing import Any

from .cursor import Cursor
from .models import Change, Message
from .wire import event

CHANGES = 10_000  # kept at most
BYTES = 16 * 2**20  # of their text, at most


@dataclass(slots=True)
class Entry:
    """A change as the hub remembers it. `data` empty: taken back since, nothing to say."""

    change: Change
    born: int  # the message's own position: whom a broadcast concerns depends on it
    audience: set[Any] | None  # None: everyone
    whole: bool  # whether `audience` is all of it, not only who was connected then
    data: bytes

    def concerns(self, user_id: Any, since: int) -> bool:
        """Whether this is for the user whose broadcasts begin after position `since`."""
        return self.born > since if self.audience is None else user_id in self.audience


class Past:
    """The last changes in order, each encoded once."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._bytes = 0

    def add(
        self, change: Change, message: Message, audience: set[Any] | None, whole: bool
    ) -> Entry:
        """Remember `change`. What was known of an edited or vanished message is forgotten first,
        so that memory never replays what was taken back."""
        if change.event != Change.Event.PUBLISHED:
            for old in self._entries:
                if old.change.message_id == message.pk:
                    self._set(old, message)
        entry = Entry(change, message.position or 0, audience, whole, b"")
        self._set(entry, message)
        self._entries.append(entry)
        while len(self._entries) > CHANGES or self._bytes > BYTES:
            self._bytes -= len(self._entries.popleft().data)
        return entry

    def after(self, cursor: Cursor, end: Cursor) -> list[Entry] | None:
        """What came after `cursor` up to `end`, the newest; None when memory cannot tell."""
        if cursor == end:
            return []
        count = end.position - cursor.position
        if not 0 < count <= len(self._entries):
            return None
        entries = [self._entries[-back] for back in range(count, 0, -1)]
        return entries if entries[0].change.before == cursor.word else None

    def _set(self, entry: Entry, message: Message) -> None:
        # What is for nobody at all, as the canary, is told to nobody.
        is_for_nobody = entry.whole and entry.audience is not None and not entry.audience
        told = None if is_for_nobody else event(entry.change, message)
        data = told.encode() if told else b""
        self._bytes += len(data) - len(entry.data)
        entry.data = data
