"""The message center in a real Chromium, against a real server."""

import asyncio
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from playwright.async_api import expect

from notifications import EVERYONE, asend, update, withdraw
from notifications.acts import end_streams
from tests.chromium import needs_chromium
from tests.server import python
from tests.until import until

pytestmark = [needs_chromium, pytest.mark.asyncio(loop_scope="session")]


def synced(work: Callable[..., Any], *args: Any, **options: Any) -> Any:
    return sync_to_async(work)(*args, **options)


async def in_another_process(code: str, *args: str) -> None:
    with python(code, *args) as process:
        _, errors = await asyncio.to_thread(process.communicate)
    assert errors == ""


async def test_what_another_process_sends_appears_where_it_belongs_and_only_there(people, reader):
    alice, bob = await reader(people.alice), await reader(people.bob)
    await in_another_process("""
from django.contrib.auth import get_user_model
from notifications import EVERYONE, send
send("secret", to=[get_user_model().objects.get(username="alice")])
send("all", to=EVERYONE)
""")
    await alice.sees(all=False, secret=False)
    await bob.sees(all=False)
    await alice.counts(unread=2)
    await bob.counts(unread=1)
    await expect(alice.find(".news")).to_have_text("2 new messages")


async def test_tabs_agree_on_what_is_read_archived_edited_and_withdrawn(people, reader):
    first = await asend("first", to=[people.alice])
    second = await asend("second", to=[people.alice])
    await asend("third", to=[people.alice])
    here, there = await reader(people.alice), await reader(people.alice)
    await here.press("Mark as read")
    await there.sees(third=True, second=False, first=False)
    await there.press("Archive")
    await here.sees(second=False, first=False)
    await synced(update, second, title="better")
    await here.sees(better=False, first=False)
    await synced(withdraw, first)
    await here.sees(better=False)
    await there.sees(better=False)
    await here.press("Mark all as read")
    await there.sees(better=True)
    await here.counts(unread=0)
    await there.counts(unread=0)
    await there.page.goto(f"{there.center}?filter=archived")
    await there.press("Move back")
    await here.sees(third=True, better=True)  # it comes back below: fetched, not guessed


async def test_a_server_that_was_killed_has_cost_nothing(people, server, reader):
    alice = await reader(people.alice)
    await asend("before", to=[people.alice])
    await alice.sees(before=False)
    server.kill()
    await asend("meanwhile", to=EVERYONE)
    reconnecting = alice.find('[data-state="reconnecting"]')
    await expect(reconnecting).to_be_visible()
    server.start()
    await alice.sees(meanwhile=False, before=False)
    await expect(reconnecting).to_be_hidden()
    await asend("after", to=[people.alice])
    await alice.sees(after=False, meanwhile=False, before=False)


