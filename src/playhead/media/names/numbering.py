"""Numbers in the names of episodes and their folders: season, episodes, air date. Patterns only; knows no titles."""

import re
from dataclasses import dataclass
from datetime import date

_SEASON_WORD = r"(?:seasons?|series|saison|staffel|stagione|temporada|seizoen|säsong|sesong|sæson|sezon|сезон|sezonul)"
_EPISODE_WORD = (
    r"(?:episodes?|épisode|folge|episodio|episódio|cap[ií]tulo|aflevering|avsnitt|odcinek|bölüm|серия|эпизод|ep|e)"
)
# A pattern begins and ends where a word does; '_' separates words in file names.
_BEGIN, _END = r"(?<![^\W_])", r"(?![^\W_])"
_ENGLISH_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_CHINESE_DIGITS = "一二三四五六七八九十"
_CJK_NUMBER = rf"(?:\d{{1,4}}|[{_CHINESE_DIGITS}])"


def _compiled(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern, re.IGNORECASE) for pattern in patterns)


# Season and episode, in so many words. The first that matches wins.
_EXPLICIT = _compiled(  # repetitions are possessive ('+' behind them): no name may keep the scan busy
    # S01E02, s1.e2, S01 - EP02, S01E01E02, S01E01-E03, S01E01-S01E02, S01E01+E02, S01E01-03
    rf"{_BEGIN}s(?P<season>\d{{1,4}})[\s._-]*(?:ep|e|xe|x)[\s._-]?(?P<episode>\d{{1,4}})"
    r"(?:[\s._]*[-+&~]?[\s._]*(?:s\d{1,4}[\s._]*)?(?:ep|e|x)[\s._]?(?P<last>\d{1,4})(?!\d))*+"
    r"(?:-(?P<range>\d{1,3})(?![\dpi]))?(?:[a-d](?![^\W_]))?",
    # 1x02, 1x01-02, 1x01x02, 1x01-1x02
    rf"{_BEGIN}(?P<season>\d{{1,2}}|20[0-3]\d)[x\u00d7](?P<episode>\d{{2,3}})"
    rf"(?:(?:-(?:\d{{1,2}}[x\u00d7])?|[x\u00d7])(?P<last>\d{{2,3}}+))*+{_END}",
    # Season 1 Episode 2
    rf"{_BEGIN}{_SEASON_WORD}[\s._-]*(?P<season>\d{{1,4}})[\s._,-]*{_EPISODE_WORD}[\s._-]*(?P<episode>\d{{1,4}})(?!\d)",
    # 1 сезон 2 серия
    rf"{_BEGIN}(?P<season>\d{{1,2}})[\s._-]*(?:сезон|sezon|évad)[\s._,-]*"
    rf"(?P<episode>\d{{1,4}})[\s._-]*(?:серия|эпизод|bölüm|rész){_END}",
    # 第1季第2集, 第二期 第5話, 시즌 1 2화
    rf"第\s*(?P<season>{_CJK_NUMBER})\s*[季期部][\s._-]*第?\s*(?P<episode>\d{{1,4}})\s*[集話话回]",
    r"시즌\s*(?P<season>\d{1,2})[\s._-]*제?\s*(?P<episode>\d{1,4})\s*[화회]",
    # S2 - 05, as fansub groups write
    rf"{_BEGIN}s(?P<season>\d{{1,2}})[\s._]*-[\s._]*(?P<episode>\d{{2,4}})(?:v\d)?{_END}",
    # 2nd Season - 05
    rf"{_BEGIN}(?P<season>\d)(?:st|nd|rd|th)[\s._]season[\s._]*-?[\s._]*(?P<episode>\d{{1,4}})(?:v\d)?{_END}",
)

_DATES = _compiled(
    r"(?<!\d)(?P<year>(?:19|20)\d\d)(?P<sep>[\s._-])(?P<month>\d\d)(?P=sep)(?P<day>\d\d)(?!\d)",
    r"(?<!\d)(?P<day>\d\d)(?P<sep>[\s._-])(?P<month>\d\d)(?P=sep)(?P<year>(?:19|20)\d\d)(?!\d)",
    r"(?<!\d)(?P<month>\d\d)(?P<sep>[\s._-])(?P<day>\d\d)(?P=sep)(?P<year>(?:19|20)\d\d)(?!\d)",
    r"(?<!\d)(?P<year>(?:19|20)\d\d)(?P<month>\d\d)(?P<day>\d\d)(?!\d)",
)

