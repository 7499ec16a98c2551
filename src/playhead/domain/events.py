"""Change notifications: published after the commit to every device of the user concerned."""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from playhead.domain.model import ItemId, UserId
from playhead.domain.playback import Progress

NAMED_MAX = 100
"""The most items that one change names. Beyond that it names none, and a device refreshes everything it shows."""

SHOWN_MAX = 10
"""The most changes of one round that carry their progress; a user rarely plays on more devices at a time."""


class Topic(StrEnum):
    """The subject of a change. `lists`: continue watching or next up changed, but no progress."""

    PROGRESS = "progress"
    WATCHED = "watched"
    LISTS = "lists"


class Change(NamedTuple):
    """Some of a user's items changed and should be fetched again. A bulk mark is one change of many items.

    No items means too many to name: refresh everything. `progress` is the new progress of a single item, for devices
    that show or play it.
    """

    user_id: UserId
    topic: Topic
    item_ids: tuple[ItemId, ...]
    progress: Progress | None = None


Publish = Callable[[Sequence[Change]], None]
"""Publishes changes; never blocks, never raises. Called on the event loop, after the commit."""


class PendingChanges:
    """A user's changes since the last round, only the newest of each item. Bounded in size."""

    def __init__(self) -> None:
        self._topics: dict[Topic, dict[ItemId, Progress | None] | None] = {}

    def add(self, change: Change) -> None:
        """Add a change."""
        _, topic, item_ids, progress = change
        items = self._topics.setdefault(topic, {})
        if items is None:
            return
        for item_id in item_ids:
            items[item_id] = progress
        if not item_ids or len(items) > NAMED_MAX:
            self._topics[topic] = None

    def changes(self, user_id: UserId) -> tuple[Change, ...]:
        """Return the merged changes: one per item that carries its progress, and one per topic for the others."""
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
