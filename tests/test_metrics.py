"""What is counted, and who may read it: each process by itself, and all of them in their rows."""

import asyncio
import logging
import time
from collections import Counter
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.db.models.functions import Now
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from notifications import EVERYONE, asend, processes, withdraw
from notifications.models import Change, Message, Process
from notifications.processes import Reporter, Standing
from notifications.running import RunningHub
from notifications.tally import BOUNDS, Tally, quantile
from tests.people import crowd
from tests.until import until

TOKEN = "a-token-for-this-test-alone"
BEARER = {"authorization": f"Bearer {TOKEN}"}


def values(text):
    """The samples, by name and labels."""
    return {
        (sample.name, *[v for k, v in sample.labels.items() if k != "id"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def token(settings):
    settings.METRICS_TOKEN = TOKEN


# --------------------------------------------------------------------------------- who may ask


@pytest.mark.django_db
def test_nobody_may_ask_where_nothing_is_said(client, settings):
    settings.METRICS_TOKEN, settings.METRICS_NETWORKS = "", []
    assert client.get("/metrics", headers=BEARER).status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize("given", [{}, {"authorization": "Bearer no"}, {"authorization": "é"}])
def test_a_wrong_token_is_refused(client, token, given):
    answer = client.get("/metrics", headers=given)
    assert (answer.status_code, "notifications" in answer.content.decode()) == (401, False)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.django_db
def test_a_network_lets_in_who_is_in_it_and_no_proxy(client, settings):
    settings.METRICS_NETWORKS = ["10.0.0.0/8", "::1"]

    def ask(address, **headers):
        return client.get("/metrics", REMOTE_ADDR=address, headers=headers).status_code

    assert ask("10.1.2.3") == ask("::1") == 200
    assert ask("11.1.2.3") == ask("") == 403
    assert ask("10.1.2.3", **{"x-forwarded-for": "10.9.9.9"}) == 403


# ------------------------------------------------------------------------------- what is said


async def test_the_numbers_are_those_of_what_has_happened(inside, browser, people, token):
    alice, bob = await browser(inside, people.alice), await browser(inside, people.bob)
    await alice.open()
    await bob.open()
    await alice.state()
    await bob.state()
    await asend("to all", to=EVERYONE)
    await asend("to nobody here", to=[people.root])
    await asend("to alice", to=[people.alice])  # the last: who has it has been told all
    assert [await alice.read(), await alice.read(), await bob.read()] == [
        "to all", "to alice", "to all",
    ]  # fmt: skip
    await alice.come_back()
    await bob.close()
    answer = await alice.http.get("/metrics", headers=BEARER)
    found = values(answer.text)
    assert answer.headers["content-type"].startswith("text/plain")
    assert found["notifications_streams",] == found["notifications_users",] == 1
    assert found["notifications_streams_opened_total",] == 3
    assert found["notifications_reconnects_total",] == 1
    assert found["notifications_streams_closed_total", "left"] == 2
    assert found["notifications_streams_closed_total", "slow"] == 0
    assert found["notifications_messages_total",] == 3
    assert found["notifications_delivery_seconds_count",] == 2
    assert 0 < found["notifications_delivery_seconds_sum",] < 5
    assert found["notifications_delivery_seconds_bucket", "+Inf"] == 2
    assert found["notifications_doorbell_heard",] == 1
    assert found["notifications_log_position",] == 3


async def test_ends_are_counted_by_their_reasons(inside, browser, people, token):
    alice = await browser(inside, people.alice)
    await alice.open()
    (hub,) = RunningHub.all()
    (stream,) = hub.everyone()
    stream.end("slow")
    await alice.bye()
    await alice.close()
    assert hub.tally.numbers["closed.slow"] == 1
    assert "closed.left" not in hub.tally.numbers


async def test_who_is_cut_off_was_too_slow(inside, browser, people):
    alice = await browser(inside, people.alice)
    await alice.open()
    (hub,) = RunningHub.all()
    hub.everyone()[0].cut()
    assert hub.tally.numbers["closed.slow"] == 1


async def test_what_a_new_process_reads_of_the_past_is_no_latency(inside, browser, people):
    await asend("old", to=EVERYONE)
    await Message.objects.aupdate(published_at=timezone.now() - timedelta(hours=1))
    alice = await browser(inside, people.alice)
    await alice.open()
    (hub,) = RunningHub.all()
    assert hub.cursor.position == 1
    assert hub.tally.numbers["messages"] == 0


async def test_a_message_to_a_thousand_streams_is_counted_once(inside, browser, people):
    readers = [await browser(inside, user) for user in await sync_to_async(crowd)(10)]
    for reader in readers:
        await reader.open()
        await reader.state()
    (hub,) = RunningHub.all()
    before = Counter(hub.tally.numbers)
    await asend("to all", to=EVERYONE)
    for reader in readers:
        await reader.read()
    new = hub.tally.numbers - before
    assert new["deliveries"] == 10
    assert sum(count for name, count in new.items() if name.startswith("latency.")) == 1


def test_a_latency_below_nothing_is_a_wrong_clock_and_no_latency():
    tally = Tally()
    tally.measures = True
    ahead = timezone.now() + timedelta(seconds=30)
    message = Message(published_at=ahead, position=1)
    tally.handed_out(Change(event=Change.Event.PUBLISHED), message, True, 0)
    tally.delivered(1)
    assert tally.numbers["ahead"] == 1
    assert "microseconds" not in tally.numbers


@pytest.mark.parametrize(
    ("latencies", "part", "expected"),
    [([], 0.5, None), ([0.0005], 0.5, 0.0005), ([0.15] * 10, 0.9, 0.19), ([99.0], 0.5, 10.0)],
)
def test_quantiles_are_as_prometheus_would_have_them(latencies, part, expected):
    tally = Tally()
    for seconds in latencies:
        tally._took(seconds)
    counts = [tally.numbers[f"latency.{n}"] for n in range(len(BOUNDS) + 1)]
    assert quantile(counts, part) == (expected and pytest.approx(expected))


# -------------------------------------------------------------------------- each in its own row


async def test_a_process_reports_itself_and_says_good_bye(inside, browser, people):
    alice = await browser(inside, people.alice)
    await alice.open()
    (hub,) = RunningHub.all()
    await hub.report()
    row = await Process.objects.aget()
    assert (row.streams, row.users, row.numbers["opened"], row.stopped_at) == (1, 1, 1, None)
    assert row.again_within == processes.BUSY
    assert row.minutes[-1]["opened"] == 1
    await hub.stop()
    assert (await Process.objects.aget()).stopped_at


async def test_a_report_comes_by_itself(inside, browser, people):
    alice = await browser(inside, people.alice)
    await alice.open()
    rows = []

    async def look():
        rows.extend([row async for row in Process.objects.all()])

    async with asyncio.timeout(20):
        while not rows:
            await look()


def standing(**changes):
    return Standing(**{**vars(Standing.of_nobody()), **changes})


def test_a_quiet_process_reports_rarely_and_says_so():
    reporter, nothing = Reporter(), standing()
    assert reporter.is_due(0, nothing)
    assert reporter.note(0, nothing)["again_within"] == processes.QUIET
    assert not reporter.is_due(30, nothing)
    assert reporter.is_due(processes.QUIET, nothing)
    assert reporter.is_due(30, standing(numbers=Counter(opened=1)))
    busy = standing(streams=1)
    assert reporter.is_due(30, busy)
    assert reporter.note(30, busy)["again_within"] == processes.BUSY
    assert not reporter.is_due(34, busy)
    assert reporter.is_due(35, busy)


def test_minutes_tell_what_is_new_in_each(monkeypatch):
    reporter = Reporter()
    for minute in range(processes.MINUTES + 10):
        monkeypatch.setattr(time, "time", lambda minute=minute: minute * 60.0)
        reporter.note(0, standing(numbers=Counter(opened=3 * minute), streams=7))
        told = reporter.note(1, standing(numbers=Counter(opened=3 * minute + 2), streams=8))
    minutes = told["minutes"]
    assert len(minutes) == processes.MINUTES
    assert minutes[-1] == {"minute": 39, "opened": 3, "streams": 8, "users": 0}


def test_who_is_silent_for_longer_than_promised_is_stale_and_then_forgotten(people):
    def row(pk, ago, **values):
        at = Now() - timedelta(seconds=ago)
        values = {"again_within": 5, "host": "h", "pid": 1} | values
        Process.objects.create(pk=pk, **values, reported_at=at)

    row("live", 4)
    row("stale", 30)
    row("quiet", 30, again_within=60)
    row("stopped", 30, stopped_at=Now())
    row("gone", 4_000)
    assert {seen.process.pk: seen.state for seen in processes.read()} == {
        "live": "live", "stale": "stale", "quiet": "live", "stopped": "stopped", "gone": "stale",
    }  # fmt: skip
    assert processes.prune() == 1
    assert not Process.objects.filter(pk="gone").exists()


def test_a_row_that_was_pruned_meanwhile_is_made_anew(people):
    reporter = Reporter()
    reporter.write(reporter.note(0, standing()))
    Process.objects.all().delete()
    reporter.write(reporter.note(1, standing()))
    assert Process.objects.count() == 1


def test_all_processes_are_told_by_each(client, people, token):
    for number in (1, 2):
        reporter = Reporter()
        numbers = Counter(opened=number, **{"closed.slow": number})
        reporter.write(reporter.note(0, standing(streams=number, numbers=numbers)))
        Process.objects.filter(pk=reporter.id).update(pid=number, host="h")
    found = values(client.get("/metrics?processes=all", headers=BEARER).content.decode())
    by_process = {key[1]: value for key, value in found.items() if key[0].endswith("s_streams")}
    assert by_process == {"h:1": 1, "h:2": 2}
    slow = {key[1]: value for key, value in found.items() if key[-1] == "slow"}
    assert slow == {"h:1": 1, "h:2": 2}


def test_asked_for_itself_it_asks_no_database(client, token, django_assert_num_queries):
    assert client.get("/metrics", headers=BEARER).status_code == 200  # not even allowed to


# ------------------------------------------------------------------------------- lines of the log


async def test_a_script_that_makes_itself_another_stream_has_come_back(
    inside, browser, people, token
):
    alice = await browser(inside, people.alice)
    ready = await alice.open()
    await alice.open(ready.id)  # another page, for all that is known
    await alice.open(ready.id, again=True)
    found = values((await alice.http.get("/metrics", headers=BEARER)).text)
    assert found["notifications_streams_opened_total",] == 3
    assert found["notifications_reconnects_total",] == 1


async def test_opens_ends_and_messages_are_a_line_each(inside, browser, people, caplog):
    caplog.set_level(logging.INFO, logger="notifications.events")
    alice = await browser(inside, people.alice)
    await alice.open()
    message = await asend("to all", to=EVERYONE)
    await alice.read()
    await sync_to_async(withdraw)(message)
    await alice.close()
    await until(lambda: any("closed" in record.message for record in caplog.records))
    fields = [record.fields for record in caplog.records if hasattr(record, "fields")]
    said = {each["event"]: each for each in fields}
    assert said["opened"] == {"event": "opened", "user": people.alice.pk, "returns": False}
    assert said["published"] == {
        "event": "published", "message": message.pk, "position": 1, "everyone": True,
    }  # fmt: skip
    assert said["withdrawn"]["position"] == 2
    assert (said["closed"]["user"], said["closed"]["reason"]) == (people.alice.pk, "left")
    assert 0 <= said["closed"]["seconds"] < 60
