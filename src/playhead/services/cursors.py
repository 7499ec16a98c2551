"""Cursors of lists that are sorted by time and id: opaque texts for clients, places in the list for the store."""

import base64
import binascii
from typing import NamedTuple, TypeVar

import msgspec

from playhead.domain.model import LATEST, canonical_id
from playhead.errors import invalid

UNDATED = -1
"""The time of what nobody knows the time of: it is sorted behind everything else."""


class TimeCursor(NamedTuple):
    """The place behind an entry of a list: its time, in milliseconds, or `UNDATED`, and its id."""

    at: int
    id: str


class PlayingCursor(NamedTuple):
    """The place behind an entry of what is being played, maybe by everybody."""

    at: int
    item_id: str
    user_id: str


C = TypeVar("C", TimeCursor, PlayingCursor)


def encode_cursor(place: TimeCursor | PlayingCursor) -> str:
    """Return a place in a list as a text that means nothing to anybody else."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def decode_cursor(cursor: str, kind: type[C]) -> C:
    """Return the place that a cursor stands for. Raises INVALID, also for what the store could not compare."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        place = msgspec.json.decode(raw, type=kind)
    except (binascii.Error, ValueError, RecursionError):  # msgspec's errors are ValueErrors
        raise _bad_cursor() from None
    at, *ids = place
    if not UNDATED <= at <= LATEST or any(canonical_id(each) != each for each in ids):
        raise _bad_cursor()
    return place


def _bad_cursor() -> Exception:
    return invalid({"cursor": ["is no cursor of this list"]})
