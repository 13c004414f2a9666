"""Where staff write messages: who may, the form, drafts, the review, and ten seconds to undo."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from . import permissions


class ComposingAdmin(admin.ModelAdmin):
    # Who may do what. Django's own permissions of the model say less.

    def has_module_permission(self, request: Any) -> bool:
        return self.has_view_permission(request)

    def has_add_permission(self, request: Any) -> bool:
        return permissions.may_send(request.user)

    def has_view_permission(self, request: Any, obj: Any = None) -> bool:
        if obj is not None:
            return permissions.may_see(request.user, obj)
        return permissions.may_send(request.user) or permissions.may_see_all(request.user)

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        user = request.user
        if obj is not None:
            return permissions.may_change(user, obj)
        return permissions.may_send(user) or super().has_change_permission(request)

    def get_queryset(self, request: HttpRequest) -> Any:
        return permissions.visible(super().get_queryset(request), request.user)
