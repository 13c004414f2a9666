"""Calling a server's `send()` without a task.

What wakes a task for each of ten thousand readers spends most of its time on that. But a `send()`
that does not have to wait is over after one step, and a coroutine can be taken that step by hand.
"""

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from types import coroutine
from typing import Any

Message = dict[str, Any]
Send = Callable[[Message], Coroutine[Any, Any, None]]

# Servers whose `send()` is known to leave nothing bound to the task that calls it. A wrapper around
# it might (a timeout, say), so it is not stepped.
SERVERS = ("uvicorn.", "daphne.", "hypercorn.")


def can_step(send: Any) -> bool:
    """Whether `send` is a plain coroutine function of a server that is known."""
    while isinstance(send, partial):
        send = send.func
    return inspect.iscoroutinefunction(send) and send.__module__.startswith(SERVERS)


def begin(work: Coroutine[Any, Any, None]) -> Awaitable[None] | None:
    """Run `work` up to where it first waits; what is left of it, to be awaited in a task.

    None: nothing is left, it is done. What it raises, this raises.
    """
    try:
        awaited = work.send(None)
    except StopIteration:
        return None
    return _rest(work, awaited)


@coroutine
def _rest(work: Coroutine[Any, Any, None], awaited: Any) -> Generator[Any, Any, None]:
    # What `await work` does, from the second step on.
    try:
        while True:
            try:
                result = yield awaited
            except BaseException as error:
                awaited = work.throw(error)
            else:
                awaited = work.send(result)
    except StopIteration:
        return
