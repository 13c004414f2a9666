"""A message that servers send to themselves, to know how long a message takes, and that it comes.

It is one message for nobody, which is corrected every so often: so it goes the whole way, by
`update`, the lock of the log, the doorbell and each hub's look, and is in no list and no count. The
log grows by a line each time. Whoever's turn it is sings; all processes hear it and take the time.
"""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from .models import CANARY, Message
from .publishing import publish_due, update


def seconds() -> float:
    """How often it sings; 0: never."""
    return float(getattr(settings, "CANARY_SECONDS", 0))


def sing() -> bool:
    """Sing, if it is time and nobody else has. Not inside a transaction."""
    _be_there()
    before = timezone.now() - timedelta(seconds=seconds() * 0.9)  # a tick early is in time, too
    with transaction.atomic():
        rows = Message.objects.locked(skip=True).filter(key=CANARY, published_at__isnull=False)
        bird = rows.first()
        if bird is None or (bird.revised_at and bird.revised_at > before):
            return False
        update(bird)
    return True


def _be_there() -> None:
    if Message.objects.filter(key=CANARY).exists():
        return
    now = timezone.now()
    bird = Message(key=CANARY, title="Canary", publish_at=now, due_at=now)
    Message.objects.bulk_create([bird], ignore_conflicts=True)
    publish_due()
