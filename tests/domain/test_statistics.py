from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playhead.domain.model import Instant, ItemId, Milliseconds, instant_of
from playhead.domain.periods import Period
from playhead.domain.statistics import (
    Grouping,
    PlayedItem,
    PlayGroup,
    Streak,
    Streaks,
    Tally,
    Viewing,
    find_viewings,
    group,
    review,
    streaks,
    tally,
    years,
)

HOUR = Milliseconds(3_600_000)
BERLIN = ZoneInfo("Europe/Berlin")
ALIEN = PlayedItem(ItemId("alien"), None, Milliseconds(2 * HOUR), None, 1979)
PILOT = PlayedItem(ItemId("pilot"), ItemId("tides"), HOUR, None, 2021)
FINALE = PlayedItem(ItemId("finale"), ItemId("tides"), HOUR, None, 2021)
SHORT = PlayedItem(ItemId("short"), ItemId("sparks"), Milliseconds(HOUR // 2), None)


def at(text: str) -> Instant:
    return instant_of(datetime.fromisoformat(text).replace(tzinfo=UTC))


def viewing(
    item: PlayedItem, when: str | None, *, again: bool = False, marked: bool = False, device: str | None = None
) -> Viewing:
    length = Milliseconds(0) if marked else item.length_ms
    return Viewing(None if when is None else at(when), item, length, again, device)


def keys(groups: list[PlayGroup]) -> list[tuple[str | None, int]]:
    return [(each.key, each.tally.plays) for each in groups]


# Which plays


def plays_of(*times: int | None) -> list[tuple[ItemId, Instant | None, bool, str | None]]:
    return [(ALIEN.id, None if time is None else Instant(time), False, None) for time in times]


def found(items: list[PlayedItem], period: Period, *times: int | None) -> list[tuple[int | None, bool]]:
    viewings = find_viewings(plays_of(*times), {each.id: each for each in items}, period)
    return [(each.watched_at, each.is_rewatch) for each in viewings]


def first_at(time: int | None) -> list[PlayedItem]:
    return [ALIEN._replace(first_at=None if time is None else Instant(time))]


def test_every_play_but_the_earliest_of_an_item_is_a_rewatch():
    assert found(first_at(5), Period(), 9, 5, 7) == [(9, True), (5, False), (7, True)]


def test_a_play_of_an_unknown_time_is_earlier_than_the_others_and_one_of_several_is_the_first():
    assert found(first_at(None), Period(), 9, None, None) == [(9, True), (None, False), (None, True)]


def test_what_is_a_rewatch_does_not_depend_on_the_period():
    assert found(first_at(5), Period(Instant(6)), 5, 7) == [(7, True)]


def test_a_period_includes_its_beginning_and_not_its_end():
    assert found(first_at(4), Period(Instant(5), Instant(7)), 4, 5, 6, 7) == [(5, True), (6, True)]


@pytest.mark.parametrize("period", [Period(first=Instant(0)), Period(end=Instant(100))])
def test_plays_of_an_unknown_time_belong_to_no_bounded_period(period: Period):
    assert found(first_at(None), period, None, 5) == [(5, True)]


def test_plays_of_items_that_are_not_given_are_left_out():
    assert found([PILOT], Period(), 5) == []


def test_a_mark_has_no_hours():
    plays = [(ALIEN.id, Instant(5), is_marked, "TV") for is_marked in (False, True)]
    viewings = find_viewings(plays, {ALIEN.id: first_at(5)[0]}, Period())
    assert [(each.length_ms, each.device) for each in viewings] == [(2 * HOUR, "TV"), (0, "TV")]


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
    viewings = [viewing(ALIEN, None, marked=True, device=device) for device in ("TV", "B", "A", "TV")]
    assert keys(group(viewings, Grouping.DEVICE, UTC, {})) == [("TV", 2), ("A", 1), ("B", 1)]


def test_a_play_counts_for_every_library_that_has_its_item():
    libraries = {ALIEN.id: ["films", "classics"], PILOT.id: []}
    viewings = [viewing(ALIEN, None), viewing(PILOT, None), viewing(SHORT, None)]
    assert keys(group(viewings, Grouping.LIBRARY, UTC, libraries)) == [("classics", 1), ("films", 1), (None, 2)]


def test_decades_are_in_order():
    viewings = [viewing(item, None) for item in (PILOT, SHORT, ALIEN, FINALE)]
    assert keys(group(viewings, Grouping.DECADE, UTC, {})) == [("1970", 1), ("2020", 2), (None, 1)]


@given(
    st.lists(
        st.tuples(st.sampled_from([ALIEN, PILOT, FINALE, SHORT]), st.none() | st.integers(0, 2_000_000_000_000)),
        max_size=30,
    ),
    st.sampled_from([by for by in Grouping if by is not Grouping.LIBRARY]),
)
def test_groups_add_up_to_the_total(played: list[tuple[PlayedItem, int | None]], by: Grouping):
    viewings = [
        Viewing(None if time is None else Instant(time), item, item.length_ms, is_rewatch=False)
        for item, time in played
    ]
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
        viewing(PILOT._replace(id=ItemId(f"{number:02}"), show_id=ItemId(f"show {number:02}")), "2026-01-01T20:00")
        for number in range(12)
        for _ in range(2 + number)
    ]
    found = review(viewings, UTC)
    assert [show for show, _ in found.shows] == [f"show {number:02}" for number in range(11, 1, -1)]
    assert [number for _, number in found.rewatched] == [*range(13, 3, -1)]
    assert found.longest == Streak(date(2026, 1, 1), date(2026, 1, 1))
    assert found.days == 1
