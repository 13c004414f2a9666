"""The script of the page, as far as it needs no browser: see tests/node."""

import shutil
import subprocess
from pathlib import Path

import pytest

NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="Node is not installed")
def test_the_page_follows_the_stream_and_ends_at_what_a_snapshot_says():
    tests = Path(__file__).parent / "node" / "inbox.test.mjs"
    result = subprocess.run(
        [str(NODE), "--test", str(tests)], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stdout
