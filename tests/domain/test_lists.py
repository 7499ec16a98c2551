"""Continue watching and next up, from plain rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playhead.domain.lists import (
    Card,
    EpisodeCounts,
    ItemState,
    ListState,
    NextKind,
    continue_watching,
    find_candidates,
    following,
    has_aired,
    in_order,
    is_hidden,
    is_in_progress,
    neighbours,
    next_up,
    up_to,
)
from playhead.domain.model import Instant, ItemId
from playhead.domain.playback import ItemFacts
from viewer import DAY, EVENING, HOUR, POLICY, Viewer, ms

SHOW = ItemId("show")
NEVER = ListState()


def movie(id_: str = "movie", *, ago: int = HOUR, position: float = 3000, **what: object) -> ItemState:
    row = ItemState(ItemId(id_), None, True, ms(position), ms(5400), last_watched_at=Instant(EVENING - ago))  # noqa: FBT003
    return row._replace(**what)


def episode(season: int | None, number: int | None, **what: object) -> ItemState:
    row = ItemState(ItemId(f"s{season}e{number}"), SHOW, True)  # noqa: FBT003
    return row._replace(season_number=season, episode_number=number, **what)


def played(season: int, number: int, *, ago: int = DAY, plays: int = 1, **what: object) -> ItemState:
    at = Instant(EVENING - ago)
    row = episode(season, number, watched=True, armed=False, last_watched_at=at, play_count=plays, played_at=at)
    return row._replace(**{"position_ms": ms(1500), "duration_ms": ms(1500), **what})


def begun(season: int, number: int, *, ago: int = DAY) -> ItemState:
    return episode(season, number, position_ms=ms(700), duration_ms=ms(1500), last_watched_at=Instant(EVENING - ago))


def cards(
    *rows: ItemState, limit: int | None = None, states: dict[ItemId, ListState] | None = None, now: int = EVENING
) -> list[Card]:
    candidates = find_candidates(rows, states or {}, POLICY, Instant(now))
    shows: dict[ItemId, list[ItemState]] = {}
    for row in rows:
        if row.show_id is not None:
            shows.setdefault(row.show_id, []).append(row)
    return continue_watching(candidates, shows, POLICY, Instant(now), limit)


def ids(*rows: ItemState, **how: object) -> list[str]:
    return [card.row.item_id for card in cards(*rows, **how)]


def after(*rows: ItemState) -> tuple[str, str | None]:
    found = next_up(rows, POLICY, EVENING)
    return found.kind.value, None if found.episode is None else found.episode.item_id


# Continue watching: movies


def test_a_movie_in_the_middle_is_listed():
    assert cards(movie()) == [Card(movie(), NextKind.CONTINUE, Instant(EVENING - HOUR))]


@pytest.mark.parametrize("position", [0, 119, 4860, 5400])
def test_a_movie_that_is_barely_started_or_finished_is_not_listed(position: float):
    assert cards(movie(position=position)) == []


def test_a_watched_movie_is_listed_only_while_it_is_watched_again():
    assert cards(movie(watched=True, armed=False)) == []
    assert len(cards(movie(watched=True, armed=True))) == 1


def test_example_5_is_on_continue_watching():
    viewer = Viewer()
    for position in (4900, 600, 3000):
        viewer.report(position, after=DAY)
    stored = viewer.stored
    row = movie(position=viewer.position, watched=stored.watched, armed=stored.armed)
    assert len(cards(row)) == 1


def test_a_movie_behind_the_start_of_its_credits_is_not_listed():
    assert cards(movie(credits_ms=ms(2999))) == []


def test_a_movie_without_a_file_is_not_listed():
    assert cards(movie(available=False)) == []


def test_the_newest_activity_comes_first_then_the_id():
    rows = [movie("c", ago=2 * HOUR), movie("b", ago=HOUR), movie("a", ago=HOUR), movie("d", ago=0)]
    assert ids(*rows) == ["d", "a", "b", "c"]


def test_twenty_cards_are_shown_unless_another_number_is_requested():
    rows = [movie(f"{number:02}", ago=number) for number in range(30)]
    assert ids(*rows) == [f"{number:02}" for number in range(20)]
    assert len(cards(*rows, limit=25)) == 25
    assert cards(*rows, limit=0) == []


def test_a_card_disappears_after_90_days_without_activity():
    assert len(cards(movie(ago=90 * DAY))) == 1
    assert cards(movie(ago=90 * DAY + 1)) == []


def test_an_item_that_was_only_marked_has_no_card():
    assert cards(movie(last_watched_at=None)) == []


# Hidden, snoozed, dropped


def test_a_hidden_card_stays_hidden_without_activity_since():
    hidden_at = Instant(EVENING)
    assert is_hidden(hidden_at, None)
    assert is_hidden(hidden_at, hidden_at)
    assert not is_hidden(hidden_at, Instant(EVENING + 1))
    assert not is_hidden(None, None)


def test_a_hidden_card_returns_with_the_next_activity():
    states = {ItemId("movie"): ListState(hidden_at=Instant(EVENING - HOUR))}
    assert cards(movie(ago=HOUR), states=states) == []
    assert len(cards(movie(ago=HOUR - 1), states=states)) == 1


def test_a_snoozed_card_returns_at_its_time():
    states = {ItemId("movie"): ListState(snoozed_until=Instant(EVENING))}
    assert cards(movie(), states=states, now=EVENING - 1) == []
    assert len(cards(movie(), states=states)) == 1


def test_a_dropped_show_stays_away_whatever_happens():
    states = {SHOW: ListState(dropped_at=Instant(EVENING - DAY))}
    assert cards(begun(1, 1), states=states) == []
    assert len(cards(begun(1, 1), states={SHOW: NEVER})) == 1


# Continue watching: shows


def test_a_show_has_one_card_for_its_most_recently_active_episode():
    found = cards(begun(1, 1, ago=3 * HOUR), begun(1, 3, ago=HOUR), begun(1, 2, ago=2 * HOUR))
    assert found == [Card(begun(1, 3, ago=HOUR), NextKind.CONTINUE, Instant(EVENING - HOUR))]


def test_a_show_without_a_started_episode_has_the_next_one_at_the_time_of_its_last_activity():
    found = cards(played(1, 1, ago=HOUR), episode(1, 2))
    assert found == [Card(episode(1, 2), NextKind.NEXT, Instant(EVENING - HOUR))]


def test_a_show_that_is_watched_to_its_end_has_no_card():
    assert cards(played(1, 1), played(1, 2)) == []


def test_a_show_with_only_a_barely_started_episode_has_no_card():
    row = begun(1, 1)._replace(position_ms=ms(10))
    assert cards(row, episode(1, 2)) == []


def test_a_show_whose_episodes_were_only_marked_has_no_card():
    assert cards(played(1, 1, last_watched_at=None), episode(1, 2)) == []


def test_shows_are_paged_like_movies():
    rows = [played(1, 1), episode(1, 2)]
    candidates = find_candidates([*rows, movie(ago=2 * DAY)], {}, POLICY, EVENING)
    assert [(each.id, each.is_settled) for each in candidates] == [("show", False), ("movie", True)]
    portions = [continue_watching([each], {SHOW: rows}, POLICY, EVENING) for each in candidates]
    assert [card.row.item_id for portion in portions for card in portion] == ["s1e2", "movie"]


# Next up


def test_a_show_that_was_never_started_starts_with_its_first_episode():
    assert after(episode(1, 2), episode(1, 1), episode(0, 1)) == ("start", "s1e1")


def test_a_show_without_episodes_is_done():
    assert after() == ("done", None)


def test_a_completely_watched_show_is_done_even_without_plays():
    assert after(episode(1, 1, watched=True)) == ("done", None)


def test_a_started_episode_is_continued():
    assert after(played(1, 1, ago=HOUR), begun(1, 3, ago=DAY), episode(1, 2)) == ("continue", "s1e3")


def test_a_started_special_is_continued():
    assert after(begun(0, 1), played(1, 1), episode(1, 2)) == ("continue", "s0e1")


def test_the_next_unwatched_episode_follows_the_one_played_last():
    assert after(played(1, 1), played(1, 2, ago=HOUR), played(1, 3, ago=2 * DAY), episode(1, 4)) == ("next", "s1e4")


def test_skipped_episodes_are_not_offered():
    assert after(episode(1, 1), episode(1, 2), played(1, 3), episode(1, 4)) == ("next", "s1e4")


def test_the_next_season_follows():
    assert after(played(1, 10), episode(2, 1), episode(2, 2)) == ("next", "s2e1")


def test_a_show_ends_as_done():
    assert after(episode(1, 1), played(1, 2)) == ("done", None)


def test_specials_are_neither_anchor_nor_next():
    assert after(played(1, 1, ago=DAY), played(0, 9, ago=HOUR), episode(0, 10), episode(1, 2)) == ("next", "s1e2")


def test_undated_plays_are_the_oldest_and_ties_go_to_the_highest_number():
    undated = [played(1, number, played_at=None) for number in (1, 2, 3)]
    assert after(*undated, episode(1, 4)) == ("next", "s1e4")
    assert after(*undated, episode(1, 4), played(1, 0)) == ("next", "s1e4")
    assert after(played(1, 5, played_at=None), played(1, 1, ago=300 * DAY), episode(1, 2)) == ("next", "s1e2")


def test_the_anchor_counts_even_if_its_file_is_gone():
    assert after(episode(1, 1), played(1, 2, available=False), episode(1, 3)) == ("next", "s1e3")


def test_unplayable_episodes_are_left_out():
    assert after(played(1, 1), episode(1, 2, available=False), episode(1, 3)) == ("next", "s1e3")


def test_episodes_that_have_not_aired_are_left_out():
    assert after(played(1, 1), episode(1, 2, air_date="2025-11-09")) == ("done", None)
    assert after(played(1, 1), episode(1, 2, air_date="2025-11-08")) == ("next", "s1e2")


def test_a_file_with_several_episodes_is_followed_by_the_one_after_its_last():
    assert after(played(1, 1, episode_end=3), episode(1, 2), episode(1, 3), episode(1, 4)) == ("next", "s1e4")


def test_rewatching_continues_with_watched_episodes():
    rows = [played(1, 1, ago=HOUR, plays=2), played(1, 2, ago=9 * DAY), played(1, 3, ago=8 * DAY)]
    assert after(*rows) == ("rewatch", "s1e2")


def test_a_rewatch_to_the_end_is_done():
    assert after(played(1, 1, ago=2 * HOUR, plays=2), played(1, 2, ago=HOUR, plays=2)) == ("done", None)


def test_episodes_with_dates_instead_of_numbers_are_ordered_by_date():
    days = [
        episode(None, None, item_id=ItemId(day), air_date=day) for day in ("2025-03-03", "2025-03-01", "2025-03-02")
    ]
    first = days[1]._replace(watched=True, play_count=1, played_at=EVENING)
    assert after(days[0], first, days[2]) == ("next", "2025-03-02")


# Specials that have a place among the regular episodes


def special(number: int, season: int, before: int | None = None, **what: object) -> ItemState:
    return episode(0, number, placed_season=season, placed_before=before, **what)


def test_a_special_behind_a_season_follows_its_last_episode():
    rows = [played(1, 1), played(1, 2, ago=HOUR), special(7, 1), episode(2, 1)]
    assert after(*rows) == ("next", "s0e7")
    assert after(*rows, episode(1, 3)) == ("next", "s1e3")


def test_a_special_before_an_episode_comes_between_it_and_the_one_before():
    assert after(played(1, 1), special(7, 1, 2), episode(1, 2)) == ("next", "s0e7")
    assert after(played(1, 2), special(7, 1, 2), episode(1, 3)) == ("next", "s1e3")


def test_a_special_before_a_season_may_be_the_first_of_the_show():
    assert after(special(7, 1, 0), episode(1, 1), episode(2, 1)) == ("start", "s0e7")
    assert after(special(7, 2, 0), episode(1, 1), episode(2, 1)) == ("start", "s1e1")


def test_specials_at_one_place_are_ordered_by_number():
    assert after(played(1, 1), special(8, 1), special(7, 1), episode(2, 1)) == ("next", "s0e7")


def test_playback_goes_on_behind_a_special_that_has_a_place():
    seen = played(0, 7, ago=HOUR, placed_season=1)
    assert after(played(1, 1), episode(1, 2), seen, episode(2, 1)) == ("next", "s2e1")
    assert behind("s0e7", episode(1, 2), special(7, 1), episode(2, 1)) == "s2e1"
    assert behind("s1e2", episode(1, 2), special(7, 1), episode(2, 1)) == "s0e7"


def test_a_special_that_has_a_place_has_neighbours_there_and_is_marked_with_them():
    rows = [episode(1, 1), special(7, 1), episode(2, 1), episode(0, 1)]
    assert {row.item_id: neighbours(rows, row.item_id) for row in rows} == {
        "s0e1": (None, None),
        "s1e1": (None, "s0e7"),
        "s0e7": ("s1e1", "s2e1"),
        "s2e1": ("s0e7", None),
    }
    assert up_to_here("s2e1", *rows) == {"s1e1", "s0e7", "s2e1"}
    assert up_to_here("s0e7", *rows) == {"s1e1", "s0e7"}


def test_only_specials_have_a_place_of_their_own():
    assert after(played(1, 1), episode(1, 2, placed_season=3), episode(2, 1)) == ("next", "s1e2")


# What a player continues with


def behind(current: str, *rows: ItemState) -> str | None:
    found = following(rows, ItemId(current), POLICY, EVENING)
    return None if found is None else found.item_id


def test_a_player_continues_with_the_next_unwatched_episode():
    assert behind("s1e1", episode(1, 1), episode(1, 3), episode(1, 2), episode(0, 1)) == "s1e2"
    assert behind("s1e1", episode(1, 1), episode(1, 2, watched=True), episode(1, 3)) == "s1e3"
    assert behind("s1e2", episode(1, 1), episode(1, 2), episode(2, 1)) == "s2e1"


def test_a_player_continues_a_started_episode_only_if_that_is_next():
    assert behind("s1e1", episode(1, 1), episode(1, 2), begun(1, 3)) == "s1e2"
    assert behind("s1e2", episode(1, 1), episode(1, 2), begun(1, 3)) == "s1e3"


def test_a_player_continues_a_rewatch_with_watched_episodes():
    assert behind("s1e1", played(1, 1), played(1, 2), episode(1, 3)) == "s1e2"


def test_a_player_skips_unplayable_episodes_and_has_nothing_after_the_last():
    rows = [episode(1, 1), episode(1, 2, available=False), episode(1, 3, air_date="2025-11-09"), episode(1, 4)]
    assert behind("s1e1", *rows) == "s1e4"
    assert behind("s1e4", *rows) is None
    assert behind("gone", *rows) is None


def test_a_player_continues_after_the_last_episode_of_a_file():
    assert behind("s1e1", episode(1, 1, episode_end=2), episode(1, 2), episode(1, 3)) == "s1e3"


def test_after_a_special_a_player_continues_with_next_up():
    assert behind("s0e1", episode(0, 1), episode(0, 2), played(1, 1), episode(1, 2)) == "s1e2"
    assert behind("s0e1", begun(0, 1), played(1, 1), begun(1, 2)) == "s1e2"


def test_an_episode_without_a_date_has_aired():
    assert has_aired(None, EVENING)
    assert has_aired("2025-11-08", EVENING)
    assert not has_aired("2025-11-09", EVENING)


seasons = st.integers(0, 3)
many = st.lists(
    st.builds(
        lambda season, number, ago, kind: kind(season, number, ago=ago * HOUR),
        seasons,
        st.integers(1, 5),
        st.integers(0, 99),
        st.sampled_from([played, begun, lambda season, number, ago: episode(season, number)]),  # noqa: ARG005
    ),
    max_size=12,
    unique_by=lambda row: row.item_id,
)


@given(many, st.randoms())
def test_the_order_of_the_rows_does_not_matter(rows: list[ItemState], random):  # noqa: ANN001
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert next_up(rows, POLICY, EVENING) == next_up(shuffled, POLICY, EVENING)
    assert cards(*rows) == cards(*shuffled)


@given(many, st.data())
def test_a_player_continues_with_a_playable_other_episode(rows: list[ItemState], data: st.DataObject):
    current = data.draw(st.sampled_from(rows)).item_id if rows else ItemId("none")
    found = following(rows, current, POLICY, EVENING)
    assert found is None or (found.available and found.item_id != current)


@given(many)
def test_next_up_is_playable(rows: list[ItemState]):
    found = next_up(rows, POLICY, EVENING)
    assert (found.episode is None) == (found.kind is NextKind.DONE)
    assert found.episode is None or found.episode.available


# The order of a show


def up_to_here(number: str, *rows: ItemState) -> set[str]:
    return {*up_to(rows, ItemId(number), EVENING)}


def test_up_to_here_means_all_regular_episodes_before_and_the_episode_itself():
    rows = [episode(2, 1), episode(1, 2), episode(0, 1), episode(1, 1), episode(2, 2)]
    assert up_to_here("s2e1", *rows) == {"s1e1", "s1e2", "s2e1"}


def test_a_file_with_several_episodes_is_marked_to_its_last():
    rows = [episode(1, 1, episode_end=2), episode(1, 2), episode(1, 3)]
    assert up_to_here("s1e1", *rows) == {"s1e1", "s1e2"}


def test_episodes_that_have_not_aired_are_not_marked_except_the_chosen_one():
    rows = [episode(1, 1, air_date="2030-01-01"), episode(1, 2), episode(1, 3, air_date="2031-01-01")]
    assert up_to_here("s1e3", *rows) == {"s1e2", "s1e3"}


def test_a_special_stands_alone():
    assert up_to_here("s0e2", episode(0, 1), episode(0, 2), episode(1, 1)) == {"s0e2"}


def test_the_neighbours_of_an_episode_are_playable():
    rows = [episode(1, 3), episode(2, 1), episode(1, 2, available=False), episode(1, 1), episode(0, 1)]
    beside = {row.item_id: neighbours(rows, row.item_id) for row in rows}
    assert beside == {
        "s0e1": (None, None),
        "s1e1": (None, "s1e3"),
        "s1e2": ("s1e1", "s1e3"),
        "s1e3": ("s1e1", "s2e1"),
        "s2e1": ("s1e3", None),
    }
    assert [row.item_id for row in in_order(rows)] == ["s0e1", "s1e1", "s1e2", "s1e3", "s2e1"]


def test_a_watched_item_can_be_resumed_only_once_it_is_armed_again():
    facts = ItemFacts()
    assert is_in_progress(movie(), facts, POLICY)
    assert is_in_progress(movie(watched=True), facts, POLICY)
    assert not is_in_progress(movie(watched=True, armed=False), facts, POLICY)
    assert not is_in_progress(movie(position=60), facts, POLICY)


def test_the_rest_of_a_show_is_what_is_not_watched():
    assert EpisodeCounts(12, 5, 6).unwatched == 7
