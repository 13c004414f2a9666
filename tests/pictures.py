"""Takes the pictures that the README shows: `make pictures`. No part of the suite."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import NamedTuple

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone
from playwright.async_api import expect

from notifications import EVERYONE, asend, send
from notifications.acts import read
from notifications.models import Message
from tests.chromium import NewReader, Reader
from tests.look import PHONE, ROOT, THEMES
from tests.people import People, person

pytestmark = pytest.mark.asyncio(loop_scope="session")

IMAGES = ROOT / "docs/images"
WINDOW = {"width": 880, "height": 660}
ENGLISH, CHINESE = "en-GB", "zh-CN"
OFFICE = {ENGLISH: "Front office", CHINESE: "前台"}


class Told(NamedTuple):
    """A message of the story, and how many minutes ago it was published."""

    ago: int
    level: str
    title: str
    body: str
    link: str = ""
    is_read: bool = False


STORIES = {
    ENGLISH: [
        Told(2_900, "info", "Welcome aboard",
             "Messages arrive here while you watch, and wait while you are away.", is_read=True),
        Told(1_520, "error", "Your card was not accepted",
             "The last payment failed. Please check the date of the card.", "/billing/"),
        Told(1_480, "info", "Summer hours from Monday",
             "The reception is staffed from **8 to 14 h** until the end of August.", is_read=True),
        Told(190, "success", "Your export is ready", "All 1,284 rows. Kept for a week.",
             "/exports/2026-11/", is_read=True),
        Told(41, "success", "Your parcel is here", "Shelf **4**, until Friday. Bring the code."),
        Told(6, "warning", "Maintenance tonight at 22:00",
             "The service is read-only for about ten minutes. Saving waits, reading works.",
             "/status/"),
    ],
    CHINESE: [
        Told(2_900, "info", "欢迎使用消息中心", "您在线时消息即时送达，离开时它们会等您回来。",
             is_read=True),
        Told(1_520, "error", "付款未成功", "上一笔付款被拒绝，请检查银行卡的有效期。", "/billing/"),
        Told(190, "success", "导出已完成", "共 1,284 行，保留一周。", is_read=True),
        Told(41, "success", "您的包裹已到", "**4** 号货架，周五前领取，请带上取件码。"),
        Told(6, "warning", "今晚 22:00 系统维护", "约十分钟内只能查看，无法保存。", "/status/"),
    ],
}  # fmt: skip


def tell(people: People, locale: str) -> None:
    office = person("office", first_name=OFFICE[locale])
    for ago, level, title, body, link, is_read in STORIES[locale]:
        message = send(title, to=EVERYONE, body=body, level=level, link=link, sender=office)
        at = timezone.now() - timedelta(minutes=ago)
        Message.objects.filter(pk=message.pk).update(published_at=at)
        if is_read:
            read(people.alice, message.pk)


async def take(alice: Reader, name: str) -> None:
    """In both themes; as small as a picture of few colours may be."""
    IMAGES.mkdir(exist_ok=True)
    for theme in THEMES:
        await alice.page.emulate_media(color_scheme=theme)
        await alice.page.screenshot(path=IMAGES / f"{name}-{theme}.png", animations="disabled")


Scene = Callable[[NewReader, People], Awaitable[tuple[str, Reader]]]


async def the_list(reader: NewReader, people: People) -> tuple[str, Reader]:
    await sync_to_async(tell)(people, ENGLISH)
    alice = await reader(people.alice, viewport=WINDOW)
    await expect(alice.page).to_have_title("Messages")  # all has been seen
    return "messages", alice


async def the_bell(reader: NewReader, people: People) -> tuple[str, Reader]:
    await sync_to_async(tell)(people, ENGLISH)
    alice = await reader(people.alice, path="/", viewport=WINDOW)
    await alice.find(".bell").click()
    await expect(alice.find(".bell-panel li").first).to_be_visible()
    await alice.page.evaluate("document.activeElement.blur()")
    return "bell", alice


async def a_toast(reader: NewReader, people: People) -> tuple[str, Reader]:
    alice = await reader(people.alice, path="/", viewport=WINDOW)
    body = "Shelf **4**, until Friday. Bring the code."
    await asend("Your parcel is here", to=[people.alice], level="success", body=body)
    await expect(alice.find(".bell-toasts li")).to_be_visible()
    return "toast", alice


async def a_phone(reader: NewReader, people: People) -> tuple[str, Reader]:
    await sync_to_async(tell)(people, CHINESE)
    phone = {"viewport": PHONE, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
    alice = await reader(people.alice, locale=CHINESE, **phone)
    await expect(alice.page).to_have_title("消息")
    return "phone", alice


@pytest.mark.parametrize("scene", [the_list, the_bell, a_toast, a_phone])
async def test_a_picture(people, reader, scene: Scene):
    name, alice = await scene(reader, people)
    await take(alice, name)
