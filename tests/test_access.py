"""Who may no longer read stops receiving, wherever it was signed in; the others go on."""

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session

from notifications import EVERYONE, acts, asend, running
from tests.browser import STREAM, Browser

OURS, FOREIGN = "https://www.example.com", "https://evil.example.com"
UNSWEPT = "tests.unswept:application"  # the site, where only the quick ways show what happened


def deactivate(user) -> None:
    user.is_active = False
    user.save()


def change_password(user) -> None:
    user.set_password("battery staple")
    user.save()


def past_the_signals(**values):
    return lambda user: get_user_model().objects.filter(pk=user.pk).update(**values)


# ------------------------------------------------------------------- by signals, within a second


@pytest.mark.parametrize(
    "act",
    [deactivate, change_password, lambda user: user.delete()],
    ids=["deactivation", "a changed password", "deletion"],
)
async def test_who_may_no_longer_read_stops_receiving_on_every_process_before_any_sweep(
    servers, browser, people, act
):
    each = [servers(kind, application=UNSWEPT) for kind in ("daphne", "uvicorn")]
    alice = [await browser(server, people.alice) for server in each]
    bob = [await browser(server, people.bob) for server in each]
    for reader in alice + bob:
        await reader.open()
    await sync_to_async(act)(people.alice)
    assert [await reader.bye() for reader in alice] == ["signed-out"] * 2
    for reader in alice:
        assert (await reader.get(STREAM)).status_code == 401
    await asend("only who is still here", to=EVERYONE)
    assert [await reader.read() for reader in bob] == ["only who is still here"] * 2


async def test_log_out_ends_that_session_and_the_users_others_come_back(servers, browser, people):
    daphne, uvicorn = servers("daphne"), servers("uvicorn")
    here, there = await browser(daphne, people.alice), await browser(uvicorn, people.alice)
    tab = Browser(daphne, people.alice, here.session)  # of the same session as `here`
    for reader in (here, there, tab):
        await reader.open()
    assert (await here.post("/accounts/logout/")).status_code == 302
    for reader in (here, there, tab):
        assert await reader.bye() == "signed-out"
    await asend("in between", to=EVERYONE)
    await there.come_back()
    assert await there.read() == "in between"
    for reader in (here, tab):
        assert (await reader.get(STREAM)).status_code == 401
    await tab.quit()


async def test_staff_end_somebodys_streams_and_they_come_back_by_themselves(
    each_server, browser, people
):
    alice = await browser(each_server, people.alice)
    await alice.open()
    await sync_to_async(acts.end_streams)(people.alice.pk)
    assert await alice.bye() == "signed-out"
    await alice.come_back()
    await asend("hello again", to=[people.alice])
    assert await alice.read() == "hello again"


# ------------------------------------------------------------------ past the signals, by the sweep


def test_the_sweep_comes_within_half_a_minute():
    assert running.SWEEP <= 30


@pytest.mark.parametrize(
    "act",
    [
        past_the_signals(is_active=False),
        past_the_signals(password="!"),
        lambda user: get_user_model().objects.filter(pk=user.pk)._raw_delete("default"),
        lambda user: Session.objects.all().delete(),
    ],
    ids=["deactivation", "a changed password", "deletion", "deleted sessions"],
)
async def test_what_goes_past_the_signals_is_found_by_the_sweep(
    inside, browser, people, monkeypatch, act
):
    monkeypatch.setattr("notifications.running.SWEEP", 0.05)
    monkeypatch.setattr("notifications.running.TICK", 0.02)
    alice = await browser(inside, people.alice)
    await alice.open()
    await alice.state()
    await sync_to_async(act)(people.alice)
    assert await alice.bye() == "signed-out"
    assert (await alice.get(STREAM)).status_code == 401


async def test_the_sweep_leaves_those_alone_who_may_read(inside, browser, people, monkeypatch):
    monkeypatch.setattr("notifications.running.SWEEP", 0.05)
    monkeypatch.setattr("notifications.running.TICK", 0.02)
    alice, bob = await browser(inside, people.alice), await browser(inside, people.bob)
    await alice.open()
    await bob.open()
    await sync_to_async(past_the_signals(is_active=False))(people.alice)
    assert await alice.bye() == "signed-out"  # so there was a sweep
    await asend("hello", to=EVERYONE)
    assert await bob.read() == "hello"


# ------------------------------------------------------------------------------- strangers' pages


async def test_pages_of_listed_origins_may_read_with_the_readers_cookies_and_no_others(
    servers, browser, people
):
    server = servers("daphne", CORS_ALLOWED_ORIGINS=OURS)
    alice = await browser(server, people.alice)
    for path in ("/messages/snapshot/", "/messages/changes/"):
        ours = (await alice.http.get(path, headers={"Origin": OURS})).headers
        assert ours["Access-Control-Allow-Origin"] == OURS
        assert ours["Access-Control-Allow-Credentials"] == "true"
        foreign = (await alice.http.get(path, headers={"Origin": FOREIGN})).headers
        assert "Access-Control-Allow-Origin" not in foreign
    for origin, allowed in ((OURS, OURS), (FOREIGN, None)):
        alice.http.headers["Origin"] = origin
        await alice.open()
        assert alice.response.headers.get("Access-Control-Allow-Origin") == allowed


async def test_a_post_needs_the_token_of_its_own_page(inside, browser, people):
    message = await asend("hello", to=EVERYONE)
    alice = await browser(inside, people.alice)
    paths = [f"/messages/{message.pk}/{act}/" for act in ("read", "archive")]
    for path in [*paths, "/messages/read-all/", "/messages/seen/"]:
        headers = {"Accept": "application/json"}
        assert (await alice.http.post(path, headers=headers)).status_code == 403
        headers |= {"X-CSRFToken": "x" * 32, "Origin": FOREIGN}
        assert (await alice.http.post(path, headers=headers)).status_code == 403
    assert (await alice.get("/messages/snapshot/")).json()["unread"] == 1
    assert (await alice.post(paths[0])).json()["unread"] == 0


async def test_a_stranger_gets_401_as_json_and_never_a_redirect(inside, browser, people):
    message = await asend("hello", to=EVERYONE)
    stranger = await browser(inside)
    for path in (STREAM, "/messages/changes/", "/messages/snapshot/", f"/messages/{message.pk}/"):
        assert (await stranger.get(path)).status_code == 401
    for path in (f"/messages/{message.pk}/read/", "/messages/read-all/", "/messages/seen/"):
        assert (await stranger.post(path)).status_code == 401
    page = await stranger.http.get("/messages/")
    assert (page.status_code, page.headers["Location"]) == (302, "/accounts/login/?next=/messages/")
