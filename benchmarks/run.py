"""Measures everything, each thing beside its peers, says what is reached, and writes RESULTS.md.

    make bench                       # all of it, about half an hour
    make bench ARGS=--quick          # small, some minutes, rough figures, RESULTS.md untouched
    make bench ARGS="--only ours herd"   # these alone anew, in RESULTS.md, too

Each part is a program of its own that prints a table; what is concluded is read from the tables.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.services import PostgreSQL

from . import machine, targets
from .place import ROOT

RESULTS = Path(__file__).with_name("RESULTS.md")
PATIENCE = 1_800.0  # s for a part
QUICK = (
    "**A quick run, of small sizes: rough figures, and what is to be reached is for full ones.**"
)
# Of each part its arguments, and more of them for a quick run. POSTGRES is filled in.
SMALL = ("--streams", "300", "--ending", "200", "--sends", "50", "--seconds", "5")
PARTS = {
    "broadcast": (("broadcast",), ("--streams", "500", "--rounds", "3", "--seconds", "1")),
    "ours": (("ours",), SMALL),
    "ours on PostgreSQL": (("ours", "--database", "POSTGRES"), SMALL),
    "herd": (("herd",), ("--streams", "500")),
    "scale": (("scale",), ("--accounts", "10000")),
    "a million messages": (
        ("scale", "--accounts", "100000", "--messages", "1000000"),
        ("--accounts", "10000"),
    ),
    "publish rate": (("publish_rate",), ("--seconds", "2")),
    "acts": (("acts", "--database", "POSTGRES"), ("--readers", "500")),
}
# These are told their PostgreSQL so.
BY_ENVIRONMENT = ("scale", "a million messages", "publish rate")


def measure(name: str, arguments: tuple[str, ...]) -> str:
    """What the part printed; a line that says so if it failed or lacks what it needs."""
    begun = time.monotonic()
    print(f"{name} ...", file=sys.stderr)
    try:
        with postgres("POSTGRES" in arguments or name in BY_ENVIRONMENT) as url:
            part, *rest = (url if word == "POSTGRES" else word for word in arguments)
            done = subprocess.run(  # noqa: S603
                [sys.executable, "-m", f"benchmarks.{part}", *rest],
                cwd=ROOT,
                env=os.environ | {"DATABASE_URL": url},
                stdout=subprocess.PIPE,
                timeout=PATIENCE,
                check=True,
                text=True,
            )
    except pytest.skip.Exception as missing:
        return f"Left out: {missing}."
    except (subprocess.SubprocessError, AssertionError) as error:
        return f"Failed: {error}"
    minutes = (time.monotonic() - begun) / 60
    return f"{done.stdout.strip()}\n\nOn {datetime.now(UTC):%Y-%m-%d}, in {minutes:.0f} minutes."


def known() -> dict[str, str]:
    """What RESULTS.md says, by part."""
    text = RESULTS.read_text() if RESULTS.exists() else ""
    _head, *sections = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    found = dict(zip(sections[::2], map(str.strip, sections[1::2]), strict=True))
    return {name: found[name] for name in PARTS if name in found}


class Durable(PostgreSQL):
    """It waits for the disk, and is set up as docs/running.md advises."""

    ADVISED = (
        "-c", "shared_buffers=1GB", "-c", "max_wal_size=4GB", "-c", "wal_compression=lz4",
        "-c", "max_parallel_workers_per_gather=0",
    )  # fmt: skip

    def command(self) -> tuple[str, ...]:
        return (*(word for word in super().command() if word != "-F"), *self.ADVISED)


@contextmanager
def postgres(is_needed: bool) -> Iterator[str]:
    """The address of an empty one that lives as long as the block."""
    if not is_needed:
        yield ""
        return
    with Durable() as server:
        yield server.url


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--quick", action="store_true", help="small; rough figures")
    options.add_argument("--only", nargs="+", choices=PARTS, default=[*PARTS])
    chosen = options.parse_args()
    texts = {} if chosen.quick else known()
    for name in chosen.only:
        arguments, small = PARTS[name]
        texts[name] = measure(name, arguments + small if chosen.quick else arguments)
    report = "\n\n".join([
        "# Results",
        "Written by `make bench`; [README.md](README.md) says what is measured and how.",
        *([QUICK] if chosen.quick else []),
        machine.table(),
        "## What is to be reached",
        targets.table(texts),
        *(f"## {name}\n\n{texts[name]}" for name in PARTS if name in texts),
    ])  # fmt: skip
    print(report)
    if not chosen.quick:
        RESULTS.write_text(report + "\n")


if __name__ == "__main__":
    main()
