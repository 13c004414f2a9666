"""A message's page in the admin: what has become of it, and what can still be done with it."""

import re
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from playwright.async_api import expect

from notifications import EVERYONE, acts, asend, audience, inbox, publish_due, send, withdraw
from notifications.models import Change, Message
from notifications.processes import Reporter
from notifications.running import RunningHub
from notifications.staff import figures, reading, watching
from tests.chromium import needs_chromium
from tests.look import THEMES, needs_axe, picture, staff_violations, violations
from tests.people import crowd, person, titles
from tests.staff import MESSAGES, clerk, html, logged_in, page_of, words
from tests.test_dashboard import parts, watch
from tests.test_metrics import standing
from tests.until import until

STATS = "/admin/notifications/process/stats/"


@pytest.fixture
def root(people):
    return logged_in(people.root)


def post(client, path, **fields):
    return client.post(path, {"title": "Hello", "level": "info"} | fields, follow=True)


def at(moment, name="publish_at"):
    """A date and a time, as the input sends them."""
    return {name: f"{moment:%Y-%m-%dT%H:%M:%S}"}


def errors(response):
    return {name: list(said) for name, said in response.context["adminform"].form.errors.items()}


def later(hours=1):
    return timezone.now() + timedelta(hours=hours)


def counts(message):
    """audience, sent, streamed, seen, read"""
    found = reading.of(Message.objects.get(pk=message.pk))
    return found.audience, found.sent, found.streamed, found.seen, found.read


# -------------------------------------------------------------------------------- correcting


def test_a_correction_reaches_those_who_have_it(root, people):
    message = send("Helo", to=[people.alice], level="warning")
    post(root, page_of(message), title="Hello", level="warning")
    assert titles(people.alice) == ["Hello"]
    assert Change.objects.filter(event="updated").count() == 1
    post(root, page_of(message), title="Hello", level="warning")  # nothing is changed or said
    assert Change.objects.filter(event="updated").count() == 1
    assert LogEntry.objects.filter(action_flag=2).last().get_change_message() == "Changed Title."


def test_the_audience_and_what_the_system_writes_stay_as_they_are(root, people):
    message = send("Hello", to=[people.alice])
    before = Message.objects.values().get()
    names = root.get(page_of(message)).context["adminform"].form.fields
    assert list(names) == ["title", "body", "level", "link"]
    forged = dict.fromkeys(["everyone", "groups", "usernames", "key", "html", "position"], "1")
    now = timezone.now()
    times = at(now) | at(now, "published_at") | at(now, "expires_at")
    post(root, page_of(message), **forged, **times)
    assert Message.objects.values().get() == before
    assert list(message.recipients.values_list("user", flat=True)) == [people.alice.pk]


def test_a_scheduled_message_is_moved_and_with_an_empty_time_it_is_published(root, people):
    message = send("Hello", to=EVERYONE, at=later())
    tomorrow = later(24).replace(microsecond=0)
    post(root, page_of(message), **at(tomorrow))
    message.refresh_from_db()
    assert message.publish_at == tomorrow
    post(root, page_of(message))
    assert titles(people.alice) == ["Hello"]


def test_a_text_can_be_corrected_though_the_time_has_seconds_and_less(root, people):
    moment = later() + timedelta(microseconds=123)
    message = send("Helo", to=EVERYONE, at=moment)
    post(root, page_of(message), **at(moment))
    message.refresh_from_db()
    assert (message.title, message.publish_at) == ("Hello", moment)


def test_what_is_wrong_with_a_correction_is_said_at_its_field(root, people):
    message = send("Hello", to=[people.alice])
    page = post(root, page_of(message), title=" ", link="//evil.example")
    assert list(errors(page)) == ["title"]
    assert list(errors(post(root, page_of(message), link="//evil.example"))) == ["link"]
    assert "Live" in words(page)  # what is stored is what it says


def test_what_was_withdrawn_meanwhile_cannot_be_corrected(root, people):
    message = send("Hello", to=[people.alice])
    withdraw(message)
    assert 'name="_save"' not in html(root.get(page_of(message)))
    page = post(root, page_of(message), title="Too late")
    assert "It has been withdrawn or has expired" in words(page)


