"""Whom messages reach, and how many have read them: for staff.

Counted for a page of messages at a time, in a handful of queries however many there are.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Count, OuterRef, Q, Subquery

from ..models import Message, Recipient
from . import words


@dataclass(frozen=True, slots=True)
class Reach:
    """`audience` in words. `recipients` is None until the message is published; `enlisted`: for so
    many rows are written, also before that."""

    audience: str
    recipients: int | None
    enlisted: int
    read: int


def attach(messages: Sequence[Message]) -> None:
    """Give each message its `reach`."""
    counted = _counted(messages)
    accounts = _accounts([m for m in messages if m.everyone and m.published_at])
    groups = _groups(messages)
    users = _first_users([m for m in messages if counted[m.pk]["named"]])
    left_out = _left_out(messages)
    for message in messages:
        numbers = counted[message.pk]
        named = numbers["named"]
        recipients = accounts[message.pk] if message.pk in accounts else numbers["all"]
        to_all = message.everyone or message.everyone_but
        to = words.audience(to_all, groups[message.pk], users.get(message.pk, []), named)
        message.reach = Reach(  # type: ignore[attr-defined]
            words.but(to, left_out[message.pk], len(left_out[message.pk])),
            recipients if message.published_at else None,
            numbers["all"],
            numbers["read"],
        )


def of(message: Message) -> Reach:
    """The message's own, counted unless it has been."""
    if not hasattr(message, "reach"):
        attach([message])
    found: Reach = message.reach  # type: ignore[attr-defined]
    return found


def _counted(messages: Sequence[Message]) -> dict[int, dict[str, int]]:
    rows = Recipient.objects.filter(message__in=messages).order_by().values("message_id")
    rows = rows.annotate(
        all=Count("pk"),
        named=Count("pk", filter=Q(via=Recipient.Via.NAME)),
        read=Count("first_read_at"),
    )
    counted: dict[int, Any] = {row["message_id"]: row for row in rows}
    return {m.pk: counted.get(m.pk, {"all": 0, "named": 0, "read": 0}) for m in messages}


def _accounts(messages: Sequence[Message]) -> dict[int, int]:
    """How many accounts of today existed when each was published."""
    users: Any = get_user_model()._default_manager
    try:
        users.model._meta.get_field("date_joined")
    except FieldDoesNotExist:
        return dict.fromkeys([m.pk for m in messages], users.count() if messages else 0)
    if not messages:
        return {}
    # Once over all accounts, and then only over those who came later, mostly few.
    first = min(m.published_at for m in messages if m.published_at)
    before = users.filter(date_joined__lte=first).count()
    later = users.filter(date_joined__gt=first).aggregate(
        **{
            f"m{m.pk}": Count("pk", filter=Q(date_joined__lte=m.published_at))
            for m in messages
            if m.published_at != first
        }
    )
    return {m.pk: before + later.get(f"m{m.pk}", 0) for m in messages}


def _first_users(messages: Sequence[Message]) -> dict[int, list[str]]:
    """The names of the first who were named."""
    # By user, as the index has them: by their own key, PostgreSQL may walk all rows there are.
    named = Recipient.objects.filter(message=OuterRef("pk"), via=Recipient.Via.NAME)
    named = named.order_by("user_id")
    names = named.values(f"user__{get_user_model().USERNAME_FIELD}")
    nth = [Subquery(names[n : n + 1]) for n in range(words.LISTED)]
    rows = Message.objects.filter(pk__in=[m.pk for m in messages]).values_list("pk", *nth)
    return {pk: [name for name in found if name is not None] for pk, *found in rows}


def _groups(messages: Sequence[Message]) -> dict[int, list[str]]:
    return _names(messages, "groups", "name")


def _left_out(messages: Sequence[Message]) -> dict[int, list[str]]:
    """Who is left out: groups, then users."""
    found = _names(messages, "excluded_groups", "name")
    users = _names(messages, "excluded_users", get_user_model().USERNAME_FIELD)
    for message_id, names in users.items():
        found[message_id] += names
    return found


def _names(messages: Sequence[Message], relation: str, name: str) -> dict[int, list[str]]:
    """From the table of the relation: MariaDB may walk that of the messages, asked by theirs."""
    field: Any = Message._meta.get_field(relation)
    path = f"{field.m2m_reverse_field_name()}__{name}"
    rows = field.remote_field.through._default_manager.filter(message__in=messages)
    found: dict[int, list[str]] = defaultdict(list)
    for message_id, each in rows.order_by(path).values_list("message_id", path):
        found[message_id].append(each)
    return found
