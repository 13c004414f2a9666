"""One contract for all doorbells: who publishes is heard in every process, and what breaks is said.

Polling and Redis on every database; SQLite's and PostgreSQL's own on theirs.
"""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sqlite3
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from asgiref.sync import sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, connections, transaction
from psycopg import OperationalError
from redis import Redis as RedisClient
from redis import RedisError

from notifications import EVERYONE, asend, doorbell, running, send
from notifications.doorbell_polling import Deaf, Doorbell, PollingDoorbell, rung
from notifications.doorbell_sqlite import SqliteDoorbell, _Glances
from notifications.running import RunningHub
from tests.proxy import Proxy
from tests.server import python
from tests.services import Redis
from tests.until import until

NEVER = 3600.0  # s
OF_DATABASE = {"sqlite": ["sqlite"], "postgresql": ["postgres"]}.get(connection.vendor, [])
CARRIERS = [*(kind for kind in OF_DATABASE if kind == "postgres"), "redis"]  # by a connection
ALL = ["polling", "redis", *OF_DATABASE]
linux = pytest.mark.skipif(sys.platform != "linux", reason="Only Linux tells of writes")
LISTENING_ALONE = "tests.listening_alone:application"
SEND = "from notifications import EVERYONE, send; send('from elsewhere', to=EVERYONE)"


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture
def url(kind: str, request: pytest.FixtureRequest) -> str:
    """NOTIFICATIONS_DOORBELL for this kind of doorbell."""
    if kind == "redis":
        return request.getfixturevalue("redis").url
    return "polling" if kind == "polling" else ""


@pytest.fixture
def bell(kind: str, url: str, settings: Any, transactional_db: None) -> Iterator[Doorbell]:
    """The doorbell of this kind, and it is that of the settings."""
    settings.NOTIFICATIONS_DOORBELL = url
    yield doorbell.current()
    doorbell._redis.cache_clear()
    gc.collect()


class Ear:
    """Hears a doorbell as long as `listening` lasts."""

    def __init__(self) -> None:
        self.heard = 0
        self._before = 0

    async def hears(self) -> None:
        """Return when it has heard something that it had not when this was last asked."""
        await until(lambda: self.heard > self._before)
        self._before = self.heard


@asynccontextmanager
async def listening(bell: Doorbell) -> AsyncIterator[Ear]:
    ear = Ear()

    async def listen() -> None:
        async with aclosing(bell.rings()) as rings:
            async for _ in rings:
                ear.heard += 1

    task = asyncio.create_task(listen())
    try:
        await ear.hears()  # the first yield: from here on it hears
        yield ear
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


# ----------------------------------------------------------------------------------- the contract


@pytest.mark.parametrize("kind", ALL)
async def test_who_publishes_in_another_thread_is_heard(bell):
    async with listening(bell) as ear:
        await asend("from a thread", to=EVERYONE)
        await ear.hears()
    await disconnect()


@pytest.mark.parametrize("kind", ALL)
async def test_who_publishes_in_another_process_is_heard(bell, url):
    async with listening(bell) as ear:
        await elsewhere(SEND, url)
        await ear.hears()


@pytest.mark.parametrize("kind", ALL)
async def test_each_of_many_hubs_hears_it(bell):
    async with AsyncExitStack() as stack:
        ears = [await stack.enter_async_context(listening(bell)) for _ in range(5)]
        await asend("to all hubs", to=EVERYONE)
        for ear in ears:
            await ear.hears()
    await disconnect()


@pytest.mark.parametrize("kind", CARRIERS)
async def test_who_rolls_back_is_not_heard(bell):
    async with listening(bell) as ear:
        await sync_to_async(ring_and_roll_back)()
        await sync_to_async(doorbell.ring)()
        await ear.hears()
        await sync_to_async(doorbell.ring)()
        await ear.hears()
        assert ear.heard == 3  # the first, which says that it hears, and these two
    await disconnect()


def ring_and_roll_back() -> None:
    with transaction.atomic():
        doorbell.ring()
        transaction.set_rollback(True)


