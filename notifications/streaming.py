"""The two views that stay open: the stream, and the long poll for who cannot read one."""

import logging
from math import isnan
from typing import Any

from asgiref.sync import sync_to_async
from django.db import Error, connections
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from . import access, inbox, log
from .answers import error, events, json, signed_out
from .cursor import Cursor
from .running import RunningHub
from .stream import Stream, farewell

logger = logging.getLogger(__name__)

HUB_PATIENCE = 5.0  # s for a new hub to read the log for the first time
LONGEST_WAIT = 25.0  # s of a long poll: proxies give up at 30
MOST_CHANGES = 1_000  # that a poll may have missed; beyond, the snapshot costs less


@require_safe
async def stream(request: HttpRequest) -> HttpResponseBase:
    """`GET /messages/stream/`: Server-Sent Events from `Last-Event-ID`, `?after=`, or now.

    401 as JSON when signed out; 501 under WSGI. Otherwise always 200: an EventSource that gets
    anything else gives up for ever.
    """
    if not hasattr(request, "scope"):
        return error(501, _("Streams need an ASGI server: see the README."))
    hub = RunningHub.of_this_loop()
    await hub.has_started(HUB_PATIENCE)
    return await sync_to_async(access.letting_go)(answer, request, hub)


def answer(request: HttpRequest, hub: RunningHub) -> HttpResponseBase:
    """What `stream` answers; synchronous, for one hop into a thread."""
    if reason := hub.refuses:
        return events(HttpResponse(farewell(reason)))
    try:
        admission = _admitted(request)
    except Error as error:
        # One line: a thousand readers may come while it is away.
        logger.warning("The database does not answer; a reader is told to come back: %s", error)
        return events(HttpResponse(farewell("drain")))
    if admission is None:
        return signed_out()
    if request.method == "HEAD":
        return events(HttpResponse())
    last = request.headers.get("Last-Event-ID")
    # A script that makes itself another EventSource cannot send the header.
    returns = bool(last) or "again" in request.GET
    new = Stream(hub, admission, last or request.GET.get("after"), returns=returns)
    return events(StreamResponse(new))


class StreamResponse(StreamingHttpResponse):
    """The response whose body is `stream`."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream)
        self.stream = stream

    @property
    def is_untouched(self) -> bool:
        """Whether no middleware has put another body around the stream."""
        return getattr(self, "_iterator", None) is self.stream


@require_safe
async def changes(request: HttpRequest) -> HttpResponse:
    """`GET /messages/changes/?after=CURSOR&version=V&wait=SECONDS`: the same events as JSON.

    Answers at once when there is something, when the version differs, or without `wait`.
    """
    try:
        version = int(request.GET["version"]) if "version" in request.GET else None
    except ValueError:
        return error(400, _("Use the version of the last answer."), field="version")
    try:
        wait = min(max(float(request.GET.get("wait", 0)), 0.0), LONGEST_WAIT)
        if isnan(wait):
            raise ValueError
    except ValueError:
        return error(400, _("Use a number of seconds."), field="wait")
    admission = await sync_to_async(access.letting_go)(access.admit, request)
    if admission is None:
        return signed_out()
    after = request.GET.get("after")
    read = sync_to_async(_changes)
    answer = await read(admission, after, version)
    if wait and hasattr(request, "scope") and not _is_news(answer, version):
        # Registered first, read again then: nothing can slip in between.
        hub = RunningHub.of_this_loop()
        await hub.has_started(HUB_PATIENCE)
        watch = Stream(hub, admission, None)
        watch.watch()
        try:
            answer = await read(admission, after, version)
            if not _is_news(answer, version):
                await watch.news(wait)
                answer = await read(admission, after, version)
        finally:
            watch.close()
        if watch.reason == "signed-out":
            return signed_out()
    return json(answer)


def _admitted(request: HttpRequest) -> access.Admission | None:
    try:
        return access.admit(request)
    except Error:
        # The connection may be one that was kept while the database went away and came back.
        connections.close_all()
        return access.admit(request)


def _changes(admission: access.Admission, after: str | None, version: int | None) -> dict[str, Any]:
    """What `changes` answers. The state is read first, at P, then the log up to just there."""
    try:
        (state,) = next(inbox.states([admission.user_id])).values()
        events, reset = _events_between(admission, after, state.cursor)
    finally:
        access.let_go()
    acts = None if version is None or reset else state.acts_since(version)
    return state.counts(0) | {
        "events": [event.as_json() for event in events],
        "cursor": str(state.cursor),
        "user": admission.user_id,
        "acts": acts,
        "reset": reset,
    }


def _events_between(
    admission: access.Admission, after: str | None, end: Cursor
) -> tuple[list[Any], bool]:
    """The events after the cursor `after` up to `end`; and whether `after` cannot be resumed."""
    if after is None:
        return [], False
    start = Cursor.parse(after)
    missed = end.position - start.position if start else -1
    if start is None or not 0 <= missed <= MOST_CHANGES:
        return [], True
    if missed == 0:
        return [], not log.holds(start)
    found = log.replay(admission.user_id, admission.since, start, limit=missed)
    return (found.events, False) if found else ([], True)


def _is_news(answer: dict[str, Any], version: int | None) -> bool:
    differs = version is not None and version != answer["version"]
    return bool(answer["events"]) or answer["reset"] or differs
