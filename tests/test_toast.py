"""Toasts, and notifications by the system: once a browser, and no longer than they are news."""

import asyncio
import time

import pytest
from asgiref.sync import sync_to_async
from playwright.async_api import expect

from notifications import EVERYONE, acts, asend, update, withdraw
from tests.chromium import needs_chromium

pytestmark = [
    needs_chromium,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.only("sqlite"),
]
TOASTS = ".bell-toasts li"
# A browser without a screen shows no notifications; the page cannot tell. What it did is kept here.
RECORD = """
if (location.protocol === "http:") {
  window.asked = 0;
  window.notes = [];
  window.Notification = class {
    static permission = localStorage.permission ?? "default";
    static async requestPermission() {
      window.asked += 1;
      this.permission = localStorage.permission = localStorage.answer;
    }
    constructor(title, { tag, body }) {
      Object.assign(this, { title, tag, body });
      window.notes.push(this);
    }
    close() {
      this.isClosed = true;
    }
  };
}
"""
HIDE = """
Object.defineProperty(document, "hidden", { get: () => Boolean(window.away), configurable: true });
"""


async def look_away(page, away=True):
    """As if another window were before this one: a browser without a screen shows them all."""
    await page.evaluate(
        "(away) => { window.away = away; document.dispatchEvent(new Event('visibilitychange')); }",
        away,
    )


async def notes(page):
    script = "() => window.notes.map(({ title, body, isClosed }) => [title, body, !isClosed])"
    return await page.evaluate(script)


async def test_what_arrives_is_shown_and_said_and_the_focus_stays(people, reader):
    alice = await reader(people.alice, path="/")
    await alice.find("main a").first.focus()
    message = await asend(
        "Maintenance tonight", to=[people.alice], level="warning", body="At **ten**. [More](/x/)"
    )
    toast = alice.page.get_by_role("region", name="New messages (F8)").get_by_role("listitem")
    await expect(toast).to_contain_text("Warning: Unread: Maintenance tonight")
    await expect(toast.locator(".body")).to_have_text("At ten. More")
    await expect(toast.get_by_role("link")).to_have_count(1)
    await expect(alice.find("body > [role=status]")).to_have_text(
        "Warning: Unread: Maintenance tonight"
    )
    await expect(alice.find("main a").first).to_be_focused()
    await toast.get_by_role("link").click()
    await alice.page.wait_for_url(f"**/messages/{message.pk}/")


async def test_three_at_most_with_the_newest_on_top(people, reader):
    alice = await reader(people.alice, path="/")
    for title in "one", "two", "three", "four":
        await asend(title, to=[people.alice])
        await expect(alice.find(TOASTS).first).to_contain_text(title)
    assert [text.strip() for text in await alice.find(f"{TOASTS} .title").all_inner_texts()] == [
        "four",
        "three",
        "two",
    ]
    tops = await alice.find(TOASTS).evaluate_all(
        "(all) => all.map((each) => each.getBoundingClientRect().top)"
    )
    assert tops == sorted(tops)


async def test_what_people_write_is_text_in_a_toast(people, reader):
    alice = await reader(people.alice, path="/")
    title = "<img src=x onerror=alert(1)>"
    await asend(title, to=[people.alice], body="<script>alert(2)</script> **bold**")
    await expect(alice.find(f"{TOASTS} .title")).to_have_text(title)
    await expect(alice.find(f"{TOASTS} :is(img, script, strong)")).to_have_count(0)


async def test_it_goes_after_six_seconds_or_longer_if_there_is_more_to_read(people, reader):
    alice = await reader(people.alice, path="/")
    await alice.page.clock.install()
    await asend("short", to=[people.alice])
    await alice.page.clock.run_for(100)
    await expect(alice.find(TOASTS)).to_have_count(1)
    await alice.page.clock.run_for(5_000)
    await expect(alice.find(TOASTS)).to_have_count(1)
    await alice.page.clock.run_for(2_000)
    await expect(alice.find(TOASTS)).to_have_count(0)
    await expect(alice.find(".bell-toasts")).to_be_hidden()
    await asend("long", to=[people.alice], body="word " * 40)
    await alice.page.clock.run_for(100)
    await expect(alice.find(TOASTS)).to_have_count(1)
    await alice.page.clock.run_for(17_000)
    await expect(alice.find(TOASTS)).to_have_count(1)
    await alice.page.clock.run_for(12_000)
    await expect(alice.find(TOASTS)).to_have_count(0)


