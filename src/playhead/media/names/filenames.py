"""Parses the path of a video. Pure: looks at names only, never at files; docs/names.md describes the conventions.

A movie is read by `movies.py`, an episode by `episodes.py`; `extras.py` decides what is no item at all.
"""

from pathlib import PurePosixPath

from playhead.domain.catalogue import ParsedName
from playhead.domain.model import LibraryKind
from playhead.media.names import numbering
from playhead.media.names.episodes import read_episode
from playhead.media.names.extras import is_trailer_of_movie, may_be_item
from playhead.media.names.movies import read_movie
from playhead.media.names.text import plain


def parse(path: PurePosixPath, library: LibraryKind) -> ParsedName | None:
    """Read a path relative to the library's folder, with its extension.

    None where the file is no item of such a library: hidden, a sample, a trailer or another extra; and in a library of
    shows a file that names no show, or neither episode nor air date.
    """
    folders, stem = tuple(plain(name) for name in path.parts[:-1]), plain(path.stem)
    if not may_be_item(folders, stem):
        return None
    if library is LibraryKind.SHOWS:
        return read_episode(folders, stem)
    return None if is_trailer_of_movie(stem) else read_movie(folders, stem)


def likely_kind(path: str) -> LibraryKind:
    """Return the kind of library that a path seems to be of: shows if it names a season and episode, or an air date."""
    stem = plain(PurePosixPath(path).stem)
    is_episode = numbering.explicit(stem) or numbering.dated(stem, certain=True)
    return LibraryKind.SHOWS if is_episode else LibraryKind.MOVIES


# Names without a year, and numbers that may as well be part of a title.
_GUESSES = frozenset({"Title", "Title, technical words", "02 Title", "[02]", "Title 02", "Part 2", "Title-02"})


def is_guess(name: ParsedName) -> bool:
    """Return whether a name says so little that a person may want to check how it was read."""
    return not name.external_ids and name.rule.removeprefix("folder: ") in _GUESSES
