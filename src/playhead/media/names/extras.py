"""Recognises what is not an item: hidden files, samples, trailers and other extras. Looks at names only."""

import re
from pathlib import PurePosixPath
from typing import Final

from playhead.media.names.text import plain

VIDEO_EXTENSIONS: Final = frozenset(
    {
        *(".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".m2ts", ".m2v", ".m4v", ".mk3d", ".mkv", ".mov"),
        *(".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogm", ".ogv", ".rm", ".rmvb", ".ts", ".vob"),
        *(".webm", ".wmv", ".wtv", ".xvid"),
    }
)

# The folders and suffixes by which Plex, Jellyfin, Emby and Kodi know extras. Those of the second list are also names
# of shows and of folders that sort a library, so they count only inside another folder.
_EXTRAS_FOLDERS: Final = frozenset(
    {
        *(
            "behind the scenes",
            "deleted scenes",
            "deleted and extended scenes",
            "featurettes",
            "featurette",
            "trailers",
        ),
        *("trailer", "samples", "sample", "backdrops", "theme-music", "theme-videos", "theme videos", "bonus features"),
        *("special features", "bonus disc", "nc", "ncop", "nced", "proof", "subs", "subtitles", "plex versions"),
    }
)
_EXTRAS_INSIDE: Final = frozenset(
    {
        *("extras", "extra", "other", "others", "shorts", "scenes", "clips", "interviews", "bonus", "bonuses", "menus"),
        *("menu", "making of", "making-of"),
    }
)
# The folders of extras in releases: 'Amber.Extras-GRP', 'Bonus Disc 2', 'Extras.1080p-GRP'. They count inside another
# folder, or with a year before the word; 'Amber S01 EXTRAS DVDRip' counts anywhere.
_EXTRAS_OF_RELEASE: Final = re.compile(
    r"(?:.*[\s._-])?(?:extras?|bonus|featurettes?|(?:deleted|behind[\s._-]the)[\s._-]scenes)"
    r"(?:[\s._-]*(?:dis[ck]s?|dvd\d?|blu-?ray|bd(?:rip)?|web(?:-?dl|rip)?|(?:480|576|720|1080|2160)[pi]|[xh][\s.]?26[45]|\d{1,2}|\[[^\]]*\]))*"
    r"(?:-[^\W_]\w*)?",
    re.IGNORECASE,
)
_YEAR_BEFORE: Final = re.compile(r".*[\s._(-](?:19|20)\d\d[\s._)-]")
_EXTRAS_OF_SEASON: Final = re.compile(r".*[\s._]s\d{1,2}[\s._-]+extras(?![^\W_]).*", re.IGNORECASE)
_EXTRAS_SUFFIX: Final = re.compile(
    r"-(?:behindthescenes|deleted|deletedscene|featurette|interview|scene|short|other|clip|extra|extras)\d*$"
)
_SAMPLE: Final = re.compile(
    r"(?:^|[._-]|\s-\s)sample[\s._-]*\d*$|^sample[._-]|[._-]sample[._-]\w{2,}$|(?:^|[_-]\s?)trailer[\s._-]*\d*$"
    r"|[\s._](?:official|teaser)[\s._]trailer\b",
    re.IGNORECASE,
)
_MOVIE_TRAILER: Final = re.compile(r"[\s.]trailer[\s._-]*\d*$", re.IGNORECASE)  # an episode may be called 'The Trailer'
_CREDITLESS: Final = re.compile(
    r"(?<![^\W_])(?:NCOP|NCED|Creditless)[\s._-]*(?:OP|ED)?\d*[a-z]?(?![^\W_])", re.IGNORECASE
)
# Copied discs: their videos are pieces of films, whose order is known only to the disc's menu.
_DISC_FOLDERS: Final = frozenset({"video_ts", "audio_ts", "bdmv", "certificate"})
# '...And Justice for All' begins with dots and is not hidden; folders of Synology, Windows and Jellyfin are.
_HIDDEN: Final = re.compile(
    r"\.(?!\.)|@|#recycle|\$recycle|lost\+found$|__macosx|system volume information", re.IGNORECASE
)


def is_video(path: PurePosixPath) -> bool:
    """Return whether a file is a video, by its extension."""
    return path.suffix.lower() in VIDEO_EXTENSIONS


def is_extra(path: PurePosixPath) -> bool:
    """Return whether a video only accompanies an item: a trailer, a sample, a file in a folder of extras."""
    return not may_be_item(tuple(plain(name) for name in path.parts[:-1]), plain(path.stem))


def may_be_item(folders: tuple[str, ...], stem: str) -> bool:
    """Return whether a video may be an item, by the plain names of its folders, outermost first, and of the file."""
    names = [name.casefold().strip() for name in folders]
    if any(_HIDDEN.match(name) or name.endswith(".trickplay") for name in (*names, stem)):
        return False
    if any(name in _DISC_FOLDERS or name in _EXTRAS_FOLDERS or _EXTRAS_OF_SEASON.fullmatch(name) for name in names):
        return False
    if any(name in _EXTRAS_INSIDE or _EXTRAS_OF_RELEASE.fullmatch(name) for name in names[1:]):
        return False
    if any(_YEAR_BEFORE.match(name) and _EXTRAS_OF_RELEASE.fullmatch(name) for name in names):
        return False
    return not (_EXTRAS_SUFFIX.search(stem) or _SAMPLE.search(stem) or _CREDITLESS.search(stem))


def is_trailer_of_movie(stem: str) -> bool:
    """Return whether a file in a library of movies is a trailer."""
    return _MOVIE_TRAILER.search(stem) is not None
