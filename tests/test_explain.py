"""Why did she get it, and why did he not? In words, from what the rows say."""

from datetime import timedelta

import pytest
from django.utils import timezone

from notifications import EVERYONE, acts, inbox, publish_due, send, withdraw
from notifications.models import Message
from notifications.staff.explain import explain
from tests.people import person


def answer(message, user):
    message.refresh_from_db()
    found = explain(message, user)
    return " ".join([found.verdict, *found.reasons])


def later(hours=1):
    return timezone.now() + timedelta(hours=hours)


def test_who_was_named_got_it_and_when_it_was_read(people):
    message = send("Hello", to=[people.alice])
    said = answer(message, people.alice)
    assert said.startswith("alice got it. It was addressed by name. It was published on ")
    assert "Neither the bell nor the list has been looked at since." in said
    assert "It has not been read." in said
    acts.seen(people.alice)
    acts.read(people.alice, message.pk)
    said = answer(message, people.alice)
    assert "The bell or the list has been looked at since. It was first read on " in said
    acts.unread(people.alice, message.pk)
    acts.archive(people.alice, message.pk)
    said = answer(message, people.alice)
    assert "It was first read on " in said
    assert "It was archived on " in said


def test_what_was_marked_unread_again_says_so(people):
    message = send("Hello", to=[people.alice])
    acts.read(people.alice, message.pk)
    acts.unread(people.alice, message.pk)
    assert "It has been marked unread again." in answer(message, people.alice)


def test_who_was_not_addressed_did_not(people, crew):
    assert answer(send("Hello", to=[people.alice]), people.bob) == (
        "bob did not get it. It was not addressed by name, and the message is for no group."
    )
    said = answer(send("Hello", to=[crew]), people.bob)
    assert said.startswith(
        "bob did not get it. It was not addressed by name. "
        "It was sent to crew, of which this account is no member. "
        "It never was, or had left before the message was published, on "
    )


def test_a_member_got_it_also_when_no_member_any_more(people, crew):
    message = send("Hello", to=[crew])
    crew.user_set.remove(people.alice)
    assert "alice got it. It came as to a member of a group." in answer(message, people.alice)


def test_who_joined_the_group_later_did_not(people, crew):
    message = send("Hello", to=[crew])
    crew.user_set.add(people.bob)
    assert answer(message, people.bob).startswith(
        "bob did not get it. It was sent to crew, of which this account is a member now. "
        "It was none when the message was published, on "
    )


@pytest.mark.parametrize("came", [False, True])
def test_an_account_made_later_did_not_get_what_was_for_everyone(people, came):
    message = send("Hello", to=EVERYONE)
    late = person("late")
    if came:
        inbox.listing(late)
    said = answer(message, late)
    assert said.startswith("late did not get it. It is for the accounts that there were when ")
    assert "This account was made on " in said


def test_everyone_gets_it_and_who_has_not_been_here_finds_it_on_coming(people):
    message = send("Hello", to=EVERYONE)
    assert "It is for alice, who has not been here yet, and finds it on coming." in answer(
        message, people.alice
    )
    inbox.listing(people.alice)
    assert answer(message, people.alice).startswith("alice got it. It is for everyone.")
    withdraw(message)
    assert "It was for bob, who has not been here while it was to be read." in answer(
        message, people.bob
    )


def test_an_inactive_account_is_said_to_be(people):
    message = send("Hello", to=[people.alice])
    type(people.alice).objects.filter(pk=people.alice.pk).update(is_active=False)
    people.alice.refresh_from_db()
    assert "The account is inactive: whoever cannot log in reads nothing." in answer(
        message, people.alice
    )


def test_what_was_withdrawn_or_expired_was_there_until_then(people):
    message = send("Hello", to=[people.alice])
    withdraw(message)
    assert "It was withdrawn on " in answer(message, people.alice)
    other = send("Hello", to=[people.alice], expires=later())
    Message.objects.filter(pk=other.pk).update(expires_at=timezone.now(), due_at=timezone.now())
    publish_due()
    assert "It expired on " in answer(other, people.alice)


def test_what_is_to_come_says_who_will_get_it(people, crew):
    named = send("Hello", to=[people.alice], at=later())
    assert answer(named, people.alice).startswith("alice will get it, as things are now.")
    assert answer(named, people.bob).startswith("bob will not get it, as things are now.")
    grouped = send("Hello", to=[crew], at=later())
    assert answer(grouped, people.alice).startswith("alice will get it, as things are now.")
    assert answer(grouped, people.bob).startswith("bob will not get it, as things are now.")
    assert "It is to be published on " in answer(grouped, people.bob)
    everyone = send("Hello", to=EVERYONE, at=later())
    assert answer(everyone, people.bob).startswith("bob will get it, as things are now.")


def test_what_never_was_published_nobody_got(people):
    message = send("Hello", to=[people.alice], at=later())
    withdraw(message)
    said = answer(message, people.alice)
    assert said.startswith("alice did not get it, and nobody else did. It was withdrawn before ")
    draft = Message.objects.create(title="Hello", everyone=True)
    assert answer(draft, people.alice) == "alice will get it, as things are now. It is a draft."


def test_what_had_expired_before_it_could_be_published_nobody_got(people):
    message = send("Hello", to=EVERYONE, at=later(1), expires=later(2))
    past = timezone.now() - timedelta(hours=1)
    Message.objects.filter(pk=message.pk).update(publish_at=past, expires_at=past, due_at=past)
    publish_due()
    assert "It had expired before it could be published, on " in answer(message, people.alice)


def test_who_is_left_out_is_told_why(people, crew):
    message = Message.objects.create(title="Hello", everyone_but=True, publish_at=later())
    message.excluded_users.add(people.bob)
    message.excluded_groups.add(crew)
    assert "bob will not get it, as things are now." in answer(message, people.bob)
    assert "alice will not get it, as things are now." in answer(message, people.alice)
    assert answer(message, people.root).startswith("root will get it, as things are now.")
