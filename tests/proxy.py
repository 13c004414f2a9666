"""A wire to a server that can be cut, or go dead without a word, as a network does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


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
            server, to_server = await asyncio.open_connection("127.0.0.1", port)
            for way in ((client, to_server), (server, to_client)):
                task = asyncio.create_task(proxy._carry(*way))
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

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        alive = self._alive
        try:
            while part := await source.read(2**16):
                await alive.wait()
                target.write(part)
                await target.drain()
        except ConnectionError:
            pass
        finally:
            target.close()
