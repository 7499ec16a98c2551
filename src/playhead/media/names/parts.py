"""Parts: films and episodes split into several files or discs. Patterns only."""

import re
from typing import Final

from playhead.media.names.rules import rule

_BEGIN, _END = r"(?<![^\W_])", r"(?![^\W_])"
_DISC = r"(?:cd|dis[ck]|dvd(?![59](?!\d)))"  # DVD5 and DVD9 are sizes
_NUMBER = r"(?P<part>[1-9]\d?)"

# A whole name, or behind a title a disc: 'Dune Part 2' is a film.
_PART_FOLDER: Final = re.compile(rf"(?:{_DISC}|part|pt)[\s._-]*{_NUMBER}", re.IGNORECASE)
_TITLED_FOLDER: Final = re.compile(rf"(?P<title>.*?[\s._\])-])[\s._(\[-]*{_DISC}[\s._-]*{_NUMBER}[\])]?", re.IGNORECASE)

# The parts of a film, in order. Only the last one may also be the end of a title ('Dune Part 2').
ALWAYS: Final = (
    rule("cd1", "Amber (1999) cd1", rf"[\s._\[(-]+{_DISC}[\s._-]?{_NUMBER}(?:[\s._-]?of[\s._-]?\d+)?{_END}[\])]?"),
    rule("part1", "Amber part1", rf"[\s._\[(-]+(?:part|pt)-?{_NUMBER}[\])]?$"),
    rule("cd a", "Amber (1999) cd a", rf"[\s._\[(-]+{_DISC}[\s._-]?(?P<letter>[a-d]){_END}[\])]?"),
    rule("(1999) a", "Amber (1999) a", r"(?<=\d[\])])[\s._-]*(?P<letter>[a-d])$"),
)
AFTER_TITLE: Final = rule(
    "part 1", "Amber (1999) part 1", rf"[\s._-]+(?:part|pt)[\s._-]+(?:{_NUMBER}|(?P<letter>[a-d]))$"
)

# The parts of an episode, behind its number. 'Part 1' with spaces is rather the episode's title.
_OF_EPISODE: Final = (
    re.compile(rf"[\s._\[(-]+(?:cd|dis[ck]|dvd)[\s._-]?{_NUMBER}{_END}[\])]?", re.IGNORECASE),
    re.compile(rf"[\s._\[(-]+(?:part|pt)-?{_NUMBER}[\])]?(?=$|[\s._-]*[\[(])", re.IGNORECASE),
)
# Directly behind an air date, which numbers no parts of its own.
_OF_DAY: Final = re.compile(rf"[\s._-]*[(\[]?(?:part|pt)[\s._-]?{_NUMBER}{_END}[\])]?", re.IGNORECASE)


def part_number(match: re.Match[str]) -> int:
    """Return the part, from 1, that a match of one of these rules tells, by number or by letter."""
    named = match.groupdict()
    return int(named["part"]) if named.get("part") else "abcd".index(named["letter"].lower()) + 1


def part_folder(name: str) -> tuple[int, str] | None:
    """Return the part that a folder is for (`CD1`, `Amber (1999) Disc 2`), and what it says before that."""
    if match := _PART_FOLDER.fullmatch(name.strip()):
        return int(match["part"]), ""
    match = _TITLED_FOLDER.fullmatch(name.strip())
    return None if match is None else (int(match["part"]), match["title"].strip(" ._-"))


def take_part(name: str, *, spaced: bool) -> tuple[str, int | None]:
    """Return a film's name without its part, and the part. `spaced`: 'part 1' at the end is one, too."""
    for each in (*ALWAYS, *((AFTER_TITLE,) if spaced else ())):
        if (match := each.pattern.search(name)) and match.start() > 0:
            return name[: match.start()] + name[match.end() :], part_number(match)
    return name, None


def episode_part(stem: str, begin: int, *, dated: bool) -> tuple[int, int | None]:
    """Return where the part of an episode begins in `stem[begin:]`, the name's length if nowhere, and the part."""
    direct = _OF_DAY.match(stem, begin) if dated else None
    found = direct or next((match for each in _OF_EPISODE if (match := each.search(stem, begin))), None)
    return (len(stem), None) if found is None else (found.start(), part_number(found))
