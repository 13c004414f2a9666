"""The servers that are measured, each started as a process of its own on one core."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import psutil

from .place import HOST, ROOT

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = CORES[0], CORES[-1]  # the same one on a machine with one core
PEERS = Path(__file__).resolve().parent / "peers"
START_PATIENCE = 20.0  # s for a server to listen
STOP_PATIENCE = 30.0  # s for it to end before it is killed
NCHAN = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")  # where Debian puts it


@dataclass(frozen=True)
class Contender:
    """A server and how it is started; `lacks` says what must be installed first."""

    name: str
    command: Callable[[int, Path], list[str]]  # of a port and a folder for its files
    lacks: Callable[[], str] = lambda: ""
    ours: bool = False
    opened: bytes = b"\r\n\r\n"  # what a reader has had when its stream is open
    window: int = 64  # events under way at saturation
    most: int = 10_000  # streams that it can hold


def python(*arguments: str) -> Callable[[int, Path], list[str]]:
    return lambda port, _: [
        sys.executable,
        "-m",
        *(a.replace("PORT", str(port)) for a in arguments),
    ]


def uvicorn(application: str) -> Callable[[int, Path], list[str]]:
    # What it chooses by itself where they are installed; said, so that all have the same.
    parser = "httptools" if find_spec("httptools") else "h11"
    return python(
        *("uvicorn", application, "--host", HOST, "--port", "PORT", "--log-level", "warning"),
        *("--loop", "asyncio", "--http", parser, "--no-access-log"),
    )


def daphne(application: str) -> Callable[[int, Path], list[str]]:
    return python("daphne", "--verbosity", "0", "--bind", HOST, "--port", "PORT", application)


def nchan(port: int, folder: Path) -> list[str]:
    text = (PEERS / "nchan.conf").read_text().replace("PORT", str(port))
    (folder / "nginx.conf").write_text(text)
    return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]


def express(port: int, _: Path) -> list[str]:
    return ["node", str(PEERS / "express" / "server.js"), str(port)]


def module(*names: str) -> Callable[[], str]:
    return lambda: ", ".join(name for name in names if not find_spec(name))


def lacks_nchan() -> str:
    return "" if shutil.which("nginx") and NCHAN.exists() else "nginx with nchan"


def lacks_express() -> str:
    """Installs it, where there is npm."""
    if not shutil.which("node"):
        return "node"
    folder = PEERS / "express"
    if not (folder / "node_modules").exists():
        if not shutil.which("npm"):
            return "npm"
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        if subprocess.run(command, cwd=folder, stdout=sys.stderr, check=False).returncode:  # noqa: S603
            return "npm ci in benchmarks/peers/express"
    return ""


SITE, EVENTSTREAM = "config.asgi:application", "benchmarks.peers.eventstream:application"
CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender("bare asyncio", python("benchmarks.peers.bare", "PORT")),
        Contender("ours, uvicorn", uvicorn(SITE), ours=True, opened=b"event: state"),
        Contender("ours, daphne", daphne(SITE), ours=True, opened=b"event: state"),
        Contender(
            "bare uvloop", python("benchmarks.peers.bare", "PORT", "--uvloop"), module("uvloop")
        ),
        Contender("nginx + nchan", nchan, lacks_nchan),
        Contender("Express", express, lacks_express),
        Contender(
            "sse-starlette, uvicorn",
            uvicorn("benchmarks.peers.starlette_app:app"),
            module("sse_starlette"),
        ),
        # A thread and two open files a stream: no more than a process may open.
        Contender(
            "naive, uvicorn",
            uvicorn("benchmarks.peers.naive:application"),
            most=1_000,
        ),
        # It drops what is more than ten events behind.
        Contender(
            "django-eventstream, uvicorn",
            uvicorn(EVENTSTREAM),
            module("django_eventstream"),
            window=8,
        ),
        Contender(
            "django-eventstream, daphne",
            daphne(EVENTSTREAM),
            module("django_eventstream"),
            window=8,
        ),
    )
}


class Server:
    """A contender that runs, seen from outside, with its child processes. `with` ends it."""

    def __init__(self, contender: Contender) -> None:
        self.port = free_port()
        self._folder = TemporaryDirectory(prefix="bench-server-")
        folder = Path(self._folder.name)
        self._complaints = folder / "log"
        self._process = subprocess.Popen(  # noqa: S603
            contender.command(self.port, folder),
            cwd=ROOT,
            stdout=(complaints := self._complaints.open("wb")),
            stderr=complaints,
            preexec_fn=lambda: os.sched_setaffinity(0, {SERVER_CORE}),
        )
        complaints.close()
        self._seen = psutil.Process(self._process.pid)

    def __enter__(self) -> Self:
        give_up = time.monotonic() + START_PATIENCE
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > give_up:
                complaints = self._complaints.read_text(errors="replace")
                self.__exit__()
                raise RuntimeError(f"A server did not start:\n{complaints}")
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.stop()
        self._folder.cleanup()

    def stop(self) -> tuple[float, int]:
        """Send it SIGTERM; the seconds until it has ended, and its exit code."""
        begun = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(STOP_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        return time.monotonic() - begun, code

    def _listens(self) -> bool:
        try:
            socket.create_connection((HOST, self.port), 1.0).close()
        except OSError:
            return False
        return True

    def _all(self) -> list[psutil.Process]:
        return [self._seen, *self._seen.children(recursive=True)]

    @property
    def cpu(self) -> float:
        """Seconds of processor time that it has used so far."""
        return sum(sum(process.cpu_times()[:2]) for process in self._all())

    @property
    def memory(self) -> int:
        """Bytes resident."""
        return sum(process.memory_info().rss for process in self._all())

    @property
    def threads(self) -> int:
        return sum(process.num_threads() for process in self._all())

    def files(self, beginning: str) -> int:
        """Open files whose path begins so: SQLite keeps up to three a connection."""
        return sum(file.path.startswith(beginning) for file in self._seen.open_files())


def free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
