"""The page of one message: what it says, on paper too, and that it stays true while it is open."""

import re
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.test import Client
from django.utils import timezone
from playwright.async_api import expect

from notifications import asend, send, update, withdraw
from notifications.acts import end_streams, unread
from notifications.models import Recipient
from tests.chromium import needs_chromium

in_chromium = [
    needs_chromium,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.only("sqlite"),  # what the page does does not depend on the database
]
LINK = "https://status.example.com/?tonight=1"


def in_a_browser(test):
    for mark in in_chromium:
        test = mark(test)
    return test


def page_of(user, message, **headers):
    client = Client()
    client.force_login(user)
    page = client.get(f"/messages/{message.pk}/", headers=headers).content.decode()
    return re.sub(r"\s+", " ", page)


def test_a_message_says_all_about_itself_in_words(people):
    people.root.first_name, people.root.last_name = "Rosa", "Root"
    people.root.save()
    message = send(
        "Maintenance tonight",
        to=[people.alice],
        level="warning",
        link=LINK,
        sender=people.root,
        expires=timezone.now() + timedelta(days=1),
    )
    assert "<dt>Edited</dt>" not in page_of(people.alice, message)
    page = page_of(people.alice, update(message, body="At **ten**."))
    sent = timezone.localtime(message.published_at)
    for words in (
        "</span>Warning</p>",
        "<bdi>Maintenance tonight</bdi></h1>",
        "<dt>From</dt><dd><bdi>Rosa Root</bdi></dd>",
        f">{sent:%A}, {sent:%b}",
        " UTC</time>",
        "<dt>Edited</dt>",
        "<dt>Expires</dt>",
        "At <strong>ten</strong>.",
        f'href="{LINK}"',
        f">{LINK}</bdi>",
    ):
        assert words in page
    assert "<dt>发送人</dt>" in page_of(people.alice, message, **{"accept-language": "zh-CN"})


def test_what_a_message_does_not_have_is_not_spoken_of(people):
    page = page_of(people.alice, send("No more than this", to=[people.alice]))
    page = page.partition("<main")[2]
    for words in ("From", "Edited", "Expires", 'class="body"', "Open link"):
        assert words not in page


def test_a_message_of_somebody_else_is_a_page_that_is_not_there(people):
    message = send("for Bob", to=[people.bob])
    page = page_of(people.alice, message)
    assert "for Bob" not in page
    assert "<h1>Not found</h1>" in page


@in_a_browser
async def test_a_correction_is_seen_and_said_while_the_message_is_open(people, reader):
    message = await asend("At ten", to=[people.alice], body="Shelf 4")
    alice = await reader(people.alice, path=f"/messages/{message.pk}/")
    archive = alice.find("[value=archived]")
    await archive.focus()
    await expect(alice.find("main [role=status]")).to_be_empty()
    await sync_to_async(update)(message, title="At eleven", body="Shelf <5>")
    await expect(alice.find("h1")).to_have_text("At eleven")
    await expect(alice.find("main [role=status]")).to_have_text(
        "The message has just been corrected."
    )
    await expect(alice.find(".body")).to_have_text("Shelf <5>")
    await expect(alice.page).to_have_title("At eleven")
    await expect(archive).to_be_focused()
    await alice.press("Archive")
    await alice.page.wait_for_url(alice.center)


@in_a_browser
async def test_an_end_that_moves_is_shown_and_is_no_correction(people, reader):
    message = await asend("At ten", to=[people.alice])
    alice = await reader(people.alice, path=f"/messages/{message.pk}/")
    later = timezone.now() + timedelta(days=1)
    await sync_to_async(update)(message, expires=later)
    await expect(alice.find("article dl")).to_contain_text("Expires")
    await expect(alice.find("article dl")).not_to_contain_text("Edited")
    await expect(alice.find("main [role=status]")).to_be_empty()


@in_a_browser
async def test_a_correction_does_not_read_what_was_marked_unread(people, reader):
    message = await asend("At ten", to=[people.alice])
    alice = await reader(people.alice, path=f"/messages/{message.pk}/")
    await sync_to_async(unread)(people.alice, message.pk)
    await sync_to_async(update)(message, title="At eleven")
    await expect(alice.find("h1")).to_have_text("At eleven")
    assert (await Recipient.objects.aget(user=people.alice)).read_at is None


@in_a_browser
async def test_a_message_that_is_taken_back_leaves_the_page_that_shows_it(people, reader):
    message = await asend("a secret", to=[people.alice], body="[more](/messages/)", link="/x/")
    alice = await reader(people.alice, path=f"/messages/{message.pk}/")
    await alice.find(".body a").focus()
    await sync_to_async(withdraw)(message)
    heading = alice.find("h1")
    await expect(heading).to_have_text("This message was withdrawn.")
    await expect(heading).to_be_focused()
    await expect(alice.find("main [role=status]")).to_have_text("This message was withdrawn.")
    await expect(alice.find("#acts")).to_have_count(0)
    assert "secret" not in await alice.page.content()
    await alice.find(".back a").click()
    await alice.page.wait_for_url(alice.center)


@in_a_browser
async def test_who_reads_elsewhere_on_the_page_is_not_torn_away(people, reader):
    message = await asend("a secret", to=[people.alice])
    alice = await reader(people.alice, path=f"/messages/{message.pk}/")
    await alice.find(".back a").focus()
    await sync_to_async(withdraw)(message)
    await expect(alice.find("h1")).to_have_text("This message was withdrawn.")
    await expect(alice.find(".back a")).to_be_focused()


@in_a_browser
async def test_a_page_of_one_user_shows_nothing_to_another(people, reader):
    message = await asend("a secret", to=[people.alice])
    alice = await reader(people.alice, path=f"/messages/{message.pk}/")
    await sync_to_async(update)(message, title="a secret, corrected")  # so it is connected
    await expect(alice.find("h1")).to_have_text("a secret, corrected")
    await alice.log_in(people.bob)
    await sync_to_async(end_streams)(people.alice.pk)  # the page comes back, with bob's session
    await expect(alice.find("h1")).not_to_have_text("a secret, corrected")
    assert "a secret" not in await alice.page.content()


@in_a_browser
async def test_on_paper_there_is_the_message_alone_with_its_addresses(people, reader):
    message = await asend("At ten", to=[people.alice], body=f"[here]({LINK})", link=LINK)
    alice = await reader(people.alice, path=f"/messages/{message.pk}/", color_scheme="dark")
    await alice.page.emulate_media(media="print")
    for selector in ("header.site", "footer.site", ".back", "#acts", ".go"):
        await expect(alice.find(selector)).to_be_hidden()
    for selector in ("h1", "time", ".body", "#address"):
        await expect(alice.find(selector).first).to_be_visible()
    style = "(element, [part, name]) => getComputedStyle(element, part)[name]"
    link = alice.find(".body a")
    assert await link.evaluate(style, ["::after", "content"]) == f'" ({LINK})"'
    for selector in ("h1", ".body", "time"):
        assert await alice.find(selector).evaluate(style, [None, "color"]) == "rgb(0, 0, 0)"


@in_a_browser
async def test_without_scripts_the_page_says_the_same(people, reader):
    message = await asend("At ten", to=[people.alice], body="Shelf 4", link=LINK)
    alice = await reader(people.alice, path=f"/messages/{message.pk}/", scripts=False)
    await expect(alice.find("time")).to_contain_text("UTC")
    await expect(alice.find(".go")).to_have_attribute("href", LINK)
    await alice.press("Archive")
    await alice.page.wait_for_url(alice.center)
