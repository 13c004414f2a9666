"""The page where messages are written, in a real Chromium: with scripts, without, by keyboard."""

import asyncio
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group
from django.utils import timezone
from playwright.async_api import Route, expect

from notifications.models import Draft, Message
from tests.chromium import Reader, needs_chromium
from tests.composer import ADD, staff, ten_seconds_pass
from tests.look import PHONE, THEMES, needs_axe, overflow, picture, violations
from tests.people import crowd

pytestmark = [needs_chromium, pytest.mark.asyncio(loop_scope="session")]

EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>"
WIDE = {"width": 1280, "height": 900}


@pytest.fixture
async def crew(people):
    crew = await Group.objects.acreate(name="crew")
    await sync_to_async(crew.user_set.add)(people.alice)
    return crew


def preview(root: Reader, theme: str = "light"):
    return root.page.frame_locator(f"iframe.{theme}")


async def write(root: Reader, title: str, **fields: str) -> None:
    await root.page.check("[name=whom][value=everyone]")
    for name, value in {"title": title, **fields}.items():
        await root.page.fill(f"[name={name}]", value)


async def the_message(**fields: str) -> Message:
    return await Message.objects.aget(**fields)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
async def test_the_whole_story_of_a_message(people, crew, reader, scripts):
    root = await reader(people.root, path=ADD, scripts=scripts)
    await write(root, "The lift", body="It **works**.", link="/x/")
    await root.press("Save draft")
    await expect(root.find(".messagelist")).to_have_text("The draft is saved.")
    await expect(root.find(".drafts a")).to_have_text("The lift")
    if not scripts:
        await root.press("Preview")
    await expect(preview(root).locator("#preview .title").first).to_have_text("The lift")
    await expect(root.find(".headcount strong")).to_have_text("3 people")
    await root.press("Review")
    await expect(root.find(".summary")).to_contain_text("ten seconds after you send it")
    await root.press("Send to 3 people")
    await expect(root.find("#sent")).to_contain_text("“The lift” goes out to everyone.")
    await root.press("Undo")
    await expect(root.find(".messagelist")).to_contain_text("Taken back")
    await expect(root.find("[name=body]")).to_have_value("It **works**.")
    await root.press("Review")
    await root.press("Send to 3 people")
    await expect(root.find("#sent")).to_be_visible()
    await sync_to_async(ten_seconds_pass)()
    await root.press_link("See what has become of it")
    await expect(root.find(".messagelist")).to_contain_text("has been sent to everyone")
    assert await Message.objects.filter(published_at__isnull=False).acount() == 1
    assert not await Draft.objects.aexists()


async def test_when_the_ten_seconds_are_over_the_page_says_so(people, reader):
    root = await reader(people.root, path=ADD)
    await write(root, "The lift")
    await root.press("Review")
    await root.press("Send to 3 people")
    await expect(root.find(".countdown")).to_contain_text("You can undo it for another")
    now = timezone.now()
    await Message.objects.aupdate(publish_at=now, due_at=now)
    await root.page.wait_for_url("**/change/")
    await expect(root.find(".messagelist")).to_contain_text("has been sent to everyone")


async def test_while_one_writes_numbers_and_preview_follow(people, crew, reader):
    root = await reader(people.root, path=ADD)
    await expect(root.find(".headcount")).to_have_text("Nobody yet.")
    await root.page.check("[name=groups]")
    await expect(root.find(".headcount")).to_contain_text("1 person")
    await expect(root.find(".sample")).to_have_text("alice")
    await root.page.fill("[name=usernames]", "bob, zed")
    await expect(root.find(".headcount")).to_have_text("There is no user 'zed'.")
    await root.page.fill("[name=usernames]", "bob")
    await expect(root.find(".headcount")).to_contain_text("2 people")
    await root.page.fill("[name=title]", "Ünï")
    await root.page.fill("[name=body]", "a\nb")
    await expect(root.find(".counted output").nth(0)).to_have_text("3/200")
    await expect(root.find(".counted output").nth(1)).to_have_text("4/10000")
    for theme in ("light", "dark"):
        await expect(preview(root, theme).locator("#preview h1 bdi")).to_have_text("Ünï")
    await expect(root.find(".preview")).to_be_hidden()


async def held(root: Reader, path: str) -> asyncio.Future[Route]:
    """The next request to it, which is not answered until the test does."""
    request: asyncio.Future[Route] = asyncio.get_running_loop().create_future()
    await root.page.route(f"**/{path}/", lambda route: request.set_result(route), times=1)
    return request


