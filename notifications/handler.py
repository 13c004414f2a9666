"""The project's ASGI handler: Django's own, with few threads for streams, and a drain.

Django gives each request a thread of its own on its first synchronous call (middleware is enough)
and keeps it, and its database connection, until the response ends: a thread an open stream. Here
the requests that stay open share a few threads, which they use for moments only.
"""

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import cycle
from types import FrameType
from typing import Any

from asgiref.sync import ThreadSensitiveContext
from django.core.handlers.asgi import ASGIHandler
from django.urls import NoReverseMatch, reverse

from .running import RunningHub

logger = logging.getLogger(__name__)

THREADS = 2  # for all open streams together; more only wait for each other at the GIL
DRAIN_STREAMS = 1.5  # s for streams to take their `bye`
DRAIN_REQUESTS = 1.0  # s more for ordinary requests to be answered
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Handler(ASGIHandler):
    """`await handler(scope, receive, send)`, ASGI 3."""

    def __init__(self) -> None:
        super().__init__()
        # One thread each, because what runs in a ThreadSensitiveContext must stay on one thread.
        executors = [ThreadPoolExecutor(1, f"notifications-{n}") for n in range(THREADS)]
        self._executors: Iterator[ThreadPoolExecutor] = cycle(executors)
        self._drain = Drain()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise ValueError(f"This application speaks HTTP only, not {scope['type']}.")
        self._drain.arm()
        with self._drain:
            if _stays_open(scope):
                async with ThreadSensitiveContext(executor=next(self._executors)):
                    await self.handle(scope, receive, send)
            else:
                await super().__call__(scope, receive, send)


def _stays_open(scope: Any) -> bool:
    return scope["path"].endswith(_open_paths())


@cache
def _open_paths() -> tuple[str, ...]:
    try:
        return reverse("notifications:stream"), reverse("notifications:changes")
    except NoReverseMatch:
        return ()


class Drain:
    """On SIGTERM and SIGINT: end the streams, let requests finish, then let the server go on.

    Daphne dies of a segmentation fault when it is stopped with a stream open, and uvicorn waits
    for streams for ever. So the signal is ours first; the server's own handler comes afterwards.
    `with drain:` around each request counts it.
    """

    def __init__(self) -> None:
        self._running = 0
        self._idle = asyncio.Event()
        self._servers: dict[int, Any] = {}
        self._task: asyncio.Task[None] | None = None
        self._is_over = False

    def __enter__(self) -> None:
        self._running += 1
        self._idle.clear()

    def __exit__(self, *_: object) -> None:
        self._running -= 1
        if not self._running:
            self._idle.set()

    def arm(self) -> None:
        """Take the signals over. At the first request: by then the server has set its own."""
        if self._servers or threading.current_thread() is not threading.main_thread():
            return
        loop = asyncio.get_running_loop()

        def on_signal(number: int, frame: FrameType | None) -> None:
            if self._task is None:
                loop.call_soon_threadsafe(self._start, number)
            else:
                self._hand_over(number)  # a second signal: somebody is in a hurry

        for number in SIGNALS:
            self._servers[number] = signal.signal(number, on_signal)

    def _start(self, number: int) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(number))

    async def _run(self, number: int) -> None:
        hubs = RunningHub.all()
        logger.info("Draining %d streams", sum(len(hub.everyone()) for hub in hubs))
        await asyncio.gather(*(hub.drain(DRAIN_STREAMS) for hub in hubs))
        try:
            async with asyncio.timeout(DRAIN_REQUESTS):
                await self._idle.wait()
        except TimeoutError:
            logger.warning("Stopping with %d requests unanswered", self._running)
        for hub in hubs:
            await hub.stop()
        self._hand_over(number)

    def _hand_over(self, number: int) -> None:
        if self._is_over:
            return
        self._is_over = True
        server: Callable[..., Any] | int | None = self._servers[number]
        for each, handler in self._servers.items():
            signal.signal(each, handler)
        if callable(server):
            # Told as a SIGINT: uvicorn raises what it got once more when it is done, and would die
            # of a SIGTERM instead of exiting with 0.
            server(signal.SIGINT, None)
        else:
            signal.raise_signal(number)
