"""A message arrives if its sender commits, once and in order, whatever is killed meanwhile."""

import asyncio
import contextlib
import signal
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.db import transaction
from django.utils import timezone

from notifications import EVERYONE, asend, send, update, withdraw
from notifications.models import Message
from tests.browser import CutOff
from tests.server import python

# Sends inside a transaction and is gone right after its commit, before it can publish.
KILLED_SENDER = """
import os, signal
from django.db import transaction
from notifications import EVERYONE, send

with transaction.atomic():
    transaction.on_commit(lambda: os.kill(os.getpid(), signal.SIGKILL))
    send("my sender is dead", to=EVERYONE)
"""
MANY = 200  # messages
# Says each number when it has been sent.
SENDER = """
import sys
from notifications import EVERYONE, send

for number in range(int(sys.argv[1])):
    send(str(number), to=EVERYONE)
    print(number, flush=True)
"""


async def test_a_message_is_published_if_and_only_if_its_senders_transaction_commits(
    server, browser, people
):
    alice = await browser(server, people.alice)
    await alice.open()
    await sync_to_async(commit_one_and_roll_back_two)(people.alice)
    assert await alice.read() == "committed"
    assert await alice.is_silent()
    assert await Message.objects.filter(title__startswith="phantom").acount() == 0


def commit_one_and_roll_back_two(user) -> None:
    with transaction.atomic():
        for to in (EVERYONE, [user]):
            with contextlib.suppress(ZeroDivisionError):
                send_and_fail(to)
        send("committed", to=EVERYONE)
        assert Message.objects.get(title="committed").position is None  # nobody knows it yet


@transaction.atomic
def send_and_fail(to) -> None:
    send("phantom", to=to)
    raise ZeroDivisionError


async def test_the_message_of_a_killed_sender_is_published(server, browser, people):
    alice = await browser(server, people.alice)
    await alice.open()
    with python(KILLED_SENDER) as sender:
        assert await asyncio.to_thread(sender.wait, 20) == -signal.SIGKILL
    assert await alice.read() == "my sender is dead"


async def test_every_reader_gets_every_message_in_one_order_shown_once_whatever_is_killed(
    each_server, browser, people
):
    alice, bob = await browser(each_server, people.alice), await browser(each_server, people.bob)
    await alice.open()
    await bob.open()
    with python(SENDER, str(MANY)) as sender:
        assert sender.stdout.readline() == "0\n"
        for _ in range(2):
            # In the middle of it: somewhere behind the first, well before the last.
            for reader in (alice, bob):
                for _ in range(30):
                    await reader.read()
            await asyncio.to_thread(each_server.kill)
            for reader in (alice, bob):
                await until_cut_off(reader)
            await asyncio.to_thread(each_server.start)
            for reader in (alice, bob):
                await reader.come_back()
        assert await asyncio.to_thread(sender.wait, 30) == 0, sender.stderr.read()
    for reader in (alice, bob):
        while len(reader.titles()) < MANY:
            await reader.read()
        assert await reader.is_silent()
        assert reader.titles()[:MANY] == [str(number) for number in range(MANY)]


async def until_cut_off(reader) -> None:
    """Read what had come through before the kill."""
    with contextlib.suppress(CutOff):
        while True:
            await reader.event()


async def test_what_is_scheduled_appears_and_what_expires_disappears(server, browser, people):
    alice = await browser(server, people.alice)
    await alice.open()
    soon = timezone.now() + timedelta(seconds=0.5)
    message = await asend("for a moment", to=EVERYONE, at=soon)
    assert await alice.read() == "for a moment"
    assert timezone.now() >= soon
    await sync_to_async(update)(message, expires=timezone.now() + timedelta(seconds=0.2))
    *_, gone = await alice.read_until("withdrawn")
    assert (gone.data["id"], gone.data["reason"]) == (message.pk, "expired")
    assert (await alice.state())["unread"] == 0


async def test_what_is_withdrawn_disappears_also_for_those_who_were_away(server, browser, people):
    alice, bob = await browser(server, people.alice), await browser(server, people.bob)
    await alice.open()
    await bob.open()
    message = await asend("a slip of the pen", to=EVERYONE)
    assert await alice.read() == await bob.read() == "a slip of the pen"
    await bob.close()
    await sync_to_async(withdraw)(message)
    await bob.come_back()
    for reader in (alice, bob):
        *_, gone = await reader.read_until("withdrawn")
        assert (gone.data["id"], gone.data["reason"]) == (message.pk, "withdrawn")
        assert (await reader.state())["unread"] == 0
    # Who has never seen it is not told what it said.
    root = await browser(server, people.root)
    await root.open(after="0-0")
    assert await root.is_silent()


class Bell:
    """One that is never heard; `trouble`: because what carries it is dead."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.trouble = trouble

    def ring(self) -> None:
        if self.trouble:
            raise self.trouble

    async def rings(self):
        if self.trouble:
            raise self.trouble
        await asyncio.Event().wait()
        yield


@pytest.mark.parametrize("trouble", [None, ConnectionError("gone")], ids=["deaf", "dead"])
async def test_a_lost_ring_a_deaf_listener_a_dead_redis_cost_latency_never_a_message(
    inside, browser, people, monkeypatch, trouble
):
    monkeypatch.setattr("notifications.running.TICK", 0.05)
    monkeypatch.setattr("notifications.running.LOOK_ANYWAY", 0.1)
    monkeypatch.setattr("notifications.doorbell.current", lambda: Bell(trouble))
    alice = await browser(inside, people.alice)
    await alice.open()
    for title in ("one", "two", "three"):
        await asend(title, to=EVERYONE)
        assert await alice.read() == title
    assert await alice.is_silent()
