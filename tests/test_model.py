"""The central invariant: an old snapshot and the events since make the new snapshot.

Random sends, edits, withdrawals, expiries, reads, archives and looks of two users on two devices
each, with cuts, restarts and pruning at random; list and both counts must come out the same. The
rules that take several steps are the interleavings that chance alone comes to too rarely.
"""

import asyncio
import json
import os
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from asgiref.sync import sync_to_async
from django.db import connections
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from notifications import EVERYONE, acts, inbox, publish_due, send, update, views, wire, withdraw
from notifications.hub import Hub
from notifications.models import Change, Head, Inbox, Message, Recipient
from tests.browser import new_session
from tests.people import People
from tests.replica import Listener, Replica, shown

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "40"))  # of STEPS random acts each
STEPS = 50
DEVICES = [("alice", 0), ("alice", 1), ("bob", 0), ("bob", 1)]
READERS = st.sampled_from(["alice", "bob"])
AUDIENCES = st.sampled_from([EVERYONE, ("alice",), ("bob",), ("alice", "bob")])


def snapshot(user: Any) -> dict[str, Any]:
    """As `GET /messages/snapshot/` answers, through JSON and back."""
    listing = inbox.listing(user)
    data = views._state(listing.state) | {"messages": [views._item(i) for i in listing.items]}
    return json.loads(wire.dumps(data))


class Device:
    """One open page of one user."""

    def __init__(self, user: Any) -> None:
        self.user = user
        self.session = new_session(user)
        self.page = Replica()
        self.listener: Listener | None = None


