"""Finds the subtitle files of a video by their names (docs/names.md). Lists folders, opens no file."""

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from playhead.domain.catalogue import identity
from playhead.domain.model import LibraryKind
from playhead.domain.texts import STREAM_TITLE, clean_text
from playhead.domain.tracks import SubtitleTrack
from playhead.media.folders import name_key
from playhead.media.languages import language_tag
from playhead.media.names.extras import VIDEO_EXTENSIONS, is_extra
from playhead.media.names.filenames import parse
from playhead.media.names.numbering import EpisodeNumbers, explicit

_CODECS: Final = {"srt": "subrip", "ass": "ass", "ssa": "ass", "vtt": "webvtt"}  # FFmpeg's names, by file extension
_FOLDERS: Final = frozenset({"subs", "subtitles", "sub", "subtitle"})
_FOLDERS_MAX: Final = 200
"""Subfolders of a subtitle folder that are read; a season has one per episode."""
_VERSIONS_MAX: Final = 20

_IMPAIRED: Final = frozenset({"sdh", "cc", "hi"})
_FORCED: Final = frozenset({"forced", "foreign"})
_SEPARATORS: Final = re.compile(r"[\s_,+&()\[\]-]+")
_CODE_MAX: Final = 3  # letters; longer words are names of languages


def find_sidecars(root: Path, path: str) -> list[SubtitleTrack]:
    """Return the subtitle files of a video: beside it, in a subtitle folder there, or in its own folder within that.

    A file matches if it has the name of the video, or the numbers of its episode; in a folder with a single film, also
    the name of the film, or only a language. Ordered by name. They are not yet known to be subtitles, or to be inside
    the library.
    """
    folder = os.path.split(path)[0]
    listing = _list(root, folder)
    video = _SubtitledVideo(path, listing.videos)
    found = [track for file in listing.subtitles if (track := video.beside(file)) is not None]
    for name in listing.folders:
        if name.casefold() in _FOLDERS:
            found += _in_folder(root, _joined(folder, name), video)
    return found


def _in_folder(root: Path, folder: str, video: "_SubtitledVideo") -> Iterator[SubtitleTrack]:
    listing = _list(root, folder)
    for file in listing.subtitles:
        if (track := video.beside(file) or video.in_folder(file)) is not None:
            yield track
    for name in listing.folders[:_FOLDERS_MAX]:
        if video.owns_folder(name):
            for file in _list(root, _joined(folder, name)).subtitles:
                yield video.beside(file) or _track(file, PurePosixPath(file).stem)
        elif (language := language_tag(name)) is not None:
            for file in _list(root, _joined(folder, name)).subtitles:
                if (track := video.beside(file) or video.in_folder(file)) is not None:
                    yield track if track.language else _track(file, f"{language}.{track.title or ''}")


class _SubtitleListing(NamedTuple):
    """The content of a folder, ordered by name: paths relative to the library, and names of subfolders."""

    videos: list[str]
    subtitles: list[str]
    folders: list[str]


def _list(root: Path, folder: str) -> _SubtitleListing:
    listing = _SubtitleListing([], [], [])
    try:
        with os.scandir(root / folder) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return listing
    for entry in ordered:
        ending = entry.name.rpartition(".")[2].lower()
        if entry.name.startswith("."):
            continue
        if ending in _CODECS and entry.name != ending:
            listing.subtitles.append(_joined(folder, entry.name))
        elif f".{ending}" in VIDEO_EXTENSIONS:
            listing.videos.append(_joined(folder, entry.name))
        elif "." not in entry.name or entry.is_dir():
            listing.folders.append(entry.name)
    return listing


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


class _SubtitledVideo:
    """A video, and the other videos in its folder."""

    def __init__(self, path: str, videos: Sequence[str]) -> None:
        self._path = path
        self._stem = name_key(PurePosixPath(path).stem)
        self._others = [stem for stem in map(_stem_key, videos) if stem != self._stem]
        self._numbers = explicit(PurePosixPath(path).stem)
        self._videos = videos
        self._is_only_film: bool | None = None

    def beside(self, file: str) -> SubtitleTrack | None:
        """Return a subtitle file that belongs to this video by its name, else None."""
        stem = PurePosixPath(file).stem
        key = name_key(stem)
        # 'Heat.2.en.srt' belongs to Heat.2.mkv, if there is one, and not to Heat.mkv.
        owner = max((other for other in (*self._others, self._stem) if _begins(key, other)), key=len, default=None)
        if owner is not None:
            return _track(file, _behind(stem, self._stem)) if owner == self._stem else None
        numbers = explicit(stem)
        if numbers is not None or self._numbers is not None:
            if not _same_episodes(numbers, self._numbers):
                return None
            return _track(file, _known_end(stem[numbers.end :])) if numbers is not None else None
        return self._of_film(file, stem, key)

    def in_folder(self, file: str) -> SubtitleTrack | None:
        """Return a file in a subtitle folder: that of a single film may have any name."""
        is_others = any(_begins(name_key(PurePosixPath(file).stem), other) for other in self._others)
        return _track(file, PurePosixPath(file).stem) if not is_others and self._is_only() else None

    def owns_folder(self, name: str) -> bool:
        """Return whether a subfolder of a subtitle folder is named after this video, its episode, or the only film."""
        if name_key(name) == self._stem:
            return True
        if (numbers := explicit(name)) is not None:
            return _same_episodes(numbers, self._numbers)
        return self._is_only() and len({_film(self._path), _film(f"{name}.mkv")}) == 1

    def _of_film(self, file: str, stem: str, key: str) -> SubtitleTrack | None:
        """Return a file that is named after the film, or after a language only."""
        parts = stem.split(".")
        for count in range(len(parts), 0, -1):
            base = name_key(".".join(parts[:count]))
            if self._stem.startswith(base) and not self._stem[len(base) :][:1].isalnum():
                return _track(file, ".".join(parts[count:])) if self._is_only() else None
        return _track(file, stem) if _is_known(key) and self._is_only() else None

    def _is_only(self) -> bool:
        """Return whether all videos in the folder are versions or parts of one film."""
        if self._is_only_film is None:
            self._is_only_film = os.path.split(self._path)[0] != "" and _hold_one_film(self._videos)
        return self._is_only_film


