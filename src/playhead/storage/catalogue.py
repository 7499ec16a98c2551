"""Queries of libraries, items and files. Decides nothing."""

from collections.abc import Collection, Iterable, Sequence
from datetime import date
from enum import Enum
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Select, func, insert, literal, or_, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.elements import Tuple

from playhead.domain.catalogue import (
    EpisodePlace,
    FileFacts,
    Holding,
    Item,
    Library,
    MediaFile,
    MediaStream,
    search_title,
    sort_title,
)
from playhead.domain.model import FileId, Instant, ItemId, ItemKind, LibraryId, LibraryKind, Milliseconds, UserId
from playhead.storage.engine.upserts import insert_for
from playhead.storage.schema import alias, external_id, file_item, holding, item, library, media_file
from playhead.storage.visibility import is_among_those_of, is_available_in, is_mine

# SQLite allows 32,766 parameters per statement, PostgreSQL 65,535.
IDS_AT_ONCE = 5_000


decode_streams = msgspec.json.Decoder(tuple[MediaStream, ...]).decode
_decode_pinned = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


class _Told(msgspec.Struct, omit_defaults=True):
    """What a library's files, or its import, say about an item: the column `told` of a holding."""

    title: str = ""
    year: int | None = None
    also: tuple[tuple[str, int | None], ...] = ()


_decode_told = msgspec.json.Decoder(_Told).decode


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
        renamed = connection.execute(update(library).where(_is_present(library_id)).values(name=name))
    except IntegrityError as error:
        raise LibraryNameTakenError from error
    return renamed.rowcount > 0


def remove_library(connection: Connection, library_id: LibraryId, removed_at: Instant) -> bool:
    """Mark a library, its files and its holdings as removed; returns False if it does not exist.

    All rows stay, so that the same titles and files are recognised when they come back.
    """
    removed = connection.execute(update(library).where(_is_present(library_id)).values(removed_at=removed_at))
    if not removed.rowcount:
        return False
    for table in (media_file, holding):
        there = (table.c.library_id == library_id, table.c.removed_at.is_(None))
        connection.execute(update(table).where(*there).values(removed_at=removed_at))
    return True


def list_libraries(connection: Connection) -> list[Library]:
    """Return all libraries by name, without the removed ones."""
    query = select(library).where(library.c.removed_at.is_(None)).order_by(library.c.name)
    return [library_of(row) for row in connection.execute(query)]


def find_library(connection: Connection, library_id: LibraryId) -> Library | None:
    """Return the library with this id, unless it is removed."""
    row = connection.execute(select(library).where(_is_present(library_id))).first()
    return None if row is None else library_of(row)


def _is_present(library_id: LibraryId) -> ColumnElement[bool]:
    return (library.c.id == library_id) & library.c.removed_at.is_(None)


def count_items(connection: Connection) -> dict[LibraryId, dict[ItemKind, int]]:
    """Return the number of items of each kind that the libraries have now."""
    counts: dict[LibraryId, dict[ItemKind, int]] = {}
    query = (
        select(holding.c.library_id, item.c.kind, func.count())
        .join(item, item.c.id == holding.c.item_id)
        .where(holding.c.removed_at.is_(None), holding.c.ended_at.is_(None))
        .group_by(holding.c.library_id, item.c.kind)
    )
    for library_id, kind, number in connection.execute(query):
        counts.setdefault(library_id, {})[ItemKind(kind)] = number
    return counts


def library_of(row: Row[*tuple[Any, ...]]) -> Library:
    """Convert a row of the table."""
    return Library(
        LibraryId(row.id),
        row.name,
        LibraryKind(row.kind),
        row.path,
        Instant(row.created_at),
        row.scanned_at,
        row.scan_report,
        row.scan_until,
        row.removed_at,
    )


# Items


