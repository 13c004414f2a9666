"""The stream: who gets what and from where, how it begins and how it ends."""

import asyncio
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from notifications import EVERYONE, asend, log, publish_due
from notifications.handler import Handler
from notifications.models import Change, Message
from tests.browser import PATIENCE, STREAM
from tests.inside import Inside


@sync_to_async
def head() -> str:
    return str(log.head())


@sync_to_async
def prune() -> None:
    """All changes but the last go, as after weeks."""
    newest = Change.objects.order_by("position").last()
    Change.objects.filter(position__lt=newest.position).delete()


# --------------------------------------------------------------------------------- who gets what


async def test_each_reader_gets_what_is_for_them_and_a_stranger_nothing(
    each_server, browser, people
):
    alice, bob = await browser(each_server, people.alice), await browser(each_server, people.bob)
    stranger = await browser(each_server)
    await alice.open()
    await bob.open()
    await asend("psst", to=[people.alice])
    assert await alice.read() == "psst"
    assert await bob.is_silent()
    await asend("hello", to=EVERYONE)
    assert [await alice.read(), await bob.read()] == ["hello", "hello"]
    answer = await stranger.get(STREAM)
    assert (answer.status_code, answer.headers["Content-Type"]) == (401, "application/json")
    assert answer.json()["error"]


async def test_nobody_receives_lists_counts_or_touches_what_is_not_addressed_to_them(
    inside, browser, people
):
    alice, bob = await browser(inside, people.alice), await browser(inside, people.bob)
    message = await asend("psst", to=[people.alice])
    snapshot = (await bob.get("/messages/snapshot/")).json()
    assert (snapshot["messages"], snapshot["unread"], snapshot["unseen"]) == ([], 0, 0)
    assert (await bob.get(f"/messages/{message.pk}/")).status_code == 404
    for act in ("read", "unread", "archive", "unarchive"):
        assert (await bob.post(f"/messages/{message.pk}/{act}/")).status_code == 404
    assert (await bob.post("/messages/read-all/")).json()["unread"] == 0
    assert (await alice.get("/messages/snapshot/")).json()["unread"] == 1
    assert (await bob.get("/messages/changes/", after="0-0")).json()["events"] == []


async def test_the_cursor_of_another_user_shows_nothing_of_theirs(inside, browser, people):
    alice, bob = await browser(inside, people.alice), await browser(inside, people.bob)
    start = (await alice.open()).id
    await asend("psst", to=[people.alice])
    assert await alice.read() == "psst"
    await bob.open(after=start)
    assert await bob.is_silent()


# ----------------------------------------------------------------------------- where it goes on


@pytest.fixture(params=["memory", "log"])
def source(request, monkeypatch):
    """Where what was missed is read: from the hub's memory, or from the log when that is empty."""
    if request.param == "log":
        monkeypatch.setattr("notifications.past.CHANGES", 0)


@pytest.mark.usefixtures("source")
@pytest.mark.parametrize("way", ["after", "last_event_id"])
async def test_a_reader_resumes_where_it_was(inside, browser, people, way):
    alice = await browser(inside, people.alice)
    start = (await alice.open()).id
    await alice.close()
    for title in ("one", "two", "three"):
        await asend(title, to=EVERYONE)
    ready = await alice.open(**{way: start})
    assert (ready.name, ready.id, ready.data["cursor"]) == ("ready", start, start)
    assert [await alice.read() for _ in range(3)] == ["one", "two", "three"]
    assert await alice.is_silent()


async def test_last_event_id_wins_over_the_address(inside, browser, people):
    """A browser that reconnects sends the address it began with, and the newer header."""
    alice = await browser(inside, people.alice)
    start = (await alice.open()).id
    await asend("one", to=EVERYONE)
    assert await alice.read() == "one"
    await asend("two", to=EVERYONE)
    await alice.open(after=start, last_event_id=alice.cursor)
    assert await alice.read() == "two"


async def test_cut_off_right_after_ready_a_reader_still_gets_what_it_missed(
    inside, browser, people
):
    alice = await browser(inside, people.alice)
    await alice.open()
    await alice.close()
    await asend("missed", to=EVERYONE)
    for _ in range(3):
        await alice.come_back()
        await alice.close()
    await alice.come_back()
    assert await alice.read() == "missed"


