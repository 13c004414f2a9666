"""What a doorbell is; and those that need nothing but the database, because they look."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import closing
from functools import partial
from typing import Any

from django.db import transaction
from django.dispatch import Signal

POLLING_PATIENCE = 0.4  # s between looks at a database server: at most five queries a second
# s between glances at a SQLite file. Waking up, at 0.2 ms, costs more than glancing: together with
# all else it is less than 1 % of a core, of which half for this.
SQLITE_PATIENCE = 0.05

# Sent in the process that rings, in any thread, after its commit: its own hubs need no detour.
rung = Signal()


class Deaf(Exception):
    """The doorbell rang, and was not heard."""


class Doorbell:
    """`ring()`, and its echo in every process, `rings()`."""

    every_commit_rings = False  # also those for which nobody calls `ring()`

    def ring(self) -> None:
        """From any thread. Inside a transaction: heard once that commits, and only then."""
        transaction.on_commit(partial(rung.send, sender=None), robust=True)

    def rings(self) -> AsyncGenerator[None]:
        """Yields when another process has rung: it is worth looking. Rings may be joined.

        The first time it yields at once, or as soon as it hears: what rang before that is lost.
        It raises when it does not hear any more. Its connection, if it has one, lives exactly as
        long as the loop over it.
        """
        raise NotImplementedError


class PollingDoorbell(Doorbell):
    """Works with any database: look every so often."""

    def __init__(self, patience: float = POLLING_PATIENCE) -> None:
        self.patience = patience

    async def rings(self) -> AsyncGenerator[None]:
        while True:
            yield
            await asyncio.sleep(self.patience)


class SqliteDoorbell(Doorbell):
    """Polling, but of a number that SQLite keeps for it: the file's `data_version`.

    It changes when another connection has committed (https://sqlite.org/pragma.html), and asking
    for it is so cheap that it can be asked often.
    """

    every_commit_rings = True

    def __init__(self, path: str, patience: float = SQLITE_PATIENCE) -> None:
        self.path, self.patience = path, patience

    async def rings(self) -> AsyncGenerator[None]:
        uri = self.path.startswith("file:")
        loop, changed = asyncio.get_running_loop(), asyncio.Event()
        with closing(sqlite3.connect(self.path, uri=uri)) as glance:
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
                    changed.set()

            look()
            try:
                while True:
                    await changed.wait()
                    changed.clear()
                    yield
            finally:
                if timer is not None:
                    timer.cancel()
