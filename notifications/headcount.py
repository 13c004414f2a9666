"""How many people an audience comes to, before anything is sent: for the form, the review and the
command, so that they say the same. Counted by the database: no account is loaded."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _

from . import processes, words
from .audience import Audience
from .running import RunningHub

SAMPLE = 5  # names
MOST_ONLINE = 10_000  # connected users whom an audience is compared with: 20 questions


@dataclass(frozen=True)
class Headcount:
    """`people` get it; `inactive` are those of them who cannot log in now; `left_out` would get it
    if they were not excluded. `online` is None where that is not known; `here`: it counts those of
    this server process alone, and there are others."""

    people: int
    inactive: int
    left_out: int
    online: int | None = None
    here: bool = False
    sample: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        people = words.people(self.people)
        if not self.inactive:
            return people
        said = {"people": people, "n": words.number(self.inactive)}
        return _("%(people)s, %(n)s of them inactive") % said

    @property
    def more(self) -> int:
        """Of whom `sample` gives no name."""
        return self.people - len(self.sample)


def count(audience: Audience) -> Headcount:
    """The numbers alone."""
    found: Counter[str] = Counter()
    for part, without in audience.parts():
        found.update(_numbers(part, without))
    return Headcount(found["all"] - found["left_out"], found["inactive"], found["left_out"])


def headcount(audience: Audience, by_name: bool) -> Headcount:
    """The numbers, and who is online. by_name: with the names of some."""
    counted = count(audience)
    online, here = _online(audience)
    sample = _sample(audience) if by_name and counted.people else []
    return Headcount(
        counted.people, counted.inactive, counted.left_out,
        None if online is None else min(online, counted.people), here, sample,
    )  # fmt: skip


def _numbers(users: QuerySet[Any], without: Q) -> dict[str, int]:
    numbers: dict[str, Any] = {"all": Count("pk")}
    # What cannot be is not asked: the database would look at every account.
    if without != Q(pk__in=[]):
        numbers["left_out"] = Count("pk", filter=without)
    if _has_field("is_active"):
        numbers["inactive"] = Count("pk", filter=Q(is_active=False) & ~without)
    return users.aggregate(**numbers)


def _has_field(name: str) -> bool:
    try:
        get_user_model()._meta.get_field(name)
    except FieldDoesNotExist:
        return False
    return True


def _online(audience: Audience) -> tuple[int | None, bool]:
    """How many of them are connected, and whether only to this process though there are others.

    Processes report how many users they have, not which. So of everyone the reports tell; of
    others only this process's own hub, if it has one.
    """
    reports = processes.live(processes.read())
    if audience.everyone and not audience.without:
        return sum(row.users for row in reports) if reports else None, False
    hubs = RunningHub.all()
    if not hubs:
        return None, False
    connected = list({pk for hub in hubs for pk in tuple(hub.streams)})
    if len(connected) > MOST_ONLINE:
        return None, False
    return len(audience.among(connected)), sum(bool(row.users) for row in reports) > 1


def _sample(audience: Audience) -> list[str]:
    name: Any = get_user_model().USERNAME_FIELD
    return list(audience.people().order_by("pk").values_list(name, flat=True)[:SAMPLE])