# ----------------------------------------------------------------------------------- its end


def end(client, message, ends, **fields):
    return client.post(f"{MESSAGES}{message.pk}/end/", {"ends": ends} | fields, follow=True)


@pytest.mark.parametrize(("ends", "hours"), [("hour", 1), ("day", 24), ("week", 168)])
def test_its_end_is_moved_by_a_preset_counted_from_now(root, people, ends, hours):
    message = send("Hello", to=EVERYONE, expires=later(48))
    before = timezone.now()
    assert "It ends on " in words(end(root, message, ends))
    message.refresh_from_db()
    ended = message.expires_at - timedelta(hours=hours)
    assert before <= ended <= timezone.now()
    assert LogEntry.objects.get().get_change_message().startswith("It ends on ")


def test_of_what_is_to_come_presets_count_from_then(root, people):
    message = send("Hello", to=EVERYONE, at=later(5))
    end(root, message, "hour")
    message.refresh_from_db()
    assert message.expires_at == message.publish_at + timedelta(hours=1)


def test_its_end_is_taken_away_and_set_by_hand(root, people, settings):
    message = send("Hello", to=EVERYONE, expires=later())
    assert "It never ends." in words(end(root, message, "never"))
    message.refresh_from_db()
    assert message.expires_at is None
    settings.TIME_ZONE = "Asia/Shanghai"
    end(root, message, "pick", at="2040-01-02T08:30")
    message.refresh_from_db()
    assert message.expires_at.isoformat() == "2040-01-02T00:30:00+00:00"
    assert "2040-01-02T08:30" in html(root.get(page_of(message)))


@pytest.mark.parametrize(
    ("ends", "typed", "said"),
    [
        ("pick", "", "Say when."),
        ("pick", "soon", "Enter a valid date/time."),
        ("pick", "2001-01-01T00:00", "Must be in the future"),
        ("tomorrow", "", "Select a valid choice."),
        ("", "", "This field is required."),
    ],
)
def test_an_end_that_cannot_be_is_refused_in_words(root, people, ends, typed, said):
    message = send("Hello", to=EVERYONE)
    assert said in words(end(root, message, ends, at=typed))
    message.refresh_from_db()
    assert message.expires_at is None
    assert not LogEntry.objects.exists()


def test_what_is_over_has_no_end_to_move(root, people):
    message = send("Hello", to=EVERYONE)
    withdraw(message)
    assert 'name="ends"' not in html(root.get(page_of(message)))
    assert "It has been withdrawn or has expired" in words(end(root, message, "hour"))


def test_a_shortened_end_ends_it_for_readers(root, people):
    message = send("Hello", to=EVERYONE)
    end(root, message, "hour")
    assert titles(people.alice) == ["Hello"]
    Message.objects.update(expires_at=timezone.now(), due_at=timezone.now())
    publish_due()
    assert titles(people.alice) == []
    assert "Expired" in words(root.get(page_of(message)))


# -------------------------------------------------------------------------------- withdrawing


def test_a_message_is_withdrawn_from_its_page_after_a_question(root, people):
    message = send("Hello", to=[people.alice])
    link = f"{MESSAGES}{message.pk}/withdraw/"
    assert link in html(root.get(page_of(message)))
    question = words(root.get(link))
    assert "Take this message back?" in question
    assert "“Hello”, to alice, read by 0" in question
    assert titles(people.alice) == ["Hello"]
    assert "1 message withdrawn." in words(root.post(link, follow=True))
    assert titles(people.alice) == []
    assert LogEntry.objects.get().get_change_message() == "Withdrawn."
    assert "Nothing is left to withdraw." in words(root.post(link, follow=True))
    assert LogEntry.objects.count() == 1


def test_messages_are_withdrawn_not_deleted(root, people):
    message = send("Hello", to=[people.alice])
    assert root.get(f"{MESSAGES}{message.pk}/delete/").status_code == 403


def test_what_is_not_there_is_said_not_to_be(root, people):
    for path in ("withdraw/", "change/"):
        assert "doesn’t exist" in words(root.get(f"{MESSAGES}77/{path}", follow=True))
    assert "doesn’t exist" in words(root.post(f"{MESSAGES}77/end/", {"ends": "hour"}, follow=True))


