"""Combines what a video's name, folder and NFO files say. Opens NFO files, never the video."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Final

from playhead.domain.catalogue import EpisodePlace, ParsedName, identity
from playhead.domain.model import ItemKind, LibraryKind
from playhead.domain.scanning import EpisodeFacts
from playhead.domain.texts import LABEL, TITLE, clean_text, without_steering
from playhead.media.folders import Beside, contained
from playhead.media.nfo import Nfo, decode_nfo, read_nfo

Parse = Callable[[PurePosixPath, LibraryKind], ParsedName | None]

_NFO_BYTES_MAX: Final = 4 * 1_048_576  # four bytes for each character that read_nfo takes
_SHARED_KEPT: Final = 64  # videos of a folder are read together, by a few threads


@dataclass(frozen=True, slots=True)
class Description:
    """The description of a video; `from_nfo`: at least partly from an NFO file. `episode_ids` are the episode's.

    `further`: what an NFO says of the other episodes of the file, by their numbers. `place` is that of a special.
    """

    name: ParsedName
    from_nfo: bool = False
    episode_ids: dict[str, str] = field(default_factory=dict[str, str])
    further: Mapping[int, EpisodeFacts] = field(default_factory=dict[int, EpisodeFacts])
    place: EpisodePlace | None = None


class NfoFiles:
    """The NFO files of a library, for one scan, from any thread. Unreadable ones are empty.

    One that describes several videos is read once, because every episode of a show asks for it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.read_shared = lru_cache(_SHARED_KEPT)(self.read)

    def read(self, path: str | None) -> Nfo:
        """Read a file by its path in the library; None is an empty one."""
        real = None if path is None else contained(self._root, path)
        if real is None:
            return Nfo()
        try:
            with real.open("rb") as file:
                content = file.read(_NFO_BYTES_MAX)
        except OSError:
            return Nfo()
        return read_nfo(decode_nfo(content))


def describe(nfos: NfoFiles, path: str, beside: Beside, kind: LibraryKind, parse: Parse) -> Description | None:
    """Describe a video, or return None if nothing does. An NFO overrides names, member by member.

    A movie.nfo applies to all videos of its folder whose names state the same film.
    """
    name = read_name(path, kind, parse)
    own = nfos.read(beside.own)
    if kind is LibraryKind.SHOWS:
        return _episode(name, own, nfos.read_shared(beside.show))
    if name is None:
        return None
    movie = nfos.read_shared(beside.movie)
    if movie != Nfo() and not _same_film(name, beside.siblings, parse):
        movie = Nfo()
    described = replace(
        name,
        title=own.title or movie.title or name.title,
        year=own.year or movie.year or name.year,
        external_ids={**name.external_ids, **movie.external_ids, **own.external_ids},
    )
    return Description(described, from_nfo=described != name)


def read_name(path: str, kind: LibraryKind, parse: Parse) -> ParsedName | None:
    """Return the parsed name in its stored form: printable and bounded. Names may contain any character except '/'.

    `path` is relative to the library's folder. None if the name is no item of such a library.
    """
    name = parse(PurePosixPath(without_steering(path)), kind)
    title = "" if name is None else clean_text(name.title, TITLE)
    if name is None or not title:
        return None
    return replace(
        name,
        title=title,
        episode_title=clean_text(name.episode_title or "", TITLE) or None,
        edition=clean_text(name.edition or "", LABEL) or None,
    )


def _episode(name: ParsedName | None, own: Nfo, show: Nfo) -> Description | None:
    title = show.title or own.show_title
    if name is None:
        if title is None or own.season_number is None or own.episode_number is None:
            return None
        name = ParsedName(ItemKind.EPISODE, title)
    described = replace(
        name,
        title=title or name.title,
        year=show.year or name.year,
        external_ids={**name.external_ids, **show.external_ids},
        episode_title=own.title or name.episode_title,
        air_date=own.air_date or name.air_date,
    )
    if own.season_number is not None and own.episode_number is not None:
        same = own.episode_number == name.episode_number
        described = replace(
            described,
            season_number=own.season_number,
            episode_number=own.episode_number,
            episode_end=own.episode_end or (name.episode_end if same else None),
        )
    if described.episode_number is None and described.air_date is None:
        return None
    ids = dict(own.external_ids)
    place = own.place if described.season_number == 0 else None
    from_nfo = described != name or bool(ids) or bool(own.further) or place is not None
    return Description(described, from_nfo=from_nfo, episode_ids=ids, further=own.further, place=place)


def _same_film(name: ParsedName, siblings: tuple[str, ...], parse: Parse) -> bool:
    others = (read_name(path, LibraryKind.MOVIES, parse) for path in siblings)
    key = identity(name.title, name.year)
    return all(other is None or identity(other.title, other.year) == key for other in others)
