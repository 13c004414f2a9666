"""Clients that others wrote read the stream, come back by themselves, and miss nothing."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from httpx_sse import aconnect_sse

from notifications import EVERYONE, asend
from tests.browser import STREAM, new_session

LISTEN = Path(__file__).parent / "node" / "listen.mjs"
PATIENCE = 20.0  # s: browsers wait up to 3 s before they come back


@asynccontextmanager
async def python(url: str, session: str) -> AsyncIterator["asyncio.Queue[str]"]:
    """A reader as httpx-sse's documentation would have it. It hears "ready", and titles."""
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def listen() -> None:
        headers: dict[str, str] = {}
        pause = 0.0
        async with httpx.AsyncClient(
            cookies={settings.SESSION_COOKIE_NAME: session}, trust_env=False
        ) as client:
            while True:
                await asyncio.sleep(pause)
                with suppress(httpx.TransportError):
                    async with aconnect_sse(client, "GET", url, headers=headers) as source:
                        async for event in source.aiter_sse():
                            data = json.loads(event.data)
                            headers["Last-Event-ID"] = event.id
                            pause = (event.retry or 0) / 1000 or pause
                            if event.event in ("ready", "message"):
                                heard.put_nowait(data.get("title", event.event))

    task = asyncio.create_task(listen())
    try:
        yield heard
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task  # raises what went wrong in it


@asynccontextmanager
async def node(url: str, session: str) -> AsyncIterator["asyncio.Queue[str]"]:
    """The EventSource of npm, in a process of its own."""
    if not shutil.which("node") or not (LISTEN.parent / "node_modules" / "eventsource").is_dir():
        pytest.skip("Node, or its package eventsource, is not installed")
    cookie = f"{settings.SESSION_COOKIE_NAME}={session}"
    process = await asyncio.create_subprocess_exec(
        "node", str(LISTEN), url, cookie, stdout=asyncio.subprocess.PIPE
    )
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def listen() -> None:
        while line := await process.stdout.readline():
            heard.put_nowait(line.decode().strip())

    task = asyncio.create_task(listen())
    try:
        yield heard
    finally:
        process.kill()
        await asyncio.gather(task, process.wait())


@pytest.mark.parametrize("client", [python, node])
async def test_a_client_comes_back_by_itself_and_misses_nothing(server, people, client):
    session = await sync_to_async(new_session)(people.alice)
    async with client(server.url + STREAM, session) as heard:
        await hears(heard, "ready")
        await asend("one", to=EVERYONE)
        await hears(heard, "one")
        await asyncio.to_thread(server.kill)
        await asend("two", to=EVERYONE)
        await asyncio.to_thread(server.start)
        await asend("three", to=EVERYONE)
        await hears(heard, "ready", "two", "three")
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        await asend("four", to=[people.alice])
        await hears(heard, "ready", "four")


async def hears(heard: "asyncio.Queue[str]", *words: str) -> None:
    async with asyncio.timeout(PATIENCE):
        assert [await heard.get() for _ in words] == list(words)
