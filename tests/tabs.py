"""Tabs that a browser freezes.

It freezes none that Playwright has opened, which keeps each as if somebody looked at it. So these
are opened beside it, by hand. They have of a page of Playwright's what `Listener` needs.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any

from playwright.async_api import Browser, CDPSession

from tests.chromium import PATIENCE, Reader

ANSWER = 10.0  # s for a command
NUMBERS = count(1)
NOTE = "addEventListener('freeze', () => { window.isFrozen = true; }, true)"


class Refused(Exception):
    """The tab has not done it."""


class Tab:
    def __init__(self, devtools: CDPSession, session: str) -> None:
        self._devtools, self._session = devtools, session
        self._answers: dict[int, asyncio.Future[Any]] = {}
        devtools.on("Target.receivedMessageFromTarget", self._receive)

    def _receive(self, event: dict[str, Any]) -> None:
        message = json.loads(event["message"])
        if event["sessionId"] == self._session and message.get("id") in self._answers:
            self._answers.pop(message["id"]).set_result(message)

    async def _send(self, method: str, **params: Any) -> Any:
        number = next(NUMBERS)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        text = json.dumps({"id": number, "method": method, "params": params})
        command = {"sessionId": self._session, "message": text}
        await self._devtools.send("Target.sendMessageToTarget", command)
        message = await asyncio.wait_for(answer, ANSWER)
        if "error" in message:
            raise Refused(message["error"])
        return message["result"]

    async def evaluate(self, script: str, arg: Any = None) -> Any:
        """An expression, or with `arg` a function."""
        expression = script if arg is None else f"({script})({json.dumps(arg)})"
        options = {"awaitPromise": True, "returnByValue": True}
        answer = await self._send("Runtime.evaluate", expression=expression, **options)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def wait_for_function(self, script: str, arg: Any) -> None:
        deadline = time.monotonic() + PATIENCE / 1_000
        while True:
            with suppress(Refused):  # between two pages
                if await self.evaluate(script, arg):
                    return
            assert time.monotonic() < deadline, f"not so: {script}"
            await asyncio.sleep(0.02)

    async def freeze(self) -> None:
        """What a browser does with a tab that nobody has looked at for a while."""
        await self.evaluate(NOTE)
        await self._send("Page.setWebLifecycleState", state="frozen")
        await self.wait_for_function("(wanted) => window.isFrozen === wanted", True)

    async def thaw(self) -> None:
        await self._send("Page.setWebLifecycleState", state="active")


@asynccontextmanager
async def tabs(chromium: Browser, reader: Reader, *paths: str) -> AsyncIterator[list[Tab]]:
    """One for each path, in a browser of their own with the session of `reader`."""
    devtools = await chromium.new_browser_cdp_session()
    context = await devtools.send("Target.createBrowserContext")
    cookies = [
        {name: cookie[name] for name in ("name", "value", "domain", "path")}
        for cookie in await reader.context.cookies()
    ]
    await devtools.send("Storage.setCookies", {"cookies": cookies, **context})
    opened = []
    for path in paths:
        # Each a window: the browser loads slowly what is behind another.
        page = {"url": reader.url + path, "newWindow": True, **context}
        target = await devtools.send("Target.createTarget", page)
        session = await devtools.send("Target.attachToTarget", target)
        tab = Tab(devtools, session["sessionId"])
        ready = "([url]) => location.href === url && document.readyState === 'complete'"
        await tab.wait_for_function(ready, [reader.url + path])
        opened.append(tab)
    yield opened
    await devtools.send("Target.disposeBrowserContext", context)
    await devtools.detach()
