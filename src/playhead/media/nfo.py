"""NFO files, as Kodi and related programs write them beside a film, a show or an episode. Parses text only."""

import codecs
import html
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final

from playhead.domain.catalogue import EpisodePlace
from playhead.domain.scanning import EpisodeFacts
from playhead.domain.texts import TITLE, clean_text, without_steering
from playhead.media.lenient_xml import read_tree
from playhead.media.names.ids import external_id

_LARGEST: Final = 1_000_000  # characters; a typical one has a few thousand, most of them a list of actors
_MARKUP_MAX: Final = 40_000  # tags and attributes, each of which takes a hundred times its length in memory
_EPISODES_MAX: Final = 50  # in one file, as in `domain.scanning`
_DECLARATION: Final = re.compile(r"<!\s*(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_ROOT: Final = re.compile(r"<(/?)(movie|tvshow|episodedetails)(?=[\s>])[^<>]*>", re.IGNORECASE)
_EARLIEST_YEAR, _LATEST_YEAR = 1870, 2100

# What is read, all of it directly below the root, and the groups in which the same names speak of something else.
_FIELDS: Final = frozenset(
    """
    title originaltitle showtitle year premiered releasedate aired season episode episodenumberend
    uniqueid id imdbid imdb_id tmdbid tmdb_id tvdbid tvdb_id
    airsafter_season airsbefore_season airsbefore_episode displayseason displayepisode
    displayafterseason
    """.split()  # noqa: SIM905 - one a line would be a page
)
_GROUPS: Final = frozenset({"actor", "set", "fileinfo", "ratings", "art", "plot", "outline", "namedseason", "resume"})

_YEAR: Final = re.compile(r"(?<!\d)\d{4}(?!\d)")
_DATE: Final = re.compile(r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})(?!\d)", re.ASCII)
# Kodi's number of the episode before which a special is shown: from here on it is behind the season.
_BEHIND_SEASON: Final = 4096
_TITLES_OF_EPISODES: Final = re.compile(r"\s+/\s+")

# Kodi also accepts plain text with a link as an NFO ('parsing NFO'), alone or after the XML.
_LINKS: Final = (
    ("imdb", re.compile(r"imdb\.com/(?:[a-z-]+/)?title/(tt\d+)", re.IGNORECASE)),
    ("tmdb", re.compile(r"(?:themoviedb|tmdb)\.org/(?:movie|tv)/(\d+)", re.IGNORECASE)),
    (
        "tvdb",
        re.compile(r"thetvdb\.com/(?:\S{0,200}?[?&](?:series)?id=|dereferrer/(?:series|movie)/)(\d+)", re.IGNORECASE),
    ),
)
_SOURCES: Final = {
    **dict.fromkeys(("themoviedb", "themoviedb.org", "moviedb"), "tmdb"),
    **dict.fromkeys(("thetvdb", "thetvdb.com"), "tvdb"),
    "imdb.com": "imdb",
}

_XML_ENCODING: Final = re.compile(rb"""^\s*<\?xml[^>]{0,100}\sencoding\s*=\s*["']([A-Za-z0-9_.:-]{2,30})["']""")
_MARKS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
# The names that Python gives them. Its other codecs read no text of people (punycode, unicode_escape), some slowly.
_CHARSETS: Final = re.compile(
    r"iso8859-\d{1,2}|cp(?:125\d|437|850|852|866|874|932|949|950)|koi8-[ru]|gb(?:2312|k|18030)|big5(?:hkscs)?"
    r"|shift_jis\w*|euc_\w+|mac-roman|tis-620"
)


@dataclass(frozen=True, slots=True)
class Nfo:
    """The content of an NFO; every member may be missing. An episode's NFO has the episode's title, numbers and ids.

    `episode_end` and `further` are there for a file with several episodes: the number of the last one, and the facts of
    all but the first by their numbers. `place` is that of a special among the regular episodes.
    """

    external_ids: Mapping[str, str] = field(default_factory=dict[str, str])
    title: str | None = None
    show_title: str | None = None
    year: int | None = None
    season_number: int | None = None
    episode_number: int | None = None
    air_date: date | None = None
    episode_end: int | None = None
    further: Mapping[int, EpisodeFacts] = field(default_factory=dict[int, EpisodeFacts])
    place: EpisodePlace | None = None


