"""The player page: title, resume position, sources, and the next episode."""

from collections.abc import Sequence
from itertools import chain
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import Meta, Struct
from starlette.responses import Response

from playhead.domain.catalogue import MediaFile, Version, versions
from playhead.domain.file_facts import is_same_length
from playhead.domain.model import FileId, ItemKind, Milliseconds
from playhead.domain.tracks import SubtitleTrack
from playhead.errors import not_found
from playhead.http.api.formats import MAX_SECONDS, seconds
from playhead.http.api.streaming import FILE_NOT_FOUND, media_type_of
from playhead.http.pages.page import Pages, base
from playhead.http.route import Call
from playhead.services.marks import Marks, WatchState
from playhead.services.snapshots import Snapshots

# RFC 6381 codec strings by FFmpeg's names; where profile and level are part of them, those of most films. They are only
# used to ask browsers.
_CODECS: Final = {
    "h264": "avc1.640028",
    "hevc": "hvc1.1.6.L120.90",
    "av1": "av01.0.08M.08",
    "vp9": "vp09.00.10.08",
    "mpeg4": "mp4v.20.8",
    "aac": "mp4a.40.2",
    "ac3": "ac-3",
    "eac3": "ec-3",
    "dts": "dtsc",
    "truehd": "mlpa",
}


class WatchQuery(Struct):
    """The file to play, and the second to start at; by default the best file, at the stored position."""

    file: str | None = None
    t: Annotated[float, Meta(ge=0, le=MAX_SECONDS)] | None = None


class SubtitleData(Struct):
    """Subtitles that a browser can show. `language` is a BCP 47 tag."""

    url: str
    language: str | None
    title: str | None
    forced: bool


class PartData(Struct):
    """A file as the player's scripts know it. `picture` and `sound` are media types to ask the browser about."""

    id: str
    seconds: float | None
    picture: str
    sound: str | None
    subtitles: list[SubtitleData]


class VersionData(Struct):
    """A version as the player's scripts know it: its parts are played one after another.

    It starts at `start`. From `completed` on it counts as watched, so that nothing but the viewer moves it beyond
    `latest`; both are null if its length is unknown.
    """

    label: str
    parts: list[PartData]
    start: float
    completed: float | None
    latest: float | None


class LeftData(Struct):
    """A position, and the duration that it was reported with, in seconds."""

    position: float
    of: float


class WatchData(Struct):
    """The page's data for the player's scripts. `poster` is the item that has it; `explicit`: a file was chosen.

    `left` is the position at which the item resumes, and `of` the duration with which it was reported; null if it
    starts at the beginning, or at a given second.
    """

    kind: str
    id: str
    title: str
    show: str | None
    poster: str
    start: float
    left: LeftData | None
    chosen: int
    explicit: bool
    versions: list[VersionData]


class _Place(NamedTuple):
    """A point on a version's timeline: the file that contains it, and the offset within."""

    file: MediaFile
    offset_ms: int


class WatchPages:
    """The pages that play movies and episodes."""

    def __init__(self, pages: Pages, snapshots: Snapshots, marks: Marks) -> None:
        self._pages = pages
        self._snapshots = snapshots
        self._marks = marks

    async def movie(self, call: Call) -> Response:
        """Show the player of a movie."""
        return await self._show(call, ItemKind.MOVIE)

    async def episode(self, call: Call) -> Response:
        """Show the player of an episode, and the next one."""
        return await self._show(call, ItemKind.EPISODE)

    async def _show(self, call: Call, kind: ItemKind) -> Response:
        player = await self._snapshots.player(call.viewer, kind, call.item_id(kind))
        detail, show, state = player.detail, player.show, player.state
        if not detail.files:
            raise not_found(FILE_NOT_FOUND)
        item, found = detail.view.item, versions(detail.files)
        subtitles = {
            file_id: _subtitles(base(call), file_id, tracks.subtitles) for file_id, tracks in detail.tracks.items()
        }
        query = call.query(WatchQuery)
        at = None if query.t is None else Milliseconds(round(query.t * 1000))
        starts = [self._marks.start_of(version, state, at) for version in found]
        chosen = _chosen(found, query.file, state)
        start_ms = starts[chosen].start_ms
        place = _place(found[chosen], start_ms)
        data = WatchData(
            item.kind,
            item.id,
            item.title,
            None if show is None else show.title,
            (show or item).id,
            start_ms / 1000,
            left=_left_data(state) if at is None else None,
            chosen=chosen,
            explicit=query.file is not None,
            versions=[
                VersionData(
                    version.label,
                    [_part_data(file, subtitles[file.id]) for file in version.files],
                    start.start_ms / 1000,
                    None if start.completed_ms is None else start.completed_ms / 1000,
                    None if start.latest_ms is None else start.latest_ms / 1000,
                )
                for version, start in zip(found, starts, strict=True)
            ],
        )
        return self._pages.render(
            await self._pages.visit_with(call, player.frame),
            "watch.html",
            item=item,
            show=show,
            back=f"/shows/{show.id}" if show else f"/movies/{item.id}",
            following=player.following,
            versions=found,
            sizes=[sum(file.size for file in version.files) for version in found],
            chosen=chosen,
            file=place.file,
            subtitles=subtitles[place.file.id],
            file_seconds=seconds(Milliseconds(place.offset_ms)),
            start_ms=start_ms,
            points=player.points,
            data=_builtins(data),
        )


def _chosen(found: list[Version], file_id: str | None, state: WatchState) -> int:
    """Return the index of the version with this file, else of the best one of the cut in progress, else of any."""
    held = (number for number, version in enumerate(found) for file in version.files if file.id == file_id)
    left = state.progress if state.resume_position_ms else None
    reported_ms = None if left is None else left.duration_ms
    same = (
        number
        for number, version in enumerate(found)
        if reported_ms is not None
        and version.duration_ms is not None
        and is_same_length(version.duration_ms, reported_ms)
    )
    return next(chain(held, same), 0)


def _left_data(state: WatchState) -> LeftData | None:
    if state.progress is None or state.progress.duration_ms is None or not state.resume_position_ms:
        return None
    return LeftData(state.resume_position_ms / 1000, state.progress.duration_ms / 1000)


def _place(version: Version, position_ms: int) -> _Place:
    rest = position_ms
    for file in version.files[:-1]:
        if file.duration_ms is None or rest < file.duration_ms:
            return _Place(file, rest)
        rest -= file.duration_ms
    return _Place(version.files[-1], rest)


def _part_data(file: MediaFile, subtitles: list[SubtitleData]) -> PartData:
    # Browsers play QuickTime files like MP4, but only admit to the latter.
    container = media_type_of(file.path, file.container).replace("video/quicktime", "video/mp4")
    return PartData(
        file.id,
        None if file.duration_ms is None else file.duration_ms / 1000,
        _type(container, file.video_codec or "unknown"),
        None if file.audio_codec is None else _type(container, file.audio_codec),
        subtitles,
    )


def _subtitles(mount: str, file_id: FileId, tracks: Sequence[SubtitleTrack]) -> list[SubtitleData]:
    """Return the text subtitles, by their index among all (as in the route of subtitles)."""
    return [
        SubtitleData(
            f"{mount}/api/v1/stream/file/{file_id}/subtitles/{index}", track.language, track.title, track.forced
        )
        for index, track in enumerate(tracks)
        if track.is_text
    ]


def _type(container: str, codec: str) -> str:
    return f'{container}; codecs="{_CODECS.get(codec, codec)}"'


def _builtins(data: WatchData) -> dict[str, Any]:
    return msgspec.to_builtins(data)
