"""Redis pub/sub: for databases that carry no rings, and PostgreSQL behind a pooler.

Redis keeps nothing and is asked for nothing else. Dead, it costs latency: the hubs look anyway, and
who sends waits for it once in a while, for a moment.
"""

import logging
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from django.db import transaction
from redis import Redis, RedisError
from redis import asyncio as aioredis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from .doorbell_polling import Deaf, Doorbell

logger = logging.getLogger(__name__)

RING_PATIENCE = 0.25  # s for Redis to answer who rings, at most twice: to connect, and to ring
BREAK = 5.0  # s after a failure in which nobody tries to ring
QUIET = 30.0  # s without a ring, after which the listener asks whether Redis is still there
ECHO = 5.0  # s for the answer, and for a connection to be made


class RedisDoorbell(Doorbell):
    """`url` as redis-py takes it. Raises ValueError for one that it does not."""

    def __init__(self, url: str, channel: str) -> None:
        self._url, self._channel = url, channel
        self._ringer = Redis.from_url(
            url,
            socket_connect_timeout=RING_PATIENCE,
            socket_timeout=RING_PATIENCE,
            retry=Retry(NoBackoff(), 0),  # who waits here is a sender
        )
        self._is_dead = False
        self._try_again = float("-inf")

    def ring(self) -> None:
        super().ring()
        transaction.on_commit(self._publish, robust=True)

    def _publish(self) -> None:
        if time.monotonic() < self._try_again:
            return
        try:
            self._ringer.publish(self._channel, b"")
        except (RedisError, OSError) as failure:
            self._try_again = time.monotonic() + BREAK
            if not self._is_dead:
                logger.warning("Redis takes no rings, other processes hear later (%s)", failure)
            self._is_dead = True
        else:
            if self._is_dead:
                logger.info("Redis takes rings again")
            self._is_dead = False

    async def rings(self) -> AsyncGenerator[None]:
        client = aioredis.Redis.from_url(
            self._url,
            socket_connect_timeout=ECHO,
            socket_timeout=ECHO,
            retry=AsyncRetry(NoBackoff(), 0),  # how often to try is the hub's to say
        )
        async with aclosing(client), aclosing(client.pubsub()) as listener:
            await listener.subscribe(self._channel)
            if not await listener.get_message(timeout=ECHO):
                raise Deaf(f"Redis does not answer within {ECHO:g} s")
            while True:
                yield
                if await listener.get_message(timeout=QUIET):
                    continue
                await listener.ping()
                if not await listener.get_message(timeout=ECHO):
                    raise Deaf(f"Redis does not answer within {ECHO:g} s")
