"""The rules without which, as a model of the protocol showed, something is lost or false.

Each test drives the interleaving by hand and goes red when its rule is taken out.
"""

import json
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import logout
from django.contrib.auth.models import User
from django.db import connection, connections, transaction
from django.db.models import ProtectedError
from django.test import RequestFactory
from django.utils import timezone

from notifications import (
    EVERYONE,
    access,
    acts,
    inbox,
    log,
    models,
    publish_due,
    publishing,
    stream,
)
from notifications.cursor import Cursor
from notifications.hub import Hub
from notifications.models import Change, Head, Inbox, Message, Recipient
from tests.browser import new_session
from tests.replica import Listener, Replica, admission


async def do(work: Any, *args: Any, **options: Any) -> Any:
    """`work` in the thread where async tests keep their database connection."""
    return await sync_to_async(work)(*args, **options)


async def send(title: str, to: Any = EVERYONE, **options: Any) -> Message:
    return await do(publishing.send, title, to=to, **options)


@pytest.fixture
async def hub(people):
    """A hub that looks when it is told to, and only then."""
    one = Hub()
    await one.look()
    yield one
    for each in one.everyone():
        each.close()
    await one.stop()
    await do(connections.close_all)


def once(monkeypatch, module: Any, name: str, before: Any = None, after: Any = None) -> None:
    """The first call of `module.name` has something happen just before or after it."""
    original = getattr(module, name)

    def wrapper(*args: Any, **options: Any) -> Any:
        monkeypatch.setattr(module, name, original)
        if before:
            before()
        result = original(*args, **options)
        if after:
            after()
        return result

    monkeypatch.setattr(module, name, wrapper)


def statements_in_transactions(work: Any, *args: Any) -> list[str]:
    """What `work(...)` asks of the database inside of transactions."""
    statements = []

    def record(execute, sql, params, many, context):
        if connection.in_atomic_block:
            statements.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(record):
        work(*args)
    return statements


def of(event: Any) -> int:
    """The position in its data."""
    return event.data["position"]


# --- 1. After every replay the stream sends a state ------------------------------------------


async def test_1_a_cut_between_withdrawn_and_its_state_is_repaired_by_the_next_stream(hub, people):
    message = await send("x")
    await hub.look()
    alice = await Listener.open(hub, people.alice)
    await alice.take()
    await hub.look()
    await alice.take()
    await do(publishing.withdraw, message)
    await hub.look()
    *_, withdrawn = await alice.take()
    assert withdrawn.name == "withdrawn"
    await alice.cut()  # before the look that would bring the state

    again = await Listener.open(hub, people.alice, withdrawn.id)
    await again.take()
    await hub.look()
    await again.take()
    assert again.names() == ["ready", "state"]
    assert again.got[-1].data["unread"] == 0


@pytest.mark.parametrize("source", ["memory", "the log"])
async def test_1_after_a_replay_comes_a_state(hub, people, source):
    start = hub.cursor
    await send("missed")
    if source == "memory":
        await hub.look()
    else:
        hub.cursor = await do(log.head)
    assert (hub.missed(start) is not None) == (source == "memory")
    alice = await Listener.open(hub, people.alice, start)
    await alice.take()
    await hub.look()
    await alice.take()
    assert alice.names() == ["ready", "message", "state"]


# --- 2. A look is sequential: states at P, the log, changes up to P, the states, the rest ----


async def test_2_what_is_published_between_the_states_and_the_log_comes_after_the_state(
    hub, people, monkeypatch
):
    alice = await Listener.open(hub, people.alice)
    await alice.take()
    once(monkeypatch, log, "page", before=lambda: publishing.send("between", to=EVERYONE))
    await hub.look()
    await alice.take()
    assert alice.names() == ["ready", "state", "message"]
    assert of(alice.got[1]) < of(alice.got[2])


async def test_2_an_act_on_what_the_stream_has_not_delivered_yet_comes_after_it(
    hub, people, monkeypatch
):
    """Read elsewhere before this stream had it: with the state first it would stay unread."""
    alice = await Listener.open(hub, people.alice)
    await alice.take()
    await hub.look()
    await alice.take()

    message = await send("read elsewhere")
    await do(acts.read, people.alice, message.pk)
    hub._touched_read = float("-inf")
    await hub.look()
    events = await alice.take()
    assert [event.name for event in events] == ["message", "state"]
    assert events[1].data["acts"][0]["ids"] == [message.pk]