async def test_it_waits_for_the_mouse_the_focus_and_who_looks_away(people, reader):
    alice = await reader(people.alice, path=None)
    await alice.context.add_init_script(HIDE)
    page = await alice.open("/")
    await page.clock.install()
    await asend("one", to=[people.alice])
    await page.clock.run_for(100)
    toast = alice.find(TOASTS)
    await toast.hover()
    await page.clock.run_for(60_000)
    await expect(toast).to_be_visible()
    await page.mouse.move(0, 0)
    await page.keyboard.press("F8")
    await page.clock.run_for(60_000)
    await expect(toast).to_be_visible()
    await alice.find("main a").first.focus()
    await look_away(page)
    await page.clock.run_for(60_000)
    await expect(toast).to_be_visible()
    await look_away(page, away=False)
    await page.clock.run_for(8_000)
    await expect(toast).to_have_count(0)


async def test_f8_goes_to_the_newest_toast_or_to_the_bell_and_esc_goes_back(people, reader):
    alice = await reader(people.alice, path="/")
    keys, before = alice.page.keyboard, alice.find("main a").first
    await before.focus()
    await keys.press("F8")
    await expect(alice.find("message-bell > a")).to_be_focused()
    for title in "one", "two":
        await asend(title, to=[people.alice])
        await expect(alice.find(TOASTS).first).to_contain_text(title)
    await before.focus()
    await keys.press("F8")
    await expect(alice.find(f"{TOASTS} .title").first).to_be_focused()
    await keys.press("Escape")
    await expect(alice.find(f"{TOASTS} .title")).to_have_text("one")
    await expect(alice.find(f"{TOASTS} .title")).to_be_focused()
    await keys.press("Tab")
    await expect(alice.page.get_by_role("button", name="Close")).to_be_focused()
    await keys.press("Enter")
    await expect(alice.find(TOASTS)).to_have_count(0)
    await expect(before).to_be_focused()


async def test_what_is_read_archived_or_withdrawn_elsewhere_goes(people, reader):
    alice = await reader(people.alice, path="/")
    sent = []
    for title in "one", "two", "three":
        sent.append(await asend(title, to=[people.alice]))
        await expect(alice.find(TOASTS)).to_have_count(len(sent))
    await sync_to_async(withdraw)(sent[0])
    await expect(alice.find(TOASTS)).to_have_count(2)
    await sync_to_async(acts.archive)(people.alice, sent[1].pk)
    await expect(alice.find(TOASTS)).to_have_count(1)
    await sync_to_async(acts.read_all)(people.alice, None)
    await expect(alice.find(TOASTS)).to_have_count(0)


async def test_what_has_been_seen_elsewhere_goes_too(people, reader):
    alice = await reader(people.alice, path="/")
    await asend("one", to=[people.alice])
    await expect(alice.find(TOASTS)).to_have_count(1)
    await sync_to_async(acts.seen)(people.alice, None)
    await expect(alice.find(TOASTS)).to_have_count(0)
    await expect(alice.find("message-bell > a")).to_have_attribute(
        "aria-label", "Messages, 0 new, 1 unread"
    )


