"""The whole suite on each database and with each doorbell that connects processes.

`make everywhere`. The servers are its own, on free ports, with their data in temporary folders: it
needs PostgreSQL, MariaDB and Redis installed, and touches none that runs.
"""

import os
import subprocess
import sys

from tests.services import MariaDB, PostgreSQL, Redis

OURS = ("DATABASE_URL", "NOTIFICATIONS_DOORBELL")
# On servers fewer of the model's random histories, which take minutes there: SQLite has tried many,
# and what differs between databases is in the first of them.
SERVER = {"MODEL_EXAMPLES": "12"}


def main(*options: str) -> int:
    """Run pytest with these options in each place; 0 if all is well in all of them."""
    with PostgreSQL() as postgresql, MariaDB() as mariadb, Redis() as redis:
        places = {
            "SQLite, by glances at its file": {},
            "PostgreSQL, by NOTIFY": SERVER | {"DATABASE_URL": postgresql.url},
            "MariaDB, by Redis": SERVER
            | {"DATABASE_URL": mariadb.url, "NOTIFICATIONS_DOORBELL": redis.url},
        }
        codes = {place: suite(place, options, env) for place, env in places.items()}
    print()
    for place, code in codes.items():
        print(f"{place}: {f'FAILED (pytest: {code})' if code else 'passed'}")
    return int(any(codes.values()))


def suite(place: str, options: tuple[str, ...], env: dict[str, str]) -> int:
    print(f"\n{place}", flush=True)
    inherited = {name: value for name, value in os.environ.items() if name not in OURS}
    command = [sys.executable, "-m", "pytest", *options]
    return subprocess.run(command, env=inherited | env).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
