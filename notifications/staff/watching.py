"""The live pages' own stream: Server-Sent Events for staff, `event: stats` every two seconds.

An onlooker is a stream of its user like any other, so it ends as any other: by log-out, a new
password, a drain, its age. But nothing of the log goes out on it, and no reader is counted for it.
What is shown is read and rendered once for all onlookers of a process who look at the same, in the
hub's threads, only while there are any.
"""

import asyncio
import contextvars
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from .. import access
from ..answers import error, events, signed_out
from ..cursor import Cursor
from ..hub import Hub
from ..inbox import State
from ..running import RunningHub
from ..stream import Stream, farewell
from ..wire import Event, retry
from . import panels

logger = logging.getLogger(__name__)

EVERY = 2.0  # s from one `stats` to the next
RETRY = 2_000  # ms until a browser comes back
RECHECK = 15.0  # s between questions whether onlookers still may
SHARE = 20  # who has read what is counted so rarely that it takes a twentieth of the time
COUNTED_EVERY = 4.0  # s, at least, between counts
HUB_PATIENCE = 5.0  # s for a new hub to read the log for the first time


def may_watch(user: Any) -> bool:
    return user.is_active and user.is_staff and user.has_perm("notifications.view_statistics")


@require_GET
async def stats(request: HttpRequest) -> HttpResponseBase:
    """`GET .../stats/`, of the dashboard, or with `?user=KEY` or `?message=KEY` of one of those.
    401 and 403 as JSON, else 200."""
    if not hasattr(request, "scope"):
        return error(501, _("Streams need an ASGI server: see the README."))
    hub = RunningHub.of_this_loop()
    await hub.has_started(HUB_PATIENCE)
    return await sync_to_async(access.letting_go)(_answer, request, hub)


def _answer(request: Any, hub: RunningHub) -> HttpResponseBase:
    if reason := hub.refuses:
        return events(HttpResponse(farewell(reason)))
    admission = access.admit(request)
    if admission is None:
        return signed_out()
    if not may_watch(request.user):
        return error(403, _("You may not see statistics."))
    subject = panels.subject(request.GET)
    onlooker = Onlooker(hub, admission, subject, translation.get_language())
    return events(StreamingHttpResponse(onlooker))


class Onlooker(Stream):
    """`subject`: what is watched."""

    reads = False

    def __init__(
        self, hub: Hub, admission: Any, subject: panels.Subject, language: str | None
    ) -> None:
        super().__init__(hub, admission, None)
        self.subject, self.language = subject, language
        self.has_all = False  # from then on it needs only what has changed

    async def _next(self) -> bytes:
        if self._task is None:
            self._task = asyncio.current_task()
            self._join()
            self.live = True
            Board.of(self._hub).let_in(self)
            return retry(RETRY) + Event(None, "ready", {}).encode()
        while not self._backlog and not self.reason:
            await self._wait()
        return self._take()

    def receive(self, position: int, data: bytes) -> None:
        """Messages are for readers."""

    def tell(self, state: State, delivered: Cursor) -> bool:
        """So are states."""
        self.told = state.version
        return True


class Board:
    """What the onlookers of one hub are shown."""

    _of_hub: "WeakKeyDictionary[Hub, Board]" = WeakKeyDictionary()

    def __init__(self, hub: Any) -> None:
        self._hub = hub
        self._task: asyncio.Task[None] | None = None
        self._new = asyncio.Event()
        self._shown: dict[tuple[panels.Subject, str], panels.Parts] = {}
        # What takes long to count, by subject and language; and until when it does.
        self._counted: dict[tuple[panels.Subject, str], tuple[panels.Parts, float]] = {}
        self._checked = hub.time()

    @classmethod
    def of(cls, hub: Hub) -> "Board":
        if hub not in cls._of_hub:
            cls._of_hub[hub] = cls(hub)
        return cls._of_hub[hub]

    def let_in(self, onlooker: Onlooker) -> None:
        self._hub.onlookers.add(onlooker)
        self._new.set()
        if self._task is None or self._task.done():
            # A fresh context: else it would live in the thread of the request that came first.
            work, context = self._run(), contextvars.Context()
            self._task = asyncio.get_running_loop().create_task(work, context=context)

    async def _run(self) -> None:
        while onlookers := [each for each in self._hub.onlookers if not each.reason]:
            self._new.clear()
            try:
                await self._show(onlookers)
            except Exception:
                logger.exception("What staff watch cannot be read")
                self._say(onlookers, Event(None, "trouble", {}))
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await self._new.wait()

    async def _show(self, onlookers: list[Any]) -> None:
        ask = self._hub.readers.ask
        if self._hub.time() - self._checked >= RECHECK:
            self._checked = self._hub.time()
            allowed = await ask(_still_allowed, {each.user_id for each in onlookers})
            for each in onlookers:
                if each.user_id not in allowed:
                    each.end("signed-out")
        for subject in {each.subject for each in onlookers}:
            mine = [each for each in onlookers if each.subject == subject]
            self._hub.want(subject.user)
            views = await ask(self._read, subject, {each.language for each in mine})
            for language, parts in views.items():
                self._give([each for each in mine if each.language == language], parts)

    def _read(self, subject: panels.Subject, languages: Iterable[str]) -> dict[str, panels.Parts]:
        """In a thread: what is shown, in each of these languages."""
        found = {}
        for language in languages:
            with translation.override(language):
                found[language] = self._of(subject, language)
        return found

    def _of(self, subject: panels.Subject, language: str) -> panels.Parts:
        # To count who has read what takes long where many have; the rest is cheap.
        counted = self._rarely((subject, language), lambda: panels.counted(subject))
        return counted | panels.shown(subject)

    def _rarely(
        self, which: tuple[panels.Subject, str], read: Callable[[], panels.Parts]
    ) -> panels.Parts:
        parts, good_until = self._counted.get(which, ({}, 0.0))
        begun = monotonic()
        if begun >= good_until:
            parts = read()
            took = monotonic() - begun
            # Without those that nobody watches any more.
            self._counted = {k: v for k, v in self._counted.items() if v[1] > begun}
            self._counted[which] = parts, begun + max(COUNTED_EVERY, SHARE * took)
        return parts

    def _give(self, onlookers: list[Any], parts: panels.Parts) -> None:
        if not onlookers:
            return
        which = onlookers[0].subject, onlookers[0].language
        before = self._shown.get(which, {})
        self._shown[which] = parts
        changed = {name: html for name, html in parts.items() if before.get(name) != html}
        self._say([each for each in onlookers if each.has_all], _stats(changed))
        self._say([each for each in onlookers if not each.has_all], _stats(parts))
        for each in onlookers:
            each.has_all = True

    def _say(self, onlookers: list[Any], event: Event) -> None:
        data = event.encode()
        for each in onlookers:
            each._push(data)


def _stats(parts: panels.Parts) -> Event:
    return Event(None, "stats", {"at": datetime.now(UTC), "parts": parts})


def _still_allowed(user_ids: Iterable[Any]) -> set[Any]:
    users = get_user_model()._default_manager.filter(pk__in=list(user_ids))
    return {user.pk for user in users if may_watch(user)}
