"""Measures what readers are promised of the pages, and says of each goal whether it is met.

    make goals                       # some minutes; needs Chromium, Node's packages and gettext

Figures come from tests that note them (`record_property`); a goal whose tests have not noted one is
not measured, whatever the reason, and that is no better than missed.
"""

import gzip
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.services import PostgreSQL

from .place import ROOT

KB = 1_024
# What the pages load, with all that it imports. While one is missing the rest is not judged.
PARTS = {".js": ("messages.js",), ".css": ("center.css", "bell.css")}
HASHED = re.compile(r"(.+)\.[0-9a-f]{12}(\.\w+)")
IMPORT = re.compile(r"""(?:from|import)\s*\(?["']\./([^"']+)["']""")

LOOKS = ("test_look.py", "test_tokens.py", "test_languages.py", "test_back.py")
STORIES = "without_scripts or keyboard"  # in the names of tests, or of their files
PYTEST = (sys.executable, "-m", "pytest", "-q", "-o", "junit_family=xunit1")


class NotMeasured(Exception):
    """Why."""


@dataclass
class Results:
    """What tests have noted, by name; and of each test whether it passed."""

    figures: dict[str, list[float]] = field(default_factory=dict)
    passed: dict[str, bool] = field(default_factory=dict)

    def read(self, report: Path, suffix: str = "") -> None:
        for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - pytest's own
            name = f"{case.get('classname')}.{case.get('name')}"
            self.passed[name] = not {"failure", "error", "skipped"} & {each.tag for each in case}
            for noted in case.iter("property"):
                name, value = str(noted.get("name")) + suffix, float(str(noted.get("value")))
                self.figures.setdefault(name, []).append(value)

    def of(self, name: str) -> list[float]:
        if name not in self.figures:
            raise NotMeasured("no test has noted it")
        return self.figures[name]

    def tests(self, part: str) -> list[bool]:
        found = [passed for name, passed in self.passed.items() if part in name]
        if not found:
            raise NotMeasured("there are no such tests")
        return found


@dataclass(frozen=True)
class Goal:
    """`measure` returns what was found, in words, and whether that is good enough."""

    what: str
    target: str
    measure: Callable[[Results], tuple[str, bool]]

    def row(self, results: Results) -> tuple[str, bool]:
        try:
            found, is_met = self.measure(results)
        except NotMeasured as why:
            found, is_met = f"not measured: {why}", False
        verdict = "met" if is_met else "**not met**"
        return f"| {self.what} | {self.target} | {found} | {verdict} |", is_met


def at_most(name: str, most: float, unit: str = "") -> Callable[[Results], tuple[str, bool]]:
    """The highest of the figures of that name."""

    def measure(results: Results) -> tuple[str, bool]:
        highest = max(results.of(name))
        return f"{highest:.3g} {unit}".strip(), highest <= most

    return measure


def at_least(name: str, least: float) -> Callable[[Results], tuple[str, bool]]:
    def measure(results: Results) -> tuple[str, bool]:
        lowest = min(results.of(name))
        return f"{lowest:g}", lowest >= least

    return measure


def nothing_in_all(name: str, tests: str) -> Callable[[Results], tuple[str, bool]]:
    """None of it, in any of the tests that look for it; each must have said how many."""

    def measure(results: Results) -> tuple[str, bool]:
        found, states = results.of(name), len(results.tests(tests))
        if len(found) < states:
            raise NotMeasured(f"in {states - len(found)} of {states} states")
        return f"{sum(found):g} in {states} states", not sum(found)

    return measure


def all_pass(tests: str) -> Callable[[Results], tuple[str, bool]]:
    def measure(results: Results) -> tuple[str, bool]:
        passed = results.tests(tests)
        return f"{sum(passed)} of {len(passed)} tests pass", all(passed)

    return measure


def weight(kind: str, most: int) -> Callable[[Results], tuple[str, bool]]:
    """Of the files that are served, each compressed by itself."""

    def measure(results: Results) -> tuple[str, bool]:
        parts = [name for name in results.figures if name.endswith(kind)]
        missing = [part for part in PARTS[kind] if part not in parts]
        bytes_ = sum(results.of(name)[0] for name in parts)
        text = f"{bytes_:,.0f} bytes ({', '.join(sorted(parts))})"
        if missing:
            raise NotMeasured(f"{text}, without {', '.join(missing)}")
        return text, bytes_ <= most

    return measure


