"""What the lists of one user are made from: their own rows, with the items that these name. Decides nothing.

Every query begins with the user's rows, which lie together under the primary key, and looks items up by their id: the
size of the library does not matter. Where a user may not see an item, it is as if it were not there.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    delete,
    func,
    literal,
    or_,
    select,
    tuple_,
    type_coerce,
)
from sqlalchemy.dialects import postgresql, sqlite

from playhead.domain.catalogue import Item
from playhead.domain.lists import ListState, Viewed
from playhead.domain.model import LATEST, Instant, ItemId, ItemKind, Milliseconds, UserId
from playhead.domain.playback import ItemFacts, Progress
from playhead.storage.catalogue import find_items
from playhead.storage.database import Prepared, Row
from playhead.storage.playback import Key
from playhead.storage.schema import account, item, library_access, list_state, play, progress


class Watched(NamedTuple):
    """A progress of somebody, with what one must know of its item."""

    user_id: UserId
    item_id: ItemId
    kind: ItemKind
    facts: ItemFacts
    progress: Progress


class Played(NamedTuple):
    """A play of the history. `watched_at` is None where nobody knows when."""

    id: str
    item_id: ItemId
    watched_at: Instant | None
    source: str


def _is_seen(user: ColumnElement[Any], is_admin: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether the user may see the item of the row."""
    granted = (
        select(library_access.c.user_id)
        .where(library_access.c.user_id == user, library_access.c.library_id == item.c.library_id)
        .exists()
    )
    return or_(is_admin == 1, granted)


_user = bindparam("user_id", type_=progress.c.user_id.type)
_is_admin = bindparam("is_admin", type_=Integer)
_since = bindparam("since", type_=progress.c.last_watched_at.type)
_before = bindparam("before", type_=progress.c.last_watched_at.type)
_before_id = bindparam("before_id", type_=progress.c.item_id.type)
_limit = bindparam("limit", type_=Integer)

# The newest rows first, and only then their items: to sort twenty thousand rows is quicker than to look up their items.
_newest = (
    select(progress)
    .where(
        progress.c.user_id == _user,
        progress.c.last_watched_at >= _since,
        or_(
            progress.c.last_watched_at < _before,
            and_(progress.c.last_watched_at == _before, progress.c.item_id < _before_id),
        ),
    )
    .order_by(progress.c.last_watched_at.desc(), progress.c.item_id.desc())
    .limit(_limit)
    .subquery("newest")
)


def _viewed(rows: Any) -> tuple[ColumnElement[Any], ...]:  # noqa: ANN401 - the columns of progress, under any name
    return (
        item.c.id,
        item.c.show_id,
        type_coerce(case((and_(item.c.removed_at.is_(None), _is_seen(_user, _is_admin)), 1), else_=0), Integer),
        rows.position_ms,
        rows.duration_ms,
        item.c.credits_ms,
        type_coerce(rows.watched, Integer),
        type_coerce(rows.armed, Integer),
        rows.last_watched_at,
        item.c.season_number,
        item.c.episode_number,
        item.c.episode_end,
        item.c.air_date,
    )


_RECENT = Prepared(
    select(*_viewed(_newest.c), _newest.c.last_watched_at.label("at"), _newest.c.item_id.label("key"))
    .select_from(_newest)
    .outerjoin(item, item.c.id == _newest.c.item_id)
)

_plays = select(func.count()).where(play.c.user_id == _user, play.c.item_id == item.c.id).scalar_subquery()
_played_at = (
    select(func.max(play.c.watched_at)).where(play.c.user_id == _user, play.c.item_id == item.c.id).scalar_subquery()
)
_EPISODES = Prepared(
    select(*_viewed(progress.c), _plays, case((_plays == 0, None), else_=_played_at))
    .select_from(item)
    .outerjoin(progress, and_(progress.c.user_id == _user, progress.c.item_id == item.c.id))
    .where(item.c.show_id == bindparam("show_id", type_=item.c.show_id.type))
)


