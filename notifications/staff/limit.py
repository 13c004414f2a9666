"""How many messages one sender may send in an hour."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext as _

from ..models import Message
from . import permissions, words

HOUR = timedelta(hours=1)
SENDS = 60  # unless the settings say otherwise: no person writes more, a script does not notice


def check_limit(user: Any) -> None:
    """Raise ValidationError if `user` has sent too many. Inside the transaction that sends.

    Under the lock of his account: of two posts at once the second counts what the first has sent.
    """
    most = getattr(settings, "NOTIFICATIONS_SENDS_PER_HOUR", SENDS)
    if not most or user.has_perm(permissions.UNLIMITED):
        return
    # Not that of the inbox, which may have to be made first: on MariaDB several who do so at once
    # share a lock that none of them can then have alone.
    no_key = connection.features.has_select_for_no_key_update
    accounts: Any = get_user_model()._default_manager
    accounts.select_for_update(no_key=no_key).filter(pk=user.pk).first()
    sent = (
        Message.objects.filter(sender=user.pk).order_by("-pk").values_list("created_at", flat=True)
    )
    last = sent[most - 1 : most].first()
    if last and last > timezone.now() - HOUR:
        said = {"most": most, "when": words.moment(last + HOUR)}
        raise ValidationError(
            _("You may send %(most)d messages an hour. You can send again on %(when)s.") % said
        )
