"""What a hub reads when it looks, in this order: states first, then the log.

So a state is never ahead of the changes that are delivered before it.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from . import inbox, log
from .cursor import Cursor
from .models import Message

PAST_READ = 1_000  # changes a new hub reads first: who comes back after a restart missed few


@dataclass(slots=True)
class Sight:
    """What one look has seen. `connected`: the users for whom audiences were looked up."""

    states: list[dict[Any, inbox.State]]
    page: log.Page
    messages: dict[int, Message]
    audiences: dict[int, set[Any]]
    whole: bool
    connected: Set[Any] = field(default_factory=set)


def look(
    after: int, connected: Set[Any], owed: Set[Any], told: Mapping[Any, Any], window: float | None
) -> Sight:
    """The log after position `after`, and the states of the users who need one.

    Those are `owed`, and, if `window` is given, the connected users whose inbox was touched within
    so many seconds and differs from what they were `told`: (version, endings).
    """
    needed = set(owed)
    if window is not None:
        for user_id, *now in inbox.touched_within(window):
            if user_id in connected and told.get(user_id) != tuple(now):
                needed.add(user_id)
    states = list(inbox.states(needed))
    page = log.page(after)
    messages = log.messages(page.changes)
    named = {pk for pk, message in messages.items() if not message.everyone}
    audiences, whole = log.audiences(named, connected)
    return Sight(states, page, messages, audiences, whole, connected)


def origin() -> Cursor:
    """Where a new hub starts: some way back, so that it has a past to serve from."""
    end = log.head()
    back = log.page(max(0, end.position - PAST_READ), limit=1).changes
    return Cursor(back[0].before, back[0].position - 1) if back else end
