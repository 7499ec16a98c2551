"""Queries of progress, plays and kept points. Keys are (user id, item id); a statement runs once per key.

Columns are in the order of `domain.playback.Progress`, so that rows convert positionally.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Connection,
    Integer,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    cast,
    delete,
    func,
    insert,
    literal_column,
    null,
    select,
    true,
    type_coerce,
)
from sqlalchemy.dialects import postgresql, sqlite

from playhead.domain.limits import PLAYS_OF_ITEM
from playhead.domain.model import Instant, ItemId, LibraryId, Role, UserId
from playhead.domain.playback import FrozenProgress, ItemFacts, KeptPoint, Progress
from playhead.storage.engine.database import ConnectionCache, Prepared, Row, connection_cache
from playhead.storage.schema import Id, account, item, kept_position, library_access, play, progress

Key = tuple[UserId, ItemId]

AUTOMATIC = "automatic"
"""The source of a play that a completing report added."""


class SaveLookup(NamedTuple):
    """The result of a save's look-up of one user and one item. `kind` is None if there is no such item."""

    role: Role
    granted: bool
    kind: str | None
    facts: ItemFacts
    progress: Progress | None


class ReadLookup(NamedTuple):
    """The result of a read's shorter look-up. `kind` is None if there is no such item."""

    granted: bool
    kind: str | None
    shown: FrozenProgress | None


class _CachedItem(NamedTuple):
    """The cached facts of an item, keyed by its id."""

    kind: str
    facts: ItemFacts
    library_id: LibraryId


class _CachedViewer(NamedTuple):
    """A cached role and grant, keyed by user and library. Reads do not look up the role."""

    role: Role | None
    granted: bool


_REMEMBERED_MAX = 150_000
"""The most cached items and users per connection, more than cached tokens. A fifth of a kilobyte each."""

# The columns of Progress, in its order; flags as they come, because they are made booleans below for all engines.
_PROGRESS = tuple(
    type_coerce(column, Integer) if column.name in {"watched", "armed", "completed_marked"} else column
    for column in progress.c
    if not column.primary_key
)
_FACTS = (
    type_coerce(library_access.c.user_id.is_not(None), Integer),
    item.c.kind,
    item.c.runtime_ms,
    item.c.credits_ms,
    item.c.library_id,
)
_COLUMNS = (*_FACTS, *_PROGRESS)
_SHOWN = (
    progress.c.position_ms,
    progress.c.duration_ms,
    type_coerce(progress.c.watched, Integer),
    progress.c.last_watched_at,
)

# The positions of the groups of columns in a row of `_LOAD`, after the role, and of `_SHOW`, around the version.
_ROLE_AND_FACTS_OF_LOAD = slice(1 + len(_FACTS))
_PROGRESS_OF_LOAD = slice(1 + len(_FACTS), 1 + len(_FACTS) + len(_PROGRESS))
_VERSION_OF_SHOW = len(_FACTS)
_SHOWN_OF_SHOW = slice(len(_FACTS) + 1, None)

# A save looks up the account, too, because a row of a removed user cannot be stored; a read trusts its credential.
_SHOW = Prepared(
    select(*_FACTS, progress.c.version, *_SHOWN)
    .select_from(item)
    .outerjoin(
        library_access,
        and_(library_access.c.user_id == bindparam("user_id"), library_access.c.library_id == item.c.library_id),
    )
    .outerjoin(progress, and_(progress.c.user_id == bindparam("user_id"), progress.c.item_id == item.c.id))
    .where(item.c.id == bindparam("item_id"))
)

# What remains to be looked up if everything else is cached.
_OF_KEY = and_(progress.c.user_id == bindparam("user_id"), progress.c.item_id == bindparam("item_id"))
_SHOW_PROGRESS = Prepared(select(*_SHOWN).where(_OF_KEY))
_LOAD_PROGRESS = Prepared(select(*_PROGRESS).select_from(select(null()).subquery("one")).outerjoin(progress, _OF_KEY))

# The keys of a batch as a table, for an engine that takes them in one statement.
_keys = (
    func.unnest(bindparam("user_id", type_=postgresql.ARRAY(Id)), bindparam("item_id", type_=postgresql.ARRAY(Id)))
    .table_valued("user_id", "item_id", with_ordinality="place", name="k")
    .render_derived()
)
_of_these_users = account.c.id == func.any(bindparam("user_id", type_=postgresql.ARRAY(Id)))

