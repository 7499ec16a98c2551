"""Who may see what: the one place where a looked-up grant becomes an answer or a refusal."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from playhead.domain.access import Standing, may_see, may_see_item
from playhead.domain.catalogue import Holding, Item, Library
from playhead.domain.file_facts import see_files
from playhead.domain.model import ItemId, ItemKind, LibraryId, Milliseconds, Role, UserId
from playhead.domain.playback import FrozenProgress, ItemFacts
from playhead.errors import PlayheadError, access_denied, not_authenticated, not_found
from playhead.storage import accounts, catalogue, playback
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


class Sight(NamedTuple):
    """What a viewer may see: the libraries by id, in order of their names; removed ones are only in `granted`."""

    viewer: Viewer
    libraries: Mapping[LibraryId, Library]
    granted: frozenset[LibraryId]

    @property
    def libraries_of_files(self) -> frozenset[LibraryId] | None:
        """The libraries whose files the viewer may see; None: all."""
        return None if self.viewer.role is Role.ADMIN else self.granted


@dataclass(frozen=True, slots=True)
class ItemView:
    """An item as one viewer sees it.

    `libraries` are those that the viewer may see and that have or had it, the one that had it first before the others.
    `available`: one of them has it now; `has_files`: it has files there, not only an import. `facts` are the item's
    length and credits as far as the viewer may know them: of the files in these libraries.
    """

    item: Item
    libraries: tuple[Library, ...]
    available: bool
    has_files: bool
    facts: ItemFacts

    @property
    def library(self) -> Library | None:
        """The first of its libraries."""
        return self.libraries[0] if self.libraries else None

    @property
    def runtime_ms(self) -> Milliseconds | None:
        """The length of the shortest file that the viewer may see."""
        return self.facts.runtime_ms


def sight_of(connection: Connection, viewer: Viewer) -> Sight:
    """Return what a viewer may see."""
    granted = accounts.list_lasting_grants(connection, viewer.user_id)
    libraries = {
        library.id: library
        for library in catalogue.list_libraries(connection)
        if may_see(viewer.role, granted=library.id in granted)
    }
    return Sight(viewer, libraries, granted)


def visible_libraries(connection: Connection, viewer: Viewer) -> list[Library]:
    """Return the libraries that a viewer may see, by name."""
    return [*sight_of(connection, viewer).libraries.values()]


def require_library(connection: Connection, viewer: Viewer, library_id: LibraryId) -> Library:
    """Return a library. Raises NOT_FOUND, ACCESS_DENIED."""
    library = catalogue.find_library(connection, library_id)
    if library is None:
        raise not_found("Library not found")
    if not may_see(viewer.role, granted=library_id in accounts.list_grants(connection, viewer.user_id)):
        raise access_denied()
    return library


def item_views(connection: Connection, sight: Sight, items: Iterable[Item]) -> dict[ItemId, ItemView]:
    """Return items that a viewer may see, as the viewer sees them."""
    known = {item.id: item for item in items}
    holdings = catalogue.holdings_of(connection, known.keys())
    return {item_id: _view(sight, item, holdings[item_id]) for item_id, item in known.items()}


def _view(sight: Sight, item: Item, holdings: Sequence[Holding]) -> ItemView:
    lasting = [held for held in holdings if held.ended_at is None]
    mine = [held for held in lasting if held.library_id in sight.libraries]
    living = [sight.libraries[held.library_id] for held in mine if held.is_living]
    return ItemView(
        item,
        tuple(sight.libraries[held.library_id] for held in mine),
        available=bool(living),
        has_files=any(library.path is not None for library in living),
        facts=_facts(sight, item, lasting),
    )


def _facts(sight: Sight, item: Item, lasting: Sequence[Holding]) -> ItemFacts:
    facts = ItemFacts(item.runtime_ms, item.credits_ms)
    granted = sight.libraries_of_files
    if granted is None:
        return facts
    if lasting and all(held.library_id not in granted for held in lasting):
        return ItemFacts()
    if all(file.library_id in granted for file in item.files):  # nearly always: measuring takes longer
        return facts
    return see_files(facts, item.files, granted).facts


def visible_item(connection: Connection, sight: Sight, item_id: ItemId, kind: ItemKind | None) -> ItemView:
    """Return the item that an id means, of this kind if one is given. Raises NOT_FOUND, ACCESS_DENIED."""
    item = catalogue.find_item(connection, item_id)
    expected = kind or ItemKind.MOVIE
    if item is None:
        raise not_found(NOT_FOUND[expected])
    holdings = catalogue.holdings_of(connection, [item.id])[item.id]
    standing = _standing(connection, sight, item, holdings)
    if not may_see_item(sight.viewer.role, standing):
        raise _refusal(item.kind, expected, standing, may=False)
    if kind is not None and item.kind is not kind:
        raise wrong_kind(kind)
    return _view(sight, item, holdings)


def _standing(connection: Connection, sight: Sight, item: Item, holdings: Sequence[Holding]) -> Standing:
    user_id = sight.viewer.user_id
    is_held = any(held.is_living for held in holdings)
    is_granted = any(held.ended_at is None and held.library_id in sight.granted for held in holdings)
    return Standing(
        is_open=item.is_open,
        is_private=item.owner_id is not None,
        is_own=item.owner_id == user_id,
        is_held=is_held,
        is_granted=is_granted,
        has_state=not is_held and not is_granted and playback.has_state_of(connection, (user_id, item.id)),
    )


def refusal(lookup: SaveLookup | None, kind: ItemKind | None) -> PlayheadError | None:
    """Return why an item of this kind (None: any) cannot be used, or None if it can.

    NOT_AUTHENTICATED if the user no longer exists, NOT_FOUND if the item does not exist, is of another kind, or is
    another user's private item; ACCESS_DENIED if the user may not see it for other reasons.
    """
    if lookup is None:
        return not_authenticated()
    may = may_see_item(lookup.role, lookup.standing)
    if may and lookup.kind is not None and kind in (None, lookup.kind):
        return None
    return _refusal(lookup.kind, kind or ItemKind.MOVIE, lookup.standing, may=may)


def require_item(lookup: SaveLookup | None, kind: ItemKind | None) -> SaveLookup:
    """Return the look-up of an item that can be used. Raises the refusal otherwise."""
    refused = refusal(lookup, kind)
    if refused is not None or lookup is None:
        raise refused or not_authenticated()
    return lookup


def require_readable(lookup: ReadLookup, role: Role, kind: ItemKind) -> FrozenProgress | None:
    """Return the progress of a readable item, None if nothing is saved. Raises NOT_FOUND, ACCESS_DENIED."""
    standing, found, progress = lookup
    may = may_see_item(role, standing)
    if found != kind or not may:
        raise _refusal(found, kind, standing, may=may)
    return progress


def wrong_kind(kind: ItemKind) -> PlayheadError:
    """The item exists and may be seen, but is not of the requested kind."""
    return not_found(_WRONG_KIND[kind])


def _refusal(found: str | None, kind: ItemKind, standing: Standing, *, may: bool) -> PlayheadError:
    if found is None or (standing.is_private and not may):
        return not_found(NOT_FOUND[kind])
    return wrong_kind(kind) if may else access_denied()
