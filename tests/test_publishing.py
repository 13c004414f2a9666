"""Sending: what is accepted, when it is said in the log, and in which order."""

import threading
from datetime import datetime, timedelta
from datetime import timezone as fixed

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone

from notifications import (
    EVERYONE,
    asend,
    audience,
    publish_due,
    publishing,
    send,
    update,
    wire,
    withdraw,
)
from notifications.models import Change, Head, Message, Recipient

pytestmark = pytest.mark.django_db(transaction=True)


def positions():
    return list(Change.objects.order_by("position").values_list("position", "event"))


def test_a_message_to_everyone_is_one_row_whatever_the_number_of_accounts(people):
    message = send("The lift works again.", to=EVERYONE)
    assert message.published_at
    assert message.position == 1
    assert not Recipient.objects.exists()


def test_users_groups_and_querysets_can_be_mixed_and_each_person_gets_it_once(people):
    crew = Group.objects.create(name="crew")
    crew.user_set.add(people.alice, people.bob)
    message = send("hi", to=[crew, people.alice, User.objects.filter(username="root")])
    rows = message.recipients.values_list("user__username", "via")
    assert sorted(rows) == [("alice", "name"), ("bob", "group"), ("root", "name")]


@pytest.mark.parametrize("to", ["user", "group", "queryset", "sliced", "tuple"])
def test_an_audience_may_stand_alone(people, to):
    crew = Group.objects.create(name="crew")
    crew.user_set.add(people.alice)
    alone = User.objects.filter(pk=people.alice.pk)
    audiences = {"user": people.alice, "group": crew, "queryset": alone}
    audiences |= {"sliced": alone[:5], "tuple": (people.alice,)}
    message = send("hi", to=audiences[to])
    assert [row.user for row in message.recipients.all()] == [people.alice]


def test_large_audiences_are_written_in_chunks(people, monkeypatch, django_assert_max_num_queries):
    monkeypatch.setattr(audience, "CHUNK", 7)
    User.objects.bulk_create(User(username=f"u{n}") for n in range(30))
    crew = Group.objects.create(name="crew")
    crew.user_set.set(User.objects.all())
    message = send("hi", to=crew)
    assert message.recipients.count() == 33
    assert send("hi", to=User.objects.all()).recipients.count() == 33
    assert send("hi", to=list(User.objects.all())).recipients.count() == 33


