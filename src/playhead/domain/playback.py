"""The rules that turn a player's reports into progress and plays. Pure; no clock, no I/O.

The rules are numbered as in docs/semantics.md. Times are milliseconds since the epoch, lengths milliseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from playhead.domain.limits import KEPT_POSITIONS_OF_ITEM
from playhead.domain.model import Instant, Milliseconds
from playhead.domain.texts import DEVICE

MAX_MS = Milliseconds(10_000_000 * 1000)
"""The longest position or duration that is accepted: ten million seconds, 115 days."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The numbers of the rules. Percentages are whole numbers, so that comparisons are exact.

    `session_ms`: how long a session remains the active one after its last report (rule 3). `growth_percent`: how far a
    duration must grow before a completion is taken back (rule 8). `kept_distance_ms`: how far a jump must be for the
    old point to be kept; `kept_points`: how many points are kept per item (rule 9). `activity_ms`: how long an item
    stays on continue watching; `cards`: the default length of that list. An item that reported within the last
    `playing_ms` is playing now.
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
    """The player action that caused a report."""

    START = "start"
    PROGRESS = "progress"
    PAUSE = "pause"
    SEEK = "seek"
    STOP = "stop"


class Report(NamedTuple):
    """A player's position within a duration. `observed_at`: when it was reached, if the report was sent later.

    `client_now`: the client's clock when it sent the report. `session`: one playback of one file on one device.
    `file_id`: the file that plays, as the player names it.
    """

    position_ms: Milliseconds
    duration_ms: Milliseconds
    observed_at: Instant | None = None
    client_now: Instant | None = None
    event: Event | None = None
    session: str | None = None
    device: str | None = None
    file_id: str | None = None


def read_label(text: str | None) -> str | None:
    """Rule 0: a label that is too long is truncated, an empty one is absent; neither costs a position."""
    if not text:
        return None
    return text.replace("\0", "")[: DEVICE.characters] or None


class ItemFacts(NamedTuple):
    """What is known of an item or of the version that plays: length, and start of the closing credits.

    If it is unknown what plays, the length is that of the shortest version.
    """

    runtime_ms: Milliseconds | None = None
    credits_ms: Milliseconds | None = None


class Progress(NamedTuple):
    """The state of one item for one user.

    `duration_ms` and `last_watched_at` are None if the item was only marked and never reported. `armed`: the next
    completion counts as a play. `version` counts changes, from 1; `changed_at` is the time of the last one. `session`,
    `device` and `event` belong to the report that last named the active session (rule 3). `unwatched_at` is when the
    item was last marked as unwatched.

    `completed_session` completed the item automatically, reporting `completed_duration_ms`. `completed_at` is the time
    of the play that this added, and `completed_marked` says whether it set `watched`. Rule 8 takes these two back and
    keeps session and duration, by which it recognises the same completion if it arrives again.

    `file_id` is the file that the last report named: a split of the item can take the state along.
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
    file_id: str | None = None


class FrozenProgress(NamedTuple):
    """The part of Progress that the frozen contract shows, under the same names."""

    position_ms: Milliseconds
    duration_ms: Milliseconds | None
    watched: bool
    last_watched_at: Instant | None


NOTHING = Progress(
    Milliseconds(0), None, watched=False, armed=True, last_watched_at=None, version=0, changed_at=Instant(0)
)
"""The state before the first change, which makes version 1 of it. Never stored."""


class KeptPoint(NamedTuple):
    """An earlier position that can be restored (rule 9). `kept_at` is when the position was reached.

    It is not when it was replaced: a report that arrives twice then names the same point, and people recognise the
    evening.
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
    """The effect of one report.

    `play_at`: the time of a play to add. `taken_back`: the time of an automatic play to remove. `kept`: a point to
    keep. Each is None if there is none. If nothing changes, `progress` is the previous object itself.
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
    within it, others being harmless; None if the item has as many plays as it can have (`limits.PLAYS_OF_ITEM`). The
    report then does everything except adding a play.
    """
    before = NOTHING if previous is None else previous
    session = report.session
    at = now if report.observed_at is None else effective_at(report, policy, now)
    duration = report.duration_ms if item.runtime_ms is None else _believed_duration(report, item, policy)
    position = min(report.position_ms, duration)  # rule 5
    completed = _is_completed(position, duration, item, policy)

    # A stored time in the future means that the clock was set back; it must not make every later report late.
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

    watched, armed, completion = before.watched, before.armed, _completion_of(before)
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
        report.file_id,
    )
    if at == before.last_watched_at and _is_the_same(before, progress):
        progress = before
    left = completed or abs(position - before.position_ms) > policy.kept_distance_ms
    kept = _left_behind(before, progress, item, policy, completed=completed) if left else None
    return Decision(progress, play_at, taken_back, kept, applied=True, reason=None)


