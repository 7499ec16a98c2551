"""Queries of scans: known files, changes, and the lock on a library. Queries of items are in `catalogue.py`."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, Table, and_, bindparam, delete, insert, or_, select, update

from playhead.domain.catalogue import Item, MediaInfo
from playhead.domain.identifying import Identification, IdentifiedAs
from playhead.domain.model import FileId, Instant, ItemId, LibraryId
from playhead.domain.scanning import FileLink, FoundFile, FoundItems, ItemChanges, KnownFile
from playhead.storage.auditing import told_apart
from playhead.storage.catalogue import (
    add_external_ids,
    chunks,
    decode_streams,
    external_ids_of,
    item_row,
    store_holdings,
)
from playhead.storage.matching import load
from playhead.storage.schema import external_id, file_item, holding, identification, item, library, media_file
from playhead.storage.searching import learn_words


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file to store. `meant`: see `Placement`.

    One with a `fault` has nothing else but a fingerprint, if that was read, and keeps its links.
    """

    id: FileId
    is_new: bool
    found: FoundFile
    fault: str | None = None
    info: MediaInfo | None = None
    label: str = ""
    fingerprint: str | None = None
    links: tuple[FileLink, ...] = ()
    meant: tuple[ItemId, ...] = ()


# Known files and items


def load_files(connection: Connection, library_id: LibraryId) -> list[KnownFile]:
    """Return all files of a library, removed ones included, with their items."""
    links: dict[str, list[FileLink]] = {}
    query = (
        select(file_item.c.file_id, file_item.c.item_id, file_item.c.part)
        .join(media_file, media_file.c.id == file_item.c.file_id)
        .where(media_file.c.library_id == library_id)
    )
    for file_id, item_id, part in connection.execute(query):
        links.setdefault(file_id, []).append(FileLink(item_id, part))
    columns = media_file.c
    rows = connection.execute(
        select(
            columns.id,
            columns.path,
            columns.size,
            columns.mtime_ns,
            columns.evidence,
            columns.fingerprint,
            columns.duration_ms,
            columns.credits_ms,
            columns.fault,
            columns.removed_at,
        ).where(columns.library_id == library_id)
    )
    return [
        KnownFile(
            FileId(row.id),
            row.path,
            row.size,
            row.mtime_ns,
            row.evidence,
            row.fingerprint,
            row.duration_ms,
            row.credits_ms,
            row.fault,
            row.removed_at is not None,
            tuple(links.get(row.id, ())),
        )
        for row in rows
    ]


def load_items(connection: Connection, library_id: LibraryId) -> FoundItems:
    """Return the items that a library holds or held, with all their holdings, and all episodes of its shows.

    Also which items, of all, a person has told apart.
    """
    own = select(holding.c.item_id).where(holding.c.library_id == library_id)
    return load(connection, connection.scalars(own))._replace(apart=told_apart(connection))


def load_identifications(connection: Connection, library_id: LibraryId) -> list[Identification]:
    """Return what persons have said about files of this library, and about content wherever it is.

    There are as many as corrections, not as files. For the same content the later one comes last.
    """
    query = (
        select(identification, library.c.removed_at)
        .join(library, library.c.id == identification.c.library_id)
        .order_by(identification.c.made_at, identification.c.id)
    )
    own = or_(identification.c.library_id == library_id, identification.c.fingerprint.is_not(None))
    return [
        Identification(
            row.id,
            row.path if row.library_id == library_id else None,
            row.fingerprint,
            msgspec.json.decode(row.told, type=IdentifiedAs),
            is_free=row.removed_at is not None,
        )
        for row in connection.execute(query.where(own))
    ]


def store_identifications(connection: Connection, library_id: LibraryId, several: Sequence[Identification]) -> None:
    """Store where and what the files are now about which persons said something; those removed meanwhile stay so."""
    rows = [{"key": each.id, "in": library_id, "at": each.path, "content": each.fingerprint} for each in several]
    if rows:
        connection.execute(
            update(identification)
            .where(identification.c.id == bindparam("key"))
            .values(library_id=bindparam("in"), path=bindparam("at"), fingerprint=bindparam("content")),
            rows,
        )


def load_infos(connection: Connection, file_ids: Sequence[FileId]) -> dict[FileId, MediaInfo]:
    """Return what was read from these files when they were last opened; faulty ones are omitted."""
    columns = media_file.c
    infos: dict[FileId, MediaInfo] = {}
    for some in chunks(file_ids):
        query = select(columns.id, columns.duration_ms, columns.container, columns.streams, columns.credits_ms)
        for row in connection.execute(query.where(columns.id.in_(some), columns.streams.is_not(None))):
            infos[row.id] = MediaInfo(row.duration_ms, row.container, decode_streams(row.streams), row.credits_ms)
    return infos


# Changes