# One row per key, stored or not. The join starts at account, so that a distributed engine can route it.
_LOAD = Prepared(
    select(account.c.role, *_COLUMNS)
    .select_from(select(null()).subquery("one"))
    .outerjoin(account, account.c.id == bindparam("user_id"))
    .outerjoin(item, item.c.id == bindparam("item_id"))
    .outerjoin(
        library_access,
        and_(library_access.c.user_id == account.c.id, library_access.c.library_id == item.c.library_id),
    )
    .outerjoin(progress, and_(progress.c.user_id == account.c.id, progress.c.item_id == item.c.id)),
    together=select(account.c.role, *_COLUMNS, _keys.c.place)
    .select_from(_keys)
    .join(account, account.c.id == _keys.c.user_id)
    .outerjoin(item, item.c.id == _keys.c.item_id)
    .outerjoin(
        library_access,
        and_(library_access.c.user_id == account.c.id, library_access.c.library_id == item.c.library_id),
    )
    .outerjoin(progress, and_(progress.c.user_id == account.c.id, progress.c.item_id == _keys.c.item_id))
    .where(_of_these_users),
)


def _upsert(insert: "sqlite.Insert | postgresql.Insert") -> "sqlite.Insert | postgresql.Insert":
    changed = {column.name: insert.excluded[column.name] for column in progress.c if not column.primary_key}
    return insert.on_conflict_do_update(
        index_elements=[progress.c.user_id, progress.c.item_id],
        set_=changed,
        where=progress.c.version == insert.excluded.version - literal_column("1"),
    )


def _from_json(table: Table) -> Select[Any]:
    """Select the values of a JSON array of arrays as rows of this table."""
    row = func.jsonb_array_elements(cast(bindparam("rows", type_=Text), postgresql.JSONB)).column_valued("r")
    return select(
        *(cast(row.op("->>")(literal_column(str(place))), column.type) for place, column in enumerate(table.c))
    )


def _values(table: Table) -> dict[str, BindParameter[Any]]:
    return {column.name: bindparam(column.name) for column in table.c}


_STORE = Prepared(
    _upsert(sqlite.insert(progress).values(_values(progress))),
    together=_upsert(postgresql.insert(progress).from_select(list(progress.c), _from_json(progress))).returning(
        progress.c.user_id, progress.c.item_id
    ),
)

# A batch takes back at most one stored play of an item, so one of the two that are found stays throughout it.
_ENOUGH_PLAYS = literal_column("2", Integer)
_ZERO = literal_column("0", Integer)  # otherwise SQLite would be given the offset as a parameter
_spans = (
    func.unnest(
        bindparam("user_id", type_=postgresql.ARRAY(Id)),
        bindparam("item_id", type_=postgresql.ARRAY(Id)),
        bindparam("first", type_=postgresql.ARRAY(BigInteger)),
        bindparam("last", type_=postgresql.ARRAY(BigInteger)),
    )
    .table_valued("user_id", "item_id", "first", "last", name="s")
    .render_derived()
)
_play_within = (
    select(play.c.watched_at)
    .where(
        play.c.user_id == _spans.c.user_id,
        play.c.item_id == _spans.c.item_id,
        play.c.watched_at.between(_spans.c.first, _spans.c.last),
    )
    .limit(_ENOUGH_PLAYS)
    .offset(_ZERO)
    .lateral("within")
)
_FIND_PLAYS = Prepared(
    select(play.c.user_id, play.c.item_id, play.c.watched_at)
    .where(
        play.c.user_id == bindparam("user_id"),
        play.c.item_id == bindparam("item_id"),
        play.c.watched_at.between(bindparam("first"), bindparam("last")),
    )
    .limit(_ENOUGH_PLAYS)
    .offset(_ZERO),
    together=select(_spans.c.user_id, _spans.c.item_id, _play_within.c.watched_at).select_from(
        _spans.join(_play_within, true())
    ),
)

_most_plays = literal_column(str(PLAYS_OF_ITEM.most), Integer)
_some_plays_of_key = (
    select(play.c.id)
    .where(play.c.user_id == bindparam("user_id"), play.c.item_id == bindparam("item_id"))
    .limit(_most_plays)
    .offset(_ZERO)
    .subquery("some_plays")
)
_counted_plays = (
    select(play.c.id)
    .where(play.c.user_id == _keys.c.user_id, play.c.item_id == _keys.c.item_id)
    .limit(_most_plays)
    .offset(_ZERO)
    .correlate(_keys)
    .subquery("some_plays")
)
_COUNT_PLAYS = Prepared(
    select(type_coerce(bindparam("user_id"), Text), type_coerce(bindparam("item_id"), Text), func.count()).select_from(
        _some_plays_of_key
    ),
    together=select(
        _keys.c.user_id, _keys.c.item_id, select(func.count()).select_from(_counted_plays).scalar_subquery()
    ),
)
_ADD_PLAYS = Prepared(
    insert(play).values(_values(play)), together=insert(play).from_select(list(play.c), _from_json(play))
)
_TAKE_BACK_PLAYS = Prepared(
    delete(play).where(
        play.c.user_id == bindparam("user_id"),
        play.c.item_id == bindparam("item_id"),
        play.c.watched_at == bindparam("watched_at"),
        play.c.source == literal_column(f"'{AUTOMATIC}'"),
    )
)

