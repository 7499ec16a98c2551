"""The tracks of a file: its sound tracks, and its subtitles inside and beside it, with their languages."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from playhead.domain.catalogue import MediaStream
from playhead.domain.tracks import SoundTrack, SubtitleTrack, embedded_subtitles, sound_tracks
from playhead.media.languages import language_tag
from playhead.media.sidecars import find_sidecars


@dataclass(frozen=True, slots=True)
class Tracks:
    """The tracks of a file. Subtitles are identified by their index: embedded ones first, then files beside it."""

    sound: Sequence[SoundTrack] = ()
    subtitles: Sequence[SubtitleTrack] = ()


def list_tracks(root: Path | None, path: str, streams: Sequence[MediaStream]) -> Tracks:
    """Return the tracks of a file from its streams and, if the library has a folder, from the files beside it."""
    beside = [] if root is None else find_sidecars(root, path)
    return Tracks(
        [replace(track, language=language_tag(track.language)) for track in sound_tracks(streams)],
        [*(replace(track, language=language_tag(track.language)) for track in embedded_subtitles(streams)), *beside],
    )
