"""The site, telling what a client cannot see, as numbers: at `/streams` how many streams are open,
at `/posts` how many posts have reached it."""

from typing import Any

from config.asgi import application as site
from notifications.running import RunningHub

posts = 0


async def application(scope: Any, receive: Any, send: Any) -> None:
    global posts
    posts += scope.get("method") == "POST"
    tells = {"/streams": streams, "/posts": lambda: posts}.get(scope.get("path"))
    if tells is None:
        return await site(scope, receive, send)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(tells()).encode()})


def streams() -> int:
    return sum(len(hub.everyone()) for hub in RunningHub.all())
