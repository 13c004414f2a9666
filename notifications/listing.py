"""The list of messages in the admin, and taking back several at once."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import ChangeList
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from . import publishing, reach, words
from .models import Message

_WITHDRAWN = Q(withdraw_at__isnull=False) | Q(withdrawn_at__isnull=False)
_LIVE = Q(published_at__isnull=False, expired_at=None) & ~_WITHDRAWN
_COMING = Q(published_at=None, expired_at=None) & ~_WITHDRAWN
# As `words.state` says it.
STATES = {
    "draft": (gettext_lazy("Draft"), _COMING & Q(publish_at=None)),
    "scheduled": (gettext_lazy("Scheduled"), _COMING & ~Q(publish_at=None)),
    "published": (gettext_lazy("Published"), _LIVE),
    "withdrawn": (gettext_lazy("Withdrawn"), _WITHDRAWN),
    "expired": (gettext_lazy("Expired"), ~Q(expired_at=None) & ~_WITHDRAWN),
}


class StateFilter(admin.SimpleListFilter):
    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(name, title) for name, (title, _rows) in STATES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        name = self.value()
        return queryset.filter(STATES[name][1]) if name in STATES else queryset


class MessageList(ChangeList):
    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        reach.attach(self.result_list)


class MessageListing(admin.ModelAdmin):
    list_display = ["title", "audience", "state", "recipients", "read", "created_at"]
    list_filter = [StateFilter, "level", "everyone"]
    list_per_page = 50
    search_fields = ["title", "body"]
    date_hierarchy = "created_at"
    ordering = ["-pk"]
    show_full_result_count = False
    actions = ["withdraw"]

    def get_queryset(self, request: HttpRequest) -> Any:
        rows: Any = super().get_queryset(request)
        return rows.of_people()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return MessageList

    @admin.display(description=gettext_lazy("state"))
    def state(self, message: Message) -> str:
        return words.state(message)

    @admin.display(description=gettext_lazy("to"))
    def audience(self, message: Any) -> str:
        return message.reach.audience

    @admin.display(description=gettext_lazy("recipients"), empty_value="–")
    def recipients(self, message: Any) -> int | None:
        return message.reach.recipients

    @admin.display(description=gettext_lazy("read by"))
    def read(self, message: Any) -> int:
        return message.reach.read

    # Taking messages back, from the list and from a message's page: one way, with one question.

    @admin.action(description=gettext_lazy("Withdraw selected messages"), permissions=["change"])
    def withdraw(self, request: Any, queryset: QuerySet[Message]) -> HttpResponse | None:
        chosen = list(queryset.filter(expired_at=None).exclude(_WITHDRAWN))
        if not chosen:
            self.message_user(request, _("Nothing is left to withdraw."), messages.WARNING)
        elif "confirmed" in request.POST:
            for message in chosen:
                publishing.withdraw(message)
                self.log_change(request, message, _("Withdrawn."))
            said = ngettext("%(n)d message withdrawn.", "%(n)d messages withdrawn.", len(chosen))
            self.message_user(request, said % {"n": len(chosen)}, messages.SUCCESS)
        else:
            return self._ask_whether_to_withdraw(request, chosen)
        return None

    def _ask_whether_to_withdraw(self, request: Any, chosen: list[Message]) -> HttpResponse:
        reach.attach(chosen)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Withdraw messages"),
            "opts": self.opts,
            "chosen": chosen,
            "checkbox": ACTION_CHECKBOX_NAME,
        }
        template = "admin/notifications/message/withdraw.html"
        return TemplateResponse(request, template, context)
