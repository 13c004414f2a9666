"""The page of a message in the admin: what has become of it, and what can still be done."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from . import reach, words
from .forms import CorrectForm
from .models import Message


class MessagePage(admin.ModelAdmin):
    """What it says of adding a message, which has no page yet, is for the next class to say."""

    def get_object(self, *args: Any, **kwargs: Any) -> Message | None:
        message = super().get_object(*args, **kwargs)
        reach.attach([message] if message else [])
        return message

    @admin.display(description=gettext_lazy("as readers see it"))
    def shown(self, message: Message) -> str:
        return mark_safe(message.html)  # noqa: S308 - cleaned when it was made (markup.render)

    def get_form(self, request: Any, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if change:
            kwargs["form"] = CorrectForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Message | None = None) -> Any:
        if obj is None:
            return super().get_fieldsets(request, obj)
        first = "published_at" if obj.published_at else "publish_at"
        when = [first, "expires_at", "state", "created_at", "edited_at"]
        return [
            (None, {"fields": ["title", "body", "level", "link", "shown"]}),
            (_("To"), {"fields": ["audience", "recipients", "read", "sender", "key"]}),
            (_("When"), {"fields": when, "description": words.zone()}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Message | None = None) -> Any:
        if obj is None:
            return super().get_readonly_fields(request, obj)
        writable = {"title", "body", "level", "link", "publish_at", "expires_at"}
        if obj.is_over or obj.withdraw_at:
            writable.clear()
        sets = self.get_fieldsets(request, obj)
        return [name for _title, one in sets for name in one["fields"] if name not in writable]
