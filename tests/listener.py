"""A window that listens by `connect()`, without our elements, and remembers what it heard."""

from typing import Any, Self

import httpx
from playwright.async_api import Page

from tests.chromium import Reader
from tests.server import Server
from tests.until import until

TELLING = "tests.telling:application"  # the site, telling `streams` and `posts`

# For waits that nobody should sit through: from now on this page's time goes `pace` times as fast.
# But for timers of `unhurried` ms: what the machine has to do does not go faster.
HURRY = """([pace, unhurried]) => {
    const [usual, now, start] = [window.setTimeout, Date.now, Date.now()];
    const time = (ms) => ms === unhurried ? ms : ms / window.pace;
    window.pace = pace;
    window.setTimeout = (act, ms = 0, ...rest) => usual(act, time(ms), ...rest);
    Date.now = () => start + (now() - start) * window.pace;
}"""

MODULE = "/static/notifications/connect.js"
CONNECT = """async ([module, options]) => {
    const { connect } = await import(module);
    window.heard = [];
    const on = (type, data, id) => {
        if (type === "ready") window.live = Date.now();
        window.heard.push({ type, data, id });
    };
    window.connection = connect({ ...options, on });
}"""


class Listener:
    """`tab = await Listener.open(alice)`: one more window of her browser."""

    def __init__(self, reader: Reader, page: Page) -> None:
        self.reader, self.page = reader, page

    @classmethod
    async def open(
        cls,
        reader: Reader,
        *,
        path: str = "/healthz",
        pace: int = 1,
        unhurried: int = 0,
        **options: Any,
    ) -> Self:
        """options: those of `connect`."""
        listener = cls(reader, await reader.open(path))
        await listener.page.evaluate(HURRY, [pace, unhurried])
        await listener.connect(**options)
        return listener

    async def connect(self, module: str = MODULE, **options: Any) -> None:
        await self.page.evaluate(CONNECT, [module, {"url": "/messages/"} | options])

    async def heard(self, *types: str) -> list[dict[str, Any]]:
        """{type, data, id} of each event of these types, or of all."""
        heard = await self.page.evaluate("window.heard")
        return [each for each in heard if not types or each["type"] in types]

    async def titles(self) -> list[str]:
        """Of the messages, in the order in which they came."""
        return [each["data"]["title"] for each in await self.heard("message")]

    async def hears(self, *titles: str) -> None:
        """Wait until the messages are just these, in this order."""
        script = """(wanted) => JSON.stringify(window.heard.filter(({ type }) => type === "message")
            .map(({ data }) => data.title)) === JSON.stringify(wanted)"""
        await self._wait(script, list(titles))

    async def hears_of(self, type: str) -> None:
        """Wait until there has been such an event."""
        await self._wait("(wanted) => window.heard.some(({ type }) => type === wanted)", type)

    async def is_told(self, status: str) -> None:
        """Wait until the newest status is this."""
        script = """(wanted) => window.heard.findLast(({ type }) => type === "status")?.data
            === wanted"""
        await self._wait(script, status)

    async def _wait(self, script: str, wanted: Any) -> None:
        try:
            await self.page.wait_for_function(script, arg=wanted)
        except Exception as error:
            raise AssertionError(f"{await self.heard()} instead of {wanted}") from error


def streams(server: Server) -> int:
    """How many are open."""
    return int(httpx.get(f"{server.url}/streams", trust_env=False).text)


def posts(server: Server) -> int:
    """How many posts have reached it: answered, or being worked on."""
    return int(httpx.get(f"{server.url}/posts", trust_env=False).text)


async def has_streams(server: Server, number: int) -> None:
    """Wait until so many are open."""
    await until(lambda: streams(server) == number)
