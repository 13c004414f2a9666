"""Every state of the pages, in every theme, direction and language.

axe finds nothing, nothing is cut off, and of each there is a screenshot in `screenshots/`.

A state is a function that brings a reader's window there: add one with `@state`.
"""

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import product
from typing import Any, NamedTuple

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group
from django.db.models import F
from django.template.loader import render_to_string
from django.test import Client
from django.utils import timezone, translation
from playwright.async_api import expect

from notifications import asend, publish_due, update, withdraw
from notifications.acts import archive, end_streams, read_all
from notifications.management.commands.demo import send_messages
from notifications.models import Message
from tests.chromium import NewReader, Reader, needs_chromium
from tests.look import DIRECTIONS, PHONE, THEMES, ZOOMED, look, moving, needs_axe, overflow, turn
from tests.people import People
from tests.server import Server

pytestmark = [
    needs_chromium,
    needs_axe,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.only("sqlite"),  # how a page looks does not depend on the database
]

LANGUAGES = {"en": "en-GB", "zh": "zh-CN"}
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
        with translation.override(stage.locale):
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
    """A page that is connected, as a message shows."""
    alice = await stage.alice()
    await asend("It has arrived", to=[stage.people.alice], level="success")
    await expect(alice.row("It has arrived").first).to_be_visible()
    await expect(alice.page).to_have_title(re.compile(r"^[^(]"))  # seen: nothing else is under way
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
async def did_not_work(stage: Stage) -> Reader:
    await stage.fill()
    alice = await stage.alice()
    stage.server.kill()
    await alice.find("[value=read]:not([hidden])").first.click()
    await expect(alice.find("[role=alert]")).not_to_be_empty()
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


# ---------------------------------------------------------------------------------------- for staff


@state
async def staff_list(stage: Stage) -> Reader:
    await stage.fill()
    return await stage.root("/admin/notifications/message/")


# ---------------------------------------------------------------------------------------- the looks


@pytest.mark.parametrize("name", STATES)
async def test_nobody_is_kept_out(people, server, reader, name, record_property):
    """axe finds nothing, and nothing is cut off at 400 %."""
    found: list[str] = []
    complaints: list[str] = []
    for language, locale in LANGUAGES.items():
        if server.process.poll() is not None:
            server.start()
        someone = await STATES[name](Stage(people, server, reader, locale))
        page = someone.page
        for theme, direction in product(THEMES, DIRECTIONS):
            await turn(page, direction)
            where = f"{name}-{language}-{theme}-{direction}"
            found += [f"{where}: {each}" for each in await look(page, where, color_scheme=theme)]
        await page.set_viewport_size(ZOOMED)
        for direction in DIRECTIONS:
            await turn(page, direction)
            if wider := await overflow(page):
                found.append(f"{name}-{language}-{direction}: {wider} px wider than 320")
        if not name.startswith("staff"):  # Django's own pages move a little, and ask nobody
            found += [f"{name} moves: {each}" for each in await moving(page)]
        await turn(page, "ltr")
        await page.set_viewport_size(PHONE)
        await look(page, f"{name}-{language}-phone", color_scheme="light")
        await look(page, f"{name}-{language}-forced", color_scheme="dark", forced_colors="active")
        complaints += someone.complaints
        await someone.context.close()
    record_property("axe violations", len(found))
    record_property("complaints", len(complaints))
    assert found == []
