"""Where staff post messages and follow them. All that changes one goes through `publishing`."""

from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.functional import cached_property

from .models import CANARY, Change, Message, Recipient
from .staff import dashboard  # noqa: F401 - it registers itself
from .staff.composing import ComposingAdmin
from .staff.listing import MessageListing
from .staff.message_page import MessagePage
from .staff.read_only import ReadOnlyAdmin

MOST_ROWS = 10_000  # that the lists of the log page through: to count millions takes seconds


@admin.register(Message)
class MessageAdmin(MessagePage, MessageListing, ComposingAdmin):
    """Each says what is its own, and leaves the rest to the next."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # withdrawn, it is gone for readers; `prune` deletes when the log lets go


class FirstRows(Paginator):
    """Pages through the first MOST_ROWS, and counts no further."""

    object_list: QuerySet[Any]

    @cached_property
    def count(self) -> int:
        return self.object_list[:MOST_ROWS].count()


class SystemAdmin(ReadOnlyAdmin):
    """What the system writes: to look at."""

    paginator = FirstRows
    show_full_result_count = False
    list_display_links = None
    actions = None


@admin.register(Recipient)
class RecipientAdmin(SystemAdmin):
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
class ChangeAdmin(SystemAdmin):
    list_display = ["position", "event", "message", "at"]
    list_filter = ["event"]
    list_select_related = ["message"]
    ordering = ["-position"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).exclude(message__key=CANARY)
