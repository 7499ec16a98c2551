"""Marks made by hand: watched, unwatched, restored position. Pure; no clock, no I/O.

A mark is not a report: it is not activity and opens no session. Restoring a position is activity, but not a report.
Forgetting needs no rule: progress, plays and kept points of the item are deleted.
"""

from typing import NamedTuple

from playhead.domain.model import EARLIEST, Instant, ItemId, Milliseconds
from playhead.domain.playback import MAX_MS, NOTHING, Event, ItemFacts, KeptPoint, Policy, Progress, point_of


class MarkDecision(NamedTuple):
    """The effect of a mark: the new progress, whether a play is added and its time, and a point to keep.

    `play_at` is None if no play is added, or one whose time is unknown.
    """

    progress: Progress
    adds_play: bool
    play_at: Instant | None
    kept: KeptPoint | None


class UndoStep(NamedTuple):
    """How to undo one mark: the progress before it, the version that it made, and the play and point that it added."""

    item_id: ItemId
    before: Progress | None
    version: int
    play_id: str | None = None
    point_id: str | None = None


def mark_watched(  # noqa: PLR0913 - a mark names everything that it rests on
    previous: Progress | None,
    item: ItemFacts,
    policy: Policy,
    now: Instant,
    watched_at: Instant | None,
    *,
    new_play: bool = False,
) -> MarkDecision | None:
    """Mark an item as watched at a time; a future time counts as now, None means that the time is unknown.

    Returns None, changing nothing, if the item is already watched and `new_play` is False. The position becomes 0; a
    resumable one is kept as a point. No report takes a mark back (rule 8).
    """
    before = NOTHING if previous is None else previous
    if before.watched and not new_play:
        return None
    progress = _by_hand(before, now)._replace(watched=True, armed=False)
    play_at = None if watched_at is None else min(watched_at, now)
    return MarkDecision(progress, adds_play=True, play_at=play_at, kept=point_of(before, item, policy))


def unwatch(previous: Progress | None, item: ItemFacts, policy: Policy, now: Instant) -> MarkDecision | None:
    """Mark an item as unwatched and reset its position; plays stay. A resumable position is kept as a point.

    Returns None, changing nothing, if there is no progress. Otherwise the time is stored even if the item is not
    watched: earlier reports that are still in flight must change nothing (rule 2).
    """
    if previous is None:
        return None
    progress = _by_hand(previous, now)._replace(watched=False, armed=True, unwatched_at=now)
    return MarkDecision(progress, adds_play=False, play_at=None, kept=point_of(previous, item, policy))


def restore(previous: Progress | None, point: KeptPoint, item: ItemFacts, policy: Policy, now: Instant) -> MarkDecision:
    """Restore a kept point, which stays kept; so does the current position, if it is resumable and far enough away.

    This counts as activity now, so that earlier reports cannot undo it. No session is active afterwards, as after a
    stop, until the next report. `watched` does not change.
    """
    before = NOTHING if previous is None else previous
    armed = before.armed or point.position_ms * 100 < point.duration_ms * policy.rearm_percent
    progress = before._replace(
        position_ms=point.position_ms,
        duration_ms=point.duration_ms,
        armed=armed,
        last_watched_at=now,
        version=before.version + 1,
        changed_at=now,
        session=None,
        device=None,
        event=Event.STOP,
    )
    is_far = abs(before.position_ms - point.position_ms) > policy.kept_distance_ms
    kept = point_of(before, item, policy) if is_far else None
    return MarkDecision(progress, adds_play=False, play_at=None, kept=kept)


def take_back(stored: Progress | None, undo: UndoStep, now: Instant) -> Progress | None:
    """Return the progress as it was before a mark, or None if something changed since, which must not be lost.

    If there was no progress before, an empty one is returned with the next version, so that sync clients see it.
    """
    if stored is None or stored.version != undo.version:
        return None
    before = NOTHING if undo.before is None else undo.before
    return before._replace(version=stored.version + 1, changed_at=now)


def is_possible(progress: Progress, now: Instant) -> bool:
    """Return whether an imported progress may be stored: whether the rules could have produced it by `now`."""
    duration, at = progress.duration_ms, progress.last_watched_at
    times = (at, progress.unwatched_at, progress.completed_at)
    return (
        (duration is None) == (at is None)
        and (0 < duration <= MAX_MS if duration is not None else progress.position_ms == 0)
        and 0 <= progress.position_ms <= (duration or 0)
        and all(time is None or EARLIEST <= time <= now for time in times)
        and _is_possible_completion(progress)
    )


def _is_possible_completion(progress: Progress) -> bool:
    session, duration = progress.completed_session, progress.completed_duration_ms
    if (session is None) != (duration is None) or (duration is not None and not 0 < duration <= MAX_MS):
        return False
    if progress.completed_marked and not progress.watched:
        return False
    return session is not None or (progress.completed_at is None and not progress.completed_marked)


def _by_hand(before: Progress, now: Instant) -> Progress:
    """Reset the position and everything that rule 8 could take back."""
    return before._replace(
        position_ms=Milliseconds(0),
        version=before.version + 1,
        changed_at=now,
        completed_session=None,
        completed_duration_ms=None,
        completed_at=None,
        completed_marked=False,
    )
