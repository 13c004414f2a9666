"""Staff see in the admin what happens, live, and only those who may."""

import asyncio
import re
from collections import Counter
from datetime import timedelta
from html import unescape

import pytest
from asgiref.sync import sync_to_async
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation
from httpx_sse import EventSource
from playwright.async_api import expect

from notifications import EVERYONE, acts, asend, send
from notifications.models import Inbox, Process
from notifications.processes import Reporter
from notifications.running import RunningHub
from notifications.staff import figures, panels, watching
from tests.chromium import needs_chromium
from tests.people import person
from tests.test_metrics import standing
from tests.until import until

BASE = "/admin/notifications/process/"
STATS = f"{BASE}stats/"


def clerk(*permissions):
    user = person("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


def client_of(user):
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def root(people):
    return client_of(people.root)


def text(response):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def reported(**values):
    """A process that has just said how it stands."""
    reporter = Reporter()
    reporter.write(reporter.note(0, standing(**values)))
    return Process.objects.get(pk=reporter.id)


# ------------------------------------------------------------------------------------- who may


@pytest.mark.parametrize("path", ["", "user/?name=alice"])
def test_only_staff_with_the_permission_look(people, path):
    for stranger in (client_of(people.alice), Client()):
        assert stranger.get(BASE + path).headers["Location"].startswith("/admin/login/")
    assert client_of(clerk("view_message")).get(BASE + path).status_code == 403


async def test_nobody_else_gets_the_stream(inside, browser, people):
    user = await sync_to_async(clerk)("view_message")
    for who, status in [(None, 401), (people.alice, 403), (user, 403)]:
        assert (await (await browser(inside, who)).get(STATS)).status_code == status
    root = await browser(inside, people.root)
    assert (await root.post(STATS)).status_code == 405


def test_without_asgi_the_stream_is_refused(people, root):
    assert root.get(STATS).status_code == 501


def test_with_the_permission_a_clerk_looks_and_finds_it_in_the_index(people):
    client = client_of(clerk("view_statistics"))
    assert client.get(BASE).status_code == 200
    assert BASE in client.get("/admin/").content.decode()
    other = person("other", is_staff=True)
    assert BASE not in client_of(other).get("/admin/").content.decode()


def test_disconnecting_needs_a_permission_of_its_own_and_the_forms_token(people):
    client = client_of(clerk("view_statistics"))
    page = client.get(f"{BASE}user/", {"name": "alice"})
    assert "Disconnect" not in text(page)
    assert client.post(f"{BASE}disconnect/", {"user": people.alice.pk}).status_code == 403
    assert not Inbox.objects.filter(endings__gt=0).exists()
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(people.root)
    assert strict.post(f"{BASE}disconnect/", {"user": people.alice.pk}).status_code == 403
    assert client_of(people.root).get(f"{BASE}disconnect/").status_code == 405


# ----------------------------------------------------------------------------------- the pages


def test_processes_are_counted_while_they_live_and_said_to_be_stale_when_not(people, root):
    reported(streams=3, users=2, numbers=Counter(opened=9, reconnects=4), hears=True)
    dead = reported(streams=50, users=40, hears=False)
    Process.objects.filter(pk=dead.pk).update(
        reported_at=timezone.now() - timedelta(seconds=100), pid=77, host="gone"
    )
    page = text(root.get(BASE))
    assert "Users online 2" in page
    assert "Open streams 3" in page
    assert "gone:77 does not report any more: it is not counted." in page
    assert re.search(r"gone:77 stale: silent for 1\d\d s", page)


def test_what_is_wrong_is_said_in_words(people, root):
    reported(streams=1, hears=False, failing="look", numbers=Counter(ahead=1))
    page = text(root.get(BASE))
    assert "does not hear the doorbell: messages come later." in page
    assert "tries again and again: look." in page
    assert "clocks differ" in page


def test_without_any_process_it_says_so(people, root):
    assert "No process has reported yet: nobody has opened a stream." in text(root.get(BASE))


def test_charts_are_a_sentence_and_a_table_too(people, root):
    numbers = Counter({"latency.5": 90, "latency.9": 10, "messages": 100, "closed.slow": 2})
    reported(streams=3, numbers=numbers)
    page = root.get(BASE).content.decode()
    labels = [unescape(label) for label in re.findall(r'role="img" aria-label="([^"]+)"', page)]
    assert labels == [
        "Latency over 30 minutes: p50 8.7 ms, p95 60 ms, p99 68 ms lately; highest p99 68 ms.",
        "Latencies of the last minutes: 100 deliveries, 95 % within 60 ms.",
        "Open streams over 30 minutes: 3 now, 3 at most.",
        "In 30 minutes: 0 reconnects, 2 slow readers hung up on.",
    ]
    assert page.count("As a table") == 4
    assert re.search(r'<th scope="row">\d\d:\d\d</th><td>8\.7 ms</td><td>60 ms</td>', page)


def test_the_last_sends_say_how_many_have_seen_and_read_them(people, root):
    message = send("<b>Hello</b>", to=[people.alice, people.bob])
    acts.read(people.alice, message.pk)  # without a look at the bell
    acts.seen(people.bob)
    everyone = send("Everyone", to=EVERYONE)
    acts.read(people.alice, everyone.pk)
    acts.seen(people.bob)
    acts.seen(people.root)
    seen = {message.pk: 2, everyone.pk: 3}
    assert {each.pk: each.seen for each in figures.sends()} == seen
    acts.seen(people.alice)  # what she has read already
    seen[send("Nobody yet", to=EVERYONE).pk] = 0
    assert {each.pk: each.seen for each in figures.sends()} == seen
    page = root.get(BASE)
    assert "1 of 2 (50%)" in text(page)
    assert "&lt;b&gt;Hello" in page.content.decode()
    assert '<progress value="1" max="2"' in page.content.decode()


def test_the_page_asks_the_same_number_of_questions_however_much_there_is(people, root):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert root.get(BASE).status_code == 200
        return len(captured)

    def more():
        reported(streams=1)
        send("Hello", to=EVERYONE)
        send("Hello", to=[people.alice])

    more()
    more()
    root.get(BASE)
    few = queries()
    for _ in range(5):
        more()
    assert queries() == few <= 16


def test_the_pages_keep_the_sites_policy(people, root):
    send("Hello", to=EVERYONE)
    reported(streams=1, numbers=Counter({"latency.3": 1}))
    for path in ("", "user/?name=alice"):
        page = root.get(BASE + path).content.decode()
        assert not re.search(r"<style|<script(?![^>]* src=)|\sstyle=|\son\w+=", page)


def test_they_speak_chinese_where_it_is_translated(people, root):
    with translation.override("zh-hans"):
        assert panels.shown(panels.DASHBOARD)["numbers"]


# ---------------------------------------------------------------------------------- one user


def test_a_user_is_watched_by_name(people, root):
    message = send("Hello", to=[people.alice])
    acts.read(people.alice, message.pk)
    process = reported(streams=1)
    page = text(root.get(f"{BASE}user/", {"name": "alice"}))
    assert "Watching alice" in page
    assert "has not answered yet" in page
    stream = {"seconds": 61, "live": True, "version": 1, "waiting": 0}
    Process.objects.filter(pk=process.pk).update(watched={str(people.alice.pk): [stream]})
    page = text(root.get(f"{BASE}user/", {"name": "alice"}))
    assert re.search(r"Open streams 1 .* 61 s live 1 0 ", page)
    assert re.search(rf"Act Messages 1 read {message.pk}", page)


@pytest.mark.parametrize("name", ["zed", "", "<script>alert(1)</script>"])
def test_who_is_unknown_is_said_to_be(people, root, name):
    page = root.get(f"{BASE}user/", {"name": name}, follow=True)
    assert "There is no user" in text(page)
    assert "<script>alert(1)" not in page.content.decode()


def test_who_never_had_a_message_can_be_watched(people, root):
    assert "No stream is open." in text(root.get(f"{BASE}user/", {"name": "bob"}))


@pytest.mark.parametrize("key", ["0", "x", "", "999999999999999999999"])
def test_disconnecting_nobody_is_404(people, root, key):
    assert root.post(f"{BASE}disconnect/", {"user": key}).status_code == 404


async def test_disconnecting_ends_a_users_streams_and_is_in_the_log(inside, browser, people):
    alice = await browser(inside, people.alice)
    await alice.open()
    root = await sync_to_async(client_of)(people.root)
    post = sync_to_async(root.post)
    answer = await post(f"{BASE}disconnect/", {"user": people.alice.pk}, follow=True)
    assert "The open streams of alice end within a second." in text(answer)
    assert await alice.bye() == "signed-out"
    entry = await LogEntry.objects.aget()
    assert (entry.object_id, entry.get_change_message()) == (str(people.alice.pk), "Streams ended.")


# ------------------------------------------------------------------------------------- live


async def watch(browser, inside, user, path=STATS):
    """A stream of the dashboard; `ready` has come."""
    onlooker = await browser(inside, user)
    request = onlooker.http.stream("GET", path)
    onlooker.response = await onlooker._stream.enter_async_context(request)
    assert onlooker.response.status_code == 200
    assert onlooker.response.headers["content-type"] == "text/event-stream"
    onlooker._events = EventSource(onlooker.response).aiter_sse()
    onlooker._stream.push_async_callback(onlooker._events.aclose)
    assert (await onlooker.event()).name == "ready"
    return onlooker


async def parts(onlooker):
    return (await onlooker.read_until("stats"))[-1].data["parts"]


async def test_the_stream_brings_what_the_page_shows_and_then_what_changes(
    inside, browser, people, monkeypatch
):
    monkeypatch.setattr(watching, "EVERY", 0.05)
    monkeypatch.setattr(watching, "COUNTED_EVERY", 0.0)
    root = await watch(browser, inside, people.root)
    shown = await parts(root)
    assert set(shown) == {
        "numbers", "processes", "sends", "latency", "latency_table", "histogram",
        "histogram_table", "streams", "streams_table", "ends", "ends_table",
    }  # fmt: skip
    await asend("fresh", to=EVERYONE)
    while "fresh" not in (changed := await parts(root)).get("sends", ""):
        pass
    assert "histogram_table" not in changed


async def test_onlookers_are_no_readers_and_get_no_messages(inside, browser, people, monkeypatch):
    monkeypatch.setattr(watching, "EVERY", 0.05)
    root = await watch(browser, inside, people.root)
    alice = await browser(inside, people.alice)
    await alice.open()
    (hub,) = RunningHub.all()
    assert hub.present() == (1, 1)
    assert hub.users() == [people.alice.pk]
    await asend("to all", to=EVERYONE)
    assert await alice.read() == "to all"
    await parts(root)
    assert {event.name for event in root.got} <= {"ready", "stats", "ping"}
    assert hub.tally.numbers["opened"] == 1
    await root.close()
    await until(lambda: not hub.onlookers)
    assert hub.tally.numbers["closed.left"] == 0


async def test_all_onlookers_share_what_is_read(inside, browser, people, monkeypatch):
    monkeypatch.setattr(watching, "EVERY", 0.2)
    reads = []
    figures = panels.figures
    monkeypatch.setattr(panels, "figures", lambda: reads.append(1) or figures())
    rooms = [await watch(browser, inside, people.root) for _ in range(5)]
    for room in rooms:
        await parts(room)
    before = len(reads)
    (hub,) = RunningHub.all()
    await until(lambda: len(reads) >= before + 3)
    assert len(reads) < before + 6  # not five times as many
    for room in rooms:
        await room.close()
    board = watching.Board.of(hub)
    await until(lambda: board._task.done())


@pytest.mark.parametrize("how", ["log-out", "staff", "permission"])
async def test_it_ends_when_its_session_or_its_right_does(
    inside, browser, people, monkeypatch, how
):
    monkeypatch.setattr(watching, "EVERY", 0.05)
    monkeypatch.setattr(watching, "RECHECK", 0.1)
    user = await sync_to_async(clerk)("view_statistics")
    onlooker = await watch(browser, inside, user)
    await parts(onlooker)
    if how == "log-out":
        await onlooker.post("/accounts/logout/")
    elif how == "staff":
        await type(user).objects.filter(pk=user.pk).aupdate(is_staff=False)
    else:
        await sync_to_async(user.user_permissions.clear)()
    assert await onlooker.bye() == "signed-out"
    answer = await onlooker.get(STATS)
    assert answer.status_code == (401 if how == "log-out" else 403)


async def test_a_drain_ends_it(inside, browser, people):
    root = await watch(browser, inside, people.root)
    (hub,) = RunningHub.all()
    await hub.drain(1.0)
    assert await root.bye() == "drain"


async def test_a_database_that_does_not_answer_is_said_and_harms_nothing(
    inside, browser, people, monkeypatch
):
    monkeypatch.setattr(watching, "EVERY", 0.05)
    root = await watch(browser, inside, people.root)
    await parts(root)
    read = watching.Board._read
    monkeypatch.setattr(watching.Board, "_read", lambda *_: 1 / 0)
    await root.read_until("trouble")
    monkeypatch.setattr(watching.Board, "_read", read)
    await root.read_until("stats")


async def test_a_watched_users_streams_are_told_by_their_process(
    inside, browser, people, monkeypatch
):
    monkeypatch.setattr(watching, "EVERY", 0.1)
    alice = await browser(inside, people.alice)
    await alice.open()
    root = await watch(browser, inside, people.root, f"{STATS}?user={people.alice.pk}")
    while "live" not in (await parts(root)).get("streams_of_user", ""):
        pass
    row = await Process.objects.aget()
    assert list(row.watched) == [str(people.alice.pk)]


async def test_an_open_one_holds_no_thread_and_no_connection(server, browser, people):
    rooms = []

    async def one_more():
        room = await browser(server, people.root)
        request = room.http.stream("GET", STATS)
        room.response = await room._stream.enter_async_context(request)
        async for line in room.response.aiter_lines():
            if line.startswith("event: stats"):
                break
        rooms.append(room)

    for _ in range(3):
        await one_more()
    threads, sockets = server.threads(), server.sockets()
    for _ in range(6):
        await one_more()
    await until(lambda: server.threads() <= threads + 2)
    await until(lambda: server.sockets() <= sockets + 4)
    code, _ = await asyncio.to_thread(server.stop)
    assert code == 0


# -------------------------------------------------------------------------- in a real browser

in_browser = [
    needs_chromium,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.only("sqlite"),
]


def with_marks(test):
    for mark in in_browser:
        test = mark(test)
    return test


@with_marks
async def test_the_page_lives_pauses_and_goes_on(people, reader):
    root = await reader(people.root, path=BASE)
    state, sends = root.find(".now"), root.find('[data-part="sends"]')
    await expect(state).to_have_text("Live")
    await asend("fresh", to=EVERYONE)
    await expect(sends).to_contain_text("fresh")
    await root.press("Pause")
    await expect(state).to_have_text("Paused")
    await asend("later", to=EVERYONE)
    await root.press("Resume")
    await expect(state).to_have_text("Live")
    await expect(sends).to_contain_text("later")


@with_marks
async def test_a_table_that_is_open_stays_open_and_is_renewed(people, reader):
    root = await reader(people.root, path=BASE)
    await root.find("summary").nth(1).click()
    alice = await reader(people.alice)
    await alice.is_live()  # what waits for a stream to open has no latency
    await asend("now", to=[people.alice])
    await alice.sees(now=False)
    rows = root.find('[data-part="histogram_table"] tbody tr')
    await expect(rows).to_have_count(1)
    await expect(rows).to_be_visible()


@with_marks
async def test_who_may_no_longer_look_is_told(people, reader):
    root = await reader(people.root, path=BASE)
    await expect(root.find(".now")).to_have_text("Live")
    await sync_to_async(acts.end_streams)(people.root.pk)
    await type(people.root).objects.filter(pk=people.root.pk).aupdate(is_staff=False)
    await expect(root.find(".now")).to_contain_text("Ended")


@with_marks
async def test_a_server_that_is_gone_makes_the_figures_old(people, reader, server):
    root = await reader(people.root, path=BASE)
    await expect(root.find(".now")).to_have_text("Live")
    server.kill()
    await expect(root.find(".now")).to_have_text("Not live: the figures are old")
    server.start()
    await expect(root.find(".now")).to_have_text("Live")


@with_marks
async def test_without_scripts_it_is_complete_and_a_link_renews_it(people, reader):
    root = await reader(people.root, path=BASE, scripts=False)
    await expect(root.find(".pause")).to_be_hidden()
    await asend("fresh", to=EVERYONE)
    await root.find(".reload").click()
    await expect(root.find('[data-part="sends"]')).to_contain_text("fresh")
    await root.find("#watched").fill("alice")
    await root.find("#watched").press("Enter")
    await expect(root.find("h1")).to_have_text("Watching alice")
    await root.press("Disconnect")
    await expect(root.find(".messagelist")).to_contain_text("The open streams of alice end")


@with_marks
async def test_a_user_is_watched_live_from_another_process_too(people, reader, servers):
    other = servers("daphne")
    root = await reader(people.root, path=f"{BASE}user/?name=alice")
    await expect(root.find(".now")).to_have_text("Live")
    context = await reader(people.alice, path=None)
    page = await context.context.new_page()
    await page.goto(f"{other.url}/messages/")
    rows = root.find('[data-part="streams_of_user"] tbody')
    await expect(rows).to_contain_text("live")
