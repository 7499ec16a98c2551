"""Which subtitle files beside a video belong to it, by their names (docs/names.md). Lists folders, opens no file."""

import os
from pathlib import Path
from typing import Final

from playhead.domain.texts import STREAM_TITLE, clean_text
from playhead.domain.tracks import SubtitleTrack
from playhead.media.languages import language_tag
from playhead.media.names.filenames import VIDEO_EXTENSIONS

_CODECS: Final = {"srt": "subrip", "ass": "ass", "ssa": "ass", "vtt": "webvtt"}  # FFmpeg's names, by file extension
_FOLDERS: Final = ("subs", "subtitles", "sub")

_IMPAIRED: Final = frozenset({"sdh", "cc", "hi"})
_FORCED: Final = frozenset({"forced", "foreign"})


def find_sidecars(root: Path, path: str) -> list[SubtitleTrack]:
    """Return the subtitle files with the name of a video, beside it or in a subtitle folder there.

    Ordered by name. They are not yet known to be subtitles, or to be inside the library.
    """
    folder, name = os.path.split(path)
    stem = name.rpartition(".")[0].lower()
    found: list[SubtitleTrack] = []
    names = _names(root, folder, (stem, *_FOLDERS))
    # 'Heat.2.en.srt' belongs to Heat.2.mkv, if there is one, and not to Heat.mkv.
    others = [other for other in map(_stem_of_video, names) if other.startswith(f"{stem}.")]
    folders = [folder, *(f"{folder}/{name}" if folder else name for name in names if name.lower() in _FOLDERS)]
    for where in folders:
        for each in names if where == folder else _names(root, where, (stem,)):
            beginning, _, ending = each.rpartition(".")
            tags = _tags(beginning, stem, others)
            if ending.lower() in _CODECS and tags is not None:
                found.append(_sidecar(f"{where}/{each}" if where else each, tags, _CODECS[ending.lower()]))
    return found


def _names(root: Path, folder: str, beginnings: tuple[str, ...]) -> list[str]:
    """Return the names in a folder with this prefix, in lower case; a folder may contain thousands of others."""
    try:
        with os.scandir(root / folder) as entries:
            return sorted(entry.name for entry in entries if entry.name.lower().startswith(beginnings))
    except OSError:
        return []


def _stem_of_video(name: str) -> str:
    stem, _, ending = name.lower().rpartition(".")
    return stem if f".{ending}" in VIDEO_EXTENSIONS else ""


def _tags(beginning: str, stem: str, others: list[str]) -> list[str] | None:
    """Return the parts between a video's name and the extension; None if the file belongs to another video."""
    name = beginning.lower()
    if any(f"{name}.".startswith(f"{other}.") for other in others):
        return None
    if name == stem:
        return []
    return beginning[len(stem) + 1 :].split(".") if name.startswith(f"{stem}.") else None


def _sidecar(path: str, tags: list[str], codec: str) -> SubtitleTrack:
    language, forced, default, words = None, False, False, list[str]()
    for tag in tags:
        word = tag.lower()
        if word in _FORCED:
            forced = True
        elif word == "default":
            default = True
        elif language is None and (found := language_tag(tag)) is not None:
            language = found
        elif word in _IMPAIRED:  # 'hi' is Hindi, too; so it comes behind the language
            words.append("SDH")
        elif not word.isdigit():
            words.append(tag)
    return SubtitleTrack(codec, language, clean_text(" ".join(words), STREAM_TITLE) or None, forced, default, path=path)
