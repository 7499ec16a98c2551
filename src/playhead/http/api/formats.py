"""The form of values in the API: seconds, times, texts, and the five members of a progress."""

from datetime import date, datetime
from functools import lru_cache
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from playhead.domain.model import EARLIEST, Instant, Milliseconds, instant_of, moment_of
from playhead.domain.playback import MAX_MS, FrozenProgress, Progress, completion_percentage
from playhead.domain.texts import DEVICE
from playhead.errors import invalid

MAX_SECONDS = MAX_MS // 1000

Text = Annotated[str, Meta(min_length=1, max_length=DEVICE.characters, pattern=r"^[^\x00]*\Z")]
Time = Annotated[datetime, Meta(tz=True)]

MomentText = Annotated[str, Meta(extra_json_schema={"anyOf": [{"format": "date"}, {"format": "date-time"}]})]
"""A day of the user's time zone, or an RFC 3339 time."""

_DAY_LENGTH = len("2026-01-31")


class ProgressAnswer(Struct):
    """A progress. If nothing is saved, `duration_seconds` is null and there is no `last_watched_at`."""

    position_seconds: int | float
    duration_seconds: int | float | None
    completion_percentage: int | float
    watched: bool
    last_watched_at: Annotated[str, Meta(extra_json_schema={"format": "date-time"})] | UnsetType = UNSET


NOTHING_SAVED = ProgressAnswer(0, None, 0, watched=False)


def progress_answer(progress: Progress | FrozenProgress | None) -> ProgressAnswer:
    """Convert a progress, or its absence."""
    if progress is None:
        return NOTHING_SAVED
    if progress.duration_ms is None or progress.last_watched_at is None:  # marked, but never reported
        return ProgressAnswer(0, None, 0, progress.watched)
    return ProgressAnswer(
        seconds(progress.position_ms),
        seconds(progress.duration_ms),
        completion_percentage(progress.position_ms, progress.duration_ms),
        progress.watched,
        time_text(progress.last_watched_at),
    )


def seconds(length: Milliseconds) -> int | float:
    """Convert milliseconds to seconds: whole numbers as integers."""
    whole, rest = divmod(length, 1000)
    return length / 1000 if rest else whole


def time_text(instant: Instant) -> str:
    """Format an instant as RFC 3339 UTC, truncated to the second."""
    return _second_text(instant // 1000)


@lru_cache(maxsize=4096)  # most answers of a moment contain the same few seconds
def _second_text(second: int) -> str:
    return moment_of(Instant(second * 1000)).strftime("%Y-%m-%dT%H:%M:%SZ")


def moments_of(**members: str | None) -> list[date | Instant | None]:
    """Convert days and times in a query string, by member. Raises INVALID with every faulty one."""
    found: list[date | Instant | None] = []
    faults: dict[str, list[str]] = {}
    for name, text in members.items():
        try:
            found.append(None if text is None else _moment_of(text))
        except ValueError:  # msgspec's ValidationError is one
            faults[name.rstrip("_")] = [
                "must be a day, such as 2026-01-31, or an RFC 3339 time with its offset from UTC"
            ]
    if faults:
        raise invalid(faults)
    return found


def _moment_of(text: str) -> date | Instant:
    if len(text) == _DAY_LENGTH:
        return date.fromisoformat(text)
    return max(EARLIEST, instant_of(msgspec.convert(text, Time)))
