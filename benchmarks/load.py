"""A crowd of readers in one process: raw HTTP over asyncio, because a client library would cost
more than the server that is measured.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Self

from .place import HOST

AT_ONCE = 32  # readers that are opening: less than what daphne lets wait to be accepted (50)
PATIENCE = 120.0  # s after which what was to happen has not
PATH = "/messages/stream/"
REQUEST = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n"
    "X-Forwarded-Proto: https\r\nCookie: sessionid={session}\r\n\r\n"
)


class Reader(asyncio.Protocol):
    """One open stream; notes the names of its events, and calls `on_event` with each, as bytes."""

    def __init__(self, session: str, on_event: Callable[[bytes], None] | None = None) -> None:
        self.session, self._on_event = session, on_event
        self.is_open = asyncio.get_running_loop().create_future()
        self.is_closed = False
        self.events: set[bytes] = set()  # the names of those that it has had
        self._rest = b""
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(REQUEST.format(path=PATH, host=HOST, session=self.session).encode())

    def data_received(self, data: bytes) -> None:
        *events, self._rest = (self._rest + data).split(b"\n\n")
        for event in events:
            _, is_named, after = event.partition(b"event: ")
            name = after.partition(b"\n")[0] if is_named else b"message"
            self.events.add(name)
            if name == b"ready" and not self.is_open.done():
                self.is_open.set_result(None)
            if self._on_event:
                self._on_event(event)

    def connection_lost(self, error: Exception | None) -> None:
        self.is_closed = True
        if not self.is_open.done():
            why = self._rest.partition(b"\r\n")[0].decode() or repr(error)
            self.is_open.set_exception(ConnectionError(f"a stream did not open: {why}"))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Crowd:
    """Many readers of one server. `async with` closes them at the end."""

    def __init__(self, port: int, on_event: Callable[[bytes], None] | None = None) -> None:
        self.port, self._on_event = port, on_event
        self._readers: list[Reader] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for reader in self._readers:
            reader.close()
        await until(lambda: self.closed == len(self._readers))

    async def open(self, sessions: Iterable[str]) -> None:
        """Open a stream for each session, AT_ONCE at a time, and wait for their `ready`."""
        waiting = iter(sessions)
        loop = asyncio.get_running_loop()

        async def opener() -> None:
            for session in waiting:
                reader = Reader(session, self._on_event)
                self._readers.append(reader)
                await loop.create_connection(lambda: reader, HOST, self.port)  # noqa: B023
                await asyncio.wait_for(reader.is_open, PATIENCE)

        async with asyncio.TaskGroup() as openers:
            for _ in range(AT_ONCE):
                openers.create_task(opener())

    def had(self, name: bytes) -> int:
        """How many readers have had an event of that name."""
        return sum(name in reader.events for reader in self._readers)

    @property
    def closed(self) -> int:
        return sum(reader.is_closed for reader in self._readers)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for `condition`; TimeoutError after PATIENCE."""
    give_up = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > give_up:
            raise TimeoutError
        await asyncio.sleep(0.02)