GOALS = [
    Goal("JS of message center, bell and toast, gzip", "<= 8 KB", weight(".js", 8 * KB)),
    Goal("CSS of the same", "<= 4 KB", weight(".css", 4 * KB)),
    Goal("layout shift from arrivals and the bell", "0", at_most("layout shift", 0)),
    Goal(
        "axe violations, every state x theme x direction x language",
        "0",
        nothing_in_all("axe violations", "test_nobody_is_kept_out"),
    ),
    Goal("works without JavaScript", "every story", all_pass("without_scripts")),
    Goal("keyboard alone", "every story", all_pass("keyboard")),
    Goal("send -> painted on SQLite, p50", "<= 30 ms", at_most("painted, p50", 30, "ms")),
    Goal("send -> painted on SQLite, p99", "<= 100 ms", at_most("painted, p99", 100, "ms")),
    Goal(
        "send -> painted on PostgreSQL, p50",
        "<= 30 ms",
        at_most("painted, p50 on PostgreSQL", 30, "ms"),
    ),
    Goal(
        "send -> painted on PostgreSQL, p99",
        "<= 100 ms",
        at_most("painted, p99 on PostgreSQL", 100, "ms"),
    ),
    Goal(
        "1,000 messages: tasks of 50 ms while more come and they are scrolled",
        "0",
        at_most("long tasks with 1,000 messages", 0),
    ),
    Goal(
        "1,000 messages: longest time between two frames meanwhile",
        "<= 100 ms",
        at_most("longest frame with 1,000 messages", 100, "ms"),
    ),
    Goal("20 tabs", "1 stream", at_most("streams of 20 tabs", 1, "stream")),
    Goal("takeover after the leading tab closes", "<= 1 s", at_most("takeover", 1_000, "ms")),
    Goal("back/forward cache: restored, live again", "yes", all_pass("test_back.")),
    Goal("texts without a translation", "0", at_most("texts untranslated", 0)),
    Goal(
        "console errors and CSP violations in all these states",
        "0",
        nothing_in_all("complaints", "test_nobody_is_kept_out"),
    ),
    Goal("contrast of text, both themes", ">= 4.5", at_least("contrast of text", 4.5)),
    Goal("contrast of controls, both themes", ">= 3", at_least("contrast of controls", 3)),
]


def weigh(results: Results) -> None:
    """The parts that there are, and all that they import, as they are collected."""
    with tempfile.TemporaryDirectory() as folder:
        production = {"DJANGO_SETTINGS_MODULE": "tests.collected", "STATIC_ROOT": folder}
        subprocess.run(
            [sys.executable, "manage.py", "collectstatic", "--no-input", "--verbosity", "0"],
            cwd=ROOT,
            env=os.environ | production | {"DEBUG": "0", "SECRET_KEY": "of no session"},
            check=True,
        )
        served = {}
        for path in Path(folder, "notifications").iterdir():
            if name := HASHED.fullmatch(path.name):
                served[name[1] + name[2]] = path.read_bytes()
    wanted = [part for parts in PARTS.values() for part in parts]
    counted = set()
    while wanted:
        name = wanted.pop()
        if name in counted or name not in served:
            continue
        counted.add(name)
        imports = IMPORT.findall(served[name].decode()) if name.endswith(".js") else []
        wanted += ["".join(HASHED.fullmatch(each).groups()) for each in imports]
    for name in counted:
        results.figures[name] = [len(gzip.compress(served[name], 9))]


def run(results: Results, *options: str, on: str = "", suffix: str = "") -> None:
    """Have pytest run these tests, and read what they noted; on the database of that address."""
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        environment = {**os.environ, "DATABASE_URL": on}
        command = [*PYTEST, f"--junitxml={report.name}", *options]
        subprocess.run(command, cwd=ROOT, env=environment, stdout=sys.stderr)  # noqa: S603
        if Path(report.name).stat().st_size:
            results.read(Path(report.name), suffix)


def main() -> int:
    results = Results()
    weigh(results)
    # What takes time comes first and alone: the others keep the machine busy.
    run(results, "tests/figures.py")
    try:
        with PostgreSQL() as server:
            run(results, "tests/figures.py", "-k", "screen", on=server.url, suffix=" on PostgreSQL")
    except pytest.skip.Exception as missing:
        print(missing, file=sys.stderr)
    run(results, "-n", "2", *(f"tests/{name}" for name in LOOKS))
    run(results, "-n", "2", "-k", STORIES)
    rows = [goal.row(results) for goal in GOALS]
    print("| goal | target | found | |\n|---|---|---|---|")
    print("\n".join(row for row, _ in rows))
    return int(not all(is_met for _, is_met in rows))


if __name__ == "__main__":
    sys.exit(main())
