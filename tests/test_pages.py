"""What a reader sees and posts without any script: the pages and their forms, and for whom."""

import html
import json
import re
from datetime import timedelta

import pytest
from django.db.models import F
from django.test import Client
from django.utils import timezone

from notifications import EVERYONE, publish_due, send, withdraw
from notifications.models import Message

CENTER = "/messages/"
JSON = {"accept": "application/json"}
ACTS = "read", "unread", "archive", "unarchive"
HOSTILE = """"><script>alert(1)</script><img src=x onerror='alert(2)'>"""


def logged_in(user, **options):
    client = Client(**options)
    client.force_login(user)
    return client


@pytest.fixture
def alice(people):
    return logged_in(people.alice)


def rows(page):
    """(title, whether it is read) as the page lists them."""
    listed = page.content.decode().partition("<message-center")[2].partition("<template>")[0]
    found = re.findall(r'data-read="(true|false)".*?class="title"[^>]*>(.*?)</a>', listed, re.S)
    return [(html.unescape(title), read == "true") for read, title in found]


def titles(page):
    return [title for title, _ in rows(page)]


def numbers(client):
    """(unread, unseen), as programs are told them."""
    state = client.get("/messages/snapshot/?counts=1").json()
    return state["unread"], state["unseen"]


def test_each_sees_what_is_for_them_newest_first(people, alice):
    send("for all", to=EVERYONE)
    send("for Alice", to=[people.alice], sender=people.root)
    assert titles(alice.get(CENTER)) == ["for Alice", "for all"]
    assert titles(logged_in(people.bob).get(CENTER)) == ["for all"]
    assert "root" in alice.get(CENTER).content.decode()


def test_strangers_are_led_to_the_login_and_programs_are_told(people):
    mine = send("for Alice", to=[people.alice])
    for path in (CENTER, f"{CENTER}{mine.pk}/", f"{CENTER}?filter=unread"):
        page = Client().get(path)
        assert page.status_code == 302
        assert page.headers["Location"].startswith("/accounts/login/?next=/messages/")
        assert Client().get(path, headers=JSON).status_code == 401
    assert Client().get("/messages/snapshot/").json() == {
        "error": "You are signed out. Log in again."
    }
    assert Client().post("/messages/read-all/", headers=JSON).status_code == 401


def test_messages_of_others_are_not_there_for_anybody_else(people, alice):
    foreign = send("for Bob", to=[people.bob])
    later = send("not yet", to=[people.alice], at=timezone.now() + timedelta(hours=1))
    for message in (foreign, later):
        for path in [f"{CENTER}{message.pk}/{act}/" for act in ACTS]:
            assert alice.post(path).status_code == 404
            assert "error" in alice.post(path, headers=JSON).json()
        assert alice.get(f"{CENTER}{message.pk}/").status_code == 404
        answer = alice.get(f"{CENTER}{message.pk}/", headers=JSON)
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/json")
    assert rows(logged_in(people.bob).get(CENTER)) == [("for Bob", False)]


def test_filters(people, alice):
    read, archived, _ = (send(title, to=[people.alice]) for title in ("read", "archived", "new"))
    alice.post(f"{CENTER}{read.pk}/read/")
    alice.post(f"{CENTER}{archived.pk}/archive/")
    assert rows(alice.get(CENTER)) == [("new", False), ("read", True)]
    assert rows(alice.get(f"{CENTER}?filter=unread")) == [("new", False)]
    assert rows(alice.get(f"{CENTER}?filter=archived")) == [("archived", True)]
    page = alice.get(f"{CENTER}?filter=unread").content.decode()
    assert re.search(r'<a href="\?filter=unread" aria-current="page">', page)
    assert page.count('aria-current="page"') == 1


def test_an_empty_list_says_so_in_the_words_of_its_filter(alice):
    assert "You are all caught up." in alice.get(CENTER).content.decode()
    assert "Nothing unread." in alice.get(f"{CENTER}?filter=unread").content.decode()
    assert "Nothing archived." in alice.get(f"{CENTER}?filter=archived").content.decode()


def test_older_pages_come_to_all_messages_with_none_twice(people, alice):
    for number in range(70):
        send(f"number {number}", to=EVERYONE if number % 3 else [people.alice])
    found, path = [], CENTER
    while path:
        page = alice.get(path)
        found += titles(page)
        older = re.search(r'class="more"><a href="([^"]*)"', page.content.decode())
        path = older and CENTER + html.unescape(older[1])
        send("meanwhile", to=EVERYONE)
    assert found == [f"number {number}" for number in range(69, -1, -1)]


