"""A wire to a server that can be cut, or go dead without a word, as a network does."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

End = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Way = Coroutine[Any, Any, None]


class Proxy:
    """`async with Proxy.to(port) as wire:` whoever connects to `wire.port` is put through."""

    port: int

    def __init__(self) -> None:
        self._alive = asyncio.Event()
        self._alive.set()
        self._ends: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def to(cls, port: int) -> AsyncIterator["Proxy"]:
        proxy = cls()

        async def put_through(client: asyncio.StreamReader, to_client: asyncio.StreamWriter):
            server = await asyncio.open_connection("127.0.0.1", port)
            for way in proxy._ways((client, to_client), server):
                task = asyncio.create_task(way)
                proxy._ends.add(task)
                task.add_done_callback(proxy._ends.discard)

        listener = await asyncio.start_server(put_through, "127.0.0.1", 0)
        proxy.port = listener.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            listener.close()
            await proxy.cut()

    def go_dead(self) -> None:
        """Nothing comes through any more, and nobody is told. New connections are not concerned."""
        self._alive.clear()
        self._alive = asyncio.Event()  # of those that come
        self._alive.set()

    async def cut(self) -> None:
        """End all connections."""
        ends = list(self._ends)
        for task in ends:
            task.cancel()
        await asyncio.gather(*ends, return_exceptions=True)

    def _ways(self, client: End, server: End) -> tuple[Way, Way]:
        """There and back, for one connection."""
        return self._carry(client[0], server[1]), self._carry(server[0], client[1])

    async def _carry(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        carried: asyncio.Event | None = None,
    ) -> None:
        """carried: set with each part."""
        alive = self._alive
        try:
            while part := await source.read(2**16):
                await alive.wait()
                if carried:
                    carried.set()
                target.write(part)
                await target.drain()
        except ConnectionError:
            pass
        finally:
            target.close()


class Collecting(Proxy):
    """One that hands out no answer before it has all of it, and waits no longer than `limit`."""

    collects = True
    limit: float | None = None  # s

    def _ways(self, client: End, server: End) -> tuple[Way, Way]:
        asked = asyncio.Event()
        there = self._carry(client[0], server[1], asked)
        return there, self._collect(server[0], client[1], asked)

    async def _collect(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, asked: asyncio.Event
    ) -> None:
        try:
            while True:
                await asked.wait()  # a connection that is kept for the next question may idle
                if not self.collects:
                    return await self._carry(source, target)
                async with asyncio.timeout(self.limit):
                    head = await source.readuntil(b"\r\n\r\n")
                    body = await _body(head, source)
                asked.clear()
                target.write(head + body)
                await target.drain()
        except TimeoutError:
            target.write(b"HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n")
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            target.close()


async def _body(head: bytes, source: asyncio.StreamReader) -> bytes:
    """What comes after the head of an answer."""
    headers = head.lower()
    if b"transfer-encoding: chunked" not in headers:
        _, found, length = headers.partition(b"content-length:")
        return await source.readexactly(int(length.split()[0])) if found else b""
    parts = [b""]
    while parts[-1] != b"0\r\n\r\n":
        size = await source.readuntil(b"\r\n")
        parts.append(size + await source.readexactly(int(size, 16) + 2))
    return b"".join(parts)
