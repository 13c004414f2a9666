"""How many of an audience are connected right now: to this server process, and to all others."""

import asyncio

import pytest

from notifications import EVERYONE
from notifications.audience import Audience
from notifications.models import Process
from notifications.processes import CONNECTED
from notifications.staff.headcount import headcount
from tests.test_dashboard import reported

ADMIN = "/admin/notifications"
BOTH = {"whom": "named", "usernames": "alice\nbob"}
PATIENCE = 30  # s: a report comes every five


def told(*users):
    """A process has just told that these are connected to it."""
    process = reported(streams=len(users), users=len(users))
    keys = [str(user.pk) for user in users]
    Process.objects.filter(pk=process.pk).update(watched={CONNECTED: keys})


def online(to):
    found = headcount(Audience.of(to), by_name=False)
    return found.online, found.at_least


@pytest.mark.django_db
def test_who_is_connected_twice_counts_once(people):
    told(people.alice, people.root)
    told(people.alice, people.bob)
    assert online([people.alice, people.bob]) == (2, False)
    assert online([people.root]) == (1, False)


@pytest.mark.django_db
def test_that_a_process_has_not_told_yet_is_said(people):
    told(people.alice)
    reported(streams=1, users=1)
    assert online([people.alice, people.bob]) == (1, True)


@pytest.mark.django_db
def test_of_nobodys_reports_nothing_is_known(people):
    assert online([people.alice]) == online(EVERYONE) == (None, False)


async def test_who_is_online_at_another_process_is_counted_too(servers, browser, people):
    here, there = servers("daphne"), servers("uvicorn")
    root = await browser(here, people.root)

    async def says(words: str) -> None:
        answer = ""
        async with asyncio.timeout(PATIENCE):
            while words not in answer:
                await asyncio.sleep(0.1)
                answer = (await root.http.get(f"{ADMIN}/message/audience-count/", params=BOTH)).text

    alice, bob = await browser(here, people.alice), await browser(there, people.bob)
    await alice.open()
    await bob.open()
    await says("2 online now")
    await bob.close()
    await says("1 online now")
