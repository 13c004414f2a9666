"""What staff read about a message, in the admin and from the commands."""

from collections.abc import Sequence
from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.timesince import timeuntil
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..models import Message

LISTED = 3  # names that are written out; the rest are counted


def moment(at: datetime) -> str:
    """`at` with its zone, so that nobody has to guess whose clock is meant."""
    local = timezone.localtime(at)
    return f"{date_format(local, 'DATETIME_FORMAT')} {local.tzname()}"


def zone() -> str:
    """Whose clock is meant where times are typed."""
    return _("Times are in %(zone)s.") % {"zone": timezone.get_current_timezone_name()}


def standing(message: Message) -> str:
    """draft, scheduled, sending, live, expired or withdrawn: as `listing.STATES` has them."""
    if message.withdrawn_at or message.withdraw_at:
        return "withdrawn"
    if message.expired_at:
        return "expired"
    if message.published_at:
        return "live"
    if message.publish_at is None:
        return "draft"
    return "scheduled" if message.publish_at > timezone.now() else "sending"


def note(message: Message) -> str:
    """What there is to say of the state in addition: since when, until when, in how long."""
    state = standing(message)
    if state == "scheduled" and message.publish_at:
        said = {"when": moment(message.publish_at), "left": timeuntil(message.publish_at, depth=1)}
        return _("%(when)s, in %(left)s") % said
    if state == "live":
        return (
            _("until %(when)s") % {"when": moment(message.expires_at)} if message.expires_at else ""
        )
    ended = {
        "withdrawn": message.withdraw_at or message.withdrawn_at,
        "expired": message.expired_at,
    }
    return moment(at) if (at := ended.get(state)) else ""


def audience(everyone: bool, groups: Sequence[str], users: Sequence[str], named: int) -> str:
    """For whom: "everyone", or "crew, alice and 3 more".

    users: the first of those who are addressed by name; named: how many these are altogether.
    """
    if everyone:
        return _("everyone")
    listed = [*groups, *users][:LISTED]
    if not listed:
        return _("nobody")
    names, more = ", ".join(listed), len(groups) + named - len(listed)
    if not more:
        return names
    text = ngettext("%(names)s and %(count)d more", "%(names)s and %(count)d more", more)
    return text % {"names": names, "count": more}


def but(audience: str, left_out: Sequence[str], count: int) -> str:
    """`audience` without those: the names of the first, and how many these are altogether."""
    if not count:
        return audience
    listed = left_out[:LISTED]
    names, more = ", ".join(listed), count - len(listed)
    if more:
        text = ngettext("%(names)s and %(count)d more", "%(names)s and %(count)d more", more)
        names = text % {"names": names, "count": more}
    return _("%(audience)s, but not %(names)s") % {"audience": audience, "names": names}


def number(count: int) -> str:
    """With separators, where the language has them."""
    return number_format(count, force_grouping=True)


def people(count: int) -> str:
    text = ngettext("%(count)s person", "%(count)s people", count)
    return text % {"count": number(count)}


def so_far(enlisted: int) -> str:
    """For how many a message that is being sent is prepared; nothing while it is for nobody."""
    return _("%(people)s so far") % {"people": people(enlisted)} if enlisted else ""


def sent(message: Message, audience: str) -> str:
    """What `send` has done: whom the message reaches, and when."""
    said = {"title": message.title, "audience": audience}
    if message.publish_at and message.publish_at > timezone.now():
        said["when"] = moment(message.publish_at)
        return _("“%(title)s” will be sent to %(audience)s on %(when)s.") % said
    return _("“%(title)s” has been sent to %(audience)s.") % said
