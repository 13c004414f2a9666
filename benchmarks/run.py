"""Measures the site and, beside it, a naive stream, and prints a Markdown table. See README.md.

python -m benchmarks.run [--quick] [--server daphne uvicorn] [--streams 1000 5000] [--port 8900]
"""

import argparse
import asyncio
import signal
import statistics
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from . import place
from .load import Crowd, until
from .place import Server

PEERS = {"this project": "config.asgi:application", "naive": "benchmarks.naive:application"}
WARM = 20  # streams opened and closed first: what is made once is not the price of a stream
SETTLING = 2.0  # s for what opening has set going to end, before memory and idleness are measured

Figures = dict[str, float]  # what was measured, with its unit: how much


async def opening(server: Server, sessions: list[str]) -> Figures:
    """What a stream costs to open: until its reader has had `ready` and its first `state`."""
    async with await crowd(server, sessions[:WARM]):
        pass
    cpu, begun = server.cpu, time.monotonic()
    async with await crowd(server, sessions):
        return {
            "opening a stream: CPU, ms": (server.cpu - cpu) / len(sessions) * 1000,
            "streams opened a second": len(sessions) / (time.monotonic() - begun),
        }


async def holding(server: Server, sessions: list[str]) -> Figures:
    """What open streams hold while nothing happens."""
    async with await crowd(server, sessions[:WARM]):
        pass
    await asyncio.sleep(SETTLING)
    before, empty = holdings(server, 0), server.memory
    async with await crowd(server, sessions):
        await asyncio.sleep(SETTLING)
        count = len(sessions)
        each = (server.memory - empty) / count / 1024
        return before | holdings(server, count) | {f"memory a stream at {count:,}, KiB": each}


def holdings(server: Server, count: int) -> Figures:
    return {
        f"memory at {count:,} streams, MiB": server.memory / 2**20,
        f"threads at {count:,}": server.threads,
        f"open database files at {count:,}": server.database_files,
    }


async def idling(server: Server, sessions: list[str], seconds: float) -> Figures:
    """What open streams cost while nothing happens; pings and the hub's rounds included."""
    async with await crowd(server, sessions):
        await asyncio.sleep(SETTLING)
        cpu = server.cpu
        await asyncio.sleep(seconds)
        used = (server.cpu - cpu) / seconds * 100
    return {f"idle CPU at {len(sessions):,}, % of a core": used}


async def delay(server: Server, sessions: list[str], sends: int, interval: float) -> Figures:
    """From the commit in another process to the event at each of the readers."""
    name = f"benchmark-{time.time_ns()}"  # not to take what an earlier round sent for this one's
    arrivals: dict[int, list[float]] = {number: [] for number in range(sends)}

    def on_event(event: bytes) -> None:
        _, found, after = event.partition(f'"{name}-'.encode())
        if found:
            arrivals[int(after.partition(b'"')[0])].append(time.time())

    async with await crowd(server, sessions, on_event):
        sender = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.sender", name, str(sends), str(interval)),
            cwd=place.ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        lines = (await sender.communicate())[0].decode().splitlines()
        assert len(lines) == sends, "the sender failed"
        await until(lambda: all(len(times) == len(sessions) for times in arrivals.values()))
    committed = {int(number): float(at) for number, at in map(str.split, lines)}
    delays = [(at - committed[number]) * 1000 for number in arrivals for at in arrivals[number]]
    percent = statistics.quantiles(delays, n=100)
    what = f"commit to event, {len(sessions):,} reading:"
    return {f"{what} p50, ms": percent[49], f"{what} p99, ms": percent[98]}


async def draining(server: Server, sessions: list[str]) -> Figures:
    """SIGTERM while all streams are open."""
    async with await crowd(server, sessions) as readers:
        seconds, code = await asyncio.to_thread(server.stop)
        await until(lambda: readers.closed == len(sessions))
    what = f"SIGTERM at {len(sessions):,} streams:"
    told = readers.had(b"bye") / len(sessions) * 100
    return {f"{what} s to the end": seconds, f"{what} exit code": code, f"{what} `bye`, %": told}


async def crowd(server: Server, sessions: list[str], on_event: Any = None) -> Crowd:
    """A reader for each session, each with its first state."""
    readers = Crowd(server.port, on_event)
    await readers.open(sessions)
    await until(lambda: readers.had(b"state") == len(sessions))
    return readers


def measure(options: argparse.Namespace, file: Path, sessions: list[str]) -> dict[str, Figures]:
    """What was measured of each peer, under its name; each time on a server of its own."""
    few, *more = (sessions[:count] for count in sorted(options.streams))
    again, seconds, sends = (1, 5.0, 20) if options.quick else (3, 30.0, 200)
    found: dict[str, Figures] = {}

    def run(measurement: Callable[..., Coroutine[Any, Any, Figures]], *args: Any) -> None:
        rounds = []
        for _ in range(again if measurement is opening else 1):
            with Server(kind, PEERS[peer], file, options.port) as server:
                rounds.append(asyncio.run(measurement(server, *args)))
            print(name, rounds[-1], file=sys.stderr)
        for what in rounds[0]:
            found[name][what] = statistics.median(figures[what] for figures in rounds)

    for peer in PEERS:
        for kind in options.server:
            name = f"{peer}, {kind}"
            found[name] = {}
            run(opening, few)
            run(holding, few)
            if peer == "naive":
                continue
            for many in more:
                run(holding, many)
            run(idling, few, seconds)
            run(delay, few[:1], sends, 0.15)
            run(delay, few, sends // 5, 1.0)  # slowly: it is not the throughput that is asked
            run(draining, few)
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--quick", action="store_true", help="a minute; rough figures")
    options.add_argument("--server", nargs="+", choices=place.SERVERS, default=[*place.SERVERS])
    options.add_argument("--streams", nargs="+", type=int, help="1000 5000; quick: 200")
    options.add_argument("--port", type=int, default=8900)
    chosen = options.parse_args()
    chosen.streams = chosen.streams or ([200] if chosen.quick else [1_000, 5_000])
    place.raise_file_limit()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server goes with us
    with place.database() as file:
        sessions = place.log_in(max(chosen.streams))
        print(table(measure(chosen, file, sessions)))


def table(found: dict[str, Figures]) -> str:
    """Markdown: a row a figure, a column a peer; beside a peer's figure its ratio to ours."""
    ours = dict(zip(found, list(found.values())[: len(found) // 2] * 2, strict=True))
    rows = ["| | " + " | ".join(found) + " |", "|---" + "|---:" * len(found) + "|"]
    for what in next(iter(found.values())):
        cells = (shown(found[name].get(what), ours[name][what]) for name in found)
        rows.append(f"| {what} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def shown(value: float | None, ours: float) -> str:
    if value is None:
        return ""
    text = f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"
    return text if value == ours or not ours else f"{text} ({value / ours:.1f} ×)"


if __name__ == "__main__":
    main()
