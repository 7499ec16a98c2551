"""Queries behind a user's lists: the user's own rows, joined with their items. Decides nothing.

Every query starts at the user's rows, which are adjacent in the primary key, and looks items up by id, so its cost does
not depend on the size of the library. Items that the user may not see are omitted.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Select,
    Tuple,
    and_,
    bindparam,
    case,
    delete,
    false,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    true,
    tuple_,
    type_coerce,
)
from sqlalchemy.dialects import postgresql

from playhead.domain.catalogue import Item
from playhead.domain.lists import ItemState, ListState
from playhead.domain.model import Instant, ItemId, ItemKind, LibraryId, UserId
from playhead.domain.periods import Period
from playhead.domain.playback import ItemFacts, Progress
from playhead.storage.catalogue import find_items
from playhead.storage.engine.database import Prepared
from playhead.storage.engine.upserts import insert_for
from playhead.storage.playback import Key
from playhead.storage.schema import Id, account, item, list_state, play, progress
from playhead.storage.visibility import is_available, is_lasting_in, is_seen


class WatchedRow(NamedTuple):
    """A progress with its user and the facts of its item."""

    user_id: UserId
    item_id: ItemId
    show_id: ItemId | None
    kind: ItemKind
    facts: ItemFacts
    progress: Progress


class PlayFilter(NamedTuple):
    """Which plays of a history to list; None does not restrict them. `item_id` may be a show: then its episodes."""

    period: Period = Period()
    item_id: ItemId | None = None
    show_id: ItemId | None = None
    kind: ItemKind | None = None
    library_id: LibraryId | None = None


class PlayedRow(NamedTuple):
    """A play of the history. `watched_at` is None if unknown."""

    id: str
    item_id: ItemId
    show_id: ItemId | None
    watched_at: Instant | None
    source: str


# Constants are literals in the text: a statement that runs for many rows takes only their values.
_ZERO, _ONE, _NEVER = literal_column("0", Integer), literal_column("1", Integer), literal_column("-1", BigInteger)


_user = bindparam("user_id", type_=progress.c.user_id.type)
_show_id = bindparam("show_id", type_=item.c.show_id.type)
_is_admin = bindparam("is_admin", type_=Integer)
_since = bindparam("since", type_=progress.c.last_watched_at.type)
_before = bindparam("before", type_=progress.c.last_watched_at.type)


# The columns of ItemState in its order, so that rows convert positionally. Flags may be 1 and 0.
_VIEWED = (
    item.c.id,
    item.c.show_id,
    case((is_available(_user, _is_admin), _ONE), else_=_ZERO),
    func.coalesce(progress.c.position_ms, _ZERO),
    progress.c.duration_ms,
    item.c.credits_ms,
    type_coerce(func.coalesce(progress.c.watched, false()), Integer),
    type_coerce(func.coalesce(progress.c.armed, true()), Integer),
    progress.c.last_watched_at,
    item.c.season_number,
    item.c.episode_number,
    item.c.episode_end,
    item.c.air_date,
    item.c.placed_season,
    item.c.placed_before,
)


# The newest row of each show, and the movies that can have a card. The engines differ in how to say 'of the row with
# the highest': SQLite takes the other columns from the row of max().
_card = func.coalesce(item.c.show_id, item.c.id)
_active = (
    select(progress.c.item_id)
    .join_from(progress, item, item.c.id == progress.c.item_id)
    .where(
        progress.c.user_id == _user,
        progress.c.last_watched_at >= _since,
        progress.c.last_watched_at < _before,
        or_(
            item.c.show_id.is_not(None),
            and_(or_(progress.c.armed, not_(progress.c.watched)), progress.c.position_ms > _ZERO),
        ),
    )
)


def _of_cards(active: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    newest = active.subquery("newest")
    return (
        select(*_VIEWED)
        .select_from(newest)
        .outerjoin(progress, and_(progress.c.user_id == _user, progress.c.item_id == newest.c.item_id))
        .outerjoin(item, item.c.id == newest.c.item_id)
    )


_RECENT = Prepared(
    _of_cards(_active.add_columns(func.max(progress.c.last_watched_at)).group_by(_card)),
    postgresql=_of_cards(_active.ext(postgresql.distinct_on(_card)).order_by(_card, progress.c.last_watched_at.desc())),
)

# The episodes of a show, each with a separate look-up in the user's rows; outer joins make SQLite keep this order.
_episode = item.alias("episode")
_of_episode = and_(play.c.user_id == _user, play.c.item_id == item.c.id)
_episodes = (
    select(
        *_VIEWED,
        select(func.count()).where(_of_episode).scalar_subquery(),
        select(func.max(play.c.watched_at)).where(_of_episode).scalar_subquery(),
    )
    .select_from(_episode)
    .outerjoin(progress, and_(progress.c.user_id == _user, progress.c.item_id == _episode.c.id))
    .outerjoin(item, item.c.id == _episode.c.id)
    .where(_episode.c.show_id == _show_id)
)
_EPISODES = Prepared(_episodes)

_ordered = item.alias("ordered")
_play_of_ordered = play.alias("newest_play")
_newest_play_at = (
    select(func.max(_play_of_ordered.c.watched_at))
    .select_from(_ordered)
    .outerjoin(_play_of_ordered, and_(_play_of_ordered.c.user_id == _user, _play_of_ordered.c.item_id == _ordered.c.id))
    .where(
        _ordered.c.show_id == _show_id,
        or_(_ordered.c.season_number.is_distinct_from(_ZERO), _ordered.c.placed_season.is_not(None)),
    )
    .scalar_subquery()
)
_OPEN_EPISODES = Prepared(
    _episodes.where(
        or_(
            progress.c.watched.is_distinct_from(true()),
            and_(progress.c.armed, progress.c.position_ms > _ZERO),
            select(play.c.id)
            .where(
                play.c.user_id == _user,
                play.c.item_id == _episode.c.id,
                func.coalesce(play.c.watched_at, _NEVER) >= func.coalesce(_newest_play_at, _NEVER),
            )
            .exists(),
        )
    )
)


def recent(
    connection: Connection, user_id: UserId, *, is_admin: bool, since: Instant, before: Instant
) -> list[ItemState]:
    """Return the newest row of each movie and show active in this period, `before` excluded.

    Movies that cannot have a card are omitted; see `domain.lists.find_candidates`.
    """
    rows = _RECENT.rows(connection, [(int(is_admin), user_id, since, before)])
    return [ItemState(*row) for row in rows]


def episodes(
    connection: Connection, user_id: UserId, show_ids: Sequence[ItemId], *, is_admin: bool
) -> dict[ItemId, list[ItemState]]:
    """Return the episodes of these shows, removed ones included, with the user's state of each.

    Episodes that can neither be next nor decide which one is are omitted; see `domain.lists.next_up`.
    """
    found = _episodes_of(_OPEN_EPISODES, connection, user_id, show_ids, is_admin=is_admin)
    again = [show_id for show_id in show_ids if any(row.play_count > 1 for row in found[show_id])]
    return found | _episodes_of(_EPISODES, connection, user_id, again, is_admin=is_admin)


def all_episodes(connection: Connection, user_id: UserId, show_id: ItemId, *, is_admin: bool) -> list[ItemState]:
    """Return all episodes of a show, removed ones included, with the user's state of each."""
    return _episodes_of(_EPISODES, connection, user_id, [show_id], is_admin=is_admin)[show_id]


