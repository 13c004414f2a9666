"""The live dashboard's parts as HTML: the page is made of them, and its stream renews them.

So what is shown live is what a reload shows, and the script knows nothing of what it puts where.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from ..tally import BOUNDS, quantile
from . import charts, message_parts, reading
from .charts import Chart
from .figures import RECENT, Figures, Minute, OneUser, figures, one_user, sends
from .parts import Parts, drawn, render

QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
FASTEST, SLOWEST = 0.001, 10.0  # s, the edges of the chart of latencies
STACKED = 4  # processes with an area of their own; the rest share one
DASH = "–"


class Subject(NamedTuple):
    """What is looked at: the user or the message with that key; neither is the dashboard."""

    user: str = ""
    message: str = ""


DASHBOARD = Subject()


def subject(query: Mapping[str, str]) -> Subject:
    """What the address of a stream says."""
    return Subject(query.get("user", ""), query.get("message", ""))


def shown(of: Subject) -> Parts:
    """The parts as they are now, but for those that `counted` has."""
    if of.message:
        return {}
    if not of.user:
        return dashboard(figures())
    found = one_user(of.user)
    return user(found) if found else {}


def counted(of: Subject) -> Parts:
    """The parts that say how many have read what: they take longer, where many have."""
    if of == DASHBOARD:
        return {"sends": render("sends", messages=sends())}
    found = reading.reading(of.message) if of.message else None
    return message_parts.message(found) if found else {}


def dashboard(of: Figures) -> Parts:
    parts = {
        "numbers": render("numbers", numbers=_numbers(of), trouble=_trouble(of)),
        "processes": render("processes", rows=of.rows, end=_end(of)),
    }
    for chart in (_latency(of), _histogram(of), _streams(of), _ends(of)):
        parts |= drawn(chart)
    return parts


def headings() -> dict[str, str]:
    """The charts in their order, by name."""
    return {
        "latency": _("Latency, from publishing to all streams"),
        "histogram": _("Latencies of the last %(n)d minutes") % {"n": RECENT},
        "streams": _("Open streams, by process"),
        "ends": _("Reconnects and slow readers, a minute"),
    }


def user(of: OneUser) -> Parts:
    acts = list(reversed(of.inbox.acts)) if of.inbox else []
    return {
        "standing": render("standing", of=of),
        "streams_of_user": render("streams", of=of),
        "acts": render("acts", acts=acts),
    }


# ------------------------------------------------------------------------------- the numbers


def _numbers(of: Figures) -> list[tuple[str, str, str]]:
    """What, how much, and what is to be known of it."""
    recent, several = of.recent(), len(of.live) > 1
    twice = _("who is connected to two processes counts twice") if several else ""
    minute = _("in the last 60 seconds")
    taken = _("from publishing to all streams, last %(n)d minutes") % {"n": RECENT}
    return [
        (_("Users online"), f"{of.users:,}", twice),
        (_("Open streams"), f"{of.streams:,}", ""),
        (_("Messages a minute"), f"{of.a_minute('messages'):.0f}", minute),
        *((name, duration(quantile(recent, part)), taken) for name, part in QUANTILES),
        (_("Reconnects a minute"), f"{of.a_minute('reconnects'):.0f}", minute),
        (_("Slow readers hung up on"), f"{of.a_minute('closed.slow'):.0f}", minute),
    ]


def _trouble(of: Figures) -> list[str]:
    """What staff should look at, in words."""
    found = []
    for seen in of.rows:
        name = {"process": str(seen.process)}
        if seen.state == "stale":
            found.append(_("%(process)s does not report any more: it is not counted.") % name)
        elif seen.state == "live" and seen.process.hears is False:
            found.append(_("%(process)s does not hear the doorbell: messages come later.") % name)
        if seen.state == "live" and seen.process.failing:
            name["what"] = seen.process.failing
            found.append(_("%(process)s tries again and again: %(what)s.") % name)
    if sum(m.numbers["ahead"] for m in of.minutes[-RECENT:]):
        found.append(_("Messages came before they were published: clocks differ."))
    return found if of.rows else [_("No process has reported yet: nobody has opened a stream.")]


def _end(of: Figures) -> int:
    return max((row.position for row in of.live), default=0)


def duration(seconds: float | None) -> str:
    if seconds is None:
        return DASH
    value, unit = (seconds * 1000, "ms") if seconds < 1 else (seconds, "s")
    return f"{value:.2g} {unit}" if value < 10 else f"{value:.0f} {unit}"


# -------------------------------------------------------------------------------- the charts


def _latency(of: Figures) -> Chart:
    low, high = charts.logarithm(FASTEST) or 0, charts.logarithm(SLOWEST) or 0
    found = {name: [m.quantile(part) for m in of.minutes] for name, part in QUANTILES}
    lines = [
        charts.line(name, [*map(charts.logarithm, values)], low, high)
        for name, values in found.items()
    ]
    now = ", ".join(f"{name} {duration(quantile(of.recent(), part))}" for name, part in QUANTILES)
    said = {"now": now, "worst": duration(max(filter(None, found["p99"]), default=None))}
    label = _("Latency over 30 minutes: %(now)s lately; highest p99 %(worst)s.") % said
    return Chart(
        "latency",
        label,
        charts.svg(label, charts.base(), *lines),
        (duration(FASTEST), _("%(high)s, logarithmic") % {"high": duration(SLOWEST)}),
        [(name, name) for name, _part in QUANTILES],
        [_("Minute"), *found],
        _rows(of, lambda m: [duration(m.quantile(part)) for _name, part in QUANTILES]),
    )


def _histogram(of: Figures) -> Chart:
    counts = of.recent()
    bounds = [*map(duration, BOUNDS), _("longer")]
    said = {"n": sum(counts), "p95": duration(quantile(counts, 0.95))}
    label = _("Latencies of the last minutes: %(n)d deliveries, 95 %% within %(p95)s.") % said
    return Chart(
        "histogram",
        label,
        charts.svg(label, charts.base(), charts.bars(counts)),
        (duration(BOUNDS[0]), _("%(high)s and longer") % {"high": duration(BOUNDS[-1])}),
        [],
        [_("Up to"), _("Deliveries")],
        [pair for pair in zip(bounds, counts, strict=True) if pair[1]],
    )


def _streams(of: Figures) -> Chart:
    names = {seen.process.pk: str(seen.process) for seen in of.rows}
    most = sorted(names, key=lambda pk: -max(m.streams.get(pk, 0) for m in of.minutes))
    own, rest = most[:STACKED], most[STACKED:]
    series = [[m.streams.get(pk, 0) for m in of.minutes] for pk in own]
    key = [(f"area-{n}", names[pk]) for n, pk in enumerate(own)]
    if rest:
        series.append([sum(m.streams.get(pk, 0) for pk in rest) for m in of.minutes])
        key.append((f"area-{STACKED}", _("others")))
    high = max((sum(m.streams.values()) for m in of.minutes), default=0)
    sums, areas = [0] * len(of.minutes), []
    for (look, _name), values in zip(key, series, strict=True):
        above = [a + b for a, b in zip(sums, values, strict=True)]
        areas.append(charts.area(look, sums, above, high or 1))
        sums = above
    said = {"now": f"{of.streams:,}", "most": f"{high:,}"}
    label = _("Open streams over 30 minutes: %(now)s now, %(most)s at most.") % said
    return Chart(
        "streams",
        label,
        charts.svg(label, charts.base(), *areas),
        ("0", f"{high:,}"),
        key,
        [_("Minute"), _("Streams")],
        _rows(of, lambda m: [f"{sum(m.streams.values()):,}"]),
    )


def _ends(of: Figures) -> Chart:
    names = {"reconnects": _("reconnects"), "closed.slow": _("slow readers hung up on")}
    looks = {"reconnects": "p50", "closed.slow": "p95"}
    found = {name: [m.numbers[name] for m in of.minutes] for name in names}
    high = max(max(values) for values in found.values())
    lines = [charts.line(looks[name], values, 0, high or 1) for name, values in found.items()]
    said = {"reconnects": sum(found["reconnects"]), "slow": sum(found["closed.slow"])}
    label = _("In 30 minutes: %(reconnects)d reconnects, %(slow)d slow readers hung up on.") % said
    return Chart(
        "ends",
        label,
        charts.svg(label, charts.base(), *lines),
        ("0", f"{high:,}"),
        [(looks[name], text) for name, text in names.items()],
        [_("Minute"), *names.values()],
        _rows(of, lambda m: [f"{m.numbers[name]:,}" for name in names]),
    )


def _rows(of: Figures, cells: Callable[[Minute], list[str]]) -> list[list[Any]]:
    """A row a minute, the newest first."""
    shown = (date_format(timezone.localtime(m.at), "H:i") for m in reversed(of.minutes))
    return [[at, *cells(m)] for at, m in zip(shown, reversed(of.minutes), strict=True)]
