"""Identifiers, units and values shared by all subjects. Frozen; no rules, no I/O."""

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import NewType
from uuid import UUID

UserId = NewType("UserId", str)
ItemId = NewType("ItemId", str)
LibraryId = NewType("LibraryId", str)
FileId = NewType("FileId", str)
TokenId = NewType("TokenId", str)
DeviceId = NewType("DeviceId", str)
IdentityId = NewType("IdentityId", str)
PasskeyId = NewType("PasskeyId", str)

NOBODY = UserId("00000000-0000-0000-0000-000000000000")
"""The nil UUID of RFC 9562, section 5.9: an id that can be looked up in the store and that no account has."""

Milliseconds = NewType("Milliseconds", int)
"""A length of time or a position in an item, in whole milliseconds."""

Instant = NewType("Instant", int)
"""A point in time: milliseconds since 1970-01-01T00:00:00Z."""

_CANONICAL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ANY_CASE = re.compile(_CANONICAL.pattern, re.IGNORECASE)

# The largest and smallest instants that a calendar can represent; a clock beyond them is the sender's fault.
EARLIEST = Instant(0)
LATEST = Instant(253_402_300_799_999)  # 9999-12-31T23:59:59.999Z


class Role(StrEnum):
    """What an account may do: a member watches, an admin also manages the installation, a child only watches."""

    ADMIN = "admin"
    MEMBER = "member"
    CHILD = "child"


class ItemKind(StrEnum):
    """A movie or an episode has a playing position; a show groups episodes."""

    MOVIE = "movie"
    SHOW = "show"
    EPISODE = "episode"


class LibraryKind(StrEnum):
    """The content of a library's folder."""

    MOVIES = "movies"
    SHOWS = "shows"


def canonical_id(text: str) -> str | None:
    """Return the identifier in its one stored form (36 characters, lower case), or None if `text` is not a UUID."""
    if _CANONICAL.fullmatch(text):
        return text
    return str(UUID(text)) if _ANY_CASE.fullmatch(text) else None


def instant_of(moment: datetime) -> Instant:
    """Convert an aware datetime. Milliseconds are truncated, so that an instant is never in the future."""
    return Instant(int(moment.timestamp() * 1000))


def moment_of(instant: Instant) -> datetime:
    """Convert to an aware datetime in UTC."""
    return datetime.fromtimestamp(instant / 1000, UTC)
