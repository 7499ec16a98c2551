"""Queries of libraries, items and files. Decides nothing."""

from collections.abc import Collection, Iterable, Sequence
from datetime import date
from enum import Enum
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Select, func, insert, literal, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.elements import Tuple

from playhead.domain.catalogue import EpisodePlace, Item, Library, MediaFile, MediaStream, search_title, sort_title
from playhead.domain.model import FileId, Instant, ItemId, ItemKind, LibraryId, LibraryKind, Milliseconds
from playhead.storage.schema import external_id, file_item, item, library, media_file

# SQLite allows 32,766 parameters per statement, PostgreSQL 65,535.
IDS_AT_ONCE = 5_000


decode_streams = msgspec.json.Decoder(tuple[MediaStream, ...]).decode


class LibraryNameTakenError(Exception):
    """Another library has this name."""


class ItemOrder(Enum):
    """Sort orders of item lists. Ties are broken by id, so that every position in a list is unique."""

    TITLE = "title"
    YEAR = "year"
    ADDED = "added"


class Matching(NamedTuple):
    """The condition of a search. `is_narrow`: it lists the ids of the items, which are few."""

    condition: ColumnElement[bool]
    is_narrow: bool


class ListPosition(NamedTuple):
    """Where a list continues: after the item with this id and sort key. `is_similar`: among matches with a typo."""

    key: str | int
    id: ItemId
    is_similar: bool = False


class EpisodePosition(NamedTuple):
    """Where a list of episodes continues."""

    season_number: int
    episode_number: int
    air_date: str
    id: ItemId


_SORT_KEYS: dict[ItemOrder, ColumnElement[Any]] = {
    ItemOrder.TITLE: item.c.sort_title,
    ItemOrder.YEAR: func.coalesce(item.c.year, 0),
    ItemOrder.ADDED: item.c.added_at,
}
_EPISODE_KEY = (
    func.coalesce(item.c.season_number, 0),
    func.coalesce(item.c.episode_number, 0),
    func.coalesce(item.c.air_date, ""),
    item.c.id,
)


# Libraries


def add_library(connection: Connection, added: Library) -> None:
    """Store a new library. Raises LibraryNameTakenError."""
    try:
        connection.execute(
            insert(library).values(
                id=added.id, name=added.name, kind=added.kind.value, path=added.path, created_at=added.created_at
            )
        )
    except IntegrityError as error:
        raise LibraryNameTakenError from error


def rename_library(connection: Connection, library_id: LibraryId, name: str) -> bool:
    """Rename a library; returns False if it does not exist. Raises LibraryNameTakenError."""
    try:
        renamed = connection.execute(update(library).where(library.c.id == library_id).values(name=name))
    except IntegrityError as error:
        raise LibraryNameTakenError from error
    return renamed.rowcount > 0


def list_libraries(connection: Connection) -> list[Library]:
    """Return all libraries by name."""
    return [_library(row) for row in connection.execute(select(library).order_by(library.c.name))]


def find_library(connection: Connection, library_id: LibraryId) -> Library | None:
    """Return the library with this id."""
    row = connection.execute(select(library).where(library.c.id == library_id)).first()
    return None if row is None else _library(row)


def count_items(connection: Connection) -> dict[LibraryId, dict[ItemKind, int]]:
    """Return the number of items of each kind in the libraries, without the removed ones."""
    counts: dict[LibraryId, dict[ItemKind, int]] = {}
    query = (
        select(item.c.library_id, item.c.kind, func.count())
        .where(item.c.removed_at.is_(None))
        .group_by(item.c.library_id, item.c.kind)
    )
    for library_id, kind, number in connection.execute(query):
        counts.setdefault(library_id, {})[ItemKind(kind)] = number
    return counts


def _library(row: Row[*tuple[Any, ...]]) -> Library:
    return Library(
        LibraryId(row.id),
        row.name,
        LibraryKind(row.kind),
        row.path,
        Instant(row.created_at),
        row.scanned_at,
        row.scan_report,
        row.scan_until,
    )


