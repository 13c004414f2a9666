"""Who may listen, and who no longer may.

A stream is opened for a session and a user, and must end when either is gone. Each way out that
Django tells of (log-out, deactivation, deletion, a new password) counts up `Inbox.endings`, which
every hub sees within a second. What goes past the signals, `update()` or SQL, is found by `sweep`.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.auth import SESSION_KEY, get_user, get_user_model
from django.contrib.auth.signals import user_logged_out
from django.db import connection, connections
from django.db.models.signals import post_delete, post_save, pre_save
from django.http import HttpRequest
from django.utils import timezone

from .acts import end_streams
from .batches import batches
from .models import Inbox

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Admission:
    """Who listens, and how things stood when that was allowed."""

    user_id: Any
    since: int
    version: int
    endings: int
    password: str
    session_key: str


# SQL by hand, for it is asked whenever a stream opens: see `inbox`.
_INBOX = f"SELECT since, version, endings FROM {Inbox._meta.db_table} WHERE user_id = %s"


def admit(request: HttpRequest) -> Admission | None:
    """The admission of who sends `request`, or None.

    The inbox is read before the session and the user are checked, not after: then a log-out in
    between is seen here, and one after it is seen by the hub, as `endings` that went up.
    """
    try:
        key = get_user_model()._meta.pk
        user_id = key.to_python(request.session[SESSION_KEY])
    except KeyError:
        return None
    standing = _rows(_INBOX, key.get_db_prep_value(user_id, connection))
    if not standing:
        Inbox.objects.ensure([user_id])
        standing = _rows(_INBOX, key.get_db_prep_value(user_id, connection))
    user: Any = get_user(request)
    if not standing or user.pk != user_id or not _is_open(request.session):
        return None
    since, version, endings = standing[0]
    password = getattr(user, "password", "")
    return Admission(user_id, since, version, endings, password, request.session.session_key or "")


def _is_open(session: Any) -> bool:
    """Whether the session, which may have been read a while ago, still is."""
    if not hasattr(session, "get_model_class"):
        return SESSION_KEY in type(session)(session.session_key)
    quote = connection.ops.quote_name
    table = quote(session.get_model_class()._meta.db_table)
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    sql = f"SELECT 1 FROM {table} WHERE session_key = %s AND expire_date > %s"
    return bool(_rows(sql, session.session_key, now))


def _rows(sql: str, *params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())


def let_go() -> None:
    """Close this thread's database connections: an open stream holds none."""
    for mine in connections.all(initialized_only=True):
        if not mine.in_atomic_block:
            mine.close()


def letting_go(work: Callable[..., T], *args: Any) -> T:
    """`work(*args)` in a thread that lives as long as the stream: without its connections."""
    try:
        return work(*args)
    finally:
        let_go()


def standings(user_ids: Collection[Any]) -> dict[Any, tuple[int, int, str]]:
    """(version, endings, password) of those of `user_ids` who exist and are active."""
    rows = Inbox.objects.all()
    if any(field.name == "is_active" for field in get_user_model()._meta.concrete_fields):
        rows = rows.filter(user__is_active=True)
    return {
        user_id: (version, endings, password)
        for part in batches(user_ids)
        for user_id, version, endings, password in rows.filter(pk__in=part).values_list(
            "pk", "version", "endings", "user__password"
        )
    }


def open_sessions(keys: Collection[str]) -> set[str]:
    """Those of these sessions that still are, where sessions are kept in the database."""
    store = import_module(settings.SESSION_ENGINE).SessionStore
    if not hasattr(store, "get_model_class"):
        return set(keys)
    rows = store.get_model_class().objects.filter(expire_date__gt=timezone.now())
    return {
        key
        for part in batches(keys)
        for key in rows.filter(pk__in=part).values_list("pk", flat=True)
    }


def watch_users() -> None:
    """Connect Django's signals; called once, when the app is ready."""
    user_model = get_user_model()
    user_logged_out.connect(_logged_out, dispatch_uid="notifications")
    pre_save.connect(_remember, sender=user_model, dispatch_uid="notifications")
    post_save.connect(_compare, sender=user_model, dispatch_uid="notifications")
    post_delete.connect(_deleted, sender=user_model, dispatch_uid="notifications")


def _logged_out(request: HttpRequest | None, user: Any, **_: Any) -> None:
    # Django sends this before it flushes the session: a stream that opened in between would pass
    # `admit` after the count. So the session goes first.
    if request is not None and getattr(request, "session", None) is not None:
        request.session.delete()
    if user is not None:
        end_streams(user.pk)


def _remember(instance: Any, update_fields: Any, **_: Any) -> None:
    concerned = {"password", "is_active"}
    instance._was = None
    if instance.pk is None or (update_fields is not None and not concerned & set(update_fields)):
        return
    instance._was = type(instance)._default_manager.filter(pk=instance.pk).first()


def _compare(instance: Any, **_: Any) -> None:
    was, instance._was = instance._was, None
    if was is None:
        return
    deactivated = was.is_active and not instance.is_active
    if deactivated or was.password != instance.password:
        end_streams(instance.pk)


def _deleted(instance: Any, **_: Any) -> None:
    end_streams(instance.pk)
