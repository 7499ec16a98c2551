from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playhead.domain.model import Instant, ItemId, Milliseconds, instant_of
from playhead.domain.periods import Period
from playhead.domain.statistics import (
    Grouping,
    PlayGroup,
    Streak,
    Streaks,
    Tally,
    Viewing,
    group,
    lengths_by_day,
    review,
    streaks,
    tally,
    within,
    years,
)

HOUR = Milliseconds(3_600_000)
BERLIN = ZoneInfo("Europe/Berlin")


def item(name: str, hours: float, show: str | None = None, year: int | None = None) -> Viewing:
    """An item, as a play that its other plays are made of."""
    show_id = None if show is None else ItemId(show)
    return Viewing(None, ItemId(name), Milliseconds(int(hours * HOUR)), show_id, year, None)


ALIEN = item("alien", 2, year=1979)
PILOT = item("pilot", 1, "tides", 2021)
FINALE = item("finale", 1, "tides", 2021)
SHORT = item("short", 0.5, "sparks")


def at(text: str) -> Instant:
    return instant_of(datetime.fromisoformat(text).replace(tzinfo=UTC))


def viewing(of: Viewing, when: str | None, *, again: bool = False, marked: bool = False) -> Viewing:
    time = None if when is None else at(when)
    length = Milliseconds(0) if marked else of.length_ms
    return of._replace(watched_at=time, first_at=Instant(0) if again else time, length_ms=length)


def keys(groups: list[PlayGroup]) -> list[tuple[str | None, int]]:
    return [(each.key, each.tally.plays) for each in groups]


# Which plays


def times(viewings: list[Viewing]) -> list[int | None]:
    return [each.watched_at for each in viewings]


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        (Period(), [4, 5, 6, 7]),
        (Period(Instant(5), Instant(7)), [5, 6]),
        (Period(end=Instant(5)), [4]),
        (Period(Instant(7)), [7]),
    ],
)
def test_a_period_includes_its_beginning_and_not_its_end(period: Period, expected: list[int]):
    viewings = [ALIEN._replace(watched_at=None if time is None else Instant(time)) for time in (4, 5, None, 6, 7)]
    assert times(within(viewings, period)) == expected


@pytest.mark.parametrize(
    ("watched_at", "first_at", "is_rewatch"), [(5, 5, False), (7, 5, True), (7, None, True), (None, None, False)]
)
def test_every_play_but_the_earliest_of_an_item_is_a_rewatch(
    watched_at: int | None,
    first_at: int | None,
    is_rewatch: bool,  # noqa: FBT001
):
    play = ALIEN._replace(
        watched_at=None if watched_at is None else Instant(watched_at),
        first_at=None if first_at is None else Instant(first_at),
    )
    assert tally([play]).rewatches == is_rewatch


# Numbers


def test_plays_hours_items_and_rewatches_are_counted():
    viewings = [
        viewing(ALIEN, "2026-01-01T20:00"),
        viewing(ALIEN, "2026-01-03T20:00", again=True),
        viewing(PILOT, None, marked=True),
    ]
    assert tally(viewings) == Tally(3, Milliseconds(4 * HOUR), 2, 1)
    assert tally([]) == Tally(0, Milliseconds(0), 0, 0)


# Groups


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (Grouping.YEAR, [("2025", 1), ("2026", 2), (None, 1)]),
        (Grouping.MONTH, [("2025-12", 1), ("2026-01", 2), (None, 1)]),
        (Grouping.WEEK, [("2025-W52", 1), ("2026-W01", 2), (None, 1)]),
        (Grouping.DAY, [("2025-12-28", 1), ("2026-01-01", 2), (None, 1)]),
        (Grouping.WEEKDAY, [("4", 2), ("7", 1), (None, 1)]),
        (Grouping.HOUR, [("00", 1), ("03", 1), ("22", 1), (None, 1)]),
    ],
)
def test_groups_of_times_are_in_order_and_in_the_time_zone(by: Grouping, expected: list[tuple[str | None, int]]):
    viewings = [
        viewing(PILOT, None),
        viewing(PILOT, "2026-01-01T02:30"),
        viewing(ALIEN, "2025-12-31T23:30"),  # 00:30 of the new year in Berlin
        viewing(ALIEN, "2025-12-28T21:00"),
    ]
    assert keys(group(viewings, by, BERLIN, {})) == expected


def test_shows_are_sorted_by_hours_and_movies_have_none():
    viewings = [viewing(SHORT, "2026-01-01T20:00")] * 3 + [
        viewing(PILOT, None),
        viewing(FINALE, None),
        viewing(ALIEN, None),
    ]
    assert keys(group(viewings, Grouping.SHOW, UTC, {})) == [("tides", 2), ("sparks", 3), (None, 1)]


def test_of_equal_hours_the_group_with_more_plays_comes_first_then_the_lower_key():
    shows = [PILOT._replace(show_id=ItemId(name)) for name in ("tides", "b", "a", "tides")]
    viewings = [viewing(each, None, marked=True) for each in shows]
    assert keys(group(viewings, Grouping.SHOW, UTC, {})) == [("tides", 2), ("a", 1), ("b", 1)]


def test_a_play_counts_for_every_library_that_has_its_item():
    libraries = {ALIEN.item_id: ["films", "classics"], PILOT.item_id: []}
    viewings = [viewing(ALIEN, None), viewing(PILOT, None), viewing(SHORT, None)]
    assert keys(group(viewings, Grouping.LIBRARY, UTC, libraries)) == [("classics", 1), ("films", 1), (None, 2)]


