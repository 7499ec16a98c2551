"""The catalogue's values, and the rules for identity, sorting, searching and versions. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from playhead.domain.model import FileId, Instant, ItemId, ItemKind, LibraryId, LibraryKind, Milliseconds, UserId
from playhead.domain.texts import LABEL, bounded_key, clean_text


class EpisodePlace(NamedTuple):
    """The place of a special among the regular episodes: before an episode of a season, or behind the whole season.

    Episode 0 is the beginning of the season.
    """

    season: int
    before_episode: int | None = None


@dataclass(frozen=True, slots=True)
class ParsedName:
    """What a path says about a video. `kind` is MOVIE or EPISODE; for an episode, `title` and `year` are the show's.

    Season 0 contains the specials. `episode_end` is set if the file contains several episodes; `part`, from 1, if an
    item's timeline is split into several files. `stereo` is the layout of a 3D picture, such as `3D HSBS`.
    `external_ids` maps a source (tmdb, imdb, tvdb) to its value and belongs to the movie or the show. `rule` is the
    name of the rule that matched.
    """

    kind: ItemKind
    title: str
    year: int | None = None
    season_number: int | None = None
    episode_number: int | None = None
    episode_end: int | None = None
    episode_title: str | None = None
    air_date: date | None = None
    part: int | None = None
    edition: str | None = None
    stereo: str | None = None
    external_ids: Mapping[str, str] = field(default_factory=dict[str, str])
    rule: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class MediaStream:
    """One stream of a media file. `kind` is video, audio or subtitle; `codec` is FFmpeg's name of it."""

    kind: str
    codec: str
    language: str | None = None
    title: str | None = None
    width: int | None = None
    height: int | None = None
    channels: int | None = None
    hdr: bool = False
    default: bool = False
    forced: bool = False


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """The content of a media file: length, container (FFmpeg's name), streams, and start of the credits."""

    duration_ms: Milliseconds
    container: str
    streams: tuple[MediaStream, ...]
    credits_ms: Milliseconds | None = None


class FileFacts(NamedTuple):
    """What a report needs to know about a file of its item: length, start of the credits, and place on the timeline.

    `part` counts from 1 if the timeline is split into several files. `first` is the episode that players report for
    the file, `end` the number of its last episode.
    """

    file_id: FileId
    library_id: LibraryId
    duration_ms: Milliseconds | None
    credits_ms: Milliseconds | None
    part: int | None
    first: ItemId
    end: int | None


@dataclass(frozen=True, slots=True)
class Item:
    """A movie, a show or an episode of the catalogue.

    There is one per title, whatever libraries hold it (`Holding`). `identity` is the result of `identity()`. An episode
    has a `show_id`; `episode_end` is set if its shortest file holds further episodes; `place` is that of a special.
    `runtime_ms` is the length of its shortest file, `credits_ms` the start of the closing credits (rule 6 of the
    semantics), `files` the facts of all. `added_at` is its first arrival. An open item is known by a public id, held or
    not; a private one has an `owner_id`. `pinned` holds the members that an admin has set.
    """

    id: ItemId
    kind: ItemKind
    title: str
    identity: str
    added_at: Instant
    year: int | None = None
    show_id: ItemId | None = None
    season_number: int | None = None
    episode_number: int | None = None
    episode_end: int | None = None
    air_date: date | None = None
    place: EpisodePlace | None = None
    runtime_ms: Milliseconds | None = None
    credits_ms: Milliseconds | None = None
    external_ids: Mapping[str, str] = field(default_factory=dict[str, str])
    is_open: bool = False
    owner_id: UserId | None = None
    files: tuple[FileFacts, ...] = ()
    pinned: Mapping[str, object] = field(default_factory=dict[str, object])


class Holding(NamedTuple):
    """A library that has, or had, files of an item, or whose import names it.

    `removed_at`: no file is left there; `ended_at`: an admin took the item out of the library. `title` and `year` are
    what the library's files, or its import, say; `also` the titles and years of items there that it was merged with.
    """

    item_id: ItemId
    library_id: LibraryId
    added_at: Instant
    removed_at: Instant | None = None
    ended_at: Instant | None = None
    title: str = ""
    year: int | None = None
    also: tuple[tuple[str, int | None], ...] = ()

    @property
    def is_living(self) -> bool:
        """Whether the library has the item now."""
        return self.removed_at is None and self.ended_at is None


@dataclass(frozen=True, slots=True)
class Library:
    """A folder of movies or shows, or, without a `path`, the catalogue of a front end that keeps its own files.

    `path` is absolute. `scan_report` is the JSON of the last scan's report, `scan_until` the end of a running scan's
    lease.
    """

    id: LibraryId
    name: str
    kind: LibraryKind
    path: str | None
    created_at: Instant
    scanned_at: Instant | None = None
    scan_report: str | None = None
    scan_until: Instant | None = None
    removed_at: Instant | None = None