def _episodes_of(
    statement: Prepared, connection: Connection, user_id: UserId, show_ids: Sequence[ItemId], *, is_admin: bool
) -> dict[ItemId, list[ItemState]]:
    found: dict[ItemId, list[ItemState]] = {show_id: [] for show_id in show_ids}
    if not show_ids:
        return found
    for row in statement.rows(connection, [(int(is_admin), user_id, show_id) for show_id in show_ids]):
        found[row[1]].append(ItemState(*row))
    return found


# Decisions about cards


def list_states(connection: Connection, user_id: UserId) -> dict[ItemId, ListState]:
    """Return a user's decisions about cards, keyed by movie or show."""
    states = list_state.c
    rows = connection.execute(
        select(states.item_id, states.hidden_at, states.snoozed_until, states.dropped_at).where(
            states.user_id == user_id
        )
    )
    return {item_id: ListState(*state) for item_id, *state in rows}


def find_state(connection: Connection, key: Key) -> ListState:
    """Return a user's decisions about the card of one movie or show."""
    user_id, item_id = key
    columns = list_state.c
    mine = and_(columns.user_id == user_id, columns.item_id == item_id)
    row = connection.execute(select(columns.hidden_at, columns.snoozed_until, columns.dropped_at).where(mine)).first()
    return ListState() if row is None else ListState(*row)