_SPECIAL = _compiled(
    rf"{_BEGIN}(?:sp|specials?)[\s._-]*(?P<episode>\d{{1,3}})(?:v\d)?{_END}",
    rf"{_BEGIN}(?:ova|oad|oav)s?(?:[\s._-]*(?P<episode>\d{{1,3}}))?(?:v\d)?{_END}",
)

# An episode without its season.
_EPISODE_ONLY = _compiled(
    rf"{_BEGIN}{_EPISODE_WORD}[\s._-]*(?P<episode>\d{{1,4}})(?:-(?:ep|e)?(?P<last>\d{{1,4}}))?(?:v\d)?{_END}",
    r"第\s*(?P<episode>\d{1,4})(?:\s*-\s*(?P<last>\d{1,4}))?\s*[話话集回]",
    r"제?\s*(?<!\d)(?P<episode>\d{1,4})\s*[화회話话集]",
    rf"{_BEGIN}(?P<episode>\d{{1,4}})[\s._-]*(?:серия|эпизод|bölüm|rész){_END}",
    r"الحلقة[\s._-]*(?P<episode>\d{1,4})(?!\d)",
    r"(?<!\w)#(?P<episode>\d{1,4})(?!\d)",
    rf"{_BEGIN}(?P<episode>\d{{1,3}})\s?of\s?\d{{1,3}}{_END}",
)

_LEADING = re.compile(r"(?P<episode>\d{1,4})(?:-(?P<last>\d{1,4}))?(?:v\d)?(?=$|[\s._-]|\[|\()")
_DASHED = re.compile(
    r"(?:^|[\s._])-[\s._]*(?P<episode>\d{1,4})(?:-(?P<last>\d{1,4}))?(?:v\d)?(?:[\s._]*(?:END|Final))?(?=$|[\s._\[(])",
    re.IGNORECASE,
)
_BRACKETED = re.compile(r"[\[(](?P<episode>\d{1,4})(?:v\d)?(?:[\s._]?(?:END|完|FIN))?[\])]", re.IGNORECASE)
_STANDING = re.compile(r"(?:^|(?<=[\s._]))(?P<episode>\d{1,4})(?:v\d)?(?=$|[\s._\[(])")
_PART = re.compile(rf"{_BEGIN}(?:part|pt)[\s._-]?(?P<episode>\d{{1,2}}){_END}", re.IGNORECASE)

_SEASON_FOLDERS = _compiled(
    rf"(?P<show>.*?)(?:^|[\s._-]+){_SEASON_WORD}[\s._-]*(?P<season>\d{{1,4}})(?!\d)(?P<rest>.*)",
    rf"(?P<show>.*?)(?:^|[\s._-]+)season[\s._-]+(?P<season>{'|'.join(_ENGLISH_NUMBERS)})\b(?P<rest>.*)",
    r"(?P<show>.*?)(?:^|[\s._-]+)(?P<season>\d{1,2})(?:st|nd|rd|th|[ea]?re?|\.)?[\s._-]*"
    r"(?:season|сезон|sezon|staffel|saison|évad)(?P<rest>.*)",
    r"(?P<show>.*?)(?:^|[\s._-]+)s(?P<season>\d{1,4})(?P<rest>(?:[\s._\[(-].*)?)",
    rf"(?P<show>.*?)[\s._-]*第\s*(?P<season>{_CJK_NUMBER})\s*[季期部](?P<rest>.*)",
    r"(?P<show>.*?)[\s._-]*시즌\s*(?P<season>\d{1,2})(?P<rest>.*)",
    r"(?P<show>)(?:volume|vol\.?|book|buch|livre)[\s._-]*(?P<season>\d{1,2})(?P<rest>.*)",
)
_SPECIALS_FOLDER = re.compile(
    r"(?:specials?|sps?|ovas?|oads?|season 0+|спешлы|спецвыпуски|番外|特别篇|スペシャル|스페셜)", re.IGNORECASE
)
_SEVERAL_SEASONS = re.compile(
    rf"[\s._-]+(?:s\d{{1,2}}[\s._]?-[\s._]?s?\d{{1,2}}|{_SEASON_WORD}[\s._]*\d{{1,2}}[\s._]?(?:-|to|&)[\s._]?\d{{1,2}}"
    rf"|(?:the[\s._])?complete[\s._](?:series|seasons?|collection)).*",
    re.IGNORECASE,
)

