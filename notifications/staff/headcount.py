"""How many people an audience comes to, before anything is sent: for the form, the review and the
command, so that they say the same. Counted by the database: no account is loaded."""

from dataclasses import dataclass, field, replace
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from .. import processes
from ..audience import Audience
from ..batches import batches, large_batches
from ..processes import CONNECTED
from ..running import RunningHub
from . import words

SAMPLE = 5  # names
CANDIDATES = 500  # accounts among which they are looked for
ASKED = 300.0  # s for which processes are asked who is connected to them
MOST_ONLINE = 10_000  # connected users whom an audience is compared with: 20 questions at most


@dataclass(frozen=True)
class Headcount:
    """`people` get it; `inactive` are those of them who cannot log in now; `left_out` would get it
    if they were not excluded. `online` is None where that is not known; `at_least`: some server
    process has not told yet who is connected to it."""

    people: int
    inactive: int
    left_out: int
    online: int | None = None
    at_least: bool = False
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
    everybody, without = replace(audience, without=None), audience.without or Audience()
    to, but = replace(everybody, pks=[]), replace(without, pks=[])  # what is counted at once
    size = to.size()
    left_out = to.size_of_both(but, size)
    people = size - left_out
    inactive = _inactive(to.everybody())
    if inactive and left_out:
        inactive -= _inactive(to.both(but))
    named, not_named = set(everybody.pks), set(without.pks)
    # What difference it makes that these are named, too.
    for keys in large_batches(named | not_named):
        had, lacked = to.among(keys), but.among(keys)
        have, lack = had | named.intersection(keys), lacked | not_named.intersection(keys)
        before, after = had - lacked, have - lack
        people += len(after) - len(before)
        left_out += len(have & lack) - len(had & lacked)
        inactive += _inactive_among(after - before) - _inactive_among(before - after)
    return Headcount(people, inactive, left_out)


def headcount(audience: Audience, by_name: bool) -> Headcount:
    """The numbers, and who is online. by_name: with the names of some."""
    counted = count(audience)
    online, at_least = _online(audience)
    sample = _sample(audience) if by_name and counted.people else []
    return Headcount(
        counted.people, counted.inactive, counted.left_out,
        None if online is None else min(online, counted.people), at_least, sample,
    )  # fmt: skip


def _users() -> Any:
    return get_user_model()._default_manager


def _inactive(users: QuerySet[Any]) -> int:
    return users.filter(is_active=False).count() if _has_field("is_active") else 0


def _inactive_among(pks: set[Any]) -> int:
    return _inactive(_users().filter(pk__in=pks))


def _has_field(name: str) -> bool:
    try:
        get_user_model()._meta.get_field(name)
    except FieldDoesNotExist:
        return False
    return True


def _online(audience: Audience) -> tuple[int | None, bool]:
    """How many of them are connected, and whether they may be more: some process has not told yet.

    Processes report how many users they have, and who they are when they are asked, which is within
    seconds: see `ask_who_is_online`.
    """
    reports = processes.live(processes.read())
    if audience.everyone and not audience.without:
        return sum(row.users for row in reports) if reports else None, False
    hubs = RunningHub.all()
    ask_who_is_online()
    mine = {hub.reporter.id for hub in hubs}
    others = [row for row in reports if row.pk not in mine and row.users]
    told = [row.watched[CONNECTED] for row in others if CONNECTED in row.watched]
    if not hubs and not told:
        return None, False
    connected = {pk for hub in hubs for pk in hub.users()}
    connected |= {get_user_model()._meta.pk.to_python(key) for keys in told for key in keys}
    if len(connected) > MOST_ONLINE:
        return None, False
    return len(audience.among(connected)), len(told) < len(others)


def ask_who_is_online() -> None:
    """Have all processes tell, for some minutes: somebody is about to count."""
    for hub in RunningHub.all():
        hub.want(CONNECTED, ASKED)


def _sample(audience: Audience) -> list[str]:
    """The names of some, as quickly as they are found: of those who come first, the first who are
    not left out."""
    name: Any = get_user_model().USERNAME_FIELD
    found = dict(audience.some().values_list("pk", name)[:CANDIDATES])
    if len(found) < CANDIDATES:
        named = next(batches(audience.pks), [])
        found |= dict(_users().filter(pk__in=named).values_list("pk", name))
    without = audience.without.among(found) if audience.without else set()
    return [found[pk] for pk in found if pk not in without][:SAMPLE]
