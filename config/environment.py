"""Settings from the environment, typed. A bad value stops the start with a sentence that names it.

Checked here and not by system checks alone: an ASGI server runs no checks.
"""

import os
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

YES = {"1", "true", "yes", "on"}
NO = {"", "0", "false", "no", "off"}

# As browsers send it: lower case, no path, no slash at the end.
ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:\d+)?")

# One writer at a time is SQLite's nature: wait for the turn (20 s) instead of failing at once, take
# the write lock at BEGIN (a reader that turns writer cannot wait, it fails), let readers read
# meanwhile (WAL), and sync at checkpoints: a power cut may cost the last commits, never the file.
SQLITE_OPTIONS = {
    "timeout": 20,
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}

SHORTEST_SECRET = 16  # characters: nobody guesses as many at random
CONNECT = 5  # s until a database server that does not answer counts as gone

# READ COMMITTED on both, whatever the server's default: what is read after a lock was waited for
# must be what its holder left.
POSTGRESQL_OPTIONS = {
    "connect_timeout": CONNECT,
    "isolation_level": 2,  # psycopg.IsolationLevel.READ_COMMITTED
    # A server that vanished without a word, in a failover, is given up after some 25 s.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}

MARIADB_OPTIONS = {
    "connect_timeout": CONNECT,
    "isolation_level": "read committed",
    "charset": "utf8mb4",  # all of Unicode; "utf8" is three quarters of it
    "sql_mode": "TRADITIONAL",  # refuse what does not fit, do not cut it
}


def text(name: str) -> str:
    return os.environ.get(name, "").strip()


def flag(name: str) -> bool:
    value = text(name).lower()
    if value not in YES | NO:
        raise ImproperlyConfigured(f"{name}={value!r} is neither yes nor no: use 1 or 0.")
    return value in YES


def one_of(name: str, *choices: str) -> str:
    """The first is the default."""
    value = text(name) or choices[0]
    if value not in choices:
        raise ImproperlyConfigured(f"{name}={value!r} is not known: use {' or '.join(choices)}.")
    return value


def seconds(name: str) -> float:
    """0 when it is not set."""
    if not re.fullmatch(r"\d*|\d+\.\d+", text(name), re.ASCII):
        raise ImproperlyConfigured(
            f"{name}={text(name)!r} is not a number of seconds: write {name}=60"
        )
    return float(text(name) or 0)


def whole(name: str, default: int) -> int:
    if not re.fullmatch(r"\d{0,9}", text(name), re.ASCII):
        raise ImproperlyConfigured(
            f"{name}={text(name)!r} is not a whole number: write {name}={default}"
        )
    return int(text(name) or default)


def items(name: str) -> list[str]:
    return [item.strip() for item in text(name).split(",") if item.strip()]


def numbers(name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    """As many whole numbers as `default` has."""
    found = items(name)
    if found and (len(found) != len(default) or not all(map(str.isdecimal, found))):
        example = ",".join(map(str, default))
        raise ImproperlyConfigured(
            f"{name}={text(name)!r} is not {len(default)} whole numbers: write {name}={example}"
        )
    return tuple(map(int, found)) or default


def hosts(name: str) -> list[str]:
    for host in (found := items(name)):
        if "/" in host:
            raise ImproperlyConfigured(
                f"{name}: {host!r} is not a host name. Leave out the scheme and the path: "
                "messages.example.com"
            )
    return found


def networks(name: str) -> list[str]:
    for network in (found := items(name)):
        try:
            ip_network(network)
        except ValueError as error:
            raise ImproperlyConfigured(
                f"{name}: {error}. Write addresses or networks: 10.0.0.0/8, 192.0.2.7"
            ) from None
    return found


def secret(name: str) -> str:
    """One that is too short to keep anybody out is refused; its value is not shown."""
    value = text(name)
    if value and len(value) < SHORTEST_SECRET:
        raise ImproperlyConfigured(
            f"{name} is shorter than {SHORTEST_SECRET} characters. Make one with "
            "`openssl rand -hex 32`."
        )
    return value


def origins(name: str) -> list[str]:
    """Exact origins. With cookies allowed, a pattern would hand them to whoever fits it."""
    for origin in (found := items(name)):
        if not ORIGIN.fullmatch(origin):
            raise ImproperlyConfigured(
                f"{name}: {origin!r} is not an exact origin. Write scheme and host, and the port "
                "if it is unusual, without a path or a wildcard: https://www.example.com"
            )
    return found


def sqlite(file: Path) -> str:
    return f"sqlite:///{quote(str(file))}"


def database(name: str, default: Path) -> dict[str, Any]:
    """DATABASE_URL as Django wants it; without one, the SQLite file `default`."""
    try:
        # 0: under ASGI a kept connection belongs to a thread that may never come back for it.
        parsed = dj_database_url.parse(text(name) or sqlite(default), conn_max_age=0)
    except ValueError as error:
        # Without the value: it may hold a password, and this line ends in a log.
        raise ImproperlyConfigured(f"{name}: {error}") from None
    config: dict[str, Any] = {**parsed}
    if config["ENGINE"] == "django.db.backends.sqlite3":
        if config["NAME"] == ":memory:":
            raise ImproperlyConfigured(
                f"{name}: an SQLite database in memory is seen by one connection only. "
                "Name a file: sqlite:///db.sqlite3"
            )
        config["OPTIONS"] = SQLITE_OPTIONS | config.get("OPTIONS", {})
        # Tests too run on a file: in memory, connections share a cache, and IMMEDIATE fails with
        # "table is locked".
        config["TEST"] = {"NAME": f"{config['NAME']}.test"}
    elif config["ENGINE"] == "django.db.backends.postgresql":
        config["OPTIONS"] = POSTGRESQL_OPTIONS | config.get("OPTIONS", {})
    elif config["ENGINE"] == "django.db.backends.mysql":
        config["OPTIONS"] = MARIADB_OPTIONS | config.get("OPTIONS", {})
        config["TEST"] = {"CHARSET": MARIADB_OPTIONS["charset"]}
    return config
