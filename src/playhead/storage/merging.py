"""Queries of merges: aliases, and moving users' rows, files, holdings and ids from one item to another.

What users have of the merged items is merged by `domain.merging`. Decides nothing else.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Table, and_, bindparam, delete, insert, select, text, update

from playhead.domain.catalogue import FileFacts, Holding, Item, as_episode_of
from playhead.domain.identifying import IdentifiedAs
from playhead.domain.lists import ListState
from playhead.domain.matching import as_shown
from playhead.domain.merging import (
    Play,
    StoredPoint,
    TitleState,
    merge_holdings,
    merge_items,
    merge_states,
    pair_episodes,
    progress_of,
    title_state,
)
from playhead.domain.model import FileId, Instant, ItemId, ItemKind, LibraryId, UserId
from playhead.domain.playback import ItemFacts, KeptPoint, Policy, Progress
from playhead.domain.scanning import with_files
from playhead.storage.catalogue import (
    add_external_ids,
    chunks,
    find_items,
    holdings_of,
    item_row,
    store_holdings,
)
from playhead.storage.playback import Key
from playhead.storage.schema import (
    account,
    alias,
    external_id,
    file_item,
    identification,
    item,
    kept_position,
    library,
    list_state,
    media_file,
    play,
    progress,
)

USER_TABLES = (progress, play, kept_position, list_state)
"""The tables with users' state of items."""

_SETTLED_MS = 60_000
"""How long transactions may write under an id after it became an alias; no transaction of a server lasts longer."""


_USERS_AT_ONCE = 1_000


class MergeOutcome(NamedTuple):
    """What a merge did: each old id with the item that it now means, and the users' items that changed.

    `left_over` are the episodes of merged shows without a counterpart; they are episodes of the other show now.
    """

    aliases: Mapping[ItemId, ItemId]
    changed: Collection[Key]
    left_over: Sequence[ItemId]


class StateMover:
    """Moves users' state between items: merges it where both have some. `new_id` returns a random UUID."""

    def __init__(self, policy: Policy, new_id: Callable[[], str], now: Instant) -> None:
        self._policy = policy
        self._new_id = new_id
        self._now = now

    def move(
        self, connection: Connection, pairs: Mapping[ItemId, ItemId], users: Collection[UserId] | None = None
    ) -> set[Key]:
        """Move the state of each of these items to the one that it is paired with, of all users or of these.

        Returns the keys to which something was moved. Their versions are raised, so that clients that synchronise see
        them.
        """
        if not pairs:
            return set()
        return self._move(connection, _load_states(connection, pairs.keys(), users), lambda key: pairs[key[1]])

    def move_some(self, connection: Connection, moves: Mapping[Key, ItemId]) -> set[Key]:
        """Move state between the items of single users in one step, so that two items can swap theirs; see `move`."""
        states = _load_states(connection, {key[1] for key in moves}, {key[0] for key in moves}) if moves else {}
        return self._move(connection, {key: state for key, state in states.items() if key in moves}, moves.__getitem__)

    def _move(
        self, connection: Connection, sources: Mapping[Key, TitleState], into: Callable[[Key], ItemId]
    ) -> set[Key]:
        if not sources:
            return set()
        targets = {(key[0], into(key)) for key in sources}
        item_ids = {item_id for _, item_id in targets}
        stay = {
            key: state
            for key, state in _load_states(connection, item_ids, {key[0] for key in sources}).items()
            if key in targets and key not in sources
        }
        facts = _facts_of(connection, item_ids)
        merged: dict[Key, TitleState] = {}
        for source, state in sources.items():
            key = source[0], into(source)
            before = merged.get(key) or stay.get(key) or TitleState(key[1])
            merged[key] = merge_states(before, state, facts.get(key[1], ItemFacts()), self._policy)
        _remove(connection, {**sources, **stay})
        self._store(connection, merged)
        return set(merged)

    def _store(self, connection: Connection, merged: Mapping[Key, TitleState]) -> None:
        rows: dict[Table, list[dict[str, object]]] = {table: [] for table in USER_TABLES}
        for (user_id, item_id), state in sorted(merged.items()):
            key: dict[str, object] = {"user_id": user_id, "item_id": item_id}
            stored = progress_of(state)
            if stored is not None:
                stored = stored._replace(version=stored.version + 1, changed_at=self._now)
                rows[progress].append(key | stored._asdict())
            ids: set[str] = set()
            for each in sorted(state.plays, key=lambda each: (each.id, each.watched_at or 0)):
                rows[play].append(key | each._asdict() | {"id": self._unused(each.id, ids)})
            for point_id, point in sorted(state.points, key=lambda each: (each.point.kept_at, each.point.position_ms)):
                rows[kept_position].append(key | {"id": self._unused(point_id, ids)} | point._asdict())
            if state.lists != ListState():
                rows[list_state].append(key | state.lists._asdict())
        for table, some in rows.items():
            if some:
                connection.execute(insert(table), some)

    def _unused(self, id_: str | None, used: set[str]) -> str:
        """Return an id, or a new one if this item has a row with it already."""
        if id_ is None or id_ in used:
            id_ = self._new_id()
        used.add(id_)
        return id_


