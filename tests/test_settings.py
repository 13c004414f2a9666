"""Settings come from the environment: good ones are safe, bad ones say what to do."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PRODUCTION = {
    "SECRET_KEY": "a-key-for-this-test-alone-long-and-varied-enough-0123456789",
    "ALLOWED_HOSTS": "messages.example.com",
}
SETTINGS_OF_THE_PROJECT = {
    "DEBUG",
    "SECRET_KEY",
    "ALLOWED_HOSTS",
    "CORS_ALLOWED_ORIGINS",
    "CSRF_TRUSTED_ORIGINS",
    "DATABASE_URL",
    "NOTIFICATIONS_DOORBELL",
    "TRUST_X_FORWARDED_PROTO",
}


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A new process with these settings and no others."""
    inherited = {k: v for k, v in os.environ.items() if k not in SETTINGS_OF_THE_PROJECT}
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=inherited | environment,
        capture_output=True,
        text=True,
    )


def settings_with(*names: str, **environment: str) -> dict[str, Any]:
    """The values of these settings, as a process with this environment has them."""
    code = (
        "import json, sys; from config import settings;"
        "print(json.dumps({n: getattr(settings, n, None) for n in sys.argv[1:]}, default=str))"
    )
    process = run("-c", code, *names, **environment)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def complaint(**environment: str) -> str:
    """The last line of what a start with a bad environment says."""
    process = run("-c", "from config import settings", **environment)
    assert process.returncode != 0
    return process.stderr.partition("ImproperlyConfigured: ")[2]


def test_a_doorbell_that_cannot_be_stops_the_server_at_its_start():
    process = run("-c", "import config.asgi", DEBUG="1", NOTIFICATIONS_DOORBELL="pigeon://loft")
    assert process.returncode != 0
    assert "NOTIFICATIONS_DOORBELL='pigeon://loft' is not known" in process.stderr


def test_production_settings_leave_nothing_to_warn_of():
    process = run("manage.py", "check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)
    assert process.returncode == 0, process.stderr
    assert "no issues" in process.stdout


def test_production_is_what_you_get_when_nothing_is_said():
    found = settings_with("DEBUG", "SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", **PRODUCTION)
    assert found == {"DEBUG": False, "SECURE_SSL_REDIRECT": True, "SESSION_COOKIE_SECURE": True}


def test_debug_works_over_plain_http_on_this_machine():
    names = "SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", "SECURE_HSTS_SECONDS", "ALLOWED_HOSTS"
    assert settings_with(*names, DEBUG="1") == {
        "SECURE_SSL_REDIRECT": None,
        "SESSION_COOKIE_SECURE": None,
        "SECURE_HSTS_SECONDS": None,
        "ALLOWED_HOSTS": ["localhost", "127.0.0.1", "[::1]"],
    }


def test_a_missing_secret_key_says_how_to_make_one():
    said = complaint()
    assert "SECRET_KEY is not set" in said
    assert "secrets.token_urlsafe" in said


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("DEBUG", "maybe", "use 1 or 0"),
        ("TRUST_X_FORWARDED_PROTO", "https", "use 1 or 0"),
        ("ALLOWED_HOSTS", "https://messages.example.com", "not a host name"),
        ("CORS_ALLOWED_ORIGINS", "*", "not an exact origin"),
        ("CORS_ALLOWED_ORIGINS", "https://*.example.com", "not an exact origin"),
        ("CORS_ALLOWED_ORIGINS", "www.example.com", "not an exact origin"),
        ("CSRF_TRUSTED_ORIGINS", "https://www.example.com/", "not an exact origin"),
        ("DATABASE_URL", "db.sqlite3", "unknown"),
        ("DATABASE_URL", "postgres://alice:hush@[host/db", "not a valid url"),
        ("DATABASE_URL", "sqlite://", "Name a file"),
        ("GC_THRESHOLDS", "often", "write GC_THRESHOLDS=10000,20,50"),
        ("LOG_FORMAT", "xml", "use line or json"),
        ("METRICS_TOKEN", "hush", "openssl rand"),
        ("METRICS_NETWORKS", "10.0.0.1/8", "Write addresses or networks"),
        ("CANARY_SECONDS", "often", "write CANARY_SECONDS=60"),
        ("GC_THRESHOLDS", "700,10", "is not 3 whole numbers"),
    ],
)
def test_a_bad_value_is_named_with_what_to_write_instead(name, value, advice):
    said = complaint(**PRODUCTION | {name: value})
    assert said.startswith(name)
    assert advice in said
    assert "hush" not in said  # a password must not end in a log


def test_lists_are_separated_by_commas_and_spaces_do_not_matter():
    names = "ALLOWED_HOSTS", "CORS_ALLOWED_ORIGINS"
    said = {
        "ALLOWED_HOSTS": "a.example.com, b.example.com,",
        "CORS_ALLOWED_ORIGINS": "https://www.example.com, http://localhost:3000, http://[::1]:3000",
    }
    assert settings_with(*names, **PRODUCTION | said) == {
        "ALLOWED_HOSTS": ["a.example.com", "b.example.com"],
        "CORS_ALLOWED_ORIGINS": [
            "https://www.example.com",
            "http://localhost:3000",
            "http://[::1]:3000",
        ],
    }


def test_no_connection_is_kept_and_sqlite_takes_turns():
    found = settings_with("DATABASES", **PRODUCTION, DATABASE_URL="sqlite:///x.sqlite3?timeout=5")
    database = found["DATABASES"]["default"]
    assert database["CONN_MAX_AGE"] == 0
    assert not database.get("ATOMIC_REQUESTS")
    assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert database["OPTIONS"]["timeout"] == 5  # what the URL says wins
    assert database["TEST"]["NAME"] == "x.sqlite3.test"


@pytest.mark.parametrize(
    ("url", "read_committed"), [("postgres://a@b/c", 2), ("mysql://a@b/c", "read committed")]
)
def test_a_database_server_is_asked_for_what_was_committed_and_given_up_in_time(
    url, read_committed
):
    found = settings_with("DATABASES", **PRODUCTION, DATABASE_URL=f"{url}?connect_timeout=3")
    database = found["DATABASES"]["default"]
    assert database["CONN_MAX_AGE"] == 0
    assert database["OPTIONS"]["isolation_level"] == read_committed
    assert database["OPTIONS"]["connect_timeout"] == 3  # what the URL says wins
