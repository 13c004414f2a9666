"""Waiting for a condition: as long as it takes, but not for ever."""

import asyncio
import time
from collections.abc import Callable


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Return as soon as `condition()`; fail when it does not come true within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so within {seconds:g} s"
        await asyncio.sleep(0.02)
