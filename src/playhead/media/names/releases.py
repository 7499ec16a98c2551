"""Titles out of names: where the title ends and the technical words begin. The only place that knows guessit."""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Literal

Kind = Literal["movie", "episode"]

# Full-width signs and letters, brackets of East Asian names, and dashes, each for one of ASCII.
_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_PLAIN = str.maketrans(
    {**{chr(k): chr(v) for k, v in _WIDTH.items()}, "\u3000": " ", "【": "[", "】": "]", "\u2013": "-"}
)

_NO_UTF8 = re.compile("[\ud800-\udfff]")  # how Python shows a byte of a name that is no UTF-8

# What no title holds: whatever guessit calls so ends the title.
_TECHNICAL = frozenset(
    {
        *("screen_size", "source", "video_codec", "video_profile", "audio_codec", "audio_profile"),
        *("color_depth", "streaming_service", "frame_rate", "video_bit_rate", "audio_bit_rate", "size"),
    }
)
# What a title may hold as well ('Extended Family', 'The German Doctor', 'News Night 2.0'): taken as technical only
# where the next technical word, a bracket or the end of the name follows at once.
_DOUBTFUL = frozenset(
    {
        *(
            "other",
            "edition",
            "language",
            "subtitle_language",
            "release_group",
            "website",
            "proper_count",
            "audio_channels",
        ),
        "crc32",  # without brackets it may be a camera's date: VID_20200101
    }
)

YEAR = r"(?:19[0-9]{2}|20[0-3][0-9])"
_BRACKETED_YEAR = re.compile(
    rf"^(?P<title>.*[^\s._-].*?)[\s_-]*[(\[](?P<year>{YEAR})(?:-[0-9]{{0,4}})?[)\]](?P<rest>.*)$"
)
_YEAR_FIRST = re.compile(rf"^(?:[(\[](?P<a>{YEAR})[)\]][\s._-]*|(?P<b>{YEAR}) - )(?P<title>.*[^\W\d_].*)$")
_BARE_YEAR = re.compile(rf"(?<=[\s._-])(?P<year>{YEAR})(?=$|[\s._\[(-])")

