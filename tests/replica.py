"""A stream driven by hand, and a client that keeps its list and counts by the protocol's rules."""

import asyncio
import json
from importlib import import_module
from typing import Any

import httpx
from asgiref.sync import sync_to_async
from django.conf import settings
from django.test import RequestFactory
from httpx_sse import EventSource

from notifications import access
from notifications.hub import Hub
from notifications.stream import Stream
from tests.browser import Event, new_session

SSE = {"Content-Type": "text/event-stream"}


def admission(user: Any, session: str = "") -> access.Admission:
    """Of a user who is logged in."""
    request = RequestFactory().get("/")
    key = session or new_session(user)
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    admitted = access.admit(request)
    assert admitted
    return admitted


class Listener:
    """Reads a stream of `hub` as far as there is something, and never waits."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.ended = False
        self.got: list[Event] = []
        self._id = ""
        self._next: asyncio.Future[bytes] | None = None

    @classmethod
    async def open(cls, hub: Hub, user: Any, after: Any = None, session: str = "") -> "Listener":
        admitted = await sync_to_async(admission)(user, session)
        return cls(Stream(hub, admitted, None if after is None else str(after)))

    async def take(self) -> list[Event]:
        """All events that the stream has for its reader by now."""
        new: list[Event] = []
        while not self.ended:
            self._next = self._next or asyncio.ensure_future(anext(self.stream))
            while not (self._next.done() or self.stream.is_idle):  # noqa: ASYNC110 - both by hand
                await asyncio.sleep(0)
            if not self._next.done():
                break  # it waits for the hub
            chunk, self._next = self._next, None
            try:
                new += self._parse(chunk.result())
            except StopAsyncIteration:
                self.ended = True
        self.got += new
        return new

    async def cut(self) -> None:
        """The connection breaks."""
        if self._next:
            self._next.cancel()
            await asyncio.wait([self._next])
        self.stream.close()
        await asyncio.sleep(0)

    def titles(self) -> list[str]:
        return [event.data["title"] for event in self.got if event.name == "message"]

    def names(self) -> list[str]:
        return [event.name for event in self.got]

    def _parse(self, chunk: bytes) -> list[Event]:
        assert chunk.endswith(b"\n\n"), "a chunk is whole events"
        response = httpx.Response(200, headers=SSE, content=chunk)
        found = []
        for sse in EventSource(response).iter_sse():
            self._id = sse.id or self._id
            if sse.data:
                found.append(Event(sse.event, json.loads(sse.data), self._id))
        return found


class Replica:
    """What one open page knows: its list (not archived) and its two counts.

    `wants_snapshot` says that events alone do not lead on from here.
    """

    def __init__(self) -> None:
        self.wants_snapshot = True
        self.items: dict[int, dict[str, Any]] = {}
        self.list_version = 0
        self.counts_at = (-1, -1)
        self.unread = self.unseen = 0
        self.cursor = ""
        self.position = 0

    def load(self, snapshot: dict[str, Any]) -> None:
        """Replaces everything: it is of one moment, and the stream goes on from its cursor."""
        self.items = {item["id"]: dict(item) for item in snapshot["messages"]}
        self.list_version = snapshot["version"]
        self.counts_at = (snapshot["position"], snapshot["version"])
        self.unread, self.unseen = snapshot["unread"], snapshot["unseen"]
        self.cursor, self.position = snapshot["cursor"], snapshot["position"]
        self.wants_snapshot = False

    def apply(self, event: Event) -> None:
        data = event.data
        if event.name == "ready":
            self.wants_snapshot |= data["version"] != self.list_version
        elif event.name == "reset":
            self.wants_snapshot = True
        elif event.name == "state":
            self._state(data)
        elif event.name in ("message", "update", "withdrawn"):
            position = int(event.id.rpartition("-")[2])
            if position <= self.position:
                return  # at least once on the wire, once here
            self.cursor, self.position = event.id, position
            self._change(event.name, data)

    def _change(self, name: str, data: dict[str, Any]) -> None:
        if name == "message":
            self.items[data["id"]] = data | {"read": False, "archived": False}
            if data["position"] > self.counts_at[0]:
                self.unread += 1
                self.unseen += 1
        elif name == "update" and data["id"] in self.items:
            self.items[data["id"]] |= data
        elif name == "withdrawn":
            self.items.pop(data["id"], None)

    def _state(self, data: dict[str, Any]) -> None:
        at = (data["position"], data["version"])
        if at >= self.counts_at:
            self.counts_at, self.unread, self.unseen = at, data["unread"], data["unseen"]
        if data["acts"] is None:
            self.wants_snapshot |= data["version"] > self.list_version
            return
        for act in data["acts"]:
            if act["version"] == self.list_version + 1:
                self._act(act)
                self.list_version = act["version"]
        self.wants_snapshot |= data["version"] > self.list_version  # a gap

    def _act(self, act: dict[str, Any]) -> None:
        for item in list(self.items.values()):
            if act["act"] == "all-read" and item["position"] <= act["upto"]:
                item["read"] = True
            elif item["id"] in act["ids"]:
                if act["act"] == "archived":
                    del self.items[item["id"]]
                else:
                    item["read"] = act["act"] == "read"
        # It is not in the list, so only the snapshot knows what it says.
        self.wants_snapshot |= act["act"] == "unarchived"

    def shows(self) -> dict[str, Any]:
        """What a person sees."""
        rows = sorted(self.items.values(), key=lambda item: -item["position"])
        seen = [(item["id"], item["title"], item["html"], item["read"]) for item in rows]
        return {"list": seen, "unread": self.unread, "unseen": self.unseen}


def shown(snapshot: dict[str, Any]) -> dict[str, Any]:
    """What a person would see who loads the page now."""
    fresh = Replica()
    fresh.load(snapshot)
    return fresh.shows()
