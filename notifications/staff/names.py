"""Users and groups by the names that staff type."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.db.models.functions import Lower
from django.utils.translation import gettext as _

from ..batches import batches


def users(names: Iterable[str]) -> list[Any]:
    """The accounts that log in with `names`, of each its key and its name alone: they may be many.
    Raises ValidationError that names who is unknown."""
    model: Any = get_user_model()
    rows = model._default_manager.only("pk", model.USERNAME_FIELD)
    return _find(rows, model.USERNAME_FIELD, names, _no_user())


def user(name: str) -> Any:
    """The account that logs in with `name`. Raises ValidationError when it is unknown."""
    model: Any = get_user_model()
    return _find(model._default_manager.all(), model.USERNAME_FIELD, [name], _no_user())[0]


def groups(names: Iterable[str]) -> list[Group]:
    """The groups of these names. Raises ValidationError that names those that do not exist."""
    return _find(Group.objects.all(), "name", names, _("There is no group %(names)s."))


def accounts(names: Iterable[str]) -> tuple[list[Any], list[str]]:
    """The accounts that log in with these names or have these e-mail addresses, each once; and the
    names of nobody, or of several. Of an account only its key and its name are loaded."""
    model: Any = get_user_model()
    login = model.USERNAME_FIELD
    found, rest = _split(model, login, names)
    email = model.get_email_field_name()
    if rest and email != login and hasattr(model, email):
        more, rest = _split(model, email, rest, fold=True)
        found |= more
    unique = {user.pk: user for user in found.values()}
    return [unique[pk] for pk in sorted(unique)], rest


def _split(
    model: Any, field: str, names: Iterable[str], fold: bool = False
) -> tuple[dict[str, Any], list[str]]:
    """Accounts by the name that is in `field`, and the rest. fold: whatever the case."""
    wanted = list(dict.fromkeys(names))
    rows = model._default_manager.only("pk", model.USERNAME_FIELD)
    path = f"{field}__in"
    if fold:
        rows, path = rows.annotate(folded=Lower(field)), "folded__in"
    by_name: dict[str, list[Any]] = defaultdict(list)
    for part in batches(name.lower() if fold else name for name in wanted):
        for user in rows.filter(**{path: part}):
            by_name[user.folded if fold else getattr(user, field)].append(user)
    keys = {name: name.lower() if fold else name for name in wanted}
    found = {name: by_name[key][0] for name, key in keys.items() if len(by_name[key]) == 1}
    return found, [name for name in wanted if name not in found]


def beginning_with(start: str, most: int = 10) -> list[str]:
    """The names of the first accounts whose names begin so."""
    model: Any = get_user_model()
    field = model.USERNAME_FIELD
    rows = model._default_manager.filter(**{f"{field}__startswith": start}).order_by(field)
    return list(rows.values_list(field, flat=True)[:most]) if start.isprintable() and start else []


def _no_user() -> str:
    return _("There is no user %(names)s.")


def _find(rows: QuerySet[Any], field: str, names: Iterable[str], problem: str) -> list[Any]:
    wanted = list(dict.fromkeys(names))
    found: dict[str, Any] = {}
    for part in batches(wanted):
        found |= {getattr(row, field): row for row in rows.filter(**{f"{field}__in": part})}
    if unknown := [name for name in wanted if name not in found]:
        raise ValidationError(problem % {"names": ", ".join(map(repr, unknown))})
    return list(found.values())
