"""From the review of a message to its way out, with ten seconds to undo."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.datastructures import MultiValueDict
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from ..models import Message
from ..publishing import publish_due, take_back
from . import drafts, permissions, preview, reach, words
from .compose_form import ComposeForm
from .review import Review

NAME = "admin:notifications_message_%s"
TEMPLATE = "admin/notifications/message/%s.html"


@contextmanager
def refusals(request: HttpRequest) -> Iterator[None]:
    """All of it or nothing: what is refused is said on the next page."""
    try:
        with transaction.atomic():
            yield
    except ValidationError as refusal:
        for problem in refusal.messages:
            messages.error(request, problem)


class SendingAdmin(admin.ModelAdmin):
    def show(self, request: Any, form: ComposeForm) -> HttpResponse:
        """The page to write on."""
        raise NotImplementedError

    def review(self, request: Any, draft_id: str) -> HttpResponse:
        """What will be sent, in words; posted, it is sent, once."""
        draft = drafts.own(request.user, draft_id)
        if draft is None:
            return self._after(request, drafts.sent_as(request.user, draft_id))
        form = ComposeForm(request.user, MultiValueDict(draft.data | {"draft": [draft.pk]}))
        if not form.is_valid():  # it was right once, and time or somebody has passed
            return self.show(request, form)
        review = Review(request, draft, form)
        if request.method == "POST" and (message := self._send(request, review)):
            return self._after(request, message)
        title, frames = _("Review before it is sent"), preview.frames(request, form)
        with timezone.override(form.clock):
            context = {"title": title, "review": review, "frames": frames}
            return self.page(request, "review", context).render()

    def _send(self, request: Any, review: Review) -> Message | None:
        message = None
        with refusals(request):
            review.check(request.POST)
            message = drafts.send_draft(request.user, review.draft, review.form)
            if message:
                said = _("Sent to %(audience)s (%(people)s).")
                whom = {"audience": review.to, "people": str(review.headcount)}
                self.log_addition(request, message, said % whom)
        return message or drafts.sent_as(request.user, review.draft.pk)

    def _after(self, request: Any, message: Message | None) -> HttpResponse:
        if message is None:
            raise Http404
        if _seconds(message) <= drafts.UNDO.total_seconds():
            return redirect(NAME % "sent", message_id=message.pk)
        return self._tell(request, message)

    def _tell(self, request: Any, message: Message) -> HttpResponse:
        """What has become of it, on its own page."""
        if not (message.withdraw_at or message.is_over):
            reach.attach([message])
            said = words.sent(message, message.reach.audience)  # type: ignore[attr-defined]
            self.message_user(request, said, messages.SUCCESS)
        return redirect(NAME % "change", message.pk)

    def sent(self, request: Any, message_id: int) -> HttpResponse:
        """For as long as it can be undone."""
        publish_due()  # it may be due, and no hub there to say so
        message = get_object_or_404(self.get_queryset(request), pk=message_id)
        if message.published_at or message.withdraw_at or message.is_over:
            return self._tell(request, message)
        reach.attach([message])
        context = {"title": _("On its way"), "message": message, "seconds": _seconds(message)}
        return self.page(request, "sent", context)

    def undo(self, request: Any, message_id: int) -> HttpResponse:
        message = get_object_or_404(self.get_queryset(request), pk=message_id)
        if not permissions.may_withdraw(request.user, message):
            raise PermissionDenied
        with transaction.atomic():
            undone = take_back(message)
            if undone:
                self.log_change(request, message, _("Taken back before anybody had got it."))
        if undone:
            said = _("Taken back: nobody has got it. Here is your text again.")
            self.message_user(request, said, messages.SUCCESS)
            return redirect(f"{reverse(NAME % 'add')}?{urlencode({'copy': message.pk})}")
        said = _("Too late to undo: people have got it. You can withdraw it.")
        self.message_user(request, said, messages.ERROR)
        return redirect(NAME % "change", message.pk)

    def page(self, request: Any, name: str, context: dict[str, Any]) -> TemplateResponse:
        context = {**self.admin_site.each_context(request), "opts": self.opts, **context}
        return TemplateResponse(request, TEMPLATE % name, context)


def _seconds(message: Message) -> int:
    """Until it goes out, rounded up."""
    at = message.publish_at or timezone.now()
    return max(0, ceil((at - timezone.now()).total_seconds()))