@pytest.mark.parametrize("kind", CARRIERS)
async def test_rings_of_one_transaction_are_few_and_a_hundred_senders_make_few_looks(
    bell, inside, browser, people, monkeypatch
):
    monkeypatch.setattr(running, "LOOK_ANYWAY", NEVER)
    alice = await browser(inside, people.alice)
    await alice.open()
    (hub,) = RunningHub.all()
    await until(lambda: hub.hears is True)
    looks = count_calls(monkeypatch, hub, "look")
    await sync_to_async(ring_often)(100)
    await asend("after many rings", to=EVERYONE)
    assert await alice.read() == "after many rings"
    assert len(looks) < 50


def ring_often(times: int) -> None:
    for _ in range(times):
        doorbell.ring()


def count_calls(monkeypatch, thing: Any, name: str) -> list[None]:
    calls: list[None] = []
    original = getattr(thing, name)

    def counted(*args: Any) -> Any:
        calls.append(None)
        return original(*args)

    monkeypatch.setattr(thing, name, counted)
    return calls


@pytest.mark.parametrize("kind", ALL)
async def test_who_stops_listening_leaves_nothing_behind(bell):
    async with listening(bell), listening(bell):
        pass  # what is made once is made; and SQLite keeps the files of the closed for the next
    before = holdings()
    async with listening(bell):
        pass  # cancelled while it waits
    rings = bell.rings()
    await anext(rings)
    await rings.aclose()  # closed while it rests
    async with listening(bell), listening(bell):
        pass
    await until(lambda: all(now <= then for now, then in zip(holdings(), before, strict=True)))


def holdings() -> tuple[int, int, int]:
    """Open files and connections, threads, tasks."""
    gc.collect()  # what others have left
    return psutil.Process().num_fds(), threading.active_count(), len(asyncio.all_tasks())


async def test_a_hub_hears_its_own_process_whatever_carries_the_rings(
    inside, browser, people, monkeypatch
):
    monkeypatch.setattr(running, "LOOK_ANYWAY", NEVER)
    monkeypatch.setattr(doorbell, "current", lambda: PollingDoorbell(NEVER))
    alice = await browser(inside, people.alice)
    await alice.open()
    await asend("from next door", to=EVERYONE)
    assert await alice.read() == "from next door"


# ------------------------------------------------------------------------------- on a real server


@pytest.mark.parametrize("kind", ALL)
async def test_a_message_of_another_process_comes_by_the_bell_alone(
    bell, url, servers, browser, people
):
    # This server never looks by itself.
    server = servers("daphne", application=LISTENING_ALONE, NOTIFICATIONS_DOORBELL=url)
    alice = await browser(server, people.alice)
    await alice.open()
    for _ in range(3):
        await elsewhere(SEND, url)
        assert await alice.read() == "from elsewhere"
    assert (await alice.get("/readyz")).json() == {"ready": True, "doorbell": "heard"}


# -------------------------------------------------------------------------------- when it is deaf


@pytest.mark.parametrize("kind", CARRIERS)
async def test_a_listener_whose_connection_is_cut_hears_again_and_what_it_missed_comes_too(
    bell, url, redis, inside, browser, people, monkeypatch, caplog
):
    monkeypatch.setattr(running, "LOOK_ANYWAY", NEVER)
    monkeypatch.setattr(running, "DEAF_PAUSE", (0.05, 0.05))
    caplog.set_level(logging.INFO, "notifications")
    alice = await browser(inside, people.alice)
    await alice.open()
    (hub,) = RunningHub.all()
    await until(lambda: hub.hears is True)
    assert await sync_to_async(cut)(redis) == 1
    await elsewhere(SEND, url)
    assert await alice.read() == "from elsewhere"
    await until(lambda: hub.hears is True)
    # A driver may come back without a word; or it is said, once.
    assert said(caplog) in ([], ["WARNING", "INFO"])


