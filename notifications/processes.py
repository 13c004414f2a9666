"""Each server process reports itself, in one small row, every few seconds.

So any of them can show all of them. One UPDATE a report, and rarely one while there is nothing to
say. A report says when the next is to come: who has promised one and is silent is stale, and
nobody mistakes a dead process for a quiet one. Rows are kept for an hour after the last report.
"""

import os
import socket
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db.models.functions import Now

from .cursor import new_word
from .models import Process

BUSY = 5.0  # s between reports of a process with streams, or one in which something has happened
ASKED = 2.0  # s while somebody is watching a user
QUIET = 60.0  # s between reports that only say that it lives
LATE = 5.0  # s that a report may be late: one tick, a busy database
KEPT = timedelta(hours=1)  # after the last report
CONNECTED = "*"  # asked for like a user: which users are connected
TIDY = 600.0  # s between looks for rows that are older
MINUTES = 30  # of the past that each row tells


@dataclass
class Standing:
    """How a hub stands at one moment; taken on its own thread."""

    streams: int
    users: int
    hears: bool | None
    failing: str
    position: int
    numbers: Counter[str]
    canary: tuple[float, float] | None = None
    watching: str = ""
    watched: dict[str, Any] = field(default_factory=dict)
    streamed: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of_nobody(cls) -> "Standing":
        return cls(0, 0, None, "", 0, Counter())

    @classmethod
    def of_row(cls, row: Process) -> "Standing":
        numbers, canary = Counter(row.numbers), row.canary and tuple(row.canary)
        return cls(row.streams, row.users, row.hears, row.failing, row.position, numbers, canary)

    @property
    def is_quiet(self) -> bool:
        return not (self.streams or self.watching)


class Reporter:
    """The row of one hub. `is_due` and `note` on its loop, the rest in a thread."""

    def __init__(self) -> None:
        self.id = new_word()
        # The users whose streams somebody, somewhere, watches; and CONNECTED.
        self.asked: set[str] = set()
        self._numbers: Counter[str] = Counter()  # as of the last report
        self._minutes: list[dict[str, Any]] = []
        self._reported = self._tidied = float("-inf")
        self._watching = ""
        self._is_written = False

    def is_due(self, now: float, standing: Standing) -> bool:
        """now: seconds of any clock, always the same."""
        is_new = standing.watching != self._watching  # then who asks should not have to wait
        return is_new or now - self._reported >= self._pace(standing)

    def _pace(self, standing: Standing) -> float:
        if (self.asked | set(standing.watching.split(","))) - {CONNECTED, ""}:
            return ASKED
        return QUIET if standing.is_quiet and standing.numbers == self._numbers else BUSY

    def note(self, now: float, standing: Standing) -> dict[str, Any]:
        """What to `write` of `standing`."""
        self._remember(standing)
        pace = QUIET if standing.is_quiet else self._pace(standing)
        self._reported, self._numbers = now, standing.numbers
        self._watching = standing.watching
        return {**vars(standing), "again_within": pace, "minutes": list(self._minutes)}

    def _remember(self, standing: Standing) -> None:
        """Add what has happened since the last report to the minute that it is."""
        minute = int(time.time() // 60)
        new = standing.numbers - self._numbers
        if not self._minutes or self._minutes[-1]["minute"] != minute:
            self._minutes = [*self._minutes[1 - MINUTES :], {"minute": minute}]
        now = self._minutes[-1]
        present = {"streams": standing.streams, "users": standing.users}
        self._minutes[-1] = {**(Counter(now) + new), **present, "minute": minute}

    def write(self, values: dict[str, Any]) -> None:
        """The report; and what others ask."""
        mine = Process.objects.filter(pk=self.id)
        if not mine.update(**values, reported_at=Now()):
            Process.objects.create(
                pk=self.id, host=socket.gethostname()[:200], pid=os.getpid(), **values
            )
        self._is_written = True
        self.asked = asked()
        if time.monotonic() - self._tidied >= TIDY:
            self._tidied = time.monotonic()
            prune()

    def say_good_bye(self) -> None:
        """A process that stops in order is not one that is dead."""
        if self._is_written:
            gone = {"streams": 0, "users": 0, "watching": "", "watched": {}}
            Process.objects.filter(pk=self.id).update(**gone, stopped_at=Now(), reported_at=Now())


def asked() -> set[str]:
    """The users whose streams are watched from any process, by their keys as text; CONNECTED."""
    rows = Process.objects.exclude(watching="").filter(stopped_at=None)
    rows = rows.filter(reported_at__gte=Now() - timedelta(seconds=QUIET))
    return {key for row in rows.values_list("watching", flat=True) for key in row.split(",")}


def prune() -> int:
    """Delete the rows of those who have not been heard of for long."""
    return Process.objects.filter(reported_at__lt=Now() - KEPT).delete()[0]


@dataclass(frozen=True)
class Seen:
    """A row, and how old its report is, by the database's clock."""

    process: Process
    age: float  # s

    @property
    def state(self) -> str:
        """`live`, `stale` or `stopped`."""
        if self.process.stopped_at:
            return "stopped"
        return "live" if self.age <= self.process.again_within + LATE else "stale"


def read() -> list[Seen]:
    """All rows, by place and age."""
    rows = Process.objects.annotate(now=Now()).order_by("host", "started_at", "pk")
    return [Seen(row, max(0.0, (row.now - row.reported_at).total_seconds())) for row in rows]


def live(rows: Iterable[Seen]) -> list[Process]:
    return [seen.process for seen in rows if seen.state == "live"]
