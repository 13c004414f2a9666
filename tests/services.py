"""Databases of a test's own, to be stopped, killed and starved, and a Redis.

Each is a process on a free port of 127.0.0.1 with its data in a temporary folder. Started by root,
it gives root up, as these servers demand.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Self

import pytest
import redis

from tests.server import free_port

START = 30.0  # s until it answers, on a busy machine
STOP = 20.0  # s until it is gone
# Debian keeps PostgreSQL's own programs, and whatever is a daemon, out of the way.
FOLDERS = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path("/usr/sbin")]


class Service:
    """`with PostgreSQL() as database:` It answers when the block begins."""

    account: str  # whose process it is when root starts it
    programs: tuple[str, ...]

    def __init__(self) -> None:
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        for name in self.programs:
            program(name)
        # Not pytest's folder: only root may enter that.
        self.folder = Path(tempfile.mkdtemp(prefix="service-"))
        if os.getuid() == 0:
            shutil.chown(self.folder, self.account)
        self.log = self.folder / "log"
        self.prepare()
        self.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop(signal.SIGKILL)
        shutil.rmtree(self.folder)

    def start(self) -> None:
        self.process = self.run(*self.command())
        deadline = time.monotonic() + START
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"it did not start:\n{self.log.read_text()}")
            time.sleep(0.02)

    def stop(self, number: int) -> None:
        """Send it this signal, and wait for its end."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(STOP)
            self.process = None

    def restart(self, number: int) -> None:
        self.stop(number)
        self.start()

    def run(self, name: str, *args: str) -> "subprocess.Popen[bytes]":
        who = self.account if os.getuid() == 0 else None
        groups: list[str] | None = [] if who else None
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [program(name), *args],
                user=who, group=who, extra_groups=groups,
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def prepare(self) -> None:
        """Make what it needs before it starts."""

    def command(self) -> tuple[str, ...]:
        """What to run, in the foreground."""
        raise NotImplementedError

    def ping(self) -> None:
        """Raises when it does not answer."""
        raise NotImplementedError

    def _answers(self) -> bool:
        try:
            self.ping()
        except Exception:
            return False
        return True


class PostgreSQL(Service):
    """Signals: SIGINT is "fast", clients are cut; SIGQUIT is "immediate", as a crash."""

    account, programs = "postgres", ("initdb", "postgres")

    @property
    def url(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def prepare(self) -> None:
        options = ("--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--no-sync")
        assert self.run("initdb", "--pgdata", "data", *options).wait(START) == 0

    def command(self) -> tuple[str, ...]:
        listen = ("-p", str(self.port), "-h", "127.0.0.1", "-k", str(self.folder))
        return ("postgres", "-D", str(self.folder / "data"), *listen, "-F")  # no fsync

    def ping(self) -> None:
        self._do("SELECT 1")

    def cut(self) -> None:
        """Terminate the backends of all clients."""
        self._do(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )

    def _do(self, sql: str) -> None:
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql)


class MariaDB(Service):
    """Signals: SIGTERM ends it, SIGKILL is a crash."""

    account, programs = "mysql", ("mariadb-install-db", "mariadbd")

    @property
    def url(self) -> str:
        return f"mysql://root@127.0.0.1:{self.port}/site"

    def prepare(self) -> None:
        options = ("--auth-root-authentication-method=normal", "--skip-test-db")
        made = self.run(
            "mariadb-install-db", "--no-defaults", f"--datadir={self.folder}/data", *options
        )
        assert made.wait(START) == 0, self.log.read_text()

    def command(self) -> tuple[str, ...]:
        listen = (f"--port={self.port}", "--bind-address=127.0.0.1", "--skip-name-resolve")
        files = (f"--datadir={self.folder}/data", f"--socket={self.folder}/socket")
        small = ("--innodb-log-file-size=8M", "--innodb-buffer-pool-size=32M")
        return ("mariadbd", "--no-defaults", *files, *listen, *small)

    def ping(self) -> None:
        self._do("CREATE DATABASE IF NOT EXISTS site CHARACTER SET utf8mb4")

    def cut(self) -> None:
        """Kill the connections of all clients."""
        import MySQLdb

        mine = "SELECT id FROM information_schema.processlist WHERE id <> connection_id()"
        for (number,) in self._do(f"{mine} AND user = 'root'"):
            with suppress(MySQLdb.OperationalError):  # it has gone by itself
                self._do(f"KILL SOFT CONNECTION {number}")

    def _do(self, sql: str) -> Any:
        import MySQLdb

        with closing(MySQLdb.connect(host="127.0.0.1", port=self.port, user="root")) as connection:
            cursor = connection.cursor()
            cursor.execute(sql)
            return cursor.fetchall()


class Redis(Service):
    account, programs = "redis", ("redis-server",)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> tuple[str, ...]:
        listen = ("--port", str(self.port), "--bind", "127.0.0.1")
        return ("redis-server", *listen, "--save", "", "--dir", str(self.folder))

    def ping(self) -> None:
        with redis.Redis(port=self.port) as client:
            client.ping()


class SmallDisk:
    """A SQLite database on a disk of a few megabytes, which can be filled."""

    SIZE = "8m"

    def __enter__(self) -> Self:
        if os.getuid() != 0:
            pytest.skip("needs root, to mount a small disk")
        self.folder = Path(tempfile.mkdtemp(prefix="disk-"))
        options = ("-t", "tmpfs", "-o", f"size={self.SIZE}", "tmpfs")
        mounted = subprocess.run(["mount", *options, self.folder], capture_output=True, text=True)
        if mounted.returncode:
            self.folder.rmdir()
            pytest.skip(f"needs leave to mount a small disk: {mounted.stderr}")
        return self

    def __exit__(self, *_: Any) -> None:
        subprocess.run(["umount", "--lazy", self.folder], check=True)
        self.folder.rmdir()

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder}/db.sqlite3"

    def fill(self) -> None:
        """To the last byte."""
        try:
            with (self.folder / "filler").open("ab", buffering=0) as filler:
                while True:
                    filler.write(bytes(4096))
        except OSError:
            pass

    def free(self) -> None:
        (self.folder / "filler").unlink()


def program(name: str) -> str:
    """Its path; the test is skipped where it is not installed."""
    path = os.pathsep.join([os.environ["PATH"], *map(str, FOLDERS)])
    if found := shutil.which(name, path=path):
        return found
    pytest.skip(f"needs {name}")
