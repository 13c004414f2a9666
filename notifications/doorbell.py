"""Tells every server process that there is something to read. It carries nothing.

`ring()` may be called from any thread; `rings()` is an async generator that yields whenever it is
worth looking, and whose connection, if it has one, lives exactly as long as the loop over it.
Rings within a process are immediate; between processes they take what the doorbell takes. A ring
that is lost costs latency: the hub looks by itself now and then.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, Protocol

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

POLLING_PATIENCE = 0.25  # s between looks at a database server: four small queries a second
SQLITE_PATIENCE = 0.04  # s between glances at a SQLite file: waking up costs more than glancing


class Doorbell(Protocol):
    def ring(self) -> None: ...

    def rings(self) -> AsyncGenerator[None]: ...


class Bells:
    """The hubs of this process, as (loop, event): what is rung without leaving it."""

    def __init__(self) -> None:
        self._bells: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    @contextmanager
    def hung(self) -> Iterator[asyncio.Event]:
        bell = (asyncio.get_running_loop(), asyncio.Event())
        self._bells.add(bell)
        try:
            yield bell[1]
        finally:
            self._bells.discard(bell)

    def ring(self) -> None:
        for loop, event in list(self._bells):
            with suppress(RuntimeError):  # that loop has just closed
                loop.call_soon_threadsafe(event.set)


_here = Bells()


async def _rung(bell: asyncio.Event, patience: float) -> bool:
    """Whether `bell` was rung within `patience` seconds."""
    try:
        async with asyncio.timeout(patience):
            await bell.wait()
    except TimeoutError:
        return False
    bell.clear()
    return True


class PollingDoorbell:
    """Works with any database: between processes, look every so often."""

    def __init__(self, patience: float = POLLING_PATIENCE) -> None:
        self.patience = patience

    def ring(self) -> None:
        _here.ring()

    async def rings(self) -> AsyncGenerator[None]:
        with _here.hung() as bell:
            while True:
                yield
                await _rung(bell, self.patience)


class SqliteDoorbell(PollingDoorbell):
    """Polling, but of a number that SQLite keeps for it: the file's `data_version`.

    It changes when another connection has committed (https://sqlite.org/pragma.html), and asking
    for it is so cheap that it can be asked often.
    """

    def __init__(self, path: str, patience: float = SQLITE_PATIENCE) -> None:
        super().__init__(patience)
        self.path = path

    async def rings(self) -> AsyncGenerator[None]:
        uri = self.path.startswith("file:")
        loop = asyncio.get_running_loop()
        with _here.hung() as bell, closing(sqlite3.connect(self.path, uri=uri)) as glance:
            before: Any = None
            timer: asyncio.TimerHandle | None = None

            def look() -> None:
                # A timer, not a task that sleeps: most glances see nothing and should cost nothing.
                nonlocal before, timer
                timer = loop.call_later(self.patience, look)
                try:
                    now = glance.execute("PRAGMA data_version").fetchone()
                except sqlite3.Error:
                    now = None  # the hub's own look will say what is wrong
                if now != before:
                    before = now
                    bell.set()

            look()
            try:
                while True:
                    await bell.wait()
                    bell.clear()
                    yield
            finally:
                if timer is not None:
                    timer.cancel()


def current() -> Doorbell:
    """The doorbell of the settings. Raises ImproperlyConfigured for one that is not known."""
    url = getattr(settings, "NOTIFICATIONS_DOORBELL", "")
    if url not in ("", "polling"):
        raise ImproperlyConfigured(
            f"NOTIFICATIONS_DOORBELL={url!r} is not known: leave it empty, or set it to polling."
        )
    if connection.vendor == "sqlite" and not url:
        return SqliteDoorbell(str(connection.settings_dict["NAME"]))
    return PollingDoorbell()
