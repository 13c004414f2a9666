"""Streams by the hundred and by the byte: plain sockets, without an HTTP client between."""

import asyncio
import contextlib
import socket
from contextlib import AsyncExitStack
from typing import Any

from django.conf import settings

PATIENCE = 20.0  # s
OPENED_AT_ONCE = 50
LAST_CHUNK = b"0\r\n\r\n"  # the proper end of a chunked response


class Socket:
    """One stream, seen as the bytes that came."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.got = b""

    @classmethod
    async def ask(cls, server: Any, session: str, cursor: str = "") -> "Socket":
        """Ask for a stream, from `cursor`; nothing has come yet."""
        asked = cls(*await asyncio.open_connection("127.0.0.1", server.port))
        asked._writer.write(request(session, cursor))
        return asked

    @classmethod
    async def open(cls, server: Any, session: str) -> "Socket":
        """Open a stream; here when the first event has come."""
        opened = await cls.ask(server, session)
        await opened.read_until(b"event: ready")
        return opened

    async def read_until(self, wanted: bytes) -> None:
        async with asyncio.timeout(PATIENCE):
            while wanted not in self.got:
                part = await self._reader.read(2**16)
                assert part, f"the connection was closed; it ended with {self.got[-300:]!r}"
                self.got += part

    async def read_to_end(self) -> bytes:
        """All until the server closes the connection."""
        async with asyncio.timeout(PATIENCE):
            while part := await self._reader.read(2**16):
                self.got += part
        return self.got

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


class Sockets(AsyncExitStack):
    """`async with Sockets(server, sessions) as sockets:` closes all that it has opened."""

    def __init__(self, server: Any, sessions: list[str]) -> None:
        super().__init__()
        self.server, self.sessions = server, sessions
        self.open: list[Socket] = []

    async def open_up_to(self, count: int) -> None:
        while (missing := count - len(self.open)) > 0:
            first = len(self.open)
            new = await asyncio.gather(
                *(
                    Socket.open(self.server, self.sessions[n % len(self.sessions)])
                    for n in range(first, first + min(missing, OPENED_AT_ONCE))
                )
            )
            for each in new:
                self.push_async_callback(each.close)
            self.open += new

    async def all_read_until(self, wanted: bytes) -> None:
        await asyncio.gather(*(each.read_until(wanted) for each in self.open))


def stalled(server: Any, session: str) -> socket.socket:
    """A reader that opens a stream and never reads it, with hardly any room in the kernel."""
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.connect(("127.0.0.1", server.port))
    reader.sendall(request(session))
    return reader


def read_to_end(reader: socket.socket) -> int:
    """How many bytes were on their way to it when the server gave it up."""
    reader.settimeout(PATIENCE)
    total, end = 0, b""
    with contextlib.suppress(ConnectionResetError):
        while not end.endswith(LAST_CHUNK) and (part := reader.recv(2**16)):
            total += len(part)
            end = (end + part)[-len(LAST_CHUNK) :]
    return total


def request(session: str, cursor: str = "") -> bytes:
    return (
        "GET /messages/stream/ HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        + (f"Last-Event-ID: {cursor}\r\n" if cursor else "")
        + f"Cookie: {settings.SESSION_COOKIE_NAME}={session}\r\n\r\n"
    ).encode()
