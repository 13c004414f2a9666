"""Static files, out of the streams' way."""

from typing import Any

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import MiddlewareNotUsed
from django.utils.decorators import sync_and_async_middleware
from servestatic.middleware import ServeStaticMiddleware


@sync_and_async_middleware
def static_files(get_response: Any) -> Any:
    """ServeStatic, which is asynchronous only, in the asynchronous chain.

    What goes through the synchronous one is streams (see `notifications.handler`), and no files.
    """
    if not iscoroutinefunction(get_response):
        raise MiddlewareNotUsed
    return ServeStaticMiddleware(get_response)
