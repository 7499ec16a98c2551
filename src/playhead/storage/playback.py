"""Queries of progress, plays and kept points. Keys are (user id, item id); a statement runs once per key.

Columns are in the order of `domain.playback.Progress`, so that rows convert positionally.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Connection,
    Integer,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    case,
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

from playhead.domain.access import Standing
from playhead.domain.catalogue import FileFacts
from playhead.domain.file_facts import Playable, see_files, visible_files
from playhead.domain.limits import PLAYS_OF_ITEM
from playhead.domain.model import FileId, Instant, ItemId, LibraryId, Role, UserId
from playhead.domain.playback import FrozenProgress, ItemFacts, KeptPoint, Progress
from playhead.storage.catalogue import decode_files
from playhead.storage.engine.database import ConnectionCache, Prepared, Row, connection_cache
from playhead.storage.schema import (
    Id,
    account,
    alias,
    file_item,
    holding,
    item,
    kept_position,
    library_access,
    play,
    progress,
)
from playhead.storage.visibility import ALL_GRANTED, SOME_GRANTED, grants_of, has_state, is_held

Key = tuple[UserId, ItemId]

AUTOMATIC = "automatic"
"""The source of a play that a completing report added."""


class SaveLookup(NamedTuple):
    """The result of a save's look-up of one user and one item. `kind` is None if there is no such item.

    `facts` and `playable` are those of `domain.file_facts.SeenFiles`.
    """

    role: Role
    standing: Standing
    kind: str | None
    facts: ItemFacts
    playable: Playable | None
    progress: Progress | None


class ReadLookup(NamedTuple):
    """The result of a read's shorter look-up. `kind` is None if there is no such item."""

    standing: Standing
    kind: str | None
    shown: FrozenProgress | None


class _CachedItem(NamedTuple):
    """The cached facts of an item, keyed by its id. Items with the same `sharing` are visible to the same users.

    `facts` and `playable` are those for who may see all files of the item.
    """

    kind: str
    facts: ItemFacts
    playable: Playable | None
    has_files: bool
    sharing: str


class _CachedViewer(NamedTuple):
    """A cached role and standing, keyed by user and sharing. Reads do not look up the role.

    `sees_files`: all files of such an item.
    """

    role: Role | None
    standing: Standing
    sees_files: bool


_REMEMBERED_MAX = 150_000
"""The most cached items and users per connection, more than cached tokens.

A fifth of a kilobyte each, and a kilobyte more for an item with several files.
"""

# The columns of Progress, in its order; flags as they come, because they are made booleans below for all engines.
_PROGRESS = tuple(
    type_coerce(column, Integer) if column.name in {"watched", "armed", "completed_marked"} else column
    for column in progress.c
    if not column.primary_key
)
# How an item and a user stand to each other, as a number: the conditions after the first that holds are not evaluated.
# 5: all libraries that hold or held the item are granted, so that all of its files may be seen; 2: some of them are.
_ALL_GRANTED, _SOME_GRANTED = 5, 2
_GRANTED = Standing(is_open=False, is_private=False, is_own=False, is_held=False, is_granted=True, has_state=False)
_STANDINGS = {
    _ALL_GRANTED: _GRANTED,
    4: Standing(is_open=True, is_private=False, is_own=False, is_held=False, is_granted=False, has_state=False),
    3: Standing(is_open=False, is_private=True, is_own=True, is_held=False, is_granted=False, has_state=False),
    _SOME_GRANTED: _GRANTED,
    1: Standing(is_open=False, is_private=False, is_own=False, is_held=True, is_granted=False, has_state=False),
    0: Standing(is_open=False, is_private=False, is_own=False, is_held=False, is_granted=False, has_state=False),
    -1: Standing(is_open=False, is_private=True, is_own=False, is_held=False, is_granted=False, has_state=False),
}
_NOWHERE, _FOREIGN = _STANDINGS[0], _STANDINGS[-1]
_AS_ORPHAN = _NOWHERE._replace(has_state=True)


def _number(value: int) -> ColumnElement[int]:
    return literal_column(str(value), Integer)


