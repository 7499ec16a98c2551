"""Queries of splits and of holdings that persons end. Decides nothing."""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, insert, or_, select, update

from playhead.domain.catalogue import Holding, Item
from playhead.domain.model import Instant, ItemId, LibraryId, Milliseconds, UserId
from playhead.storage.catalogue import add_external_ids, chunks, holdings_of, item_row, store_holdings
from playhead.storage.schema import account, file_item, holding, item, library, media_file, progress


def add_items(connection: Connection, items: Sequence[Item]) -> None:
    """Store new items with their external ids. Shows come before their episodes."""
    if not items:
        return
    connection.execute(insert(item), [item_row(each) for each in items])
    add_external_ids(connection, items)


def hold(connection: Connection, items: Iterable[Item], library_ids: Collection[LibraryId], now: Instant) -> None:
    """Let libraries have items, again if they had them before."""
    several = {each.id: each for each in items}
    held: list[Holding] = []
    for item_id, before in holdings_of(connection, several).items():
        known = {each.library_id: each for each in before}
        title, year = several[item_id].title, several[item_id].year
        held += [
            known[library_id]._replace(removed_at=None, ended_at=None)
            if library_id in known
            else Holding(item_id, library_id, now, title=title, year=year)
            for library_id in library_ids
        ]
    store_holdings(connection, held)


def drop_empty_holdings(connection: Connection, item_ids: Collection[ItemId], now: Instant) -> None:
    """Mark the holdings of items, and of shows whose episodes are all gone, as removed where no file is left.

    An imported library keeps its items without files.
    """
    folders = set(connection.scalars(select(library.c.id).where(library.c.path.is_not(None))))
    for some in chunks(sorted(item_ids)):
        ids = [ItemId(each) for each in some]
        query = (
            select(file_item.c.item_id, item.c.show_id, media_file.c.library_id)
            .join(media_file, media_file.c.id == file_item.c.file_id)
            .join(item, item.c.id == file_item.c.item_id)
            .where(or_(item.c.id.in_(some), item.c.show_id.in_(some)), media_file.c.removed_at.is_(None))
        )
        there = {(each, row.library_id) for row in connection.execute(query) for each in (row.item_id, row.show_id)}
        held = [each for several in holdings_of(connection, ids).values() for each in several]
        store_holdings(
            connection,
            [
                each._replace(removed_at=now)
                for each in held
                if each.removed_at is None
                and each.library_id in folders
                and (each.item_id, each.library_id) not in there
            ],
        )


def end_holdings(connection: Connection, item_id: ItemId, library_id: LibraryId, ended_at: Instant) -> list[ItemId]:
    """Take an item, and the episodes of a show, out of a library; return those that it had or has had."""
    ids = [
        row.item_id
        for row in connection.execute(
            select(holding.c.item_id)
            .join(item, item.c.id == holding.c.item_id)
            .where(
                or_(item.c.id == item_id, item.c.show_id == item_id),
                holding.c.library_id == library_id,
                holding.c.ended_at.is_(None),
            )
        )
    ]
    _set_ended(connection, ids, library_id, None, ended_at)
    return ids


def put_back(connection: Connection, item_ids: Sequence[ItemId], library_id: LibraryId, ended_at: Instant) -> None:
    """Give items back to a library from which they were taken at this time."""
    _set_ended(connection, item_ids, library_id, ended_at, None)


def _set_ended(
    connection: Connection,
    item_ids: Sequence[ItemId],
    library_id: LibraryId,
    before: Instant | None,
    after: Instant | None,
) -> None:
    rows = [{"of_item": item_id} for item_id in item_ids]
    if rows:
        mine = (holding.c.item_id == bindparam("of_item")) & (holding.c.library_id == library_id)
        was = holding.c.ended_at.is_(None) if before is None else holding.c.ended_at == before
        connection.execute(update(holding).where(mine, was).values(ended_at=after), rows)


class LastReport(NamedTuple):
    """What a user's last report of an item said of the file that played. Both are None if the item was only marked."""

    user_id: UserId
    file_id: str | None
    duration_ms: Milliseconds | None


def last_reports(connection: Connection, item_ids: Collection[ItemId]) -> dict[ItemId, list[LastReport]]:
    """Return all users' last reports of these items. Items of which nobody has any progress are left out."""
    users = sorted(connection.scalars(select(account.c.id))) if item_ids else []
    found: dict[ItemId, list[LastReport]] = {}
    for few in chunks(users):
        for some in chunks(sorted(item_ids)):
            query = select(progress.c.item_id, progress.c.user_id, progress.c.file_id, progress.c.duration_ms).where(
                progress.c.user_id.in_(few), progress.c.item_id.in_(some)
            )
            for row in connection.execute(query):
                report = LastReport(row.user_id, row.file_id, row.duration_ms)
                found.setdefault(row.item_id, []).append(report)
    return found


def episodes_of(connection: Connection, show_id: ItemId) -> list[ItemId]:
    """Return the episodes of a show."""
    return [ItemId(each) for each in connection.scalars(select(item.c.id).where(item.c.show_id == show_id))]
