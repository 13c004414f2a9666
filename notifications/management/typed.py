"""What `broadcast` was given on its command line, as what `publishing.post` takes.

All of it raises ValidationError by the names of `post`.
"""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone

from notifications import EVERYONE, names, words

_DURATION = re.compile(r"(\d{1,9})([mhdw])", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def message(options: dict[str, Any]) -> dict[str, Any]:
    now = timezone.now()
    at = _when("at", options["at"], now)
    return {
        "title": options["title"],
        "to": _audience(options["to"]),
        "body": _body(options["body"], options["body_file"]),
        "level": options["level"],
        "link": options["link"],
        "sender": _sender(options["sender"]),
        "at": at,
        "expires": _when("expires", options["expires"], at or now),
        "key": options["key"],
    }


def audience_in_words(to: list[str]) -> str:
    groups, users = _named("group", to), _named("user", to)
    return words.audience(_is_everyone(to), groups, users, len(users))


def moment(text: str, start: datetime) -> datetime:
    """`2026-12-24T18:00` in the site's time zone, with another one if it says so, or `30m`, `2h`,
    `1d`, `1w` after `start`. Raises ValueError."""
    try:
        if match := _DURATION.fullmatch(text):
            return start + timedelta(**{_UNITS[match[2]]: int(match[1])})
        found = datetime.fromisoformat(text)
        if timezone.is_naive(found):
            found = timezone.make_aware(found)
        return found.astimezone(UTC)
    except OverflowError:
        raise ValueError("beyond the calendar") from None


def _when(option: str, text: str | None, start: datetime) -> datetime | None:
    try:
        return moment(text, start) if text else None
    except ValueError:
        problem = f"{text!r} is neither a time (2026-12-24T18:00) nor a duration (30m, 2h, 1d)."
        raise ValidationError({option: problem}) from None


def _is_everyone(to: list[str]) -> bool:
    return not to or "everyone" in to


def _audience(to: list[str]) -> Any:
    if _is_everyone(to):
        return EVERYONE
    with _about("to"):
        return [*names.groups(_named("group", to)), *names.users(_named("user", to))]


def _named(kind: str, to: list[str]) -> list[str]:
    """Each once, without `user:` or `group:`."""
    parts = (one.partition(":") for one in to)
    return list(dict.fromkeys(name for its_kind, _, name in parts if its_kind == kind))


def _sender(name: str | None) -> Any:
    with _about("sender"):
        return names.users([name])[0] if name else None


def _body(text: str, file: str | None) -> str:
    if not file:
        return text
    try:
        return (sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()).decode()
    except UnicodeDecodeError as error:
        raise ValidationError({"body": f"Not UTF-8 at byte {error.start}."}) from None
    except OSError as error:
        raise ValidationError({"body": f"{file}: {error.strerror}."}) from None


@contextmanager
def _about(name: str) -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        raise ValidationError({name: error}) from None
