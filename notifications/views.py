"""The message center's pages, complete without JavaScript, and what their forms post."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_POST, require_safe

from . import acts, inbox, log, wire, zones
from .answers import BadInput, error, for_users, json, wants_json
from .cursor import Cursor
from .publishing import publish_due

LONGEST_SEARCH = 200  # characters: a title
FILTERS: tuple[inbox.Filter, ...] = ("all", "unread", "archived")
ACTS = {
    "read": acts.read,
    "unread": acts.unread,
    "archive": acts.archive,
    "unarchive": acts.unarchive,
}


@require_safe
@for_users()
@cache_control(private=True, no_store=True)
def center(request: HttpRequest) -> HttpResponse:
    """`GET /messages/`: `?filter=all|unread|archived`, `?q=` to search; older ones by
    `?before=CURSOR`, or by `?pages=N`: the first N pages, of one moment."""
    publish_due()  # what is due belongs on this page, also where no hub has published it yet
    filter, pages, query = _filter(request), _pages(request), _query(request)
    before = _cursor(request.GET.get("before"), "before")
    position = before and before.position
    listing = inbox.listing(request.user, filter, position, pages=pages, words=query.split())
    older = None
    if listing.more:
        older = str(Cursor(listing.state.cursor.word, listing.items[-1].position))
    context = {
        "listing": listing,
        "state": listing.state,
        "filter": filter,
        "query": query,
        "is_first_page": before is None,
        "takes_new": before is None and not query,
        "older": older,
        "grown": pages + 1 if pages < inbox.MOST_PAGES else None,
    }
    return _local(request, "notifications/center.html", context)


@require_safe
@for_users()
@cache_control(private=True, no_store=True)
def message(request: HttpRequest, message_id: int) -> HttpResponse:
    """`GET /messages/<id>/`: one message; opening it marks it read."""
    cursor = log.head()  # first: what changes meanwhile comes again by the stream, and is not lost
    item = inbox.item(request.user, message_id)
    if item is None:
        return _not_found(request)
    gone = item.message.is_over
    if request.method == "GET" and not gone and not _is_prefetch(request):
        acts.read(request.user, message_id)
        item = replace(item, read=True)
    status = 410 if gone else 200
    if wants_json(request):
        return json(_gone(item) if gone else _item(item), status)
    context = {"item": item, "cursor": cursor}
    return _local(request, "notifications/message.html", context, status)


@require_safe
@for_users(json_only=True)
def snapshot(request: HttpRequest) -> HttpResponse:
    """`GET /messages/snapshot/`: the list's first page and the counts, of one moment, as JSON."""
    publish_due()
    if request.GET.get("counts"):
        return json(_state(inbox.state(request.user)))
    listing = inbox.listing(request.user)
    return json(_state(listing.state) | {"messages": [_item(item) for item in listing.items]})


@require_POST
@for_users()
def act(request: HttpRequest, message_id: int, act: str) -> HttpResponse:
    """`POST /messages/<id>/read/`, `unread/`, `archive/`, `unarchive/`, `unarchive/?unread=1`."""
    work = ACTS.get(act)
    if act == "unarchive" and "unread" in request.GET:
        work = acts.undo_archive
    if work is None or not work(request.user, message_id):
        return _not_found(request)
    return _done(request)


@require_POST
@for_users()
def read_all(request: HttpRequest) -> HttpResponse:
    """`POST /messages/read-all/`: all, or all up to what the page has shown (`upto=CURSOR`)."""
    acts.read_all(request.user, _upto(request))
    return _done(request)


@require_POST
@for_users()
def seen(request: HttpRequest) -> HttpResponse:
    """`POST /messages/seen/`: the bell has been looked at, up to `upto=CURSOR` or now."""
    acts.seen(request.user, _upto(request))
    return _done(request)


def _local(
    request: HttpRequest, template: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """The page by the reader's clock, as far as their browser has told its time zone."""
    zone = zones.of(request)
    with timezone.override(zone):
        today = timezone.localdate()
        days = {"today": today, "yesterday": today - timedelta(days=1), "zone": zone}
        return render(request, template, context | days, status=status)


def _state(state: inbox.State) -> dict[str, Any]:
    return {
        "cursor": str(state.cursor),
        "position": state.cursor.position,
        "version": state.version,
        "unread": state.unread,
        "unseen": state.unseen,
    }


def _item(item: inbox.Item) -> dict[str, Any]:
    return wire.content(item.message) | {"read": item.read, "archived": item.archived}


def _gone(item: inbox.Item) -> dict[str, Any]:
    reason = "withdrawn" if item.message.withdrawn_at else "expired"
    return {"id": item.message.pk, "position": item.message.position, "reason": reason}


def _done(request: HttpRequest) -> HttpResponse:
    """The new state for programs; people go back to where they were."""
    if wants_json(request):
        return json(_state(inbox.state(request.user)))
    back = request.POST.get("next", "")
    hosts = {request.get_host()}
    if not url_has_allowed_host_and_scheme(back, hosts, require_https=request.is_secure()):
        back = reverse("notifications:center")
    return redirect(back)


def _not_found(request: HttpRequest) -> HttpResponse:
    if wants_json(request):
        return error(404, _("There is no such message for you."))
    raise Http404


def _filter(request: HttpRequest) -> inbox.Filter:
    asked = request.GET.get("filter", "all")
    for known in FILTERS:
        if asked == known:
            return known
    raise BadInput("filter", _("Use all, unread or archived."))


def _pages(request: HttpRequest) -> int:
    asked = request.GET.get("pages", "1")
    if asked.isdecimal() and len(asked) < 5 and 1 <= int(asked) <= inbox.MOST_PAGES:
        return int(asked)
    raise BadInput("pages", _("Use a number from 1 to %d.") % inbox.MOST_PAGES)


def _query(request: HttpRequest) -> str:
    query = request.GET.get("q", "").strip()
    if len(query) > LONGEST_SEARCH or "\0" in query:
        raise BadInput("q", _("Use at most %d characters.") % LONGEST_SEARCH)
    return query


def _cursor(text: str | None, field: str) -> Cursor | None:
    if text is None:
        return None
    cursor = Cursor.parse(text)
    if cursor is None:
        raise BadInput(field, _("Not a cursor: use one that this site has handed out."))
    return cursor


def _upto(request: HttpRequest) -> int | None:
    cursor = _cursor(request.POST.get("upto"), "upto")
    if cursor is None:
        return None
    if not log.knows(cursor):
        raise BadInput("upto", _("A cursor of another log: load the page again."))
    return cursor.position


def _is_prefetch(request: HttpRequest) -> bool:
    purpose = request.headers.get("Sec-Purpose", request.headers.get("Purpose", ""))
    return "prefetch" in purpose
