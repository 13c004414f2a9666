"""A page that is kept for "back" and "forward" holds nothing meanwhile, and lives again."""

from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.contrib.sessions.models import Session
from django.urls import reverse
from playwright.async_api import Browser, expect

from notifications import asend
from tests.chromium import CHROMIUM, launch, needs_chromium
from tests.listener import TELLING, Listener, has_streams, streams
from tests.server import Server

pytestmark = [
    needs_chromium,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.only("sqlite"),  # what a page does does not depend on the database
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """With the cache that Playwright switches off: it loses sight of pages that are kept there."""
    async for browser in launch(CHROMIUM, "--disable-back-forward-cache"):
        yield browser


@pytest.fixture
def server(servers: Callable[..., Server]) -> Server:
    return servers("daphne", application=TELLING)


async def test_a_page_that_was_kept_for_back_is_live_again(people, server, reader):
    alice = await reader(people.alice, path=None)
    bare = (
        "/static/notifications/center.css"  # no page of ours: those have a bell, which listens, too
    )
    tab, other = await Listener.open(alice, path=bare), await Listener.open(alice)
    await other.is_told("live")
    await tab.page.evaluate("""() => {
        addEventListener("pageshow", ({ persisted }) => { localStorage.wasKept = persisted; });
        setInterval(() => {
            localStorage.titles = heard.map(({ data }) => data.title).filter(Boolean);
        }, 50);
    }""")
    await tab.page.goto(f"{server.url}/readyz")
    await has_streams(server, 1)
    await asend("meanwhile", to=[people.alice])
    await other.hears("meanwhile")
    await other.page.evaluate("localStorage.titles = ''")
    await tab.page.evaluate("setTimeout(() => history.back())")
    await other.page.wait_for_function("() => localStorage.wasKept === 'true'")
    await other.page.wait_for_function("() => localStorage.titles === 'meanwhile'")
    await asend("after", to=[people.alice])
    await other.page.wait_for_function("() => localStorage.titles === 'meanwhile,after'")
    await other.hears("meanwhile", "after")
    assert streams(server) == 1


async def test_a_page_with_the_bell_that_was_kept_for_back_is_true_and_live_again(
    people, server, reader
):
    alice = await reader(people.alice, path="/")
    page, other = alice.page, await Listener.open(alice)
    await other.is_told("live")
    await page.evaluate("""() => {
        addEventListener("pageshow", ({ persisted }) => { localStorage.wasKept = persisted; });
        const badge = document.querySelector(".bell-badge");
        setInterval(() => { localStorage.badge = badge.textContent; }, 50);
    }""")
    await page.goto(f"{server.url}/readyz")
    await asend("meanwhile", to=[people.alice])
    await other.hears("meanwhile")
    await page.evaluate("setTimeout(() => history.back())")
    await other.page.wait_for_function("() => localStorage.wasKept === 'true'")
    await other.page.wait_for_function("() => localStorage.badge === '1'")
    await asend("after", to=[people.alice])
    await other.page.wait_for_function("() => localStorage.badge === '2'")


async def test_back_leads_to_the_message_center_as_it_is_now(people, server, reader):
    """It is not kept (`Cache-Control: no-store`), but fetched again."""
    await asend("before", to=[people.alice])
    alice = await reader(people.alice)
    await alice.is_live()
    await alice.page.goto(f"{server.url}/readyz")
    await asend("meanwhile", to=[people.alice])
    await alice.page.go_back()
    await alice.sees(meanwhile=False, before=False)
    await alice.is_live()
    await asend("after", to=[people.alice])
    await alice.sees(after=False, meanwhile=False, before=False)


async def test_after_the_session_back_leads_to_the_log_in(people, server, reader):
    await asend("private", to=[people.alice])
    alice = await reader(people.alice)
    await alice.sees(private=False)
    await alice.page.goto(f"{server.url}/readyz")
    await sync_to_async(Session.objects.filter(pk=await alice.session()).delete)()
    await alice.page.go_back()
    await alice.page.wait_for_url(f"{server.url}{reverse('login')}?**")
    await expect(alice.page.get_by_text("private")).to_have_count(0)
