"""What a report means: the rules that turn what players send into progress and plays. Pure; no clock, no I/O.

The rules are numbered as in docs/semantics.md. Times are milliseconds since the epoch, lengths milliseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from playhead.domain.limits import KEPT_POSITIONS_OF_ITEM
from playhead.domain.model import Instant, Milliseconds

MAX_MS = Milliseconds(10_000_000 * 1000)
"""The longest position or duration that is believed: ten million seconds, 115 days."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The numbers of the rules. Percentages are whole, so that comparing them is exact.

    `session_ms` is how long a session stays the one that plays after its last report (rule 3), `growth_percent` how far
    a duration must have grown for a completion to be taken back (rule 8), `kept_distance_ms` how far a point must be
    left behind to be kept, and `kept_points` how many of an item are (rule 9). `activity_ms` is how long something
    stays on continue watching, `cards` how many there are where nobody says. What reported in the last `playing_ms` is
    being played just now.
    """

    watched_percent: int = 90
    rearm_percent: int = 70
    floor_ms: int = 120_000
    floor_percent: int = 5
    least_runtime_percent: int = 90
    clock_tolerance_ms: int = 2000
    session_ms: int = 60_000
    growth_percent: int = 110
    kept_distance_ms: int = 60_000
    kept_points: int = KEPT_POSITIONS_OF_ITEM.most
    activity_ms: int = 90 * 24 * 60 * 60 * 1000
    cards: int = 20
    playing_ms: int = 2 * 60 * 1000


class Event(StrEnum):
    """What made a player report."""

    START = "start"
    PROGRESS = "progress"
    PAUSE = "pause"
    SEEK = "seek"
    STOP = "stop"


class Report(NamedTuple):
    """What a player sends: where it is, in how much. `observed_at` is when it was there, where it did not send at once.

    `client_now` is what the client's clock showed when it sent. `session` is one playing of one file on one device.
    """

    position_ms: Milliseconds
    duration_ms: Milliseconds
    observed_at: Instant | None = None
    client_now: Instant | None = None
    event: Event | None = None
    session: str | None = None
    device: str | None = None


class ItemFacts(NamedTuple):
    """What the catalogue knows of an item: the shortest of its files, and where the closing credits begin."""

    runtime_ms: Milliseconds | None = None
    credits_ms: Milliseconds | None = None


class Progress(NamedTuple):
    """What is known of one user and one item.

    `duration_ms` and `last_watched_at` are None where the item was only marked, and never reported. `armed`: the next
    completion counts as a play. `version` counts the changes, from 1; `changed_at` is when the last was made.
    `session`, `device` and `event` are those of the report that last said who plays (rule 3). `unwatched_at` is when
    the mark was taken away by hand.

    `completed_session` completed the item by itself, when it reported `completed_duration_ms`; `completed_at` is the
    time of the play that this added, and `completed_marked` says whether it set `watched`. Rule 8 takes these two back,
    and leaves session and duration as a trace, by which the same completion is known if it comes once more.
    """

    position_ms: Milliseconds
    duration_ms: Milliseconds | None
    watched: bool
    armed: bool
    last_watched_at: Instant | None
    version: int
    changed_at: Instant
    session: str | None = None
    device: str | None = None
    event: Event | None = None
    unwatched_at: Instant | None = None
    completed_session: str | None = None
    completed_duration_ms: Milliseconds | None = None
    completed_at: Instant | None = None
    completed_marked: bool = False


class FrozenProgress(NamedTuple):
    """What the frozen contract shows of a progress; the names are those of Progress."""

    position_ms: Milliseconds
    duration_ms: Milliseconds | None
    watched: bool
    last_watched_at: Instant | None


NOTHING = Progress(
    Milliseconds(0), None, watched=False, armed=True, last_watched_at=None, version=0, changed_at=Instant(0)
)
"""What is known of an item before anything is: the next change makes version 1 of it. It is never stored."""


class KeptPoint(NamedTuple):
    """A point that was left behind, to go back to (rule 9). `kept_at` is when it had been reached.

    It is not when it was replaced: so a report that comes twice names the same point, and people find their evening.
    """

    position_ms: Milliseconds
    duration_ms: Milliseconds
    kept_at: Instant
    device: str | None


_TAKES_OVER = (Event.START, Event.SEEK)


class Reason(StrEnum):
    """Why a report did not move the position."""

    LATE = "late"
    SUPERSEDED = "superseded"
    BELOW_FLOOR = "below_floor"


class Decision(NamedTuple):
    """What one report does.

    `play_at` is the time of the play that it adds, `taken_back` the time of the automatic play that goes, `kept` a
    point to keep; None where there is none. Where nothing changes, `progress` is the previous object itself.
    """

    progress: Progress
    play_at: Instant | None
    taken_back: Instant | None
    kept: KeptPoint | None
    applied: bool
    reason: Reason | None


def advance(  # noqa: PLR0913 - a decision names everything that it rests on
    previous: Progress | None,
    report: Report,
    item: ItemFacts,
    policy: Policy,
    now: Instant,
    plays: Sequence[Instant] | None = (),
) -> Decision:
    """Decide what one report does to one progress. Total: no input of these types raises. Idempotent.

    `now` is the time of receipt. `plays` matter only to a report that has a `viewing_span`: the times of the plays
    within it, others being harmless; None where the item has as many plays as it can have (`limits.PLAYS_OF_ITEM`).
    The report then does everything but add a play.
    """
    before = NOTHING if previous is None else previous
    session = report.session
    at = now if report.observed_at is None else effective_at(report, policy, now)
    duration = report.duration_ms if item.runtime_ms is None else _believed_duration(report, item, policy)
    position = min(report.position_ms, duration)  # rule 5
    completed = _is_completed(position, duration, item, policy)

    # A stored time in the future is a clock that was set back since; it must not make every later report late.
    if at < now and _is_late(before, at):
        counts = completed and not _is_known_as_false(before, session, duration, item, policy)
        late, play_at = _with_late(before, session, duration, at, now, policy, plays) if counts else (before, None)
        return Decision(late, play_at, None, None, applied=False, reason=Reason.LATE)
    if session is not None:
        if session != before.session and _is_superseded(before, report.event, at, policy):
            return Decision(before, None, None, None, applied=False, reason=Reason.SUPERSEDED)
        if position < policy.floor_ms and _is_failed_start(before, report.event, position, duration, item, policy):
            return Decision(
                _with_player(before, report, at, now), None, None, None, applied=False, reason=Reason.BELOW_FLOOR
            )

    watched, armed, completion = before.watched, before.armed, before[11:]
    play_at = taken_back = None
    if completed:
        play_at = _play_at(before, duration, plays, at)
        if play_at is not None or not watched:
            completion = _completion(session, duration, play_at, marked=not watched)
        watched, armed = True, False
    elif session is not None and session == before.completed_session and _is_refuted(before, duration, policy):
        taken_back = before.completed_at
        watched, armed = watched and not before.completed_marked, True
        completion = _completion(session, before.completed_duration_ms, None, marked=False)
    elif position * 100 < duration * policy.rearm_percent:
        armed = True  # rule 7: watched stays
    progress = Progress(
        position,
        duration,
        watched,
        armed,
        at,
        before.version + 1,
        now,
        session,
        report.device,
        report.event,
        before.unwatched_at,
        *completion,
    )
    if at == before.last_watched_at and _is_the_same(before, progress):
        progress = before
    left = completed or abs(position - before.position_ms) > policy.kept_distance_ms
    kept = _left_behind(before, progress, item, policy, completed=completed) if left else None
    return Decision(progress, play_at, taken_back, kept, applied=True, reason=None)


class Span(NamedTuple):
    """A time, from its first to its last instant."""

    first: Instant
    last: Instant


def viewing_span(report: Report, item: ItemFacts, policy: Policy, now: Instant) -> Span | None:
    """Return the time within which an earlier play is one of the same viewing (rule 6): half a duration to each side.

    None where the report does not complete its item, so that no play matters.
    """
    if item.credits_ms is None and report.position_ms * 100 < report.duration_ms * policy.watched_percent:
        return None  # nearly always; the duration that is believed is never shorter than the reported one
    duration = _believed_duration(report, item, policy)
    if not _is_completed(Milliseconds(min(report.position_ms, duration)), duration, item, policy):
        return None
    at, half = effective_at(report, policy, now), duration // 2
    return Span(Instant(at - half), Instant(at + half))


def concerns_whole_file(previous: Progress | None, decision: Decision) -> bool:
    """Say whether what was decided for an episode holds for all episodes of its file, which reports as the first.

    It does where the report completed that one or was a reason to take this back: the others are then to be handed the
    same report, and what it does to one of them counts only where the same holds of that one. `previous` is what was
    known of the first before it.
    """
    was_watched = previous is not None and previous.watched
    return decision.play_at is not None or decision.taken_back is not None or decision.progress.watched != was_watched


def in_whole_file(previous: Progress | None, decision: Decision) -> Progress | None:
    """Return what a report meets that is handed to another episode of its file, given what it did to the first.

    Where it added a play to the first, it does so to the others: they are armed as the first was, which alone is told
    where a viewing begins.
    """
    if previous is None or decision.play_at is None:
        return previous
    return previous._replace(armed=True)


def effective_at(report: Report, policy: Policy, now: Instant) -> Instant:
    """Rule 1: when the reported position was reached; never later than receipt."""
    if report.observed_at is None:
        return now
    observed = report.observed_at
    if report.client_now is not None and abs(now - report.client_now) > policy.clock_tolerance_ms:
        observed += now - report.client_now
    return Instant(max(0, min(observed, now)))


def resume_position(progress: Progress, item: ItemFacts, policy: Policy) -> Milliseconds:
    """Return where to go on: the position if it is resumable, else 0. A finished or barely begun item starts at 0.

    So does one that was only marked.
    """
    resumable = is_resumable(progress.position_ms, progress.duration_ms, item, policy)
    return progress.position_ms if resumable else NOTHING.position_ms


def is_resumable(position: Milliseconds, duration: Milliseconds | None, item: ItemFacts, policy: Policy) -> bool:
    """Say whether a point is one to go on from: neither barely begun nor finished. A marked item has no duration."""
    return (
        duration is not None
        and not _is_under_floor(position, duration, policy)
        and not _is_completed(position, duration, item, policy)
    )


def point_of(progress: Progress, item: ItemFacts, policy: Policy) -> KeptPoint | None:
    """Return the point at which a progress stands, as it would be kept, or None where that is not resumable."""
    at, duration = progress.last_watched_at, progress.duration_ms
    if at is None or duration is None or not is_resumable(progress.position_ms, duration, item, policy):
        return None
    return KeptPoint(progress.position_ms, duration, at, progress.device)


def completion_percentage(position_ms: Milliseconds, duration_ms: Milliseconds) -> float:
    """Return the percentage for showing, rounded half up to 2 decimals, at most 100. Never compare this one."""
    hundredths = min(10_000, (20_000 * position_ms + duration_ms) // (2 * duration_ms))
    whole, rest = divmod(hundredths, 100)
    return hundredths / 100 if rest else whole


def _believed_duration(report: Report, item: ItemFacts, policy: Policy) -> Milliseconds:
    """Rule 6: a live transcode reports a duration that grows; 30 s of 30 s is not a watched film."""
    runtime = item.runtime_ms
    if runtime is not None and report.duration_ms * 100 < runtime * policy.least_runtime_percent:
        return runtime
    return report.duration_ms


def _is_completed(position: Milliseconds, duration: Milliseconds, item: ItemFacts, policy: Policy) -> bool:
    if position * 100 >= duration * policy.watched_percent:
        return True
    return item.credits_ms is not None and position >= item.credits_ms


def _is_under_floor(position: Milliseconds, duration: Milliseconds, policy: Policy) -> bool:
    return position < policy.floor_ms and position * 100 < duration * policy.floor_percent


def _is_late(before: Progress, at: Instant) -> bool:
    """Rule 2; taking a mark away counts like a report, since reports from before it must change nothing."""
    return (before.last_watched_at is not None and at < before.last_watched_at) or (
        before.unwatched_at is not None and at < before.unwatched_at
    )


def _is_superseded(before: Progress, event: Event | None, at: Instant, policy: Policy) -> bool:
    """Rule 3: a forgotten tab must not drag the position back. Who names no session is no other session."""
    return (
        before.session is not None
        and before.last_watched_at is not None
        and abs(at - before.last_watched_at) <= policy.session_ms
        and event not in _TAKES_OVER
    )


def _is_failed_start(  # noqa: PLR0913 - a report and what it meets
    before: Progress,
    event: Event | None,
    position: Milliseconds,
    duration: Milliseconds,
    item: ItemFacts,
    policy: Policy,
) -> bool:
    """Rule 4: a player that dies at 0 s, or sends 0 when it is switched off, must not erase the point."""
    return (
        event != Event.SEEK
        and _is_under_floor(position, duration, policy)
        and is_resumable(before.position_ms, before.duration_ms, item, policy)
    )


def _with_player(before: Progress, report: Report, at: Instant, now: Instant) -> Progress:
    """Rule 4 keeps the point; yet who plays, and when, is remembered, or the session left behind would take it back."""
    progress = before._replace(
        last_watched_at=at,
        version=before.version + 1,
        changed_at=now,
        session=report.session,
        device=report.device,
        event=report.event,
    )
    return before if _is_the_same(before, progress) else progress


def _play_at(before: Progress, duration: Milliseconds, plays: Sequence[Instant] | None, at: Instant) -> Instant | None:
    """Rule 6: threshold, credits and end of one viewing count one play, not three."""
    if plays is None or not before.armed:
        return None
    return at if all(abs(at - play) * 2 > duration for play in plays) else None


def _completion(
    session: str | None, duration: Milliseconds | None, play_at: Instant | None, *, marked: bool
) -> tuple[str | None, Milliseconds | None, Instant | None, bool]:
    """Return the last four members of Progress: what rule 8 can take back. Without a session that is nothing."""
    return (None, None, None, False) if session is None else (session, duration, play_at, marked)


def _is_refuted(before: Progress, duration: Milliseconds, policy: Policy) -> bool:
    """Rule 8, for the session that completed: there is something to take back, and the duration has grown too far."""
    return (before.completed_marked or before.completed_at is not None) and _has_grown(
        before.completed_duration_ms, duration, policy
    )


def _has_grown(earlier: Milliseconds | None, later: Milliseconds | None, policy: Policy) -> bool:
    return earlier is not None and later is not None and later * 100 >= earlier * policy.growth_percent


def _is_known_as_false(
    before: Progress, session: str | None, duration: Milliseconds, item: ItemFacts, policy: Policy
) -> bool:
    """Say whether a late completion would be, or was, taken back by what its own session reported since (rule 8)."""
    if session is None:
        return False
    if session == before.completed_session and before.completed_at is None and not before.completed_marked:
        return not _has_grown(before.completed_duration_ms, duration, policy)
    return (
        session == before.session
        and _has_grown(duration, before.duration_ms, policy)
        and before.duration_ms is not None
        and not _is_completed(before.position_ms, before.duration_ms, item, policy)
    )


def _with_late(  # noqa: PLR0913 - a report and what it meets
    before: Progress,
    session: str | None,
    duration: Milliseconds,
    at: Instant,
    now: Instant,
    policy: Policy,
    plays: Sequence[Instant] | None,
) -> tuple[Progress, Instant | None]:
    """Rule 2, for a completion: it is told, though late; not so where the mark was taken away by hand since.

    An offline phone that comes back must not undo the evening's watching on the television.
    """
    if before.unwatched_at is not None and at <= before.unwatched_at:
        return before, None
    play_at = _play_at(before, duration, plays, at)
    if play_at is None and before.watched:
        return before, None
    # Disarmed by the completion, and armed again if what is stored, which came after it, lies under the line.
    rearmed = before.duration_ms is not None and before.position_ms * 100 < before.duration_ms * policy.rearm_percent
    if not before.watched:
        before = before._make((*before[:11], *_completion(session, duration, play_at, marked=True)))
    return before._replace(
        watched=True, armed=before.armed and rearmed, version=before.version + 1, changed_at=now
    ), play_at


def _left_behind(
    before: Progress, after: Progress, item: ItemFacts, policy: Policy, *, completed: bool
) -> KeptPoint | None:
    """Rule 9: return the point to keep, which is lost where someone fell asleep. Going on in one session loses none."""
    other = after.session is not None and before.session is not None and after.session != before.session
    if completed or other or after.position_ms < before.position_ms:
        return point_of(before, item, policy)
    return None


def _is_the_same(before: Progress, after: Progress) -> bool:
    """Compare all that a report tells; not the version, and not when it was changed."""
    return before[:5] == after[:5] and before[7:] == after[7:]
