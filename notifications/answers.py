"""How callers are answered: people with pages, programs with JSON, never with a redirect."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from .wire import dumps

STREAMING = {
    "Cache-Control": "private, no-store, no-transform",
    "X-Accel-Buffering": "no",  # nginx would wait for a buffer to fill
    "Content-Encoding": "identity",  # GZipMiddleware would, too
}


class BadInput(Exception):
    """What the caller sent in `field` cannot be used; `problem` says what would be right."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(field, problem)
        self.field, self.problem = field, problem


def json(data: Any, status: int = 200) -> HttpResponse:
    """`data` as JSON that no cache keeps: it is one user's."""
    headers = {"Cache-Control": "private, no-store", "Vary": "Accept, Cookie"}
    return HttpResponse(
        dumps(data), status=status, content_type="application/json", headers=headers
    )


def error(status: int, problem: str, **more: Any) -> HttpResponse:
    return json({"error": problem, **more}, status)


def signed_out() -> HttpResponse:
    return error(401, _("You are signed out. Log in again."))


def events(response: Any) -> Any:
    """`response`, as one of Server-Sent Events."""
    response.headers["Content-Type"] = "text/event-stream"
    for name, value in STREAMING.items():
        response.headers[name] = value
    return response


def wants_json(request: HttpRequest) -> bool:
    """Whether the caller asks for JSON rather than for a page."""
    return request.get_preferred_type(["text/html", "application/json"]) == "application/json"


def for_users(*, json_only: bool = False) -> Callable[..., Any]:
    """A view for logged-in users; BadInput becomes 400 with the field's name."""

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            as_json = json_only or wants_json(request)
            if not request.user.is_authenticated:
                if as_json:
                    return signed_out()
                # A form that was posted too late leads back to the page it was on, not to itself.
                came_from = request.get_full_path() if request.method in ("GET", "HEAD") else "/"
                return redirect_to_login(came_from)
            try:
                return view(request, *args, **kwargs)
            except BadInput as bad:
                return error(400, bad.problem, field=bad.field)

        return wrapper

    return decorate


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """CSRF_FAILURE_VIEW: Django's page, or JSON for programs."""
    from django.views.csrf import csrf_failure as page

    return error(403, reason) if wants_json(request) else page(request, reason)
