"""Many values, a few hundred in one statement."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from django.db import connection

T = TypeVar("T")

PARAMETERS = 500  # values in one IN (...): well below what any database refuses
MANY = 5_000  # where it refuses none, and each statement costs more than its values


def batches(values: Iterable[T], size: int = PARAMETERS) -> Iterator[list[T]]:
    """`values` in their order, at most `size` in each list."""
    rest = iter(values)
    while part := list(islice(rest, size)):
        yield part


def large_batches(values: Iterable[T]) -> Iterator[list[T]]:
    """`values` in as few lists as this database takes well."""
    return batches(values, PARAMETERS if connection.features.max_query_params else MANY)
