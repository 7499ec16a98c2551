"""History import and export: matching named items to the catalogue, and merging two progresses. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from playhead.domain.catalogue import identity
from playhead.domain.model import Instant, ItemKind
from playhead.domain.playback import Progress


@dataclass(frozen=True, slots=True)
class ItemName:
    """The portable name of an item: external ids, and title, year and numbers.

    `show_title`, `show_year` and `show_ids` are set for episodes only.
    """

    kind: ItemKind
    title: str
    year: int | None = None
    external_ids: Mapping[str, str] = field(default_factory=dict[str, str])
    show_title: str | None = None
    show_year: int | None = None
    show_ids: Mapping[str, str] = field(default_factory=dict[str, str])
    season_number: int | None = None
    episode_number: int | None = None
    air_date: date | None = None

    @property
    def identity(self) -> str:
        """Return the catalogue's key for an item of this title, year and numbers."""
        if self.kind is not ItemKind.EPISODE:
            return identity(self.title, self.year)
        return identity(
            self.show_title or "",
            self.show_year,
            season_number=self.season_number,
            episode_number=self.episode_number,
            air_date=self.air_date,
        )


class MatchCandidate(NamedTuple):
    """A catalogue item that may match a name.

    `numbers` are season and episode, `show_ids` the external ids of its show; `is_seen`: the user may see it.
    """

    item_id: str
    kind: ItemKind
    identity: str
    external_ids: Mapping[str, str]
    show_ids: Mapping[str, str]
    numbers: tuple[int | None, int | None]
    is_available: bool
    is_seen: bool
    library: str


def match(name: ItemName, candidates: list[MatchCandidate]) -> str | None:
    """Return the id of the item that matches a name, or None.

    The item's own external ids come first, then its show's ids with its numbers, then title, year and numbers unless an
    external id contradicts. Among equals, items that the user may see come first, then items with files.
    """
    found = [(rank, candidate) for candidate in candidates if (rank := _rank(name, candidate)) is not None]
    if not found:
        return None
    return min(
        found,
        key=lambda each: (each[0], not each[1].is_seen, not each[1].is_available, each[1].library, each[1].item_id),
    )[1].item_id


def _rank(name: ItemName, candidate: MatchCandidate) -> int | None:
    if candidate.kind is not name.kind:
        return None
    if _shares(name.external_ids, candidate.external_ids):
        return 0
    if _contradicts(name.external_ids, candidate.external_ids):
        return None
    numbers = (name.season_number, name.episode_number)
    if numbers[1] is not None and numbers == candidate.numbers and _shares(name.show_ids, candidate.show_ids):
        return 1
    if candidate.identity == name.identity and not _contradicts(name.show_ids, candidate.show_ids):
        return 2
    return None


def _shares(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return not one.items().isdisjoint(other.items())


def _contradicts(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return any(source in other and other[source] != value for source, value in one.items())


def merge(stored: Progress | None, imported: Progress, now: Instant) -> Progress:
    """Merge an imported progress into the stored one; returns `stored` itself if nothing changes.

    The side that was active last decides the position. `watched` stays unless the item was marked as unwatched later.
    An import is not activity: only `changed_at` becomes `now`. Idempotent.
    """
    if stored is None:
        return imported._replace(version=1, changed_at=now)
    if _active_at(imported) > _active_at(stored):
        later, earlier = imported, stored
    else:
        later, earlier = stored, imported
    taken_away = later.unwatched_at is not None and later.unwatched_at >= _active_at(earlier)
    watched = later.watched or (earlier.watched and not taken_away)
    if later is stored and watched == stored.watched:
        return stored
    return later._replace(watched=watched, version=stored.version + 1, changed_at=now)


def _active_at(progress: Progress) -> int:
    return max(progress.last_watched_at or 0, progress.unwatched_at or 0)
