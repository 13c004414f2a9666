"""What `make goals` measures in a real browser, with the site as in production.

No part of the suite: a busy machine is no failure. Each notes what it finds, and judges nothing.
"""

import asyncio
import random
import statistics
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.db import transaction
from playwright.async_api import Browser

from notifications import asend, send
from notifications.management.commands.demo import send_messages
from tests.chromium import CHROMIUM, NewReader, Reader, launch, readers
from tests.listener import TELLING, Listener, streams
from tests.server import Server, python

pytestmark = pytest.mark.asyncio(loop_scope="session")

SENDS = 200
PAUSE = 0.05, 0.15  # s between two of them, at random: they meet all phases of what waits
TABS = 20
TAKEOVERS = 10
MANY = 990  # messages in the list, as many as a page has at most, to which more come:
ARRIVALS = 20  # at its top,
SCREENS = 20  # and while it is scrolled
HTTPS = {"X-Forwarded-Proto": "https"}  # as a proxy says it; 127.0.0.1 is a secure context anyway

SENDER = """
import sys, time
from django.db import transaction
from notifications import EVERYONE, send
print("ready", flush=True)
for title in sys.stdin:
    with transaction.atomic():
        # Before `send` registers its own: the clock is read right after the commit.
        transaction.on_commit(lambda: print(time.time() * 1000, flush=True))
        send(title.strip(), to=EVERYONE)
"""
# A frame is on the screen when the task after its callback runs.
WATCH = """() => {
    window.painted = {};
    new MutationObserver((records) => {
        const rows = records.flatMap(({ addedNodes }) => [...addedNodes]);
        const titles = rows.map((row) => row.querySelector?.(".title")?.textContent);
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => { for (const title of titles) painted[title] ??= Date.now(); };
        requestAnimationFrame(() => port2.postMessage(0));
    }).observe(document.querySelector("message-center"), { childList: true, subtree: true });
}"""
SHIFTS = """
    window.shifts = 0;
    new PerformanceObserver((list) => {
        const moved = list.getEntries().filter(({ hadRecentInput }) => !hadRecentInput);
        for (const { value } of moved) shifts += value;
    }).observe({ type: "layout-shift", buffered: true });
"""
# How often the page did not answer for 50 ms; and the longest time without a new picture.
JANK = """() => {
    window.jank = { tasks: 0, frame: 0 };
    new PerformanceObserver((list) => { jank.tasks += list.getEntries().length; })
        .observe({ type: "longtask" });
    let last = performance.now();
    requestAnimationFrame(function frame(now) {
        jank.frame = Math.max(jank.frame, now - last);
        last = now;
        requestAnimationFrame(frame);
    });
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """What readers have."""
    async for browser in launch(CHROMIUM):
        yield browser


@pytest.fixture
def server(servers: Callable[..., Server], production: dict[str, str]) -> Server:
    return servers("daphne", application=TELLING, **production)


@pytest_asyncio.fixture(loop_scope="session")
async def reader(chromium: Browser, server: Server) -> AsyncIterator[NewReader]:
    async for start in readers(chromium, server):
        yield start


async def open_for(reader: NewReader, user: Any, path: str | None = "/messages/") -> Reader:
    alice = await reader(user, path=None, extra_http_headers=HTTPS)
    await alice.context.add_init_script(SHIFTS)
    if path:
        await alice.open(path)
    return alice


def send_many(count: int, user: Any) -> None:
    with transaction.atomic():
        for number in range(count):
            send(f"number {number}", to=[user], body="Some **words** about it.", link="/there/")


def send_all(sender: "subprocess.Popen[str]") -> list[float]:
    """When each was committed: ms since 1970."""
    assert sender.stdin
    assert sender.stdout
    clocks = []
    for number in range(SENDS):
        time.sleep(random.uniform(*PAUSE))
        sender.stdin.write(f"number {number}\n")
        sender.stdin.flush()
        clocks.append(float(sender.stdout.readline()))
    return clocks


async def test_from_the_commit_of_another_process_to_the_screen(people, reader, record_property):
    alice = await open_for(reader, people.alice)
    await asend("The first", to=[people.alice])
    await alice.sees(**{"The first": False})
    await alice.page.evaluate(WATCH)
    with python(SENDER) as sender:
        assert sender.stdout
        assert await asyncio.to_thread(sender.stdout.readline) == "ready\n"
        clocks = await asyncio.to_thread(send_all, sender)
        await asyncio.to_thread(sender.communicate)
    await alice.page.wait_for_function("(all) => Object.keys(painted).length >= all", arg=SENDS)
    painted = await alice.page.evaluate("painted")
    late = [painted[f"number {number}"] - clock for number, clock in enumerate(clocks)]
    record_property("painted, p50", statistics.median(late))
    record_property("painted, p99", statistics.quantiles(late, n=100)[-1])


@pytest.mark.parametrize("path", ["/messages/", "/"])
async def test_what_arrives_moves_nothing(people, reader, record_property, path):
    crew = await sync_to_async(people.alice.groups.create)(name="crew")
    await sync_to_async(send_messages)(people.alice, people.bob, crew)
    alice = await open_for(reader, people.alice)
    await alice.page.wait_for_function("() => customElements.get('message-center')")
    elsewhere = await open_for(reader, people.alice, path)
    for number in range(5):
        await asend(f"number {number}", to=[people.alice], body="With **some** text.")
    await alice.row("number 4").wait_for()
    await elsewhere.page.evaluate("() => new Promise(requestAnimationFrame)")
    record_property("layout shift", await alice.page.evaluate("shifts"))
    record_property("layout shift", await elsewhere.page.evaluate("shifts"))


async def test_a_thousand_messages_arrive_and_are_scrolled(people, reader, record_property):
    await sync_to_async(send_many)(MANY, people.alice)
    alice = await open_for(reader, people.alice, f"/messages/?pages={MANY // 30}")
    await alice.is_live()
    await alice.page.evaluate(JANK)
    for number in range(ARRIVALS):
        await asend(f"more {number}", to=[people.alice], body="With **some** text.")
        await alice.row(f"more {number}").wait_for()
    for _ in range(SCREENS):
        await alice.page.mouse.wheel(0, 600)
        await asend("below", to=[people.alice])
        await alice.page.evaluate("() => new Promise(requestAnimationFrame)")
    assert await alice.page.evaluate("scrollY") > 600
    record_property("long tasks with 1,000 messages", await alice.page.evaluate("jank.tasks"))
    record_property("longest frame with 1,000 messages", await alice.page.evaluate("jank.frame"))


async def test_tabs_share_a_stream(people, server, reader, record_property):
    alice = await open_for(reader, people.alice)
    for _ in range(TABS - 1):
        await alice.open()
    await asend("hello", to=[people.alice])
    for page in alice.context.pages:
        await page.get_by_text("hello").first.wait_for()
    record_property("streams of 20 tabs", streams(server))


async def test_another_tab_takes_over(people, reader, record_property):
    # As in development, where `import` finds connect.js under its plain name.
    alice = await open_for(reader, people.alice, None)
    tabs = [await Listener.open(alice) for _ in range(TAKEOVERS + 1)]
    for tab in tabs:
        await tab.is_told("live")
    while len(tabs) > 1:
        leader, *tabs = tabs
        await leader.page.evaluate(
            # Set once before: to open the storage takes a while, in which another takes over.
            """() => {
                localStorage.setItem("gone", 0);
                addEventListener("pagehide", () => localStorage.setItem("gone", Date.now()));
            }"""
        )
        for tab in tabs:
            await tab.page.evaluate("() => { window.live = 0; }")
        await leader.page.close()
        await tabs[0].page.wait_for_function("() => window.live")
        took = await tabs[0].page.evaluate("window.live - localStorage.getItem('gone')")
        record_property("takeover", took)
