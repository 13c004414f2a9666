"""Whether this process lives, and whether it can serve."""

from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from .answers import json
from .models import Head
from .running import RunningHub


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """200: the process answers. It asks nobody, so a database that is down kills no process."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when the database answers and its migrations are applied, else 503 saying what is not.

    A deaf doorbell makes this process slower, and no other would be better: so it is said with 200.
    """
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if not missing:
            Head.objects.get(pk=Head.THE_ONE)
    except (Error, Head.DoesNotExist) as failure:
        return json({"ready": False, "why": f"database: {type(failure).__name__}"}, 503)
    if missing:
        return json({"ready": False, "why": "migrations are not applied: run migrate"}, 503)
    return json({"ready": True, **_doorbell()})


def _doorbell() -> dict[str, str]:
    """Whether this process hears it, once there is a hub that listens: with the first stream."""
    known = [hub.hears for hub in RunningHub.all() if hub.hears is not None]
    return {"doorbell": "heard" if all(known) else "deaf"} if known else {}
