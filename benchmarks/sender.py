"""A process that sends to everyone what it is told to. Started by saying.py.

    python -m benchmarks.sender

Reads titles, a line each, and sends them one after another. Prints per message the clock
(CLOCK_MONOTONIC, which all processes share) right after its own commit, before it is published.
"""

import sys
import time

import django
from django.db import transaction

django.setup()

from notifications import EVERYONE, send  # noqa: E402 - it needs the set-up


def main() -> None:
    print("ready", flush=True)
    for line in sys.stdin:
        with transaction.atomic():
            # Before `send` registers its own: so this runs first, before anything is published.
            transaction.on_commit(lambda: print(time.monotonic(), flush=True))
            send(line.strip(), to=EVERYONE)


if __name__ == "__main__":
    main()