# ------------------------------------------------------------------------------------ who may


def test_a_sender_sees_and_changes_only_what_is_his_own(people):
    user = clerk("send_to_users")
    client = logged_in(user)
    mine, other = send("Mine", to=[people.alice], sender=user), send("Other", to=[people.alice])
    assert client.get(page_of(mine)).status_code == 200
    for path in ("change/", "withdraw/", "history/"):
        page = client.get(f"{MESSAGES}{other.pk}/{path}", follow=True)
        assert page.status_code == 403 or "doesn’t exist" in words(page)
    end(client, other, "hour")
    client.post(f"{MESSAGES}{other.pk}/withdraw/")
    other.refresh_from_db()
    assert (other.expires_at, other.withdraw_at) == (None, None)
    end(client, mine, "hour")
    client.post(f"{MESSAGES}{mine.pk}/withdraw/")
    mine.refresh_from_db()
    assert mine.expires_at
    assert mine.withdrawn_at


def test_numbers_and_reasons_need_a_permission_of_their_own(people):
    user = clerk("send_to_users")
    message = send("Hello", to=[people.alice], sender=user)
    page = logged_in(user).get(page_of(message), {"who": "alice"})
    assert "Live" in words(page)
    assert "alice got it" not in words(page)
    assert "As a table" not in words(page)
    watcher = logged_in(clerk("view_statistics", name="watcher"))
    page = watcher.get(page_of(message), {"who": "alice"})
    assert "alice got it" in words(page)
    assert "As a table" in words(page)


def test_who_may_only_look_moves_no_end_and_withdraws_nothing(people):
    watcher = logged_in(clerk("view_statistics"))
    message = send("Hello", to=EVERYONE)
    page = html(watcher.get(page_of(message)))
    assert 'name="ends"' not in page
    assert "withdraw/" not in page
    assert "?copy=" not in page
    assert end(watcher, message, "hour").status_code == 403
    assert watcher.post(f"{MESSAGES}{message.pk}/withdraw/").status_code == 403
    assert post(watcher, page_of(message), title="No").status_code == 403
    message.refresh_from_db()
    assert (message.title, message.expires_at, message.withdraw_at) == ("Hello", None, None)


def test_nothing_is_changed_without_the_forms_token(people):
    strict = logged_in(people.root, enforce_csrf_checks=True)
    message = send("Hello", to=EVERYONE)
    assert end(strict, message, "hour").status_code == 403
    assert strict.post(f"{MESSAGES}{message.pk}/withdraw/").status_code == 403
    assert strict.get(f"{MESSAGES}{message.pk}/end/").status_code == 405


def test_it_can_be_sent_again(root, people):
    message = send("Hello", to=EVERYONE)
    assert f'href="{MESSAGES}add/?copy={message.pk}"' in html(root.get(page_of(message)))


# -------------------------------------------------------------------------------- the numbers


def test_a_message_to_people_counts_those_who_have_it_saw_it_and_read_it(people):
    others = crowd(3)
    message = send("Hello", to=[people.alice, people.bob, *others])
    assert counts(message) == (5, 5, None, 0, 0)
    acts.seen(people.bob)
    assert counts(message) == (5, 5, None, 1, 0)
    acts.read(people.alice, message.pk)  # by its link, without a look at the bell
    assert counts(message) == (5, 5, None, 2, 1)
    acts.unread(people.alice, message.pk)
    assert counts(message) == (5, 5, None, 2, 1)
    send("Another", to=[people.alice])
    acts.seen(people.root)
    assert counts(message) == (5, 5, None, 2, 1)


def test_a_message_to_everyone_counts_accounts_and_inboxes(people):
    message = send("Hello", to=EVERYONE)
    assert counts(message) == (3, 0, None, 0, 0)
    inbox.listing(people.alice)
    assert counts(message) == (3, 1, None, 0, 0)
    acts.seen(people.alice)
    acts.read(people.bob, message.pk)
    assert counts(message) == (3, 2, None, 2, 1)
    late = person("late")
    inbox.listing(late)
    acts.seen(late)
    assert counts(message) == (3, 2, None, 2, 1)
    people.bob.delete()
    assert counts(message)[:2] == (2, 1)


