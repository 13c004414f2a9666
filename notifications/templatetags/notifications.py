"""`{% load notifications %}{% message_bell %}`: the bell, for any template of any project."""

from typing import Any

from django import template
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse
from django.utils.translation import gettext as _

from .. import inbox

MOST_SHOWN = 99  # on the badge; who listens is told the exact number

register = template.Library()


@register.inclusion_tag("notifications/bell.html", takes_context=True)
def message_bell(context: template.Context) -> dict[str, Any]:
    """The link to the message center with the reader's numbers; nothing for who is not logged in.

    One query (a few more when this reader is seen for the first time). Counts and cursor are of
    one moment, so nothing falls between the page and the stream that its script opens.
    """
    request = context.get("request")
    if request is None:
        raise ImproperlyConfigured(
            "{% message_bell %} needs the request. Add django.template.context_processors.request "
            "to the context processors in TEMPLATES, and render the template with its request."
        )
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {}
    state = next(inbox.states([user.pk])).get(user.pk) or inbox.state(user)
    named = _("Messages, {unseen} new, {unread} unread")
    numbers = {"unseen": state.unseen, "unread": state.unread}
    return {
        "state": state,
        "url": reverse("notifications:center"),
        "named": named,
        "name": named.format(**numbers) if state.unread else _("Messages"),
        "badge": f"{MOST_SHOWN}+" if state.unseen > MOST_SHOWN else state.unseen,
    }