class Span(NamedTuple):
    """A period, from its first to its last instant, inclusive."""

    first: Instant
    last: Instant


def viewing_span(report: Report, item: ItemFacts, policy: Policy, now: Instant) -> Span | None:
    """Return the period in which an earlier play belongs to the same viewing (rule 6): half a duration to each side.

    None if the report does not complete its item, so that no play matters.
    """
    if item.credits_ms is None and report.position_ms * 100 < report.duration_ms * policy.watched_percent:
        return None  # the common case; the duration used is never shorter than the reported one
    duration = _believed_duration(report, item, policy)
    if not _is_completed(Milliseconds(min(report.position_ms, duration)), duration, item, policy):
        return None
    at, half = effective_at(report, policy, now), duration // 2
    return Span(Instant(at - half), Instant(at + half))


def concerns_whole_file(previous: Progress | None, decision: Decision) -> bool:
    """Return whether a decision about an episode concerns the other episodes of the file that plays, too.

    It does if the report completed the episode or took its completion back. The other episodes then get the same
    report, and its effect on one of them counts only if the same is true there. `previous` is the named episode's
    progress before the report.
    """
    was_watched = previous is not None and previous.watched
    return decision.play_at is not None or decision.taken_back is not None or decision.progress.watched != was_watched


def in_whole_file(previous: Progress | None, decision: Decision) -> Progress | None:
    """Return the progress on which a report acts that is passed on to another episode of its file.

    If the report added a play to the episode that it names, it adds one to the others: they count as armed like it,
    because only the reports of that one show where a viewing begins.
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
    """Return the position if it is resumable, else 0: finished, barely begun and only marked items start at 0."""
    resumable = is_resumable(progress.position_ms, progress.duration_ms, item, policy)
    return progress.position_ms if resumable else NOTHING.position_ms


def is_resumable(position: Milliseconds, duration: Milliseconds | None, item: ItemFacts, policy: Policy) -> bool:
    """Return whether playback can resume at a position: neither barely begun nor finished. Marks have no duration."""
    return (
        duration is not None
        and not _is_under_floor(position, duration, policy)
        and not _is_completed(position, duration, item, policy)
    )


def is_below_floor(progress: Progress, policy: Policy) -> bool:
    """Return whether an item is barely begun, or was only marked."""
    return progress.duration_ms is None or _is_under_floor(progress.position_ms, progress.duration_ms, policy)


def point_of(progress: Progress, item: ItemFacts, policy: Policy) -> KeptPoint | None:
    """Return the current position as a kept point, or None if it is not resumable."""
    at, duration = progress.last_watched_at, progress.duration_ms
    if at is None or duration is None or not is_resumable(progress.position_ms, duration, item, policy):
        return None
    return KeptPoint(progress.position_ms, duration, at, progress.device)


def completion_percentage(position_ms: Milliseconds, duration_ms: Milliseconds) -> float:
    """Return the percentage for display, rounded half up to 2 decimals, at most 100. Never compare it."""
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
    """Rule 2. Marking as unwatched counts like a report, because reports from before it must change nothing."""
    return (before.last_watched_at is not None and at < before.last_watched_at) or (
        before.unwatched_at is not None and at < before.unwatched_at
    )


def _is_superseded(before: Progress, event: Event | None, at: Instant, policy: Policy) -> bool:
    """Rule 3: a forgotten tab must not drag the position back. A report without a session supersedes nothing."""
    return (
        before.session is not None
        and before.last_watched_at is not None
        and abs(at - before.last_watched_at) <= policy.session_ms
        and event not in _TAKES_OVER
    )


def _is_failed_start(  # noqa: PLR0913 - a report and the state it acts on
    before: Progress,
    event: Event | None,
    position: Milliseconds,
    duration: Milliseconds,
    item: ItemFacts,
    policy: Policy,
) -> bool:
    """Rule 4: a player that dies at 0 s, or sends 0 when it is switched off, must not erase the position."""
    return (
        event != Event.SEEK
        and _is_under_floor(position, duration, policy)
        and is_resumable(before.position_ms, before.duration_ms, item, policy)
    )


def _with_player(before: Progress, report: Report, at: Instant, now: Instant) -> Progress:
    """Rule 4 keeps the position but records session and time, or the abandoned session could supersede this one."""
    progress = before._replace(
        last_watched_at=at,
        version=before.version + 1,
        changed_at=now,
        session=report.session,
        device=report.device,
        event=report.event,
        file_id=report.file_id,
    )
    return before if _is_the_same(before, progress) else progress


def _play_at(before: Progress, duration: Milliseconds, plays: Sequence[Instant] | None, at: Instant) -> Instant | None:
    """Rule 6: threshold, credits and end of one viewing count one play, not three."""
    if plays is None or not before.armed:
        return None
    return at if all(abs(at - play) * 2 > duration for play in plays) else None


class _Completion(NamedTuple):
    """The members of Progress that rule 8 can take back, under their names there and in their order."""

    completed_session: str | None = None
    completed_duration_ms: Milliseconds | None = None
    completed_at: Instant | None = None
    completed_marked: bool = False


def _completion_of(progress: Progress) -> _Completion:
    return _Completion(
        progress.completed_session,
        progress.completed_duration_ms,
        progress.completed_at,
        progress.completed_marked,
    )


def _completion(
    session: str | None, duration: Milliseconds | None, play_at: Instant | None, *, marked: bool
) -> _Completion:
    """Return what rule 8 can take back of a completion: nothing without a session."""
    return _Completion() if session is None else _Completion(session, duration, play_at, marked)


def _is_refuted(before: Progress, duration: Milliseconds, policy: Policy) -> bool:
    """Rule 8, for the completing session: there is something to take back, and the duration has grown too far."""
    return (before.completed_marked or before.completed_at is not None) and _has_grown(
        before.completed_duration_ms, duration, policy
    )


def _has_grown(earlier: Milliseconds | None, later: Milliseconds | None, policy: Policy) -> bool:
    return earlier is not None and later is not None and later * 100 >= earlier * policy.growth_percent


def _is_known_as_false(
    before: Progress, session: str | None, duration: Milliseconds, item: ItemFacts, policy: Policy
) -> bool:
    """Return whether later reports of the same session would take, or took, a late completion back (rule 8)."""
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


def _with_late(  # noqa: PLR0913 - a report and the state it acts on
    before: Progress,
    session: str | None,
    duration: Milliseconds,
    at: Instant,
    now: Instant,
    policy: Policy,
    plays: Sequence[Instant] | None,
) -> tuple[Progress, Instant | None]:
    """Rule 2, for a completion: it counts although it is late, unless the item was marked as unwatched since.

    An offline phone that comes back must not undo the evening's watching on the television.
    """
    if before.unwatched_at is not None and at <= before.unwatched_at:
        return before, None
    play_at = _play_at(before, duration, plays, at)
    if play_at is None and before.watched:
        return before, None
    # The completion disarms; the stored report, which is newer, arms again if it is below the threshold of rule 7.
    rearmed = before.duration_ms is not None and before.position_ms * 100 < before.duration_ms * policy.rearm_percent
    if not before.watched:
        before = before._replace(**_completion(session, duration, play_at, marked=True)._asdict())
    return before._replace(
        watched=True, armed=before.armed and rearmed, version=before.version + 1, changed_at=now
    ), play_at


def _left_behind(
    before: Progress, after: Progress, item: ItemFacts, policy: Policy, *, completed: bool
) -> KeptPoint | None:
    """Rule 9: return the old position if it would be lost, as when someone falls asleep. Playing on loses none."""
    other = after.session is not None and before.session is not None and after.session != before.session
    if completed or other or after.position_ms < before.position_ms:
        return point_of(before, item, policy)
    return None


def _is_the_same(before: Progress, after: Progress) -> bool:
    """Compare everything that a report sets: all but `version` and `changed_at`."""
    return before == after._replace(version=before.version, changed_at=before.changed_at)