async def test_a_toast_says_what_its_message_says_now(people, reader):
    alice = await reader(people.alice, path="/")
    message = await asend("The lift is broken", to=[people.alice], body="Take the stairs.")
    title = alice.find(f"{TOASTS} .title")
    await expect(title).to_have_text("The lift is broken")
    await title.focus()
    changes = {"title": "The lift works", "body": "[Thanks](/x/), **all**.", "level": "success"}
    await sync_to_async(update)(message, **changes)
    await expect(title).to_have_text("The lift works")
    await expect(title).to_be_focused()
    await expect(alice.find(f"{TOASTS} .body")).to_have_text("Thanks, all.")
    await expect(alice.find(f"{TOASTS} .level")).to_have_text("Success")
    await expect(alice.find(TOASTS).get_by_role("link")).to_have_count(1)
    await sync_to_async(withdraw)(message)
    await expect(alice.find(TOASTS)).to_have_count(0)


async def test_a_dropdown_that_shows_the_message_takes_the_place_of_its_toast(people, reader):
    alice = await reader(people.alice, path="/")
    await asend("one", to=[people.alice])
    await expect(alice.find(TOASTS)).to_have_count(1)
    await alice.find("message-bell > a").click()
    await expect(alice.find(TOASTS)).to_have_count(0)
    await alice.sees(one=False)
    two = await asend("two", to=[people.alice])
    await alice.row("two").wait_for(state="attached")
    # It is told while it is in sight, which is a moment later: whoever tells it holds its lock.
    is_told = """async (id) => {
        const { held } = await navigator.locks.query();
        return held.some(({ name }) => name === `message-toast:${id}`);
    }"""
    deadline = time.monotonic() + 20
    while not await alice.page.evaluate(is_told, two.pk):
        assert time.monotonic() < deadline
    await alice.page.keyboard.press("Escape")
    await asend("three", to=[people.alice])
    await expect(alice.find(f"{TOASTS} .title")).to_have_text("three")


async def test_what_is_in_sight_already_needs_no_toast(people, reader):
    alice = await reader(people.alice)
    await asend("one", to=[people.alice])
    await alice.sees(one=False)
    elsewhere = await alice.open("/messages/?filter=archived")
    await alice.page.bring_to_front()
    await asend("two", to=[people.alice])
    first, *_ = alice.context.pages
    await expect(first.locator(".title", has_text="two")).to_be_visible()
    await expect(elsewhere.get_by_role("link", name="2 unread")).to_be_visible()
    for page in alice.context.pages:
        await expect(page.locator(TOASTS)).to_have_count(0)


async def test_what_was_missed_is_told_by_one_toast(people, server, reader):
    alice = await reader(people.alice, path="/")
    server.kill()
    for number in range(3):
        await asend(f"number {number}", to=EVERYONE)
    server.start()
    await alice.try_now()
    await expect(alice.find(TOASTS)).to_have_count(1)
    await expect(alice.find(f"{TOASTS} .title")).to_have_text("3 new messages")
    await alice.find(f"{TOASTS} .title").click()
    await alice.page.wait_for_url(alice.center)


async def test_what_was_missed_and_dealt_with_elsewhere_is_not_told(people, server, reader):
    alice = await reader(people.alice, path="/")
    server.kill()
    await asend("one", to=[people.alice])
    await sync_to_async(acts.seen)(people.alice, None)
    server.start()
    await alice.try_now()
    await expect(alice.find("message-bell > a")).to_have_attribute(
        "aria-label", "Messages, 0 new, 1 unread"
    )
    await asend("two", to=[people.alice])
    await expect(alice.find(f"{TOASTS} .title")).to_have_text("two")


async def test_three_tabs_show_one_toast(people, reader):
    alice = await reader(people.alice, path="/")
    for _ in range(2):
        await alice.open("/")
    pages = alice.context.pages
    for page in pages:  # each has its stream
        await page.wait_for_function(
            "() => document.querySelector('message-bell > a').ariaExpanded === 'false'"
        )
    await asend("one", to=[people.alice])
    for page in pages:
        await expect(page.locator(".bell-badge")).to_have_text("1")

    async def shown():
        return sum([await page.locator(TOASTS).count() for page in pages])

    async with asyncio.timeout(20):
        while not await shown():
            pass
    await asend("two", to=[people.alice])
    for page in pages:
        await expect(page.locator(".bell-badge")).to_have_text("2")
    async with asyncio.timeout(20):
        while await shown() < 2:
            pass
    assert await shown() == 2


