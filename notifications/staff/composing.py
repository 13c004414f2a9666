"""Where staff write messages: who may, the form, drafts. `sending` has what comes after it."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from .. import zones
from ..models import Draft
from . import copying, drafts, estimate, names, permissions, preview
from .compose_form import AUDIENCE, TEXT, ComposeForm
from .headcount import ask_who_is_online, count, headcount
from .sending import NAME, TEMPLATE, SendingAdmin, refusals

DRAFTS = 20  # that are listed, the newest


class ComposingAdmin(SendingAdmin):
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

    def get_urls(self) -> list[Any]:
        def page(route: str, view: Any, name: str) -> Any:
            wrapped = self.admin_site.admin_view(self._for_senders(view))
            return path(route, wrapped, name=f"notifications_message_{name}")

        return [
            page("add/", self.compose, "add"),
            page("audience-count/", self.audience_count, "audience_count"),
            page("audience-estimate/", require_POST(self.audience_estimate), "audience_estimate"),
            page("preview/", require_POST(self.preview), "preview"),
            page("people/", require_safe(self.people), "people"),
            page("review/<str:draft_id>/", self.review, "review"),
            page("sent/<int:message_id>/", require_safe(self.sent), "sent"),
            page("undo/<int:message_id>/", require_POST(self.undo), "undo"),
            *super().get_urls(),
        ]

    def _for_senders(self, view: Any) -> Any:
        def checked(request: HttpRequest, **options: Any) -> HttpResponse:
            if not self.has_add_permission(request):
                raise PermissionDenied
            return view(request, **options)

        return checked

    # ----------------------------------------------------------------------------------- writing

    def compose(self, request: Any) -> HttpResponse:
        """`add/`: `?draft=ID` goes on with a draft, `?copy=ID` begins with a message's text."""
        if request.method != "POST":
            posted, draft = copying.begin(request)
            return self.show(request, self._filled(request, posted, draft))
        acts = {
            "_discard": self._discard,
            "_save": self._save,
            "_test": self._send_to_me,
            "_review": self._to_review,
        }
        form = self._posted(request)
        for button, act in acts.items():
            if button in request.POST:
                return act(request, form)
        return self._go_on(request, form)  # a preview

    def _posted(self, request: Any) -> ComposeForm:
        return ComposeForm(request.user, request.POST, zone=zones.of(request))

    def _filled(self, request: Any, posted: Any, draft: str) -> ComposeForm:
        initial = {"draft": draft}
        return ComposeForm.filled(request.user, posted, zone=zones.of(request), initial=initial)

    def _go_on(self, request: Any, form: ComposeForm) -> HttpResponse:
        """The form again as it was, without complaints."""
        draft = request.POST.get("draft", "")
        return self.show(request, self._filled(request, form.posted, draft))

    def _discard(self, request: Any, form: ComposeForm) -> HttpResponse:
        if draft := drafts.own(request.user, request.POST["_discard"]):
            draft.delete()
        self.message_user(request, _("The draft is deleted."), messages.SUCCESS)
        return redirect(NAME % "add")

    def _save(self, request: Any, form: ComposeForm) -> HttpResponse:
        draft = drafts.keep(request.user, form.posted, request.POST.get("draft", ""))
        self.message_user(request, _("The draft is saved."), messages.SUCCESS)
        return redirect(f"{reverse(NAME % 'add')}?{urlencode({'draft': draft.pk})}")

    def _send_to_me(self, request: Any, form: ComposeForm) -> HttpResponse:
        if form.errors.keys() & set(TEXT):
            return self.show(request, form)
        text = {name: form.cleaned_data[name] for name in TEXT}
        with refusals(request):
            message = drafts.send_to_oneself(request.user, **text)
            self.log_addition(request, message, _("Sent to oneself, to look at it."))
            said = _("“%(title)s” is among your own messages now. Nobody else has got it.")
            self.message_user(request, said % text, messages.SUCCESS)
        return self._go_on(request, form)

    def _to_review(self, request: Any, form: ComposeForm) -> HttpResponse:
        if form.is_valid() and form.audience and not count(form.audience).people:
            form.add_error("whom", _("That is nobody at the moment."))
        valid = form.is_valid()
        # Kept in any case: what is wrong can be put right in the draft, also tomorrow.
        posted = form.settled() if valid else form.posted
        draft = drafts.keep(request.user, posted, request.POST.get("draft", ""))
        if valid:
            return redirect(NAME % "review", draft_id=draft.pk)
        form.data = request.POST.copy()
        form.data["draft"] = draft.pk  # type: ignore[index]
        return self.show(request, form)

    def show(self, request: Any, form: ComposeForm) -> HttpResponse:
        """The page to write on."""
        ask_who_is_online()
        context = {
            "title": _("Write a message"),
            "form": form,
            "drafts": Draft.objects.filter(owner=request.user).order_by("-updated_at")[:DRAFTS],
            "frames": preview.frames(request, form),
            "headcount": self._headcount(request, form.bound()),
            "finds_people": permissions.may_see_users(request.user),
        }
        return self.page(request, "compose", context)

    # ------------------------------------------------------------------------- while one is writing

    def audience_count(self, request: Any) -> HttpResponse:
        """How many people the form's audience comes to, as HTML. By GET or POST: it changes
        nothing, and names may be more than an address holds."""
        data = request.POST if request.method == "POST" else request.GET
        form = ComposeForm(request.user, data, zone=zones.of(request))
        counted = self._headcount(request, form)
        problems = [form.errors[name] for name in AUDIENCE if name in form.errors]
        context = {"headcount": counted, "problems": problems}
        return TemplateResponse(request, TEMPLATE % "headcount", context)

    def audience_estimate(self, request: Any) -> HttpResponse:
        """The same sooner, of a part: about how many, or no content where that would be a guess."""
        data, weights = estimate.thinned(request.POST)
        form = ComposeForm(request.user, data, zone=zones.of(request))
        form.is_valid()
        by_name = permissions.may_see_users(request.user)
        about = form.audience and estimate.estimate(form.audience, weights, by_name)
        if not about:
            return HttpResponse(status=204)
        return TemplateResponse(request, TEMPLATE % "headcount", {"headcount": about})

    def _headcount(self, request: Any, form: ComposeForm) -> Any:
        form.is_valid()  # reads the audience, whatever else may be wrong
        by_name = permissions.may_see_users(request.user)
        return form.audience and headcount(form.audience, by_name)

    def preview(self, request: Any) -> HttpResponse:
        """`{"light": HTML, "dark": HTML}` of the form's text."""
        return JsonResponse(dict(preview.frames(request, self._posted(request))))

    def people(self, request: Any) -> HttpResponse:
        """`?q=`: the names of some people that begin so, for who may see users."""
        if not permissions.may_see_users(request.user):
            raise PermissionDenied
        return JsonResponse({"names": names.beginning_with(request.GET.get("q", ""))})
