"""The decisions of a catalogue import: which item each line means, what is new or changed, and which lines are faulty.

A line is matched, in this order, by its own id; by its external ids, within its kind; by title, year and numbers in its
library, unless an external id contradicts; by title and year in others. Stronger matches of all lines are tried before
weaker ones, so that two items can swap their titles. An own id that is new becomes an alias of the item that is found.
A line replaces everything about its item that no other library tells; members that it omits become unknown.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import NamedTuple

from playhead.domain.accounts import clean_name
from playhead.domain.catalogue import Holding, Item, Library, identity
from playhead.domain.matching import Clue, agree_in_length, as_shown, candidate_of, match, mean_several
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
    """The store's content: all libraries, and at least the items that are `wanted`, with their holdings.

    `aliases` maps other ids of lines to these items.
    """

    libraries: Sequence[Library]
    items: Mapping[ItemId, Item]
    holdings: Mapping[ItemId, Sequence[Holding]] = {}
    aliases: Mapping[ItemId, ItemId] = {}


class LookupKeys(NamedTuple):
    """The items to load: by id, by external id or by identity, and all episodes of shows among them.

    `external_ids` maps each source to values, `identities` titles and years to identities.
    """

    ids: Sequence[ItemId]
    external_ids: Mapping[str, Sequence[str]]
    identities: Mapping[tuple[str, int | None], str]


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """The effect of an import. `written` are the lines that add or change something. `aliases` are new ids of items.

    `added_lines` and `changed_lines` are counts. `changed` may hold more items: shows that are restored with an
    episode, and episodes whose show was renamed. If there are `faults`, nothing else applies.
    """

    new: Sequence[Item]
    changed: Sequence[Item]
    holdings: Sequence[Holding]
    aliases: Mapping[ItemId, ItemId]
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


_Key = tuple[object, ...]

# The sources of an item's external ids, and whether its library has it now.
_Likeness = tuple[frozenset[str], bool]


class _ImportLine(NamedTuple):
    """A line with its library, its identity, and the keys by which its item is looked up."""

    entry: ImportEntry
    library_id: LibraryId
    show_id: ItemId | None
    identity: str
    name_key: _Key
    id_keys: Sequence[_Key]

    def item(self, item_id: ItemId, added_at: Instant) -> Item:
        """Return the item that the line describes."""
        entry = self.entry
        return Item(
            id=item_id,
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
            external_ids=entry.external_ids,
        )

    def described(self, item: Item, *, leads: bool, alone: bool) -> Item:
        """Return a known item as the line describes it.

        `leads`: what this library tells is shown; `alone`: no other library has the item. Lengths of files outweigh it.
        """
        told = self.item(item.id, item.added_at)
        if not alone:
            told = replace(told, external_ids={**told.external_ids, **item.external_ids})
        if not leads:
            return replace(
                item,
                external_ids=told.external_ids,
                runtime_ms=item.runtime_ms or told.runtime_ms,
                credits_ms=item.credits_ms or (None if item.files else told.credits_ms),
                air_date=item.air_date or told.air_date,
            )
        if item.files:
            told = replace(told, runtime_ms=item.runtime_ms, credits_ms=item.credits_ms, episode_end=item.episode_end)
        return replace(told, files=item.files, pinned=item.pinned, is_open=item.is_open, owner_id=item.owner_id)


class _Names:
    """An index of lines by their keys, to find an earlier line for the same item.

    A line's own id counts as an external id; lines with two own ids and a common external id give one item two ids.
    Two lines with the same title, year and numbers are different items if
    they have a source in common: with equal values they would be found by it.
    """

    def __init__(self) -> None:
        self._by_id: dict[_Key, tuple[int, ItemId | None]] = {}
        self._by_name: dict[_Key, dict[frozenset[str], int]] = defaultdict(dict)

    def add(self, line: _ImportLine) -> int | None:
        """Return the number of an earlier line for the same item; otherwise add this line."""
        entry, keys = line.entry, [(line.library_id, *key) for key in line.id_keys]
        sources = frozenset(entry.external_ids)
        if entry.id is not None:
            keys = [*keys, (line.library_id, "own", entry.id)]
            sources |= {""}
        earlier = next((self._by_id[key][0] for key in keys if self._is_same(key, entry.id)), None)
        named = self._by_name[line.name_key]
        if earlier is None:
            earlier = next((number for others, number in named.items() if sources.isdisjoint(others)), None)
        if earlier is None:
            named.setdefault(sources, entry.line)
            for key in keys:
                self._by_id.setdefault(key, (entry.line, entry.id))
        return earlier

    def _is_same(self, key: _Key, own_id: ItemId | None) -> bool:
        if key not in self._by_id:
            return False
        other = self._by_id[key][1]
        return other is None or own_id is None or other == own_id


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
        self._aliases = dict(stored.aliases)
        self._new_aliases: dict[ItemId, ItemId] = {}
        self._holdings: dict[ItemId, dict[LibraryId, Holding]] = defaultdict(dict)
        self._changed_holdings: dict[tuple[ItemId, LibraryId], None] = {}
        self._in_doubt = in_doubt
        self._now = now
        self._new_id = new_id
        self._faults: list[LineFault] = []
        self._claims: dict[tuple[ItemId, LibraryId], int] = {}
        self._names = _Names()
        self._by_id: dict[_Key, list[Item]] = defaultdict(list)
        self._by_name: dict[_Key, dict[_Likeness, list[Item]]] = defaultdict(lambda: defaultdict(list))
        self._by_title: dict[_Key, list[Item]] = defaultdict(list)
        for item_id, holdings in stored.holdings.items():
            self._holdings[item_id] = {each.library_id: each for each in holdings}
        for item in sorted(stored.items.values(), key=lambda item: (item.added_at, item.id)):
            self._index(item)
        self._final: dict[ItemId, Item] = {}
        self._new: dict[ItemId, None] = {}
        self._changed: dict[ItemId, None] = {}
        self._written: list[ImportEntry] = []
        self._identities = dict(identities)

    def _index(self, item: Item) -> None:
        for key in _id_keys(item.kind, item.external_ids):
            self._by_id[key].append(item)
        if item.kind is ItemKind.EPISODE:
            likeness = frozenset(item.external_ids), True
            self._by_name[item.show_id, item.kind, item.identity.rpartition("|")[2]][likeness].append(item)
            return
        self._by_title[item.kind, item.identity.partition("|")[0]].append(item)
        for holding in self._holdings[item.id].values():
            key = item.identity
            if holding.title and (holding.title, holding.year) != (item.title, item.year):
                key = identity(holding.title, holding.year)
            likeness = frozenset(item.external_ids), holding.removed_at is None
            self._by_name[holding.library_id, item.kind, key][likeness].append(item)

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
            [self._final[item_id] for item_id in self._new],
            changed,
            [self._holdings[item_id][library_id] for item_id, library_id in self._changed_holdings],
            self._new_aliases,
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
        for find in (self._find_by_own_id, self._find_by_external_ids, self._find_by_name, self._find_elsewhere):
            waiting = [line for line in waiting if not self._take(line, find(line))]
        for line in waiting:
            # An earlier one of these lines may have made the item.
            if not (self._take(line, self._find_by_external_ids(line)) or self._take(line, self._find_elsewhere(line))):
                self._make(line)

    def _make(self, line: _ImportLine) -> None:
        item = line.item(line.entry.id or ItemId(self._new_id()), self._now)
        self._claim(line, item.id)
        self._final[item.id] = item
        self._new[item.id] = None
        self._hold(line, item.id)
        self._index(item)
        self._written.append(line.entry)

    def _find_by_own_id(self, line: _ImportLine) -> Item | None:
        own = line.entry.id
        return None if own is None else self._stored.get(self._aliases.get(own, own))

    def _find_by_external_ids(self, line: _ImportLine) -> Item | None:
        # Ids of an episode that belong to another show than the one named are wrong.
        by_ids = [
            {item.id: item for item in self._by_id.get(key, ()) if item.show_id == line.show_id} for key in line.id_keys
        ]
        if mean_several(by_ids):
            return None
        candidates = {item_id: item for found in by_ids for item_id, item in found.items()}
        mine = line.entry.external_ids.items()
        return min(
            candidates.values(),
            key=lambda item: (
                (item.id, line.library_id) in self._claims,
                -len(mine & item.external_ids.items()),
                *self._preference(item, line),
            ),
            default=None,
        )

    def _find_by_name(self, line: _ImportLine) -> Item | None:
        free: list[Item] = []
        for (sources, _), items in self._by_name.get(line.name_key, {}).items():
            if sources.isdisjoint(line.entry.external_ids):
                while items and (items[0].id, line.library_id) in self._claims:
                    items.pop(0)
                free += items[:1]
        return min(free, key=lambda item: self._preference(item, line), default=None)

    def _find_elsewhere(self, line: _ImportLine) -> Item | None:
        """Return the item with this title and year that only other libraries have. A year must be known."""
        entry = line.entry
        if entry.year is None or entry.kind is ItemKind.EPISODE:
            return None
        near = [
            item
            for item in self._by_title.get((entry.kind, line.identity.partition("|")[0]), ())
            if line.library_id not in self._holdings[item.id] and self._may_be_named(item, entry)
        ]
        clue = Clue(entry.kind, external_ids=entry.external_ids, titles=(entry.title,), year=entry.year)
        candidates = [candidate_of(item, None, list(self._holdings[item.id].values())) for item in near]
        found = match(clue, candidates).item_id
        return next((item for item in near if item.id == found), None)

    def _may_be_named(self, item: Item, entry: ImportEntry) -> bool:
        if item.owner_id is not None:
            return False
        if entry.runtime_ms is None or item.runtime_ms is None:
            return item.year == entry.year
        return agree_in_length(entry.runtime_ms, item.runtime_ms)

    def _take(self, line: _ImportLine, found: Item | None) -> bool:
        """Assign the found item to a line; return whether the line is settled, possibly by a fault."""
        if found is None:
            return False
        entry = line.entry
        if found.kind is not entry.kind:
            self._fault(entry, "id", f"is the id of another kind of item: {found.kind.value}")
            return True
        named = self._name(line, found.id)
        earlier = self._claims.get((found.id, line.library_id))
        if earlier is not None and entry.id is None:
            first, later = sorted((earlier, entry.line))
            self._fault(entry, None, f"means the same item as line {first}", later)
            return True
        changed = False
        if earlier is None:  # else this line only gives another id to the item of an earlier one
            self._claim(line, found.id)
            held = self._hold(line, found.id)
            changed = self._change(self._described(line, self._final.get(found.id, found))) or held
        if named or changed:
            self._written.append(entry)
        return True

    def _name(self, line: _ImportLine, item_id: ItemId) -> bool:
        """Give an item the own id of a line as an alias, unless it is known; return whether it is new."""
        own = line.entry.id
        if own is None or own == item_id or self._aliases.get(own) == item_id:
            return False
        self._aliases[own] = self._new_aliases[own] = item_id
        return True

    def _claim(self, line: _ImportLine, item_id: ItemId) -> None:
        self._claims[item_id, line.library_id] = line.entry.line

    def _hold(self, line: _ImportLine, item_id: ItemId) -> bool:
        """Store that the line's library has or had an item; return whether anything changed."""
        entry, before = line.entry, self._holdings[item_id].get(line.library_id)
        known = before or Holding(item_id, line.library_id, self._now)
        gone_at = None if entry.available else known.removed_at or self._now
        return self._keep_holding(known._replace(removed_at=gone_at, title=entry.title, year=entry.year))

    def _keep_holding(self, holding: Holding) -> bool:
        held = self._holdings[holding.item_id]
        if held.get(holding.library_id) == holding:
            return False
        held[holding.library_id] = holding
        self._changed_holdings[holding.item_id, holding.library_id] = None
        return True

    def _described(self, line: _ImportLine, item: Item) -> Item:
        holdings = self._holdings[item.id].values()
        others = [each for each in holdings if each.library_id != line.library_id and each.ended_at is None]
        own = self._holdings[item.id][line.library_id]
        rank = (not own.is_living, own.added_at, own.library_id)
        leads = all(rank < (not each.is_living, each.added_at, each.library_id) for each in others)
        return as_shown(line.described(item, leads=leads, alone=not others), holdings)

    def _change(self, item: Item) -> bool:
        changed = item != self._final.get(item.id, self._stored.get(item.id))
        self._final[item.id] = item
        if changed and item.id not in self._new:
            self._changed[item.id] = None
        return changed

    def _preference(self, item: Item, line: _ImportLine) -> tuple[bool, bool, int, str]:
        # What the line has made of an item is most like it; so the same line always finds the same item.
        holding = self._holdings[item.id].get(line.library_id)
        alike = holding is not None and (holding.removed_at is None) == line.entry.available
        sources = frozenset(item.external_ids) == frozenset(line.entry.external_ids)
        return holding is None, not (alike and sources), item.added_at, item.id

    # Shows and their episodes

    def _index_shows(self) -> "_Shows":
        every = {**self._stored, **self._final}
        shows = _Shows(self._aliases)
        for show in every.values():
            if show.kind is ItemKind.SHOW:
                for library_id, holding in self._holdings[show.id].items():
                    told = holding.title or show.title, holding.year if holding.title else show.year
                    shows.add(show, library_id, {show.identity, self._identity(*told)})
        return shows

    def _rename_episodes(self) -> None:
        """Update the identities of stored episodes that no line names: a show's title is part of them."""
        for episode in self._stored.values():
            show = None if episode.show_id is None else self._final.get(episode.show_id)
            if show is not None and show.identity != self._stored[show.id].identity:
                numbers = episode.identity.rpartition("|")[2]
                self._change(replace(episode, identity=show.identity + numbers))

    def _bring_back_shows(self) -> None:
        """Let a library hold the show of every episode that it has, unless a line of the import says otherwise."""
        for episode_id, library_id in list(self._claims):
            show_id = self._final[episode_id].show_id
            if show_id is None or (show_id, library_id) in self._claims:
                continue
            if self._holdings[episode_id][library_id].removed_at is None:
                show = self._final.get(show_id) or self._stored[show_id]
                known = self._holdings[show_id].get(library_id) or Holding(
                    show_id, library_id, self._now, title=show.title, year=show.year
                )
                self._keep_holding(known._replace(removed_at=None))


