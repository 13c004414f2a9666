"""How far one message has come: for how many it is, who has it, saw it, read it, and when.

Counted when asked, by the rows that there are anyway: nothing is written for statistics' sake but
one number, in the report of each server process.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import TruncHour, TruncMinute
from django.utils import timezone

from ..audience import Audience
from ..models import Inbox, Message, Process, Recipient
from . import headcount, reach

BY_MINUTE = timedelta(hours=3)  # up to this age; then by the hour
BY_HOUR = timedelta(days=7)  # then by the day


@dataclass(frozen=True, slots=True)
class Step:
    """A minute, an hour or a day: from `at` on so many read the message for the first time."""

    at: datetime
    reads: int


@dataclass(frozen=True, slots=True)
class Reading:
    """`streamed` is None when no process knows it, any more or yet."""

    message: Message
    audience: int
    sent: int
    streamed: int | None
    seen: int
    read: int
    unit: timedelta
    steps: list[Step]


def reading(key: str) -> Reading | None:
    """Of the message with that primary key, as text."""
    message = Message.objects.of_people().filter(pk=key).first() if key.isdecimal() else None
    return of(message) if message else None


def of(message: Message) -> Reading:
    if message.position is None:
        people = headcount.count(planned(message)).people
        return Reading(message, people, 0, None, 0, 0, timedelta(days=1), [])
    rows = Recipient.objects.filter(message=message)
    unit = _unit(message)
    reads = _reads(rows, unit)
    read = reads.total()
    audience = reach.of(message).recipients or 0
    sent = audience
    if message.everyone:
        sent = _inboxes().filter(since__lt=message.position).count()
    counted = seen([message], {message.pk: read})[message.pk]
    handed = streamed([message]).get(message.pk)
    steps = _steps(message, reads, unit)
    return Reading(message, audience, sent, handed, counted, read, unit, steps)


def _users() -> Any:
    return get_user_model()._default_manager


def seen(messages: Collection[Message], read: Mapping[int, int]) -> dict[int, int]:
    """How many have seen each of these published messages, by primary key: have had it before them
    in a list, or have read it, also by its link from elsewhere. `read`: how many have read each."""
    to_all = [message for message in messages if message.everyone]
    named = [message for message in messages if not message.everyone]
    # Of each reader's own row: of a join PostgreSQL may think that it had better read all.
    up_to = Inbox.objects.filter(user_id=OuterRef("user_id")).values("seen")
    rows = Recipient.objects.alias(up_to=Subquery(up_to)).order_by().values_list("message_id")
    position = F("message__position")
    looked = rows.filter(message__in=named, first_read_at=None, up_to__gte=position)
    # Of a message to everyone only those have a row who did something with it.
    late = rows.filter(message__in=to_all, first_read_at__isnull=False, up_to__lt=position)
    found = Counter({message.pk: read[message.pk] for message in named})
    for some in looked, late:
        found.update(dict(some.annotate(count=Count("pk"))))
    if to_all:
        who = {
            str(m.pk): Count("pk", filter=Q(since__lt=m.position, seen__gte=m.position))
            for m in to_all
        }
        inboxes = _inboxes().filter(seen__gte=min(m.position or 0 for m in to_all))
        found.update({int(key): count for key, count in inboxes.aggregate(**who).items()})
    return found


def _inboxes() -> QuerySet[Inbox]:
    """Of accounts that there are: an inbox outlives its user."""
    return Inbox.objects.filter(Exists(_users().filter(pk=OuterRef("user_id"))))


def planned(message: Message) -> Audience:
    """For whom it would be if it were published now."""
    named = _users().filter(pk__in=message.recipients.filter(via="name").values("user_id"))
    not_named = message.excluded_users.all()
    without = Audience(users=_some(not_named), groups=list(message.excluded_groups.all()))
    to_all = message.everyone or message.everyone_but
    return Audience(to_all, _some(named), groups=list(message.groups.all()), without=without)


def _some(users: QuerySet[Any]) -> list[QuerySet[Any]]:
    """As part of an audience, which is counted more quickly without a part that is nobody."""
    return [users] if users.exists() else []


def streamed(messages: Collection[Message]) -> dict[int, int]:
    """To how many streams each was handed, by primary key, as far as processes report: each
    remembers its last messages, while its row lasts."""
    told = list(Process.objects.values_list("streamed", flat=True))
    found = {m.pk: [row[str(m.pk)] for row in told if str(m.pk) in row] for m in messages}
    return {pk: sum(numbers) for pk, numbers in found.items() if numbers}


# ------------------------------------------------------------------------------ reads over time


def _unit(message: Message) -> timedelta:
    assert message.published_at
    age = _end(message) - message.published_at
    if age <= BY_MINUTE:
        return timedelta(minutes=1)
    return timedelta(hours=1) if age <= BY_HOUR else timedelta(days=1)


def _end(message: Message) -> datetime:
    return message.withdrawn_at or message.expired_at or timezone.now()


def _reads(rows: QuerySet[Recipient], unit: timedelta) -> Counter[datetime]:
    """How many have read it for the first time in each unit of time, by its beginning."""
    # In UTC, for which MariaDB needs no tables of time zones; days are put together here.
    trunc = Minute if unit == timedelta(minutes=1) else Hour
    found = rows.filter(first_read_at__isnull=False).order_by()
    counted = found.annotate(at=trunc("first_read_at", tzinfo=UTC)).values_list("at")
    reads: Counter[datetime] = Counter()
    for at, count in counted.annotate(count=Count("pk")):
        reads[_begin(at, unit)] += count
    return reads


class Hour(TruncHour):
    """On SQLite a time is text, which begins with the hour: Django would ask Python for each."""

    beginning = 13  # characters of "2030-12-24 18:00:00"

    def as_sqlite(self, compiler: Any, connection: Any, **more: Any) -> Any:
        sql, params = compiler.compile(self.lhs)
        rest = "0000-00-00 00:00:00"[self.beginning :]
        return f"SUBSTR({sql}, 1, {self.beginning}) || '{rest}'", params


class Minute(TruncMinute):
    beginning, as_sqlite = 16, Hour.as_sqlite


def _steps(message: Message, reads: Counter[datetime], unit: timedelta) -> list[Step]:
    """One for each unit of time from publishing until now, or until the message was over."""
    assert message.published_at
    # An application server's clock may be behind the one that published it.
    at = min([_begin(message.published_at, unit), *reads])
    end = max([_begin(_end(message), unit), *reads])
    steps = []
    while at <= end:
        steps.append(Step(at, reads[at]))
        at = _begin(
            at + unit * 1.5, unit
        )  # in the midst of the next, also where a day has 23 hours
    return steps


def _begin(at: datetime, unit: timedelta) -> datetime:
    """Of the minute, the hour, or the day in the current time zone, in which `at` is."""
    if unit == timedelta(days=1):
        local = timezone.localtime(at)
        return timezone.make_aware(datetime(local.year, local.month, local.day))
    hour = at.replace(second=0, microsecond=0)
    return hour if unit == timedelta(minutes=1) else hour.replace(minute=0)
