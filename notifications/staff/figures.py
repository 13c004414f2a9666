"""What the live dashboard shows: all processes by their rows, the last sends, one user."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.utils import timezone

from .. import inbox, processes
from ..inbox import State
from ..models import Inbox, Message, Process
from ..processes import MINUTES, Seen
from ..tally import latencies, quantile
from . import reach, reading

RECENT = 5  # minutes of which the latencies at the top are
SENDS = 20


@dataclass
class Minute:
    """What happened in it, on all processes."""

    minute: int  # since 1970
    numbers: Counter[str]
    streams: dict[str, int]  # by process

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.minute * 60, UTC)

    def quantile(self, part: float) -> float | None:
        return quantile(latencies(self.numbers), part)


@dataclass
class Figures:
    """As of `at`, which is this process's clock."""

    at: datetime
    rows: list[Seen]
    minutes: list[Minute]  # the last of them is not over

    @property
    def live(self) -> list[Process]:
        return processes.live(self.rows)

    @property
    def streams(self) -> int:
        return sum(row.streams for row in self.live)

    @property
    def users(self) -> int:
        return sum(row.users for row in self.live)

    def a_minute(self, name: str) -> float:
        """How often in the last sixty seconds: all of this minute, a part of the one before."""
        *_, before, now = self.minutes
        left = 1 - self.at.timestamp() % 60 / 60
        return now.numbers[name] + before.numbers[name] * left

    def recent(self) -> list[int]:
        """The latencies of the last minutes."""
        return latencies(sum((m.numbers for m in self.minutes[-RECENT:]), Counter()))


def figures() -> Figures:
    rows = processes.read()
    now = time.time()
    return Figures(timezone.now(), rows, _minutes(rows, int(now // 60)))


def _minutes(rows: Sequence[Seen], now: int) -> list[Minute]:
    found = {n: Minute(n, Counter(), {}) for n in range(now - MINUTES + 1, now + 1)}
    for process in (seen.process for seen in rows):
        for told in process.minutes:
            if minute := found.get(told["minute"]):
                _add(minute, process.pk, told)
    return list(found.values())


def _add(minute: Minute, process: str, told: dict[str, int]) -> None:
    sofar = minute.numbers["messages"]
    numbers = {k: v for k, v in told.items() if k not in ("minute", "streams", "users")}
    minute.numbers.update(numbers)
    # Each process sees all messages: one that has been there all the time has seen the most.
    minute.numbers["messages"] = max(sofar, told.get("messages", 0))
    minute.streams[process] = told["streams"]


def sends() -> list[Message]:
    """Those that are being sent, and the last that were published, with their `reach`, how many
    streams got each (`streamed`, None when no process knows it), and how many have `seen` it."""
    of_people = Message.objects.of_people()
    # By position, in whose index those without one are found together.
    coming = of_people.filter(position=None, publish_at__lte=timezone.now(), expired_at=None)
    coming = coming.filter(withdraw_at=None, withdrawn_at=None).order_by("-publish_at")
    found = [*coming[:SENDS], *of_people.published().order_by("-position")[:SENDS]][:SENDS]
    reach.attach(found)
    handed = reading.streamed(found)
    out = [message for message in found if message.published_at]
    seen = reading.seen(out, {message.pk: reach.of(message).read for message in out})
    for message in found:
        message.streamed = handed.get(message.pk)  # type: ignore[attr-defined]
        message.seen = seen[message.pk] if message.published_at else None  # type: ignore[attr-defined]
    return found


@dataclass
class OneUser:
    """One user as staff watch them. `inbox` is None for who never had a message or a stream."""

    user: Any
    at: datetime
    inbox: Inbox | None
    state: State | None
    answers: list[tuple[Seen, list[dict[str, Any]] | None]]  # None: has not answered yet

    @property
    def streams(self) -> int:
        return sum(len(streams or ()) for _, streams in self.answers)

    @property
    def is_complete(self) -> bool:
        """Whether all processes that live have said what they know."""
        return all(streams is not None for _, streams in self.answers)


def one_user(key: str) -> OneUser | None:
    """The user whose primary key that is, as text."""
    users: Any = get_user_model()
    user = users._default_manager.filter(pk=key).first()
    if user is None:
        return None
    row = Inbox.objects.filter(pk=user.pk).first()
    state = next(inbox.states([user.pk]), {}).get(user.pk) if row else None
    answers = [
        (seen, [] if not seen.process.streams else seen.process.watched.get(key))
        for seen in processes.read()
        if seen.state == "live"
    ]
    return OneUser(user, timezone.now(), row, state, answers)