async def test_2_a_state_waits_until_the_changes_before_it_are_delivered(hub, people, monkeypatch):
    """More changes than one page: the state was read at the end, the stream is not there yet."""
    monkeypatch.setattr(log, "PAGE", 2)
    monkeypatch.setattr(log.page, "__defaults__", (2,))
    alice = await Listener.open(hub, people.alice)
    await alice.take()
    for n in range(5):
        await send(str(n))
    replica = Replica()
    replica.load({"messages": [], "version": 0, "position": 0, "unread": 0, "unseen": 0,
                  "cursor": str(hub.cursor)})  # fmt: skip
    for _ in range(4):
        await hub.look()
        for event in await alice.take():
            if event.name == "state":
                assert of(event) == replica.position, "a state of another moment"
            replica.apply(event)
        assert replica.unread == len(replica.items)
    assert replica.unread == 5
    assert alice.names()[-1] == "state"


# --- 3. all-read and seen carry a position and mark only what is not after it -----------------


async def test_3_what_arrives_while_all_is_marked_read_stays_unread(hub, people):
    shown = await send("shown")
    await send("arrived since", to=[people.alice])
    await send("arrived since, too")
    await do(acts.read_all, people.alice, shown.position)
    state = await do(inbox.state, people.alice)
    assert state.unread == 2
    assert state.acts[-1]["upto"] == shown.position


async def test_3_seen_marks_what_was_shown_never_goes_back_and_never_ahead(hub, people):
    first, _ = await send("1"), await send("2")
    await do(acts.seen, people.alice, first.position)
    assert (await do(inbox.state, people.alice)).unseen == 1
    await do(acts.seen, people.alice, 10**9)
    await do(acts.seen, people.alice, first.position)
    await send("3")
    assert (await do(inbox.state, people.alice)).unseen == 1


# --- 4. is the client's: tests/test_client.py, and Replica in tests/test_model.py --------------


# --- 5. Recently touched is the fast path only -------------------------------------------------


async def test_5_an_act_that_commits_late_is_found_by_the_sweep(hub, people):
    alice = await Listener.open(hub, people.alice)
    await alice.take()
    await hub.look()
    message = await send("x")
    await do(acts.read, people.alice, message.pk)
    long_ago = timezone.now() - timedelta(hours=1)  # its transaction began then
    await do(Inbox.objects.update, touched_at=long_ago)
    await hub.look()
    await alice.take()
    assert all(not event.data["acts"] for event in alice.got if event.name == "state")
    await hub.sweep()
    await hub.look()
    await alice.take()
    assert alice.got[-1].data["acts"][0]["act"] == "read"


async def test_5_reads_of_the_touched_overlap(hub, people):
    """An act that was under way during the last look is seen by the next."""
    alice = await Listener.open(hub, people.alice)
    await alice.take()
    await hub.look()
    message = await send("x")
    await do(acts.read, people.alice, message.pk)
    just_before = timezone.now() - timedelta(seconds=1)
    await do(Inbox.objects.update, touched_at=just_before)
    hub._touched_read = hub.time() - 0.5
    await hub.look()
    await alice.take()
    assert alice.got[-1].data["acts"][0]["act"] == "read"


# --- 6. Whatever changes the log locks Head first and reads the message afterwards -------------


async def test_6_what_was_published_by_another_meanwhile_is_not_published_twice(
    hub, people, monkeypatch, in_thread
):
    now = timezone.now()
    await do(Message.objects.create, title="x", publish_at=now, due_at=now)
    # The other one publishes after we have found the message, before we lock.
    once(monkeypatch, publishing, "_append", before=lambda: in_thread(publish_due))
    await do(publish_due)
    assert await do(Change.objects.count) == 1


async def test_6_what_was_withdrawn_meanwhile_is_not_published(hub, people, monkeypatch, in_thread):
    now = timezone.now()
    message = await do(Message.objects.create, title="x", publish_at=now, due_at=now)
    once(
        monkeypatch, publishing, "_append",
        before=lambda: in_thread(publishing.withdraw, message),
    )  # fmt: skip
    await do(publish_due)
    assert await do(Change.objects.count) == 0


