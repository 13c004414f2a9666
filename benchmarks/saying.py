"""How an event is said: the project's by a commit of another process, a peer's by POST."""

import json
import os
import subprocess
import sys
import time
from types import TracebackType
from typing import Protocol, Self

from .place import HOST, ROOT
from .readers import Readers
from .servers import Contender

SIZE = 215  # bytes of a peer's event; the project's are as long, without a body


def title(number: int) -> str:
    """What the event of that number is recognised by."""
    return f"broadcast-{number:06}"


class Sender(Protocol):
    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def send(self, number: int) -> None:
        """Have it sent; does not wait for that."""
        ...

    def clock(self, number: int) -> float:
        """When that event was committed, or its POST written. To be asked once, in order."""
        ...


def sender(contender: Contender, readers: Readers) -> Sender:
    return Commits() if contender.ours else Posts(readers)


class Commits:
    """Another process, which sends what it reads."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.sender"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._to, self._from = self._process.stdin, self._process.stdout

    def __enter__(self) -> Self:
        assert self._from.readline() == "ready\n", "the sender failed"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._process.kill()
        self._process.communicate()

    def send(self, number: int) -> None:
        self._to.write(title(number) + "\n")

    def clock(self, number: int) -> float:
        return float(self._from.readline())


class Posts:
    """POSTs on one connection, each written before the last was answered."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self._connection: int | None = None
        self._clocks: dict[int, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass  # the connection is one of the readers'

    def send(self, number: int) -> None:
        event = {"title": title(number), "body": ""}
        event["body"] = "x" * (SIZE - len(f"data: {json.dumps(event)}\n\n"))
        body = json.dumps(event)
        request = (
            f"POST /send HTTP/1.1\r\nHost: {HOST}\r\nX-Forwarded-Proto: https\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()
        self._clocks[number] = time.monotonic()
        if self._connection is None:
            self._connection = self._readers.connect(request)
        else:
            os.write(self._connection, request)

    def clock(self, number: int) -> float:
        return self._clocks[number]
