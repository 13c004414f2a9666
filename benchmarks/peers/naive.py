"""The peer from next door: a stream as one writes it first, on the same site, with the same
middleware, session and user, under Django's own handler.

daphne benchmarks.peers.naive:application
"""

import asyncio
import os
from collections.abc import AsyncIterator

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

queues: set[asyncio.Queue[bytes]] = set()


async def stream(request: HttpRequest) -> HttpResponseBase:
    user = await request.auser()
    if not user.is_authenticated:
        return HttpResponse(status=401)
    return StreamingHttpResponse(events(), content_type="text/event-stream")


async def events() -> AsyncIterator[bytes]:
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    queues.add(queue)
    try:
        while True:
            yield await queue.get()
    finally:
        queues.discard(queue)


@csrf_exempt
async def send(request: HttpRequest) -> HttpResponse:
    event = b"data: " + request.body + b"\n\n"
    for queue in queues:
        queue.put_nowait(event)
    return HttpResponse(status=204)


urlpatterns = [path("messages/stream/", stream), path("send", send)]
settings.ROOT_URLCONF = __name__
application = get_asgi_application()
