"""All readers of a broadcast mark it read at once, from several processes, while others send.

    python -m benchmarks.acts [--database URL] [--readers 10000] [--processes 2]

The database must be empty, and is filled; without one it is SQLite in a temporary folder. Prints a
Markdown table. No server and no HTTP: what is asked is how much an act costs, and whether the
database makes readers wait for each other. First of readers who have an inbox, as whoever was ever
shown a list or a count has; then of as many for whom the act itself has to make it.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from . import place, tables

PATIENCE = 1.0  # s in which all processes have started
SEND_PAUSE = 0.1  # s between sends meanwhile


def timed(work: Callable[..., Any], *args: Any) -> float:
    """How long it takes, in ms."""
    begun = time.perf_counter()
    work(*args)
    return (time.perf_counter() - begun) * 1000


def set_up() -> None:
    import django

    django.setup()


def read(user_ids: list[int], message_id: int, begin: float) -> list[float]:
    """In a process of its own: each of these users reads the message. ms for each."""
    from django.contrib.auth.models import User

    from notifications import acts

    users = [User(pk=pk) for pk in user_ids]
    time.sleep(max(0.0, begin - time.time()))
    return [timed(acts.read, user, message_id) for user in users]


def send_while(others: "list[Future[list[float]]]") -> list[float]:
    """Send to everyone every now and then until the others are done. ms for each."""
    from notifications import EVERYONE, send

    taken = []
    while not all(other.done() for other in others):
        taken.append(timed(lambda: send("Meanwhile", to=EVERYONE)))
        time.sleep(SEND_PAUSE)
    return taken


def people(name: str, count: int) -> list[int]:
    """Make so many accounts; their primary keys."""
    from django.contrib.auth.models import User

    users = [User(username=f"{name}-{n}", password="!") for n in range(count)]  # noqa: S106
    User.objects.bulk_create(users, batch_size=500)
    return list(User.objects.filter(username__startswith=name).values_list("pk", flat=True))


def measure(pks: list[int], processes: int) -> tables.Figures:
    """All of them read one broadcast."""
    from notifications import EVERYONE, send
    from notifications.models import Recipient

    message = send("To be read by all", to=EVERYONE)
    begin = time.time() + PATIENCE
    with ProcessPoolExecutor(processes, get_context("spawn"), set_up) as pool:
        parts = [pks[n::processes] for n in range(processes)]
        work = [pool.submit(read, part, message.pk, begin) for part in parts]
        time.sleep(max(0.0, begin - time.time()))
        sends = send_while(work)
        seconds = time.time() - begin
        taken = [each for one in work for each in one.result()]
    marked = Recipient.objects.filter(message=message, read_at__isnull=False).count()
    assert marked == len(pks), f"{marked} of {len(pks)} have it read"
    return {
        "all have it read, s": [seconds],
        "acts a second": [len(pks) / seconds],
        **spread("an act", taken),
        **spread("a send meanwhile", sends),
    }


def spread(what: str, values: list[float]) -> tables.Figures:
    percent = statistics.quantiles(values, n=100)
    return {
        f"{what}: p50, ms": [percent[49]],
        f"{what}: p99": [percent[98]],
        f"{what}: longest": [max(values)],
    }


def both(readers: int, processes: int) -> str:
    from django.db import connection

    from notifications.models import Inbox

    old = people("reader", readers)
    for start in range(0, readers, 500):
        Inbox.objects.ensure(old[start : start + 500])
    rows = {f"{readers:,} readers": measure(old, processes)}
    new = people("newcomer", readers)
    rows[f"{readers:,} whose inbox it makes"] = measure(new, processes)
    return tables.table(rows, f"{connection.vendor}, {processes} processes")


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--database", default="", help="URL of an empty one")
    options.add_argument("--readers", type=int, default=10_000)
    options.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    chosen = options.parse_args()
    with place.database(chosen.database):
        print(both(chosen.readers, chosen.processes))


if __name__ == "__main__":
    main()
