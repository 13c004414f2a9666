"""One open connection of one user: the body of a `StreamingHttpResponse`.

It resumes where its reader left off: from the hub's memory or, further back, from the log; then
it goes live. A class with a synchronous `close()`, not an async generator: a generator that is
suspended at `yield` when its client goes is not closed until some garbage collection.

Its bytes go out in one of two ways. Any ASGI handler iterates it, which wakes a task for each
chunk. The project's own calls `drive`: once live, the hub steps the server's `send()` itself.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any, Literal

from . import access, log
from .cursor import Cursor
from .hub import Hub
from .inbox import State
from .stepping import Message, Send, begin
from .wire import Event, retry

logger = logging.getLogger(__name__)

PING_AFTER = 15.0  # s of silence: less than the idle timeouts of common proxies (30, 60 s)
LIFETIME = 3600.0  # s: after that the reader comes back and proves who it is
BACKLOG = 2**20  # bytes that may wait for a slow reader before we hang up
CREDIT = 4 * 2**20  # bytes sent before the reader must come back. Daphne's `send()` never waits:
# for a client that does not read it keeps all of it in memory, and this bounds it
PART = 2**18  # bytes of the past that are sent at once
SETTLING = 0.05  # s
GRACE = 5.0  # s for a reader to take the `bye` before the connection is cut
RETRY = (1_000, 3_000)  # ms until a browser comes back, at random: not all at once
RETRY_TOO_MANY = (60_000, 120_000)  # ms for one that another stream pushed out: or they fight

LAST: Message = {"type": "http.response.body", "body": b"", "more_body": False}

Reason = Literal["lifetime", "drain", "signed-out", "too-many", "slow"]


class Stream:
    """`async for chunk in Stream(...)`. Nothing is registered before the first chunk is asked for,
    and no exception but CancelledError leaves it: daphne would never recover from one."""

    __slots__ = (
        "__weakref__", "_backlog", "_bytes", "_deadline", "_hub", "_last", "_rest", "_resume",
        "_send", "_sent", "_task", "_waiter", "cursor", "endings", "floor", "live", "opened",
        "owed", "password", "reason", "returns", "session_key", "since", "told", "user_id",
    )  # fmt: skip

    reads = True  # what the log brings goes out on it

    def __init__(
        self, hub: Hub, admission: access.Admission, resume: str | None, returns: bool = False
    ) -> None:
        """resume: the cursor that the reader sent, as it came; None: from now on.
        returns: its browser has come back by itself, after another stream."""
        self.user_id, self.since = admission.user_id, admission.since
        self.endings, self.password = admission.endings, admission.password
        self.session_key = admission.session_key
        self.told = admission.version  # the version of the last state the reader has
        self.cursor: Cursor | None = None  # up to where the reader has all; None before `ready`
        self.floor = 0  # a position up to which it has all, though the hub may not be there yet
        self.live = self.owed = False
        self.reason: Reason | None = None
        self.returns = returns
        self.opened = 0.0  # when, by the hub's clock
        self._hub, self._resume = hub, resume
        self._backlog: list[bytes] = []
        self._bytes = self._sent = 0
        self._waiter: asyncio.Future[None] | None = None  # iterated: somebody waits for a chunk
        self._send: Send | None = None  # driven: this takes what there is
        self._rest: asyncio.Task[None] | None = None  # driven: waits for a slow reader
        self._task: asyncio.Task[Any] | None = None  # in which the request is served
        self._last = self._deadline = 0.0

    # ------------------------------------------------------------------------------ the body

    def __aiter__(self) -> "Stream":
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await self._next()
        except asyncio.CancelledError:
            self.close()
            raise
        except Exception:
            logger.exception("A stream of user %s failed; its reader will resume", self.user_id)
            chunk = b""
        if not chunk:
            self.close()
            raise StopAsyncIteration
        self._count(chunk, self._hub.time())
        return chunk

    def _count(self, chunk: bytes, now: float) -> None:
        self._last = now
        self._sent += len(chunk)
        if self._sent >= CREDIT:
            self.end("lifetime")

    async def _next(self) -> bytes:
        if self.cursor is None:
            return await self._open()
        while not self._backlog:
            if self.reason:
                return b""
            if self.live:
                await self._wait()
            elif part := await self._catch_up():
                return part
        return self._take()

    async def _open(self) -> bytes:
        self._task = asyncio.current_task()
        self._join()
        self.opened = self._last
        self._hub.tally.opened(self)
        hello = retry(random.randint(*RETRY))
        if self._resume is None:
            self.cursor = self._hub.cursor
        elif (start := Cursor.parse(self._resume)) and await self._is_of_this_log(start):
            self.cursor = start
        else:
            # Without an id: a reader that is cut off here keeps its old cursor, and is told again.
            return hello + self._ready(None).encode() + self._reset()
        return hello + self._ready(self.cursor).encode()

    async def _is_of_this_log(self, cursor: Cursor) -> bool:
        if self._hub.missed(cursor) is not None:
            return True
        return await self._hub.readers.ask(log.holds, cursor)

    async def _catch_up(self) -> bytes:
        """The next part of what was missed. Live, and maybe empty, when there is no more.

        Between the last look into the hub's memory and `go_live` there is no `await`: nothing can
        be handed out in between.
        """
        assert self.cursor is not None
        hub = self._hub
        entries = hub.missed(self.cursor)
        if self.cursor.position > hub.cursor.position:  # another process told this reader first
            self._go_live()
            return b""
        if entries is None or not all(entry.whole for entry in entries):
            replay = self._hub.readers.ask
            found = await replay(log.replay, self.user_id, self.since, self.cursor)
            if found is None:
                return self._reset()
            if found.cursor == self.cursor:  # the log was changed under the hub: let it notice
                await asyncio.sleep(SETTLING)
            self.cursor = found.cursor
            return b"".join(event.encode() for event in found.events)
        parts: list[bytes] = []
        size = 0
        for entry in entries:
            self.cursor = entry.change.cursor
            if entry.concerns(self.user_id, self.since):
                parts.append(entry.data)
                size += len(entry.data)
                if size >= PART:
                    return b"".join(parts)
        self._go_live()
        return b"".join(parts)

    def _ready(self, cursor: Cursor | None) -> Event:
        data = {
            "cursor": cursor and str(cursor),
            "position": cursor and cursor.position,
            "version": self.told,
            "user": self.user_id,
        }
        return Event(cursor, "ready", data)

    def _reset(self) -> bytes:
        self.cursor = cursor = self._hub.cursor
        self._go_live()
        return Event(cursor, "reset", {"cursor": str(cursor), "position": cursor.position}).encode()

    def _go_live(self) -> None:
        assert self.cursor is not None
        self.floor = self.cursor.position
        self._hub.go_live(self)

    # ---------------------------------------------------------------------- sent by the hub

    async def drive(self, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
        """Send all of it, until the reader or the server ends it. The response has been started.

        send: one that `can_step`.
        """
        try:
            await send(_body(await self._open()))
            while not (self.live or self.reason):
                if part := await self._catch_up():
                    await send(_body(part))
                    self._count(part, self._hub.time())
            self._send = send
            if self._backlog:
                self._hub.has_something(self)
            # The end that `send_on` sends, too, makes the server say that this is over.
            while (await receive())["type"] != "http.disconnect":
                pass
        except asyncio.CancelledError:
            if self.reason is None:
                raise
            # Else it was `cut`.
        except Exception:
            logger.exception("A stream of user %s failed; its reader will resume", self.user_id)
            with suppress(Exception):  # daphne does not survive one
                await send(LAST)
        finally:
            self.close()

    def send_on(self, now: float, made: dict[tuple[bytes, ...], Message]) -> None:
        """Send what waits, or wake who iterates. `made`: what others send, to be sent again."""
        send = self._send
        if send is None:
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(None)
            return
        if self._rest is not None or not self._backlog:
            return
        parts = tuple(self._backlog)
        message = made.get(parts)
        if message is None:
            message = made[parts] = _body(b"".join(parts))
        self._backlog.clear()
        self._bytes = 0
        self._step(send, message)
        self._count(message["body"], now)
        if self.reason and self._rest is None and not self._backlog and self._send is not None:
            self._send = None
            self._step(send, LAST)

    def _step(self, send: Send, message: Message) -> None:
        try:
            rest = begin(send(message))
        except Exception:
            logger.exception("Sending to user %s failed; the reader will resume", self.user_id)
            self.cut()
        else:
            if rest is not None:
                self._rest = asyncio.create_task(self._send_rest(rest, send))

    async def _send_rest(self, rest: Awaitable[None], send: Send) -> None:
        """Wait for a reader that is slower than the news."""
        try:
            await rest
            while self._backlog:
                chunk = self._take()
                await send(_body(chunk))
                self._count(chunk, self._hub.time())
            if self.reason and self._send is not None:
                self._send = None
                await send(LAST)
        except Exception:
            logger.exception("Sending to user %s failed; the reader will resume", self.user_id)
            self.cut()
        finally:
            self._rest = None

    # --------------------------------------------------------------------------- a long poll

    def watch(self) -> None:
        """Register for `news` instead of iterating; what comes is not kept, only noticed."""
        self._join()
        self._last = self._deadline  # no pings
        self.live = True

    async def news(self, seconds: float) -> None:
        """Wait until there is something for this reader, or it must end, or `seconds` are over."""
        if not self._backlog:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wait()

    # ------------------------------------------------------------------------ what the hub does

    @property
    def is_idle(self) -> bool:
        """Live, and its reader has taken all there was."""
        return self.live and not self._backlog and self._rest is None

    def receive(self, position: int, data: bytes) -> None:
        """Take a change, unless this reader has had it already."""
        if data and position > self.floor:
            self._push(data)

    def tell(self, state: State, delivered: Cursor) -> bool:
        """Take a state; False when it does not fit where this stream stands at the moment."""
        if not state.cursor.position == delivered.position >= self.floor:
            return False
        if state.version < self.told:
            return False
        if self.owed or state.version > self.told:
            self._push(Event(None, "state", state.counts(self.told)).encode())
            self.told, self.owed = state.version, False
        return True

    def described(self) -> dict[str, Any]:
        """What staff see of it."""
        return {
            "seconds": round(self._hub.time() - self.opened) if self.opened else None,
            "live": self.live,
            "version": self.told,
            "waiting": self._bytes,
        }

    def pulse(self, now: float) -> None:
        """End it when its time is over; cut it when it does not go; ping it when it is quiet."""
        if self.reason:
            if now >= self._deadline:
                self.cut()
        elif now >= self._deadline:
            self.end("lifetime")
        elif self.is_idle and now - self._last >= PING_AFTER:
            # With the position, so that a quiet reader's cursor does not rot behind a prune.
            here = self._hub.cursor
            cursor = here if here.position >= self.floor else self.cursor
            self._push(_ping(cursor))

    def end(self, reason: Reason) -> None:
        """Say `bye` and end. What a slow reader, or one who may not read, has waiting is dropped:
        the cursor has not moved past it."""
        if self.reason:
            return
        if reason in ("slow", "signed-out"):
            self._take()
        self.reason, self.live = reason, False
        self._deadline = self._hub.time() + GRACE
        self._add(farewell(reason))

    def cut(self) -> None:
        """Break the connection of a reader that does not take its `bye`."""
        self.reason = self.reason or "slow"  # in the end that is why
        self.close()
        for task in (self._rest, self._task):
            if task is not None:
                task.cancel()

    def close(self) -> None:
        """Leave the hub. From any thread, any number of times."""
        self._hub.leave(self)

    # ----------------------------------------------------------------------------- inside

    def _join(self) -> None:
        self._last = now = self._hub.time()
        self._deadline = now + LIFETIME * random.uniform(0.8, 1)
        self._hub.join(self)

    def _push(self, data: bytes) -> None:
        if self.reason:
            return
        if self._bytes + len(data) > BACKLOG:
            self.end("slow")
        else:
            self._add(data)

    def _add(self, data: bytes) -> None:
        self._backlog.append(data)
        self._bytes += len(data)
        self._hub.has_something(self)

    def _take(self) -> bytes:
        data = b"".join(self._backlog)
        self._backlog.clear()
        self._bytes = 0
        return data

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None


def _body(data: bytes) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": True}


@lru_cache(maxsize=1)
def _ping(cursor: Cursor | None) -> bytes:
    # The same for all who are quiet at the moment.
    return Event(cursor, "ping", {}).encode()


def farewell(reason: Reason) -> bytes:
    """`bye`, and after how long the browser is to come back."""
    bounds = RETRY_TOO_MANY if reason == "too-many" else RETRY
    return retry(random.randint(*bounds)) + Event(None, "bye", {"reason": reason}).encode()