@pytest.mark.usefixtures("source")
async def test_every_replay_ends_with_a_state(inside, browser, people):
    """A connection may have been cut between a `withdrawn` and the state that belongs to it."""
    alice = await browser(inside, people.alice)
    await alice.open()
    assert (await alice.state())["unread"] == 0
    for unread in (1, 2):
        await alice.close()
        await asend("another", to=EVERYONE)
        await alice.come_back()
        events = await alice.read_until("state")
        assert [event.name for event in events] == ["message", "state"]
        assert events[-1].data["unread"] == events[-1].data["unseen"] == unread
        assert str(events[-1].data["position"]) == alice.cursor.partition("-")[2]


async def test_after_a_restart_nobody_takes_a_long_past_for_news(inside, browser, people):
    """A new hub reads more of the log than one look holds before it serves anybody."""

    def long_past() -> None:
        now = timezone.now()
        old = {"everyone": True, "publish_at": now, "due_at": now}
        Message.objects.bulk_create(Message(title="old", **old) for _ in range(3 * log.PAGE))
        publish_due()

    await sync_to_async(long_past)()
    alice = await browser(inside, people.alice)
    assert (await alice.open()).data["position"] == 3 * log.PAGE
    assert await alice.is_silent()


async def test_after_a_restart_a_reader_resumes_before_anything_new_is_published(
    each_server, browser, people
):
    alice = await browser(each_server, people.alice)
    await alice.open()
    await alice.close()
    await asend("while nobody listened", to=EVERYONE)
    each_server.restart()
    await alice.come_back()
    assert await alice.read() == "while nobody listened"


# ------------------------------------------------------------------------------ where it cannot

BAD_CURSORS = {
    "empty": "",
    "garbage": "; DROP TABLE",
    "no word": "-1",
    "no position": "abc-",
    "negative": "abc--1",
    "of another database": "0123456789ab-1",
    "at the start of another database": "0123456789ab-0",
    "from the future": "0123456789ab-999",
    "as far as a position can be": "0123456789ab-" + "9" * 18,
    "too big a position": "0123456789ab-" + "9" * 30,
    "huge": "a" * 3_000 + "-1",
    "digits of another script": "abc-١",
    "unicode": "☃-1",
    "half a surrogate": "\\ud800-1",
    "NUL": "abc-1\0",
    "lines": "abc-1\r\nid: 2",
}


@pytest.mark.parametrize("cursor", BAD_CURSORS.values(), ids=BAD_CURSORS)
async def test_a_bad_cursor_gets_a_reset_and_the_stream_goes_on(inside, browser, people, cursor):
    await asend("old", to=EVERYONE)
    alice = await browser(inside, people.alice)
    await is_reset(alice, cursor)


async def test_a_cursor_ahead_of_a_restored_log_gets_a_reset(inside, browser, people):
    alice = await browser(inside, people.alice)
    await asend("old", to=EVERYONE)
    word, _, position = (await head()).partition("-")
    await is_reset(alice, f"{word}-{int(position) + 1}")


async def test_a_cursor_older_than_the_log_gets_a_reset(inside, browser, people):
    alice = await browser(inside, people.alice)
    start = await head()
    for title in ("one", "two", "three"):
        await asend(title, to=EVERYONE)
    await prune()
    await is_reset(alice, start)


async def is_reset(alice, cursor) -> None:
    ready = await alice.open(after=cursor)
    # Without an id: one that is cut off here must be told again.
    assert (ready.name, ready.id, ready.data["cursor"]) == ("ready", "", None)
    reset = await alice.event()
    assert (reset.name, reset.data["cursor"], reset.id) == ("reset", await head(), await head())
    await asend("new", to=EVERYONE)
    assert await alice.read() == "new"
    assert alice.titles() == ["new"]


# ---------------------------------------------------------------------------------- what it is


