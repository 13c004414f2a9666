"""The admin's forms. They do what they are for while they are validated.

`publishing` says what is wrong with a message, and says so by doing it or refusing it. A form that
asked first and did it later would have to repeat its rules, and a message that is withdrawn in
between would be an error 500. The admin runs each post in one transaction.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelectMultiple
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from . import names, publishing
from .audience import EVERYONE
from .models import Message, Recipient

# What `publishing` calls otherwise.
FIELDS = {"at": "publish_at", "expires": "expires_at", "to": "usernames"}
OPTIONS = {field: option for option, field in FIELDS.items()}


class MessageForm(forms.ModelForm):
    sender: Any = None  # who fills it in; set by the admin

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
        if not self.errors:
            with self._refusals():
                self.instance = self.do()

    def do(self) -> Message:
        """What the form is for: send or correct the message, by `publishing`, and return it."""
        raise NotImplementedError

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """What `publishing` refuses becomes an error of the field it is about."""
        try:
            yield
        except ValidationError as refusal:
            for name, problems in refusal.update_error_dict({}).items():
                field = FIELDS.get(name, name)
                self.add_error(field if field in self.fields else None, problems)


class ComposeForm(MessageForm):
    """A new message."""

    usernames = forms.CharField(
        label=_("People"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField", "spellcheck": "false"}),
        help_text=_("The names they log in with, one a line or with commas in between."),
    )
    users = forms.ModelMultipleChoiceField(
        label=_("People found by search"),
        required=False,
        queryset=get_user_model()._default_manager.all(),
        widget=AutocompleteSelectMultiple(Recipient._meta.get_field("user"), admin.site),
    )

    class Meta(MessageForm.Meta):
        fields = [*MessageForm.Meta.fields, "everyone", "groups"]

    def clean_usernames(self) -> list[Any]:
        typed = re.split(r"[,;\n]", self.cleaned_data["usernames"])
        return names.users(filter(None, map(str.strip, typed)))

    def clean(self) -> dict[str, Any]:
        super().clean()
        if self.data.get("everyone") and not self.sender.has_perm("notifications.send_to_everyone"):
            raise ValidationError(_("You may not send to everyone."))
        chosen = self.cleaned_data
        named = [one for field in ("groups", "users", "usernames") for one in chosen.get(field, ())]
        if chosen.get("everyone") and named:
            self.add_error("everyone", _("Choose everyone, or groups and people: not both."))
        elif not (chosen.get("everyone") or named or "usernames" in self.errors):
            self.add_error("usernames", _("For whom? Name at least one person or group."))
        return {**chosen, "to": EVERYONE if chosen.get("everyone") else named}

    def do(self) -> Message:
        data = self.cleaned_data
        return publishing.send(
            data["title"],
            to=data["to"],
            body=data["body"],
            level=data["level"],
            link=data["link"],
            at=data["publish_at"],
            expires=data["expires_at"],
            sender=self.sender,
        )


class CorrectForm(MessageForm):
    """A message that has been written: its text, its end, and its time while that is to come."""

    def do(self) -> Message:
        # Only what was changed: the rest is left as it is by now.
        given = {OPTIONS.get(name, name): self.cleaned_data[name] for name in self.changed_data}
        if "at" in given:
            given["at"] = given["at"] or timezone.now()
        # Asked for nothing, `update` says why a message that is over cannot be corrected.
        over = self.instance.is_over or self.instance.withdraw_at
        return publishing.update(self.instance, **given) if given or over else self.instance
