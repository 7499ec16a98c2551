"""Queries behind marks: plays, kept points, the episodes of a show, the state of a card. Decides nothing."""

from typing import NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Connection, Table, delete, func, literal, select, tuple_

from playhead.domain.merging import Play
from playhead.domain.model import Instant, ItemId
from playhead.domain.playback import KeptPoint
from playhead.storage.playback import Key
from playhead.storage.schema import Id, item, kept_position, list_state, play, progress

MARKED = "marked"
"""The source of a play that was added by hand."""


class PlayCount(NamedTuple):
    """The number of plays of an item, and the time of its latest dated one."""

    number: int
    last_at: Instant | None


def list_plays(connection: Connection, key: Key, after: tuple[int, str] | None, limit: int) -> list[Play]:
    """Return plays of an item, newest first, then by id; undated ones come last.

    `after` is the time (-1 for none) and id of the play to continue after.
    """
    at = func.coalesce(play.c.watched_at, -1)
    query = select(play.c.id, play.c.watched_at, play.c.source).where(*_is_of(play, key))
    if after is not None:
        query = query.where(tuple_(at, play.c.id) < tuple_(literal(after[0], BigInteger), literal(after[1], Id)))
    return [Play(*row) for row in connection.execute(query.order_by(at.desc(), play.c.id.desc()).limit(limit))]


def count_plays(connection: Connection, key: Key) -> PlayCount:
    """Return the number of plays of an item."""
    query = select(func.count(), func.max(play.c.watched_at)).select_from(play).where(*_is_of(play, key))
    return PlayCount(*connection.execute(query).one())


def remove_play(connection: Connection, key: Key, play_id: str) -> bool:
    """Remove one play. Returns whether there was one."""
    return connection.execute(delete(play).where(*_is_of(play, key), play.c.id == play_id)).rowcount > 0


def take_back(connection: Connection, key: Key, play_id: str | None, point_id: str | None) -> None:
    """Remove the play and the kept point that a mark added, if they still exist."""
    for table, id_ in ((play, play_id), (kept_position, point_id)):
        if id_ is not None:
            connection.execute(delete(table).where(*_is_of(table, key), table.c.id == id_))


def list_points(connection: Connection, key: Key) -> list[tuple[str, KeptPoint]]:
    """Return the kept points of an item with their ids, newest first."""
    kept = kept_position.c
    query = (
        select(kept.id, kept.position_ms, kept.duration_ms, kept.kept_at, kept.device)
        .where(*_is_of(kept_position, key))
        .order_by(kept.kept_at.desc(), kept.id.desc())
    )
    return [(point_id, KeptPoint(*point)) for point_id, *point in connection.execute(query)]


def list_episodes(
    connection: Connection, show_id: ItemId, season_number: int | None
) -> list[tuple[ItemId, str | None]]:
    """Return id and air date of every episode of a show or season, removed ones included."""
    query = select(item.c.id, item.c.air_date).where(item.c.show_id == show_id)
    if season_number is not None:
        query = query.where(item.c.season_number == season_number)
    return [(item_id, air_date) for item_id, air_date in connection.execute(query)]


def find_hidden(connection: Connection, key: Key) -> tuple[Instant | None, Instant | None]:
    """Return when the card of an item was hidden and last active. An episode's card is its show's."""
    user_id, item_id = key
    show_id = connection.execute(select(item.c.show_id).where(item.c.id == item_id)).scalar()
    card = item_id if show_id is None else show_id
    hidden_at = connection.execute(select(list_state.c.hidden_at).where(*_is_of(list_state, (user_id, card)))).scalar()
    if hidden_at is None:
        return None, None
    query = select(func.max(progress.c.last_watched_at)).where(progress.c.user_id == user_id)
    if show_id is None:
        query = query.where(progress.c.item_id == item_id)
    else:
        query = query.join_from(progress, item, item.c.id == progress.c.item_id).where(item.c.show_id == show_id)
    return hidden_at, connection.execute(query).scalar()


def forget(connection: Connection, key: Key) -> bool:
    """Remove progress, plays, kept points and the card's state of an item. Returns whether there were any."""
    tables = (progress, play, kept_position, list_state)
    return sum(connection.execute(delete(table).where(*_is_of(table, key))).rowcount for table in tables) > 0


def _is_of(table: Table, key: Key) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return table.c.user_id == key[0], table.c.item_id == key[1]
