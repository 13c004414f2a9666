"""The message that servers send themselves: it is timed, and nobody sees it."""

from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from notifications import canary, inbox, publish_due
from notifications.models import CANARY, Change, Message, Recipient
from notifications.running import RunningHub
from tests.test_metrics import BEARER, TOKEN, values
from tests.until import until


@pytest.fixture
def every_minute(settings):
    settings.CANARY_SECONDS = 60


def test_it_is_in_no_list_and_no_count(people, client, every_minute):
    assert canary.sing()
    for user in people:
        assert inbox.listing(user).items == []
        assert (inbox.state(user).unread, inbox.state(user).unseen) == (0, 0)
    assert not Recipient.objects.exists()
    bird = Message.objects.get(key=CANARY)
    client.force_login(people.root)
    assert client.get(f"/messages/{bird.pk}/").status_code == 404
    for page in ("message", "change"):
        listed = client.get(f"/admin/notifications/{page}/").context["cl"].result_list
        assert list(listed) == []
    assert client.get(f"/admin/notifications/message/{bird.pk}/change/").status_code == 302


def test_one_sings_for_all_and_the_log_grows_by_a_line(people, in_thread, every_minute):
    assert canary.sing()
    assert not canary.sing()
    assert not in_thread(canary.sing)
    assert list(Change.objects.values_list("event", flat=True)) == ["published", "updated"]
    minute = timezone.now() - timedelta(minutes=1)
    Message.objects.filter(key=CANARY).update(revised_at=minute, updated_at=minute)
    assert canary.sing()
    assert Change.objects.count() == 3
    assert Message.objects.count() == 1
    assert publish_due() == 0


async def test_every_hub_hears_it_and_takes_the_time(inside, browser, people, settings):
    settings.METRICS_TOKEN, settings.CANARY_SECONDS = TOKEN, 60
    alice = await browser(inside, people.alice)
    await alice.open()
    await alice.state()
    await sync_to_async(canary.sing)()
    (hub,) = RunningHub.all()
    await until(lambda: hub.tally.canary is not None)
    found = values((await alice.http.get("/metrics", headers=BEARER)).text)
    assert 0 <= found["notifications_canary_seconds",] < 5
    now = timezone.now().timestamp()
    assert now - 30 < found["notifications_canary_heard_timestamp_seconds",] <= now
    assert found["notifications_messages_total",] == 0
    assert await alice.is_silent()


async def test_it_sings_by_itself_where_that_is_wanted(inside, browser, people, settings):
    settings.CANARY_SECONDS = 1
    alice = await browser(inside, people.alice)
    await alice.open()
    (hub,) = RunningHub.all()
    await until(lambda: hub.tally.canary is not None)


async def test_memory_does_not_write_it_down_again_and_again(inside, browser, people, settings):
    settings.CANARY_SECONDS = 60
    alice = await browser(inside, people.alice)
    await alice.open()
    await sync_to_async(canary.sing)()
    (hub,) = RunningHub.all()
    await until(lambda: hub.cursor.position == 2)
    assert [entry.data for entry in hub._past._entries] == [b"", b""]
