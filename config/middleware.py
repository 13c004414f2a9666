"""Static files, out of the streams' way."""

from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async
from django.conf import settings
from django.utils.decorators import sync_and_async_middleware
from servestatic.middleware import ServeStaticMiddleware


@sync_and_async_middleware
def static_files(get_response: Any) -> Any:
    """ServeStatic, which is asynchronous only, for both kinds of chains.

    Streams are served by a synchronous one (see `notifications.handler`), as fast as it is.
    """
    if iscoroutinefunction(get_response):
        return ServeStaticMiddleware(get_response)
    serve = async_to_sync(ServeStaticMiddleware(sync_to_async(get_response)))

    def middleware(request: Any) -> Any:
        is_file = request.path_info.startswith(settings.STATIC_URL)
        return serve(request) if is_file else get_response(request)

    return middleware
