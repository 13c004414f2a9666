"""Many who publish at once: one does it for all, and nobody waits for another's large audience."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.utils import timezone

from notifications import EVERYONE, audience, publish_due, publishing, send, withdraw
from notifications.models import Change, Message, Recipient
from tests.test_rules import once

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def crew(people):
    group = Group.objects.create(name="crew")
    group.user_set.add(people.alice, people.bob)
    return group


def due(title, **fields):
    now = timezone.now()
    return Message.objects.create(title=title, publish_at=now, due_at=now, **fields)


def log():
    return list(Change.objects.order_by("position").values_list("message__title", flat=True))


def test_who_has_the_lock_publishes_what_others_have_committed_while_it_waited(
    people, monkeypatch, in_thread
):
    due("mine", everyone=True)
    once(
        monkeypatch, publishing, "_append",
        before=lambda: in_thread(due, "committed meanwhile", everyone=True),
    )  # fmt: skip
    assert publish_due() == 2
    assert log() == ["mine", "committed meanwhile"]


def test_who_comes_too_late_finds_nothing_left_and_writes_nothing(people, monkeypatch, in_thread):
    due("x", everyone=True)
    once(monkeypatch, publishing, "_append", before=lambda: in_thread(publish_due))
    statements = []

    def record(execute, sql, params, many, context):
        statements.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(record):
        assert publish_due() == 0
    messages = connection.ops.quote_name(Message._meta.db_table)
    assert not [sql for sql in statements if sql.startswith(("INSERT", f"UPDATE {messages}"))]
    assert log() == ["x"]


def test_nobody_waits_while_anothers_members_are_written_nor_writes_them_too(
    people, crew, monkeypatch, in_thread
):
    written = []

    def meanwhile():
        message = in_thread(send, "quick", to=EVERYONE)
        written.append((message.position, Recipient.objects.count()))

    once(monkeypatch, publishing, "enlist_members", before=meanwhile)
    assert send("to the crew", to=[crew]).recipients.count() == 2
    assert written == [(1, 0)]
    assert log() == ["quick", "to the crew"]


def test_what_needs_no_members_is_said_before_any_are_written(people, crew, monkeypatch):
    due("to the crew").groups.set([crew])
    order = []
    once(monkeypatch, publishing, "enlist_members", before=lambda: order.extend(log()))
    send("quick", to=[people.alice])
    assert order == ["quick"]
    assert log() == ["quick", "to the crew"]


def test_when_a_process_dies_writing_members_another_goes_on_after_a_while(
    people, crew, monkeypatch
):
    def dies(*args):
        raise SystemExit

    monkeypatch.setattr(publishing, "enlist_members", dies)
    with pytest.raises(SystemExit):
        send("to the crew", to=[crew])
    monkeypatch.undo()
    assert publish_due() == 0
    later = timezone.now() + publishing.LEASE + timedelta(seconds=1)
    monkeypatch.setattr(publishing.timezone, "now", lambda: later)
    assert publish_due() == 1
    assert Recipient.objects.count() == 2


def test_what_is_withdrawn_while_its_members_are_written_is_not_published(
    people, crew, monkeypatch, in_thread
):
    message = due("to the crew")
    message.groups.set([crew])
    once(monkeypatch, publishing, "enlist_members", before=lambda: in_thread(withdraw, message))
    assert publish_due() == 0
    assert log() == []
    assert publish_due() == 0


def test_what_is_put_off_while_its_members_are_written_is_published_then(
    people, crew, monkeypatch, in_thread
):
    message = due("to the crew")
    message.groups.set([crew])
    tomorrow = timezone.now() + timedelta(days=1)
    once(
        monkeypatch, publishing, "enlist_members",
        before=lambda: in_thread(publishing.update, message, at=tomorrow),
    )  # fmt: skip
    assert publish_due() == 0
    message.refresh_from_db()
    assert message.due_at == tomorrow


@pytest.mark.only("postgresql", "mysql")  # SQLite has one writer: who is at work is alone
def test_nobody_waits_for_a_message_that_somebody_holds(people, crew, in_thread):
    message = due("to the crew")
    message.groups.set([crew])
    with transaction.atomic():
        withdraw(message)
        assert in_thread(send, "quick", to=EVERYONE).position == 1
    assert log() == ["quick"]


def test_however_long_members_take_nobody_else_begins_with_them(
    people, crew, monkeypatch, in_thread
):
    original, begun, clock = audience._write, [], [timezone.now()]

    def slowly(*args):
        begun.append(args)
        clock[0] += publishing.LEASE * 0.8
        if len(begun) <= 2:
            assert in_thread(publish_due) == 0
        return original(*args)

    monkeypatch.setattr(audience, "CHUNK", 1)
    monkeypatch.setattr(audience, "_write", slowly)
    monkeypatch.setattr(publishing.timezone, "now", lambda: clock[0])
    send("to the crew", to=[crew])
    assert len(begun) == 3  # two members, and the end
    assert log() == ["to the crew"]
