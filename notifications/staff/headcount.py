"""How many people an audience comes to, before anything is sent: for the form, the review and the
command, so that they say the same. Counted by the database: no account is loaded."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Count, Value
from django.utils.translation import gettext as _

from .. import processes
from ..audience import Audience
from ..batches import batches, one_of
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
    process has not told yet who is connected to it. `about`: `people` is estimated, and the rest
    is not known yet."""

    people: int
    inactive: int = 0
    left_out: int = 0
    online: int | None = None
    at_least: bool = False
    sample: list[str] = field(default_factory=list)
    about: bool = False

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
    to, but = unnamed(audience)
    size, left_out = to.sizes(but)
    people = size - left_out
    inactive = _inactive(to, but)
    for _pk, is_active, more, more_left_out in named_besides(audience):
        people += more
        inactive += 0 if is_active else more
        left_out += more_left_out
    return Headcount(people, inactive, left_out)


def unnamed(audience: Audience) -> tuple[Audience, Audience]:
    """Whom it comes to and who is left out, but for those who are named: counted all at once."""
    without = audience.without or Audience()
    return replace(audience, pks=[], without=None), replace(without, pks=[])


def named_besides(audience: Audience) -> Iterator[tuple[Any, bool, int, int]]:
    """Of each of those who are named, too: the key, whether the account is active, and what that
    adds to `people` and to `left_out` of the others: 1, 0 or -1."""
    named, not_named = set(audience.pks), set(audience.without.pks if audience.without else ())
    for pk, is_active, had, lacked in standing(named | not_named, *unnamed(audience)):
        have, lack = had or pk in named, lacked or pk in not_named
        more = (have and not lack) - (had and not lacked)
        yield pk, is_active, more, (have and lack) - (had and lacked)


def headcount(audience: Audience, by_name: bool) -> Headcount:
    """The numbers, and who is online. by_name: with the names of some."""
    counted = count(audience)
    online, at_least = _online(audience)
    sample = some_names(audience) if by_name and counted.people else []
    return Headcount(
        counted.people, counted.inactive, counted.left_out,
        None if online is None else min(online, counted.people), at_least, sample,
    )  # fmt: skip


def _users() -> Any:
    return get_user_model()._default_manager


def _inactive(to: Audience, but: Audience) -> int:
    """How many of whom `to` holds, and `but` does not. Asked of the inactive alone, who are few."""
    if to == Audience() or not _has_field("is_active"):
        return 0
    found = _users().filter(is_active=False)
    return found.aggregate(count=Count("pk", filter=to.condition() & ~but.condition()))["count"]


def standing(
    pks: Collection[Any], to: Audience, but: Audience
) -> Iterator[tuple[Any, bool, bool, bool]]:
    """Of each of these accounts its key, whether it is active, in `to`, and in `but`."""
    is_active = "is_active" if _has_field("is_active") else Value(True)
    for these in one_of(pks, get_user_model()._meta.pk):
        rows = _users().filter(these).annotate(had=to.key_if_held(), lacked=but.key_if_held())
        for pk, active, had, lacked in rows.values_list("pk", is_active, "had", "lacked"):
            yield pk, active, had is not None, lacked is not None


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


def some_names(audience: Audience) -> list[str]:
    """The names of some, as quickly as they are found: of those who come first, the first who are
    not left out."""
    name: Any = get_user_model().USERNAME_FIELD
    found = dict(audience.some().values_list("pk", name)[:CANDIDATES])
    if len(found) < CANDIDATES:
        named = next(batches(audience.pks), [])
        found |= dict(_users().filter(pk__in=named).values_list("pk", name))
    without = audience.without.among(found) if audience.without else set()
    return [found[pk] for pk in found if pk not in without][:SAMPLE]
