"""How a page looks: a screenshot for people, axe for everybody."""

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

ROOT = Path(__file__).parent.parent
SCREENSHOTS = ROOT / "screenshots"  # not in the repository
AXE = ROOT / "tests/node/node_modules/axe-core/axe.min.js"

needs_axe = pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed (npm)")

PHONE = {"width": 360, "height": 740}
ZOOMED = {"width": 320, "height": 256}  # CSS pixels that 400 % leave of 1280 x 1024
THEMES, DIRECTIONS = ("light", "dark"), ("ltr", "rtl")

# Once loaded it stays in the page. Neither it nor its results go through the page's own scripts,
# so the Content-Security-Policy of the page stays as strict as it is.
# `preload` would fetch styles and media again, for rules about what these pages do not have.
# What moves is looked at when it has come to rest: while it fades in, its contrast is anything.
RUN = """() => Promise.allSettled(document.getAnimations().map(({finished}) => finished))
    .then(() => axe.run(document, {resultTypes: ["violations"], preload: false}))
    .then(({violations}) => violations.flatMap(({id, help, nodes}) =>
        nodes.map((node) => `${id}: ${help}: ${node.html}`)))"""


async def violations(page: Page) -> list[str]:
    """What axe finds on the page as it stands."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text())
    return await page.evaluate(RUN)


async def picture(page: Page, name: str, **media: Any) -> None:
    """Take `screenshots/NAME.png`."""
    await page.emulate_media(**media)
    SCREENSHOTS.mkdir(exist_ok=True)
    # Ends transitions, so that it is not a picture of their midst; axe would see it, too.
    await page.screenshot(path=SCREENSHOTS / f"{name}.png", animations="disabled")


async def staff_violations(page: Page, name: str, height: int) -> list[str]:
    """What axe finds on a page of the admin in either theme, wide and on a phone; with pictures."""
    found = []
    for theme in THEMES:
        await page.set_viewport_size({"width": 1280, "height": height})
        await picture(page, f"{name}-{theme}", color_scheme=theme)
        found += await violations(page)
        await page.set_viewport_size(PHONE)
        await picture(page, f"{name}-{theme}-phone", color_scheme=theme)
        found += await violations(page)
        assert await overflow(page) <= 0
    return found


async def moving(page: Page) -> list[str]:
    """What would move, for all that the reader's wish says."""
    script = """() => [...document.querySelectorAll("*")].filter((each) => {
        const style = getComputedStyle(each);
        return style.animationName !== "none" || /[1-9]/.test(style.transitionDuration)
            || style.scrollBehavior === "smooth";
    }).map(({ outerHTML }) => outerHTML.slice(0, 80))"""
    await page.emulate_media(reduced_motion="reduce")
    return await page.evaluate(script)


async def turn(page: Page, direction: str) -> None:
    """As in a language of that direction; there is none yet."""
    await page.evaluate("(dir) => { document.documentElement.dir = dir; }", direction)


async def overflow(page: Page) -> int:
    """By how many pixels the page is wider than the window."""
    return await page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
