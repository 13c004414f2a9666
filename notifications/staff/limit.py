"""How many messages one sender may send in an hour."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _

from ..models import Inbox, Message
from . import permissions, words

HOUR = timedelta(hours=1)
SENDS = 60  # unless the settings say otherwise: no person writes more, a script does not notice


def check_limit(user: Any) -> None:
    """Raise ValidationError if `user` has sent too many. Inside the transaction that sends.

    Under the lock of his inbox: of two posts at once the second counts what the first has sent.
    """
    most = getattr(settings, "NOTIFICATIONS_SENDS_PER_HOUR", SENDS)
    if not most or user.has_perm(permissions.UNLIMITED):
        return
    Inbox.objects.ensure([user.pk])
    Inbox.objects.locked(user.pk)
    sent = (
        Message.objects.filter(sender=user.pk).order_by("-pk").values_list("created_at", flat=True)
    )
    last = sent[most - 1 : most].first()
    if last and last > timezone.now() - HOUR:
        said = {"most": most, "when": words.moment(last + HOUR)}
        raise ValidationError(
            _("You may send %(most)d messages an hour. You can send again on %(when)s.") % said
        )
