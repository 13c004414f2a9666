"""The peer sse-starlette: an `EventSourceResponse` over a queue for each reader.

uvicorn benchmarks.peers.starlette_app:app
"""

import asyncio
from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

queues: set[asyncio.Queue[str]] = set()


async def events() -> AsyncIterator[dict[str, str]]:
    queue: asyncio.Queue[str] = asyncio.Queue()
    queues.add(queue)
    try:
        while True:
            yield {"data": await queue.get()}
    finally:
        queues.discard(queue)


async def stream(request: Request) -> Response:
    return EventSourceResponse(events())


async def send(request: Request) -> Response:
    event = (await request.body()).decode()
    for queue in queues:
        queue.put_nowait(event)
    return Response(status_code=204)


app = Starlette(routes=[Route("/messages/stream/", stream), Route("/send", send, methods=["POST"])])
