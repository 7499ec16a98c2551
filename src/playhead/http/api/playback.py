"""Playback progress: the four frozen routes, and what they are benchmarked against."""

from asyncio import Future
from typing import Annotated, Literal

from msgspec import Meta, Struct

from playhead.domain.accounts import Principal
from playhead.domain.model import Instant, ItemId, ItemKind, Milliseconds, canonical_id, instant_of
from playhead.domain.playback import Decision, Event, FrozenProgress, Progress, Report
from playhead.errors import not_found
from playhead.http.api.formats import MAX_SECONDS, ProgressAnswer, Text, Time, progress_answer
from playhead.http.route import Awaited, Call
from playhead.services.access import NOT_FOUND
from playhead.services.playback import Playback, SaveLookup, progress_of


class SaveRequest(Struct):
    """A report: where the player is, in how much, in seconds."""

    position_seconds: Annotated[float, Meta(ge=0, le=MAX_SECONDS)]
    duration_seconds: Annotated[float, Meta(gt=0, le=MAX_SECONDS)]
    event: Literal["start", "progress", "pause", "seek", "stop"] | None = None
    session_id: Text | None = None
    device: Text | None = None
    file_id: Text | None = None
    observed_at: Time | None = None
    client_now: Time | None = None


class PlaybackRoutes:
    """The endpoints of one kind of item: `movie` or `episode`."""

    def __init__(self, playback: Playback, kind: ItemKind) -> None:
        self._playback = playback
        self._kind = kind

    async def read(self, call: Call) -> ProgressAnswer:
        """Answer the caller's progress of the item."""
        user = call.user
        return progress_answer(await self._playback.read(user.user_id, user.role, self._kind, self._item_id(call)))

    async def save(self, call: Call) -> ProgressAnswer:
        """Save a report and answer the progress after it. The answer leaves when the report is durable."""
        report = report_of(await call.json(SaveRequest))
        return _progress_after(await self._playback.save(call.user.user_id, self._kind, self._item_id(call), report))

    def read_at_once(self, user: Principal, parameter: str, _: None) -> ProgressAnswer | Awaited:
        """Do what `read` does, for `AtOnce`."""
        found = self._playback.read_at_once(user.user_id, user.role, self._kind, self._require_id(parameter))
        return Awaited(found, self._show_known) if isinstance(found, Future) else progress_answer(found)

    def save_at_once(self, user: Principal, parameter: str, request: SaveRequest) -> Awaited:
        """Do what `save` does, for `AtOnce`."""
        report, item_id = report_of(request), self._require_id(parameter)
        return Awaited(self._playback.save(user.user_id, self._kind, item_id, report), _progress_after)

    def _show_known(self, known: SaveLookup | None) -> ProgressAnswer:
        return progress_answer(progress_of(known, self._kind))

    def _item_id(self, call: Call) -> ItemId:
        return self._require_id(call.parameters["id"])

    def _require_id(self, parameter: str) -> ItemId:
        item_id = canonical_id(parameter)
        if item_id is None:
            raise not_found(NOT_FOUND[self._kind])
        return ItemId(item_id)


async def read_noop(_: Call) -> ProgressAnswer:
    """Make an answer like a read's, without the store: what the benchmark compares reads with."""
    return progress_answer(_NOOP)


async def save_noop(call: Call) -> ProgressAnswer:
    """Decode and check a report and answer like a save, without the store: what the benchmark compares saves with."""
    report = report_of(await call.json(SaveRequest))
    return progress_answer(
        Progress(report.position_ms, report.duration_ms, False, True, _THEN, 1, _THEN)  # noqa: FBT003
    )


def report_of(request: SaveRequest) -> Report:
    """Convert a checked request to whole milliseconds. A duration that rounds to nothing is the shortest there is."""
    return Report(
        Milliseconds(round(request.position_seconds * 1000)),
        Milliseconds(max(1, round(request.duration_seconds * 1000))),
        None if request.observed_at is None else instant_of(request.observed_at),
        None if request.client_now is None else instant_of(request.client_now),
        None if request.event is None else Event(request.event),
        request.session_id,
        request.device,
    )


def _progress_after(decision: Decision) -> ProgressAnswer:
    return progress_answer(decision.progress)


_THEN = Instant(1_762_639_200_000)
_NOOP = FrozenProgress(Milliseconds(1_250_000), Milliseconds(5_400_000), False, _THEN)  # noqa: FBT003
