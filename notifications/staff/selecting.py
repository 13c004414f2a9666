"""From the admin's list of users to a new message: "Send message to selected users".

The list belongs to the project, which may have registered its own, or none. So nothing is put in
its place: what is there when the admin's addresses are made, after all apps are ready, gets one
action more.
"""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from . import permissions, words
from .copying import CHOSEN, MOST_NAMES


def offer(site: admin.AdminSite) -> None:
    """Add the action to the site's list of users, if it has one that has actions. Once."""
    users: Any = site.get_model_admin(get_user_model()) if _has_users(site) else None
    if users is None or users.actions is None or send_message in users.actions:
        return
    users.actions = [*users.actions, send_message]
    # As Django asks whether somebody may take an action: by a method of the list's.
    users.has_send_message_permission = _may_send


def _has_users(site: admin.AdminSite) -> bool:
    return site.is_registered(get_user_model())


def _may_send(request: Any) -> bool:
    return "users" in permissions.kinds(request.user)


@admin.action(
    description=gettext_lazy("Send message to selected users"), permissions=["send_message"]
)
def send_message(users: Any, request: HttpRequest, chosen: QuerySet[Any]) -> HttpResponse | None:
    keys = list(chosen.order_by().values_list("pk", flat=True)[: MOST_NAMES + 1])
    if len(keys) > MOST_NAMES:
        most = {"most": words.number(MOST_NAMES)}
        said = _("These are more than %(most)s users: make them a group, and send to it.") % most
        users.message_user(request, said, messages.ERROR)
        return None
    request.session[CHOSEN] = [key if isinstance(key, int) else str(key) for key in keys]
    return redirect(f"{reverse('admin:notifications_message_add')}?chosen=1")
