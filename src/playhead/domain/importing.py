"""The decisions of a catalogue import: which item each line means, what is new or changed, and which lines are faulty.

A line is matched, in this order, by its own id; by its external ids, within library and kind; by title, year and
numbers, unless an external id contradicts. Stronger matches of all lines are tried before weaker ones, so that two
items can swap their titles. A line replaces everything about its item; members that it omits become unknown.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import NamedTuple

from playhead.domain.accounts import clean_name
from playhead.domain.catalogue import Item, Library, identity
from playhead.domain.model import Instant, ItemId, ItemKind, LibraryId, LibraryKind, Milliseconds, canonical_id

# Nobody would read more; the next attempt shows the rest.
FAULTS_MAX = 1000

_KINDS = {LibraryKind.MOVIES: {ItemKind.MOVIE}, LibraryKind.SHOWS: {ItemKind.SHOW, ItemKind.EPISODE}}


class LineFault(NamedTuple):
    """A fault of a line, counted from 1; `member` None: of the whole line."""

    line: int
    member: str | None
    text: str


@dataclass(frozen=True, slots=True)
class ShowName:
    """How a line names an episode's show: by id; else by external ids; else by title and year."""

    id: ItemId | None = None
    external_ids: Mapping[str, str] = field(default_factory=dict[str, str])
    title: str | None = None
    year: int | None = None


@dataclass(frozen=True, slots=True)
class ImportEntry:
    """One line of an import. `library` is a library's name or id; numbers, date and `show` belong to an episode."""

    line: int
    library: str
    kind: ItemKind
    title: str
    id: ItemId | None = None
    year: int | None = None
    external_ids: Mapping[str, str] = field(default_factory=dict[str, str])
    runtime_ms: Milliseconds | None = None
    credits_ms: Milliseconds | None = None
    available: bool = True
    show: ShowName | None = None
    season_number: int | None = None
    episode_number: int | None = None
    episode_end: int | None = None
    air_date: date | None = None


class StoredItems(NamedTuple):
    """The store's content: all libraries, and at least the items that are `wanted`."""

    libraries: Sequence[Library]
    items: Mapping[ItemId, Item]


class LookupKeys(NamedTuple):
    """The items to load: by id, by external id or by identity, and all episodes of shows among them.

    `external_ids` maps each source to values, `identities` titles and years to identities.
    """

    ids: Sequence[ItemId]
    external_ids: Mapping[str, Sequence[str]]
    identities: Mapping[tuple[str, int | None], str]


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """The effect of an import. `written` are the lines behind `new` and `changed`.

    `added_lines` and `changed_lines` are counts. `changed` may hold more items: shows that are restored with an
    episode, and episodes whose show was renamed. If there are `faults`, nothing else applies.
    """

    new: Sequence[Item]
    changed: Sequence[Item]
    added_lines: int
    changed_lines: int
    written: Sequence[ImportEntry]
    faults: Sequence[LineFault]


def details(faults: Iterable[LineFault]) -> dict[str, list[str]]:
    """Return the first faults by line, as `line 3: title` or `line 3`; where there are more, an entry says so."""
    ordered = sorted(faults, key=lambda fault: fault.line)
    named: dict[str, list[str]] = {}
    for line, member, text in ordered[:FAULTS_MAX]:
        named.setdefault(f"line {line}" if member is None else f"line {line}: {member}", []).append(text)
    if len(ordered) > FAULTS_MAX:
        named["body"] = [f"only the first {FAULTS_MAX} faults are listed"]
    return named


def wanted(entries: Iterable[ImportEntry]) -> LookupKeys:
    """Return what must be loaded to decide on these lines."""
    ids: dict[ItemId, None] = {}
    external_ids: dict[str, dict[str, None]] = defaultdict(dict)
    names: dict[tuple[str, int | None], None] = {}
    for each in entries:
        shown = ShowName(each.id, each.external_ids, None if each.kind is ItemKind.EPISODE else each.title, each.year)
        for name in (shown, each.show):
            if name is not None:
                if name.id is not None:
                    ids[name.id] = None
                for source, value in name.external_ids.items():
                    external_ids[source][value] = None
                if name.title is not None:
                    names[name.title, name.year] = None
    return LookupKeys(
        list(ids),
        {source: list(values) for source, values in external_ids.items()},
        {name: identity(*name) for name in names},
    )


def plan(  # noqa: PLR0913 - a decision, and all that it depends on
    entries: Sequence[ImportEntry],
    stored: StoredItems,
    identities: Mapping[tuple[str, int | None], str],
    *,
    in_doubt: bool,
    now: Instant,
    new_id: Callable[[], str],
) -> ImportPlan:
    """Decide on all lines, with what was `wanted` for them.

    `in_doubt`: further lines are known to be faulty, and one of them may be a show.
    """
    return _Planner(stored, identities, in_doubt=in_doubt, now=now, new_id=new_id).plan(entries)


