"""Queries of catalogue imports. Queries of items are in `catalogue.py`."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Select, bindparam, delete, insert, select, update
from sqlalchemy.sql.dml import UpdateBase

from playhead.domain.catalogue import Holding, Item
from playhead.domain.importing import ImportPlan, LookupKeys, StoredItems
from playhead.domain.model import Instant, ItemId
from playhead.storage import matching
from playhead.storage.catalogue import chunks, item_row, list_libraries, resolve, store_holdings
from playhead.storage.schema import alias, external_id, item
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
    holdings: Sequence[Holding]
    aliases: _Rows


def load(connection: Connection, wanted: LookupKeys) -> StoredItems:
    """Return all libraries, the items that may match, with their holdings, and all episodes of the shows among them."""
    aliases = resolve(connection, wanted.ids)
    ids = dict.fromkeys(aliases.get(item_id, item_id) for item_id in wanted.ids)

    def find(query: Select[str]) -> None:
        ids.update(dict.fromkeys(ItemId(item_id) for item_id in connection.scalars(query)))

    for some in chunks(_near(wanted.identities)):
        find(select(item.c.id).where(item.c.identity.in_(some)))
    for source, values in wanted.external_ids.items():
        for some in chunks(values):
            of_source = external_id.c.source == source, external_id.c.value.in_(some)
            find(select(external_id.c.item_id).where(*of_source))
    # Under the name that a library gave it an item is found only there; its show or title may be told otherwise.
    found = matching.load(connection, ids)
    holdings: dict[ItemId, list[Holding]] = {}
    for each in found.holdings:
        holdings.setdefault(each.item_id, []).append(each)
    return StoredItems(list_libraries(connection), {each.id: each for each in found.items}, holdings, aliases)


def _near(identities: Mapping[tuple[str, int | None], str]) -> list[str]:
    """Return the identities of titles with these years, unknown ones, or years one off."""
    near: dict[str, None] = {}
    for (_, year), key in identities.items():
        title = key.partition("|")[0]
        years = (year,) if year is None else (year, None, year - 1, year + 1)
        near |= dict.fromkeys(f"{title}|{'' if each is None else each}|" for each in years)
    return list(near)


def rows_of(plan: ImportPlan, stored: Mapping[ItemId, Item], now: Instant) -> ItemRows:
    """Convert a plan to the argument of `store`; `stored` holds the items as they were. Needs no connection."""
    new, changed = plan.new, plan.changed
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
        plan.holdings,
        # These ids were never in use, so no rows are left under them.
        [{"id": old, "item_id": item_id, "made_at": now, "swept_at": now} for old, item_id in plan.aliases.items()],
    )


def _in_order(new: Sequence[Item]) -> list[Item]:
    """Shows come before their episodes; rows are inserted faster in key order."""
    return sorted(new, key=lambda each: (each.show_id is not None, each.id))


def store(connection: Connection, rows: ItemRows) -> None:
    """Insert and update items with their external ids, holdings and aliases."""
    _run(connection, insert(item), rows.new)
    _run(connection, update(item).where(item.c.id == bindparam("key")), rows.changed)
    _run(connection, delete(external_id).where(external_id.c.item_id == bindparam("key")), rows.renamed)
    _run(connection, insert(external_id), rows.external_ids)
    store_holdings(connection, rows.holdings)
    _run(connection, insert(alias), rows.aliases)
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
