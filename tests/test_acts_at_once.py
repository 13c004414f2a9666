"""A broadcast brings all its readers at once: none of them waits for another, or for a sender.

Not on SQLite, where everybody who writes waits for everybody: there is one lock for all.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, connections, transaction

from notifications import EVERYONE, acts, inbox, send
from notifications.models import Head, Inbox, Message

WAIT = 10.0  # s for what must not wait: a test that needs them has failed
EACH = [acts.read, acts.unread, acts.archive, acts.unarchive]
ALL_AT_ONCE = connection.vendor != "sqlite"


@pytest.fixture
def at_once(transactional_db: None) -> Iterator[Callable[..., Any]]:
    """`at_once(work, ...)` does it in another thread, and fails when it has to wait for us."""
    with ThreadPoolExecutor(1) as executor:

        def run(work: Callable[..., Any], *args: Any) -> Any:
            return executor.submit(work, *args).result(WAIT)

        yield run
        executor.submit(connections.close_all).result()


@contextmanager
def held(*rows: Any) -> Iterator[None]:
    """These rows are locked by a transaction that takes its time."""
    with transaction.atomic():
        for queryset in rows:
            assert list(queryset.select_for_update())
        yield


def do_everything(user: Any, message: Message) -> None:
    for act in EACH:
        assert act(user, message.pk)
    acts.seen(user)
    acts.read_all(user)


if ALL_AT_ONCE:

    @pytest.mark.parametrize("to", ["everyone", "bob"])
    def test_no_act_waits_for_another_readers(people, at_once, to):
        message = send("to read", to=EVERYONE if to == "everyone" else [people.alice, people.bob])
        acts.read(people.alice, message.pk)
        with transaction.atomic():
            acts.unread(people.alice, message.pk)  # and takes her time
            acts.archive(people.alice, message.pk)
            at_once(do_everything, people.bob, message)
        assert inbox.state(people.bob).unread == 0

    def test_no_act_waits_for_the_lock_of_the_log(people, at_once):
        message = send("to read", to=EVERYONE)
        Inbox.objects.ensure([people.alice.pk, people.bob.pk])
        with held(Head.objects.all(), Inbox.objects.filter(pk=people.alice.pk)):
            at_once(do_everything, people.bob, message)

    def test_no_act_that_is_under_way_holds_publishing_up(people, at_once):
        message = send("to read", to=EVERYONE)
        with transaction.atomic():
            acts.read(people.alice, message.pk)  # for the first time: it makes her row
            assert at_once(lambda: send("another", to=EVERYONE).position)


@pytest.mark.parametrize("to", ["everyone", "bob"])
def test_an_act_is_four_statements(people, django_assert_num_queries, to):
    """The lock, the message, the reader's row of it, the record."""
    message = send("to read", to=EVERYONE if to == "everyone" else [people.bob])
    Inbox.objects.ensure([people.bob.pk])
    with transaction.atomic():
        for act in EACH:
            with django_assert_num_queries(6):  # and two of a savepoint
                assert act(people.bob, message.pk)


def test_no_act_rings_between_processes(people, django_assert_num_queries, monkeypatch):
    message = send("to read", to=EVERYONE)
    asked: list[str] = []

    def note(execute: Any, sql: str, *args: Any) -> Any:
        asked.append(sql)
        return execute(sql, *args)

    monkeypatch.setattr("notifications.doorbell.ring", lambda: asked.append("RING"))
    with connection.execute_wrapper(note):
        do_everything(people.bob, message)
        acts.end_streams(people.bob.pk)
    assert asked
    assert not [sql for sql in asked if "NOTIFY" in sql.upper() or sql == "RING"]
