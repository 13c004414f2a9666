"""One user's list and counts, and what that user does with messages."""

import threading

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from notifications import EVERYONE, acts, inbox, send, update, withdraw
from notifications.models import Change, Inbox, Message, Recipient

pytestmark = pytest.mark.django_db(transaction=True)


def titles(user, filter="all", before=None):
    return [item.message.title for item in inbox.listing(user, filter, before).items]


def counts(user):
    state = inbox.state(user)
    return state.unread, state.unseen


def acted(user):
    return [(act["act"], act["ids"]) for act in inbox.state(user).acts]


def test_nobody_lists_counts_or_touches_what_is_not_addressed_to_them(people):
    secret = send("for alice", to=[people.alice])
    assert titles(people.alice) == ["for alice"]
    assert titles(people.bob) == []
    assert counts(people.bob) == (0, 0)
    assert inbox.item(people.bob, secret.pk) is None
    for act in (acts.read, acts.unread, acts.archive, acts.unarchive):
        assert act(people.bob, secret.pk) is False
    acts.read_all(people.bob)
    assert counts(people.alice) == (1, 1)
    assert inbox.state(people.bob).version == 0
    assert not Recipient.objects.filter(user=people.bob).exists()


def test_what_is_not_published_is_invisible_though_its_recipients_are_written(people):
    soon = timezone.now() + timezone.timedelta(hours=1)
    later = send("later", to=[people.alice], at=soon)
    also_later = send("also later", to=EVERYONE, at=soon)
    assert Recipient.objects.exists()
    assert titles(people.alice) == []
    assert counts(people.alice) == (0, 0)
    assert inbox.item(people.alice, later.pk) is None
    assert not acts.read(people.alice, also_later.pk)


def test_the_list_is_in_the_order_of_positions_and_pages_have_no_gap_and_no_repeat(people):
    for n in range(70):
        send(str(n), to=EVERYONE if n % 3 else [people.alice])
    walked, before = [], None
    while True:
        page = inbox.listing(people.alice, "all", before)
        walked += [item.message.title for item in page.items]
        if not page.more:
            break
        before = page.items[-1].position
        send("arrives while she turns the page", to=EVERYONE)
    assert walked == [str(n) for n in reversed(range(70))]


@pytest.mark.parametrize("kind", ["all", "unread", "archived"])
def test_who_has_many_messages_has_the_same_pages_whether_or_not_they_are_near(
    people, monkeypatch, kind
):
    alice = people.alice
    for n in range(70):
        to = EVERYONE if n % 3 == 0 else [alice if n % 3 == 1 else people.bob]
        message = send(str(n), to=to)
        if n % 4 == 0:
            acts.read(alice, message.pk)
        if n % 5 == 0:
            acts.archive(alice, message.pk)
        if n % 11 == 0:
            withdraw(message)

    def walk():
        walked, before = [], None
        while True:
            page = inbox.listing(alice, kind, before)
            walked.append([item.message.title for item in page.items])
            if not page.more:
                return walked
            before = page.items[-1].position

    monkeypatch.setattr(inbox, "PAGE", 4)
    wanted = walk()
    assert sum(map(len, wanted)) > 6
    monkeypatch.setattr(inbox, "MANY", 2)
    for near in (1, 8, 30, 1_000):
        monkeypatch.setattr(inbox, "NEAR", near)
        assert walk() == wanted


def test_of_who_has_many_messages_only_the_last_are_looked_at(people, monkeypatch):
    monkeypatch.setattr(inbox, "PAGE", 4)
    monkeypatch.setattr(inbox, "MANY", 10)
    monkeypatch.setattr(inbox, "NEAR", 8)
    for n in range(20):
        send(str(n), to=[people.alice])
    with CaptureQueriesContext(connection) as queries:
        assert titles(people.alice) == ["19", "18", "17", "16"]
    pages = [query["sql"] for query in queries if "ORDER BY 1 DESC" in query["sql"]]
    assert len(pages) == 2, "by name and to everyone"
    assert "BETWEEN 13 AND 20" in pages[0]


def test_unread_is_inside_and_unseen_outside(people):
    first = send("1", to=EVERYONE)
    send("2", to=[people.alice])
    assert counts(people.alice) == (2, 2)
    acts.seen(people.alice, first.position)
    assert counts(people.alice) == (2, 1)
    acts.seen(people.alice)
    assert counts(people.alice) == (2, 0)
    acts.read(people.alice, first.pk)
    assert counts(people.alice) == (1, 0)
    send("3", to=EVERYONE)
    assert counts(people.alice) == (2, 1)
    acts.unread(people.alice, first.pk)
    assert counts(people.alice) == (3, 1), "marked unread again, it stays seen"


@pytest.mark.parametrize("to_everyone", [True, False], ids=["everyone", "named"])
def test_a_message_goes_through_all_its_states(people, to_everyone):
    message = send("x", to=EVERYONE if to_everyone else [people.alice])
    alice = people.alice
    acts.read(alice, message.pk)
    first_read = Recipient.objects.get(user=alice).first_read_at
    assert (titles(alice, "unread"), counts(alice)) == ([], (0, 0))
    acts.unread(alice, message.pk)
    assert (titles(alice, "unread"), counts(alice)) == (["x"], (1, 1))
    acts.archive(alice, message.pk)
    assert (titles(alice), titles(alice, "archived"), counts(alice)) == ([], ["x"], (0, 0))
    acts.unarchive(alice, message.pk)
    (item,) = inbox.listing(alice).items
    assert (item.read, item.archived, counts(alice)) == (True, False, (0, 0))
    assert Recipient.objects.get(user=alice).first_read_at == first_read
    assert [act for act, _ in acted(alice)] == ["read", "unread", "archived", "unarchived"]


