"""Queries behind the catalogue pages: items with one user's state of each, many per statement.

Decides nothing; callers have checked that the user may see the libraries. A statement that walks through a library
looks each progress up by its primary key, which starts with the user.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    and_,
    case,
    func,
    not_,
    or_,
    select,
)

from playhead.domain.catalogue import Item
from playhead.domain.lists import EpisodeCounts, WatchFilter
from playhead.domain.model import Instant, ItemId, ItemKind, LibraryId, UserId
from playhead.domain.playback import Progress
from playhead.storage.catalogue import ItemOrder, ListPosition, Matching, available, continued, item_of
from playhead.storage.schema import item, progress

# The positions of the progress columns in a row of item and progress: the first one, and those without the key.
_START_OF_PROGRESS = len(item.c)
_PROGRESS_WITHOUT_KEY = slice(len(item.c) + len(progress.primary_key), len(item.c) + len(progress.c))


class Browsed(NamedTuple):
    """An item and a user's progress of it, None for a show. External ids are not loaded."""

    item: Item
    progress: Progress | None


class Added(NamedTuple):
    """A movie or a show, and when it or its newest episode was added."""

    id: ItemId
    added_at: Instant


def list_filtered(  # noqa: PLR0913 - the members of a search
    connection: Connection,
    user_id: UserId,
    libraries: Collection[LibraryId],
    *,
    kind: ItemKind,
    watch_filter: WatchFilter,
    matching: Matching | None,
    order: ItemOrder,
    descending: bool,
    after: ListPosition | None,
    limit: int | None,
    today: str,
) -> list[tuple[Browsed, ListPosition]]:
    """Return items of one kind that are not removed, each with its position in the list.

    For movies in progress this is a superset: all with a position that are not finished. `matching` is
    the condition of a search. `today` is a calendar date: for shows only episodes aired by then count.
    """
    source: FromClause = item.outerjoin(progress, _is_mine(user_id))
    condition: ColumnElement[bool] | None = None
    if watch_filter is not WatchFilter.ALL and kind is ItemKind.SHOW:
        counts = _counts(user_id, today).where(item.c.library_id.in_(sorted(libraries))).subquery("counts")
        source = source.join(counts, counts.c.show_id == item.c.id)
        condition = _show_matches(watch_filter, counts)
    elif watch_filter is not WatchFilter.ALL:
        condition = _movie_matches(watch_filter)
    query = select(*item.c, *progress.c).select_from(source)
    conditions = [*available(libraries, matching), item.c.kind == kind.value]
    if condition is not None:
        conditions.append(condition)
    elif matching is not None and not matching.is_narrow:
        # SQLite stops where an index in order has given enough items of several libraries, but not in a join.
        ids = continued(select(item.c.id).where(*conditions), order, descending=descending, after=after)
        conditions = [item.c.id.in_(select(ids.limit(limit).subquery().c.id))]
    query = continued(query.where(*conditions), order, descending=descending, after=after).limit(limit)
    return [(_browsed(row), ListPosition(row[-1], row[0])) for row in connection.execute(query)]


def _movie_matches(watch_filter: WatchFilter) -> ColumnElement[bool]:
    if watch_filter is WatchFilter.WATCHED:
        return and_(progress.c.watched)
    if watch_filter is WatchFilter.UNWATCHED:
        return or_(progress.c.watched.is_(None), not_(progress.c.watched))
    return and_(progress.c.position_ms > 0, or_(progress.c.armed, not_(progress.c.watched)))


def _show_matches(watch_filter: WatchFilter, counts: Any) -> ColumnElement[bool]:  # noqa: ANN401 - a subquery with its columns
    if watch_filter is WatchFilter.WATCHED:
        return counts.c.watched == counts.c.episodes
    if watch_filter is WatchFilter.UNWATCHED:
        return counts.c.watched < counts.c.episodes
    return and_(counts.c.begun > 0, counts.c.watched < counts.c.episodes)