@pytest.mark.parametrize("works", [True, False], ids=["counts", "fails"])
async def test_while_many_are_counted_it_says_about_how_many(people, reader, works):
    await sync_to_async(crowd)(200)
    root = await reader(people.root, path=ADD)
    output = root.find("output.headcount")
    count = await held(root, "audience-count")
    await root.page.check("[name=whom][value=everyone]")
    counting = await count
    await expect(output).to_contain_text("about 200 people · still counting")
    await expect(output).to_have_attribute("aria-busy", "true")  # nobody is told a number twice
    await expect(root.find(".counting")).to_be_visible()
    await expect(root.find(".sample")).to_have_text("alice, bob, root, reader0, reader1, …")
    await (counting.continue_() if works else counting.fulfill(status=500))
    await expect(output).to_have_attribute("aria-busy", "false")
    if works:
        await expect(output).to_contain_text("203 people")
        await expect(root.find(".sample")).to_contain_text("and 198 more")
    else:
        await expect(output.locator("strong")).to_have_text("about 200 people")
        await expect(root.find(".counting")).to_be_hidden()


@pytest.mark.parametrize("comes", [True, False], ids=["comes", "keeps-one-waiting"])
async def test_an_estimate_is_shown_only_if_the_number_keeps_one_waiting(people, reader, comes):
    await sync_to_async(crowd)(200)
    root = await reader(people.root, path=ADD)
    output = root.find("output.headcount")
    await root.page.clock.install()
    await root.page.clock.pause_at(timezone.now() + timedelta(hours=1))
    count = await held(root, "audience-count")
    await root.page.check("[name=whom][value=everyone]")
    await root.page.clock.run_for(250)
    counting = await count
    async with root.page.expect_response("**/audience-estimate/") as estimated:
        await root.page.clock.run_for(30)
    await (await estimated.value).finished()
    await root.page.clock.run_for(59)
    await expect(output).to_have_text("Nobody yet.")
    if comes:
        await counting.continue_()
        await expect(output).to_contain_text("203 people")
    await root.page.clock.run_for(60_000)
    await expect(output).to_contain_text("203 people" if comes else "about 200 people")


async def test_somebody_is_found_by_the_beginning_of_a_name(people, reader):
    root = await reader(people.root, path=ADD)
    finder = root.find(".named .finder input")
    await finder.press_sequentially("al")
    await expect(root.find("#id_usernames-found option")).to_have_text(["alice"])
    await finder.fill("alice")
    await finder.press("Enter")
    await expect(root.find("[name=usernames]")).to_have_value("alice")
    await finder.fill("bob")
    await root.press("Add", within=root.find(".named"))
    await expect(root.find("[name=usernames]")).to_have_value("alice\nbob")
    await expect(root.find(".headcount")).to_contain_text("2 people")
    assert root.page.url.endswith(ADD)


async def test_the_preview_turns_dark_and_narrow_also_without_scripts(people, reader):
    root = await reader(people.root, path=ADD, scripts=False, viewport=WIDE)
    await expect(root.find("iframe.light")).to_be_visible()
    await expect(root.find("iframe.dark")).to_be_hidden()
    await root.page.check("#theme-dark")
    await expect(root.find("iframe.light")).to_be_hidden()
    await expect(root.find("iframe.dark")).to_be_visible()
    await root.page.check("#narrow")
    box = await root.find("iframe.dark").bounding_box()
    assert box
    assert box["width"] == 360


async def test_the_preview_looks_like_the_readers_list(people, reader):
    """The same templates and styles: what is computed for a row is what is for readers."""
    style = """(row) => ["color", "fontSize", "fontWeight", "backgroundColor", "paddingTop"]
        .map((name) => getComputedStyle(row)[name])"""
    root = await reader(people.root, path=ADD)
    await write(root, "The lift", body="works")
    await root.press("Send to me first")
    parts = "h3", ".body", "xpath=."
    first = preview(root).locator("#preview li").first
    await expect(first.locator("h3")).to_have_css("font-size", "16px")  # its styles have come
    seen = [await first.locator(part).evaluate(style) for part in parts]
    await root.open()
    row = root.row("The lift")
    assert seen == [await row.locator(part).evaluate(style) for part in parts]


async def test_nothing_acts_in_the_preview(people, reader):
    root = await reader(people.root, path=ADD)
    await write(root, EVIL, body=f"{EVIL} [link](https://example.com/)", link="/messages/")
    await expect(preview(root).locator("#preview h1 bdi")).to_have_text(EVIL)
    await preview(root).locator("#preview article .body a").click()
    await preview(root).locator("#preview article .go").click()
    await expect(preview(root).locator("#preview h1 bdi")).to_have_text(EVIL)
    assert len(root.context.pages) == 1
    assert all("Blocked opening" in complaint for complaint in root.complaints)
    root.complaints.clear()
    await root.press("Review")
    await expect(root.find(".summary dd").first).to_have_text(EVIL)
    await root.press("Send to 3 people")
    await expect(root.find("#sent")).to_contain_text(EVIL)


