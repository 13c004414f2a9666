"""The live parts of a message's page: how far it has come, in numbers and as a curve."""

from datetime import datetime, timedelta
from itertools import accumulate

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from . import charts, words
from .charts import Chart
from .listing import chip
from .parts import Parts, drawn, render
from .reading import Reading

DASH = "–"
FORMATS = {  # by the length of a step
    timedelta(minutes=1): "TIME_FORMAT",
    timedelta(hours=1): "SHORT_DATETIME_FORMAT",
    timedelta(days=1): "SHORT_DATE_FORMAT",
}


def message(of: Reading) -> Parts:
    return {
        "standing_of_message": chip(of.message),
        "counts": render("numbers", numbers=_counts(of), trouble=[]),
        **drawn(_reads(of)),
    }


def _counts(of: Reading) -> list[tuple[str, str, str]]:
    """What, how much, and what that means."""
    everyone = of.message.everyone
    if of.message.position is None:
        would = _("people, if it were published now")
        return [(_("For"), words.number(of.audience), "" if of.message.is_over else would)]
    whom = _("accounts that there were when it was published") if everyone else _("people")
    inboxes = _("have an inbox; who has never come gets one on coming, with this message in it")
    streams = _("open streams got it at once, as far as server processes tell")
    forgotten = _("not known: server processes tell this of their last messages, for an hour")
    return [
        (_("For"), words.number(of.audience), whom),
        (_("Sent"), words.number(of.sent), inboxes if everyone else _("have it in their list")),
        (
            _("Streamed"),
            DASH if of.streamed is None else words.number(of.streamed),
            forgotten if of.streamed is None else streams,
        ),
        (_("Seen"), _part(of.seen, of), _("have looked at the bell or the list since, or read it")),
        (_("Read"), _part(of.read, of), _("have opened it or marked it read, at some time")),
    ]


def _part(number: int, of: Reading) -> str:
    text = words.number(number)
    return f"{text} ({number / of.audience:.0%})" if of.audience else text


def _reads(of: Reading) -> Chart:
    sums = list(accumulate(step.reads for step in of.steps))
    label = _("Nobody has read it yet.")
    if of.read:
        # The first moment by which half of them had.
        half = next(s.at for s, n in zip(of.steps, sums, strict=True) if 2 * n >= of.read)
        said = {"read": words.number(of.read), "half": _when(half, of.unit)}
        label = _("Read by %(read)s so far; half of them by %(half)s.") % said
    line = charts.line("p50", sums, 0, max(of.read, 1))
    head = {
        timedelta(minutes=1): _("Minute"),
        timedelta(hours=1): _("Hour"),
        timedelta(days=1): _("Day"),
    }[of.unit]
    rows = [
        [_when(step.at, of.unit), words.number(step.reads), words.number(n)]
        for step, n in zip(of.steps, sums, strict=True)
        if step.reads
    ]
    return Chart(
        "reads",
        label,
        charts.svg(label, charts.base(), line),
        ("0", words.number(of.read)),
        [],
        [head, _("Read it"), _("Altogether")],
        rows[::-1] or [[DASH, "0", "0"]],
    )


def _when(at: datetime, unit: timedelta) -> str:
    return date_format(timezone.localtime(at), FORMATS[unit])
