"""The project's ASGI handler: Django's own, with few threads for streams, and a drain.

Django gives each request a thread of its own on its first synchronous call (middleware is enough)
and keeps it, and its database connection, until the response ends: a thread an open stream. Here
the requests that stay open share a few threads, which they use for moments only.

A stream goes a shorter way still: all of the middleware and the view in one hop into a thread,
then nothing but the server's `send()`, stepped by the hub. Whatever is not plainly a stream to a
server that is known (another response, a body that a middleware has wrapped) goes Django's way.
"""

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache, partial
from io import BytesIO
from itertools import cycle
from types import FrameType
from typing import Any

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.conf import settings
from django.core import signals
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.urls import NoReverseMatch, reverse, set_script_prefix
from django.utils.module_loading import import_string

from . import doorbell, streaming
from .running import RunningHub
from .stepping import can_step
from .threads import keep_connections

logger = logging.getLogger(__name__)

THREADS = 2  # for all open streams together; more only wait for each other at the GIL
DRAIN_STREAMS = 1.5  # s for streams to take their `bye`
DRAIN_REQUESTS = 1.0  # s more for ordinary requests to be answered
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Handler(ASGIHandler):
    """`await handler(scope, receive, send)`, ASGI 3."""

    def __init__(self) -> None:
        super().__init__()
        doorbell.current()  # one that cannot be stops the start, not only the news
        # One thread each, because what runs in a ThreadSensitiveContext must stay on one thread.
        executors = [ThreadPoolExecutor(1, f"notifications-{n}") for n in range(THREADS)]
        self._executors: Iterator[ThreadPoolExecutor] = cycle(executors)
        self._in_one_hop = InOneHop()
        self._drain = Drain()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise ValueError(f"This application speaks HTTP only, not {scope['type']}.")
        self._drain.arm()
        with self._drain:
            if not scope["path"].endswith(_open_paths()):
                await super().__call__(scope, receive, send)
            elif self._goes_short(scope, send):
                await self._stream(scope, receive, send)
            else:
                async with ThreadSensitiveContext(executor=next(self._executors)):
                    await self.handle(scope, receive, send)

    def _goes_short(self, scope: Any, send: Any) -> bool:
        is_stream = scope["method"] == "GET" and scope["path"].endswith(_open_paths()[0])
        return is_stream and self._in_one_hop.is_possible and can_step(send)

    async def _stream(self, scope: Any, receive: Any, send: Any) -> None:
        hub = RunningHub.of_this_loop()
        await hub.has_started(streaming.HUB_PATIENCE)
        response = await hub.readers.ask(self._respond, scope, hub)
        if isinstance(response, streaming.StreamResponse) and response.is_untouched:
            await send(_start(response))
            stream = response.stream
            del response  # and with it the request: they need not live as long as the stream
            await stream.drive(receive, send)
        else:
            async with ThreadSensitiveContext(executor=next(self._executors)):
                await self._send_or_leave(response, receive, send)

    def _respond(self, scope: Any, hub: RunningHub) -> Any:
        """Django's part, from the first signal to the last, as if in a synchronous server."""
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=type(self), scope=scope)
        request: Any
        response: Any
        request, response = self.create_request(scope, BytesIO())
        if request is not None:
            request.hub = hub
            response = self._in_one_hop.get_response(request)
        response._handler_class = type(self)
        keep_connections()
        if isinstance(response, streaming.StreamResponse) and response.is_untouched:
            # Nothing that Django frees at the end of a request is held by an open stream.
            response.close()
        return response

    async def _send_or_leave(self, response: Any, receive: Any, send: Any) -> None:
        """Send it, but no longer than the client is there."""
        sending = asyncio.create_task(self.send_response(response, send))
        leaving = asyncio.create_task(_disconnect(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.wait((sending, leaving))
            await sync_to_async(response.close)()


class InOneHop(BaseHandler):
    """The middleware in its synchronous form. Each call into a thread costs more than most of what
    is done there, and Django's asynchronous chain makes two for most of the middleware."""

    def __init__(self) -> None:
        super().__init__()
        # What is asynchronous only would run in an event loop of its own, made for each request.
        middleware = map(import_string, settings.MIDDLEWARE)
        self.is_possible = all(getattr(each, "sync_capable", True) for each in middleware)
        if self.is_possible:
            self.load_middleware()

    def resolve_request(self, request: Any) -> Any:
        view, args, kwargs = super().resolve_request(request)
        if view is streaming.stream:  # and nothing that a project has put around it
            view = partial(streaming.answer, hub=request.hub)
        return view, args, kwargs


def _start(response: Any) -> dict[str, Any]:
    headers = [(name.encode("ascii"), value.encode("latin1")) for name, value in response.items()]
    for cookie in response.cookies.values():
        headers.append((b"Set-Cookie", cookie.output(header="").strip().encode("ascii")))
    return {"type": "http.response.start", "status": response.status_code, "headers": headers}


async def _disconnect(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@cache
def _open_paths() -> tuple[str, ...]:
    try:
        paths = reverse("notifications:stream"), reverse("notifications:changes")
    except NoReverseMatch:
        return ()
    with suppress(NoReverseMatch):  # a project may do without the admin
        return *paths, reverse("admin:notifications_process_stats")
    return paths


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