def test_what_is_to_come_counts_whom_it_would_reach_now(people):
    crew = Group.objects.create(name="crew")
    crew.user_set.add(people.alice)
    message = send("Hello", to=[crew, people.alice, people.bob], at=later())
    assert counts(message) == (2, 0, None, 0, 0)
    assert counts(send("Hello", to=EVERYONE, at=later())) == (3, 0, None, 0, 0)


def test_while_it_is_being_sent_staff_see_to_how_many_so_far(root, people, monkeypatch):
    crew = Group.objects.create(name="crew")
    crew.user_set.set(crowd(25))
    message = send("Hello", to=[crew], at=later())
    send("Not yet", to=[crew], at=later(), sender=people.root)
    withdraw(send("Taken back", to=[crew], at=later()))
    now = timezone.now()
    Message.objects.exclude(title="Not yet").update(publish_at=now, due_at=now)
    monkeypatch.setattr(audience, "CHUNK", 10)
    assert "so far" not in words(root.get(MESSAGES)) + words(root.get(page_of(message)))
    assert not audience.enlist_members(message, iter([True, True, False]).__next__)
    assert "Being sent 20 people so far" in words(root.get(MESSAGES))
    assert "Being sent 20 people so far" in words(root.get(page_of(message)))
    assert [(each.title, each.reach.enlisted) for each in figures.sends()] == [("Hello", 20)]
    assert "Hello crew Being sent 20 people so far" in words(
        root.get("/admin/notifications/process/")
    )
    publish_due()
    assert "so far" not in words(root.get(MESSAGES)) + words(root.get(page_of(message)))
    (sent,) = figures.sends()
    assert (sent.reach.recipients, sent.reach.enlisted) == (25, 25)


def test_streams_are_added_up_over_the_processes_that_know(people):
    message = send("Hello", to=EVERYONE)
    for streamed in ({message.pk: 3}, {message.pk: 4, 77: 1}, {}):
        reporter = Reporter()
        reporter.write(reporter.note(0, standing(streamed=streamed)))
    assert counts(message)[2] == 7
    other = send("Nobody knows", to=EVERYONE)
    assert {each.pk: each.streamed for each in figures.sends()} == {message.pk: 7, other.pk: None}


async def test_a_process_tells_to_how_many_streams_it_handed_a_message(inside, browser, people):
    alice = [await browser(inside, people.alice) for _ in range(2)]
    bob = await browser(inside, people.bob)
    for each in (*alice, bob):
        await each.open()
        await each.read_until("state")
    await watch(browser, inside, people.root)  # an onlooker is no reader
    named = await asend("to alice", to=[people.alice])
    for each in alice:
        assert await each.read() == "to alice"
    everyone = await asend("to all", to=EVERYONE)
    for each in (*alice, bob):
        assert await each.read() == "to all"
    (hub,) = RunningHub.all()
    await until(lambda: len(hub.tally.streamed) == 2)
    assert hub.tally.streamed == {named.pk: 2, everyone.pk: 3}
    await hub.report()
    found = await sync_to_async(reading.of)(await Message.objects.aget(pk=everyone.pk))
    assert found.streamed == 3


def read_at(message, user, moment):
    acts.read(user, message.pk)
    message.recipients.filter(user=user).update(first_read_at=moment)


@pytest.mark.parametrize(
    ("age", "unit"),
    [(timedelta(minutes=50), "minute"), (timedelta(days=2), "hour"), (timedelta(days=20), "day")],
)
def test_the_curve_has_a_step_for_each_minute_hour_or_day(people, age, unit):
    message = send("Hello", to=[people.alice, people.bob])
    begun = timezone.now() - age
    Message.objects.update(published_at=begun)
    read_at(message, people.alice, begun + age / 4)
    read_at(message, people.bob, begun + age / 2)
    message.refresh_from_db()
    found = reading.of(message)
    assert found.unit == timedelta(**{f"{unit}s": 1})
    assert abs(len(found.steps) - age / found.unit) <= 1
    when = [step.at for step in found.steps if step.reads]
    first, second = when
    for at, part in ((first, 1 / 4), (second, 1 / 2)):
        assert timedelta() <= begun + age * part - at < found.unit
    assert {step.reads for step in found.steps} == {0, 1}


