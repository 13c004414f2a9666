from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class NotificationsConfig(AppConfig):
    name = "notifications"
    verbose_name = _("Message center")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import access, checks  # noqa: F401 - the checks register themselves

        access.watch_users()
        post_migrate.connect(_make_head, sender=self)


def _make_head(using: str, **_: Any) -> None:
    # Here and not in a migration, so that it is there again after a `flush`.
    from .models import Head

    Head.objects.using(using).get_or_create(pk=Head.THE_ONE)
