"""The rules of a report. Worked examples carry their number in docs/semantics.md."""

from hypothesis import given
from hypothesis import strategies as st

from playhead.domain.model import Instant, Milliseconds
from playhead.domain.playback import (
    Decision,
    ItemFacts,
    Policy,
    Progress,
    Reason,
    Report,
    advance,
    completes,
    completion_percentage,
    effective_at,
    resume_position,
)

POLICY = Policy()
ITEM = ItemFacts()
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
EVENING = Instant(1_762_639_200_000)


class Viewer:
    """One user and one item: reports positions in seconds and remembers what came of them."""

    def __init__(self, item: ItemFacts = ITEM) -> None:
        self.item = item
        self.progress: Progress | None = None
        self.plays: list[Instant] = []
        self.now = EVENING

    def report(
        self, position: float, duration: float = 5400, *, after: int = MINUTE, observed: int | None = None
    ) -> Decision:
        self.now = Instant(self.now + after)
        sent = Report(
            Milliseconds(round(position * 1000)),
            Milliseconds(round(duration * 1000)),
            None if observed is None else Instant(observed),
        )
        decision = advance(self.progress, sent, self.item, POLICY, self.now, self.plays)
        self.progress = decision.progress
        if decision.play_at is not None:
            self.plays.append(decision.play_at)
        return decision

    @property
    def stored(self) -> Progress:
        assert self.progress is not None
        return self.progress

    @property
    def resume(self) -> float:
        return resume_position(self.stored, self.item, POLICY) / 1000

    @property
    def percentage(self) -> float:
        return completion_percentage(self.stored.position_ms, self.stored.duration_ms)


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


def test_example_15_a_transcode_that_has_just_begun_is_no_watched_film():
    viewer = Viewer(ItemFacts(runtime_ms=Milliseconds(5_400_000)))
    viewer.report(28, 30)
    assert not viewer.stored.watched
    assert viewer.stored.duration_ms == 5_400_000
    assert viewer.percentage == 0.52


def test_example_16_the_same_report_twice_is_as_once():
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


def test_a_duration_of_nine_tenths_of_the_runtime_is_believed():
    viewer = Viewer(ItemFacts(runtime_ms=Milliseconds(5_400_000)))
    viewer.report(100, 4860)
    assert viewer.stored.duration_ms == 4_860_000
    viewer.report(100, 4859)
    assert viewer.stored.duration_ms == 5_400_000


def test_a_barely_begun_item_starts_at_the_beginning():
    viewer = Viewer()
    viewer.report(119)
    assert viewer.resume == 0
    viewer.report(120)
    assert viewer.resume == 120


def test_of_a_short_item_five_percent_are_enough_to_resume():
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


def test_a_client_clock_that_is_nearly_right_is_left_alone():
    now = Instant(EVENING)
    sent = Report(Milliseconds(1), Milliseconds(2), observed_at=Instant(now - MINUTE), client_now=Instant(now + 2000))
    assert effective_at(sent, POLICY, now) == now - MINUTE


def test_nothing_was_observed_after_it_was_received():
    sent = Report(Milliseconds(1), Milliseconds(2), observed_at=Instant(EVENING + HOUR))
    assert effective_at(sent, POLICY, EVENING) == EVENING


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


instants = st.integers(min_value=0, max_value=2**45).map(Instant)
lengths = st.integers(min_value=1, max_value=10_000_000_000).map(Milliseconds)
positions = st.integers(min_value=0, max_value=10_000_000_000).map(Milliseconds)
reports = st.builds(Report, positions, lengths, st.none() | instants, st.none() | instants)
items = st.builds(ItemFacts, st.none() | lengths, st.none() | positions)
progresses = st.builds(Progress, positions, lengths, st.booleans(), st.booleans(), instants, st.integers(1, 9))


@given(st.none() | progresses, reports, items, instants, st.lists(instants, max_size=3))
def test_no_report_raises_and_none_clears_watched(previous, report, item, now, plays):  # noqa: ANN001
    decision = advance(previous, report, item, POLICY, now, plays)
    assert decision.progress.watched or not (previous and previous.watched)
    assert (
        0
        <= decision.progress.position_ms
        <= max(decision.progress.duration_ms, previous.position_ms if previous else 0)
    )
    assert decision.play_at is None or completes(report, item, POLICY)


@given(st.none() | progresses, reports, items, instants)
def test_every_report_is_idempotent(previous, report, item, now):  # noqa: ANN001
    first = advance(previous, report, item, POLICY, now)
    plays = [] if first.play_at is None else [first.play_at]
    second = advance(first.progress, report, item, POLICY, now, plays)
    assert second.play_at is None
    assert second.progress._replace(version=0) == first.progress._replace(version=0)


@given(progresses, reports, items, instants)
def test_a_late_report_lowers_nothing(previous, report, item, now):  # noqa: ANN001
    decision = advance(previous, report, item, POLICY, now)
    assert not decision.applied or decision.reason is None
    if decision.reason is Reason.LATE:
        after = decision.progress
        assert (after.position_ms, after.duration_ms, after.last_watched_at) == (
            previous.position_ms,
            previous.duration_ms,
            previous.last_watched_at,
        )
        assert after.watched or not previous.watched


@given(st.lists(st.tuples(positions, instants), min_size=1, max_size=6, unique_by=lambda pair: pair[1]), st.randoms())
def test_any_order_of_arrival_ends_in_the_same_position_and_mark(observations, random):  # noqa: ANN001
    def outcome(order: list[tuple[Milliseconds, Instant]]) -> tuple[int, bool]:
        progress: Progress | None = None
        plays: list[Instant] = []
        for position, observed_at in order:
            sent = Report(position, Milliseconds(5_000_000_000), observed_at)
            decision = advance(progress, sent, ITEM, POLICY, Instant(2**45), plays)
            progress = decision.progress
            plays += [] if decision.play_at is None else [decision.play_at]
        assert progress is not None
        return progress.position_ms, progress.watched

    shuffled = list(observations)
    random.shuffle(shuffled)
    assert outcome(shuffled) == outcome(sorted(observations, key=lambda pair: pair[1]))
