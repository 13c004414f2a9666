"""The site that is measured: a database of its own, in a temporary folder or an empty one that is
given, and people in it who are logged in. As in production: without DEBUG.
"""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
PAST = 100  # messages to everyone that are there already: counts that have something to count
START_PATIENCE = 20.0  # s for a server to answer its first request
STOP_PATIENCE = 30.0  # s for it to end before it is killed


@contextmanager
def database(url: str = "") -> Iterator[str]:
    """A migrated database, known to this process and to those that it starts: the empty one of
    `url`, or one of SQLite. Yields the path that its files begin with, "" for a server's."""
    with TemporaryDirectory(prefix="bench-") as folder:
        file = "" if url else str(Path(folder) / "db.sqlite3")
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DATABASE_URL": url or f"sqlite:///{file}",
            "SECRET_KEY": "for a database that lives for minutes",
            "ALLOWED_HOSTS": HOST,
            "NOTIFICATIONS_DOORBELL": "",
            "DEBUG": "0",  # DEBUG keeps every query in memory
            "TRUST_X_FORWARDED_PROTO": "1",  # the readers say that they came over https
        }
        import django
        from django.core.management import call_command

        django.setup()
        from django.db import connection

        if connection.introspection.table_names():
            raise SystemExit("The database is not empty. It would be filled with rubbish.")
        call_command("migrate", verbosity=0)
        yield file


def log_in(count: int) -> list[str]:
    """Make `count` people with an inbox each; the keys of their sessions."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.auth.models import User
    from django.contrib.sessions.backends.db import SessionStore
    from django.contrib.sessions.models import Session
    from django.db import connections
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
    connections.close_all()  # what is counted later is not ours
    return [session.session_key for session in sessions]


def raise_file_limit() -> None:
    """As many open files as this process may have, and with it those that it starts."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
