"""Management commands, in this process and as a shell runs them."""

import subprocess
import sys
from io import StringIO
from typing import Any

from django.core.management import call_command

from tests.server import ROOT, surroundings


def call(name: str, *args: str, **options: Any) -> str:
    """What the command prints."""
    out = StringIO()
    call_command(name, *args, stdout=out, **options)
    return out.getvalue()


def shell(*args: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    """`manage.py ...` on the database of the running test."""
    command = [sys.executable, "manage.py", *args]
    done = subprocess.run(
        command, cwd=ROOT, env=surroundings(), input=stdin, capture_output=True, timeout=60
    )
    return subprocess.CompletedProcess(
        command, done.returncode, done.stdout.decode(), done.stderr.decode()
    )
