"""About how many people an audience comes to, for a sender who would have to wait for the exact
number: what `headcount` asks of all accounts, asked of some."""

import math
import random
from collections.abc import Mapping
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import IntegerField
from django.http import QueryDict

from ..audience import Audience
from .headcount import Headcount, named_besides, some_names, standing, unnamed
from .names import typed

KEYS = 1_000  # that are looked at, of accounts
NAMES = 300  # that are looked up, of those that are typed in one field
# Standard errors, as shares of the number, below which so many digits of it are said.
TWO_DIGITS, ONE_DIGIT = 0.05, 0.25


def thinned(data: QueryDict) -> tuple[QueryDict, dict[str, float]]:
    """The compose form's `data` with at most NAMES names in each field, taken evenly; and how many
    typed names stand behind each of these, by the field."""
    data, weights = data.copy(), {}
    for field in ("usernames", "but_usernames"):
        names = typed(data.get(field, ""))
        some = names[:: -(-len(names) // NAMES) or 1]
        data[field] = "\n".join(some)
        weights[field] = len(names) / len(some) if some else 1
    return data, weights


def estimate(audience: Audience, weights: Mapping[str, float], by_name: bool) -> Headcount | None:
    """One or two digits of how many people, from a form that is `thinned`; by_name: with the names
    of some. None where that would be a guess."""
    people, error = _unnamed(*unnamed(audience))
    named = set(audience.pks)
    for pk, _, more, _ in named_besides(audience):
        people += more * weights["usernames" if pk in named else "but_usernames"]
    if not error < people * ONE_DIGIT:
        return None
    digits = 2 if error < people * TWO_DIGITS else 1
    return Headcount(
        people=int(float(f"{people:.{digits - 1}e}")),
        sample=some_names(audience) if by_name else [],
        about=True,
    )


def _unnamed(to: Audience, but: Audience) -> tuple[float, float]:
    """As many of all accounts as of keys that are drawn by lot, and the standard error of that,
    which is infinite if keys are no numbers."""
    if to == Audience():
        return 0, 0
    user_model = get_user_model()
    if not isinstance(user_model._meta.pk, IntegerField):
        return 0, math.inf
    keys: Any = user_model._default_manager.order_by("pk").values_list("pk", flat=True)
    span = range(keys.first() or 0, (keys.last() or 0) + 1)
    all_of_them, some = len(span), min(KEYS, len(span))
    drawn = random.sample(span, some)
    found = sum(had and not lacked for _, _, had, lacked in standing(drawn, to, but))
    share = (found + 1) / (some + 2)  # is there none, yet there may be some: the rule of succession
    error = math.sqrt(share * (1 - share) / some * (1 - some / all_of_them))
    return all_of_them * found / some, all_of_them * error
