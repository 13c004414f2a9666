"""A stream goes a shorter way than other requests, where it can; and what that must not change."""

import asyncio
import importlib.util
import re
from functools import partial
from importlib import import_module
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from notifications import EVERYONE, asend, stream
from notifications.hub import Hub
from notifications.stepping import begin, can_step
from notifications.stream import Stream
from tests.replica import admission
from tests.server import COMMANDS
from tests.until import until

WAYS = ["synchronous", "asynchronous", "wrapping"]  # the first goes the short way
GRANIAN = ["granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", "{port}", "--no-log"]
GRANIAN += ["--workers-kill-timeout", "1"]


# ---------------------------------------------------------------- a coroutine, stepped by hand


async def test_what_does_not_wait_is_done_in_one_step():
    done = []

    async def work() -> None:
        done.append(1)

    assert begin(work()) is None
    assert done == [1]


async def test_what_waits_is_finished_by_a_task():
    done, gate = [], asyncio.Event()

    async def work() -> None:
        await gate.wait()
        await asyncio.sleep(0)
        done.append(1)

    rest = begin(work())
    assert rest
    task = asyncio.ensure_future(_awaited(rest))
    await asyncio.sleep(0)
    assert not done
    gate.set()
    await task
    assert done == [1]


async def test_what_it_raises_arrives_before_and_after_the_first_wait():
    gate = asyncio.Event()

    async def at_once() -> None:
        raise OSError("gone")

    async def later() -> None:
        await gate.wait()
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        begin(at_once())
    rest = begin(later())
    assert rest
    gate.set()
    with pytest.raises(OSError, match="gone"):
        await rest


async def test_its_cancellation_arrives_where_it_waits():
    cleaned = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(1)

    rest = begin(work())
    assert rest
    task = asyncio.ensure_future(_awaited(rest))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert cleaned == [1]


async def _awaited(rest: Any) -> None:
    await rest


# --------------------------------------------------------------- a stream, driven by the hub


