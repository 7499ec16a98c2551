"""Queries behind the search for items that are one title. Decides nothing."""

from collections import defaultdict
from collections.abc import Hashable
from datetime import date
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, func, select

from playhead.domain.catalogue import Item
from playhead.domain.identifying import IdentifiedAs
from playhead.domain.model import ItemId, Milliseconds
from playhead.storage.auditing import told_apart
from playhead.storage.catalogue import chunks, find_items
from playhead.storage.schema import external_id, identification, item


class SharedTitles(NamedTuple):
    """The movies and shows that share an external id or a name with another.

    `lengths` has the runtimes of the shows' episodes by their numbers, or by the air date of those without; `decided`
    are the items that persons have chosen for files, `apart` the pairs that they have told apart.
    """

    items: list[Item]
    lengths: dict[ItemId, dict[Hashable, Milliseconds]]
    decided: frozenset[ItemId]
    apart: frozenset[frozenset[ItemId]]


def load_shared(connection: Connection) -> SharedTitles:
    """Return the movies and shows that may be one with another."""
    by_name: dict[tuple[str, str], list[str]] = defaultdict(list)
    kinds: dict[str, str] = {}
    titles = select(item.c.id, item.c.kind, item.c.identity).where(item.c.kind.in_(("movie", "show")))
    for item_id, kind, key in connection.execute(titles):
        kinds[item_id] = kind
        by_name[kind, key.partition("|")[0]].append(item_id)
    shared = (
        select(external_id.c.source, external_id.c.value)
        .group_by(external_id.c.source, external_id.c.value)
        .having(func.count() > 1)
        .subquery("shared")
    )
    of_shared = (external_id.c.source == shared.c.source) & (external_id.c.value == shared.c.value)
    ids = {each for each in connection.scalars(select(external_id.c.item_id).join(shared, of_shared)) if each in kinds}
    ids |= {item_id for group in by_name.values() if len(group) > 1 for item_id in group}
    found = [
        each for some in chunks(sorted(ids)) for each in find_items(connection, select(item).where(item.c.id.in_(some)))
    ]
    shows = [each.id for each in found if kinds[each.id] == "show"]
    return SharedTitles(found, _lengths(connection, shows), _decided(connection), told_apart(connection))


def _lengths(connection: Connection, shows: list[ItemId]) -> dict[ItemId, dict[Hashable, Milliseconds]]:
    lengths: dict[ItemId, dict[Hashable, Milliseconds]] = defaultdict(dict)
    columns = item.c["show_id", "season_number", "episode_number", "air_date", "runtime_ms"]
    for some in chunks(sorted(shows)):
        query = select(*columns).where(item.c.show_id.in_(some), item.c.runtime_ms.is_not(None))
        for row in connection.execute(query):
            key: Hashable = (row.season_number, row.episode_number)
            if row.episode_number is None:
                key = None if row.air_date is None else date.fromisoformat(row.air_date)
            if key is not None:
                lengths[row.show_id][key] = row.runtime_ms
    return lengths


def _decided(connection: Connection) -> frozenset[ItemId]:
    """Return the items that persons have chosen. There are as many rows as corrections."""
    told = [msgspec.json.decode(each, type=IdentifiedAs) for each in connection.scalars(select(identification.c.told))]
    return frozenset(each.item_id for each in told if each.item_id is not None)
