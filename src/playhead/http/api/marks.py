"""Marks over HTTP: the whole watch state of an item, watched and unwatched, plays, kept points; and forgetting."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from playhead.domain.catalogue import FileFacts
from playhead.domain.model import EARLIEST, ItemKind, Milliseconds, instant_of
from playhead.http.api.catalogue import Cursor, Limit
from playhead.http.api.formats import Time, progress_answer, seconds, time_text
from playhead.http.bodies import decode
from playhead.http.route import Call
from playhead.services.catalogue import LIMIT_MAX
from playhead.services.marks import Mark, Marks, WatchState

UuidText = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
TimeText = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


class WatchedRequest(Struct):
    """When it was watched: a time, null if unknown, or omitted for now. The whole body may be omitted.

    `new_play`: add a play even if the item is already watched.
    """

    watched_at: Time | UnsetType | None = UNSET
    new_play: bool = False


class FileStartAnswer(Struct):
    """Where a file starts when the item is resumed, in its own time; null for parts that are not played first."""

    id: UuidText
    part: int | None
    resume_position_seconds: int | float | None


class StateAnswer(Struct):
    """The caller's whole state of an item. If nothing is saved, `version` is 0.

    `session` and `device` are the active ones, of the last report that named them. `last_played_at` is the time of the
    latest dated play. `hidden`: off continue watching until the next activity; an episode's card is its show's.
    `files`: those that the caller may see.
    """

    position_seconds: int | float
    duration_seconds: int | float | None
    completion_percentage: int | float
    watched: bool
    last_watched_at: TimeText | None
    resume_position_seconds: int | float
    play_count: int
    last_played_at: TimeText | None
    session: str | None
    device: str | None
    hidden: bool
    version: int
    files: list[FileStartAnswer]


class ChangedAnswer(Struct):
    """How many episodes were changed."""

    changed: int


class PlaysQuery(Struct):
    """The page of the plays to return."""

    cursor: Cursor | None = None
    limit: Limit = LIMIT_MAX


class PlayAnswer(Struct):
    """One completed viewing; `watched_at` is null if unknown. `source` is what added it."""

    id: UuidText
    watched_at: TimeText | None
    source: Annotated[str, Meta(extra_json_schema={"enum": ["automatic", "marked", "imported"]})]


class PlaysAnswer(Struct):
    """A page of the plays of an item, newest first, undated ones last; `next_cursor` is null at the end."""

    items: list[PlayAnswer]
    next_cursor: str | None


class PositionAnswer(Struct):
    """A kept point. `kept_at` is when that position had been reached."""

    id: UuidText
    position_seconds: int | float
    kept_at: TimeText
    device: str | None


class PositionsAnswer(Struct):
    """The kept points of an item, newest first. `next_cursor` is always null."""

    items: list[PositionAnswer]
    next_cursor: None = None


class MarkRoutes:
    """The endpoints of one kind of item: `movie` or `episode`."""

    def __init__(self, marks: Marks, kind: ItemKind) -> None:
        self._marks = marks
        self._kind = kind

    async def read(self, call: Call) -> StateAnswer:
        """Return the caller's whole state of the item."""
        return _state_answer(await self._marks.read(call.user.user_id, self._kind, call.item_id(self._kind)))

    async def forget(self, call: Call) -> None:
        """Remove the caller's progress, plays and kept points of the item, if there are any."""
        await self._marks.forget(call.user.user_id, self._kind, call.item_id(self._kind))

    async def mark(self, call: Call) -> StateAnswer:
        """Mark the item as watched and reset its position. Changes nothing if it is already watched."""
        mark = await _mark(call)
        return _state_answer(await self._marks.mark(call.user.user_id, self._kind, call.item_id(self._kind), mark))

    async def unwatch(self, call: Call) -> StateAnswer:
        """Remove the mark and the position; the plays stay."""
        return _state_answer(await self._marks.mark(call.user.user_id, self._kind, call.item_id(self._kind), None))

    async def list_plays(self, call: Call) -> PlaysAnswer:
        """List the plays of the item."""
        query = call.query(PlaysQuery)
        plays, cursor = await self._marks.list_plays(
            call.user.user_id, self._kind, call.item_id(self._kind), cursor=query.cursor, limit=query.limit
        )
        return PlaysAnswer(
            [
                PlayAnswer(play.id, None if play.watched_at is None else time_text(play.watched_at), play.source)
                for play in plays
            ],
            cursor,
        )

    async def remove_play(self, call: Call) -> None:
        """Remove one play; the watched flag stays."""
        item_id = call.item_id(self._kind)
        play_id = call.path_id(str, "Play not found", "play_id")
        await self._marks.remove_play(call.user.user_id, self._kind, item_id, play_id)

    async def list_positions(self, call: Call) -> PositionsAnswer:
        """List the kept points, which can be restored."""
        points = await self._marks.list_points(call.user.user_id, self._kind, call.item_id(self._kind))
        return PositionsAnswer(
            [
                PositionAnswer(point_id, seconds(point.position_ms), time_text(point.kept_at), point.device)
                for point_id, point in points
            ]
        )

    async def restore(self, call: Call) -> StateAnswer:
        """Restore a kept point, which stays kept."""
        item_id = call.item_id(self._kind)
        point_id = call.path_id(str, "Position not found", "position_id")
        return _state_answer(await self._marks.restore(call.user.user_id, self._kind, item_id, point_id))


class ShowMarkRoutes:
    """The endpoints of shows and their seasons."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks

    async def mark(self, call: Call) -> ChangedAnswer:
        """Mark every episode that has aired and is not watched; with `new_play`, add a play to each that has aired."""
        return await self._mark_episodes(call, await _mark(call))

    async def unwatch(self, call: Call) -> ChangedAnswer:
        """Remove marks and positions of all these episodes; the plays stay."""
        return await self._mark_episodes(call, None)

    async def _mark_episodes(self, call: Call, mark: Mark | None) -> ChangedAnswer:
        show_id, season_number = call.item_id(ItemKind.SHOW), call.season_number
        return ChangedAnswer(len(await self._marks.mark_show(call.user.user_id, show_id, season_number, mark)))


async def _mark(call: Call) -> Mark:
    body = await call.body()
    request = decode(body, WatchedRequest) if body else WatchedRequest()
    if isinstance(request.watched_at, UnsetType):
        return Mark(new_play=request.new_play)
    at = None if request.watched_at is None else max(EARLIEST, instant_of(request.watched_at))
    return Mark(at, new_play=request.new_play)


def _file_start(file: FileFacts, start_ms: Milliseconds | None) -> FileStartAnswer:
    return FileStartAnswer(file.file_id, file.part, None if start_ms is None else seconds(start_ms))


def _state_answer(state: WatchState) -> StateAnswer:
    shown = progress_answer(state.progress)
    progress, plays = state.progress, state.plays
    return StateAnswer(
        shown.position_seconds,
        shown.duration_seconds,
        shown.completion_percentage,
        shown.watched,
        None if isinstance(shown.last_watched_at, UnsetType) else shown.last_watched_at,
        seconds(state.resume_position_ms),
        plays.number,
        None if plays.last_at is None else time_text(plays.last_at),
        None if progress is None else progress.session,
        None if progress is None else progress.device,
        state.hidden,
        0 if progress is None else progress.version,
        [_file_start(file, state.starts[file.file_id]) for file in state.files],
    )
