"""Queries behind history export and import: everything of one user, with items by name instead of id."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import Connection, Integer, Table, and_, delete, func, insert, literal, select, union

from playhead.domain.catalogue import Holding
from playhead.domain.history import ItemName
from playhead.domain.lists import ListState
from playhead.domain.matching import Candidate, Clue, candidate_of
from playhead.domain.model import ItemId, ItemKind, Role, UserId
from playhead.domain.playback import KeptPoint, Progress
from playhead.storage import matching
from playhead.storage.accounts import find_user
from playhead.storage.catalogue import chunks, external_ids_of, resolve
from playhead.storage.engine.upserts import insert_for
from playhead.storage.schema import Id, item, kept_position, list_state, play, progress
from playhead.storage.visibility import is_seen


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
        .order_by(
            item.c.id.is_(None),
            item.c.kind.desc(),
            func.coalesce(_show.c.sort_title, item.c.sort_title),
            func.coalesce(_show.c.year, item.c.year, 0),
            func.coalesce(item.c.season_number, -1),
            func.coalesce(item.c.episode_number, -1),
            func.coalesce(item.c.air_date, ""),
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


def find_candidates(connection: Connection, user_id: UserId, clues: Sequence[Clue]) -> list[Candidate]:
    """Return all items that these clues may mean, and whether the user sees them."""
    found = matching.find_candidates(connection, clues)
    items = {each.id: each for each in found.items}
    seen = _seen(connection, user_id, list(items))
    holdings = defaultdict[ItemId, list[Holding]](list)
    for each in found.holdings:
        holdings[each.item_id].append(each)
    return [
        candidate_of(
            each,
            None if each.show_id is None else items.get(each.show_id),
            holdings[each.id],
            is_seen=each.id in seen,
        )
        for each in found.items
    ]


def _seen(connection: Connection, user_id: UserId, item_ids: Sequence[ItemId]) -> set[str]:
    user = find_user(connection, user_id)
    is_admin = literal(int(user is not None and user.role is Role.ADMIN), Integer)
    seen: set[str] = set()
    for some in chunks(item_ids):
        visible = is_seen(literal(user_id, Id), is_admin)
        seen.update(connection.scalars(select(item.c.id).where(item.c.id.in_(some), visible)))
    return seen


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


def find_meant(connection: Connection, item_ids: Sequence[ItemId]) -> dict[ItemId, ItemId]:
    """Return the items that those of these ids mean which exist in the catalogue."""
    meant = {item_id: item_id for item_id in item_ids} | resolve(connection, item_ids)
    there: set[str] = set()
    for some in chunks(list(meant.values())):
        there.update(connection.scalars(select(item.c.id).where(item.c.id.in_(some))))
    return {item_id: final for item_id, final in meant.items() if final in there}
