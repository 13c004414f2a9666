"""Where no stream gets through, the same events come by long poll, and else by poll."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.contrib.sessions.models import Session
from playwright.async_api import Browser, Request

from notifications import acts, asend, update, withdraw
from tests.chromium import NewReader, Reader, needs_chromium, readers
from tests.listener import Listener
from tests.proxy import Collecting
from tests.server import Server
from tests.until import until

pytestmark = [
    needs_chromium,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.only("sqlite"),  # what a page does does not depend on the database
]

READ = """() => window.heard.some(({ type, data }) =>
    type === "state" && data.acts?.some(({ act }) => act === "read"))"""

FIRST_EVENT = 3_000  # ms that a page waits for it, of a stream


@pytest_asyncio.fixture(loop_scope="session")
async def proxy(server: Server) -> AsyncIterator[Collecting]:
    async with Collecting.to(server.port) as proxy:
        yield proxy


@pytest_asyncio.fixture(loop_scope="session")
async def reader(chromium: Browser, proxy: Collecting) -> AsyncIterator[NewReader]:
    """Behind that proxy."""
    async for start in readers(chromium, SimpleNamespace(url=f"http://127.0.0.1:{proxy.port}")):
        yield start


@pytest_asyncio.fixture(loop_scope="session")
async def direct(chromium: Browser, server: Server) -> AsyncIterator[NewReader]:
    """Without it."""
    async for start in readers(chromium, server):
        yield start


def waits(reader: Reader) -> list[float]:
    """Of the polls of a browser, from now on: how long each may wait for news, in seconds."""
    noted: list[float] = []

    def note(request: Request) -> None:
        if "/changes/" in request.url:
            noted.append(float(request.url.rpartition("wait=")[2]))

    reader.context.on("request", note)
    return noted


def statuses(heard: list[dict[str, Any]]) -> list[str]:
    return [each["data"] for each in heard if each["type"] == "status"]


async def test_a_proxy_that_keeps_streams_back_leads_to_long_polls_with_the_same_events(
    people, reader, direct
):
    alice, elsewhere = await reader(people.alice, path=None), await direct(people.alice, path=None)
    asked = waits(alice)
    behind = [await Listener.open(alice) for _ in range(2)]
    streaming = await Listener.open(elsewhere)
    for tab in [*behind, streaming]:
        await tab.is_told("live")
    await until(lambda: any(wait > 15 for wait in asked))
    asked.clear()
    first = await asend("first", to=[people.alice], body="*text*")
    for tab in [*behind, streaming]:
        await tab.hears("first")
    await sync_to_async(update)(first, title="better")
    for tab in [*behind, streaming]:
        await tab.hears_of("update")
    await sync_to_async(acts.read)(people.alice, first.pk)
    for tab in [*behind, streaming]:
        await tab.page.wait_for_function(READ)
    await sync_to_async(withdraw)(first)
    told = []
    for tab in [*behind, streaming]:
        await tab.hears_of("withdrawn")
        told.append(await tab.heard("message", "update", "withdrawn"))
    assert told[0] == told[1] == told[2]
    assert len(asked) <= 8  # they waited for news, and the second tab asked nothing
    assert statuses(await behind[0].heard())[-1] == "live"


async def test_when_it_lets_streams_through_again_they_are_used_again(people, reader, proxy):
    alice = await reader(people.alice, path=None)
    tab = await Listener.open(alice)
    await tab.is_told("live")
    assert await tab.heard("ready") == []
    proxy.collects = False
    # On a busy machine a stream may begin later than a page waits for: then it is tried again.
    while not await tab.heard("ready"):
        await tab.page.evaluate("() => dispatchEvent(new Event('online'))")
        with suppress(AssertionError):
            await tab.hears_of("ready")
    await asend("psst", to=[people.alice])
    await tab.hears("psst")


async def test_a_stream_that_began_too_late_once_is_tried_again_soon(people, reader, proxy):
    """Also by who neither looks away nor loses the network. Seconds go by ten times as fast."""
    alice = await reader(people.alice, path=None)
    tab = await Listener.open(alice, pace=10, unhurried=FIRST_EVENT)
    await tab.is_told("live")
    assert await tab.heard("ready") == []
    proxy.collects = False
    titles: list[str] = []
    async with asyncio.timeout(40):  # after ten minutes it would be sixty
        while not await tab.heard("ready"):
            titles.append(f"number {len(titles)}")
            await asend(titles[-1], to=[people.alice])  # which ends the poll that is under way
            await tab.hears(*titles)


async def test_a_proxy_that_cuts_what_takes_long_leads_to_short_polls(people, reader, proxy):
    proxy.limit = 2.0
    alice = await reader(people.alice, path=None)
    asked = waits(alice)
    tab = await Listener.open(alice, pace=10)
    await until(lambda: asked[-3:] == [0, 0, 0], 60)
    answered = [n for n, wait in enumerate(asked) if 0 < wait <= proxy.limit]
    cut = filter(None, asked[max(answered, default=-1) + 1 :])
    assert len(list(cut)) == 2  # twice is enough to know
    await tab.is_told("live")
    await asend("psst", to=[people.alice])
    await tab.hears("psst")


async def test_a_browser_without_streams_polls(people, direct):
    alice = await direct(people.alice, path=None)
    await alice.context.add_init_script("delete window.EventSource")
    tab = await Listener.open(alice)
    await tab.is_told("live")
    await asend("psst", to=[people.alice])
    await tab.hears("psst")


async def test_a_cursor_that_cannot_be_resumed_is_reset_by_a_poll_too(people, direct):
    alice = await direct(people.alice, path=None)
    await alice.context.add_init_script("delete window.EventSource")
    tab = await Listener.open(alice, cursor="0123456789ab-999", version=0)
    await tab.hears_of("reset")
    await asend("psst", to=[people.alice])
    await tab.hears("psst")
    assert len(await tab.heard("reset")) == 1


async def test_who_is_signed_out_meanwhile_is_told_by_a_poll_too(people, direct):
    alice = await direct(people.alice, path=None)
    await alice.context.add_init_script("delete window.EventSource")
    tab = await Listener.open(alice)
    await tab.is_told("live")
    await sync_to_async(Session.objects.filter(pk=await alice.session()).delete)()
    await sync_to_async(acts.end_streams)(people.alice.pk)
    await tab.is_told("signed-out")
