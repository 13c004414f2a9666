"""A real Chromium, driven by Playwright, and people who sit before it.

`alice = await reader(people.alice)` in a test: she is logged in, and the message center is open.
Nobody's console may end with a complaint.
"""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connections
from playwright.async_api import (
    Browser,
    BrowserContext,
    Error,
    Locator,
    Page,
    async_playwright,
    expect,
)

from tests.browser import new_session
from tests.server import Server

CHROMIUM = shutil.which("chromium")
# The same without a browser around the page: it opens one in half the time. It keeps none for
# "back", and takes what moves up to its place for a shift.
SHELL = shutil.which("chromium-headless-shell") or CHROMIUM
PATIENCE = 20_000  # ms for what must appear: a page tries again after some seconds, if it must
OPTIONS = [
    "--no-sandbox",  # CI runs as root, for whom Chromium has no sandbox
    "--disable-dev-shm-usage",  # containers have little of it
    "--no-proxy-server",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
LIST = "message-center li[data-id]"
# Two frames: what has been laid out has been painted and told.
FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"

expect.set_options(timeout=PATIENCE)

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


class Reader:
    """Somebody with a browser of their own (`context`), and a window in it (`page`)."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context, self.url = context, url
        self.center = f"{url}/messages/"
        self.complaints: list[str] = []
        self.page: Page  # the window that was opened last
        context.on("console", self._listen)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))

    def _listen(self, message: Any) -> None:
        # A server that is away is what some tests are about, and no fault of the page. Nor is what
        # has no address: axe, which a test puts there, and which reads imported stylesheets.
        is_bad = message.type in ("error", "warning") and message.location["url"]
        if is_bad and "Failed to load resource" not in message.text:
            self.complaints.append(f"{message.text} ({message.location})")

    async def log_in(self, user: Any) -> None:
        """As in another tab: pages that are open are not told."""
        key = await sync_to_async(new_session)(user)
        host = urlsplit(self.url).hostname
        cookie = {"name": settings.SESSION_COOKIE_NAME, "value": key, "domain": host, "path": "/"}
        await self.context.add_cookies([cookie])  # type: ignore[list-item]

    async def session(self) -> str:
        """The key of the session that this browser has."""
        cookies = await self.context.cookies()
        (key,) = (c["value"] for c in cookies if c["name"] == settings.SESSION_COOKIE_NAME)
        return key

    async def open(self, path: str = "/messages/") -> Page:
        """One more window, in the same browser."""
        self.page = await self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        await self.page.goto(self.url + path)
        return self.page

    def find(self, selector: str, **options: Any) -> Locator:
        return self.page.locator(selector, **options)

    def row(self, title: str) -> Locator:
        """The row of the message with that title."""
        return self.find(LIST, has=self.find(".title").get_by_text(title, exact=True))

    async def press(self, name: str, within: Locator | None = None) -> None:
        """The first visible button of that name."""
        button = (within or self.page).get_by_role("button", name=name, exact=True)
        await button.first.click()

    async def press_link(self, name: str) -> None:
        await self.page.get_by_role("link", name=name).click()

    async def rows(self) -> dict[str, bool]:
        """Whether it is read, by title, as shown from top to bottom."""
        script = """(selector) => [...document.querySelectorAll(selector)]
            .filter((row) => row.checkVisibility())
            .map((row) => [row.querySelector(".title").textContent, row.dataset.read === "true"])"""
        return dict(await self.page.evaluate(script, LIST))

    async def sees(self, **read: bool) -> None:
        """Wait until the list is just this, from top to bottom."""
        deadline = time.monotonic() + PATIENCE / 1_000
        # From here, not by `wait_for_function`: that waits for ever where scripts are switched off.
        rows: dict[str, bool] | None = None
        while rows is None or list(rows.items()) != list(read.items()):
            assert time.monotonic() < deadline, f"{rows} instead of {read}"
            await asyncio.sleep(0.05)
            with suppress(Error):  # between two pages
                rows = await self.rows()

    async def counts(self, unread: int) -> None:
        """Wait until the page says that so many are unread."""
        await expect(self.find(".unread-count").first).to_have_text(str(unread))

    async def is_live(self) -> None:
        """Wait until the page is told of what is new."""
        await expect(self.find("message-center h1")).to_have_attribute("title", "Live")

    async def try_now(self) -> None:
        """Have the page look for its server now, however long it had meant to wait."""
        await self.page.evaluate("dispatchEvent(new Event('online'))")


NewReader = Callable[..., Awaitable[Reader]]


async def launch(program: str | None, *without: str) -> AsyncIterator[Browser]:
    """CHROMIUM or SHELL; each reader has a context of it. without: options of Playwright's own."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program, args=OPTIONS, ignore_default_args=list(without)
        )
        yield browser
        await browser.close()


async def readers(chromium: Browser, server: Server) -> AsyncIterator[NewReader]:
    """`reader(user, scripts=False, ...)` with the options of Playwright's `new_context`."""
    opened: list[Reader] = []

    async def start(
        user: Any = None, *, path: str | None = "/messages/", scripts: bool = True, **options: Any
    ) -> Reader:
        context = await chromium.new_context(
            java_script_enabled=scripts, **{"locale": "en-GB", "timezone_id": "UTC"} | options
        )
        new = Reader(context, server.url)
        opened.append(new)
        if user is not None:
            await new.log_in(user)
        if path is not None:
            await new.open(path)
        return new

    yield start
    for each in opened:
        await each.context.close()
    await sync_to_async(connections.close_all)()  # in the thread that async tests query from
    for each in opened:
        assert each.complaints == [], each.complaints
