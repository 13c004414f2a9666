"""How the live dashboard writes numbers."""

from collections.abc import Mapping
from typing import Any

from django import template
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

register = template.Library()

ACTS = {
    "read": gettext_lazy("read"),
    "unread": gettext_lazy("marked unread"),
    "archived": gettext_lazy("archived"),
    "unarchived": gettext_lazy("moved back from the archive"),
    "all-read": gettext_lazy("marked all as read"),
    "seen": gettext_lazy("looked at the list"),
}


@register.filter
def seconds(value: float) -> str:
    """A span of time in one unit, rounded."""
    if value < 120:
        return _("%(n)d s") % {"n": value}
    if value < 7200:
        return _("%(n)d min") % {"n": value / 60}
    return _("%(n)d h") % {"n": value / 3600}


@register.filter
def percent(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "0%"


@register.filter
def minus(a: int, b: int) -> int:
    return a - b


@register.filter
def at(numbers: Mapping[str, int], name: str) -> int:
    return numbers.get(name, 0)


@register.filter
def act(name: str) -> Any:
    return ACTS.get(name, name)
