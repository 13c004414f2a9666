"""Several processes that begin at the same moment, once all of them are ready."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from tests.server import python

READY = 'import sys; print("ready", flush=True); sys.stdin.readline()\n'


@asynccontextmanager
async def together(
    code: str, arguments: Iterable[tuple[str, ...]]
) -> AsyncIterator[Callable[[], list[Any]]]:
    """A process for each of `arguments` (its sys.argv[1:]) is ready to run `code`.

    Yields a function that lets them go, waits, and returns what each has printed: a line of JSON.
    """
    processes = [python(READY + code, *each) for each in arguments]

    def go() -> list[Any]:
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        return [json.loads(said(process)) for process in processes]

    try:
        for process in processes:
            assert await asyncio.to_thread(said, process) == "ready\n"
        yield go
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def said(process: "subprocess.Popen[str]") -> str:
    """The next line that it prints."""
    if line := process.stdout.readline():
        return line
    raise AssertionError(process.communicate()[1])
