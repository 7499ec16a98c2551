"""What a report means: the rules that turn what players send into progress and plays. Pure; no clock, no I/O.

The rules are numbered as in docs/semantics.md. Times are milliseconds since the epoch, lengths milliseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from playhead.domain.model import Instant, Milliseconds

MAX_MS = Milliseconds(10_000_000 * 1000)
"""The longest position or duration that is believed: ten million seconds, 115 days."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The numbers of the rules. Percentages are whole, so that comparing them is exact."""

    watched_percent: int = 90
    rearm_percent: int = 70
    floor_ms: int = 120_000
    floor_percent: int = 5
    least_runtime_percent: int = 90
    clock_tolerance_ms: int = 2000


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
    `session`, `device` and `event` are those of the report that was applied last. `unwatched_at` is when the mark was
    taken away by hand. `completed_session`, `completed_duration_ms` and `completed_at` tell which session completed the
    item by itself, with what duration, and the time of the play that it added: rule 8 takes these back.
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


class Reason(StrEnum):
    """Why a report was not applied."""

    LATE = "late"


class Decision(NamedTuple):
    """What one report does. `play_at` is the time of the play that it adds, if it adds one."""

    progress: Progress
    play_at: Instant | None
    applied: bool
    reason: Reason | None


def advance(  # noqa: PLR0913 - a decision names everything that it rests on
    previous: Progress | None,
    report: Report,
    item: ItemFacts,
    policy: Policy,
    now: Instant,
    plays: Sequence[Instant] = (),
) -> Decision:
    """Decide what one report does to one progress. Total: no input of these types raises. Idempotent.

    `now` is the time of receipt. `plays` are the times of the plays so far; they matter only where `completes` says so.
    """
    at = effective_at(report, policy, now)
    duration = _believed_duration(report, item, policy)
    position = Milliseconds(min(report.position_ms, duration))  # rule 5
    completed = _is_completed(position, duration, item, policy)
    # A stored time in the future is a clock that was set back since; it must not make every later report late.
    late = previous is not None and at < min(previous.last_watched_at, now)
    play_at = at if completed and _counts(previous, duration, plays, at) else None
    if previous is not None and late:
        return Decision(_with_late(previous, policy, completed=completed), play_at, applied=False, reason=Reason.LATE)
    watched = completed or (previous is not None and previous.watched)  # rule 7: a second viewing never clears it
    if completed:
        armed = False
    elif position * 100 < duration * policy.rearm_percent:
        armed = True
    else:
        armed = previous is None or previous.armed
    version = 1 if previous is None else previous.version + 1
    return Decision(Progress(position, duration, watched, armed, at, version, now), play_at, applied=True, reason=None)


def completes(report: Report, item: ItemFacts, policy: Policy) -> bool:
    """Say whether a report completes its item (rule 6), so that the plays so far decide whether it adds one."""
    duration = _believed_duration(report, item, policy)
    return _is_completed(Milliseconds(min(report.position_ms, duration)), duration, item, policy)


def effective_at(report: Report, policy: Policy, now: Instant) -> Instant:
    """Rule 1: when the reported position was reached; never later than receipt."""
    if report.observed_at is None:
        return now
    observed = report.observed_at
    if report.client_now is not None and abs(now - report.client_now) > policy.clock_tolerance_ms:
        observed += now - report.client_now
    return Instant(max(0, min(observed, now)))


def resume_position(progress: Progress, item: ItemFacts, policy: Policy) -> Milliseconds:
    """Return where to go on: the position if it is resumable, else 0. A finished or barely begun item starts at 0."""
    finished = _is_completed(progress.position_ms, progress.duration_ms, item, policy)
    begun = progress.position_ms >= policy.floor_ms or (
        progress.position_ms * 100 >= progress.duration_ms * policy.floor_percent
    )
    return progress.position_ms if begun and not finished else Milliseconds(0)


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


def _counts(previous: Progress | None, duration: Milliseconds, plays: Sequence[Instant], at: Instant) -> bool:
    """Rule 6: threshold, credits and end of one viewing count one play, not three."""
    if previous is not None and not previous.armed:
        return False
    return all(abs(at - play) * 2 > duration for play in plays)


def _with_late(previous: Progress, policy: Policy, *, completed: bool) -> Progress:
    """Rule 2: an offline phone that comes back must not undo the evening's watching on the television."""
    if not completed:
        return previous
    # Disarmed by the completion, and armed again if what is stored, which came after it, lies under the line.
    rearmed = previous.position_ms * 100 < previous.duration_ms * policy.rearm_percent
    armed = previous.armed and rearmed
    if previous.watched and armed == previous.armed:
        return previous
    return previous._replace(watched=True, armed=armed, version=previous.version + 1)
