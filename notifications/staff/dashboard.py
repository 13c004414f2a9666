"""The live dashboard in the admin: in place of a list of processes, what they do.

Its pages are complete without JavaScript; with it, `watching` renews their parts.
"""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from ..acts import end_streams
from ..models import Process
from ..running import RunningHub
from . import names, panels, watching
from .figures import figures, one_user
from .read_only import ReadOnlyAdmin

MAY_END = "notifications.end_streams"


@admin.register(Process)
class ProcessAdmin(ReadOnlyAdmin):
    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        name = "notifications_process_%s"
        return [
            path("", wrap(require_safe(self.dashboard)), name=name % "changelist"),
            path("stats/", watching.stats, name=name % "stats"),
            path("user/", wrap(require_safe(self.user)), name=name % "user"),
            path("disconnect/", wrap(require_POST(self.disconnect)), name=name % "disconnect"),
        ]

    # Who may look is said by one permission.

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return watching.may_watch(request.user)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return watching.may_watch(request.user)

    def dashboard(self, request: HttpRequest) -> HttpResponse:
        self._check(request)
        parts = panels.dashboard(figures()) | panels.counted(panels.DASHBOARD)
        charts = [
            (name, heading, parts[name], parts[f"{name}_table"])
            for name, heading in panels.headings().items()
        ]
        return self._page(request, "dashboard", _("Live dashboard"), parts, charts=charts)

    def user(self, request: HttpRequest) -> HttpResponse:
        self._check(request)
        try:
            user = names.user(request.GET.get("name", "").strip())
        except ValidationError as unknown:
            self.message_user(request, unknown.message, messages.ERROR)
            return redirect("admin:notifications_process_changelist")
        for hub in RunningHub.all():  # so that a reload without a script has its answers, too
            hub.want(str(user.pk))
        found = one_user(str(user.pk))
        assert found
        may_end = request.user.has_perm(MAY_END)
        title = _("Watching %(name)s") % {"name": user.get_username()}
        parts = panels.user(found)
        return self._page(
            request, "user", title, parts, subject=str(user.pk), watched=user, may_end=may_end
        )

    def disconnect(self, request: HttpRequest) -> HttpResponse:
        self._check(request)
        if not request.user.has_perm(MAY_END):
            raise PermissionDenied
        user = get_object_or_404(get_user_model(), pk=_key(request.POST.get("user", "")))
        end_streams(user.pk)
        self.log_change(request, user, _("Streams ended."))
        name = user.get_username()
        said = _("The open streams of %(name)s end within a second.") % {"name": name}
        self.message_user(request, said, messages.SUCCESS)
        watched = reverse("admin:notifications_process_user")
        return redirect(f"{watched}?{urlencode({'name': name})}")

    def _check(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def _page(
        self, request: HttpRequest, name: str, title: str, parts: panels.Parts,
        subject: str = "", **more: Any,
    ) -> HttpResponse:  # fmt: skip
        stream = reverse("admin:notifications_process_stats")
        context = {
            **self.admin_site.each_context(request),
            **more,
            "title": title,
            "opts": self.opts,
            "parts": parts,
            "at": date_format(timezone.localtime(), "H:i:s"),
            "stream": f"{stream}?{urlencode({'user': subject})}" if subject else stream,
        }
        template = f"admin/notifications/process/{name}.html"
        return TemplateResponse(request, template, context)


def _key(text: str) -> Any:
    """The user's primary key, or None for what cannot be one."""
    try:
        return get_user_model()._meta.pk.to_python(text)
    except ValidationError:
        return None