class _Shows:
    """The shows after the import, indexed by library and all their keys."""

    def __init__(self, aliases: Mapping[ItemId, ItemId]) -> None:
        self._aliases = aliases
        self._shows: dict[_Key, dict[ItemId, Item]] = defaultdict(dict)

    def add(self, show: Item, library_id: LibraryId, identities: Iterable[str]) -> None:
        """Add a show that a library has or had, under these identities."""
        names = [(library_id, *key) for key in _id_keys(show.kind, show.external_ids)]
        names += [(library_id, "own", show.id), *((library_id, "name", each) for each in identities)]
        for key in names:
            self._shows[key][show.id] = show

    def find(self, library_id: LibraryId, name: ShowName, identity: str | None) -> list[Item]:
        """Return the matching shows; `identity` is that of the name's title and year."""
        if name.id is not None:
            own = library_id, "own", self._aliases.get(name.id, name.id)
            return list(self._shows.get(own, {}).values())
        found: dict[ItemId, Item] = {}
        for key in _id_keys(ItemKind.SHOW, name.external_ids):
            found |= self._shows.get((library_id, *key), {})
        if not found and identity is not None:
            found = self._shows.get((library_id, "name", identity), {})
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
    # Within a show an episode is identified by its numbers, so that a renamed show keeps its episodes.
    name_key = (library_id, entry.kind, key) if show_id is None else (show_id, entry.kind, key.rpartition("|")[2])
    return _ImportLine(entry, library_id, show_id, key, name_key, _id_keys(entry.kind, entry.external_ids))


def _id_keys(kind: ItemKind, external_ids: Mapping[str, str]) -> list[_Key]:
    return [(kind, source, value) for source, value in external_ids.items()]