# Items


def list_items(  # noqa: PLR0913 - the members of a search
    connection: Connection,
    libraries: Collection[LibraryId],
    *,
    kind: ItemKind | None,
    matching: Matching | None,
    order: ItemOrder,
    descending: bool,
    after: ListPosition | None,
    limit: int | None,
) -> list[tuple[Item, ListPosition]]:
    """Return items of these libraries that are not removed, each with its position in the list.

    `matching` is the condition of a search.
    """
    kinds = ItemKind if kind is None else (kind,)  # all are named, because the index in order of title has them
    query = select(item).where(*available(libraries, matching), item.c.kind.in_([each.value for each in kinds]))
    query = continued(query, order, descending=descending, after=after).limit(limit)
    rows = connection.execute(query).all()
    ids = external_ids_of(connection, [row.id for row in rows])
    return [(item_of(row, ids), ListPosition(row.sort_key, row.id)) for row in rows]


def available(libraries: Collection[LibraryId], matching: Matching | None) -> Sequence[ColumnElement[bool]]:
    """Return the conditions of items of these libraries that are not removed, and that a search selects."""
    library_id = item.c.library_id
    if matching is not None and matching.is_narrow:
        # Without statistics, SQLite takes the index of a library, with all of its items, for narrower than a list of
        # ids; it searches no index for an expression.
        library_id = func.coalesce(library_id, library_id)
    conditions = [library_id.in_(sorted(libraries)), item.c.removed_at.is_(None)]
    return conditions if matching is None else [*conditions, matching.condition]


def continued(
    query: Select[*tuple[Any, ...]], order: ItemOrder, *, descending: bool, after: ListPosition | None
) -> Select[*tuple[Any, ...]]:
    """Sort a query of items, continue after a position, and add the sort key as its last column, `sort_key`."""
    key = _SORT_KEYS[order]
    if after is not None:
        place, last = tuple_(key, item.c.id), _place((key, item.c.id), (after.key, after.id))
        query = query.where(place < last if descending else place > last)
    query = query.add_columns(key.label("sort_key"))
    return query.order_by(*((key.desc(), item.c.id.desc()) if descending else (key, item.c.id)))


def list_episodes(
    connection: Connection, show_id: ItemId, season_number: int | None, after: EpisodePosition | None, limit: int | None
) -> list[tuple[Item, EpisodePosition]]:
    """Return the episodes of a show that are not removed, by season, number and date, each with its position."""
    query = select(item).where(item.c.show_id == show_id, item.c.removed_at.is_(None))
    if season_number is not None:
        query = query.where(item.c.season_number == season_number)
    if after is not None:
        query = query.where(tuple_(*_EPISODE_KEY) > _place(_EPISODE_KEY, after))
    rows = connection.execute(query.order_by(*_EPISODE_KEY).limit(limit)).all()
    ids = external_ids_of(connection, [row.id for row in rows])
    return [
        (
            item_of(row, ids),
            EpisodePosition(row.season_number or 0, row.episode_number or 0, row.air_date or "", row.id),
        )
        for row in rows
    ]


def _place(columns: Sequence[ColumnElement[Any]], values: Sequence[object]) -> Tuple:
    # PostgreSQL compares ids only with ids, and needs the type of each value in a row.
    return tuple_(*(literal(value, column.type) for column, value in zip(columns, values, strict=True)))


def find_item(connection: Connection, item_id: ItemId) -> Item | None:
    """Return the item with this id, removed or not."""
    items = find_items(connection, select(item).where(item.c.id == item_id))
    return items[0] if items else None


def find_items(connection: Connection, query: Select[*tuple[Any, ...]]) -> list[Item]:
    """Return the items of a query of whole rows, with external ids."""
    rows = connection.execute(query).all()
    ids = external_ids_of(connection, [row.id for row in rows])
    return [item_of(row, ids) for row in rows]


