"""`manage.py check` names what a project's settings get wrong."""

import re

import pytest
from django.core.checks import run_checks
from django.db import connections
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.gzip import GZipMiddleware

from tests.commands import shell

WAL = "pragma synchronous=normal; pragma journal_mode = 'wal'"
MIDDLEWARE = {
    "SessionMiddleware": "django.contrib.sessions.middleware.SessionMiddleware",
    "AuthenticationMiddleware": "django.contrib.auth.middleware.AuthenticationMiddleware",
    "CsrfViewMiddleware": "django.middleware.csrf.CsrfViewMiddleware",
}


class OwnGZip(GZipMiddleware):
    pass


class OwnCsrf(CsrfViewMiddleware):
    pass


@pytest.fixture
def database(monkeypatch):
    """Changes what the default database's settings say; nothing is opened with them."""

    def change(**options):
        for name, value in options.items():
            monkeypatch.setitem(connections.settings["default"], name, value)

    return change


def found():
    """The ids of what our own checks find."""
    messages = run_checks(tags=["notifications"])
    assert all(message.hint or message.id == "notifications.E004" for message in messages)
    return [message.id.removeprefix("notifications.") for message in messages]


@pytest.mark.django_db
def test_the_project_itself_is_clean():
    messages = run_checks(databases=["default"])  # as `migrate` does
    assert [message for message in messages if not message.is_silenced()] == []


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("WSGI_APPLICATION", "config.wsgi.application", "W001"),
        ("ASGI_APPLICATION", None, "W001"),
        ("SESSION_SAVE_EVERY_REQUEST", True, "W003"),
        ("CORS_ALLOW_ALL_ORIGINS", True, "E003"),
        ("CORS_ALLOWED_ORIGIN_REGEXES", [".*"], "E003"),
        ("CORS_ALLOWED_ORIGIN_REGEXES", [r"^https://ours\.example$", re.compile("http")], "E003"),
        ("CORS_ALLOWED_ORIGINS", ["https://ours.example", "null"], "E003"),
        ("NOTIFICATIONS_DOORBELL", "carrier-pigeon://loft", "E004"),
    ],
)
def test_a_bad_setting_is_found(settings, name, value, expected):
    setattr(settings, name, value)
    assert found() == [expected]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CORS_ALLOWED_ORIGIN_REGEXES", [r"^https://\w+\.ours\.example$"]),
        ("CORS_ALLOWED_ORIGINS", ["https://ours.example"]),
        ("NOTIFICATIONS_DOORBELL", "polling"),
    ],
)
def test_a_good_setting_is_let_be(settings, name, value):
    setattr(settings, name, value)
    assert found() == []


def test_strangers_without_cookies_read_nothing_so_they_may_come(settings):
    settings.CORS_ALLOW_ALL_ORIGINS, settings.CORS_ALLOW_CREDENTIALS = True, False
    assert found() == []


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("ATOMIC_REQUESTS", True, ["E001"]),
        ("CONN_MAX_AGE", 60, ["W002"]),
        ("CONN_MAX_AGE", None, ["W002"]),
    ],
)
def test_a_bad_database_setting_is_found(database, name, value, expected):
    database(**{name: value})
    assert found() == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"init_command": "PRAGMA journal_mode=WAL;"}, ["W004"]),
        ({"transaction_mode": "DEFERRED", "init_command": None}, ["W004", "W005"]),
        ({"transaction_mode": "IMMEDIATE"}, ["W005"]),
        ({"transaction_mode": "immediate", "init_command": WAL}, []),
    ],
)
def test_sqlite_that_does_not_take_turns_is_found(database, options, expected):
    database(ENGINE="django.db.backends.sqlite3", OPTIONS=options)
    assert found() == expected
    database(ENGINE="django.db.backends.postgresql")
    assert found() == []


@pytest.mark.parametrize("name", MIDDLEWARE)
def test_missing_middleware_is_named(settings, name):
    settings.MIDDLEWARE = [path for path in settings.MIDDLEWARE if path != MIDDLEWARE[name]]
    (message,) = run_checks(tags=["notifications"])
    assert message.id == "notifications.E002"
    assert message.msg.startswith(f"{name} is missing")


@pytest.mark.parametrize(
    "path", ["django.middleware.gzip.GZipMiddleware", "tests.test_checks.OwnGZip"]
)
def test_gzip_is_mentioned_not_forbidden(settings, path):
    settings.MIDDLEWARE = [path, *settings.MIDDLEWARE]
    (message,) = run_checks(tags=["notifications"])
    assert message.id == "notifications.I001"
    assert not message.is_serious()


def test_a_subclass_is_as_good_as_the_middleware_itself(settings):
    ours = {MIDDLEWARE["CsrfViewMiddleware"]: "tests.test_checks.OwnCsrf"}
    settings.MIDDLEWARE = [ours.get(path, path) for path in settings.MIDDLEWARE]
    assert found() == []


@pytest.mark.django_db(transaction=True)
def test_an_error_stops_a_command_before_it_does_anything(monkeypatch):
    monkeypatch.setenv("NOTIFICATIONS_DOORBELL", "carrier-pigeon://loft")
    refused = shell("publish_due")
    assert refused.returncode == 1
    assert "notifications.E004" in refused.stderr
    assert "'carrier-pigeon://loft' is not known" in refused.stderr
