"""Marks by hand, and invariants of any history of reports and marks."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from playhead.domain.marks import UndoStep, is_possible
from playhead.domain.model import Instant, ItemId, Milliseconds
from playhead.domain.playback import (
    MAX_MS,
    NOTHING,
    Event,
    ItemFacts,
    KeptPoint,
    Progress,
    Reason,
    Report,
    effective_at,
    is_resumable,
)
from viewer import DAY, EVENING, HOUR, ITEM, MINUTE, POLICY, SECOND, Viewer, ms

# Watched


def test_an_item_without_progress_can_be_marked_watched():
    viewer = Viewer()
    viewer.mark(EVENING - DAY)
    assert viewer.stored == Progress(
        ms(0), None, watched=True, armed=False, last_watched_at=None, version=1, changed_at=EVENING
    )
    assert viewer.plays == [EVENING - DAY]


def test_a_mark_of_an_unknown_time_adds_an_undated_play():
    viewer = Viewer()
    viewer.mark(None)
    assert viewer.plays == []
    assert viewer.undated_plays == 1


def test_a_mark_cannot_be_in_the_future():
    viewer = Viewer()
    viewer.mark(EVENING + DAY)
    assert viewer.plays == [EVENING]


def test_marking_a_watched_item_changes_nothing_unless_a_new_play_is_requested():
    viewer = Viewer()
    viewer.report(5400)
    assert viewer.mark(viewer.now) is None
    assert viewer.mark(viewer.now, new_play=True) is not None
    assert len(viewer.plays) == 2


def test_a_mark_is_no_activity_and_opens_no_session():
    viewer = Viewer()
    viewer.report(3000, session="A", device="TV", event=Event.PAUSE)
    before = viewer.stored
    viewer.now = Instant(viewer.now + HOUR)
    viewer.mark(viewer.now)
    after = viewer.stored
    assert after.last_watched_at == before.last_watched_at
    assert (after.session, after.device, after.event) == ("A", "TV", Event.PAUSE)
    assert (after.version, after.changed_at) == (2, viewer.now)


def test_a_marked_item_starts_at_the_beginning_and_its_position_is_kept():
    viewer = Viewer()
    viewer.report(3000, device="TV")
    viewer.mark(viewer.now)
    assert viewer.resume == 0
    assert viewer.kept == [KeptPoint(ms(3000), ms(5400), viewer.now, "TV")]


def test_finishing_a_viewing_that_was_marked_is_not_a_second_play():
    viewer = Viewer()
    viewer.report(4800)
    viewer.mark(viewer.now)
    viewer.report(4900, after=HOUR)
    assert len(viewer.plays) == 1


# Unwatched


def test_an_unwatched_item_starts_at_the_beginning_and_keeps_its_plays():
    viewer = Viewer()
    viewer.report(5400)
    last = viewer.stored.last_watched_at
    viewer.now = Instant(viewer.now + HOUR)
    viewer.unwatch()
    after = viewer.stored
    assert (after.watched, after.position_ms, after.unwatched_at, after.last_watched_at) == (False, 0, viewer.now, last)
    assert len(viewer.plays) == 1


def test_an_unwatched_item_can_be_watched_again():
    viewer = Viewer()
    viewer.report(5400)
    viewer.unwatch()
    viewer.report(4900, after=DAY)
    assert viewer.stored.watched
    assert len(viewer.plays) == 2


def test_unmarking_an_item_without_progress_changes_nothing():
    viewer = Viewer()
    assert viewer.unwatch() is None
    assert viewer.progress is None


def test_unmarking_in_the_middle_keeps_the_position():
    viewer = Viewer()
    viewer.report(3000)
    viewer.unwatch()
    assert viewer.position == 0
    assert viewer.kept_positions == [3000]


def test_unmarking_leaves_no_completion_to_take_back():
    viewer = Viewer()
    viewer.report(28, 30, session="A")
    viewer.unwatch()
    viewer.report(60, 300, session="A")
    assert len(viewer.plays) == 1


# Restoring a kept point


def test_a_restored_point_is_the_new_position():
    viewer = Viewer()
    viewer.report(3000)
    viewer.report(5400, after=HOUR, session="A", device="TV")
    viewer.now = Instant(viewer.now + HOUR)
    viewer.restore(viewer.kept[0])
    after = viewer.stored
    assert viewer.resume == 3000
    assert (after.watched, after.armed, after.last_watched_at) == (True, True, viewer.now)
    assert (after.session, after.device, after.event) == (None, None, Event.STOP)
    assert viewer.kept_positions == [3000]


def test_an_earlier_report_does_not_undo_a_restored_point():
    viewer = Viewer()
    viewer.report(3000)
    viewer.report(200)
    viewer.now = Instant(viewer.now + HOUR)
    viewer.restore(viewer.kept[0])
    assert viewer.report(300, observed=viewer.now - MINUTE).reason is Reason.LATE
    assert viewer.position == 3000


def test_restoring_a_point_keeps_the_current_one_unless_it_is_the_same():
    viewer = Viewer()
    viewer.report(3000)
    viewer.report(200)
    viewer.restore(viewer.kept[0])
    assert viewer.kept_positions == [3000, 200]
    viewer.restore(viewer.kept[0])
    assert viewer.kept_positions == [3000, 200]


def test_restoring_a_point_near_the_end_does_not_arm():
    viewer = Viewer()
    viewer.report(4800)
    viewer.report(5400)
    viewer.restore(viewer.kept[0])
    assert viewer.position == 4800
    assert not viewer.stored.armed


def test_a_point_can_be_restored_when_nothing_else_is_known():
    viewer = Viewer()
    viewer.restore(KeptPoint(ms(3000), ms(5400), EVENING, None))
    assert (viewer.resume, viewer.stored.version, viewer.kept) == (3000, 1, [])


# Undoing


def undo_of(viewer: Viewer, before: Progress | None) -> UndoStep:
    return UndoStep(ItemId("movie"), before, viewer.stored.version)


def test_undoing_a_mark_restores_what_was_there():
    viewer = Viewer()
    viewer.report(5400)
    viewer.report(3000, session="A", device="TV", event=Event.PAUSE)
    before = viewer.stored
    viewer.unwatch()
    viewer.now = Instant(viewer.now + MINUTE)
    assert viewer.undo(undo_of(viewer, before))
    assert viewer.stored == before._replace(version=before.version + 2, changed_at=viewer.now)


def test_undoing_a_mark_on_an_untouched_item_leaves_no_state():
    viewer = Viewer()
    viewer.mark(viewer.now)
    assert viewer.undo(undo_of(viewer, None))
    assert viewer.stored == NOTHING._replace(version=2, changed_at=viewer.now)


def test_later_reports_survive_an_undo():
    viewer = Viewer()
    viewer.report(3000)
    before = viewer.stored
    viewer.mark(viewer.now)
    undo = undo_of(viewer, before)
    viewer.report(600)
    after = viewer.stored
    assert not viewer.undo(undo)
    assert viewer.stored == after
    assert not Viewer().undo(undo)


REPORTED = Progress(
    ms(3000), ms(5400), watched=True, armed=True, last_watched_at=EVENING, version=3, changed_at=EVENING
)
COMPLETED = REPORTED._replace(completed_session="A", completed_duration_ms=ms(5400), completed_at=EVENING)


@pytest.mark.parametrize("progress", [NOTHING, REPORTED, COMPLETED, COMPLETED._replace(completed_marked=True)])
def test_every_state_that_the_rules_produce_is_valid(progress: Progress):
    assert is_possible(progress, EVENING)


@pytest.mark.parametrize(
    "progress",
    [
        REPORTED._replace(position_ms=ms(-1)),
        REPORTED._replace(position_ms=ms(5401)),
        REPORTED._replace(duration_ms=ms(0), position_ms=ms(0)),
        REPORTED._replace(duration_ms=Milliseconds(MAX_MS + 1)),
        REPORTED._replace(duration_ms=None),
        REPORTED._replace(last_watched_at=None),
        REPORTED._replace(duration_ms=None, last_watched_at=None),
        REPORTED._replace(last_watched_at=Instant(EVENING + 1)),
        REPORTED._replace(last_watched_at=Instant(-1)),
        REPORTED._replace(unwatched_at=Instant(EVENING + 1)),
        REPORTED._replace(completed_at=EVENING),
        REPORTED._replace(completed_marked=True),
        REPORTED._replace(completed_session="A"),
        REPORTED._replace(completed_duration_ms=ms(5400)),
        COMPLETED._replace(completed_duration_ms=ms(0)),
        COMPLETED._replace(completed_duration_ms=Milliseconds(MAX_MS + 1)),
        COMPLETED._replace(completed_marked=True, watched=False),
    ],
)
def test_a_state_that_the_rules_never_produce_is_invalid(progress: Progress):
    assert not is_possible(progress, EVENING)


# Any history


class History(RuleBasedStateMachine):
    """Players report from several sessions and devices, out of order, twice and with wrong clocks; people mark."""

    def __init__(self) -> None:
        super().__init__()
        self.viewer = Viewer()
        self.sent: list[Report] = []
        self.by_hand = False

    @initialize(item=st.sampled_from([ITEM, ItemFacts(ms(5400), ms(4800))]))
    def choose(self, item: ItemFacts) -> None:
        self.viewer.item = item

    def send(self, report: Report) -> None:
        viewer = self.viewer
        before = viewer.progress
        decision = viewer.send(report)  # finds the play that is taken back, or raises
        after = decision.progress
        if before is not None:
            assert after is before or (after.version, after.changed_at) == (before.version + 1, viewer.now)
            if before.watched and not after.watched:
                assert decision.applied
                assert report.session == before.completed_session is not None
                assert not self.by_hand
            assert decision.play_at is None or before.armed
            if decision.reason is Reason.LATE:
                assert after[:2] == before[:2]
                assert after[4] == before[4]
                assert after.watched or not before.watched
                if before.unwatched_at is not None and effective_at(report, POLICY, viewer.now) <= before.unwatched_at:
                    assert after is before
        again = viewer.send(report)
        assert again.progress is after
        assert (again.play_at, again.taken_back, again.kept) == (None, None, None)
        self.sent.append(report)

    @rule(hours=st.integers(-2, 30), seconds=st.integers(0, 200))
    def wait(self, hours: int, seconds: int) -> None:
        self.viewer.now = Instant(self.viewer.now + hours * HOUR + seconds * SECOND)

    @rule(
        position=st.sampled_from([0, 28, 60, 119, 120, 600, 1500, 3000, 3700, 4000, 4859, 4860, 5400, 6000]),
        duration=st.sampled_from([30, 300, 5400, 6000]),
        delay=st.none() | st.sampled_from([0, SECOND, 30 * SECOND, MINUTE, 10 * MINUTE, HOUR, DAY, -MINUTE]),
        skew=st.none() | st.sampled_from([0, DAY, -3 * SECOND]),
        event=st.none() | st.sampled_from(Event),
        session=st.none() | st.sampled_from("ABC"),
        device=st.none() | st.sampled_from(["TV", "phone"]),
    )
    def report(
        self,
        position: int,
        duration: int,
        delay: int | None,
        skew: int | None,
        event: Event | None,
        session: str | None,
        device: str | None,
    ) -> None:
        now = self.viewer.now
        clock = None if skew is None else Instant(now + skew)
        observed = None if delay is None else Instant(now + (skew or 0) - delay)
        self.send(Report(ms(position), ms(duration), observed, clock, event, session, device))

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        self.send(data.draw(st.sampled_from(self.sent)))

    @rule(ago=st.none() | st.sampled_from([0, HOUR, -HOUR]), new_play=st.booleans())
    def mark(self, ago: int | None, *, new_play: bool) -> None:
        before = self.viewer.progress
        marked = self.viewer.mark(None if ago is None else self.viewer.now - ago, new_play=new_play)
        assert (marked is None) == (before is not None and before.watched and not new_play)
        assert self.viewer.stored.watched
        self.by_hand = self.by_hand or marked is not None

    @rule()
    def unwatch(self) -> None:
        before = list(self.viewer.plays)
        self.viewer.unwatch()
        assert self.viewer.plays == before
        assert self.viewer.progress is None or not self.viewer.stored.watched
        self.by_hand = False

    @rule(is_watched=st.booleans())
    def mark_and_take_back(self, *, is_watched: bool) -> None:
        viewer = self.viewer
        before, plays, kept, by_hand = viewer.progress, list(viewer.plays), list(viewer.kept), self.by_hand
        marked = viewer.mark(viewer.now) if is_watched else viewer.unwatch()
        if marked is None:
            return
        assert viewer.undo(undo_of(viewer, before))
        known = before or NOTHING
        assert viewer.stored == known._replace(version=known.version + 2, changed_at=viewer.now)
        viewer.plays, viewer.kept, self.by_hand = plays, kept, by_hand

    @precondition(lambda self: self.viewer.kept)
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        watched = self.viewer.stored.watched
        point = data.draw(st.sampled_from(self.viewer.kept))
        self.viewer.restore(point)
        assert self.viewer.resume * 1000 == point.position_ms
        assert self.viewer.stored.watched == watched

    @rule(really=st.sampled_from([False, False, False, True]))
    def forget(self, *, really: bool) -> None:
        if not really:
            return
        now, self.viewer = self.viewer.now, Viewer(self.viewer.item)
        self.viewer.now = now
        self.by_hand = False

    @invariant()
    def what_is_stored_makes_sense(self) -> None:
        viewer = self.viewer
        stored = viewer.progress
        if stored is not None:
            assert (stored.duration_ms is None) == (stored.last_watched_at is None)
            assert 0 <= stored.position_ms <= (stored.duration_ms or 0)
            assert stored.watched or stored.armed
            times = (stored.last_watched_at, stored.unwatched_at, stored.completed_at, viewer.now)
            assert is_possible(stored, max(time for time in times if time is not None))

    @invariant()
    def every_kept_point_can_be_gone_back_to(self) -> None:
        for point in self.viewer.kept:
            assert is_resumable(point.position_ms, point.duration_ms, self.viewer.item, POLICY)


TestHistory = History.TestCase
TestHistory.settings = settings(max_examples=150, stateful_step_count=50)
