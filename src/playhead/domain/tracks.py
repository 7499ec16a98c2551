"""The tracks that a viewer can choose in a file: sound and subtitles, in its streams and in files beside it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from playhead.domain.catalogue import MediaStream

# FFmpeg's names of text subtitles. All others are bitmaps, or encoded for television.
TEXT_CODECS: Final = frozenset({"subrip", "ass", "ssa", "webvtt", "mov_text", "text"})

SUBTITLE_FILE_BYTES_MAX: Final = 8 * 1024 * 1024
"""Of a subtitle file: those of a long film have 0.2 MB, with effects drawn in text some megabytes."""

CUES_MAX: Final = 50_000
"""Of one track; a talkative film has 2,500."""

WEBVTT_BYTES_MAX: Final = 4 * 1024 * 1024
"""Of the text that a browser gets."""


@dataclass(frozen=True, slots=True)
class SoundTrack:
    """A sound track. `language` is a BCP 47 tag."""

    codec: str
    language: str | None = None
    title: str | None = None
    channels: int | None = None
    default: bool = False


@dataclass(frozen=True, slots=True)
class SubtitleTrack:
    """Subtitles of a file: its stream of this `number`, counted from 0 among its subtitles, or the file at `path`.

    `language` is a BCP 47 tag; `forced` subtitles translate only the foreign dialogue of the film. `path` is relative
    to the library.
    """

    codec: str
    language: str | None = None
    title: str | None = None
    forced: bool = False
    default: bool = False
    number: int | None = None
    path: str | None = None

    @property
    def is_text(self) -> bool:
        """Whether it is text, and can be sent to browsers."""
        return self.codec in TEXT_CODECS


def sound_tracks(streams: Iterable[MediaStream]) -> list[SoundTrack]:
    """Return the sound tracks among a file's streams, in order, with the languages as in the file."""
    return [
        SoundTrack(stream.codec, stream.language, stream.title, stream.channels, stream.default)
        for stream in streams
        if stream.kind == "audio"
    ]


def embedded_subtitles(streams: Iterable[MediaStream]) -> list[SubtitleTrack]:
    """Return the subtitles among a file's streams, in order, with the languages as in the file."""
    found = [stream for stream in streams if stream.kind == "subtitle"]
    return [
        SubtitleTrack(stream.codec, stream.language, stream.title, stream.forced, default=stream.default, number=number)
        for number, stream in enumerate(found)
    ]