def test_older_pages_keep_the_filter(people, alice):
    for number in range(31):
        send(f"number {number}", to=[people.alice])
    page = alice.get(f"{CENTER}?filter=unread").content.decode()
    older = html.unescape(re.search(r'class="more"><a href="([^"]*)"', page)[1])
    assert "filter=unread&before=" in older
    assert titles(alice.get(CENTER + older)) == ["number 0"]


def test_a_search_finds_what_has_all_its_words_in_title_or_body_within_the_filter(people, alice):
    send("The lift is broken", to=EVERYONE, body="On *all* floors.")
    lift = send("The lift works", to=[people.alice])
    send("Lift for Bob", to=[people.bob])
    send("电梯坏了", to=[people.alice], body="100% of it")
    alice.post(f"{CENTER}{lift.pk}/read/")
    assert titles(alice.get(CENTER, {"q": " LIFT  the"})) == [
        "The lift works",
        "The lift is broken",
    ]
    assert titles(alice.get(CENTER, {"q": "lift floors"})) == ["The lift is broken"]
    assert titles(alice.get(CENTER, {"q": "lift", "filter": "unread"})) == ["The lift is broken"]
    assert titles(alice.get(CENTER, {"q": "电梯"})) == titles(alice.get(CENTER, {"q": "0%"}))
    alice.post(f"{CENTER}{lift.pk}/archive/")
    assert titles(alice.get(CENTER, {"q": "works", "filter": "archived"})) == ["The lift works"]
    page = alice.get(CENTER, {"q": '"nothing" & nobody', "filter": "unread"}).content.decode()
    assert "Nothing found." in page
    assert 'value="&quot;nothing&quot; &amp; nobody"' in page
    assert 'href="?q=%22nothing%22+%26+nobody"' in page  # the filter "All", with the same search


def test_the_first_pages_come_as_one_and_lead_on(people, alice):
    for number in range(65):
        send(f"number {number}", to=EVERYONE if number % 3 else [people.alice])
    page = alice.get(CENTER, {"pages": 2})
    assert titles(page) == [f"number {number}" for number in range(64, 4, -1)]
    assert 'data-grown="?pages=3"' in page.content.decode()
    older = re.search(r'class="more"><a href="([^"]*)"', page.content.decode())[1]
    assert titles(alice.get(CENTER + older)) == [f"number {number}" for number in range(4, -1, -1)]
    page = alice.get(CENTER, {"pages": 33})
    assert len(titles(page)) == 65
    assert "Older messages" not in page.content.decode()


def test_days_are_headings_by_the_clock_of_the_reader(people, alice):
    noon = timezone.now().replace(hour=12, minute=0, second=0)
    for age in (timedelta(days=1), timedelta(hours=1), timedelta(0)):
        message = send(str(age), to=[people.alice])
        Message.objects.filter(pk=message.pk).update(published_at=noon - age)

    def days():
        page = alice.get(CENTER).content.decode().partition("<message-center")[2]
        page = page.partition("<message-device")[0]
        found = re.findall(r"<h2>([^<]*)</h2>|<time[^>]*>([^<]*)</time>", page)
        return [day or time for day, time in found]

    by_utc = ["Today", "noon UTC", "11 a.m. UTC", "Yesterday", "noon UTC"]
    assert days() == by_utc
    alice.cookies["timezone"] = "Pacific/Kiritimati"  # 14 hours ahead: there it is tomorrow
    _, *times = days()
    assert (times[:2], times[-1]) == (["2 a.m.", "1 a.m."], "2 a.m.")
    for forged in ("../../etc/passwd", "Europe", "x" * 5_000, "Mars/Olympus"):
        alice.cookies["timezone"] = forged
        assert days() == by_utc


def test_an_archive_is_undone_as_it_was(people, alice):
    message = send("a message", to=[people.alice])
    for _ in range(2):
        alice.post(f"{CENTER}{message.pk}/archive/")
        before = alice.get("/messages/snapshot/?counts=1").json()["version"]
        answer = alice.post(f"{CENTER}{message.pk}/unarchive/?unread=1", headers=JSON)
        assert (answer.json()["unread"], answer.json()["version"]) == (1, before + 2)
        assert rows(alice.get(CENTER)) == [("a message", False)]
    stranger = logged_in(people.bob).post(f"{CENTER}{message.pk}/unarchive/?unread=1")
    assert stranger.status_code == 404


