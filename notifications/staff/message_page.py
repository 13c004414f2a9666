"""The page of a message in the admin: what has become of it, and what can still be done."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import DateTimeField
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from ..models import Message
from . import ending, message_parts, moments, names, permissions, reach, reading, words
from .explain import Answer, explain
from .forms import CorrectForm
from .listing import MessageListing, chip


class MessagePage(MessageListing):
    """What it says of adding a message, which has no page yet, is for the next class to say."""

    # One input with a label of its own, where Django has two without.
    formfield_overrides = {
        DateTimeField: {"form_class": forms.DateTimeField, "widget": moments.Input(seconds=True)}
    }

    def get_urls(self) -> list[Any]:
        wrap, name = self.admin_site.admin_view, "notifications_message_%s"
        mine = [
            path("<path:object_id>/end/", wrap(require_POST(self.end_view)), name=name % "end"),
            path("<path:object_id>/withdraw/", wrap(self.withdraw_view), name=name % "withdraw"),
        ]
        return mine + super().get_urls()

    def get_object(self, *args: Any, **kwargs: Any) -> Message | None:
        message = super().get_object(*args, **kwargs)
        reach.attach([message] if message else [])
        return message

    # The form, which corrects the text.

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
        when = ["published_at" if obj.published_at else "publish_at", "created_at", "edited_at"]
        return [
            (None, {"fields": ["title", "body", "level", "link", "shown"]}),
            (_("To"), {"fields": ["audience", "sender", "key"]}),
            (_("When"), {"fields": when, "description": words.zone()}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Message | None = None) -> Any:
        if obj is None:
            return super().get_readonly_fields(request, obj)
        writable = set() if _is_over(obj) else {"title", "body", "level", "link", "publish_at"}
        sets = self.get_fieldsets(request, obj)
        return [name for _title, one in sets for name in one["fields"] if name not in writable]

    def render_change_form(
        self, request: Any, context: Any, add: bool = False, change: bool = False,
        form_url: str = "", obj: Any = None,
    ) -> HttpResponse:  # fmt: skip
        if obj is not None:
            context |= self._about(request, obj)
        return super().render_change_form(request, context, add, change, form_url, obj)

    def _about(self, request: Any, message: Any) -> dict[str, Any]:
        user, is_over = request.user, _is_over(message)
        may_move = self.has_change_permission(request, message) and not is_over
        name = request.GET.get("who", "").strip()
        about = {
            "message": message,
            "state": chip(message),
            "end": ending.EndForm(message) if may_move else None,
            "ends": ending.said(message),
            "presets": ending.PRESETS.items(),
            "zone": words.zone(),
            "may_withdraw": permissions.may_withdraw(user, message) and not is_over,
            "may_send": permissions.may_send(user),
            "who": name,
        }
        if permissions.may_see_statistics(user):
            stream = reverse("admin:notifications_process_stats")
            about |= {
                "parts": message_parts.message(reading.of(message)),
                "stream": f"{stream}?message={message.pk}",
                "at": date_format(timezone.localtime(), "H:i:s"),
                "answer": self._why(message, name) if name else None,
            }
        return about

    def _why(self, message: Message, name: str) -> Answer:
        try:
            user = names.user(name)
        except ValidationError as unknown:
            return Answer(unknown.messages[0], [])
        return explain(message, user)

    # Moving its end.

    def end_view(self, request: Any, object_id: str) -> HttpResponse:
        message = self.get_object(request, unquote(object_id))
        if message is None:
            return self._is_not_there(request, object_id)
        if not self.has_change_permission(request, message):
            raise PermissionDenied
        form = ending.EndForm(message, request.POST)
        with transaction.atomic():
            if moved := form.save():
                self.log_change(request, moved, ending.said(moved))
        if moved:
            self.message_user(request, ending.said(moved), messages.SUCCESS)
        for problem in form.problems():
            self.message_user(request, problem, messages.ERROR)
        return redirect("admin:notifications_message_change", message.pk)

    # Taking it back, after one question.

    def withdraw_view(self, request: Any, object_id: str) -> HttpResponse:
        message = self.get_object(request, unquote(object_id))
        if message is None:
            return self._is_not_there(request, object_id)
        if not permissions.may_withdraw(request.user, message):
            raise PermissionDenied
        page = reverse("admin:notifications_message_change", args=[message.pk])
        if _is_over(message):
            self.message_user(request, _("Nothing is left to withdraw."), messages.WARNING)
        elif request.method == "POST":
            self.take_back(request, [message])
        else:
            return self.ask_whether_to_withdraw(request, [message], page)
        return redirect(page)

    def _is_not_there(self, request: Any, object_id: str) -> HttpResponse:
        redirected: Any = super()
        return redirected._get_obj_does_not_exist_redirect(request, self.opts, object_id)


def _is_over(message: Message) -> bool:
    return bool(message.is_over or message.withdraw_at)
