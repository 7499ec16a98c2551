"""Editions of films ('Director's Cut') and the formats of 3D pictures, as names tell them. Patterns only."""

import re
from typing import Final, NamedTuple

from playhead.media.names.words import any_of

_BEGIN, _END = r"(?<![^\W_])", r"(?![^\W_])"
_APART = r"[\s._-]+"
_APOSTROPHE = r"['\u2019]?"

# These name an edition by themselves: 'Extended'.
_ALONE = (
    "extended",
    "theatrical",
    "unrated",
    "uncut",
    "uncensored",
    "remastered",
    "restored",
    "redux",
    "imax",
    "criterion",
    "despecialized",
    f"director{_APOSTROPHE}s",
    "recut",
)
# These do so before 'Cut' or 'Edition', before the year as well; after the year any word does: 'Diamond Edition'.
_QUALIFIERS = (
    "ultimate",
    "special",
    "final",
    f"collector{_APOSTROPHE}s",
    f"producer{_APOSTROPHE}s",
    "director",
    "anniversary",
    "deluxe",
    "limited",
    "assembly",
    "international",
    "definitive",
    "complete",
    "fan",
    r"\d+(?:st|nd|rd|th)",
)
_NOUN = r"(?:cut|edition|edit|version)"
_KNOWN = any_of(_ALONE + _QUALIFIERS)
_NAMED = rf"(?:{_KNOWN}{_APART})+{_NOUN}"  # 'Ultimate Collector's Edition'
_LOOSE = rf"(?:{_KNOWN}{_APART})*[^\W\d_][\w'\u2019]*{_APART}(?:cut|edition)"  # 'Ultimate Hunter Edition'
_STRICT = rf"(?:{_NAMED}|{any_of(_ALONE)})"

# What follows a film's title and year.
_AFTER = re.compile(
    rf"{_BEGIN}(?P<edition>(?:{_NAMED}|{_LOOSE}|{any_of(_ALONE)}){_END}(?:{_APART}{_STRICT}{_END})*)", re.IGNORECASE
)
# The same in brackets, or last behind a dash: nothing else may stand there.
_WHOLE = re.compile(
    rf"(?:the{_APART})?(?P<edition>(?:(?:{_NAMED}|{_LOOSE}|{any_of(_ALONE)})(?:{_APART}|$))+)$", re.IGNORECASE
)
# The end of a title: a noun, or the edition in brackets, so that a title of one word more is left alone.
_TITLE_END = re.compile(rf"{_APART}[\[(]?(?P<edition>{_NAMED}(?:{_APART}{_STRICT})*)[\])]?[\s._]*$", re.IGNORECASE)
# The end of a release's title, where the year or a technical word follows without a bracket.
_RELEASE_END = re.compile(
    rf"{_APART}[\[(]?(?P<edition>{_STRICT}(?:{_APART}{_STRICT})*(?:{_APART}(?-i:DC|SE))?|(?-i:DC|SE))[\])]?[\s._]*$",
    re.IGNORECASE,
)
_INITIALS_END = re.compile(rf"{_APART}(?P<edition>DC|SE)[\s._]*$")

_EDITION_TAG: Final = re.compile(r"\s*[\[{(]edition[-=: ](?P<edition>[^\]})]+)[\]})]", re.IGNORECASE)
_BRACKET: Final = re.compile(r"[\[({]([^\[\](){}]*)[\])}]")
_ARTICLES: Final = frozenset({"", "the", "a", "an", "der", "die", "das", "le", "la", "les", "el"})
_SPELLINGS: Final = {
    "imax": "IMAX",
    "dc": "Director's Cut",
    "se": "Special Edition",
    "directors": "Director's",
    "director\u2019s": "Director's",
    "director": "Director's",
    "collectors": "Collector's",
    "producers": "Producer's",
}
# 'Extended Cut' and 'Extended Edition' are one version.
_ONE_VERSION = re.compile(
    r"(extended|theatrical|unrated|uncut|uncensored|remastered|restored|imax|criterion) (?:cut|edition|version)",
    re.IGNORECASE,
)

_3D: Final = re.compile(rf"{_BEGIN}3-?D{_END}", re.IGNORECASE)
_LAYOUT: Final = re.compile(rf"{_BEGIN}(?P<half>h(?:alf)?(?:{_APART})?)?(?P<layout>sbs|tab|ou){_END}", re.IGNORECASE)
_STEREO_END: Final = re.compile(rf"{_APART}3-?D[\s._]*$", re.IGNORECASE)


class Edition(NamedTuple):
    """A name without its edition, and the edition."""

    name: str
    edition: str | None


def take_edition(name: str) -> Edition:
    """Take the edition out of a name where it stands in brackets, or last behind a dash."""
    if tag := _EDITION_TAG.search(name):
        return Edition(_EDITION_TAG.sub("", name).strip(), tag["edition"].strip())
    for bracket in _BRACKET.finditer(name):
        if bracket.start() > 0 and (whole := _WHOLE.fullmatch(bracket[1])):
            rest = f"{name[: bracket.start()].rstrip()} {name[bracket.end() :].lstrip()}".strip()
            return Edition(rest, _spelled(whole["edition"]))
    before, _, last = name.rpartition(" - ")
    if before and (whole := _WHOLE.fullmatch(last)):
        return Edition(before, _spelled(whole["edition"]))
    return Edition(name, None)


def take_edition_before_year(title: str, *, release: bool) -> Edition:
    """Take the edition off the end of what stands before a film's year.

    `release`: the year has no brackets, as in the names of releases; then 'Extended' alone and '3D' are no title.
    Nothing is taken where only an article would be left: The Final Cut (2004) is a film.
    """
    pattern = _RELEASE_END if release else _TITLE_END
    for each in (pattern, _INITIALS_END):
        match = each.search(title)
        if match and re.sub(r"\W", "", title[: match.start()]).lower() not in _ARTICLES:
            return Edition(title[: match.start()], _spelled(match["edition"]))
    stereo = _STEREO_END.search(title) if release else None
    return Edition(title[: stereo.start()] if stereo and stereo.start() > 0 else title, None)


def find_edition(rest: str) -> str | None:
    """Find the edition in what follows a film's title and year."""
    match = _AFTER.search(rest)
    return None if match is None else _spelled(match["edition"])


def find_stereo(rest: str) -> str | None:
    """Find the layout of a 3D picture, such as `3D HSBS`, in what follows a film's title; None for a flat one."""
    layout = _LAYOUT.search(rest)
    is_3d = _3D.search(rest) is not None
    if layout is None or not (is_3d or layout["half"]):
        return "3D" if is_3d else None
    return f"3D {'H' if layout['half'] else ''}{layout['layout'].upper()}"


def _spelled(text: str) -> str:
    words = re.split(_APART, text.strip(" ._-"))
    spelled = " ".join(_SPELLINGS.get(word.lower(), word[:1].upper() + word[1:].lower()) for word in words)
    return _ONE_VERSION.sub(r"\1", spelled) if _ONE_VERSION.fullmatch(spelled) else spelled
