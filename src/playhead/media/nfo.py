"""NFO files, as Kodi and related programs write them beside a film, a show or an episode. Parses text only."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from playhead.domain.texts import TITLE, clean_text, without_steering
from playhead.media.names.ids import external_id

_LARGEST = 1_000_000  # characters; a real one has a few thousand, most of them a list of actors
_MARKUP_MAX = 40_000  # tags and attributes, each of which takes a hundred times its length in memory
_DECLARATION = re.compile(r"<!\s*(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_END_OF_ROOT = re.compile(r"</(movie|tvshow|episodedetails)\s*>")
_START_OF_ROOT = re.compile(r"<(?:movie|tvshow|episodedetails)[\s>]")
_EARLIEST_YEAR, _LATEST_YEAR = 1870, 2100

# Kodi takes a plain text with a link for an NFO too ('parsing NFO'), alone or after the XML.
_LINKS = (
    ("imdb", re.compile(r"imdb\.com/(?:[a-z-]+/)?title/(tt\d+)", re.IGNORECASE)),
    ("tmdb", re.compile(r"(?:themoviedb|tmdb)\.org/(?:movie|tv)/(\d+)", re.IGNORECASE)),
    (
        "tvdb",
        re.compile(r"thetvdb\.com/(?:\S{0,200}?[?&](?:series)?id=|dereferrer/(?:series|movie)/)(\d+)", re.IGNORECASE),
    ),
)


@dataclass(frozen=True, slots=True)
class Nfo:
    """The content of an NFO; every member may be missing. An episode's NFO has the episode's title, numbers and ids."""

    external_ids: Mapping[str, str] = field(default_factory=dict[str, str])
    title: str | None = None
    show_title: str | None = None
    year: int | None = None
    season_number: int | None = None
    episode_number: int | None = None
    air_date: date | None = None


def read_nfo(text: str) -> Nfo:
    """Read Kodi's XML, or a plain text with a link to IMDb, TMDB or TheTVDB.

    Never raises: what is broken, hostile (a DOCTYPE or an entity declaration), over a million characters long or mostly
    markup is an empty Nfo. A file that holds several episodes has several roots; the first counts.
    """
    if len(text) > _LARGEST or text.count("<") + text.count("=") > _MARKUP_MAX or _DECLARATION.search(text):
        return Nfo()
    text = without_steering(text, keep="\t\n\r")  # of which XML allows none, and pasted plots have some
    linked = _linked(text)
    root = _root(text)
    if root is None:
        return Nfo(external_ids=linked)
    return Nfo(
        # A link inside the XML may be that of an actor or a trailer; only what stands outside it speaks of the item.
        external_ids=_external_ids(root) or _linked(_END_OF_ROOT.split(text)[-1]),
        title=_title(root, "title"),
        show_title=_title(root, "showtitle"),
        year=_year(root),
        season_number=_number(_text(root, "season")),
        episode_number=_number(_text(root, "episode")),
        air_date=_date(_text(root, "aired") or _text(root, "premiered")),
    )


def _root(text: str) -> ET.Element | None:
    start = _START_OF_ROOT.search(text)
    if start is None:
        return None
    end = _END_OF_ROOT.search(text, start.end())
    if end is None:
        return None
    try:
        return ET.fromstring(text[start.start() : end.end()])  # noqa: S314 - declarations of types and entities are refused before
    except (ET.ParseError, ValueError, RecursionError):  # ValueError: a lone surrogate cannot be encoded
        return None


def _title(root: ET.Element, name: str) -> str | None:
    return clean_text(root.findtext(name) or "", TITLE) or None


def _text(root: ET.Element, name: str) -> str | None:
    return (root.findtext(name) or "").strip() or None


def _number(text: str | None) -> int | None:
    if text is None or not re.fullmatch(r"[0-9]{1,5}", text):
        return None
    return int(text)


def _date(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None


def _year(root: ET.Element) -> int | None:
    year = _number(_text(root, "year"))
    if year is None and (premiered := _date(_text(root, "premiered"))):
        year = premiered.year
    return year if year is not None and _EARLIEST_YEAR <= year <= _LATEST_YEAR else None


def _linked(text: str) -> dict[str, str]:
    found = ((source, link.search(text)) for source, link in _LINKS)
    return _known((source, match[1]) for source, match in found if match)


def _external_ids(root: ET.Element) -> dict[str, str]:
    """Newest spelling first: `uniqueid` of Kodi 17 and later, then the elements that other programs write."""
    named = [(each.get("type") or "", each.text or "") for each in root.findall("uniqueid")]
    for source in ("tmdb", "imdb", "tvdb"):
        named += [(source, root.findtext(f"{source}id") or ""), (source, root.findtext(f"{source}_id") or "")]
    plain = root.findtext("id") or ""
    # `id` is IMDb's in one program's files, TheTVDB's or TMDB's in another's: only the first shows by its looks.
    return _known([*named, ("imdb", plain)] if plain.strip().startswith("tt") else named)


def _known(named: Iterable[tuple[str, str]]) -> dict[str, str]:
    ids: dict[str, str] = {}
    for source, value in named:
        known = external_id(source, value)
        if known is not None:
            ids.setdefault(*known)
    return ids