_Key = tuple[str, ...]

# The sources of an item's external ids, and whether it is available.
_Likeness = tuple[frozenset[str], bool]


class _ImportLine(NamedTuple):
    """A line with its library, its identity, and the keys by which its item is looked up."""

    entry: ImportEntry
    library_id: LibraryId
    show_id: ItemId | None
    identity: str
    name_key: _Key
    id_keys: Sequence[_Key]

    def item(self, item_id: ItemId, added_at: Instant, removed_at: Instant | None) -> Item:
        """Return the item that the line describes."""
        entry = self.entry
        return Item(
            id=item_id,
            library_id=self.library_id,
            kind=entry.kind,
            title=entry.title,
            identity=self.identity,
            added_at=added_at,
            year=entry.year,
            show_id=self.show_id,
            season_number=entry.season_number,
            episode_number=entry.episode_number,
            episode_end=entry.episode_end,
            air_date=entry.air_date,
            runtime_ms=entry.runtime_ms,
            credits_ms=entry.credits_ms,
            removed_at=removed_at,
            external_ids=entry.external_ids,
        )


class _Names:
    """An index of lines by their keys, to find an earlier line for the same item.

    A line's own id counts as an external id. Two lines with the same title, year and numbers are different items if
    they have a source in common: with equal values they would be found by it.
    """

    def __init__(self) -> None:
        self._by_id: dict[_Key, int] = {}
        self._by_name: dict[_Key, dict[frozenset[str], int]] = defaultdict(dict)

    def add(self, line: _ImportLine) -> int | None:
        """Return the number of an earlier line for the same item; otherwise add this line."""
        entry, keys = line.entry, line.id_keys
        sources = frozenset(entry.external_ids)
        if entry.id is not None:
            keys = [*keys, ("own", entry.id)]
            sources |= {""}
        earlier = next((self._by_id[key] for key in keys if key in self._by_id), None)
        named = self._by_name[line.name_key]
        if earlier is None:
            earlier = next((number for others, number in named.items() if sources.isdisjoint(others)), None)
        if earlier is None:
            named.setdefault(sources, entry.line)
            self._by_id |= dict.fromkeys(keys, entry.line)
        return earlier


