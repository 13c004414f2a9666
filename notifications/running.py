"""When a hub looks: whenever something rings, and now and then. One per event loop."""

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any
from weakref import WeakKeyDictionary

from . import acts, doorbell
from .hub import Hub

logger = logging.getLogger(__name__)

PACE = 0.025  # s from one look to the next: 40 a second, however often the bell rings
LOOK_ANYWAY = 5.0  # s after which to look though nothing has rung
TICK = 1.0  # s between rounds of pings, ends of lifetimes, and publishing what has become due
SWEEP = 15.0  # s between comparisons of all who are connected with the database
TROUBLE_PAUSE = 1.0  # s before the next try when the database does not answer


class RunningHub(Hub):
    """A hub with its own tasks, started by the first stream of its event loop."""

    _of_loop: "WeakKeyDictionary[asyncio.AbstractEventLoop, RunningHub]" = WeakKeyDictionary()

    def __init__(self) -> None:
        super().__init__()
        self._started = asyncio.Event()
        self._troubles: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def here(cls) -> "RunningHub":
        """The hub of this event loop, started and once up to date with the log."""
        loop = asyncio.get_running_loop()
        if loop not in cls._of_loop:
            cls._of_loop[loop] = cls()
            cls._of_loop[loop].start()
        hub = cls._of_loop[loop]
        await hub._started.wait()
        return hub

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
        helpers = [self._loop.create_task(work) for work in (self._follow_bell(), self._ticking())]
        self._awake.set()
        try:
            while True:
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
                await asyncio.sleep(begun + PACE - self.time())
        finally:
            acts.touched.disconnect(self._on_touched)
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            self._of_loop.pop(self._loop, None)

    async def stop(self) -> None:
        """End it with its tasks and its thread. Its streams are told nothing."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await super().stop()

    async def _follow_bell(self) -> None:
        async def listen() -> None:
            async with aclosing(doorbell.current().rings()) as rings:
                async for _ in rings:
                    self._awake.set()

        while True:
            await self._try(listen)
            await asyncio.sleep(TROUBLE_PAUSE)

    async def _ticking(self) -> None:
        quiet = 0.0
        while True:
            await asyncio.sleep(TICK)
            quiet += TICK
            if quiet >= LOOK_ANYWAY:
                quiet = 0.0
                self._awake.set()
            self.pulse()
            await self._try(self.publish_due)
            if self.streams and self.time() - self.swept >= SWEEP:
                await self._try(self.sweep)

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
