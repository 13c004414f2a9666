from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser

from notifications.acts import end_streams
from notifications.management.base import PlainCommand

from ...staff import names


class Command(PlainCommand):
    help = (
        "Ends all open streams of a user, on every server process, within a second. Whoever may "
        "still log in comes back by itself: deactivate the account first to keep somebody out."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", metavar="USER", help="The name the user logs in with.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            user = names.user(options["user"])
        except ValidationError as error:
            raise CommandError(f"USER: {error.message}") from None
        end_streams(user.pk)
        self.stdout.write(f"The open streams of {options['user']} end within a second.")
