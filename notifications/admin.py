"""Where staff post messages and follow them. All that changes one goes through `publishing`."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from . import dashboard, publishing, reach, words  # noqa: F401 - it registers itself
from .composing import ComposingAdmin
from .forms import CorrectForm
from .models import CANARY, Change, Message, Recipient

MOST_ROWS = 10_000  # that the lists of the log page through: to count millions takes seconds

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


@admin.register(Message)
class MessageAdmin(ComposingAdmin):
    list_display = ["title", "audience", "state", "recipients", "read", "created_at"]
    list_filter = [StateFilter, "level", "everyone"]
    list_per_page = 50
    search_fields = ["title", "body"]
    date_hierarchy = "created_at"
    ordering = ["-pk"]
    show_full_result_count = False
    actions = ["withdraw"]

    # What is shown.

    def get_queryset(self, request: HttpRequest) -> Any:
        rows: Any = super().get_queryset(request)
        return rows.of_people()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return MessageList

    def get_object(self, *args: Any, **kwargs: Any) -> Message | None:
        message = super().get_object(*args, **kwargs)
        reach.attach([message] if message else [])
        return message

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

    @admin.display(description=gettext_lazy("as readers see it"))
    def shown(self, message: Message) -> str:
        return mark_safe(message.html)  # noqa: S308 - cleaned when it was made (markup.render)

    # The form.

    def get_form(self, request: Any, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, form=CorrectForm, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Message | None = None) -> Any:
        zone = timezone.get_current_timezone_name()
        text = ["title", "body", "level", "link", "shown"]
        to = ["audience", "recipients", "read", "sender", "key"]
        first = "published_at" if obj and obj.published_at else "publish_at"
        when = [first, "expires_at", "state", "created_at", "edited_at"]
        times = _("Times are in %(zone)s.") % {"zone": zone}
        return [
            (None, {"fields": text}),
            (_("To"), {"fields": to}),
            (_("When"), {"fields": when, "description": times}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Message | None = None) -> list[str]:
        writable = {"title", "body", "level", "link", "publish_at", "expires_at"}
        if obj is None or obj.is_over or obj.withdraw_at:
            writable.clear()
        sets = self.get_fieldsets(request, obj)
        return [name for _title, one in sets for name in one["fields"] if name not in writable]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """The form has done it."""

    def save_related(self, request: Any, form: Any, formsets: Any, change: bool) -> None:
        """The form has done it."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # withdrawn, it is gone for readers; `prune` deletes when the log lets go

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


class FirstRows(Paginator):
    """Pages through the first MOST_ROWS, and counts no further."""

    object_list: QuerySet[Any]

    @cached_property
    def count(self) -> int:
        return self.object_list[:MOST_ROWS].count()


class ReadOnlyAdmin(admin.ModelAdmin):
    """What the system writes: to look at."""

    paginator = FirstRows
    show_full_result_count = False
    list_display_links = None
    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Recipient)
class RecipientAdmin(ReadOnlyAdmin):
    list_display = ["user", "message", "via", "first_read_at", "archived_at"]
    list_filter = ["via"]
    list_select_related = ["user", "message"]
    search_fields = [f"=user__{get_user_model().USERNAME_FIELD}"]
    ordering = ["-pk"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Asked when somebody deletes a user, whose rows go too. Not a reason to refuse that.
        return True

    def delete_view(self, *args: Any, **kwargs: Any) -> HttpResponse:
        raise PermissionDenied


@admin.register(Change)
class ChangeAdmin(ReadOnlyAdmin):
    list_display = ["position", "event", "message", "at"]
    list_filter = ["event"]
    list_select_related = ["message"]
    ordering = ["-position"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).exclude(message__key=CANARY)
