"""Many values, a few hundred in one statement."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

PARAMETERS = 500  # values in one IN (...): well below what any database refuses


def batches(values: Iterable[T], size: int = PARAMETERS) -> Iterator[list[T]]:
    """`values` in their order, at most `size` in each list."""
    rest = iter(values)
    while part := list(islice(rest, size)):
        yield part
