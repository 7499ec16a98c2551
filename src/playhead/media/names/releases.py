"""Extracts titles: where the title ends and the technical words begin, as guessit and a few own patterns tell."""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from playhead.media.names.editions import find_edition, take_edition_before_year
from playhead.media.names.guessing import Kind, guess
from playhead.media.names.text import tidy, without_group, without_site

# guessit's properties that never occur in a title: the first of them ends it.
_TECHNICAL: Final = frozenset(
    {
        *("screen_size", "source", "video_codec", "video_profile", "audio_codec", "audio_profile"),
        *("color_depth", "streaming_service", "frame_rate", "video_bit_rate", "audio_bit_rate", "size"),
    }
)
# Properties that also occur in titles ('Extended Family', 'The German Doctor', 'News Night 2.0'): technical only if
# another technical word, a bracket or the end of the name follows directly.
_DOUBTFUL: Final = frozenset(
    {
        *("other", "edition", "language", "subtitle_language", "release_group", "website", "proper_count"),
        "audio_channels",
        "crc32",  # without brackets it may be a camera's date: VID_20200101
    }
)
_WANTED: Final = (*sorted(_TECHNICAL), *sorted(_DOUBTFUL), "container")
# Technical words that guessit does not know.
_OWN_TECHNICAL: Final = re.compile(
    r"(?<![^\W_])(?:vost(?:fr|a)?|vf[fqi2]|\d{3,4}[x\u0445]\d{3,4}|bt[\s._]?2020|(?:480|540|576|720|1080|1440|2160|4320)[pi]|h?sbs|h?tab|dsr)(?![^\W_])",
    re.IGNORECASE,
)
# 'The Office (UK)': the country tells two shows apart.
_COUNTRY: Final = re.compile(r"\((?:(?i:uk|usa?|au|nz|ca|ie)|[A-Z]{2,3})\)")

YEAR: Final = r"(?:19[0-9]{2}|20[0-3][0-9])"
_ANY_YEAR: Final = rf"(?:188[89]|189[0-9]|{YEAR})"  # the first films are of 1888
_BRACKETED_YEAR: Final = re.compile(
    rf"^(?P<title>.*[^\s._-].*?)[\s_-]*[(\[](?P<year>{_ANY_YEAR})(?:-[0-9]{{0,4}})?[)\]](?P<rest>.*)$"
)
_YEAR_FIRST: Final = re.compile(
    rf"^(?:[(\[](?P<a>{YEAR})[)\]][\s._-]*|(?P<b>{YEAR})[\s._]?-[\s._])(?P<title>.*[^\W\d_].*)$"
)
_BARE_YEAR: Final = re.compile(rf"(?<=[\s._-])(?<!\bBT[\s._-])(?P<year>{YEAR})(?=$|[\s._\[(-]|\u0433)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Release:
    """A parsed name, and the rule that matched. `rest` is what follows title and year.

    `sure`: the year stood in brackets. `technical`: words about the encoding were found, as in the names of releases.
    `edition` is that of a film, from before or after its year.
    """

    title: str
    year: int | None = None
    rest: str = ""
    sure: bool = False
    technical: bool = False
    edition: str | None = None
    rule: str = ""


def technical_start(name: str, kind: Kind, begin: int = 0) -> int:
    """Return where, from `begin` on, the words about the encoding begin; the name's length if there are none."""
    spans = [span for span in _spans(name, kind) if span[0] >= max(begin, 1)]
    starts = [start for start, _, key, _ in spans if key in _TECHNICAL]
    end = min(starts, default=len(name))
    for start, stop, key, _ in sorted(spans, reverse=True):
        adjoins = not re.search(r"\w", name[stop:end])
        if (
            key in _DOUBTFUL
            and adjoins
            and start < end
            and _is_technical(key, name[start:stop].strip(), kind, at_end=end == len(name))
        ):
            end = start
    return end


def _technical_tail(name: str, kind: Kind) -> int:
    """Return where the technical words begin that end a name: in 'My 720p Show' there are none."""
    end = technical_start(name, kind)
    spans = [(start, stop) for start, stop, key, _ in _spans(name, kind) if start >= end and key != "release_group"]
    others = (c for at, c in enumerate(name) if at >= end and not any(start <= at < stop for start, stop in spans))
    return len(name) if any(c.isalnum() for c in others) else end


def _is_technical(key: str, raw: str, kind: Kind, *, at_end: bool) -> bool:
    if kind == "episode" and _COUNTRY.fullmatch(raw):
        return False
    if raw.startswith(("[", "(")):
        return True
    if key in ("release_group", "website", "crc32"):
        return False
    if key == "edition" and re.search(r"cut|edition|version", raw, re.IGNORECASE):
        return True
    return raw.isupper() if at_end or key.endswith("language") else True


@lru_cache(maxsize=64)  # an episode's name is asked for its title's end and for the end of the episode's title
def _spans(name: str, kind: Kind) -> tuple[tuple[int, int, str, str], ...]:
    """Return (start, end, property, text) of all technical words in a name without its extension."""
    own = tuple((match.start(), match.end(), "source", match[0]) for match in _OWN_TECHNICAL.finditer(name))
    return own + tuple((start, end, key, name[start:end]) for start, end, key in guess(name, kind, _WANTED))


@lru_cache(maxsize=4096)
def read_release(name: str, kind: Kind, *, prefix: bool = False) -> Release:
    """Parse the name of a film or a folder. guessit is used only if no year in brackets ends the title.

    `prefix`: it is what stands before an episode's number, where only technical words at the end are none of the title.
    """
    name = without_group(without_site(name)) if kind == "movie" and not _YEAR_FIRST.match(name) else name
    bracketed = _BRACKETED_YEAR.match(name)
    if bracketed and tidy(bracketed["title"]):
        found = Release("", int(bracketed["year"]), bracketed["rest"], sure=True, rule="Title (year)")
        return _titled(found, bracketed["title"], kind)
    if first := _YEAR_FIRST.match(name):
        end = technical_start(first["title"], kind)
        found = Release("", int(first["a"] or first["b"]), first["title"][end:], sure=True, rule="year - Title")
        return _titled(found, first["title"][:end], kind)
    end = _technical_tail(name, kind) if prefix else technical_start(name, kind)
    years = list(_BARE_YEAR.finditer(name))
    year = next((each for each in reversed(years) if each.start() <= end), None) or next(iter(years), None)
    cut = end if year is None else min(end, year.start())
    found = Release("", None if year is None else int(year["year"]), name[cut:], technical=end < len(name))
    if cut == len(name):
        return _titled(replace(found, rule="Title"), name, kind)
    rule = "Title, technical words" if year is None else "Title.year"
    release = _titled(replace(found, rule=rule), name[:cut].removesuffix("."), kind)
    return release if release.title else replace(release, title=tidy(name))


def _titled(found: Release, text: str, kind: Kind) -> Release:
    """Add the title, which is `text` tidied; that of a film is without its edition."""
    edition = None
    if kind == "movie":
        text, edition = take_edition_before_year(text, release=not found.sure and bool(found.rest))
        edition = edition or find_edition(found.rest)
    return replace(found, title=tidy(text), edition=edition)