_FIRST = item.alias()
_LIST_FOLLOWING = Prepared(
    select(_FIRST.c.id, item.c.id)
    .select_from(_FIRST)
    .join(item, item.c.show_id == _FIRST.c.show_id)
    .where(
        _FIRST.c.id == bindparam("item_id"),
        item.c.season_number.is_not_distinct_from(_FIRST.c.season_number),
        item.c.episode_number > _FIRST.c.episode_number,
        item.c.episode_number <= _FIRST.c.episode_end,
    )
)

_KEPT_OF_KEY = and_(kept_position.c.user_id == bindparam("user_id"), kept_position.c.item_id == bindparam("item_id"))
_LIST_KEPT = Prepared(
    select(*kept_position.c["user_id", "item_id", "id", "position_ms", "kept_at"])
    .where(_KEPT_OF_KEY)
    .order_by(kept_position.c.kept_at, kept_position.c.id)
)
_ADD_KEPT = Prepared(insert(kept_position).values(_values(kept_position)))
_REMOVE_KEPT = Prepared(delete(kept_position).where(_KEPT_OF_KEY, kept_position.c.id == bindparam("id")))


def show(connection: Connection, user_id: UserId, item_id: ItemId) -> ReadLookup:
    """Look up one item, and the displayed part of its progress, for an existing user."""
    memory = connection_cache(connection)
    if memory is not None:
        of_item: _CachedItem | None = memory.get(item_id)
        viewer: _CachedViewer | None = None if of_item is None else memory.get((user_id, of_item.library_id))
        if of_item is not None and viewer is not None:
            shown = _SHOW_PROGRESS.one(connection, (user_id, item_id))
            return ReadLookup(viewer.granted, of_item.kind, None if shown is None else _shown(shown))
    row = _SHOW.one(connection, (user_id, item_id))
    if row is None:
        return ReadLookup(granted=False, kind=None, shown=None)
    if memory is not None:
        _remember(memory, (user_id, item_id), (None, *row))
    granted, kind, *_ = row
    return ReadLookup(granted == 1, kind, None if row[_VERSION_OF_SHOW] is None else _shown(row[_SHOWN_OF_SHOW]))


def load(connection: Connection, keys: Sequence[Key]) -> list[SaveLookup | None]:
    """Look up many keys; results are in their order, None for a user that does not exist."""
    memory = connection_cache(connection)
    if memory is None:
        return [_known(row) for row in _LOAD.look_up(connection, keys)]
    recalled = [(key, _cached(memory, key)) for key in keys]
    new = [key for key, facts in recalled if facts is None]
    looked_up = dict(zip(new, _LOAD.look_up(connection, new), strict=True)) if new else {}
    for key, row in looked_up.items():
        _remember(memory, key, row)
    rows = iter(_LOAD_PROGRESS.rows(connection, [key for key, facts in recalled if facts is not None]))
    return [
        _known(looked_up[key]) if facts is None else SaveLookup(*facts, _progress(next(rows)))
        for key, facts in recalled
    ]


def store(connection: Connection, changed: Sequence[tuple[Key, Progress]]) -> list[Key]:
    """Insert or update progress, sorted by key, each exactly one version after the stored one.

    Returns the keys that were not stored because another process changed them after they were loaded: load and decide
    these again.
    """
    if not changed:
        return []
    stored = _STORE.run_returning(connection, [(*key, *value) for key, value in changed])
    return [] if stored is None else [key for key, _ in changed if key not in stored]


def find_plays(
    connection: Connection, spans: Sequence[tuple[UserId, ItemId, Instant, Instant]]
) -> dict[Key, list[Instant]]:
    """Return the times of plays within these spans, ends included, at most two per span.

    Keys without any are omitted. However many plays an item has, no more are read than returned.
    """
    plays: dict[Key, list[Instant]] = {}
    if spans:
        for user_id, item_id, watched_at in _FIND_PLAYS.rows(connection, spans):
            plays.setdefault((user_id, item_id), []).append(watched_at)
    return plays


def count_plays(connection: Connection, keys: Sequence[Key]) -> dict[Key, int]:
    """Return how many plays these keys have, counting no further than the limit."""
    if not keys:
        return {}
    return {(user_id, item_id): number for user_id, item_id, number in _COUNT_PLAYS.rows(connection, keys)}


