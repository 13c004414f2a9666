"""What only the project does: from a commit in another process to the byte at a reader, what open
streams cost while nothing happens, and how they end.

    python -m benchmarks.ours                              # on SQLite
    python -m benchmarks.ours --database postgres://...    # an empty one, which will be filled

The server has one core, the reader and the sender another, a database server whichever is free.
"""

import argparse
import os
import random
import statistics
import time
from contextlib import closing

from . import place
from .broadcast import SETTLING, WARM, quiet
from .readers import Readers
from .saying import sender, title
from .servers import CONTENDERS, LOAD_CORE, Contender, Server
from .tables import Figures, table

INTERVAL = 0.1  # s between sends, on average
FEW = 20  # streams
COUNTED = 11.0  # s until PostgreSQL has counted what a connection did that is idle now (its own 10)


def latency(contender: Contender, session: str, sends: int) -> Figures:
    """From the commit to the byte at one reader, at random intervals: no phase of anybody's
    polling is favoured."""
    delays = []
    with Server(contender) as server, Readers(server.port) as readers:
        readers.open([session], contender.opened)
        time.sleep(SETTLING)
        with sender(contender, readers) as says, quiet():
            for number in range(WARM + sends):
                time.sleep(INTERVAL * random.uniform(0.3, 1.7))
                says.send(number)
                ((arrived, _),) = readers.receive(f'"{title(number)}"'.encode(), 1)
                delays.append((arrived - says.clock(number)) * 1000)
    percent = statistics.quantiles(delays[WARM:], n=100)
    return {"commit to byte: p50, ms": [percent[49]], "p99, ms": [percent[98]]}


def idle(contender: Contender, sessions: list[str], seconds: float) -> Figures:
    """A server whose streams are quiet, pings and all; first few of them, then many."""
    found: Figures = {}
    with Server(contender) as server, Readers(server.port) as readers:
        for some in (sessions[:FEW], sessions[FEW:]):
            readers.open(some, contender.opened)
            time.sleep(COUNTED)
            cpu, asked = server.cpu, transactions()
            time.sleep(seconds)
            used, asked = server.cpu - cpu, transactions() - asked
            at = f"idle at {len(readers):,}"
            found[f"{at}: CPU, % of a core"] = [used / seconds * 100]
            found["threads"] = [server.threads]
            if asked:
                found[f"{at}: queries a second"] = [asked / seconds]
                found[f"{at}: database connections"] = [connections()]
    return found


def ending(contender: Contender, sessions: list[str]) -> Figures:
    """SIGTERM while all streams are open."""
    with Server(contender) as server, Readers(server.port) as readers:
        readers.open(sessions, contender.opened)
        time.sleep(SETTLING)
        seconds, code = server.stop()
        said = readers.receive(b"event: bye", len(sessions))
    at = f"SIGTERM at {len(sessions):,}"
    told = sum(count for _, count in said) / len(sessions) * 100
    return {f"{at}: s": [seconds], "exit code": [code], "had `bye`, %": [told]}


def transactions() -> int:
    """Of the database so far, without those of this question; 0 on SQLite, which does not count.
    Queries outside of a transaction, as almost all are, count one each."""
    return ask("sum(xact_commit + xact_rollback) FROM pg_stat_database")


def connections() -> int:
    return ask("count(*) - 1 FROM pg_stat_activity")  # but for the one that asks


def ask(question: str) -> int:
    from django.db import connection

    if connection.vendor != "postgresql":
        return 0
    with closing(connection), connection.cursor() as cursor:
        cursor.execute(f"SELECT {question} WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    options.add_argument("--database", default="", help="empty, and it will be filled")
    options.add_argument("--streams", type=int, default=2_000, help="that are idle")
    options.add_argument("--ending", type=int, default=1_000, help="streams that SIGTERM ends")
    options.add_argument("--sends", type=int, default=300)
    options.add_argument("--seconds", type=float, default=30.0)
    chosen = options.parse_args()
    os.sched_setaffinity(0, {LOAD_CORE})
    place.raise_file_limit()
    rows: dict[str, Figures] = {}
    with place.database(chosen.database):
        from django.db import connection

        sessions = place.log_in(max(chosen.streams, chosen.ending))
        for name, contender in CONTENDERS.items():
            if contender.ours:
                rows[name] = (
                    latency(contender, sessions[0], chosen.sends)
                    | idle(contender, sessions[: chosen.streams], chosen.seconds)
                    | ending(contender, sessions[: chosen.ending])
                )
        print(table(rows, connection.vendor))


if __name__ == "__main__":
    main()
