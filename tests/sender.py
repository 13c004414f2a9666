"""A process that sends what it is told, on whatever database, and says what came of it."""

import json
from contextlib import AbstractContextManager
from typing import Any, Self

from tests.server import python

CODE = """
import json, sys
from uuid import uuid4
from django.core.management import call_command
from django.db import close_old_connections
from notifications import EVERYONE, send
from notifications.models import Change, Message
from tests.browser import new_session
from tests.people import person

VERBS = {
    "migrate": lambda: call_command("migrate", verbosity=0),
    "log_in": lambda: new_session(person(uuid4().hex)),
    "log": lambda: [Message.objects.count(), [change.position for change in Change.objects.all()]],
    "send": lambda title: send(title, to=EVERYONE, key=title).pk,
}
for line in sys.stdin:
    verb, *args = json.loads(line)
    close_old_connections()  # as before each request
    try:
        said = {"answer": VERBS[verb](*args)}
    except Exception as error:
        said = {"error": repr(error)}
    print(json.dumps(said), flush=True)
"""


class Refused(Exception):
    """What was asked for has raised; says what."""


class Sender(AbstractContextManager["Sender", None]):
    """`with Sender(DATABASE_URL=...) as sender: sender.send("title")`"""

    def __init__(self, **env: str) -> None:
        self._process = python(CODE, **env)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self._process.kill()
        self._process.communicate()

    def migrate(self) -> None:
        self._ask("migrate")

    def log_in(self) -> str:
        """The key of a session of a new user."""
        return self._ask("log_in")

    def send(self, title: str) -> int:
        """To everyone; the title is its key, too. Raises Refused."""
        return self._ask("send", title)

    def log(self) -> tuple[int, list[int]]:
        """How many messages there are, and the positions of all changes."""
        messages, positions = self._ask("log")
        return messages, sorted(positions)

    def _ask(self, verb: str, *args: str) -> Any:
        process = self._process
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps([verb, *args]) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        said = json.loads(line)
        if "error" in said:
            raise Refused(said["error"])
        return said["answer"]
