"""A herd comes back: a server dies, and all its readers return at once, with their cursors."""

import asyncio
import re

from asgiref.sync import sync_to_async

from notifications import EVERYONE, asend
from notifications.stream import RETRY
from tests.browser import new_session
from tests.people import crowd
from tests.server import Server
from tests.sockets import Socket, Sockets

HERD, PEOPLE = 300, 30  # streams, and whose they are
TITLES = [f"missed-{number}" for number in range(5)]
# The statement that reads the log, and the position after which it reads.
LOG_READ = re.compile(r"LEFT JOIN notifications_change .*?args=[(\[](\d+),", re.DOTALL)


async def test_a_herd_comes_back_and_the_log_is_not_read_for_each_of_them(servers, people):
    server = servers("daphne", DJANGO_SETTINGS_MODULE="tests.talkative")
    sessions = await make(PEOPLE)
    async with Sockets(server, sessions) as sockets:
        await sockets.open_up_to(HERD)
        await asend("before", to=EVERYONE)
        await sockets.all_read_until(b'"title":"before"')
        await asyncio.to_thread(server.kill)
        cursors = [last_id(socket) for socket in sockets.open]
    said_before = len(server.log)
    for title in TITLES:
        missed = await asend(title, to=EVERYONE)
    await asyncio.to_thread(server.start)
    returns = (
        come_back(server, sessions[number % PEOPLE], cursor)
        for number, cursor in enumerate(cursors)
    )
    retries = await asyncio.gather(*returns)
    assert all(RETRY[0] <= retry <= RETRY[1] for retry in retries)
    assert len(set(retries)) > HERD / 4  # so they would not return all together the next time
    reads = [int(after) for after in LOG_READ.findall(server.log[said_before:])]
    assert reads
    # By the hub, when it started. A replay, or a check of a cursor, would be one for each stream.
    assert len([after for after in reads if after < missed.position]) < 5


async def come_back(server: Server, session: str, cursor: str) -> int:
    """Return with the cursor, and read all that was missed; the `retry:` in ms."""
    socket = await Socket.ask(server, session, cursor)
    try:
        await socket.read_until(b"event: ")
        assert socket.got.startswith(b"HTTP/1.1 200 ")
        if b"event: bye" in socket.got:  # not up to date with the log yet: later, then
            return await come_back(server, session, cursor)
        await socket.read_until(b"event: state")
    finally:
        await socket.close()
    assert re.findall(r'"title":"(.*?)"', socket.got.decode()) == TITLES
    return int(re.search(rb"retry: (\d+)", socket.got)[1])


def last_id(socket: Socket) -> str:
    return re.findall(r"^id: (\S+)$", socket.got.decode(), re.MULTILINE)[-1]


@sync_to_async
def make(count: int) -> list[str]:
    """Sessions of so many new people."""
    return [new_session(user) for user in crowd(count)]