class Reader:
    """A server's end of one stream: `sent` are the bodies that the stream has sent so far."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.sent: list[bytes] = []
        self.is_over = False
        self.takes = asyncio.Event()  # cleared: it is slow
        self.takes.set()
        self._leaves = asyncio.Event()
        self._task = asyncio.create_task(stream.drive(self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        await self._leaves.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        await self.takes.wait()
        assert not self.is_over, "nothing after the end"
        self.sent.append(message["body"])
        self.is_over = not message["more_body"]
        if self.is_over:
            self._leaves.set()

    async def leave(self) -> None:
        self._leaves.set()
        await self._task

    def titles(self) -> list[str]:
        return re.findall(r'"title":"(.*?)"', b"".join(self.sent).decode())


@pytest.fixture
async def hub(people):
    """A hub that looks when it is told to, and only then."""
    one = Hub()
    await one.look()
    yield one
    await one.stop()
    await sync_to_async(connections.close_all)()


async def reader_of(hub: Hub, user: Any) -> Reader:
    """One who is live, has had the first state, and from now on remembers what is sent."""
    reader = Reader(Stream(hub, await sync_to_async(admission)(user), None))
    await until(lambda: reader.stream.live)
    await hub.look()
    assert b"event: state" in reader.sent[-1]
    reader.sent.clear()
    return reader


async def test_what_one_look_brings_is_sent_in_one_piece_made_once_for_all(hub, people):
    alice, bob = await reader_of(hub, people.alice), await reader_of(hub, people.bob)
    for title in "abc":
        await asend(title, to=EVERYONE)
    await asend("for bob", to=[people.bob])
    await asend("d", to=EVERYONE)
    await hub.look()
    assert alice.titles() == ["a", "b", "c", "d"]
    assert bob.titles() == ["a", "b", "c", "for bob", "d"]
    assert len(alice.sent) == len(bob.sent) == 1
    carol = await reader_of(hub, people.root)
    await asend("e", to=EVERYONE)
    await hub.look()
    assert alice.sent[1] is bob.sent[1] is carol.sent[0]
    for reader in (alice, bob, carol):
        await reader.leave()


async def test_what_comes_while_a_reader_is_slow_waits_and_arrives_in_order(hub, people):
    alice, bob = await reader_of(hub, people.alice), await reader_of(hub, people.bob)
    alice.takes.clear()
    for title in "abc":
        await asend(title, to=EVERYONE)
        await hub.look()
    assert (alice.titles(), bob.titles()) == ([], ["a", "b", "c"])
    assert not alice.stream.is_idle
    alice.takes.set()
    await until(lambda: alice.stream.is_idle)
    assert alice.titles() == ["a", "b", "c"]
    assert len(alice.sent) == 2  # what it was slow with, and what came meanwhile
    await asend("d", to=EVERYONE)
    await hub.look()
    assert alice.titles() == ["a", "b", "c", "d"]
    await alice.leave()
    await bob.leave()


async def test_a_slow_reader_still_gets_its_bye_and_a_proper_end(hub, people):
    alice = await reader_of(hub, people.alice)
    alice.takes.clear()
    await asend("a", to=EVERYONE)
    await hub.look()
    alice.stream.end("drain")
    alice.takes.set()
    await until(lambda: alice.is_over)
    assert alice.titles() == ["a"]
    assert b'{"reason":"drain"}' in b"".join(alice.sent)
    await alice.leave()
    assert not hub.everyone()


async def test_one_that_takes_nothing_any_more_is_cut(hub, people, caplog):
    alice = await reader_of(hub, people.alice)
    alice.takes.clear()
    await asend("a", to=EVERYONE)
    await hub.look()
    alice.stream.end("slow")
    alice.stream.pulse(hub.time() + 3600)
    await alice.leave()
    assert not hub.everyone()
    assert not caplog.records


async def test_no_exception_of_a_send_that_fails_leaves_a_stream(hub, people):
    async def send(message: dict[str, Any]) -> None:
        raise OSError("gone")

    one = Stream(hub, await sync_to_async(admission)(people.alice), None)
    await one.drive(asyncio.Queue().get, send)
    assert not hub.everyone()


async def test_a_stream_that_has_sent_its_share_ends_after_what_it_sent(hub, people, monkeypatch):
    alice = await reader_of(hub, people.alice)
    monkeypatch.setattr(stream, "CREDIT", 1)
    await asend("a", to=EVERYONE)
    await hub.look()
    assert alice.is_over
    first, bye, last = alice.sent
    assert b'"title":"a"' in first
    assert b'{"reason":"lifetime"}' in bye
    assert last == b""
    await alice.leave()


# ------------------------------------------------------------------------------- which sends


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("uvicorn.protocols.http.h11_impl", "RequestResponseCycle.send"),
        ("daphne.server", "Server.handle_reply"),
    ],
)
def test_the_send_of_a_server_that_is_known_can_be_stepped(module, name):
    found: Any = import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    assert can_step(found)
    assert can_step(partial(found, None))


def test_no_other_send_is_stepped():
    async def of_a_wrapper(message: Any) -> None: ...

    assert not can_step(of_a_wrapper)
    assert not can_step(asyncio.Queue().put)
    assert not can_step(lambda message: None)


# ---------------------------------------------------------------------------- on real servers


@pytest.mark.parametrize("kind", sorted(COMMANDS))
@pytest.mark.parametrize("way", WAYS)
async def test_the_middleware_of_the_project_applies_to_streams(
    servers, browser, people, kind, way
):
    server = servers(kind, DJANGO_SETTINGS_MODULE="tests.middleware", MIDDLEWARE_OF=way)
    alice = await browser(server, people.alice)
    await alice.open()
    assert alice.response.headers["X-Seen-By"] == way
    assert alice.response.headers["X-Frame-Options"] == "DENY"  # Django's own too
    assert ("seen" in alice.response.cookies) == (way == "synchronous")
    await asend("first", to=[people.alice])
    assert await alice.read() == "first"
    await alice.close()
    await asend("while away", to=EVERYONE)
    await alice.come_back()
    assert await alice.read() == "while away"


@pytest.mark.parametrize("kind", sorted(COMMANDS))
@pytest.mark.parametrize("way", WAYS)
async def test_every_way_ends_as_it_should(servers, browser, people, kind, way):
    server = servers(kind, DJANGO_SETTINGS_MODULE="tests.middleware", MIDDLEWARE_OF=way)
    alice, bob = await browser(server, people.alice), await browser(server, people.bob)
    await alice.open()
    await alice.read_until("state")
    await alice.close()
    await until(lambda: server.connections() == 0)  # the reader goes
    await bob.open()
    stopping = asyncio.create_task(asyncio.to_thread(server.stop))
    assert await bob.bye() == "drain"  # the server goes
    assert (await stopping)[0] == 0


async def test_a_stranger_is_told_so_on_the_short_way_too(each_server, browser):
    stranger = await browser(each_server)
    answer = await stranger.get("/messages/stream/")
    assert (answer.status_code, answer.headers["Content-Type"]) == (401, "application/json")


@pytest.mark.skipif(not importlib.util.find_spec("granian"), reason="granian is not installed")
async def test_where_send_cannot_be_stepped_streams_go_the_ordinary_way(
    servers, browser, people, monkeypatch
):
    monkeypatch.setitem(COMMANDS, "granian", GRANIAN)
    server = servers("granian")
    try:
        alice = await browser(server, people.alice)
        await alice.open()
        await asend("over granian", to=EVERYONE)
        assert await alice.read() == "over granian"
        await alice.close()
        await asend("while away", to=EVERYONE)
        await alice.come_back()
        assert await alice.read() == "while away"
    finally:
        await asyncio.to_thread(server.stop)  # killed, it would leave its workers behind