def count_states(connection: Connection, user_id: UserId) -> int:
    """Return the number of cards about which a user has decided something."""
    query = select(func.count()).select_from(list_state).where(list_state.c.user_id == user_id)
    return connection.execute(query).scalar_one()


def remove_past_snoozes(connection: Connection, user_id: UserId, now: Instant) -> None:
    """Remove decisions without effect: expired snoozes of cards that are neither hidden nor dropped."""
    columns = list_state.c
    connection.execute(
        delete(list_state).where(
            columns.user_id == user_id,
            columns.snoozed_until <= now,
            columns.hidden_at.is_(None),
            columns.dropped_at.is_(None),
        )
    )


def set_state(connection: Connection, key: Key, **change: Instant | None) -> bool:
    """Change a decision about a card; a row without effect is deleted. Returns whether anything changed."""
    user_id, item_id = key
    mine = and_(list_state.c.user_id == user_id, list_state.c.item_id == item_id)
    columns = list_state.c
    before = find_state(connection, key)
    after = before._replace(**change)
    if after == before:
        return False
    if after == ListState():
        connection.execute(delete(list_state).where(mine))
        return True
    added = insert_for(connection, list_state).values(user_id=user_id, item_id=item_id, **after._asdict())
    connection.execute(
        added.on_conflict_do_update(index_elements=[columns.user_id, columns.item_id], set_=dict(change))
    )
    return True


def card_of(connection: Connection, item_id: ItemId) -> ItemId:
    """Return the id of the card of an item: an episode's is its show's."""
    return connection.execute(select(item.c.show_id).where(item.c.id == item_id)).scalar() or item_id


# History, now playing, and all progress


def list_history(  # noqa: PLR0913 - the members of a query
    connection: Connection,
    user_id: UserId,
    *,
    is_admin: bool,
    wanted: PlayFilter,
    oldest_first: bool,
    after: tuple[int, str] | None,
    limit: int,
) -> list[PlayedRow]:
    """Return plays of visible items, newest first, then by id; undated ones count as the oldest.

    `after` is the time (-1 for none) and id of the last play of the previous page.
    """
    at = func.coalesce(play.c.watched_at, _NEVER)
    key = (at, play.c.id)
    query = (
        select(play.c.id, play.c.item_id, item.c.show_id, play.c.watched_at, play.c.source)
        .join(item, item.c.id == play.c.item_id)
        .where(
            play.c.user_id == user_id,
            *_conditions(wanted),
            is_seen(play.c.user_id, _flag(is_admin=is_admin)),
        )
        .order_by(*(column if oldest_first else column.desc() for column in key))
        .limit(limit)
    )
    if after is not None:
        place, last = tuple_(*key), _place(after)
        query = query.where(place > last if oldest_first else place < last)
    return [PlayedRow(*row) for row in connection.execute(query)]


