"""What persons say that files are: found by content or path, it counts before their names. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import NamedTuple

from playhead.domain.catalogue import ParsedName
from playhead.domain.model import ItemId, ItemKind
from playhead.domain.scanning import IDENTIFIED, FoundFile


@dataclass(frozen=True, slots=True)
class IdentifiedAs:
    """What a person says a file is. Members that are None stay as its name tells.

    `is_ignored`: it is no film at all. `item_id`: this very item, whatever its name. An episode has numbers or a date.
    """

    is_ignored: bool = False
    item_id: ItemId | None = None
    kind: ItemKind | None = None
    title: str | None = None
    year: int | None = None
    external_ids: Mapping[str, str] = field(default_factory=dict[str, str])
    season_number: int | None = None
    episode_number: int | None = None
    episode_end: int | None = None
    air_date: date | None = None
    part: int | None = None
    edition: str | None = None


class Identification(NamedTuple):
    """What a person says about a file, found by its content, else by its `path` in the library that is scanned.

    `is_free`: the library in which it was said is removed, so that one with this content may have it.
    """

    id: str
    path: str | None
    fingerprint: str | None
    told: IdentifiedAs
    is_free: bool = False


class Identifications:
    """What persons have said about files."""

    def __init__(self, several: Iterable[Identification] = ()) -> None:
        self._by_content: dict[str, Identification] = {}
        self._by_path: dict[str, Identification] = {}
        for each in several:
            if each.fingerprint is not None:
                self._by_content[each.fingerprint] = each
            if each.path is not None:
                self._by_path[each.path] = each

    def find(self, path: str, fingerprint: str | None) -> Identification | None:
        """Return what was said about this content, else about this path. A path outlives the file that stood there."""
        return self._by_content.get(fingerprint or "") or self._by_path.get(path)

    def follow(self, said: Identification, seen: Mapping[str, str | None]) -> Identification:
        """Return what was said, of the place and the content that the file has now.

        `seen` are the paths of this library to which it applies, with their content. A file that was renamed takes it
        along, and one that replaced it leaves it at its path; so a file may be renamed, replaced, and renamed again.
        """
        same = sorted(path for path, content in seen.items() if content is not None and content == said.fingerprint)
        if not same:
            replaced = said.path is not None and seen.get(said.path) is not None
            return said._replace(fingerprint=seen[said.path or ""]) if replaced else said
        if said.path in same or (said.path is None and not said.is_free):
            return said
        free = [path for path in same if path not in self._by_path]
        return said._replace(path=free[0]) if free else said

    def mark(self, file: FoundFile, fingerprint: str | None) -> FoundFile:
        """Return a file with its identification in its evidence, so that it is read again when that changes."""
        said = self.find(file.path, fingerprint)
        return file if said is None else replace(file, evidence=f"{file.evidence}{IDENTIFIED}{said.id}")


def identified(name: ParsedName | None, told: IdentifiedAs) -> ParsedName | None:
    """Return what a path says about a video, corrected by a person. None: it cannot be told from both."""
    kind = told.kind or (ItemKind.EPISODE if told.episode_number is not None or told.air_date else None)
    if name is None or (kind is not None and kind is not name.kind):
        if told.title is None:
            return None
        name = ParsedName(kind or ItemKind.MOVIE, told.title)
    if told.title is not None:
        name = replace(name, title=told.title, year=told.year, external_ids={})
    if told.episode_number is not None or told.air_date is not None:
        name = replace(
            name,
            season_number=told.season_number,
            episode_number=told.episode_number,
            episode_end=told.episode_end,
            air_date=told.air_date,
            episode_title=None,
        )
    return replace(
        name,
        year=name.year if told.year is None else told.year,
        external_ids=told.external_ids or name.external_ids,
        part=name.part if told.part is None else told.part,
        edition=told.edition or name.edition,
    )
