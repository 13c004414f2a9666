from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser

from notifications.management.base import PlainCommand
from notifications.pruning import KEPT, prune

MOST = 36_500  # days: a hundred years


class Command(PlainCommand):
    help = (
        "Deletes old changes from the log, withdrawn and expired messages that are in it no more, "
        "and what deleted users have left. Call it once a day."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days",
            type=int,
            default=KEPT.days,
            help="Keep the changes of so many days (%(default)s). A reader who was away for "
            "longer fetches a snapshot instead of the changes.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not 0 <= options["days"] <= MOST:
            raise CommandError(f"--days: use 0 to {MOST}.")
        pruned = prune(timedelta(days=options["days"]))
        self.stdout.write(
            f"Deleted {pruned.changes} changes, {pruned.messages} messages with "
            f"{pruned.recipients} recipients, and {pruned.inboxes} inboxes."
        )