def test_decades_are_in_order():
    viewings = [viewing(each, None) for each in (PILOT, SHORT, ALIEN, FINALE)]
    assert keys(group(viewings, Grouping.DECADE, UTC, {})) == [("1970", 1), ("2020", 2), (None, 1)]


@given(
    st.lists(
        st.tuples(st.sampled_from([ALIEN, PILOT, FINALE, SHORT]), st.none() | st.integers(0, 2_000_000_000_000)),
        max_size=30,
    ),
    st.sampled_from([by for by in Grouping if by is not Grouping.LIBRARY]),
)
def test_groups_add_up_to_the_total(played: list[tuple[Viewing, int | None]], by: Grouping):
    viewings = [each._replace(watched_at=None if time is None else Instant(time)) for each, time in played]
    groups = group(viewings, by, BERLIN, {})
    assert sum(each.tally.plays for each in groups) == len(viewings)
    assert sum(each.tally.length_ms for each in groups) == tally(viewings).length_ms
    assert len({each.key for each in groups}) == len(groups)


# Streaks


def days(*texts: str) -> list[Viewing]:
    return [viewing(ALIEN, f"{text}T20:00") for text in texts]


def streak(first: str, last: str) -> Streak:
    return Streak(date.fromisoformat(first), date.fromisoformat(last))


def test_the_longest_streak_is_the_latest_of_its_length():
    viewings = days("2026-01-01", "2026-01-02", "2026-01-02", "2026-01-05", "2026-01-09", "2026-01-10")
    longest = streaks([*viewings, viewing(PILOT, None)], UTC, at("2026-02-01T00:00")).longest
    assert longest == streak("2026-01-09", "2026-01-10")
    assert longest.days == 2


@pytest.mark.parametrize(("today", "is_current"), [("02", True), ("03", True), ("04", False)])
def test_the_current_streak_includes_today_or_yesterday(today: str, is_current: bool):  # noqa: FBT001
    found = streaks(days("2026-01-01", "2026-01-02"), UTC, at(f"2026-01-{today}T12:00"))
    expected = streak("2026-01-01", "2026-01-02")
    assert found == Streaks(expected, expected if is_current else None)


def test_without_dated_plays_there_is_no_streak():
    assert streaks([viewing(ALIEN, None)], UTC, at("2026-01-01T12:00")) == Streaks(None, None)


def test_the_days_of_a_streak_are_those_of_the_time_zone():
    late = [viewing(ALIEN, "2026-01-01T22:30"), viewing(ALIEN, "2026-01-01T23:30")]
    assert streaks(late, BERLIN, at("2026-02-01T00:00")).longest == streak("2026-01-01", "2026-01-02")


# A year in review


def test_years_are_those_with_plays_latest_first():
    viewings = [viewing(ALIEN, None), viewing(ALIEN, "2025-12-31T23:30"), viewing(ALIEN, "2020-06-01T12:00")]
    assert years(viewings, BERLIN) == [2026, 2020]
    assert years([viewing(ALIEN, None)], UTC) == []


def test_a_review_sums_up_a_year():
    viewings = [
        viewing(PILOT, "2026-01-05T20:10"),  # a Monday
        viewing(FINALE, "2026-01-05T20:50"),
        viewing(SHORT, "2026-02-03T09:00"),
        viewing(ALIEN, "2026-02-04T21:00"),
        viewing(ALIEN, "2026-12-31T21:00", again=True),
        viewing(PILOT, None),
    ]
    found = review(viewings, UTC)
    assert found.tally == Tally(5, Milliseconds(int(6.5 * HOUR)), 4, 1)
    assert (found.movies, found.episodes, found.days) == (2, 3, 4)
    assert [month / HOUR for month in found.months] == [2, 2.5, *[0] * 9, 2]
    assert {
        (day, hour): number for day, row in enumerate(found.hours) for hour, number in enumerate(row) if number
    } == {
        (0, 20): 2,
        (1, 9): 1,
        (2, 21): 1,
        (3, 21): 1,
    }
    assert [(show, each.plays) for show, each in found.shows] == [("tides", 2), ("sparks", 1)]
    assert found.rewatched == [("alien", 2)]
    assert found.longest == streak("2026-02-03", "2026-02-04")
    assert found.busiest == (date(2026, 12, 31), 2 * HOUR)


def test_a_review_of_nothing_is_empty():
    found = review([], UTC)
    assert (found.tally.plays, found.longest, found.busiest, found.days) == (0, None, None, 0)
    assert (sum(found.months), [*found.shows], [*found.rewatched]) == (0, [], [])


def test_a_review_ranks_ten_shows_and_ten_rewatched_items():
    viewings = [
        viewing(PILOT._replace(item_id=ItemId(f"{number:02}"), show_id=ItemId(f"show {number:02}")), "2026-01-01T20:00")
        for number in range(12)
        for _ in range(2 + number)
    ]
    found = review(viewings, UTC)
    assert [show for show, _ in found.shows] == [f"show {number:02}" for number in range(11, 1, -1)]
    assert [number for _, number in found.rewatched] == [*range(13, 3, -1)]
    assert found.longest == Streak(date(2026, 1, 1), date(2026, 1, 1))
    assert found.days == 1


def test_lengths_are_summed_by_the_days_of_the_time_zone():
    viewings = [
        viewing(ALIEN, "2026-03-01 22:59"),
        viewing(PILOT, "2026-03-01 23:00"),
        viewing(SHORT, "2026-03-02 12:00"),
        viewing(FINALE, None),
    ]
    assert lengths_by_day(viewings, BERLIN) == {date(2026, 3, 1): 2 * HOUR, date(2026, 3, 2): 1.5 * HOUR}