def cut(redis: Redis) -> int:
    """End the connections of all that listen; how many there were."""
    with RedisClient(port=redis.port) as client:
        count = client.client_kill_filter(_type="pubsub")
    if connection.vendor == "postgresql":
        with connection.cursor() as sql:
            sql.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'doorbell' AND datname = current_database()"
            )
            count += sql.rowcount
    return count


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The levels of what the log says of the doorbell."""
    return [each.levelname for each in caplog.records if "doorbell" in each.getMessage()]


@pytest.mark.parametrize("kind", CARRIERS)
async def test_a_connection_that_has_died_without_a_word_is_noticed(
    bell, kind, redis, settings, monkeypatch
):
    module = sys.modules[f"notifications.doorbell_{kind}"]
    monkeypatch.setattr(module, "QUIET", 0.2)
    monkeypatch.setattr(module, "ECHO", 1.0)
    port = redis.port if kind == "redis" else int(connection.settings_dict["PORT"] or 5432)
    async with Proxy.to(port) as wire, listening_through(wire, kind, settings) as rings:
        for _ in range(3):  # in silence it hears itself, and so knows that it hears
            await anext(rings)
        wire.go_dead()
        with pytest.raises((Deaf, OperationalError, RedisError)):
            async with asyncio.timeout(20):
                await follow(rings)


@asynccontextmanager
async def listening_through(
    wire: Proxy, kind: str, settings: Any
) -> AsyncIterator[AsyncGenerator[None]]:
    if kind == "redis":
        settings.NOTIFICATIONS_DOORBELL = f"redis://127.0.0.1:{wire.port}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(connection.settings_dict, "PORT", str(wire.port))
        async with aclosing(doorbell.current().rings()) as rings:
            yield rings


async def follow(rings: AsyncGenerator[None]) -> None:
    async for _ in rings:
        pass


class Bell(Doorbell):
    """Is heard as long as it is told to be."""

    def __init__(self) -> None:
        self.works = True
        self.tries = 0

    def ring(self) -> None:
        pass

    async def rings(self) -> AsyncGenerator[None]:
        self.tries += 1
        while self.works:
            yield
            await asyncio.sleep(0.01)
        raise Deaf("cotton wool")


async def test_deafness_is_said_once_and_in_readyz_while_messages_come_at_a_slower_pace(
    inside, browser, people, monkeypatch, caplog
):
    bell = Bell()
    monkeypatch.setattr(doorbell, "current", lambda: bell)
    monkeypatch.setattr(running, "DEAF_PAUSE", (0.01, 0.02))
    caplog.set_level(logging.INFO, "notifications")
    alice = await browser(inside, people.alice)
    assert (await alice.get("/readyz")).json() == {"ready": True}  # nobody listens yet
    await alice.open()
    (hub,) = RunningHub.all()
    for times in (1, 2):
        await until(lambda: hub.hears is True)
        assert (await alice.get("/readyz")).json() == {"ready": True, "doorbell": "heard"}
        bell.works, tries = False, bell.tries
        await until(lambda: bell.tries > tries + 3)  # noqa: B023
        answer = await alice.get("/readyz")
        assert (answer.status_code, answer.json()) == (200, {"ready": True, "doorbell": "deaf"})
        await asend("while it was deaf", to=EVERYONE)
        assert await alice.read() == "while it was deaf"
        bell.works = True
        await until(lambda: hub.hears is True)
        await until(lambda: said(caplog) == ["WARNING", "INFO"] * times)  # noqa: B023


async def test_who_cannot_listen_tries_ever_more_rarely(inside, browser, people, monkeypatch):
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    bell = Bell()
    bell.works = False
    monkeypatch.setattr(doorbell, "current", lambda: bell)
    alice = await browser(inside, people.alice)
    await alice.open()
    (hub,) = RunningHub.all()
    await until(lambda: bell.tries > 0)
    monkeypatch.setattr(asyncio, "sleep", note)
    following = asyncio.create_task(hub._follow_bell())
    while len(pauses) < 10:
        await sleep(0.001)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    following.cancel()
    shortest, longest = running.DEAF_PAUSE
    assert shortest / 2 <= pauses[0] <= shortest
    assert longest / 2 <= pauses[9] <= longest
    assert len(set(pauses)) == len(pauses)  # at random


# ---------------------------------------------------------------------------- when Redis is dead


async def test_redis_goes_and_comes_back_and_nothing_is_lost(
    inside, browser, people, settings, monkeypatch
):
    monkeypatch.setattr(running, "DEAF_PAUSE", (0.1, 0.2))
    with Redis() as redis:
        settings.NOTIFICATIONS_DOORBELL = redis.url
        alice = await browser(inside, people.alice)
        await alice.open()
        (hub,) = RunningHub.all()
        await until(lambda: hub.hears is True)
        redis.stop(signal.SIGKILL)
        for _ in range(3):
            await elsewhere(SEND, redis.url)
            assert await alice.read() == "from elsewhere"
        await until(lambda: hub.hears is False)
        redis.start()
        await until(lambda: hub.hears is True)
        await elsewhere(SEND, redis.url)
        assert await alice.read() == "from elsewhere"
    doorbell._redis.cache_clear()


class Hanging:
    """Takes connections and never says a word, as a Redis that is stopped."""

    def __enter__(self) -> "Hanging":
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self.socket.getsockname()[1]}"
        return self

    def __exit__(self, *_: Any) -> None:
        self.socket.close()

    def connections(self) -> int:
        """How many have been made since this was last asked."""
        self.socket.setblocking(False)
        count = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                self.socket.accept()[0].close()
                count += 1
        return count


def test_a_sender_waits_for_a_hanging_redis_once_in_a_while_and_not_for_ever(
    people, settings, monkeypatch, caplog
):
    with Hanging() as redis:
        settings.NOTIFICATIONS_DOORBELL = redis.url
        sent = [send("whether it rings or not", to=EVERYONE) for _ in range(5)]
        assert all(message.position for message in sent)
        assert redis.connections() == 1  # the others did not even try
        monkeypatch.setattr("notifications.doorbell_redis.BREAK", 0.0)
        doorbell.current()._try_again = 0.0
        send("after a while", to=EVERYONE)
        send("and again", to=EVERYONE)
        assert redis.connections() == 2
    assert len([each for each in caplog.records if "Redis" in each.getMessage()]) == 1
    doorbell._redis.cache_clear()


@pytest.mark.django_db(transaction=True)
def test_who_is_rung_for_and_fails_harms_nobody_who_sends(settings, caplog):
    settings.NOTIFICATIONS_DOORBELL = "polling"

    def breaks(**_: Any) -> None:
        raise RuntimeError("no loop")

    rung.connect(breaks)
    try:
        assert send("x", to=EVERYONE).position == 1
    finally:
        rung.disconnect(breaks)
    assert "no loop" in caplog.text
    assert "AttributeError" not in caplog.text


async def test_a_doorbell_that_fails_harms_nobody_who_sends(people, monkeypatch, caplog):
    def fail() -> Doorbell:
        raise ImproperlyConfigured("no such doorbell")

    monkeypatch.setattr(doorbell, "current", fail)
    assert (await asend("in spite of it", to=EVERYONE)).position
    assert "cannot be rung" in caplog.text
    await disconnect()


# --------------------------------------------------------------------------------- SQLite's file


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "file.sqlite3")


def writing(path: str, journal: str = "WAL") -> closing[sqlite3.Connection]:
    """Another connection to that file."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA journal_mode={journal}")
    connection.execute("CREATE TABLE written (text)")
    return closing(connection)


