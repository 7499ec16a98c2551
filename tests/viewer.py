"""One user and one item, for tests of the rules: takes reports and marks, keeps progress, plays and kept points."""

from playhead.domain.marks import MarkDecision, UndoStep, mark_watched, restore, take_back, unwatch
from playhead.domain.model import Instant, Milliseconds
from playhead.domain.playback import (
    Decision,
    Event,
    ItemFacts,
    KeptPoint,
    Policy,
    Progress,
    Report,
    advance,
    completion_percentage,
    resume_position,
)

POLICY = Policy()
ITEM = ItemFacts()
SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
EVENING = Instant(1_762_639_200_000)


def ms(seconds: float) -> Milliseconds:
    return Milliseconds(round(seconds * 1000))


class Viewer:
    """Reports positions in seconds, by default a minute after the last one, and keeps the outcome."""

    def __init__(self, item: ItemFacts = ITEM) -> None:
        self.item = item
        self.progress: Progress | None = None
        self.plays: list[Instant] = []
        self.undated_plays = 0
        self.kept: list[KeptPoint] = []
        self.now = EVENING

    def report(
        self,
        position: float,
        duration: float = 5400,
        *,
        after: int = MINUTE,
        observed: int | None = None,
        session: str | None = None,
        event: Event | None = None,
        device: str | None = None,
    ) -> Decision:
        self.now = Instant(self.now + after)
        at = None if observed is None else Instant(observed)
        return self.send(Report(ms(position), ms(duration), at, None, event, session, device))

    def send(self, report: Report) -> Decision:
        decision = advance(self.progress, report, self.item, POLICY, self.now, self.plays)
        self.progress = decision.progress
        if decision.play_at is not None:
            self.plays.append(decision.play_at)
        if decision.taken_back is not None:
            self.plays.remove(decision.taken_back)
        if decision.kept is not None:
            self.kept.append(decision.kept)
        return decision

    def mark(self, watched_at: int | None, *, new_play: bool = False) -> MarkDecision | None:
        at = None if watched_at is None else Instant(watched_at)
        return self._take(mark_watched(self.progress, self.item, POLICY, self.now, at, new_play=new_play))

    def unwatch(self) -> MarkDecision | None:
        return self._take(unwatch(self.progress, self.item, POLICY, self.now))

    def restore(self, point: KeptPoint) -> MarkDecision:
        marked = restore(self.progress, point, self.item, POLICY, self.now)
        self._take(marked)
        return marked

    def undo(self, undo: UndoStep) -> bool:
        """Undo the progress of a mark; False if something has changed it since."""
        progress = take_back(self.progress, undo, self.now)
        self.progress = progress or self.progress
        return progress is not None

    def _take(self, marked: MarkDecision | None) -> MarkDecision | None:
        if marked is not None:
            self.progress = marked.progress
            if marked.adds_play and marked.play_at is None:
                self.undated_plays += 1
            if marked.play_at is not None:
                self.plays.append(marked.play_at)
            if marked.kept is not None:
                self.kept.append(marked.kept)
        return marked

    @property
    def stored(self) -> Progress:
        assert self.progress is not None
        return self.progress

    @property
    def position(self) -> float:
        return self.stored.position_ms / 1000

    @property
    def resume(self) -> float:
        return resume_position(self.stored, self.item, POLICY) / 1000

    @property
    def percentage(self) -> float:
        assert self.stored.duration_ms is not None
        return completion_percentage(self.stored.position_ms, self.stored.duration_ms)

    @property
    def kept_positions(self) -> list[float]:
        return [point.position_ms / 1000 for point in self.kept]