async def test_6_head_is_locked_before_the_messages_are_read(hub, people):
    now = timezone.now()
    await do(Message.objects.create, title="x", publish_at=now, due_at=now)
    statements = await do(statements_in_transactions, publish_due)
    first, *rest = (sql for sql in statements if not sql.startswith("SET "))
    head, messages = (connection.ops.quote_name(one._meta.db_table) for one in (Head, Message))
    locks = "FOR UPDATE" if connection.features.has_select_for_update else "UPDATE "
    assert head in first
    assert locks in first
    assert [sql for sql in rest if f"FROM {messages}" in sql]


async def test_6_the_lock_is_never_held_by_somebodys_longer_transaction(hub, people):
    def inside_a_transaction():
        now = timezone.now()
        Message.objects.create(title="x", everyone=True, publish_at=now, due_at=now)
        with transaction.atomic():
            publish_due()

    with pytest.raises(RuntimeError, match="durable"):
        await do(inside_a_transaction)


# --- 7. A hole, a head that went back or a wrong word ends all streams; a replay starts at c + 1


async def prune_past(position: int) -> None:
    await do(Change.objects.filter(position__lte=position).delete)


@pytest.mark.parametrize("damage", ["pruned past it", "pruned whole", "head went back", "restored"])
async def test_7_a_hub_whose_log_does_not_go_on_ends_all_streams(hub, people, damage, caplog):
    await send("0")
    await hub.look()
    alice = await Listener.open(hub, people.alice)
    await alice.take()
    for n in "123":
        await send(n)
    if damage == "pruned past it":  # a process that slept for long
        await prune_past(hub.cursor.position + 1)
    elif damage == "pruned whole":
        await prune_past(10**9)
    elif damage == "head went back":
        await do(Change.objects.all().delete)
        await do(Head.objects.update, position=0, word="0ld")
    else:
        await do(Change.objects.filter(position=2).update, before="another")
    await hub.look()
    await alice.take()
    assert (alice.names()[-1], alice.ended) == ("bye", True)
    assert "1" not in alice.titles()
    assert "does not go on" in caplog.text

    again = await Listener.open(hub, people.alice, alice.stream.cursor)
    await again.take()
    if damage != "restored":
        assert again.names()[:2] == ["ready", "reset"]


async def test_7_a_replay_from_before_the_oldest_change_is_a_reset(hub, people):
    start = hub.cursor
    for n in "123":
        await send(n)
    await prune_past(1)
    await do(lambda: setattr(hub, "cursor", log.head()))
    alice = await Listener.open(hub, people.alice, start)
    await alice.take()
    assert alice.names() == ["ready", "reset"]
    assert alice.got[1].id == str(hub.cursor)


async def test_7_a_prune_between_two_pages_of_a_replay_is_a_reset(hub, people, monkeypatch):
    monkeypatch.setattr(log.replay, "__defaults__", (2,))
    start = hub.cursor
    for n in range(6):
        await send(str(n))
    hub.cursor = await do(log.head)
    once(monkeypatch, log, "replay", after=lambda: Change.objects.filter(position__lte=3).delete())
    alice = await Listener.open(hub, people.alice, start)
    await alice.take()
    assert alice.names() == ["ready", "message", "message", "reset"]


async def test_7_a_cursor_ahead_of_this_hub_is_compared_with_the_database(hub, people):
    message = await send("another process told this reader")
    ahead = await do(log.head)
    assert ahead.position == hub.cursor.position + 1
    alice = await Listener.open(hub, people.alice, ahead)
    await alice.take()
    await hub.look()  # only now the hub hands it out
    await alice.take()
    await send("new")
    await hub.look()
    await hub.look()
    await alice.take()
    assert alice.names()[0] == "ready"
    assert "reset" not in alice.names()
    assert alice.titles() == ["new"]
    assert all(of(e) >= message.position for e in alice.got if e.name == "state")

    liar = await Listener.open(hub, people.alice, Cursor("f00", ahead.position + 5))
    await liar.take()
    assert liar.names()[:2] == ["ready", "reset"]


async def test_7_the_head_and_the_rows_are_read_by_one_statement(
    hub, people, django_assert_num_queries
):
    for n in "123":
        await send(n)

    def read():
        with django_assert_num_queries(1):
            page = log.page(0)
        assert page.head == page.changes[-1].cursor

    await do(read)


# --- 8. The hub's memory never replays what was taken back -------------------------------------


