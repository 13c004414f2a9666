"""A crowd of readers that costs little: sockets, one epoll, no parser.

It shares the machine with what it measures, so it does nothing with what it reads but look for a
marker and note the clock. The clock is CLOCK_MONOTONIC, which all processes of a machine share.
"""

import os
import select
import socket
import time
from collections.abc import Callable, Iterable
from typing import Self

from .place import HOST

AT_ONCE = 32  # readers that are opening: less than what daphne lets wait to be accepted (50)
PATIENCE = 30.0  # s in which nothing came, after which nothing will
READ = 2**14  # bytes read at once; what is more, epoll reports again
REQUEST = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n"
    "X-Forwarded-Proto: https\r\nCookie: sessionid={session}\r\n\r\n"
)


class Readers:
    """Open streams of one server. `with` closes them."""

    def __init__(self, port: int, path: str = "/messages/stream/") -> None:
        self.port, self.path = port, path
        self._epoll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._rest: dict[int, bytes] = {}  # what was read of a line that is not whole yet

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._sockets.values():
            each.close()
        self._epoll.close()

    def __len__(self) -> int:
        return len(self._sockets)

    def open(self, sessions: Iterable[str], until: bytes) -> None:
        """Open a stream for each session, AT_ONCE at a time, each until it has had `until`."""
        waiting, opening = iter(sessions), {}
        give_up = time.monotonic() + PATIENCE
        while True:
            while len(opening) < AT_ONCE and (session := next(waiting, None)) is not None:
                reader = self.connect(
                    REQUEST.format(path=self.path, host=HOST, session=session).encode()
                )
                opening[reader] = b""
            if not opening:
                return
            for fd, _ in self._epoll.poll(1.0):
                data = os.read(fd, READ)
                if fd not in opening:
                    continue
                opening[fd] += data
                if not data or not opening[fd].startswith(b"HTTP/1.1 200"[: len(opening[fd])]):
                    raise ConnectionError(f"a stream did not open: {opening[fd][:200]!r}")
                if until in opening[fd]:
                    del opening[fd]
                    give_up = time.monotonic() + PATIENCE
            if time.monotonic() > give_up:
                raise TimeoutError(f"{len(opening)} streams do not open: {opening.popitem()!r}")

    def connect(self, request: bytes) -> int:
        """A connection of which `receive` reads, after its request; the number of its file."""
        each = socket.create_connection((HOST, self.port))
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        each.sendall(request)
        each.setblocking(False)
        self._sockets[each.fileno()] = each
        self._epoll.register(each.fileno(), select.EPOLLIN)
        return each.fileno()

    def receive(
        self, marker: bytes, wanted: int, each: Callable[[int], None] | None = None
    ) -> list[tuple[float, int]]:
        """Read until `marker` was seen `wanted` times; for each read that had some, the clock
        after it and how many. `each` is told how many there were so far. TimeoutError with what
        is missing after PATIENCE in which none came."""
        poll, read, clock, rest = self._epoll.poll, os.read, time.monotonic, self._rest
        seen, count = [], 0
        begun = clock()
        while count < wanted:
            ready = poll(PATIENCE)
            if not ready or clock() - (seen[-1][0] if seen else begun) > PATIENCE:  # pings come
                raise TimeoutError(f"{wanted - count} of {wanted} did not come")
            for fd, _ in ready:
                data = read(fd, READ)
                if not data:
                    raise ConnectionError("a stream was ended by its server")
                if fd in rest:
                    data = rest.pop(fd) + data
                if data[-1] != 10:  # a line was cut: its end comes with the next read
                    whole, newline, rest[fd] = data.rpartition(b"\n")
                    data = whole + newline
                if found := data.count(marker):
                    seen.append((clock(), found))
                    count += found
            if each is not None:
                each(count)
        return seen
