"""When a message goes out and when it ends, as a form offers it: by the clock of who writes it."""

from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

NOW, PICK, NEVER = "now", "pick", "never"
TONIGHT, TOMORROW = time(18), time(9)
SPANS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}

STARTS = {
    NOW: _("Now"),
    "tonight": _("Tonight at 18:00"),
    "tomorrow": _("Tomorrow at 09:00"),
    PICK: _("At another time"),
}
ENDS = {
    "hour": _("for an hour"),
    "day": _("for a day"),
    "week": _("for a week"),
    NEVER: _("for good"),
    PICK: _("until a certain time"),
}


class Input(forms.DateTimeInput):
    """A date and a time in one input of the browser. seconds: where they must not be lost."""

    input_type = "datetime-local"

    def __init__(self, seconds: bool = False) -> None:
        tail, attrs = (":%S", {"step": "1"}) if seconds else ("", {})
        super().__init__(attrs, f"%Y-%m-%dT%H:%M{tail}")


def starts(now: datetime) -> list[tuple[str, Any]]:
    """What there is to choose: tonight only until it is evening."""
    return [(name, text) for name, text in STARTS.items() if name != "tonight" or start(name, now)]


def start(choice: str, now: datetime) -> datetime | None:
    """The moment, in the current time zone; None for now, and for what is over or picked."""
    today = timezone.localtime(now)
    if choice == "tonight":
        evening = _on(today, TONIGHT)
        return evening if evening > now else None
    return _on(today + timedelta(days=1), TOMORROW) if choice == "tomorrow" else None


def _on(day: datetime, at: time) -> datetime:
    return timezone.make_aware(datetime.combine(day.date(), at))
