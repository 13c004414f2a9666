"""The message center in a real Chromium, against a real server."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.conf import settings
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from notifications import EVERYONE, send, update, withdraw
from tests.browser import new_session
from tests.people import People
from tests.server import Server, python

CHROMIUM, CHROMEDRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and CHROMEDRIVER), reason="Chromium and chromedriver are not installed"
)
PATIENCE = 40.0  # s for what must appear: a page tries again after up to 16 s, on a busy machine
# What looking for an element raises when the old page is gone and the new one not there yet.
BETWEEN_PAGES = [IndexError, StaleElementReferenceException]
OPTIONS = [
    "--headless=new",
    "--no-sandbox",  # CI runs as root, for whom Chromium has no sandbox
    "--disable-dev-shm-usage",  # containers have little of it
    "--no-proxy-server",
    "--lang=en",
]


class Reader:
    """Somebody with a browser window on the message center."""

    def __init__(self, server: Server, user: Any, *, scripts: bool) -> None:
        options = ChromeOptions()
        options.binary_location = str(CHROMIUM)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        for option in OPTIONS:
            options.add_argument(option)
        if not scripts:
            off = {"profile.managed_default_content_settings.javascript": 2}
            options.add_experimental_option("prefs", off)
        self.chrome = Chrome(options, ChromeService(str(CHROMEDRIVER)))
        self.url = f"{server.url}/messages/"
        self.chrome.get(f"{server.url}/healthz")  # a cookie needs a page of its site
        self.log_in(user)
        self.chrome.get(self.url)

    def log_in(self, user: Any) -> None:
        """As in another tab: the page that is open is not told."""
        session = {"name": settings.SESSION_COOKIE_NAME, "value": new_session(user)}
        self.chrome.add_cookie(session)

    def until(self, condition: Callable[[], Any]) -> Any:
        wait = WebDriverWait(self.chrome, PATIENCE, 0.05, BETWEEN_PAGES)
        return wait.until(lambda _: condition())

    def all(self, selector: str) -> list[Any]:
        return self.chrome.find_elements(By.CSS_SELECTOR, selector)

    def rows(self) -> dict[str, bool]:
        """Whether it is read, by title, as shown from top to bottom."""
        script = """
            return [...document.querySelectorAll("li[data-id]")]
              .filter((row) => !row.hidden)
              .map((row) => [".title", ".unread"].map((part) => row.querySelector(part)))
              .map(([title, unread]) => [title.textContent, unread.hidden]);
        """
        return dict(self.chrome.execute_script(script))

    def sees(self, **read: bool) -> None:
        """Wait until the list is just this, from top to bottom."""
        self.until(lambda: list(self.rows().items()) == list(read.items()))

    def unread(self) -> int:
        return int(self.all(".unread-count")[0].text)

    def press(self, label: str) -> None:
        """The first button of that name."""

        def pressed() -> bool:  # again, when the list is drawn anew between finding and pressing
            if found := [each for each in self.all("button") if each.text == label]:
                found[0].click()
            return bool(found)

        self.until(pressed)

    def try_now(self) -> None:
        """Have the page look for its server now, however long it had meant to wait."""
        self.chrome.execute_script("dispatchEvent(new Event('online'))")

    def complaints(self) -> list[str]:
        """What the console says of scripts and of the page's policy."""
        log = self.chrome.get_log("browser")
        return [entry["message"] for entry in log if entry["source"] != "network"]


@pytest.fixture
def reader(people: People, server: Server) -> Iterator[Callable[..., Reader]]:
    """`reader(people.alice)` opens her message center. No console may end with a complaint."""
    opened = []
    with ExitStack() as stack:

        def start(user: Any, *, scripts: bool = True) -> Reader:
            new = Reader(server, user, scripts=scripts)
            stack.callback(new.chrome.quit)
            opened.append(new)
            return new

        yield start
        for each in opened:
            assert each.complaints() == []


def test_what_another_process_sends_appears_where_it_belongs_and_only_there(people, reader):
    alice, bob = reader(people.alice), reader(people.bob)
    code = """
from django.contrib.auth import get_user_model
from notifications import EVERYONE, send
send("secret", to=[get_user_model().objects.get(username="alice")])
send("all", to=EVERYONE)
"""
    with python(code) as sender:
        assert sender.communicate()[1] == ""
    alice.sees(all=False, secret=False)
    bob.sees(all=False)
    assert (alice.unread(), bob.unread()) == (2, 1)
    alice.until(lambda: alice.all(".news")[0].get_attribute("textContent") == "2 new messages")


def test_tabs_agree_on_what_is_read_archived_edited_and_withdrawn(people, reader):
    first, second, third = (send(t, to=[people.alice]) for t in ("first", "second", "third"))
    here, there = reader(people.alice), reader(people.alice)
    here.press("Mark as read")
    there.sees(third=True, second=False, first=False)
    there.press("Archive")
    here.sees(second=False, first=False)
    update(second, title="better")
    here.sees(better=False, first=False)
    withdraw(first)
    here.sees(better=False)
    there.sees(better=False)
    here.press("Mark all as read")
    there.sees(better=True)
    here.until(lambda: (here.unread(), there.unread()) == (0, 0))
    there.chrome.get(f"{there.url}?filter=archived")
    there.press("Move back")
    here.sees(third=True, better=True)  # it comes back below: fetched, not guessed
    assert third.pk > second.pk


