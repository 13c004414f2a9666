"""Light or dark: as the reader says here, else as their device does. Needs no script or account."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

THEMES = {"": _("Automatic"), "light": _("Light"), "dark": _("Dark")}
COOKIE = "theme"
KEPT = 365 * 24 * 3600  # s


@require_POST
def set_theme(request: HttpRequest) -> HttpResponse:
    """Form fields: `theme`, one of THEMES, and `next`, a path of this site to go back to."""
    page, theme = request.POST.get("next", ""), request.POST.get("theme", "")
    is_ours = url_has_allowed_host_and_scheme(page, {request.get_host()}, request.is_secure())
    answer = redirect(page if is_ours else "/")
    if theme and theme in THEMES:
        secure = settings.SESSION_COOKIE_SECURE
        answer.set_cookie(COOKIE, theme, KEPT, secure=secure, httponly=True, samesite="Lax")
    else:
        answer.delete_cookie(COOKIE, samesite="Lax")
    return answer


def theme(request: HttpRequest) -> dict[str, object]:
    """Context processor: `theme`, what was chosen, and `themes`, what there is to choose."""
    chosen = request.COOKIES.get(COOKIE, "")
    return {"theme": chosen if chosen in THEMES else "", "themes": THEMES}
