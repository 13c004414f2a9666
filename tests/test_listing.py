"""The list of messages in the admin: states in words, dates, filters, a window on a million."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from asgiref.sync import sync_to_async
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from playwright.async_api import expect

from notifications import EVERYONE, acts, asend, canary, publish_due, send, withdraw
from notifications.models import Message
from notifications.staff import selecting
from notifications.staff.listing import MessageList
from tests.chromium import needs_chromium
from tests.look import needs_axe, staff_violations
from tests.people import crowd, person
from tests.staff import MESSAGES, clerk, html, logged_in, words

USERS = "/admin/auth/user/"
ADD = f"{MESSAGES}add/"


@pytest.fixture
def root(people):
    return logged_in(people.root)


def later(hours=1):
    return timezone.now() + timedelta(hours=hours)


def row(response, title):
    """The cells of the row of that title, as they are read."""
    (cells,) = [r for r in re.findall(r"<tr>(.*?)</tr>", html(response), re.S) if title in r]
    found = re.findall(r'class="[^"]*field-(\w+)[^"]*">(.*?)</t[dh]>', cells, re.S)
    return {name: " ".join(re.sub("<[^>]+>", "", cell).split()) for name, cell in found}


def listed(client, **query):
    return [message.title for message in client.get(MESSAGES, query).context["cl"].result_list]


def at(moment, *titles):
    """Messages that were written then."""
    for title in titles:
        message = send(title, to=EVERYONE)
        Message.objects.filter(pk=message.pk).update(created_at=moment)


# ---------------------------------------------------------------------------------- the words


def test_it_says_in_words_what_has_become_of_each(root, people, crew):
    send("all", to=EVERYONE)
    many = send("many", to=[crew, *people, *crowd(2)], expires=later(24))
    send("later", to=[people.bob], at=later(3.5))
    withdraw(send("gone", to=EVERYONE))
    person("late")
    acts.read(people.alice, many.pk)
    acts.unread(people.alice, many.pk)  # has read it all the same
    Message.objects.create(title="draft")
    held = timezone.now() - timedelta(seconds=1)  # its members are being written
    Message.objects.create(title="held", everyone=True, publish_at=held)
    page = root.get(MESSAGES)
    cells = {title: row(page, f">{title}<") for title in ["all", "many", "later", "gone", "draft"]}
    assert [cells["all"][name] for name in ("state", "audience", "recipients", "read")] == [
        "Live", "everyone", "3", "0",
    ]  # fmt: skip
    assert cells["many"]["state"].startswith("Live until ")
    assert cells["many"]["audience"] == "crew, alice, bob and 3 more"
    assert (cells["many"]["recipients"], cells["many"]["read"]) == ("5", "1")
    assert re.fullmatch(r"Scheduled .* UTC, in 3\s+hours", cells["later"]["state"])
    assert cells["later"]["recipients"] == "–"
    assert cells["gone"]["state"].startswith("Withdrawn ")
    assert cells["draft"]["state"] == "Draft"
    assert row(page, ">held<")["state"] == "Being sent"


def test_the_filter_agrees_with_the_words(root, people):
    now = timezone.now()
    send("a", to=EVERYONE)
    send("b", to=EVERYONE, at=later())
    withdraw(send("c", to=EVERYONE))
    withdraw(send("d", to=EVERYONE, at=later()))
    Message.objects.create(title="e")
    ended = send("f", to=EVERYONE)
    Message.objects.filter(pk=ended.pk).update(expires_at=now, due_at=now)
    publish_due()
    wanted = {"live": "a", "scheduled": "b", "withdrawn": "cd", "draft": "e", "expired": "f"}
    page = root.get(MESSAGES)
    for name, titles in wanted.items():
        assert sorted(listed(root, state=name)) == list(titles)
        for title in titles:
            assert row(page, f">{title}<")["state"].startswith(name.capitalize())


def test_it_is_searched_in_title_and_body(root, people):
    send("The lift", to=EVERYONE, body="works again")
    send("Lunch", to=EVERYONE)
    assert listed(root, q="LIFT again") == ["The lift"]
    assert listed(root, q="nothing") == []


def test_the_canary_is_not_in_it(root, people, settings):
    settings.CANARY_SECONDS = 5
    canary.sing()
    assert Message.objects.count() == 1
    assert listed(root) == []
    (bird,) = Message.objects.all()
    assert root.get(f"{MESSAGES}{bird.pk}/change/").status_code == 302


def test_hostile_titles_and_names_are_text(root, people):
    evil = person("<i>evil</i>")
    send("<script>alert(1)</script>", to=[evil], sender=evil)
    page = root.get(MESSAGES).content.decode()
    assert "<script>alert(1)" not in page
    assert "<i>evil" not in page
    assert not re.search(r"<style|<script(?![^>]* src=)|\sstyle=|\son\w+=", page)


# ---------------------------------------------------------------------------------- the dates


def test_a_year_a_month_and_a_day_are_chosen_step_by_step(root, people):
    at(datetime(2023, 5, 17, 12, tzinfo=UTC), "a", "b")
    at(datetime(2023, 5, 18, 12, tzinfo=UTC), "c")
    at(datetime(2023, 12, 31, 23, 59, tzinfo=UTC), "d")
    at(datetime(2025, 1, 1, tzinfo=UTC), "e")
    field = "created_at__"

    def choices(**query):
        dates = root.get(MESSAGES, query).context["cl"].calendar()
        return [choice["title"] for choice in dates["choices"]]

    assert choices() == ["2023", "2025"]
    assert choices(**{f"{field}year": 2023}) == ["May 2023", "December 2023"]
    month = {f"{field}year": 2023, f"{field}month": 5}
    assert choices(**month) == ["May 17", "May 18"]
    assert listed(root, **month) == ["c", "b", "a"]
    day = {**month, f"{field}day": 17}
    assert choices(**day) == ["May 17"]
    assert listed(root, **day) == ["b", "a"]
    assert listed(root, **{f"{field}year": 2023, f"{field}month": 12}) == ["d"]
    page = html(root.get(MESSAGES, month | {"level": "info", "p": "1"}))
    (link,) = re.findall(r'href="([^"]+)">May 18<', page)
    assert set(link.lstrip("?").split("&")) == {
        f"{field}year=2023", f"{field}month=5", f"{field}day=18", "level=info",
    }  # fmt: skip
    assert "‹ 2023" in page


def test_days_are_those_of_the_zone(root, people, settings):
    settings.TIME_ZONE = "Asia/Shanghai"
    at(datetime(2023, 12, 31, 20, tzinfo=UTC), "new year")
    assert listed(root, created_at__year=2024, created_at__month=1, created_at__day=1) == [
        "new year"
    ]
    assert "January 2024" in words(root.get(MESSAGES, {"created_at__year": 2024}))


@pytest.mark.parametrize(
    "query",
    [
        {"created_at__year": "x"}, {"created_at__year": "0"}, {"created_at__year": "9999"},
        {"created_at__year": "2023", "created_at__month": "13"},
        {"created_at__year": "2023", "created_at__month": "2", "created_at__day": "30"},
        {"state": "loud"}, {"p": "x"}, {"nonsense": "1"},
    ],
)  # fmt: skip
def test_an_address_that_makes_no_sense_shows_a_list_all_the_same(root, people, query):
    assert root.get(MESSAGES, query, follow=True).status_code == 200


# --------------------------------------------------------------------------------- the window


def test_only_the_newest_are_listed_and_older_ones_by_their_date(root, people, monkeypatch):
    monkeypatch.setattr(MessageList, "window", 3)
    for year in (2021, 2022, 2023):
        at(datetime(year, 3, 1, tzinfo=UTC), f"a{year}")
        at(datetime(year, 3, 2, tzinfo=UTC), f"b{year}")
    assert listed(root) == ["b2023", "a2023", "b2022"]
    assert "Only the newest 3 messages are listed" in words(root.get(MESSAGES))
    assert listed(root, q="a2021") == []
    assert listed(root, created_at__year=2021) == ["b2021", "a2021"]
    assert listed(root, created_at__year=2021, q="a2021") == ["a2021"]
    assert "Only the newest" not in words(root.get(MESSAGES, {"created_at__year": 2021}))
    # Whatever is outside is still one of the years to choose from.
    assert "2021" in words(root.get(MESSAGES))


def test_messages_of_one_instant_stay_in_the_list(root, people, monkeypatch):
    monkeypatch.setattr(MessageList, "window", 2)
    at(datetime(2023, 1, 1, tzinfo=UTC), "a", "b", "c", "d")
    assert len(listed(root)) == 4


def test_an_old_message_is_withdrawn_from_where_it_was_found(root, people, monkeypatch):
    monkeypatch.setattr(MessageList, "window", 1)
    at(datetime(2021, 1, 1, tzinfo=UTC), "old", "older")
    at(datetime(2023, 1, 1, tzinfo=UTC), "new")
    old = Message.objects.get(title="old")
    address = f"{MESSAGES}?created_at__year=2021"
    chosen = {"action": "withdraw", "_selected_action": old.pk}
    assert "Take this message back?" in words(root.post(address, chosen))
    assert "1 message withdrawn." in words(
        root.post(address, chosen | {"confirmed": "y"}, follow=True)
    )


def test_a_long_list_takes_no_more_queries_than_a_short_one(root, people, crew):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert root.get(MESSAGES).status_code == 200
        return len(captured)

    def send_five():
        for to in (EVERYONE, [crew], [people.alice], [crew, *people], [people.bob]):
            send("Hello", to=to, sender=people.root)

    send_five()
    send_five()
    root.get(MESSAGES)  # content types and the like are remembered from here on
    at_ten = queries()
    for _ in range(8):
        send_five()
    assert queries() == at_ten <= 20


# -------------------------------------------------------------------------------- withdrawing


def test_several_are_withdrawn_after_one_question(root, people):
    messages = [send(f"m{n}", to=[people.alice]) for n in range(3)]
    withdraw(messages[2])
    chosen = {"action": "withdraw", "_selected_action": [message.pk for message in messages]}
    question = words(root.post(MESSAGES, chosen))
    assert "Take these 2 messages back?" in question
    assert Message.objects.filter(withdrawn_at=None).count() == 2
    done = root.post(MESSAGES, chosen | {"confirmed": "yes"}, follow=True)
    assert "2 messages withdrawn." in words(done)
    assert not Message.objects.filter(withdrawn_at=None).exists()
    assert LogEntry.objects.filter(change_message__contains="Withdrawn.").count() == 2
    assert "Nothing is left to withdraw." in words(root.post(MESSAGES, chosen, follow=True))


def test_nobody_withdraws_what_is_anothers(people):
    user = clerk("send_to_users")
    client = logged_in(user)
    mine, other = send("mine", to=[people.alice], sender=user), send("other", to=[people.alice])
    assert listed(client) == ["mine"]
    forged = {"action": "withdraw", "confirmed": "y", "_selected_action": [mine.pk, other.pk]}
    assert "1 message withdrawn." in words(client.post(MESSAGES, forged, follow=True))
    other.refresh_from_db()
    assert other.withdraw_at is None
    watcher = logged_in(clerk("view_statistics", name="watcher"))
    assert listed(watcher) == ["other", "mine"]
    assert 'value="withdraw"' not in html(watcher.get(MESSAGES))
    watcher.post(MESSAGES, forged)
    other.refresh_from_db()
    assert other.withdraw_at is None
    both = logged_in(clerk("view_statistics", "send_to_users", name="both"))
    assert "Nothing is left to withdraw." in words(both.post(MESSAGES, forged, follow=True))
    other.refresh_from_db()
    assert other.withdraw_at is None
    ranger = logged_in(clerk("withdraw_any", name="ranger"))
    assert "1 message withdrawn." in words(ranger.post(MESSAGES, forged, follow=True))


def test_messages_are_not_deleted_and_reads_need_a_permission(root, people):
    user = clerk("send_to_users")
    send("mine", to=[people.alice], sender=user)
    assert "delete_selected" not in html(root.get(MESSAGES))
    assert "read" not in row(logged_in(user).get(MESSAGES), ">mine<")
    assert row(root.get(MESSAGES), ">mine<")["read"] == "0"


# ------------------------------------------------------------------------- from the users' list


def select(client, users, **more):
    chosen = {"action": "send_message", "_selected_action": [user.pk for user in users]}
    return client.post(USERS, chosen | more)


def test_selected_users_become_the_audience_of_a_new_message(root, people):
    assert "Send message to selected users" in html(root.get(USERS))
    answer = select(root, [people.alice, people.bob])
    assert (answer.status_code, answer.url) == (302, f"{ADD}?chosen=1")
    assert sorted(root.session[selecting.CHOSEN]) == sorted([people.alice.pk, people.bob.pk])


def test_all_across_the_pages_are_selected(root, people):
    crowd(9_997)
    assert select(root, [people.alice], select_across="1").status_code == 302
    assert len(root.session[selecting.CHOSEN]) == 10_000
    assert "reader9996" in html(root.get(ADD, {"chosen": "1"}))
    select(root, [people.alice], select_across="0")
    assert root.session[selecting.CHOSEN] == [people.alice.pk]


def test_too_many_are_sent_to_a_group(root, people, monkeypatch):
    monkeypatch.setattr(selecting, "MOST_NAMES", 2)
    answer = root.post(
        USERS,
        {"action": "send_message", "_selected_action": people.alice.pk, "select_across": "1"},
        follow=True,
    )
    assert "These are more than 2 users: make them a group" in words(answer)
    assert selecting.CHOSEN not in root.session


@pytest.mark.parametrize("permissions", [[], ["send_to_groups"], ["send_to_everyone"]])
def test_only_who_may_send_to_people_is_offered_it(people, permissions):
    client = logged_in(clerk("view_user", "change_user", *permissions))
    assert "send_message" not in html(client.get(USERS))
    select(client, [people.alice])
    assert selecting.CHOSEN not in client.session


def test_who_may_see_users_and_send_to_them_is(people):
    client = logged_in(clerk("view_user", "send_to_users"))
    assert select(client, [people.alice]).status_code == 302


class Plain(admin.ModelAdmin):
    """A project's own list of users."""

    actions = ["greet"]

    def greet(self, request, queryset):
        pass


