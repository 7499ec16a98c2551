"""What statistics say about a user's plays: numbers, groups, streaks, and a year in review. Pure.

The hours of a play are the runtime of its item: reports tell how far somebody came, not how long they watched. A mark
tells that something was watched, not that it was watched then: it has no hours.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from enum import StrEnum
from typing import NamedTuple

from playhead.domain.model import LATEST, Instant, ItemId, Milliseconds
from playhead.domain.periods import HOURS_OF_DAY, Period, local_hours

DAYS_OF_WEEK = 7
MONTHS_OF_YEAR = 12
_YEARS_OF_DECADE = 10
_MOST_RANKED = 10


class Grouping(StrEnum):
    """What plays are grouped by."""

    YEAR = "year"
    MONTH = "month"
    WEEK = "week"
    DAY = "day"
    WEEKDAY = "weekday"
    HOUR = "hour"
    SHOW = "show"
    LIBRARY = "library"
    DECADE = "decade"


class Viewing(NamedTuple):
    """A play, with what statistics ask about its item. `watched_at` is None if unknown.

    `length_ms` is the runtime of the item, 0 if unknown and for a mark. `year` is that of the movie, of the broadcast,
    or of the show. `first_at` is the time of the item's earliest play, None if a play has an unknown time, which counts
    as earlier than any other. A play at another time is a rewatch; so of several at an unknown time none is.
    """

    watched_at: Instant | None
    item_id: ItemId
    length_ms: Milliseconds
    show_id: ItemId | None
    year: int | None
    first_at: Instant | None


class Tally(NamedTuple):
    """Numbers of plays: how many, how long, of how many items, and how many of them are rewatches."""

    plays: int
    length_ms: Milliseconds
    items: int
    rewatches: int


class PlayGroup(NamedTuple):
    """The plays that have something in common. `key` is None if they lack it: an undated play has no month."""

    key: str | None
    tally: Tally


class Streak(NamedTuple):
    """Days in a row with a play, from `first` to `last`, both included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """The number of days."""
        return (self.last - self.first).days + 1


class Streaks(NamedTuple):
    """The longest streak, of several the latest; and the current one, whose last day is today or yesterday."""

    longest: Streak | None
    current: Streak | None


@dataclass(frozen=True, slots=True)
class YearReview:
    """A year of plays, for a picture of it, by the clock of the user's time zone.

    `months` are the lengths of the twelve months, `hours` the number of plays by weekday, Monday first, and hour.
    `shows` are those with the most hours first; `rewatched` are the items with several plays in the year and their
    numbers, most first. `days` is the number of days with a play, `busiest` the one with the most hours.
    """

    tally: Tally
    movies: int
    episodes: int
    months: Sequence[Milliseconds]
    hours: Sequence[Sequence[int]]
    shows: Sequence[tuple[ItemId, Tally]]
    rewatched: Sequence[tuple[ItemId, int]]
    longest: Streak | None
    days: int
    busiest: tuple[date, Milliseconds] | None


def within(viewings: Iterable[Viewing], period: Period) -> list[Viewing]:
    """Return the plays of a period that are at a known time."""
    first = period.first or Instant(0)
    end = Instant(LATEST + 1) if period.end is None else period.end
    return [each for each in viewings if each.watched_at is not None and first <= each.watched_at < end]


def tally(viewings: Sequence[Viewing]) -> Tally:
    """Count plays."""
    return Tally(
        len(viewings),
        Milliseconds(sum([each.length_ms for each in viewings])),
        len({each.item_id for each in viewings}),
        sum([each.watched_at != each.first_at for each in viewings]),
    )


def group(
    viewings: Sequence[Viewing], by: Grouping, zone: tzinfo, libraries: Mapping[ItemId, Sequence[str]]
) -> list[PlayGroup]:
    """Group plays by what they have in common; groups of times are in their order, others by their hours.

    `libraries` are the ids of those that have each item: a play counts for all of them, so the sum over libraries may
    exceed the total. Otherwise each play is in one group. The group without a key comes last.
    """
    groups = defaultdict[str | None, list[Viewing]](list)
    if by in _OF_TIME:
        for key, viewing in zip(_names_of_times(viewings, by, zone), viewings, strict=True):
            groups[key].append(viewing)
    else:
        for viewing in viewings:
            for key in _keys(viewing, by, libraries):
                groups[key].append(viewing)
    found = [PlayGroup(key, tally(group)) for key, group in groups.items()]
    is_chronological = by in _OF_TIME or by is Grouping.DECADE
    return sorted(
        found,
        key=lambda each: (each.key is None, (0, 0) if is_chronological else _rank(each.tally), each.key or ""),
    )


def _rank(of: Tally) -> tuple[int, int]:
    return -of.length_ms, -of.plays


