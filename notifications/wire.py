"""An event as JSON and as bytes of text/event-stream.

Format: WHATWG HTML, "Server-sent events" (https://html.spec.whatwg.org/multipage/server-sent-events.html).
The data is one line of JSON, in which no character is left at which anybody splits lines.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from .cursor import Cursor
from .models import Change, Message

# The format splits lines at CR, LF and CRLF, which JSON escapes. Careless clients split wherever
# `str.splitlines` does: at these three too, which JSON leaves alone.
_SPLITTERS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


class Event(NamedTuple):
    """One event. `id` is None where it does not move the reader's cursor."""

    id: Cursor | None
    name: str
    data: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id and str(self.id), "event": self.name, "data": self.data}

    def encode(self) -> bytes:
        """The bytes, the same for every reader; "message" is the type that needs no name."""
        lines = [f"data: {dumps(self.data)}\n\n"]
        if self.name != "message":
            lines.insert(0, f"event: {self.name}\n")
        if self.id is not None:
            lines.insert(0, f"id: {self.id}\n")
        # Half a surrogate has no UTF-8; this writes it as JSON's own escape.
        return "".join(lines).encode("utf-8", "backslashreplace")


def retry(milliseconds: int) -> bytes:
    """Tells the browser how long to wait before it comes back. The first line of the event that
    follows: there are clients for whom a block of its own would be an event without data."""
    return f"retry: {milliseconds}\n".encode()


def dumps(data: Any) -> str:
    """`data` as JSON on one line; dates in ISO 8601, UTC."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), default=_plain)
    return text.translate(_SPLITTERS)


def event(change: Change, message: Message) -> Event | None:
    """What a reader is told of `change`, from the message as it is now.

    None where nothing is left to tell: what was taken back since is never replayed.
    """
    if change.event in (Change.Event.WITHDRAWN, Change.Event.EXPIRED):
        gone = {"id": message.pk, "position": message.position, "reason": str(change.event)}
        return Event(change.cursor, "withdrawn", gone)
    if message.is_over:
        return None
    name = "message" if change.event == Change.Event.PUBLISHED else "update"
    return Event(change.cursor, name, content(message))


def content(message: Message) -> dict[str, Any]:
    """A message as readers get it. `body` is the text as written, `html` its safe rendering."""
    data = {
        "id": message.pk,
        "position": message.position,
        "title": message.title,
        "body": message.body,
        "html": message.html,
        "level": message.level,
        "link": message.link,
        "sender": author(message),
        "published_at": message.published_at,
        "expires_at": message.expires_at,
    }
    if message.edited_at:
        data["edited_at"] = message.edited_at
    return data


def author(message: Message) -> str:
    """The sender's name as readers see it; "" for a message that a program sent."""
    sender = message.sender
    if sender is None:
        return ""
    full_name = getattr(sender, "get_full_name", str)()
    return full_name or sender.get_username()


def _plain(value: Any) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)
