"""A few threads for what must wait for the database, each with a connection that it keeps.

Opening a connection costs more than most of what is asked through it. So these threads keep
theirs, and there are as many as there are threads, however many streams are open.
"""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

from django.db import connections

T = TypeVar("T")


class Threads:
    """`await threads.ask(work, ...)` from the event loop."""

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name)

    async def ask(self, work: Callable[..., T], *args: object) -> T:
        """`work(*args)` in one of the threads, in the caller's context."""
        run = contextvars.copy_context().run
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, run, _keeping_connections, work, *args)

    async def close(self) -> None:
        """End the threads and their connections."""
        together = Barrier(self._count)  # so that each of them takes one of these

        def part() -> None:
            connections.close_all()
            together.wait()

        loop = asyncio.get_running_loop()
        ends = [loop.run_in_executor(self._pool, part) for _ in range(self._count)]
        await asyncio.gather(*ends)
        self._pool.shutdown()


def _keeping_connections(work: Callable[..., T], *args: object) -> T:
    """`work(*args)`; after an error without the connections that it may have left broken."""
    try:
        result = work(*args)
    except Exception:
        connections.close_all()
        raise
    keep_connections()
    return result


def keep_connections() -> None:
    """Let this thread's connections outlive the request, whatever CONN_MAX_AGE says of others."""
    for connection in connections.all(initialized_only=True):
        connection.close_at = None
