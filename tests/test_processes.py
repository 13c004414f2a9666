"""Many server processes, many senders, one database: every reader sees the same story."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group

from notifications import EVERYONE, asend
from notifications.models import Change
from tests.browser import LOG, Browser
from tests.people import crowd
from tests.replica import Replica, shown
from tests.server import Server
from tests.together import together

READERS = 6  # accounts, half of them in the crew
TABS = 4  # of each, all on different servers
SENDERS = 3  # processes
ROUNDS = 9  # of each; all messages are to fit on a page of the list
ACTS = 5  # messages that a tab marks read; fewer than an inbox remembers
PATIENCE = 60.0  # s for all of it

# Sends to all kinds of audiences, corrects and withdraws what it has sent. Prints by title the
# names of those to whom it was sent, null for everyone.
SENDER = """
import json, random, sys
from django.contrib.auth.models import Group, User
from notifications import EVERYONE, send, update, withdraw

me, rounds = int(sys.argv[1]), int(sys.argv[2])
chance = random.Random(me)
crew = Group.objects.get(name="crew")
members = {crew: [user.username for user in crew.user_set.all()]}
readers = list(User.objects.filter(username__startswith="reader"))
sent, audiences = [], {}
for number in range(rounds):
    title = f"{me}-{number}"
    some = chance.sample(readers, 2)
    to = chance.choice([None, [crew], some, [crew, *some]])
    sent.append(send(title, to=to or EVERYONE))
    names = {name for each in to or [] for name in members.get(each) or [each.username]}
    audiences[title] = to and list(names)
    if chance.random() < 0.3:
        update(chance.choice(sent), body=f"as of {number}")
    if chance.random() < 0.2:
        withdraw(sent.pop(chance.randrange(len(sent))))
print(json.dumps(audiences))
"""


@pytest.fixture
def all_servers(servers) -> Iterator[list[Server]]:
    """Four processes behind three ports."""
    workers = servers("uvicorn", WEB_CONCURRENCY="2")
    yield [servers("daphne"), servers("daphne"), workers]
    workers.stop()  # a kill would leave its workers behind


async def test_every_reader_sees_all_that_is_meant_for_them_once_and_in_one_order(
    all_servers, browser, people
):
    users = await sync_to_async(crowd)(READERS)
    await sync_to_async(form_a_crew)(users[: READERS // 2])
    tabs = [
        Tab(await browser(all_servers[(n + m) % len(all_servers)], user), acts=(m == 0))
        for n, user in enumerate(users)
        for m in range(TABS)
    ]
    senders = [(str(number), str(ROUNDS)) for number in range(SENDERS)]
    async with together(SENDER, senders) as send_all, asyncio.timeout(PATIENCE):
        await asyncio.gather(*(tab.open() for tab in tabs))
        async with asyncio.TaskGroup() as tasks:
            for tab in tabs:
                tasks.create_task(tab.read_until("the end"))
            audiences = by_title(await asyncio.to_thread(send_all))
            await asend("the end", to=EVERYONE)
        log = await sync_to_async(read_log)()
        for user in users:
            pages = [await browser(server, user) for server in all_servers]
            (truth, *others) = [shown(await snapshot(page)) for page in pages]
            assert all(other == truth for other in others)
            for tab in tabs:
                if tab.browser.user == user:
                    assert_told(tab.told(), meant_for(user, log, audiences))
                    await tab.agrees_with(truth)


class Tab:
    """An open page: what it was told, and what it shows. One that `acts` marks messages read."""

    def __init__(self, browser: Browser, acts: bool) -> None:
        self.browser, self.page = browser, Replica()
        self.acts_left = ACTS if acts else 0

    async def open(self) -> None:
        await self._load()
        await self.browser.open(after=self.page.cursor)

    async def read_until(self, title: str) -> None:
        while (event := await self._next()).data.get("title") != title:
            if event.name == "message" and self.acts_left:
                self.acts_left -= 1
                answer = await self.browser.post(f"/messages/{event.data['id']}/read/")
                assert answer.status_code in (200, 404, 410)  # it may be withdrawn by now

    async def agrees_with(self, truth: dict[str, Any]) -> None:
        """Wait until this page shows what a new one would."""
        while self.page.shows() != truth:
            await self._next()

    def told(self) -> list[tuple[int, str, int]]:
        """Position, event and message of each change that it was told."""
        return [
            (int(event.id.rpartition("-")[2]), event.name, event.data["id"])
            for event in self.browser.got
            if event.name in LOG
        ]

    async def _next(self) -> Any:
        event = await self.browser.event()
        self.page.apply(event)
        if self.page.wants_snapshot:
            await self._load()
        return event

    async def _load(self) -> None:
        self.page.load(await snapshot(self.browser))


async def snapshot(browser: Browser) -> dict[str, Any]:
    return (await browser.get("/messages/snapshot/")).json()


def form_a_crew(users: list[Any]) -> None:
    Group.objects.create(name="crew").user_set.set(users)


def by_title(said: list[dict[str, list[str] | None]]) -> dict[str, set[str] | None]:
    """The names of those to whom each was sent, None for everyone."""
    found: dict[str, set[str] | None] = {"the end": None}
    for audiences in said:
        found |= {title: names and set(names) for title, names in audiences.items()}
    return found


Told = tuple[int, str, int]  # position, event, message


def read_log() -> list[tuple[Told, str, bool]]:
    """All changes, in order: what there is to tell, its title, and whether it must be told."""
    found = []
    for change in Change.objects.select_related("message").order_by("position"):
        message = change.message
        name = {"published": "message", "updated": "update"}.get(change.event, change.event)
        must = name == "withdrawn" or not message.is_over  # else nothing may be left to tell
        found.append(((change.position, name, message.pk), message.title, must))
    return found


def meant_for(user: Any, log: Any, audiences: Any) -> dict[Told, bool]:
    return {
        told: must
        for told, title, must in log
        if (names := audiences[title]) is None or user.username in names
    }


def assert_told(told: list[Told], meant: dict[Told, bool]) -> None:
    once = list(dict.fromkeys(told))
    assert once == sorted(once)  # one order
    assert set(once) <= meant.keys()  # nothing that is not for them
    assert {change for change, must in meant.items() if must} <= set(once)  # all that is