def test_the_forms_do_what_they_say_and_lead_back(people, alice):
    message = send("a message", to=[people.alice])
    back = f"{CENTER}?filter=unread"
    outcomes = {
        "read": (CENTER, True),
        "unread": (CENTER, False),
        "archive": (f"{CENTER}?filter=archived", True),
        "unarchive": (CENTER, True),
    }
    for act, (where, read) in outcomes.items():
        answer = alice.post(f"{CENTER}{message.pk}/{act}/", {"next": back})
        assert (answer.status_code, answer.headers["Location"]) == (302, back)
        assert rows(alice.get(where)) == [("a message", read)]


def test_the_buttons_of_the_page_are_those_forms(people):
    message = send("a message", to=[people.alice])
    alice = logged_in(people.alice, enforce_csrf_checks=True)
    page = alice.get(f"{CENTER}?filter=unread").content.decode()
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
    fields = {name: html.unescape(value) for name, value in fields.items()}
    assert fields["next"] == f"{CENTER}?filter=unread"
    assert alice.post(f"{CENTER}{message.pk}/read/").status_code == 403
    assert alice.post(f"{CENTER}{message.pk}/read/", headers=JSON).json()["error"]
    send("came after the page", to=[people.alice])
    for path in re.findall(r'formaction="(/messages/(?!0/)[^"]*)"', page):
        assert alice.post(path, fields).status_code == 302
    assert rows(alice.get(CENTER)) == [("came after the page", False), ("a message", True)]


def test_all_that_the_page_has_shown_is_marked_read_and_nothing_more(people, alice):
    send("shown", to=[people.alice])
    upto = alice.get("/messages/snapshot/").json()["cursor"]
    send("not shown", to=EVERYONE)
    alice.post("/messages/read-all/", {"upto": upto})
    assert rows(alice.get(CENTER)) == [("not shown", False), ("shown", True)]
    alice.post("/messages/read-all/")
    assert numbers(alice) == (0, 0)


def test_what_was_seen_stays_unread(people, alice):
    send("first", to=[people.alice])
    upto = alice.get("/messages/snapshot/").json()["cursor"]
    send("second", to=[people.alice])
    answer = alice.post("/messages/seen/", {"upto": upto}, headers=JSON)
    assert (answer.json()["unread"], answer.json()["unseen"]) == (2, 1)
    assert numbers(alice) == (2, 1)


def test_programs_are_answered_with_the_new_state(people, alice):
    message = send("a message", to=[people.alice])
    state = alice.post(f"{CENTER}{message.pk}/read/", headers=JSON).json()
    assert (state["unread"], state["unseen"], state["version"]) == (0, 0, 1)
    assert state["cursor"].endswith(f"-{state['position']}")
    assert state == alice.get("/messages/snapshot/?counts=1").json()


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example.com/",
        "//evil.example.com/",
        "/\\evil.example.com",
        "javascript:alert(1)",
        "",
    ],
)
def test_nobody_is_led_to_another_site(people, alice, elsewhere):
    for path in ("seen/", "read-all/"):
        answer = alice.post(CENTER + path, {"next": elsewhere})
        assert answer.headers["Location"] == CENTER


def test_opening_a_message_marks_it_read(people, alice):
    message = send("a message", to=[people.alice], body="with *a* body", link="/somewhere/")
    page = alice.get(f"{CENTER}{message.pk}/")
    assert "<em>a</em>" in page.content.decode()
    assert 'href="/somewhere/"' in page.content.decode()
    assert "Mark as unread" in page.content.decode()
    assert numbers(alice) == (0, 0)
    assert alice.get(f"{CENTER}{message.pk}/", headers=JSON).json()["read"] is True


def test_a_browser_that_looks_ahead_has_read_nothing(people, alice):
    message = send("a message", to=[people.alice])
    for headers in ({"sec-purpose": "prefetch;prerender"}, {"purpose": "prefetch"}):
        assert alice.get(f"{CENTER}{message.pk}/", headers=headers).status_code == 200
    assert alice.head(f"{CENTER}{message.pk}/").status_code == 200
    alice.get(CENTER)
    assert numbers(alice) == (1, 1)


