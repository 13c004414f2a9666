"""With what a new message begins: a draft, the text of another message, people chosen in a list."""

from typing import Any

from django.contrib.auth import get_user_model
from django.utils.translation import gettext as _

from ..batches import batches
from ..models import Message, Recipient
from . import drafts, permissions
from .compose_form import NAMED

CHOSEN = "notifications_audience"  # in the session: primary keys of users, chosen in their list
MOST_NAMES = 10_000  # that are written into a form

Posted = dict[str, list[str]]


def begin(request: Any) -> tuple[Posted, str]:
    """By `?draft=ID`, `?copy=ID`, `?chosen=1`: the form's data, and the draft that it is of.
    Nothing where there is no such thing for this user."""
    asked = request.GET
    if draft := drafts.own(request.user, asked.get("draft", "")):
        return draft.data, draft.pk
    posted = _copy(request.user, asked.get("copy", ""))
    if "chosen" in asked:
        posted |= {"whom": [NAMED], "usernames": [_chosen(request.session.get(CHOSEN, []))]}
    return posted, ""


def _copy(user: Any, pk: str) -> Posted:
    found = Message.objects.of_people().filter(pk=pk).first() if _is_key(pk) else None
    if found is None or not permissions.may_see(user, found):
        return {}
    to_all = found.everyone or found.everyone_but
    named = found.recipients.filter(via=Recipient.Via.NAME).order_by("user_id")
    name: Any = get_user_model().USERNAME_FIELD
    return {
        "title": [found.title],
        "body": [found.body],
        "level": [found.level],
        "link": [found.link],
        "whom": ["everyone" if to_all else NAMED],
        "groups": _keys(found.groups),
        "usernames": [_lines(named.values_list(f"user__{name}", flat=True))],
        "but_groups": _keys(found.excluded_groups),
        "but_usernames": [_lines(found.excluded_users.values_list(name, flat=True))],
    }


def _is_key(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19


def _keys(groups: Any) -> list[str]:
    return [str(pk) for pk in groups.values_list("pk", flat=True)]


def _chosen(pks: list[Any]) -> str:
    users: Any = get_user_model()
    found: list[str] = []
    for part in batches(pks):
        rows = users._default_manager.filter(pk__in=part).order_by("pk")
        found += rows.values_list(users.USERNAME_FIELD, flat=True)
    return _lines(found)


def _lines(names: Any) -> str:
    listed = [name for name in names[: MOST_NAMES + 1] if name is not None]
    if len(listed) > MOST_NAMES:
        return _("(more than %(most)d people: use a group)") % {"most": MOST_NAMES}
    return "\n".join(listed)