WRITE = "INSERT INTO written VALUES ('something')"


@linux
@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
async def test_a_file_that_is_written_to_is_looked_at_long_before_its_time(path, journal):
    with writing(path, journal) as writer:
        async with listening(SqliteDoorbell(path, NEVER)) as ear:
            for _ in range(3):
                writer.execute(WRITE)
                await ear.hears()


class Late(sqlite3.Connection):
    """One that learns of a commit only when it has asked five times."""

    asked = 0
    first: Any

    def execute(self, sql: str, *args: Any) -> Any:
        found = super().execute(sql, *args)
        if sql != "PRAGMA data_version":
            return found
        self.asked += 1
        if self.asked == 1:
            self.first = found.fetchone()
        return SimpleNamespace(fetchone=lambda: self.first) if self.asked < 6 else found


@linux
async def test_what_is_committed_a_while_after_it_is_written_is_heard_soon_too(path):
    with writing(path) as writer, glancing(path, Late) as glances:
        writer.execute(WRITE)
        async with asyncio.timeout(20):
            await glances.changed.wait()


@linux
async def test_who_writes_without_a_pause_does_not_put_off_the_glance(path):
    with writing(path) as writer, glancing(path) as glances:
        writer.execute(WRITE)
        glances._on_write()
        due = glances._timer.when()
        writer.execute(WRITE)
        glances._on_write()
        assert glances._timer.when() == due


