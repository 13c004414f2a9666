"""A reader with a session, who listens to the stream and remembers what came.

It speaks to a real server (`Server`) or to the handler in this process (`Inside`), by an
independent SSE parser.
"""

import asyncio
import json
import ssl
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import httpx
from asgiref.sync import sync_to_async
from django.conf import settings
from django.test import Client
from httpx_sse import EventSource

from notifications import asend

PATIENCE = 20.0  # s for an event that must come; a test that has to wait so long has failed
STREAM = "/messages/stream/"
TRUST = ssl.create_default_context()  # once: a client of its own would read all certificates again
LOG = {"message", "update", "withdrawn"}  # events that tell of the log


class Event(NamedTuple):
    """`id`: the cursor as the reader stands after this event, like `lastEventId` of a browser."""

    name: str
    data: dict[str, Any]
    id: str


class Ended(Exception):
    """The server has ended the stream, as is proper."""


class CutOff(Exception):
    """The connection broke."""


class Browser:
    """`alice = await browser(server, people.alice)` in a test; without a user, a stranger."""

    def __init__(self, server: Any, user: Any = None, session: str = "") -> None:
        self.user = user
        self.session = session
        self.cursor = ""  # the last id
        self.retry: int | None = None  # ms that the server wants it to wait before it comes back
        self.got: list[Event] = []
        self.response: httpx.Response | None = None  # of the open stream
        cookies = {"csrftoken": "x" * 32}
        if session:
            cookies[settings.SESSION_COOKIE_NAME] = session
        self.http = httpx.AsyncClient(
            base_url=server.url,
            transport=server.transport,
            cookies=cookies,
            timeout=PATIENCE,
            trust_env=False,
            verify=TRUST,
        )
        self._stream = AsyncExitStack()

    @classmethod
    async def log_in(cls, server: Any, user: Any) -> "Browser":
        return cls(server, user, await sync_to_async(new_session)(user))

    # ------------------------------------------------------------------------------ listening

    async def open(
        self, after: str | None = None, last_event_id: str | None = None, *, again: bool = False
    ) -> Event:
        """Open the stream, in place of one that is open; its first event."""
        await self.close()
        headers = {"Accept": "text/event-stream"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        params = {} if after is None else {"after": after}
        params |= {"again": "1"} if again else {}
        request = self.http.stream("GET", STREAM, params=params, headers=headers)
        self.response = await self._stream.enter_async_context(request)
        assert self.response.status_code == 200, self.response.status_code
        self._events = EventSource(self.response).aiter_sse()
        self._stream.push_async_callback(self._events.aclose)
        return await self.event()

    async def come_back(self) -> Event:
        """Open the stream anew from where it was, as a browser does by itself."""
        return await self.open(last_event_id=self.cursor)

    async def event(self) -> Event:
        """The next event. Raises Ended, CutOff, or TimeoutError when none comes."""
        async with asyncio.timeout(PATIENCE):
            try:
                sse = await anext(self._events)
            except StopAsyncIteration:
                raise Ended from None
            except httpx.TransportError as error:
                raise CutOff from error
        self.cursor = sse.id or self.cursor
        self.retry = sse.retry or self.retry
        event = Event(sse.event, json.loads(sse.data), self.cursor)
        self.got.append(event)
        return event

    async def read_until(self, name: str) -> list[Event]:
        """All that comes up to the next event of that name; it is the last of them."""
        events = [await self.event()]
        while events[-1].name != name:
            events.append(await self.event())
        return events

    async def read(self) -> str:
        """The title of the next message."""
        return (await self.read_until("message"))[-1].data["title"]

    async def state(self) -> dict[str, Any]:
        """The data of the next `state`."""
        return (await self.read_until("state"))[-1].data

    async def bye(self) -> str:
        """The reason of the `bye`, after which the server must end the stream properly."""
        async with asyncio.timeout(PATIENCE):  # however many pings come instead
            reason = (await self.read_until("bye"))[-1].data["reason"]
        try:
            extra = await self.event()
        except Ended:
            return reason
        raise AssertionError(f"after bye came {extra}")

    async def is_silent(self) -> bool:
        """Whether nothing of the log comes before a message that is sent to this reader now.

        So there is nothing to wait for: what came earlier in the log would come earlier here.
        """
        marker = await asend("Is anything before this?", to=[self.user])
        while (event := await self.event()).data.get("id") != marker.pk:
            if event.name in LOG:
                return False
        return True

    def titles(self) -> list[str]:
        """Of all messages that came, in order."""
        return [event.data["title"] for event in self.got if event.name == "message"]

    async def close(self) -> None:
        """Leave the stream, as by closing the tab."""
        await self._stream.aclose()
        self.response = None

    # --------------------------------------------------------------------------------- asking

    async def get(self, path: str, **params: Any) -> httpx.Response:
        async with asyncio.timeout(PATIENCE):  # httpx has none for the handler in this process
            return await self.http.get(path, params=params, headers={"Accept": "application/json"})

    async def post(self, path: str, **data: Any) -> httpx.Response:
        headers = {"Accept": "application/json", "X-CSRFToken": "x" * 32}
        return await self.http.post(path, data=data, headers=headers)

    async def quit(self) -> None:
        await self.close()
        await self.http.aclose()


def new_session(user: Any) -> str:
    """The key of a new session in which `user` is logged in."""
    client = Client()
    client.force_login(user)
    key = client.session.session_key
    assert key
    return key
