"""Members of staff before the admin, without a browser."""

import re
from html import unescape
from typing import Any

from django.contrib.auth.models import Permission
from django.http import HttpResponse
from django.test import Client

from tests.people import person

MESSAGES = "/admin/notifications/message/"


def clerk(*permissions: str, name: str = "clerk") -> Any:
    """A member of staff who may do just this."""
    user = person(name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


def logged_in(user: Any, **options: Any) -> Client:
    client = Client(**options)
    client.force_login(user)
    return client


def page_of(message: Any) -> str:
    return f"{MESSAGES}{message.pk}/change/"


def words(response: HttpResponse) -> str:
    """What is to be read on a page, with single spaces."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def html(response: HttpResponse) -> str:
    return unescape(response.content.decode())
