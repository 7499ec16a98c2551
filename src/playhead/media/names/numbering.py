"""Numbers in the names of episodes and their folders: season, episodes, air date. Patterns only; knows no titles.

Each table is tried from top to bottom, and the first rule that matches decides.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final

from playhead.media.names.rules import Found, Rule, matches, rule
from playhead.media.names.words import EPISODE, EPISODE_AFTER, SEASON, any_of

# A pattern begins and ends where a word does; '_' separates words in file names.
_BEGIN, _END = r"(?<![^\W_])", r"(?![^\W_])"
_SEASON, _EPISODE, _EPISODE_AFTER = any_of(SEASON), any_of(EPISODE), any_of(EPISODE_AFTER)
_ENGLISH_NUMBERS: Final = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_CHINESE_DIGITS: Final = "一二三四五六七八九十"
_CJK_NUMBER = rf"(?:\d{{1,4}}|[{_CHINESE_DIGITS}])"
_ROMAN_NUMBERS: Final = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x")
_YEAR_SEASON = r"(?:19[2-9]\d|20[0-3]\d)"
_ORDINAL = r"(?:st|nd|rd|th|[ea]?re?|[eè]me?|[ªºae]|-?[\u0430-\u044f]{1,2}|\.)"
_VERSION = r"(?:v\d)?"

# Groups of a pattern: `season` and `episode`; `more`, further episodes of the same file ('-E03', '+04', ' - 1x03');
# `half`, the letter of half an episode; `month`, `day`, `year` of an air date. Repetitions are possessive ('+' behind
# them): no name may make the scan backtrack for long.
_MORE = r"(?P<more>(?:[-+]\d{1,5}(?![^\W_]))*+)"

# --- Season and episode -------------------------------------------------------------------------------------------

EXPLICIT: Final = (
    rule(
        "S01E02",
        "Amber S01E02",  # also s1.e2, S01 - EP02, SE01E02, T01E02, S01E01E02, S01E01-E03, S01E01 & S01E02, S01E01-02-03
        rf"{_BEGIN}(?:se?|t)(?P<season>\d{{1,4}})[\s._-]*(?:ep|e|xe|x)[\s._-]?(?P<episode>\d{{1,5}})"
        r"(?P<more>(?:(?:[\s._]*(?:[-+&~]|\band\b)?[\s._]*(?:s\d{1,4}[\s._]*)?(?:ep|e|x)[\s._]?\d{1,5}(?!\d))"
        r"|[-+]\d{1,5}(?![^\W_]))*+)(?:(?P<half>[a-d])(?![^\W_]))?",
    ),
    rule("S0102", "Amber.S0102.720p", rf"{_BEGIN}s(?P<season>0\d)(?P<episode>\d\d){_END}"),
    rule(
        "1x02",
        "Amber 1x02",  # also 1x01-02, 1x01x02, 1x01 - 1x02, 1x01.1x02, 1x01_02, 0x1901, 1948x02
        rf"{_BEGIN}(?:(?P<season>\d{{1,2}})[x\u00d7](?P<episode>\d{{2,4}})"
        rf"|(?P<year_season>{_YEAR_SEASON})[x\u00d7](?P<year_episode>[0-3]?\d\d))"
        rf"(?P<more>(?:(?:[\s._]*[-+&]?[\s._]*(?:\d{{1,2}}|{_YEAR_SEASON})[x\u00d7]|[-+_]|-?[x\u00d7])"
        rf"\d{{2,3}}(?![^\W_x\u00d7]))*+)(?:(?P<half>[a-d]){_END}|{_END}|(?=m?\d{{3,4}}p))",
    ),
    rule(
        "1. season 2. episode",
        "Амбер. 1 сезон 2 серия",  # also 2.Sezon.7.Bölüm, 5-й сезон 09-я серия
        rf"{_BEGIN}(?P<season>\d{{1,2}}){_ORDINAL}?[\s._-]*{_SEASON}[\s._,-]*"
        rf"(?P<episode>\d{{1,4}}){_ORDINAL}?[\s._-]*{_EPISODE_AFTER}{_END}",
    ),
    rule(
        "Season 1 Episode 2",
        "Amber - Season 1 Episode 2",  # in any language; also 'Season 1 Episode 05-06', 'Se.3 afl.3 en 4'
        rf"{_BEGIN}(?:{_SEASON}|se?)[\s._-]*(?P<season>\d{{1,4}})[\s._,-]*{_EPISODE}[\s._-]*(?P<episode>\d{{1,5}})(?!\d)"
        r"(?!\.\d)(?P<more>(?:(?:[-+]|[\s._]+(?:en|and|und|et|y|e)[\s._]+)\d{1,5}(?![^\W_]))*+)",
    ),
    rule(
        "第1季第2集",
        "琥珀.第1季第2集",  # also 第二期 第5話
        rf"第\s*(?P<season>{_CJK_NUMBER})\s*[季期部][\s._-]*第?\s*(?P<episode>\d{{1,4}})\s*[集話话回]",
    ),
    rule("시즌 1 2화", "호박 시즌 1 2화", r"시즌\s*(?P<season>\d{1,2})[\s._-]*제?\s*(?P<episode>\d{1,4})\s*[화회]"),
    rule(
        "[Cap.102]",
        "Ambar [HDTV][Cap.102]",  # the last two digits are the episode, as Spanish releases write
        r"\[ca+p\.?[\s._]*(?P<season>\d{1,2})(?P<episode>\d\d)(?:[_-]\d{1,2}(?P<cap_last>\d\d))?\]",
    ),
    rule(
        "S01.02",
        "Amber.S01.02.1080p",  # also Season 4.16
        rf"{_BEGIN}(?:s|season)[\s._]?(?P<season>\d{{1,2}})\.(?P<episode>\d\d){_END}",
    ),
    rule(
        "Episode 1.02",
        "Amber - Episode 1.02",
        rf"{_BEGIN}{_EPISODE}[\s._-]*(?P<season>\d{{1,2}})\.(?P<episode>\d\d){_END}",
    ),
    rule(
        "1.02",
        "Amber - 1.02 - Title",  # also [5.134]; one digit behind the dot is a fraction, not an episode
        r"(?:^|[\s._]-[\s._]|\[)(?P<season>\d{1,2})\.(?P<episode>\d{2,3})(?=$|[\s_\]]|\.-)",
    ),
    rule(
        "S1 - 02",
        "Amber S1 - 02",
        rf"{_BEGIN}s(?P<season>\d{{1,2}})[\s._]*-[\s._]*(?P<episode>\d{{2,4}}){_VERSION}{_END}(?!\.\d(?!\d))",
    ),
    rule("1x2", "Amber - 1x2", rf"(?:^|[\s._]-[\s._]|\[)(?P<season>\d)x(?P<episode>\d){_END}"),
)

# --- Air dates ----------------------------------------------------------------------------------------------------

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>(?:19|20)\d\d)"
_BETWEEN = r"[\s._,-]+"

SHORT_DATE: Final = rule(
    "240115", "Amber.240115.720p", r"(?<=[\s._-])(?P<year>\d\d)(?P<month>\d\d)(?P<day>\d\d)(?=$|[\s._\[(])"
)
DATES: Final = (
    rule(
        "2024-01-15", "Amber 2024-01-15", rf"(?<!\d){_YEAR}(?P<sep>[\s._-])(?P<month>\d\d)(?P=sep)(?P<day>\d\d)(?!\d)"
    ),
    rule(
        "15.01.2024", "Amber 15.01.2024", rf"(?<!\d)(?P<day>\d\d)(?P<sep>[\s._-])(?P<month>\d\d)(?P=sep){_YEAR}(?!\d)"
    ),
    rule(
        "01-15-2024", "Amber 01-15-2024", rf"(?<!\d)(?P<month>\d\d)(?P<sep>[\s._-])(?P<day>\d\d)(?P=sep){_YEAR}(?!\d)"
    ),
    rule("20240115", "Amber 20240115", rf"(?<!\d){_YEAR}(?P<month>\d\d)(?P<day>\d\d)(?!\d)"),
    rule("15 Jan 2024", "Amber 15th Jan 2024", rf"{_BEGIN}{_DAY}{_BETWEEN}{_MONTH}{_BETWEEN}{_YEAR}{_END}"),
    rule("Jan 15 2024", "Amber January 15, 2024", rf"{_BEGIN}{_MONTH}{_BETWEEN}{_DAY}{_BETWEEN}{_YEAR}{_END}"),
    rule("2024 Jan 15", "Amber 2024 Jan 15", rf"{_BEGIN}{_YEAR}{_BETWEEN}{_MONTH}{_BETWEEN}{_DAY}{_END}"),
    SHORT_DATE,
)
_PIVOT: Final = 40  # years of two digits are 2000 to 2039, or 1940 to 1999

# --- An episode without its season ---------------------------------------------------------------------------------

SPECIALS: Final = (
    rule("SP1", "Amber - SP1", rf"{_BEGIN}(?:sp|specials?)[\s._-]*(?P<episode>\d{{1,3}}){_VERSION}{_END}"),
    rule(
        "OVA",
        "Amber - OVA",
        rf"{_BEGIN}(?:ova|oad|oav)s?(?:[\s._-]*(?P<episode>\d{{1,3}}))?{_VERSION}{_END}",
    ),
    rule(
        "1 - Special",
        "Amber - 01 - Special [720p]",
        r"(?<=-)[\s._]*(?P<episode>\d{1,3})[\s._]*-[\s._]*special[\s._]*(?=$|\[|\()",
    ),
)

WORDED: Final = (
    rule(
        "Episode 2",
        "Amber - Episode 2",  # in any language; also E02, Ep. 2, Cap-52, (Ep 6), Ep 05-06
        rf"{_BEGIN}(?:{_EPISODE}[\s._-]*|e)(?P<episode>\d{{1,5}})"
        rf"(?P<more>(?:(?:[-+](?:ep|e)?|[\s._]?(?:ep|e))\d{{1,5}}(?![^\W_]))*+)(?:(?P<half>[a-d]){_END}|{_VERSION}{_END})",
    ),
    rule(
        "第2話",
        "琥珀 第2話",
        r"第\s*(?P<episode>\d{1,4})(?P<more>(?:\s*-\s*\d{1,4})?)\s*[話话集回]",
    ),
    rule("2화", "호박 2화", r"제?\s*(?<!\d)(?P<episode>\d{1,4})\s*[화회話话集]"),
    rule(
        "2. episode",
        "Амбер 2 серия",  # also '69. Bölüm', '3. rész'
        rf"{_BEGIN}(?P<episode>\d{{1,4}}){_ORDINAL}?[\s._-]*{_EPISODE_AFTER}{_END}",
    ),
    rule("#2", "Amber #2", r"(?<![^\W_])#(?P<episode>\d{1,4})" + _MORE + r"(?!\d)"),
    rule("2 of 6", "Amber 2 of 6", rf"{_BEGIN}(?P<episode>\d{{1,3}})[\s._]?of[\s._]?\d{{1,3}}{_END}"),
)

# --- A number alone -----------------------------------------------------------------------------------------------

_NUMBER = rf"(?P<episode>\d{{1,5}}){_MORE}(?:(?P<half>[a-d])(?![^\W_]))?{_VERSION}"
_TAIL = r"(?:[\s._]*(?:END|Final|完))?"

# Matched at the end of the show's title, if the name begins with it.
LEADING: Final = rule("02 - Title", "02 - Title", _NUMBER + r"(?=$|[\s_]*-|\.|\s*[\[(])")
LEADING_WORDS: Final = rule("02 Title", "02 Title", _NUMBER + r"(?=[\s_])")
DASHED_LAST: Final = rule("- 02", "Amber - 02 [1080p]", rf"[\s._]-[\s._]+\(?{_NUMBER}{_TAIL}\)?[\s._]*(?=$|\[|\()")
ALONE: Final = (
    rule("- 02 - Title", "Amber - 02 - Title", rf"(?:^|[\s._])-[\s._]*\(?{_NUMBER}{_TAIL}(?=$|[\s._\[()])"),
    rule("[02]", "Amber [02][1080p]", rf"[\[(](?P<episode>\d{{1,4}}){_VERSION}(?:[\s._]?(?:END|完|FIN))?[\])]"),
    rule("Title 02", "Amber 02", r"(?:^|(?<=[\s._]))(?!(?<=\d\.)\d(?!\d))" + _NUMBER + r"(?=$|[\s._\[(])"),
    rule("Part 2", "Amber Part 2", rf"(?<!\(){_BEGIN}(?:part|pt)[\s._-]?(?P<episode>\d{{1,2}}){_END}"),
    rule("Title-02", "Amber-02[720p]", r"(?<=[^\W_])-(?P<episode>\d{2,4})" + _VERSION + r"(?=$|[\s._\[(])"),
)
_FRACTION: Final = re.compile(r"\.\d(?:\.\d)?(?=$|[\s_\[(]|\.[-\[(])")
_HALF: Final = re.compile(r"\.5(?=$|[\s\[(])")  # behind season and episode: in 'S01E01.1_2' something else follows

# --- Folders of seasons -------------------------------------------------------------------------------------------

_APART = r"(?:^|[\s._\[(-]+)"
SEASON_FOLDERS: Final = (
    rule("Season 1", "Season 1", rf"(?P<show>.*?){_APART}{_SEASON}[\s._-]*(?P<season>\d{{1,4}})(?!\d)(?P<rest>.*)"),
    rule(
        "Season One",
        "Season One",
        rf"(?P<show>.*?){_APART}season[\s._-]+(?P<season>{'|'.join(_ENGLISH_NUMBERS + _ROMAN_NUMBERS)})\b(?P<rest>.*)",
    ),
    rule(
        "1. season",
        "1. Staffel",  # also '2nd Season', '5-й сезон'
        rf"(?P<show>.*?){_APART}(?P<season>\d{{1,2}}){_ORDINAL}?[\s._-]*(?!series|seasons)(?:{_SEASON}){_END}(?P<rest>.*)",
    ),
    rule("S01", "S01", rf"(?P<show>.*?){_APART}s(?P<season>\d{{1,4}})(?P<rest>(?:[\s._\[\])(-].*)?)"),
    rule("Title T1", "Ambar T1", r"(?P<show>.*?\w.*?)[\s._\[(-]+t(?P<season>\d{1,2})(?P<rest>(?:[\s._\[\])(-].*)?)"),
    rule("第1季", "第1季", rf"(?P<show>.*?)[\s._-]*第\s*(?P<season>{_CJK_NUMBER})\s*[季期部](?P<rest>.*)"),
    rule("시즌 1", "호박시즌 1", r"(?P<show>.*?)[\s._-]*시즌\s*(?P<season>\d{1,2})(?P<rest>.*)"),
    rule("Book 1", "Book 1", r"(?P<show>)(?:volume|vol\.?|book|buch|livre)[\s._-]*(?P<season>\d{1,2})(?P<rest>.*)"),
)
_SPECIALS_FOLDER = re.compile(
    r"(?:specials?|sps?|ovas?|oads?|season 0+|спешлы|спецвыпуски|番外|特别篇|スペシャル|스페셜)", re.IGNORECASE
)
_SEVERAL_SEASONS = re.compile(
    rf"[\s._-]+(?:s\d{{1,2}}[\s._]?-[\s._]?s?\d{{1,2}}|{_SEASON}[\s._]*\d{{1,2}}[\s._]?(?:-|to|&)[\s._]?\d{{1,2}}"
    rf"|(?:the[\s._])?complete[\s._](?:series|seasons?|collection)){_END}.*",
    re.IGNORECASE,
)

_FIRST_YEAR, _LAST_YEAR = 1900, 2039
_RESOLUTIONS: Final = (480, 540, 576, 720, 1080, 1440, 2160)
_MOST_IN_A_FILE: Final = 50
# '13-15' are episodes of one file, '4-13' is season 4, episode 13.
_MOST_IN_A_RANGE: Final = 6


@dataclass(frozen=True, slots=True)
class EpisodeNumbers:
    """The numbers of an episode, the rule that matched, and where in the name.

    `leading` if the name begins with the number; `half` counts the halves of an episode that its letter tells apart,
    from 1; `fraction` marks a number such as 12.5, which is no regular episode.
    """

    rule: str
    start: int
    end: int
    season: int | None = None
    episode: int | None = None
    last: int | None = None
    half: int | None = None
    air_date: date | None = None
    leading: bool = False
    fraction: bool = False


def _value(text: str) -> int:
    for names in (_CHINESE_DIGITS, _ENGLISH_NUMBERS, _ROMAN_NUMBERS):
        if text.lower() in names:
            return names.index(text.lower()) + 1
    return int(text)


def _numbers(found: Found, season: int | None = None, *, leading: bool = False, name: str = "") -> EpisodeNumbers:
    match, named = found.match, found.match.groupdict()
    if text := named.get("season") or named.get("year_season"):
        season = _value(text)
    episode = int(named.get("episode") or named.get("year_episode") or 1)
    more = named.get("more") or ""
    last = int(named["cap_last"]) if named.get("cap_last") else _last(episode, more)
    end = match.start("more") if more and last is None else match.end()
    half = named.get("half")
    return EpisodeNumbers(
        found.rule.name,
        match.start(),
        end,
        season,
        episode,
        last,
        "abcd".index(half.lower()) + 1 if half else None,
        leading=leading,
        fraction=(_HALF if named.get("season") else _FRACTION).match(name or match.string, match.end()) is not None,
    )


def _last(first: int, more: str) -> int | None:
    """Return the last of several episodes; None where the further numbers are none."""
    numbers = [int(digits) for digits in re.findall(r"\d+", re.sub(r"s\d+|\d+(?=[x\u00d7])", "", more.lower()))]
    rising = all(one < other for one, other in pairwise([first, *numbers]))
    return numbers[-1] if numbers and rising and numbers[-1] < first + _MOST_IN_A_FILE else None


def explicit(name: str) -> EpisodeNumbers | None:
    """Find season and episode together, such as S01E02, 1x02 or 第1季第2集."""
    return next(map(_numbers, matches(EXPLICIT, name)), None)


def dated(name: str, *, certain: bool = False) -> EpisodeNumbers | None:
    """Find an air date that the calendar has: year first, else day first, else month first.

    `certain` leaves out what may only add to a number: '69. Bölüm (29.10.2023)', 'E05.161216'.
    """
    for each in DATES:
        for match in each.pattern.finditer(name):
            day = _date(match)
            adds = each is SHORT_DATE or name[: match.start()].endswith("(")
            if day is not None and not (certain and adds):
                return EpisodeNumbers(each.name, match.start(), match.end(), air_date=day)
    return None


def _date(match: re.Match[str]) -> date | None:
    year, month = match["year"], match["month"].lower()
    in_full = int(year) if len(year) > 2 else int(year) + (2000 if int(year) < _PIVOT else 1900)  # noqa: PLR2004 - digits
    try:
        return date(in_full, int(month) if month.isdigit() else _MONTHS.index(month[:3]) + 1, int(match["day"]))
    except ValueError:
        return None


def special(name: str) -> EpisodeNumbers | None:
    """Find the number of a special, such as SP1 or OVA; its season is 0."""
    return next((_numbers(found, season=0) for found in matches(SPECIALS, name)), None)


def worded(name: str) -> EpisodeNumbers | None:
    """Find an episode's number with a word such as E02, 第5話 or 69. Bölüm."""
    return next(map(_numbers, matches(WORDED, name)), None)


