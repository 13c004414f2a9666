"""The form that corrects a message. It does so while it is validated.

`publishing` says what is wrong with a correction, and says so by doing it or refusing it. A form
that asked first and did it later would have to repeat its rules, and a message that is withdrawn in
between would be an error 500. The admin runs each post in one transaction.
"""

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .. import publishing
from ..models import Message

# What `publishing` calls otherwise.
FIELDS = {"at": "publish_at", "expires": "expires_at"}
OPTIONS = {field: option for option, field in FIELDS.items()}


class CorrectForm(forms.ModelForm):
    """A message that has been written: its text, its end, and its time while that is to come."""

    class Meta:
        model = Message
        fields = ["title", "body", "level", "link", "publish_at", "expires_at"]
        help_texts = {
            "link": _("https://... or a path of this site: /parcels/9/"),
            "publish_at": _("Empty: now."),
            "expires_at": _("Empty: never."),
        }

    def _post_clean(self) -> None:
        # The hook that Django's own user forms use: after `clean`, in place of what a ModelForm
        # does here with the model's fields.
        if self.errors:
            return
        try:
            self.instance = self._correct()
        except ValidationError as refusal:
            for name, problems in refusal.update_error_dict({}).items():
                field = FIELDS.get(name, name)
                self.add_error(field if field in self.fields else None, problems)

    def _correct(self) -> Message:
        # Only what was changed: the rest is left as it is by now.
        given = {OPTIONS.get(name, name): self.cleaned_data[name] for name in self.changed_data}
        if "at" in given:
            given["at"] = given["at"] or timezone.now()
        # Asked for nothing, `update` says why a message that is over cannot be corrected.
        over = self.instance.is_over or self.instance.withdraw_at
        return publishing.update(self.instance, **given) if given or over else self.instance