class TitlesOnRemoval(StrEnum):
    """What happens to users' state of titles that no library has after a removal."""

    KEEP = "keep"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class MediaFile:
    """One file of an item, as shown in the choice of versions. `size` is in bytes, `part` counts from 1."""

    id: FileId
    path: str
    label: str
    size: int
    duration_ms: Milliseconds | None
    container: str | None
    width: int | None
    height: int | None
    video_codec: str | None
    audio_codec: str | None
    part: int | None
    streams: tuple[MediaStream, ...] = ()


# --- Equivalent names -----------------------------------------------------------------------------------------------

_ARTICLE = re.compile(r"^(?:the|an|a) (?=.)")
_ARTICLE_BEHIND = re.compile(r"^(.+), *(?:the|an|a)$")
_COMBINING_ACCENTS = re.compile("[\u0300-\u036f]")
_APOSTROPHES = re.compile("['\u2019\u02bc`\u00b4]")
# A word is letters, digits and their vowel signs (Devanagari, Thai, …), which `\w` does not match.
_MARKS_OF_LETTERS = ("Mn", "Mc")
_INITIALS = re.compile(r"\b(?:[^\W\d_] ){1,}[^\W\d_]\b")
# Signs that tell titles apart: '+1' and '1', 'C++' and 'C#', '$9.99' and '9.99', '#Alive' and 'Alive'. Standing alone,
# as in 'Romeo + Juliet', they only join words.
_SIGNS = re.compile(r"(?<=\w)[+#%]+(?!\w)|(?<!\w)[+#]+(?=\w)|[$\u20ac\u00a3]+(?=\w)")
_DIGITS = re.compile(r"\d+")
_DIGITS_WIDTH = 8
# Letters that do not decompose, though people type them without the stroke.
_STROKES = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "\u0131": "i"})


def _folded(title: str) -> str:
    """Remove case, width, ligatures, and accents of alphabetic scripts; other scripts are kept."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", title).casefold())
    return unicodedata.normalize("NFC", _COMBINING_ACCENTS.sub("", decomposed)).translate(_STROKES)


def _words(folded: str, *, signs: bool = False) -> str:
    """Return the words separated by single spaces: '&' is 'and', 's.w.a.t.' is 'swat', apostrophes join.

    `signs` keeps the signs that tell titles apart.
    """
    joined = _APOSTROPHES.sub("", folded).replace("&", " and ")
    kept = {at for match in _SIGNS.finditer(joined) for at in range(*match.span())} if signs else ()
    spaced = "".join(
        c if at in kept or c.isalnum() or unicodedata.category(c) in _MARKS_OF_LETTERS else " "
        for at, c in enumerate(joined)
    )
    words = " ".join(spaced.split())
    return _INITIALS.sub(lambda run: run[0].replace(" ", ""), words)


def _comparable(title: str, *, signs: bool) -> str:
    """Return a key that spellings of one title share. Never empty, even for a title of signs such as '???'."""
    folded = " ".join(_folded(title).split())
    words = _words(_ARTICLE_BEHIND.sub(r"\1", folded), signs=signs)
    return _ARTICLE.sub("", words) or folded.replace("|", "/")  # '|' divides an identity


def identity(
    title: str,
    year: int | None = None,
    *,
    season_number: int | None = None,
    episode_number: int | None = None,
    air_date: date | None = None,
) -> str:
    """Return the key that names of the same item in one library share: `title|year|numbers`.

    For an episode `title` and `year` are the show's; its numbers are `s1e2`, or the air date if it has none. Case,
    accents, punctuation, '&' for 'and' and a leading English article make no difference: `matrix|1999|`,
    `office us|2005|s3e7`, `daily show||2024-01-15`. Other scripts are kept.
    """
    numbers = ""
    if episode_number is not None:
        numbers = f"s{1 if season_number is None else season_number}e{episode_number}"
    elif air_date is not None:
        numbers = air_date.isoformat()
    return f"{bounded_key(_comparable(title, signs=True))}|{'' if year is None else year}|{numbers}"


def as_episode_of(episode: Item, show: Item) -> Item:
    """Return an episode as one of this show: its identity contains the title of the show."""
    key = identity(
        show.title,
        show.year,
        season_number=episode.season_number,
        episode_number=episode.episode_number,
        air_date=episode.air_date,
    )
    return replace(episode, show_id=show.id, identity=key)


def sort_title(title: str) -> str:
    """Return a key for ORDER BY: without leading English article and accents, numbers padded with zeros.

    'The Matrix' is `matrix`, 'Ocean's 8' comes before 'Ocean's 11'.
    """
    key = _DIGITS.sub(lambda number: number[0].lstrip("0").zfill(_DIGITS_WIDTH), _comparable(title, signs=False))
    return bounded_key(key)


def search_title(title: str) -> str:
    """Return the searchable form of a title or query: without case, accents and punctuation, single spaces.

    Never empty, even for a title of signs.
    """
    folded = " ".join(_folded(title).split())
    return _words(folded) or folded


# --- Versions of one item -----------------------------------------------------------------------------------------

_CODEC_NAMES = {
    "h264": "H.264",
    "hevc": "HEVC",
    "vvc": "VVC",
    "av1": "AV1",
    "vp8": "VP8",
    "vp9": "VP9",
    "mpeg1video": "MPEG-1",
    "mpeg2video": "MPEG-2",
    "mpeg4": "MPEG-4",
    "msmpeg4v2": "MPEG-4",
    "msmpeg4v3": "MPEG-4",
    "vc1": "VC-1",
    "wmv1": "WMV",
    "wmv2": "WMV",
    "wmv3": "WMV",
    "theora": "Theora",
    "prores": "ProRes",
}

# The name of a resolution class and the least width or height for it. Width counts because films lose their black bars
# (3840x1600, 1920x800), height because old formats are narrow (1440x1080, 960x720). A class extends slightly below its
# nominal size, because encoders crop a few lines.
_CLASSES = (
    (7000, 4000, "4320p"),
    (3200, 1700, "2160p"),
    (2200, 1300, "1440p"),
    (1800, 1000, "1080p"),
    (1200, 690, "720p"),
    (1000, 520, "576p"),
    (700, 400, "480p"),
    (560, 300, "360p"),
    (400, 200, "240p"),
)


def codec_name(codec: str) -> str:
    """Return the common name of a codec, if FFmpeg uses another."""
    return _CODEC_NAMES.get(codec, codec.upper())


def _resolution(width: int, height: int) -> str:
    long, short = max(width, height), min(width, height)  # a film held upright is no smaller
    return next((name for wide, high, name in _CLASSES if long >= wide or short >= high), f"{short}p")


def version_label(info: MediaInfo, edition: str | None = None, stereo: str | None = None) -> str:
    """Return the label that distinguishes an item's files, such as `2160p HEVC HDR` or `1080p H.264 3D HSBS Uncut`."""
    video = next((stream for stream in info.streams if stream.kind == "video"), None)
    words: list[str] = []
    if video is not None:
        if video.width and video.height:
            words.append(_resolution(video.width, video.height))
        words.append(codec_name(video.codec))
        if video.hdr:
            words.append("HDR")
    words += [each for each in (stereo, edition) if each]
    return clean_text(" ".join(words), LABEL) or info.container


