"""`manage.py prune` deletes what no reader needs any more, and nothing else."""

from datetime import timedelta

import pytest
from django.core.management.base import CommandError
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from notifications import EVERYONE, inbox, log, pruning, publish_due, send, update, withdraw
from notifications.cursor import Cursor
from notifications.models import Change, Head, Inbox, Message, Recipient
from notifications.pruning import Pruned, prune
from tests.commands import call, shell
from tests.people import crowd

AGO = timedelta(days=31)


def age(*positions, by=AGO):
    """Let these changes, and what they did to their messages, be of long ago."""
    then = timezone.now() - by
    changes = Change.objects.filter(position__in=positions)
    for change in changes:
        rows = Message.objects.filter(pk=change.message_id)
        rows.exclude(withdrawn_at=None).update(withdrawn_at=then)
        rows.exclude(expired_at=None).update(expired_at=then)
    changes.update(at=then)


def positions():
    return list(Change.objects.order_by("position").values_list("position", flat=True))


def cursors():
    """Of each change, and of the beginning."""
    first = Change.objects.order_by("position").first()
    return [Cursor(first.before, first.position - 1), *(c.cursor for c in Change.objects.all())]


def sent(count, **options):
    return [send(f"message {n}", to=EVERYONE, **options) for n in range(count)]


def test_old_changes_go_and_young_ones_stay(people):
    sent(4)
    age(1, 2)
    assert prune() == Pruned(changes=2)
    assert positions() == [3, 4]


def test_live_messages_stay_in_the_list_and_in_the_counts(people):
    sent(3)
    age(1, 2, 3)
    assert prune().changes == 3
    listing = inbox.listing(people.alice)
    assert [item.message.title for item in listing.items] == ["message 2", "message 1", "message 0"]
    assert listing.state.unread == 3


def test_only_a_beginning_of_the_log_is_deleted_though_clocks_differ(people):
    sent(4)
    age(1, 3, 4)  # the server that wrote 2 had a clock ahead of the others'
    assert prune().changes == 1
    assert positions() == [2, 3, 4]


def test_cursors_of_what_is_left_go_on_and_older_ones_do_not(people):
    sent(4)
    known = cursors()
    age(1, 2)
    prune()
    assert [log.holds(cursor) for cursor in known] == [False, False, True, True, True]


def test_when_all_is_gone_the_end_is_still_known_and_the_log_goes_on(people):
    sent(3)
    end = log.head()
    age(1, 2, 3)
    prune()
    assert positions() == []
    assert log.holds(end)
    assert not log.holds(Cursor(end.word, 2))
    assert send("next", to=EVERYONE).position == 4
    assert log.page(3).follows(end)


def test_a_withdrawn_message_goes_with_the_last_change_that_speaks_of_it(people):
    message = send("Hello", to=[people.alice, people.bob])
    withdraw(message)
    age(1)
    assert prune() == Pruned(changes=1)
    assert Message.objects.exists()  # a reader may still be told that it was withdrawn
    age(2)
    assert prune() == Pruned(changes=1, messages=1, recipients=2)
    assert not Recipient.objects.exists()


def test_an_expired_message_goes_too(people):
    message = send("Hello", to=EVERYONE)
    Message.objects.filter(pk=message.pk).update(expires_at=timezone.now(), due_at=timezone.now())
    publish_due()
    age(1, 2)
    assert prune() == Pruned(changes=2, messages=1)


def test_what_was_taken_back_before_it_was_published_goes_after_the_same_time(people):
    message = send("Hello", to=EVERYONE, at=timezone.now() + timedelta(hours=1))
    withdraw(message)
    assert prune() == Pruned()
    Message.objects.update(withdrawn_at=timezone.now() - AGO)
    assert prune() == Pruned(messages=1)


def test_drafts_and_scheduled_messages_stay(people):
    Message.objects.create(title="draft")
    send("later", to=EVERYONE, at=timezone.now() + timedelta(days=60))
    Message.objects.update(created_at=timezone.now() - AGO)
    assert prune() == Pruned()
    assert Message.objects.count() == 2


def test_an_edited_message_stays_while_the_log_tells_of_the_edit(people):
    message = send("Helo", to=EVERYONE)
    update(message, title="Hello")
    withdraw(message)
    age(1, 2)
    prune()
    assert positions() == [3]
    assert Message.objects.exists()


def test_what_deleted_users_left_goes_a_day_later(people):
    for user in people:
        inbox.state(user)
    people.bob.delete()
    assert prune() == Pruned()  # a hub may not have seen yet that bob's streams are to end
    Inbox.objects.update(touched_at=Now() - timedelta(days=2))
    assert prune() == Pruned(inboxes=1)
    assert set(Inbox.objects.values_list("pk", flat=True)) == {people.alice.pk, people.root.pk}


def test_what_was_written_for_users_while_they_were_deleted_goes_with_their_inbox(people):
    message = send("Hello", to=[people.alice, people.bob])
    inbox.state(people.bob)
    row = message.recipients.get(user=people.bob)
    people.bob.delete()
    assert message.recipients.count() == 1, "Django has deleted the other"
    row.save(force_insert=True)
    Inbox.objects.update(touched_at=Now() - timedelta(days=2))
    assert prune() == Pruned(inboxes=1)
    assert [each.user_id for each in message.recipients.all()] == [people.alice.pk]


def test_each_step_is_small_and_leaves_no_hole(people, monkeypatch):
    monkeypatch.setattr(pruning, "STEP", 2)
    monkeypatch.setattr(pruning, "PARAMETERS", 2)
    crowd(5)
    messages = [send("Hello", to=type(people.alice).objects.all()) for _ in range(3)]
    for message in messages:
        withdraw(message)
    sent(1)
    age(*range(1, 7))
    left, sizes = [], []

    def watch(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if sql.startswith("DELETE"):
            sizes.append(context["cursor"].rowcount)
            left.append(positions())
        return result

    with connection.execute_wrapper(watch):
        assert prune() == Pruned(changes=6, messages=3, recipients=24)
    assert max(sizes) <= 2
    assert all(now == list(range(now[0], 8)) for now in left)


def test_days_can_be_said_and_nonsense_is_refused(people):
    sent(3)
    age(1, by=timedelta(days=3))
    said = call("prune", "--days", "2")
    assert said == "Deleted 1 changes, 0 messages with 0 recipients, and 0 inboxes.\n"
    for days in ("-1", "99999999", "many"):
        with pytest.raises(CommandError, match="--days") as refused:
            call("prune", "--days", days)
        assert refused.value.returncode == 1
    call("prune", "--days", "0")
    assert positions() == []
    assert Head.objects.get().position == 3


def test_in_a_shell(people):
    sent(2)
    age(1)
    done = shell("prune")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Deleted 1 changes")
    refused = shell("prune", "--days", "x")
    assert refused.returncode == 1
    assert refused.stderr == "CommandError: argument --days: invalid int value: 'x'\n"
    assert positions() == [2]
