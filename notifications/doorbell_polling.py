"""What a doorbell is; and one that needs nothing but the database, because it looks."""

import asyncio
from collections.abc import AsyncGenerator

from django.db import transaction
from django.dispatch import Signal

POLLING_PATIENCE = 0.4  # s between looks at a database server: at most five queries a second

# Sent in the process that rings, in any thread, after its commit: its own hubs need no detour.
rung = Signal()


class Deaf(Exception):
    """The doorbell rang, and was not heard."""


class Doorbell:
    """`ring()`, and its echo in every process, `rings()`."""

    every_commit_rings = False  # also those for which nobody calls `ring()`

    def ring(self) -> None:
        """From any thread. Inside a transaction: heard once that commits, and only then."""
        # No partial: when it fails, Django looks for its `__qualname__`.
        transaction.on_commit(lambda: rung.send(sender=None), robust=True)

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
