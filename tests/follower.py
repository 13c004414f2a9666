"""A reader whose stream may break at any time, and who comes back, as an EventSource does."""

import asyncio
import contextlib
from typing import Any, Self

import httpx

from tests.browser import Browser, CutOff, Ended

PAUSE = 0.1  # s before the next try: less than `retry:` says, so that a test takes no longer


class Follower(Browser):
    """`async with Follower(server, session=...) as alice:` begins to follow the stream.

    Whatever answers must answer 200: an EventSource gives up for ever on anything else. That
    nobody answers, because the server is dead, is fine.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.opened = 0  # streams, so far
        self._following: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.come_back()
        self._following = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._following
        self._following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._following
        await self.quit()

    async def has(self, title: str, seconds: float = 30.0) -> None:
        """Wait until this has come; raise what has ended the following, if something has."""
        assert self._following
        async with asyncio.timeout(seconds):
            while title not in self.shown().values():
                await asyncio.wait([self._following], timeout=PAUSE)
                if self._following.done():
                    await self._following

    def shown(self) -> dict[int, str]:
        """Position and title of its messages, as a page shows them: what came twice, once."""
        shown: dict[int, str] = {}
        for event in self.got:
            if event.name == "message" and event.data["position"] > max(shown, default=0):
                shown[event.data["position"]] = event.data["title"]
        assert set(self.titles()) == set(shown.values())  # nothing came out of order
        return shown

    async def come_back(self) -> Any:
        event = await self.open(last_event_id=self.cursor or None)
        self.opened += 1
        return event

    async def _follow(self) -> None:
        while True:
            try:
                if self.response is None:
                    await self.come_back()
                await self.event()
            except (Ended, CutOff, httpx.TransportError):
                await self.close()
                await asyncio.sleep(PAUSE)
