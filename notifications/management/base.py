"""How the commands of this app fail: with one line on stderr, and exit code 1."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser


class PlainCommand(BaseCommand):
    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        # It raises then, as for `call_command`, and does not print its usage and exit with 2.
        parser.called_from_command_line = False
        return parser

    def run_from_argv(self, argv: list[str]) -> None:
        try:
            super().run_from_argv(argv)
        except CommandError as error:
            if "--traceback" in argv:
                raise
            self.stderr.write(f"CommandError: {str(error).removeprefix('Error: ')}")
            sys.exit(error.returncode)
