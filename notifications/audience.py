"""For whom a message is, and the rows that give those people the right to read it."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import models, transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.dispatch import Signal
from django.utils.translation import gettext as _

from .batches import batches, one_of
from .models import Message, Recipient

CHUNK = 20_000  # users: INSERT ... SELECT writes them in some 30 ms, then others get the lock

# Sent after each chunk of recipients, with how many `rows` it wrote: somebody may be waiting.
enlisted = Signal()


class Everyone:
    """All accounts that exist when the message is published."""

    def __repr__(self) -> str:
        return "EVERYONE"


EVERYONE: Final = Everyone()


class Keys(list[Any]):
    """Users by their primary keys, where the accounts are not loaded: they may be many."""

    @classmethod
    def of(cls, named: dict[str, Any] | None) -> "list[Keys]":
        """Of accounts' keys by their names, what goes into `to`: nothing if nobody is named."""
        return [cls(named.values())] if named else []


@dataclass
class Audience:
    """What `to=` says, checked: everyone; or querysets of users, users by their keys, and groups.
    `without`: those who are left out."""

    everyone: bool = False
    users: list[QuerySet[Any]] = field(default_factory=list)
    pks: list[Any] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    without: "Audience | None" = None

    @classmethod
    def of(cls, to: Any, exclude: Any = ()) -> "Audience":
        """`to`: EVERYONE; a user, a group, a queryset of either; or an iterable of those.
        `exclude`: the same without EVERYONE, or nobody.

        Raises ValidationError (`to`, `exclude`) for anything else, for an unsaved object, and for
        nobody to send to.
        """
        audience = cls(everyone=True) if to is EVERYONE else cls._named(to, "to")
        if not (audience.everyone or audience._names_somebody):
            raise ValidationError({"to": _("Name at least one user or group, or use EVERYONE.")})
        without = cls._named(exclude, "exclude")
        audience.without = without if without._names_somebody else None
        return audience

    @classmethod
    def _named(cls, these: Any, argument: str) -> "Audience":
        audience, user_model = cls(), get_user_model()
        kinds = models.Model | QuerySet | Keys | str
        single = isinstance(these, kinds) or not isinstance(these, Iterable)
        for one in [these] if single else these:
            if isinstance(one, user_model) and one.pk is not None:  # of which there may be many
                audience.pks.append(one.pk)
            elif isinstance(one, Keys):
                audience.pks += one
            else:
                audience._add(one, argument)
        audience.pks = list(dict.fromkeys(audience.pks))
        return audience

    def _add(self, one: Any, argument: str) -> None:
        if isinstance(one, QuerySet) and issubclass(one.model, get_user_model()):
            if one.query.is_sliced:  # MariaDB has no LIMIT in a subquery
                self.pks += one.values_list("pk", flat=True)
            else:
                self.users.append(_users().filter(pk__in=one.order_by().values("pk")))
        elif isinstance(one, QuerySet) and issubclass(one.model, Group):
            self.groups += one
        elif isinstance(one, Group) and one.pk is not None:
            _members([one])  # says so now when this user model has no groups
            self.groups.append(one)
        else:
            message = _("%(what)r is not a saved user or group, a queryset of them, or EVERYONE.")
            raise ValidationError({argument: message % {"what": one}})

    @property
    def _names_somebody(self) -> bool:
        return bool(self.users or self.pks or self.groups)

    def everybody(self) -> QuerySet[Any]:
        """The accounts it comes to at this moment, each once, with those who are left out."""
        return _users().all() if self.everyone else _users().filter(self.condition())

    def size(self) -> int:
        """How many `everybody` is."""
        return self.sizes(Audience())[0]

    def sizes(self, other: "Audience") -> tuple[int, int]:
        """How many `everybody` is, and how many of them are in the `other` audience, too.

        Of groups by adding up: how many are in any of them, an index tells. To look for each member
        of one in the other takes several times as long.
        """
        if self._is_groups and other._is_groups:
            lists = self.groups, other.groups, self.groups + other.groups
            size, others, together = _count_members(*lists)
            return size, size + others - together
        size = _count_members(self.groups)[0] if self._is_groups else self.everybody().count()
        if not other._names_somebody:
            return size, 0
        if self.everyone:
            return size, other.size()
        return size, self.everybody().filter(other.condition()).count()

    @property
    def _is_groups(self) -> bool:
        return not (self.everyone or self.users or self.pks) and bool(self.groups)

    def some(self) -> QuerySet[Any]:
        """Of `everybody`, those who are found most quickly, but for users by their keys; some of
        them twice."""
        if self.everyone:
            return _users().order_by("pk")
        if self.groups:
            return _members(self.groups)
        return self.users[0] if self.users else _users().none()

    def among(self, pks: Collection[Any]) -> set[Any]:
        """Who of these users it comes to."""
        found = set(pks) if self.everyone else set(pks).intersection(self.pks)
        if self.users or self.groups:
            held = replace(self, pks=[]).key_if_held()
            for these in one_of(pks, get_user_model()._meta.pk):
                rows = _users().filter(these).annotate(held=held)
                found.update(pk for pk in rows.values_list("held", flat=True) if pk is not None)
        return found - (self.without.among(pks) if self.without else set())

    def key_if_held(self) -> Any:
        """Of an account that it comes to the primary key, of others NULL, for `annotate`. Unlike
        `condition` never answered by reading all whom it comes to."""
        if self.everyone:
            return F("pk")
        found = [users.filter(pk=OuterRef("pk")).values("pk")[:1] for users in self._by_name()]
        if self.groups:
            member = _member_field()
            rows = _memberships(self.groups).filter(**{member: OuterRef("pk")})
            found.append(rows.values(member)[:1])
        of_each: list[Any] = [Subquery(rows) for rows in found]
        key = get_user_model()._meta.pk
        return Coalesce(*of_each, Value(None), Value(None), output_field=key)

    def condition(self) -> Q:
        """Of accounts that it comes to."""
        if self.everyone:
            return ~Q(pk__in=[])
        if self._is_groups:
            # Asked of each account that is looked at, not read for all: those may be few.
            return Q(Exists(_memberships(self.groups).filter(**{_member_field(): OuterRef("pk")})))
        found = Q(pk__in=[])
        for users in self._by_name():
            found |= Q(pk__in=users.values("pk"))
        if self.groups:
            found |= Q(pk__in=_memberships(self.groups).values(_member_field()))
        return found

    def _by_name(self) -> list[QuerySet[Any]]:
        return [*self.users, *self._by_key()]

    def _in_chunks(self) -> Iterator[QuerySet[Any]]:
        for users in self.users:
            yield from _chunks(users)
        yield from self._by_key()

    def _by_key(self) -> Iterator[QuerySet[Any]]:
        return (_users().filter(pk__in=part) for part in batches(self.pks))

    def attach(self, message: Message) -> None:
        """Write the audience of the new `message`, in the sender's transaction.

        Members of groups, also of those left out, are looked up when the message is published
        (`enlist_members`), and so are all accounts when some are left out. Raises ValidationError
        (`to`) when the users asked for turn out to be nobody.
        """
        if self.groups:
            message.groups.set(self.groups)
        if self.without:
            self._leave_out(message, self.without)
        written = 0
        for chunk in self._in_chunks():
            if self.without:
                chunk = chunk.exclude(pk__in=message.excluded_users.values("pk"))
            written += _write(message, chunk, Recipient.Via.NAME)
        if not (self.everyone or self.groups or written):
            raise ValidationError({"to": _("Nobody matches: no message was written.")})

    @staticmethod
    def _leave_out(message: Message, without: "Audience") -> None:
        message.excluded_groups.set(without.groups)
        for users in without._by_name():
            message.excluded_users.add(*users.values_list("pk", flat=True))