@contextmanager
def glancing(path: str, kind: type[sqlite3.Connection] = sqlite3.Connection) -> Iterator[_Glances]:
    """By hand, and never by themselves."""
    with (
        closing(sqlite3.connect(path, factory=kind)) as connection,
        closing(_Glances(connection, NEVER)) as glances,
    ):
        glances.changed.clear()
        yield glances


@pytest.mark.parametrize("error", [ImportError, OSError])
async def test_a_file_that_cannot_be_watched_is_glanced_at(path, monkeypatch, error):
    monkeypatch.setitem(sys.modules, "asyncinotify", Unwatchable(error))
    with writing(path) as writer:
        async with listening(SqliteDoorbell(path)) as ear:
            writer.execute(WRITE)
            await ear.hears()


class Unwatchable:
    """A module of which nothing can be had."""

    def __init__(self, error: type[Exception]) -> None:
        self.error = error

    def __getattr__(self, name: str) -> Any:
        raise self.error(name)


async def test_a_database_in_memory_is_glanced_at():
    uri = "file:shared?mode=memory&cache=shared"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as writer:
        writer.execute("CREATE TABLE written (text)")
        async with listening(SqliteDoorbell(uri)):
            pass


# ------------------------------------------------------------------------------------ the setting


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ("carrier-pigeon://loft", "is not known"),
        ("amqp://alice:hush@host", "is not known"),
        ("postgres", "is not known"),
        ("redis://alice:hush@host:port", "is not an address of Redis"),
        ("redis://host:port", "write redis://HOST:PORT"),
    ],
)
def test_a_doorbell_that_cannot_be_is_refused_with_what_to_write_instead(settings, value, advice):
    settings.NOTIFICATIONS_DOORBELL = value
    with pytest.raises(ImproperlyConfigured, match=advice) as refusal:
        doorbell.current()
    assert "hush" not in str(refusal.value)  # a password must not end in a log


def test_a_driver_that_is_missing_is_named(settings, monkeypatch):
    settings.NOTIFICATIONS_DOORBELL = "redis://nowhere.invalid"
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.delitem(sys.modules, "notifications.doorbell_redis", raising=False)
    with pytest.raises(ImproperlyConfigured, match="install"):
        doorbell.current()


@pytest.mark.parametrize("scheme", ["redis://127.0.0.1", "rediss://host:6380/1", "unix:///a/b"])
def test_redis_has_three_kinds_of_addresses(settings, scheme):
    settings.NOTIFICATIONS_DOORBELL = scheme
    assert type(doorbell.current()).__name__ == "RedisDoorbell"


def test_two_sites_on_one_redis_do_not_ring_each_other():
    url = "redis://127.0.0.1"
    ours, theirs = doorbell._redis(url, "/srv/ours.sqlite3"), doorbell._redis(url, "theirs")
    assert (ours._channel, theirs._channel) == (
        "notifications:ours.sqlite3",
        "notifications:theirs",
    )


def test_without_a_word_the_database_decides(settings):
    settings.NOTIFICATIONS_DOORBELL = ""
    kinds = {"sqlite": "SqliteDoorbell", "postgresql": "PostgresDoorbell"}
    assert type(doorbell.current()).__name__ == kinds.get(connection.vendor, "PollingDoorbell")
    settings.NOTIFICATIONS_DOORBELL = "polling"
    assert type(doorbell.current()) is PollingDoorbell


async def elsewhere(code: str, url: str) -> None:
    """Run this in another process of the site, to its end."""
    with python(code, NOTIFICATIONS_DOORBELL=url) as process:
        _, errors = await asyncio.to_thread(process.communicate)
    assert process.returncode == 0, errors


async def disconnect() -> None:
    await sync_to_async(connections.close_all)()  # in the thread that async tests query from
