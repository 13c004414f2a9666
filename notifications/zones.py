"""The time zone of whoever looks at a page, as their browser has told it in a cookie."""

from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from django.http import HttpRequest


def of(request: HttpRequest) -> ZoneInfo | None:
    return named(request.COOKIES.get("timezone"))


def named(name: str | None) -> ZoneInfo | None:
    """None for what is no time zone."""
    return ZoneInfo(name) if name in _names() else None


@cache
def _names() -> set[str]:
    return available_timezones()
