"""Staff post messages in the admin, follow them, correct them and take them back."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from notifications import EVERYONE, acts, inbox, publish_due, send, withdraw
from notifications.models import Change, Message, Recipient
from tests.people import crowd, person

MESSAGES = "/admin/notifications/message/"
ADD = f"{MESSAGES}add/"


@pytest.fixture
def admin(people, client):
    client.force_login(people.root)
    return client


@pytest.fixture
def crew(people):
    crew = Group.objects.create(name="crew")
    crew.user_set.add(people.alice)
    return crew


def staff(*permissions):
    """A member of staff who may do just this."""
    user = person("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def post(client, path, **fields):
    return client.post(path, {"title": "Hello", "level": "info"} | fields, follow=True)


def at(moment, name="publish_at"):
    """A date and a time, as the two inputs send them."""
    return {f"{name}_0": f"{moment:%Y-%m-%d}", f"{name}_1": f"{moment:%H:%M:%S}"}


def text(response):
    return unescape(response.content.decode())


def errors(response):
    return {name: list(said) for name, said in response.context["adminform"].form.errors.items()}


def titles(user):
    return [item.message.title for item in inbox.listing(user).items]


# ------------------------------------------------------------------------------------ who may


def test_who_may_only_see_changes_nothing(people):
    message = send("Hello", to=EVERYONE)
    client = staff("view_statistics")
    page = f"{MESSAGES}{message.pk}/change/"
    assert "Hello" in text(client.get(page))
    assert 'value="withdraw"' not in text(client.get(page)) + text(client.get(MESSAGES))
    assert post(client, page, title="No").status_code == 403
    client.post(MESSAGES, {"action": "withdraw", "confirmed": "1", "_selected_action": message.pk})
    message.refresh_from_db()
    assert (message.title, message.withdraw_at) == ("Hello", None)


# -------------------------------------------------------------------------------- correcting


def test_a_correction_reaches_those_who_have_it(admin, people):
    message = send("Helo", to=[people.alice], level="warning")
    page = f"{MESSAGES}{message.pk}/change/"
    post(admin, page, title="Hello", level="warning")
    assert titles(people.alice) == ["Hello"]
    assert Change.objects.filter(event="updated").count() == 1
    post(admin, page, title="Hello", level="warning")  # nothing is changed, nothing is said
    assert Change.objects.filter(event="updated").count() == 1
    assert LogEntry.objects.filter(action_flag=2).last().get_change_message() == "Changed Title."


def test_the_audience_and_what_the_system_writes_stay_as_they_are(admin, people):
    message = send("Hello", to=[people.alice])
    before = Message.objects.values().get()
    page = f"{MESSAGES}{message.pk}/change/"
    names = admin.get(page).context["adminform"].form.fields
    assert list(names) == ["title", "body", "level", "link", "expires_at"]
    forged = dict.fromkeys(["everyone", "groups", "usernames", "key", "html", "position"], "1")
    post(admin, page, **forged, **at(timezone.now()), **at(timezone.now(), "published_at"))
    assert Message.objects.values().get() == before
    assert list(message.recipients.values_list("user", flat=True)) == [people.alice.pk]


def test_a_scheduled_message_is_moved_and_with_an_empty_time_it_is_published(admin, people):
    message = send("Hello", to=EVERYONE, at=timezone.now() + timedelta(hours=1))
    page = f"{MESSAGES}{message.pk}/change/"
    tomorrow = (timezone.now() + timedelta(days=1)).replace(microsecond=0)
    post(admin, page, **at(tomorrow))
    message.refresh_from_db()
    assert message.publish_at == tomorrow
    post(admin, page)
    assert titles(people.alice) == ["Hello"]


def test_a_text_can_be_corrected_though_the_time_has_seconds_and_less(admin, people):
    moment = timezone.now() + timedelta(hours=1, microseconds=123)
    message = send("Helo", to=EVERYONE, at=moment)
    post(admin, f"{MESSAGES}{message.pk}/change/", **at(moment))
    message.refresh_from_db()
    assert (message.title, message.publish_at) == ("Hello", moment)


def test_what_is_wrong_with_a_correction_is_said_at_its_field(admin, people):
    message = send("Hello", to=[people.alice])
    page = f"{MESSAGES}{message.pk}/change/"
    past = at(timezone.now() - timedelta(days=1), "expires_at")
    assert list(errors(post(admin, page, link="//evil.example", **past))) == ["link", "expires_at"]


def test_what_was_withdrawn_meanwhile_cannot_be_corrected(admin, people):
    message = send("Hello", to=[people.alice])
    withdraw(message)
    page = f"{MESSAGES}{message.pk}/change/"
    assert 'name="_save"' not in text(admin.get(page))
    assert "It has been withdrawn or has expired" in text(post(admin, page, title="Too late"))


# -------------------------------------------------------------------------------- withdrawing


def buttons(page):
    """The page's form that withdraws, as a browser would send it."""
    inputs = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page)
    return {name: value for name, value in inputs if name != "csrfmiddlewaretoken"}


def test_a_message_is_withdrawn_from_its_page_after_a_question(admin, people):
    message = send("Hello", to=[people.alice])
    page = text(admin.get(f"{MESSAGES}{message.pk}/change/"))
    question = text(admin.post(MESSAGES, buttons(page)))
    assert "Take this message back?" in question
    assert "“Hello”, to alice, read by 0" in question
    assert titles(people.alice) == ["Hello"]
    assert "1 message withdrawn." in text(admin.post(MESSAGES, buttons(question), follow=True))
    assert titles(people.alice) == []
    assert LogEntry.objects.get().get_change_message() == "Withdrawn."


