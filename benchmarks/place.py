"""The site that is measured: a database of its own in a temporary folder, people in it who are
logged in, and a server started as a process of its own. As in production: without DEBUG.
"""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
PAST = 100  # messages to everyone that are there already: counts that have something to count
START_PATIENCE = 20.0  # s for a server to answer its first request
STOP_PATIENCE = 30.0  # s for it to end before it is killed

SERVERS = {
    "daphne": ["daphne", "--verbosity", "0", "--bind", HOST, "--port"],
    "uvicorn": ["uvicorn", "--log-level", "warning", "--host", HOST, "--port"],
}


@contextmanager
def database() -> Iterator[Path]:
    """An empty, migrated database, known to this process and to those that it starts."""
    with TemporaryDirectory(prefix="bench-") as folder:
        file = Path(folder) / "db.sqlite3"
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DATABASE_URL": f"sqlite:///{file}",
            "SECRET_KEY": "for a database that lives for minutes",
            "ALLOWED_HOSTS": HOST,
            "NOTIFICATIONS_DOORBELL": "",
            "DEBUG": "0",  # DEBUG keeps every query in memory
            "TRUST_X_FORWARDED_PROTO": "1",  # the readers say that they came over https
        }
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        yield file


def log_in(count: int) -> list[str]:
    """Make `count` people with an inbox each; the keys of their sessions."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.auth.models import User
    from django.contrib.sessions.backends.db import SessionStore
    from django.contrib.sessions.models import Session
    from django.utils import timezone

    from notifications import EVERYONE, send
    from notifications.models import Inbox

    people = [User(username=f"reader-{n}", password="!") for n in range(count)]  # noqa: S106
    User.objects.bulk_create(people, batch_size=500)
    for n in range(PAST):
        send(f"Message {n} from before", to=EVERYONE, body="Some **text**.")
    for start in range(0, count, 500):
        Inbox.objects.ensure([user.pk for user in people[start : start + 500]])
    backend, store = "django.contrib.auth.backends.ModelBackend", SessionStore()
    sessions = [
        Session(
            session_key=f"benchmark{user.pk:023}",
            session_data=store.encode({
                SESSION_KEY: str(user.pk),
                BACKEND_SESSION_KEY: backend,
                HASH_SESSION_KEY: user.get_session_auth_hash(),
            }),
            expire_date=timezone.now() + timedelta(days=1),
        )
        for user in people
    ]  # fmt: skip
    Session.objects.bulk_create(sessions, batch_size=500)
    return [session.session_key for session in sessions]


def raise_file_limit() -> None:
    """As many open files as this process may have, and with it those that it starts."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Server:
    """A server process, seen from outside. `with Server(...)` starts and ends it."""

    def __init__(self, kind: str, application: str, database: Path, port: int) -> None:
        self.port, self.database = port, database
        self._complaints = database.with_name("server.log")
        with self._complaints.open("wb") as complaints:
            self.process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", *SERVERS[kind], str(port), application],
                cwd=ROOT,
                stdout=complaints,
                stderr=complaints,
            )
        self._seen = psutil.Process(self.process.pid)

    def __enter__(self) -> "Server":
        give_up = time.monotonic() + START_PATIENCE
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > give_up:
                self.process.kill()
                raise SystemExit(f"The server did not start:\n{self._complaints.read_text()}")
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()

    def _answers(self) -> bool:
        connection = HTTPConnection(HOST, self.port, timeout=START_PATIENCE)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def stop(self) -> tuple[float, int]:
        """Send it SIGTERM; the seconds until it has ended, and its exit code."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        return time.monotonic() - begun, code

    @property
    def cpu(self) -> float:
        """Seconds of processor time that it has used so far."""
        times = self._seen.cpu_times()
        return times.user + times.system

    @property
    def memory(self) -> int:
        """Bytes resident."""
        return self._seen.memory_info().rss

    @property
    def threads(self) -> int:
        return self._seen.num_threads()

    @property
    def database_files(self) -> int:
        """Open files of the database: SQLite keeps up to three a connection (file, WAL, index)."""
        name = str(self.database)
        return sum(file.path.startswith(name) for file in self._seen.open_files())