async def test_8_memory_forgets_a_withdrawn_text_and_replays_an_edited_one_as_it_is_now(
    hub, people
):
    start = hub.cursor
    secret, typo = await send("secret", body="secret"), await send("tpyo")
    await hub.look()
    await do(publishing.withdraw, secret)
    await do(publishing.update, typo, title="typo")
    await hub.look()
    assert hub.missed(start) is not None, "it is memory that answers"
    alice = await Listener.open(hub, people.alice, start)
    await alice.take()
    assert "secret" not in json.dumps([event.data for event in alice.got])
    assert "tpyo" not in json.dumps([event.data for event in alice.got])
    assert alice.names() == ["ready", "message", "withdrawn", "update"]


# --- 9. Everyone = position > since: in lists, counts, replay and live ---------------------------


async def test_9_a_lagging_hub_hands_no_old_broadcast_to_a_new_account(hub, people):
    start = hub.cursor
    await send("before carol")
    carol = await do(User.objects.create_user, "carol")
    live = await Listener.open(hub, carol)
    await live.take()
    await hub.look()
    await live.take()
    assert live.titles() == []

    from_memory = await Listener.open(hub, carol, start)
    await from_memory.take()
    assert from_memory.titles() == []
    assert (await do(log.replay, carol.pk, live.stream.since, start)).events == []
    assert (await do(inbox.state, carol)).unread == 0
    assert (await do(inbox.listing, carol)).items == []

    await send("after carol")
    await hub.look()
    await live.take()
    assert live.titles() == ["after carol"]


async def test_9_a_new_account_is_not_told_of_edits_and_withdrawals_of_what_it_never_had(
    hub, people
):
    old = await send("before carol")
    await hub.look()
    carol = await do(User.objects.create_user, "carol")
    listener = await Listener.open(hub, carol)
    await listener.take()
    await do(publishing.update, old, title="edited")
    await do(publishing.withdraw, old)
    await hub.look()
    await listener.take()
    assert set(listener.names()) <= {"ready", "state"}


# --- 10. Ending streams: a counter; and in which order a stream is opened and a session closed --


def request_of(user: Any) -> Any:
    request = RequestFactory().get("/")
    key = new_session(user)
    request.session = access.import_module(access.settings.SESSION_ENGINE).SessionStore(key)
    request.user = user
    return request


async def test_10_a_log_out_between_reading_the_inbox_and_checking_the_session_is_seen(
    hub, people, monkeypatch
):
    request = await do(request_of, people.alice)
    elsewhere = await do(request_of, people.alice)
    elsewhere.session = type(elsewhere.session)(request.session.session_key)
    once(monkeypatch, access, "_rows", after=lambda: logout(elsewhere))
    assert await do(access.admit, request) is None


async def test_10_a_log_out_after_the_check_ends_the_stream_with_its_first_state(hub, people):
    request = await do(request_of, people.alice)
    admitted = await do(access.admit, request)
    await do(logout, request)
    listener = Listener(stream.Stream(hub, admitted, None))
    await listener.take()
    await hub.look()
    await listener.take()
    assert listener.got[-1].data == {"reason": "signed-out"}
    assert listener.ended


async def test_10_the_session_is_deleted_before_the_streams_are_told(hub, people, monkeypatch):
    request = await do(request_of, people.alice)
    key = request.session.session_key
    there = []

    def look():
        there.append(request.session.exists(key))

    once(monkeypatch, access, "end_streams", before=lambda: look())
    await do(logout, request)
    assert there == [False]


async def test_10_the_note_that_ends_streams_outlives_its_user(hub, people):
    alice = await Listener.open(hub, people.alice)
    await alice.take()
    await hub.look()
    await do(people.alice.delete)
    hub._touched_read = float("-inf")
    await hub.look()
    await alice.take()
    assert alice.got[-1].data == {"reason": "signed-out"}


async def test_10_an_end_noted_past_all_signals_is_found_by_the_sweep(hub, people):
    alice = await Listener.open(hub, people.alice)
    bob = await Listener.open(hub, people.bob)
    await alice.take()
    await bob.take()
    await do(User.objects.filter(pk=people.alice.pk).update, is_active=False)
    await hub.sweep()
    await alice.take()
    await bob.take()
    assert (alice.ended, bob.ended) == (True, False)