def decode_nfo(content: bytes) -> str:
    """Return the text of an NFO file. Never raises.

    By its mark; else UTF-8, whatever the XML declares, if it is that (programs on Windows declare UTF-16 and write
    UTF-8); else as declared; else cp1252.
    """
    charset = next((charset for mark, charset in _MARKS if content.startswith(mark)), None)
    if charset is None and content[:1] == b"\0":
        charset = "utf-16-be"
    if charset is None and content[1:2] == b"\0":
        charset = "utf-16-le"
    if charset is not None:
        return content.decode(charset, "replace")
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode(_declared_charset(content), "replace")


def _declared_charset(content: bytes) -> str:
    declared = _XML_ENCODING.match(content)
    try:
        charset = codecs.lookup(declared[1].decode()).name if declared else ""
    except LookupError:
        charset = ""
    return charset if _CHARSETS.fullmatch(charset) else "cp1252"


def read_nfo(text: str) -> Nfo:
    """Read Kodi's XML, well-formed or not, or a plain text with a link to IMDb, TMDB or TheTVDB.

    Never raises: what is broken beyond repair, hostile (a DOCTYPE or an entity declaration), over a million characters
    long or mostly markup is an empty Nfo. A file that holds several episodes has several roots (Kodi), or one with
    `episodenumberend` and all titles (Jellyfin).
    """
    if len(text) > _LARGEST or text.count("<") + text.count("=") > _MARKUP_MAX or _DECLARATION.search(text):
        return Nfo()
    text = without_steering(text, keep="\t\n\r")  # XML allows none of these, and pasted plots have some
    roots, rest = _roots(text)
    if not roots:
        return Nfo(external_ids=_linked(text))
    found = [_item(root) for root in roots]
    # A link inside the XML may be that of an actor or a trailer; only what stands behind it speaks of the item.
    first = found[0] if found[0].external_ids else replace(found[0], external_ids=_linked(rest))
    return _joined(first, found[1:]) if len(found) > 1 else first


def _roots(text: str) -> tuple[list[ET.Element], str]:
    """Return the film, the show, or the episodes of a text, and what stands behind them."""
    roots: list[ET.Element] = []
    begin = None
    end = 0
    for tag in _ROOT.finditer(text):
        if not tag[1]:
            begin = tag.start() if begin is None else begin
            continue
        if begin is not None:
            root = _root(text[begin : tag.end()])
            roots += [] if root is None else [root]
        begin, end = None, tag.end()
        if len(roots) == _EPISODES_MAX:
            break
    if begin is not None and not roots:  # it ends too early
        root = _root(text[begin:])
        return ([] if root is None else [root]), ""
    if roots and roots[0].tag != "episodedetails":
        del roots[1:]
    return [root for root in roots if root.tag == roots[0].tag], text[end:]


def _root(text: str) -> ET.Element | None:
    try:
        root = ET.fromstring(text)  # noqa: S314 - declarations of types and entities are refused before
    except (ET.ParseError, ValueError, RecursionError):  # ValueError: a lone surrogate cannot be encoded
        return read_tree(text, _FIELDS, _GROUPS)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2].lower()  # without a namespace
    return root


def _item(root: ET.Element) -> Nfo:
    premiered = _first_date(root, "premiered", "releasedate", "aired")
    episode = _number(_text(root, "episode"))
    end = _number(_text(root, "episodenumberend"))
    title = _title(root, "title") or _title(root, "originaltitle")
    item = Nfo(
        external_ids=_external_ids(root),
        title=title,
        show_title=_title(root, "showtitle"),
        year=_year(_text(root, "year")) or (premiered.year if premiered else None),
        season_number=_number(_text(root, "season")),
        episode_number=episode,
        air_date=_first_date(root, "aired", "premiered"),
        place=_place(root),
    )
    if episode is None or end is None or not episode < end < episode + _EPISODES_MAX:
        return item
    titles = _TITLES_OF_EPISODES.split(title or "")
    if len(titles) != end - episode + 1:
        return replace(item, episode_end=end)
    further = {episode + at: EpisodeFacts(each) for at, each in enumerate(titles) if at}
    return replace(item, title=titles[0], episode_end=end, further=further)


