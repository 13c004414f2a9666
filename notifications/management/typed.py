"""What `broadcast` was given on its command line, as what `publishing.post` takes.

All of it raises ValidationError by the names of `post`.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone

from notifications.management import recipients

from ..audience import EVERYONE, Keys
from ..staff import names, words

_DURATION = re.compile(r"(\d{1,9})([mhdw])", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def message(options: dict[str, Any]) -> dict[str, Any]:
    now = timezone.now()
    at = _when("at", options["at"], now)
    return {
        "title": options["title"],
        "to": _audience(options["to"], options["people"]),
        "exclude": _these("exclude", options["exclude"]),
        "body": _body(options["body"], options["body_file"]),
        "level": options["level"],
        "link": options["link"],
        "sender": _sender(options["sender"]),
        "at": at,
        "expires": _when("expires", options["expires"], at or now),
        "key": options["key"],
    }


def audience_in_words(options: dict[str, Any]) -> str:
    to, exclude = options["to"], options["exclude"]
    users = [*_named("user", to), *(options["people"] or ())]
    users = list(dict.fromkeys(users))
    everyone = _is_everyone(to, options["people"])
    audience = words.audience(everyone, _named("group", to), users, len(users))
    left_out = [*_named("group", exclude), *_named("user", exclude)]
    return words.but(audience, left_out, len(left_out))


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


def _is_everyone(to: list[str], people: dict[str, Any] | None) -> bool:
    return (not to and people is None) or "everyone" in to


def _audience(to: list[str], people: dict[str, Any] | None) -> Any:
    """people: those of the file, if there is one."""
    if not _is_everyone(to, people):
        return [*_these("to", to), *Keys.of(people)]
    if people is not None:
        raise ValidationError({"to-file": "Everyone has them already: not both."})
    return EVERYONE


def _these(option: str, whom: list[str]) -> list[Any]:
    with _about(option):
        return [*names.groups(_named("group", whom)), *Keys.of(names.users(_named("user", whom)))]


def _named(kind: str, to: list[str]) -> list[str]:
    """Each once, without `user:` or `group:`."""
    parts = (one.partition(":") for one in to)
    return list(dict.fromkeys(name for its_kind, _, name in parts if its_kind == kind))


def _sender(name: str | None) -> Any:
    with _about("sender"):
        return names.user(name) if name else None


def _body(text: str, file: str | None) -> str:
    return recipients.read("body", file) if file else text


@contextmanager
def _about(name: str) -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        raise ValidationError({name: error}) from None
