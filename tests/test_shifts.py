"""What arrives moves nothing that a reader is about to touch, in Chromium as readers have it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from notifications import asend
from tests.chromium import CHROMIUM, FRAMES, launch, needs_chromium

pytestmark = [
    needs_chromium,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.only("sqlite"),  # what the page does does not depend on the database
]

SETTLED = "Promise.all(document.getAnimations().map(({ finished }) => finished))"
SHIFTS = """
    window.shifts = [];
    const told = ({node, previousRect, currentRect}) =>
        [node?.nodeName, node?.className, previousRect.y, currentRect.y];
    new PerformanceObserver((list) => {
        for (const {value, hadRecentInput, sources} of list.getEntries())
            if (!hadRecentInput) shifts.push([value, ...sources.map(told)]);
    }).observe({type: "layout-shift", buffered: true});
"""
TALL: Any = {"width": 800, "height": 1_200}  # the site's footer stays where it is


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """Not its shell, which counts otherwise."""
    async for browser in launch(CHROMIUM):
        yield browser


async def test_what_arrives_comes_in_at_the_top_and_shifts_nothing(people, reader):
    for title in ("one", "two", "three"):
        await asend(title, to=[people.alice], body="Some words.", link="/somewhere/")
    alice = await reader(people.alice, path=None, viewport=TALL)
    await alice.context.add_init_script(SHIFTS)
    await alice.open()
    await alice.is_live()
    await asend("four", to=[people.alice], body="More words.")
    await alice.sees(four=False, three=False, two=False, one=False)
    await alice.page.evaluate(SETTLED)
    await asend("five", to=[people.alice])
    await alice.sees(five=False, four=False, three=False, two=False, one=False)
    await alice.page.evaluate(FRAMES)
    assert await alice.page.evaluate("shifts") == []
    await expect(alice.find(".pill")).to_be_hidden()
    await expect(alice.find(".list h2")).to_have_text(["today"])


async def test_it_shifts_nothing_either_for_who_wants_no_motion(people, reader):
    await asend("one", to=[people.alice])
    alice = await reader(people.alice, path=None, viewport=TALL, reduced_motion="reduce")
    await alice.context.add_init_script(SHIFTS)
    await alice.open()
    await alice.is_live()
    await asend("two", to=[people.alice])
    await alice.sees(two=False, one=False)
    await alice.page.evaluate(FRAMES)
    assert await alice.page.evaluate("shifts") == []
    moving = (
        "document.getAnimations().filter((each) => each.effect.getTiming().duration > 1).length"
    )
    assert await alice.page.evaluate(moving) == 0


async def test_what_comes_in_one_breath_shifts_nothing_either(people, reader):
    """Each while those before it are still on their way."""
    for title in ("one", "two", "three"):
        await asend(title, to=[people.alice], body="Some words.")
    alice = await reader(people.alice, path=None, viewport=TALL)
    await alice.context.add_init_script(SHIFTS)
    await alice.open()
    await alice.is_live()
    titles = [f"number {n}" for n in range(5)]
    for title in titles:
        await asend(title, to=[people.alice], body="More words.")
        await alice.row(title).wait_for()
    await alice.page.evaluate(SETTLED)
    await alice.page.evaluate(FRAMES)
    assert await alice.page.evaluate("shifts") == []


async def test_further_down_what_arrives_waits_and_moves_nothing(people, reader):
    for n in range(30):
        await asend(f"number {n}", to=[people.alice])
    alice = await reader(people.alice, path=None)
    await alice.context.add_init_script(SHIFTS)
    await alice.open()
    await alice.is_live()
    await alice.page.mouse.wheel(0, 700)
    await alice.page.wait_for_function("() => scrollY > 600")
    await alice.page.evaluate(FRAMES)
    before = await alice.page.evaluate("shifts.length = 0, scrollY")
    await asend("new", to=[people.alice])
    await expect(alice.find(".pill")).to_be_in_viewport()
    assert await alice.page.evaluate("[scrollY, shifts.length]") == [before, 0]
    await alice.find(".pill").click()
    await expect(alice.row("new")).to_be_focused()
    await expect(alice.row("new")).to_be_in_viewport()
