"""Why somebody got a message, or did not: in words, for staff who are asked.

What is said is what the rows say, which give the right to read. What they do not tell, such as who
was in a group last year, is said not to be known.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from ..models import Inbox, Message, Recipient
from . import words
from .reading import planned

Why = Iterator[str]


@dataclass(frozen=True, slots=True)
class Answer:
    """`verdict` is one sentence, `reasons` are those that explain it."""

    verdict: str
    reasons: list[str]


def explain(message: Message, user: Any) -> Answer:
    name = {"name": user.get_username()}
    if message.position is None:
        return Answer(_unpublished(message, user) % name, list(_waiting(message)))
    row = Recipient.objects.filter(message=message, user_id=user.pk).first()
    inbox = Inbox.objects.filter(pk=user.pk).first()
    if message.everyone:
        reasons = list(_late(message, user, inbox))
    else:
        reasons = [] if row else list(_not_addressed(message, user))
    if reasons:
        return Answer(_("%(name)s did not get it.") % name, reasons)
    if message.everyone and inbox is None:
        verdict = _("It is for %(name)s, who has not been here yet, and finds it on coming.")
        if message.is_over:
            verdict = _("It was for %(name)s, who has not been here while it was to be read.")
    else:
        verdict = _("%(name)s got it.")
    return Answer(verdict % name, list(_got(message, user, row, inbox)))


# ----------------------------------------------------------------------------- not published


def _unpublished(message: Message, user: Any) -> str:
    if message.is_over or message.withdraw_at:
        return _("%(name)s did not get it, and nobody else did.")
    if planned(message).among([user.pk]):
        return _("%(name)s will get it, as things are now.")
    return _("%(name)s will not get it, as things are now.")


def _waiting(message: Message) -> Why:
    if message.withdrawn_at or message.withdraw_at:
        yield _("It was withdrawn before it was published, on %(when)s.") % _when(
            message.withdrawn_at or message.withdraw_at
        )
    elif message.expired_at:
        yield _("It had expired before it could be published, on %(when)s.") % _when(
            message.expires_at or message.expired_at
        )
    elif message.publish_at is None:
        yield _("It is a draft.")
    else:
        yield _("It is to be published on %(when)s.") % _when(message.publish_at)
        yield _("Members of groups are those who are in them at that moment.")


# ---------------------------------------------------------------------------------- published


def _late(message: Message, user: Any, inbox: Inbox | None) -> Why:
    """Why a message to everyone is not for this user."""
    joined = getattr(user, "date_joined", None)
    # As `Inbox.since` is fixed, or will be when the inbox is made.
    late = inbox.since >= (message.position or 0) if inbox else _joined_after(message, joined)
    if late:
        yield _then(message)
        if joined:
            yield _("This account was made on %(when)s.") % _when(joined)


def _joined_after(message: Message, joined: Any) -> bool:
    return bool(joined and message.published_at and joined > message.published_at)


def _not_addressed(message: Message, user: Any) -> Why:
    if left_out := _left_out(message, user):
        yield left_out
    elif message.everyone_but:
        yield _then(message)
    elif joined := _groups(message.groups, user):
        yield _("It was sent to %(groups)s, of which this account is a member now.") % _of(joined)
        yield _("It was none when the message was published, on %(when)s.") % _when(
            message.published_at
        )
    elif groups := list(message.groups.values_list("name", flat=True)):
        yield _("It was not addressed by name.")
        yield _("It was sent to %(groups)s, of which this account is no member.") % _of(groups)
        yield _("It never was, or had left before the message was published, on %(when)s.") % _when(
            message.published_at
        )
    else:
        yield _("It was not addressed by name, and the message is for no group.")
    yield from _account(user)


def _left_out(message: Message, user: Any) -> str:
    if message.excluded_users.filter(pk=user.pk).exists():
        return _("It is left out by name.")
    if groups := _groups(message.excluded_groups, user):
        return _("Members of %(groups)s are left out.") % _of(groups)
    return ""


def _groups(groups: Any, user: Any) -> list[str]:
    """Those of them in which the user is now."""
    mine = getattr(user, "groups", None)
    names = groups.filter(pk__in=mine.values("pk")) if mine is not None else groups.none()
    return list(names.order_by("name").values_list("name", flat=True))


# ---------------------------------------------------------------------------------- received


def _got(message: Message, user: Any, row: Recipient | None, inbox: Inbox | None) -> Why:
    if message.everyone or message.everyone_but or row is None:
        yield _("It is for everyone.") if message.everyone else _("It is for everyone but some.")
    elif row.via == Recipient.Via.NAME:
        yield _("It was addressed by name.")
    else:
        yield _("It came as to a member of a group.")
    yield _("It was published on %(when)s.") % _when(message.published_at)
    if inbox and inbox.seen >= (message.position or 0):
        yield _("The bell or the list has been looked at since.")
    else:
        yield _("Neither the bell nor the list has been looked at since.")
        yield _("Whether a stream of the account was open at that moment is not recorded.")
    yield from _read(row)
    if message.withdrawn_at:
        yield _("It was withdrawn on %(when)s: since then it is in no list.") % _when(
            message.withdrawn_at
        )
    elif message.expired_at:
        yield _("It expired on %(when)s: since then it is in no list.") % _when(message.expired_at)
    yield from _account(user)


def _read(row: Recipient | None) -> Why:
    if row is None or row.first_read_at is None:
        yield _("It has not been read.")
    else:
        yield _("It was first read on %(when)s.") % _when(row.first_read_at)
        if row.read_at is None:
            yield _("It has been marked unread again.")
    if row and row.archived_at:
        yield _("It was archived on %(when)s, so it is not in the list.") % _when(row.archived_at)


def _account(user: Any) -> Why:
    if not user.is_active:
        yield _("The account is inactive: whoever cannot log in reads nothing.")


def _then(message: Message) -> str:
    said = _("It is for the accounts that there were when it was published, on %(when)s.")
    return said % _when(message.published_at)


def _of(groups: list[str]) -> dict[str, str]:
    return {"groups": ", ".join(groups)}


def _when(at: Any) -> dict[str, str]:
    return {"when": words.moment(at)}
