"""Queries of what persons have said about files. Decides nothing."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Row, and_, delete, insert, or_, select

from playhead.domain.identifying import IdentifiedAs
from playhead.domain.model import FileId, Instant, ItemId, LibraryId, UserId
from playhead.storage.catalogue import chunks, resolve
from playhead.storage.schema import external_id, file_item, identification, item, media_file


class NamedFile(NamedTuple):
    """A file, where it is or was, and why it is skipped, if it is.

    `meant` are the items that its external ids mean, if these disagree.
    """

    id: FileId
    library_id: LibraryId
    path: str
    fingerprint: str | None
    fault: str | None
    is_present: bool
    meant: tuple[ItemId, ...] = ()


class StoredIdentification(NamedTuple):
    """A row: what a person said about a file, who and when."""

    id: str
    library_id: LibraryId
    path: str
    fingerprint: str | None
    told: str
    made_by: UserId
    made_at: Instant


_COLUMNS = media_file.c["id", "library_id", "path", "fingerprint", "fault", "removed_at", "meant"]


def find_file(connection: Connection, file_id: FileId) -> NamedFile | None:
    """Return a file, skipped or removed ones, too."""
    row = connection.execute(select(*_COLUMNS).where(media_file.c.id == file_id)).first()
    return None if row is None else _file(row)


def find_file_at(connection: Connection, library_id: LibraryId, path: str) -> NamedFile | None:
    """Return the file of a path in a library's folder."""
    query = select(*_COLUMNS).where(media_file.c.library_id == library_id, media_file.c.path == path)
    row = connection.execute(query).first()
    return None if row is None else _file(row)


def files_to_review(connection: Connection, library_id: LibraryId) -> list[NamedFile]:
    """Return the present files of a library of which nobody has said what they are, and no id either.

    Ids that mean several items do not say it.
    """
    of_id = (
        select(file_item.c.file_id)
        .join(item, item.c.id == file_item.c.item_id)
        .where(
            file_item.c.file_id == media_file.c.id,
            or_(external_id.c.item_id == item.c.id, external_id.c.item_id == item.c.show_id),
        )
    )
    said = select(identification.c.id).where(
        identification.c.library_id == media_file.c.library_id, identification.c.path == media_file.c.path
    )
    query = (
        select(*_COLUMNS, of_id.exists().label("has_id"))
        .where(media_file.c.library_id == library_id, media_file.c.removed_at.is_(None))
        .where(or_(~of_id.exists(), media_file.c.meant.is_not(None)), ~said.exists())
        .order_by(media_file.c.path)
    )
    found = [(_file(row), row.has_id) for row in connection.execute(query)]
    merged = resolve(connection, {item_id for file, _ in found for item_id in file.meant})
    files: list[NamedFile] = []
    for file, has_id in found:
        meant = tuple(dict.fromkeys(merged.get(item_id, item_id) for item_id in file.meant))
        if len(meant) > 1 or not has_id:
            files.append(file._replace(meant=meant if len(meant) > 1 else ()))
    return files


def files_of(connection: Connection, item_ids: Collection[ItemId]) -> list[NamedFile]:
    """Return the files of items, and of the episodes of those that are shows."""
    files: dict[str, NamedFile] = {}
    for some in chunks(sorted(item_ids)):
        query = (
            select(*_COLUMNS)
            .join(file_item, file_item.c.file_id == media_file.c.id)
            .join(item, item.c.id == file_item.c.item_id)
            .where(or_(item.c.id.in_(some), item.c.show_id.in_(some)))
        )
        files.update((row.id, _file(row)) for row in connection.execute(query))
    return sorted(files.values(), key=lambda file: (file.library_id, file.path))


def links_of(connection: Connection, file_ids: Collection[FileId]) -> dict[FileId, dict[ItemId, int | None]]:
    """Return the items of files, each with the part of its timeline that the file is."""
    links: dict[FileId, dict[ItemId, int | None]] = {file_id: {} for file_id in file_ids}
    for some in chunks(sorted(file_ids)):
        for row in connection.execute(select(file_item).where(file_item.c.file_id.in_(some))):
            links[row.file_id][row.item_id] = row.part
    return links


def replace_links(connection: Connection, links: dict[FileId, dict[ItemId, int | None]]) -> None:
    """Give files these items."""
    for some in chunks(sorted(links)):
        connection.execute(delete(file_item).where(file_item.c.file_id.in_(some)))
    rows = [
        {"file_id": file_id, "item_id": item_id, "part": part}
        for file_id, items in sorted(links.items())
        for item_id, part in sorted(items.items())
    ]
    if rows:
        connection.execute(insert(file_item), rows)


def find(connection: Connection, file: NamedFile) -> StoredIdentification | None:
    """Return what a person said about a file: about its content, else about its path. The latest counts."""
    by_content = file.fingerprint is not None and identification.c.fingerprint == file.fingerprint
    query = select(identification).where(or_(by_content, _is_at(file)))
    rows = connection.execute(query.order_by(identification.c.made_at.desc(), identification.c.id.desc())).all()
    same = [row for row in rows if file.fingerprint is not None and row.fingerprint == file.fingerprint]
    return StoredIdentification._make((same or rows)[0]) if rows else None


def remove(connection: Connection, file: NamedFile) -> list[StoredIdentification]:
    """Remove what persons said about the content and the path of a file; return it."""
    by_content = file.fingerprint is not None and identification.c.fingerprint == file.fingerprint
    mine = or_(by_content, _is_at(file))
    rows = [StoredIdentification._make(row) for row in connection.execute(select(identification).where(mine))]
    connection.execute(delete(identification).where(mine))
    return rows


def add(connection: Connection, rows: Sequence[StoredIdentification]) -> None:
    """Store what a person said about files of which nothing is stored."""
    if rows:
        connection.execute(insert(identification), [row._asdict() for row in rows])


def encode(told: IdentifiedAs) -> str:
    """Return what a person said as its column has it."""
    return msgspec.json.encode(told).decode()


def decode(told: str) -> IdentifiedAs:
    """Return what a person said from its column."""
    return msgspec.json.decode(told, type=IdentifiedAs)


def _is_at(file: NamedFile) -> Any:  # noqa: ANN401 - a condition of Core
    return and_(identification.c.library_id == file.library_id, identification.c.path == file.path)


def _file(row: Row[Any]) -> NamedFile:
    return NamedFile(
        FileId(row.id),
        LibraryId(row.library_id),
        row.path,
        row.fingerprint,
        row.fault,
        row.removed_at is None,
        () if row.meant is None else msgspec.json.decode(row.meant, type=tuple[ItemId, ...]),
    )
