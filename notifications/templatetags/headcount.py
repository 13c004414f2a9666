"""How numbers of people are written."""

from datetime import UTC, datetime

from django import template

from ..staff import words

register = template.Library()
register.filter("number", words.number)
register.filter("people", words.people)
register.filter("moment", words.moment)
register.filter("so_far", words.so_far)


@register.filter
def utc(at: datetime) -> str:
    """As everybody reads it, wherever they are."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