def _stem_key(path: str) -> str:
    return name_key(PurePosixPath(path).stem)


def _behind(stem: str, begin: str) -> str:
    """Return the rest of a name after a prefix of its key, in its own spelling if the key has the same length."""
    composed, key = unicodedata.normalize("NFC", stem), name_key(stem)
    return composed[len(begin) :] if len(composed) == len(key) else key[len(begin) :]


def _known_end(text: str) -> str:
    """Return the trailing parts that describe subtitles; the parts before them are the title of the episode."""
    parts = text.split(".")
    count = next((at for at, part in enumerate(reversed(parts)) if not _describes_subtitles(part)), len(parts))
    return ".".join(parts[len(parts) - count :])


def _describes_subtitles(part: str) -> bool:
    return _is_known(part) or _is_sign(part.lower())


def _begins(key: str, stem: str) -> bool:
    """Return whether a name is that of a video, optionally followed by a description of the subtitles."""
    if not key.startswith(stem):
        return False
    rest = key[len(stem) :]
    return rest == "" or rest[0] == "." or (rest[0] in " _-([" and _is_known(rest))


def _same_episodes(one: EpisodeNumbers | None, other: EpisodeNumbers | None) -> bool:
    return (
        one is not None
        and other is not None
        and (one.season, one.episode, one.last) == (other.season, other.episode, other.last)
    )


def _hold_one_film(videos: Sequence[str]) -> bool:
    paths = [path for path in map(PurePosixPath, videos) if not is_extra(path)]
    if len(paths) == 1:
        return True
    if len(paths) > _VERSIONS_MAX or any(
        explicit(path.stem) or not re.search(r"[^\W\d_]", path.stem) for path in paths
    ):
        return False
    return len({_film(str(path)) for path in paths}) == 1


def _film(path: str) -> str | None:
    """Return the identity of the film that a path names."""
    name = parse(PurePosixPath(path), LibraryKind.MOVIES)
    return None if name is None else identity(name.title, name.year)


def _is_known(text: str) -> bool:
    """Return whether a text consists of a language and flags only."""
    words = [word for word in _SEPARATORS.split(text.replace(".", " ").lower()) if word]
    if not words or language_tag(" ".join(words)) is not None:
        return bool(words)
    languages = [word for word in words if language_tag(word) is not None]
    return bool(languages) and all(_is_sign(word) or word in languages for word in words)


def _is_sign(word: str) -> bool:
    return word in _FORCED or word in _IMPAIRED or word == "default" or word.isdigit()


def _track(file: str, tags: str) -> SubtitleTrack:
    """Return a subtitle file as described by `tags`, the part of its name that is not the video's."""
    described = _Description()
    for tag in tags.split("."):
        described.add(tag.strip(" _-"))
    words = [*(["SDH"] if described.is_impaired else []), *described.words]
    title = clean_text(" ".join(words), STREAM_TITLE)
    codec = _CODECS[file.rpartition(".")[2].lower()]
    return SubtitleTrack(codec, described.language, title or None, described.forced, described.default, path=file)


class _Description:
    """The meaning of the words between a video's name and the extension."""

    def __init__(self) -> None:
        self.language: str | None = None
        self.forced = self.default = self.is_impaired = False
        self.words: list[str] = []
        self._last = ""

    def add(self, tag: str) -> None:
        """Add the text between two dots: one or several words."""
        if not tag or self._take(tag):
            return
        words = [word for word in _SEPARATORS.split(tag) if word]
        # In a title of several words, 'no' and 'it' are not languages.
        are_codes = all(len(word) > _CODE_MAX or _is_sign(word.lower()) or language_tag(word) for word in words)
        rest = [word for word in words if not ((are_codes or len(word) > _CODE_MAX) and self._take(word))]
        rest = [word for word in rest if not (word.lower() in _FORCED | _IMPAIRED and self._take(word))]
        if rest:
            self.words.append(tag if len(rest) == len(words) else " ".join(rest))

    def _take(self, tag: str) -> bool:
        word = tag.lower()
        found = language_tag(tag)
        if word in _FORCED:
            self.forced = True
        elif word == "default":
            self.default = True
        elif self.language is None and found is not None:
            self.language, self._last = found, tag
        elif word in _IMPAIRED:  # 'hi' is also Hindi, so the language is checked first
            self.is_impaired = True
        elif self.language is not None and (closer := self._closer(tag, found)) is not None:
            self.language = closer
        else:
            return word.isdigit()
        return True

    def _closer(self, tag: str, found: str | None) -> str | None:
        """Return a more specific language (`es-419` for 'spa.lat'), or the known one if the word repeats it."""
        joined = language_tag(f"{self._last}-{tag}")
        own = (self.language or "").partition("-")[0]
        if joined is not None and joined != self.language and joined.partition("-")[0] == own:
            return joined
        return self.language if found is not None and found.partition("-")[0] == own else None