def _load_states(
    connection: Connection, item_ids: Collection[ItemId], users: Collection[UserId] | None
) -> dict[Key, TitleState]:
    """Return what users have of these items; None: all users.

    No index leads from an item to its users, so each is looked up by name: a join would scan all progress on SQLite.
    """
    rows: dict[Table, dict[Key, list[Any]]] = {table: {} for table in USER_TABLES}
    asked = sorted(connection.scalars(select(account.c.id)) if users is None else users)
    for start in range(0, len(asked), _USERS_AT_ONCE):
        few = asked[start : start + _USERS_AT_ONCE]
        for table, found in rows.items():
            for some in chunks(sorted(item_ids)):
                query = select(table).where(table.c.user_id.in_(few), table.c.item_id.in_(some))
                for row in connection.execute(query):
                    found.setdefault((row.user_id, row.item_id), []).append(row)
    keys = {key for found in rows.values() for key in found}
    return {key: _state(key, {table: found.get(key, []) for table, found in rows.items()}) for key in keys}


def _state(key: Key, rows: Mapping[Table, Sequence[Any]]) -> TitleState:
    decisions = [ListState(row.hidden_at, row.snoozed_until, row.dropped_at) for row in rows[list_state]]
    return title_state(
        key[1],
        next((Progress._make(row[2:]) for row in rows[progress]), None),
        [Play(row.id, row.watched_at, row.source) for row in rows[play]],
        [
            StoredPoint(row.id, KeptPoint(row.position_ms, row.duration_ms, row.kept_at, row.device))
            for row in rows[kept_position]
        ],
        decisions[0] if decisions else ListState(),
    )


def _facts_of(connection: Connection, item_ids: Collection[ItemId]) -> dict[ItemId, ItemFacts]:
    facts: dict[ItemId, ItemFacts] = {}
    for some in chunks(sorted(item_ids)):
        query = select(item.c.id, item.c.runtime_ms, item.c.credits_ms).where(item.c.id.in_(some))
        facts.update((row.id, ItemFacts(row.runtime_ms, row.credits_ms)) for row in connection.execute(query))
    return facts


def _remove(connection: Connection, states: Mapping[Key, TitleState]) -> None:
    """Remove the rows that these states were made of."""
    has_rows: dict[Table, Callable[[TitleState], bool]] = {
        progress: lambda state: state.progress is not None,
        play: lambda state: bool(state.plays),
        kept_position: lambda state: bool(state.points),
        list_state: lambda state: state.lists != ListState(),
    }
    for table, has in has_rows.items():
        rows = [
            {"of_user": user_id, "of_item": item_id}
            for (user_id, item_id), state in sorted(states.items())
            if has(state)
        ]
        if rows:
            of_key = and_(table.c.user_id == bindparam("of_user"), table.c.item_id == bindparam("of_item"))
            connection.execute(delete(table).where(of_key), rows)


# Merging items