async def test_by_keyboard_alone(people, crew, reader):
    root = await reader(people.root, path=ADD)
    keys = root.page.keyboard
    await root.find("[name=whom]").first.focus()
    await keys.press("Space")
    await expect(root.find("[name=whom][value=everyone]")).to_be_checked()
    for _ in range(40):
        await keys.press("Tab")
        if await root.find("[name=title]").evaluate("(field) => field === document.activeElement"):
            break
    await keys.type("The lift")
    await keys.press("Tab")
    await keys.type("works")
    await keys.press("Control+Enter")
    await root.page.wait_for_url("**/review/**")
    assert not await Message.objects.aexists()
    send = root.page.get_by_role("button", name="Send to 3 people")
    for _ in range(60):
        await keys.press("Tab")
        if await send.evaluate("(button) => button === document.activeElement"):
            break
    await keys.press("Enter")
    await root.page.wait_for_url("**/sent/**")
    assert (await the_message()).title == "The lift"


async def test_in_the_line_of_the_title_enter_reviews_and_sends_nothing(people, reader):
    root = await reader(people.root, path=ADD)
    await write(root, "The lift")
    await root.find("[name=title]").press("Enter")
    await root.page.wait_for_url("**/review/**")
    assert not await Message.objects.aexists()


async def test_a_sender_of_little_sees_little(people, reader):
    clerk, _ = await sync_to_async(staff)("send_to_users")
    page = await reader(clerk, path=ADD)
    await expect(page.find("[name=whom]")).to_have_count(1)
    await expect(page.find("[name=groups]")).to_have_count(0)
    await expect(page.find(".finder")).to_have_count(0)


# ------------------------------------------------------------------------------------ how it looks


async def compose_empty(root: Reader) -> None:
    await root.open(ADD)


async def compose_full(root: Reader) -> None:
    await root.open(ADD)
    await root.page.check("[name=whom][value=named]")
    await root.page.check("[name=groups] >> nth=0")
    await root.page.fill("[name=usernames]", "bob")
    await root.page.click(".who summary")
    await root.page.fill("[name=title]", "Maintenance tonight at 22:00")
    await root.page.fill(
        "[name=body]", "The service is **read-only** for ten minutes:\n\n- saving waits"
    )
    await root.page.fill("[name=link]", "https://status.example.com/")
    await root.page.check("[name=level][value=warning]")
    await root.page.check("[name=when][value=pick]")
    await root.page.fill("[name=at]", "2999-12-24T18:00")
    await expect(root.find(".sample")).to_have_text("alice, bob")
    await root.page.click("[name=_save]")
    await expect(root.find(".drafts a")).to_be_visible()


async def compose_wrong(root: Reader) -> None:
    await root.open(ADD)
    await root.page.fill("[name=usernames]", "zed")
    await root.page.click("[name=_review]")
    await expect(root.find(".errornote")).to_be_visible()


async def reviewed(root: Reader) -> None:
    await root.open(ADD)
    await write(root, "Maintenance " * 9, body="Ten minutes.", link="https://example.com/")
    await root.page.click("[name=_review]")
    await expect(root.find("#people")).to_be_visible()


async def sent(root: Reader) -> None:
    await root.open(ADD)
    await root.page.fill("[name=usernames]", "bob")
    await root.page.fill("[name=title]", "Maintenance")
    await root.page.click("[name=_review]")
    await root.page.click("#send button")
    await expect(root.find("#sent")).to_be_visible()
    await Message.objects.aupdate(publish_at=timezone.now() + timedelta(seconds=100))
    await root.page.reload()


async def counting(root: Reader) -> None:
    await root.open(ADD)
    await root.page.route("**/audience-count/", lambda _: None)  # never answered
    await root.page.check("[name=whom][value=everyone]")
    await expect(root.find(".counting")).to_be_visible()


STATES = compose_empty, compose_full, compose_wrong, counting, reviewed, sent


@needs_axe
@pytest.mark.only("sqlite")
@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"], ids=["en", "zh"])
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
async def test_every_state_looks_well_and_axe_finds_nothing(people, crew, reader, state, locale):
    await sync_to_async(crowd)(120)
    root = await reader(people.root, path=None, locale=locale, viewport=WIDE)
    await state(root)
    found = []
    for name, size in (("wide", WIDE), ("narrow", PHONE)):
        await root.page.set_viewport_size(size)
        for theme in THEMES:
            where = f"compose-{state.__name__}-{locale[:2]}-{name}-{theme}"
            await picture(root.page, where, color_scheme=theme)
            found += [f"{where}: {each}" for each in await violations(root.page)]
        assert await overflow(root.page) <= 0, name
    assert not found, "\n".join(found)
    # But for what axe tries, which is no script of the page.
    assert [each for each in root.complaints if "'url': ''" not in each] == []
    root.complaints.clear()