_SITE = re.compile(r"^(?:\[\s*)?www\.[\w-]+(?:\.[\w-]+)*\.\w{2,4}(?:\s*\])?[\s._-]*", re.IGNORECASE)
_LEADING_GROUP = re.compile(r"^\[[^\]]*\](?=[\s._\[-]|[^\W\d_])[\s._-]*(?=.*[^\W\d_])")
_WHOLE_BRACKET = re.compile(r"^\[([^\]]+)\]")
_TRAILING_BRACKET = re.compile(r"[\s._-]*(?:\[[^\]]*\]?|\{[^}]*\}?|\([^)]*)$")
_LOOSE_UNDERSCORE = re.compile(r"_(?![^\W_])|(?<![^\W_])_")
_INITIALS = re.compile(r"(?<!\S)(?:[^\W\d_] )+[^\W\d_](?!\S)")
_ARTICLE_BEHIND = re.compile(r"^(.+), (The|A|An|Der|Die|Das|Le|La|Les|El|Los|Las|Il)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Release:
    """A name taken apart. `rest` is what follows title and year; `sure` where the year stood in brackets.

    `technical` tells that words about the encoding were found, as in the names of releases.
    """

    title: str
    year: int | None = None
    rest: str = ""
    sure: bool = False
    technical: bool = False


def plain(name: str) -> str:
    """Return the name with composed accents, with ASCII signs for their full-width brothers, and as valid UTF-8."""
    return unicodedata.normalize("NFC", _NO_UTF8.sub("\ufffd", name)).translate(_PLAIN)


def tidy(text: str, *, dots_stay: bool = False) -> str:
    """Return a title as a person writes it: without dots or underscores for spaces, group's name, brackets behind."""
    text = _SITE.sub("", text.strip())
    without_group = _LEADING_GROUP.sub("", text)
    if without_group != text and (whole := _WHOLE_BRACKET.match(without_group)):
        without_group = whole[1]  # [group][title][05][1080p]
    text, before = without_group, None
    while text != before:
        before, text = text, _TRAILING_BRACKET.sub("", text) or text
    if not dots_stay and not re.search(r"\s", text):
        text = _spaced(text)
    # Between other words that are parted by spaces, an underscore within a word is part of it: 'Learn pt_BR'.
    text = " ".join((_LOOSE_UNDERSCORE.sub(" ", text) if re.search(r"\s", text) else text.replace("_", " ")).split())
    text = re.sub(r"^[\s,;:-]+(?=\w)|[\s,;:-]+$", "", text)
    behind = _ARTICLE_BEHIND.match(text)
    return f"{behind[2]} {behind[1]}" if behind else text


def _spaced(text: str) -> str:
    """Dots, underscores, or else hyphens, stood for spaces; the dots of initials (S.H.I.E.L.D.) stay."""
    if re.search(r"[._]", text):
        words = re.split(r"[._]+", text)
        return _INITIALS.sub(lambda run: run[0].replace(" ", ".") + ".", " ".join(words)).strip()
    if text.count("-") > 1 and re.search(r"[^\W\d_]{2}", text):
        return text.replace("-", " ")
    return text


def technical_start(name: str, kind: Kind, begin: int = 0) -> int:
    """Return where, from `begin` on, the words about the encoding begin; the name's length if there are none."""
    spans = [span for span in _spans(name, kind) if span[0] >= max(begin, 1)]
    starts = [start for start, _, key, _ in spans if key in _TECHNICAL]
    end = min(starts, default=len(name))
    for start, stop, key, raw in sorted(spans, reverse=True):
        adjoins = not re.search(r"\w", name[stop:end])
        if key in _DOUBTFUL and adjoins and start < end and _believable(key, raw, at_end=end == len(name)):
            end = start
    return end


def _believable(key: str, raw: str, *, at_end: bool) -> bool:
    if raw.startswith(("[", "(")):
        return True
    if key in ("release_group", "website", "crc32"):
        return False
    if key == "edition" and re.search(r"cut|edition|version", raw, re.IGNORECASE):
        return True
    return raw.isupper() if at_end or key.endswith("language") else True


@cache
def _guesser() -> Any:  # noqa: ANN401 - guessit's function, whose options are a dict of anything
    from guessit import guessit  # noqa: PLC0415 - takes a quarter of a second, for which a start must not wait

    return guessit


@lru_cache(maxsize=64)  # an episode's name is asked for its title's end and for the end of the episode's title
def _spans(name: str, kind: Kind) -> tuple[tuple[int, int, str, str], ...]:
    """Return (start, end, property, text) of all that guessit finds in a name without its extension."""
    # Only what is asked for: it halves the time, and a contrived range of seasons (S01-S05.S01-S051999) keeps guessit
    # busy for minutes.
    wanted = [*_TECHNICAL, *_DOUBTFUL, "container"]
    options = {"type": kind, "advanced": True, "enforce_list": True, "includes": wanted}
    try:
        found: dict[str, list[Any]] = _guesser()(f"{name}.mkv", options)
    except Exception:  # noqa: BLE001 - guessit wraps whatever went wrong in one class and asks for a bug report
        return ()
    return tuple(
        (match.start, match.end, key, match.raw)
        for key, matches in found.items()
        for match in matches
        if match.raw and match.end <= len(name)
    )


@lru_cache(maxsize=4096)
def read_release(name: str, kind: Kind) -> Release:
    """Take a film's or a folder's name apart. guessit is asked only where no year in brackets ends the title."""
    first = _YEAR_FIRST.match(name)
    bracketed = _BRACKETED_YEAR.match(name)
    if bracketed and tidy(bracketed["title"]):
        return Release(tidy(bracketed["title"]), int(bracketed["year"]), bracketed["rest"], sure=True)
    if first:
        end = technical_start(first["title"], kind)
        return Release(tidy(first["title"][:end]), int(first["a"] or first["b"]), first["title"][end:], sure=True)
    end = technical_start(name, kind)
    years = list(_BARE_YEAR.finditer(name))
    year = next((each for each in reversed(years) if each.start() <= end), None) or next(iter(years), None)
    cut = end if year is None else min(end, year.start())
    return Release(
        tidy(name[:cut]) or tidy(name),
        None if year is None else int(year["year"]),
        name[cut:],
        technical=end < len(name),
    )
