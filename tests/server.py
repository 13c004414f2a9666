"""A real server as a process of its own, on the database of the running test."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psutil
from django.conf import settings
from django.db import connection

from config import environment
from tests.forking import ROOT, Forked

START = 20.0  # s until it answers, on a busy machine
STOP = 10.0  # s until it is gone
# Below those that outgoing connections take: so a port is still free when its server starts again.
PORTS = 20_000, 32_000

COMMANDS = {
    "daphne": ["daphne", "--bind", "127.0.0.1", "--port", "{port}", "--verbosity", "0"],
    "uvicorn": ["uvicorn", "--host", "127.0.0.1", "--port", "{port}", "--log-level", "warning"],
}


class Server:
    """`with Server("daphne", folder) as server:` It answers when the block begins."""

    transport = None  # for httpx: over the network
    says_ready = "/healthz"  # by 200

    def __init__(
        self, kind: str, folder: Path, application: str = "config.asgi:application", **env: str
    ) -> None:
        self.kind, self.application, self.env = kind, application, env
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.errors = folder / f"{kind}-{self.port}.log"

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.kill()

    def start(self) -> None:
        module, *options = [word.format(port=self.port) for word in COMMANDS[self.kind]]
        self.process = Forked(
            module, *options, self.application, env=surroundings(**self.env), log=self.errors
        )
        deadline = time.monotonic() + START
        while not (self._listens() and self._answers()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"{self.kind} did not start:\n{self.log}")
            time.sleep(0.02)

    def kill(self) -> None:
        """As kill -9: nothing is finished, nobody is told."""
        self.process.kill()
        self.process.wait(STOP)

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """As a deploy does; the exit code, and the seconds it took."""
        begun = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(STOP), time.monotonic() - begun

    def restart(self) -> None:
        """Kill it and start it again on the same port."""
        self.kill()
        self.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def log(self) -> str:
        """All that it has written on stdout and stderr."""
        return self.errors.read_text(errors="replace")

    def threads(self) -> int:
        return psutil.Process(self.pid).num_threads()

    def memory(self) -> int:
        """Resident bytes."""
        return psutil.Process(self.pid).memory_info().rss

    def open_files(self) -> list[str]:
        """Paths, one for each handle: a database connection to SQLite is some of them."""
        return [file.path for file in psutil.Process(self.pid).open_files()]

    def connections(self) -> int:
        """How many of its clients it has not let go yet."""
        mine = psutil.Process(self.pid).net_connections("tcp")
        ours = [each for each in mine if each.laddr.port == self.port]
        return sum(each.status != psutil.CONN_LISTEN for each in ours)

    def sockets(self) -> int:
        """How many it holds that are not its clients': each connection to a database is one."""
        mine = psutil.Process(self.pid).net_connections("all")
        return sum(getattr(each.laddr, "port", None) != self.port for each in mine)

    def _listens(self) -> bool:
        """Itself: another test's server may have got the port first, and would answer, too."""
        with suppress(psutil.Error):  # it is gone
            one = psutil.Process(self.pid)
            family = [one, *one.children(recursive=True)]
            mine = [each for process in family for each in process.net_connections("tcp")]
            return any(each.status == psutil.CONN_LISTEN for each in mine)
        return False

    def _answers(self) -> bool:
        # Not by httpx, which reads all certificates first: it is asked again and again meanwhile.
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=START)) as client:
            try:
                client.request("GET", self.says_ready)
                return client.getresponse().status == 200
            except (OSError, HTTPException):
                return False


def surroundings(**env: str) -> dict[str, str]:
    """The environment of a process that works on the test's database."""
    return os.environ | {"DEBUG": "1", "DATABASE_URL": database_url()} | env


def database_url() -> str:
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        return environment.sqlite(Path(name).resolve())
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{quote(name)}").geturl()


def collect(folder: Path) -> dict[str, str]:
    """The environment of a server in production, whose static files are collected there."""
    environment = {
        "DJANGO_SETTINGS_MODULE": "tests.collected",
        "STATIC_ROOT": str(folder),
        "DEBUG": "0",
        "SECRET_KEY": settings.SECRET_KEY,  # which signs the tests' sessions
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
        "TRUST_X_FORWARDED_PROTO": "1",
    }
    subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "--no-input", "--verbosity", "0"],
        cwd=ROOT, env=os.environ | environment, check=True,
    )  # fmt: skip
    return environment


def python(code: str, *args: str, **env: str) -> "subprocess.Popen[str]":
    """Another process that runs `code` in the project, with `args` as sys.argv[1:]."""
    setup = "import django; django.setup()\n"
    return subprocess.Popen(
        [sys.executable, "-c", setup + code, *args],
        cwd=ROOT,
        env=surroundings(DJANGO_SETTINGS_MODULE="config.settings", **env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def free_port() -> int:
    """One that no other process of pytest-xdist would take in the moment until it is used."""
    mine = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = range(PORTS[0] + mine, PORTS[1], int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1)))
    while True:
        port = random.SystemRandom().choice(ports)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
