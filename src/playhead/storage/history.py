"""Queries behind history export and import: everything of one user, with items by name instead of id."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, and_, delete, func, insert, select, tuple_, union

from playhead.domain.history import ItemName, MatchCandidate
from playhead.domain.lists import ListState
from playhead.domain.model import ItemId, ItemKind, UserId
from playhead.domain.playback import KeptPoint, Progress
from playhead.storage.catalogue import chunks, external_ids_of
from playhead.storage.engine.upserts import insert_for
from playhead.storage.schema import (
    external_id,
    item,
    kept_position,
    library,
    library_access,
    list_state,
    play,
    progress,
)


class ExportedPlay(NamedTuple):
    """A play with its id."""

    id: str
    watched_at: int | None
    source: str


class UserState(NamedTuple):
    """A user's whole state of one item. Kept points are paired with their ids."""

    progress: Progress | None
    plays: list[ExportedPlay]
    kept: list[tuple[str, KeptPoint]]
    state: ListState | None


_HOLDING = (progress, play, kept_position, list_state)
_show = item.alias("show")


def list_items(connection: Connection, user_id: UserId) -> list[tuple[ItemId, ItemName | None]]:
    """Return the names of all items with state of this user, None for items that the catalogue no longer has.

    Sorted by name, so that the order is the same in every installation.
    """
    held = union(*(select(table.c.item_id).where(table.c.user_id == user_id) for table in _HOLDING)).subquery("held")
    query = (
        select(held.c.item_id, item, _show.c.title.label("show_title"), _show.c.year.label("show_year"))
        .select_from(held)
        .outerjoin(item, item.c.id == held.c.item_id)
        .outerjoin(_show, _show.c.id == item.c.show_id)
        .outerjoin(library, library.c.id == item.c.library_id)
        .order_by(
            item.c.id.is_(None),
            item.c.kind.desc(),
            func.coalesce(_show.c.sort_title, item.c.sort_title),
            func.coalesce(_show.c.year, item.c.year, 0),
            func.coalesce(item.c.season_number, -1),
            func.coalesce(item.c.episode_number, -1),
            func.coalesce(item.c.air_date, ""),
            library.c.name,
            item.c.identity,
            held.c.item_id,
        )
    )
    rows = connection.execute(query).all()
    named = external_ids_of(connection, [*{each for row in rows for each in (row.item_id, row.show_id) if each}])
    return [(ItemId(row.item_id), None if row.title is None else _name(row, named)) for row in rows]


def _name(row: Any, named: Mapping[str, Mapping[str, str]]) -> ItemName:  # noqa: ANN401 - a row of Core
    return ItemName(
        ItemKind(row.kind),
        row.title,
        row.year,
        named.get(row.item_id, {}),
        row.show_title,
        row.show_year,
        named.get(row.show_id, {}),
        row.season_number,
        row.episode_number,
        None if row.air_date is None else date.fromisoformat(row.air_date),
    )


def user_states(connection: Connection, user_id: UserId, item_ids: Sequence[ItemId]) -> dict[ItemId, UserState]:
    """Return the user's state of each of these items; a few hundred at most."""
    found = {item_id: UserState(None, [], [], None) for item_id in item_ids}

    def rows(table: Table, *order: Any) -> Iterable[Any]:  # noqa: ANN401
        mine = select(table).where(table.c.user_id == user_id, table.c.item_id.in_(item_ids))
        return connection.execute(mine.order_by(*order) if order else mine)

    for _, item_id, *values in rows(progress):
        found[item_id] = found[item_id]._replace(progress=Progress._make(values))
    for row in rows(play, func.coalesce(play.c.watched_at, 0), play.c.id):
        found[row.item_id].plays.append(ExportedPlay(row.id, row.watched_at, row.source))
    for row in rows(kept_position, kept_position.c.kept_at, kept_position.c.id):
        point = KeptPoint(row.position_ms, row.duration_ms, row.kept_at, row.device)
        found[row.item_id].kept.append((row.id, point))
    for row in rows(list_state):
        found[row.item_id] = found[row.item_id]._replace(
            state=ListState(row.hidden_at, row.snoozed_until, row.dropped_at)
        )
    return found


