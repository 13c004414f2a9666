"""The project's ASGI handler in the test's own process, to be asked like a server by httpx.

httpx has a transport for that, but it waits for the end of a response, and a stream has none.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx


class Inside(httpx.AsyncBaseTransport):
    url = "http://127.0.0.1"

    def __init__(self, application: Callable[..., Any]) -> None:
        self.application = application

    @property
    def transport(self) -> "Inside":
        return self

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        exchange = Exchange(self.application, request, await request.aread())
        start = await exchange.next()
        return httpx.Response(start["status"], headers=start["headers"], stream=exchange)


class Exchange(httpx.AsyncByteStream):
    """One request and its response, as long as it lasts. Closed by the client, it is over when
    the handler is."""

    def __init__(self, application: Callable[..., Any], request: httpx.Request, body: bytes):
        self._received: asyncio.Queue[Any] = asyncio.Queue()
        self._sent: asyncio.Queue[Any] = asyncio.Queue()
        self._received.put_nowait({"type": "http.request", "body": body})
        call = application(_scope(request), self._received.get, self._sent.put)
        self._task = asyncio.create_task(call)
        self._task.add_done_callback(lambda _: self._sent.put_nowait(None))

    async def next(self) -> Any:
        """What the handler sends next; its exception, if it has failed."""
        message = await self._sent.get()
        if message is None:
            await self._task
            raise AssertionError("The handler ended in the middle of its response.")
        return message

    async def __aiter__(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self.next()
            more = message.get("more_body", False)
            yield message.get("body", b"")

    async def aclose(self) -> None:
        self._received.put_nowait({"type": "http.disconnect"})
        await asyncio.wait([self._task])


def _scope(request: httpx.Request) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": request.url.path,
        "raw_path": request.url.raw_path,
        "query_string": request.url.query,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 50_000),
    }