_FIRST_YEAR, _LAST_YEAR = 1900, 2039
_RESOLUTIONS = (480, 540, 576, 720, 1080, 1440, 2160)
_MOST_IN_A_FILE = 50


@dataclass(frozen=True, slots=True)
class EpisodeNumbers:
    """What a name says of an episode, and where in the name it says so; `leading` if the name begins with it."""

    start: int
    end: int
    season: int | None = None
    episode: int | None = None
    last: int | None = None
    air_date: date | None = None
    leading: bool = False


def _value(text: str) -> int:
    for names in (_CHINESE_DIGITS, _ENGLISH_NUMBERS):
        if text.lower() in names:
            return names.index(text.lower()) + 1
    return int(text)


def _numbers(match: re.Match[str], season: int | None = None, *, leading: bool = False) -> EpisodeNumbers:
    named = match.groupdict()
    if named.get("season"):
        season = _value(named["season"])
    episode = int(named.get("episode") or 1)
    last = max((int(named[key]) for key in ("last", "range") if named.get(key)), default=0)
    end = match.end()
    if not episode < last < episode + _MOST_IN_A_FILE:
        last = None
        if named.get("range"):
            end = match.start("range")
    return EpisodeNumbers(match.start(), end, season, episode, last, leading=leading)


def explicit(name: str) -> EpisodeNumbers | None:
    """Find season and episode in so many words, such as S01E02, 1x02 or 第1季第2集."""
    found = (match for pattern in _EXPLICIT if (match := pattern.search(name)))
    return next((_numbers(match) for match in found), None)


def dated(name: str) -> EpisodeNumbers | None:
    """Find an air date: year first, else day first, else month first; only one that the calendar has."""
    for match in (match for pattern in _DATES for match in pattern.finditer(name)):
        try:
            day = date(int(match["year"]), int(match["month"]), int(match["day"]))
        except ValueError:
            continue
        return EpisodeNumbers(match.start(), match.end(), air_date=day)
    return None


def episode_only(name: str) -> EpisodeNumbers | None:
    """Find an episode's number with a word to it, such as E02, 第5話, SP1 or OVA (a special is season 0)."""
    for pattern in _SPECIAL:
        if match := pattern.search(name):
            return _numbers(match, season=0)
    found = (match for pattern in _EPISODE_ONLY if (match := pattern.search(name)))
    return next((_numbers(match) for match in found), None)


def bare(name: str, begin: int, end: int, *, leading: bool) -> EpisodeNumbers | None:
    """Find a number that stands alone in `name[begin:end]`: behind a dash, in brackets, or last of the words.

    `leading` also takes one that begins there, as where the folder has told the show already. Years are no episodes.
    """
    text = " " * begin + name[begin:end]  # so that positions are those of the name
    if leading and (match := _LEADING.match(text, begin)) and not _is_year(match):
        return _numbers(match, leading=begin == 0)
    standing = [match for match in reversed(list(_STANDING.finditer(text))) if match.start() > begin or leading]
    named_otherwise = [match for match in [*_BRACKETED.finditer(text), *standing] if not _is_resolution(match)]
    candidates = [*_DASHED.finditer(text), *named_otherwise, *_PART.finditer(text)]
    return next((_numbers(match) for match in candidates if not _is_year(match)), None)


def _is_year(match: re.Match[str]) -> bool:
    return _FIRST_YEAR <= int(match["episode"]) <= _LAST_YEAR


def _is_resolution(match: re.Match[str]) -> bool:
    return int(match["episode"]) in _RESOLUTIONS


def season_folder(name: str) -> tuple[int, str] | None:
    """Return the season that a folder is for, and what it says before that, which may be the show's title."""
    if _SPECIALS_FOLDER.fullmatch(name.strip()):
        return 0, ""
    if several_seasons(name) != name:
        return None
    for pattern in _SEASON_FOLDERS:
        if match := pattern.fullmatch(name.strip()):
            return _value(match["season"]), match["show"]
    return None


def several_seasons(name: str) -> str:
    """Return the name without the tail that tells of many seasons (`S01-S05`, `Complete Series`)."""
    return _SEVERAL_SEASONS.sub("", name)
