"""Keeping what is written, and sending it once."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from .compose_form import ComposeForm
from .limit import check_limit
from .models import Draft, Message
from .publishing import post

UNDO = timedelta(seconds=10)  # between "Send" and the message being due


def own(user: Any, draft_id: str) -> Draft | None:
    return Draft.objects.filter(owner=user, pk=draft_id).first() if draft_id else None


def keep(user: Any, posted: Mapping[str, list[str]], draft_id: str = "") -> Draft:
    """Save it in the draft that it came from, if that is still there, or in a new one."""
    draft = own(user, draft_id) or Draft(owner=user)
    draft.data = dict(posted)
    draft.save()
    return draft


@transaction.atomic
def send_now(user: Any, **options: Any) -> Message:
    """`publishing.post` in the user's name. Raises ValidationError above the limit, too."""
    check_limit(user)
    return post(sender=user, **options)[0]


@transaction.atomic
def send_draft(user: Any, draft: Draft, form: ComposeForm) -> Message | None:
    """Send what `form` has read from `draft`, in ten seconds at the earliest.

    Once: of two posts at the same time the second gets the first one's message. None if the draft
    has become another since it was read.
    """
    rows = Draft.objects.select_for_update().filter(pk=draft.pk)
    if not rows.filter(updated_at=draft.updated_at).first():
        return sent_as(user, draft.pk)
    options = form.options()
    message = send_now(user, **options | {"at": _start(options["at"]), "key": draft.key})
    draft.delete()
    return message


def sent_as(user: Any, draft_id: str) -> Message | None:
    """What has been made of this draft."""
    return Message.objects.filter(sender=user, key=Draft(pk=draft_id).key).first()


def _start(at: datetime | None) -> datetime:
    soon = timezone.now() + UNDO
    return max(at or soon, soon)
