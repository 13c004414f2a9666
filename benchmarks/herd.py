"""All streams are dropped at once, and come back with their cursors: a Markdown table.

python -m benchmarks.herd [--streams 10000] [--server uvicorn daphne] [--database URL]

The server is killed, messages are sent, it starts again on the same port. Each reader tries to
connect after the `retry:` that it was told, as an EventSource does, and then again and again.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

from . import place, servers
from .place import HOST

APPLICATION = "benchmarks.counted:application"
# As the README says. With `--port` daphne lets 50 connections wait to be accepted; the kernel
# drops the others, whose clients try again after 1, 2, 4, ... s: the last of a herd for minutes.
ENDPOINT = f"tcp:PORT:interface={HOST}:backlog=4096"
KINDS = {
    "uvicorn": servers.uvicorn(APPLICATION),
    "daphne": servers.python("daphne", "--verbosity", "0", "-e", ENDPOINT, APPLICATION),
    "daphne --port": servers.daphne(APPLICATION),
}
MISSED = 20  # messages sent while nobody is connected
AT_ONCE = 64  # readers that open the first time; afterwards nobody holds them back
PATIENCE = 120.0  # s for all to be there
SETTLING = 2.0  # s before memory is measured
NATURAL = 3.0  # s until an EventSource returns that was told nothing
REQUEST = (
    "GET /messages/stream/ HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n"
    "X-Forwarded-Proto: https\r\nCookie: sessionid={session}\r\n{cursor}\r\n"
)


class Reader(asyncio.Protocol):
    """One reader, who returns whenever the stream ends."""

    def __init__(self, herd: "Herd", session: str) -> None:
        self.herd, self.session = herd, session
        self.cursor, self.retry = "", NATURAL
        self.is_live = False  # has had a state: all that was missed came before it
        self.messages = 0
        self.came = 0.0  # the clock when it was live
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    async def connect(self) -> None:
        try:
            await self.herd.loop.create_connection(lambda: self, HOST, self.herd.port)
        except OSError:
            self.herd.refused += 1
            self._later()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._rest = transport, b""
        cursor = f"Last-Event-ID: {self.cursor}\r\n" if self.cursor else ""
        text = REQUEST.format(host=HOST, session=self.session, cursor=cursor)
        transport.write(text.encode())

    def data_received(self, data: bytes) -> None:
        *events, self._rest = (self._rest + data).split(b"\n\n")
        for event in events:
            if event.startswith(b"HTTP/1.1 "):
                status = event[9:12].decode()
                self.herd.answers[status] += 1
            self._take(event)

    def _take(self, event: bytes) -> None:
        for line in event.splitlines():
            name, _, value = line.partition(b": ")
            if name == b"id":
                self.cursor = value.decode()
            elif name == b"retry":
                self.retry = int(value) / 1000
            elif line == b"event: state" and not self.is_live:
                self.is_live, self.came = True, time.monotonic()
                self.herd.live += 1
            elif name == b"data" and b'"title":' in value and b"event: " not in event:
                self.messages += 1

    def connection_lost(self, error: Exception | None) -> None:
        if self.is_live:
            self.is_live = False
            self.herd.live -= 1
        self._later()

    def _later(self) -> None:
        if self.herd.goes_on:
            self.herd.loop.call_later(self.retry, self._again)

    def _again(self) -> None:
        task = self.herd.loop.create_task(self.connect())
        self.herd.tasks.add(task)
        task.add_done_callback(self.herd.tasks.discard)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Herd:
    """The readers of one server, and what they met."""

    def __init__(self, port: int, sessions: list[str]) -> None:
        self.port, self.loop = port, asyncio.get_running_loop()
        self.live = self.refused = 0
        self.answers: Counter[str] = Counter()  # by status
        self.goes_on = True
        self.tasks: set[asyncio.Task[None]] = set()
        self.readers = [Reader(self, session) for session in sessions]

    async def open(self) -> None:
        """Open all streams, AT_ONCE at a time."""
        waiting = iter(self.readers)

        async def opener() -> None:
            for reader in waiting:
                await reader.connect()
                await until(lambda: reader.is_live)  # noqa: B023 - it is waited for here

        await asyncio.gather(*(opener() for _ in range(AT_ONCE)))

    async def all_live(self) -> None:
        """Wait until they are, or PATIENCE is over."""
        with suppress(TimeoutError):
            await until(lambda: self.live == len(self.readers))

    async def quit(self) -> None:
        self.goes_on = False
        for reader in self.readers:
            reader.close()
        await until(lambda: not self.live)


class Server(servers.Server):
    """On a port that is given: the readers come back to where they were."""

    def __init__(self, kind: str, port: int) -> None:
        def command(_: int, folder: Path) -> list[str]:
            return KINDS[kind](port, folder)

        super().__init__(servers.Contender(kind, command))
        self.port, self.listening = port, 0.0

    def __enter__(self) -> Self:
        super().__enter__()
        self.listening = time.monotonic()
        return self

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def statements(self) -> dict[str, int]:
        """How many it has executed so far."""
        with urllib.request.urlopen(f"http://{HOST}:{self.port}/statements") as answer:
            found: dict[str, int] = json.load(answer)
            return found


async def measure(kind: str, sessions: list[str]) -> dict[str, float]:
    """What it costs that all come back."""
    port = servers.free_port()
    herd = Herd(port, sessions)
    with Server(kind, port) as server:
        await herd.open()
        await asyncio.sleep(SETTLING)
        before = server.memory
        server.kill()
        await until(lambda: not herd.live)
    for reader in herd.readers:
        reader.messages = 0
    herd.answers.clear()
    await asyncio.to_thread(send_some)
    begun = time.monotonic()
    with Server(kind, port) as server:
        await herd.all_live()
        listening, cpu, statements = server.listening, server.cpu, server.statements()
        came = sorted(reader.came - listening for reader in herd.readers if reader.is_live)
        await asyncio.sleep(SETTLING)
        found = {
            "s until the new process listens": listening - begun,
            f"live again within {PATIENCE:g} s": len(came),
            "s from then until half of them were": came[len(came) // 2],
            "s until 95 % of them were": came[len(came) * 95 // 100],
            "s until the last of them was": came[-1],
            "CPU of the server until then, s": cpu,
            "statements until then": statements["statements"],
            "of these, statements on the log": statements["on the log"],
            "memory before, MiB": before / 2**20,
            "memory after, MiB": server.memory / 2**20,
            "threads after": server.threads,
            "answers of 200": herd.answers.pop("200"),
            "other answers": herd.answers.total(),
            "readers that have all they missed, once": sum(
                reader.messages == MISSED for reader in herd.readers
            ),
        }
        await herd.quit()
    return found


def send_some() -> None:
    from django.db import connections

    from notifications import EVERYONE, send

    for number in range(MISSED):
        send(f"Missed {number}", to=EVERYONE, body="Some **text**.")
    connections.close_all()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for `condition`; TimeoutError after PATIENCE."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - ten thousand events to wait for would cost more
            await asyncio.sleep(0.02)


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--streams", type=int, default=10_000)
    options.add_argument("--server", nargs="+", choices=KINDS, default=[*KINDS])
    options.add_argument("--database", default="", metavar="URL", help="empty; default: SQLite")
    chosen = options.parse_args()
    place.raise_file_limit()
    os.sched_setaffinity(0, {servers.LOAD_CORE})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server goes with us
    with place.database(chosen.database):
        sessions = place.log_in(chosen.streams)
        found = {kind: asyncio.run(measure(kind, sessions)) for kind in chosen.server}
    print(f"| {chosen.streams:,} streams | " + " | ".join(found) + " |")
    print("|---" + "|---:" * len(found) + "|")
    for what in next(iter(found.values())):
        print(f"| {what} | " + " | ".join(shown(found[kind][what]) for kind in found) + " |")


def shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"


if __name__ == "__main__":
    main()
