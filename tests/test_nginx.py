"""Behind a real nginx: one that does everything wrong, and the one of deploy/nginx.conf."""

import asyncio
import contextlib
import os
import pwd
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
import uvicorn

from notifications import EVERYONE, asend
from notifications.stream import PING_AFTER
from notifications.streaming import LONGEST_WAIT
from tests.browser import STREAM, CutOff, Ended
from tests.people import PASSWORD
from tests.server import COMMANDS, ROOT, START, Server, free_port
from tests.until import until

NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(not (NGINX and OPENSSL), reason="nginx or openssl is missing")

DEPLOYED = (ROOT / "deploy/nginx.conf").read_text()
TABS = 5
IMPATIENT = 2  # s of silence that a proxy bears; 60 by default
# Buffers, as is its default, and compresses whatever it can.
HOSTILE = """
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    gzip on; gzip_types *; gzip_proxied any; gzip_min_length 1; gzip_http_version 1.0;
    proxy_read_timeout {patience}s;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://127.0.0.1:{server}; }}
    }}
}}
"""


class Nginx:
    """A running nginx, for a Browser like a server. `configuration` speaks of `port`."""

    def __init__(self, folder: Path, configuration: str, port: int, certificate: Path | None):
        self.port, self._certificate = port, certificate
        self.url = f"https://localhost:{port}" if certificate else f"http://127.0.0.1:{port}"
        self.file = folder / "nginx.conf"
        self.file.write_text(configuration)

    @property
    def transport(self) -> httpx.AsyncHTTPTransport | None:
        """A new one: each Browser closes its own."""
        return self.come_from("127.0.0.1") if self._certificate else None

    def come_from(self, address: str) -> httpx.AsyncHTTPTransport:
        """HTTP/2 and TLS, from an address of this machine."""
        trust = ssl.create_default_context(cafile=self._certificate)
        return httpx.AsyncHTTPTransport(verify=trust, http2=True, local_address=address)

    def start(self) -> None:
        self._process = subprocess.Popen([*self._command, "-g", "daemon off;"])
        deadline = time.monotonic() + START
        while not self._answers():
            assert self._process.poll() is None, "nginx did not start"
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def check(self) -> str:
        """What `nginx -t` has to say."""
        return subprocess.run([*self._command, "-t"], capture_output=True, text=True).stderr

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(START)

    @property
    def _command(self) -> list[str]:
        return [str(NGINX), "-p", str(self.file.parent), "-c", str(self.file)]

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Callable[..., Nginx]]:
    """`nginx(configuration, port)` starts one."""
    started: list[Nginx] = []

    def start(configuration: str, port: int, certificate: Path | None = None) -> Nginx:
        new = Nginx(tmp_path, configuration, port, certificate)
        new.start()
        started.append(new)
        return new

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def hostile(nginx, tmp_path) -> Callable[..., Nginx]:
    """`hostile(server, patience)`: a proxy that nobody has told about streams."""

    def start(server: Server, patience: int = 60) -> Nginx:
        port = free_port()
        values = {"folder": tmp_path, "patience": patience, "server": server.port}
        return nginx(HOSTILE.format(port=port, **values), port)

    return start


# ----------------------------------------------------------------- a proxy that knows of nothing


async def test_a_proxy_that_buffers_and_compresses_lets_each_event_through_at_once(
    each_server, hostile, browser, people
):
    proxy = hostile(each_server)
    alice = await browser(proxy, people.alice)
    snapshot = await alice.get("/messages/snapshot/")
    assert snapshot.headers["Content-Encoding"] == "gzip"  # so it does, where it may
    assert (await alice.open()).name == "ready"
    assert alice.response.headers.get("Content-Encoding", "identity") == "identity"
    for title in ("one", "two", "three"):
        await asend(title, to=EVERYONE)
        assert await alice.read() == title
    await alice.close()
    await until(lambda: each_server.connections() == 0)


@pytest.mark.parametrize("kind", sorted(COMMANDS))
async def test_pings_keep_a_quiet_stream_open_through_an_impatient_proxy(
    kind, servers, hostile, browser, people
):
    server = servers(kind, application="tests.pinging:application")
    alice = await browser(hostile(server, IMPATIENT), people.alice)
    await alice.open()
    await alice.state()
    begun = time.monotonic()
    while time.monotonic() < begun + 1.5 * IMPATIENT:
        assert (await alice.event()).name == "ping"
    await asend("still there?", to=EVERYONE)
    assert await alice.read() == "still there?"


