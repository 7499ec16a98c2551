"""Playback progress: the four frozen routes, and their no-op twins for benchmarks."""

from asyncio import Future
from typing import Annotated, Literal

from msgspec import Meta, Struct

from playhead.domain.accounts import Principal
from playhead.domain.model import Instant, ItemKind, Milliseconds, instant_of
from playhead.domain.playback import Decision, Event, FrozenProgress, Progress, Report, read_label
from playhead.http.api.formats import MAX_SECONDS, ProgressAnswer, Text, Time, progress_answer
from playhead.http.route import Call, Pending, require_item_id
from playhead.services.playback import Playback

Label = Annotated[str, Meta(description="Truncated at 200 characters; an empty one is ignored.")]


class SaveRequest(Struct):
    """A report: position and duration, in seconds. `file_id`: the file that plays; an unknown one is ignored."""

    position_seconds: Annotated[float, Meta(ge=0, le=MAX_SECONDS)]
    duration_seconds: Annotated[float, Meta(gt=0, le=MAX_SECONDS)]
    event: Literal["start", "progress", "pause", "seek", "stop"] | None = None
    session_id: Text | None = None
    device: Text | None = None
    file_id: Label | None = None
    observed_at: Time | None = None
    client_now: Time | None = None


class PlaybackRoutes:
    """The endpoints of one kind of item: `movie` or `episode`."""

    def __init__(self, playback: Playback, kind: ItemKind) -> None:
        self._playback = playback
        self._kind = kind

    def read(self, user: Principal, parameter: str, _: None) -> ProgressAnswer | Pending[ProgressAnswer]:
        """Return the caller's progress of the item."""
        found = self._playback.read_nowait(user.user_id, user.role, self._kind, require_item_id(parameter, self._kind))
        return Pending(found, _progress_read) if isinstance(found, Future) else progress_answer(found)

    def save(self, user: Principal, parameter: str, request: SaveRequest) -> Pending[ProgressAnswer]:
        """Save a report and return the progress after it. The response is sent once the report is durable."""
        report, item_id = report_of(request), require_item_id(parameter, self._kind)
        return Pending(self._playback.save(user.user_id, self._kind, item_id, report), _progress_saved)


async def read_noop(_: Call) -> ProgressAnswer:
    """Answer like a read, without the store: the baseline for benchmarks of reads."""
    return progress_answer(_NOOP)


async def save_noop(call: Call) -> ProgressAnswer:
    """Decode and validate a report and answer like a save, without the store: the baseline for benchmarks of saves."""
    report = report_of(await call.json(SaveRequest))
    return progress_answer(
        Progress(report.position_ms, report.duration_ms, False, True, _THEN, 1, _THEN)  # noqa: FBT003
    )


def report_of(request: SaveRequest) -> Report:
    """Convert a validated request to whole milliseconds. A duration that rounds to 0 becomes 1 ms."""
    return Report(
        Milliseconds(round(request.position_seconds * 1000)),
        Milliseconds(max(1, round(request.duration_seconds * 1000))),
        None if request.observed_at is None else instant_of(request.observed_at),
        None if request.client_now is None else instant_of(request.client_now),
        None if request.event is None else Event(request.event),
        request.session_id,
        request.device,
        file_id=read_label(request.file_id),
    )


def _progress_read(future: "Future[Progress | FrozenProgress | None]") -> ProgressAnswer:
    return progress_answer(future.result())


def _progress_saved(future: "Future[Decision]") -> ProgressAnswer:
    return progress_answer(future.result().progress)


_THEN = Instant(1_762_639_200_000)
_NOOP = FrozenProgress(Milliseconds(1_250_000), Milliseconds(5_400_000), False, _THEN)  # noqa: FBT003
