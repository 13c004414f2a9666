"""The peer: a stream as one writes it first, on the same site, under Django's own handler.

    daphne benchmarks.naive:application

Session, user and middleware are the project's. Nothing is ever sent but `ready` and a first state:
what is compared is opening streams and having them open.
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


async def stream(request: HttpRequest) -> HttpResponseBase:
    user = await request.auser()
    if not user.is_authenticated:
        return HttpResponse(status=401)
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    queue.put_nowait(b"event: ready\ndata: {}\n\n")
    queue.put_nowait(b"event: state\ndata: {}\n\n")

    async def body() -> AsyncIterator[bytes]:
        while True:
            yield await queue.get()

    return StreamingHttpResponse(body(), content_type="text/event-stream")


async def healthz(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok\n")


urlpatterns = [path("messages/stream/", stream), path("healthz", healthz)]
settings.ROOT_URLCONF = __name__
application = get_asgi_application()