def _conditions(wanted: PlayFilter) -> Iterator[ColumnElement[bool]]:
    first, end = wanted.period
    if first is not None:
        yield play.c.watched_at >= first
    if end is not None:
        yield play.c.watched_at < end
    if wanted.item_id is not None:
        yield or_(item.c.id == wanted.item_id, item.c.show_id == wanted.item_id)
    if wanted.show_id is not None:
        yield item.c.show_id == wanted.show_id
    if wanted.kind is not None:
        yield item.c.kind == wanted.kind.value
    if wanted.library_id is not None:
        yield is_lasting_in(wanted.library_id)


def list_playing(  # noqa: PLR0913 - the members of a query
    connection: Connection,
    user_id: UserId | None,
    *,
    is_admin: bool,
    since: Instant,
    after: tuple[int, str, str] | None,
    limit: int,
) -> list[WatchedRow]:
    """Return progress whose last report came since then and was not a stop, newest first; None: of all users.

    `after` is the time, item and user of the row after which to continue. For all users this scans the table, because
    no save should pay for an index: for administration only.
    """
    query = _watched().where(progress.c.last_watched_at >= since, func.coalesce(progress.c.event, "") != "stop")
    if user_id is not None:
        query = query.where(progress.c.user_id == user_id, is_seen(progress.c.user_id, _flag(is_admin=is_admin)))
    key = (progress.c.last_watched_at, progress.c.item_id, progress.c.user_id)
    if after is not None:
        query = query.where(
            tuple_(*key) < tuple_(literal(after[0], BigInteger), *(literal(id_, Id) for id_ in after[1:]))
        )
    return _watched_rows(connection, query.order_by(*(column.desc() for column in key)).limit(limit))


def list_changed(  # noqa: PLR0913 - the members of a query
    connection: Connection,
    user_id: UserId,
    *,
    is_admin: bool,
    since: Instant,
    watched: bool | None,
    after: tuple[int, str] | None,
    limit: int,
) -> list[WatchedRow]:
    """Return the user's progress changed at `since` or later, by time of change, then by item."""
    query = _watched().where(
        progress.c.user_id == user_id,
        progress.c.changed_at >= since,
        is_seen(progress.c.user_id, _flag(is_admin=is_admin)),
    )
    if watched is not None:
        query = query.where(progress.c.watched.is_(watched))
    if after is not None:
        query = query.where(tuple_(progress.c.changed_at, progress.c.item_id) > _place(after))
    return _watched_rows(connection, query.order_by(progress.c.changed_at, progress.c.item_id).limit(limit))


def _place(after: tuple[int, str]) -> Tuple:
    return tuple_(literal(after[0], BigInteger), literal(after[1], Id))


def _flag(*, is_admin: bool) -> ColumnElement[Any]:
    return bindparam("is_admin", int(is_admin), type_=Integer)


def _watched() -> Select[*tuple[Any, ...]]:
    return select(item.c.show_id, item.c.kind, item.c.runtime_ms, item.c.credits_ms, progress).join_from(
        progress, item, item.c.id == progress.c.item_id
    )


def _watched_rows(connection: Connection, query: Select[*tuple[Any, ...]]) -> list[WatchedRow]:
    return [
        WatchedRow(user_id, item_id, show_id, ItemKind(kind), ItemFacts(runtime_ms, credits_ms), Progress._make(values))
        for show_id, kind, runtime_ms, credits_ms, user_id, item_id, *values in connection.execute(query)
    ]


def items_of(connection: Connection, item_ids: Sequence[str]) -> dict[ItemId, Item]:
    """Return these items, a few hundred at most, by id."""
    found = find_items(connection, select(item).where(item.c.id.in_(item_ids))) if item_ids else []
    return {each.id: each for each in found}


def names_of(connection: Connection, user_ids: Sequence[UserId]) -> dict[UserId, str]:
    """Return the names of these users."""
    rows = connection.execute(select(account.c.id, account.c.name).where(account.c.id.in_(user_ids)))
    return {row.id: row.name for row in rows}
