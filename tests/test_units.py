"""The units in deploy/: accepted by systemd, and their lines run as systemd would run them."""

import asyncio
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from notifications.handler import DRAIN_REQUESTS, DRAIN_STREAMS
from tests.server import ROOT, STOP, surroundings

UNITS = sorted(ROOT.glob("deploy/messages*"))
SERVICE = (ROOT / "deploy/messages@.service").read_text()
DAILY = (ROOT / "deploy/messages-daily.service").read_text()
BIN = Path(sys.executable).parent
KINDS = ["daphne", "uvicorn"]
# What systemd does with a socket: it becomes file 3, and the process takes this one's place.
PASS_ON = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.execv(sys.argv[2], sys.argv[2:])"


def commands(unit: str) -> list[list[str]]:
    """The command lines of a service, alternatives included, with the programs of this test."""
    lines = re.findall(r"^#?ExecStart=(.+)$", unit, re.MULTILINE)
    return [shlex.split(line.replace("/srv/messages/.venv/bin", str(BIN))) for line in lines]


def number(name: str) -> int:
    found = re.search(rf"^{name}=(\d+)$", SERVICE, re.MULTILINE)
    assert found
    return int(found[1])


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is missing")
def test_systemd_finds_nothing_to_complain_of(tmp_path):
    copies = []
    for unit in UNITS:
        copy = tmp_path / unit.name.replace("@.", "@8001.")
        copy.write_text(unit.read_text().replace("/srv/messages/.venv/bin", str(BIN)))
        copies.append(str(copy))
    done = subprocess.run(["systemd-analyze", "verify", *copies], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """What systemd holds open, whoever serves it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def activate(
    listener: socket.socket, transactional_db: None
) -> Iterator[Callable[[str], "subprocess.Popen[bytes]"]]:
    """`activate("daphne")` starts the line of the unit that does, on the listener."""
    started: list[subprocess.Popen[bytes]] = []

    def start(kind: str) -> "subprocess.Popen[bytes]":
        (command,) = [line for line in commands(SERVICE) if Path(line[0]).name == kind]
        handle = str(listener.fileno())
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", PASS_ON, handle, *command],
                cwd=ROOT,
                env=surroundings(),
                pass_fds=[listener.fileno()],
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait(STOP)


@pytest.mark.parametrize("kind", KINDS)
async def test_who_connects_while_a_process_is_restarted_is_answered_by_the_next(
    kind, activate, listener
):
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/healthz"
    async with httpx.AsyncClient(timeout=STOP, trust_env=False) as client:
        early = asyncio.create_task(client.get(url))  # before there is anybody
        old = activate(kind)
        assert (await early).status_code == 200
        old.terminate()
        assert await asyncio.to_thread(old.wait, STOP) == 0
        between = asyncio.create_task(client.get(url))
        activate(kind)
        assert (await between).status_code == 200


def test_what_is_done_daily_can_be_done(transactional_db):
    lines = commands(DAILY)
    assert len(lines) == 2
    for line in lines:
        subprocess.run(line, cwd=ROOT, env=surroundings(), check=True, capture_output=True)


def test_a_process_has_time_to_drain():
    assert number("TimeoutStopSec") > 2 * (DRAIN_STREAMS + DRAIN_REQUESTS)
