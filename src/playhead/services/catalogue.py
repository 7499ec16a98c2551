"""Libraries, items and files: listing, looking up, and finding the file to play."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from playhead.domain.accounts import clean_name, name_faults
from playhead.domain.catalogue import Item, Library, MediaFile, version_preference
from playhead.domain.labels import ordered_versions
from playhead.domain.limits import LIBRARIES
from playhead.domain.model import (
    FileId,
    Instant,
    ItemId,
    ItemKind,
    LibraryId,
    LibraryKind,
    canonical_id,
)
from playhead.domain.searching import parse_search
from playhead.errors import conflict, invalid, not_found
from playhead.media.folders import contained_video, nested
from playhead.media.tracks import Tracks, list_tracks
from playhead.services.access import (
    ItemView,
    Sight,
    Viewer,
    item_views,
    require_library,
    sight_of,
    visible_item,
    visible_libraries,
)
from playhead.services.cursors import decode_cursor, decode_item_cursor, encode_cursor, encode_item_cursor
from playhead.services.scanning import ScanSummary
from playhead.storage import catalogue
from playhead.storage.catalogue import EpisodePosition, ItemOrder, LibraryNameTakenError
from playhead.storage.engine.database import Connection, Database
from playhead.storage.searching import find_matches, in_order_of_match

LIMIT_MAX = 500
LIMIT_DEFAULT = 50


@dataclass(frozen=True, slots=True)
class LibraryView:
    """A library with its item counts. `report` is the last scan's; `scanning`: some process is scanning it."""

    library: Library
    counts: dict[ItemKind, int]
    scanning: bool
    report: ScanSummary | None


@dataclass(frozen=True, slots=True)
class ItemDetail:
    """An item with its files: parts in order, the default version first.

    `library_of` and `tracks` contain the library and the tracks of each file.
    """

    view: ItemView
    files: list[MediaFile]
    library_of: dict[FileId, Library]
    tracks: dict[FileId, Tracks]


@dataclass(frozen=True, slots=True)
class ItemListPage:
    """A page of a list; `next_cursor` is None at the end."""

    items: list[ItemView]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class StreamFile:
    """A file that may be served: `path` is resolved, inside its library, and has just been checked to exist."""

    path: Path
    file: MediaFile


P = TypeVar("P", bound=tuple[object, ...])


