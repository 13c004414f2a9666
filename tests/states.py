"""Every state that a page can be in: a function that brings a reader's window there.

Add one with `@state`; a page for staff by its address, in STAFF.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group
from django.db.models import F
from django.template.loader import render_to_string
from django.test import Client
from django.utils import timezone, translation
from playwright.async_api import expect

from notifications import EVERYONE, asend, publish_due, send, update, withdraw
from notifications.acts import archive, end_streams, read_all
from notifications.hub import STREAMS_PER_USER
from notifications.management.commands.demo import send_messages
from notifications.models import Message
from tests.browser import Browser
from tests.chromium import LIST, NewReader, Reader
from tests.look import PHONE
from tests.people import People
from tests.server import Server
from tests.shop import Shop, sign_in

BODY = """The service is **read-only** for about ten minutes:

- saving waits
- reading works

> Thank you for your patience.

See [what was done last time](https://status.example.com/)."""


class Stage(NamedTuple):
    """Where a state is set up. `alice` and `stranger` are readers of the language of the moment."""

    people: People
    server: Server
    reader: NewReader
    locale: str
    shop: Callable[[], Shop]  # starts it

    async def alice(self, path: str | None = "/messages/", **options: Any) -> Reader:
        return await self.reader(self.people.alice, path=path, locale=self.locale, **options)

    async def root(self, path: str) -> Reader:
        return await self.reader(self.people.root, path=path, locale=self.locale)

    async def stranger(self, path: str) -> Reader:
        return await self.reader(path=path, locale=self.locale)

    async def fill(self) -> None:
        """Something of everything."""
        await sync_to_async(fill)(self.people)


def fill(people: People) -> None:
    crew, new = Group.objects.get_or_create(name="crew")
    if new:
        crew.user_set.add(people.alice)
        send_messages(people.alice, people.bob, crew)
        update(
            Message.objects.earliest("pk"), body="Corrected, with [a link](https://example.com/)."
        )


State = Callable[[Stage], Awaitable[Reader]]
STATES: dict[str, State] = {}


def state(work: State) -> State:
    STATES[work.__name__.replace("_", "-")] = work
    return work


# ----------------------------------------------------------------------------------------- the site


@state
async def home(stage: Stage) -> Reader:
    return await stage.stranger("/")


@state
async def home_of_staff(stage: Stage) -> Reader:
    return await stage.root("/")


@state
async def log_in(stage: Stage) -> Reader:
    return await stage.stranger("/accounts/login/?next=/messages/")


@state
async def log_in_failed(stage: Stage) -> Reader:
    someone = await stage.stranger("/accounts/login/")
    await someone.page.fill("[name=username]", "alice")
    await someone.page.fill("[name=password]", "wrong")
    await someone.page.press("[name=password]", "Enter")
    await expect(someone.find("[role=alert]")).to_be_visible()
    return someone


async def error_page(stage: Stage, render: Callable[[Client], str]) -> Reader:
    """A page that a server shows only where DEBUG is off, as it is in this process."""

    def page() -> str:
        client = Client(headers={"accept-language": stage.locale})
        client.force_login(stage.people.alice)
        language = translation.get_supported_language_variant(stage.locale.lower())
        with translation.override(language):
            return render(client)

    body = await sync_to_async(page)()
    alice = await stage.alice(path=None)
    alice.page = await alice.context.new_page()
    await alice.page.route(
        "**/error/", lambda route: route.fulfill(body=body, content_type="text/html; charset=utf-8")
    )
    await alice.page.goto(f"{alice.url}/error/")
    return alice


@state
async def not_found(stage: Stage) -> Reader:
    return await error_page(stage, lambda client: client.get("/messages/99/").content.decode())


@state
async def not_allowed(stage: Stage) -> Reader:
    return await error_page(stage, lambda _: render_to_string("403.html"))


@state
async def something_went_wrong(stage: Stage) -> Reader:
    return await error_page(stage, lambda _: render_to_string("500.html"))


# ------------------------------------------------------------------------------- the message center


async def live(stage: Stage) -> Reader:
    """A page whose stream is open, and that has nothing else under way."""
    alice = await stage.alice()
    # What ends a stream concerns those that are open: one that is about to be would outlive it.
    await expect(alice.find("message-center h1")).to_have_attribute("title", re.compile(".+"))
    new = await asend("It has arrived", to=[stage.people.alice], level="success")
    await expect(alice.find(f"li[data-id='{new.pk}']")).to_be_visible()  # not that of before
    await expect(alice.page).to_have_title(re.compile(r"^[^(]"))  # seen
    return alice


@state
async def messages(stage: Stage) -> Reader:
    await stage.fill()
    return await stage.alice()


@state
async def messages_on_a_phone(stage: Stage) -> Reader:
    await stage.fill()
    return await stage.alice(viewport=PHONE, has_touch=True, is_mobile=True)


@state
async def no_messages(stage: Stage) -> Reader:
    return await stage.alice()


@state
async def nothing_unread(stage: Stage) -> Reader:
    return await stage.alice("/messages/?filter=unread")


@state
async def found(stage: Stage) -> Reader:
    await stage.fill()
    return await stage.alice("/messages/?q=parcel")


@state
async def nothing_found(stage: Stage) -> Reader:
    return await stage.alice("/messages/?q=parcel&filter=archived")


@state
async def older(stage: Stage) -> Reader:
    """More than a page; texts as long, and words as broad, as they may be."""
    await sync_to_async(send_many)(stage.people)
    alice = await stage.alice()
    await alice.find(".more a").scroll_into_view_if_needed()
    return alice


def send_many(people: People) -> None:
    if not Message.objects.exists():
        for number in range(29):
            send(f"Delivery {number} has left the warehouse", to=[people.alice], level="success")
        send("W" * 200, to=[people.alice], body="M" * 500, link=f"/{'w' * 300}", level="error")
        send("很长的标题" * 40, to=EVERYONE, body="> " + "内容" * 200, sender=people.root)


@state
async def archived(stage: Stage) -> Reader:
    await stage.fill()
    newest = await Message.objects.alatest("position")
    await sync_to_async(archive)(stage.people.alice, newest.pk)
    return await stage.alice("/messages/?filter=archived")


@state
async def all_read(stage: Stage) -> Reader:
    await stage.fill()
    await sync_to_async(read_all)(stage.people.alice, None)
    return await stage.alice()


@state
async def reconnecting(stage: Stage) -> Reader:
    await stage.fill()
    alice = await live(stage)
    stage.server.kill()
    await expect(alice.find("[data-state=reconnecting]")).to_be_visible()
    return alice


@state
async def offline(stage: Stage) -> Reader:
    await stage.fill()
    alice = await live(stage)
    await alice.context.set_offline(True)
    await expect(alice.find("[data-state=offline]")).to_be_visible()
    return alice


@state
async def signed_out(stage: Stage) -> Reader:
    await stage.fill()
    alice = await live(stage)
    await alice.context.clear_cookies()
    await sync_to_async(end_streams)(stage.people.alice.pk)
    await expect(alice.find("[data-state=signed-out]")).to_be_visible()
    return alice


@state
async def paused(stage: Stage) -> Reader:
    """More streams than one reader may have: the server asks the oldest to pause."""
    await stage.fill()
    alice = await live(stage)
    async with AsyncExitStack() as others:
        for _ in range(STREAMS_PER_USER):
            other = await Browser.log_in(stage.server, stage.people.alice)
            others.push_async_callback(other.quit)
            await other.open()
        await expect(alice.find("[data-state=paused]")).to_be_visible()
    return alice


@state
async def did_not_work(stage: Stage) -> Reader:
    await stage.fill()
    alice = await stage.alice()
    stage.server.kill()
    await alice.find("[value=read]:not([hidden])").first.click()
    await expect(alice.find("[role=alert]")).not_to_be_empty()
    return alice


@state
async def waiting(stage: Stage) -> Reader:
    """What arrives while somebody is in the list."""
    await stage.fill()
    alice = await live(stage)
    await alice.find(LIST).first.focus()
    for _ in range(2):
        await asend("It waits", to=[stage.people.alice])
    await expect(alice.find(".pill")).to_contain_text("2")
    return alice


@state
async def undo(stage: Stage) -> Reader:
    await stage.fill()
    alice = await live(stage)
    await alice.find("[value=archived]").first.click()
    await alice.find(".undo button").focus()  # stays as long as somebody is about it
    return alice


@state
async def keys(stage: Stage) -> Reader:
    await stage.fill()
    alice = await stage.alice()
    await alice.find(LIST).first.press("?")
    await expect(alice.find("dialog")).to_be_visible()
    return alice


# ---------------------------------------------------------------------------------------- the bell


async def at_home(stage: Stage, **options: Any) -> Reader:
    """Another page of the site, with something new."""
    await stage.fill()
    alice = await stage.alice("/", **options)
    await asend("The lift works again", to=[stage.people.alice], level="success")
    await expect(alice.find(".bell-badge")).to_be_visible()
    return alice


@state
async def dropdown(stage: Stage) -> Reader:
    alice = await at_home(stage)
    await alice.find(".bell").click()
    await expect(alice.find(".bell-panel li").first).to_be_visible()
    return alice


@state
async def dropdown_with_something_new(stage: Stage) -> Reader:
    """It comes while the dropdown is open, and somebody in its list: no toast, but a pill."""
    alice = await at_home(stage)
    await alice.find(".bell").click()
    await alice.find(".bell-panel li").first.focus()
    await asend("The lift is broken again", to=[stage.people.alice], level="warning")
    await expect(alice.find(".bell-panel .pill")).to_be_visible()
    await expect(alice.find(".bell-toasts")).to_be_hidden()
    return alice


@state
async def dropdown_empty(stage: Stage) -> Reader:
    alice = await stage.alice("/")
    await alice.find(".bell").click()
    await expect(alice.find(".bell-panel .empty")).to_be_visible()
    return alice


@state
async def toasts(stage: Stage) -> Reader:
    """As many as there may be. The focus holds them."""
    alice = await at_home(stage)
    await expect(alice.find(".bell-toasts li")).to_have_count(1)
    await alice.page.keyboard.press("F8")
    for title, level in ("Your card was not accepted", "error"), ("新版本将于今晚上线", "warning"):
        await asend(title, to=[stage.people.alice], body="Some text, of which a line is shown " * 3,
                    level=level)  # fmt: skip
        await expect(alice.find(".bell-toasts").get_by_text(title)).to_be_visible()
    return alice


# -------------------------------------------------------------------------------------- one message


async def open_message(stage: Stage) -> tuple[Message, Reader]:
    message = await asend(
        "Maintenance tonight at 22:00",
        to=[stage.people.alice],
        body=BODY,
        level="warning",
        link="https://status.example.com/maintenance/2026-11/",
        expires=timezone.now() + timedelta(days=1),
        sender=stage.people.root,
    )
    return message, await stage.alice(f"/messages/{message.pk}/")


@state
async def message(stage: Stage) -> Reader:
    return (await open_message(stage))[1]


@state
async def message_corrected_while_open(stage: Stage) -> Reader:
    message, alice = await open_message(stage)
    await sync_to_async(update)(message, title="Maintenance tonight at 23:00")
    await expect(alice.find("h1")).to_contain_text("23:00")
    return alice


@state
async def message_on_paper(stage: Stage) -> Reader:
    _, alice = await open_message(stage)
    await alice.page.emulate_media(media="print")
    return alice


@state
async def message_withdrawn(stage: Stage) -> Reader:
    message, alice = await open_message(stage)
    await sync_to_async(withdraw)(message)
    await alice.page.reload()
    return alice


@state
async def message_expired(stage: Stage) -> Reader:
    message, alice = await open_message(stage)
    await Message.objects.filter(pk=message.pk).aupdate(
        expires_at=F("published_at"), due_at=F("published_at")
    )
    await sync_to_async(publish_due)()
    await alice.page.reload()
    return alice


# -------------------------------------------------------------------------- in another project

TELL = """
from notifications import EVERYONE, send
for key, words in {
    "harvest": {"title": "The spring harvest is here", "body": "**Friday**.", "link": "/?spring"},
    "closed": {"title": "Closed on Monday", "level": "warning"},
    "order": {"title": "您的龙井已寄出", "body": "预计三天内送达。", "level": "success"},
    "card": {"title": "Your card was not accepted", "body": "Please check it.", "level": "error"},
}.items():
    send(key=key, to=EVERYONE, **words)
"""


async def shopping(stage: Stage) -> Reader:
    """Ana, in the shop of examples/embed, which is in English alone."""
    shop = await asyncio.to_thread(stage.shop)
    ana = await stage.reader(path=None, locale=stage.locale)
    ana.url = shop.url
    await ana.open("/login/")
    return await sign_in(ana)


@state
async def shop_toast(stage: Stage) -> Reader:
    ana = await shopping(stage)
    new = ("broadcast", "The kettle is on", "--body", "Come in.", "--level", "success")
    await asyncio.to_thread(stage.shop().manage, *new)
    await expect(ana.find(".bell-toasts li")).to_be_visible()
    await ana.page.keyboard.press("F8")  # the focus holds it
    return ana


@state
async def shop_dropdown(stage: Stage) -> Reader:
    await asyncio.to_thread(stage.shop().shell, TELL)
    ana = await shopping(stage)
    await ana.find("message-bell > a").click()
    await expect(ana.find(".bell-panel li").first).to_be_visible()
    return ana


@state
async def shop_messages(stage: Stage) -> Reader:
    await asyncio.to_thread(stage.shop().shell, TELL)
    ana = await shopping(stage)
    await ana.page.goto(f"{ana.url}/inbox/")
    return ana


@state
async def shop_message(stage: Stage) -> Reader:
    ana = await shop_messages(stage)
    await ana.row("The spring harvest is here").locator(".title").click()
    await expect(ana.find("article h1")).to_be_visible()
    return ana


# ---------------------------------------------------------------------------------------- for staff


# A page that shows itself to who opens it needs no more than its address; {newest} is a message.
STAFF = {
    "staff-list": "/admin/notifications/message/",
    "staff-compose": "/admin/notifications/message/add/?copy={newest}",
}


async def staff(path: str, stage: Stage) -> Reader:
    await stage.fill()
    newest = await Message.objects.of_people().alatest("position")
    return await stage.root(path.format(newest=newest.pk))


STATES |= {name: partial(staff, path) for name, path in STAFF.items()}


async def watching(stage: Stage, path: str, part: str) -> Reader:
    """What staff see of alice, who is here, as soon as her process has said so."""
    await stage.fill()
    await live(stage)
    root = await stage.root(path)
    await expect(root.find(f"[data-part={part}] tbody td:nth-child(3)").first).to_be_visible()
    return root


@state
async def staff_dashboard(stage: Stage) -> Reader:
    return await watching(stage, "/admin/notifications/process/", "processes")


@state
async def staff_watching_one(stage: Stage) -> Reader:
    path = "/admin/notifications/process/user/?name=alice"
    return await watching(stage, path, "streams_of_user")
