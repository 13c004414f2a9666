"""Ids in order of insertion, commits in any order: what readers see is the order of commits.

Eight processes at once, with pauses inside their transactions, so that who began earlier often
commits later, and with rollbacks, which leave holes in every sequence of ids.
"""

import asyncio
import itertools

from asgiref.sync import sync_to_async

from notifications import EVERYONE, asend
from tests.browser import Browser
from tests.people import crowd
from tests.together import together

SENDERS = 8  # processes
SENDS = 12  # transactions of each
READERS = 6
RESTLESS = 10  # events after which a restless reader leaves, and comes back
WAIT = 60  # s for all senders to be done; it takes some three

# Prints what it has committed.
SENDER = """
import json, random, sys, time
from django.db import transaction
from notifications import EVERYONE, send

me, count = int(sys.argv[1]), int(sys.argv[2])
chance = random.Random(me)  # the same every time, as far as processes can be
committed = []
for number in range(count):
    titles = [f"{me}-{number}-{part}" for part in range(chance.choice([1, 1, 2]))]
    with transaction.atomic():
        for title in titles:
            send(title, to=EVERYONE)
            time.sleep(chance.uniform(0, 0.03))
        if rolled_back := chance.random() < 0.25:
            transaction.set_rollback(True)
    if not rolled_back:
        committed += titles
print(json.dumps(committed))
"""


async def test_all_see_the_order_of_commits_no_loss_no_phantom_no_hole(servers, browser, people):
    two = [servers("daphne"), servers("uvicorn")]
    users = await sync_to_async(crowd)(READERS)
    readers = [await browser(two[n % 2], user) for n, user in enumerate(users)]
    for reader in readers:
        await reader.open()
    senders = [(str(number), str(SENDS)) for number in range(SENDERS)]
    async with together(SENDER, senders) as send_all:
        first = await asend("begin", to=EVERYONE)
        async with asyncio.timeout(WAIT), asyncio.TaskGroup() as tasks:
            # For each server one who stays; the others come and go.
            for number, reader in enumerate(readers):
                tasks.create_task(read_to_the_end(reader, restless=number >= len(two)))
            committed = await asyncio.to_thread(send_all)
            await asend("end", to=EVERYONE)
    sent = ["begin", *itertools.chain(*committed), "end"]
    order = in_order(readers[0])
    titles = list(order.values())
    assert sorted(titles) == sorted(sent)  # no loss, no phantom
    assert all(in_order(reader) == order for reader in readers)  # one order
    for mine in committed:  # and in it, each sender's own
        assert [title for title in titles if title in set(mine)] == mine
    assert list(order) == list(range(first.position, first.position + len(sent)))  # no hole


async def read_to_the_end(reader: Browser, restless: bool) -> None:
    """Read until "end". The restless leave now and then, and come back with their cursor."""
    for count in itertools.count(1):
        if (await reader.event()).data.get("title") == "end":
            return
        if restless and count % RESTLESS == 0:
            await reader.close()
            await reader.come_back()


def in_order(reader: Browser) -> dict[int, str]:
    """Position and title of its messages, as a page shows them: what came twice, once."""
    shown: dict[int, str] = {}
    for event in reader.got:
        if event.name == "message" and event.data["position"] > max(shown, default=0):
            shown[event.data["position"]] = event.data["title"]
    came = {event.data["title"] for event in reader.got if event.name == "message"}
    assert came == set(shown.values())  # nothing came out of order
    return shown
