"""Transactions that truly overlap, led by hand step by step: what only a database server can show.

SQLite has one writer at a time, so none of this can happen there.
"""

import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection, connections, transaction
from django.utils import timezone

from notifications import (
    EVERYONE,
    acts,
    audience,
    doorbell,
    inbox,
    log,
    models,
    publish_due,
    send,
    update,
)
from notifications.models import Change, Head, Inbox, Message
from notifications.staff import reach

pytestmark = pytest.mark.only("postgresql", "mysql")

PATIENCE = 20.0  # s for what must not wait, on a busy machine; a database server waits for 50 s
# s; MariaDB tells what it told before, until nobody at all has asked for 0.1 s. So at random: two
# who ask at the same time, in step, would both be told the same for ever
# (https://dev.mysql.com/doc/refman/5.7/en/innodb-information-schema-internal-data.html).
GLANCE = 0.12, 0.6

# How many of this database's connections wait for a lock of another.
WAITING = {
    "postgresql": """
        SELECT COUNT(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'""",
    "mysql": """
        SELECT COUNT(*) FROM information_schema.innodb_trx
        JOIN information_schema.processlist ON id = trx_mysql_thread_id
        WHERE db = DATABASE() AND trx_state = 'LOCK WAIT'""",
}


class Somebody:
    """In a thread and on a database connection of their own, and does one thing at a time."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1)

    def __call__(self, work: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """What `work` returns; fails when it has to wait for somebody else."""
        return self.begin(work, *args, **options).result(PATIENCE)

    def begin(self, work: Callable[..., Any], *args: Any, **options: Any) -> "Future[Any]":
        """`work`, which may have to wait; `.result(PATIENCE)` when it need not any more."""
        return self._executor.submit(work, *args, **options)

    @contextmanager
    def transaction(self, *, then: str = "commit") -> Iterator[None]:
        """What they do inside the block is one transaction."""
        atomic = transaction.atomic()
        self(atomic.__enter__)
        try:
            yield
        finally:
            if then == "rollback":
                self(transaction.set_rollback, True)
            self(atomic.__exit__, *sys.exc_info())

    def leave(self) -> None:
        self._executor.submit(connections.close_all)
        self._executor.shutdown()


@pytest.fixture
def somebody(transactional_db: None) -> Iterator[Callable[[], Somebody]]:
    with ExitStack() as stack:

        def comes() -> Somebody:
            new = Somebody()
            stack.callback(new.leave)
            return new

        yield comes


@pytest.fixture
def one(somebody: Callable[[], Somebody]) -> Somebody:
    return somebody()


@pytest.fixture
def other(somebody: Callable[[], Somebody]) -> Somebody:
    return somebody()


@pytest.fixture
def third(somebody: Callable[[], Somebody]) -> Somebody:
    return somebody()


@pytest.fixture
def until_waiting(somebody: Callable[[], Somebody]) -> Callable[[int], None]:
    """`until_waiting(2)` returns when so many wait for a lock."""
    watcher = somebody()  # inside a transaction PostgreSQL would show the same activity again

    def until(number: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while (now := watcher(waiting)) != number:
            assert time.monotonic() < deadline, f"{now} wait for a lock"
            time.sleep(random.uniform(*GLANCE))

    return until


def waiting() -> int:
    with connection.cursor() as sql:
        sql.execute(WAITING[connection.vendor])
        return sql.fetchone()[0]


def due(title: str, **options: Any) -> Message:
    """A message that is to be published, and nobody has done it yet."""
    now = timezone.now()
    return Message.objects.create(title=title, publish_at=now, due_at=now, **options)


def titles(after: int = 0) -> list[str]:
    """What a reader is told who has read up to position `after`."""
    return [Message.objects.get(pk=c.message_id).title for c in log.page(after).changes]


# --- Senders ----------------------------------------------------------------------------------


def test_who_inserts_first_and_commits_last_holds_up_nobody_and_is_not_lost(people, one, other):
    with one.transaction():
        slow = one(send, "inserted first", to=[people.alice])
        fast = other(send, "committed first", to=EVERYONE)
        assert slow.pk < fast.pk
        assert titles() == ["committed first"]
        seen = log.head()
    assert titles(after=seen.position) == ["inserted first"]
    assert log.holds(seen)


def test_a_rollback_in_the_midst_of_others_leaves_no_hole(people, one, other):
    with one.transaction(then="rollback"):
        one(send, "rolled back", to=[people.alice])
        other(send, "one", to=EVERYONE)
    other(send, "two", to=EVERYONE)
    assert titles() == ["one", "two"]
    assert [change.position for change in log.page(0).changes] == [1, 2]


@pytest.mark.parametrize(("then", "winner"), [("commit", "one"), ("rollback", "other")])
def test_two_with_the_same_key_at_once_are_one_message(
    people, one, other, then, winner, until_waiting
):
    with one.transaction(then=then):
        one(send, "one", to=[people.alice], key="k")
        answer = other.begin(send, "other", to=[people.alice], key="k")
        until_waiting(1)
    assert answer.result(PATIENCE).title == winner
    assert titles() == [winner]


# --- Publishing -------------------------------------------------------------------------------


def test_a_message_that_somebody_works_on_is_passed_by_and_published_afterwards(one, other):
    held, free = due("held", everyone=True), due("free", everyone=True)
    with one.transaction():
        one(update, held, title="corrected")
        assert other(publish_due) == 1
        assert titles() == [free.title]
    assert titles() == ["free", "corrected"]
    assert publish_due() == 0


def test_who_waited_for_the_lock_finds_nothing_left_to_publish(
    one, other, until_waiting, monkeypatch
):
    due("once", everyone=True)
    about_to_commit, go_on = threading.Event(), threading.Event()

    def ring() -> None:  # the last thing in the transaction that publishes
        about_to_commit.set()
        assert go_on.wait(PATIENCE)

    monkeypatch.setattr(doorbell, "ring", ring)
    monkeypatch.setattr(models, "IDLE", int(PATIENCE))
    first = one.begin(publish_due)
    assert about_to_commit.wait(PATIENCE)
    late = other.begin(publish_due)  # finds it due, and waits for `Head`
    until_waiting(1)
    go_on.set()
    assert (first.result(PATIENCE), late.result(PATIENCE)) == (1, 0)
    assert titles() == ["once"]


def test_the_head_is_as_its_last_holder_left_it_whatever_was_read_before(one, other):
    with one.transaction():
        before = one(Head.objects.get)
        other(send, "meanwhile", to=EVERYONE)
        assert one(Head.lock).position == before.position + 1


def test_two_that_prepare_one_audience_at_once_write_each_member_once(
    people, one, other, until_waiting
):
    crew = Group.objects.create(name="crew")
    crew.user_set.add(people.alice, people.bob)
    message = due("to the crew")
    message.groups.add(crew)
    with one.transaction():
        one(audience.enlist_members, message)
        late = other.begin(audience.enlist_members, message)
        until_waiting(1)
    late.result(PATIENCE)
    assert publish_due() == 1
    assert sorted(row.user_id for row in message.recipients.all()) == [
        people.alice.pk,
        people.bob.pk,
    ]


def test_who_is_deleted_while_an_audience_is_written_holds_nothing_up(people, one, other):
    crew = Group.objects.create(name="crew")
    crew.user_set.add(people.alice, people.bob)
    message = due("to the crew")
    message.groups.add(crew)
    with one.transaction():
        one(people.bob.delete)
        assert other(audience.enlist_members, message)
    assert publish_due() == 1
    assert inbox.state(people.alice).unread == 1
    reach.attach([message])
    assert not User.objects.filter(username="bob").exists()


# --- Readers ----------------------------------------------------------------------------------


def test_acts_of_one_reader_take_turns_and_others_do_not_wait(
    people, one, other, third, until_waiting
):
    message = send("x", to=EVERYONE)
    Inbox.objects.ensure([people.alice.pk, people.bob.pk])
    with one.transaction():
        one(acts.read, people.alice, message.pk)
        late = other.begin(acts.archive, people.alice, message.pk)
        until_waiting(1)
        assert third(acts.read, people.bob, message.pk)
        assert third(send, "y", to=[people.alice]).position
    assert late.result(PATIENCE)
    state = inbox.state(people.alice)
    assert [(act["version"], act["act"]) for act in state.acts] == [(1, "read"), (2, "archived")]
    assert state.version == 2


@pytest.mark.parametrize("then", ["commit", "rollback"])
def test_two_may_make_the_same_inbox_at_once(people, one, other, then, until_waiting):
    with one.transaction(then=then):
        one(Inbox.objects.ensure, [people.alice.pk])
        late = other.begin(Inbox.objects.ensure, [people.alice.pk, people.bob.pk])
        until_waiting(1)
    late.result(PATIENCE)
    assert Inbox.objects.count() == 2


def test_the_last_try_of_a_consistent_read_holds_changes_off(
    people, one, other, monkeypatch, until_waiting
):
    """Where they come faster than it can read."""
    message = send("x", to=EVERYONE)
    monkeypatch.setattr(inbox, "TRIES", 0)
    monkeypatch.setattr(models, "IDLE", int(PATIENCE))
    read_page, late = inbox._items, []

    def page_while_others_come(*args: Any) -> Any:
        late.append(one.begin(send, "y", to=EVERYONE))
        late.append(other.begin(acts.read, people.alice, message.pk))
        until_waiting(2)
        return read_page(*args)

    monkeypatch.setattr(inbox, "_items", page_while_others_come)
    Inbox.objects.ensure([people.alice.pk])
    listing = inbox.listing(people.alice)
    assert [item.message.title for item in listing.items] == ["x"]
    assert (listing.state.unread, listing.state.cursor.position) == (1, 1)
    for each in late:
        each.result(PATIENCE)
    assert Change.objects.count() == 2
    assert inbox.state(people.alice).unread == 1