def _names_of_times(viewings: Sequence[Viewing], by: Grouping, zone: tzinfo) -> list[str | None]:
    hours = local_hours([each.watched_at or Instant(0) for each in viewings], zone)
    units = [hour % HOURS_OF_DAY for hour in hours] if by is Grouping.HOUR else [hour // HOURS_OF_DAY for hour in hours]
    names = {unit: _OF_TIME[by](unit) for unit in {*units}}
    return [None if each.watched_at is None else names[unit] for each, unit in zip(viewings, units, strict=True)]


def _keys(viewing: Viewing, by: Grouping, libraries: Mapping[ItemId, Sequence[str]]) -> Sequence[str | None]:
    if by is Grouping.LIBRARY:
        return libraries.get(viewing.item_id) or (None,)
    if by is Grouping.SHOW:
        return (viewing.show_id,)
    return (None if viewing.year is None else str(viewing.year - viewing.year % _YEARS_OF_DECADE),)


def _week(day: int) -> str:
    year, week, _ = date.fromordinal(day).isocalendar()
    return f"{year:04}-W{week:02}"


# By the number of the hour of a day, or of the day as an ordinal.
_OF_TIME: Mapping[Grouping, Callable[[int], str]] = {
    Grouping.YEAR: lambda day: f"{date.fromordinal(day).year:04}",
    Grouping.MONTH: lambda day: date.fromordinal(day).isoformat()[:7],
    Grouping.WEEK: _week,
    Grouping.DAY: lambda day: date.fromordinal(day).isoformat(),
    Grouping.WEEKDAY: lambda day: str(date.fromordinal(day).isoweekday()),
    Grouping.HOUR: lambda hour: f"{hour:02}",
}


def streaks(viewings: Iterable[Viewing], zone: tzinfo, now: Instant) -> Streaks:
    """Return the streaks of plays whose time is known."""
    (today,) = (hour // HOURS_OF_DAY for hour in local_hours([now], zone))
    times = [each.watched_at for each in viewings if each.watched_at is not None]
    found = _runs({hour // HOURS_OF_DAY for hour in local_hours(times, zone)})
    current = next((each for each in found if each[1] in {today - 1, today}), None)
    return Streaks(_longest(found), None if current is None else _streak(*current))


def _runs(days: Iterable[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for day in sorted(days):
        if found and day == found[-1][1] + 1:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def _longest(runs: Iterable[tuple[int, int]]) -> Streak | None:
    found = max(runs, key=lambda run: (run[1] - run[0], run[0]), default=None)
    return None if found is None else _streak(*found)


def _streak(first: int, last: int) -> Streak:
    return Streak(date.fromordinal(first), date.fromordinal(last))


def years(viewings: Iterable[Viewing], zone: tzinfo) -> list[int]:
    """Return the years with a play, latest first."""
    times = [each.watched_at for each in viewings if each.watched_at is not None]
    days = {hour // HOURS_OF_DAY for hour in local_hours(times, zone)}
    return sorted({date.fromordinal(day).year for day in days}, reverse=True)


def lengths_by_day(viewings: Iterable[Viewing], zone: tzinfo) -> dict[date, Milliseconds]:
    """Return the length of the plays of each day with one; those of an unknown time are left out."""
    dated = [each for each in viewings if each.watched_at is not None]
    lengths = _lengths(dated, local_hours([each.watched_at or Instant(0) for each in dated], zone))
    return {date.fromordinal(day): Milliseconds(length) for day, length in lengths.items()}


def _lengths(viewings: Iterable[Viewing], local: Iterable[int]) -> dict[int, int]:
    lengths = defaultdict[int, int](int)
    for viewing, hour in zip(viewings, local, strict=True):
        lengths[hour // HOURS_OF_DAY] += viewing.length_ms
    return lengths


def review(viewings: Iterable[Viewing], zone: tzinfo) -> YearReview:
    """Sum up a year of plays; those of an unknown time are left out."""
    dated = [each for each in viewings if each.watched_at is not None]
    local = local_hours([each.watched_at or Instant(0) for each in dated], zone)
    lengths = _lengths(dated, local)
    shows = defaultdict[ItemId, list[Viewing]](list)
    for viewing in dated:
        if viewing.show_id is not None:
            shows[viewing.show_id].append(viewing)
    months = [0] * MONTHS_OF_YEAR
    for day, length in lengths.items():
        months[date.fromordinal(day).month - 1] += length
    hours = [[0] * HOURS_OF_DAY for _ in range(DAYS_OF_WEEK)]
    for hour, number in Counter(local).items():
        hours[date.fromordinal(hour // HOURS_OF_DAY).weekday()][hour % HOURS_OF_DAY] += number
    episodes = sum(map(len, shows.values()))
    ranked = sorted(((show_id, tally(each)) for show_id, each in shows.items()), key=lambda each: _rank(each[1]))
    plays = Counter(each.item_id for each in dated).most_common(_MOST_RANKED)
    busiest = max(lengths, key=lambda day: (lengths[day], day), default=None)
    return YearReview(
        tally(dated),
        len(dated) - episodes,
        episodes,
        [Milliseconds(length) for length in months],
        hours,
        ranked[:_MOST_RANKED],
        [(item_id, number) for item_id, number in plays if number > 1],
        _longest(_runs(lengths)),
        len(lengths),
        None if busiest is None else (date.fromordinal(busiest), Milliseconds(lengths[busiest])),
    )
