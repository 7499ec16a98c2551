"""Merging two items that turn out to be one title, and each user's state of them. Pure; no clock, no I/O.

The merge of states is commutative, associative and idempotent: neither the order of merges nor a repeated one matters.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from playhead.domain.catalogue import Holding, Item
from playhead.domain.limits import KEPT_POSITIONS_OF_ITEM
from playhead.domain.lists import ListState
from playhead.domain.model import EARLIEST, Instant, ItemId
from playhead.domain.playback import ItemFacts, KeptPoint, Policy, Progress, is_below_floor, point_of


class Play(NamedTuple):
    """One completed viewing. `watched_at` is None if unknown; `source` is what added it."""

    id: str
    watched_at: Instant | None
    source: str


class StoredPoint(NamedTuple):
    """A kept point and the id of its row; None for a point that the merge keeps."""

    id: str | None
    point: KeptPoint


class TitleState(NamedTuple):
    """One user's state of one item.

    `origin` is the item under which the position was stored. `done_at` is the last completion or mark as watched, None
    if the item is not watched. A merged progress has the flags of one side until `progress_of` decides them.
    """

    origin: ItemId
    progress: Progress | None = None
    done_at: Instant | None = None
    plays: frozenset[Play] = frozenset()
    points: frozenset[StoredPoint] = frozenset()
    lists: ListState = ListState()


def title_state(
    origin: ItemId,
    progress: Progress | None,
    plays: Iterable[Play],
    points: Iterable[StoredPoint],
    lists: ListState,
) -> TitleState:
    """Return the state that consists of these rows."""
    united = _united_plays(plays)
    done_at = None if progress is None or not progress.watched else _done_at(progress, united)
    return TitleState(origin, progress, done_at, united, _newest_points(points), lists)


def merge_states(one: TitleState, other: TitleState, item: ItemFacts, policy: Policy) -> TitleState:
    """Return a user's state of the title that two items turn out to be.

    Position, duration and session come from the side that is not below the floor, then from the later one, then from
    that with the lower original id; the other side's resumable point is kept. Times are the later ones. Plays are
    united by moment, and undated ones by id; kept points are united, the newest staying.
    """
    sides = sorted(
        ((_rank(each.origin, each.progress, policy), each.origin, each.progress) for each in (one, other)),
        key=lambda side: side[0],
    )
    (_, origin, progress), (_, _, replaced) = sides
    points = [*one.points, *other.points]
    if progress is not None and replaced is not None:
        left = point_of(replaced, item, policy)
        if left is not None and _side_of(replaced) != _side_of(progress):
            points.append(StoredPoint(None, left))
        progress = progress._replace(
            unwatched_at=_later(progress.unwatched_at, replaced.unwatched_at),
            version=max(progress.version, replaced.version),
            changed_at=max(progress.changed_at, replaced.changed_at),
        )
    return TitleState(
        origin,
        progress,
        _later(one.done_at, other.done_at),
        _united_plays([*one.plays, *other.plays]),
        _newest_points(points),
        ListState(*map(_later, one.lists, other.lists)),
    )


def progress_of(merged: TitleState) -> Progress | None:
    """Return the progress of a merged state, its flags decided by its times: watched if that is the latest of them.

    A completion or mark later than the last report ends a second viewing. What is watched on either side is not taken
    back by the session that completed the other one (rule 8).
    """
    progress, done_at = merged.progress, merged.done_at
    if progress is None:
        return None
    watched = _is_after(done_at, progress.unwatched_at)
    ended = watched and _is_after(done_at, progress.last_watched_at)
    confirmed = progress.completed_at is not None and _is_after(done_at, progress.completed_at)
    return progress._replace(
        watched=watched,
        armed=not watched or (progress.armed and not ended),
        completed_marked=progress.completed_marked and watched and not confirmed,
    )


def _rank(origin: ItemId, progress: Progress | None, policy: Policy) -> tuple[object, ...]:
    """Return a sort key that puts the side whose position stays first. Total, so that no order of merges matters."""
    if progress is None:
        return (2, 0, origin)
    at = EARLIEST - 1 if progress.last_watched_at is None else progress.last_watched_at
    return (is_below_floor(progress, policy), -at, origin, *_side_of(progress))


def _side_of(progress: Progress) -> tuple[object, ...]:
    """Return what belongs to the position and is not merged, in a form in which missing values compare."""
    members = progress._replace(unwatched_at=None, version=0, changed_at=EARLIEST)
    return tuple(part for member in members for part in (member is not None, 0 if member is None else member))


def _done_at(progress: Progress, plays: Iterable[Play]) -> Instant:
    """Return when a watched item was last completed or marked, as far as its plays tell."""
    unwatched_at = EARLIEST - 1 if progress.unwatched_at is None else progress.unwatched_at
    times = [progress.completed_at, *(play.watched_at for play in plays)]
    return Instant(max([unwatched_at + 1, *(at for at in times if at is not None)]))


def _later(one: Instant | None, other: Instant | None) -> Instant | None:
    return max((at for at in (one, other) if at is not None), default=None)


def _is_after(at: Instant | None, other: Instant | None) -> bool:
    return at is not None and (other is None or at > other)


_SOURCES = ("marked", "imported")


def _united_plays(plays: Iterable[Play]) -> frozenset[Play]:
    """Unite plays of the same moment, and undated ones with the same id.

    What a person said stays rather than what a report added, which a later report may take back (rule 8).
    """
    kept: dict[object, Play] = {}
    for play in sorted(plays, key=lambda play: (play.source not in _SOURCES, play.source, play.id)):
        kept.setdefault(play.id if play.watched_at is None else play.watched_at, play)
    return frozenset(kept.values())


def _newest_points(points: Iterable[StoredPoint]) -> frozenset[StoredPoint]:
    """Unite points of the same position and moment, and return the newest, as many as an item can have."""
    kept: dict[tuple[int, int], StoredPoint] = {}
    for each in sorted(points, key=_rank_of_point):
        kept.setdefault((each.point.kept_at, each.point.position_ms), each)
    newest = sorted(kept)[-KEPT_POSITIONS_OF_ITEM.most :]
    return frozenset(kept[place] for place in newest)


def _rank_of_point(stored: StoredPoint) -> tuple[object, ...]:
    device = stored.point.device
    return stored.id is None, stored.id or "", stored.point.duration_ms, device is not None, device or ""


# --- Items ---------------------------------------------------------------------------------------------------------


class EpisodePairs(NamedTuple):
    """How the episodes of two shows belong together: pairs of (stays, becomes its alias), and those left over."""

    pairs: tuple[tuple[ItemId, ItemId], ...]
    left_over: tuple[ItemId, ...]


def pair_episodes(into: Iterable[Item], source: Iterable[Item]) -> EpisodePairs:
    """Pair the episodes of a show that is merged with those of the show that stays, by number or else by air date.

    Left over are those whose number and date no episode of the other show has, or several have.
    """
    staying: dict[object, list[ItemId]] = {}
    for episode in into:
        for key in _numbers_of(episode):
            staying.setdefault(key, []).append(episode.id)
    pairs: dict[ItemId, ItemId] = {}
    left_over: list[ItemId] = []
    for episode in sorted(source, key=lambda each: (each.added_at, each.id)):
        found = next((staying[key] for key in _numbers_of(episode) if key in staying), list[ItemId]())
        if len(found) == 1:
            pairs[episode.id] = found[0]
        else:
            left_over.append(episode.id)
            for key in _numbers_of(episode):  # so that two of a number in the merged show are one, too
                staying.setdefault(key, []).append(episode.id)
    return EpisodePairs(tuple((stays, goes) for goes, stays in pairs.items()), tuple(left_over))


def _numbers_of(episode: Item) -> list[object]:
    keys: list[object] = []
    if episode.episode_number is not None:
        keys.append((episode.season_number, episode.episode_number))
    if episode.air_date is not None:
        keys.append(episode.air_date)
    return keys


def merge_items(into: Item, source: Item) -> Item:
    """Return the item that two of one kind become: `into`, with what only `source` knows.

    It is open if either is. It is private only if both are.
    """
    return replace(
        into,
        year=into.year if into.year is not None else source.year,
        air_date=into.air_date or source.air_date,
        runtime_ms=into.runtime_ms if into.runtime_ms is not None else source.runtime_ms,
        credits_ms=into.credits_ms if into.credits_ms is not None else source.credits_ms,
        added_at=min(into.added_at, source.added_at),
        is_open=into.is_open or source.is_open,
        owner_id=into.owner_id if source.owner_id is not None else None,
        external_ids={**source.external_ids, **into.external_ids},
        pinned={**source.pinned, **into.pinned},
    )


def merge_holdings(into: Holding, source: Holding) -> Holding:
    """Return the holding that two of one library become: living if either is, and ended only if both are.

    The older one gives the title; the title of the other remains one of its names, so that its files find the item.
    """
    older, newer = sorted((into, source), key=lambda each: (each.added_at, each.item_id))
    names = dict.fromkeys([(newer.title, newer.year), *older.also, *newer.also])
    return older._replace(
        item_id=into.item_id,
        also=tuple(name for name in names if name[0] and name != (older.title, older.year)),
        removed_at=None if None in (into.removed_at, source.removed_at) else _later(into.removed_at, source.removed_at),
        ended_at=None if None in (into.ended_at, source.ended_at) else _later(into.ended_at, source.ended_at),
    )
