"""The same events as JSON, at once or by long poll, for who cannot read a stream."""

import asyncio

import pytest
from asgiref.sync import sync_to_async
from django.test import Client

from notifications import EVERYONE, acts, asend, withdraw
from notifications.running import RunningHub
from tests.server import python
from tests.until import until

CHANGES = "/messages/changes/"
LONG = 1_000.0  # s that a poll may wait here: nobody would wait for its end


@pytest.fixture(autouse=True)
def _only_news_ends_a_poll(monkeypatch):
    monkeypatch.setattr("notifications.streaming.LONGEST_WAIT", LONG)
    monkeypatch.setattr("notifications.running.SWEEP", float("inf"))


async def changes(reader, **params):
    answer = await reader.get(CHANGES, **params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def waiting_poll(reader, **params):
    """A poll that is waiting by now."""
    poll = asyncio.create_task(reader.get(CHANGES, wait=LONG, **params))
    await until(lambda: any(reader.user.pk in hub.streams for hub in RunningHub.all()))
    return poll


def run(code: str) -> None:
    """In another process."""
    with python(code) as process:
        assert process.wait(30) == 0, process.stderr.read()


# -------------------------------------------------------------------------------------- at once


async def test_it_tells_what_came_after_the_cursor_as_the_stream_does(inside, browser, people):
    alice = await browser(inside, people.alice)
    start = await alice.open()
    first = await asend("one", to=EVERYONE)
    assert await alice.read() == "one"  # before it is withdrawn
    await asend("not hers", to=[people.bob])
    await asend("two", to=[people.alice])
    await sync_to_async(withdraw)(first)
    while (event := await alice.event()).name != "withdrawn":
        pass
    answer = await changes(alice, after=start.id)
    streamed = [event._asdict() for event in alice.got if event.name in ("message", "withdrawn")]
    told = [{"name": each.pop("event"), **each} for each in answer["events"]]
    assert told == streamed[1:]  # what was taken back since is not told again
    assert answer["cursor"] == event.id
    counts = answer["unread"], answer["unseen"], answer["version"], answer["reset"]
    assert counts == (1, 1, 0, False)
    assert answer["user"] == people.alice.pk  # a page of another can tell that it is not for it
    assert (await changes(alice, after=answer["cursor"]))["events"] == []


async def test_without_a_cursor_it_tells_where_things_stand(inside, browser, people):
    await asend("old", to=EVERYONE)
    answer = await changes(await browser(inside, people.alice))
    assert (answer["events"], answer["unread"], answer["reset"]) == ([], 1, False)
    assert answer["cursor"].endswith("-1")


@pytest.mark.parametrize("cursor", ["", "garbage", "0123456789ab-1", "0123456789ab-999", "☃-1"])
async def test_a_bad_cursor_gets_a_reset_at_once(inside, browser, people, cursor):
    await asend("old", to=EVERYONE)
    alice = await browser(inside, people.alice)
    answer = await changes(alice, after=cursor, wait=LONG)
    assert (answer["reset"], answer["events"], answer["acts"]) == (True, [], None)
    assert (await changes(alice, after=answer["cursor"]))["reset"] is False


async def test_who_missed_too_much_gets_a_reset(inside, browser, people, monkeypatch):
    monkeypatch.setattr("notifications.streaming.MOST_CHANGES", 2)
    alice = await browser(inside, people.alice)
    start = (await changes(alice))["cursor"]
    for title, reset in (("one", False), ("two", False), ("three", True)):
        await asend(title, to=EVERYONE)
        assert (await changes(alice, after=start))["reset"] is reset


@pytest.mark.parametrize(
    ("field", "value"),
    [("wait", "soon"), ("wait", "nan"), ("version", "x"), ("version", "1.5"), ("version", "")],
)
async def test_bad_input_is_named(inside, browser, people, field, value):
    answer = await (await browser(inside, people.alice)).get(CHANGES, **{field: value})
    assert (answer.status_code, answer.json()["field"]) == (400, field)


def test_under_wsgi_it_answers_at_once(people, monkeypatch):
    monkeypatch.setattr("notifications.streaming.RunningHub", None)  # with which it would wait
    client = Client()  # Django's test client speaks WSGI
    client.force_login(people.alice)
    cursor = client.get(CHANGES).json()["cursor"]
    assert client.get(CHANGES, {"after": cursor, "wait": LONG}).json()["events"] == []


# ------------------------------------------------------------------------------------ long polls


async def test_a_poll_waits_for_a_message_from_another_process(inside, browser, people):
    alice = await browser(inside, people.alice)
    now = await changes(alice)
    poll = await waiting_poll(alice, after=now["cursor"], version=now["version"])
    await asyncio.to_thread(
        run, "from notifications import EVERYONE, send; send('hello', to=EVERYONE)"
    )
    answer = (await poll).json()
    assert [event["data"]["title"] for event in answer["events"]] == ["hello"]
    assert (answer["unread"], answer["cursor"]) == (1, answer["events"][-1]["id"])


async def test_a_poll_waits_for_an_act_in_another_process(inside, browser, people):
    message = await asend("hello", to=EVERYONE)
    alice = await browser(inside, people.alice)
    now = await changes(alice)
    poll = await waiting_poll(alice, after=now["cursor"], version=now["version"])
    code = (
        "from django.contrib.auth.models import User; from notifications import acts;"
        f"assert acts.read(User.objects.get(username='alice'), {message.pk})"
    )
    await asyncio.to_thread(run, code)
    answer = (await poll).json()
    assert (answer["events"], answer["unread"], answer["version"]) == ([], 0, now["version"] + 1)
    assert [(act["act"], act["ids"]) for act in answer["acts"]] == [("read", [message.pk])]


async def test_a_poll_is_not_woken_by_what_is_for_others(inside, browser, people):
    alice = await browser(inside, people.alice)
    now = await changes(alice)
    poll = await waiting_poll(alice, after=now["cursor"], version=now["version"])
    await asend("psst", to=[people.bob])
    await asend("hello", to=[people.alice])
    assert [event["data"]["title"] for event in (await poll).json()["events"]] == ["hello"]


async def test_a_poll_answers_at_once_when_the_version_differs(inside, browser, people):
    alice = await browser(inside, people.alice)
    await asend("hello", to=EVERYONE)
    before = await changes(alice)
    await alice.post("/messages/read-all/")
    answer = await changes(alice, after=before["cursor"], version=before["version"], wait=LONG)
    assert (answer["unread"], answer["acts"][0]["act"]) == (0, "all-read")


async def test_a_poll_ends_when_the_user_is_signed_out(inside, browser, people):
    alice = await browser(inside, people.alice)
    now = await changes(alice)
    poll = await waiting_poll(alice, after=now["cursor"], version=now["version"])
    await sync_to_async(acts.end_streams)(people.alice.pk)
    assert (await poll).status_code == 401


async def test_a_poll_that_hears_nothing_says_so(inside, browser, people):
    alice = await browser(inside, people.alice)
    now = await changes(alice)
    again = await changes(alice, after=now["cursor"], version=now["version"], wait=0.05)
    assert again == now | {"acts": []}
    (hub,) = RunningHub.all()
    assert hub.streams == {}  # and leaves nothing behind


# ------------------------------------------------------------------------- tabs and devices


async def test_lists_and_counts_agree_on_every_tab_and_device(servers, browser, people):
    """On two processes, by stream, by poll and by snapshot."""
    one, two = [await browser(servers(kind), people.alice) for kind in ("daphne", "uvicorn")]
    messages = [await asend(title, to=EVERYONE) for title in ("a", "b", "c")]
    start = await changes(two)
    for reader in (one, two):
        await reader.open()
        assert (await reader.state())["unread"] == 3
    for act in (
        f"/messages/{messages[0].pk}/read/",
        f"/messages/{messages[1].pk}/archive/",
        "/messages/seen/",
        f"/messages/{messages[0].pk}/unread/",
        "/messages/read-all/",
    ):
        done = (await one.post(act)).json()
        assert done["version"] > start["version"]
        for reader in (one, two):
            while (state := await reader.state())["version"] < done["version"]:
                pass
            snapshot = (await reader.get("/messages/snapshot/")).json()
            poll = await changes(reader, version=start["version"])
            for seen in (state, snapshot, poll):
                assert {key: seen[key] for key in ("version", "position", "unread", "unseen")} == {
                    key: done[key] for key in ("version", "position", "unread", "unseen")
                }
            listed = [message["read"] for message in snapshot["messages"]]
            assert listed.count(False) == snapshot["unread"]
