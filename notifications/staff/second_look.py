"""What deserves a second look before a message is sent: nothing that is forbidden."""

from datetime import timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.urls import get_script_prefix, is_valid_path
from django.utils import timezone, translation
from django.utils.translation import get_language_from_path
from django.utils.translation import gettext as _

from ..models import TO_ONESELF, Message

TOAST = 80  # characters of a title that a toast has room for: two lines
SAME = timedelta(hours=1)
LOOKED_AT = 10_000  # of the newest messages: there is no index by time


def doubts(request: HttpRequest, options: dict[str, Any]) -> list[str]:
    """In words. options: as `publishing.post` takes them."""
    found = []
    link = urlsplit(options["link"])
    if link.netloc and link.netloc != request.get_host():
        found.append(_("The link leads to another site: %(host)s.") % {"host": link.netloc})
    elif options["link"] and not _may_have(request, unquote(link.path)):
        said = _("This site has no page at %(path)s, as far as Django knows.")
        found.append(said % {"path": unquote(link.path)})
    if len(options["title"]) > TOAST:
        said = _("The title has %(n)d characters: a toast shows some %(most)d of them.")
        found.append(said % {"n": len(options["title"]), "most": TOAST})
    return found


def _may_have(request: HttpRequest, path: str) -> bool:
    """Whether this site may have a page there: by its addresses, none is asked for."""
    here = get_script_prefix()
    files = {settings.STATIC_URL, settings.MEDIA_URL} - {here, "/"}
    if not path.startswith(here) or path.startswith(tuple(files)):
        return True  # what Django does not serve it knows nothing of
    path, addresses = path.removeprefix(here.removesuffix("/")), getattr(request, "urlconf", None)
    # Addresses that begin with a language are found in that language.
    with translation.override(get_language_from_path(path) or translation.get_language()):
        is_known = is_valid_path(path, addresses)
        if not is_known and settings.APPEND_SLASH:
            is_known = is_valid_path(f"{path}/", addresses)
    return bool(is_known)


def same_text(options: dict[str, Any]) -> Message | None:
    """The newest message with this text that was written within the last hour, if there is one."""
    newest = Message.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    rows = Message.objects.filter(pk__gt=newest - LOOKED_AT, withdraw_at=None)
    rows = rows.filter(created_at__gt=timezone.now() - SAME)
    rows = rows.exclude(key__isnull=False, key__startswith=TO_ONESELF)
    return rows.filter(title=options["title"], body=options["body"]).order_by("-pk").first()
