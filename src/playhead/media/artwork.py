"""Finds picture files beside the media by the names of Kodi, Jellyfin, Emby and Plex.

Lists folders and opens no file. docs/names.md documents the names.
"""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from playhead.domain.artwork import ArtworkKind
from playhead.domain.model import ItemKind
from playhead.media.folders import name_key
from playhead.media.names.extras import VIDEO_EXTENSIONS, is_extra
from playhead.media.names.show_folders import episode_folders

_EXTENSIONS: Final = ("jpg", "jpeg", "png", "webp", "tbn")  # of two files with one name, the first

_OF_FOLDER: Final = {
    ArtworkKind.POSTER: ("poster", "folder", "cover", "movie-poster", "movie", "show", "default", "keyart"),
    ArtworkKind.STILL: (
        *("fanart", "backdrop", "background", "movie-fanart", "art", "landscape", "movie-landscape", "thumb"),
        *("fanart1", "fanart-1", "backdrop1", "backdrop-1"),
    ),
}
# Suffixes of the name of a video, or of its folder. An empty one: the name itself.
_OF_NAME: Final = {
    ArtworkKind.POSTER: ("-poster", "-cover", "", "-keyart"),
    ArtworkKind.STILL: ("-fanart", "-backdrop", "-background", "-landscape", "-thumb"),
}
_OF_EPISODE: Final = ("-thumb", "-landscape", "")
_OF_SEASON: Final = {
    ArtworkKind.POSTER: ("-poster", "-cover", ""),
    ArtworkKind.STILL: ("-fanart", "-backdrop", "-landscape", "-thumb"),
}

# A folder that was changed so recently may change again within the resolution of its timestamp.
_SETTLED_AFTER_NS: Final = 3_000_000_000


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of a picture: an item or, with `season`, a season of a show.

    `files` are the paths of its videos relative to the library; of a show or a season some episodes will do.
    `in_parts`: they are parts of one film.
    """

    kind: ItemKind
    files: Sequence[str]
    season: int | None = None
    in_parts: bool = False


def find_images(root: Path, subject: Subject, kind: ArtworkKind) -> list[str]:
    """Return the paths, relative to the library, of its picture files, the best first.

    An unreadable folder has none. The files are not yet known to be pictures, or to be inside the library.
    """
    names = _of_movie(root, subject, kind) if subject.kind is ItemKind.MOVIE else _of_show(subject, kind)
    found = (_listing(root, folder).images.get(name_key(name)) for folder, name in names)
    return list(dict.fromkeys(path for path in found if path is not None))


# Names, each with its folder


def _of_movie(root: Path, subject: Subject, kind: ArtworkKind) -> Iterator[tuple[str, str]]:
    folders: dict[str, None] = {}
    for file in subject.files:
        folder, stem = os.path.split(file)[0], PurePosixPath(file).stem
        folders[folder] = None
        yield from ((folder, stem + ending) for ending in _OF_NAME[kind])
    if subject.in_parts:  # `Film/CD1/film.avi` and `Film/CD2/film.avi` have their poster in `Film`
        folders |= {os.path.split(folder)[0]: None for folder in folders}
    for folder in folders:
        # A file in a folder of many films belongs to none of them.
        others = _listing(root, folder).videos - {*subject.files}
        if folder and all(is_extra(PurePosixPath(other)) for other in others):
            own = PurePosixPath(folder).name
            yield from ((folder, own + ending) for ending in _OF_NAME[kind])
            yield from ((folder, name) for name in _OF_FOLDER[kind])


def _of_show(subject: Subject, kind: ArtworkKind) -> Iterator[tuple[str, str]]:
    if subject.kind is ItemKind.EPISODE and kind is ArtworkKind.STILL:
        yield from _of_episode(subject.files)
        return
    for file in subject.files:
        show, season = episode_folders(PurePosixPath(file))
        if show is None:
            continue
        number = subject.season
        if number is not None:
            for folder in dict.fromkeys(folder for folder in (season, show) if folder is not None):
                yield from ((folder, name) for name in _season_names(number, kind))
            if season is not None and season != show:
                yield from ((season, name) for name in _OF_FOLDER[kind])
            yield from ((show, "season-all" + ending) for ending in _OF_SEASON[kind])
        yield from ((show, PurePosixPath(show).name + ending) for ending in _OF_NAME[kind])
        yield from ((show, name) for name in _OF_FOLDER[kind])


def _of_episode(files: Iterable[str]) -> Iterator[tuple[str, str]]:
    for file in files:
        folder, stem = os.path.split(file)[0], PurePosixPath(file).stem
        yield from ((folder, stem + ending) for ending in _OF_EPISODE)
        yield f"{folder}/metadata" if folder else "metadata", stem


def _season_names(number: int, kind: ArtworkKind) -> list[str]:
    beginnings = [f"season{number:02}", f"season{number}", *(["season-specials"] if number == 0 else [])]
    return [beginning + ending for beginning in beginnings for ending in _OF_SEASON[kind]]


# Folders


class _FolderPictures(NamedTuple):
    """A folder: paths of its pictures by the key of their name without the extension, and of its videos."""

    images: dict[str, str]
    videos: frozenset[str]


_NOTHING: Final = _FolderPictures({}, frozenset())


def _listing(root: Path, folder: str) -> _FolderPictures:
    try:
        changed_ns = (root / folder).stat().st_mtime_ns
        if abs(time.time_ns() - changed_ns) < _SETTLED_AFTER_NS:
            return _list(root, folder)
        return _listed(root, folder, changed_ns)
    except OSError:
        return _NOTHING


@lru_cache(maxsize=64)  # a page requests pictures of many films, which may be in one large folder
def _listed(root: Path, folder: str, changed_ns: int) -> _FolderPictures:
    del changed_ns  # it represents the content of the folder
    return _list(root, folder)


def _list(root: Path, folder: str) -> _FolderPictures:
    images: dict[str, tuple[int, str]] = {}
    videos: set[str] = set()
    with os.scandir(root / folder) as entries:
        for entry in entries:
            stem, _, ending = name_key(entry.name).rpartition(".")
            path = f"{folder}/{entry.name}" if folder else entry.name
            if f".{ending}" in VIDEO_EXTENSIONS:
                videos.add(path)
            elif ending in _EXTENSIONS and stem:
                found = (_EXTENSIONS.index(ending), path)
                images[stem] = min(found, images.get(stem, found))
    return _FolderPictures({name: path for name, (_, path) in images.items()}, frozenset(videos))
