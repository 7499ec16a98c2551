"""Queries behind statistics: all plays of a user, and what statistics ask about their items. Decides nothing."""

import typing
from collections.abc import Sequence

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    not_,
    or_,
    select,
)

from playhead.domain.model import LATEST, ItemId, LibraryId, UserId
from playhead.domain.periods import Period
from playhead.domain.statistics import Viewing
from playhead.storage.catalogue import chunks
from playhead.storage.engine.database import Prepared
from playhead.storage.schema import holding, item, play
from playhead.storage.visibility import is_granted, is_lasting, is_seen

_ZERO, _ONE = literal_column("0", Integer), literal_column("1", Integer)
_MARKED = literal_column("'marked'", Text)
_user = bindparam("user_id", type_=play.c.user_id.type)
_is_admin = bindparam("is_admin", type_=Integer)
_with_years = bindparam("with_years", type_=Integer)

# Nothing that files say may be shown where only libraries have the item that the user may not see.
_may_know_files = or_(_is_admin == _ONE, is_granted(_user), not_(is_lasting()))
_length = case((and_(play.c.source != _MARKED, _may_know_files), item.c.runtime_ms))
# `substr` of the first four characters of an ISO 8601 date.
_year_of_broadcast = cast(func.substr(item.c.air_date, _ONE, literal_column("4", Integer)), Integer)
_show = item.alias("show")
_year_of_show = select(_show.c.year).where(_show.c.id == item.c.show_id).scalar_subquery()
_every = (
    select(
        play.c.watched_at,
        play.c.item_id,
        func.coalesce(_length, _ZERO),
        item.c.show_id,
        case((_with_years == _ONE, func.coalesce(item.c.year, _year_of_broadcast, _year_of_show))),
        play.c.watched_at.label("first_at"),
    )
    .join_from(play, item, item.c.id == play.c.item_id)
    .where(play.c.user_id == _user, is_seen(_user, _is_admin))
)
_VIEWINGS = Prepared(_every)
_VIEWINGS_WITHIN = Prepared(
    _every.where(
        play.c.watched_at >= bindparam("first", type_=BigInteger),
        play.c.watched_at < bindparam("end", type_=BigInteger),
    )
)

# Of the items with several plays only, which are few.
_UNDATED = literal_column("-1", BigInteger)
_FIRSTS = Prepared(
    select(play.c.item_id, func.nullif(func.min(func.coalesce(play.c.watched_at, _UNDATED)), _UNDATED))
    .where(play.c.user_id == _user)
    .group_by(play.c.item_id)
    .having(func.count() > _ONE)
)
_played = select(play.c.item_id).where(play.c.user_id == _user).distinct().subquery("played")
_HOLDERS = Prepared(
    select(holding.c.item_id, holding.c.library_id)
    .select_from(_played)
    .join(holding, holding.c.item_id == _played.c.item_id)
    .where(holding.c.ended_at.is_(None))
)


def list_viewings(
    connection: Connection, user_id: UserId, period: Period, *, is_admin: bool, with_years: bool = False
) -> list[Viewing]:
    """Return the plays of a user in a period, in no particular order; `year` is None without `with_years`.

    Those of items that the user may not see only with `is_admin`; those at an unknown time only in an unbounded period.
    """
    firsts = dict(_FIRSTS.rows(connection, [(user_id,)]))
    values = (int(is_admin), user_id, int(with_years))
    if period == Period():
        rows = _VIEWINGS.rows(connection, [values])
    else:
        rows = _VIEWINGS_WITHIN.rows(connection, [(*values, period.first or 0, _end_of(period))])
    return [
        each._replace(first_at=firsts[each.item_id]) if each.item_id in firsts else each
        for each in map(Viewing._make, rows)
    ]


def _end_of(period: Period) -> int:
    return LATEST + 1 if period.end is None else period.end


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