_BROWSER_VIDEO = frozenset({"h264", "vp8", "vp9", "av1"})
_BROWSER_SOUND = frozenset({"aac", "mp3", "opus", "vorbis", "flac", None})  # None: silent films play, too
_BROWSER_CONTAINERS = frozenset({"mov", "mp4", "webm"})


def version_preference(file: MediaFile) -> tuple[int, bool, bool, bool, int, int, str]:
    """Return a sort key that puts the default file first.

    The first part; then what browsers can play, by video, container and audio; then the largest picture.
    """
    return (
        file.part or 0,
        file.video_codec not in _BROWSER_VIDEO,
        file.container not in _BROWSER_CONTAINERS,
        file.audio_codec not in _BROWSER_SOUND,
        -(file.height or 0),
        -file.size,
        file.path,
    )


class Version(NamedTuple):
    """One version of an item: a single file, or one file per part, in order."""

    label: str
    files: tuple[MediaFile, ...]

    @property
    def duration_ms(self) -> Milliseconds | None:
        """The total length of all parts; None if one is unknown."""
        lengths = [file.duration_ms for file in self.files]
        return None if None in lengths else Milliseconds(sum(length or 0 for length in lengths))


def versions(files: Iterable[MediaFile]) -> list[Version]:
    """Return the versions of an item, the default one first.

    Parts with the same label belong together. If a part has no file with that label, its best other file is used.
    """
    ordered = sorted(files, key=version_preference)
    whole = [Version(file.label, (file,)) for file in ordered if file.part is None]
    parts: dict[int, list[MediaFile]] = {}
    for file in ordered:
        if file.part is not None:
            parts.setdefault(file.part, []).append(file)
    labels = dict.fromkeys(file.label for files in parts.values() for file in files)
    joined = [
        Version(
            label, tuple(next((file for file in files if file.label == label), files[0]) for files in parts.values())
        )
        for label in labels
    ]
    return sorted([*whole, *joined], key=lambda version: version_preference(replace(version.files[0], part=None)))
