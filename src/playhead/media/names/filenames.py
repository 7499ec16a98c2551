"""What the path of a file says of it: the folders' names first, guessit for the words in the file's name.

Pure: looks at names only, never at files. What it cannot know is in docs/names.md.
"""

import re
from pathlib import PurePosixPath
from typing import Final

from playhead.domain.catalogue import ParsedName, identity
from playhead.domain.model import ItemKind, LibraryKind
from playhead.media.names import numbering
from playhead.media.names.ids import take_ids
from playhead.media.names.releases import Release, plain, read_release, technical_start, tidy

VIDEO_EXTENSIONS: Final = frozenset(
    {
        *(".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".m2ts", ".m2v", ".m4v", ".mk3d", ".mkv", ".mov"),
        *(".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogm", ".ogv", ".rm", ".rmvb", ".ts", ".vob"),
        *(".webm", ".wmv", ".wtv", ".xvid"),
    }
)

# --- What is no item ----------------------------------------------------------------------------------------------

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
# Folders of releases: 'Hercules.Extras-GRP' inside a film's folder, 'Hercules.1997.EXTRAS.1080p.BluRay-GRP' anywhere.
_EXTRAS_OF_RELEASE: Final = re.compile(
    r"(?:.*[\s._-])?(?:extras?|bonus|featurettes?|(?:deleted|behind[\s._-]the)[\s._-]scenes)"
    r"(?:[\s._-]*(?:dis[ck]s?|dvd\d?|blu-?ray|bd(?:rip)?|web(?:-?dl|rip)?|(?:480|576|720|1080|2160)[pi]|[xh][\s.]?26[45]|\d{1,2}|\[[^\]]*\]))*"
    r"(?:-[^\W_]\w*)?",
    re.IGNORECASE,
)
_YEAR_BEFORE: Final = re.compile(r".*[\s._(-](?:19|20)\d\d[\s._)-]")
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
# Discs that were copied with all their folders: the film is cut into files whose order only the disc's menu knows.
_DISC_FOLDERS: Final = frozenset({"video_ts", "audio_ts", "bdmv", "certificate"})
# '...And Justice for All' begins with dots and is not hidden; folders of Synology, Windows and Jellyfin are.
_HIDDEN: Final = re.compile(
    r"\.(?!\.)|@|#recycle|\$recycle|lost\+found$|__macosx|system volume information", re.IGNORECASE
)


def is_video(path: PurePosixPath) -> bool:
    """Tell by its extension whether a file holds moving pictures."""
    return path.suffix.lower() in VIDEO_EXTENSIONS


def is_extra(path: PurePosixPath) -> bool:
    """Tell what only accompanies an item: trailers, samples, what lies in folders of extras."""
    return not _is_item(tuple(plain(name) for name in path.parts[:-1]), plain(path.stem))


def _is_item(folders: tuple[str, ...], stem: str) -> bool:
    names = [name.casefold().strip() for name in folders]
    if any(_HIDDEN.match(name) or name.endswith(".trickplay") for name in (*names, stem)):
        return False
    if any(name in _DISC_FOLDERS or name in _EXTRAS_FOLDERS for name in names) or any(
        name in _EXTRAS_INSIDE or _EXTRAS_OF_RELEASE.fullmatch(name) for name in names[1:]
    ):
        return False
    if any(_YEAR_BEFORE.match(name) and _EXTRAS_OF_RELEASE.fullmatch(name) for name in names):
        return False
    return not (_EXTRAS_SUFFIX.search(stem) or _SAMPLE.search(stem) or _CREDITLESS.search(stem))


# --- Entry --------------------------------------------------------------------------------------------------------


def parse(path: PurePosixPath, library: LibraryKind) -> ParsedName | None:
    """Read a path relative to the library's folder, with its extension.

    None where the file is no item of such a library: hidden, a sample, a trailer or another extra; and in a library of
    shows a file that names no show, or neither episode nor air date.
    """
    folders, stem = tuple(plain(name) for name in path.parts[:-1]), plain(path.stem)
    if not _is_item(folders, stem):
        return None
    if library is LibraryKind.SHOWS:
        return _episode(folders, stem)
    return None if _MOVIE_TRAILER.search(stem) else _movie(folders, stem)


# --- Movies -------------------------------------------------------------------------------------------------------

_PART_FOLDER: Final = re.compile(r"(?:cd|disc|disk|dvd|part|pt)[\s._-]*(?P<part>[1-9])", re.IGNORECASE)
_DISC: Final = re.compile(  # DVD5 and DVD9 are sizes
    r"[\s._\[(-]+(?:cd|disc|disk|dvd(?![59]))[\s._-]?(?P<part>[1-9])(?:[\s._-]?of[\s._-]?\d)?(?![^\W_])[\])]?",
    re.IGNORECASE,
)
_JOINED_PART: Final = re.compile(r"[\s._\[(-]+(?:part|pt)(?P<part>[1-9])[\])]?$", re.IGNORECASE)
_SPACED_PART: Final = re.compile(r"[\s._-]+(?:part|pt)[\s._-]+(?P<part>[1-9])$", re.IGNORECASE)
# Names that a ripper or a camera gives.
_MEANINGLESS: Final = re.compile(
    r"(?:movie|film|video|main|feature|title|index|stream|vts|mvi|dvd|t)?[\s._-]*t?[\d_]*", re.IGNORECASE
)
_COLLECTION_NUMBER: Final = re.compile(r"^\d{1,2}(?:\. | - )(?=.*[^\W\d_])")
_YEARS: Final = re.compile(r"[(\[]\d{4}\s?-\s?\d{2,4}[)\]]")

_EDITION_TAG: Final = re.compile(r"\s*[\[{(]edition[-=: ](?P<edition>[^\]})]+)[\]})]", re.IGNORECASE)
_BRACKET: Final = re.compile(r"[\[({]([^\[\](){}]*)[\])}]")
_EDITION: Final = re.compile(
    r"(?<![^\W_])(?P<edition>(?:\d+(?:st|nd|rd|th)[\s._]+)?[^\W\d_][\w'\u2019]*[\s._]+(?:cut|edition)"
    r"|extended|theatrical|unrated|uncut|uncensored|remastered|restored|redux|imax|criterion|despecialized)(?![^\W_])",
    re.IGNORECASE,
)
# These say everything by themselves: 'Extended Cut' and 'Extended Edition' are one version.
_ALONE: Final = re.compile(
    r"(extended|theatrical|unrated|uncut|uncensored|remastered|restored|imax|criterion)\b.*", re.IGNORECASE
)
_EDITION_SPELLINGS: Final = {
    "imax": "IMAX",
    "directors cut": "Director's Cut",
    "director\u2019s cut": "Director's Cut",
    "collectors edition": "Collector's Edition",
    "producers cut": "Producer's Cut",
}


def _movie(folders: tuple[str, ...], stem: str) -> ParsedName | None:
    part: int | None = None
    if folders and (match := _PART_FOLDER.fullmatch(folders[-1])):
        part, folders = int(match["part"]), folders[:-1]
    folder_name, folder_ids = take_ids(folders[-1] if folders else "")
    folder_name, folder_edition = _take_edition(folder_name)
    folder = Release("") if _YEARS.search(folder_name) else read_release(folder_name, "movie")

    name, ids = take_ids(stem)
    name, edition = _take_edition(name)
    name, named_part = _take_part(name, folder)
    file = read_release(_COLLECTION_NUMBER.sub("", name) if folders else name, "movie")
    release = folder if _folder_decides(folder, file, name) else file
    if not release.title:
        return None
    return ParsedName(
        ItemKind.MOVIE,
        release.title,
        release.year,
        part=named_part or part,
        edition=edition
        or folder_edition
        or _edition(file.rest)
        or (_edition(folder.rest) if release is folder else None),
        external_ids=folder_ids | ids,
    )


def _folder_decides(folder: Release, file: Release, name: str) -> bool:
    """Tell whether the folder names the film better than the file does."""
    if not folder.title:
        return False
    if not file.title or (_MEANINGLESS.fullmatch(name) and not file.year):
        return True
    if file.year is None:
        # A folder with a year, or named as releases are, holds one film; any other may hold many.
        return folder.sure or folder.technical or identity(folder.title) == identity(file.title)
    if folder.year == file.year:
        return folder.sure
    # Blade.Runner.1984.mkv in 'Wonder Woman 1984 (2020)': the title's own year was taken for the film's.
    return folder.sure and identity(folder.title) == identity(f"{file.title} {file.year}")


def _take_part(name: str, folder: Release) -> tuple[str, int | None]:
    """Return the name without, and the number of, the part of a film that was cut to fit on discs.

    'Part 1' with a space is rather the film's own title, except behind the year or where the folder's title has none.
    """
    patterns = [_DISC, _JOINED_PART]
    folder_has_none = folder.sure and " part " not in f" {folder.title} ".lower()
    spaced = _SPACED_PART.search(name)
    if spaced and (folder_has_none or read_release(name[: spaced.start()], "movie").sure):
        patterns.append(_SPACED_PART)
    for pattern in patterns:
        if (match := pattern.search(name)) and match.start() > 0:
            return name[: match.start()] + name[match.end() :], int(match["part"])
    return name, None


def _take_edition(name: str) -> tuple[str, str | None]:
    """Return the name without the edition, and the edition, where it stands in brackets or last behind a dash."""
    if tag := _EDITION_TAG.search(name):
        return _EDITION_TAG.sub("", name).strip(), tag["edition"].strip()
    for bracket in _BRACKET.finditer(name):
        if _EDITION.fullmatch(bracket[1]) and bracket.start() > 0:
            return f"{name[: bracket.start()].rstrip()} {name[bracket.end() :].lstrip()}".strip(), _edition(bracket[1])
    before, _, last = name.rpartition(" - ")
    return (before, _edition(last)) if before and _EDITION.fullmatch(last) else (name, None)


def _edition(rest: str) -> str | None:
    """Find the edition in what follows a film's title and year."""
    match = _EDITION.search(rest)
    if match is None:
        return None
    words = " ".join(re.split(r"[\s._]+", match["edition"]))
    words = _ALONE.sub(r"\1", words)
    spelled = " ".join(word[:1].upper() + word[1:].lower() for word in words.split())
    return _EDITION_SPELLINGS.get(words.lower(), spelled)


# --- Episodes -----------------------------------------------------------------------------------------------------

# Folders that sort a library and name no show.
_GENERIC: Final = frozenset(
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
# A season by its number alone, or by its year; earlier years are rather shows (1883, 1923).
_PLAIN_NUMBER: Final = re.compile(r"\d{1,2}|19[5-9]\d|20[0-3]\d")
_CLEAN_YEAR: Final = re.compile(r"^[\s._-]*[(\[]\d{4}[)\]]")


def _episode(folders: tuple[str, ...], stem: str) -> ParsedName | None:
    names = [name for name in folders if not _PART_FOLDER.fullmatch(name)]
    stem, ids = take_ids(stem)
    # A folder for one episode (Show.S01E01.1080p-GRP/abc.mkv) speaks for a file that says less.
    while names and (numbering.explicit(names[-1]) or numbering.dated(names[-1])):
        release = names.pop()
        stem = stem if numbering.explicit(stem) or numbering.dated(stem) else release
    season, show = _season_and_show(names)
    if show is not None:
        show, ids = take_ids(show)  # in the file's name they would be the episode's
    return _numbered(stem, season, show, ids)


def _season_and_show(folders: list[str]) -> tuple[int | None, str | None]:
    """Return the season that the innermost folder is for, and the name of the show's folder."""
    if not folders:
        return None, None
    *above, last = folders
    outer = above[-1] if above and above[-1].casefold() not in _GENERIC else None
    untagged = take_ids(last)[0]
    found = numbering.season_folder(untagged)
    if found is None and outer is not None and _PLAIN_NUMBER.fullmatch(untagged):
        found = int(untagged), ""
    if found is None:
        return None, None if last.casefold() in _GENERIC else last
    season, own = found[0], tidy(found[1])
    if outer is not None and numbering.season_folder(outer):
        outer = _season_and_show(above)[1] or outer
    if own and (outer is None or not _same_show(own, outer)):
        return season, found[1]
    return season, outer


def episode_folders(path: PurePosixPath) -> tuple[str | None, str | None]:
    """Return the folder of the show that a video lies in, and the one of its season; None where there is none.

    A season's folder that lies in no folder of a show (`Sherlock Season 1`) is both.
    """
    names = list(path.parts[:-1])
    while names and (_PART_FOLDER.fullmatch(names[-1]) or numbering.explicit(names[-1]) or numbering.dated(names[-1])):
        names.pop()
    if not names or names[-1].casefold() in _GENERIC:
        return None, None
    *above, last = names
    untagged = take_ids(plain(last))[0]
    is_inside = bool(above) and above[-1].casefold() not in _GENERIC
    if numbering.season_folder(untagged) or (is_inside and _PLAIN_NUMBER.fullmatch(untagged)):
        return "/".join(above if is_inside else names), "/".join(names)
    return "/".join(names), None


def _same_show(own: str, outer: str) -> bool:
    title = read_release(take_ids(outer)[0], "episode").title
    return identity(own).startswith(identity(title).rstrip("|")) or identity(title).startswith(
        identity(own).rstrip("|")
    )


def _numbered(stem: str, season: int | None, show: str | None, ids: dict[str, str]) -> ParsedName | None:
    folder = read_release(numbering.several_seasons(show), "episode") if show else None
    begin = _title_end(stem, folder.title) if folder else 0
    end = technical_start(stem, "episode", begin)
    numbers = (
        numbering.explicit(stem)
        or numbering.dated(stem)
        or numbering.episode_only(stem)
        or numbering.bare(stem, begin, end, leading=folder is not None)
    )
    if numbers is None:
        return None
    if folder is None or not folder.title:
        folder = read_release(_prefix(stem, numbers.start), "episode")
    if not folder.title:
        return None
    if numbers.end > end:
        end = technical_start(stem, "episode", numbers.end)
    last_part = _JOINED_PART.search(stem)
    season, episode = _season_and_episode(numbers, season)
    return ParsedName(
        ItemKind.EPISODE,
        folder.title,
        folder.year,
        season_number=season,
        episode_number=episode,
        episode_end=numbers.last,
        episode_title=_episode_title(stem, numbers.end, min(end, last_part.start() if last_part else end)),
        air_date=numbers.air_date,
        part=int(last_part["part"]) if last_part else None,
        external_ids=ids,
    )


def _prefix(stem: str, end: int) -> str:
    # In 'Show Name.1of6' the dot separates, in 'Monsters, Inc. 1x01' it belongs to the title.
    return stem[:end].rstrip(".") if " " in stem[:end] else stem[:end]


def _season_and_episode(numbers: numbering.EpisodeNumbers, season: int | None) -> tuple[int | None, int | None]:
    """Join what the file says with what its folder says. Without either, numbers count through season 1."""
    if numbers.air_date is not None:
        return None, None
    if numbers.season is not None:
        return numbers.season, numbers.episode
    if numbers.leading and numbers.episode and season and numbers.episode // 100 == season and numbers.episode % 100:
        return season, numbers.episode % 100  # 'Season 1/101 - Title'
    return 1 if season is None else season, numbers.episode


def _title_end(stem: str, title: str) -> int:
    """Return where the show's title ends in a file's name that begins with it, so that its numbers are not counted."""
    words = re.findall(r"[^\W_]+", title)
    match = re.match(
        r"(?:\[[^\]]*\])?[\W_]*" + r"[\W_]*".join(map(re.escape, words)) + r"(?![^\W_])[\s._-]*", stem, re.IGNORECASE
    )
    return match.end() if words and match and match.end() < len(stem) else 0


def _episode_title(stem: str, begin: int, end: int) -> str | None:
    text = _CLEAN_YEAR.sub("", stem[begin:end]).lstrip(" ._-])")
    text = re.sub(r"[\[(][^\])]*$|^\[[^\]]*\]$", "", text)  # a bracket, whole or cut by the technical words
    title = tidy(text, dots_stay=" " in stem)
    # Korean releases write the day of broadcast there, in six digits.
    return title if re.search(r"\w", title) and not re.fullmatch(r"\d{6}", title) else None