def count_episodes(
    connection: Connection, user_id: UserId, show_ids: Collection[ItemId], today: str
) -> dict[ItemId, EpisodeCounts]:
    """Return how many regular episodes of these shows are available and aired, and how many of them are watched."""
    if not show_ids:
        return {}
    rows = connection.execute(_counts(user_id, today).where(item.c.show_id.in_(sorted(show_ids))))
    return {row.show_id: EpisodeCounts(row.episodes, row.watched, row.begun) for row in rows}


def _counts(user_id: UserId, today: str) -> Select[*tuple[Any, ...]]:
    is_begun = or_(progress.c.watched, progress.c.position_ms > 0)
    return (
        select(
            item.c.show_id,
            func.count().label("episodes"),
            func.sum(case((progress.c.watched, 1), else_=0)).label("watched"),
            func.sum(case((is_begun, 1), else_=0)).label("begun"),
        )
        .select_from(item.outerjoin(progress, _is_mine(user_id)))
        .where(
            item.c.kind == ItemKind.EPISODE.value,
            item.c.removed_at.is_(None),
            func.coalesce(item.c.season_number, 1) != 0,
            func.coalesce(item.c.air_date, "") <= today,
        )
        .group_by(item.c.show_id)
    )


def list_episodes(connection: Connection, user_id: UserId, show_id: ItemId) -> list[Browsed]:
    """Return all episodes of a show, removed ones included, in no order."""
    query = select(*item.c, *progress.c).select_from(item.outerjoin(progress, _is_mine(user_id)))
    return [_browsed(row) for row in connection.execute(query.where(item.c.show_id == show_id))]


def list_items(connection: Connection, user_id: UserId, item_ids: Iterable[ItemId]) -> dict[ItemId, Browsed]:
    """Return these items, a few hundred at most, by id."""
    wanted = sorted(item_ids)
    if not wanted:
        return {}
    query = select(*item.c, *progress.c).select_from(item.outerjoin(progress, _is_mine(user_id)))
    found = [_browsed(row) for row in connection.execute(query.where(item.c.id.in_(wanted)))]
    return {each.item.id: each for each in found}


def list_added(connection: Connection, libraries: Collection[LibraryId], limit: int) -> list[Added]:
    """Return what was added last, a show once for all its episodes; newest first, then by id."""
    card, at = func.coalesce(item.c.show_id, item.c.id), func.max(item.c.added_at)
    query = (
        select(card, at)
        .where(
            item.c.library_id.in_(sorted(libraries)), item.c.removed_at.is_(None), item.c.kind != ItemKind.SHOW.value
        )
        .group_by(card)
        .order_by(at.desc(), card)
        .limit(limit)
    )
    return [Added(*row) for row in connection.execute(query)]


def list_newest_episodes(
    connection: Connection, added: Mapping[ItemId, Instant], within_ms: int
) -> dict[ItemId, list[ItemId]]:
    """Return, by show, the episodes added within this many milliseconds before the newest one."""
    if not added:
        return {}
    query = select(item.c.show_id, item.c.id, item.c.added_at).where(
        item.c.show_id.in_(sorted(added)),
        item.c.removed_at.is_(None),
        item.c.added_at >= min(added.values()) - within_ms,
    )
    found: dict[ItemId, list[ItemId]] = {}
    for show_id, item_id, added_at in connection.execute(query):
        if added_at >= added[show_id] - within_ms:
            found.setdefault(show_id, []).append(item_id)
    return found


def _is_mine(user_id: UserId) -> ColumnElement[bool]:
    return and_(progress.c.user_id == user_id, progress.c.item_id == item.c.id)


def _browsed(row: Row[*tuple[Any, ...]]) -> Browsed:
    known = None if row[_START_OF_PROGRESS] is None else Progress._make(row[_PROGRESS_WITHOUT_KEY])
    return Browsed(item_of(row, {}), known)
