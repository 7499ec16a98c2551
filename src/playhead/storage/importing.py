"""Queries of catalogue imports. Queries of items are in `catalogue.py`."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, insert, select, update
from sqlalchemy.sql.dml import UpdateBase

from playhead.domain.catalogue import Item
from playhead.domain.importing import LookupKeys, StoredItems
from playhead.domain.model import ItemId
from playhead.storage.catalogue import chunks, find_items, item_row, list_libraries
from playhead.storage.schema import external_id, item
from playhead.storage.searching import learn_words

_Rows = list[dict[str, object]]


class ItemRows(NamedTuple):
    """Items as rows, converted before the transaction that stores them, because folding titles is slow.

    `renamed` are the ids of items whose external ids are to be replaced.
    """

    new: _Rows
    changed: _Rows
    renamed: _Rows
    external_ids: _Rows


def load(connection: Connection, wanted: LookupKeys) -> StoredItems:
    """Return all libraries, the items that may match, and all episodes of the shows among them."""
    ids: dict[str, None] = {}

    def find(condition: ColumnElement[bool]) -> None:
        ids.update(dict.fromkeys(connection.scalars(select(item.c.id).where(condition))))

    libraries = list_libraries(connection)
    imported = item.c.library_id.in_([library.id for library in libraries if library.path is None])
    for some in chunks(wanted.ids):
        find(item.c.id.in_(some))
    for some in chunks(list(wanted.identities.values())):
        find(and_(imported, item.c.identity.in_(some)))
    for source, values in wanted.external_ids.items():
        for some in chunks(values):
            named = select(external_id.c.item_id).where(external_id.c.source == source, external_id.c.value.in_(some))
            find(and_(imported, item.c.id.in_(named)))
    for some in chunks(list(ids)):
        find(item.c.show_id.in_(some))
    found = [
        each for some in chunks(list(ids)) for each in find_items(connection, select(item).where(item.c.id.in_(some)))
    ]
    return StoredItems(libraries, {each.id: each for each in found})


def rows_of(new: Sequence[Item], changed: Sequence[Item], stored: Mapping[ItemId, Item]) -> ItemRows:
    """Convert items to the argument of `store`; `stored` holds the changed ones as they were. Needs no connection."""
    renamed = [each for each in changed if each.external_ids != stored[each.id].external_ids]
    return ItemRows(
        [item_row(each) for each in _in_order(new)],
        [{"key" if name == "id" else name: value for name, value in item_row(each).items()} for each in changed],
        [{"key": each.id} for each in renamed],
        [
            {"item_id": each.id, "source": source, "value": value}
            for each in sorted((*new, *renamed), key=lambda each: each.id)
            for source, value in sorted(each.external_ids.items())
        ],
    )


def _in_order(new: Sequence[Item]) -> list[Item]:
    """Shows come before their episodes; rows are inserted faster in key order."""
    return sorted(new, key=lambda each: (each.show_id is not None, each.id))


def store(connection: Connection, rows: ItemRows) -> None:
    """Insert and update items with their external ids."""
    _run(connection, insert(item), rows.new)
    _run(connection, update(item).where(item.c.id == bindparam("key")), rows.changed)
    _run(connection, delete(external_id).where(external_id.c.item_id == bindparam("key")), rows.renamed)
    _run(connection, insert(external_id), rows.external_ids)
    learn_words(connection, (str(row["search_title"]) for row in (*rows.new, *rows.changed)))


def _run(connection: Connection, statement: UpdateBase, rows: _Rows) -> None:
    """Execute a statement for many rows directly on the driver: Core's cost per row exceeds SQLite's."""
    if not rows:
        return
    compiled = statement.compile(dialect=connection.dialect, column_keys=list(rows[0]))
    if compiled.positiontup is None:
        connection.exec_driver_sql(str(compiled), rows)
    else:
        names = compiled.positiontup
        connection.exec_driver_sql(str(compiled), [tuple([row[name] for name in names]) for row in rows])
