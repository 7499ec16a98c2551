"""The facts that are published once they are durable, to every device of the user whom they concern."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple

from playhead.domain.model import ItemId, UserId


class Topic(StrEnum):
    """What a change is about. `lists` is what changes continue watching and next up, and no progress."""

    PROGRESS = "progress"
    WATCHED = "watched"
    LISTS = "lists"


class Change(NamedTuple):
    """Something of one user's has changed: look at these items again. A bulk mark is one change of many items."""

    user_id: UserId
    topic: Topic
    item_ids: tuple[ItemId, ...]


Publish = Callable[[Sequence[Change]], None]
"""Hands changes on; never blocks, never raises. Called on the event loop, after the commit."""