def lock_saves(connection: Connection) -> None:
    """Wait until no transaction has unsaved progress, and let none store any before this one ends.

    A save that has looked up an item before finds, when it stores, that the item is gone, and looks it up again. SQLite
    has one writer anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE progress IN SHARE ROW EXCLUSIVE MODE"))


def lock_libraries(connection: Connection) -> list[tuple[LibraryId, str, Instant | None]]:
    """Return each library with its name and the end of its scan's lease; no scan begins before this transaction ends.

    A scan holds its library's items in memory, and would bring merged ones back.
    """
    query = select(library.c.id, library.c.name, library.c.scan_until).where(library.c.removed_at.is_(None))
    rows = connection.execute(query.order_by(library.c.id).with_for_update())
    return [(row.id, row.name, row.scan_until) for row in rows]


def merge(connection: Connection, mover: StateMover, pairs: Mapping[ItemId, ItemId], now: Instant) -> MergeOutcome:
    """Merge items: each key, with everything that anybody has of it, becomes an alias of its value.

    Both exist and are of one kind; no value is a key. Shows take their episodes along.
    """
    lock_saves(connection)
    items = find_items_by_id(connection, {*pairs, *pairs.values()})
    shows = {old: new for old, new in pairs.items() if items[old].kind is ItemKind.SHOW}
    of_show: dict[ItemId, list[Item]] = {show_id: [] for show_id in (*shows, *shows.values())}
    for some in chunks(sorted(of_show)):
        for episode in find_items(connection, select(item).where(item.c.show_id.in_(some))):
            of_show[ItemId(episode.show_id or "")].append(episode)
            items[episode.id] = episode
    everything, left_over = dict(pairs), list[ItemId]()
    for old, new in shows.items():
        found = pair_episodes(
            [each for each in of_show[new] if each.id not in everything],
            [each for each in of_show[old] if each.id not in everything],
        )
        everything |= {goes: stays for stays, goes in found.pairs}
        moved = [as_episode_of(items[episode_id], items[new]) for episode_id in found.left_over]
        items |= {each.id: each for each in moved}
        of_show[new] += moved  # the next show that is merged into this one meets these, too
        left_over += found.left_over
    everything = {old: _final(everything, new) for old, new in everything.items()}
    left_over = [episode_id for episode_id in left_over if episode_id not in everything]
    _make_aliases(connection, everything, now)
    changed = mover.move(connection, everything)
    for old, new in everything.items():
        items[new] = merge_items(items[new], items[old])
    staying = {*everything.values(), *left_over}
    _replace_rows(connection, everything, {item_id: items[item_id] for item_id in staying})
    renew_files(connection, staying)
    return MergeOutcome(everything, changed, left_over)


def find_items_by_id(connection: Connection, item_ids: Collection[ItemId]) -> dict[ItemId, Item]:
    """Return those of these items that exist."""
    return {
        each.id: each
        for some in chunks(sorted(item_ids))
        for each in find_items(connection, select(item).where(item.c.id.in_(some)))
    }


def _final(pairs: Mapping[ItemId, ItemId], item_id: ItemId) -> ItemId:
    while item_id in pairs:
        item_id = pairs[item_id]
    return item_id


def _make_aliases(connection: Connection, pairs: Mapping[ItemId, ItemId], now: Instant) -> None:
    """Make ids aliases, and let the aliases of these ids name what they mean now."""
    rows = [{"old": old, "new": new} for old, new in pairs.items()]
    connection.execute(update(alias).where(alias.c.item_id == bindparam("old")).values(item_id=bindparam("new")), rows)
    connection.execute(
        insert(alias), [{"id": old, "item_id": new, "made_at": now, "swept_at": None} for old, new in pairs.items()]
    )


def _replace_rows(connection: Connection, pairs: Mapping[ItemId, ItemId], staying: Mapping[ItemId, Item]) -> None:
    """Give what the catalogue has of merged items to those that stay, and remove their rows, holdings and ids."""
    held = holdings_of(connection, {*pairs, *staying})
    merged: dict[tuple[ItemId, LibraryId], Holding] = {}
    for item_id in staying:
        merged.update(((item_id, each.library_id), each) for each in held[item_id])
    for old, new in pairs.items():
        for each in held[old]:
            key = new, each.library_id
            of_new = each._replace(item_id=new)
            merged[key] = merge_holdings(merged[key], of_new) if key in merged else of_new
    store_holdings(connection, list(merged.values()))
    of_item: dict[ItemId, list[Holding]] = {item_id: [] for item_id in staying}
    for (item_id, _), each in merged.items():
        of_item[item_id].append(each)
    shown = [as_shown(each, of_item[each.id]) for each in staying.values()]
    update_items(connection, shown)
    _move_links(connection, pairs)
    _move_identifications(connection, pairs)
    gone = [{"gone": old} for old in sorted(pairs, key=lambda old: old in {each.show_id for each in shown})]
    connection.execute(delete(item).where(item.c.id == bindparam("gone")), gone)


def update_items(connection: Connection, items: Sequence[Item]) -> None:
    """Store changed items with their external ids."""
    columns = [column.name for column in item.c if column.name != "id"]
    statement = update(item).where(item.c.id == bindparam("key")).values({name: bindparam(name) for name in columns})
    rows = [item_row(each) for each in items]
    if not rows:
        return
    connection.execute(statement, [{"key": row["id"], **{name: row[name] for name in columns}} for row in rows])
    connection.execute(
        delete(external_id).where(external_id.c.item_id == bindparam("key")), [{"key": each.id} for each in items]
    )
    add_external_ids(connection, items)


def _move_links(connection: Connection, pairs: Mapping[ItemId, ItemId]) -> None:
    links = [
        row
        for some in chunks(sorted(pairs))
        for row in connection.execute(select(file_item).where(file_item.c.item_id.in_(some)))
    ]
    files = {row.file_id for row in links}
    there = {
        (row.file_id, row.item_id)
        for some in chunks(sorted(files))
        for row in connection.execute(select(file_item).where(file_item.c.file_id.in_(some)))
    }
    added: dict[tuple[str, str], dict[str, object]] = {}
    for row in links:
        key = row.file_id, pairs[row.item_id]
        if key not in there:
            added.setdefault(key, {"file_id": key[0], "item_id": key[1], "part": row.part})
    if added:
        connection.execute(insert(file_item), list(added.values()))


def _move_identifications(connection: Connection, pairs: Mapping[ItemId, ItemId]) -> None:
    """Let what persons said about files name the items that stay. There are as many rows as corrections."""
    for row in connection.execute(select(identification)).all():
        told = msgspec.json.decode(row.told, type=IdentifiedAs)
        if told.item_id is not None and told.item_id in pairs:
            changed = msgspec.json.encode(replace(told, item_id=pairs[told.item_id])).decode()
            connection.execute(update(identification).where(identification.c.id == row.id).values(told=changed))


def renew_files(connection: Connection, item_ids: Collection[ItemId]) -> None:
    """Compute anew what items know of their files, and those with which they share one."""
    linked = [
        row.item_id
        for some in chunks(sorted(item_ids))
        for row in connection.execute(
            select(_other.c.item_id)
            .distinct()
            .join(file_item, file_item.c.file_id == _other.c.file_id)
            .where(file_item.c.item_id.in_(some))
        )
    ]
    items = find_items_by_id(connection, {*item_ids, *linked})
    files: dict[FileId, list[Any]] = {}
    for some in chunks(sorted(items)):
        of_items = select(file_item.c.file_id).where(file_item.c.item_id.in_(some))
        query = (
            select(
                media_file.c.id,
                media_file.c.library_id,
                media_file.c.duration_ms,
                media_file.c.credits_ms,
                file_item.c.item_id,
                file_item.c.part,
                item.c.season_number,
                item.c.episode_number,
            )
            .join(file_item, file_item.c.file_id == media_file.c.id)
            .join(item, item.c.id == file_item.c.item_id)
            .where(media_file.c.id.in_(of_items), media_file.c.removed_at.is_(None), media_file.c.fault.is_(None))
        )
        for row in connection.execute(query):
            files.setdefault(row.id, [])
            if row not in files[row.id]:
                files[row.id].append(row)
    facts: dict[ItemId, list[FileFacts]] = {item_id: [] for item_id in items}
    for rows in files.values():
        rows.sort(key=lambda row: (row.season_number or 0, row.episode_number or 0, row.item_id))
        for row in rows:
            if row.item_id in facts:
                facts[row.item_id].append(
                    FileFacts(
                        FileId(row.id),
                        LibraryId(row.library_id),
                        row.duration_ms,
                        row.credits_ms,
                        row.part,
                        rows[0].item_id,
                        rows[-1].episode_number,
                    )
                )
    renewed = [with_files(each, facts[each.id]) for each in items.values()]
    update_items(connection, [each for each in renewed if each != items[each.id]])


_other = file_item.alias("other")


def remove_states(connection: Connection, item_ids: Collection[ItemId]) -> set[UserId]:
    """Remove what users have of these items; return the users."""
    states = _load_states(connection, item_ids, None) if item_ids else {}
    _remove(connection, states)
    return {user_id for user_id, _ in states}


# The sweep: rows that were written under an old id by transactions that had looked it up before the merge


def sweep(connection: Connection, mover: StateMover, now: Instant) -> set[Key]:
    """Move what was stored under recent aliases after their merge; return the keys to which something was moved.

    An alias that is older than any transaction is swept for good.
    """
    lock_saves(connection)
    rows = connection.execute(
        select(alias.c.id, alias.c.item_id, alias.c.made_at).where(alias.c.swept_at.is_(None))
    ).all()
    changed = mover.move(connection, {row.id: row.item_id for row in rows})
    done = [{"old": row.id} for row in rows if row.made_at <= now - _SETTLED_MS]
    if done:
        connection.execute(update(alias).where(alias.c.id == bindparam("old")).values(swept_at=now), done)
    return changed


def any_open(connection: Connection) -> bool:
    """Return whether an alias is still to be swept."""
    return connection.execute(select(alias.c.id).where(alias.c.swept_at.is_(None)).limit(1)).first() is not None


def aliases_since(connection: Connection, item_ids: Collection[ItemId], since: Instant) -> dict[ItemId, ItemId]:
    """Return the ids that became aliases of these items at that time or later."""
    found: dict[ItemId, ItemId] = {}
    for some in chunks(sorted(item_ids)):
        query = select(alias.c.id, alias.c.item_id).where(alias.c.item_id.in_(some), alias.c.made_at >= since)
        found.update((row.id, row.item_id) for row in connection.execute(query.order_by(alias.c.id)))
    return found
