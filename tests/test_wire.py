"""What a person writes arrives as it was written, whatever is in it and whoever parses it."""

import json
from datetime import UTC, datetime

import pytest
from django.core.exceptions import ValidationError
from httpx_sse._decoders import SSEDecoder, SSELineDecoder
from hypothesis import given
from hypothesis import strategies as st

from notifications import EVERYONE, send, wire
from notifications.cursor import Cursor
from notifications.models import Change, Message

# All at which anybody splits lines, what means something in the format, and half a surrogate.
SPITEFUL = ["\r", "\n", "\r\n", "\0", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028"]
SPITEFUL += ["\u2029", "\ufeff", "\ud800", "\udfff", ":", "data: ", "\n\n", "id: 1-1\n", "☃", "大"]
anything = st.characters(exclude_categories=())  # surrogates too
texts = st.lists(st.sampled_from(SPITEFUL) | anything, max_size=12).map("".join)
times = st.datetimes(timezones=st.just(UTC)) | st.none()
words = st.text("0123456789abcdef", min_size=1, max_size=16)
cursors = st.builds(Cursor, words, st.integers(0, 10**18 - 1))
messages = st.builds(
    Message,
    id=st.integers(1, 2**63 - 1),
    title=texts,
    body=texts,
    html=texts,
    level=texts,
    link=texts,
    position=st.integers(1, 2**63 - 1),
    published_at=st.datetimes(timezones=st.just(UTC)),
    expires_at=times,
    edited_at=times,
)
changes = st.builds(
    Change,
    position=st.integers(1, 10**18 - 1),
    word=words,
    event=st.sampled_from(["published", "updated", "withdrawn", "expired"]),
)


def by_httpx_sse(text: str) -> list[tuple[str, str, str]]:
    lines, events = SSELineDecoder(), SSEDecoder()
    found = [events.decode(line) for line in lines.decode(text)]
    return [(sse.event, sse.data, sse.id) for sse in found if sse]


def by_somebody_careless(text: str) -> list[tuple[str, str, str]]:
    """Splits wherever Python does, as many a client."""
    events = []
    fields = {"event": "message", "id": ""}
    for line in text.splitlines():
        if line:
            name, _, value = line.partition(": ")
            assert name in ("id", "event", "data"), line
            fields[name] = value
        else:
            events.append((fields["event"], fields["data"], fields["id"]))
            fields = {"event": "message", "id": ""}
    return events


@pytest.mark.parametrize("parse", [by_httpx_sse, by_somebody_careless])
@given(message=messages, change=changes)
def test_what_is_parsed_is_what_was_encoded(parse, message, change):
    event = wire.event(change, message)
    ((name, data, last_id),) = parse(event.encode().decode())
    assert (name, last_id) == (event.name, f"{change.word}-{change.position}")
    parsed = json.loads(data)
    told = dict(event.data)
    for key in parsed.keys() & {"published_at", "expires_at", "edited_at"}:
        parsed[key] = parsed[key] and datetime.fromisoformat(parsed[key])
    assert parsed == {key: paired(value) for key, value in told.items()}


def paired(value):
    """Two halves of a surrogate pair beside each other are one character, as JSON has it."""
    if not isinstance(value, str):
        return value
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


@given(cursor=cursors)
def test_a_cursor_is_read_as_it_was_written(cursor):
    assert Cursor.parse(str(cursor)) == cursor


@given(text=texts)
def test_any_text_is_a_cursor_or_none(text):
    cursor = Cursor.parse(text)
    assert cursor is None or str(cursor) == text


@pytest.mark.django_db
@pytest.mark.parametrize("field", ["title", "body", "link", "level"])
@pytest.mark.parametrize("bad", ["a\0b", "a\ud800b", "\udfff"], ids=ascii)
def test_what_cannot_be_stored_is_refused_before_anything_is_written(field, bad):
    with pytest.raises(ValidationError) as error:
        send(**{"title": "x", "to": EVERYONE, field: bad})
    assert set(error.value.message_dict) == {field}
    assert not Message.objects.exists()
