"""The facts that are published once they are durable, to every device of the user whom they concern."""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from playhead.domain.model import ItemId, UserId
from playhead.domain.playback import Progress

NAMED_MAX = 100
"""So many items a change names. Of more it says only that there are many: a device then looks at all it shows."""

SHOWN_MAX = 10
"""So many changes at a time bring their progress with them: more devices of one user do not play at once."""


class Topic(StrEnum):
    """What a change is about. `lists` is what changes continue watching and next up, and no progress."""

    PROGRESS = "progress"
    WATCHED = "watched"
    LISTS = "lists"


class Change(NamedTuple):
    """Something of one user's has changed: look at these items again. A bulk mark is one change of many items.

    No items at all means more than are named: look at everything. `progress` is what is now known of the one item, for
    a device that shows or plays it.
    """

    user_id: UserId
    topic: Topic
    item_ids: tuple[ItemId, ...]
    progress: Progress | None = None


Publish = Callable[[Sequence[Change]], None]
"""Hands changes on; never blocks, never raises. Called on the event loop, after the commit."""


class PendingChanges:
    """The changes of one user since somebody last looked: of the same item only the newest. Bounded, whatever comes."""

    def __init__(self) -> None:
        self._topics: dict[Topic, dict[ItemId, Progress | None] | None] = {}

    def add(self, change: Change) -> None:
        """Take in a change."""
        _, topic, item_ids, progress = change
        items = self._topics.setdefault(topic, {})
        if items is None:
            return
        for item_id in item_ids:
            items[item_id] = progress
        if not item_ids or len(items) > NAMED_MAX:
            self._topics[topic] = None

    def changes(self, user_id: UserId) -> tuple[Change, ...]:
        """Return what it comes to: a change for each item whose progress is shown, and one a topic for the others."""
        return tuple(change for topic, items in self._topics.items() for change in _of_topic(user_id, topic, items))


def _of_topic(user_id: UserId, topic: Topic, items: dict[ItemId, Progress | None] | None) -> Iterable[Change]:
    if items is None:
        yield Change(user_id, topic, ())
        return
    shown = {item_id: progress for item_id, progress in items.items() if progress is not None}
    if len(shown) > SHOWN_MAX:
        shown = {}
    for item_id, progress in shown.items():
        yield Change(user_id, topic, (item_id,), progress)
    named = tuple(item_id for item_id in items if item_id not in shown)
    if named:
        yield Change(user_id, topic, named)
