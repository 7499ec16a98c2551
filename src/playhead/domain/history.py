"""History import and export: the portable names of items, and merging two progresses. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from playhead.domain.matching import Clue
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
    def clue(self) -> Clue:
        """Return what the name says about the item that is meant."""
        is_episode = self.kind is ItemKind.EPISODE
        title = self.show_title if is_episode else self.title
        return Clue(
            self.kind,
            external_ids=self.external_ids,
            show_ids=self.show_ids,
            titles=(title,) if title else (),
            year=self.show_year if is_episode else self.year,
            season_number=self.season_number,
            episode_number=self.episode_number,
            air_date=self.air_date,
        )


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