def test_the_page_of_a_message_that_is_over_says_so(people, alice):
    taken_back = withdraw(send("taken back", to=[people.alice], body="a secret"))
    soon = timezone.now() + timedelta(hours=1)
    expired = send("too old", to=[people.alice], body="a secret", expires=soon)
    Message.objects.filter(pk=expired.pk).update(
        expires_at=F("published_at"), due_at=F("published_at")
    )
    publish_due()
    for message, reason in ((taken_back, "withdrawn"), (expired, "expired")):
        page = alice.get(f"{CENTER}{message.pk}/")
        assert page.status_code == 410
        assert reason in page.content.decode()
        assert "a secret" not in page.content.decode()
        gone = alice.get(f"{CENTER}{message.pk}/", headers=JSON)
        assert (gone.status_code, gone.json()["reason"]) == (410, reason)
    assert rows(alice.get(CENTER)) == []


def test_what_people_write_is_text_wherever_it_is_shown(people, alice):
    people.root.first_name = HOSTILE
    people.root.save()
    message = send(
        HOSTILE,
        to=[people.alice],
        body=f"{HOSTILE}\n\n[click](javascript:alert(3)) <b onclick=alert(4)>",
        link="/?q=\"'<script>alert(5)</script>",
        sender=people.root,
    )
    for path in (CENTER, f"{CENTER}{message.pk}/"):
        page = alice.get(path).content.decode()
        assert html.escape(HOSTILE) in page
        assert not re.search(r"<script(?! type=\"module\" src=)|<img|<b\b", page)
        assert not re.search(r"""<[^>"']*("[^"]*"|'[^']*'|[^>"'])*\s(on\w+|style)\s*=""", page)
        assert not re.search(r'(href|src|action)="\s*javascript:', page, re.I)


def test_pages_bring_nothing_inline_and_say_so(people, alice):
    message = send("a message", to=[people.alice])
    for path in (CENTER, f"{CENTER}{message.pk}/"):
        page = alice.get(path)
        assert "default-src 'self'" in page.headers["Content-Security-Policy"]
        assert "no-store" in page.headers["Cache-Control"]
        assert not re.search(r"<style|<script(?![^>]* src=)|\sstyle=", page.content.decode())


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/messages/?filter=everything", "filter"),
        ("/messages/?before=yesterday", "before"),
        ("/messages/?before=", "before"),
        ("/messages/?pages=0", "pages"),
        ("/messages/?pages=34", "pages"),
        ("/messages/?pages=many", "pages"),
        ("/messages/?q=%00", "q"),
        (f"/messages/?q={'x' * 201}", "q"),
    ],
)
def test_a_bad_question_is_answered_with_the_name_of_the_field(alice, path, field):
    answer = alice.get(path)
    assert answer.status_code == 400
    assert json.loads(answer.content)["field"] == field


@pytest.mark.parametrize("path", ["/messages/read-all/", "/messages/seen/"])
def test_a_cursor_that_this_site_has_not_handed_out_changes_nothing(people, alice, path):
    message = send("a message", to=[people.alice])
    for upto in ("", "12", f"abc-{message.position}", "-1", f"abc-{10**30}"):
        answer = alice.post(path, {"upto": upto}, headers=JSON)
        assert (answer.status_code, answer.json()["field"]) == (400, "upto")
    assert numbers(alice) == (1, 1)


def test_links_change_nothing(people, alice):
    message = send("a message", to=[people.alice])
    for path in ["read-all/", "seen/", *(f"{message.pk}/{act}/" for act in ACTS)]:
        assert alice.get(CENTER + path).status_code == 405
    assert alice.post(f"{CENTER}{message.pk}/burn/").status_code == 404
    assert alice.post(CENTER).status_code == 405
    assert numbers(alice) == (1, 1)


def test_no_text_that_was_collected_is_left_untranslated(settings):
    for catalog in settings.LOCALE_PATHS[0].glob("*/LC_MESSAGES/django.po"):
        _, *entries = catalog.read_text().split("\n\n")
        poor = r'^#,.*\bfuzzy\b|^msgstr(\[\d\])? ""\s*(\Z|^msgstr)'
        assert [entry for entry in entries if re.search(poor, entry, re.M)] == []


def test_the_pages_speak_chinese(people, alice):
    send("你好", to=[people.alice], level="warning")
    page = alice.get(CENTER, headers={"accept-language": "zh-CN"}).content.decode()
    for words in ("全部标为已读", "标为已读", "归档", "警告"):
        assert words in page
