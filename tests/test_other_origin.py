"""examples/other-origin: a page of an origin that is allowed listens; another gets nothing."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.sessions.models import Session
from playwright.async_api import expect

from notifications import asend, update, withdraw
from notifications.acts import end_streams
from tests.chromium import needs_chromium
from tests.server import ROOT, Server

pytestmark = [
    needs_chromium,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.only("sqlite"),  # what a page does does not depend on the database
]

EXAMPLE = ROOT / "examples" / "other-origin"
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[Callable[[], str]]:
    """`origin()` serves what is in tmp_path, from a port of its own."""
    started: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def serve() -> str:
        site = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path))
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        started.append((site, thread))
        return f"http://127.0.0.1:{site.server_port}"

    yield serve
    for site, thread in started:
        site.shutdown()
        thread.join()
        site.server_close()


@pytest.fixture
def ours(origin: Callable[[], str]) -> str:
    return origin()


@pytest.fixture
def server(servers: Callable[..., Server], ours: str, tmp_path: Path) -> Server:
    """It allows that origin, where the example is; which knows where the server is."""
    server = servers("daphne", CORS_ALLOWED_ORIGINS=ours)
    for file in EXAMPLE.iterdir():
        text = file.read_text().replace("http://127.0.0.1:8000", server.url)
        (tmp_path / file.name).write_text(text)
    return server


async def test_an_allowed_origin_shows_what_is_there_and_what_comes(people, server, reader, ours):
    await asend("earlier", to=[people.alice])
    alice = await reader(people.alice, path=None)
    page = await alice.context.new_page()
    await page.goto(ours)
    await expect(page.get_by_text("Live.")).to_be_visible()
    message = await asend(HOSTILE, to=[people.alice], body=f"**{HOSTILE}**")
    titles, texts = page.locator("li strong"), page.locator("li p")
    await expect(titles).to_have_text([HOSTILE, "earlier"])
    await expect(texts.first).to_have_text(f"**{HOSTILE}**")
    await expect(page.locator("li img, li script")).to_have_count(0)
    await sync_to_async(update)(message, title="better")
    await expect(titles).to_have_text(["better", "earlier"])
    await sync_to_async(withdraw)(message)
    await expect(titles).to_have_text(["earlier"])
    await sync_to_async(Session.objects.filter(pk=await alice.session()).delete)()
    await sync_to_async(end_streams)(people.alice.pk)
    await expect(page.get_by_text("You are signed out.")).to_be_visible()
    await page.reload()
    await expect(page.get_by_text("You are signed out.")).to_be_visible()
    await expect(titles).to_have_count(0)


async def test_another_origin_is_refused_and_gets_nothing(people, server, reader, origin):
    await asend("secret", to=[people.alice])
    alice = await reader(people.alice, path=None)
    page = await alice.context.new_page()
    await page.goto(origin())
    await expect(page.get_by_text("refuses this origin")).to_be_visible()
    await expect(page.locator("li")).to_have_count(0)
    assert await page.evaluate(ATTACK, server.url) == ["refused"] * 4
    assert all("CORS policy" in each for each in alice.complaints)
    alice.complaints.clear()


# What a page that does not care for being told so would try.
ATTACK = """async (center) => {
    const options = { credentials: "include" };
    const reading = ["snapshot", "changes"].map((path) =>
        fetch(`${center}/messages/${path}/`, options).then((answer) => answer.text()));
    const loading = import(`${center}/static/notifications/connect.js`);
    const listening = new Promise((resolve, reject) => {
        const source = new EventSource(`${center}/messages/stream/`, { withCredentials: true });
        source.addEventListener("ready", resolve);
        source.addEventListener("error", () => source.readyState === 2 && reject());
    });
    const results = await Promise.allSettled([...reading, loading, listening]);
    return results.map(({ status }) => (status === "rejected" ? "refused" : status));
}"""