class _Planner:
    """One decision about one import."""

    def __init__(
        self,
        stored: StoredItems,
        identities: Mapping[tuple[str, int | None], str],
        *,
        in_doubt: bool,
        now: Instant,
        new_id: Callable[[], str],
    ) -> None:
        self._libraries = {name: library for library in stored.libraries for name in (library.id, library.name)}
        self._stored = stored.items
        self._in_doubt = in_doubt
        self._now = now
        self._new_id = new_id
        self._faults: list[LineFault] = []
        self._claims: dict[ItemId, int] = {}
        self._names = _Names()
        self._by_id: dict[_Key, list[Item]] = defaultdict(list)
        self._by_name: dict[_Key, dict[_Likeness, list[Item]]] = defaultdict(lambda: defaultdict(list))
        for item in sorted(stored.items.values(), key=lambda item: (item.added_at, item.id)):
            for key in _id_keys(item.library_id, item.kind, item.external_ids):
                self._by_id[key].append(item)
            name_key = _name_key(item.kind, item.library_id, item.show_id, item.identity)
            self._by_name[name_key][_likeness(item)].append(item)
        self._final: dict[ItemId, Item] = {}
        self._new: list[Item] = []
        self._changed: dict[ItemId, None] = {}
        self._written: list[ImportEntry] = []
        self._identities = dict(identities)

    def plan(self, entries: Sequence[ImportEntry]) -> ImportPlan:
        """Decide on all lines."""
        sound = [(entry, library) for entry in entries if (library := self._check(entry)) is not None]
        self._settle([self._describe(*each) for each in sound if each[0].kind is not ItemKind.EPISODE])
        self._rename_episodes()
        shows = self._index_shows()
        episodes = [each for each in sound if each[0].kind is ItemKind.EPISODE]
        self._settle([line for each in episodes if (line := self._describe_episode(*each, shows)) is not None])
        self._bring_back_shows()
        changed = [self._final[item_id] for item_id in self._changed]
        return ImportPlan(
            self._new,
            changed,
            added_lines=len(self._new),
            changed_lines=len(self._written) - len(self._new),
            written=self._written,
            faults=self._faults,
        )

    # Checks of single lines

    def _check(self, entry: ImportEntry) -> Library | None:
        """Return the library of a line without faults; name the faults of any other."""
        library = self._libraries.get(canonical_id(entry.library) or clean_name(entry.library))
        faults = list(_faults(entry))
        if library is None:
            faults.append(("library", "there is no such library"))
        elif library.path is not None:
            faults.append(("library", "has a folder: its items come from scans"))
        elif entry.kind not in _KINDS[library.kind]:
            faults.append(("kind", f"does not belong into a library of {library.kind.value}"))
        for member, text in faults:
            self._fault(entry, member, text)
        return None if faults else library

    def _fault(self, entry: ImportEntry, member: str | None, text: str, line: int | None = None) -> None:
        self._faults.append(LineFault(line or entry.line, member, text))
        self._in_doubt |= entry.kind is ItemKind.SHOW

    def _describe(self, entry: ImportEntry, library: Library) -> _ImportLine:
        return _line(entry, library.id, self._identity(entry.title, entry.year))

    def _describe_episode(self, entry: ImportEntry, library: Library, shows: "_Shows") -> _ImportLine | None:
        name = entry.show or ShowName()
        found = shows.find(library.id, name, None if name.title is None else self._identity(name.title, name.year))
        if len(found) == 1:
            show = found[0]
            numbers = identity(
                "", season_number=entry.season_number, episode_number=entry.episode_number, air_date=entry.air_date
            )
            key = self._identity(show.title, show.year) + numbers.rpartition("|")[2]
            return _line(entry, library.id, key, show.id)
        if found:
            self._fault(entry, "show", "several shows of this library are meant: name it by its id")
        elif not self._in_doubt:  # else it may be the show of a line that is at fault
            self._fault(entry, "show", "there is no such show in this library, nor in this import")
        return None

    def _identity(self, title: str, year: int | None) -> str:
        key = (title, year)
        if key not in self._identities:
            self._identities[key] = identity(title, year)
        return self._identities[key]

    # Matching lines with items

    def _settle(self, lines: Sequence[_ImportLine]) -> None:
        waiting: list[_ImportLine] = []
        for line in lines:
            earlier = self._names.add(line)
            if earlier is None:
                waiting.append(line)
            else:
                self._fault(line.entry, None, f"means the same item as line {earlier}")
        for find in (self._find_by_own_id, self._find_by_external_ids, self._find_by_name):
            waiting = [line for line in waiting if not self._take(line, find(line))]
        for line in waiting:
            gone_at = None if line.entry.available else self._now
            item = line.item(line.entry.id or ItemId(self._new_id()), self._now, gone_at)
            self._final[item.id] = item
            self._new.append(item)
            self._written.append(line.entry)

    def _find_by_own_id(self, line: _ImportLine) -> Item | None:
        return None if line.entry.id is None else self._stored.get(line.entry.id)

    def _find_by_external_ids(self, line: _ImportLine) -> Item | None:
        candidates = {item.id: item for key in line.id_keys for item in self._by_id.get(key, ())}
        if line.entry.id is not None:
            # What another line names by its id is that line's.
            candidates = {item_id: item for item_id, item in candidates.items() if item_id not in self._claims}
        mine = line.entry.external_ids.items()
        return min(
            candidates.values(),
            key=lambda item: (
                item.id in self._claims,
                -len(mine & item.external_ids.items()),
                *_preference(item, line),
            ),
            default=None,
        )

    def _find_by_name(self, line: _ImportLine) -> Item | None:
        free: list[Item] = []
        for (sources, _), items in self._by_name.get(line.name_key, {}).items():
            if sources.isdisjoint(line.entry.external_ids):
                while items and items[0].id in self._claims:
                    items.pop(0)
                free += items[:1]
        return min(free, key=lambda item: _preference(item, line), default=None)

    def _take(self, line: _ImportLine, found: Item | None) -> bool:
        """Assign the found item to a line; return whether the line is settled, possibly by a fault."""
        if found is None:
            return False
        entry = line.entry
        if entry.id is not None and found.id != entry.id:
            self._fault(entry, "id", f"the same item is known as {found.id}: use this id, or name that item too")
        elif found.kind is not entry.kind:
            self._fault(entry, "id", f"is the id of another kind of item: {found.kind.value}")
        elif found.library_id != line.library_id:
            self._fault(entry, "id", "is the id of an item of another library")
        elif found.id in self._claims:
            first, later = sorted((self._claims[found.id], entry.line))
            self._fault(entry, None, f"means the same item as line {first}", later)
        else:
            self._claims[found.id] = entry.line
            gone_at = None if entry.available else found.removed_at or self._now
            if self._change(line.item(found.id, found.added_at, gone_at)):
                self._written.append(entry)
        return True

    def _change(self, item: Item) -> bool:
        self._final[item.id] = item
        changed = item != self._stored[item.id]
        if changed:
            self._changed[item.id] = None
        return changed

    # Shows and their episodes

    def _index_shows(self) -> "_Shows":
        stored = (self._final.get(item.id, item) for item in self._stored.values())
        return _Shows(item for item in (*stored, *self._new) if item.kind is ItemKind.SHOW)

    def _rename_episodes(self) -> None:
        """Update the identities of stored episodes that no line names: a show's title is part of them."""
        for episode in self._stored.values():
            show = None if episode.show_id is None else self._final.get(episode.show_id)
            if show is not None and show.identity != self._stored[show.id].identity:
                numbers = episode.identity.rpartition("|")[2]
                self._change(replace(episode, identity=show.identity + numbers))

    def _bring_back_shows(self) -> None:
        """Restore the show of every available episode, unless a line of the import removes it."""
        for episode in list(self._final.values()):
            if episode.show_id is not None and episode.removed_at is None and episode.show_id not in self._final:
                self._change(replace(self._stored[episode.show_id], removed_at=None))


