"""Queries of changes of libraries. Decides nothing."""

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import IntegrityError

from playhead.domain.catalogue import Library
from playhead.domain.model import Instant, ItemId, LibraryId
from playhead.storage.catalogue import LibraryNameTakenError, library_of
from playhead.storage.schema import holding, item, library, media_file


def move(connection: Connection, library_id: LibraryId, path: str) -> None:
    """Store the folder of a library."""
    connection.execute(update(library).where(library.c.id == library_id).values(path=path))


def find_removed(connection: Connection, library_id: LibraryId, removed_at: Instant) -> Library | None:
    """Return a library that was removed at this time."""
    query = select(library).where(library.c.id == library_id, library.c.removed_at == removed_at)
    row = connection.execute(query).first()
    return None if row is None else library_of(row)


def restore(connection: Connection, library_id: LibraryId, removed_at: Instant) -> None:
    """Bring a library back, with the files and holdings that went with it. Raises LibraryNameTakenError."""
    try:
        connection.execute(update(library).where(library.c.id == library_id).values(removed_at=None))
    except IntegrityError as error:
        raise LibraryNameTakenError from error
    for table in (media_file, holding):
        gone = (table.c.library_id == library_id, table.c.removed_at == removed_at)
        connection.execute(update(table).where(*gone).values(removed_at=None))


def items_of(connection: Connection, library_id: LibraryId) -> list[ItemId]:
    """Return the items that a library has, or had."""
    query = select(holding.c.item_id).where(holding.c.library_id == library_id).order_by(holding.c.item_id)
    return [ItemId(each) for each in connection.scalars(query)]


def orphans_of(connection: Connection, library_id: LibraryId) -> list[ItemId]:
    """Return the items of a library that no library has now, and that are known only by files or imports."""
    living = holding.alias("living")
    is_held = select(living.c.item_id).where(
        living.c.item_id == item.c.id, living.c.removed_at.is_(None), living.c.ended_at.is_(None)
    )
    query = (
        select(item.c.id)
        .join(holding, holding.c.item_id == item.c.id)
        .where(holding.c.library_id == library_id, item.c.is_open.is_(False), ~is_held.exists())
        .order_by(item.c.id)
    )
    return [ItemId(each) for each in connection.scalars(query)]