def bare(name: str, begin: int, end: int, *, leading: bool) -> EpisodeNumbers | None:
    """Find a number that stands alone in `name[begin:end]`: first, behind a dash, in brackets, or last of the words.

    `leading` also takes one that begins there, as where the folder has told the show already. Years are no episodes,
    and resolutions only behind a dash ('- 720').
    """
    text = " " * begin + name[begin:end]  # so that positions are those of the name
    weak: Found | None = None
    if leading:
        if first := _usable(LEADING, LEADING.pattern.match(text, begin)):
            return _alone(first, name, leading=begin == 0)
        weak = _usable(LEADING_WORDS, LEADING_WORDS.pattern.match(text, begin))
        if weak and begin:
            return _alone(weak, name)
    last = next(
        (
            found
            for m in DASHED_LAST.pattern.finditer(name)
            if m.start("episode") >= begin and (found := _usable(DASHED_LAST, m))
        ),
        None,
    )
    if last:
        return _alone(last, name)
    if weak:
        return _alone(weak, name, leading=True)
    found = next(_candidates(text, name, begin if leading else begin + 1), None)
    return None if found is None else _alone(found, name)


def _candidates(text: str, name: str, begin: int) -> Iterator[Found]:
    """Return the numbers that stand alone, the likeliest first: a part, too, may be last of the words."""
    dashed, bracketed, standing, part, glued = ALONE
    words = [
        (each, match) for each in (standing, part) for match in each.pattern.finditer(text) if match.start() >= begin
    ]
    words.sort(key=lambda found: (found[1].start("episode"), found[0] is part), reverse=True)
    for each, match in (
        *((dashed, match) for match in dashed.pattern.finditer(text)),
        *((bracketed, match) for match in bracketed.pattern.finditer(text) if not _is_resolution(match)),
        *((each, match) for each, match in words if not _is_resolution(match)),
        *((glued, match) for match in glued.pattern.finditer(text)),
        *((bracketed, match) for match in bracketed.pattern.finditer(name, begin) if not _is_resolution(match)),
    ):
        if found := _usable(each, match):
            yield found