def external_ids_of(connection: Connection, item_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return source and value of the external ids of these items."""
    found: dict[str, dict[str, str]] = {}
    for some in chunks(item_ids):
        for row in connection.execute(select(external_id).where(external_id.c.item_id.in_(some))):
            found.setdefault(row.item_id, {})[row.source] = row.value
    return found


def item_of(row: Row[*tuple[Any, ...]], external_ids: dict[str, dict[str, str]]) -> Item:
    """Convert a row of the table; `external_ids` may contain those of other items, too."""
    return Item(
        id=ItemId(row.id),
        library_id=LibraryId(row.library_id),
        kind=ItemKind(row.kind),
        title=row.title,
        identity=row.identity,
        added_at=Instant(row.added_at),
        year=row.year,
        show_id=row.show_id,
        season_number=row.season_number,
        episode_number=row.episode_number,
        episode_end=row.episode_end,
        air_date=None if row.air_date is None else date.fromisoformat(row.air_date),
        place=None if row.placed_season is None else EpisodePlace(row.placed_season, row.placed_before),
        runtime_ms=row.runtime_ms,
        credits_ms=row.credits_ms,
        removed_at=row.removed_at,
        external_ids=external_ids.get(row.id, {}),
    )


def item_row(stored: Item) -> dict[str, object]:
    """Convert an item to the columns of its row."""
    return {
        "id": stored.id,
        "library_id": stored.library_id,
        "kind": stored.kind.value,
        "show_id": stored.show_id,
        "title": stored.title,
        "sort_title": sort_title(stored.title),
        "search_title": search_title(stored.title),
        "year": stored.year,
        "season_number": stored.season_number,
        "episode_number": stored.episode_number,
        "episode_end": stored.episode_end,
        "air_date": None if stored.air_date is None else stored.air_date.isoformat(),
        "placed_season": None if stored.place is None else stored.place.season,
        "placed_before": None if stored.place is None else stored.place.before_episode,
        "identity": stored.identity,
        "runtime_ms": stored.runtime_ms,
        "credits_ms": stored.credits_ms,
        "added_at": stored.added_at,
        "removed_at": stored.removed_at,
    }


# Files


def list_files(connection: Connection, item_id: ItemId) -> list[MediaFile]:
    """Return the files of an item that exist and can be played."""
    query = (
        select(media_file, file_item.c.part)
        .join(file_item, file_item.c.file_id == media_file.c.id)
        .where(file_item.c.item_id == item_id, media_file.c.removed_at.is_(None), media_file.c.fault.is_(None))
    )
    return [file_of(row) for row in connection.execute(query)]


def find_file(connection: Connection, file_id: FileId) -> tuple[LibraryId, MediaFile] | None:
    """Return a file that can be played, and its library."""
    query = (
        select(media_file, file_item.c.part)
        .join(file_item, file_item.c.file_id == media_file.c.id)
        .where(media_file.c.id == file_id, media_file.c.removed_at.is_(None), media_file.c.fault.is_(None))
        .limit(1)
    )
    row = connection.execute(query).first()
    return None if row is None else (LibraryId(row.library_id), file_of(row))


def file_of(row: Row[*tuple[Any, ...]]) -> MediaFile:
    """Convert a row of the table joined with its `part` of an item."""
    return MediaFile(
        FileId(row.id),
        row.path,
        row.label,
        row.size,
        None if row.duration_ms is None else Milliseconds(row.duration_ms),
        row.container,
        row.width,
        row.height,
        row.video_codec,
        row.audio_codec,
        row.part,
        () if row.streams is None else decode_streams(row.streams),
    )


def chunks(values: Sequence[str]) -> Iterable[Sequence[str]]:
    """Split a long list of ids into chunks that fit into a statement."""
    return (values[start : start + IDS_AT_ONCE] for start in range(0, len(values), IDS_AT_ONCE))