class Catalogue:
    """The catalogue. `clock` returns the time, `new_id` a random UUID."""

    def __init__(self, database: Database, *, clock: Callable[[], Instant], new_id: Callable[[], str]) -> None:
        self._database = database
        self._clock = clock
        self._new_id = new_id

    # Libraries

    async def add_library(self, name: str, kind: LibraryKind, path: str | Path | None) -> Library:
        """Add a library over an existing folder, or without one for an imported catalogue.

        The path is stored absolute, with links resolved. Raises INVALID (`name`, `path`), and CONFLICT for a name that
        is taken and for a folder that contains, or is inside, another library's folder.
        """
        details = {"name": library_name_faults(name)}
        folder = None if path is None else readable_folder(str(path))
        if path is not None and folder is None:
            details["path"] = ["must be an existing folder that can be read"]
        details = {member: faults for member, faults in details.items() if faults}
        if details:
            raise invalid(details)
        library = Library(
            LibraryId(self._new_id()), clean_name(name), kind, None if folder is None else str(folder), self._clock()
        )

        def add(connection: Connection) -> None:
            libraries = catalogue.list_libraries(connection)
            if len(libraries) >= LIBRARIES.most:
                raise LIBRARIES.refusal()
            others = [Path(other.path) for other in libraries if other.path is not None]
            if folder is not None and nested(folder, others) is not None:
                raise conflict("The folder belongs to another library, or contains one", member="path")
            catalogue.add_library(connection, library)

        try:
            await self._database.write(add)
        except LibraryNameTakenError:
            raise conflict("This name is taken", member="name") from None
        return library

    async def list_libraries(self, viewer: Viewer) -> list[LibraryView]:
        """Return the libraries that a viewer may see, by name."""

        def load(connection: Connection) -> list[LibraryView]:
            counts = catalogue.count_items(connection)
            return [
                LibraryView(library, counts.get(library.id, {}), _is_scanning(library, now), _report(library))
                for library in visible_libraries(connection, viewer)
            ]

        now = self._clock()
        return await self._database.read(load)

    async def get_library(self, viewer: Viewer, library_id: LibraryId) -> LibraryView:
        """Return a library with its item counts. Raises NOT_FOUND, also if the viewer may not see it."""
        for view in await self.list_libraries(viewer):
            if view.library.id == library_id:
                return view
        raise not_found("Library not found")

    async def find_library(self, viewer: Viewer, name_or_id: str) -> Library:
        """Return a library by its id or name. Raises NOT_FOUND, ACCESS_DENIED."""
        return await self._database.read(lambda connection: library_named(connection, viewer, name_or_id))

    # Items

    async def list_items(  # noqa: PLR0913 - the members of a search
        self,
        viewer: Viewer,
        *,
        library: str | None = None,
        kind: ItemKind | None = None,
        query: str | None = None,
        sort: str = "title",
        cursor: str | None = None,
        limit: int | None = LIMIT_DEFAULT,
    ) -> ItemListPage:
        """Return the items of one library (by id or name), or of all that the viewer may see.

        The latter include items on which the viewer has state and that no library has now.
        `query`: see `parse_search`; exact matches come first. `sort` is one of
        `cursors.SORTS`. `limit` None returns all. Raises INVALID (`sort`, `cursor`), NOT_FOUND and ACCESS_DENIED for
        the library.
        """
        after = decode_item_cursor(sort, cursor)
        search = parse_search(query or "")

        def load(connection: Connection) -> ItemListPage:
            sight = sight_of(connection, viewer)
            libraries = sight.libraries.keys() if library is None else [library_named(connection, viewer, library).id]
            user_id = viewer.user_id if library is None else None
            items = partial(
                catalogue.list_items,
                connection,
                libraries,
                user_id=user_id,
                kind=kind,
                order=ItemOrder(sort.lstrip("-")),
                descending=sort.startswith("-"),
            )
            matches = find_matches(connection, search, libraries, kind, user_id=user_id)
            rows = in_order_of_match(matches, after, None if limit is None else limit + 1, items)
            return _page(connection, sight, rows, limit, partial(encode_item_cursor, sort))

        return await self._database.read(load)

    async def get_item(self, viewer: Viewer, item_id: ItemId) -> ItemDetail:
        """Return an item, available or not, with the files that the viewer may see. Raises NOT_FOUND, ACCESS_DENIED."""

        def load(connection: Connection) -> ItemDetail:
            return detail_of(connection, visible_item(connection, sight_of(connection, viewer), item_id, None))

        return await with_tracks(await self._database.read(load))

    async def list_episodes(
        self,
        viewer: Viewer,
        show_id: ItemId,
        *,
        season: int | None = None,
        cursor: str | None = None,
        limit: int | None = LIMIT_DEFAULT,
    ) -> ItemListPage:
        """Return the available episodes of a show or of one season (0: the specials), in order.

        Raises INVALID (`cursor`), NOT_FOUND also if the item is not a show, ACCESS_DENIED.
        """
        after = None if cursor is None else decode_cursor(cursor, EpisodePosition)

        def load(connection: Connection) -> ItemListPage:
            sight = sight_of(connection, viewer)
            show = visible_item(connection, sight, show_id, ItemKind.SHOW).item
            more = None if limit is None else limit + 1
            rows = catalogue.list_episodes(connection, sight.libraries.keys(), show.id, season, after, more)
            return _page(connection, sight, rows, limit, encode_cursor)

        return await self._database.read(load)

    # Files

    async def stream_item(self, viewer: Viewer, kind: ItemKind, item_id: ItemId) -> StreamFile:
        """Return the file to play of an item. Raises NOT_FOUND, ACCESS_DENIED."""

        def load(connection: Connection) -> ItemDetail:
            return detail_of(connection, visible_item(connection, sight_of(connection, viewer), item_id, kind))

        detail = await self._database.read(load)
        files = [(detail.library_of[file.id], file) for file in sorted(detail.files, key=version_preference)]
        return await asyncio.to_thread(_servable, files)

    async def stream_file(self, viewer: Viewer, file_id: FileId) -> StreamFile:
        """Return a file by its id. Raises NOT_FOUND, ACCESS_DENIED."""
        found = await self._database.read(lambda connection: visible_file(connection, viewer, file_id))
        return await asyncio.to_thread(_servable, [found])


