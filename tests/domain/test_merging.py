"""Merging one user's state of two items."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from playhead.domain.lists import ListState
from playhead.domain.merging import Play, StoredPoint, TitleState, merge_states, progress_of, title_state
from playhead.domain.model import Instant, ItemId, Milliseconds
from playhead.domain.playback import NOTHING, ItemFacts, KeptPoint, Progress
from viewer import POLICY

FILM = ItemFacts(Milliseconds(6_000_000))
HOUR = 3_600_000


def reported(position_s: int, at: int, duration_s: int = 6000, **members: object) -> Progress:
    progress = NOTHING._replace(
        position_ms=Milliseconds(position_s * 1000),
        duration_ms=Milliseconds(duration_s * 1000),
        last_watched_at=Instant(at),
        version=1,
        changed_at=Instant(at),
    )
    return progress._replace(**members)


def marked(**members: object) -> Progress:
    return NOTHING._replace(version=1, watched=True, armed=False)._replace(**members)


def state(
    origin: str,
    progress: Progress | None = None,
    plays: list[tuple[str, int | None, str]] | None = None,
    points: list[StoredPoint] | None = None,
    lists: ListState | None = None,
) -> TitleState:
    rows = [Play(id_, None if at is None else Instant(at), source) for id_, at, source in plays or []]
    return title_state(ItemId(origin), progress, rows, points or [], lists or ListState())


def merged(*states: TitleState) -> TitleState:
    result = states[0]
    for other in states[1:]:
        result = merge_states(result, other, FILM, POLICY)
    return result


def result(*states: TitleState) -> Progress:
    progress = progress_of(merged(*states))
    assert progress is not None
    return progress


def test_the_later_position_stays_and_the_other_resumable_one_is_kept() -> None:
    earlier, later = state("a", reported(3000, 1 * HOUR)), state("b", reported(1200, 2 * HOUR, session="tv"))
    both = merged(earlier, later)
    progress = progress_of(both)
    assert progress is not None
    assert (progress.position_ms, progress.session, progress.last_watched_at) == (1_200_000, "tv", 2 * HOUR)
    assert {each.point.position_ms for each in both.points} == {3_000_000}


def test_a_later_position_under_the_floor_does_not_replace_one_beyond_it() -> None:
    assert result(state("a", reported(3000, 1 * HOUR)), state("b", reported(5, 2 * HOUR))).position_ms == 3_000_000


def test_a_mark_without_a_report_does_not_replace_a_position_but_marks_the_title() -> None:
    both = result(state("a", reported(3000, 1 * HOUR)), state("b", marked(), [("p", 2 * HOUR, "marked")]))
    assert (both.position_ms, both.watched, both.armed) == (3_000_000, True, False)


def test_of_positions_of_the_same_moment_the_lower_original_id_stays() -> None:
    one, other = state("a", reported(3000, HOUR)), state("b", reported(2000, HOUR))
    assert result(one, other).position_ms == result(other, one).position_ms == 3_000_000


def test_a_state_merged_with_nothing_stays() -> None:
    watched = state("a", reported(5900, HOUR, watched=True, armed=False), [("p", HOUR, "automatic")])
    assert merged(watched, state("b")) == merged(state("b"), watched) == watched
    assert progress_of(watched) == watched.progress
    assert progress_of(merged(state("a"), state("b"))) is None


def test_the_later_of_completion_and_unwatching_decides() -> None:
    watched = reported(5900, HOUR, watched=True, armed=False)
    completed = state("a", watched, [("p", HOUR, "automatic")])
    unwatched_before = state("b", NOTHING._replace(version=2, unwatched_at=Instant(HOUR - 1)))
    unwatched_after = state("b", NOTHING._replace(version=2, unwatched_at=Instant(HOUR)))
    assert result(completed, unwatched_before).watched
    after = result(completed, unwatched_after)
    assert (after.watched, after.armed, after.unwatched_at) == (False, True, HOUR)


def test_watched_at_an_unknown_time_is_later_than_the_unwatching_before_it() -> None:
    again = state("a", marked(unwatched_at=Instant(HOUR)))
    assert result(again, state("b", NOTHING._replace(version=2, unwatched_at=Instant(HOUR)))).watched
    assert not result(again, state("b", NOTHING._replace(version=2, unwatched_at=Instant(HOUR + 1)))).watched


def test_a_second_viewing_under_way_goes_on() -> None:
    again = state("a", reported(600, 3 * HOUR, watched=True, armed=True), [("p", HOUR, "automatic")])
    other = state("b", reported(5900, 2 * HOUR, watched=True, armed=False), [("q", 2 * HOUR, "automatic")])
    progress = result(again, other)
    assert (progress.position_ms, progress.watched, progress.armed) == (600_000, True, True)


def test_a_completion_is_not_taken_back_from_a_title_that_was_completed_later_elsewhere() -> None:
    played = reported(
        5900,
        2 * HOUR,
        watched=True,
        armed=False,
        completed_session="tv",
        completed_duration_ms=Milliseconds(6_000_000),
        completed_at=Instant(2 * HOUR),
        completed_marked=True,
    )
    tv = state("a", played, [("p", 2 * HOUR, "automatic")])
    assert result(tv, state("b", reported(100, HOUR))).completed_marked
    elsewhere = state("b", marked(), [("q", 3 * HOUR, "marked")])
    assert not result(tv, elsewhere).completed_marked


def test_plays_of_one_moment_are_one_and_a_person_outranks_a_report() -> None:
    both = merged(
        state("a", None, [("a", HOUR, "automatic"), ("c", None, "imported")]),
        state("b", None, [("b", HOUR, "imported"), ("c", None, "imported"), ("d", None, "imported")]),
    )
    assert {play.id for play in both.plays} == {"b", "c", "d"}


def test_kept_points_are_united_and_the_newest_stay() -> None:
    points = [
        StoredPoint(f"{number:02}", KeptPoint(Milliseconds(300_000), Milliseconds(6_000_000), Instant(number), "tv"))
        for number in range(30)
    ]
    both = merged(state("a", points=points[:20]), state("b", points=points[15:]))
    assert sorted(each.id or "" for each in both.points) == [f"{number:02}" for number in range(10, 30)]


def test_the_same_report_on_both_sides_leaves_no_point() -> None:
    twice = reported(3000, HOUR, session="tv")
    assert not merged(state("a", twice), state("b", twice)).points


def test_later_decisions_about_the_card_stay() -> None:
    one = state("a", lists=ListState(Instant(5), None, Instant(1)))
    other = state("b", lists=ListState(Instant(3), Instant(9), None))
    assert merged(one, other).lists == ListState(Instant(5), Instant(9), Instant(1))


def test_version_and_time_of_change_are_the_higher_ones() -> None:
    one = state("a", reported(3000, 2 * HOUR, version=3, changed_at=Instant(7)))
    other = state("b", reported(2000, HOUR, version=9, changed_at=Instant(4)))
    assert (result(one, other).version, result(one, other).changed_at) == (9, 7)


# Few values, so that moments, ids and positions meet.
_moments = st.integers(0, 5).map(Instant)
_maybe = st.none() | _moments
_progress = st.builds(
    Progress,
    position_ms=st.sampled_from([0, 1000, 3_000_000, 5_900_000]).map(Milliseconds),
    duration_ms=st.sampled_from([None, Milliseconds(6_000_000)]),
    watched=st.booleans(),
    armed=st.booleans(),
    last_watched_at=_maybe,
    version=st.integers(1, 3),
    changed_at=_moments,
    session=st.sampled_from([None, "tv"]),
    unwatched_at=_maybe,
    completed_at=_maybe,
    completed_marked=st.booleans(),
)
_plays = st.lists(
    st.builds(Play, st.sampled_from("abc"), _maybe, st.sampled_from(["automatic", "marked", "imported"])), max_size=3
)
_points = st.lists(
    st.builds(
        StoredPoint,
        st.sampled_from([None, "a", "b"]),
        st.builds(
            KeptPoint,
            st.sampled_from([1000, 3_000_000]).map(Milliseconds),
            st.just(Milliseconds(6_000_000)),
            _moments,
            st.sampled_from([None, "tv"]),
        ),
    ),
    max_size=3,
)
_states = st.builds(
    title_state,
    st.sampled_from("abc").map(ItemId),
    st.none() | _progress,
    _plays,
    _points,
    st.builds(ListState, _maybe, _maybe, _maybe),
)


@given(_states, _states, _states)
def test_neither_order_nor_repetition_of_merges_matters(one: TitleState, two: TitleState, three: TitleState) -> None:
    assert merged(one, one) == one
    assert len({merged(*order) for order in permutations((one, two, three))}) == 1
    together = merged(one, two, three)
    assert merge_states(one, merged(two, three), FILM, POLICY) == together
    assert merged(together, two) == together
