"""Who among the staff may do what with messages.

Who may send to somebody may write messages, and has a say over his own. All else needs a permission
of its own. `user` is whoever is logged in; a superuser may do everything.
"""

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import QuerySet

from ..models import Message

# By the kind of audience.
SENDING = {
    "everyone": "notifications.send_to_everyone",
    "groups": "notifications.send_to_groups",
    "users": "notifications.send_to_users",
}
WITHDRAW_ANY = "notifications.withdraw_any"
STATISTICS = "notifications.view_statistics"
UNLIMITED = "notifications.unlimited_sends"
CHANGE = "notifications.change_message"


def kinds(user: Any) -> set[str]:
    """The kinds of audiences the user may send to."""
    return {kind for kind, permission in SENDING.items() if user.has_perm(permission)}


def may_send(user: Any) -> bool:
    """To anybody at all."""
    return bool(kinds(user))


def may_see_all(user: Any) -> bool:
    """Messages of all senders, not only his own."""
    return user.has_perm(WITHDRAW_ANY) or user.has_perm(STATISTICS)


def may_see(user: Any, message: Message) -> bool:
    return _is_own(user, message) or may_see_all(user)


def visible(queryset: QuerySet[Any], user: Any) -> QuerySet[Any]:
    """Of these messages, those that the user may see."""
    return queryset if may_see_all(user) else queryset.filter(sender=user.pk)


def may_change(user: Any, message: Message) -> bool:
    """Correct its text, move its end. Who may send no more must not send new texts that way."""
    own = _is_own(user, message) and may_send(user)
    return own or (user.has_perm(CHANGE) and may_see(user, message))


def may_withdraw(user: Any, message: Message) -> bool:
    return _is_own(user, message) or user.has_perm(WITHDRAW_ANY)


def may_see_statistics(user: Any) -> bool:
    return user.has_perm(STATISTICS)


def may_see_users(user: Any) -> bool:
    """Names of people that the user has not typed."""
    users = get_user_model()._meta
    return user.has_perm(f"{users.app_label}.view_{users.model_name}")


def _is_own(user: Any, message: Message) -> bool:
    return message.sender_id is not None and message.sender_id == user.pk
