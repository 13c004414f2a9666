"""The form by which staff write a message. It checks, and sends nothing."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext_lazy as _

from .. import zones
from ..audience import EVERYONE, Audience, Keys
from ..models import BODY_LENGTH, LINK_LENGTH, TITLE_LENGTH, Message
from ..validation import check
from . import moments, names, permissions

NAMED = "named"
LATE = timedelta(minutes=10)  # that a picked time may be past: it was to come when it was picked
AUDIENCE = ("whom", "groups", "usernames", "but_groups", "but_usernames")
TEXT = ("title", "body", "level", "link")
# What `publishing` calls otherwise.
FIELDS = {"expires": "until", "to": "whom", "exclude": "but_usernames"}


class Names(forms.CharField):
    """People by the names that they log in with."""

    def __init__(self, **options: Any) -> None:
        box = forms.Textarea(
            attrs={"rows": 2, "class": "names", "spellcheck": "false", "autocapitalize": "none"}
        )
        super().__init__(required=False, widget=box, **options)


class Groups(forms.ModelMultipleChoiceField):
    def __init__(self, **options: Any) -> None:
        groups = Group.objects.order_by("name")
        box = forms.CheckboxSelectMultiple
        super().__init__(queryset=groups, required=False, widget=box, **options)


class Moment(forms.DateTimeField):
    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, widget=moments.Input, **options)


def _choice(choices: Any = (), **options: Any) -> forms.ChoiceField:
    return forms.ChoiceField(choices=choices, widget=forms.RadioSelect, **options)


class ComposeForm(forms.Form):
    """A new message. When it is valid, `options()` is what `publishing.post` takes.

    `audience` is there once the fields of the audience are right, whatever the others are.
    """

    draft = forms.CharField(required=False, max_length=16, widget=forms.HiddenInput)
    zone = forms.CharField(required=False, widget=forms.HiddenInput)

    whom = _choice(label=_("To"), error_messages={"invalid_choice": _("You may not send to them.")})
    groups = Groups(label=_("Groups"))
    usernames = Names(
        label=_("People"),
        help_text=_("The names they log in with, one a line or with commas in between."),
    )
    but_groups = Groups(label=_("But not these groups"))
    but_usernames = Names(label=_("But not these people"))

    level = _choice(Message.Level.choices, label=_("Level"), initial=Message.Level.INFO)
    title = forms.CharField(
        label=_("Title"),
        max_length=TITLE_LENGTH,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )
    body = forms.CharField(
        label=_("Text"),
        required=False,
        max_length=BODY_LENGTH,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 8, "class": "vLargeTextField"}),
        help_text=_("Markdown: emphasis, links, lists, code, quotes."),
    )
    link = forms.CharField(
        label=_("Link"),
        required=False,
        max_length=LINK_LENGTH,
        widget=forms.TextInput(attrs={"class": "vTextField", "spellcheck": "false"}),
        help_text=_("https://... or a path of this site: /parcels/9/"),
    )

    when = _choice(label=_("When"), initial=moments.NOW)
    at = Moment(label=_("Date and time"))
    until = _choice(moments.ENDS.items(), label=_("How long"), initial=moments.NEVER)
    until_at = Moment(label=_("Until"))

    def __init__(self, user: Any, *args: Any, zone: Any = None, **options: Any) -> None:
        super().__init__(*args, **{"label_suffix": ""} | options)
        self.user, self.now = user, timezone.now()
        said = self.data.get("zone") or self.initial.get("zone")
        self.clock = zones.named(said) or zone or timezone.get_default_timezone()
        self.initial["zone"] = str(self.clock)
        self.audience: Audience | None = None
        self.named: dict[str, dict[str, Any]] = {}  # by the field: keys of accounts by their names
        self._offer(permissions.kinds(user))

    def _offer(self, kinds: set[str]) -> None:
        """Only what this user may do."""
        whom: dict[str, Any] = {}
        if "everyone" in kinds:
            whom["everyone"] = _("Everyone")
        if {"groups", "users"} <= kinds:
            whom[NAMED] = _("Groups and people")
        elif kinds & {"groups", "users"}:
            whom[NAMED] = _("Groups") if "groups" in kinds else _("People")
        for kind, name in (("groups", "groups"), ("users", "usernames")):
            if kind not in kinds:
                del self.fields[name]
        self._choices("whom", list(whom.items()))
        self.initial.setdefault("whom", NAMED if NAMED in whom else "everyone")
        with timezone.override(self.clock):
            self._choices("when", moments.starts(self.now))

    def _choices(self, name: str, choices: list[tuple[str, Any]]) -> None:
        field: Any = self.fields[name]
        field.choices = choices

    # ------------------------------------------------------------------------------ what it says

    @property
    def posted(self) -> dict[str, list[str]]:
        """What was typed, right or wrong, as a draft keeps it."""
        data: Any = self.data
        kept = [name for name in self.fields if name != "draft" and name in data]
        # PostgreSQL stores no NUL.
        return {name: [text.replace("\0", "") for text in data.getlist(name)] for name in kept}

    @classmethod
    def filled(cls, user: Any, posted: Mapping[str, list[str]], **options: Any) -> "ComposeForm":
        """To go on writing: with all that was typed, and no complaints."""
        data = MultiValueDict(posted)
        read = {
            name: field.widget.value_from_datadict(data, MultiValueDict(), name)
            for name, field in cls.base_fields.items()
            if name in data
        }
        return cls(user, initial=read | options.pop("initial", {}), **options)

    def bound(self) -> "ComposeForm":
        """As if it had been posted as it stands."""
        if self.is_bound:
            return self
        data: MultiValueDict[str, Any] = MultiValueDict()
        for name, field in self.fields.items():
            value = self.get_initial_for_field(field, name)
            data.setlist(name, value if isinstance(value, list) else [value] if value else [])
        return ComposeForm(self.user, data, zone=self.clock)

    def settled(self) -> dict[str, list[str]]:
        """As `posted`, with the moment in place of a word for it: tomorrow is another day."""
        posted = self.posted
        with timezone.override(self.clock):
            if moment := moments.start(self.cleaned_data["when"], self.now):
                at = f"{timezone.localtime(moment):%Y-%m-%dT%H:%M}"
                posted |= {"when": [moments.PICK], "at": [at]}
        return posted

    def options(self) -> dict[str, Any]:
        data = self.cleaned_data
        text = {name: data[name] for name in TEXT}
        return text | {name: data[name] for name in ("to", "exclude", "at", "expires")}

    # ---------------------------------------------------------------------------------- checking

    def full_clean(self) -> None:
        with timezone.override(self.clock):
            super().full_clean()

    def clean(self) -> dict[str, Any]:
        self._check_audience()
        self._check_times()
        self._check_message()
        return self.cleaned_data

    def _check_audience(self) -> None:
        data = self.cleaned_data
        if not data.get("whom"):
            return
        everyone = data["whom"] == "everyone"
        to = EVERYONE if everyone else [*data.get("groups", ()), *self._people("usernames")]
        exclude = [*data.get("but_groups", ()), *self._people("but_usernames")]
        if not everyone and not to and not self.errors.keys() & set(AUDIENCE):
            field = "usernames" if "usernames" in self.fields else "groups"
            self.add_error(field, _("For whom? Name at least one person or group."))
        if self.errors.keys() & set(AUDIENCE):
            return
        data |= {"to": to, "exclude": exclude}
        try:
            self.audience = Audience.of(to, exclude)
        except ValidationError as refusal:
            self._blame(refusal)

    def _people(self, field: str) -> list[Keys]:
        try:
            self.named[field] = names.users(names.typed(self.cleaned_data.get(field, "")))
        except ValidationError as unknown:
            self.add_error(field, unknown)
        return Keys.of(self.named.get(field))

    def _check_times(self) -> None:
        data = self.cleaned_data
        when, until = data.get("when"), data.get("until")
        if when == moments.PICK and not data.get("at") and "at" not in self.errors:
            self.add_error("at", _("When? Choose a date and a time."))
        elif when == moments.PICK and data.get("at") and data["at"] < self.now - LATE:
            self.add_error("at", _("That is over. Choose a time to come, or now."))
        elif when and when != moments.PICK:
            data["at"] = moments.start(when, self.now)
        if until == moments.PICK and not data.get("until_at") and "until_at" not in self.errors:
            self.add_error("until_at", _("Until when? Choose a date and a time."))
        start = data.get("at") or self.now
        span = moments.SPANS.get(until or "")
        data["expires"] = start + span if span else None
        if until == moments.PICK:
            data["expires"] = data.get("until_at")

    def _check_message(self) -> None:
        data = self.cleaned_data
        message = Message(
            **{name: data[name] for name in TEXT if name in data},
            publish_at=data.get("at"),
            expires_at=data.get("expires"),
        )
        try:
            check(message, self.now)
        except ValidationError as refusal:
            self._blame(refusal)

    def _blame(self, refusal: ValidationError) -> None:
        """What is refused becomes an error of the field it is about, unless that has one."""
        for name, problems in refusal.update_error_dict({}).items():
            field = FIELDS.get(name, name)
            if field == "until" and self.cleaned_data.get("until") == moments.PICK:
                field = "until_at"
            if field not in self.errors:
                self.add_error(field, problems)
