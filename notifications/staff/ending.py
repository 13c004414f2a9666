"""When a message is to disappear: by presets that work without a script, or as typed."""

from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import publishing
from ..models import Message
from . import moments, words

PRESETS = {
    "hour": gettext_lazy("+1 hour"),
    "day": gettext_lazy("+1 day"),
    "week": gettext_lazy("+1 week"),
}


class EndForm(forms.Form):
    """Which button was pressed (`ends`), and what was typed (`at`), in the current time zone."""

    ends = forms.ChoiceField(
        choices=[(name, name) for name in (*PRESETS, moments.NEVER, moments.PICK)]
    )
    at = forms.DateTimeField(
        label=gettext_lazy("Date and time"),
        required=False,
        widget=moments.Input(),
    )

    def __init__(self, message: Message, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.message = message
        self.initial["at"] = message.expires_at

    def clean(self) -> dict[str, Any]:
        super().clean()
        if self.cleaned_data.get("ends") == moments.PICK and not self.cleaned_data.get("at"):
            self.add_error("at", _("Say when."))
        return self.cleaned_data

    def save(self) -> Message | None:
        """Move the end; None if something is wrong with it, which `problems` says."""
        if not self.is_valid():
            return None
        try:
            return publishing.update(self.message, expires=self._end())
        except ValidationError as refusal:
            self.add_error(None, refusal.messages)
            return None

    def _end(self) -> datetime | None:
        name = self.cleaned_data["ends"]
        if name in PRESETS:
            # From now, not from the end as it is: pressed twice it is the same.
            now = timezone.now()
            return max(now, self.message.publish_at or now) + moments.SPANS[name]
        return None if name == moments.NEVER else self.cleaned_data["at"]

    def problems(self) -> list[str]:
        return [str(problem) for problems in self.errors.values() for problem in problems]


def said(message: Message) -> str:
    """When it ends, in words."""
    if message.expires_at is None:
        return _("It never ends.")
    return _("It ends on %(when)s.") % {"when": words.moment(message.expires_at)}