async def test_10_a_sweep_in_parts_reaches_all(hub, people, monkeypatch):
    monkeypatch.setattr("notifications.hub.SWEPT_AT_ONCE", 1)
    alice = await Listener.open(hub, people.alice)
    bob = await Listener.open(hub, people.bob)
    await alice.take()
    await bob.take()
    await do(User.objects.update, is_active=False)
    await hub.sweep()
    await alice.take()
    await bob.take()
    assert (alice.ended, bob.ended) == (True, True)


# --- 11. One consistent read --------------------------------------------------------------------


@pytest.mark.parametrize("changes", [1, 100], ids=["once", "all the time"])
async def test_11_a_page_and_its_state_are_of_one_moment(hub, people, monkeypatch, changes):
    """Whatever is published between the statements of a page."""
    original = inbox._items
    left = [changes]

    def items_then_change(*args):
        items = original(*args)
        if left[0] and not connection.in_atomic_block:  # the last try holds them off
            left[0] -= 1
            publishing.send("between", to=EVERYONE)
            acts.seen(people.alice)
        return items

    monkeypatch.setattr(inbox, "_items", items_then_change)
    listing = await do(inbox.listing, people.alice)
    assert listing.state.unread == len(listing.items)
    assert [item.position for item in listing.items][:1] == [listing.state.cursor.position]


# --- 12. Inbox rows are made without a race, and all is written under their lock ----------------


async def test_12_two_processes_may_make_the_same_inbox_at_once(hub, people, monkeypatch):
    await do(Inbox.objects.all().delete)
    other = lambda: Inbox.objects.create(user_id=people.alice.pk, version=7)  # noqa: E731
    once(monkeypatch, models, "_inboxes", after=other)
    assert (await do(Inbox.objects.of, people.alice.pk)).version == 7


async def test_12_state_is_written_under_the_lock_of_the_users_inbox(hub, people):
    message = await send("x")
    await do(Inbox.objects.ensure, [people.alice.pk])
    first, *rest = await do(statements_in_transactions, acts.read, people.alice, message.pk)
    assert "notifications_inbox" in first
    assert ("FOR UPDATE" in first) == connection.features.has_select_for_update
    assert any("notifications_recipient" in sql for sql in rest)
    assert "notifications_head" not in " ".join(rest), "no global lock"


# --- 13. A published message is not deleted while its change is in the log -----------------------


async def test_13_a_message_in_the_log_cannot_be_deleted(hub, people):
    message = await send("x")
    with pytest.raises(ProtectedError):
        await do(message.delete)
    assert await do(Message.objects.count) == 1


async def test_13_what_expires_before_it_is_published_never_is(hub, people):
    past = timezone.now() - timedelta(minutes=1)
    await do(
        Message.objects.create,
        title="x", everyone=True, publish_at=past, expires_at=past, due_at=past,
    )  # fmt: skip
    assert await do(publish_due) == 0
    assert await do(publish_due) == 0
    message = await do(Message.objects.get)
    assert message.expired_at
    assert message.position is None


# --- 14. A ping carries the position ------------------------------------------------------------


async def test_14_a_quiet_readers_cursor_moves_with_the_log(hub, people, monkeypatch):
    monkeypatch.setattr(stream, "PING_AFTER", 0.0)
    alice = await Listener.open(hub, people.alice)
    await alice.take()
    await hub.look()
    await alice.take()
    for n in "123":
        await send(n, to=[people.bob])
    await hub.look()
    hub.pulse()
    (ping,) = await alice.take()
    assert (ping.name, ping.data, ping.id) == ("ping", {}, str(hub.cursor))
    await prune_past(hub.cursor.position)
    again = await Listener.open(hub, people.alice, ping.id)
    await again.take()
    assert "reset" not in again.names()


async def test_14_no_ping_overtakes_what_is_queued(hub, people, monkeypatch):
    monkeypatch.setattr(stream, "PING_AFTER", 0.0)
    alice = await Listener.open(hub, people.alice)
    await alice.take()
    await send("queued")
    await hub.look()
    hub.pulse()
    assert [event.name for event in await alice.take() if event.name != "state"] == ["message"]


def test_the_recipients_of_an_unpublished_message_have_no_right_yet(people):
    Recipient.objects.create(
        message=Message.objects.create(title="x"), user=people.alice, via=Recipient.Via.GROUP
    )
    assert not Message.objects.visible_to(people.alice).exists()
    assert admission(people.alice)
