"""Cursors: positions in lists, as opaque strings for clients. The only place that encodes and decodes them."""

import base64
from typing import NamedTuple, TypeVar

import msgspec

from playhead.domain.model import LATEST, ItemId, canonical_id
from playhead.errors import PlayheadError, invalid
from playhead.storage.catalogue import EpisodePosition, ItemOrder, ListPosition

UNDATED = -1
"""The time of what has an unknown time: it sorts behind everything else."""

SORTS = ("title", "-title", "year", "-year", "added", "-added")

# Beyond any year, number or time in milliseconds, and within SQLite's and PostgreSQL's bigint, which end at 2**63.
_INTEGER_MAX = 1 << 62


class TimeCursor(NamedTuple):
    """The position after an entry of a list that is sorted by time: its time in milliseconds, or `UNDATED`, and id."""

    at: int
    id: str


class PlayingCursor(NamedTuple):
    """The position after an entry of what is playing now, of one user or of all."""

    at: int
    item_id: str
    user_id: str


class _ItemCursor(NamedTuple):
    """The position after an item, and the sort order of its list."""

    sort: str
    key: str | int
    id: ItemId
    is_similar: bool = False


C = TypeVar("C", TimeCursor, PlayingCursor, EpisodePosition, _ItemCursor)


def encode_cursor(place: tuple[object, ...]) -> str:
    """Encode a position in a list as an opaque string."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def decode_cursor(cursor: str, kind: type[C]) -> C:
    """Decode a cursor. Raises INVALID, also for values that the store cannot compare."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        place = msgspec.json.decode(raw, type=kind)
    except (ValueError, RecursionError):  # the errors of base64 and of msgspec are ValueErrors
        raise _bad_cursor() from None
    if not all(map(_is_possible, kind._fields, place)):
        raise _bad_cursor()
    return place


def encode_item_cursor(sort: str, place: ListPosition) -> str:
    """Encode a position in a list of items that is sorted by one of SORTS."""
    return encode_cursor(_ItemCursor(sort, *place))


def decode_item_cursor(sort: str, cursor: str | None) -> ListPosition | None:
    """Return where a list of items continues, None without a cursor. Raises INVALID (`sort`, `cursor`).

    `sort` must be one of SORTS, and the one that the cursor was made for.
    """
    if sort not in SORTS:
        raise invalid({"sort": [f"must be one of {', '.join(SORTS)}"]})
    if cursor is None:
        return None
    place = decode_cursor(cursor, _ItemCursor)
    by_title = ItemOrder(sort.lstrip("-")) is ItemOrder.TITLE
    if place.sort != sort or isinstance(place.key, str) != by_title:
        raise _bad_cursor()
    return ListPosition(place.key, place.id, place.is_similar)


def _is_possible(name: str, member: object) -> bool:
    """Whether a member of a position is one that a list can have: a forged cursor must not reach the store."""
    if name == "id" or name.endswith("_id"):
        return isinstance(member, str) and canonical_id(member) == member
    if isinstance(member, int):
        return UNDATED <= member <= LATEST if name == "at" else abs(member) < _INTEGER_MAX
    return "\0" not in str(member)


def _bad_cursor() -> PlayheadError:
    return invalid({"cursor": ["is not a cursor of this list"]})
