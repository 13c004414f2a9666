from typing import Any

from notifications.management.base import PlainCommand
from notifications.publishing import publish_due


class Command(PlainCommand):
    help = (
        "Publishes what has become due and ends what has expired. Running servers do so by "
        "themselves; without one, call it from cron. Safe any number of times, anywhere."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"Changes written: {publish_due()}")