def test_withdrawing_what_is_gone_says_so(admin, people):
    message = send("Hello", to=[people.alice])
    withdraw(message)
    chosen = {"action": "withdraw", "confirmed": "yes", "_selected_action": message.pk}
    assert "Nothing is left to withdraw." in text(admin.post(MESSAGES, chosen, follow=True))
    assert not LogEntry.objects.exists()


def test_messages_are_withdrawn_not_deleted(admin, people):
    message = send("Hello", to=[people.alice])
    assert admin.get(f"{MESSAGES}{message.pk}/delete/").status_code == 403
    assert "delete_selected" not in text(admin.get(MESSAGES))


# ---------------------------------------------------------------------------------- following


def row(page, title):
    """The cells of one row of the list."""
    (cells,) = [r for r in re.findall(r"<tr>(.*?)</tr>", page, re.S) if title in r]
    found = re.findall(r'class="field-(\w+)[^"]*">(?:<a [^>]*>)?([^<]*)', cells)
    return dict(found)


def test_the_list_says_in_words_what_has_become_of_each(admin, people, crew):
    now = timezone.now()
    send("all", to=EVERYONE)
    many = send("many", to=[crew, *people, *crowd(2)])
    send("later", to=[people.bob], at=now + timedelta(hours=1))
    withdraw(send("gone", to=EVERYONE))
    person("late")
    acts.read(people.alice, many.pk)
    acts.unread(people.alice, many.pk)  # has read it all the same
    Message.objects.create(title="draft")
    page = text(admin.get(MESSAGES))
    shown = {title: row(page, f">{title}<") for title in ["all", "many", "later", "gone", "draft"]}
    assert [shown["all"][name] for name in ("state", "audience", "recipients", "read")] == [
        "published", "everyone", "3", "0",
    ]  # fmt: skip
    assert shown["many"]["audience"] == "crew, alice, bob and 3 more"
    assert (shown["many"]["recipients"], shown["many"]["read"]) == ("5", "1")
    assert shown["later"]["state"].startswith("scheduled for ")
    assert shown["later"]["recipients"] == "–"
    assert (shown["gone"]["state"], shown["draft"]["state"]) == ("withdrawn", "draft")


def test_the_filter_agrees_with_the_words(admin, people):
    now = timezone.now()
    send("a", to=EVERYONE)
    send("b", to=EVERYONE, at=now + timedelta(hours=1))
    withdraw(send("c", to=EVERYONE))
    withdraw(send("d", to=EVERYONE, at=now + timedelta(hours=1)))
    Message.objects.create(title="e")
    ended = send("f", to=EVERYONE)
    Message.objects.filter(pk=ended.pk).update(expires_at=now, due_at=now)
    publish_due()
    found = {}
    for name in ["published", "scheduled", "withdrawn", "draft", "expired"]:
        listed = admin.get(MESSAGES, {"state": name}).context["cl"].result_list
        found[name] = sorted(message.title for message in listed)
        assert all(
            row(text(admin.get(MESSAGES)), f">{t}<")["state"].startswith(name) for t in found[name]
        )
    assert found == {
        "published": ["a"],
        "scheduled": ["b"],
        "withdrawn": ["c", "d"],
        "draft": ["e"],
        "expired": ["f"],
    }


def test_a_long_list_takes_no_more_queries_than_a_short_one(admin, people, crew):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert admin.get(MESSAGES).status_code == 200
        return len(captured)

    def send_five():
        for to in (EVERYONE, [crew], [people.alice], [crew, *people], [people.bob]):
            send("Hello", to=to)

    send_five()
    admin.get(MESSAGES)  # content types and the like are remembered from here on
    at_five = queries()
    for _ in range(9):
        send_five()
    assert queries() == at_five


def test_a_messages_page_shows_what_readers_see_and_nothing_worse(admin, people):
    message = send("<b>T</b>", to=[people.alice], body="<script>alert(1)</script> **bold**")
    page = admin.get(f"{MESSAGES}{message.pk}/change/").content.decode()
    assert "<strong>bold</strong>" in page
    assert "<script>alert(1)" not in page
    assert "<b>T</b>" not in page


def test_recipients_and_the_log_are_to_look_at(admin, people):
    message = send("Hello", to=[people.alice])
    recipient = message.recipients.get()
    listed = text(admin.get("/admin/notifications/recipient/", {"message": message.pk}))
    assert "alice" in listed
    assert "published" in text(admin.get("/admin/notifications/change/"))
    for model, pk in [("recipient", recipient.pk), ("change", 1)]:
        base = f"/admin/notifications/{model}/"
        assert admin.get(f"{base}add/").status_code == 403
        assert admin.post(f"{base}{pk}/change/", {"via": "group"}).status_code == 403
        assert admin.post(f"{base}{pk}/delete/", {"post": "yes"}).status_code == 403
        admin.post(base, {"action": "delete_selected", "_selected_action": pk, "post": "yes"})
    assert Recipient.objects.count() == Change.objects.count() == 1


def test_an_account_with_messages_can_be_deleted(admin, people):
    send("Hello", to=[people.alice])
    admin.post(f"/admin/auth/user/{people.alice.pk}/delete/", {"post": "yes"})
    assert not Recipient.objects.exists()
    assert not type(people.alice).objects.filter(username="alice").exists()


def test_the_zone_of_the_times_is_said(admin, settings):
    settings.TIME_ZONE = "Asia/Shanghai"
    message = send("Hello", to=EVERYONE)
    for page in (ADD, f"{MESSAGES}{message.pk}/change/"):
        assert "Times are in Asia/Shanghai." in text(admin.get(page))


@pytest.mark.parametrize("path", [ADD, MESSAGES])
def test_the_pages_keep_the_sites_policy(admin, path):
    page = admin.get(path).content.decode()
    assert not re.search(r"<style|<script(?![^>]* src=)|\sstyle=|\son\w+=", page)