def store_items(connection: Connection, changes: ItemChanges) -> None:
    """Insert and update items with their external ids and holdings. Shows must come before their episodes."""
    new, changed = ([item_row(each) for each in some] for some in (changes.new, changes.changed))
    if new:
        connection.execute(insert(item), new)
    if changed:
        _update(connection, item, changed)
    learn_words(connection, (str(row["search_title"]) for row in (*new, *changed)))
    _store_external_ids(connection, [*changes.new, *changes.changed])
    store_holdings(connection, changes.holdings)


def _update(connection: Connection, table: Table, rows: Sequence[dict[str, object]]) -> None:
    statement = update(table).where(table.c.id == bindparam("key"))
    connection.execute(statement, [{"key" if name == "id" else name: row[name] for name in row} for row in rows])


def _store_external_ids(connection: Connection, items: Sequence[Item]) -> None:
    stored = external_ids_of(connection, [each.id for each in items])
    different = [each for each in items if stored.get(each.id, {}) != each.external_ids]
    if stored and different:
        connection.execute(
            delete(external_id).where(external_id.c.item_id == bindparam("key")),
            [{"key": each.id} for each in different],
        )
    add_external_ids(connection, different)


def store_files(connection: Connection, library_id: LibraryId, files: Sequence[FileChange], now: Instant) -> None:
    """Insert or update files; removed ones are restored, and files without a fault get the given links."""
    rows = [_file_row(file) for file in files]
    new = [row for row, file in zip(rows, files, strict=True) if file.is_new]
    if new:
        connection.execute(insert(media_file), [{**row, "library_id": library_id, "added_at": now} for row in new])
    changed = [row for row, file in zip(rows, files, strict=True) if not file.is_new]
    if changed:
        _update(connection, media_file, changed)
    _store_links(connection, [file for file in files if file.fault is None])


def _store_links(connection: Connection, files: Sequence[FileChange]) -> None:
    known = [{"key": file.id} for file in files if not file.is_new]
    if known:
        connection.execute(delete(file_item).where(file_item.c.file_id == bindparam("key")), known)
    links = [{"file_id": file.id, "item_id": link.item_id, "part": link.part} for file in files for link in file.links]
    if links:
        connection.execute(insert(file_item), links)


def _file_row(file: FileChange) -> dict[str, object]:
    info = file.info
    streams = () if info is None else info.streams
    video = next((stream for stream in streams if stream.kind == "video"), None)
    audio = next((stream for stream in streams if stream.kind == "audio"), None)
    return {
        "id": file.id,
        "path": file.found.path,
        "size": file.found.size,
        "mtime_ns": file.found.mtime_ns,
        "evidence": file.found.evidence,
        "fingerprint": file.fingerprint,
        "duration_ms": info and info.duration_ms,
        "label": file.label,
        "container": info and info.container,
        "width": video and video.width,
        "height": video and video.height,
        "video_codec": video and video.codec,
        "audio_codec": audio and audio.codec,
        "streams": None if info is None else msgspec.json.encode(streams).decode(),
        "credits_ms": info and info.credits_ms,
        "fault": file.fault,
        "meant": msgspec.json.encode(file.meant).decode() if file.meant else None,
        "removed_at": None,
    }


def mark_files(connection: Connection, file_ids: Sequence[FileId], removed_at: Instant | None) -> None:
    """Mark files as removed, or as restored if the time is None."""
    for some in chunks(file_ids):
        connection.execute(update(media_file).where(media_file.c.id.in_(some)).values(removed_at=removed_at))


# A library's scan lease: one scan at a time across processes


def take_lease(connection: Connection, library_id: LibraryId, scan_id: str, now: Instant, until: Instant) -> bool:
    """Take the lease of a library until `until` unless another scan holds it; return whether it was taken."""
    free = or_(library.c.scan_until.is_(None), library.c.scan_until <= now, library.c.scan_id == scan_id)
    statement = update(library).where(library.c.id == library_id, free).values(scan_id=scan_id, scan_until=until)
    return connection.execute(statement).rowcount == 1


def renew_lease(connection: Connection, library_id: LibraryId, scan_id: str, until: Instant) -> bool:
    """Renew the lease; return whether this scan still holds it."""
    own = and_(library.c.id == library_id, library.c.scan_id == scan_id)
    return connection.execute(update(library).where(own).values(scan_until=until)).rowcount == 1


def release_lease(connection: Connection, library_id: LibraryId, scan_id: str) -> None:
    """Release the lease if this scan still holds it."""
    own = and_(library.c.id == library_id, library.c.scan_id == scan_id)
    connection.execute(update(library).where(own).values(scan_id=None, scan_until=None))


def store_report(connection: Connection, library_id: LibraryId, report: str, scanned_at: Instant | None) -> None:
    """Store the report of the last scan; `scanned_at` is None if it did not finish."""
    values: dict[str, object] = {"scan_report": report}
    if scanned_at is not None:
        values["scanned_at"] = scanned_at
    connection.execute(update(library).where(library.c.id == library_id).values(values))