def _standing_of(user: ColumnElement[Any]) -> ColumnElement[int]:
    return case(
        (item.c.owner_id == user, _number(3)),
        (item.c.owner_id.is_not(None), _number(-1)),
        else_=case(
            {ALL_GRANTED: _number(_ALL_GRANTED), SOME_GRANTED: _number(_SOME_GRANTED)},
            value=grants_of(user),
            else_=case((item.c.is_open, _number(4)), (is_held(), _number(1)), else_=_number(0)),
        ),
    )


def _facts_of(
    user: ColumnElement[Any], sharing: ColumnElement[Any]
) -> tuple[
    ColumnElement[Any],
    ColumnElement[Any],
    ColumnElement[Any],
    ColumnElement[Any],
    ColumnElement[Any],
    ColumnElement[Any],
]:
    return _standing_of(user), item.c.kind, item.c.runtime_ms, item.c.credits_ms, item.c.files, sharing


# What decides, with the user, on the standing: the libraries that hold or held an item, and whose it is. It is a key of
# the connection cache, which PostgreSQL does not have.
_PLUS, _EMPTY = literal_column("'+'", Text), literal_column("''", Text)
_held_by = func.group_concat(
    case((holding.c.removed_at.is_(None), type_coerce(holding.c.library_id, Text) + _PLUS), else_=holding.c.library_id)
)
_SHARING = (
    func.coalesce(type_coerce(item.c.owner_id, Text), type_coerce(item.c.is_open, Text))
    .op("||")(
        func.coalesce(
            select(_held_by).where(holding.c.item_id == item.c.id, holding.c.ended_at.is_(None)).scalar_subquery(),
            _EMPTY,
        )
    )
    .label("sharing")
)
_NOT_SHARED = null().label("sharing")

_reader = bindparam("user_id", type_=progress.c.user_id.type)
_FACTS_OF_READER = _facts_of(_reader, _SHARING)
_FACTS = _facts_of(account.c.id, _SHARING)
_UNCACHED_FACTS = _facts_of(account.c.id, _NOT_SHARED)
_SHOWN = (
    progress.c.position_ms,
    progress.c.duration_ms,
    type_coerce(progress.c.watched, Integer),
    progress.c.last_watched_at,
)

# The positions of the groups of columns in a row of `_LOAD`, after the role, and of `_SHOW`, around the version.
_ROLE_AND_FACTS_OF_LOAD = slice(1 + len(_FACTS))
_FILES_OF_LOAD = len(_FACTS) - 1
_PROGRESS_OF_LOAD = slice(1 + len(_FACTS), 1 + len(_FACTS) + len(_PROGRESS))
_VERSION_OF_SHOW = len(_FACTS)
_SHOWN_OF_SHOW = slice(len(_FACTS) + 1, None)


# A save looks up the account, too, because a row of a removed user cannot be stored; a read trusts its credential.
def _show(facts: tuple[ColumnElement[Any], ...]) -> Select[*tuple[Any, ...]]:
    return (
        select(*facts, progress.c.version, *_SHOWN)
        .select_from(item)
        .outerjoin(progress, and_(progress.c.user_id == _reader, progress.c.item_id == item.c.id))
        .where(item.c.id == bindparam("item_id"))
    )


_SHOW = Prepared(_show(_FACTS_OF_READER), postgresql=_show(_facts_of(_reader, _NOT_SHARED)))

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

_LIST_GRANTED = Prepared(
    select(library_access.c.user_id, library_access.c.library_id).where(
        library_access.c.user_id == bindparam("user_id")
    ),
    together=select(library_access.c.user_id, library_access.c.library_id).where(
        library_access.c.user_id == func.any(bindparam("user_id", type_=postgresql.ARRAY(Id)))
    ),
)