def library_name_faults(name: str) -> list[str]:
    """Return what is wrong with the name of a library."""
    faults = name_faults(name)
    if canonical_id(name):
        faults.append("must not look like an id")
    return faults


def library_named(connection: Connection, viewer: Viewer, name_or_id: str) -> Library:
    """Return a library by its id or name. Raises NOT_FOUND, ACCESS_DENIED."""
    wanted = canonical_id(name_or_id) or clean_name(name_or_id)
    for library in catalogue.list_libraries(connection):
        if wanted in (library.id, library.name):
            return require_library(connection, viewer, library.id)
    raise not_found("Library not found")


def detail_of(connection: Connection, view: ItemView) -> ItemDetail:
    """Return an item with the files in the libraries that its viewer may see, without their tracks."""
    library_of: dict[FileId, Library] = {}
    libraries = {library.id: library for library in view.libraries}
    files: list[MediaFile] = []
    for library_id, file in catalogue.list_files(connection, view.item.id, libraries.keys()):
        library_of[file.id] = libraries[library_id]
        files.append(file)
    return ItemDetail(view, ordered_versions(files), library_of, {})


def visible_file(connection: Connection, viewer: Viewer, file_id: FileId) -> tuple[Library, MediaFile]:
    """Return a file and its library. Raises NOT_FOUND, ACCESS_DENIED."""
    found = catalogue.find_file(connection, file_id)
    if found is None:
        raise not_found("File not found")
    library_id, file = found
    return require_library(connection, viewer, library_id), file


def _servable(files: Sequence[tuple[Library, MediaFile]]) -> StreamFile:
    """Return the first file that exists. A disk that hangs delays this request only."""
    for library, file in files:
        path = None if library.path is None else contained_video(Path(library.path), file.path, file.size)
        if path is not None:
            return StreamFile(path, file)
    raise not_found("File not found")


async def with_tracks(detail: ItemDetail) -> ItemDetail:
    """Return an item whose files have their tracks, which are partly files beside them on a disk."""
    if not detail.files:
        return detail
    return replace(detail, tracks=await asyncio.to_thread(_list_tracks, detail))


def _list_tracks(detail: ItemDetail) -> dict[FileId, Tracks]:
    tracks: dict[FileId, Tracks] = {}
    for file in detail.files:
        path = detail.library_of[file.id].path
        tracks[file.id] = list_tracks(None if path is None else Path(path), file.path, file.streams)
    return tracks


def readable_folder(path: str) -> Path | None:
    """Return a folder, absolute and with links resolved; None if there is none that can be read."""
    try:
        folder = Path(path).expanduser().resolve(strict=True)
        str(folder).encode()  # a name that is not UTF-8 cannot be stored
        next(folder.iterdir(), None)
    except (OSError, RuntimeError, ValueError):
        return None
    return folder


def _is_scanning(library: Library, now: Instant) -> bool:
    return library.scan_until is not None and now < library.scan_until


def _report(library: Library) -> ScanSummary | None:
    return None if library.scan_report is None else msgspec.json.decode(library.scan_report, type=ScanSummary)


def _page(
    connection: Connection,
    sight: Sight,
    rows: Sequence[tuple[Item, P]],
    limit: int | None,
    encode: Callable[[P], str],
) -> ItemListPage:
    """Remove the extra row that was requested to find out whether the list continues."""
    shown = rows if limit is None else rows[:limit]
    views = item_views(connection, sight, (item for item, _ in shown))
    goes_on = len(shown) < len(rows)
    return ItemListPage([views[item.id] for item, _ in shown], encode(shown[-1][1]) if goes_on else None)
