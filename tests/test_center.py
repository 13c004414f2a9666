"""What the message center does while somebody looks at it, in a real Chromium."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import transaction
from django.utils import timezone
from playwright.async_api import Route, expect

from notifications import EVERYONE, acts, asend, send, update, withdraw
from notifications.models import Message
from tests.chromium import FRAMES, LIST, Reader, needs_chromium

pytestmark = [
    needs_chromium,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.only("sqlite"),  # what the page does does not depend on the database
]

AWAY = "Object.defineProperty(document, 'hidden', {get: () => window.away ?? false});"


@sync_to_async
def several(count: int) -> None:
    """`count` messages to everyone, "number 0" and so on, in one commit."""
    with transaction.atomic():
        for n in range(count):
            send(f"number {n}", to=EVERYONE)


awithdraw = sync_to_async(withdraw)


async def aged(message: Message, **age: float) -> None:
    at = timezone.now() - timedelta(**age)
    await Message.objects.filter(pk=message.pk).aupdate(published_at=at)


async def is_focused(reader: Reader, title: str) -> None:
    await expect(reader.row(title)).to_be_focused()


def shown(reader: Reader) -> Any:
    return reader.find(f"{LIST}:visible")


# ---------------------------------------------------------------------------------------- arrivals


async def test_while_somebody_is_in_the_list_what_arrives_waits(people, reader):
    await asend("one", to=[people.alice])
    alice = await reader(people.alice)
    await alice.is_live()
    await alice.row("one").focus()
    await asend("two", to=[people.alice])
    pill = alice.find(".pill")
    await expect(pill).to_have_text("1 new message")
    await asend("three", to=[people.alice])
    await expect(pill).to_have_text("2 new messages")
    await alice.counts(unread=3)
    await alice.sees(one=False)
    await pill.click()
    await alice.sees(three=False, two=False, one=False)
    await is_focused(alice, "three")
    await expect(pill).to_be_hidden()
    await asend("four", to=[people.alice])
    await expect(pill).to_have_text("1 new message")
    await awithdraw(await Message.objects.aget(title="four"))
    await expect(pill).to_be_hidden()


async def test_what_arrives_gives_no_other_row_a_style_anew(people, reader, chromium):
    await several(60)
    alice = await reader(people.alice)
    await alice.is_live()
    tracked = "disabled-by-default-devtools.timeline.invalidationTracking"
    await chromium.start_tracing(page=alice.page, categories=[tracked])
    await asend("new", to=[people.alice])
    await expect(alice.row("new")).to_be_visible()
    await alice.page.evaluate(FRAMES)
    events = json.loads(await chromium.stop_tracing())["traceEvents"]
    anew = [e["args"]["data"] for e in events if e["name"] == "StyleRecalcInvalidationTracking"]
    rows = {each["nodeId"] for each in anew if each["nodeName"].startswith("LI")}
    assert 1 <= len(rows) < 10  # itself, but not all


async def test_all_is_marked_read_only_with_what_has_waited_in_sight(people, reader):
    await asend("one", to=[people.alice])
    alice = await reader(people.alice)
    await alice.is_live()
    await alice.row("one").focus()
    await asend("two", to=[people.alice])
    await expect(alice.find(".pill")).to_be_visible()
    await alice.press("Mark all as read")
    await alice.sees(two=True, one=True)
    await alice.counts(unread=0)
    await expect(alice.find(".pill")).to_be_hidden()


async def test_too_many_new_messages_are_a_list_that_starts_anew(people, reader):
    await asend("one", to=[people.alice])
    alice = await reader(people.alice)
    await alice.is_live()
    await alice.row("one").focus()
    await several(100)
    await expect(alice.find(".pill")).to_have_text("99+ new messages")
    await alice.find(".pill").click()
    await expect(shown(alice)).to_have_count(30)
    await expect(alice.find(".more a")).to_be_visible()
    await alice.counts(unread=101)


async def test_an_arrival_costs_the_rows_that_are_there_nothing(people, reader):
    await several(990)
    alice = await reader(people.alice, path="/messages/?pages=33")
    await expect(shown(alice)).to_have_count(990)
    await alice.is_live()
    await alice.page.evaluate("""() => {
        window.touched = new Set();
        const row = ({target}) => target.closest?.("li[data-id]")?.dataset.id;
        new MutationObserver((changes) => changes.forEach((each) => touched.add(row(each))))
            .observe(document.querySelector(".list"),
                     {subtree: true, childList: true, attributes: true, characterData: true});
    }""")
    await asend("new", to=[people.alice])
    await expect(alice.row("new")).to_be_visible()
    touched = await alice.page.evaluate("[...touched].filter((each) => each)")
    new = await Message.objects.aget(title="new")
    assert set(touched) <= {str(new.pk)}


# ------------------------------------------------------------------------------- what a reader does


async def test_an_archive_can_be_undone_and_the_message_is_as_it_was(people, reader):
    for title in ("one", "two", "three"):
        await asend(title, to=[people.alice])
    alice, other = await reader(people.alice), await reader(people.alice)
    await alice.is_live()
    await alice.press("Archive", alice.row("two"))
    await is_focused(alice, "one")
    await other.sees(three=False, one=False)
    await alice.find(".undo").get_by_role("button").click()
    await alice.sees(three=False, two=False, one=False)
    await is_focused(alice, "two")
    await other.sees(three=False, two=False, one=False)
    await alice.counts(unread=3)
    await other.counts(unread=3)
    await alice.press("Mark as read", alice.row("two"))
    await alice.press("Archive", alice.row("two"))
    await alice.press("Undo")
    await other.sees(three=False, two=True, one=False)


async def test_undo_gives_back_what_was_shown_also_before_the_server_has_said_so(people, reader):
    await asend("one", to=[people.alice])
    alice = await reader(people.alice)
    await alice.is_live()
    may_go_on = asyncio.Event()

    async def hold(route):
        await may_go_on.wait()
        await route.continue_()

    await alice.page.route("**/read/", hold)
    await alice.press("Mark as read", alice.row("one"))
    await alice.press("Archive", alice.row("one"))
    await alice.press("Undo")
    await alice.sees(one=True)
    may_go_on.set()
    await alice.counts(unread=0)


# The events of the stream that have `part` in them come when they are let go.
HOLD = """(part) => {
    window.held = [];
    const listen = EventSource.prototype.addEventListener;
    EventSource.prototype.addEventListener = function (type, act) {
        listen.call(this, type, (event) => {
            if (held && event.data.includes(part)) held.push(() => act(event));
            else act(event);
        });
    };
}"""
RELEASE = "held.shift()()"
# What happens to a row, and to the focus; also what nobody would see, for it is over in a moment.
WATCH = """(row) => {
    window.happened = [];
    const note = ({ attributeName: name, oldValue }) => {
        if (row.getAttribute(name) !== oldValue) happened.push(`${name} was ${oldValue}`);
    };
    new MutationObserver((changes) => changes.forEach(note))
        .observe(row, { attributeFilter: ["hidden", "data-read"], attributeOldValue: true });
    row.addEventListener("focusout", () => happened.push("focus went"));
}"""


async def test_an_undone_archive_that_the_stream_tells_of_late_moves_nothing(people, reader):
    for title in ("one", "two", "three"):
        await asend(title, to=[people.alice])
    alice = await reader(people.alice, path=None)
    await alice.context.add_init_script(f"({HOLD})('archived')")
    await alice.open()
    await alice.is_live()
    await alice.press("Archive", alice.row("two"))
    await alice.page.wait_for_function("() => held.length")
    async with alice.page.expect_response("**/unarchive/?unread=1"):
        await alice.press("Undo")
    await is_focused(alice, "two")
    await alice.row("two").evaluate(WATCH)
    await alice.page.evaluate(RELEASE)
    await alice.page.wait_for_function("() => held.length")  # "unarchived": what has become of it
    await alice.page.evaluate(RELEASE)
    await alice.sees(three=False, two=False, one=False)
    await is_focused(alice, "two")
    assert await alice.page.evaluate("happened") == []
    await awithdraw(await Message.objects.aget(title="one"))  # the list goes on from there
    await alice.sees(three=False, two=False)
    await sync_to_async(acts.archive)(people.alice, (await Message.objects.aget(title="two")).pk)
    await alice.page.wait_for_function("() => held.length")
    await alice.page.evaluate(RELEASE)
    await alice.sees(three=False)


async def archive_on_its_way(alice: Reader, title: str) -> Route:
    """She has pressed the button; the server hears of it when the route goes on."""
    held: asyncio.Future[Route] = asyncio.get_running_loop().create_future()
    await alice.context.route("**/archive/", lambda route: held.set_result(route))
    await alice.press("Archive", alice.row(title))
    return await held


async def test_an_undo_does_not_overtake_its_archive(people, reader):
    await asend("one", to=[people.alice])
    await asend("two", to=[people.alice])
    alice = await reader(people.alice)
    await alice.is_live()
    archiving = await archive_on_its_way(alice, "two")
    answered = alice.page.expect_response
    async with answered("**/archive/"), answered("**/unarchive/?unread=1"):
        await alice.press("Undo")
        await alice.sees(two=False, one=False)
        await archiving.continue_()
    await alice.page.reload()
    await alice.sees(two=False, one=False)


async def test_what_fails_takes_back_nothing_else(people, reader):
    await asend("one", to=[people.alice])
    await asend("two", to=[people.alice])
    alice = await reader(people.alice)
    await alice.is_live()
    await alice.context.route("**/read/", lambda route: route.abort())
    archiving = await archive_on_its_way(alice, "two")
    await alice.press("Mark as read", alice.row("one"))
    await expect(alice.row("one").locator(".failure")).to_be_visible()
    await alice.sees(one=False)
    await archiving.continue_()
    await alice.counts(unread=1)
    await alice.sees(one=False)


async def test_undo_is_offered_for_six_seconds_and_as_long_as_somebody_is_about_it(people, reader):
    await asend("one", to=[people.alice])
    alice = await reader(people.alice, path=None)
    await alice.context.clock.install()
    await alice.open()
    await alice.press("Archive")
    line = alice.find(".undo")
    await alice.page.clock.fast_forward(5_000)
    await expect(line).to_be_visible()
    await line.get_by_role("button").focus()
    await alice.page.clock.fast_forward(60_000)
    await expect(line).to_be_visible()
    await alice.find("h1").focus()
    await alice.page.clock.fast_forward(7_000)
    await expect(line).to_be_hidden()


async def test_what_fails_is_said_beside_it_taken_back_and_tried_again(people, reader):
    await asend("one", to=[people.alice])
    await asend("two", to=[people.alice])
    alice = await reader(people.alice)
    await alice.context.route("**/read/", lambda route: route.abort())
    await alice.press("Mark as read", alice.row("one"))
    failure = alice.row("one").locator(".failure")
    await expect(failure).to_contain_text("That did not work.")
    await expect(alice.find('[role="alert"]')).to_have_text("That did not work.")
    await alice.sees(two=False, one=False)
    await alice.context.unroute("**/read/")
    await failure.get_by_role("button", name="Retry").click()
    await alice.sees(two=False, one=True)
    await is_focused(alice, "one")
    await expect(alice.find(".failure")).to_be_hidden()
    await expect(alice.find('[role="alert"]')).to_be_empty()


async def test_an_archive_that_fails_offers_no_undo(people, reader):
    await asend("one", to=[people.alice])
    alice = await reader(people.alice)
    await alice.context.route("**/archive/", lambda route: route.fulfill(status=500))
    await alice.press("Archive")
    await expect(alice.find("li .failure")).to_be_visible()
    await expect(alice.find(".undo")).to_be_hidden()
    await alice.sees(one=False)


# ------------------------------------------------------------------------------ older and searched


async def test_older_messages_grow_the_list_in_place(people, reader):
    await several(70)
    alice = await reader(people.alice)
    await alice.press_link("Older messages")
    await expect(shown(alice)).to_have_count(60)
    await is_focused(alice, "number 39")
    assert alice.page.url.endswith("/messages/?pages=2")
    await alice.page.reload()
    await expect(shown(alice)).to_have_count(60)
    await alice.press_link("Older messages")
    await expect(shown(alice)).to_have_count(70)
    await is_focused(alice, "number 9")
    await expect(alice.find(".more a")).to_have_count(0)


async def test_a_grown_list_stays_true_and_so_does_the_place_in_it(people, reader):
    await several(60)
    alice, other = await reader(people.alice), await reader(people.alice)
    await alice.press_link("Older messages")
    await is_focused(alice, "number 29")
    await other.page.goto(f"{other.center}?pages=2")
    await other.press("Archive", other.row("number 10"))
    await expect(alice.row("number 10")).to_be_hidden()
    before = await alice.page.evaluate("scrollY")
    async with alice.page.expect_response("**/messages/?pages=2"):
        await more_acts_than_are_kept(people.alice)
    await expect(shown(alice)).to_have_count(59)
    await is_focused(alice, "number 29")
    assert await alice.page.evaluate("scrollY") == before


@sync_to_async
def more_acts_than_are_kept(user: Any) -> None:
    """After which a page must fetch its list."""
    message = Message.objects.latest("position")
    with transaction.atomic():
        for _ in range(acts.KEPT + 1):
            acts.read(user, message.pk)
            acts.unread(user, message.pk)


async def test_while_older_messages_are_fetched_the_list_is_busy_and_what_fails_is_said(
    people, reader
):
    await several(40)
    alice = await reader(people.alice)
    await alice.is_live()
    held: asyncio.Future[Route] = asyncio.get_running_loop().create_future()
    await alice.context.route("**/messages/?pages=2", lambda route: held.set_result(route))
    await alice.press_link("Older messages")
    await expect(alice.find(".list")).to_have_attribute("aria-busy", "true")
    await asend("new", to=[people.alice])  # what comes meanwhile is not lost
    await (await held).abort()
    await expect(alice.find(".more .failure")).to_be_visible()
    await expect(alice.find(".list")).to_have_attribute("aria-busy", "false")
    assert alice.page.url == alice.center
    await alice.context.unroute("**/messages/?pages=2")
    await alice.counts(unread=41)
    await alice.press("Retry")
    await is_focused(alice, "number 10")
    await expect(alice.row("new")).to_have_count(1)


async def test_a_search_shows_what_was_found_and_nothing_that_comes_later(people, reader):
    await asend("The lift is broken", to=[people.alice])
    await asend("Lunch", to=[people.alice])
    alice = await reader(people.alice)
    await alice.find("[name=q]").fill("lift")
    await alice.page.keyboard.press("Enter")
    await alice.page.wait_for_url("**/messages/?q=lift")
    await alice.is_live()
    await alice.sees(**{"The lift is broken": False})
    await asend("Dinner", to=[people.alice])
    await alice.counts(unread=3)
    await alice.sees(**{"The lift is broken": False})
    await alice.press_link("Archived")
    await expect(alice.find(".empty")).to_contain_text("Nothing found.")
    await alice.press_link("Show all")
    await alice.page.wait_for_url("**/messages/?")


# ---------------------------------------------------------------------- what happens to a message


async def test_a_message_withdrawn_under_ones_eyes_goes_and_the_focus_stays_in_the_list(
    people, reader
):
    one, two, three = [await asend(title, to=[people.alice]) for title in ("one", "two", "three")]
    alice = await reader(people.alice)
    await alice.is_live()
    await alice.row("two").get_by_role("button").first.focus()
    await awithdraw(two)
    await is_focused(alice, "one")
    await expect(alice.find('[role="status"]')).to_have_text("A message was withdrawn.")
    await awithdraw(one)
    await is_focused(alice, "three")
    await awithdraw(three)
    await expect(alice.find("h1")).to_be_focused()
    await expect(alice.find(".empty")).to_be_visible()


async def test_an_edited_message_says_so(people, reader):
    message = await asend("one", to=[people.alice])
    alice = await reader(people.alice)
    await alice.is_live()
    await expect(alice.find("li .edited")).to_be_hidden()
    await sync_to_async(update)(message, title="better", body="*new*", level="warning")
    await expect(alice.row("better").locator(".edited")).to_have_text("edited")
    await expect(alice.row("better").locator(".level")).to_have_text("Warning")


# ---------------------------------------------------------------------------------- days and times


async def test_days_and_times_are_those_of_the_reader(people, reader):
    for days in (3, 1, 0):
        await aged(await asend(f"{days}", to=[people.alice]), days=days)
    alice = await reader(people.alice, timezone_id="Pacific/Kiritimati")
    headings = alice.find(".list h2")
    await expect(headings).to_have_count(3)
    await expect(headings.nth(0)).to_have_text("today")
    await expect(headings.nth(1)).to_have_text("yesterday")
    await expect(alice.row("0").locator("time")).to_have_text("now")
    times = alice.find("li time")
    by_scripts = await times.nth(2).text_content()
    (cookie,) = [c for c in await alice.context.cookies() if c["name"] == "timezone"]
    assert (cookie["value"], cookie["sameSite"]) == ("Pacific/Kiritimati", "Lax")
    page = await alice.context.request.get(alice.center)  # the server agrees from now on
    assert "UTC" not in (await page.text()).partition("<template>")[0]
    assert by_scripts


async def test_times_stay_right_and_today_becomes_yesterday(people, reader):
    await asend("one", to=[people.alice])
    alice = await reader(people.alice, path=None)
    at = timezone.now().replace(hour=21, minute=59, second=30)
    await alice.context.clock.install(time=at + timedelta(seconds=20))
    await Message.objects.aupdate(published_at=at)
    await alice.open()
    time = alice.row("one").locator("time")
    await expect(time).to_have_text("now")
    assert (await time.get_attribute("title")).endswith("9:59 PM")
    await alice.page.clock.fast_forward("05:00")
    await expect(time).to_have_text("5 min. ago")
    await alice.page.clock.fast_forward("01:00:00")
    await expect(time).to_have_text("1 hr. ago")
    await expect(alice.find(".list h2")).to_have_text("today")
    await alice.page.clock.fast_forward("01:00:00")
    await expect(alice.find(".list h2")).to_have_text("yesterday")
    await expect(time).to_have_text("9:59 PM")


# ------------------------------------------------------------------------------- what is announced


async def test_two_live_regions_speak_when_something_happens_and_not_before(people, reader):
    await asend("one", to=[people.alice])
    alice = await reader(people.alice)
    regions = alice.find("[role=status], [role=alert], [aria-live]")
    await expect(regions).to_have_count(2)
    await expect(alice.find(".list [role=status], .list [role=alert]")).to_have_count(0)
    assert await regions.all_text_contents() == ["", ""]
    await alice.is_live()
    await several(3)
    await expect(alice.find("[role=status]")).to_have_text("3 new messages")
    assert await alice.find("[role=alert]").text_content() == ""


async def test_nothing_is_announced_in_a_tab_that_nobody_sees(people, reader):
    await asend("one", to=[people.alice])
    alice = await reader(people.alice, path=None)
    await alice.context.add_init_script(AWAY)
    await alice.context.clock.install()
    await alice.open()
    await alice.is_live()
    await alice.page.evaluate("window.away = true")
    await asend("two", to=[people.alice])
    await alice.sees(two=False, one=False)
    await alice.page.clock.fast_forward(5_000)
    assert await alice.find("[role=status]").text_content() == ""


async def test_offline_is_said_and_over_when_it_is(people, reader):
    alice = await reader(people.alice)
    await alice.is_live()
    line = alice.find('[data-state="offline"]')
    await alice.context.set_offline(True)
    await expect(line).to_be_visible()
    await expect(alice.find("[role=status]")).to_contain_text("You are offline.")
    await asend("meanwhile", to=[people.alice])
    await alice.context.set_offline(False)
    await expect(line).to_be_hidden()
    await alice.sees(meanwhile=False)


async def test_what_was_on_its_way_when_the_network_went_does_not_end_that(people, reader):
    alice = await reader(people.alice)
    await alice.is_live()
    line = alice.find('[data-state="offline"]')
    await alice.page.evaluate("""() => {
        Object.defineProperty(navigator, "onLine", { value: false });
        dispatchEvent(new Event("offline"));
    }""")
    await expect(line).to_be_visible()
    await asend("on its way", to=[people.alice])
    await alice.sees(**{"on its way": False})  # so it has been live again
    await expect(line).to_be_visible()


async def test_who_is_signed_out_can_do_nothing_and_is_told_at_once(people, reader):
    await asend("one", to=[people.alice])
    alice = await reader(people.alice)
    await alice.is_live()
    await alice.context.clear_cookies(name="sessionid")
    await alice.press("Mark as read")
    await expect(alice.find('[data-state="signed-out"]')).to_be_visible()
    await expect(alice.find("[role=alert]")).to_have_text("You are signed out.")
    await expect(alice.find(".failure")).to_be_hidden()
    await expect(alice.find("[form]:enabled")).to_have_count(0)
    await alice.sees(one=False)


async def test_without_scripts_one_can_search_and_page_and_sees_nothing_that_needs_them(
    people, reader
):
    await several(31)
    alice = await reader(people.alice, scripts=False)
    await expect(alice.find(".list h2")).to_have_text("Today")
    await expect(
        alice.find(".help, .undo, .pill, .failure, dialog").locator("visible=true")
    ).to_have_count(0)
    await alice.press_link("Older messages")
    await alice.sees(**{"number 0": False})
    await alice.find("[name=q]").fill("number 30")
    await alice.page.get_by_role("button", name="Search").click()
    await alice.sees(**{"number 30": False})
    await alice.press("Archive", alice.row("number 30"))
    await expect(alice.find(".empty")).to_contain_text("Nothing found.")
    await alice.press_link("Archived")
    await alice.sees(**{"number 30": True})
