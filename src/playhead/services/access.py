"""Who may see what: the one place where a looked-up grant becomes an answer or a refusal."""

from typing import NamedTuple

from playhead.domain.access import may_see
from playhead.domain.catalogue import Library
from playhead.domain.model import ItemKind, LibraryId, Role, UserId
from playhead.domain.playback import FrozenProgress
from playhead.errors import PlayheadError, access_denied, not_authenticated, not_found
from playhead.storage import accounts, catalogue
from playhead.storage.engine.database import Connection
from playhead.storage.playback import ReadLookup, SaveLookup

NOT_FOUND = {
    ItemKind.MOVIE: "Media item not found",
    ItemKind.EPISODE: "Episode not found",
    ItemKind.SHOW: "Show not found",
}
_WRONG_KIND = {**NOT_FOUND, ItemKind.MOVIE: "Media item is not a movie"}


class Viewer(NamedTuple):
    """The user who makes a request. The command line is an admin without an account: its user id is `NOBODY`."""

    user_id: UserId
    role: Role


def visible_libraries(connection: Connection, viewer: Viewer) -> list[Library]:
    """Return the libraries that a viewer may see, by name."""
    granted = accounts.list_grants(connection, viewer.user_id)
    return [
        library
        for library in catalogue.list_libraries(connection)
        if may_see(viewer.role, granted=library.id in granted)
    ]


def require_library(connection: Connection, viewer: Viewer, library_id: LibraryId) -> Library:
    """Return a library. Raises NOT_FOUND, ACCESS_DENIED."""
    library = catalogue.find_library(connection, library_id)
    if library is None:
        raise not_found("Library not found")
    if not may_see(viewer.role, granted=library_id in accounts.list_grants(connection, viewer.user_id)):
        raise access_denied()
    return library


def refusal(lookup: SaveLookup | None, kind: ItemKind | None) -> PlayheadError | None:
    """Return why an item of this kind (None: any) cannot be used, or None if it can.

    NOT_AUTHENTICATED if the user no longer exists, NOT_FOUND if the item does not exist or is of another kind,
    ACCESS_DENIED if it is in a library that the user may not see.
    """
    if lookup is None:
        return not_authenticated()
    may = may_see(lookup.role, granted=lookup.granted)
    if may and lookup.kind is not None and kind in (None, lookup.kind):
        return None
    return _refusal(lookup.kind, kind or ItemKind.MOVIE, may=may)


def require_item(lookup: SaveLookup | None, kind: ItemKind | None) -> SaveLookup:
    """Return the look-up of an item that can be used. Raises the refusal otherwise."""
    refused = refusal(lookup, kind)
    if refused is not None or lookup is None:
        raise refused or not_authenticated()
    return lookup


def require_readable(lookup: ReadLookup, role: Role, kind: ItemKind) -> FrozenProgress | None:
    """Return the progress of a readable item, None if nothing is saved. Raises NOT_FOUND, ACCESS_DENIED."""
    granted, found, progress = lookup
    may = may_see(role, granted=granted)
    if found != kind or not may:
        raise _refusal(found, kind, may=may)
    return progress


def wrong_kind(kind: ItemKind) -> PlayheadError:
    """The item exists and may be seen, but is not of the requested kind."""
    return not_found(_WRONG_KIND[kind])


def _refusal(found: str | None, kind: ItemKind, *, may: bool) -> PlayheadError:
    if found is None:
        return not_found(NOT_FOUND[kind])
    return wrong_kind(kind) if may else access_denied()
