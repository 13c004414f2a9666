"""Keeping what is written, and sending it once."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from ..cursor import new_word
from ..models import TO_ONESELF, Draft, Message
from ..publishing import post
from .compose_form import ComposeForm
from .limit import check_limit

UNDO = timedelta(seconds=10)  # between "Send" and the message being due


def own(user: Any, draft_id: str) -> Draft | None:
    """The user's draft of this name; None also for what cannot be one."""
    is_name = draft_id.isascii() and draft_id.isalnum()
    return Draft.objects.filter(owner=user, pk=draft_id).first() if is_name else None


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


def send_to_oneself(user: Any, **text: Any) -> Message:
    """To see how it looks."""
    return send_now(user, to=[user], key=f"{TO_ONESELF}{new_word()}", **text)


@transaction.atomic
def send_draft(user: Any, draft: Draft, form: ComposeForm) -> Message | None:
    """Send what `form` has read from `draft`, in ten seconds at the earliest.

    Once: None if the draft has been sent since it was read, or has become another.
    """
    rows = Draft.objects.select_for_update().filter(pk=draft.pk, updated_at=draft.updated_at)
    if not rows.first():
        return None
    options = form.options()
    message = send_now(user, **options | {"at": _start(options["at"]), "key": draft.key})
    draft.delete()
    return message


def sent_as(user: Any, draft_id: str) -> Message | None:
    """What has been made of this draft."""
    key = Draft(pk=draft_id).key
    return Message.objects.filter(sender=user, key=key).first() if key.isprintable() else None


def _start(at: datetime | None) -> datetime:
    soon = timezone.now() + UNDO
    return max(at or soon, soon)
