"""Episodes: the show from the folders, else from the file's name; the numbers from the file's name, else its folder."""

import re
from typing import Final, NamedTuple

from playhead.domain.catalogue import ParsedName
from playhead.domain.model import ItemKind
from playhead.media.names import numbering
from playhead.media.names.ids import take_ids
from playhead.media.names.numbering import EpisodeNumbers
from playhead.media.names.parts import episode_part
from playhead.media.names.releases import Release, read_release, technical_start
from playhead.media.names.show_folders import locate, title_end
from playhead.media.names.text import tidy, without_group, without_site

_CLEAN_YEAR: Final = re.compile(r"^[\s._-]*[(\[](?:\d{4}|[\d.-]{10})[)\]]")
# Japanese variety shows begin with the day of the broadcast: '221208 Title ep34'.
_DAY_BEFORE: Final = re.compile(r"^\d{6}[\s._]+(?=\D)")
# The number through all seasons, which some add before season and episode: 'Title - 12 (S01E12)'.
_OTHER_NUMBER: Final = re.compile(
    r"(?<=\S)[\s._]+-[\s._]+\d{1,4}(?:\.\d)?[\s._]*[-(\[]*[\s._]*$|[\s._]+\d{1,4}-\d{1,4}[\s._]+$"
)
_GROUP_ALONE: Final = re.compile(r"^\[[^\]]*\][\s._-]*$")
# By these rules the number may hold the season as well: 'Season 1/101 - Title'.
_MAY_HOLD_SEASON: Final = frozenset({"02 - Title", "02 Title", "[02]", "Title 02"})


class _Named(NamedTuple):
    """What the file's name says of the show, and the season that it names besides the numbers."""

    show: Release
    season: int | None = None


def read_episode(folders: tuple[str, ...], stem: str) -> ParsedName | None:
    """Parse an episode from the plain names of its folders, outermost first, and of the file without its extension.

    None where no show is named, or neither episode nor air date; and where the number is a fraction, as of a recap.
    """
    stem, ids = take_ids(stem)
    location = locate(folders, stem)
    from_folder = location.release is not None and not (numbering.explicit(stem) or numbering.dated(stem))
    text = location.release if from_folder and location.release else stem
    show_name = location.show
    if show_name is not None:
        show_name, ids = take_ids(show_name)  # in the file's name they would be the episode's
    folder = read_release(numbering.several_seasons(show_name), "episode") if show_name else Release("")
    begin = title_end(text, folder.title) if folder.title else 0
    numbers = _find_numbers(text, begin, has_show=bool(folder.title))
    if numbers is None or numbers.fraction:
        return None
    named = _read_prefix(text, begin, numbers, folder)
    if not named.show.title:
        return None
    part_start, part = episode_part(text, numbers.end, dated=numbers.air_date is not None)
    end = min(technical_start(text, "episode", numbers.end), part_start)
    season, episode = _season_and_episode(numbers, named.season, location.season)
    return ParsedName(
        ItemKind.EPISODE,
        named.show.title,
        named.show.year,
        season_number=season,
        episode_number=episode,
        episode_end=numbers.last,
        episode_title=_episode_title(text, numbers.end, end),
        air_date=numbers.air_date,
        part=numbers.half or part or location.part,
        external_ids=ids,
        rule=f"folder: {numbers.rule}" if from_folder else numbers.rule,
    )


def _find_numbers(text: str, begin: int, *, has_show: bool) -> EpisodeNumbers | None:
    """Find the numbers in the order of certainty: with words to them, as a date, or alone."""
    found = (
        numbering.explicit(text)
        or numbering.dated(text, certain=True)
        or numbering.special(text)
        or numbering.worded(text)
        or numbering.dated(text)
    )
    if found is not None:
        return found
    return numbering.bare(text, begin, technical_start(text, "episode", begin), leading=has_show)


def _read_prefix(text: str, begin: int, numbers: EpisodeNumbers, folder: Release) -> _Named:
    """Read what stands before the numbers: the show, unless the folder tells it, and perhaps a season ('S2 - 10')."""
    prefix = without_group(without_site(text[begin : numbers.start]))
    season = numbering.season_folder(prefix.rstrip(" ._-([")) if prefix else None
    if folder.title:
        return _Named(folder, season[0] if season else None)
    if season is not None and re.search(r"\w", season[1]):
        return _Named(read_release(season[1], "episode", prefix=True), season[0])
    prefix = _DAY_BEFORE.sub("", _OTHER_NUMBER.sub("", prefix))
    if re.search(r"[^\W_]", _GROUP_ALONE.sub("", prefix)):
        # In 'Show Name.1of6' the dot separates, in 'Monsters, Inc. 1x01' it belongs to the title.
        return _Named(read_release(prefix.rstrip(".") if " " in prefix else prefix, "episode", prefix=True))
    return _read_suffix(text, numbers, prefix)


def _read_suffix(text: str, numbers: EpisodeNumbers, group: str) -> _Named:
    """Read the show behind the number, as fansub groups write: '[Group] 12 - Title [BD]'. Others name the episode."""
    rest = text[numbers.end :].lstrip(" ._-")
    season = numbering.season_folder(rest)
    if season is not None and season[1]:
        return _Named(read_release(season[1].rstrip(" ._-(["), "episode"), season[0])
    if group and re.match(r"[^\W_]", rest):
        return _Named(read_release(rest.partition(" - ")[0], "episode"))
    return _Named(read_release(group.strip("[] ._-"), "episode") if group else Release(""))


def _season_and_episode(
    numbers: EpisodeNumbers, named: int | None, folder: int | None
) -> tuple[int | None, int | None]:
    """Join what the file says with what its folder says. Without either, numbers count through season 1."""
    if numbers.air_date is not None:
        return None, None
    if numbers.season is not None:
        return numbers.season, numbers.episode
    season = named if named is not None else folder
    if numbers.rule in _MAY_HOLD_SEASON and numbers.episode and season and numbers.episode // 100 == season:
        return season, numbers.episode % 100 or numbers.episode
    return 1 if season is None else season, numbers.episode


def _episode_title(stem: str, begin: int, end: int) -> str | None:
    text = _CLEAN_YEAR.sub("", stem[begin:end]).lstrip(" ._-])")
    text = re.sub(r"[\[(][^\])]*$|^\[[^\]]*\]$", "", text)  # a bracket, whole or cut by the technical words
    title = tidy(text, dots_stay=" " in stem)
    # Korean releases write the day of broadcast there, in six digits.
    return title if re.search(r"\w", title) and not re.fullmatch(r"\d{6}", title) else None