def _usable(each: Rule, match: re.Match[str] | None) -> Found | None:
    """Return what was found unless it is a year, or digits that are no range: '1-09-70'."""
    if match is None or _FIRST_YEAR <= int(match["episode"]) <= _LAST_YEAR:
        return None
    more = match.groupdict().get("more") or ""
    return None if more.count("-") > 1 and _last(int(match["episode"]), more) is None else Found(each, match)


def _alone(found: Found, name: str, *, leading: bool = False) -> EpisodeNumbers:
    """Read a number that may be a range, or season and episode: '13-15' and '4-13'."""
    match = found.match
    pair = re.fullmatch(r"(\d{1,2})-(\d\d)", f"{match['episode']}{match.groupdict().get('more') or ''}")
    if pair and int(pair[2]) > int(pair[1]) + _MOST_IN_A_RANGE:
        return EpisodeNumbers("1-02", match.start(), match.end(), int(pair[1]), int(pair[2]))
    return _numbers(found, leading=leading, name=name)


def _is_resolution(match: re.Match[str]) -> bool:
    return int(match["episode"]) in _RESOLUTIONS


def season_folder(name: str) -> tuple[int, str] | None:
    """Return the season that a folder is for, and what it says before that, which may be the show's title."""
    stripped = name.strip()
    if _SPECIALS_FOLDER.fullmatch(stripped):
        return 0, ""
    if several_seasons(name) != name:
        return None
    found = [match for each in SEASON_FOLDERS if (match := each.pattern.fullmatch(stripped))]
    first = min(found, key=lambda match: match.start("season"), default=None)
    return None if first is None else (_value(first["season"]), first["show"])


def several_seasons(name: str) -> str:
    """Return the name without the tail that tells of many seasons (`S01-S05`, `Complete Series`)."""
    return _SEVERAL_SEASONS.sub("", name)