def test_days_of_the_curve_are_those_of_the_zone(people, settings):
    settings.TIME_ZONE = "Asia/Shanghai"
    message = send("Hello", to=[people.alice])
    Message.objects.update(published_at=timezone.now() - timedelta(days=10))
    message.refresh_from_db()
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    read_at(message, people.alice, midnight - timedelta(days=3) + timedelta(minutes=30))
    (step,) = [step for step in reading.of(message).steps if step.reads]
    assert step.at == midnight - timedelta(days=3)


def test_the_curve_ends_when_the_message_does(people):
    message = send("Hello", to=[people.alice])
    begun = timezone.now() - timedelta(days=2)
    Message.objects.update(published_at=begun, withdrawn_at=begun + timedelta(minutes=30))
    message.refresh_from_db()
    found = reading.of(message)
    assert found.unit == timedelta(minutes=1)
    assert len(found.steps) == 31


def test_the_page_says_all_that_in_words_and_draws_it(root, people):
    message = send("Hello", to=[people.alice, people.bob])
    assert "Nobody has read it yet." in html(root.get(page_of(message)))
    acts.read(people.alice, message.pk)
    page = root.get(page_of(message))
    assert "For 2 people Sent 2 have it in their list Streamed – not known" in words(page)
    assert "Read 1 (50%)" in words(page)
    (label,) = re.findall(r'role="img" aria-label="([^"]+)"', html(page))
    assert label.startswith("Read by 1 so far; half of them by ")
    assert re.search(r"Minute Read it Altogether [\w:. ]+ 1 1", words(page))


def test_the_page_asks_the_same_however_many_there_are(root, people):
    def queries(message):
        with CaptureQueriesContext(connection) as captured:
            assert root.get(page_of(message), {"who": "alice"}).status_code == 200
        return len(captured)

    few, many = send("Few", to=[people.alice]), send("Many", to=[people.alice, *crowd(200)])
    queries(few)  # content types and the like are remembered from here on
    assert queries(many) == queries(few) <= 14


def test_hostile_text_is_text(root, people):
    evil = person("<script>alert(1)</script>")
    message = send("<b>T</b>", to=[evil], body="<script>alert(2)</script> **bold**", sender=evil)
    acts.read(evil, message.pk)
    for query in ({}, {"who": evil.username}, {"who": "<script>alert(3)</script>"}):
        page = root.get(page_of(message), query).content.decode()
        assert "<strong>bold</strong>" in page
        assert "<script>alert(" not in page
        assert "<b>T</b>" not in page
        assert not re.search(r"<style|<script(?![^>]* src=)|\sstyle=|\son\w+=", page)
    page = root.get(f"{MESSAGES}{message.pk}/withdraw/").content.decode()
    assert "<script>alert(" not in page
    assert "<b>T</b>" not in page


def test_who_is_asked_for_and_unknown_is_said_to_be(root, people):
    message = send("Hello", to=[people.alice])
    assert "There is no user 'zed'." in words(root.get(page_of(message), {"who": "zed"}))


# --------------------------------------------------------------------------------------- live


async def test_the_stream_brings_what_the_page_shows(inside, browser, people, monkeypatch):
    monkeypatch.setattr(watching, "EVERY", 0.05)
    monkeypatch.setattr(watching, "COUNTED_EVERY", 0.0)
    message = await asend("Hello", to=[people.alice])
    root = await watch(browser, inside, people.root, f"{STATS}?message={message.pk}")
    shown = await parts(root)
    assert set(shown) == {"standing_of_message", "counts", "reads", "reads_table"}
    await sync_to_async(acts.read)(people.alice, message.pk)
    while "1 (100%)" not in (await parts(root)).get("counts", ""):
        pass
    await sync_to_async(withdraw)(message)
    while "Withdrawn" not in (await parts(root)).get("standing_of_message", ""):
        pass


