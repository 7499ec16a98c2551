"""Queries behind the catalogue pages: items with one user's state of each, many per statement.

Decides nothing; callers pass the libraries that the user may see, or one of them. A statement that walks through a
library looks each progress up by its primary key, which starts with the user.
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
from playhead.storage.catalogue import ItemOrder, ListPosition, Matching, continued, item_of, listed
from playhead.storage.schema import holding, item, progress
from playhead.storage.visibility import is_available_in

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
    visible: Collection[LibraryId],
    with_mine: bool = False,
    kind: ItemKind,
    watch_filter: WatchFilter,
    matching: Matching | None,
    order: ItemOrder,
    descending: bool,
    after: ListPosition | None,
    limit: int | None,
    today: str,
) -> list[tuple[Browsed, ListPosition]]:
    """Return items of one kind that these libraries have, each once with its position in the list.

    With `with_mine` also those that the user has state on and may see, though no library has them. For shows, the
    episodes in `visible` libraries count that have aired by `today`, a calendar date. For movies in progress this is a
    superset: all with a position that are not finished. `matching` is the condition of a search.
    """
    source: FromClause = item.outerjoin(progress, _is_of_user(user_id))
    condition: ColumnElement[bool] | None = None
    if watch_filter is not WatchFilter.ALL and kind is ItemKind.SHOW:
        counts = _counts(user_id, visible, today).subquery("counts")
        source = source.join(counts, counts.c.show_id == item.c.id)
        condition = _show_matches(watch_filter, counts)
    elif watch_filter is not WatchFilter.ALL:
        condition = _movie_matches(watch_filter)
    query = select(*item.c, *progress.c).select_from(source)
    conditions = [*listed(libraries, user_id if with_mine else None, matching, kind, order)]
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
    connection: Connection,
    user_id: UserId,
    libraries: Collection[LibraryId],
    show_ids: Collection[ItemId],
    today: str,
) -> dict[ItemId, EpisodeCounts]:
    """Return how many regular, aired episodes of these shows the libraries have, and how many of them are watched."""
    if not show_ids:
        return {}
    rows = connection.execute(_counts(user_id, libraries, today).where(item.c.show_id.in_(sorted(show_ids))))
    return {row.show_id: EpisodeCounts(row.episodes, row.watched, row.begun) for row in rows}


def _counts(user_id: UserId, libraries: Collection[LibraryId], today: str) -> Select[*tuple[Any, ...]]:
    is_begun = or_(progress.c.watched, progress.c.position_ms > 0)
    return (
        select(
            item.c.show_id,
            func.count().label("episodes"),
            func.sum(case((progress.c.watched, 1), else_=0)).label("watched"),
            func.sum(case((is_begun, 1), else_=0)).label("begun"),
        )
        .select_from(item.outerjoin(progress, _is_of_user(user_id)))
        .where(
            item.c.show_id.is_not(None),  # the index of shows is narrower than that of kinds, and has all that is asked
            is_available_in(libraries),
            func.coalesce(item.c.season_number, 1) != 0,
            func.coalesce(item.c.air_date, "") <= today,
        )
        .group_by(item.c.show_id)
    )


def list_episodes(connection: Connection, user_id: UserId, show_id: ItemId) -> list[Browsed]:
    """Return all episodes of a show, available or not, in no order."""
    query = select(*item.c, *progress.c).select_from(item.outerjoin(progress, _is_of_user(user_id)))
    return [_browsed(row) for row in connection.execute(query.where(item.c.show_id == show_id))]


def list_items(connection: Connection, user_id: UserId, item_ids: Iterable[ItemId]) -> dict[ItemId, Browsed]:
    """Return these items, a few hundred at most, by id."""
    wanted = sorted(item_ids)
    if not wanted:
        return {}
    query = select(*item.c, *progress.c).select_from(item.outerjoin(progress, _is_of_user(user_id)))
    found = [_browsed(row) for row in connection.execute(query.where(item.c.id.in_(wanted)))]
    return {each.item.id: each for each in found}


def list_added(connection: Connection, libraries: Collection[LibraryId], limit: int) -> list[Added]:
    """Return what was added last to these libraries, a show once for all its episodes; newest first, then by id."""
    card, at = func.coalesce(item.c.show_id, item.c.id), func.max(holding.c.added_at)
    query = (
        select(card, at)
        .join_from(holding, item, item.c.id == holding.c.item_id)
        .where(*_is_held_in(libraries), item.c.kind != ItemKind.SHOW.value)
        .group_by(card)
        .order_by(at.desc(), card)
        .limit(limit)
    )
    return [Added(*row) for row in connection.execute(query)]


def list_newest_episodes(
    connection: Connection, libraries: Collection[LibraryId], added: Mapping[ItemId, Instant], within_ms: int
) -> dict[ItemId, list[ItemId]]:
    """Return, by show, the episodes added to these libraries within this many milliseconds before the newest one."""
    if not added:
        return {}
    at = func.max(holding.c.added_at)
    query = (
        select(item.c.show_id, item.c.id, at)
        .join(holding, holding.c.item_id == item.c.id)
        .where(
            item.c.show_id.in_(sorted(added)),
            *_is_held_in(libraries),
            holding.c.added_at >= min(added.values()) - within_ms,
        )
        .group_by(item.c.show_id, item.c.id)
    )
    found: dict[ItemId, list[ItemId]] = {}
    for show_id, item_id, added_at in connection.execute(query):
        if added_at >= added[show_id] - within_ms:
            found.setdefault(show_id, []).append(item_id)
    return found


def _is_held_in(libraries: Collection[LibraryId]) -> tuple[ColumnElement[bool], ...]:
    return holding.c.library_id.in_(sorted(libraries)), holding.c.removed_at.is_(None), holding.c.ended_at.is_(None)


def _is_of_user(user_id: UserId) -> ColumnElement[bool]:
    return and_(progress.c.user_id == user_id, progress.c.item_id == item.c.id)


def _browsed(row: Row[*tuple[Any, ...]]) -> Browsed:
    known = None if row[_START_OF_PROGRESS] is None else Progress._make(row[_PROGRESS_WITHOUT_KEY])
    return Browsed(item_of(row, {}), known)
