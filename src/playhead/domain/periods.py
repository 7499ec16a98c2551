"""Periods of time as people name them, by days of their time zone. Pure."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

from playhead.domain.model import EARLIEST, LATEST, Instant, instant_of, moment_of

HOURS_OF_DAY = 24
_HOUR_MS = 3_600_000
_DAY_MS = HOURS_OF_DAY * _HOUR_MS
_EPOCH_DAY = date(1970, 1, 1).toordinal()


class Period(NamedTuple):
    """A stretch of time, from `first` up to `end`, which is not part of it. None: unbounded."""

    first: Instant | None = None
    end: Instant | None = None


def period_of(first: date | Instant | None, last: date | Instant | None, zone: tzinfo) -> Period:
    """Return the period between two days, both included, or between two instants, the second one excluded."""
    return Period(
        beginning_of(first, zone) if isinstance(first, date) else first,
        _end_of(last, zone) if isinstance(last, date) else last,
    )


def beginning_of(day: date, zone: tzinfo) -> Instant:
    """Return the first instant of a day in a time zone, as far as instants reach."""
    if not 1970 < day.year < date.max.year:  # noqa: PLR2004 - in a zone, these may lie beyond what can be represented
        return max(EARLIEST, Instant((day.toordinal() - _EPOCH_DAY) * _DAY_MS))
    return instant_of(datetime.combine(day, time(), zone))


def _end_of(day: date, zone: tzinfo) -> Instant:
    return LATEST if day == date.max else beginning_of(day + timedelta(1), zone)


def local_hours(instants: Iterable[Instant], zone: tzinfo) -> list[int]:
    """Return the hour of each instant in a time zone, as the number of hours since the day 0 of ordinals began there.

    Many times as fast as a `datetime` for each: most days have one offset from UTC, which is looked up once.
    """
    offsets = _Offsets(zone)
    return [(at + (offsets[at // _DAY_MS] or offsets.at(at))) // _HOUR_MS for at in instants]


class _Offsets(dict[int, int]):
    """By day of UTC, what to add to an instant: from UTC to the zone, and from the epoch to day 0; 0 if it changes."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone

    def __missing__(self, day: int) -> int:
        begins, ends = self.at(Instant(day * _DAY_MS)), self.at(Instant((day + 1) * _DAY_MS - 1))
        self[day] = begins if begins == ends else 0
        return self[day]

    def at(self, instant: Instant) -> int:
        offset = moment_of(instant).astimezone(self._zone).utcoffset() or timedelta()
        return _EPOCH_DAY * _DAY_MS + int(offset.total_seconds() * 1000)