# One row per key, stored or not. The join starts at account, so that a distributed engine can route it.
_LOAD = Prepared(
    select(account.c.role, *_FACTS, *_PROGRESS)
    .select_from(select(null()).subquery("one"))
    .outerjoin(account, account.c.id == bindparam("user_id"))
    .outerjoin(item, item.c.id == bindparam("item_id"))
    .outerjoin(progress, and_(progress.c.user_id == account.c.id, progress.c.item_id == item.c.id)),
    together=select(account.c.role, *_UNCACHED_FACTS, *_PROGRESS, _keys.c.place)
    .select_from(_keys)
    .join(account, account.c.id == _keys.c.user_id)
    .outerjoin(item, item.c.id == _keys.c.item_id)
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


def _of_items(rows: Select[Any]) -> Select[Any]:
    """Leave out rows of items that have become aliases since they were loaded: their keys are decided again.

    A scalar subquery is one look-up by id for each row; EXISTS would become a join, which PostgreSQL plans by hashing
    the whole catalogue.
    """
    item_id = rows.selected_columns[1]
    return rows.where(select(item.c.id).where(item.c.id == item_id).scalar_subquery().is_not(None))


def _values(table: Table) -> dict[str, BindParameter[Any]]:
    return {column.name: bindparam(column.name) for column in table.c}


_STORE = Prepared(
    _upsert(sqlite.insert(progress).values(_values(progress))),
    together=_upsert(
        postgresql.insert(progress).from_select(list(progress.c), _of_items(_from_json(progress)))
    ).returning(progress.c.user_id, progress.c.item_id),
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
    select(item.c.id)
    .select_from(_FIRST)
    .join(item, item.c.show_id == _FIRST.c.show_id)
    .where(
        _FIRST.c.id == bindparam("item_id"),
        item.c.season_number.is_not_distinct_from(_FIRST.c.season_number),
        item.c.episode_number > _FIRST.c.episode_number,
        item.c.episode_number <= _FIRST.c.episode_end,
    )
)

_EPISODE_AND_FILES = Prepared(select(item.c.episode_number, item.c.files).where(item.c.id == bindparam("item_id")))
_IN_FILE = Prepared(select(file_item.c.item_id).where(file_item.c.file_id == bindparam("file_id")))

_KEPT_OF_KEY = and_(kept_position.c.user_id == bindparam("user_id"), kept_position.c.item_id == bindparam("item_id"))
_LIST_KEPT = Prepared(
    select(*kept_position.c["user_id", "item_id", "id", "position_ms", "kept_at"])
    .where(_KEPT_OF_KEY)
    .order_by(kept_position.c.kept_at, kept_position.c.id)
)
_ADD_KEPT = Prepared(insert(kept_position).values(_values(kept_position)))
_REMOVE_KEPT = Prepared(delete(kept_position).where(_KEPT_OF_KEY, kept_position.c.id == bindparam("id")))


_HAS_STATE = Prepared(
    select(type_coerce(has_state(_reader), Integer)).select_from(item).where(item.c.id == bindparam("item_id"))
)


# Look-ups by alias run where others do: within a batch, and on the event loop.
_MEANT = Prepared(
    select(alias.c.id, alias.c.item_id).where(alias.c.id == bindparam("id")),
    together=select(alias.c.id, alias.c.item_id).where(
        alias.c.id == func.any(bindparam("id", type_=postgresql.ARRAY(Id)))
    ),
)


def _resolve(connection: Connection, ids: Sequence[ItemId]) -> dict[ItemId, ItemId]:
    """Return what those of these ids mean that are aliases."""
    return dict(_MEANT.rows(connection, [(id_,) for id_ in ids]))


def has_state_of(connection: Connection, key: Key) -> bool:
    """Return whether a user has progress of an item or of an episode of it, or decisions about its card."""
    return _HAS_STATE.one(connection, key) == (1,)


def show(connection: Connection, user_id: UserId, item_id: ItemId) -> ReadLookup:
    """Look up the item that an id means, and the displayed part of its progress, for an existing user."""
    memory = connection_cache(connection)
    if memory is not None:
        of_item: _CachedItem | None = memory.get(item_id)
        viewer: _CachedViewer | None = None if of_item is None else memory.get((user_id, of_item.sharing))
        if of_item is not None and viewer is not None:
            row = _SHOW_PROGRESS.one(connection, (user_id, item_id))
            shown = None if row is None else _shown(row)
            standing = viewer.standing
            if standing is _NOWHERE:
                standing = _standing(connection, (user_id, item_id), standing, shown)
            return ReadLookup(standing, of_item.kind, shown)
    row = _SHOW.one(connection, (user_id, item_id))
    if row is None:
        meant = _resolve(connection, [item_id]).get(item_id)
        return ReadLookup(_FOREIGN, None, None) if meant is None else show(connection, user_id, meant)
    if memory is not None:
        _remember(memory, (user_id, item_id), (None, *row))
    shown = None if row[_VERSION_OF_SHOW] is None else _shown(row[_SHOWN_OF_SHOW])
    return ReadLookup(_standing(connection, (user_id, item_id), _STANDINGS[row[0]], shown), row[1], shown)


def load(connection: Connection, keys: Sequence[Key]) -> list[SaveLookup | None]:
    """Look up many keys; results are in their order, None for a user that does not exist. Aliases are unknown items."""
    memory = connection_cache(connection)
    if memory is None:
        rows = _LOAD.look_up(connection, keys)
        granted = _granted(connection, zip(keys, rows, strict=True))
        return [_known(connection, key, row, granted) for key, row in zip(keys, rows, strict=True)]
    recalled = [(key, _cached(memory, key)) for key in keys]
    new = [key for key, known in recalled if known is None]
    looked_up = dict(zip(new, _LOAD.look_up(connection, new), strict=True)) if new else {}
    for key, row in looked_up.items():
        _remember(memory, key, row)
    granted = _granted(connection, looked_up.items())
    rows = iter(_LOAD_PROGRESS.rows(connection, [key for key, known in recalled if known is not None]))
    return [
        _known(connection, key, looked_up[key], granted)
        if known is None
        else _completed(connection, key, SaveLookup(*known, _progress(next(rows))))
        for key, known in recalled
    ]


def load_meant(
    connection: Connection, keys: Collection[Key]
) -> tuple[dict[Key, SaveLookup | None], dict[ItemId, ItemId]]:
    """Look up keys whose items clients have named; also return which of these items are aliases, and of what.

    The look-ups are by the keys meant, in order: two keys that mean one item have one. Only unknown items are looked up
    among the aliases.
    """
    ordered = sorted(keys)  # neighbours are on the same pages
    known = dict(zip(ordered, load(connection, ordered), strict=True))
    unknown = {key[1] for key, found in known.items() if found is not None and found.kind is None}
    meant = _resolve(connection, sorted(unknown)) if unknown else {}
    if meant:
        others = sorted({(user_id, meant[item_id]) for user_id, item_id in known if item_id in meant} - known.keys())
        known |= zip(others, load(connection, others), strict=True)
    return known, meant


def find(connection: Connection, user_id: UserId, item_id: ItemId) -> tuple[Key, SaveLookup | None]:
    """Look up the item that an id means, for one user; also return its key."""
    known, meant = load_meant(connection, [(user_id, item_id)])
    key = (user_id, meant.get(item_id, item_id))
    return key, known[key]


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


def find_files(connection: Connection, item_id: ItemId) -> tuple[int | None, tuple[FileFacts, ...]]:
    """Return the number of an episode, and its files, whoever may see them."""
    row = _EPISODE_AND_FILES.one(connection, (item_id,))
    return (None, ()) if row is None else (row[0], () if row[1] is None else decode_files(row[1]))


def list_in_files(connection: Connection, file_ids: Sequence[FileId]) -> set[ItemId]:
    """Return the items that each of these different files contains."""
    times = Counter(item_id for (item_id,) in _IN_FILE.rows(connection, [(file_id,) for file_id in file_ids]))
    return {item_id for item_id, number in times.items() if number == len(file_ids)}


def list_following(connection: Connection, item_id: ItemId) -> set[ItemId]:
    """Return the episodes after one that it says to contain, which a front end that keeps the files has told."""
    return {following for (following,) in _LIST_FOLLOWING.rows(connection, [(item_id,)])}


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


def list_files(connection: Connection, key: Key, role: Role) -> tuple[FileFacts, ...]:
    """Return all files of an item that a user may see."""
    user_id, item_id = key
    query = select(item.c.runtime_ms, item.c.credits_ms, item.c.files).where(item.c.id == item_id)
    row = connection.execute(query).one_or_none()
    if row is None or row.files is None:
        return ()
    granted = None
    if role is not Role.ADMIN:
        granted = {library_id for _, library_id in _LIST_GRANTED.rows(connection, [(user_id,)])}
    return visible_files(ItemFacts(row.runtime_ms, row.credits_ms), decode_files(row.files), granted)


_ROLES = {role.value: role for role in Role}
_SEVERAL = "],["  # in the JSON of the files' facts, if there is more than one: ids have no brackets


_Granted = Mapping[UserId, Collection[LibraryId]]
"""The libraries granted to users who may not see all files of one of the items."""


def _granted(connection: Connection, rows: Iterable[tuple[Key, Row | None]]) -> _Granted:
    granted: dict[UserId, set[LibraryId]] = {
        key[0]: set()
        for key, row in rows
        if row is not None and row[_FILES_OF_LOAD] is not None and not _sees_files(row[0], row[1])
    }
    if granted:
        for user_id, library_id in _LIST_GRANTED.rows(connection, [(user_id,) for user_id in sorted(granted)]):
            granted[user_id].add(library_id)
    return granted


def _sees_files(role: str | None, standing: int) -> bool:
    """Return whether a user may see all files of an item."""
    return standing == _ALL_GRANTED or role == Role.ADMIN


def _known(connection: Connection, key: Key, row: Row | None, granted: _Granted) -> SaveLookup | None:
    if row is None:
        return None
    role, standing, kind, runtime_ms, credits_ms, files, _ = row[_ROLE_AND_FACTS_OF_LOAD]
    if role is None:
        return None
    facts = ItemFacts(runtime_ms, credits_ms)
    if kind is None:
        return SaveLookup(_ROLES[role], _FOREIGN, None, facts, None, None)
    playable = None
    if files is not None and not _sees_files(role, standing):
        facts, playable = see_files(facts, decode_files(files), granted[key[0]])
    elif files is not None and _SEVERAL in files:
        facts, playable = see_files(facts, decode_files(files), None)
    progress = _progress(row[_PROGRESS_OF_LOAD])
    return _completed(connection, key, SaveLookup(_ROLES[role], _STANDINGS[standing], kind, facts, playable, progress))


def _completed(connection: Connection, key: Key, found: SaveLookup) -> SaveLookup:
    """Add whether the user has state, which matters only for items that no library has."""
    if found.standing is not _NOWHERE:
        return found
    return found._replace(standing=_standing(connection, key, _NOWHERE, found.progress))


def _standing(connection: Connection, key: Key, standing: Standing, progress: object) -> Standing:
    if standing is not _NOWHERE:
        return standing
    if progress is not None:
        return _AS_ORPHAN
    return _AS_ORPHAN if has_state_of(connection, key) else _NOWHERE


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
        file_id,
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
        file_id,
    )


