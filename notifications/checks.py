"""What a project's settings can get wrong, said before a reader meets it.

Errors break a promise or open a door to strangers; warnings cost speed or robustness.
"""

import re
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections
from django.utils.module_loading import import_string

from . import doorbell

Found = Iterator[CheckMessage]

TAG = "notifications"  # `manage.py check --tag notifications`

NEEDED = {
    "django.contrib.sessions.middleware.SessionMiddleware": "nobody can log in",
    "django.contrib.auth.middleware.AuthenticationMiddleware": "nobody can log in",
    "django.middleware.csrf.CsrfViewMiddleware": "other sites can post in a reader's name",
}
GZIP = "django.middleware.gzip.GZipMiddleware"
STRANGERS = "https://stranger.invalid", "http://stranger.invalid:8000", "null"


@register(TAG)
def check_server(**_: Any) -> Found:
    if getattr(settings, "WSGI_APPLICATION", None):
        problem = "WSGI_APPLICATION is set, but under WSGI every stream is refused (501)."
        hint = "Remove it and wsgi.py: what is not there cannot be deployed by mistake."
    elif not getattr(settings, "ASGI_APPLICATION", None):
        problem = "ASGI_APPLICATION is not set, so `runserver` may serve without streams."
        hint = 'Set it, for example to "config.asgi.application", and install an ASGI server.'
    else:
        return
    yield Warning(problem, hint=hint, id="notifications.W001")


@register(TAG)
def check_requests_and_connections(**_: Any) -> Found:
    for alias, database in connections.settings.items():
        if database.get("ATOMIC_REQUESTS"):
            yield Error(
                f"ATOMIC_REQUESTS of the database {alias!r} is on: Django refuses it for async "
                "views, so the stream answers 500.",
                hint="Turn it off, and use transaction.atomic() where you need it.",
                id="notifications.E001",
            )
        if database.get("CONN_MAX_AGE", 0) != 0:
            yield Warning(
                f"CONN_MAX_AGE of the database {alias!r} is not 0: under ASGI, connections are "
                "kept by threads that do not come back for them.",
                hint="Set it to 0; a pool outside, such as PgBouncer, saves what it would save.",
                id="notifications.W002",
            )


# By OPTIONS, without asking the file: an ordinary `check` opens no database, and at the first
# `migrate` there is no file yet. They hold for every connection, whoever made the file.
@register(TAG)
def check_sqlite(**_: Any) -> Found:
    database = connections.settings[DEFAULT_DB_ALIAS]
    if database["ENGINE"] != "django.db.backends.sqlite3":
        return
    options = database.get("OPTIONS", {})
    if str(options.get("transaction_mode")).upper() != "IMMEDIATE":
        yield Warning(
            "SQLite takes its write lock late: a reader that turns writer fails at once with "
            '"database is locked", instead of waiting for its turn.',
            hint='Set OPTIONS["transaction_mode"] to "IMMEDIATE".',
            id="notifications.W004",
        )
    if not re.search(r"journal_mode\s*=\s*'?wal\b", options.get("init_command") or "", re.I):
        yield Warning(
            "SQLite is not in WAL mode: readers wait while somebody writes.",
            hint='Put "PRAGMA journal_mode=WAL;" into OPTIONS["init_command"].',
            id="notifications.W005",
        )


@register(TAG)
def check_middleware(**_: Any) -> Found:
    for name, consequence in NEEDED.items():
        if not _has(name):
            yield Error(
                f"{name.rpartition('.')[2]} is missing: {consequence}.",
                hint=f"Add {name!r} to MIDDLEWARE.",
                id="notifications.E002",
            )
    if _has(GZIP):
        yield Info(
            "GZipMiddleware is on. Streams are exempt: they say Content-Encoding: identity, which "
            "it respects. Another compressing middleware may not, and would hold events back.",
            hint="Let the proxy compress; then nothing here has to.",
            id="notifications.I001",
        )


def _has(name: str) -> bool:
    """Whether this middleware or a subclass of it is installed."""
    wanted = import_string(name)
    found = (import_string(path) for path in settings.MIDDLEWARE)
    return any(isinstance(one, type) and issubclass(one, wanted) for one in found)


@register(TAG, Tags.security)
def check_sessions(**_: Any) -> Found:
    if settings.SESSION_SAVE_EVERY_REQUEST:
        yield Warning(
            "SESSION_SAVE_EVERY_REQUEST is on: a forgotten tab that reconnects by itself stays "
            "signed in for ever.",
            hint="Turn it off, or set an expiry that nothing extends.",
            id="notifications.W003",
        )


@register(TAG, Tags.security)
def check_origins(**_: Any) -> Found:
    if not apps.is_installed("corsheaders"):
        return
    from corsheaders.conf import conf  # optional: a site without foreign origins does without

    def is_let_in(origin: str) -> bool:
        patterns = conf.CORS_ALLOWED_ORIGIN_REGEXES
        known = conf.CORS_ALLOW_ALL_ORIGINS or origin in conf.CORS_ALLOWED_ORIGINS
        return known or any(re.match(pattern, origin) for pattern in patterns)

    if conf.CORS_ALLOW_CREDENTIALS and any(map(is_let_in, STRANGERS)):
        yield Error(
            "CORS lets pages of every origin read messages with the reader's cookies.",
            hint="List exact origins in CORS_ALLOWED_ORIGINS; no allow-all, no pattern that fits "
            'everything, not "null" (any page can have that origin).',
            id="notifications.E003",
        )


@register(TAG)
def check_doorbell(**_: Any) -> Found:
    try:
        doorbell.current()
    except ImproperlyConfigured as problem:
        yield Error(str(problem), id="notifications.E004")
