"""What an import loads and stores: queries that take a connection. Items themselves are in `catalogue.py`."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, delete, insert, select, update

from playhead.domain.catalogue import Item
from playhead.domain.importing import Stored, Wanted
from playhead.storage.catalogue import chunks, external_ids_of, item_of, item_row, list_libraries
from playhead.storage.schema import external_id, item

_Rows = list[dict[str, object]]


class ItemRows(NamedTuple):
    """Items as rows, made before the transaction that stores them, because folding titles takes its time."""

    new: _Rows
    changed: _Rows
    external_ids: _Rows


def load(connection: Connection, wanted: Wanted) -> Stored:
    """Return all libraries, and the items that may be meant; of every show among them all episodes."""
    rows: dict[str, Row[*tuple[Any, ...]]] = {}

    def find(condition: ColumnElement[bool]) -> None:
        for row in connection.execute(select(item).where(condition)):
            rows[row.id] = row

    libraries = list_libraries(connection)
    imported = item.c.library_id.in_([library.id for library in libraries if library.path is None])
    for some in chunks(wanted.ids):
        find(item.c.id.in_(some))
    for some in chunks(wanted.identities):
        find(and_(imported, item.c.identity.in_(some)))
    for source, values in wanted.external_ids.items():
        for some in chunks(values):
            named = select(external_id.c.item_id).where(external_id.c.source == source, external_id.c.value.in_(some))
            find(and_(imported, item.c.id.in_(named)))
    for some in chunks([row.id for row in rows.values() if row.kind == "show"]):
        find(item.c.show_id.in_(some))
    ids = external_ids_of(connection, list(rows))
    items = [item_of(row, ids) for row in rows.values()]
    return Stored(libraries, {each.id: each for each in items})


def rows_of(new: Sequence[Item], changed: Sequence[Item]) -> ItemRows:
    """Convert items to what `store` takes. Needs no connection."""
    return ItemRows(
        [item_row(each) for each in new],
        [{"key" if name == "id" else name: value for name, value in item_row(each).items()} for each in changed],
        [
            {"item_id": each.id, "source": source, "value": value}
            for each in (*new, *changed)
            for source, value in sorted(each.external_ids.items())
        ],
    )


def store(connection: Connection, rows: ItemRows) -> None:
    """Insert and update items with their external ids. Shows must come before their episodes."""
    if rows.new:
        connection.execute(insert(item), rows.new)
    if rows.changed:
        connection.execute(update(item).where(item.c.id == bindparam("key")), rows.changed)
        connection.execute(
            delete(external_id).where(external_id.c.item_id == bindparam("key")),
            [{"key": row["key"]} for row in rows.changed],
        )
    if rows.external_ids:
        connection.execute(insert(external_id), rows.external_ids)
