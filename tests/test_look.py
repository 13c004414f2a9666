"""Every state of the pages, in every theme, direction and language.

axe finds nothing, nothing is cut off, and of each there is a screenshot in `screenshots/`.
"""

from itertools import product

import pytest
from playwright.async_api import Page, expect

from notifications import asend
from tests.chromium import needs_chromium
from tests.look import (
    DIRECTIONS,
    PHONE,
    THEMES,
    ZOOMED,
    moving,
    needs_axe,
    overflow,
    picture,
    turn,
    violations,
)
from tests.states import STATES, Stage

pytestmark = [
    needs_chromium,
    needs_axe,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.only("sqlite"),  # how a page looks does not depend on the database
]

LANGUAGES = {"en": "en-GB", "zh": "zh-CN"}


@pytest.mark.parametrize("name", STATES)
async def test_nobody_is_kept_out(people, server, reader, name, request, record_property):
    """axe finds nothing, and nothing is cut off at 400 %."""
    found: list[str] = []
    complaints: list[str] = []
    for language, locale in LANGUAGES.items():
        if server.process.poll() is not None:
            server.start()
        stage = Stage(people, server, reader, locale, lambda: request.getfixturevalue("shop"))
        someone = await STATES[name](stage)
        found += await look_around(someone.page, f"{name}-{language}")
        if language == "en":
            await take_others(someone.page, name)
        found += await squeeze(someone.page, f"{name}-{language}")
        if not name.startswith("staff"):  # Django's own pages move a little, and ask nobody
            found += [f"{name} moves: {each}" for each in await moving(someone.page)]
        complaints += someone.complaints
        await someone.context.close()
    record_property("axe violations", len(found))
    record_property("complaints", len(complaints))
    assert found == []


async def look_around(page: Page, name: str) -> list[str]:
    """In every theme and direction."""
    found = []
    for theme, direction in product(THEMES, DIRECTIONS):
        await turn(page, direction)
        await picture(page, f"{name}-{theme}-{direction}", color_scheme=theme)
        found += [f"{name}-{theme}-{direction}: {each}" for each in await violations(page)]
    return found


async def take_others(page: Page, name: str) -> None:
    """As the system colours it, on a phone, and at 400 %."""
    await turn(page, "ltr")
    await picture(page, f"{name}-forced", forced_colors="active")
    await page.emulate_media(forced_colors="none", color_scheme="light")
    for window, size in ("phone", PHONE), ("zoomed", ZOOMED):
        await page.set_viewport_size(size)
        await picture(page, f"{name}-{window}")


async def squeeze(page: Page, name: str) -> list[str]:
    """At 400 %: what is wider than the window."""
    found = []
    await page.set_viewport_size(ZOOMED)
    for direction in DIRECTIONS:
        await turn(page, direction)
        if wider := await overflow(page):
            found.append(f"{name}-{direction}: {wider} px wider than 320")
    return found


async def test_where_the_system_chooses_the_colours_nothing_is_said_by_colour_alone(people, reader):
    await asend("one", to=[people.alice])
    alice = await reader(people.alice, forced_colors="active")

    async def style(selector: str, name: str, part: str | None = None) -> str:
        script = "(element, [part, name]) => getComputedStyle(element, part)[name]"
        return await alice.find(selector).first.evaluate(script, [part, name])

    assert "●" in await style("li[data-read=false]", "content", "::before")
    assert await style(".icon", "borderTopStyle", "::before") == "solid"
    chosen = await style(".choose [aria-current]", "borderTopColor")
    assert chosen != await style(".choose a:not([aria-current])", "borderTopColor")
    await alice.find("li[data-id]").focus()
    assert await style("li[data-id]", "outlineStyle") == "solid"


async def test_what_waits_is_told_over_the_heading_of_the_day_and_covers_nothing(people, reader):
    await asend("one", to=[people.alice])
    alice = await reader(people.alice, viewport=PHONE)
    await alice.is_live()

    async def waits(where: str) -> None:
        await alice.find(f"{where} li[data-id]").first.focus()
        await asend("It waits", to=[people.alice])
        await expect(alice.find(f"{where} .pill")).to_be_visible()
        pill, day = [
            await alice.find(f"{where} {part}").bounding_box() for part in (".pill", ".list h2")
        ]
        assert day["y"] <= pill["y"]
        assert pill["y"] + pill["height"] <= day["y"] + day["height"]

    await waits("main")
    await alice.page.goto(alice.url)
    await alice.find(".bell").click()
    await waits(".bell-panel")


async def test_texts_are_read_in_their_own_direction_whatever_that_of_the_page(people, reader):
    await asend("مرحبا", to=[people.alice], body="مرحبا بكم.", sender=people.root)
    await asend("Hello.", to=[people.alice], body="Come in.", link="/a/", sender=people.root)
    alice = await reader(people.alice)
    await turn(alice.page, "rtl")

    async def directions(title: str) -> list[str]:
        script = "(all) => all.map((each) => getComputedStyle(each).direction)"
        return await alice.row(title).locator(".title, .sender, .body, .link").evaluate_all(script)

    assert await directions("Hello.") == ["ltr"] * 4
    assert await directions("مرحبا") == ["rtl", "ltr", "rtl", "ltr"]