def list_items(  # noqa: PLR0913 - the members of a search
    connection: Connection,
    libraries: Collection[LibraryId],
    *,
    user_id: UserId | None,
    kind: ItemKind | None,
    matching: Matching | None,
    order: ItemOrder,
    descending: bool,
    after: ListPosition | None,
    limit: int | None,
) -> list[tuple[Item, ListPosition]]:
    """Return items that these libraries have, each once with its position in the list.

    With a `user_id` also those that this user has state on and may see, though no library has them. `matching` is the
    condition of a search.
    """
    query = select(item).where(*listed(libraries, user_id, matching, kind, order))
    query = continued(query, order, descending=descending, after=after).limit(limit)
    rows = connection.execute(query).all()
    ids = external_ids_of(connection, [row.id for row in rows])
    return [(item_of(row, ids), ListPosition(row.sort_key, row.id)) for row in rows]


def listed(
    libraries: Collection[LibraryId],
    user_id: UserId | None,
    matching: Matching | None,
    kind: ItemKind | None,
    order: ItemOrder,
) -> Sequence[ColumnElement[bool]]:
    """Return the conditions of items of one kind, or of all, that these libraries have, and that a search selects.

    With a `user_id` also of those that this user has state on and may see, though no library has them. The conditions
    are written for a list in this order, because SQLite has no statistics: it takes an index of kinds for narrower than
    a library or a list of ids.
    """
    is_narrow = matching is not None and matching.is_narrow
    is_everywhere = user_id is not None
    # The index of kinds and titles gives the beginning of a list, but all of it for kinds that a library has not.
    is_walk = not is_narrow and order is ItemOrder.TITLE and (is_everywhere or kind is not None)
    of_kind = item.c.kind if is_walk else func.coalesce(item.c.kind, item.c.kind)
    here = is_available_in(libraries) if is_narrow or is_everywhere or is_walk else is_among_those_of(libraries)
    conditions = [here if user_id is None else or_(here, is_mine(user_id))]
    if kind is not None:
        conditions.append(of_kind == kind.value)
    elif is_walk:
        conditions.append(of_kind.in_([each.value for each in ItemKind]))
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


def list_episodes(  # noqa: PLR0913 - the members of a search
    connection: Connection,
    libraries: Collection[LibraryId],
    show_id: ItemId,
    season_number: int | None,
    after: EpisodePosition | None,
    limit: int | None,
) -> list[tuple[Item, EpisodePosition]]:
    """Return the episodes of a show that these libraries have, by season, number and date, each with its position."""
    query = select(item).where(item.c.show_id == show_id, is_available_in(libraries))
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
    """Return the item that this id means, held by a library or not."""
    items = find_items(connection, select(item).where(item.c.id == item_id))
    if not items:
        of_alias = select(item).join(alias, alias.c.item_id == item.c.id).where(alias.c.id == item_id)
        items = find_items(connection, of_alias)
    return items[0] if items else None


def resolve(connection: Connection, ids: Collection[ItemId]) -> dict[ItemId, ItemId]:
    """Return what those of these ids mean that are aliases."""
    found: dict[ItemId, ItemId] = {}
    for some in chunks(sorted(ids)):
        query = select(alias.c.id, alias.c.item_id).where(alias.c.id.in_(some))
        found.update((row.id, row.item_id) for row in connection.execute(query))
    return found


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


def add_external_ids(connection: Connection, items: Iterable[Item]) -> None:
    """Store the external ids of items that have none stored."""
    rows = [
        {"item_id": each.id, "source": source, "value": value}
        for each in items
        for source, value in sorted(each.external_ids.items())
    ]
    if rows:
        connection.execute(insert(external_id), rows)


def item_of(row: Row[*tuple[Any, ...]], external_ids: dict[str, dict[str, str]]) -> Item:
    """Convert a row of the table; `external_ids` may contain those of other items, too."""
    return Item(
        id=ItemId(row.id),
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
        external_ids=external_ids.get(row.id, {}),
        is_open=row.is_open,
        owner_id=row.owner_id,
        files=() if row.files is None else decode_files(row.files),
        pinned={} if row.pinned is None else _decode_pinned(row.pinned),
    )


