"""What files on disk mean: values read from names and streams, and the rules that make them items and versions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from playhead.domain.model import ItemKind, Milliseconds


@dataclass(frozen=True, slots=True)
class ParsedName:
    """What a file's path says of it. `kind` is MOVIE or EPISODE; for an episode, `title` and `year` are the show's.

    Season 0 holds the specials. `episode_end` is set where the file holds several episodes; `part` where an item's
    timeline is cut into several files, counted from 1. `external_ids` maps a source (tmdb, imdb, tvdb) to its value and
    belongs to the movie or the show.
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
    external_ids: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Stream:
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


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a look into a media file says: its length, its container (FFmpeg's name), streams, and start of credits."""

    duration_ms: Milliseconds
    container: str
    streams: tuple[Stream, ...]
    credits_ms: Milliseconds | None = None
