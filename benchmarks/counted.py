"""The site, counting its own statements: `GET /statements` answers how many there were, as JSON.

uvicorn benchmarks.counted:application
"""

import json
from typing import Any

from django.db.backends.utils import CursorWrapper

from config.asgi import application as site
from notifications.models import Change

counts = {"statements": 0, "on the log": 0}
_execute = CursorWrapper.execute


def _counting(self: CursorWrapper, sql: str, params: Any = None) -> Any:
    counts["statements"] += 1
    counts["on the log"] += Change._meta.db_table in sql
    return _execute(self, sql, params)


CursorWrapper.execute = _counting  # type: ignore[method-assign]


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope.get("path") != "/statements":
        return await site(scope, receive, send)
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(counts).encode()})