async def test_a_stream_has_the_headers_that_caches_and_proxies_need(each_server, browser, people):
    alice = await browser(each_server, people.alice)
    await alice.open()
    headers = alice.response.headers
    assert headers["Content-Type"] == "text/event-stream"
    assert headers["Cache-Control"] == "private, no-store, no-transform"
    assert headers["X-Accel-Buffering"] == "no"
    assert headers["Content-Encoding"] == "identity"
    assert "Connection" not in headers  # hop-by-hop: HTTP/2 forbids it
    assert 1_000 <= alice.retry <= 3_000


async def test_head_has_the_same_headers_and_ends(each_server, browser, people):
    alice = await browser(each_server, people.alice)
    answer = await alice.http.head(STREAM)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Type"] == "text/event-stream"


async def test_a_stream_is_not_for_posting(inside, browser, people):
    alice = await browser(inside, people.alice)
    assert (await alice.post(STREAM)).status_code == 405


def test_under_wsgi_a_stream_is_refused(people):
    client = Client()  # Django's test client speaks WSGI
    client.force_login(people.alice)
    answer = client.get(STREAM)
    assert (answer.status_code, answer.headers["Content-Type"]) == (501, "application/json")


async def test_gzip_leaves_a_stream_alone(inside, browser, people, settings):
    gzip = "django.middleware.gzip.GZipMiddleware"
    settings.MIDDLEWARE = [gzip, *settings.MIDDLEWARE]
    alice = await browser(Inside(Handler()), people.alice)
    assert (await alice.http.get("/")).headers["Content-Encoding"] == "gzip"
    assert (await alice.open()).name == "ready"
    assert alice.response.headers["Content-Encoding"] == "identity"
    await asend("plain", to=EVERYONE)
    assert await alice.read() == "plain"


async def test_a_ping_carries_the_position_so_that_a_quiet_readers_cursor_does_not_rot(
    inside, browser, people, monkeypatch
):
    monkeypatch.setattr("notifications.stream.PING_AFTER", 0.02)
    monkeypatch.setattr("notifications.running.TICK", 0.02)
    bob = await browser(inside, people.bob)
    await bob.open()
    for title in ("one", "two", "three"):
        await asend(title, to=[people.alice])
    async with asyncio.timeout(PATIENCE):
        while bob.cursor != await head():
            assert (await bob.read_until("ping"))[-1].data == {}
    await bob.close()
    await prune()
    assert (await bob.come_back()).id == bob.cursor
    assert await bob.is_silent()
    assert "reset" not in {event.name for event in bob.got}


# ----------------------------------------------------------------------------------- how it ends


async def test_a_stream_dies_of_age_and_its_reader_goes_on(inside, browser, people, monkeypatch):
    monkeypatch.setattr("notifications.stream.LIFETIME", 0.1)
    monkeypatch.setattr("notifications.running.TICK", 0.02)
    alice = await browser(inside, people.alice)
    await alice.open()
    assert await alice.bye() == "lifetime"
    await asend("in between", to=EVERYONE)
    await alice.come_back()
    assert await alice.read() == "in between"


async def test_over_the_cap_the_oldest_stream_goes_and_stays_away_for_a_while(
    inside, browser, people, monkeypatch
):
    monkeypatch.setattr("notifications.hub.STREAMS_PER_USER", 2)
    oldest, *others = [await browser(inside, people.alice) for _ in range(3)]
    bob = await browser(inside, people.bob)
    for each in (bob, oldest, *others):
        await each.open()
    assert await oldest.bye() == "too-many"
    assert oldest.retry >= 60_000  # or the tabs would fight
    await asend("hello", to=EVERYONE)
    assert [await each.read() for each in (bob, *others)] == ["hello"] * 3


@pytest.mark.parametrize("path", [STREAM, "/messages/changes/", "/messages/snapshot/"])
async def test_a_stream_never_extends_the_session(inside, browser, people, path):
    alice = await browser(inside, people.alice)
    soon = timezone.now() + timedelta(minutes=5)
    await Session.objects.aupdate(expire_date=soon)
    if path == STREAM:
        await alice.open()
        response = alice.response
    else:
        response = await alice.get(path)
    assert "Set-Cookie" not in response.headers
    assert (await Session.objects.aget(pk=alice.session)).expire_date == soon
