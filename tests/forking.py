"""Servers that start in a third of the time: forked from a process that has imported the libraries.

Each is a process of its own all the same, and reads its own settings: `Forked` here is like a
`Popen` of `python -m MODULE ARGUMENTS`. The other end, `python -m tests.forking`, is `main`.
"""

import atexit
import gc
import json
import os
import random
import runpy
import signal
import subprocess
import sys
import time
from functools import cache
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any

ROOT = Path(__file__).parent.parent
# What takes long to import, and can be without settings, a reactor, an event loop or a thread:
# none of those outlives a fork.
LIBRARIES = [
    "autobahn.twisted.websocket",
    "corsheaders",
    "csp",
    "django.contrib.auth",
    "django.core.handlers.asgi",
    "django.core.management",
    "django.db.models",
    "django.forms",
    "django.template.loader",
    "django.views.debug",
    "markdown_it",
    "nh3",
    "prometheus_client",
    "redis.asyncio",
    "twisted.internet.asyncioreactor",
    "twisted.web.http",
    "uvicorn.lifespan.on",
    "uvicorn.main",
    "uvicorn.protocols.http.h11_impl",
]


class Forked:
    """`python -m module *arguments` in the project; what it says is appended to `log`."""

    def __init__(self, module: str, *arguments: str, env: dict[str, str], log: Path) -> None:
        self.pid: int = forker().ask("start", [module, *arguments], env, str(log))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code, negative that of the signal that ended it; None while it runs."""
        if self.returncode is None:
            self.returncode = forker().ask("poll", self.pid)
        return self.returncode

    def wait(self, timeout: float) -> int:
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            time.sleep(0.005)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Forker:
    """The process that forks. It ends with this one, and so do those that it has forked."""

    def __init__(self) -> None:
        self._lock = Lock()  # for tests that start servers side by side, in threads
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.forking"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ask(self, *question: Any) -> Any:
        with self._lock:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def end(self) -> None:
        self._process.communicate()


@cache
def forker() -> Forker:
    one = Forker()
    atexit.register(one.end)
    return one


def main() -> None:
    for name in LIBRARIES:
        import_module(name)
    assert "twisted.internet.reactor" not in sys.modules
    gc.freeze()  # shared with all who are forked, as long as none of them looks at it
    running: set[int] = set()
    for line in sys.stdin:
        match json.loads(line):
            case "start", command, env, log:
                sys.stdout.flush()
                if not (answer := os.fork()):
                    return become(command, env, log)
                running.add(answer)
            case "poll", pid:
                ended, status = os.waitpid(pid, os.WNOHANG)
                running.discard(ended)
                answer = os.waitstatus_to_exitcode(status) if ended else None
        print(json.dumps(answer), flush=True)
    for pid in running:
        os.kill(pid, signal.SIGKILL)


def become(command: list[str], env: dict[str, str], log: str) -> None:
    """In the new process: be what `python -m` of `command` would be."""
    module, *_ = command
    with open(os.devnull) as nothing, open(log, "ab") as said:
        for file, number in (nothing, 0), (said, 1), (said, 2):
            os.dup2(file.fileno(), number)
    os.environ.clear()
    os.environ.update(env)
    sys.argv[:] = command
    sys.path[:0] = [folder for folder in env.get("PYTHONPATH", "").split(os.pathsep) if folder]
    random.seed()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
