"""Messages a second through `send` from several processes, and how late a reader has them.

    DATABASE_URL=postgres://... python -m benchmarks.publish_rate [--senders 8] [--seconds 10]

Makes a database of its own beside that of DATABASE_URL (its name and `_rate`), starts a server with
some readers, and lets each sender send to everyone, one message after another, as fast as `send`
returns: first one of them, then all. Then again all, but no faster than --pace messages a second
together, for at the limit delays say only how long the queue was. All times on CLOCK_MONOTONIC,
which the processes of a machine share; commit is the sender's own, before anything is published.
"""

import argparse
import json
import os
import re
import selectors
import socket
import subprocess
import sys
import threading
import time

from . import place, scale, servers
from .readers import REQUEST

SOON = 0.3  # s from the word to its time: the senders begin all at once
PATIENCE = 30.0  # s for a stream to open
LAST = 5.0  # s in which the last message has to arrive
TITLE = re.compile(rb'"title":\s?"(rate-[0-9-]+)"')


def send_for(name: str, seconds: float, interval: float) -> None:
    """One sender: says when it is ready, is told when to begin, and prints in the end
    [[title, when committed, seconds until `send` returned], ...]."""
    import django

    django.setup()
    from django.db import connection, transaction

    from notifications import EVERYONE, send

    connection.ensure_connection()
    print("ready", flush=True)
    begin = float(sys.stdin.readline())
    time.sleep(max(0.0, begin - time.monotonic()))
    sent: list[tuple[str, float, float]] = []
    while (started := time.monotonic()) < begin + seconds:
        committed: list[float] = []
        title = f"rate-{name}-{len(sent)}"
        with transaction.atomic():
            # Before `send` registers its own: so this runs first, before anything is published.
            transaction.on_commit(lambda: committed.append(time.monotonic()))  # noqa: B023
            send(title, to=EVERYONE)
        sent.append((title, committed[0], time.monotonic() - started))
        time.sleep(max(0.0, begin + interval * len(sent) - time.monotonic()))
    print(json.dumps(sent))


class Readers(threading.Thread):
    """Open streams; `arrivals`: for each title when each of them had it."""

    def __init__(self, port: int, sessions: list[str]) -> None:
        super().__init__(daemon=True)
        self.arrivals: dict[str, list[float]] = {}
        self._selector = selectors.DefaultSelector()
        self._over = False
        for session in sessions:
            stream = socket.create_connection((place.HOST, port), PATIENCE)
            path = "/messages/stream/"
            request = REQUEST.format(path=path, host=place.HOST, session=session)
            stream.sendall(request.encode())
            seen = b""
            while b"event: state" not in seen:
                seen += stream.recv(65_536)
            self._selector.register(stream, selectors.EVENT_READ, [b""])

    def run(self) -> None:
        while not self._over:
            for key, _ in self._selector.select(0.1):
                assert isinstance(key.fileobj, socket.socket)
                data = key.data[0] + key.fileobj.recv(262_144)
                now = time.monotonic()
                whole, _, key.data[0] = data.rpartition(b"\n")
                for title in TITLE.findall(whole):
                    self.arrivals.setdefault(title.decode(), []).append(now)

    def stop(self) -> None:
        self._over = True
        self.join()
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()


def run(
    name: str, what: str, senders: int, seconds: float, pace: float, sessions: list[str]
) -> str:
    """A row of the table."""
    with servers.Server(servers.CONTENDERS["ours, uvicorn"]) as server:
        readers = Readers(server.port, sessions)
        readers.start()
        interval = senders / pace if pace else 0.0
        started = [
            subprocess.Popen(  # noqa: S603
                [
                    *(sys.executable, "-m", __spec__.name, "--sender"),
                    *(f"{name}-{number}", f"{seconds:.6f}", f"{interval:.6f}"),
                ],
                cwd=place.ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            for number in range(senders)
        ]
        for each in started:
            assert each.stdout
            assert each.stdout.readline() == b"ready\n"
        begin = b"%.6f\n" % (time.monotonic() + SOON)
        for each in started:
            assert each.stdin
            each.stdin.write(begin)
            each.stdin.flush()
        sent = [message for each in started for message in json.loads(each.communicate()[0])]
        give_up = time.monotonic() + LAST
        while time.monotonic() < give_up and not all(
            len(readers.arrivals.get(title, ())) == len(sessions) for title, *_ in sent
        ):
            time.sleep(0.05)
        readers.stop()
    delays = sorted(
        (at - committed) * 1000
        for title, committed, _ in sent
        for at in readers.arrivals.get(title, ())
    )
    took = sorted(each * 1000 for *_, each in sent)
    missing = len(sent) * len(sessions) - len(delays)
    cells = [
        len(sent) / seconds, *(_part(took, p) for p in (0.5, 0.99)),
        *(_part(delays, p) for p in (0.5, 0.99)), missing,
    ]  # fmt: skip
    return f"| {what} | " + " | ".join(f"{cell:,.0f}" for cell in cells) + " |"


def _part(values: list[float], part: float) -> float:
    return values[int(len(values) * part)] if values else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--senders", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--readers", type=int, default=5)
    parser.add_argument("--pace", type=float, default=40.0, help="messages a second, all together")
    parser.add_argument("--sender", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.sender:
        name, *numbers = options.sender
        return send_for(name, *map(float, numbers))
    with scale.database("_rate"):
        from django.db import connection

        sessions = place.log_in(options.readers)
        print(f"\n{connection.vendor}, {options.readers} readers\n")
        print("| | messages/s | send p50, ms | p99 | at the reader p50, ms | p99 | lost |")
        print("|---|" + "---:|" * 6)
        rounds = [
            ("1 sender", 1, 0.0),
            (f"{options.senders} senders", options.senders, 0.0),
            (f"{options.senders} senders, {options.pace:.0f}/s", options.senders, options.pace),
        ]
        for number, (what, senders, pace) in enumerate(rounds):
            print(run(str(number), what, senders, options.seconds, pace, sessions), flush=True)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    main()