class Place(NamedTuple):
    """Where the newest rows go on: behind the one of this time and item."""

    at: Instant
    item_id: str


NEWEST = Place(LATEST, "ffffffff-ffff-ffff-ffff-ffffffffffff")


def recent(  # noqa: PLR0913 - the members of a query
    connection: Connection, user_id: UserId, *, is_admin: bool, since: Instant, place: Place, limit: int
) -> tuple[list[Viewed], Place | None]:
    """Return the user's newest rows behind a place, with an activity at `since` or later; and where they go on."""
    rows = _RECENT.rows(
        connection,
        user_id=user_id,
        is_admin=int(is_admin),
        since=since,
        before=place.at,
        before_id=place.item_id,
        limit=limit,
    )
    oldest = min(((row[13], row[14]) for row in rows), default=None)
    found = [_row(row) for row in rows if row[0] is not None]
    return found, None if len(rows) < limit or oldest is None else Place(*oldest)


def episodes(
    connection: Connection, user_id: UserId, show_ids: Collection[ItemId], *, is_admin: bool
) -> dict[ItemId, list[Viewed]]:
    """Return all episodes of these shows, removed ones included, with what the user did with each."""
    found: dict[ItemId, list[Viewed]] = {}
    for show_id in show_ids:
        rows = _EPISODES.rows(connection, user_id=user_id, is_admin=int(is_admin), show_id=show_id)
        found[show_id] = [_row(row)._replace(play_count=row[13], played_at=row[14]) for row in rows]
    return found


def _row(row: Row) -> Viewed:
    if row[3] is None:  # no progress
        return Viewed(row[0], row[1], row[2] == 1, credits_ms=row[5], season_number=row[9], episode_number=row[10],
                      episode_end=row[11], air_date=row[12])  # fmt: skip
    return Viewed(row[0], row[1], row[2] == 1, row[3], row[4], row[5], row[6] == 1, row[7] == 1, *row[8:13])


# What users decided about cards


def list_states(connection: Connection, user_id: UserId) -> dict[ItemId, ListState]:
    """Return all that a user decided, by movie or show."""
    states = list_state.c
    rows = connection.execute(
        select(states.item_id, states.hidden_at, states.snoozed_until, states.dropped_at).where(
            states.user_id == user_id
        )
    )
    return {row[0]: ListState(*row[1:]) for row in rows}


def set_state(connection: Connection, key: Key, **change: Instant | None) -> bool:
    """Change what a user decided about a card; a row that says nothing any more goes. Returns whether it changed."""
    user_id, item_id = key
    mine = and_(list_state.c.user_id == user_id, list_state.c.item_id == item_id)
    columns = list_state.c
    row = connection.execute(select(columns.hidden_at, columns.snoozed_until, columns.dropped_at).where(mine)).first()
    before = ListState() if row is None else ListState(*row)
    after = before._replace(**change)
    if after == before:
        return False
    if after == ListState():
        connection.execute(delete(list_state).where(mine))
        return True
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    added = insert(list_state).values(user_id=user_id, item_id=item_id, **after._asdict())
    connection.execute(
        added.on_conflict_do_update(index_elements=[columns.user_id, columns.item_id], set_=dict(change))
    )
    return True


def card_of(connection: Connection, item_id: ItemId) -> ItemId:
    """Return whose card an item is on: an episode is on its show's."""
    return connection.execute(select(item.c.show_id).where(item.c.id == item_id)).scalar() or item_id


# History, what plays now, and everything


def list_history(
    connection: Connection, user_id: UserId, *, is_admin: bool, after: tuple[int, str] | None, limit: int
) -> list[Played]:
    """Return plays of items that the user may see, newest first, then by id; those without a time come last.

    `after` is time (-1 for none) and id of the play behind which to go on.
    """
    at = func.coalesce(play.c.watched_at, -1)
    query = (
        select(play.c.id, play.c.item_id, play.c.watched_at, play.c.source)
        .join(item, item.c.id == play.c.item_id)
        .where(play.c.user_id == user_id, _is_seen(play.c.user_id, _flag(is_admin=is_admin)))
    )
    if after is not None:
        query = query.where(tuple_(at, play.c.id) < tuple_(literal(after[0]), literal(after[1], play.c.id.type)))
    return [Played(*row) for row in connection.execute(query.order_by(at.desc(), play.c.id.desc()).limit(limit))]