def test_doing_what_is_done_already_is_no_act(people):
    message = send("x", to=EVERYONE)
    acts.unread(people.alice, message.pk)
    acts.unarchive(people.alice, message.pk)
    assert not Recipient.objects.exists()
    for _ in range(3):
        acts.read(people.alice, message.pk)
        acts.read_all(people.alice)
        acts.seen(people.alice)
    assert acted(people.alice) == [("read", [message.pk]), ("seen", [])]


def test_what_is_put_away_is_put_away_once(people):
    message = send("x", to=[people.alice])
    for act in (acts.archive, acts.unread, acts.archive):
        assert act(people.alice, message.pk)
    assert [act for act, _ in acted(people.alice)] == ["archived", "unread"]


def test_no_number_is_too_large_to_be_nobodys_message(people):
    assert acts.read(people.alice, 2**63 - 1) is False
    assert acts.read(people.alice, 2**63) is False


def test_an_act_may_be_the_first_thing_that_is_heard_of_a_reader(people):
    old, new = send("before the account", to=EVERYONE), User(username="new")
    new.date_joined = timezone.now()
    new.save()
    message = send("after it", to=EVERYONE)
    assert not acts.read(new, old.pk)
    Inbox.objects.all().delete()
    assert acts.read(new, message.pk)
    row = Inbox.objects.get()
    assert (row.since, row.version, row.seen, row.endings) == (old.position, 1, 0, 0)
    assert acts.read(people.bob, old.pk)


def test_mark_all_as_read_is_one_act_whatever_the_number(people):
    messages = [send(str(n), to=EVERYONE if n % 2 else [people.alice]) for n in range(20)]
    acts.read(people.alice, messages[0].pk)
    acts.unread(people.alice, messages[0].pk)
    acts.archive(people.alice, messages[1].pk)
    acts.read_all(people.alice)
    assert counts(people.alice) == (0, 0)
    assert acted(people.alice)[3:] == [("all-read", [])]
    assert counts(people.bob) == (10, 10)


def test_a_page_that_missed_more_acts_than_are_kept_is_told_so(people):
    message = send("x", to=EVERYONE)
    for _ in range(acts.KEPT):
        acts.read(people.alice, message.pk)
        acts.unread(people.alice, message.pk)
    state = inbox.state(people.alice)
    assert state.acts_since(state.version) == []
    assert len(state.acts_since(state.version - acts.KEPT)) == acts.KEPT
    assert state.acts_since(state.version - acts.KEPT - 1) is None
    assert state.acts_since(state.version + 1) == []


def test_withdrawn_and_expired_messages_are_in_no_list_and_no_count_and_say_so(people):
    one, two = send("1", to=EVERYONE), send("2", to=[people.alice])
    acts.read(people.alice, one.pk)
    withdraw(one)
    withdraw(two)
    assert titles(people.alice) == titles(people.alice, "archived") == []
    assert counts(people.alice) == (0, 0)
    assert inbox.item(people.alice, two.pk).message.withdrawn_at
    assert inbox.item(people.bob, two.pk) is None


def test_an_edited_message_keeps_its_place_and_its_counts(people):
    message = send("x", to=EVERYONE)
    send("y", to=EVERYONE)
    acts.read(people.alice, message.pk)
    update(message, title="z")
    assert titles(people.alice) == ["y", "z"]
    assert counts(people.alice) == (1, 1)


def test_everyone_is_the_accounts_that_existed_when_it_was_published(people):
    before = send("before carol", to=EVERYONE)
    carol = User.objects.create_user("carol")
    send("after carol", to=EVERYONE)
    assert titles(carol) == ["after carol"]
    assert counts(carol) == (1, 1)
    assert inbox.item(carol, before.pk) is None
    assert not acts.read(carol, before.pk)


def test_an_account_that_is_activated_again_sees_what_was_published_meanwhile(people):
    User.objects.filter(pk=people.bob.pk).update(is_active=False)
    send("meanwhile", to=EVERYONE)
    User.objects.filter(pk=people.bob.pk).update(is_active=True)
    assert titles(people.bob) == ["meanwhile"]


def test_states_of_many_users_are_read_by_one_statement(people, django_assert_num_queries):
    everybody = [*User.objects.bulk_create(User(username=f"u{n}") for n in range(50))]
    Inbox.objects.ensure([user.pk for user in everybody])
    for n in range(5):
        send(str(n), to=[everybody[n]])
    with django_assert_num_queries(1):
        (states,) = inbox.states([user.pk for user in everybody])
    assert [states[user.pk].unread for user in everybody[:6]] == [1, 1, 1, 1, 1, 0]


@pytest.mark.parametrize("messages", [3, 300])
def test_a_page_takes_the_same_few_queries_whatever_there_is(
    people, messages, django_assert_max_num_queries
):
    now = timezone.now()
    Message.objects.bulk_create(
        Message(title=str(n), everyone=True, position=n, published_at=now)
        for n in range(1, messages + 1)
    )
    inbox.state(people.alice)
    with django_assert_max_num_queries(6):
        inbox.listing(people.alice)


def test_two_acts_of_one_user_at_once_both_count(people, in_thread):
    ids = [send(str(n), to=EVERYONE).pk for n in range(8)]
    threads = [threading.Thread(target=in_thread, args=(acts.read, people.alice, pk)) for pk in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    state = inbox.state(people.alice)
    assert (state.unread, state.version, len(state.acts)) == (0, 8, 8)


def test_acts_of_a_user_write_nothing_to_the_log(people):
    message = send("x", to=EVERYONE)
    acts.read(people.alice, message.pk)
    acts.read_all(people.bob)
    acts.seen(people.bob)
    assert Change.objects.count() == 1