def _joined(first: Nfo, others: Sequence[Nfo]) -> Nfo:
    """Return the first of several episodes together with those that follow it without a gap."""
    known = {
        each.episode_number: EpisodeFacts(each.title, each.external_ids, each.place)
        for each in others
        if each.season_number == first.season_number
    }
    end = first.episode_number
    if end is None:
        return first
    further: dict[int, EpisodeFacts] = {}
    while (facts := known.get(end + 1)) is not None:
        end += 1
        further[end] = facts
    return replace(first, episode_end=end, further=further) if further else first


def _title(root: ET.Element, name: str) -> str | None:
    # Some programs escape twice, and no title is called 'Tom &amp; Jerry'.
    return clean_text(html.unescape(root.findtext(name) or ""), TITLE) or None


def _text(root: ET.Element, name: str) -> str | None:
    return (root.findtext(name) or "").strip() or None


def _number(text: str | None) -> int | None:
    if text is None or not re.fullmatch(r"[0-9]{1,5}", text):
        return None
    return int(text)


def _place(root: ET.Element) -> EpisodePlace | None:
    """Return the place that the NFO of a special gives it: TheTVDB's elements, else Kodi's, which mean the same."""
    for after, season, episode in (
        ("airsafter_season", "airsbefore_season", "airsbefore_episode"),
        ("displayafterseason", "displayseason", "displayepisode"),
    ):
        if behind := _number(_text(root, after)):
            return EpisodePlace(behind)
        if before := _number(_text(root, season)):
            number = _number(_text(root, episode)) or 0
            return EpisodePlace(before, number if number < _BEHIND_SEASON else None)
    return None


def _first_date(root: ET.Element, *names: str) -> date | None:
    """Return the first date that the calendar has, and that is no placeholder such as 0000-00-00 or 0001-01-01."""
    for name in names:
        match = _DATE.match(_text(root, name) or "")
        try:
            found = date(int(match["year"]), int(match["month"]), int(match["day"])) if match else None
        except ValueError:
            continue
        if found is not None and _EARLIEST_YEAR <= found.year <= _LATEST_YEAR:
            return found
    return None


def _year(text: str | None) -> int | None:
    match = _YEAR.search((text or "")[:40])
    return int(match[0]) if match and _EARLIEST_YEAR <= int(match[0]) <= _LATEST_YEAR else None


def _linked(text: str) -> dict[str, str]:
    found = ((source, link.search(text)) for source, link in _LINKS)
    return _known((source, match[1]) for source, match in found if match)


def _external_ids(root: ET.Element) -> dict[str, str]:
    """Newest spelling first: `uniqueid` of Kodi 17 and later, then the elements that other programs write."""
    named = [_typed(each.get("type") or "", each.text or "") for each in root.findall("uniqueid")]
    for source in ("tmdb", "imdb", "tvdb"):
        named += [(source, root.findtext(f"{source}id") or ""), (source, root.findtext(f"{source}_id") or "")]
    for plain in root.findall("id"):
        # `id` is IMDb's in one program's files, TheTVDB's or TMDB's in another's: only the first is recognisable.
        named.append(_typed(plain.get("moviedb") or "", plain.text or ""))
        named += plain.items()  # <id TMDB="603">
    return _known(named)


def _typed(source: str, value: str) -> tuple[str, str]:
    """Return an id with its source: some files do not name it, but IMDb's ids are recognisable."""
    return ("imdb" if value.strip().startswith("tt") else source, value)


def _known(named: Iterable[tuple[str, str]]) -> dict[str, str]:
    ids: dict[str, str] = {}
    for source, value in named:
        known = external_id(_SOURCES.get(source.strip().lower(), source), value)
        if known is not None:
            ids.setdefault(*known)
    return ids
