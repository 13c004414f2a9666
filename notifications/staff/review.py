"""What a sender sees before a message goes out, and says yes to."""

import re
from typing import Any

from django.core import signing
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from ..models import Draft, Message
from . import permissions, second_look, words
from .compose_form import ComposeForm
from .headcount import Headcount, headcount

MANY = 100  # people from which on the sender types their number
GOOD_FOR = 3600  # s that what was reviewed may be sent
SALT = "notifications.review"


class Review:
    """Of a draft whose form is valid."""

    def __init__(self, request: HttpRequest, draft: Draft, form: ComposeForm) -> None:
        self.request, self.draft, self.form = request, draft, form
        self.options = form.options()

    @cached_property
    def headcount(self) -> Headcount:
        assert self.form.audience
        return headcount(self.form.audience, permissions.may_see_users(self.request.user))

    @property
    def token(self) -> str:
        """Says what has been looked at: this text, and this many people."""
        return signing.dumps([*self._subject, self.headcount.people], salt=SALT)

    @property
    def _subject(self) -> list[str]:
        return [self.draft.pk, self.draft.updated_at.isoformat()]

    @property
    def asks_for_number(self) -> bool:
        return self.headcount.people >= MANY

    def check(self, posted: Any) -> None:
        """Raise ValidationError unless that says yes to what would be sent."""
        try:
            *subject, people = signing.loads(posted.get("token", ""), salt=SALT, max_age=GOOD_FOR)
        except signing.BadSignature:
            subject, people = [], 0
        if subject != self._subject:
            raise ValidationError(
                _("Nothing was sent: it is not what you had looked at. Look again.")
            )
        if not self.headcount.people:
            raise ValidationError(_("Nothing was sent: by now it would be for nobody."))
        typed = re.sub(r"[\s.,’']", "", posted.get("people", ""))
        if people >= MANY and typed != str(people):
            raise ValidationError(_("Nothing was sent: the number of people is another."))

    @property
    def message(self) -> Message:
        text = {name: self.options[name] for name in ("title", "body", "level", "link")}
        return Message(**text, publish_at=self.options["at"], expires_at=self.options["expires"])

    @property
    def to(self) -> str:
        """The audience in words."""
        audience = self.form.audience
        assert audience
        groups, users = [group.name for group in audience.groups], self._names("usernames")
        to = words.audience(audience.everyone, groups, users, len(users))
        left_out = [g.name for g in audience.without.groups] if audience.without else []
        left_out += self._names("but_usernames")
        return words.but(to, left_out, len(left_out))

    def _names(self, field: str) -> list[str]:
        return [*self.form.named.get(field, ())]

    def doubts(self) -> list[str]:
        return second_look.doubts(self.request, self.options)

    def same(self) -> Message | None:
        """One that says the same already, if the sender may see it."""
        found = second_look.same_text(self.options)
        return found if found and permissions.may_see(self.request.user, found) else None
