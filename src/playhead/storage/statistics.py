"""Queries behind statistics: all plays of a user, and what statistics ask about their items. Decides nothing."""

import typing
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    Text,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    not_,
    or_,
    select,
    type_coerce,
)

from playhead.domain.model import Instant, ItemId, LibraryId, UserId
from playhead.domain.statistics import PlayedItem
from playhead.storage.catalogue import chunks
from playhead.storage.engine.database import Prepared
from playhead.storage.schema import holding, item, play
from playhead.storage.visibility import is_granted, is_lasting, is_seen


class PlayRow(NamedTuple):
    """A play of a user. `is_marked` is 1 for one that was added by hand, otherwise 0."""

    item_id: ItemId
    watched_at: Instant | None
    is_marked: bool
    device: str | None


_ZERO, _ONE = literal_column("0", Integer), literal_column("1", Integer)
_MARKED = literal_column("'marked'", Text)
_user = bindparam("user_id", type_=play.c.user_id.type)
_is_admin = bindparam("is_admin", type_=Integer)

_PLAYS = Prepared(
    select(
        play.c.item_id,
        play.c.watched_at,
        case((play.c.source == _MARKED, _ONE), else_=_ZERO),
        literal_column("null", Text),
    ).where(play.c.user_id == _user)
)

_UNDATED = literal_column("-1", BigInteger)
_first_at = func.min(func.coalesce(play.c.watched_at, _UNDATED))
_played = (
    select(play.c.item_id, func.nullif(_first_at, _UNDATED).label("first_at"))
    .where(play.c.user_id == _user)
    .group_by(play.c.item_id)
    .subquery("played")
)
# Nothing that files say may be shown where only libraries have the item that the user may not see.
_may_know_files = or_(_is_admin == _ONE, is_granted(_user), not_(is_lasting()))
# `substr` of the first four characters of an ISO 8601 date.
_year_of_broadcast = cast(func.substr(item.c.air_date, _ONE, literal_column("4", Integer)), Integer)
_show = item.alias("show")
_year_of_show = select(_show.c.year).where(_show.c.id == item.c.show_id).scalar_subquery()
_ITEMS = Prepared(
    select(
        item.c.id,
        item.c.show_id,
        type_coerce(func.coalesce(case((_may_know_files, item.c.runtime_ms)), _ZERO), Integer),
        _played.c.first_at,
        func.coalesce(item.c.year, _year_of_broadcast, _year_of_show),
    )
    .select_from(_played)
    .join(item, item.c.id == _played.c.item_id)
    .where(is_seen(_user, _is_admin))
)

_HOLDERS = Prepared(
    select(holding.c.item_id, holding.c.library_id)
    .select_from(_played)
    .join(holding, holding.c.item_id == _played.c.item_id)
    .where(holding.c.ended_at.is_(None))
)


def list_plays(connection: Connection, user_id: UserId) -> list[PlayRow]:
    """Return all plays of a user, in no particular order."""
    return typing.cast("list[PlayRow]", _PLAYS.rows(connection, [(user_id,)]))


def list_items(connection: Connection, user_id: UserId, *, is_admin: bool) -> dict[ItemId, PlayedItem]:
    """Return the items that a user has played; those that the user may not see only with `is_admin`."""
    return {row[0]: PlayedItem._make(row) for row in _ITEMS.rows(connection, [(int(is_admin), user_id)])}


def list_holders(connection: Connection, user_id: UserId) -> list[tuple[ItemId, LibraryId]]:
    """Return for each item that a user has played the libraries that have or had it."""
    return typing.cast("list[tuple[ItemId, LibraryId]]", _HOLDERS.rows(connection, [(user_id,)]))


def titles_of(connection: Connection, item_ids: Sequence[str]) -> dict[str, str]:
    """Return the titles of these items."""
    found: dict[str, str] = {}
    for some in chunks(item_ids):
        found |= {
            row.id: row.title for row in connection.execute(select(item.c.id, item.c.title).where(item.c.id.in_(some)))
        }
    return found
