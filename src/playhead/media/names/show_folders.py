"""Determines which folder of an episode's path is its show's and which its season's. Looks at names only."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from playhead.domain.catalogue import identity
from playhead.media.names import numbering
from playhead.media.names.ids import take_ids
from playhead.media.names.parts import part_folder
from playhead.media.names.releases import read_release
from playhead.media.names.text import plain, tidy

# Folders that group shows.
_SORTING: Final = frozenset(
    {
        *("tv", "tv shows", "tv series", "tvshows", "series", "shows", "serien", "anime", "animes", "cartoons", "kids"),
        *("documentaries", "documentary", "downloads", "download", "complete", "completed", "incoming", "unsorted"),
        *(
            "ended",
            "continuing",
            "new",
            "misc",
            "сериалы",
            "аниме",
            "动漫",
            "动画",
            "电视剧",
            "アニメ",
            "ドラマ",
            "드라마",
        ),
    }
)
# Folders that group the episodes of one show: by quality, language or story arc.
_INSIDE_A_SHOW: Final = re.compile(
    r"(?:[48]k|uhd|f?hd|sd|\d{3,4}[pi])(?:[\s._-]+.*)?|(?:web|blu-?ray|bd|dvd|hdtv)[\s._-]?(?:rip|dl|remux)?s?"
    r"|(?:filler|canon|mixed|episodes?|videos?|movies?|dub(?:bed)?|sub(?:bed)?|uncut|uncensored|raws?|.*[\s._](?:arc|saga))s?"
    r"|(?:x|h)\.?26[45]|hevc|avc|av1",
    re.IGNORECASE,
)
# A season by its number alone, or by its year; earlier years are rather shows (1883, 1923).
_PLAIN_NUMBER: Final = re.compile(r"\d{1,2}|19[5-9]\d|20[0-3]\d")
_FIRST_YEAR: Final = 1900
_NUMBER_FOLLOWS: Final = re.compile(
    r"[\W_]*(?:(?:se?|ep?|t|第|season|episode|sp|special|ova|oad|part)[\s._-]*)?\d", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Location:
    """The folders of an episode.

    `show` is the name of the show's folder, or what the season's folder says of the show; None if no folder does.
    `show_depth` and `season_depth` count the folders from the library's to the show's and the season's. `release` is a
    folder for this one episode, such as `Amber.S01E02.1080p-GRP`, and `part` the disc of it.
    """

    show: str | None = None
    season: int | None = None
    show_depth: int = 0
    season_depth: int = 0
    release: str | None = None
    part: int | None = None


def locate(folders: Sequence[str], stem: str) -> Location:
    """Find the show's and the season's folder of an episode, by the plain names of its folders, outermost first."""
    names = list(folders)
    part = _pop_part(names)
    release = None
    while names and (numbering.explicit(names[-1]) or numbering.dated(names[-1])):
        release = names.pop()
    part = part if release else None
    _drop_uninformative(names)
    if len(names) > 1 and _is_within_season(names):
        names.pop()
    if not names:
        return Location(release=release, part=part)
    depth = len(names)
    *above, last = names
    _drop_uninformative(above)
    outer = above[-1] if above and above[-1].casefold() not in _SORTING else None
    untagged = take_ids(last)[0]
    found = numbering.season_folder(untagged)
    if found is None and outer is not None and _PLAIN_NUMBER.fullmatch(untagged):
        found = int(untagged), ""
    if found is None:
        if last.casefold() in _SORTING:
            return Location(release=release, part=part)
        if outer is not None and _outer_is_show(outer, last, stem):
            return Location(outer, None, len(above), len(above), release, part)
        return Location(last, None, depth, depth, release, part)
    season, own = found[0], tidy(found[1])
    if outer is not None and numbering.season_folder(outer):
        outer = locate(above, stem).show or outer
    if own and (outer is None or not (_is_sure(outer) or _same_show(own, outer))):
        return Location(found[1], season, len(above) if outer else depth, depth, release, part)
    return Location(outer, season, len(above) if outer else depth, depth, release, part)


def episode_folders(path: PurePosixPath) -> tuple[str | None, str | None]:
    """Return the folder of the show that a video lies in, and the one of its season; None where there is none.

    A season's folder that lies in no folder of a show (`Sherlock Season 1`) is both.
    """
    parts = path.parts[:-1]
    found = locate([plain(name) for name in parts], plain(path.stem))
    if not found.show_depth:
        return None, None
    season = None if found.season is None else "/".join(parts[: found.season_depth])
    return "/".join(parts[: found.show_depth]), season


def title_end(stem: str, title: str) -> int:
    """Return where the show's title ends in a file's name that begins with it, so that its numbers are not counted."""
    words = re.findall(r"[^\W_]+", title)
    match = re.match(
        r"(?:\[[^\]]*\])?[\W_]*" + r"[\W_]*".join(map(re.escape, words)) + r"(?![^\W_])[\s._-]*", stem, re.IGNORECASE
    )
    return match.end() if words and match and match.end() < len(stem) else 0


def _pop_part(names: list[str]) -> int | None:
    """Take the folders of discs off the end; the inner one is the part."""
    part = None
    while names and (found := part_folder(names[-1])) is not None:
        part = part or found[0]
        names.pop()
        if found[1]:
            names.append(found[1])
    return part


def _drop_uninformative(names: list[str]) -> None:
    while len(names) > 1 and _INSIDE_A_SHOW.fullmatch(names[-1].strip()):
        names.pop()


def _is_within_season(names: list[str]) -> bool:
    """Return whether the last folder lies in a season's: 'Season 1/Episode 1'. 'Season 2023' may sort shows by year."""
    if numbering.season_folder(names[-1]):
        return False
    outer = numbering.season_folder(take_ids(names[-2])[0])
    return outer is not None and outer[0] < _FIRST_YEAR


def _outer_is_show(outer: str, inner: str, stem: str) -> bool:
    """Return whether the outer folder is the show's: in 'Naruto/Filler/Naruto - 101', not in 'Westerns/1923/01'."""
    if _begins_with_show(stem, inner):
        return False
    return _begins_with_show(stem, outer) or (_is_sure(outer) and not _is_sure(inner))


def _begins_with_show(stem: str, folder: str) -> bool:
    end = title_end(stem, read_release(take_ids(folder)[0], "episode").title)
    return end > 0 and _NUMBER_FOLLOWS.match(stem, end) is not None


def _is_sure(folder: str) -> bool:
    """Return whether a folder has a year in brackets or an external id, as only shows have."""
    name, ids = take_ids(folder)
    return bool(ids) or read_release(name, "episode").sure


def _same_show(own: str, outer: str) -> bool:
    one = identity(own).rstrip("|")
    other = identity(read_release(take_ids(outer)[0], "episode").title).rstrip("|")
    return one.startswith(other) or other.startswith(one)
