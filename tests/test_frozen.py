"""A server process that stands still for a while, and goes on as if nothing had happened.

Seconds would do nothing that a moment does not: what it missed is what was published meanwhile,
and the rest is the kernel's, which keeps its connections.
"""

import asyncio
import signal
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async

from notifications import EVERYONE, asend
from notifications.pruning import prune
from tests.server import python

# Freezes in the middle of publishing: with the lock on the head of the log.
FROZEN_PUBLISHER = """
import os, signal
from notifications import EVERYONE, publishing, send

def freeze():
    print("locked", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)

publishing.doorbell.ring = freeze
send("thawed", to=EVERYONE)
"""
TITLES = ["one", "two", "three"]


async def test_a_frozen_process_harms_nobody_else_and_its_own_readers_lose_nothing(
    servers, browser, people
):
    frozen, other = servers("daphne"), servers("uvicorn")
    alice, bob = await browser(frozen, people.alice), await browser(other, people.bob)
    await alice.open()
    await bob.open()
    frozen.process.send_signal(signal.SIGSTOP)
    for title in TITLES:
        await asend(title, to=EVERYONE)
        assert await bob.read() == title
    frozen.process.send_signal(signal.SIGCONT)
    for title in TITLES:
        assert await alice.read() == title
    assert await alice.is_silent()


async def test_readers_of_a_process_that_was_frozen_while_the_log_was_pruned_start_anew(
    servers, browser, people
):
    server = servers("daphne")
    alice = await browser(server, people.alice)
    await alice.open()
    await asend("before", to=EVERYONE)
    assert await alice.read() == "before"
    server.process.send_signal(signal.SIGSTOP)
    for title in TITLES:
        await asend(title, to=EVERYONE)
    await sync_to_async(prune)(timedelta(0))
    server.process.send_signal(signal.SIGCONT)
    assert await alice.bye() == "drain"
    await alice.come_back()
    await alice.read_until("reset")
    snapshot = (await alice.get("/messages/snapshot/")).json()
    assert [message["title"] for message in snapshot["messages"]] == [*TITLES[::-1], "before"]
    await asend("after", to=EVERYONE)
    assert await alice.read() == "after"
    assert "The log does not go on" in await asyncio.to_thread(lambda: server.log)


@pytest.mark.only("postgresql", "mysql")  # nothing can end the transaction of a process on SQLite
async def test_a_process_frozen_with_the_log_locked_is_shut_out_and_its_message_published(
    server, browser, people
):
    alice = await browser(server, people.alice)
    await alice.open()
    with python(FROZEN_PUBLISHER) as publisher:
        try:
            assert await asyncio.to_thread(publisher.stdout.readline) == "locked\n"
            await asend("not held up", to=EVERYONE)
            assert {await alice.read(), await alice.read()} == {"thawed", "not held up"}
            assert await alice.is_silent()
            publisher.send_signal(signal.SIGCONT)
            await asyncio.to_thread(publisher.communicate)
        finally:
            publisher.kill()
    assert await alice.is_silent()