@pytest.mark.parametrize("key", ["77", "x", "9" * 30, "-1"])
async def test_of_what_is_not_there_the_stream_brings_nothing(inside, browser, people, key):
    root = await watch(browser, inside, people.root, f"{STATS}?message={key}")
    assert await parts(root) == {}


# -------------------------------------------------------------------------- in a real browser


def in_browser(test):
    for mark in (
        needs_chromium,
        pytest.mark.asyncio(loop_scope="session"),
        pytest.mark.only("sqlite"),
    ):
        test = mark(test)
    return test


@in_browser
async def test_numbers_move_while_you_watch(people, reader):
    message = await asend("Hello", to=[people.alice, people.bob])
    root = await reader(people.root, path=page_of(message))
    counts = root.find('[data-part="counts"]')
    await expect(counts).to_contain_text("Read")
    alice = await reader(people.alice, path=f"/messages/{message.pk}/")
    await expect(alice.find("h1")).to_have_text("Hello")
    await expect(counts).to_contain_text("1 (50%)")
    await root.find("summary").click()
    await expect(root.find('[data-part="reads_table"] tbody tr')).to_have_count(1)


@in_browser
@pytest.mark.parametrize("scripts", [True, False])
async def test_staff_correct_move_ask_and_withdraw(people, reader, scripts):
    message = await asend("Helo", to=[people.alice])
    alice = await reader(people.alice)
    await alice.sees(Helo=False)
    root = await reader(people.root, path=page_of(message), scripts=scripts)
    await root.find("#id_title").fill("Hello")
    await root.press("Save and continue editing")
    await alice.sees(Hello=False)
    await expect(alice.row("Hello")).to_contain_text("edited")
    await root.press("+1 day")
    await expect(root.find(".messagelist")).to_contain_text("It ends on ")
    await expect(root.find(".standing .chip")).to_have_text("Live")
    await expect(root.find(".standing")).to_contain_text("until ")
    await root.find("#who").fill("bob")
    await root.press("Ask")
    await expect(root.find(".verdict")).to_have_text("bob did not get it.")
    await root.press_link("Withdraw…")
    await root.press("Withdraw")
    await alice.sees()
    await expect(root.find(".standing .chip")).to_have_text("Withdrawn")


@in_browser
async def test_all_of_it_is_reached_by_keyboard(people, reader):
    message = await asend("Hello", to=[people.alice])
    root = await reader(people.root, path=page_of(message))
    reached = set()
    for _ in range(80):
        await root.page.keyboard.press("Tab")
        reached.add(await root.page.evaluate(
            "document.activeElement.textContent.trim() || document.activeElement.id"
            " || document.activeElement.value"
        ))  # fmt: skip
    wanted = {"Withdraw…", "Send again", "id_title", "+1 hour", "Never", "Set the end", "who",
              "As a table", "Pause"}  # fmt: skip
    assert wanted <= reached


STATES = {
    "live": {},
    "ending": {"expires": timedelta(days=1)},
    "scheduled": {"at": timedelta(hours=3)},
    "withdrawn": {},
}


async def prepared(people, state):
    options = {name: timezone.now() + span for name, span in STATES[state].items()}
    body = "From **22:00** for about ten minutes.\n\n- Shop\n- Wiki"
    to = [people.alice, people.bob, people.root]
    message = await asend("Maintenance tonight", to=to, body=body, level="warning", **options)
    for user in () if state == "scheduled" else (people.alice, people.bob):
        await sync_to_async(acts.read)(user, message.pk)
    if state == "withdrawn":
        await sync_to_async(withdraw)(message)
    return message


@in_browser
@needs_axe
@pytest.mark.parametrize("state", STATES)
async def test_it_looks_right_to_axe_in_each_state(people, reader, state):
    message = await prepared(people, state)
    root = await reader(people.root, path=f"{page_of(message)}?who=alice")
    assert await staff_violations(root.page, f"staff-message-{state}", 1400) == []


@in_browser
@needs_axe
async def test_the_question_looks_right_to_axe(people, reader):
    message = await prepared(people, "live")
    root = await reader(people.root, path=f"{MESSAGES}{message.pk}/withdraw/")
    for theme in THEMES:
        await picture(root.page, f"staff-withdraw-{theme}", color_scheme=theme)
        assert await violations(root.page) == []