BAD = {
    "title": [{"title": ""}, {"title": "  \n"}, {"title": "x" * 201}, {"title": None}],
    "body": [{"body": "x" * 10_001}, {"body": "a\x00b"}, {"body": "\ud800"}],
    "level": [{"level": "loud"}],
    "link": [
        {"link": link}
        for link in (
            "javascript:alert(1)", "JaVaScRiPt:alert(1)", "//evil.example", "/\\evil.example", "x",
            "ftp://a.example", "https://", " /x", "/a b", "/a\n//evil", "\t/x", "data:text/html,x",
            "http:/x", "/" + "x" * 2000,
        )
    ],
    "to": [{"to": to} for to in ([], None, "alice", ["alice"], 7, [User(username="new")])],
    "at": [{"at": timezone.now().replace(tzinfo=None)}, {"at": "tomorrow"},
           {"at": datetime(1, 1, 1, tzinfo=fixed(timedelta(hours=8)))}],
    "expires": [{"expires": datetime(9999, 12, 31, 23, tzinfo=fixed(timedelta(hours=-8)))},
                {"expires": timezone.now()}, {"expires": timezone.now().replace(tzinfo=None)}],
    "key": [{"key": ""}, {"key": "x" * 201}, {"key": "a\x00b"}, {"key": "\ud800"}],
    "sender": [{"sender": "alice"}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("field", "given"),
    [
        pytest.param(field, given, id=f"{field}-{number}")
        for field, several in BAD.items()
        for number, given in enumerate(several)
    ],
)
def test_bad_input_is_refused_by_field_before_anything_is_written(people, field, given):
    with pytest.raises(ValidationError) as refused:
        send(**{"title": "x", "to": EVERYONE, **given})
    assert list(refused.value.message_dict) == [field]
    assert not Message.objects.exists()


@pytest.mark.parametrize("link", ["/", "/a?b=c#d", "http://a.example", "HTTPS://a.example:8/ü"])
def test_links_to_http_and_to_this_site_are_accepted(people, link):
    assert send("x", to=EVERYONE, link=link).link == link


def test_an_audience_of_nobody_is_refused_and_nothing_is_written(people):
    with pytest.raises(ValidationError, match="Nobody"):
        send("x", to=User.objects.filter(username="nobody"))
    assert not Message.objects.exists()


def test_the_body_is_rendered_once_and_the_text_as_written_stays(people):
    body = "**bold** <script>x</script> [a](javascript:x) [b](https://b.example)"
    message = send("x", to=EVERYONE, body=body)
    assert message.body == body
    assert "<strong>bold</strong>" in message.html
    assert "<script" not in message.html
    assert 'href="javascript' not in message.html
    assert 'href="https://b.example" rel="noopener noreferrer nofollow"' in message.html


async def test_asend_is_send_for_async_code(people):
    assert (await asend("x", to=[people.alice])).position == 1


def test_a_message_is_published_if_and_only_if_its_senders_transaction_commits(people):
    with transaction.atomic():
        message = send("committed", to=[people.alice])
        assert message.position is None
        assert not Change.objects.exists()
    message.refresh_from_db()
    assert message.position == 1

    with transaction.atomic():
        send("rolled back", to=[people.alice])
        transaction.set_rollback(True)
    assert list(Message.objects.values_list("title", flat=True)) == ["committed"]
    assert positions() == [(1, "published")]


def test_a_rollback_leaves_no_hole_in_the_log(people):
    send("one", to=EVERYONE)
    with transaction.atomic():
        send("two", to=EVERYONE)
        transaction.set_rollback(True)
    send("three", to=EVERYONE)
    assert positions() == [(1, "published"), (2, "published")]


def test_positions_are_in_the_order_of_commits_not_of_ids(people, in_thread):
    """Two connections, inverted by hand: the first id commits last."""
    # SQLite has one writer, so the two cannot overlap there: the id is taken, the commit is what
    # is put off (a message that is due later in its own sender's transaction).
    first = Message.objects.create(title="id taken first", everyone=True)
    second = send("commits first", to=EVERYONE)
    now = timezone.now()
    Message.objects.filter(pk=first.pk).update(publish_at=now, due_at=now)
    in_thread(publish_due)
    first.refresh_from_db()
    assert first.pk < second.pk
    assert (second.position, first.position) == (1, 2)


def test_each_change_carries_the_word_of_the_one_before(people):
    head = Head.objects.get()
    for n in range(3):
        send(str(n), to=EVERYONE)
    words = [head.word]
    for change in Change.objects.order_by("position"):
        assert change.before == words[-1]
        words.append(change.word)
    assert len(set(words)) == 4
    assert Head.objects.get().cursor == (words[-1], 3)


def test_the_same_key_twice_is_one_message(people):
    first = send("once", to=EVERYONE, key="k")
    assert send("twice", to=[people.bob], key="k") == first
    assert positions() == [(1, "published")]
    assert send("other", to=EVERYONE) != send("other", to=EVERYONE)


def test_keys_are_compared_character_by_character(people):
    keys = ["k", "K", "k ", "ḱ", "\N{KELVIN SIGN}", "\U0001f511"]
    assert len({send(key, to=EVERYONE, key=key).pk for key in keys}) == len(keys)


def test_who_was_slower_with_the_same_key_gets_the_message_of_the_faster(people, monkeypatch):
    """The other process commits after we looked for the key and before we insert."""
    faster = send("faster", to=EVERYONE, key="k")
    answers = iter([None, faster])
    monkeypatch.setattr(publishing, "_keyed", lambda key: next(answers))
    assert send("slower", to=[people.bob], key="k") == faster
    assert positions() == [(1, "published")]
    assert not Recipient.objects.exists()


def test_a_scheduled_message_is_published_when_it_is_due(people):
    message = send("later", to=[people.alice], at=timezone.now() + timedelta(hours=1))
    assert message.position is None
    assert publish_due() == 0
    Message.objects.update(publish_at=timezone.now(), due_at=timezone.now())
    assert publish_due() == 1
    assert publish_due() == 0
    message.refresh_from_db()
    assert message.position == 1


def test_members_are_those_of_the_moment_of_publishing(people):
    crew = Group.objects.create(name="crew")
    crew.user_set.add(people.alice)
    message = send("later", to=[crew], at=timezone.now() + timedelta(hours=1))
    # A process prepared the audience and died; then alice left and bob joined.
    audience.enlist_members(message)
    crew.user_set.set([people.bob])
    Message.objects.update(publish_at=timezone.now(), due_at=timezone.now())
    publish_due()
    assert [row.user for row in message.recipients.all()] == [people.bob]


def test_an_orphan_of_a_killed_sender_is_published_by_whoever_comes_next(people, monkeypatch):
    monkeypatch.setattr(publishing, "_publish_at_once", lambda: None)  # killed after the commit
    orphan = send("orphan", to=[people.alice])
    assert orphan.position is None
    monkeypatch.undo()
    assert publish_due() == 1


def test_what_has_expired_is_said_once(people):
    message = send("short", to=EVERYONE, expires=timezone.now() + timedelta(hours=1))
    assert publish_due() == 0
    Message.objects.update(expires_at=timezone.now(), due_at=timezone.now())
    assert publish_due() == 1
    assert publish_due() == 0
    message.refresh_from_db()
    assert message.expired_at
    assert positions() == [(1, "published"), (2, "expired")]


def test_an_update_is_said_and_a_second_one_again(people):
    message = send("x", to=EVERYONE, body="old")
    message = update(message, body="**new**", level="error")
    assert message.edited_at
    assert message.html == "<p><strong>new</strong></p>"
    update(message, title="y")
    assert positions() == [(1, "published"), (2, "updated"), (3, "updated")]


def test_a_message_whose_end_moves_is_not_edited(people):
    """Readers are told of it all the same."""
    message = send("x", to=EVERYONE)
    message = update(message, expires=timezone.now() + timedelta(hours=1))
    told = wire.event(Change.objects.get(position=2), message)
    assert told.name == "update"
    assert told.data["expires_at"] == message.expires_at
    assert "edited_at" not in told.data
    edited = update(message, title="y").edited_at
    assert edited
    moved = update(message, title="y", expires=None)
    assert (moved.edited_at, moved.expires_at) == (edited, None)
    assert positions()[2:] == [(3, "updated"), (4, "updated")]


def test_an_update_by_a_server_whose_clock_is_ahead_is_said_once(people):
    message = send("x", to=EVERYONE)
    ahead = timezone.now() + timedelta(minutes=5)
    Message.objects.update(revised_at=ahead, due_at=timezone.now())
    assert publish_due() == 1
    assert publish_due() == 0
    message.refresh_from_db()
    assert message.updated_at == ahead


def test_updating_what_is_scheduled_says_nothing_and_may_move_it(people):
    message = send("x", to=EVERYONE, at=timezone.now() + timedelta(hours=1))
    moved = update(message, title="y", at=timezone.now())
    assert (moved.title, moved.position, moved.edited_at) == ("y", 1, None)
    assert positions() == [(1, "published")]


def test_withdrawing_twice_is_withdrawing_once_and_is_final(people):
    message = withdraw(send("x", to=EVERYONE))
    assert message.withdrawn_at
    withdraw(message)
    assert positions() == [(1, "published"), (2, "withdrawn")]
    with pytest.raises(ValidationError, match="withdrawn"):
        update(message, title="y")


def test_what_is_withdrawn_before_it_is_due_is_never_published(people):
    message = send("x", to=EVERYONE, at=timezone.now() + timedelta(hours=1))
    assert withdraw(message).withdrawn_at
    Message.objects.update(publish_at=timezone.now(), due_at=timezone.now())
    publish_due()
    assert positions() == []


def test_updates_and_withdrawals_that_roll_back_never_happened(people):
    message = send("x", to=EVERYONE)
    for act in (lambda: update(message, title="y"), lambda: withdraw(message)):
        with transaction.atomic():
            act()
            transaction.set_rollback(True)
    message.refresh_from_db()
    assert (message.title, message.withdraw_at) == ("x", None)
    assert positions() == [(1, "published")]


def test_bad_updates_are_refused_and_change_nothing(people):
    message = send("x", to=EVERYONE)
    for bad in ({"title": ""}, {"level": "loud"}, {"at": timezone.now()}, {"link": "//x"}):
        with pytest.raises(ValidationError):
            update(message, **bad)
    assert positions() == [(1, "published")]


def test_an_error_while_publishing_does_not_reach_the_sender(people, monkeypatch, caplog):
    """Its message is committed and due: the next one publishes it."""

    def broken():
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(publishing, "_append", broken)
    message = send("x", to=EVERYONE)
    assert message.position is None
    assert "the disk is full" in caplog.text
    monkeypatch.undo()
    assert publish_due() == 1


def test_an_error_while_it_is_told_does_not_reach_the_sender(people, monkeypatch, caplog):
    def broken(*args, **options):
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(publishing, "say", broken)
    assert send("x", to=EVERYONE).position == 1
    assert "the disk is full" in caplog.text
    assert "AttributeError" not in caplog.text


def test_eight_threads_publish_each_message_once(people, in_thread):
    now = timezone.now()
    Message.objects.bulk_create(
        Message(title=str(n), everyone=True, publish_at=now, due_at=now) for n in range(200)
    )
    threads = [threading.Thread(target=in_thread, args=(publish_due,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [position for position, _ in positions()] == list(range(1, 201))
    assert Message.objects.filter(position=None).count() == 0
    assert connection.in_atomic_block is False
    assert get_user_model().objects.count() == 3
