"""Follows the log and hands out what is new, encoded once, to the streams of a process.

A hub does nothing by itself: `running` says when. A look is sequential: it reads the states of
those who are owed one, then the log; then it delivers the changes up to the states' position, the
states, and the rest. A state ahead of its stream would show read messages as unread; one behind
it would take a count back.
"""

import asyncio
import logging
import resource
from collections import deque
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal

from . import access, inbox, log
from .cursor import Cursor
from .look import Sight, look, origin
from .models import Change
from .past import Entry, Past
from .publishing import publish_due
from .tally import Tally
from .threads import Threads

if TYPE_CHECKING:
    from .stepping import Message
    from .stream import Stream

logger = logging.getLogger(__name__)

STREAMS_PER_USER = 12  # two browsers full of tabs; over it the oldest has to go
SPARE_FILES = 64  # of those the process may open, for the database, the log and ordinary requests
TOUCHED_PACE = 0.5  # s between reads of the recently touched inboxes
TOUCHED_AT_MOST = 60.0  # s back, after a pause; what is older, the sweep finds
OVERLAP = 2.0  # s by which those reads overlap: an act may commit after later ones
READERS = 4  # threads that open streams and read what they missed, on a connection each
SWEPT_AT_ONCE = 500  # streams that are compared with the database at a time
WANTED = 15.0  # s that one look of staff at a user lasts
OWED_AT_ONCE = 2_000  # users whose states one look reads; others wait for the next