def list_watched_times(
    connection: Connection, user_id: UserId, *, is_admin: bool, since: Instant
) -> list[tuple[Instant, Milliseconds]]:
    """Return when the user's plays of that time and later were, in order, each with the runtime of what was played.

    An item whose runtime nobody knows has 0.
    """
    query = (
        select(play.c.watched_at, func.coalesce(item.c.runtime_ms, 0))
        .join(item, item.c.id == play.c.item_id)
        .where(
            play.c.user_id == user_id,
            play.c.watched_at >= since,
            _is_seen(play.c.user_id, _flag(is_admin=is_admin)),
        )
        .order_by(play.c.watched_at)
    )
    return [(Instant(at), Milliseconds(length)) for at, length in connection.execute(query)]


def list_playing(connection: Connection, user_id: UserId | None, *, is_admin: bool, since: Instant) -> list[Watched]:
    """Return progress whose last report came since then and was no stop, newest first; of everybody without a user.

    For everybody all rows are looked at, because no heartbeat pays for an index: for administration only.
    """
    query = _watched().where(progress.c.last_watched_at >= since, func.coalesce(progress.c.event, "") != "stop")
    if user_id is not None:
        query = query.where(progress.c.user_id == user_id, _is_seen(progress.c.user_id, _flag(is_admin=is_admin)))
    return _watched_rows(connection, query.order_by(progress.c.last_watched_at.desc(), progress.c.item_id))


def list_changed(  # noqa: PLR0913 - the members of a query
    connection: Connection,
    user_id: UserId,
    *,
    is_admin: bool,
    since: Instant,
    watched: bool | None,
    after: tuple[int, str] | None,
    limit: int,
) -> list[Watched]:
    """Return the user's progress that was changed at `since` or later, in the order of the changes, then by item."""
    query = _watched().where(
        progress.c.user_id == user_id,
        progress.c.changed_at >= since,
        _is_seen(progress.c.user_id, _flag(is_admin=is_admin)),
    )
    if watched is not None:
        query = query.where(progress.c.watched.is_(watched))
    if after is not None:
        place = tuple_(literal(after[0]), literal(after[1], progress.c.item_id.type))
        query = query.where(tuple_(progress.c.changed_at, progress.c.item_id) > place)
    return _watched_rows(connection, query.order_by(progress.c.changed_at, progress.c.item_id).limit(limit))


def _flag(*, is_admin: bool) -> ColumnElement[Any]:
    return bindparam("is_admin", int(is_admin), type_=Integer)


def _watched() -> Select[*tuple[Any, ...]]:
    return select(item.c.kind, item.c.runtime_ms, item.c.credits_ms, progress).join_from(
        progress, item, item.c.id == progress.c.item_id
    )


def _watched_rows(connection: Connection, query: Select[*tuple[Any, ...]]) -> list[Watched]:
    return [
        Watched(user_id, item_id, ItemKind(kind), ItemFacts(runtime_ms, credits_ms), Progress._make(values))
        for kind, runtime_ms, credits_ms, user_id, item_id, *values in connection.execute(query)
    ]


def items_of(connection: Connection, item_ids: Iterable[str]) -> dict[ItemId, Item]:
    """Return these items, a few hundred at most, by id."""
    wanted = list(item_ids)
    found = find_items(connection, select(item).where(item.c.id.in_(wanted))) if wanted else []
    return {each.id: each for each in found}


def names_of(connection: Connection, user_ids: Sequence[UserId]) -> dict[UserId, str]:
    """Return the names of these users."""
    rows = connection.execute(select(account.c.id, account.c.name).where(account.c.id.in_(user_ids)))
    return {row.id: row.name for row in rows}
