"""Many streams, slow ones, broken ones: what they cost, and that they harm nobody else."""

import asyncio
import contextlib
from collections import Counter

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.db.backends.utils import CursorWrapper

from notifications import EVERYONE, asend, send, withdraw
from notifications.running import RunningHub
from notifications.stream import BACKLOG, CREDIT, Stream
from tests.browser import Ended, new_session
from tests.people import crowd
from tests.server import Server
from tests.sockets import Sockets, read_to_end, stalled
from tests.until import until

FEW, MANY = 50, 500  # streams
READERS = 100  # each of another user, with a client that parses: five times as many as the few
STALLED = 8  # readers
LARGE = "大" * 10_000  # a body of 30 kB, twice in an event
FLOOD = 200  # of those: 12 MB for each reader
KERNEL = 4 * 2**20  # bytes that the sockets on both sides may hold
MEMORY = 64 * 2**20  # bytes; all that is sent to those who do not read would be 96 MB


@pytest.fixture
def sessions(people):
    """Of 50 people: ten streams each are within the cap."""
    return [new_session(user) for user in crowd(FEW)]


def database_handles(server: Server) -> int:
    """Files and sockets that connections to any database are made of."""
    name = str(connection.settings_dict["NAME"])
    return server.sockets() + sum(path.startswith(name) for path in server.open_files())


async def test_an_open_stream_holds_no_thread_and_no_database_connection(
    each_server, browser, sessions
):
    async with Sockets(each_server, sessions) as sockets:
        await sockets.open_up_to(FEW)
        await sockets.all_read_until(b"event: state")
        threads, handles = each_server.threads(), database_handles(each_server)
        await sockets.open_up_to(MANY)
        await sockets.all_read_until(b"event: state")
        await until(lambda: database_handles(each_server) <= handles)
        await until(lambda: each_server.threads() <= threads + 2)
        await asend("to all of you", to=EVERYONE)
        await sockets.all_read_until(b"to all of you")
        await until(lambda: database_handles(each_server) <= handles)
        assert each_server.threads() <= threads + 2
    await until(lambda: each_server.connections() == 0)
    await (await browser(each_server)).get("/healthz")  # a turn of its loop, and another
    await asyncio.to_thread(each_server.stop)
    assert "Draining 0 streams" in each_server.log  # all of them were forgotten


async def test_the_number_of_queries_does_not_depend_on_the_number_of_streams(
    inside, browser, people, monkeypatch
):
    """For a broadcast, its withdrawal, which changes everybody's counts, and a second of quiet."""
    queries = count_queries(monkeypatch)
    readers = [await browser(inside, user) for user in await acrowd(READERS)]
    found = []
    for some in (readers[:20], readers):
        for reader in some:
            if reader.response is None:
                await reader.open()
                await reader.state()
        before = queries.total()
        message = await asend("to all of you", to=EVERYONE)
        await asyncio.gather(*(reader.read() for reader in some))
        await sync_to_async(withdraw)(message)
        states = await asyncio.gather(*(reader.state() for reader in some))
        assert {state["unread"] for state in states} == {0}
        await asyncio.sleep(1)  # a rate needs a time
        found.append(queries.total() - before)
    few, many = found
    assert many <= few + 10, queries.most_common(5)


@sync_to_async
def acrowd(size):
    return crowd(size)


def count_queries(monkeypatch) -> "Counter[str]":
    """Counts the statements of all threads from now on."""
    queries: Counter[str] = Counter()
    execute = CursorWrapper.execute

    def counting(self, sql, params=None):
        queries[sql] += 1
        return execute(self, sql, params)

    monkeypatch.setattr(CursorWrapper, "execute", counting)
    return queries


async def test_a_reader_that_does_not_read_is_hung_up_on_and_harms_nobody_else(
    each_server, browser, people
):
    bob = await browser(each_server, people.bob)
    await bob.open()
    with contextlib.ExitStack() as stack:
        session = await sync_to_async(new_session)(people.alice)
        slow = [stack.enter_context(stalled(each_server, session)) for _ in range(STALLED)]
        memory = each_server.memory()
        flood = asyncio.create_task(sync_to_async(send_flood)())
        for number in range(FLOOD):
            assert await next_title(bob) == str(number)
        await flood
        grown = each_server.memory() - memory
        kept = [await asyncio.to_thread(read_to_end, reader) for reader in slow]
    assert grown < MEMORY
    assert max(kept) < CREDIT + BACKLOG + KERNEL < FLOOD * 60_000


def send_flood() -> None:
    for number in range(FLOOD):
        send(str(number), to=EVERYONE, body=LARGE)


async def next_title(reader) -> str:
    """Of the next message, also when the stream has to be opened anew for it."""
    while (event := await reader.event()).name != "message":
        if event.name == "bye":
            await reader.come_back()
    return event.data["title"]


async def test_a_stream_that_was_closed_is_forgotten(inside, browser, people):
    readers = [await browser(inside, user) for user in (people.alice, people.alice, people.bob)]
    for reader in readers:
        await reader.open()
    (hub,) = RunningHub.all()
    assert {pk: len(streams) for pk, streams in hub.streams.items()} == {
        people.alice.pk: 2,
        people.bob.pk: 1,
    }
    await readers[0].close()
    assert len(hub.streams[people.alice.pk]) == 1
    for reader in readers:
        await reader.close()
    assert hub.streams == {}


@pytest.mark.usefixtures("inside")  # ends the hub
async def test_a_body_that_nobody_iterates_leaves_nothing_behind(async_client, people):
    await async_client.aforce_login(people.alice)
    response = await async_client.get("/messages/stream/")
    (hub,) = RunningHub.all()
    assert hub.streams == {}
    response.close()
    assert hub.streams == {}


async def test_an_error_inside_a_stream_is_logged_and_harms_nobody(
    inside, browser, people, monkeypatch, caplog
):
    alice, bob = await browser(inside, people.alice), await browser(inside, people.bob)
    await alice.open()
    await bob.open()
    break_once(monkeypatch, people.alice)
    await asend("hello", to=EVERYONE)
    with contextlib.suppress(Ended):
        await alice.read_until("never")
    assert await bob.read() == "hello"
    (record,) = [record for record in caplog.records if record.exc_info]
    assert "fuse" in str(record.exc_info[1])
    await alice.come_back()
    assert await alice.read() == "hello"


def break_once(monkeypatch, user) -> None:
    """The next chunk of this user's stream fails."""
    take, fuse = Stream._take, [user.pk]

    def failing(self):
        if self.user_id in fuse:
            fuse.clear()
            raise RuntimeError("the fuse has blown")
        return take(self)

    monkeypatch.setattr(Stream, "_take", failing)
