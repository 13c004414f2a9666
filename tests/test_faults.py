"""The database goes away, breaks off, has no room left; Redis dies: no message is lost or doubled.

On servers of the test's own; the database is of the kind that the suite runs on.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from django.db import connection

from tests.browser import Browser
from tests.follower import Follower
from tests.sender import Refused, Sender
from tests.server import COMMANDS, Server
from tests.services import MariaDB, PostgreSQL, Redis, SmallDisk
from tests.until import until

SOME = 5  # messages before and after
PAUSE = 0.02  # s between one send and the next
PATIENCE = 30.0  # s for servers to notice, and to recover


@dataclass(frozen=True)
class Trouble:
    """What is done to a database, and how it ends."""

    begin: Callable[[Any], None]
    end: Callable[[Any], None] | None = None  # None: it is over at once
    ready: bool = False  # whether servers can serve meanwhile: read, if not write


DATABASES = {"postgresql": PostgreSQL, "mysql": MariaDB, "sqlite": SmallDisk}
TROUBLES = {
    "postgresql": {
        "restarted": Trouble(lambda server: server.restart(signal.SIGINT)),
        "crashed": Trouble(lambda server: server.restart(signal.SIGQUIT)),
        "its connections cut": Trouble(PostgreSQL.cut),
        "away": Trouble(lambda server: server.stop(signal.SIGINT), PostgreSQL.start),
    },
    "mysql": {
        "restarted": Trouble(lambda server: server.restart(signal.SIGTERM)),
        "crashed": Trouble(lambda server: server.restart(signal.SIGKILL)),
        "its connections cut": Trouble(MariaDB.cut),
        "away": Trouble(lambda server: server.stop(signal.SIGTERM), MariaDB.start),
    },
    "sqlite": {"its disk full": Trouble(SmallDisk.fill, SmallDisk.free, ready=True)},
}[connection.vendor]


@pytest.fixture(scope="module")
def database() -> Iterator[Any]:
    with DATABASES[connection.vendor]() as database:
        with Sender(DATABASE_URL=database.url) as sender:
            sender.migrate()
        yield database


@pytest.fixture
def two_servers(database, tmp_path) -> Iterator[list[Server]]:
    started = [Server(kind, tmp_path, DATABASE_URL=database.url) for kind in sorted(COMMANDS)]
    for server in started:
        server.start()
    yield started
    for server in started:
        server.kill()


@pytest.mark.parametrize("name", TROUBLES)
async def test_whatever_happens_to_the_database_nothing_is_lost_or_doubled(
    name, database, two_servers
):
    trouble = TROUBLES[name]
    async with AsyncExitStack() as stack:
        sender = stack.enter_context(Sender(DATABASE_URL=database.url))
        followers = [
            await stack.enter_async_context(Follower(server, session=sender.log_in()))
            for server in two_servers
        ]
        async with keep_sending(sender) as sending:
            await until(lambda: len(sending.sent) >= SOME, PATIENCE)
            await asyncio.to_thread(trouble.begin, database)
            if trouble.end:
                await until(lambda: bool(sending.refused), PATIENCE)  # sending raises
                for server, follower in zip(two_servers, followers, strict=True):
                    await until(lambda server=server: is_ready(server) == trouble.ready, PATIENCE)
                    late = Browser(server, session=follower.session)
                    stack.push_async_callback(late.quit)
                    first = await late.open(last_event_id=follower.cursor)  # with 200
                    assert first.name == ("ready" if trouble.ready else "bye")
                    assert late.retry
                await asyncio.to_thread(trouble.end, database)
            goal = len(sending.sent) + SOME
            await until(lambda: len(sending.sent) >= goal, PATIENCE)
            for server in two_servers:
                await until(lambda server=server: is_ready(server), PATIENCE)
        for follower in followers:
            await follower.has(sending.sent[-1])
            assert list(follower.shown().values()) == sending.sent  # nothing lost, nothing doubled
            snapshot = (await follower.get("/messages/snapshot/")).json()
            assert snapshot["unread"] == len(sending.sent)
        messages, positions = sender.log()
        assert positions == list(range(1, messages + 1))  # nothing half written


async def test_a_dead_redis_costs_latency_never_a_message(servers):
    with Redis() as redis:
        two = [servers(kind, NOTIFICATIONS_DOORBELL=redis.url) for kind in sorted(COMMANDS)]
        async with AsyncExitStack() as stack:
            sender = stack.enter_context(Sender(NOTIFICATIONS_DOORBELL=redis.url))
            followers = [
                await stack.enter_async_context(Follower(server, session=sender.log_in()))
                for server in two
            ]
            async with keep_sending(sender) as sending:
                for heard in (True, False, True):
                    for server in two:
                        await until(lambda server=server: hears(server) == heard, PATIENCE)  # noqa: B023
                    goal = len(sending.sent) + SOME
                    await until(lambda: len(sending.sent) >= goal, PATIENCE)  # noqa: B023
                    for follower in followers:
                        await follower.has(sending.sent[-1])
                    if redis.process:
                        await asyncio.to_thread(redis.stop, signal.SIGKILL)
                    else:
                        await asyncio.to_thread(redis.start)
            for follower in followers:
                await follower.has(sending.sent[-1])
                assert list(follower.shown().values()) == sending.sent
                assert follower.opened == 1  # no stream has ended
        assert not sending.refused
        assert all(map(is_ready, two))


def is_ready(server: Server) -> bool:
    """What /readyz says; nothing but yes and no will do."""
    status = httpx.get(f"{server.url}/readyz", trust_env=False, timeout=PATIENCE).status_code
    assert status in (200, 503)
    return status == 200


def hears(server: Server) -> bool:
    """Whether it hears its doorbell, as /readyz says."""
    answer = httpx.get(f"{server.url}/readyz", trust_env=False, timeout=PATIENCE)
    assert answer.status_code == 200
    return answer.json()["doorbell"] == "heard"


class Sending:
    """Sends one message after the other, and each until that does not raise."""

    def __init__(self, sender: Sender) -> None:
        self.sender = sender
        self.tried = 0
        self.sent: list[str] = []
        self.refused: list[Refused] = []
        self.goes_on = True

    async def run(self) -> None:
        while self.goes_on:
            self.tried += 1
            await self._insist(f"message {self.tried} of {id(self)}")
            await asyncio.sleep(PAUSE)

    async def _insist(self, title: str) -> None:
        while title not in self.sent:
            try:
                # The title is its key: what was committed before it raised is not sent again.
                await asyncio.to_thread(self.sender.send, title)
                self.sent.append(title)
            except Refused as refused:
                self.refused.append(refused)
                await asyncio.sleep(PAUSE)


@asynccontextmanager
async def keep_sending(sender: Sender) -> AsyncIterator[Sending]:
    """From the beginning of the block to its end."""
    sending = Sending(sender)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(sending.run())
        try:
            yield sending
        finally:
            sending.goes_on = False
