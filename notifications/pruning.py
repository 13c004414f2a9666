"""Deleting what no reader needs any more, in steps that nobody has to wait for."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from .batches import PARAMETERS
from .models import Change, Inbox, Message, Recipient

KEPT = timedelta(days=30)  # who was away for longer fetches a snapshot, which costs no more
MOURNING = timedelta(days=1)  # a hub finds the note in a deleted user's inbox in half a minute
STEP = 5_000  # rows deleted by one statement: some 20 ms, in a transaction of its own


@dataclass(slots=True)
class Pruned:
    """How many rows of each were deleted."""

    changes: int = 0
    messages: int = 0
    recipients: int = 0
    inboxes: int = 0


def prune(older_than: timedelta = KEPT) -> Pruned:
    """Delete old changes; messages that are over and that no change speaks of any more; inboxes
    of users who are gone. Safe at any time, on any process, and after a kill.

    What is live stays, whatever its age, and a message stays while the log may tell of it.
    """
    before = timezone.now() - older_than
    pruned = Pruned(changes=_changes(before), inboxes=_inboxes())
    for message in _over(before):
        pruned.recipients += _recipients(message)
        message.delete()
        pruned.messages += 1
    return pruned


def _changes(before: datetime) -> int:
    """Delete a beginning of the log, oldest first: so there is never a hole, also half-way.

    Positions decide, not times: servers' clocks differ, and a younger change stops it.
    """
    log = Change.objects.order_by("position")
    first, young = log.first(), log.filter(at__gte=before).first()
    if first is None:
        return 0
    end = young.position if young else log.reverse()[0].position + 1
    bounds = range(first.position, end, STEP)
    return sum(log.filter(position__lt=min(low + STEP, end)).delete()[0] for low in bounds)


def _over(before: datetime) -> Iterator[Message]:
    """Messages that ended before then and are not in the log: not any more, or never published."""
    told = Change.objects.filter(message=OuterRef("pk"))
    ended = Q(withdrawn_at__lt=before) | Q(expired_at__lt=before)
    while found := list(Message.objects.filter(ended).exclude(Exists(told))[:PARAMETERS]):
        yield from found


def _recipients(message: Message) -> int:
    """Delete its recipients by steps; by `message.delete()` a million go in one transaction."""
    deleted = 0
    rows: QuerySet[Any] = Recipient.objects.filter(message=message).order_by("pk")
    while last := rows.values_list("pk", flat=True)[STEP - 1 : STEP].first():
        deleted += rows.filter(pk__lte=last).delete()[0]
    return deleted + rows.delete()[0]


def _inboxes() -> int:
    """Inboxes outlive their users, so that every hub learns that the streams are to end."""
    users = get_user_model()._default_manager.filter(pk=OuterRef("user_id"))
    gone = Inbox.objects.filter(~Exists(users), touched_at__lt=Now() - MOURNING)
    deleted = 0
    while pks := list(gone.values_list("pk", flat=True)[:PARAMETERS]):
        # What was written for them while they were deleted.
        Recipient.objects.filter(user_id__in=pks).delete()
        deleted += Inbox.objects.filter(pk__in=pks).delete()[0]
    return deleted