# ---------------------------------------------------------------------- notifications by the system


async def permitted(reader, user, **options):
    alice = await reader(user, path=None, **options)
    await alice.context.add_init_script(RECORD + HIDE)
    return alice


async def choose(alice, name, answer="granted"):
    await alice.open("/messages/")
    await alice.page.evaluate("(answer) => { localStorage.answer = answer; }", answer)
    await alice.press(name)


async def test_nobody_is_asked_but_by_the_button(people, reader):
    alice = await permitted(reader, people.alice)
    page = await alice.open("/messages/")
    await asend("one", to=[people.alice])
    await alice.sees(one=False)
    assert await page.evaluate("() => window.asked") == 0
    await choose(alice, "Notify me on this device")
    await expect(alice.page.get_by_role("button", name="Do not notify me here")).to_be_focused()
    assert await alice.page.evaluate("() => window.asked") == 1
    await alice.page.reload()
    await expect(alice.page.get_by_role("button", name="Do not notify me here")).to_be_visible()
    assert await alice.page.evaluate("() => window.asked") == 0


async def test_a_denial_is_told_with_the_way_back_and_nobody_is_asked_again(people, reader):
    alice = await permitted(reader, people.alice)
    await choose(alice, "Notify me on this device", answer="denied")
    await expect(alice.find("message-device")).to_contain_text("Your browser blocks notifications")
    await expect(alice.find("message-device button:visible")).to_have_count(0)
    await alice.page.reload()
    await expect(alice.find("message-device")).to_contain_text("Your browser blocks notifications")


async def test_who_looks_elsewhere_is_notified_once_and_no_longer_than_it_is_news(people, reader):
    alice = await permitted(reader, people.alice)
    await choose(alice, "Notify me on this device")
    for _ in range(2):
        await alice.open("/")
    pages = alice.context.pages
    for page in pages:
        await look_away(page)
    message = await asend("one", to=[people.alice], body="some *text*")

    async def all_notes():
        return [note for page in pages for note in await notes(page)]

    async with asyncio.timeout(20):
        while not await all_notes():
            pass
    await asend("two", to=[people.alice])
    async with asyncio.timeout(20):
        while len(await all_notes()) < 2:
            pass
    assert sorted(await all_notes()) == [["one", "some text", True], ["two", "", True]]
    await sync_to_async(acts.read)(people.alice, message.pk)
    async with asyncio.timeout(20):
        while ["one", "some text", True] in await all_notes():
            pass
    assert sorted(await all_notes()) == [["one", "some text", False], ["two", "", True]]
    for page in pages:
        await expect(page.locator(TOASTS)).to_have_count(0)


async def test_a_notification_opens_its_message(people, reader):
    alice = await permitted(reader, people.alice)
    await choose(alice, "Notify me on this device")
    await look_away(alice.page)
    message = await asend("one", to=[people.alice])
    await alice.page.wait_for_function("() => window.notes.length === 1")
    async with alice.context.expect_page() as opened:
        await alice.page.evaluate("() => window.notes[0].onclick()")
    await (await opened.value).wait_for_url(f"**/messages/{message.pk}/")


async def test_who_has_not_asked_or_not_any_more_is_not_notified(people, reader):
    alice = await permitted(reader, people.alice)
    await choose(alice, "Notify me on this device")
    await alice.press("Do not notify me here")
    await expect(alice.page.get_by_role("button", name="Notify me on this device")).to_be_focused()
    await look_away(alice.page)
    await alice.page.clock.install()
    await asend("one", to=[people.alice])
    await alice.sees(one=False)
    await alice.page.clock.run_for(5_000)
    assert await notes(alice.page) == []


async def test_without_scripts_nothing_is_said_of_this_device(people, reader):
    alice = await reader(people.alice, scripts=False)
    await expect(alice.find("message-device")).to_be_hidden()
