"""When a hub looks: whenever something rings, and now and then. One per event loop."""

import asyncio
import contextvars
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any
from weakref import WeakKeyDictionary

from django.contrib.auth import get_user_model

from . import acts, canary, doorbell
from .doorbell_polling import rung
from .hub import Hub
from .processes import CONNECTED, Reporter, Standing

logger = logging.getLogger(__name__)

PACE = 0.025  # s from look to look, on average: 40 a second, however often the bell rings
# s after which to look though nothing has rung: what a lost ring costs. Less than one, because acts
# of other processes never ring, and who may no longer read is to be gone within a second.
LOOK_ANYWAY = 0.75
LOOK_RARELY = 5.0  # the same where every commit rings, an act's too: on SQLite
TICK = 1.0  # s between rounds of pings, ends of lifetimes, and publishing what has become due
SWEEP = 15.0  # s between comparisons of all who are connected with the database
TROUBLE_PAUSE = 1.0  # s before the next try when the database does not answer
GOOD_BYE = 0.5  # s for the last report of a process that stops
DEAF_PAUSE = 1.0, 30.0  # s before listening again: doubled each time from the first to the second


class RunningHub(Hub):
    """A hub with its own tasks, started by the first stream of its event loop."""

    _of_loop: "WeakKeyDictionary[asyncio.AbstractEventLoop, RunningHub]" = WeakKeyDictionary()

    def __init__(self) -> None:
        super().__init__()
        self._started = asyncio.Event()
        self.hears: bool | None = None  # the doorbell; None: not known yet
        self.reporter = Reporter()
        self._troubles: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def of_this_loop(cls) -> "RunningHub":
        """The hub of this event loop, which runs; it may not have read the log yet."""
        loop = asyncio.get_running_loop()
        if loop not in cls._of_loop:
            cls._of_loop[loop] = cls()
            cls._of_loop[loop].start()
        return cls._of_loop[loop]

    async def has_started(self, patience: float) -> bool:
        """Whether it has come to the end of the log, at the latest after `patience` seconds."""
        if not self._started.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._started.wait(), patience)
        return self._started.is_set()

    @classmethod
    def all(cls) -> "list[RunningHub]":
        """The hubs of this process."""
        return list(cls._of_loop.values())

    def start(self) -> None:
        """Look by itself from now on: whenever something rings, and now and then."""
        # A fresh context: else it would live in the thread of the request that came first.
        self._task = self._loop.create_task(self._run(), context=contextvars.Context())

    async def _run(self) -> None:
        acts.touched.connect(self._on_touched)
        rung.connect(self._on_rung)
        works = self._follow_bell(), self._ticking(), self._reporting(), self._singing()
        helpers = [self._loop.create_task(work) for work in works]
        self._awake.set()
        rested = 0.0  # until then the pace is kept
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._patience()):
                        await self._awake.wait()
                self._awake.clear()
                begun = self.time()
                if await self._try(self.look):
                    # A new hub has a past to read first, maybe several looks long. A stream that
                    # opened meanwhile would take what is old for new.
                    if self.is_current:
                        self._started.set()
                else:
                    self._awake.set()
                    await asyncio.sleep(TROUBLE_PAUSE)
                # One look may follow another at once: most find nothing, and what is said just
                # then should not wait for the pace. The next has to.
                rested = max(rested, begun - PACE) + PACE
                await asyncio.sleep(rested - self.time())
        finally:
            acts.touched.disconnect(self._on_touched)
            rung.disconnect(self._on_rung)
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            self._of_loop.pop(self._loop, None)

    def _patience(self) -> float:
        all_ring = self.hears and doorbell.current().every_commit_rings
        return LOOK_RARELY if all_ring else LOOK_ANYWAY

    async def stop(self) -> None:
        """End it with its tasks and its thread. Its streams are told nothing."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if not self._troubles:  # else the database may keep us waiting
            with suppress(Exception):
                async with asyncio.timeout(GOOD_BYE):
                    await self.readers.ask(self.reporter.say_good_bye)
        await super().stop()

    def _on_rung(self, **_: Any) -> None:
        with suppress(RuntimeError):  # that loop has closed
            self._loop.call_soon_threadsafe(self._awake.set)

    async def _follow_bell(self) -> None:
        """Look whenever another process rings. Deaf, go on trying: the looks go on anyway."""
        shortest, longest = DEAF_PAUSE
        pause = shortest
        while True:
            try:
                async with aclosing(doorbell.current().rings()) as rings:
                    async for _ in rings:
                        if self.hears is False:
                            logger.info("The doorbell is heard again")
                        self.hears, pause = True, shortest
                        self._awake.set()
            except Exception as failure:
                if self.hears is not False:
                    what = " ".join(f"{type(failure).__name__}: {failure}".split())  # a line
                    logger.warning("The doorbell is not heard, messages come later (%s)", what)
            self.hears = False
            # At random: not all processes at once, when what they listen to comes back.
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(2 * pause, longest)

    async def _ticking(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self.pulse()
            await self._try(self.publish_due)
            if self.streams and self.time() - self.swept >= SWEEP:
                await self._try(self.sweep)

    # Two tasks of their own: they write, so they may have to wait, and pings must not.

    async def _reporting(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            if self.reporter.is_due(self.time(), self.standing()):
                await self._try(self.report)

    async def report(self) -> None:
        """Say in this process's row how it stands."""
        values = self.reporter.note(self.time(), self.standing())
        await self.readers.ask(self.reporter.write, values)

    def standing(self) -> Standing:
        """How this hub stands at the moment."""
        streams, users = self.present()
        return Standing(
            streams,
            users,
            self.hears,
            failing=", ".join(sorted(self._troubles)),
            position=self.cursor.position,
            numbers=Counter(self.tally.numbers),
            canary=self.tally.canary,
            watching=",".join(self.wants()),
            streamed=dict(self.tally.streamed),
            watched={key: self._answer(key) for key in self.reporter.asked},
        )

    def _answer(self, key: str) -> list[Any]:
        """The streams of the user with this key; or the keys of all users."""
        if key == CONNECTED:
            return list(map(str, self.users()))
        mine = self.streams.get(get_user_model()._meta.pk.to_python(key), {})
        return [stream.described() for stream in tuple(mine) if stream not in self.onlookers]

    async def _singing(self) -> None:
        while True:
            # At random, so that all processes get their turn.
            await asyncio.sleep(max(TICK, canary.seconds() * random.uniform(0.5, 1)))
            if canary.seconds():
                await self._try(self.sing)

    async def sing(self) -> None:
        """Send the canary, if it is time."""
        await self.readers.ask(canary.sing)

    async def _try(self, work: Callable[[], Awaitable[Any]]) -> bool:
        """Whether `work` went well. What goes wrong is logged once, until it goes well again."""
        what = work.__name__
        try:
            await work()
        except Exception:
            if what not in self._troubles:
                logger.exception("The hub's %r failed; it is tried again until it works", what)
            self._troubles.add(what)
            return False
        if what in self._troubles:
            self._troubles.remove(what)
            logger.info("The hub's %r works again", what)
        return True
