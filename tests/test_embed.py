"""In another project: examples/embed, with users, a base template and colours of its own."""

import asyncio
import re
import tomllib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from django.urls import reverse
from playwright.async_api import Browser, expect

from notifications import send
from tests.chromium import NewReader, needs_chromium, readers
from tests.server import ROOT
from tests.shop import Shop, sign_in
from tests.test_docs import README, names


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(chromium: Browser, shop: Shop, db: None) -> AsyncIterator[NewReader]:
    async for start in readers(chromium, shop):
        yield start


def colour(name: str) -> str:
    return "(element) => getComputedStyle(element)." + name


@needs_chromium
@pytest.mark.only("sqlite")
@pytest.mark.asyncio(loop_scope="session")
async def test_the_bell_is_live_in_a_project_of_its_own_kind_and_looks_like_it(shop, visitor):
    ana = await sign_in(await visitor(path="/login/"))
    link = ana.find("message-bell > a")
    await expect(link).to_have_attribute("aria-expanded", "false")
    await asyncio.to_thread(shop.manage, "broadcast", "The spring harvest is here")
    await expect(link).to_have_attribute("aria-label", "Messages, 1 new, 1 unread")
    toast = ana.find(".bell-toasts li")
    await expect(toast).to_contain_text("The spring harvest is here")
    assert await toast.evaluate(colour("backgroundColor")) == "rgb(255, 253, 248)"
    assert await ana.find(".bell-badge").evaluate(colour("backgroundColor")) == "rgb(155, 28, 28)"

    await link.click()
    panel = ana.find(".bell-panel")
    await expect(panel.get_by_text("The spring harvest is here")).to_be_visible()
    assert await panel.evaluate(colour("backgroundColor")) == "rgb(255, 253, 248)"
    everything = panel.get_by_role("link", name="See all messages")
    assert await everything.evaluate(colour("color")) == "rgb(138, 61, 18)"
    assert await everything.evaluate(colour("textTransform")) == "none"

    await everything.click()
    await ana.page.wait_for_url(f"{ana.url}/inbox/")
    await expect(ana.page).to_have_title(re.compile("Messages · Teahouse$"))
    await expect(ana.find("header").get_by_role("link", name="Teahouse")).to_be_visible()
    await ana.find("message-center .title").click()
    await expect(ana.find("article h1")).to_contain_text("The spring harvest is here")
    await expect(ana.find("header").get_by_role("link", name="Teahouse")).to_be_visible()


@needs_chromium
@pytest.mark.only("sqlite")
@pytest.mark.asyncio(loop_scope="session")
async def test_without_scripts_the_bell_leads_to_the_message_center(shop, visitor):
    await asyncio.to_thread(
        shop.manage, "broadcast", "Closed on Monday", "--to", "user:ana@example.com"
    )
    ana = await sign_in(await visitor(path="/login/", scripts=False))
    await ana.page.get_by_role("link", name="Messages, 1 new, 1 unread").click()
    await expect(ana.find("message-center .title")).to_have_text("Closed on Monday")


# Elements of the shop that have names of ours.
THEIRS = """<div id="theirs"><header><h1>A</h1></header> <p class="body">B</p>
<p class="empty aside">C</p> <a class="link title" href="/">D</a> <button disabled>E</button>
<div class="list"><h2>F</h2></div> <span class="icon"></span> <p class="message undo">G</p>
<ul class="acts"><li data-id="1" data-read="false" data-level="error" class="new">H</li></ul>
<form class="choose"><input type="search"></form> <dialog class="keys" open><kbd>I</kbd></dialog>
</div>"""
# What the styles of a page may say of its own, and worse.
BLUNT = """:is(a, button, form, h1, h2, h3, header, input, li, nav, p, section, span, time, ul) {
    all: initial; letter-spacing: 1em; border: 9px solid red; float: inline-end }"""
APPLY = """(text) => {
    document.adoptedStyleSheets = [new CSSStyleSheet()];
    document.adoptedStyleSheets[0].replaceSync(text);
}"""
# All but where on the page it is: that is up to the page.
LOOKS = """(selector) => [...document.querySelectorAll(selector)].flatMap((each) =>
    [null, "::before", "::after"].map((part) => {
        const style = getComputedStyle(each, part);
        if (part && style.content === "none") return [];
        const names = [...style].filter((name) => !/^(inset|top|right|bottom|left)/.test(name));
        return [each.outerHTML.slice(0, 60), ...names.map((name) => `${name}: ${style[name]}`)];
    }))"""
SWITCH_OFF = """() => [...document.styleSheets].filter((sheet) =>
    sheet.href.includes("/notifications/") && (sheet.disabled = true)).length"""


@needs_chromium
@pytest.mark.only("sqlite")
@pytest.mark.asyncio(loop_scope="session")
async def test_its_styles_and_those_of_the_page_leave_each_other_alone(shop, visitor):
    await asyncio.to_thread(shop.manage, "broadcast", "Closed on Monday", "--body", "All *day*.")
    # Nothing is on its way when it is looked at.
    ana = await sign_in(await visitor(path="/login/", reduced_motion="reduce"))
    await ana.find("message-bell > a").click()
    await expect(ana.find(".bell-panel li")).to_be_visible()

    async def unchanged(selector: str, act: str, argument: str | None = None) -> int | None:
        looked = await ana.page.evaluate(LOOKS, selector)
        done = await ana.page.evaluate(act, argument)
        for was, each in zip(looked, await ana.page.evaluate(LOOKS, selector), strict=True):
            assert each == was
        return done

    await unchanged(".bell-panel, .bell-panel *", APPLY, BLUNT)
    await ana.page.evaluate("(html) => document.body.insertAdjacentHTML('beforeend', html)", THEIRS)
    assert await unchanged("#theirs *", SWITCH_OFF) == 2


def test_a_project_without_a_page_of_its_own_gets_a_plain_one(people, client, settings):
    settings.TEMPLATES = [settings.TEMPLATES[0] | {"DIRS": []}]
    message = send("one", to=[people.alice])
    client.force_login(people.alice)
    for path in (reverse("notifications:center"), f"/messages/{message.pk}/"):
        page = client.get(path).content.decode()
        assert "notifications/page.css" in page
        assert "<message-bell" in page


def test_what_is_installed_with_the_app_is_what_the_site_requires():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    listed = {line.partition("#")[0].strip() for line in lines}
    for wanted in (project["dependencies"], *project["optional-dependencies"].values()):
        assert set(wanted) <= listed


def test_the_readme_names_the_tokens_that_are_used():
    styles = "".join(
        (ROOT / "notifications/static/notifications" / name).read_text()
        for name in ("bell.css", "center.css")
    )
    own = set(re.findall(r"(--[a-z]+):", styles))
    assert set(names(README, "token")) == set(re.findall(r"var\((--[a-z]+)", styles)) - own
