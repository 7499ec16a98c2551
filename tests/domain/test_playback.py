"""The rules of a report. Worked examples carry their number in docs/semantics.md."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playhead.domain.model import Instant, Milliseconds
from playhead.domain.playback import (
    Event,
    ItemFacts,
    KeptPoint,
    Progress,
    Reason,
    Report,
    advance,
    completion_percentage,
    concerns_whole_file,
    effective_at,
    in_whole_file,
    resume_position,
    viewing_span,
)
from viewer import DAY, EVENING, HOUR, ITEM, MINUTE, POLICY, SECOND, Viewer, ms


def test_example_1_a_report_in_the_middle_is_resumed_there():
    viewer = Viewer()
    viewer.report(1250)
    assert viewer.percentage == 23.15
    assert not viewer.stored.watched
    assert viewer.resume == 1250


def test_example_2_exactly_90_percent_is_watched_and_resumes_at_the_start():
    viewer = Viewer()
    viewer.report(4860)
    assert viewer.percentage == 90
    assert viewer.stored.watched
    assert len(viewer.plays) == 1
    assert viewer.resume == 0


def test_example_3_a_second_less_is_not_watched():
    viewer = Viewer()
    viewer.report(4859)
    assert viewer.percentage == 89.98
    assert not viewer.stored.watched
    assert viewer.resume == 4859


def test_example_4_threshold_credits_and_end_are_one_play():
    viewer = Viewer()
    for position in (4900, 5000, 5400):
        viewer.report(position)
    assert viewer.stored.watched
    assert len(viewer.plays) == 1


def test_example_5_a_second_viewing_keeps_the_mark_and_can_be_resumed():
    viewer = Viewer()
    viewer.report(4900)
    viewer.report(600, after=DAY)
    viewer.report(3000)
    assert viewer.stored.watched
    assert len(viewer.plays) == 1
    assert viewer.stored.armed
    assert viewer.resume == 3000


def test_example_6_a_second_viewing_to_the_end_is_a_second_play():
    viewer = Viewer()
    viewer.report(4900)
    viewer.report(600, after=DAY)
    viewer.report(4900)
    assert viewer.stored.watched
    assert len(viewer.plays) == 2


def test_example_7_a_jump_back_and_forth_is_no_second_play():
    viewer = Viewer()
    viewer.report(4900)
    viewer.report(600, after=2 * MINUTE)
    viewer.report(4900)
    assert viewer.stored.watched
    assert len(viewer.plays) == 1


def test_example_8_a_late_report_does_not_move_the_position():
    viewer = Viewer()
    viewer.report(3000)
    before = viewer.stored
    decision = viewer.report(900, after=HOUR, observed=before.last_watched_at - HOUR)
    assert (decision.applied, decision.reason) == (False, Reason.LATE)
    assert viewer.stored == before


def test_example_9_a_late_completion_still_counts_at_its_own_time():
    viewer = Viewer()
    viewer.report(3000)
    observed = viewer.stored.last_watched_at - HOUR
    decision = viewer.report(5000, after=HOUR, observed=observed)
    assert not decision.applied
    assert viewer.stored.position_ms == 3_000_000
    assert viewer.stored.watched
    assert viewer.plays == [observed]


def test_example_10_a_late_report_does_not_bring_back_a_mark_that_was_taken_away():
    viewer = Viewer()
    viewer.report(4900, observed=EVENING - 5 * HOUR)
    viewer.unwatch()
    decision = viewer.report(5000, after=HOUR, observed=viewer.now - HOUR)
    assert (decision.applied, decision.reason) == (False, Reason.LATE)
    assert not viewer.stored.watched
    assert viewer.position == 0


def test_example_11_a_player_that_is_switched_off_does_not_erase_the_point():
    viewer = Viewer()
    viewer.report(3000, session="A")
    decision = viewer.report(0, session="A", event=Event.STOP)
    assert (decision.applied, decision.reason) == (False, Reason.BELOW_FLOOR)
    assert viewer.position == 3000
    assert viewer.kept == []


def test_example_12_without_a_session_0_is_stored_and_the_point_kept():
    viewer = Viewer()
    viewer.report(3000, device="TV")
    reached_at = viewer.now
    viewer.report(0)
    assert viewer.position == 0
    assert viewer.kept == [KeptPoint(ms(3000), ms(5400), reached_at, "TV")]


@pytest.mark.parametrize("pause", [10 * SECOND, MINUTE])
def test_example_13_a_forgotten_tab_does_not_drag_the_position_back(pause: int):
    viewer = Viewer()
    viewer.report(1000, session="A")
    viewer.report(0, session="B", event=Event.START, after=pause)
    viewer.report(30, session="B", after=pause)
    decision = viewer.report(1010, session="A", after=pause)
    assert (decision.applied, decision.reason) == (False, Reason.SUPERSEDED)
    assert viewer.stored.session == "B"


def test_example_14_what_a_growing_transcode_completed_is_taken_back():
    viewer = Viewer()
    viewer.report(28, 30, session="A")
    assert viewer.stored.watched
    assert len(viewer.plays) == 1
    viewer.report(60, 300, session="A")
    assert not viewer.stored.watched
    assert viewer.plays == []
    assert viewer.position == 60


def test_example_15_a_transcode_that_has_just_begun_is_no_watched_film():
    viewer = Viewer(ItemFacts(runtime_ms=Milliseconds(5_400_000)))
    viewer.report(28, 30)
    assert not viewer.stored.watched
    assert viewer.stored.duration_ms == 5_400_000
    assert viewer.percentage == 0.52


def test_example_16_the_same_report_twice_counts_once():
    viewer = Viewer()
    viewer.report(4900, observed=EVENING)
    once = viewer.stored
    viewer.report(4900, observed=EVENING)
    assert viewer.stored == once._replace(version=viewer.stored.version)
    assert len(viewer.plays) == 1


def test_a_late_completion_twice_is_one_play():
    viewer = Viewer()
    viewer.report(3000)
    observed = viewer.stored.last_watched_at - HOUR
    viewer.report(5000, observed=observed)
    once = viewer.stored
    viewer.report(5000, observed=observed)
    assert viewer.stored == once
    assert len(viewer.plays) == 1


def test_the_latest_position_wins_backward_too():
    viewer = Viewer()
    viewer.report(3000)
    viewer.report(200)
    assert viewer.stored.position_ms == 200_000


def test_a_position_above_the_duration_is_stored_as_the_duration():
    viewer = Viewer()
    viewer.report(6000)
    assert viewer.stored.position_ms == 5_400_000
    assert viewer.percentage == 100


def test_the_known_start_of_the_credits_completes():
    item = ItemFacts(runtime_ms=Milliseconds(5_400_000), credits_ms=Milliseconds(4_700_000))
    viewer = Viewer(item)
    viewer.report(4699)
    assert not viewer.stored.watched
    viewer.report(4700)
    assert viewer.stored.watched
    assert viewer.resume == 0


def test_a_duration_of_nine_tenths_of_the_runtime_is_trusted():
    viewer = Viewer(ItemFacts(runtime_ms=Milliseconds(5_400_000)))
    viewer.report(100, 4860)
    assert viewer.stored.duration_ms == 4_860_000
    viewer.report(100, 4859)
    assert viewer.stored.duration_ms == 5_400_000


def test_a_barely_started_item_starts_at_the_beginning():
    viewer = Viewer()
    viewer.report(119)
    assert viewer.resume == 0
    viewer.report(120)
    assert viewer.resume == 120


def test_five_percent_of_a_short_item_are_enough_to_resume():
    viewer = Viewer()
    viewer.report(4, 100)
    assert viewer.resume == 0
    viewer.report(5, 100)
    assert viewer.resume == 5


def test_a_wrong_client_clock_is_corrected():
    now = Instant(EVENING)
    sent = Report(
        Milliseconds(1), Milliseconds(2), observed_at=Instant(now + HOUR - MINUTE), client_now=Instant(now + HOUR)
    )
    assert effective_at(sent, POLICY, now) == now - MINUTE


def test_a_client_clock_that_is_nearly_right_is_not_corrected():
    now = Instant(EVENING)
    sent = Report(Milliseconds(1), Milliseconds(2), observed_at=Instant(now - MINUTE), client_now=Instant(now + 2000))
    assert effective_at(sent, POLICY, now) == now - MINUTE


def test_no_observation_is_later_than_its_arrival():
    sent = Report(Milliseconds(1), Milliseconds(2), observed_at=Instant(EVENING + HOUR))
    assert effective_at(sent, POLICY, EVENING) == EVENING


def test_a_report_without_an_observation_time_counts_from_its_arrival():
    assert effective_at(Report(ms(1), ms(2), None, EVENING), POLICY, EVENING) == EVENING


def test_a_server_clock_that_was_set_back_makes_no_report_late():
    viewer = Viewer()
    viewer.report(3000)
    decision = viewer.report(3010, after=-DAY)
    assert decision.applied
    assert viewer.stored.position_ms == 3_010_000


def test_a_watched_item_is_not_played_again_by_a_late_report_of_the_same_viewing():
    viewer = Viewer()
    viewer.report(5000)
    decision = viewer.report(4900, observed=viewer.stored.last_watched_at - MINUTE)
    assert decision.play_at is None
    assert viewer.stored.watched
    assert len(viewer.plays) == 1


def test_the_percentage_is_rounded_half_up_and_never_over_100():
    assert completion_percentage(Milliseconds(1), Milliseconds(20_000)) == 0.01
    assert completion_percentage(Milliseconds(1), Milliseconds(20_001)) == 0
    assert completion_percentage(Milliseconds(3), Milliseconds(2)) == 100


# Rule 2: late


def test_a_late_report_from_before_an_unwatch_changes_nothing_even_if_nothing_newer_was_reported():
    viewer = Viewer()
    viewer.mark(None)
    viewer.unwatch()
    before = viewer.stored
    assert viewer.report(3000, after=HOUR, observed=EVENING - HOUR).progress is before
    assert viewer.report(3000, after=HOUR, observed=viewer.now).applied


def test_a_marked_item_without_any_report_takes_even_an_old_report():
    viewer = Viewer()
    viewer.mark(None)
    assert viewer.report(3000, observed=EVENING - DAY).applied
    assert viewer.position == 3000
    assert viewer.stored.watched


def test_a_late_completion_between_an_unwatch_and_what_is_stored_counts():
    viewer = Viewer()
    viewer.report(100)
    viewer.unwatch()
    viewer.report(3000, after=2 * HOUR)
    decision = viewer.report(5000, observed=viewer.now - HOUR)
    assert decision.reason is Reason.LATE
    assert viewer.stored.watched
    assert viewer.position == 3000


def test_a_batch_that_is_sent_again_changes_nothing():
    viewer = Viewer()
    batch = [(4900, 0), (600, DAY), (4000, DAY + HOUR)]
    for position, at in batch:
        viewer.report(position, after=0, observed=EVENING - 2 * DAY + at)
    once, plays = viewer.stored, list(viewer.plays)
    assert once.armed
    for position, at in batch:
        viewer.report(position, observed=EVENING - 2 * DAY + at)
    assert viewer.stored is once
    assert viewer.plays == plays
    assert viewer.kept == []


def test_a_late_completion_disarms_unless_what_is_stored_lies_under_70_percent():
    high, low = Viewer(), Viewer()
    for viewer, position in ((high, 4000), (low, 3000)):
        viewer.report(position)
        viewer.report(5000, observed=EVENING - DAY)
    assert not high.stored.armed
    assert low.stored.armed


def test_a_completion_does_everything_else_when_there_is_no_room_for_another_play():
    report = Report(ms(5400), ms(5400), session="A")
    decision = advance(None, report, ITEM, POLICY, EVENING, None)
    assert decision.applied
    assert decision.play_at is None
    assert decision.progress.watched
    assert not decision.progress.armed
    assert decision.progress.position_ms == ms(5400)
    assert (decision.progress.completed_at, decision.progress.completed_marked) == (None, True)
    again = advance(decision.progress, report, ITEM, POLICY, Instant(EVENING + DAY), [])
    assert again.play_at is None  # of the same viewing, even if a play was removed meanwhile


def test_a_late_completion_without_room_marks_and_adds_no_play():
    before = advance(None, Report(ms(100), ms(5400)), ITEM, POLICY, EVENING).progress
    late = Report(ms(5400), ms(5400), observed_at=Instant(EVENING - HOUR))
    decision = advance(before, late, ITEM, POLICY, Instant(EVENING + MINUTE), None)
    assert (decision.reason, decision.play_at, decision.progress.watched) == (Reason.LATE, None, True)


# Rule 3: superseded


def test_another_session_takes_over_after_a_minute():
    viewer = Viewer()
    viewer.report(1000, session="A")
    assert viewer.report(2000, session="B", after=MINUTE).reason is Reason.SUPERSEDED
    assert viewer.report(2000, session="B", after=1).applied
    assert viewer.position == 2000


@pytest.mark.parametrize("event", [Event.START, Event.SEEK])
def test_another_session_takes_over_immediately_when_somebody_starts_or_seeks(event: Event):
    viewer = Viewer()
    viewer.report(1000, session="A")
    assert viewer.report(2000, session="B", event=event, after=SECOND).applied
    assert viewer.report(1010, session="A", after=SECOND).reason is Reason.SUPERSEDED
    assert viewer.position == 2000


def test_a_superseded_report_changes_nothing_not_even_by_completing():
    viewer = Viewer()
    viewer.report(1000, session="A")
    before = viewer.stored
    decision = viewer.report(5000, session="B", after=SECOND)
    assert decision.progress is before
    assert viewer.plays == []


def test_a_report_without_a_session_belongs_to_no_other_session():
    viewer = Viewer()
    viewer.report(1000, session="A")
    assert viewer.report(2000, after=SECOND).applied
    assert viewer.report(2010, session="B", after=SECOND).applied


def test_a_session_of_a_clock_that_was_set_back_supersedes_nobody():
    viewer = Viewer()
    viewer.report(1000, session="A")
    assert viewer.report(2000, session="B", after=-DAY).applied


# Rule 4: failed start


def test_a_failed_start_keeps_the_position_and_records_the_session():
    viewer = Viewer()
    viewer.report(3000, session="A", device="TV")
    decision = viewer.report(119, session="B", event=Event.START, device="phone")
    assert decision.reason is Reason.BELOW_FLOOR
    stored = viewer.stored
    assert (viewer.position, stored.duration_ms) == (3000, ms(5400))
    assert (stored.session, stored.device, stored.event) == ("B", "phone", Event.START)
    assert stored.last_watched_at == viewer.now
    assert viewer.send(Report(ms(119), ms(5400), None, None, Event.START, "B", "phone")).progress is stored


def test_watching_on_from_the_beginning_moves_the_position_at_the_floor_and_keeps_the_old_one():
    viewer = Viewer()
    viewer.report(3000, session="A")
    viewer.report(0, session="B", event=Event.START)
    viewer.report(120, session="B")
    assert viewer.position == 120
    assert viewer.kept_positions == [3000]


def test_a_seek_to_the_beginning_is_intentional():
    viewer = Viewer()
    viewer.report(3000, session="A")
    assert viewer.report(0, session="A", event=Event.SEEK).applied
    assert viewer.position == 0
    assert viewer.kept_positions == [3000]


def test_a_new_start_after_the_end_is_not_a_failed_one():
    viewer = Viewer()
    viewer.report(5400, session="A")
    assert viewer.report(0, session="A").applied
    assert viewer.position == 0


# Rule 8: completions that are taken back


def test_a_duration_growth_of_a_tenth_takes_a_completion_back():
    viewer = Viewer()
    viewer.report(95, 100, session="A")
    viewer.report(90, 109.9, session="A")
    assert viewer.stored.watched
    viewer.report(90, 110, session="A")
    assert not viewer.stored.watched
    assert viewer.stored.armed


def test_nothing_is_taken_back_while_the_position_keeps_up_with_the_growth():
    viewer = Viewer()
    for duration in (30, 60, 120):
        viewer.report(duration - 1, duration, session="A")
    assert viewer.stored.watched
    viewer.report(119, 600, session="A")
    assert not viewer.stored.watched
    assert viewer.plays == []


@pytest.mark.parametrize("session", [None, "B"])
def test_only_the_completing_session_can_take_back(session: str | None):
    viewer = Viewer()
    viewer.report(28, 30, session="A")
    viewer.report(60, 300, session=session, event=Event.START)
    assert viewer.stored.watched


def test_a_completion_without_a_session_is_not_taken_back():
    viewer = Viewer()
    viewer.report(28, 30)
    viewer.report(60, 300)
    assert viewer.stored.watched


def test_a_mark_by_hand_is_never_taken_back():
    viewer = Viewer()
    viewer.mark(None)
    viewer.report(2, 30, session="A")
    viewer.report(28, 30, session="A")
    assert len(viewer.plays) == 1
    viewer.report(60, 300, session="A")
    assert viewer.stored.watched
    assert viewer.plays == []
    assert viewer.undated_plays == 1


def test_taking_back_a_second_viewing_leaves_the_first_one():
    viewer = Viewer()
    viewer.report(5400)
    first = list(viewer.plays)
    viewer.report(2, 30, after=DAY, session="A")
    viewer.report(28, 30, session="A")
    assert len(viewer.plays) == 2
    viewer.report(60, 300, session="A")
    assert viewer.stored.watched
    assert viewer.plays == first
    viewer.report(290, 300, after=DAY, session="A")
    assert len(viewer.plays) == 2


def test_an_item_can_be_completed_after_a_completion_was_taken_back():
    viewer = Viewer()
    viewer.report(28, 30, session="A")
    viewer.report(60, 300, session="A")
    viewer.report(4900, 5400, session="A", after=HOUR)
    viewer.report(100, 5400, session="A")
    assert viewer.stored.watched
    assert len(viewer.plays) == 1


def test_a_repeated_report_does_not_restore_a_completion_that_was_taken_back():
    viewer = Viewer()
    viewer.report(28, 30, session="A")
    at = viewer.now
    viewer.report(60, 300, session="A")
    viewer.report(28, 30, session="A", observed=at)
    assert not viewer.stored.watched
    viewer.report(20, 300, session="B", event=Event.START)
    viewer.report(28, 30, session="A", observed=at)
    assert not viewer.stored.watched
    assert viewer.plays == []


def test_a_completion_that_arrives_after_its_refutation_does_not_count():
    viewer = Viewer()
    viewer.report(60, 300, session="A")
    viewer.report(28, 30, session="A", observed=viewer.now - SECOND)
    assert not viewer.stored.watched
    viewer.report(290, 300, session="A", observed=viewer.now - SECOND)
    assert viewer.stored.watched


def test_a_late_completion_can_be_taken_back_by_its_session():
    viewer = Viewer()
    viewer.report(60, 300)
    viewer.report(28, 30, session="A", observed=EVENING - HOUR)
    assert viewer.stored.watched
    viewer.report(80, 300, session="A")
    assert not viewer.stored.watched
    assert viewer.plays == []


def test_the_episodes_of_one_file_are_completed_and_taken_back_together():
    first, second = Viewer(), Viewer()
    for position, duration in ((20, 30), (28, 30), (29, 30), (60, 300), (280, 300)):
        previous = first.progress
        decision = first.report(position, duration, session="A")
        second.now = first.now
        if concerns_whole_file(previous, decision):
            second.report(position, duration, session="A", after=0)
        assert (second.progress is not None and second.stored.watched) == first.stored.watched
        assert second.plays == first.plays


def test_a_second_viewing_of_a_file_is_a_second_play_of_all_its_episodes():
    first, second = Viewer(), Viewer()
    for position in (4900, 600, 4900, 5400):
        previous = first.progress
        decision = first.report(position, after=HOUR)
        second.now = first.now
        if concerns_whole_file(previous, decision):
            second.progress = in_whole_file(second.progress, decision)
            second.report(position, after=0)
    assert len(first.plays) == 2
    assert second.plays == first.plays


def test_taking_back_completions_of_a_file_does_not_arm():
    first = Viewer()
    first.report(28, 30, session="A")
    before = first.stored
    taken_back = first.report(60, 300, session="A")
    assert in_whole_file(before, taken_back) is before


# Rule 9: kept points


def test_a_point_is_kept_when_it_is_left_by_more_than_a_minute():
    viewer = Viewer()
    viewer.report(3000)
    viewer.report(2940)
    assert viewer.kept == []
    viewer.report(2879)
    assert viewer.kept_positions == [2940]


def test_the_point_before_the_completion_is_kept_once():
    viewer = Viewer()
    for position in (3000, 5000, 5100):
        viewer.report(position)
    assert viewer.kept_positions == [3000]


def test_continuing_in_one_session_keeps_nothing_and_another_session_does():
    viewer = Viewer()
    viewer.report(1000, session="A")
    viewer.report(2000, session="A")
    assert viewer.kept == []
    viewer.report(2060, session="B", after=HOUR)
    assert viewer.kept == []
    viewer.report(2121, session="C", after=HOUR)
    assert viewer.kept_positions == [2060]


def test_what_is_not_resumable_is_not_kept():
    viewer = Viewer()
    for position in (119, 0, 5400, 0):
        viewer.report(position)
    assert viewer.kept == []


def test_a_marked_item_has_no_position_to_resume_or_keep():
    viewer = Viewer()
    viewer.mark(EVENING)
    assert viewer.resume == 0
    viewer.report(4900)
    assert viewer.kept == []


def test_a_point_without_a_time_is_not_kept():
    odd = Progress(ms(3000), ms(5400), False, True, None, 1, EVENING)  # noqa: FBT003 - the order of the columns
    assert advance(odd, Report(ms(0), ms(5400)), ITEM, POLICY, EVENING).kept is None


instants = st.integers(min_value=0, max_value=2**45).map(Instant)
lengths = st.integers(min_value=1, max_value=10_000_000_000).map(Milliseconds)
positions = st.integers(min_value=0, max_value=10_000_000_000).map(Milliseconds)
sessions = st.none() | st.sampled_from(["A", "B"])
events = st.none() | st.sampled_from(Event)
reports = st.builds(Report, positions, lengths, st.none() | instants, st.none() | instants, events, sessions, sessions)
items = st.builds(ItemFacts, st.none() | lengths, st.none() | positions)
progresses = st.builds(
    Progress,
    positions,
    st.none() | lengths,
    st.booleans(),
    st.booleans(),
    st.none() | instants,
    st.integers(1, 9),
    instants,
    sessions,
    sessions,
    events,
    st.none() | instants,
    sessions,
    st.none() | lengths,
    st.none() | instants,
    st.booleans(),
)


@given(st.none() | progresses, reports, items, instants, st.lists(instants, max_size=3))
def test_no_report_raises_and_only_rule_8_clears_watched(previous, report, item, now, plays):  # noqa: ANN001
    decision = advance(previous, report, item, POLICY, now, plays)
    after = decision.progress
    span = viewing_span(report, item, POLICY, now)
    assert decision.play_at is None or (span is not None and span.first <= decision.play_at <= span.last)
    matters = [] if span is None else [play for play in plays if span.first <= play <= span.last][:1]
    assert advance(previous, report, item, POLICY, now, matters) == decision
    assert decision.applied == (decision.reason is None)
    if previous is None:
        assert decision.applied
        assert after.version == 1
    else:
        assert after.watched or not previous.watched or report.session == previous.completed_session is not None
        assert after is previous or (after.version, after.changed_at) == (previous.version + 1, now)
    if decision.applied:
        assert after.duration_ms is not None
        assert 0 <= after.position_ms <= after.duration_ms


@given(st.none() | progresses, reports, items, instants)
def test_every_report_is_idempotent(previous, report, item, now):  # noqa: ANN001
    first = advance(previous, report, item, POLICY, now)
    plays = [] if first.play_at is None else [first.play_at]
    second = advance(first.progress, report, item, POLICY, now, plays)
    assert (second.play_at, second.taken_back, second.kept) == (None, None, None)
    assert second.progress is first.progress


@given(progresses, reports, items, instants)
def test_a_report_that_is_not_applied_moves_no_position(previous, report, item, now):  # noqa: ANN001
    decision = advance(previous, report, item, POLICY, now)
    after = decision.progress
    if not decision.applied:
        assert (after.position_ms, after.duration_ms) == (previous.position_ms, previous.duration_ms)
        assert after.watched or not previous.watched
        assert (decision.taken_back, decision.kept) == (None, None)
    if decision.reason is Reason.LATE:
        assert after.last_watched_at == previous.last_watched_at
    if decision.reason is Reason.SUPERSEDED:
        assert after is previous


@given(
    st.lists(st.tuples(positions, lengths, instants), min_size=1, max_size=6, unique_by=lambda each: each[2]),
    items,
    st.randoms(),
)
def test_any_order_of_arrival_ends_in_the_same_position_and_mark(observations, item, random):  # noqa: ANN001
    def outcome(order: list[tuple[Milliseconds, Milliseconds, Instant]]) -> tuple[float, bool]:
        viewer = Viewer(item)
        viewer.now = Instant(2**45)
        for position, duration, observed_at in order:
            viewer.send(Report(position, duration, observed_at))
        return viewer.position, viewer.stored.watched

    shuffled = list(observations)
    random.shuffle(shuffled)
    assert outcome(shuffled) == outcome(sorted(observations, key=lambda each: each[2]))


@given(reports, items)
def test_whether_a_report_completes_agrees_with_its_effect(report, item):  # noqa: ANN001
    after = advance(None, report, item, POLICY, EVENING).progress
    assert (viewing_span(report, item, POLICY, EVENING) is not None) == after.watched
    assert resume_position(after, item, POLICY) in (0, after.position_ms)
