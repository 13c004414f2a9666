"""A deploy: SIGTERM ends the streams with a `bye`, answers what is asked, and exits with 0."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, transaction

from notifications import EVERYONE, asend
from notifications.models import Inbox
from tests.browser import new_session
from tests.listener import TELLING, posts
from tests.people import crowd
from tests.server import COMMANDS
from tests.sockets import LAST_CHUNK, Sockets
from tests.until import until

STREAMS = 200  # the benchmark does it with 1,000, and says how long that takes
AT_MOST = 10.0  # s: it ends, also on a busy machine, where others would wait for ever


@pytest.mark.parametrize("kind", sorted(COMMANDS))
async def test_at_a_deploy_streams_end_requests_are_answered_and_nothing_is_lost(
    kind, servers, browser, people
):
    server = servers(kind, application=TELLING)
    alice, bob = await browser(server, people.alice), await browser(server, people.bob)
    await alice.open()
    sessions = await sync_to_async(lambda: [new_session(user) for user in crowd(STREAMS // 10)])()
    async with Sockets(server, sessions) as sockets:
        await sockets.open_up_to(STREAMS)
        with slow_acts(bob.user) as finish:
            before = posts(server)
            request = asyncio.create_task(bob.post("/messages/seen/"))
            await until(lambda: posts(server) > before)  # it is being worked on
            stopping = asyncio.create_task(asyncio.to_thread(server.stop))
            assert await alice.bye() == "drain"
            assert not request.done()
            finish()
            assert (await request).status_code == 200
        assert await stopping < (0, AT_MOST)  # exit code, seconds
        for each in sockets.open:
            everything = await each.read_to_end()
            assert b'{"reason":"drain"}' in everything
            assert everything.endswith(LAST_CHUNK)
    await asend("during the deploy", to=EVERYONE)
    await asyncio.to_thread(server.start)
    await alice.come_back()
    assert await alice.read() == "during the deploy"


async def test_ctrl_c_does_the_same(each_server, browser, people):
    alice = await browser(each_server, people.alice)
    await alice.open()
    assert await asyncio.to_thread(each_server.stop, signal.SIGINT) < (0, AT_MOST)
    assert await alice.bye() == "drain"


@contextmanager
def slow_acts(user: Any) -> Iterator[Callable[[], None]]:
    """Inside this block an act of `user` waits until the block's value is called."""
    locked, finish = threading.Event(), threading.Event()

    def hold() -> None:
        with closing(connection):
            Inbox.objects.of(user.pk)
            with transaction.atomic():
                Inbox.objects.locked(user.pk)
                locked.set()
                finish.wait(AT_MOST)

    with ThreadPoolExecutor(1) as other:
        held = other.submit(hold)
        locked.wait(AT_MOST)
        try:
            yield finish.set
        finally:
            finish.set()
            held.result()
