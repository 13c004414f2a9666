"""A process that sends to everyone at random intervals, and says when. Started by run.py.

    python -m benchmarks.sender NAME 200 0.15

Prints per message its number and the clock right after the sender's own commit.
"""

import random
import sys
import time

import django
from django.db import transaction

django.setup()

from notifications import EVERYONE, send  # noqa: E402 - it needs the set-up


def main(name: str, count: int, interval: float) -> None:
    for number in range(count):
        # At random, so that no phase of anybody's polling is favoured.
        time.sleep(interval * random.uniform(0.3, 1.7))
        committed: list[float] = []
        with transaction.atomic():
            # Before `send` registers its own: so this runs first, before anything is published.
            transaction.on_commit(lambda: committed.append(time.time()))  # noqa: B023
            send(f"{name}-{number}", to=EVERYONE, body="Some **text**.")
        print(number, *committed, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