def find_candidates(connection: Connection, user_id: UserId, names: Sequence[ItemName]) -> list[MatchCandidate]:
    """Return all items that may match one of these names: by an external id of the item or its show, or by identity."""
    ids: dict[str, None] = {}
    external = {(source, value) for name in names for source, value in name.external_ids.items()}
    of_shows = {(source, value) for name in names for source, value in name.show_ids.items()}
    pair = tuple_(external_id.c.source, external_id.c.value)
    if external:
        ids.update(dict.fromkeys(connection.scalars(select(external_id.c.item_id).where(pair.in_(list(external))))))
    if of_shows:
        shows = select(external_id.c.item_id).where(pair.in_(list(of_shows)))
        numbers = {(name.season_number, name.episode_number) for name in names if name.episode_number is not None}
        if numbers:
            meant = tuple_(item.c.season_number, item.c.episode_number).in_(list(numbers))
            ids.update(
                dict.fromkeys(connection.scalars(select(item.c.id).where(and_(item.c.show_id.in_(shows), meant))))
            )
    identities = list({name.identity for name in names})
    ids.update(dict.fromkeys(connection.scalars(select(item.c.id).where(item.c.identity.in_(identities)))))
    found: list[MatchCandidate] = []
    for some in chunks(list(ids)):
        found += _candidates(connection, user_id, some)
    return found


def _candidates(connection: Connection, user_id: UserId, item_ids: Sequence[str]) -> list[MatchCandidate]:
    query = (
        select(item, library.c.name.label("library"), library_access.c.user_id)
        .join(library, library.c.id == item.c.library_id)
        .outerjoin(
            library_access, and_(library_access.c.library_id == library.c.id, library_access.c.user_id == user_id)
        )
        .where(item.c.id.in_(item_ids))
    )
    rows = connection.execute(query).all()
    named = external_ids_of(connection, [*{each for row in rows for each in (row.id, row.show_id) if each}])
    return [
        MatchCandidate(
            row.id,
            ItemKind(row.kind),
            row.identity,
            named.get(row.id, {}),
            named.get(row.show_id, {}),
            (row.season_number, row.episode_number),
            row.removed_at is None,
            row.user_id is not None,
            row.library,
        )
        for row in rows
    ]


def add(connection: Connection, user_id: UserId, brought: Mapping[ItemId, UserState], most_kept: int) -> int:
    """Add missing plays, kept points and list states; return how many rows were added or changed.

    The newest `most_kept` points of each item are kept. Existing decisions about cards win.
    """
    there = user_states(connection, user_id, list(brought))
    changed = 0
    for item_id, mine in brought.items():
        key: dict[str, object] = {"user_id": user_id, "item_id": item_id}
        stored = there[item_id]
        known = {each.id for each in stored.plays}
        plays = {each.id: key | each._asdict() for each in mine.plays if each.id not in known}
        kept = dict(stored.kept)
        both = {**dict(mine.kept), **kept}
        newest = set(sorted(both, key=lambda each: (both[each].kept_at, each))[-most_kept:])
        points = [key | {"id": each} | both[each]._asdict() for each in newest - kept.keys()]
        for table, rows in ((play, list(plays.values())), (kept_position, points)):
            if rows:
                connection.execute(insert(table), rows)
        for each in kept.keys() - newest:
            of_key = and_(kept_position.c.user_id == user_id, kept_position.c.item_id == item_id)
            connection.execute(delete(kept_position).where(of_key, kept_position.c.id == each))
        changed += len(plays) + len(points)
        if mine.state is not None:
            changed += _add_state(connection, user_id, item_id, stored.state, mine.state)
    return changed


def _add_state(
    connection: Connection, user_id: UserId, item_id: ItemId, stored: ListState | None, brought: ListState
) -> int:
    known = stored or ListState(None, None, None)
    merged = ListState(*(here if here is not None else there for here, there in zip(known, brought, strict=True)))
    if merged == known:
        return 0
    added = insert_for(connection, list_state).values(user_id=user_id, item_id=item_id, **merged._asdict())
    connection.execute(
        added.on_conflict_do_update(
            index_elements=[list_state.c.user_id, list_state.c.item_id],
            set_={name: added.excluded[name] for name in ListState._fields},
        )
    )
    return 1


def exist(connection: Connection, item_ids: Sequence[str]) -> set[str]:
    """Return which of these ids exist in the catalogue."""
    found: set[str] = set()
    for some in chunks(item_ids):
        found.update(connection.scalars(select(item.c.id).where(item.c.id.in_(some))))
    return found
