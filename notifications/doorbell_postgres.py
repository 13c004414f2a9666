"""LISTEN and NOTIFY: PostgreSQL carries the ring to every process with the commit itself.

NOTIFY stands in the transaction that publishes, where the lock on `Head` makes all wait for their
turn anyway: the commit of a NOTIFY locks out every other such commit of the database
(https://www.postgresql.org/docs/current/sql-notify.html). So it is in no transaction of a reader's
act. It has no payload: equal ones of a transaction are delivered as one.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections
from psycopg import AsyncConnection
from psycopg.sql import SQL, Identifier

from .doorbell_polling import Deaf, Doorbell

CHANNEL = "notifications"  # of this database: another database of the same server has its own
# The name of this process alone; a new one each time would pile up in who listens for a pooler.
OWN = f"{CHANNEL}_{token_hex(8)}"
QUIET = 30.0  # s without a ring, after which the listener rings for itself alone
ECHO = 5.0  # s for that ring to come back, and for a connection to be made


class PostgresDoorbell(Doorbell):
    def ring(self) -> None:
        super().ring()
        with connection.cursor() as sql:
            sql.execute(f"NOTIFY {CHANNEL}")

    async def rings(self) -> AsyncGenerator[None]:
        async with _connection() as listener:
            for channel in (CHANNEL, OWN):
                await listener.execute(SQL("LISTEN {}").format(Identifier(channel)))
            heard = False
            while True:
                if not heard:
                    # By another connection, as others ring. A pooler that lends connections for a
                    # transaction takes LISTEN without a word, and the listener hears nothing; nor
                    # does one whose connection has died without a word, or leads to a server that
                    # is the primary no more.
                    async with _connection() as ringer:
                        await ringer.execute(SQL("NOTIFY {}").format(Identifier(OWN)))
                    if not await _hears(listener, ECHO):
                        raise Deaf(f"NOTIFY is not heard within {ECHO:g} s; is there a pooler?")
                yield
                heard = await _hears(listener, QUIET)


async def _hears(listener: AsyncConnection, seconds: float) -> bool:
    """Whether anything rings within so many seconds; what has rung together counts once."""
    return bool([note async for note in listener.notifies(timeout=seconds, stop_after=1)])


@asynccontextmanager
async def _connection() -> AsyncIterator[AsyncConnection]:
    """One of its own: not Django's, whose belong to threads, or to a pool that is for queries."""
    params: dict[str, Any] = connections[DEFAULT_DB_ALIAS].get_connection_params()
    for of_django in ("cursor_factory", "context"):
        params.pop(of_django, None)
    params = {"connect_timeout": round(ECHO), **params, "application_name": "doorbell"}
    made = await AsyncConnection.connect(**params, autocommit=True)
    try:
        yield made
    finally:
        await made.close()
