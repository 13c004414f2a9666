"""A message is written, looked at, sent, and undone, by staff who know what happens."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from zoneinfo import ZoneInfo

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.db import connection
from django.http import HttpResponse
from django.test import RequestFactory, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import path, set_script_prefix
from django.utils import timezone

from notifications import EVERYONE, publish_due, send
from notifications.models import Draft, Message
from notifications.staff import moments, second_look
from notifications.staff.drafts import UNDO
from tests.composer import ADD, MESSAGES, Composer, draft, nothing_is_written, ten_seconds_pass
from tests.people import crowd, person, titles


@pytest.fixture
def root(people):
    return Composer(people.root)


# ------------------------------------------------------------------------------- the whole story


def test_a_message_is_reviewed_sent_and_published_after_ten_seconds(root, people):
    page = root.review(whom="everyone", title="The lift", body="*works*", level="success")
    assert "Review before it is sent" in page
    for words in ("The lift", "Success", "everyone", "3 people", "ten seconds after you send it"):
        assert words in page
    assert nothing_is_written()
    assert "Send to 3 people" in page
    page = root.confirm()
    assert "“The lift” goes out to everyone." in page
    message = Message.objects.get()
    assert (message.sender, message.html) == (people.root, "<p><em>works</em></p>")
    publish_due()
    assert titles(people.alice) == []
    assert timedelta(seconds=5) < message.due_at - timezone.now() <= UNDO
    ten_seconds_pass()
    assert [titles(user) for user in people] == [["The lift"]] * 3
    assert not Draft.objects.exists()
    assert LogEntry.objects.get().get_change_message() == "Sent to everyone (3 people)."
    assert "“The lift” has been sent to everyone." in root.get(f"{MESSAGES}sent/{message.pk}/")


def test_within_ten_seconds_it_is_undone_and_the_text_is_there_again(root, people):
    message = root.send(usernames="alice", title="Helo", body="*hm*", link="/x/")
    page = root.undo(message)
    assert "Taken back: nobody has got it." in page
    assert (root.values["title"], root.values["body"]) == ("Helo", "*hm*")
    assert (root.values["usernames"], root.values["link"]) == ("alice", "/x/")
    ten_seconds_pass()
    assert titles(people.alice) == []
    words = [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]
    assert words == ["Sent to alice (1 person).", "Taken back before anybody had got it."]


def test_when_people_have_got_it_undo_is_refused(root, people):
    message = root.send(usernames="alice")
    ten_seconds_pass()
    page = root.undo(message)
    assert "Too late to undo" in page
    message.refresh_from_db()
    assert message.withdraw_at is None
    assert titles(people.alice) == ["Hello"]


def test_undo_is_asked_for_by_a_form(root, people):
    message = root.send(usernames="alice")
    root.get(f"{MESSAGES}undo/{message.pk}/")
    assert root.status == 405


def test_a_second_press_of_send_comes_to_the_same_message(root, people):
    root.review(whom="everyone")
    pressed_twice = root.raw
    assert "goes out to everyone" in root.confirm()
    root.raw = root.page = pressed_twice
    assert "goes out to everyone" in root.confirm()
    assert Message.objects.count() == 1
    assert LogEntry.objects.count() == 1


def test_what_was_changed_after_it_was_looked_at_is_not_sent(root, people):
    root.review(whom="everyone")
    looked_at = root.raw
    root.review(whom="everyone", title="Something else", draft=draft().pk)
    root.raw = looked_at
    assert "it is not what you had looked at" in root.confirm()
    assert nothing_is_written()
    root.confirm()
    assert Message.objects.get().title == "Something else"


@pytest.mark.parametrize("token", ["", "x", "WyJhIl0:1:2"])
def test_without_having_looked_nothing_is_sent(root, people, token):
    root.review(whom="everyone")
    assert "it is not what you had looked at" in root.confirm(token=token)
    assert nothing_is_written()


# -------------------------------------------------------------------------------------- for whom


@pytest.mark.parametrize("typed", ["alice", " alice \r\n\r\n", "alice, alice"])
def test_people_are_named_as_they_log_in(root, people, typed):
    root.send(usernames=typed)
    ten_seconds_pass()
    assert [titles(user) for user in people] == [["Hello"], [], []]


def test_groups_and_people_add_up_without_those_left_out(root, people, crew):
    crew.user_set.add(people.root)
    page = root.review(groups=[crew.pk], usernames="bob", but_usernames="root")
    assert "crew, bob, but not root" in page
    assert "Send to 2 people" in page
    assert "1 left out" in page
    root.confirm()
    ten_seconds_pass()
    assert [titles(user) for user in people] == [["Hello"], ["Hello"], []]


def test_everyone_but_a_group(root, people, crew):
    assert "everyone, but not crew" in root.review(whom="everyone", but_groups=[crew.pk])
    root.confirm()
    ten_seconds_pass()
    assert [titles(user) for user in people] == [[], ["Hello"], ["Hello"]]
    assert "everyone, but not crew" in root.get(MESSAGES)


def test_who_has_chosen_everyone_is_not_held_up_by_names_typed_before(root, people):
    assert "Send to 3 people" in root.review(whom="everyone", usernames="nobody at all")


def test_nobody_is_told_before_anything_is_sent(root, people):
    empty = Group.objects.create(name="empty")
    root.review(groups=[empty.pk])
    assert root.errors == {"whom": ["That is nobody at the moment."]}
    assert nothing_is_written()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"title": "   "}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"body": "x" * 10_001}, "body"),
        ({"body": "a\0b"}, "body"),
        ({"level": "loud"}, "level"),
        ({"link": "javascript:alert(1)"}, "link"),
        ({"until": "pick", "until_at": "2001-01-01T00:00"}, "until_at"),
        ({"until": "pick", "until_at": ""}, "until_at"),
        ({"when": "pick", "at": "soon"}, "at"),
        ({"when": "pick", "at": ""}, "at"),
        ({"when": "pick", "at": "2001-01-01T00:00"}, "at"),
        ({"usernames": ""}, "usernames"),
        ({"usernames": "alice, zed, eve"}, "usernames"),
        ({"but_usernames": "zed"}, "but_usernames"),
        ({"but_groups": ["99"]}, "but_groups"),
        ({"whom": "all"}, "whom"),
        ({"whom": ""}, "whom"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_kept_as_a_draft(root, people, fields, field):
    page = root.review(**{"usernames": "alice", "link": "/x/"} | fields)
    assert list(root.errors) == [field]
    assert "kept as a draft" in page
    assert nothing_is_written()
    assert not LogEntry.objects.exists()
    assert draft().data["link"] == [fields.get("link", "/x/")]


# ----------------------------------------------------------------------------------------- when


def test_a_picked_time_is_by_the_clock_of_who_picks_it(root, people):
    root.client.cookies["timezone"] = "Asia/Shanghai"
    assert "Times are in Asia/Shanghai." in root.get()
    zone = root.values["zone"]
    page = root.review(
        usernames="alice", zone=zone, when="pick", at="2999-12-24T18:00", until="day"
    )
    assert "CST" in page
    assert "2999-12-24 10:00 UTC" in page
    assert "2999-12-25 10:00 UTC" in page
    page = root.confirm()
    message = Message.objects.get()
    assert message.publish_at == datetime(2999, 12, 24, 10, tzinfo=UTC)
    assert message.expires_at - message.publish_at == timedelta(days=1)
    assert "“Hello” will be sent to alice on " in page


def test_tomorrow_stays_the_day_that_was_looked_at(root, people):
    root.review(usernames="alice", when="tomorrow", zone="Asia/Shanghai")
    tomorrow = datetime.now(ZoneInfo("Asia/Shanghai")).date() + timedelta(days=1)
    assert draft().data["at"] == [f"{tomorrow}T09:00"]
    root.confirm()
    expected = datetime(*tomorrow.timetuple()[:3], 9, tzinfo=ZoneInfo("Asia/Shanghai"))
    assert Message.objects.get().publish_at == expected


@pytest.mark.parametrize(("hour", "offered"), [(17, True), (18, False), (23, False)])
def test_tonight_is_offered_until_it_is_evening(hour, offered):
    now = datetime(2026, 11, 26, hour, tzinfo=UTC)
    assert ("tonight" in dict(moments.starts(now))) == offered


def test_an_end_counts_from_the_beginning(root, people):
    root.send(usernames="alice", until="hour")
    message = Message.objects.get()
    assert timedelta(minutes=59) < message.expires_at - message.publish_at <= timedelta(hours=1)


# --------------------------------------------------------------------------------------- drafts


def test_a_draft_is_kept_with_all_its_mistakes_until_it_is_sent(root, people):
    page = root.press("_save", usernames="alice, zed", title="x" * 300, body="line\r\nline\0")
    assert "The draft is saved." in page
    assert root.values["title"] == "x" * 300
    assert root.values["body"] == "line\r\nline"
    assert root.values["usernames"] == "alice, zed"
    root.review(usernames="alice", draft=draft().pk)
    root.confirm()
    assert not Draft.objects.exists()
    assert Message.objects.count() == 1


def test_a_draft_is_its_owners(root, people):
    root.press("_save", title="a secret")
    other = Composer(person("rita", is_staff=True, is_superuser=True))
    mine = draft()
    assert "a secret" not in other.get(ADD, draft=mine.pk)
    other.get(f"{MESSAGES}review/{mine.pk}/")
    assert other.status == 404
    other.press("_discard", _discard=mine.pk)
    other.press("_save", title="mine", draft=mine.pk)
    assert Draft.objects.get(pk=mine.pk).data["title"] == ["a secret"]
    assert Draft.objects.count() == 2


def test_a_draft_is_deleted_on_demand(root, people):
    root.press("_save")
    assert "The draft is deleted." in root.press("_discard", _discard=draft().pk)
    assert not Draft.objects.exists()


def test_a_draft_that_has_become_wrong_is_not_sent(root, people):
    root.review(usernames="bob")
    people.bob.delete()
    looked_at = root.raw
    root.get(f"{MESSAGES}review/{draft().pk}/")
    assert root.errors == {"usernames": ["There is no user 'bob'."]}
    root.raw = looked_at
    root.confirm()
    assert root.errors == {"usernames": ["There is no user 'bob'."]}
    assert nothing_is_written()


# ---------------------------------------------------------------------------- what it begins with


def test_a_sent_message_is_copied_into_the_form(root, people, crew):
    sent = send(
        "Hello", to=[crew, people.bob], exclude=[people.root], body="*x*", level="error", link="/x/"
    )
    root.get(ADD, copy=sent.pk)
    values = root.values
    assert (values["title"], values["body"], values["level"]) == ("Hello", "*x*", "error")
    assert (values["whom"], values["usernames"]) == ("named", "bob")
    assert (values["groups"], values["but_usernames"]) == ([str(crew.pk)], "root")
    assert "2 people" in root.page
    root.get(ADD, copy=send("All", to=EVERYONE, exclude=[crew]).pk)
    assert (root.values["whom"], root.values["but_groups"]) == ("everyone", [str(crew.pk)])


@pytest.mark.parametrize("asked", ["x", "0", "99", "9" * 40, "１", "\0", ""])
def test_what_is_not_there_is_not_copied(root, people, asked):
    root.get(ADD, copy=asked, draft=asked)
    assert root.status == 200
    assert not root.values["title"]
    root.press("_discard", _discard=asked)
    root.press("_save", draft=asked)
    root.get(f"{MESSAGES}review/{asked or ' '}/")
    assert root.status == 404
    assert root.client.get(f"{MESSAGES}people/", {"q": asked}).json() == {"names": []}


def test_people_chosen_in_the_list_of_users_are_filled_in(root, people):
    session = root.client.session
    session["notifications_audience"] = [people.bob.pk, people.alice.pk, 12345]
    session.save()
    root.get(ADD, chosen=1)
    assert (root.values["whom"], root.values["usernames"]) == ("named", "alice\nbob")
    assert "2 people" in root.page


# --------------------------------------------------------------------------------- a second look


def test_what_deserves_a_second_look_is_said_and_not_forbidden(root, people):
    sent = send("x" * 90, to=[people.alice], body="y", sender=people.root)
    page = root.review(usernames="alice", title="x" * 90, body="y", link="https://evil.example/a")
    assert "The link leads to another site: evil.example." in page
    assert "The title has 90 characters" in page
    assert "The same text was sent within the last hour." in page
    assert f"/message/{sent.pk}/change/" in page
    page = root.review(usernames="alice", title="x", link="http://testserver/messages/")
    assert "Worth a second look" not in page
    root.press("_test", title="tried")
    assert "Worth a second look" not in root.review(usernames="alice", title="tried")


NOWHERE = "This site has no page at "


def test_a_link_to_a_page_that_is_not_there_deserves_a_second_look(root, people):
    def look(link):
        page = root.review(usernames="alice", title="x", link=link)
        return page.partition(NOWHERE)[2].partition(",")[0]

    assert look("/parcels/9/?a=b#c") == "/parcels/9/"
    assert look("https://testserver/%E5%8C%85%E8%A3%B9") == "/包裹"
    assert look("/messages/x/") == "/messages/x/"
    # Django puts the slash there; and files are served by whom it does not know.
    for link in ("/messages/", "/messages", "/", "/static/a.pdf", "https://example.com/no/"):
        assert not look(link), link


def test_a_page_is_looked_for_where_the_site_is_mounted_and_in_every_language(root, people):
    options = {"title": "", "body": ""}

    def doubts(link, prefix="/"):
        set_script_prefix(prefix)
        try:
            return second_look.doubts(RequestFactory().get("/"), options | {"link": link})
        finally:
            set_script_prefix("/")

    assert doubts("/site/messages/", "/site/") == doubts("/another/", "/site/") == []
    assert doubts("/site/no/", "/site/") == [f"{NOWHERE}/site/no/, as far as Django knows."]
    with override_settings(ROOT_URLCONF=__name__):
        assert doubts("/zh-hans/x/") == doubts("/en/x/") == []
        assert doubts("/en/y/") == [f"{NOWHERE}/en/y/, as far as Django knows."]


urlpatterns = i18n_patterns(path("x/", HttpResponse))


def test_for_many_the_number_is_typed(root, people):
    crowd(1_000)
    page = root.review(whom="everyone")
    assert "Type the number of people, 1,003, to send it:" in page
    for wrong in ("", "1,002", "all", "10030"):
        assert "the number of people is another" in root.confirm(people=wrong)
        assert nothing_is_written()
    assert "goes out to everyone" in root.confirm(people=" 1,003")
    assert Message.objects.count() == 1


def test_the_number_is_the_one_that_was_looked_at(root, people):
    """An account more since then is no reason to ask again; and none less to send unasked."""
    crowd(97)
    root.review(whom="everyone")
    assert "Send to 100 people" in root.page
    person("new")
    assert "the number of people is another" in root.confirm(people="101")
    root.review(whom="everyone", draft=draft().pk)
    person("newer")
    assert "goes out to everyone" in root.confirm(people="101")


# ------------------------------------------------------------------------------- to oneself first


def test_sent_to_me_first_it_is_for_nobody_else(root, people):
    page = root.press("_test", whom="everyone", title="Try", body="*it*")
    assert "“Try” is among your own messages now." in page
    assert [titles(user) for user in people] == [[], [], ["Try"]]
    assert root.values["body"] == "*it*"
    assert LogEntry.objects.get().get_change_message() == "Sent to oneself, to look at it."


def test_sent_to_me_first_it_needs_no_audience_but_a_text(root, people):
    assert "among your own messages" in root.press("_test", usernames="", title="Try")
    root.press("_test", title="")
    assert list(root.errors) == ["title", "usernames"]
    assert Message.objects.count() == 1


# ---------------------------------------------------------------------------- while one is writing


def count(composer, **fields):
    response = composer.client.post(f"{MESSAGES}audience-count/", fields)
    text = unescape(re.sub(r"<[^>]+>", "", response.content.decode()))
    return re.sub(r"\s+", " ", text).strip()


def test_the_audience_is_counted_as_the_review_counts_it(root, people, crew):
    person("gone", is_active=False)
    said = count(root, whom="everyone", but_usernames="bob")
    assert said.startswith("3 people · 1 left out · 1 inactive: may not log in")
    assert said.endswith("alice, root, gone")
    assert count(root, whom="named", groups=crew.pk).startswith("1 person")
    assert count(root, whom="named", usernames="zed") == "There is no user 'zed'."
    assert count(root, whom="named") == "For whom? Name at least one person or group."
    assert "people" in root.get(f"{MESSAGES}audience-count/", whom="everyone")


def test_counting_takes_as_many_queries_for_many_as_for_few(root, people, crew):
    def queries(**fields):
        with CaptureQueriesContext(connection) as captured:
            count(root, **fields)
        assert not [q for q in captured if "SELECT" in q["sql"] and "password" in q["sql"]][1:]
        return len(captured)

    audiences = [{"whom": "everyone", "but_groups": crew.pk}, {"whom": "named", "groups": crew.pk}]
    few = [queries(**each) for each in audiences]
    crew.user_set.add(*crowd(1_000))
    assert [queries(**each) for each in audiences] == few


def test_the_preview_is_made_by_the_readers_templates_and_has_no_scripts(root, people):
    fields = {"title": "<b>T</b>", "body": "**bold** <script>x</script>", "link": "/x/"}
    pages = root.client.post(f"{MESSAGES}preview/", fields).json()
    assert list(pages) == ["light", "dark"]
    for page in pages.values():
        assert page.count("<strong>bold</strong>") == 4
        assert page.count("&lt;b&gt;T&lt;/b&gt;") >= 4
        assert "<script" not in page
        ids = re.findall(r'\sid="([^"]+)"', page)
        assert len(ids) == len(set(ids))


def test_a_link_that_is_refused_is_not_in_the_preview(root, people):
    pages = root.client.post(f"{MESSAGES}preview/", {"link": "javascript:alert(1)"}).json()
    assert "javascript" not in pages["light"]


def test_hostile_text_stays_text_on_every_page(root, people):
    evil = "</textarea><script>alert(1)</script>\"'&"
    root.press("_save", title=evil, body=evil, usernames=evil, link=evil)
    root.get()
    assert "<script>alert" not in root.raw
    root.review(usernames="alice", title=evil, body=evil)
    assert "<script>alert" not in root.raw
    root.confirm()
    assert "<script>alert" not in root.raw


@pytest.mark.parametrize("path", [ADD, MESSAGES])
def test_the_pages_keep_the_sites_policy(root, people, path):
    root.get(path)
    page = re.sub(r'srcdoc="[^"]*"', "", root.raw)
    assert not re.search(r"<style|<script(?![^>]* src=)|\sstyle=|\son\w+=", page)