class Conversation(RuleBasedStateMachine):
    people: People
    loop: asyncio.AbstractEventLoop
    messages = Bundle("messages")

    @initialize(target=messages)
    def start(self) -> Any:
        for model in (Change, Recipient, Message, Inbox):
            model.objects.all().delete()
        Head.objects.all().delete()
        Head.objects.create()
        self.hub = self.wait(self.new_hub())
        self.devices = {key: Device(getattr(self.people, key[0])) for key in DEVICES}
        for key in DEVICES:
            self.open(key)
        to = (EVERYONE, [self.people.alice], [self.people.bob])
        return multiple(*(send("first", to=each).pk for each in to))

    @staticmethod
    async def new_hub() -> Hub:
        hub = Hub()
        await hub.look()
        return hub

    def wait(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    def person(self, name: str) -> Any:
        return getattr(self.people, name)

    # ------------------------------------------------------------------------- what staff do

    @rule(target=messages, to=AUDIENCES, expires=st.booleans())
    def send(self, to: Any, expires: bool) -> int:
        audience = to if to is EVERYONE else [self.person(name) for name in to]
        until = timezone.now() + timedelta(hours=1) if expires else None
        return send("sent", to=audience, expires=until).pk

    @rule(pk=messages, title=st.text("abc", min_size=1, max_size=3))
    def edit(self, pk: int, title: str) -> None:
        message = Message.objects.get(pk=pk)
        if not message.is_over:
            update(message, title=title, body=title)

    @rule(pk=consumes(messages))
    def take_back(self, pk: int) -> None:
        withdraw(Message.objects.get(pk=pk))

    @rule(key=st.sampled_from(DEVICES), pk=consumes(messages))
    def take_back_and_cut_before_the_state(self, key: Any, pk: int) -> None:
        """The reader has heard that the message is gone, and not what that makes of the counts."""
        self.settle(self.devices[key], key)
        withdraw(Message.objects.get(pk=pk))
        self.the_hub_looks()
        self.listen(key)
        self.cut(key)

    @rule(pk=consumes(messages))
    def run_out(self, pk: int) -> None:
        now = timezone.now()
        Message.objects.filter(pk=pk, expired_at=None).update(expires_at=now, due_at=now)
        publish_due()

    # ----------------------------------------------------------------------- what readers do

    @rule(reader=READERS, pk=messages, act=st.sampled_from(sorted(views.ACTS)))
    def act(self, reader: str, pk: int, act: str) -> None:
        views.ACTS[act](self.person(reader), pk)

    @rule(key=st.sampled_from(DEVICES), everything=st.booleans())
    def read_all(self, key: Any, everything: bool) -> None:
        device = self.devices[key]
        acts.read_all(device.user, None if everything else device.page.position)

    @rule(key=st.sampled_from(DEVICES), to_everyone=st.booleans())
    def read_all_while_one_arrives(self, key: Any, to_everyone: bool) -> None:
        """Marked is what the page shows, not what has just come."""
        device = self.devices[key]
        self.settle(device, key)
        send("arrives", to=EVERYONE if to_everyone else [device.user])
        acts.read_all(device.user, device.page.position)

    @rule(key=st.sampled_from(DEVICES), everything=st.booleans())
    def look_at_the_bell(self, key: Any, everything: bool) -> None:
        device = self.devices[key]
        acts.seen(device.user, None if everything else device.page.position)

    @rule(reader=READERS)
    def act_more_often_than_is_remembered(self, reader: str) -> None:
        newest = Message.objects.live().filter(everyone=True).order_by("-position").first()
        if newest:
            with patch.object(acts, "KEPT", 1):
                acts.read(self.person(reader), newest.pk)
                acts.unread(self.person(reader), newest.pk)

    # -------------------------------------------------------------------- what happens to them

    @rule()
    def the_hub_looks(self) -> None:
        self.hub._touched_read = float("-inf")  # as if half a second had passed
        self.wait(self.hub.look())

    @rule(key=st.sampled_from(DEVICES))
    def open(self, key: Any) -> None:
        """The page is loaded, or comes back with what it has."""
        device = self.devices[key]
        self.cut(key)
        if device.page.wants_snapshot:
            device.page.load(snapshot(device.user))
        device.listener = self.wait(
            Listener.open(self.hub, device.user, device.page.cursor, device.session)
        )

    @rule(key=st.sampled_from(DEVICES))
    def listen(self, key: Any) -> None:
        device = self.devices[key]
        if device.listener:
            for event in self.wait(device.listener.take()):
                if device.page.wants_snapshot and event.name != "ready":
                    device.page.load(snapshot(device.user))
                device.page.apply(event)

    @rule(key=st.sampled_from(DEVICES))
    def cut(self, key: Any) -> None:
        device = self.devices[key]
        if device.listener:
            self.wait(device.listener.cut())
            device.listener = None

    @rule()
    def the_server_is_killed_and_started(self) -> None:
        for key in DEVICES:
            self.cut(key)
        self.wait(self.hub.stop())
        self.hub = self.wait(self.new_hub())

    @rule()
    def the_log_is_pruned(self) -> None:
        end = Head.objects.get().position
        Change.objects.filter(position__lte=min(end - 2, self.hub.cursor.position)).delete()

    # ------------------------------------------------------------------------------ the promise

    def settle(self, device: Device, key: Any) -> None:
        if device.listener is None or device.listener.ended:
            self.open(key)
        for _ in range(3):
            self.the_hub_looks()
            self.listen(key)
        if device.page.wants_snapshot:
            device.page.load(snapshot(device.user))

    @invariant()
    def every_stream_is_in_the_hub_and_nothing_else(self) -> None:
        if hasattr(self, "devices"):
            open_ones = sum(device.listener is not None for device in self.devices.values())
            assert len(self.hub.everyone()) <= open_ones

    @rule()
    def all_is_as_a_fresh_page_would_show_it(self) -> None:
        for key, device in self.devices.items():
            self.settle(device, key)
            assert device.page.shows() == shown(snapshot(device.user)), key

    def teardown(self) -> None:
        if hasattr(self, "devices"):
            self.all_is_as_a_fresh_page_would_show_it()
            for key in DEVICES:
                self.cut(key)
            self.wait(self.hub.stop())


def test_lists_and_counts_agree_on_every_tab_and_device(people, monkeypatch):
    monkeypatch.setattr(inbox, "PAGE", 1_000)
    with asyncio.Runner() as runner:
        Conversation.people = people
        Conversation.loop = runner.get_loop()
        run_state_machine_as_test(
            Conversation,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
        runner.run(sync_to_async(connections.close_all)())
