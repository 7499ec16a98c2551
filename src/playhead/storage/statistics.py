"""Queries behind statistics: all plays of a user, and what statistics ask about their items. Decides nothing."""

import typing
from collections.abc import Collection, Sequence

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
    select,
)

from playhead.domain.file_facts import see_files
from playhead.domain.model import LATEST, ItemId, LibraryId, Milliseconds, UserId
from playhead.domain.periods import Period
from playhead.domain.playback import ItemFacts
from playhead.domain.statistics import Viewing
from playhead.storage.catalogue import chunks, decode_files
from playhead.storage.engine.database import Prepared
from playhead.storage.schema import holding, item, play
from playhead.storage.visibility import ALL_GRANTED, SOME_GRANTED, grants_of, is_seen

_ZERO, _ONE = literal_column("0", Integer), literal_column("1", Integer)
_MARKED = literal_column("'marked'", Text)
_user = bindparam("user_id", type_=play.c.user_id.type)
_is_admin = bindparam("is_admin", type_=Integer)
_with_years = bindparam("with_years", type_=Integer)

# Lengths tell something about files, so those of files that the viewer may not see do not count.
_TO_MEASURE = literal_column("-1", Integer)  # the viewer may see some of the files: see `_measure`
_runtime = func.coalesce(item.c.runtime_ms, _ZERO)
_length = case(
    (play.c.source == _MARKED, _ZERO),
    (_is_admin == _ONE, _runtime),
    else_=case(
        {ALL_GRANTED: _runtime, SOME_GRANTED: _TO_MEASURE, _ZERO: _ZERO}, value=grants_of(_user), else_=_runtime
    ),
)
# `substr` of the first four characters of an ISO 8601 date.
_year_of_broadcast = cast(func.substr(item.c.air_date, _ONE, literal_column("4", Integer)), Integer)
_show = item.alias("show")
_year_of_show = select(_show.c.year).where(_show.c.id == item.c.show_id).scalar_subquery()
_every = (
    select(
        play.c.watched_at,
        play.c.item_id,
        _length,
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
    connection: Connection,
    user_id: UserId,
    period: Period,
    *,
    granted: Collection[LibraryId] | None,
    with_years: bool = False,
) -> list[Viewing]:
    """Return the plays of a user in a period, in no particular order; `year` is None without `with_years`.

    `granted` are the libraries granted to the user; None: an admin asks, who sees every item and file. Plays at an
    unknown time are only in an unbounded period.
    """
    firsts = dict(_FIRSTS.rows(connection, [(user_id,)]))
    values = (int(granted is None), user_id, int(with_years))
    if period == Period():
        rows = _VIEWINGS.rows(connection, [values])
    else:
        rows = _VIEWINGS_WITHIN.rows(connection, [(*values, period.first or 0, _end_of(period))])
    viewings = [*map(Viewing._make, rows)]
    lengths = _measure(connection, {each.item_id for each in viewings if each.length_ms < 0}, granted or ())
    for place, each in enumerate(viewings):
        if each.item_id in firsts or each.length_ms < 0:
            length_ms = lengths.get(each.item_id, Milliseconds(0)) if each.length_ms < 0 else each.length_ms
            viewings[place] = each._replace(first_at=firsts.get(each.item_id, each.first_at), length_ms=length_ms)
    return viewings


def _measure(
    connection: Connection, item_ids: Collection[ItemId], granted: Collection[LibraryId]
) -> dict[ItemId, Milliseconds]:
    """Return the length of the shortest file of these libraries for each item, where it is known."""
    found: dict[ItemId, Milliseconds] = {}
    for some in chunks(sorted(item_ids)):
        query = select(item.c.id, item.c.runtime_ms, item.c.credits_ms, item.c.files).where(item.c.id.in_(some))
        for row in connection.execute(query):
            facts = ItemFacts(row.runtime_ms, row.credits_ms)
            if row.files is not None:
                facts = see_files(facts, decode_files(row.files), granted).facts
            if facts.runtime_ms is not None:
                found[row.id] = facts.runtime_ms
    return found


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