def _shown(row: Row) -> FrozenProgress:
    position_ms, duration_ms, watched, last_watched_at = row
    return FrozenProgress(position_ms, duration_ms, watched == 1, last_watched_at)


def _cached(memory: ConnectionCache, key: Key) -> tuple[Role, Standing, str, ItemFacts, Playable | None] | None:
    """Return the members of SaveLookup except the progress if they are cached."""
    user_id, item_id = key
    of_item: _CachedItem | None = memory.get(item_id)
    if of_item is None:
        return None
    kind, facts, playable, has_files, sharing = of_item
    viewer: _CachedViewer | None = memory.get((user_id, sharing))
    if viewer is None or viewer.role is None or (has_files and not viewer.sees_files):
        return None
    return viewer.role, viewer.standing, kind, facts, playable


@cache  # there are few, and many users
def _viewer(role: str | None, standing: int) -> _CachedViewer:
    return _CachedViewer(None if role is None else _ROLES[role], _STANDINGS[standing], _sees_files(role, standing))


def _remember(memory: ConnectionCache, key: Key, row: Row | None) -> None:
    """Cache role, standing and item facts of a row, if both user and item exist."""
    if row is None or row[2] is None:
        return
    role, standing, kind, runtime_ms, credits_ms, files, sharing = row[_ROLE_AND_FACTS_OF_LOAD]
    user_id, item_id = key
    if len(memory) >= _REMEMBERED_MAX:
        memory.clear()
    if item_id not in memory:
        facts, playable = ItemFacts(runtime_ms, credits_ms), None
        if files is not None and _SEVERAL in files:
            facts, playable = see_files(facts, decode_files(files), None)
        memory[item_id] = _CachedItem(kind, facts, playable, files is not None, sharing)
    memory[user_id, sharing] = _viewer(role, standing)
