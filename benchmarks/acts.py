"""All readers of a broadcast mark it read at once, from several processes, while others send.

    python -m benchmarks.acts [--database URL] [--readers 10000] [--processes 4]

The database must be empty, and is filled; without one it is SQLite in a temporary folder. Prints
acts a second, and how long an act and a send take. No server and no HTTP: what is asked is whether
the database makes readers wait for each other.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from . import place

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


def measure(readers: int, processes: int) -> str:
    from django.contrib.auth.models import User
    from django.db import connection

    from notifications import EVERYONE, send
    from notifications.models import Recipient

    people = [User(username=f"reader-{n}", password="!") for n in range(readers)]  # noqa: S106
    User.objects.bulk_create(people, batch_size=500)
    pks = list(User.objects.values_list("pk", flat=True))
    message = send("To be read by all", to=EVERYONE)
    begin = time.time() + PATIENCE
    with ProcessPoolExecutor(processes, get_context("spawn"), set_up) as pool:
        parts = [pks[n::processes] for n in range(processes)]
        work = [pool.submit(read, part, message.pk, begin) for part in parts]
        time.sleep(PATIENCE)
        sends = send_while(work)
        seconds = time.time() - begin
        taken = [each for one in work for each in one.result()]
    marked = Recipient.objects.filter(message=message, read_at__isnull=False).count()
    assert marked == readers, f"{marked} of {readers} have it read"
    return "\n".join([
        f"{readers:,} readers in {processes} processes on {connection.vendor}: {seconds:.1f} s",
        f"acts a second: {readers / seconds:,.0f}",
        f"an act, ms: {spread(taken)}",
        f"a send meanwhile, ms ({len(sends)}): {spread(sends)}",
    ])  # fmt: skip


def spread(values: list[float]) -> str:
    percent = statistics.quantiles(values, n=100)
    return f"p50 {percent[49]:.1f}, p99 {percent[98]:.1f}, longest {max(values):.1f}"


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--database", default="", help="URL of an empty one")
    options.add_argument("--readers", type=int, default=10_000)
    options.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    chosen = options.parse_args()
    with place.database(chosen.database):
        print(measure(chosen.readers, chosen.processes))


if __name__ == "__main__":
    main()
