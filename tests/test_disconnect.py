"""`manage.py disconnect USER` ends a user's streams, on every process; `publish_due` publishes."""

from datetime import timedelta

import pytest
from django.core.management.base import CommandError
from django.utils import timezone

from notifications import EVERYONE, inbox, send
from notifications.models import Inbox, Message
from tests.commands import call, shell


def endings(user):
    return inbox.state(user).endings


def test_the_note_is_left_for_that_user_alone(people):
    assert call("disconnect", "alice") == "The open streams of alice end within a second.\n"
    assert (endings(people.alice), endings(people.bob)) == (1, 0)


def test_an_unknown_user_is_refused(people):
    with pytest.raises(CommandError, match="USER: There is no user 'zed'") as refused:
        call("disconnect", "zed")
    assert refused.value.returncode == 1
    assert not Inbox.objects.exists()


async def test_from_a_shell_it_reaches_a_running_server(people, server, browser, in_thread):
    alice, bob = await browser(server, people.alice), await browser(server, people.bob)
    await alice.open()
    await bob.open()
    done = in_thread(shell, "disconnect", "alice")
    assert (done.returncode, done.stderr) == (0, "")
    assert await alice.bye() == "signed-out"
    assert await bob.is_silent()
    refused = in_thread(shell, "disconnect", "zed")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "CommandError: USER: There is no user 'zed'.\n"


def test_publish_due_says_how_much_it_wrote(people):
    send("Hello", to=EVERYONE, at=timezone.now() + timedelta(hours=1))
    assert call("publish_due") == "Changes written: 0\n"
    Message.objects.update(publish_at=timezone.now(), due_at=timezone.now())
    done = shell("publish_due")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Changes written: 1\n", "")
    assert shell("publish_due").stdout == "Changes written: 0\n"