def test_a_server_that_was_killed_has_cost_nothing(people, server, reader):
    alice = reader(people.alice)
    send("before", to=[people.alice])
    alice.sees(before=False)
    server.kill()
    send("meanwhile", to=EVERYONE)
    reconnecting = alice.all('[data-state="reconnecting"]')[0]
    alice.until(reconnecting.is_displayed)
    server.start()
    alice.sees(meanwhile=False, before=False)
    alice.until(lambda: not reconnecting.is_displayed())
    send("after", to=[people.alice])
    alice.sees(after=False, meanwhile=False, before=False)


def test_a_proxy_that_answers_for_a_missing_server_ends_nothing(people, server, reader):
    alice = reader(people.alice)
    alice.until(lambda: server.connections() > 0)
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
        assert asked.wait(PATIENCE)
        proxy.shutdown()
        thread.join()
    send("meanwhile", to=EVERYONE)
    server.start()
    alice.sees(meanwhile=False)


def test_what_fails_is_said_and_taken_back(people, server, reader):
    send("one", to=[people.alice])
    alice = reader(people.alice)
    server.kill()
    alice.press("Mark as read")
    alice.until(lambda: "did not work" in alice.all("[role=alert]")[0].text)
    alice.sees(one=False)
    server.start()
    alice.try_now()
    alice.press("Mark as read")
    alice.sees(one=True)
    alice.until(lambda: alice.unread() == 0)


def test_the_title_counts_what_has_not_been_seen_yet(people, reader):
    send("one", to=[people.alice])
    alice = reader(people.alice)
    assert alice.chrome.title in ("(1) Messages", "Messages")
    alice.until(lambda: alice.chrome.title == "Messages")
    assert alice.unread() == 1


def test_who_is_signed_out_elsewhere_is_told(people, server, reader):
    alice = reader(people.alice)
    session = alice.chrome.get_cookie(settings.SESSION_COOKIE_NAME)["value"]
    code = """
import sys
from django.contrib.sessions.models import Session
from notifications.acts import end_streams
Session.objects.filter(pk=sys.argv[1]).delete()
end_streams(sys.argv[2])
"""
    with python(code, session, str(people.alice.pk)) as process:
        assert process.communicate()[1] == ""
    alice.until(alice.all('[data-state="signed-out"]')[0].is_displayed)
    link = alice.all('[data-state="signed-out"] a')[0].get_attribute("href")
    assert link == f"{server.url}/accounts/login/?next=/messages/"


def test_a_page_of_one_user_never_goes_on_with_the_session_of_another(people, server, reader):
    send("secret", to=[people.alice])
    send("hello", to=[people.bob])
    page = reader(people.alice)
    page.log_in(people.bob)
    server.restart()
    page.sees(hello=False)


def test_who_follows_the_link_of_a_message_has_read_it(people, reader):
    send("go", to=[people.alice], link="/messages/?filter=archived")
    alice = reader(people.alice)
    alice.all(".link")[0].click()
    alice.until(lambda: "archived" in alice.chrome.current_url)
    alice.until(lambda: alice.unread() == 0)


def test_what_people_write_is_text_also_when_it_arrives_live(people, reader):
    alice = reader(people.alice)
    title = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    body = "<img src=x onerror=alert(3)> [*a*](javascript:alert(4)) **bold**"
    people.root.first_name = title
    people.root.save()
    send(title, to=[people.alice], body=body, sender=people.root, link="/?q=<script>")
    alice.until(lambda: title in alice.rows())
    live = alice.all(".body")[0].get_attribute("innerHTML")
    assert alice.all(".sender")[0].text == title
    assert not alice.all("ul img, ul script")
    assert "<strong>bold</strong>" in live
    alice.chrome.get(alice.url)
    assert alice.all(".body")[0].get_attribute("innerHTML") == live  # as the server makes it


def test_without_scripts_everything_is_there(people, reader):
    send("one", to=[people.alice])
    alice = reader(people.alice, scripts=False)
    assert alice.unread() == 1
    alice.press("Mark as read")
    alice.until(lambda: alice.unread() == 0)
    alice.press("Archive")
    alice.until(lambda: alice.all(".empty")[0].is_displayed())
    alice.chrome.get(f"{alice.url}?filter=archived")
    alice.press("Move back")
    alice.until(lambda: alice.all(".empty")[0].is_displayed())
    alice.chrome.get(alice.url)
    alice.all(".title")[0].click()
    alice.until(lambda: alice.all("article h1")[0].text.endswith("one"))
    alice.press("Mark as unread")
    alice.until(lambda: alice.chrome.current_url == alice.url and alice.unread() == 1)