async def test_without_pings_it_would_be_cut_and_the_reader_comes_back(
    server, hostile, browser, people
):
    assert PING_AFTER > IMPATIENT
    alice = await browser(hostile(server, IMPATIENT), people.alice)
    await alice.open()
    await alice.state()
    with pytest.raises((CutOff, Ended)):
        await alice.event()
    await asend("meanwhile", to=EVERYONE)
    await alice.come_back()
    assert await alice.read() == "meanwhile"


# ------------------------------------------------------------------------------ deploy/nginx.conf


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """Of localhost, signed by itself; the key is beside it."""
    file = tmp_path_factory.mktemp("certificate") / "fullchain.pem"
    subprocess.run(
        [
            str(OPENSSL), "req", "-x509", "-nodes", "-days", "2",
            "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
            "-out", str(file), "-keyout", str(file.with_name("privkey.pem")),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return file


@pytest.fixture
def deployed(nginx, servers, certificate, production, tmp_path) -> Callable[..., Nginx]:
    """`deployed(*servers)`: deploy/nginx.conf in front of them, its places and ports changed."""

    def start(*behind: Server) -> Nginx:
        port, plain_port = free_port(), free_port()
        ports = [server.port for server in behind]
        changes = {
            "user www-data;": f"user {pwd.getpwuid(os.geteuid()).pw_name};",
            "/run/nginx.pid": f"{tmp_path}/pid",
            "/var/log/nginx/": f"{tmp_path}/",
            "/etc/letsencrypt/live/messages.example.com": str(certificate.parent),
            "/srv/messages/staticfiles/": f"{production['STATIC_ROOT']}/",
            "messages.example.com": "localhost",
            "listen 80 ": f"listen 127.0.0.1:{plain_port} ",
            "listen 443 ": f"listen 127.0.0.1:{port} ",
            "127.0.0.1:8001": f"127.0.0.1:{ports[0]}",
            "127.0.0.1:8002": f"127.0.0.1:{ports[-1]}",
        }
        configuration = re.sub(r"^ *listen \[::\].*\n", "", DEPLOYED, flags=re.MULTILINE)
        for here, there in changes.items():
            assert here in configuration, here
            configuration = configuration.replace(here, there)
        proxy = nginx(configuration, port, certificate)
        proxy.plain_port = plain_port
        return proxy

    return start


@pytest.fixture
def behind(servers, production) -> Callable[[str], Server]:
    """`behind("daphne")`: a server as in production."""
    return lambda kind: servers(kind, **production)


def connections_to(port: int) -> int:
    """How many this process has open."""
    mine = psutil.Process().net_connections("tcp")
    return sum(bool(each.raddr) and each.raddr.port == port for each in mine)


async def test_people_log_in_over_https_and_what_is_not_for_them_stays_closed(
    behind, deployed, people
):
    server = behind("daphne")
    proxy = deployed(server)
    accepted = proxy.check()
    assert "successful" in accepted
    assert "[warn]" not in accepted
    async with httpx.AsyncClient(base_url=proxy.url, transport=proxy.transport) as alice:
        page = await alice.get("/accounts/login/")
        assert page.http_version == "HTTP/2"
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
        assert token
        form = {"csrfmiddlewaretoken": token[1], "username": "alice", "password": PASSWORD}
        foreign = {"Origin": "https://evil.example.com"}
        assert (await alice.post(page.url.path, data=form, headers=foreign)).status_code == 403
        answer = await alice.post(page.url.path, data=form, headers={"Origin": proxy.url})
        assert answer.headers["Location"] == "/messages/"
        assert all(cookie.secure for cookie in alice.cookies.jar)
        page = await alice.get("/messages/")
        assert page.status_code == 200
        assert page.headers["Content-Encoding"] == "gzip"

        # Static files come from nginx itself.
        await asyncio.to_thread(server.kill)
        (style,) = re.findall(r'"(/static/site\.[^"]+)"', page.text)
        answer = await alice.get(style)
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.headers["Content-Type"] == "text/css"
        assert "Content-Length" in answer.headers  # compressed before, not now
        assert "immutable" in answer.headers["Cache-Control"]
        assert (await alice.get("/static/site.css")).headers["Cache-Control"].endswith("=60")


async def test_only_this_machine_may_ask_for_health_and_only_by_the_sites_name(
    behind, deployed, transactional_db
):
    proxy = deployed(behind("uvicorn"))
    async with httpx.AsyncClient(base_url=proxy.url, transport=proxy.transport) as inside:
        assert (await inside.get("/readyz")).json() == {"ready": True}
        plain = await inside.get(f"http://127.0.0.1:{proxy.plain_port}/messages/?filter=unread")
        assert plain.headers["Location"] == "https://localhost/messages/?filter=unread"
        with pytest.raises(httpx.ConnectError, match=r"(?i)unrecognized.name"):
            await inside.get(f"https://127.0.0.1:{proxy.port}/")
    elsewhere = proxy.come_from("127.0.0.2")
    async with httpx.AsyncClient(base_url=proxy.url, transport=elsewhere) as outside:
        assert (await outside.get("/readyz")).status_code == 403
        assert (await outside.get("/healthz")).status_code == 403
        assert (await outside.get("/")).status_code == 200


@pytest.mark.parametrize("kind", sorted(COMMANDS))
async def test_many_tabs_stream_over_one_connection_and_are_forgotten_with_it(
    kind, behind, deployed, browser, people
):
    server = behind(kind)
    proxy = deployed(server)
    alice = await browser(proxy, people.alice)
    alice.http.headers["Origin"] = proxy.url
    assert (await alice.open()).name == "ready"
    assert alice.response.http_version == "HTTP/2"
    message = await asend("one", to=EVERYONE)
    assert await alice.read() == "one"
    async with contextlib.AsyncExitStack() as tabs:
        for _ in range(TABS):
            tab = await tabs.enter_async_context(alice.http.stream("GET", STREAM))
            assert await anext(tab.aiter_bytes())  # it has begun
        assert connections_to(proxy.port) == 1
        answer = await alice.post(f"/messages/{message.pk}/read/")  # while they are open
        assert answer.json()["unread"] == 0
        while (await alice.state())["unread"]:
            pass
        busy = server.connections()
    await alice.quit()
    await until(lambda: server.connections() < busy - TABS)  # but for kept ones, which are idle
    assert (await asyncio.to_thread(server.stop))[0] == 0
    assert "Draining 0 streams" in server.log


async def test_a_deploy_moves_readers_on_and_an_outage_lets_them_wait(
    behind, deployed, browser, people
):
    first, second = behind("daphne"), behind("uvicorn")
    alice = await browser(deployed(first, second), people.alice)
    await alice.open()
    await until(lambda: first.connections() + second.connections() == 1)
    before, after = (first, second) if first.connections() else (second, first)
    stopping = asyncio.create_task(asyncio.to_thread(before.stop))
    assert await alice.bye() == "drain"
    assert (await stopping)[0] == 0
    await asend("between", to=EVERYONE)
    assert (await alice.come_back()).name == "ready"  # at once, from the other process
    assert await alice.read() == "between"

    await asyncio.to_thread(after.kill)
    with pytest.raises((CutOff, Ended)):
        await alice.read_until("never")
    away = await alice.come_back()  # 200: so it may come back
    assert (away.name, away.data) == ("bye", {"reason": "drain"})
    assert 4_000 <= alice.retry <= 8_000
    assert alice.response.headers["Content-Type"] == "text/event-stream"
    assert "no-store" in alice.response.headers["Cache-Control"]
    with pytest.raises(Ended):
        await alice.event()
    await asend("while nobody was there", to=EVERYONE)
    await asyncio.to_thread(before.start)
    # For two seconds nginx believes that nobody is there.
    while (event := await alice.come_back()).name != "ready":
        assert event.data == {"reason": "drain"}
        await asyncio.sleep(0.05)  # nginx takes no more than a thousand requests on a connection
    assert await alice.read() == "while nobody was there"


def test_its_numbers_fit_those_of_the_code():
    def number(name: str) -> int:
        (found,) = set(re.findall(rf"^ *{name} (\d+)s?;", DEPLOYED, re.MULTILINE))
        return int(found)

    assert number("proxy_read_timeout") > 2 * PING_AFTER
    assert number("proxy_read_timeout") > LONGEST_WAIT
    assert number("worker_rlimit_nofile") > number("worker_connections")
    assert number("keepalive_timeout") < uvicorn.Config("").timeout_keep_alive
