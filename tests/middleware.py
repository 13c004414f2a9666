"""Middleware of projects that use the app; and settings with the one that MIDDLEWARE_OF names."""

import os
from collections.abc import AsyncIterator
from typing import Any

from django.utils.decorators import async_only_middleware, sync_only_middleware

from config import settings as ours

for _name in filter(str.isupper, dir(ours)):
    globals()[_name] = getattr(ours, _name)
MIDDLEWARE = [*ours.MIDDLEWARE, f"tests.middleware.{os.environ['MIDDLEWARE_OF']}"]


@sync_only_middleware
def synchronous(get_response: Any) -> Any:
    def middleware(request: Any) -> Any:
        response = get_response(request)
        response["X-Seen-By"] = "synchronous"
        response.set_cookie("seen", "yes")
        return response

    return middleware


@async_only_middleware
def asynchronous(get_response: Any) -> Any:
    async def middleware(request: Any) -> Any:
        response = await get_response(request)
        response["X-Seen-By"] = "asynchronous"
        return response

    return middleware


@sync_only_middleware
def wrapping(get_response: Any) -> Any:
    """Puts a comment before each chunk of a stream."""

    async def marked(body: Any) -> AsyncIterator[bytes]:
        async for chunk in body:
            yield b": wrapped\n" + chunk

    def middleware(request: Any) -> Any:
        response = get_response(request)
        if response.streaming and response.is_async:
            response.streaming_content = marked(response.streaming_content)
        response["X-Seen-By"] = "wrapping"
        return response

    return middleware