class Silent(admin.ModelAdmin):
    actions = None


def test_a_projects_own_list_of_users_gets_it_too(people):
    users = get_user_model()
    own, without, none = (admin.AdminSite(name) for name in ("own", "without", "none"))
    own.register(users, Plain)
    without.register(users, Silent)
    for site in (own, own, without, none):
        selecting.offer(site)
    mine = own.get_model_admin(users)
    assert mine.actions == ["greet", selecting.send_message]
    assert mine.check() == []
    assert Plain.actions == ["greet"]
    assert without.get_model_admin(users).actions is None


# -------------------------------------------------------------------------- in a real browser


def in_browser(test):
    for mark in (
        needs_chromium,
        pytest.mark.asyncio(loop_scope="session"),
        pytest.mark.only("sqlite"),
    ):
        test = mark(test)
    return test


async def prepared(people):
    user, hour = people.root, timezone.now() + timedelta(hours=3.5)
    await asend("Live for everyone", to=EVERYONE, sender=user)
    await asend("Ends tomorrow", to=[people.alice], expires=later(24), sender=user)
    await asend("A title of a length that some people like, with a word or two more " * 2,
                to=[people.bob], at=hour)  # fmt: skip
    gone = await asend("Withdrawn", to=list(people), sender=user)
    ended = await asend("Expired", to=list(people))
    await Message.objects.acreate(title="Draft")
    await Message.objects.acreate(title="Being sent", everyone=True, publish_at=timezone.now())
    await sync_to_async(withdraw)(gone)
    now = timezone.now()
    await Message.objects.filter(pk=ended.pk).aupdate(expires_at=now, due_at=now)
    await sync_to_async(publish_due)()


@in_browser
@needs_axe
async def test_it_looks_right_to_axe_with_each_state(people, reader):
    await prepared(people)
    root = await reader(people.root, path=MESSAGES)
    assert await staff_violations(root.page, "staff-list", 800) == []


@in_browser
@pytest.mark.parametrize("scripts", [True, False])
async def test_staff_filter_choose_and_withdraw(people, reader, scripts):
    await prepared(people)
    root = await reader(people.root, path=MESSAGES, scripts=scripts)
    await root.page.get_by_role("link", name="Scheduled", exact=True).click()
    await expect(root.find("#result_list tbody tr")).to_have_count(2)  # one is being sent
    await root.page.get_by_role("link", name="Live", exact=True).click()
    await expect(root.find("#result_list tbody tr")).to_have_count(2)
    await root.find("#result_list .action-select").first.check()
    await root.find('select[name="action"]').select_option("withdraw")
    await root.press("Go")
    await expect(root.find("#content")).to_contain_text("Take this message back?")
    await root.press("Withdraw")
    await expect(root.find(".messagelist")).to_contain_text("1 message withdrawn.")
