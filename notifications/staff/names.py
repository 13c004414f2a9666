"""Users and groups by the names that staff type. Of many users the keys alone."""

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db.models import F
from django.db.models.functions import Lower
from django.utils.translation import gettext as _

from ..batches import one_of


def typed(text: str) -> list[str]:
    """The names in it: one a line, or with commas in between."""
    return [name for part in re.split(r"[,;\n]", text) if (name := part.strip())]


def users(names: Iterable[str]) -> dict[str, Any]:
    """The keys of the accounts that log in with `names`, by these. Raises ValidationError that
    names who is unknown."""
    wanted, model = list(dict.fromkeys(names)), get_user_model()
    field: Any = model._meta.get_field(model.USERNAME_FIELD)
    rows = model._default_manager.values_list(field.name, "pk")
    found = dict(row for these in one_of(wanted, field) for row in rows.filter(these))
    return _all_of(wanted, found, _no_user())


def user(name: str) -> Any:
    """The account that logs in with `name`. Raises ValidationError when it is unknown."""
    model = get_user_model()
    rows = model._default_manager.filter(**{model.USERNAME_FIELD: name})
    found = {user.get_username(): user for user in rows}  # some databases ignore case
    return _all_of([name], found, _no_user())[name]


def groups(names: Iterable[str]) -> list[Group]:
    """The groups of these names. Raises ValidationError that names those that do not exist."""
    wanted = list(dict.fromkeys(names))
    field = Group._meta.get_field("name")
    rows = (group for these in one_of(wanted, field) for group in Group.objects.filter(these))
    found = {group.name: group for group in rows}
    return [*_all_of(wanted, found, _("There is no group %(names)s.")).values()]


def accounts(names: Iterable[str]) -> tuple[dict[str, Any], list[str]]:
    """The keys of the accounts that log in with these names or have these e-mail addresses, by the
    names they log in with; and the names of nobody, or of several."""
    model: Any = get_user_model()
    login = model.USERNAME_FIELD
    found, rest = _split(model, login, names)
    email = model.get_email_field_name()
    if rest and email != login and hasattr(model, email):
        more, rest = _split(model, email, rest, fold=True)
        found |= more
    return {name: pk for pk, name in sorted((pk, name) for name, pk in found.items())}, rest


def _split(
    model: Any, field: str, names: Iterable[str], fold: bool = False
) -> tuple[dict[str, Any], list[str]]:
    """As `accounts`, by the names that are in `field`. fold: whatever the case."""
    keys = {name: name.lower() if fold else name for name in names}
    rows = model._default_manager.annotate(said=Lower(field) if fold else F(field))
    rows = rows.values_list("said", model.USERNAME_FIELD, "pk")
    said: dict[str, list[Any]] = defaultdict(list)
    for these in one_of(set(keys.values()), model._meta.get_field(field), "said"):
        for key, *account in rows.filter(these):
            said[key].append(account)
    found = [said[key][0] for key in keys.values() if len(said[key]) == 1]
    return dict(found), [name for name, key in keys.items() if len(said[key]) != 1]


def beginning_with(start: str, most: int = 10) -> list[str]:
    """The names of the first accounts whose names begin so."""
    model: Any = get_user_model()
    field = model.USERNAME_FIELD
    rows = model._default_manager.filter(**{f"{field}__startswith": start}).order_by(field)
    return list(rows.values_list(field, flat=True)[:most]) if start.isprintable() and start else []


def _no_user() -> str:
    return _("There is no user %(names)s.")


def _all_of(wanted: list[str], found: dict[str, Any], problem: str) -> dict[str, Any]:
    if unknown := [name for name in wanted if name not in found]:
        raise ValidationError(problem % {"names": ", ".join(map(repr, unknown))})
    return {name: found[name] for name in wanted}
