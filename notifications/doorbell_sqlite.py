"""The doorbell of SQLite, whose file tells by itself that somebody has committed."""

import asyncio
import logging
import os
import sqlite3
import sys
from collections.abc import AsyncGenerator
from contextlib import closing
from typing import Any

from .doorbell_polling import Doorbell

logger = logging.getLogger(__name__)

# s between glances at the file. Waking up, at 0.2 ms, costs more than glancing: half a percent of a
# core, if nothing else tells of writes.
PATIENCE = 0.05
RARELY = 5  # times as long, if something does
SOON = 0.001  # s until a glance when the file is being written to: mostly it has been committed


class SqliteDoorbell(Doorbell):
    """Polling, but of a number that SQLite keeps for it: the file's `data_version`.

    It changes when another connection has committed (https://sqlite.org/pragma.html), and asking
    for it is so cheap that it can be asked often. And soon, where the system tells that the file is
    being written to: Linux does, of its own file systems.
    """

    every_commit_rings = True

    def __init__(self, path: str, patience: float = PATIENCE) -> None:
        self.path, self.patience = path, patience

    async def rings(self) -> AsyncGenerator[None]:
        uri = self.path.startswith("file:")
        with (
            closing(sqlite3.connect(self.path, uri=uri)) as connection,
            closing(_Glances(connection, self.patience)) as glances,
        ):
            while True:
                await glances.changed.wait()
                glances.changed.clear()
                yield


class _Glances:
    """Sets `changed` at first, and when another connection has committed."""

    def __init__(self, connection: sqlite3.Connection, patience: float) -> None:
        self.changed = asyncio.Event()
        self._connection, self._patience = connection, patience
        self._loop = asyncio.get_running_loop()
        self._before: Any = None
        self._timer = self._loop.call_later(patience, self._look)
        self._look()
        self._watch = _watch(connection)
        if self._watch:
            self._patience *= RARELY
            self._loop.add_reader(self._watch.fd, self._on_write)

    def close(self) -> None:
        self._timer.cancel()
        if self._watch:
            self._loop.remove_reader(self._watch.fd)
            self._watch.close()

    def _look_in(self, seconds: float) -> None:
        # A timer, not a task that sleeps: most glances see nothing and should cost nothing.
        self._timer.cancel()
        then = min(2 * seconds, self._patience)
        self._timer = self._loop.call_later(seconds, self._look, then)

    def _look(self, next_in: float | None = None) -> None:
        self._look_in(next_in or self._patience)
        try:
            now = self._connection.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            now = None  # the hub's own look will say what is wrong
        if now != self._before:
            self._before = now
            self.changed.set()

    def _on_write(self) -> None:
        # What is written is about to be committed: it is looked for soon, and then less often.
        os.read(self._watch.fd, 2**16)
        if self._timer.when() - self._loop.time() > SOON:
            self._look_in(SOON)


def _watch(connection: sqlite3.Connection) -> Any:
    """An open Inotify, whose `fd` can be read when the database has been written to; or None."""
    if sys.platform != "linux":
        return None
    ((*_, path),) = connection.execute("PRAGMA database_list")
    watch = None
    try:
        from asyncinotify import Inotify, Mask

        watch = Inotify()
        # In the one or the other, as its journal is; while there is a connection, there is the log.
        for name in (path, f"{path}-wal"):
            if os.path.exists(name):
                watch.add_watch(name, Mask.MODIFY)
    except (ImportError, OSError) as error:  # so many files may be watched, and no more
        logger.info("Writes to %s are seen by glances alone: %s", path, error)
    return watch
