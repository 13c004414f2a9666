"""What a hub has done so far, in plain numbers; and, a line each, in the log.

Counted on the hub's own thread: no lock. What happens to ten thousand streams at once is counted
once a look, not once a stream.
"""

import logging
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .models import CANARY, Change, Message

if TYPE_CHECKING:
    from .stream import Stream

# A name of its own: where lines are for people (LOG_FORMAT), it is quiet.
events = logging.getLogger("notifications.events")

REMEMBERED = 50  # messages of which it is known how many streams they were handed to

# s, of the histogram of latencies: from what one machine can do to what nobody should wait.
BOUNDS = (
    0.001, 0.002, 0.003, 0.005, 0.007, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.2, 0.3, 0.5, 0.7,
    1.0, 2.0, 3.0, 5.0, 7.0, 10.0,
)  # fmt: skip


class Tally:
    """`numbers` only ever grow. Latencies are among them as `latency.0` ... (one more than BOUNDS)
    and as the sum of their `microseconds`, ends as `closed.<reason>`."""

    def __init__(self) -> None:
        self.numbers: Counter[str] = Counter()
        # By primary key, the last ones: how many streams they went out on when they were published.
        self.streamed: dict[int, int] = {}
        self.measures = False  # set once the hub has caught up: what is older says nothing of it
        self.canary: tuple[float, float] | None = None  # s it took, and when it came
        self._new: list[float] = []  # when those that this look hands out were published

    def opened(self, stream: "Stream") -> None:
        self.numbers["opened"] += 1
        self.numbers["reconnects"] += stream.returns
        if events.isEnabledFor(logging.INFO):
            say("opened", user=stream.user_id, returns=stream.returns)

    def closed(self, stream: "Stream", seconds: float) -> None:
        reason = stream.reason or "left"
        self.numbers[f"closed.{reason}"] += 1
        if events.isEnabledFor(logging.INFO):
            say("closed", user=stream.user_id, reason=reason, seconds=round(seconds, 3))

    def handed_out(self, change: Change, message: Message, concerns: bool, streams: int) -> None:
        """concerns: it is for somebody who is connected. streams: those that it was handed to."""
        if not self.measures:
            return
        self.numbers["changes"] += 1
        if change.event == Change.Event.PUBLISHED and message.key != CANARY:
            self.numbers["messages"] += 1
            self.streamed[message.pk] = streams
            if len(self.streamed) > REMEMBERED:
                del self.streamed[next(iter(self.streamed))]
            if concerns and message.published_at:
                self._new.append(message.published_at.timestamp())
        elif message.key == CANARY and message.revised_at:
            now = time.time()
            self.canary = max(0.0, now - message.revised_at.timestamp()), now

    def delivered(self, streams: int) -> None:
        """What has been handed out is on its way to so many streams."""
        self.numbers["deliveries"] += streams
        if not self._new:
            return
        now, new, self._new = time.time(), self._new, []
        for published in new:
            self._took(now - published)

    def _took(self, seconds: float) -> None:
        # The publisher's clock, and this machine's: they may differ. A latency below nothing is no
        # latency, so it is only counted; one that is too large by as much cannot be told.
        if seconds < 0:
            self.numbers["ahead"] += 1
            return
        self.numbers[f"latency.{bisect_left(BOUNDS, seconds)}"] += 1
        # Whole microseconds: a sum that is told from report to report must not drift.
        self.numbers["microseconds"] += round(seconds * 1e6)


def say(event: str, **fields: object) -> None:
    """A line in the log of events: words for people, `fields` for programs."""
    words = " ".join(f"{name}={value}" for name, value in fields.items())
    events.info("%s %s", event, words, extra={"fields": {"event": event, **fields}})


def latencies(numbers: Mapping[str, int]) -> list[int]:
    """How many took up to each of BOUNDS and more than the one before; the last: longer."""
    return [numbers.get(f"latency.{n}", 0) for n in range(len(BOUNDS) + 1)]


def quantile(counts: Sequence[int], part: float) -> float | None:
    """The latency, in s, that this part of them does not exceed; None when there are none.

    As Prometheus' `histogram_quantile`: as if they were spread evenly between two bounds, and
    what is beyond the last is said to be the last.
    """
    rank = part * sum(counts)
    if not rank:
        return None
    below, low = 0, 0.0
    for count, high in zip(counts, BOUNDS, strict=False):
        if below + count >= rank:
            return low + (high - low) * (rank - below) / count
        below, low = below + count, high
    return BOUNDS[-1]
