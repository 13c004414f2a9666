"""The bell: a plain link with the reader's numbers in any template, and live where scripts run."""

import re

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.template import Context, Template
from django.template.loader import render_to_string
from django.test import AsyncRequestFactory, Client, RequestFactory
from playwright.async_api import expect

from notifications import EVERYONE, asend, send, withdraw
from notifications import acts as what_readers_do
from tests.chromium import needs_chromium

in_chromium = [
    needs_chromium,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.only("sqlite"),
]
TAG = Template("{% load notifications %}{% message_bell %}")


def asked_by(user, path="/"):
    request = RequestFactory().get(path)
    request.user = user
    return request


def bell(user):
    return TAG.render(Context({"request": asked_by(user)}))


def attribute(html, name):
    return re.search(rf'<message-bell[^>]* data-{name}="([^"]*)"', html)[1]


# -------------------------------------------------------------------------------------- the tag


def test_the_tag_says_how_many_are_new_and_unread(people):
    assert 'aria-label="Messages"' in bell(people.alice)
    first = send("one", to=EVERYONE)
    what_readers_do.seen(people.alice, None)
    send("two", to=[people.alice])
    assert 'aria-label="Messages, 1 new, 2 unread"' in bell(people.alice)
    assert re.search(r'bell-badge" aria-hidden="true">1<', bell(people.alice))
    what_readers_do.seen(people.alice, None)
    assert 'aria-label="Messages, 0 new, 2 unread"' in bell(people.alice)
    assert re.search(r'bell-badge" aria-hidden="true" hidden>', bell(people.alice))
    withdraw(first)
    assert attribute(bell(people.alice), "unread") == "1"
    assert 'aria-label="Messages"' in bell(people.bob)


def test_the_badge_ends_at_99_and_the_name_is_exact(people):
    for number in range(101):
        send(f"number {number}", to=[people.alice])
    assert ">99+</span>" in bell(people.alice)
    assert "Messages, 101 new, 101 unread" in bell(people.alice)


def test_the_tag_costs_two_queries_at_most(people, django_assert_max_num_queries):
    bell(people.alice)  # the first time ever her inbox is made
    send("one", to=EVERYONE)
    with django_assert_max_num_queries(2):
        bell(people.alice)


def test_its_numbers_and_its_cursor_are_of_one_moment(people):
    send("one", to=[people.alice])
    alice = Client()
    alice.force_login(people.alice)
    state = alice.get("/messages/snapshot/?counts=1").json()
    html = alice.get("/").content.decode()
    for name in ("cursor", "version", "unread", "unseen"):
        assert attribute(html, name) == str(state[name])


def test_who_is_not_logged_in_gets_nothing(people):
    assert TAG.render(Context({"request": asked_by(AnonymousUser())})).strip() == ""
    assert (
        TAG.render(Context({"request": RequestFactory().get("/")})).strip() == ""
    )  # no middleware
    assert "message-bell" not in Client().get("/accounts/login/").content.decode()


def test_without_the_request_it_says_what_is_missing():
    with pytest.raises(ImproperlyConfigured, match=r"context_processors\.request"):
        TAG.render(Context())


async def test_the_tag_works_in_async_views_that_render_in_a_thread(people):
    async def view(request: HttpRequest) -> HttpResponse:
        html = await sync_to_async(render_to_string)("home.html", request=request)
        return HttpResponse(html)

    await asend("one", to=[people.alice])
    request = AsyncRequestFactory().get("/")
    request.user = people.alice
    assert "Messages, 1 new, 1 unread" in (await view(request)).content.decode()


def test_the_tag_brings_nothing_inline(people):
    send("one", to=[people.alice])
    assert not re.search(r"<style|<script(?![^>]* src=)|\sstyle=|\son\w+=", bell(people.alice))


# -------------------------------------------------------------------------------- in a browser


