"""All tabs of a browser share one stream, and none of them misses or repeats anything."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.sessions.models import Session
from playwright.async_api import expect

from notifications import EVERYONE, asend
from notifications.acts import end_streams
from tests.chromium import LIST, needs_chromium
from tests.listener import TELLING, Listener, has_streams, streams
from tests.server import Server
from tests.tabs import tabs

pytestmark = [
    needs_chromium,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.only("sqlite"),  # what a page does does not depend on the database
]

STANDING = 0.0001  # the pace of a page's time in which no timer goes off


@pytest.fixture
def server(servers: Callable[..., Server]) -> Server:
    return servers("daphne", application=TELLING)


async def three(reader: Any, user: Any, **options: Any) -> list[Listener]:
    """Three windows of one browser, all live. The first has the stream."""
    alice = await reader(user, path=None)
    tabs = [await Listener.open(alice, **options) for _ in range(3)]
    for tab in tabs:
        await tab.is_told("live")
    return tabs


async def all_hear(tabs: list[Listener], *titles: str) -> None:
    for tab in tabs:
        await tab.hears(*titles)


# ------------------------------------------------------------------------------------- together


async def test_twenty_tabs_are_one_stream_and_each_shows_a_message_once(people, server, reader):
    alice = await reader(people.alice)
    for _ in range(19):
        await alice.open()
    await asend("hello", to=[people.alice])
    await asend("again", to=[people.alice])
    for page in alice.context.pages:
        await expect(page.locator(f"{LIST} .title")).to_have_text(["again", "hello"])
        await expect(page.locator(".unread-count").first).to_have_text("2")
    assert streams(server) == 1


async def test_when_the_tab_with_the_stream_goes_another_goes_on_at_once(people, server, reader):
    # Not after some time, of which nothing passes here: what is heard is heard without waiting.
    first, *others = await three(reader, people.alice, pace=STANDING)
    await asend("one", to=[people.alice])
    await all_hear([first, *others], "one")
    await asyncio.gather(first.page.close(), asend("two", to=[people.alice]))
    await asend("three", to=[people.alice])
    await all_hear(others, "one", "two", "three")
    assert streams(server) == 1


async def test_who_comes_late_asks_what_it_has_missed_and_opens_no_stream(people, server, reader):
    alice = await reader(people.alice, path=None)
    first = await Listener.open(alice)
    await first.hears_of("ready")
    (ready,) = await first.heard("ready")
    await asend("one", to=[people.alice])
    await asend("two", to=[people.alice])
    await first.hears("one", "two")
    late = await Listener.open(alice, cursor=ready["id"], version=0)
    await late.hears("one", "two")
    from_now_on = await Listener.open(alice)
    await from_now_on.is_told("live")
    await asend("three", to=[people.alice])
    await all_hear([first, late], "one", "two", "three")
    await from_now_on.hears("three")
    assert streams(server) == 1


async def test_callers_in_one_tab_share_the_stream_and_each_goes_on_from_its_own_cursor(
    people, server, reader
):
    alice = await reader(people.alice, path=None)
    tab = await Listener.open(alice)
    await tab.hears_of("ready")
    (ready,) = await tab.heard("ready")
    await asend("one", to=[people.alice])
    await tab.hears("one")
    await tab.page.evaluate("[window.earlier, window.earlierHeard] = [connection, heard]")
    await tab.connect(cursor=ready["id"], version=0)
    await tab.is_told("live")
    await tab.hears("one")
    await tab.page.evaluate("earlier.close()")
    await asend("two", to=[people.alice])
    await tab.hears("one", "two")
    assert await tab.page.evaluate("earlierHeard.filter(({ data }) => data.title).length") == 1
    assert streams(server) == 1
    await tab.page.evaluate("connection.close()")
    await has_streams(server, 0)


async def test_without_locks_each_tab_has_its_own_stream(people, server, reader):
    alice = await reader(people.alice, path=None)
    await alice.context.add_init_script("delete Navigator.prototype.locks")
    tabs = [await Listener.open(alice) for _ in range(2)]
    for tab in tabs:
        await tab.is_told("live")
    await asend("one", to=[people.alice])
    await all_hear(tabs, "one")
    assert streams(server) == 2


# ------------------------------------------------------------------------------------- troubles


async def test_a_server_that_is_killed_costs_no_tab_anything(people, server, reader):
    tabs = await three(reader, people.alice)
    server.kill()
    await asend("meanwhile", to=EVERYONE)
    for tab in tabs:
        await tab.is_told("reconnecting")
    server.start()
    await all_hear(tabs, "meanwhile")
    for tab in tabs:
        await tab.is_told("live")
    assert streams(server) == 1


async def test_offline_and_back(people, server, reader):
    tabs = await three(reader, people.alice)
    context = tabs[0].page.context
    await context.set_offline(True)
    for tab in tabs:
        await tab.is_told("offline")
    await asend("meanwhile", to=[people.alice])
    await context.set_offline(False)
    await all_hear(tabs, "meanwhile")
    for tab in tabs:
        await tab.is_told("live")


async def test_a_frozen_tab_has_afterwards_what_it_has_slept_through(
    people, server, chromium, reader
):
    alice = await reader(people.alice, path=None)
    async with tabs(chromium, alice, "/healthz", "/healthz") as pages:
        first, second = both = [Listener(alice, page) for page in pages]
        for tab in both:
            await tab.connect()
            await tab.is_told("live")
        for sleeper, awake in ((second, first), (first, second)):  # then it has the stream
            before = await awake.titles()
            await sleeper.page.freeze()
            for title in ("psst", "again", "and again"):
                await asend(title, to=[people.alice])
            await awake.hears(*before, "psst", "again", "and again")
            assert await sleeper.titles() == before
            await sleeper.page.thaw()
            await all_hear(both, *before, "psst", "again", "and again")
            await asend("awake", to=[people.alice])  # what is told twice cannot come after it
            await all_hear(both, *before, "psst", "again", "and again", "awake")
        await has_streams(server, 1)


async def test_a_message_center_that_was_frozen_shows_each_message_once(people, chromium, reader):
    alice = await reader(people.alice, path=None)
    shown = """(wanted) => JSON.stringify(wanted) === JSON.stringify([
        document.querySelector(".unread-count").textContent,
        ...[...document.querySelectorAll("message-center .title")].map((each) => each.text),
    ])"""
    async with tabs(chromium, alice, "/messages/") as (page,):
        await asend("one", to=[people.alice])
        await page.wait_for_function(shown, ["1", "one"])
        await page.freeze()
        for title in ("two", "three"):
            await asend(title, to=[people.alice])
        assert await page.evaluate(shown, ["1", "one"])
        await page.thaw()
        await page.wait_for_function(shown, ["3", "three", "two", "one"])
        await asend("four", to=[people.alice])
        await page.wait_for_function(shown, ["4", "four", "three", "two", "one"])


async def test_a_tab_that_is_stuck_with_the_stream_is_replaced(people, server, reader):
    alice = await reader(people.alice, path=None)
    stuck = await Listener.open(alice)
    await stuck.is_told("live")
    other = await Listener.open(alice, pace=20)
    await other.is_told("live")
    devtools = await alice.context.new_cdp_session(stuck.page)
    await devtools.send("Debugger.enable")
    await devtools.send("Debugger.pause")
    await has_streams(server, 2)  # the old one is not closed: nobody is there to do it
    await other.page.evaluate("() => { window.pace = 1; }")
    await asend("psst", to=[people.alice])
    await other.hears("psst")
    await devtools.send("Debugger.disable")
    await all_hear([stuck, other], "psst")
    await has_streams(server, 1)
    await asend("again", to=[people.alice])
    await all_hear([stuck, other], "psst", "again")


async def test_who_is_signed_out_elsewhere_is_told_in_every_tab(people, server, reader):
    tabs = await three(reader, people.alice)
    alice = tabs[0].reader
    await sync_to_async(Session.objects.filter(pk=await alice.session()).delete)()
    await sync_to_async(end_streams)(people.alice.pk)
    for tab in tabs:
        await tab.is_told("signed-out")
    assert streams(server) == 0
    await alice.log_in(people.alice)
    await asend("welcome back", to=[people.alice])
    fresh = await Listener.open(alice)  # is not led by those who have given up
    await fresh.is_told("live")
    await tabs[2].page.evaluate("connection.retry()")
    await tabs[2].is_told("live")
    await tabs[2].hears("welcome back")
    assert streams(server) == 1


async def test_one_who_meets_the_log_in_tells_the_others(people, server, reader):
    tabs = await three(reader, people.alice)
    await tabs[1].page.evaluate("connection.signOut()")
    for tab in tabs:
        await tab.is_told("signed-out")
    await has_streams(server, 0)


async def test_nothing_of_another_user_is_told(people, server, reader):
    """Neither from a stream that comes back with another session, nor to who comes late."""
    alice = await reader(people.alice, path=None)
    tabs = [await Listener.open(alice, user=people.alice.pk) for _ in range(2)]
    for tab in tabs:
        await tab.is_told("live")
    await alice.log_in(people.bob)
    await asend("bob's", to=[people.bob])
    await sync_to_async(end_streams)(people.alice.pk)
    for tab in tabs:
        await tab.is_told("signed-out")
    late = await Listener.open(alice, user=people.alice.pk, cursor="0123456789ab-0")
    await late.is_told("signed-out")
    await all_hear([*tabs, late])
    his = await Listener.open(alice, user=people.bob.pk)
    await his.is_told("live")


async def test_who_is_pushed_out_by_another_browser_pauses_until_somebody_wants_it(
    people, server, reader
):
    tabs = await three(reader, people.alice)
    pushed_out = tabs[0].page.context

    async def push_out(route: Any) -> None:
        body = 'retry: 60000\nevent: bye\ndata: {"reason": "too-many"}\n\n'
        await route.fulfill(content_type="text/event-stream", body=body)

    await pushed_out.route("**/stream/*", push_out)
    await tabs[0].page.evaluate("connection.retry()")
    for tab in tabs:
        await tab.is_told("paused")
    await pushed_out.unroute_all()
    await asend("meanwhile", to=[people.alice])
    await tabs[1].page.evaluate("connection.retry()")
    await all_hear(tabs, "meanwhile")
    for tab in tabs:
        await tab.is_told("live")
    assert streams(server) == 1
