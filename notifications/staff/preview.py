"""A message as readers will see it, before it is sent: by the readers' own templates.

A whole page, to be put into the `srcdoc` of a sandboxed frame: nothing in it acts.
"""

from copy import copy

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext as _

from ..inbox import Item
from ..markup import render
from ..models import BODY_LENGTH, TITLE_LENGTH, Message
from .compose_form import ComposeForm

THEMES = ("light", "dark")
PLACES = ("list", "dropdown", "toast", "page")


def frames(request: HttpRequest, form: ComposeForm) -> list[tuple[str, str]]:
    """The page in each theme: (theme, HTML). `form` may hold anything, and be wrong."""
    message = _message(form)
    # One for each place: what is there once on each page must not be there twice on this one.
    items = {place: _item(message, pk) for pk, place in enumerate(PLACES, start=1)}
    # As nobody: neither a bell nor scripts of one who is logged in.
    as_nobody = copy(request)
    as_nobody.user = AnonymousUser()
    template = "admin/notifications/message/preview.html"
    with timezone.override(form.clock):
        context = {"items": items, "zone": form.clock}
        return [
            (theme, render_to_string(template, context | {"theme": theme}, as_nobody))
            for theme in THEMES
        ]


def _message(form: ComposeForm) -> Message:
    form = form.bound()

    def value(name: str) -> str:
        return str(form.data.get(name) or "")

    level = value("level")
    message = Message(
        title=value("title").strip()[:TITLE_LENGTH] or _("Title"),
        body=value("body")[:BODY_LENGTH],
        level=level if level in Message.Level.values else Message.Level.INFO,
        # A link that is refused is not shown either.
        link="" if "link" in form.errors else value("link").strip(),
        sender=form.user,
        published_at=timezone.now(),
    )
    message.html = render(message.body)
    return message


def _item(message: Message, pk: int) -> Item:
    shown = copy(message)
    shown.pk = pk
    return Item(shown, read=False, archived=False)
