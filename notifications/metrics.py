"""`GET /metrics`: what is counted, for Prometheus.

By default of the process that answers, from memory: it asks no database. With `?processes=all`, of
all that have reported, each with its name: for who reaches them through one port only.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from itertools import accumulate
from typing import get_args

from django.conf import settings
from django.db import Error
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from . import processes
from .models import Process
from .processes import Standing
from .running import RunningHub
from .stream import Reason
from .tally import BOUNDS, latencies

# Set by proxies: who asked them is not who asks us.
FORWARDED = "Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP", "Via"

PREFIX = "notifications_"

# What is told, and what it means: docs/metrics.md has the same table.
GAUGES = {
    "streams": "Open streams, and long polls that wait.",
    "users": "Users they belong to.",
    "log_position": "Up to where in the log it has handed out.",
    "doorbell_heard": "1 if it hears the doorbell, 0 if it is deaf.",
    "failing": "1 while something that it does again and again fails.",
    "report_age_seconds": "How long ago it reported.",
    "canary_seconds": "How long the last canary took, from its sender to here.",
    "canary_heard_timestamp_seconds": "When it was here.",
}
COUNTERS = {
    "opened": ("streams_opened", "Streams opened."),
    "reconnects": ("reconnects", "Of these, by browsers that came back by themselves."),
    "messages": ("messages", "Messages that it has seen published."),
    "changes": ("changes", "Lines of the log that it has handed out."),
    "deliveries": ("deliveries", "Pieces given to streams; what one look brings is one piece."),
    "ahead": ("clock_ahead", "Messages from the future: their publisher's clock is ahead."),
}
CLOSED = "streams_closed", "Streams that have ended, by reason; slow: hung up on."
LATENCY = "delivery_seconds", "From publishing a message to its being given to all streams here."
REASONS = (*get_args(Reason), "left")


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """404 unless METRICS_TOKEN or METRICS_NETWORKS is set; 401 or 403 for who is not let in."""
    token = getattr(settings, "METRICS_TOKEN", "")
    networks = getattr(settings, "METRICS_NETWORKS", [])
    if not (token or networks):
        raise Http404
    if not (_has(token, request) or _is_in(networks, request)):
        return _refusal(token)
    try:
        found = _all() if request.GET.get("processes") == "all" else [_own()]
    except Error:
        return _plain("The database does not answer.", 503)
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures(found))
    return HttpResponse(encode(registry), content_type)


def _has(token: str, request: HttpRequest) -> bool:
    given = request.headers.get("Authorization", "").encode()
    return bool(token) and secrets.compare_digest(given, f"Bearer {token}".encode())


def _is_in(networks: list[str], request: HttpRequest) -> bool:
    """Whether it comes from one of them, and of itself: not through a proxy that is there."""
    if any(name in request.headers for name in FORWARDED):
        return False
    try:
        address = ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:  # a socket of Unix has none
        return False
    return any(address in ip_network(network) for network in networks)


def _refusal(token: str) -> HttpResponse:
    if not token:
        return _plain("Not from this address.", 403)
    answer = _plain("A token is needed.", 401)
    answer.headers["WWW-Authenticate"] = 'Bearer realm="metrics"'
    return answer


def _plain(words: str, status: int) -> HttpResponse:
    return HttpResponse(f"{words}\n", content_type="text/plain", status=status)


@dataclass
class Sample:
    """What is told of one process. `labels` name it where there are others."""

    standing: Standing
    labels: dict[str, str] = field(default_factory=dict)
    age: float | None = None  # s of its report

    def value(self, name: str) -> int:
        return self.standing.numbers[name]


def _own() -> Sample:
    hubs = RunningHub.all()  # a server has one event loop, and so one hub, from its first stream on
    return Sample(hubs[-1].standing() if hubs else Standing.of_nobody())


def _all() -> list[Sample]:
    rows = [seen for seen in processes.read() if seen.state != "stopped"]
    return [Sample(Standing.of_row(s.process), _names(s.process), s.age) for s in rows]


def _names(row: Process) -> dict[str, str]:
    return {"process": str(row), "id": row.pk}


class Figures(Collector):
    """Looked at when asked: nothing is registered for longer than an answer takes."""

    def __init__(self, samples: list[Sample]) -> None:
        self.samples = samples
        self.labels = list(samples[0].labels) if samples else []

    def collect(self) -> Iterator[Metric]:
        yield self._gauge("streams", lambda s: s.standing.streams)
        yield self._gauge("users", lambda s: s.standing.users)
        yield self._gauge("log_position", lambda s: s.standing.position)
        yield self._gauge("doorbell_heard", lambda s: s.standing.hears)
        yield self._gauge("failing", lambda s: bool(s.standing.failing))
        yield self._gauge("report_age_seconds", lambda s: s.age)
        yield self._gauge("canary_seconds", lambda s: s.standing.canary and s.standing.canary[0])
        heard = "canary_heard_timestamp_seconds"
        yield self._gauge(heard, lambda s: s.standing.canary and s.standing.canary[1])
        yield from map(self._counter, COUNTERS)
        yield self._closed()
        yield self._latency()

    def _gauge(self, name: str, of: Callable[[Sample], float | None]) -> Metric:
        """What is None is not known, and left out."""
        gauge = GaugeMetricFamily(PREFIX + name, GAUGES[name], labels=self.labels)
        for sample in self.samples:
            if (value := of(sample)) is not None:
                gauge.add_metric([*sample.labels.values()], value)
        return gauge

    def _counter(self, key: str) -> Metric:
        name, text = COUNTERS[key]
        counter = CounterMetricFamily(PREFIX + name, text, labels=self.labels)
        for sample in self.samples:
            counter.add_metric([*sample.labels.values()], sample.value(key))
        return counter

    def _closed(self) -> Metric:
        name, text = CLOSED
        counter = CounterMetricFamily(PREFIX + name, text, labels=[*self.labels, "reason"])
        for sample in self.samples:
            for reason in REASONS:  # all of them, also those that never were: for `rate()`
                names = [*sample.labels.values(), reason]
                counter.add_metric(names, sample.value(f"closed.{reason}"))
        return counter

    def _latency(self) -> Metric:
        name, text = LATENCY
        histogram = HistogramMetricFamily(PREFIX + name, text, labels=self.labels)
        for sample in self.samples:
            total = sample.value("microseconds") / 1e6
            names = [*sample.labels.values()]
            histogram.add_metric(names, _buckets(sample.standing.numbers), total)
        return histogram


def _buckets(numbers: Mapping[str, int]) -> list[tuple[str, float]]:
    bounds = [*map(str, BOUNDS), "+Inf"]
    return list(zip(bounds, accumulate(latencies(numbers)), strict=True))
