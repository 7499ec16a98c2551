"""Queries for the sources of an item's pictures."""

from collections.abc import Collection

from sqlalchemy import Connection, case, func, select

from playhead.domain.catalogue import MediaFile
from playhead.domain.model import ItemId, LibraryId
from playhead.storage.catalogue import file_of
from playhead.storage.schema import file_item, item, media_file


def list_episode_files(
    connection: Connection, libraries: Collection[LibraryId], show_id: ItemId, season_number: int | None, limit: int
) -> list[tuple[LibraryId, MediaFile]]:
    """Return the first files that these libraries have of a show, or of one season of it, each with its library.

    They are sorted by season and number, the specials last.
    """
    query = (
        select(media_file, file_item.c.part)
        .join(file_item, file_item.c.file_id == media_file.c.id)
        .join(item, item.c.id == file_item.c.item_id)
        .where(
            item.c.show_id == show_id,
            media_file.c.library_id.in_(sorted(libraries)),
            media_file.c.removed_at.is_(None),
            media_file.c.fault.is_(None),
        )
    )
    if season_number is not None:
        query = query.where(item.c.season_number == season_number)
    order = (
        case((item.c.season_number == 0, 1), else_=0),
        func.coalesce(item.c.season_number, 0),  # engines differ in where they sort nulls
        func.coalesce(item.c.episode_number, 0),
        func.coalesce(item.c.air_date, ""),
        media_file.c.path,
    )
    return [
        (LibraryId(row.library_id), file_of(row)) for row in connection.execute(query.order_by(*order).limit(limit))
    ]
