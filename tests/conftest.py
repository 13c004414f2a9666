"""What all tests share: people, servers, browsers."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group
from django.db import connection, connections
from django.utils import translation
from hypothesis import settings
from playwright.async_api import Browser as Chromium

from notifications.handler import SIGNALS, Handler
from notifications.running import RunningHub
from tests.browser import Browser
from tests.chromium import SHELL, NewReader, launch, readers
from tests.inside import Inside
from tests.people import People, meet
from tests.server import COMMANDS, Server, collect
from tests.shop import ANA, CREATE, Shop

# A busy machine is no failure.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


VENDORS = {"sqlite", "postgresql", "mysql"}
MOST_SAID = 20_000  # characters of what a server has said that are shown when a test has failed


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of what only some databases can do are no tests of the others: not even skipped."""

    def is_for_another(item: pytest.Item) -> bool:
        vendors = [vendor for mark in item.iter_markers("only") for vendor in mark.args]
        assert VENDORS.issuperset(vendors), f"{item.nodeid}: only({vendors})"
        return bool(vendors) and connection.vendor not in vendors

    others = [item for item in items if is_for_another(item)]
    items[:] = [item for item in items if item not in set(others)]
    config.hook.pytest_deselected(items=others)
    # The longest first: begun last, it would leave the other process without work for a minute.
    items.sort(key=lambda item: item.path.name != "test_model.py")


@pytest.fixture(autouse=True)
def _in_english() -> Iterator[None]:
    """A page that a test asked for in Chinese leaves its thread speaking Chinese."""
    yield
    translation.deactivate()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> Iterator[None]:
    """A server does not let go of a database that somebody is connected to."""
    yield
    asyncio.run(sync_to_async(connections.close_all)())  # in the thread async tests query from


@pytest.fixture
def people(transactional_db: None) -> People:
    """alice, bob and root, on a database that other threads and processes see."""
    return meet()


@pytest.fixture
def crew(people: People) -> Group:
    """A group, of alice alone."""
    crew = Group.objects.create(name="crew")
    crew.user_set.add(people.alice)
    return crew


@pytest.fixture
def in_thread(transactional_db: None) -> Callable[..., Any]:
    """`in_thread(work, ...)` does it in another thread, on a database connection of its own."""

    def run(work: Callable[..., Any], *args: Any, **options: Any) -> Any:
        def then_disconnect() -> Any:
            try:
                return work(*args, **options)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(1) as executor:
            return executor.submit(then_disconnect).result()

    return run


@pytest.fixture
def servers(transactional_db: None, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """`servers("daphne", NAME="value")` starts one. No test may leave a traceback in its log."""
    started: list[Server] = []

    def start(kind: str = "daphne", **options: str) -> Server:
        server = Server(kind, tmp_path, **options)
        started.append(server)
        return server.__enter__()

    yield start
    for server in started:
        server.kill()
    for server in started:
        assert "Traceback" not in server.log, server.log


@pytest.fixture
def server(servers: Callable[..., Server]) -> Server:
    """A running daphne."""
    return servers("daphne")


@pytest.fixture(scope="session")
def production(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment as behind a proxy that ends TLS, with the static files collected."""
    return collect(tmp_path_factory.mktemp("static"))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """The example in examples/embed, running; Ana may log in."""
    shop = Shop(tmp_path)
    shop.manage("migrate", "--verbosity", "0")
    shop.shell(CREATE.format(**ANA))
    with shop:
        yield shop
    assert "Traceback" not in shop.log, shop.log


@pytest.fixture(params=sorted(COMMANDS))
def each_server(servers: Callable[..., Server], request: pytest.FixtureRequest) -> Server:
    """The test once for each kind of server."""
    return servers(request.param)


@pytest.fixture
async def inside(transactional_db: None) -> AsyncIterator[Inside]:
    """The handler in this process. Its hub ends with the test."""
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield Inside(Handler())
    finally:
        for hub in RunningHub.all():
            await hub.stop()
        for number, handler in handlers.items():
            signal.signal(number, handler)


@pytest.fixture
async def browser(transactional_db: None) -> AsyncIterator[Callable[..., Awaitable[Browser]]]:
    """`await browser(server, people.alice)`: logged in, in a session of its own; or a stranger."""
    async with AsyncExitStack() as stack:

        async def start(server: Any, user: Any = None) -> Browser:
            new = await Browser.log_in(server, user) if user else Browser(server)
            stack.push_async_callback(new.quit)
            return new

        yield start
    await sync_to_async(connections.close_all)()  # in the thread that async tests query from


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Chromium]:
    """One for all tests, which run in its event loop: `asyncio(loop_scope="session")`."""
    async for browser in launch(SHELL):
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def reader(chromium: Chromium, server: Server) -> AsyncIterator[NewReader]:
    """`await reader(people.alice)`: her message center, in a browser of her own."""
    async for start in readers(chromium, server):
        yield start


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """A test that fails shows what its servers have said."""
    report = nothing_is_skipped_in_ci((yield))
    if report.failed and (folder := getattr(item, "funcargs", {}).get("tmp_path")):
        report.sections += [
            (f"said by {log.stem}", log.read_text(errors="replace")[-MOST_SAID:])
            for log in folder.glob("*.log")
        ]
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    return nothing_is_skipped_in_ci((yield))


def nothing_is_skipped_in_ci(report):
    """Where everything is installed, a skip is a test that nobody runs, and nobody would know."""
    expected_failure = hasattr(report, "wasxfail")
    if report.skipped and not expected_failure and os.environ.get("CI") == "true":
        *_, reason = report.longrepr if isinstance(report.longrepr, tuple) else [report.longrepr]
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped, and CI=true allows no skips: {reason}"
    return report
