"""A member of staff at the page where messages are written, without a browser."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from notifications import publish_due
from notifications.models import Draft, Message
from tests.people import person

MESSAGES = "/admin/notifications/message/"
ADD = f"{MESSAGES}add/"


def staff(*permissions: str, name: str = "clerk") -> tuple[Any, "Composer"]:
    """A member of staff who may do just this."""
    user = person(name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    assert user.user_permissions.count() == len(permissions)
    return user, Composer(user)


class Composer:
    """`page`: the text of the last answer."""

    def __init__(self, user: Any) -> None:
        self.client = Client()
        self.client.force_login(user)

    def get(self, path: str = ADD, **params: Any) -> str:
        return self._read(self.client.get(path, params, follow=True))

    def press(self, button: str, **fields: Any) -> str:
        """A button of the form; the page that comes of it."""
        data = {"whom": "named", "title": "Hello", "level": "info", "when": "now", "until": "never"}
        posted = {**data, "zone": "UTC", button: "1", **fields}
        return self._read(self.client.post(ADD, posted, follow=True))

    def review(self, **fields: Any) -> str:
        return self.press("_review", **fields)

    def confirm(self, **fields: Any) -> str:
        """Send what the review shows."""
        action, token = self._form()
        return self._read(self.client.post(action, {"token": token} | fields, follow=True))

    def _form(self) -> tuple[str, str]:
        action = re.search(r'id="send" method="post" action="([^"]+)"', self.raw)
        token = re.search(r'name="token" value="([^"]+)"', self.raw)
        assert action, self.page
        assert token
        return action[1], token[1]

    def send(self, **fields: Any) -> Message:
        """Written, reviewed and sent; it is due in ten seconds."""
        before = set(Message.objects.values_list("pk", flat=True))
        self.review(**fields)
        self.confirm()
        return Message.objects.exclude(pk__in=before).get()

    def undo(self, message: Message) -> str:
        return self._read(self.client.post(f"{MESSAGES}undo/{message.pk}/", follow=True))

    def _read(self, response: Any) -> str:
        self.response, self.raw = response, response.content.decode()
        self.page = re.sub(r"\s+", " ", unescape(re.sub(r'srcdoc="[^"]*"', "", self.raw)))
        return self.page

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def errors(self) -> dict[str, list[str]]:
        form = self.response.context["form"]
        return {name: list(said) for name, said in form.errors.items()}

    @property
    def values(self) -> dict[str, Any]:
        """What the fields of the form hold."""
        form = self.response.context["form"]
        return {field.name: field.value() for field in form}


def ten_seconds_pass() -> None:
    """For all messages; and somebody looks whether one is due."""
    now = timezone.now()
    waiting = Message.objects.filter(published_at=None, due_at__lte=now + timedelta(seconds=11))
    waiting.update(publish_at=now, due_at=now)
    publish_due()


def nothing_is_written() -> bool:
    return not Message.objects.exists()


def draft() -> Draft:
    return Draft.objects.get()
