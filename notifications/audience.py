"""For whom a message is, and the rows that give those people the right to read it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import models, transaction
from django.db.models import Q, QuerySet, Value
from django.dispatch import Signal
from django.utils.translation import gettext as _

from .models import Message, Recipient

CHUNK = 20_000  # users: INSERT ... SELECT writes them in some 30 ms, then others get the lock
PARAMETERS = 500  # values in one IN (...): well below what any database refuses

# Sent after each chunk of recipients, with how many `rows` it wrote: somebody may be waiting.
enlisted = Signal()


class Everyone:
    """All accounts that exist when the message is published."""

    def __repr__(self) -> str:
        return "EVERYONE"


EVERYONE: Final = Everyone()


@dataclass
class Audience:
    """What `to=` says, checked: everyone; or querysets of users, and groups."""

    everyone: bool = False
    users: list[QuerySet[Any]] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)

    @classmethod
    def of(cls, to: Any) -> "Audience":
        """`to`: EVERYONE; a user, a group, a queryset of either; or an iterable of those.

        Raises ValidationError (`to`) for anything else, for an unsaved object, and for nobody.
        """
        if to is EVERYONE:
            return cls(everyone=True)
        audience = cls()
        pks: list[Any] = []
        single = isinstance(to, models.Model | QuerySet | str) or not isinstance(to, Iterable)
        for one in [to] if single else to:
            audience._add(one, pks)
        audience.users += [_users().filter(pk__in=part) for part in _parts(pks)]
        if not audience.users and not audience.groups:
            raise ValidationError({"to": _("Name at least one user or group, or use EVERYONE.")})
        return audience

    def _add(self, one: Any, pks: list[Any]) -> None:
        user_model = get_user_model()
        if isinstance(one, QuerySet) and issubclass(one.model, user_model):
            if one.query.is_sliced:  # MariaDB has no LIMIT in a subquery
                pks += one.values_list("pk", flat=True)
            else:
                self.users.append(_users().filter(pk__in=one.order_by().values("pk")))
        elif isinstance(one, QuerySet) and issubclass(one.model, Group):
            self.groups += one
        elif isinstance(one, user_model) and one.pk is not None:
            pks.append(one.pk)
        elif isinstance(one, Group) and one.pk is not None:
            _members([one])  # says so now when this user model has no groups
            self.groups.append(one)
        else:
            message = _("%(what)r is not a saved user or group, a queryset of them, or EVERYONE.")
            raise ValidationError({"to": message % {"what": one}})

    def people(self) -> QuerySet[Any]:
        """The accounts it comes to at this moment, each once."""
        if self.everyone:
            return _users().all()
        found = Q(pk__in=[])
        for users in self.users:
            found |= Q(pk__in=users.values("pk"))
        if self.groups:
            found |= Q(pk__in=_members(self.groups).values("pk"))
        return _users().filter(found)

    def attach(self, message: Message) -> None:
        """Write the audience of the new `message`, in the sender's transaction.

        Members of groups are looked up when the message is published (`enlist_members`).
        Raises ValidationError (`to`) when the users asked for turn out to be nobody.
        """
        if self.groups:
            message.groups.set(self.groups)
        written = sum(
            _write(message, chunk, Recipient.Via.NAME)
            for users in self.users
            for chunk in _chunks(users)
        )
        if not (self.everyone or self.groups or written):
            raise ValidationError({"to": _("Nobody matches: no message was written.")})


def enlist_members(message: Message, go_on: Callable[[], bool] = lambda: True) -> bool:
    """Write a row for each member that the groups of the unpublished `message` have now.

    In chunks with a transaction each, so that nobody waits long, and again from the start after a
    kill: who has left the groups since is struck off. Until the message is published the rows
    give no right. Before each chunk `go_on` is asked; False as soon as that is.
    """
    groups = list(message.groups.all())
    written = message.recipients.filter(via=Recipient.Via.GROUP)
    if written.exists():
        members = _members(groups).values("pk")
        written.exclude(user_id__in=members).delete()
    for chunk in _chunks(_members(groups)):
        if not go_on():
            return False
        with transaction.atomic():
            _write(message, chunk, Recipient.Via.GROUP)
    return True


def _users() -> models.Manager[Any]:
    return get_user_model()._default_manager


def _members(groups: list[Group]) -> QuerySet[Any]:
    try:
        get_user_model()._meta.get_field("groups")
    except FieldDoesNotExist as error:
        message = _("This project's user model has no groups: name users instead.")
        raise ValidationError({"to": message}) from error
    return _users().filter(groups__in=groups)


def _parts(values: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(values), PARAMETERS):
        yield values[start : start + PARAMETERS]


def _chunks(users: QuerySet[Any]) -> Iterator[QuerySet[Any]]:
    """`users` by ranges of the primary key, at most CHUNK in each."""
    rest = users.order_by("pk")
    while bound := rest.values_list("pk", flat=True)[CHUNK - 1 : CHUNK].first():
        yield rest.filter(pk__lte=bound)
        rest = users.filter(pk__gt=bound).order_by("pk")
    yield rest


def _write(message: Message, users: QuerySet[Any], via: Recipient.Via) -> int:
    """Make `users` recipients of `message`; how many were not yet."""
    rows = users.values_list(
        Value(message.pk, models.BigIntegerField()), "pk", Value(via, models.CharField())
    )
    written = Recipient.objects.write(rows, ["message", "user", "via"])
    enlisted.send(sender=Recipient, rows=written)
    return written
