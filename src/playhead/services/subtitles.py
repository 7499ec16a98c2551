"""Subtitles of files as WebVTT: access, sources, and the cache of converted ones."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from playhead.domain.catalogue import MediaFile
from playhead.domain.model import FileId
from playhead.domain.tracks import SubtitleTrack
from playhead.errors import PlayheadError, not_found
from playhead.media.disk_cache import DiskCache
from playhead.media.folders import contained, contained_video
from playhead.media.tracks import list_tracks
from playhead.media.webvtt import MEDIA_TYPE
from playhead.services.access import Viewer
from playhead.services.catalogue import visible_file
from playhead.services.single_flight import SingleFlight, WorkLimits, attempt, key_of
from playhead.storage.engine.database import Database

__all__ = ["MEDIA_TYPE", "Subtitle", "SubtitleTools", "Subtitles"]

# Part of every cache key. Raise it when subtitles are converted differently.
_VERSION = 1

# A file without an index of its subtitles is read completely, which can keep a disk busy for minutes.
_BOUNDS = WorkLimits(threads=2, waiting=64)

# Disk cache: the subtitles of about 1,000 films.
BYTES_MAX = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Subtitle:
    """Subtitles that are or can be converted. `path` is resolved and inside the library; `tag` is an ETag."""

    tag: str
    path: Path
    track: SubtitleTrack


class ConvertFile(Protocol):
    """Converts a subtitle file. Raises Unusable."""

    def __call__(self, path: Path, codec: str, language: str | None) -> bytes:
        """Convert the file."""
        ...


class ConvertStream(Protocol):
    """Converts one of the subtitle streams of a video, by its number among them. Raises Unusable."""

    def __call__(self, path: Path, number: int) -> bytes:
        """Convert the stream."""
        ...


class SubtitleTools(NamedTuple):
    """The functions that convert subtitles."""

    of_file: ConvertFile
    of_film: ConvertStream


class Subtitles:
    """The subtitles of files, cached in `folder`. `monotonic` is a monotonic clock in seconds."""

    def __init__(
        self,
        database: Database,
        folder: Path,
        *,
        monotonic: Callable[[], float],
        tools: SubtitleTools,
        bytes_max: int = BYTES_MAX,
    ) -> None:
        self._database = database
        self._single_flight = SingleFlight(
            "playhead-subtitles", DiskCache(folder, bytes_max), _BOUNDS, monotonic=monotonic
        )
        self._tools = tools

    async def find(self, viewer: Viewer, file_id: FileId, index: int) -> Subtitle:
        """Find the subtitles with this index in a file's list; lists folders, converts nothing.

        Raises NOT_FOUND for the file, and if there are no such subtitles or they are not text; ACCESS_DENIED.
        """
        library, file = await self._database.read(lambda connection: visible_file(connection, viewer, file_id))
        found = None if library.path is None else await asyncio.to_thread(_find, Path(library.path), file, index)
        if found is None:
            raise _no_subtitles()
        return found

    async def content(self, subtitle: Subtitle) -> bytes:
        """Return WebVTT from the cache, or convert; concurrent requests share the work.

        Raises NOT_FOUND if they cannot be read, which is cached, too, and UNAVAILABLE if too many are waiting.
        """
        content = await self._single_flight.get(subtitle.tag, partial(self._convert, subtitle))
        if content is None:
            raise _no_subtitles()
        return content

    async def close(self) -> None:
        """Stop converting."""
        await self._single_flight.close()

    def _convert(self, subtitle: Subtitle) -> bytes | None:
        track = subtitle.track
        convert = (
            partial(self._tools.of_file, subtitle.path, track.codec, track.language)
            if track.number is None
            else partial(self._tools.of_film, subtitle.path, track.number)
        )
        return attempt("subtitles", subtitle.path, convert)


def _find(root: Path, file: MediaFile, index: int) -> Subtitle | None:
    tracks = list_tracks(root, file.path, file.streams).subtitles
    track = tracks[index] if index < len(tracks) else None
    if track is None or not track.is_text:
        return None
    real = contained_video(root, file.path, file.size) if track.path is None else contained(root, track.path)
    try:
        status = None if real is None else real.stat()
    except OSError:
        status = None
    if real is None or status is None:
        return None
    stamp = (os.fsencode(real).hex(), status.st_size, status.st_mtime_ns)
    return Subtitle(key_of(_VERSION, *stamp, track.number, track.language), real, track)


def _no_subtitles() -> PlayheadError:
    return not_found("Subtitles not found")