def enlist_members(message: Message, go_on: Callable[[], bool] = lambda: True) -> bool:
    """Write a row for each of those whom the unpublished `message` is for as of now: members of its
    groups, or all accounts but some.

    In chunks with a transaction each, so that nobody waits long, and again from the start after a
    kill: who has left the groups since is struck off. Until the message is published the rows
    give no right. Before each chunk `go_on` is asked; False as soon as that is.
    """
    members = _users().all() if message.everyone_but else _members(list(message.groups.all()))
    members = members.exclude(pk__in=message.excluded_users.values("pk"))
    if left_out := list(message.excluded_groups.all()):
        those = _members(left_out).values("pk")
        members = members.exclude(pk__in=those)
        message.recipients.filter(user_id__in=those).delete()  # also who was named
    written = message.recipients.filter(via=Recipient.Via.GROUP)
    if written.exists():
        written.exclude(user_id__in=members.values("pk")).delete()
    for chunk in _chunks(members):
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


def _memberships(groups: list[Group]) -> QuerySet[Any]:
    """As `_members`, from the table that says who is in which group."""
    field: Any = get_user_model()._meta.get_field("groups")
    rows = field.remote_field.through._default_manager
    return rows.filter(**{f"{field.m2m_reverse_field_name()}__in": groups})


def _member_field() -> str:
    field: Any = get_user_model()._meta.get_field("groups")
    return field.m2m_field_name()


def _count_members(*lists: list[Group]) -> tuple[int, ...]:
    """How many are in any group of each list. Without a look at the accounts, unless some are
    hidden."""
    field: Any = get_user_model()._meta.get_field("groups")
    every = {group for groups in lists for group in groups}
    rows, member = _memberships([*every]), _member_field()
    if _users().all().query.where:
        rows = rows.filter(**{f"{member}__in": _users().values("pk")})
    counts = {}
    for number, groups in enumerate(lists):
        some = set(groups)
        which = Q(**{f"{field.m2m_reverse_field_name()}__in": some}) if some != every else None
        # Nobody is twice in one, of which indexes know the rows by primary key.
        what = Count(member, distinct=True, filter=which)
        counts[f"n{number}"] = what if len(some) > 1 else Count("pk", filter=which)
    return tuple(rows.aggregate(**counts).values())


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