async def test_a_proxy_that_answers_for_a_missing_server_ends_nothing(people, server, reader):
    alice = await reader(people.alice)
    await until(lambda: server.connections() > 0)
    asked = threading.Event()

    class BadGateway(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(502)
            asked.set()  # the EventSource, which now has given up for ever

        def log_message(self, *_: Any) -> None:
            pass

    server.kill()
    with HTTPServer(("127.0.0.1", server.port), BadGateway) as proxy:
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        assert await asyncio.to_thread(asked.wait, 40)
        proxy.shutdown()
        thread.join()
    await asend("meanwhile", to=EVERYONE)
    server.start()
    await alice.sees(meanwhile=False)


async def test_what_fails_is_said_and_taken_back(people, server, reader):
    await asend("one", to=[people.alice])
    alice = await reader(people.alice)
    server.kill()
    await alice.press("Mark as read")
    await expect(alice.find(".failure")).to_contain_text("did not work")
    await alice.sees(one=False)
    server.start()
    await alice.try_now()
    await alice.press("Mark as read")
    await alice.sees(one=True)
    await alice.counts(unread=0)


async def test_the_title_counts_what_has_not_been_seen_yet(people, reader):
    await asend("one", to=[people.alice])
    alice = await reader(people.alice)
    assert await alice.page.title() in ("(1) Messages", "Messages")
    await expect(alice.page).to_have_title("Messages")
    await alice.counts(unread=1)


async def test_who_is_signed_out_elsewhere_is_told(people, server, reader):
    alice = await reader(people.alice)
    await in_another_process(
        """
import sys
from django.contrib.sessions.models import Session
from notifications.acts import end_streams
Session.objects.filter(pk=sys.argv[1]).delete()
end_streams(sys.argv[2])
""",
        await alice.session(),
        str(people.alice.pk),
    )
    signed_out = alice.find('[data-state="signed-out"]')
    await expect(signed_out).to_be_visible()
    link = await signed_out.get_by_role("link").get_attribute("href")
    assert link == "/accounts/login/?next=/messages/"


async def test_a_page_of_one_user_never_goes_on_with_the_session_of_another(people, reader):
    await asend("hello", to=[people.bob])
    page = await reader(people.alice)
    await asend("secret", to=[people.alice])
    await page.sees(secret=False)  # so her stream is open
    await page.log_in(people.bob)
    await synced(end_streams, people.alice.pk)  # the page comes back, with bob's session
    await page.sees(hello=False)


async def test_who_follows_the_link_of_a_message_has_read_it(people, reader):
    await asend("go", to=[people.alice], link="/messages/?filter=archived")
    alice = await reader(people.alice)
    await alice.find(".link").first.click()
    await alice.page.wait_for_url("**archived")
    await alice.counts(unread=0)


async def test_what_people_write_is_text_also_when_it_arrives_live(people, reader):
    alice = await reader(people.alice)
    title = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    body = "<img src=x onerror=alert(3)> [*a*](javascript:alert(4)) **bold**"
    people.root.first_name = title
    await people.root.asave()
    await asend(title, to=[people.alice], body=body, sender=people.root, link="/?q=<script>")
    await expect(alice.row(title)).to_be_visible()
    live = await alice.find("li .body").inner_html()
    await expect(alice.find("li .sender")).to_have_text(title)
    await expect(alice.find("ul img, ul script")).to_have_count(0)
    assert "<strong>bold</strong>" in live
    await alice.page.reload()
    assert await alice.find("li .body").inner_html() == live  # as the server makes it


async def test_without_scripts_everything_is_there(people, reader):
    await asend("one", to=[people.alice])
    alice = await reader(people.alice, scripts=False)
    await alice.counts(unread=1)
    await alice.press("Mark as read")
    await alice.counts(unread=0)
    await alice.press("Archive")
    await expect(alice.find(".empty")).to_be_visible()
    await alice.page.goto(f"{alice.center}?filter=archived")
    await alice.press("Move back")
    await expect(alice.find(".empty")).to_be_visible()
    await alice.page.goto(alice.center)
    await alice.find(".title").first.click()
    await expect(alice.find("article h1")).to_contain_text("one")
    await alice.press("Mark as unread")
    await alice.page.wait_for_url(alice.center)
    await alice.counts(unread=1)


async def test_without_scripts_all_is_read_filtered_and_said_in_another_language(people, reader):
    for title in ("one", "two"):
        await asend(title, to=[people.alice])
    alice = await reader(people.alice, scripts=False)
    await alice.press("Mark as read", alice.row("two"))
    await alice.press_link("Unread 1")
    await alice.sees(one=False)
    await alice.press("Mark all as read")
    await expect(alice.find(".empty")).to_contain_text("Nothing unread.")
    await alice.press_link("Show all")
    await alice.sees(two=True, one=True)
    await alice.press("简体中文")
    await expect(alice.find("h1")).to_have_text("消息")
    await alice.sees(two=True, one=True)  # the page that it was asked for on
    await alice.press("English")
    await expect(alice.find("h1")).to_have_text("Messages")


async def test_without_scripts_one_chooses_light_or_dark_and_logs_out(people, reader):
    alice = await reader(people.alice, scripts=False, color_scheme="light")
    colour = "getComputedStyle(document.body).backgroundColor"
    light = await alice.page.evaluate(colour)
    await alice.press("Dark")
    await expect(alice.find("html")).to_have_attribute("data-theme", "dark")
    assert await alice.page.evaluate(colour) != light
    await alice.press_link("Archived")
    await alice.press("Automatic")
    await expect(alice.find("[aria-current=page]")).to_have_text("Archived")
    assert await alice.page.evaluate(colour) == light
    await alice.press("Log out")
    await alice.page.wait_for_url(f"{alice.url}/")
    await alice.page.goto(alice.center)
    await expect(alice.find("[name=password]")).to_be_visible()