class _Shows:
    """The shows after the import, indexed by all their keys."""

    def __init__(self, shows: Iterable[Item]) -> None:
        self._shows: dict[_Key, dict[ItemId, Item]] = defaultdict(dict)
        for show in shows:
            names = _id_keys(show.library_id, show.kind, show.external_ids)
            names += [("own", show.library_id, show.id), (show.library_id, show.kind, show.identity)]
            for key in names:
                self._shows[key][show.id] = show

    def find(self, library_id: LibraryId, name: ShowName, identity: str | None) -> list[Item]:
        """Return the matching shows; `identity` is that of the name's title and year."""
        if name.id is not None:
            return list(self._shows.get(("own", library_id, name.id), {}).values())
        found: dict[ItemId, Item] = {}
        for source, value in name.external_ids.items():
            found |= self._shows.get((library_id, ItemKind.SHOW, source, value), {})
        if not found and identity is not None:
            found = self._shows.get((library_id, ItemKind.SHOW, identity), {})
        return list(found.values())


def _faults(entry: ImportEntry) -> Iterator[tuple[str, str]]:
    """Yield the faults of a line that do not depend on the store."""
    if not entry.title.strip():
        yield "title", "must not be blank"
    yield from _faults_of_episode(entry) if entry.kind is ItemKind.EPISODE else _faults_of_others(entry)
    if entry.credits_ms is not None and entry.runtime_ms is not None and entry.credits_ms > entry.runtime_ms:
        yield "credits_start_seconds", "must be less than or equal to runtime_seconds"


def _faults_of_others(entry: ImportEntry) -> Iterator[tuple[str, str]]:
    for member in ("show", "season_number", "episode_number", "episode_end", "air_date"):
        if getattr(entry, member) is not None:
            yield member, "belongs to an episode"
    if entry.kind is ItemKind.SHOW:
        for member, value in (("runtime_seconds", entry.runtime_ms), ("credits_start_seconds", entry.credits_ms)):
            if value is not None:
                yield member, "does not belong to a show"


def _faults_of_episode(entry: ImportEntry) -> Iterator[tuple[str, str]]:
    if entry.show is None:
        yield "show", "is required for an episode"
    elif entry.show.id is None and not entry.show.external_ids and entry.show.title is None:
        yield "show", "must have an id, external_ids or a title"
    if entry.episode_number is None and entry.air_date is None:
        yield "episode_number", "is required for an episode without air_date"
    if entry.season_number is None and (entry.episode_number is not None or entry.air_date is None):
        yield "season_number", "is required for an episode with a number"
    if entry.episode_end is not None and (entry.episode_number is None or entry.episode_end < entry.episode_number):
        yield "episode_end", "must be greater than or equal to episode_number"


def _line(entry: ImportEntry, library_id: LibraryId, key: str, show_id: ItemId | None = None) -> _ImportLine:
    return _ImportLine(
        entry,
        library_id,
        show_id,
        key,
        _name_key(entry.kind, library_id, show_id, key),
        _id_keys(library_id, entry.kind, entry.external_ids),
    )


def _id_keys(library_id: LibraryId, kind: ItemKind, external_ids: Mapping[str, str]) -> list[_Key]:
    return [(library_id, kind, source, value) for source, value in external_ids.items()]


def _name_key(kind: ItemKind, library_id: LibraryId, show_id: ItemId | None, key: str) -> _Key:
    # Within a show an episode is identified by its numbers, so that a renamed show keeps its episodes.
    return (library_id, kind, key) if show_id is None else (show_id, kind, key.rpartition("|")[2])


def _likeness(item: Item) -> _Likeness:
    return frozenset(item.external_ids), item.removed_at is None


def _preference(item: Item, line: _ImportLine) -> tuple[bool, int, str]:
    # What the line has made of an item is most like it; so the same line always finds the same item.
    likeness = frozenset(line.entry.external_ids), line.entry.available
    return _likeness(item) != likeness, item.added_at, item.id
