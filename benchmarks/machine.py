"""On what was measured."""

import json
import os
import platform
import re
import shutil
import sqlite3
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = [
    "Django", "uvicorn", "httptools", "daphne", "uvloop", "starlette", "sse-starlette",
    "django-eventstream", "psycopg",
]  # fmt: skip
PROGRAMS = {
    "PostgreSQL": ("/usr/lib/postgresql/*/bin/postgres", "--version"),
    "nginx": ("nginx", "-v"),
    "Node": ("node", "--version"),
}


def table() -> str:
    rows = {
        "cores": str(os.cpu_count()),
        "processor": processor(),
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        **{name: installed(name) for name in PACKAGES},
        **{name: says(*command) for name, command in PROGRAMS.items()},
        "Express": express(),
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {k} | {v} |" for k, v in rows.items())])


def processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def says(name: str, option: str) -> str:
    """The version in what a program says of itself; the newest where there are several."""
    paths = sorted(map(str, Path("/").glob(name[1:]))) if "*" in name else [shutil.which(name)]
    if not paths or not paths[-1]:
        return "none"
    command = [paths[-1], option]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return found[0] if found else "unknown"


def express() -> str:
    """As `npm ci` installs it."""
    lock = Path(__file__).parent / "peers/express/package-lock.json"
    return str(json.loads(lock.read_text())["packages"]["node_modules/express"]["version"])
