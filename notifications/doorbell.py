"""Tells every server process that there is something to read. It carries nothing.

Which doorbell there is, the settings say; what each of them does is in a module of its own. All
policy (how often to look anyway, what to do when nothing is heard) is in `running`.
"""

import logging
import re
from functools import cache
from importlib import import_module
from pathlib import PurePath
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection

from .doorbell_polling import Doorbell, PollingDoorbell
from .doorbell_sqlite import SqliteDoorbell

logger = logging.getLogger(__name__)

REDIS = ("redis://", "rediss://", "unix://")


def ring() -> None:
    """Have every hub look, once the current transaction has committed; at once outside of one.

    What carries the ring may be dead: that costs latency, and harms nobody who rings.
    """
    try:
        current().ring()
    except DatabaseError:
        raise  # the transaction is broken, and must not go on
    except Exception:
        logger.exception("The doorbell cannot be rung")


def current() -> Doorbell:
    """The doorbell of the settings. Raises ImproperlyConfigured for one that cannot be."""
    url = getattr(settings, "NOTIFICATIONS_DOORBELL", "")
    if url.startswith(REDIS):
        return _redis(url, str(connection.settings_dict["NAME"]))
    if url not in ("", "polling"):
        raise ImproperlyConfigured(
            f"NOTIFICATIONS_DOORBELL={without_password(url)!r} is not known: leave it empty, or "
            "set it to polling or redis://HOST:PORT."
        )
    if not url and connection.vendor == "sqlite":
        return SqliteDoorbell(str(connection.settings_dict["NAME"]))
    if not url and connection.vendor == "postgresql":
        bell: Doorbell = _load("postgres", needs="psycopg", instead="polling").PostgresDoorbell()
        return bell
    return PollingDoorbell()


@cache  # it keeps a connection to ring by, and remembers that Redis is dead
def _redis(url: str, database: str) -> Doorbell:
    module = _load("redis", needs="redis", instead="polling, or nothing")
    # By the database's name, so that two sites on one Redis do not ring each other. (If they do,
    # they look once too often.) The file's name, for processes may write its folder differently.
    try:
        bell: Doorbell = module.RedisDoorbell(url, f"notifications:{PurePath(database).name}")
    except ValueError as error:
        raise ImproperlyConfigured(
            f"NOTIFICATIONS_DOORBELL={without_password(url)!r} is not an address of Redis ({error})"
            ": write redis://HOST:PORT, or unix:///PATH."
        ) from None
    return bell


def _load(kind: str, needs: str, instead: str) -> Any:
    # Here and not above: a site needs the driver of its own doorbell alone.
    try:
        return import_module(f"notifications.doorbell_{kind}")
    except ImportError as error:
        raise ImproperlyConfigured(
            f"The doorbell needs {needs} ({error}): install what requirements.txt says, or set "
            f"NOTIFICATIONS_DOORBELL to {instead}."
        ) from error


def without_password(url: str) -> str:
    """`url` as it may stand in a log."""
    return re.sub(r"//[^/@]*@", "//...@", url)
