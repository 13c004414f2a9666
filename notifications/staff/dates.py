"""Choosing years, months and days of a long list, without walking through it.

Django's own `date_hierarchy` reads the dates of all rows. Here the database is asked of each year,
month or day whether there is anything, in one statement, and answers from an index on the time.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from django.db.models import QuerySet, Subquery
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.text import capfirst

from ..models import Head

FIELDS = ("year", "month", "day")
TITLES = ("Y", "YEAR_MONTH_FORMAT", "MONTH_DAY_FORMAT")


@dataclass(frozen=True, slots=True)
class Span:
    """A year, a month of it, or a day of that, in the current time zone."""

    parts: tuple[int, ...]

    @property
    def start(self) -> datetime:
        """Raises ValueError for what is in no calendar."""
        year, month, day = (*self.parts, 1, 1)[:3]
        return timezone.make_aware(datetime(year, month, day))

    @property
    def end(self) -> datetime:
        first = timezone.make_naive(self.start)
        if len(self.parts) == 3:
            return timezone.make_aware(first + timedelta(days=1))
        if len(self.parts) == 2:
            return timezone.make_aware((first + timedelta(days=32)).replace(day=1))
        return timezone.make_aware(first.replace(year=first.year + 1))

    def of(self, rows: QuerySet[Any], field: str) -> QuerySet[Any]:
        return rows.filter(**{f"{field}__gte": self.start, f"{field}__lt": self.end})

    def query(self, field: str) -> dict[str, int]:
        """As the list's address says it."""
        return {f"{field}__{f}": n for f, n in zip(FIELDS, self.parts, strict=False)}

    @property
    def title(self) -> str:
        return capfirst(date_format(self.start, TITLES[len(self.parts) - 1]))


def chosen(params: Any, field: str) -> Span | None:
    """What the list's address asks for. It need not be in a calendar."""
    given = [params.get(f"{field}__{name}") for name in FIELDS]
    return Span(tuple(map(int, takewhile(bool, given)))) if given[0] else None


def choices(rows: QuerySet[Any], field: str, within: Span | None) -> list[Span]:
    """The spans within it, or years, in which there are `rows`."""
    possible = _possible(rows, field, within)
    if not possible:
        return []
    # The first of each, in the order of the index. To tell whether there is any, PostgreSQL would
    # walk through the table until it meets one.
    times = rows.order_by(field).values(field)
    firsts = Head.objects.values_list(*(Subquery(s.of(times, field)[:1]) for s in possible))
    return [span for span, first in zip(possible, firsts[0], strict=True) if first]


def _possible(rows: QuerySet[Any], field: str, within: Span | None) -> list[Span]:
    if within is None:
        ends = rows.order_by(field)
        # Two questions, each of which an index answers; of both in one, SQLite reads all rows.
        first, last = (
            each.values_list(field, flat=True).first() for each in (ends, ends.reverse())
        )
        if first is None or last is None:
            return []
        years = timezone.localtime(first).year, timezone.localtime(last).year
        return [Span((year,)) for year in range(years[0], years[1] + 1)]
    if len(within.parts) == 1:
        return [Span((*within.parts, month)) for month in range(1, 13)]
    if len(within.parts) == 2:
        days = (timezone.make_naive(within.end) - timedelta(days=1)).day
        return [Span((*within.parts, day)) for day in range(1, days + 1)]
    return []
