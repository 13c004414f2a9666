"""Who is left out of an audience never receives, lists or counts the message."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, UserManager
from django.core.exceptions import ValidationError
from django.utils import timezone

from notifications import EVERYONE, asend, inbox, publish_due, send
from notifications.audience import Audience
from notifications.models import Message, Recipient
from notifications.staff.headcount import count
from tests.people import crowd, person, titles


def later():
    return timezone.now() + timedelta(hours=1)


def publish(message):
    Message.objects.filter(pk=message.pk).update(publish_at=timezone.now(), due_at=timezone.now())
    publish_due()


def test_everyone_but_some_is_all_the_others(people, crew):
    send("Hello", to=EVERYONE, exclude=[crew, people.bob])
    assert [titles(user) for user in people] == [[], [], ["Hello"]]
    assert [inbox.state(user).unread for user in people] == [0, 0, 1]
    message = Message.objects.get()
    assert (message.everyone, message.everyone_but) == (False, True)
    assert Recipient.objects.count() == 1


def test_everyone_without_anybody_left_out_stays_one_row(people):
    send("Hello", to=EVERYONE, exclude=[])
    assert Message.objects.get().everyone
    assert not Recipient.objects.exists()


def test_who_is_left_out_is_decided_when_it_is_published(people, crew):
    """Groups are as they are then, for the audience and for those who are left out of it."""
    everyone = send("all", to=EVERYONE, exclude=[crew], at=later())
    named = send("named", to=list(people), exclude=[crew], at=later())
    crew.user_set.set([people.bob])
    new = person("new")
    publish(everyone)
    publish(named)
    assert [titles(user) for user in people] == [["named", "all"], [], ["named", "all"]]
    assert titles(new) == ["all"]


def test_named_people_and_groups_are_left_out_of_named_people_and_groups(people, crew):
    crew.user_set.add(people.root)
    send("Hello", to=[crew, people.bob], exclude=[people.alice])
    assert [titles(user) for user in people] == [[], ["Hello"], ["Hello"]]


def test_a_message_to_all_but_some_is_written_in_chunks(people, monkeypatch):
    monkeypatch.setattr("notifications.audience.CHUNK", 2)
    crowd(5)
    send("Hello", to=EVERYONE, exclude=[people.bob])
    assert Recipient.objects.count() == 7
    assert titles(people.bob) == []


@pytest.mark.parametrize("exclude", [EVERYONE, "bob", 5, [None]])
def test_what_cannot_be_left_out_is_refused(people, exclude):
    with pytest.raises(ValidationError) as refused:
        send("Hello", to=EVERYONE, exclude=exclude)
    assert list(refused.value.message_dict) == ["exclude"]
    assert not Message.objects.exists()


def test_who_would_be_nobody_is_refused(people):
    with pytest.raises(ValidationError) as refused:
        send("Hello", to=[people.alice], exclude=[people.alice])
    assert list(refused.value.message_dict) == ["to"]
    assert not Message.objects.exists()


async def test_an_open_stream_of_who_is_left_out_stays_silent(people, server, browser):
    alice, bob = await browser(server, people.alice), await browser(server, people.bob)
    await alice.open()
    await bob.open()
    await asend("psst", to=EVERYONE, exclude=[people.bob])
    assert await alice.read() == "psst"
    assert await bob.is_silent()


def test_the_count_is_what_comes_of_it(people, crew):
    """Whoever is counted before is a recipient afterwards, and nobody else."""
    empty, deck = (Group.objects.create(name=name) for name in ("empty", "deck"))
    many = crowd(4)
    gone = person("gone", is_active=False)
    crew.user_set.add(gone, *many[:2])
    deck.user_set.add(gone, people.root, *many[1:3])
    some = type(gone).objects.filter(pk__in=[many[0].pk, people.bob.pk])
    for to, exclude in [
        (EVERYONE, ()),
        (EVERYONE, [people.bob]),
        (EVERYONE, crew),
        (EVERYONE, [crew, people.alice]),
        (EVERYONE, [crew, gone, deck, some]),
        (crew, ()),
        ([crew, deck], [empty]),
        ([crew, deck], [deck]),
        (crew, deck),
        (crew, [deck, gone, people.alice]),
        ([crew, gone], [gone]),
        ([crew, people.alice, people.bob], [people.root]),
        ([crew, people.bob], [crew]),
        ([crew, some, people.root], [deck, people.bob]),
        ([some, gone], [some]),
        (list(people), [people.bob, people.alice]),
    ]:
        counted = count(Audience.of(to, exclude))
        message = send("Hello", to=to, exclude=exclude)
        got = message.recipients.values("user")
        accounts = type(gone).objects.filter(**({} if message.everyone else {"pk__in": got}))
        assert counted.people == accounts.count(), (to, exclude)
        assert counted.inactive == accounts.filter(is_active=False).count(), (to, exclude)
        everybody = Audience.of(to).everybody().count()
        assert counted.people + counted.left_out == everybody, (to, exclude)


def test_who_is_hidden_by_the_default_manager_is_not_counted(people, crew, monkeypatch):
    """As nothing is sent to them."""
    # Django makes it once, of the default manager: not of the one below, which would stay in it.
    assert Message.excluded_users.related_manager_cls

    class Shown(UserManager):
        def get_queryset(self):
            return super().get_queryset().exclude(username="alice")

    manager = Shown()
    manager.model = type(people.alice)
    monkeypatch.setattr(type(people.alice)._meta, "default_manager", manager)
    crew.user_set.add(people.bob)
    counted = count(Audience.of(crew))
    assert counted.people == send("Hello", to=crew).recipients.count() == 1
