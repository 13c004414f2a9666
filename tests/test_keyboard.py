"""The message center by keyboard alone, in a real Chromium."""

from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import expect

from notifications import asend
from tests.chromium import LIST, Reader, needs_chromium

pytestmark = [
    needs_chromium,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.only("sqlite"),  # what the page does does not depend on the database
]

Press = Callable[..., Awaitable[None]]


@pytest.fixture
async def press() -> Press:
    async def press(reader: Reader, *keys: str) -> None:
        for key in keys:
            await reader.page.keyboard.press(key)

    return press


async def with_messages(people, reader, *titles: str) -> Reader:
    for title in reversed(titles):
        await asend(title, to=[people.alice], body="Some [words](https://example.com/).")
    alice = await reader(people.alice)
    await alice.is_live()
    return alice


async def is_at(reader: Reader, title: str) -> None:
    await expect(reader.row(title)).to_be_focused()


async def test_tab_stops_once_at_the_list_and_then_at_what_is_in_that_row(people, reader, press):
    alice = await with_messages(people, reader, "one", "two", "three")
    await alice.find(".choose button").focus()
    await press(alice, "Tab")
    await is_at(alice, "one")
    names = ["one", "words", "Mark as read", "Archive", "Keyboard shortcuts"]
    for name in names:
        await press(alice, "Tab")
        await expect(alice.find(":focus")).to_have_text(name)
    await press(alice, *["Shift+Tab"] * len(names), "ArrowDown")
    await is_at(alice, "two")
    await press(alice, "Shift+Tab", "Tab")
    await is_at(alice, "two")
    await expect(alice.find(f"{LIST}[tabindex='0']")).to_have_count(1)


async def test_keys_go_from_row_to_row_and_stop_at_both_ends(people, reader, press):
    alice = await with_messages(people, reader, "one", "two", "three")
    await alice.row("one").focus()
    walk = {"j": "two", "ArrowDown": "three", "PageDown": "three", "k": "two", "ArrowUp": "one"}
    for key, title in (walk | {"PageUp": "one", "End": "three", "Home": "one"}).items():
        await press(alice, key)
        await is_at(alice, title)


@pytest.mark.parametrize("key", ["Enter", "o"])
async def test_a_message_is_opened(people, reader, press, key):
    alice = await with_messages(people, reader, "one")
    await alice.row("one").focus()
    await press(alice, key)
    await expect(alice.find("article h1")).to_contain_text("one")


async def test_a_message_is_marked_and_archived_and_taken_back(people, reader, press):
    alice = await with_messages(people, reader, "one", "two", "three")
    await alice.row("two").focus()
    await press(alice, "r")
    await alice.sees(one=False, two=True, three=False)
    await is_at(alice, "two")
    await press(alice, "r")
    await alice.counts(unread=3)
    await press(alice, "e")
    await is_at(alice, "three")
    await press(alice, "e")
    await is_at(alice, "one")
    await alice.sees(one=False)
    await press(alice, "Shift+Tab")
    await expect(alice.find(":focus")).to_have_text("Undo")
    await press(alice, "Enter")
    await is_at(alice, "three")
    await alice.sees(one=False, three=False)
    await alice.page.goto(f"{alice.center}?filter=archived")
    await alice.row("two").focus()
    await press(alice, "e")  # it is already
    await alice.sees(two=True)


async def test_waiting_messages_are_asked_for(people, reader, press):
    alice = await with_messages(people, reader, "one")
    await alice.row("one").focus()
    await press(alice, ".")  # there are none
    await asend("two", to=[people.alice])
    await expect(alice.find(".pill")).to_be_visible()
    await press(alice, ".")
    await is_at(alice, "two")


async def test_help_opens_and_closes_and_the_focus_comes_back(people, reader, press):
    alice = await with_messages(people, reader, "one")
    await alice.row("one").focus()
    await press(alice, "?")
    await expect(alice.find("dialog")).to_be_visible()
    await press(alice, "Escape")
    await expect(alice.find("dialog")).to_be_hidden()
    await is_at(alice, "one")


async def test_letters_can_be_switched_off_on_this_device(people, reader, press):
    alice = await with_messages(people, reader, "one", "two")
    await alice.press("Keyboard shortcuts")
    await alice.find("[name=letters]").uncheck()
    await press(alice, "Escape")
    await alice.page.reload()
    await expect(alice.find("[name=letters]")).not_to_be_checked()
    await alice.row("one").focus()
    await press(alice, "j", "e", "?")
    await is_at(alice, "one")
    await press(alice, "ArrowDown")
    await is_at(alice, "two")
    await alice.press("Keyboard shortcuts")
    await alice.find("[name=letters]").check()
    await press(alice, "Escape")
    await alice.row("one").focus()
    await press(alice, "j")
    await is_at(alice, "two")


async def test_letters_are_left_alone_where_they_are_meant_otherwise(people, reader, press):
    alice = await with_messages(people, reader, "one", "two")
    await alice.row("one").focus()
    await press(alice, "Control+e", "Alt+j", "Meta+r")
    # While an input method composes: Playwright has none.
    await alice.row("one").dispatch_event(
        "keydown", {"key": "e", "isComposing": True, "bubbles": True}
    )
    await is_at(alice, "one")
    await alice.find("[name=q]").focus()
    await press(alice, "e", "r")
    await expect(alice.find("[name=q]")).to_have_value("er")
    await alice.find("h1").focus()
    await press(alice, "e")
    await alice.sees(one=False, two=False)


async def test_a_key_on_something_in_a_row_is_for_that_row(people, reader, press):
    alice = await with_messages(people, reader, "one", "two")
    button = alice.row("two").get_by_role("button", name="Mark as read")
    await button.focus()
    await press(alice, "Enter")
    await alice.sees(one=False, two=True)
    await expect(alice.find(":focus")).to_have_text("Mark as unread")
    await press(alice, "e")
    await is_at(alice, "one")


async def test_the_last_message_read_of_all_leaves_the_focus_at_the_heading(people, reader, press):
    alice = await with_messages(people, reader, "one")
    await alice.find("[value=all-read]").focus()
    await press(alice, "Enter")
    await alice.counts(unread=0)
    await expect(alice.find("h1")).to_be_focused()