def item_row(stored: Item) -> dict[str, object]:
    """Convert an item to the columns of its row."""
    return {
        "id": stored.id,
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
        "files": encode_files(stored.files),
        "pinned": _encode(stored.pinned).decode() if stored.pinned else None,
        "is_open": stored.is_open,
        "owner_id": stored.owner_id,
        "added_at": stored.added_at,
    }


def encode_files(files: Sequence[FileFacts]) -> str | None:
    """Return the facts of an item's files as its column has them."""
    return _encode(files).decode() if files else None


decode_files = msgspec.json.Decoder(tuple[FileFacts, ...]).decode
"""Returns the facts of an item's files from their column."""


# Holdings


def holdings_of(connection: Connection, item_ids: Collection[ItemId]) -> dict[ItemId, list[Holding]]:
    """Return the holdings of these items, present, removed and ended ones: the oldest first, then by library."""
    found: dict[ItemId, list[Holding]] = {item_id: [] for item_id in item_ids}
    for some in chunks(sorted(found)):
        for row in connection.execute(select(holding).where(holding.c.item_id.in_(some))):
            told = _decode_told(row.told)
            found[row.item_id].append(
                Holding(
                    row.item_id,
                    row.library_id,
                    row.added_at,
                    row.removed_at,
                    row.ended_at,
                    told.title,
                    told.year,
                    told.also,
                )
            )
    for each in found.values():
        each.sort(key=_age)
    return found


def store_holdings(connection: Connection, holdings: Sequence[Holding]) -> None:
    """Insert holdings, or replace those of the same items and libraries."""
    if not holdings:
        return
    added = insert_for(connection, holding)
    columns = holding.c
    changed = {column.name: added.excluded[column.name] for column in columns if not column.primary_key}
    statement = added.on_conflict_do_update(index_elements=[columns.item_id, columns.library_id], set_=changed)
    connection.execute(statement, [_holding_row(each) for each in holdings])


def _age(held: Holding) -> tuple[Instant, LibraryId]:
    return held.added_at, held.library_id


def _holding_row(stored: Holding) -> dict[str, object]:
    return {
        "item_id": stored.item_id,
        "library_id": stored.library_id,
        "added_at": stored.added_at,
        "removed_at": stored.removed_at,
        "ended_at": stored.ended_at,
        "told": _encode(_Told(stored.title, stored.year, stored.also)).decode(),
    }


# Files


def list_files(
    connection: Connection, item_id: ItemId, libraries: Collection[LibraryId]
) -> list[tuple[LibraryId, MediaFile]]:
    """Return the files of an item that exist in these libraries and can be played, each with its library."""
    query = (
        select(media_file, file_item.c.part)
        .join(file_item, file_item.c.file_id == media_file.c.id)
        .where(
            file_item.c.item_id == item_id,
            media_file.c.library_id.in_(sorted(libraries)),
            media_file.c.removed_at.is_(None),
            media_file.c.fault.is_(None),
        )
    )
    return [(LibraryId(row.library_id), file_of(row)) for row in connection.execute(query)]


def find_file(connection: Connection, file_id: FileId) -> tuple[LibraryId, MediaFile] | None:
    """Return a file that can be played, and its library, unless an admin took its item out of that library."""
    query = (
        select(media_file, file_item.c.part)
        .join(file_item, file_item.c.file_id == media_file.c.id)
        .join(holding, (holding.c.item_id == file_item.c.item_id) & (holding.c.library_id == media_file.c.library_id))
        .where(
            media_file.c.id == file_id,
            media_file.c.removed_at.is_(None),
            media_file.c.fault.is_(None),
            holding.c.ended_at.is_(None),
        )
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
