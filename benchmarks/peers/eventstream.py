"""The peer django-eventstream, as its README sets it up: no storage, one channel for all.

daphne benchmarks.peers.eventstream:application
"""

import json

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="a peer on loopback",  # noqa: S106
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["daphne", "django_eventstream"],
    USE_TZ=True,
)
django.setup()

import django_eventstream  # noqa: E402 - it needs the settings
from django.core.asgi import get_asgi_application  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import include, path  # noqa: E402


async def send(request: HttpRequest) -> HttpResponse:
    django_eventstream.send_event("all", "message", json.loads(request.body))
    return HttpResponse(status=204)


urlpatterns = [
    path("messages/stream/", include(django_eventstream.urls), {"channels": ["all"]}),
    path("send", send),
]
application = get_asgi_application()