def list_following(connection: Connection, item_ids: Sequence[ItemId]) -> list[tuple[ItemId, ItemId]]:
    """Return pairs of an episode and another one after it in the same file, for those of the given episodes."""
    return [(first, following) for first, following in _LIST_FOLLOWING.rows(connection, [(id_,) for id_ in item_ids])]


def add_plays(connection: Connection, plays: Sequence[tuple[UserId, ItemId, str, Instant | None, str]]) -> None:
    """Add plays, each as user, item, play id, time or None, and source."""
    if plays:
        _ADD_PLAYS.run(connection, plays)


def take_back_plays(connection: Connection, plays: Sequence[tuple[UserId, ItemId, Instant]]) -> None:
    """Remove the automatic plays with these times."""
    if plays:
        _TAKE_BACK_PLAYS.run(connection, plays)


def keep_points(connection: Connection, points: Sequence[tuple[UserId, ItemId, str, KeptPoint]], most: int) -> None:
    """Store kept points under their ids, and keep only the newest `most` of each item. Duplicates are ignored."""
    if not points:
        return
    kept: dict[Key, list[tuple[str, int, Instant]]] = {(user_id, item_id): [] for user_id, item_id, _, _ in points}
    for user_id, item_id, *row in _LIST_KEPT.rows(connection, [*kept]):
        kept[user_id, item_id].append((row[0], row[1], row[2]))
    new: list[Row] = []
    for user_id, item_id, point_id, point in points:
        there = kept[user_id, item_id]
        if all((position_ms, at) != (point.position_ms, point.kept_at) for _, position_ms, at in there):
            there.append((point_id, point.position_ms, point.kept_at))
            new.append((user_id, item_id, point_id, *point))
    too_old = [(*key, old_id) for key, there in kept.items() for old_id, _, _ in there[: max(0, len(there) - most)]]
    _ADD_KEPT.run(connection, new)
    if too_old:
        _REMOVE_KEPT.run(connection, too_old)


_ROLES = {role.value: role for role in Role}


def _known(row: Row | None) -> SaveLookup | None:
    if row is None:
        return None
    role, granted, kind, runtime_ms, credits_ms, _ = row[_ROLE_AND_FACTS_OF_LOAD]
    if role is None:
        return None
    facts = ItemFacts(runtime_ms, credits_ms)
    return SaveLookup(_ROLES[role], granted == 1, kind, facts, _progress(row[_PROGRESS_OF_LOAD]))


def _progress(row: Row) -> Progress | None:
    """Convert the columns of `_PROGRESS` to a progress; None if there is no row, which has no version."""
    (
        position_ms,
        duration_ms,
        watched,
        armed,
        last_watched_at,
        version,
        changed_at,
        session,
        device,
        event,  # stays a plain string, which equals the member of the enumeration
        unwatched_at,
        completed_session,
        completed_duration_ms,
        completed_at,
        completed_marked,
    ) = row
    if version is None:
        return None
    return Progress(
        position_ms,
        duration_ms,
        watched == 1,
        armed == 1,
        last_watched_at,
        version,
        changed_at,
        session,
        device,
        event,
        unwatched_at,
        completed_session,
        completed_duration_ms,
        completed_at,
        completed_marked == 1,
    )


def _shown(row: Row) -> FrozenProgress:
    position_ms, duration_ms, watched, last_watched_at = row
    return FrozenProgress(position_ms, duration_ms, watched == 1, last_watched_at)


def _cached(memory: ConnectionCache, key: Key) -> tuple[Role, bool, str, ItemFacts] | None:
    """Return the first members of SaveLookup if they are cached."""
    user_id, item_id = key
    of_item: _CachedItem | None = memory.get(item_id)
    if of_item is None:
        return None
    kind, facts, library_id = of_item
    viewer: _CachedViewer | None = memory.get((user_id, library_id))
    if viewer is None or viewer.role is None:
        return None
    return viewer.role, viewer.granted, kind, facts


@cache  # there are few, and many users
def _viewer(role: str | None, granted: bool) -> _CachedViewer:  # noqa: FBT001
    return _CachedViewer(None if role is None else _ROLES[role], granted)


def _remember(memory: ConnectionCache, key: Key, row: Row | None) -> None:
    """Cache role, grant and item facts of a row, if both user and item exist."""
    if row is None or row[2] is None:
        return
    role, granted, kind, runtime_ms, credits_ms, library_id = row[_ROLE_AND_FACTS_OF_LOAD]
    user_id, item_id = key
    if len(memory) >= _REMEMBERED_MAX:
        memory.clear()
    memory[item_id] = _CachedItem(kind, ItemFacts(runtime_ms, credits_ms), library_id)
    memory[user_id, library_id] = _viewer(role, granted == 1)