class Hub:
    """Streams `join`, catch up with `past`, `go_live` and `leave`, on the loop's own thread."""

    def __init__(self) -> None:
        self.cursor = Cursor("", 0)  # all up to here has been handed out; "": not yet known
        self.streams: dict[Any, dict[Stream, None]] = {}  # a user's streams, the oldest first
        self.is_current = False  # whether the last look came to the end of the log
        self.draining = False
        self.tally = Tally()
        self.wanted: dict[str, float] = {}  # users, by key, of whom staff ask; until when
        self.onlookers: set[Any] = set()  # among the streams: of staff who watch the others
        self.readers = Threads(READERS, "notifications-reader")
        # All of them, without a look at each user: a broadcast touches as little memory as can be.
        self._open: dict[Stream, None] = {}
        self.capacity = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_FILES
        self._past = Past()
        self._told: dict[Any, tuple[int, int]] = {}  # per user (version, endings) as of last state
        self._owed: dict[Any, None] = {}  # users who need a state, first come first served
        self._touched_read = float("-inf")
        self._touched_later: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self.swept = self.time()
        self._awake = asyncio.Event()  # set when it is worth looking
        self._empty = asyncio.Event()
        self._empty.set()
        self._thread = Threads(1, "notifications-hub")  # so that looks wait for nobody
        self._unsent: dict[Stream, None] | None = None  # who has got something, during a look

    def time(self) -> float:
        """The loop's clock, in seconds."""
        return self._loop.time()

    async def stop(self) -> None:
        """End the hub with its threads. Its streams are told nothing."""
        await self._thread.close()
        await self.readers.close()

    # ------------------------------------------------------------------------------ streams

    def everyone(self) -> "list[Stream]":
        """All open streams, the oldest first."""
        return list(self._open)

    def present(self) -> tuple[int, int]:
        """How many streams are open, and of how many users; onlookers not counted."""
        only = len(self._who_only_watch())
        return len(self._open) - len(self.onlookers), len(self.streams) - only

    def users(self) -> list[Any]:
        """Who is connected, by their keys; onlookers not counted. From any thread."""
        only = self._who_only_watch()
        return [pk for pk in tuple(self.streams) if pk not in only]

    def _who_only_watch(self) -> set[Any]:
        streams = {each.user_id: self.streams.get(each.user_id) for each in tuple(self.onlookers)}
        return {pk for pk, mine in streams.items() if mine and self.onlookers.issuperset(mine)}

    def want(self, user: str, seconds: float = WANTED) -> None:
        """For so long from now, have all processes say which streams this user has; or, for
        CONNECTED, which users they have. From any thread."""
        if user:
            self.wanted[user] = self.time() + seconds

    def wants(self) -> list[str]:
        self.wanted = {user: end for user, end in list(self.wanted.items()) if end > self.time()}
        return sorted(self.wanted)

    @property
    def refuses(self) -> Literal["drain", "too-many"] | None:
        """Why no more streams may be opened at the moment, if so."""
        if self.draining or not self.cursor.word:
            return "drain"
        # One connection more might leave no file for anything else.
        return "too-many" if len(self._open) >= self.capacity else None

    def join(self, stream: "Stream") -> None:
        """From here on the ends of this user's streams reach it; changes once it is live."""
        mine = self.streams.setdefault(stream.user_id, {})
        mine[stream] = self._open[stream] = None
        self._empty.clear()
        if self.draining:
            stream.end("drain")
        open_ones = [other for other in mine if not other.reason]
        for oldest in open_ones[:-STREAMS_PER_USER]:
            oldest.end("too-many")

    def leave(self, stream: "Stream") -> None:
        """Forget it. From any thread, any number of times."""
        if _running_loop() is self._loop:
            self._leave(stream)
        else:
            with suppress(RuntimeError):  # the loop is closed, and all is gone with it
                self._loop.call_soon_threadsafe(self._leave, stream)

    def _leave(self, stream: "Stream") -> None:
        mine = self.streams.get(stream.user_id, {})
        if stream not in mine:
            return
        del mine[stream], self._open[stream]
        self.onlookers.discard(stream)
        if stream.opened:
            self.tally.closed(stream, self.time() - stream.opened)
        if not mine:
            for of_users in (self.streams, self._told, self._owed):
                of_users.pop(stream.user_id, None)
        if not self.streams:
            self._empty.set()

    def missed(self, cursor: Cursor) -> list[Entry] | None:
        """What was handed out after `cursor`; None when memory cannot tell."""
        return self._past.after(cursor, self.cursor)

    def go_live(self, stream: "Stream") -> None:
        """From here on it gets what is new; and a state, for a connection may have been cut
        between a `withdrawn` and the state that belongs to it."""
        stream.live = stream.owed = True
        self._owe(stream.user_id)

    def _owe(self, user_id: Any) -> None:
        self._owed[user_id] = None
        self._awake.set()

    def _on_touched(self, user_id: Any, **_: Any) -> None:
        with suppress(RuntimeError):  # that loop has closed
            self._loop.call_soon_threadsafe(self._touch, user_id)

    def _touch(self, user_id: Any) -> None:
        if user_id in self.streams:
            self._owe(user_id)

    async def drain(self, patience: float) -> None:
        """End all streams with `bye`; those that do not end within `patience` s are cut."""
        self.draining = True
        for stream in self.everyone():
            stream.end("drain")
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._empty.wait()
        for stream in self.everyone():
            stream.cut()

    # -------------------------------------------------------------------------------- looks

    async def look(self) -> None:
        """Read what is new and deliver it. One at a time."""
        if not self.cursor.word:
            self.cursor = await self._thread.ask(origin)
        begun = self.time()
        touched = bool(self.streams) and begun - self._touched_read >= TOUCHED_PACE
        owed = dict.fromkeys(list(self._owed)[:OWED_AT_ONCE])
        for user_id in owed:
            del self._owed[user_id]
        try:
            window = min(begun - self._touched_read, TOUCHED_AT_MOST) + OVERLAP if touched else None
            sight = await self._see(owed.keys(), window)
        except BaseException:
            self._owed = owed | self._owed
            raise
        if not sight.page.follows(self.cursor):
            return self._start_anew(sight.page.head)
        if touched:
            self._touched_read = begun
        elif self.streams and not self._touched_later:
            self._touched_later = self._loop.call_later(TOUCHED_PACE, self._look_at_touched)
        self._deliver(sight)
        self.is_current = self.cursor == sight.page.head
        self.tally.measures |= self.is_current
        if self._owed or not self.is_current:
            self._awake.set()

    def _look_at_touched(self) -> None:
        self._touched_later = None
        self._awake.set()

    async def _see(self, owed: Set[Any], window: float | None) -> Sight:
        connected = set(self.streams)
        ask = self._thread.ask
        sight = await ask(look, self.cursor.position, connected, owed, self._told, window)
        # Who has gone live meanwhile was not asked for: a large audience must be asked again.
        while not sight.whole and (new := self.streams.keys() - connected):
            connected |= new
            more, _ = await ask(log.audiences, sight.audiences.keys(), new)
            for message_id, users in more.items():
                sight.audiences[message_id] |= users
        return sight

    def _deliver(self, sight: Sight) -> None:
        """Changes up to the first states' position, these states, changes up to the next, ..."""
        changes = deque(sight.page.changes)
        with self._together():
            for states in sight.states:
                position = next(iter(states.values())).cursor.position if states else 0
                while changes and changes[0].position <= position:
                    self._hand_out(changes.popleft(), sight)
                for state in states.values():
                    self._tell(state)
            for change in changes:
                self._hand_out(change, sight)
            unsent = self._unsent or ()
        self.tally.delivered(len(unsent))

    @contextmanager
    def _together(self) -> Iterator[None]:
        """What streams get in this block they send in one piece, and those who got the same send
        the same bytes. Looks are a while apart under load: that joins what comes meanwhile."""
        self._unsent = {}
        try:
            yield
        finally:
            unsent, self._unsent = self._unsent, None
            now = self.time()
            made: dict[tuple[bytes, ...], Message] = {}
            for stream in unsent:
                stream.send_on(now, made)

    def has_something(self, stream: "Stream") -> None:
        """Called by a stream with a backlog: to send it now, or with the rest of this look."""
        if self._unsent is None:
            stream.send_on(self.time(), {})
        else:
            self._unsent[stream] = None

    def _hand_out(self, change: Change, sight: Sight) -> None:
        message = sight.messages[change.message_id]
        audience = None if message.everyone else sight.audiences[message.pk]
        entry = self._past.add(change, message, audience, sight.whole)
        self.cursor = change.cursor
        concerned = self._open if audience is None else self._of(audience)
        is_gone = change.event in (Change.Event.WITHDRAWN, Change.Event.EXPIRED)
        streams = 0
        for stream in concerned:
            if stream.live and entry.concerns(stream.user_id, stream.since):
                stream.receive(change.position, entry.data)
                streams += stream.reads
                if is_gone:
                    stream.owed = True
            if is_gone:
                self._owe(stream.user_id)
        self.tally.handed_out(change, message, bool(concerned), streams)

    def _of(self, users: set[Any]) -> "list[Stream]":
        return [stream for user in users & self.streams.keys() for stream in self.streams[user]]

    def _tell(self, state: inbox.State) -> None:
        """Give the state to the streams of its user that are owed one or were told an older."""
        mine = list(self.streams.get(state.user_id, ()))
        if mine:
            self._told[state.user_id] = (state.version, state.endings)
        for stream in mine:
            if state.endings > stream.endings:
                stream.end("signed-out")
            elif stream.live and not stream.tell(state, self.cursor):
                self._owe(state.user_id)

    def _start_anew(self, head: Cursor) -> None:
        """The log is not the one that was followed: restored under us, or pruned past us. All
        streams end; their readers come back with their cursors, which the database judges."""
        logger.error("The log does not go on after %s; ending all streams", self.cursor)
        self.cursor, self._past = head, Past()
        self._awake.set()
        for stream in self.everyone():
            stream.end("drain")

    # ---------------------------------------------------------------------------- the clock

    async def publish_due(self) -> None:
        """Say in the log what has become due."""
        # Not in the hub's own thread: it may have to wait for a lock, and looks must not.
        await self.readers.ask(publish_due)

    def pulse(self) -> None:
        """End what is too old or stuck, ping what is quiet."""
        now = self._loop.time()
        for stream in self.everyone():
            stream.pulse(now)

    async def sweep(self) -> None:
        """Compare all who are connected with the database: what the quick ways did not show."""
        streams = self.everyone()
        # In parts: the looks in between wait for one of them, and a delivery shares the GIL with it
        # no longer than that.
        for start in range(0, len(streams), SWEPT_AT_ONCE):
            await self._sweep(streams[start : start + SWEPT_AT_ONCE])
        self.swept = self.time()

    async def _sweep(self, streams: "list[Stream]") -> None:
        standings = await self._thread.ask(access.standings, {stream.user_id for stream in streams})
        sessions = await self._thread.ask(
            access.open_sessions, {stream.session_key for stream in streams}
        )
        for stream in streams:
            version, endings, password = standings.get(stream.user_id, (0, -1, None))
            same = (endings, password) == (stream.endings, stream.password)
            if not same or stream.session_key not in sessions:
                stream.end("signed-out")
            elif version > stream.told:
                self._owe(stream.user_id)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
