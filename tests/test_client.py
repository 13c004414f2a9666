"""The scripts of the page, as far as they need no browser: see tests/node."""

import shutil
import subprocess
from pathlib import Path

import pytest

NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(NODE is None, reason="Node is not installed")


def run(tests: str) -> None:
    file = Path(__file__).parent / "node" / tests
    result = subprocess.run(
        [str(NODE), "--test", str(file)], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stdout


def test_the_page_follows_the_stream_and_ends_at_what_a_snapshot_says():
    run("inbox.test.mjs")


def test_a_caller_is_told_each_event_once_and_in_order_whenever_it_came():
    run("connect.test.mjs")
