"""The site, and at `/streams` how many streams are open, as a number."""

from typing import Any

from config.asgi import application as site
from notifications.running import RunningHub


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope.get("path") != "/streams":
        return await site(scope, receive, send)
    number = sum(len(hub.everyone()) for hub in RunningHub.all())
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(number).encode()})
