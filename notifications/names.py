"""Users and groups by the names that staff type."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

PARAMETERS = 500  # values in one IN (...)


def users(names: Iterable[str]) -> list[Any]:
    """The accounts that log in with `names`. Raises ValidationError that names who is unknown."""
    model = get_user_model()
    return _find(model, model.USERNAME_FIELD, names, _("There is no user %(names)s."))


def groups(names: Iterable[str]) -> list[Group]:
    """The groups of these names. Raises ValidationError that names those that do not exist."""
    return _find(Group, "name", names, _("There is no group %(names)s."))


def beginning_with(start: str, most: int = 10) -> list[str]:
    """The names of the first accounts whose names begin so."""
    model: Any = get_user_model()
    field = model.USERNAME_FIELD
    rows = model._default_manager.filter(**{f"{field}__startswith": start}).order_by(field)
    return list(rows.values_list(field, flat=True)[:most]) if start else []


def _find(model: Any, field: str, names: Iterable[str], problem: str) -> list[Any]:
    wanted = list(dict.fromkeys(names))
    found: dict[str, Any] = {}
    for start in range(0, len(wanted), PARAMETERS):
        part = wanted[start : start + PARAMETERS]
        rows = model._default_manager.filter(**{f"{field}__in": part})
        found |= {getattr(row, field): row for row in rows}
    if unknown := [name for name in wanted if name not in found]:
        raise ValidationError(problem % {"names": ", ".join(map(repr, unknown))})
    return list(found.values())
