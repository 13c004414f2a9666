"""One event to all open streams: how long until the last reader has it, what that costs, and how
many deliveries a second there are at most. The project on two servers, and its peers.

    python -m benchmarks.broadcast                     # all of them, 10,000 streams
    python -m benchmarks.broadcast --streams 2000 --server "bare asyncio" "ours, uvicorn"
    python -m benchmarks.broadcast --no-saturation --rounds 5 --server "ours, uvicorn"

The server has one core, the readers and the sender another. The project's readers are logged in,
each as another user, and its events come from another process, through the database; a peer's
readers are nobody, and its events come by POST.
"""

import argparse
import gc
import itertools
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from . import place
from .readers import Readers
from .saying import sender, title
from .servers import CONTENDERS, LOAD_CORE, Contender, Server
from .tables import Figures, table

# Peers in between, so that a slow minute of the machine does not fall on one of them alone.
ORDER = [
    "bare asyncio", "ours, uvicorn", "nginx + nchan", "Express", "bare asyncio", "ours, daphne",
    "sse-starlette, uvicorn", "bare uvloop", "bare asyncio", "naive, uvicorn",
    "django-eventstream, uvicorn", "django-eventstream, daphne",
]  # fmt: skip
WARM = 20  # streams opened and closed first: what is made once is not the price of a stream
WARMING = 3  # rounds before those that count
PACE = 1.0  # s from one round to the next
SETTLING = 2.0  # s for what opening has set going to end
RUNS = 3  # at saturation
FIRST = 30  # events of the run before them


def spread(contender: Contender, sessions: list[str], rounds: int, database: str) -> Figures:
    """One event a PACE to all streams."""
    found: Figures = defaultdict(list)
    count = len(sessions)
    with Server(contender) as server:
        with Readers(server.port) as readers:
            readers.open(sessions[:WARM], contender.opened)
        time.sleep(SETTLING)
        empty, threads, files = server.memory, server.threads, server.files(database)
        cpu, begun = server.cpu, time.monotonic()
        with Readers(server.port) as readers:
            half = count // 2
            readers.open(sessions[:half], contender.opened)
            time.sleep(SETTLING)
            held = (server.memory - empty) / half / 1024
            readers.open(sessions[half:], contender.opened)
            opened = (time.monotonic() - begun - SETTLING) / count
            time.sleep(SETTLING)
            opening = (server.cpu - cpu) / count * 1000
            after = server.threads, server.files(database)
            with sender(contender, readers) as says, quiet():
                for number in range(WARMING + rounds):
                    if number == WARMING:
                        cpu = server.cpu
                    says.send(number)
                    seen = readers.receive(f'"{title(number)}"'.encode(), count)
                    took = seen[-1][0] - says.clock(number)
                    time.sleep(max(0.0, PACE - took))
                    if number >= WARMING:
                        found["first to last reader, ms"].append((seen[-1][0] - seen[0][0]) * 1000)
                        found["said to last reader, ms"].append(took * 1000)
                delivering = (server.cpu - cpu) / (count * rounds) * 1e6
    return (
        {"streams": [count]}
        | found
        | {
            "CPU of 1,000 deliveries, ms": [delivering],
            "KiB a stream": [held],
            "CPU to open a stream, ms": [opening],
            "opened a second": [1 / opened],
            "threads, at none": [threads],
            "threads, at all": [after[0]],
            "database files, at none": [files],
            "database files, at all": [after[1]],
        }
    )


def saturation(contender: Contender, sessions: list[str], seconds: float) -> Figures:
    """As many events as it takes: `contender.window` of them are under way at any time."""
    count = len(sessions)
    with Server(contender) as server, Readers(server.port) as readers:
        readers.open(sessions, contender.opened)
        time.sleep(SETTLING)
        with sender(contender, readers) as says, quiet():
            numbers, arrived = itertools.count(), itertools.count()

            def run(events: int) -> float:
                sent = heard = 0

                def go_on(deliveries: int) -> None:
                    nonlocal sent, heard
                    while sent < min(events, deliveries // count + contender.window):
                        says.send(next(numbers))
                        sent += 1
                    while heard < deliveries // count:
                        says.clock(next(arrived))  # or its pipe is full some time, and it waits
                        heard += 1

                go_on(0)
                return rate(readers.receive(b'"broadcast-', events * count, go_on))

            first = run(FIRST)  # says how many take so many seconds
            rates = [run(max(FIRST, int(seconds * first / count))) for _ in range(RUNS)]
    return {f"deliveries a second to {count:,}": rates}


def rate(seen: list[tuple[float, int]]) -> float:
    """Deliveries a second, without the first and the last tenth of them."""
    wanted = sum(count for _, count in seen)
    total, marks = 0, []
    for at, count in seen:
        total += count
        if wanted * 0.1 <= total <= wanted * 0.9:
            marks.append((at, total))
    return (marks[-1][1] - marks[0][1]) / (marks[-1][0] - marks[0][0])


@contextmanager
def quiet() -> Iterator[None]:
    """Without pauses for our own garbage."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    options.add_argument("--streams", type=int, default=10_000)
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--seconds", type=float, default=4.0, help="of each run at saturation")
    options.add_argument("--saturated", type=int, default=1_000, help="streams for saturation")
    options.add_argument("--no-saturation", action="store_true")
    options.add_argument("--no-spread", action="store_true")
    options.add_argument("--server", nargs="+", choices=CONTENDERS, default=ORDER)
    chosen = options.parse_args()
    os.sched_setaffinity(0, {LOAD_CORE})
    place.raise_file_limit()
    rows: dict[str, Figures] = defaultdict(lambda: defaultdict(list))
    with place.database() as database:
        sessions = place.log_in(max(chosen.streams, chosen.saturated))
        for name in chosen.server:
            contender = CONTENDERS[name]
            if missing := contender.lacks():
                print(f"{name} is left out: {missing} is not installed.")
                continue
            try:
                found: Figures = {}
                if not chosen.no_spread:
                    some = sessions[: min(chosen.streams, contender.most)]
                    found |= spread(contender, some, chosen.rounds, database)
                if not chosen.no_saturation:
                    some = sessions[: chosen.saturated]
                    found |= saturation(contender, some, chosen.seconds)
            except (OSError, RuntimeError) as error:  # one that fails is not to hide the others
                print(f"{name} failed: {error}")
                continue
            for what, figures in found.items():
                rows[name][what] += figures
            print(table({name: rows[name]}), file=sys.stderr)
    print(table(rows, "server"))


if __name__ == "__main__":
    main()