class TestInABrowser:
    pytestmark = in_chromium

    async def test_the_number_is_live_in_badge_name_and_title(self, people, reader):
        alice = await reader(people.alice, path="/")
        badge, link = alice.find(".bell-badge"), alice.find("message-bell > a")
        await expect(badge).to_be_hidden()
        title = await alice.page.title()
        first = await asend("one", to=[people.alice])
        await expect(badge).to_have_text("1")
        await expect(link).to_have_attribute("aria-label", "Messages, 1 new, 1 unread")
        await expect(alice.page).to_have_title(f"(1) {title}")
        await alice.page.evaluate("document.title = 'Another title'")  # as some projects do
        await asend("two", to=EVERYONE)
        await expect(alice.page).to_have_title("(2) Another title")
        await sync_to_async(what_readers_do.read)(people.alice, first.pk)
        await expect(badge).to_have_text("1")
        await sync_to_async(what_readers_do.read_all)(people.alice, None)
        await expect(badge).to_be_hidden()
        await expect(link).to_have_attribute("aria-label", "Messages")
        await expect(alice.page).to_have_title("Another title")

    async def test_the_icon_of_an_installed_site_has_the_same_number(self, people, reader):
        alice = await reader(people.alice, path=None)
        await alice.context.add_init_script(
            "navigator.setAppBadge = async (number) => { window.onTheIcon = number; }"
        )
        await alice.open("/")
        for number in (1, 2):
            await asend("news", to=[people.alice])
            await alice.page.wait_for_function("(n) => window.onTheIcon === n", arg=number)
        await sync_to_async(what_readers_do.seen)(people.alice, None)
        await alice.page.wait_for_function("() => window.onTheIcon === 0")

    async def test_a_click_opens_the_newest_messages_and_they_have_been_seen(self, people, reader):
        for number in range(12):
            await asend(f"number {number}", to=[people.alice])
        alice = await reader(people.alice, path="/")
        link, panel = alice.find("message-bell > a"), alice.find(".bell-panel")
        await expect(link).to_have_attribute("aria-expanded", "false")
        await link.click()
        await expect(panel.get_by_role("heading", name="Messages", exact=True)).to_be_focused()
        await expect(alice.page.get_by_role("region", name="Messages")).to_be_visible()
        await expect(link).to_have_attribute("aria-expanded", "true")
        assert list(await alice.rows()) == [f"number {number}" for number in range(11, 3, -1)]
        await expect(alice.find(".bell-badge")).to_be_hidden()  # after a second in sight
        await expect(link).to_have_attribute("aria-label", "Messages, 0 new, 12 unread")
        await alice.page.keyboard.press("Tab")
        await expect(panel.get_by_role("button", name="Mark all as read")).to_be_focused()
        await alice.page.keyboard.press("Escape")
        await expect(panel).to_be_hidden()
        await expect(link).to_be_focused()
        await expect(link).to_have_attribute("aria-expanded", "false")

    async def test_the_dropdown_comes_after_the_bell_and_holds_nobody(self, people, reader):
        alice = await reader(people.alice, path="/")
        link, keys = alice.find("message-bell > a"), alice.page.keyboard
        await link.focus()
        await keys.press("Enter")
        await expect(alice.find(".bell-panel h1")).to_be_focused()
        await keys.press("Shift+Tab")
        await expect(link).to_be_focused()
        await keys.press("Tab")
        await expect(alice.page.get_by_role("link", name="See all messages")).to_be_focused()
        await keys.press("Tab")
        await expect(alice.page.get_by_role("button", name="Log out")).to_be_focused()

    async def test_the_dropdown_is_live_and_acts(self, people, reader):
        first = await asend("first", to=[people.alice])
        await asend("second", to=[people.alice])
        alice, there = await reader(people.alice, path="/"), await reader(people.alice)
        await alice.find("message-bell > a").click()
        await alice.sees(second=False, first=False)
        await asend("third", to=[people.alice])
        await there.sees(third=False, second=False, first=False)
        await expect(alice.row("third")).to_be_attached()
        await sync_to_async(withdraw)(first)
        await expect(alice.row("first")).to_have_count(0)
        await alice.press("Mark all as read")
        await there.sees(third=True, second=True)
        await expect(alice.find("message-bell > a")).to_have_attribute("aria-label", "Messages")

    async def test_a_second_click_and_one_elsewhere_close_it(self, people, reader):
        alice = await reader(people.alice, path="/")
        link, panel = alice.find("message-bell > a"), alice.find(".bell-panel")
        for close in (link.click, lambda: alice.page.mouse.click(10, 600)):
            await link.click()
            await expect(panel).to_be_visible()
            await close()
            await expect(panel).to_be_hidden()
            await expect(alice.find("message-center")).to_have_count(0)

    async def test_what_nobody_looks_at_is_not_seen(self, people, reader):
        alice = await reader(people.alice, path="/")
        await alice.page.clock.install()
        await alice.find("message-bell > a").click()
        await expect(alice.find(".bell-panel")).to_be_visible()
        await alice.page.keyboard.press("Escape")
        await asend("later", to=[people.alice])
        await expect(alice.find(".bell-badge")).to_have_text("1")
        await alice.page.clock.run_for(5_000)
        await expect(alice.find(".bell-badge")).to_have_text("1")

    async def test_other_clicks_are_the_browsers(self, people, reader):
        alice = await reader(people.alice, path="/")
        async with alice.context.expect_page() as opened:
            await alice.find("message-bell > a").click(modifiers=["ControlOrMeta"])
        tab = await opened.value
        await tab.wait_for_url(alice.center)
        await expect(alice.find(".bell-panel")).to_be_hidden()

    @pytest.mark.parametrize("scripts", [True, False])
    async def test_on_a_phone_and_without_scripts_it_is_a_link(self, people, reader, scripts):
        await asend("one", to=[people.alice])
        phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
        alice = await reader(people.alice, path="/", scripts=scripts, **(phone if scripts else {}))
        link = alice.page.get_by_role("link", name="Messages, 1 new, 1 unread")
        await (link.tap() if scripts else link.click())
        await alice.page.wait_for_url(alice.center)

    async def test_where_all_messages_are_it_is_a_link_to_the_newest(self, people, reader):
        alice = await reader(people.alice, path="/messages/?filter=archived")
        await alice.find("message-bell > a").click()
        await alice.page.wait_for_url(alice.center)

    async def test_a_server_that_does_not_answer_leaves_a_link(self, people, server, reader):
        alice = await reader(people.alice, path="/")
        await alice.page.route("**/messages/", lambda route: route.fulfill(status=503, body="no"))
        await alice.find("message-bell > a").click()
        await alice.page.wait_for_url(alice.center)

    async def test_counts_come_through_what_was_missed(self, people, server, reader):
        one = await asend("one", to=[people.alice])
        alice = await reader(people.alice, path="/")
        await expect(alice.find(".bell-badge")).to_have_text("1")
        server.kill()
        await sync_to_async(what_readers_do.read)(people.alice, one.pk)
        for number in range(3):
            await asend(f"number {number}", to=EVERYONE)
        server.start()
        await alice.try_now()
        await expect(alice.find("message-bell > a")).to_have_attribute(
            "aria-label", "Messages, 3 new, 3 unread"
        )

    async def test_who_is_signed_out_has_a_plain_link(self, people, server, reader):
        alice = await reader(people.alice, path="/")
        await asend("one", to=[people.alice])
        await expect(alice.find(".bell-badge")).to_have_text("1")
        await sync_to_async(people.alice.set_password)("another")
        await people.alice.asave()
        await expect(alice.find(".bell-badge")).to_be_hidden()
        await alice.find("message-bell > a").click()
        await alice.page.wait_for_url("**/accounts/login/?next=/messages/")

    async def test_another_users_session_shows_nothing_of_the_first(self, people, reader):
        page = await reader(people.alice, path="/")
        await asend("hello", to=[people.alice])
        await expect(page.find(".bell-badge")).to_have_text("1")
        await page.log_in(people.bob)
        await sync_to_async(what_readers_do.end_streams)(people.alice.pk)
        await expect(page.find(".bell-badge")).to_be_hidden()

    async def test_it_moves_nothing_on_the_page(self, people, reader):
        alice = await reader(people.alice, path=None)
        await alice.context.add_init_script(
            """window.shifts = 0;
            new PerformanceObserver((list) => {
              for (const entry of list.getEntries()) window.shifts += entry.value;
            }).observe({ type: "layout-shift", buffered: true });"""
        )
        await alice.open("/")
        for number in range(3):
            await asend(f"number {number}", to=[people.alice])
            await expect(alice.find(".bell-toasts li")).to_have_count(number + 1)
        await expect(alice.find(".bell-badge")).to_have_text("3")
        assert await alice.page.evaluate("window.shifts") == 0
