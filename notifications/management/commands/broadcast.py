"""`manage.py broadcast TITLE`: a message from a terminal, a cron job or a script."""

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from notifications.audience import Audience, enlisted
from notifications.management import recipients, typed
from notifications.management.base import PlainCommand
from notifications.models import Message
from notifications.publishing import post

from ...staff import words
from ...staff.headcount import Headcount, count

NOBODY, USED = 3, 4  # exit codes; 1 is bad input
SKIP = " Nothing was written; --skip-unknown sends it to the others."
BAR = 24  # characters
MANY = 10_000  # recipients that take long enough to write to wonder whether anything happens


class Command(PlainCommand):
    help = (
        "Sends a message, now or later. Exit codes: 0 sent, 1 bad input (nothing written), "
        "3 nobody matched, 4 the key was used already."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        def add(*names: str, **options: Any) -> None:
            parser.add_argument(*names, **options)

        add("title", metavar="TITLE")
        body = parser.add_mutually_exclusive_group()
        body.add_argument("--body", metavar="TEXT", default="", help="Markdown.")
        body.add_argument("--body-file", metavar="FILE", help="Read the body there; - is stdin.")
        whom = "everyone (the default), user:NAME or group:NAME; several, or given again."
        add("--to", nargs="+", action="extend", type=_whom, default=[], metavar="WHOM", help=whom)
        more = "More people: their usernames or e-mail addresses; - is stdin."
        add("--to-file", metavar="FILE", help=more)
        add("--column", metavar="NAME", help="The file is CSV, and they are in this column.")
        add("--skip-unknown", action="store_true", help="Send it though some are not found.")
        but = {"metavar": "WHOM", "help": "user:NAME or group:NAME who do not get it."}
        add("--exclude", nargs="+", action="extend", type=_named, default=[], **but)
        add("--level", choices=Message.Level.values, default=Message.Level.INFO)
        add("--link", metavar="URL", default="", help="https://... or /path")
        add("--at", metavar="WHEN", help="When: 2026-12-24T18:00, or 30m, 2h, 1d from now.")
        add("--expires", metavar="WHEN", help="When it disappears; a duration counts from --at.")
        add("--key", help="The same key twice is one message.")
        add("--from", metavar="USER", dest="sender", help="Who is shown as its author.")
        add("--dry-run", action="store_true", help="Say what would happen, and write nothing.")
        add("--json", action="store_true", help="Print one JSON object instead of words.")

    def handle(self, *args: Any, **options: Any) -> None:
        dry_run = options["dry_run"]
        with _in_one_line(options):
            options["people"] = self._people(options)
            given = typed.message(options)
            counted = _counted(given)
            with self._progress(counted.people), _taken_back_if(dry_run):
                message, is_new = post(**given)
        whom = typed.audience_in_words(options)
        if options["json"]:
            facts = {"audience": whom, "recipients": counted.people, "sent": is_new and not dry_run}
            self.stdout.write(_as_json(message, **facts, dry_run=dry_run))
        if not is_new:
            used = f"--key: {message.key!r} was used already, by message {message.pk}"
            raise CommandError(f"{used}; nothing was written.", returncode=USED)
        if not options["json"]:
            told = words.sent(message, f"{whom} ({counted})")
            self.stdout.write(f"Nothing was written. It would be: {told}" if dry_run else told)

    def _people(self, options: dict[str, Any]) -> dict[str, Any] | None:
        """Those of the file, if there is one."""
        file, column = options["to_file"], options["column"]
        if not file:
            if column or options["skip_unknown"]:
                raise CommandError("--column and --skip-unknown belong to --to-file.")
            return None
        if file == options["body_file"] == "-":
            raise CommandError("--to-file and --body-file cannot both read standard input.")
        found, unknown = recipients.people(file, column)
        if unknown and not options["skip_unknown"]:
            raise ValidationError({"to-file": recipients.not_known(unknown) + SKIP})
        if unknown:
            self.stderr.write(f"Left out: {recipients.not_known(unknown)}", str)
        return found

    @contextmanager
    def _progress(self, count: int) -> Iterator[None]:
        """A bar on stderr that grows; in a file, a line for each step."""
        is_terminal = self.stderr.isatty()
        done, end = 0, "\r" if is_terminal else "\n"

        def tell(rows: int, **_: Any) -> None:
            nonlocal done
            done += rows
            part = min(done, count) * BAR // count
            bar = f"[{'#' * part}{'-' * (BAR - part)}] " if is_terminal else ""
            self.stderr.write(f"{bar}{done:,} of {count:,} recipients", str, end)

        if count >= MANY:
            enlisted.connect(tell)
        try:
            yield
        finally:
            enlisted.disconnect(tell)
            if done and end == "\r":
                self.stderr.write("")


def _whom(text: str) -> str:
    if text == "everyone" or _is_name(text):
        return text
    problem = f"{text!r} is not everyone, user:NAME or group:NAME; TITLE comes before --to"
    raise argparse.ArgumentTypeError(problem)


def _named(text: str) -> str:
    if _is_name(text):
        return text
    problem = f"{text!r} is not user:NAME or group:NAME; TITLE comes before --exclude"
    raise argparse.ArgumentTypeError(problem)


def _is_name(text: str) -> bool:
    kind, _, name = text.partition(":")
    return kind in ("user", "group") and bool(name)


def _counted(given: dict[str, Any]) -> Headcount:
    """As the admin's review counts it."""
    nobody = CommandError("--to: Nobody matches, nothing was written.", returncode=NOBODY)
    if not given["to"]:
        raise nobody
    counted = count(Audience.of(given["to"], given["exclude"]))
    if not counted.people:
        raise nobody
    return counted


@contextmanager
def _in_one_line(options: dict[str, Any]) -> Iterator[None]:
    """What is refused becomes one line that names the options."""
    flags = {"title": "TITLE", "sender": "--from"}
    if options["body_file"]:
        flags["body"] = "--body-file"
    try:
        yield
    except ValidationError as error:
        problems = error.message_dict.items()
        parts = [f"{flags.get(name, f'--{name}')}: {' '.join(said)}" for name, said in problems]
        raise CommandError(" ".join(parts)) from None


@contextmanager
def _taken_back_if(dry_run: bool) -> Iterator[None]:
    """A dry run does it all and takes it back: so it refuses what a real one would refuse."""
    if not dry_run:
        yield
        return
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def _as_json(message: Message, **facts: Any) -> str:
    is_there = facts["sent"] or not facts["dry_run"]
    times = ("publish_at", "published_at", "expires_at")
    report = {
        "id": message.pk if is_there else None,
        "position": message.position,
        "title": message.title,
        "level": message.level,
        "key": message.key,
        **{name: _iso(getattr(message, name)) for name in times},
        **facts,
    }
    return json.dumps(report, ensure_ascii=False)


def _iso(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat() if at else None
