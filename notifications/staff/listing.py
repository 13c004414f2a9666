"""The list of messages in the admin, and taking back several at once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy

from .. import publishing
from ..models import Message
from . import permissions, reach, selecting, words
from .dates import Span, choices, chosen

FOLDER = "admin/notifications/message/"
WINDOW = 50_000  # messages that are listed, counted and searched at once: some 50 ms
FIELD = "created_at"  # by which they are ordered, and chosen by date

_WITHDRAWN = Q(withdraw_at__isnull=False) | Q(withdrawn_at__isnull=False)
# By position, in whose index those without one are found together.
_COMING = Q(position=None, expired_at=None) & ~_WITHDRAWN
_OUT = Q(position__isnull=False)
# As `words.standing` says it; what is being sent is still scheduled.
STATES = {
    "draft": (gettext_lazy("Draft"), _COMING & Q(publish_at=None)),
    "scheduled": (gettext_lazy("Scheduled"), _COMING & ~Q(publish_at=None)),
    "live": (pgettext_lazy("message", "Live"), _OUT & Q(expired_at=None) & ~_WITHDRAWN),
    "expired": (gettext_lazy("Expired"), ~Q(expired_at=None) & ~_WITHDRAWN),
    "withdrawn": (gettext_lazy("Withdrawn"), _WITHDRAWN),
}


def chip(message: Message) -> str:
    """The state as a word with a line around it, and what there is to say of it."""
    name, note = words.standing(message), words.note(message)
    title = STATES[name][0] if name in STATES else _("Being sent")
    if name == "sending":
        note = words.so_far(reach.of(message).enlisted)
    said = '<span class="chip {}">{}</span> <small>{}</small>'
    return format_html(said, name, title, note)


class StateFilter(admin.SimpleListFilter):
    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(name, title) for name, (title, _rows) in STATES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        name = self.value()
        return queryset.filter(STATES[name][1]) if name in STATES else queryset


class MessageList(ChangeList):
    """The newest WINDOW messages, or the newest of a chosen year, month or day.

    All that is asked stays within the window: a filter that fits nothing would else read a million
    messages to say so.
    """

    window = WINDOW

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        try:
            found = super().get_queryset(request, exclude_parameters)
            if self.edge:
                found = found.filter(**{f"{FIELD}__gte": self.edge})
        except (ValueError, OverflowError) as error:  # a date of no calendar
            raise IncorrectLookupParameters(error) from error
        return found.defer("body", "html", "link")

    @cached_property
    def span(self) -> Span | None:
        return chosen(self.params, FIELD)

    @cached_property
    def edge(self) -> datetime | None:
        """When the oldest that is listed was made, if there are older ones."""
        rows = self.span.of(self.root_queryset, FIELD) if self.span else self.root_queryset
        rows = rows.order_by(f"-{FIELD}", "-pk").values_list(FIELD, flat=True)
        last = list(rows[self.window - 1 : self.window + 1])
        return last[0] if len(last) == 2 else None

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        # Not asked again for what the count has not found.
        self.result_list = list(self.result_list) if self.result_count else []
        reach.attach(self.result_list)

    def calendar(self) -> dict[str, Any]:
        """What Django's template of a date hierarchy shows."""
        inner = choices(self.root_queryset, FIELD, self.span)
        days = [self.span] if self.span and len(self.span.parts) == 3 else []
        return {
            "show": bool(inner or self.span),
            "back": self._back(self.span) if self.span else None,
            "choices": [{"title": s.title, "link": self._link(s)} for s in inner]
            or [{"title": s.title} for s in days],
        }

    def _back(self, span: Span) -> dict[str, str]:
        wider = Span(span.parts[:-1]) if len(span.parts) > 1 else None
        return {"title": wider.title if wider else _("All dates"), "link": self._link(wider)}

    def _link(self, span: Span | None) -> str:
        return self.get_query_string(span.query(FIELD) if span else {}, [f"{FIELD}__", "p"])


class MessageListing(admin.ModelAdmin):
    list_display = ["title", "state", "audience", "recipients", "read", "created_at"]
    list_filter = [StateFilter, "level", "everyone"]
    list_per_page = 50
    search_fields = ["title", "body"]
    date_hierarchy = FIELD
    ordering = [f"-{FIELD}", "-pk"]
    show_full_result_count = False
    actions = ["withdraw"]

    class Media:
        css = {"all": ["notifications/admin/messages.css"]}

    def get_urls(self) -> list[Any]:
        selecting.offer(self.admin_site)
        return super().get_urls()

    def get_queryset(self, request: HttpRequest) -> Any:
        rows: Any = super().get_queryset(request)
        return rows.of_people()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return MessageList

    @admin.display(description=gettext_lazy("state"))
    def state(self, message: Message) -> str:
        return chip(message)

    @admin.display(description=gettext_lazy("to"))
    def audience(self, message: Any) -> str:
        return message.reach.audience

    @admin.display(description=gettext_lazy("recipients"), empty_value="–")
    def recipients(self, message: Any) -> int | None:
        return message.reach.recipients

    @admin.display(description=gettext_lazy("read by"))
    def read(self, message: Any) -> int:
        return message.reach.read

    def get_list_display(self, request: Any) -> Any:
        hidden = set() if permissions.may_see_statistics(request.user) else {"read"}
        return [name for name in self.list_display if name not in hidden]

    # Taking messages back: one way from here and from a message's page, with one question.

    def has_withdraw_permission(self, request: Any) -> bool:
        user = request.user
        return permissions.may_send(user) or user.has_perm(permissions.WITHDRAW_ANY)

    @admin.action(description=gettext_lazy("Withdraw selected messages"), permissions=["withdraw"])
    def withdraw(self, request: Any, queryset: QuerySet[Message]) -> HttpResponse | None:
        left = queryset.filter(expired_at=None).exclude(_WITHDRAWN)
        chosen = [each for each in left if permissions.may_withdraw(request.user, each)]
        if not chosen:
            self.message_user(request, _("Nothing is left to withdraw."), messages.WARNING)
        elif "confirmed" in request.POST:
            self.take_back(request, chosen)
        else:
            return self.ask_whether_to_withdraw(request, chosen, request.get_full_path(), True)
        return None

    def take_back(self, request: Any, chosen: Sequence[Message]) -> None:
        with transaction.atomic():
            for message in chosen:
                publishing.withdraw(message)
                self.log_change(request, message, _("Withdrawn."))
        said = ngettext("%(n)d message withdrawn.", "%(n)d messages withdrawn.", len(chosen))
        self.message_user(request, said % {"n": len(chosen)}, messages.SUCCESS)

    def ask_whether_to_withdraw(
        self, request: Any, chosen: Sequence[Message], back: str, from_list: bool = False
    ) -> HttpResponse:
        """back: where it goes on if not. from_list: the answer has to name them."""
        reach.attach(chosen)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Withdraw messages"),
            "opts": self.opts,
            "chosen": chosen,
            "checkbox": ACTION_CHECKBOX_NAME if from_list else "",
            "back": back,
            "may_see_statistics": permissions.may_see_statistics(request.user),
        }
        return TemplateResponse(request, f"{FOLDER}withdraw.html", context)
