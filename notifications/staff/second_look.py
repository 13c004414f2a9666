"""What deserves a second look before a message is sent: nothing that is forbidden."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from ..models import TO_ONESELF, Message

TOAST = 80  # characters of a title that a toast has room for: two lines
SAME = timedelta(hours=1)
LOOKED_AT = 10_000  # of the newest messages: there is no index by time


def doubts(request: HttpRequest, options: dict[str, Any]) -> list[str]:
    """In words. options: as `publishing.post` takes them."""
    found = []
    host = urlsplit(options["link"]).netloc
    if host and host != request.get_host():
        found.append(_("The link leads to another site: %(host)s.") % {"host": host})
    if len(options["title"]) > TOAST:
        said = _("The title has %(n)d characters: a toast shows some %(most)d of them.")
        found.append(said % {"n": len(options["title"]), "most": TOAST})
    return found


def same_text(options: dict[str, Any]) -> Message | None:
    """The newest message with this text that was written within the last hour, if there is one."""
    newest = Message.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    rows = Message.objects.filter(pk__gt=newest - LOOKED_AT, withdraw_at=None)
    rows = rows.filter(created_at__gt=timezone.now() - SAME)
    rows = rows.exclude(key__isnull=False, key__startswith=TO_ONESELF)
    return rows.filter(title=options["title"], body=options["body"]).order_by("-pk").first()
