"""What may be sent: each rule once, for the line of Python, the command and the admin."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _

from .models import KEY_LENGTH, Message

# What SQLite would keep and PostgreSQL refuse, or no encoding can carry.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# Only absolute http(s) and paths of this site. Browsers read `//host` and `/\host` as other sites,
# and drop tabs and newlines from what they read.
_LINK = re.compile(r"(https?://[^/\\?#\s]|/(?![/\\]))[^\s\x00-\x1f\\]*", re.IGNORECASE)
# A day inside the calendar, so that a time fits into it in every time zone.
FIRST = datetime.min.replace(tzinfo=UTC) + timedelta(days=1)
LAST = datetime.max.replace(tzinfo=UTC) - timedelta(days=1)


def check(message: Message, now: datetime) -> None:
    """Raise ValidationError, by the names that `send` uses, for all that is wrong at once."""
    errors: dict[str, Any] = {}
    for name in ("title", "body", "level", "link"):
        value = getattr(message, name)
        if not isinstance(value, str):
            errors[name] = _("Must be text.")
        elif _UNSTORABLE.search(value):
            errors[name] = _("Holds a character that cannot be stored (NUL or half a surrogate).")
    if not errors:
        errors = _field_errors(message)
    if "link" not in errors and message.link and not _LINK.fullmatch(message.link):
        errors["link"] = _("Use http://..., https://... or a path of this site that starts with /.")
    if message.key is not None and not 0 < len(str(message.key)) <= KEY_LENGTH:
        errors["key"] = _("Use 1 to %(most)d characters.") % {"most": KEY_LENGTH}
    elif message.key is not None and _UNSTORABLE.search(str(message.key)):
        errors["key"] = _("Holds a character that cannot be stored (NUL or half a surrogate).")
    errors |= _time_errors(message, now)
    if errors:
        raise ValidationError(errors)


def _field_errors(message: Message) -> dict[str, Any]:
    if not message.title.strip():
        return {"title": _("A message needs a title.")}
    try:
        message.clean_fields(exclude={"key", "sender", "publish_at", "expires_at"})
    except ValidationError as error:
        return error.message_dict
    return {}


def _time_errors(message: Message, now: datetime) -> dict[str, Any]:
    errors: dict[str, Any] = {}
    times = {"at": message.publish_at, "expires": message.expires_at}
    for name, value in times.items():
        if value is not None and (not isinstance(value, datetime) or timezone.is_naive(value)):
            errors[name] = _("Use a datetime with a time zone.")
        elif value is not None and not FIRST < value < LAST:
            errors[name] = _("Beyond the calendar.")
    at, expires = message.publish_at, message.expires_at
    if not errors and expires and expires <= max(now, at or now):
        errors["expires"] = _("Must be in the future, and after the message is published.")
    return errors
