"""The decisions of a scan: which files are new, changed, moved or gone, and which item each belongs to. No disk access.

Tidying up a folder must not lose progress, so a file is matched with a known item wherever possible: one with the same
external id; else the same title, year and numbers; else the item of the same file under another name; else one without
files that differs only by an added or missing year. External ids of which each means another item say nothing.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from playhead.domain.catalogue import (
    EpisodePlace,
    FileFacts,
    Holding,
    Item,
    MediaInfo,
    ParsedName,
    as_episode_of,
    identity,
)
from playhead.domain.file_facts import measure
from playhead.domain.matching import Candidate, Clue, as_shown, candidate_of, contradict, match, mean_several, title_key
from playhead.domain.model import FileId, Instant, ItemId, ItemKind, LibraryId, Milliseconds

# Part of every file's evidence. Raise it when the parsing of names or NFO files changes: the next scan then reads them
# again, without opening any video.
RULES_VERSION = 5

# Part of the evidence of a file that a person has identified.
IDENTIFIED = " identified "

# More than any real file contains; a name that claims more is misread, and must not create thousands of items.
_EPISODES_IN_A_FILE_MAX = 50


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A video as listed in a folder. `path` is relative to the library's folder.

    `evidence` covers everything else that is read for it: it differs if an NFO file was added, changed or removed.
    """

    path: str
    size: int
    mtime_ns: int
    evidence: str


class FileLink(NamedTuple):
    """The link of a file to its item; `part`, from 1, if the item's timeline is split into several files."""

    item_id: ItemId
    part: int | None = None


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A video as an earlier scan stored it. `fault` says why it was skipped."""

    id: FileId
    path: str
    size: int
    mtime_ns: int
    evidence: str
    fingerprint: str | None = None
    duration_ms: Milliseconds | None = None
    credits_ms: Milliseconds | None = None
    fault: str | None = None
    removed: bool = False
    links: tuple[FileLink, ...] = ()


class Placement(NamedTuple):
    """The items of a file, in the order of its episodes.

    `meant` are the items that its external ids mean, if these disagree: then the ids count for nothing.
    """

    links: tuple[FileLink, ...]
    meant: tuple[ItemId, ...] = ()


class EpisodeFacts(NamedTuple):
    """What an NFO file says about one of several episodes in a file. Each member may be missing."""

    title: str | None = None
    external_ids: Mapping[str, str] = {}
    place: EpisodePlace | None = None


@dataclass(frozen=True, slots=True)
class FileReading:
    """What a file's name, NFO files (`from_nfo`: at least partly) and content say.

    `episode_ids` are the external ids of the episode; those of the movie or the show are in `name`. `further` has the
    facts of the other episodes of the file, by their numbers. `place` is that of a special. `item_id` is the item that
    a person has chosen.
    """

    name: ParsedName
    info: MediaInfo
    fingerprint: str
    label: str
    from_nfo: bool = False
    episode_ids: Mapping[str, str] = field(default_factory=dict[str, str])
    further: Mapping[int, EpisodeFacts] = field(default_factory=dict[int, EpisodeFacts])
    place: EpisodePlace | None = None
    item_id: ItemId | None = None


class ProbeTask(NamedTuple):
    """A file to probe. `known` is the stored file of the same path; `open` is False if only its NFO changed."""

    found: FoundFile
    known: KnownFile | None
    open: bool


@dataclass(frozen=True, slots=True)
class FolderDiff:
    """The difference between a folder and the store. `absent` holds all missing files, known missing or not."""

    kept: list[KnownFile]
    returned: list[KnownFile]
    tasks: list[ProbeTask]
    absent: list[KnownFile]


def compare(found: Iterable[FoundFile], known: Iterable[KnownFile], unread: Iterable[str] = ()) -> FolderDiff:
    """Compare by path, size and modification time. Paths in `unread`, and files below them, count as unchanged.

    A folder that cannot be listed, or a file that cannot be accessed, is no proof that files are gone. `unread` paths
    are relative to the library.
    """
    rest = {file.path: file for file in known}
    hidden = tuple(f"{folder}/" for folder in unread)
    result = FolderDiff([], [], [], [])
    for file in found:
        before = rest.pop(file.path, None)
        if before is None:
            result.tasks.append(ProbeTask(file, None, open=True))
        elif (file.size, file.mtime_ns) != (before.size, before.mtime_ns):
            result.tasks.append(ProbeTask(file, before, open=True))
        elif file.evidence != before.evidence:
            result.tasks.append(ProbeTask(file, before, open=before.fault is not None))
        else:
            (result.returned if before.removed else result.kept).append(before)
    for file in rest.values():
        as_it_was = not file.removed and f"{file.path}/".startswith(hidden)
        (result.kept if as_it_was else result.absent).append(file)
    return result


class MissingFiles:
    """The files that are missing, or whose path now has other content, to be recognised by content elsewhere."""

    def __init__(self, missing: Iterable[KnownFile]) -> None:
        self._by_fingerprint: dict[str, list[KnownFile]] = defaultdict(list)
        for file in missing:
            if file.fingerprint is not None:
                self._by_fingerprint[file.fingerprint].append(file)

    def claim(self, fingerprint: str, path: str) -> KnownFile | None:
        """Return a missing file with this content, each at most once; one with the same file name first."""
        candidates = self._by_fingerprint.get(fingerprint)
        if not candidates:
            return None
        name = path.rpartition("/")[2]
        best = min(candidates, key=lambda file: (file.path.rpartition("/")[2] != name, file.removed, file.path))
        candidates.remove(best)
        return best


class ContentElsewhere(NamedTuple):
    """A file of another library, which may have been removed, with its items in the order of their numbers."""

    fingerprint: str
    item_ids: tuple[ItemId, ...]
    is_present: bool


class FoundItems(NamedTuple):
    """What the store has about titles: items, their holdings in all libraries, and files of other libraries.

    `apart`: pairs of items that are two titles, as a person said.
    """

    items: Sequence[Item] = ()
    holdings: Sequence[Holding] = ()
    contents: Sequence[ContentElsewhere] = ()
    apart: frozenset[frozenset[ItemId]] = frozenset()


_NOTHING = FoundItems()


@dataclass(frozen=True, slots=True)
class ItemChanges:
    """Items and holdings to store. Shows come before their episodes."""

    new: list[Item]
    changed: list[Item]
    holdings: list[Holding] = field(default_factory=list[Holding])


class ItemMerge(NamedTuple):
    """Two items that turned out to be one: `source` is to be merged into `into`."""

    into: ItemId
    source: ItemId


class Departure(NamedTuple):
    """A file that is of another title than it was taken to be: of `into`, no longer of `source`.

    `files` are those that `source` had before the scan.
    """

    file_id: FileId
    source: ItemId
    into: ItemId
    files: tuple[FileFacts, ...]


_Key = tuple[object, ...]


class ScanIndex:
    """The items of one library during a scan, and those of others that its files may mean.

    Call `keep` for every unchanged file; `learn` what the store has about some of the others, and `place` each of
    these; then `finish`. `take_changes` returns the changes to store and may be called any number of times.
    """

    def __init__(
        self, library_id: LibraryId, own: FoundItems = _NOTHING, *, now: Instant, new_id: Callable[[], str]
    ) -> None:
        self._library_id = library_id
        self._now = now
        self._new_id = new_id
        self._items: dict[ItemId, Item] = {}
        self._holdings: dict[ItemId, dict[LibraryId, Holding]] = defaultdict(dict)
        self._index: dict[_Key, dict[ItemId, None]] = defaultdict(dict)
        self._keys_of: dict[ItemId, list[_Key]] = {}
        self._files: dict[ItemId, list[FileFacts]] = defaultdict(list)
        self._files_of_show: dict[ItemId, int] = defaultdict(int)
        self._present: dict[str, dict[ItemId, None]] = defaultdict(dict)
        self._elsewhere: dict[str, list[ContentElsewhere]] = defaultdict(list)
        self._stored: dict[ItemId, Item] = {}
        self._stored_holdings: dict[ItemId, Holding] = {}
        self._touched: dict[ItemId, None] = {}
        self._merges: dict[frozenset[ItemId], None] = {}
        self._identified: set[ItemId] = set()
        self._known: dict[ItemId, Item] = {}  # as the scan found them
        self._left: dict[ItemId, set[ItemId]] = defaultdict(set)  # shows by those that their episodes left
        self._departures: list[Departure] = []
        self._apart = own.apart
        self._decided: set[FileId] = set()  # known files of which the content is kept or placed
        self._meant: dict[ItemId, None] = {}
        self.removed: list[Item] = []
        self.restored: list[Item] = []
        self.learn(own)

    @property
    def merges(self) -> list[ItemMerge]:
        """The pairs of items that turned out to be one; of each, the older one stays."""
        pairs: list[ItemMerge] = []
        for ids in self._merges:
            if ids in self._apart:
                continue
            into, source = sorted((self._items[item_id] for item_id in ids), key=lambda each: (each.added_at, each.id))
            pairs.append(ItemMerge(into.id, source.id))
        return pairs

    @property
    def shows(self) -> frozenset[ItemId]:
        """The shows whose episodes are known."""
        return frozenset(item.id for item in self._items.values() if item.kind is ItemKind.SHOW)

    def title_of(self, item_id: ItemId, *, before: bool = False, whole: bool = False) -> str | None:
        """Return the title of an item, with that of its show; None if the item is not known here.

        `before`: the title that it had when the scan began; `whole`: that of its show alone.
        """
        known = self._as_known if before else self._items.get
        item = known(item_id)
        show = None if item is None or item.show_id is None else known(item.show_id)
        if item is None or show is None:
            return None if item is None else _with_year(item)
        return _with_year(show) if whole else f"{_with_year(show)}: {item.title}"

    def _as_known(self, item_id: ItemId) -> Item | None:
        return self._known.get(item_id) or self._items.get(item_id)

    def whole_of(self, file: KnownFile) -> ItemId | None:
        """Return the movie or show to which a file belongs; None if that is not known here."""
        item = next((self._items[link.item_id] for link in file.links if link.item_id in self._items), None)
        return None if item is None else item.show_id or item.id

    def is_named(self, whole_id: ItemId, name: ParsedName) -> bool:
        """Return whether a movie or show still has the title that a file's name tells."""
        return title_key(name.title) in {title for title, _ in self._names(self._items[whole_id])}

    def learn(self, found: FoundItems) -> None:
        """Add what the store has about titles that files may mean. What is known already stays."""
        fresh = [item for item in found.items if item.id not in self._items]
        ids = {item.id for item in fresh}
        for item in fresh:
            self._items[item.id] = self._stored[item.id] = self._known[item.id] = item
        for holding in found.holdings:
            if holding.item_id in ids:
                self._holdings[holding.item_id][holding.library_id] = holding
                if holding.library_id == self._library_id:
                    self._stored_holdings[holding.item_id] = holding
        for item in fresh:
            self._put(item)
        for content in found.contents:
            if content not in self._elsewhere[content.fingerprint]:
                self._elsewhere[content.fingerprint].append(content)

    def keep(self, file: KnownFile) -> bool:
        """Keep a file's item. Returns False if that is no longer in this library: then the file must be placed."""
        if file.fault is not None:
            return True
        links = [link for link in file.links if self._library_id in self._holdings.get(link.item_id, ())]
        if not links:
            return False
        links.sort(key=lambda link: _order(self._items[link.item_id]))
        if IDENTIFIED in file.evidence:
            self._identified.update(link.item_id for link in links)
        self._decided.add(file.id)
        self._settle(file.id, links, file.fingerprint, file.duration_ms, file.credits_ms)
        return True

    def place(
        self, file_id: FileId, reading: FileReading, before: KnownFile | None, *, same_content: bool
    ) -> Placement:
        """Find or create the items of a file.

        `before` is the stored file, under this or another path; `same_content`: only its name changed. A person may
        have said which item it is.
        """
        if reading.item_id is not None and reading.item_id in self._items:
            chosen = self._with_following(self._items[reading.item_id], reading.name)
            links = [FileLink(item.id, reading.name.part) for item in chosen]
            self._settle(file_id, links, reading.fingerprint, reading.info.duration_ms, reading.info.credits_ms)
            self._identified.update(item.id for item in chosen)
            return Placement(tuple(links))
        priors = [self._items[link.item_id] for link in before.links if link.item_id in self._items] if before else []
        priors.sort(key=_order)
        content = same_content and self._is_telling(reading)
        known = priors if content else []
        if not priors:
            priors = self._known_elsewhere(reading)
            content = same_content = bool(priors)
        evidence = _Evidence(reading, content, same_content)
        self._meant.clear()
        links = self._place_episodes(evidence, priors)
        if reading.name.kind is ItemKind.MOVIE:
            links = self._place_movie(evidence, priors)
        self._settle(file_id, links, reading.fingerprint, reading.info.duration_ms, reading.info.credits_ms)
        if before is not None:
            self._decided.add(before.id)
            self._note_departures(before.id, known, links)
        return Placement(tuple(links), tuple(self._meant))

    def _note_departures(self, file_id: FileId, priors: Sequence[Item], links: Sequence[FileLink]) -> None:
        """Note the items that a file has left for others, though its content is what it was."""
        now = {link.item_id for link in links}
        for prior, link in zip(priors, links, strict=False):
            if prior.id not in now and prior.kind is self._items[link.item_id].kind:
                files = self._known[prior.id].files if prior.id in self._known else ()
                self._departures.append(Departure(file_id, prior.id, link.item_id, files))

    def take_departures(self, *, at_end: bool = False) -> list[Departure]:
        """Return the departures of files since the last call, without those to an item that files may yet leave.

        Where numbers shift, what is known of an item goes on before that of another one arrives. `at_end`: all of them.
        """
        if at_end:
            taken, self._departures = self._departures, []
            return taken
        arrivals: dict[ItemId, list[Departure]] = defaultdict(list)
        for each in self._departures:
            arrivals[each.into].append(each)
        full = [item_id for item_id in arrivals if not self._is_decided(item_id)]
        while full:
            full += {each.source for each in arrivals.pop(full.pop(), ())}
        taken = [each for each in self._departures if each.into in arrivals]
        self._departures = [each for each in self._departures if each.into not in arrivals]
        return taken

    def _is_decided(self, item_id: ItemId) -> bool:
        """Whether all files that this library had of an item are kept or placed."""
        files = self._known[item_id].files if item_id in self._known else ()
        return all(file.file_id in self._decided for file in files if file.library_id == self._library_id)

    def finish(self) -> None:
        """Mark holdings without files as removed, and compute runtimes. Then `removed` and `restored` are final."""
        for item_id, item in list(self._items.items()):
            holding = self._holdings[item_id].get(self._library_id)
            if holding is None:
                continue
            if self._is_settled(item):
                if item.kind is not ItemKind.SHOW:
                    self._change(self._measured(item))
            elif holding.removed_at is None:
                self._hold(holding._replace(removed_at=self._now))
                self._change(self._measured(as_shown(self._items[item_id], self._holdings[item_id].values())))
                self.removed.append(item)
        self._find_doubles()

    def take_changes(self) -> ItemChanges:
        """Return the items and holdings that are new or changed since the last call."""
        touched = [self._items[item_id] for item_id in self._touched]
        touched.sort(key=lambda item: item.kind is ItemKind.EPISODE)
        new = [item for item in touched if item.id not in self._stored]
        changed = [item for item in touched if self._stored.get(item.id, item) != item]
        held = [
            holding
            for item in touched
            if (holding := self._holdings[item.id].get(self._library_id)) != self._stored_holdings.get(item.id)
            and holding is not None
        ]
        self._stored |= {item.id: item for item in touched}
        self._stored_holdings |= {holding.item_id: holding for holding in held}
        self._touched.clear()
        return ItemChanges(new, changed, held)

    # The item of a file

    def _with_following(self, chosen: Item, name: ParsedName) -> list[Item]:
        """Return the item that a person chose for a file and, if it has several episodes, those that follow it."""
        if chosen.show_id is None or chosen.episode_number is None:
            return [chosen]
        last = chosen.episode_number + len(_numbers(name)) - 1
        following = [
            each
            for each in self._look(("show", chosen.show_id))
            if each.season_number == chosen.season_number
            and each.episode_number is not None
            and chosen.episode_number < each.episode_number <= last
        ]
        return [chosen, *sorted(following, key=_order)]

    def _place_movie(self, evidence: "_Evidence", priors: Sequence[Item]) -> list[FileLink]:
        name = evidence.reading.name
        draft = self._draft(ItemKind.MOVIE, name.title, identity(name.title, name.year), name.external_ids)
        item = self._take(replace(draft, year=name.year), priors, evidence)
        return [FileLink(item.id, name.part)]

    def _place_episodes(self, evidence: "_Evidence", priors: Sequence[Item]) -> list[FileLink]:
        reading, name = evidence.reading, evidence.reading.name
        if name.kind is ItemKind.MOVIE:
            return []
        draft = self._draft(ItemKind.SHOW, name.title, identity(name.title, name.year), name.external_ids)
        shows = {item.show_id: self._items[item.show_id] for item in priors if item.show_id is not None}
        show = self._take(replace(draft, year=name.year), list(shows.values()), evidence)
        links: list[FileLink] = []
        for number in _numbers(name):
            facts = reading.further.get(number or 0, EpisodeFacts())
            if not links:
                facts = EpisodeFacts(name.episode_title, reading.episode_ids, reading.place)
            draft = self._draft(
                ItemKind.EPISODE,
                facts.title or "",
                identity(
                    show.title,
                    show.year,
                    season_number=name.season_number,
                    episode_number=number,
                    air_date=name.air_date,
                ),
                facts.external_ids,
            )
            draft = replace(
                draft,
                show_id=show.id,
                season_number=name.season_number if number is None or name.season_number is not None else 1,
                episode_number=number,
                air_date=name.air_date,
                place=facts.place if name.season_number == 0 else None,
            )
            # The n-th episode of a file may be the n-th item that it had before, under other numbers.
            prior = priors[len(links) : len(links) + 1]
            links.append(FileLink(self._take(draft, prior, evidence).id, name.part))
        return links

    def _draft(self, kind: ItemKind, title: str, key: str, external_ids: Mapping[str, str]) -> Item:
        return Item(ItemId(""), kind, title, key, added_at=self._now, external_ids=dict(external_ids))

    def _take(self, draft: Item, priors: Sequence[Item], evidence: "_Evidence") -> Item:
        """Return the item that `draft` describes, created or updated, and held by this library."""
        by_ids = self._by_ids(draft)
        if mean_several(by_ids):
            self._meant |= dict.fromkeys(sorted({item_id for found in by_ids for item_id in found}))
            draft = replace(draft, external_ids={})
        found = self._find(draft, priors, evidence)
        if found is None:
            item = replace(draft, id=ItemId(self._new_id()), title=draft.title or _default_title(draft))
            self._hold(Holding(item.id, self._library_id, self._now, title=item.title, year=item.year))
            self._change(item)
            return item
        item = found
        if self._is_settled(found) and not evidence.reading.from_nfo:
            # Another file has named it already; the result must not depend on the order of two files of one item.
            item = replace(found, external_ids={**draft.external_ids, **found.external_ids})
        else:
            item = self._described(found, draft)
        self._change(self._completed(item))
        item = self._items[item.id]
        if item.kind is ItemKind.SHOW and item.identity != found.identity:
            self._rename_episodes(item)
        return item

    def _described(self, found: Item, draft: Item) -> Item:
        """Return an item as a file describes it; numbers that another library gave it first stay."""
        same = self._name_key(found) == self._name_key(draft)
        before = self._holdings[found.id].get(self._library_id)
        told = found.title if before is None or not before.title else before.title
        title = draft.title or (told if same else _default_title(draft))
        if before is None or (title, draft.year) not in before.also:
            before = (before or Holding(found.id, self._library_id, self._now))._replace(title=title, year=draft.year)
        self._hold(before)
        kept: Mapping[str, str] = {} if _contradicts(found, draft) else found.external_ids
        item = replace(found, external_ids={**kept, **draft.external_ids})
        if item.kind is ItemKind.EPISODE and not self._is_elsewhere(found):
            if found.show_id is not None and found.show_id != draft.show_id:
                self._left[found.show_id].add(ItemId(draft.show_id or ""))
            item = replace(
                item,
                show_id=draft.show_id,
                season_number=draft.season_number,
                episode_number=draft.episode_number,
                identity=draft.identity,
                air_date=draft.air_date or (found.air_date if same else None),
                place=draft.place,
            )
        return item

    def _completed(self, item: Item) -> Item:
        """Return an item with what its holdings show. An unheld one is described by whoever finds it first."""
        return as_shown(item, self._holdings[item.id].values())

    def _find(self, draft: Item, priors: Sequence[Item], evidence: "_Evidence") -> Item | None:
        for find in (self._find_by_content, self._find_by_id, self._find_by_name, self._find_prior):
            found = find(draft, priors, evidence)
            if found is not None:
                return found
        return self._find_by_title(draft, evidence)

    def _find_by_content(self, draft: Item, priors: Sequence[Item], evidence: "_Evidence") -> Item | None:
        if not evidence.is_telling or draft.kind is ItemKind.SHOW:
            return None
        for item in priors:
            fits = self._may_be_renumbered(item, draft) and not _contradicts(item, draft)
            if item.kind is draft.kind and fits and not self._is_settled(item):
                return item
        return None

    def _find_by_id(self, draft: Item, _priors: Sequence[Item], _evidence: "_Evidence") -> Item | None:
        by_ids = self._by_ids(draft)
        found = [self._items[item_id] for item_id in by_ids[0].intersection(*by_ids)] if by_ids else []
        return min(found, key=lambda item: self._preference(item, draft), default=None)

    def _by_ids(self, draft: Item) -> list[set[ItemId]]:
        """Return the items with each external id of a draft; ids that no item has are left out."""
        found = [{item.id for item in self._look(key) if self._may_be_by_id(item, draft)} for key in _id_keys(draft)]
        return [each for each in found if each]

    def _find_by_name(self, draft: Item, _priors: Sequence[Item], _evidence: "_Evidence") -> Item | None:
        here = [
            item
            for item in self._look(_key(draft))
            if not _contradicts(item, draft)
            and (draft.kind is ItemKind.EPISODE or self._library_id in self._holdings[item.id])
        ]
        return min(here, key=lambda item: self._preference(item, draft), default=None)

    def _find_prior(self, draft: Item, priors: Sequence[Item], evidence: "_Evidence") -> Item | None:
        for item in priors:
            fits = evidence.same_content or not (_contradicts(item, draft) or self._is_elsewhere(item))
            fits = fits and self._may_be_renumbered(item, draft)
            if item.kind is draft.kind and fits and not self._is_settled(item):
                return item
        return None

    def _may_be_renumbered(self, item: Item, draft: Item) -> bool:
        """Whether an item may have the numbers of a draft: an episode keeps those under which another library has it.

        Then what users have of it goes with the file, to the item of its new numbers.
        """
        return item.kind is not ItemKind.EPISODE or not self._is_elsewhere(item) or _key(item) == _key(draft)

    def _may_be_by_id(self, item: Item, draft: Item) -> bool:
        # Some programs write the show's id into every episode's NFO; that must not merge all episodes.
        return item.kind is not ItemKind.EPISODE or _key(item) == _key(draft) or not self._is_settled(item)

    def _find_by_title(self, draft: Item, evidence: "_Evidence") -> Item | None:
        if draft.kind is ItemKind.EPISODE:
            return None
        duration_ms = evidence.reading.info.duration_ms
        clue = Clue(
            draft.kind,
            external_ids=draft.external_ids,
            titles=(draft.title,),
            year=draft.year,
            runtime_ms=duration_ms,
            library_id=self._library_id,
        )
        near: list[Candidate] = []
        for item in self._look(("title", draft.kind, title_key(draft.title))):
            if not self._is_settled(item) and item.owner_id is None:
                candidate = candidate_of(item, None, list(self._holdings[item.id].values()))
                if item.kind is ItemKind.SHOW and self._library_id not in candidate.libraries:
                    candidate = replace(candidate, runtimes_ms=self._lengths(item, draft, evidence.reading))
                near.append(candidate)
        found = match(clue, near).item_id
        return None if found is None else self._items[found]

    def _lengths(self, show: Item, draft: Item, reading: FileReading) -> tuple[Milliseconds, ...]:
        """Return the lengths of a show's episode with the number of a file.

        If there is none to compare, a show of the same title and year is the same: each library may have some seasons.
        """
        name = reading.name
        number = _numbers(name)[0]
        season = name.season_number if number is None or name.season_number is not None else 1
        numbers = identity("", season_number=season, episode_number=number, air_date=name.air_date)
        episodes = self._look(("key", ItemKind.EPISODE, show.id, numbers.rpartition("|")[2]))
        if episodes:
            return candidate_of(episodes[0]).runtimes_ms
        return (reading.info.duration_ms,) if draft.year is not None and show.year == draft.year else ()

    def _rename_episodes(self, show: Item) -> None:
        for episode in self._look(("show", show.id)):
            self._change(as_episode_of(episode, show))

    # Content

    def _is_telling(self, reading: FileReading) -> bool:
        """Whether the content of a file says what it is: no other file with this content stands under another title."""
        present = list(self._present.get(reading.fingerprint, ()))
        for content in self._elsewhere.get(reading.fingerprint, ()):
            present += content.item_ids[:1] if content.is_present else ()
        return all(self._is_named_so(self._items[item_id], reading) for item_id in present if item_id in self._items)

    def _is_named_so(self, item: Item, reading: FileReading) -> bool:
        name = reading.name
        if item.show_id is None:
            return title_key(name.title) in {title for title, _ in self._names(item)}
        numbers = (name.season_number or 1, name.episode_number, name.air_date)
        same = numbers == (item.season_number or 1, item.episode_number, item.air_date)
        return same and title_key(name.title) in {title for title, _ in self._names(self._items[item.show_id])}

    def _known_elsewhere(self, reading: FileReading) -> list[Item]:
        """Return the items of the file with this content in other libraries, if all of them mean the same items."""
        if not self._is_telling(reading):
            return []
        meant = {content.item_ids for content in self._elsewhere.get(reading.fingerprint, ())}
        items = [self._items[item_id] for ids in meant for item_id in ids if item_id in self._items]
        return items if len(meant) == 1 else []

    def _find_doubles(self) -> None:
        """Note the items with files here that turned out to be one: by an external id, or by the same name."""
        for key, ids in self._index.items():
            if len(ids) > 1 and key[0] in {"id", "key"}:
                first, *others = sorted((self._items[item_id] for item_id in ids), key=self._seniority)
                for other in others:
                    if self._is_double(key, first, other):
                        self._merges[frozenset((first.id, other.id))] = None
        for left, shows in self._left.items():
            if len(shows) == 1 and self._is_abandoned(self._items[left], self._items[next(iter(shows))]):
                self._merges[frozenset((left, *shows))] = None

    def _is_abandoned(self, show: Item, other: Item) -> bool:
        """Whether all episodes of a show have become those of another one: then it was a part of that."""
        has_any = self._look(("show", show.id)) or self._is_elsewhere(show)
        return not (has_any or show.id in self._identified or _contradicts(show, other))

    def _is_double(self, key: _Key, one: Item, other: Item) -> bool:
        ids = {one.id, other.id}
        if not ids.isdisjoint(self._identified) or self._is_unclear(one) or self._is_unclear(other):
            return False
        if _contradicts(one, other) or not (self._is_settled(one) or self._is_settled(other)):
            return False
        if key[0] == "id":
            return one.kind is not ItemKind.EPISODE
        return self._is_settled(one) and self._is_settled(other)

    def _is_unclear(self, item: Item) -> bool:
        """Whether an item has external ids of several others: then it may be none of them."""
        return mean_several(self._index[key].keys() - {item.id} for key in _id_keys(item))

    def _seniority(self, item: Item) -> tuple[bool, int, str]:
        return not self._is_settled(item), item.added_at, item.id

    # The files of an item

    def _is_settled(self, item: Item) -> bool:
        return self._files_of_show[item.id] > 0 if item.kind is ItemKind.SHOW else bool(self._files[item.id])

    def _is_elsewhere(self, item: Item) -> bool:
        """Whether another library has the item now."""
        return any(
            each.removed_at is None for each in self._holdings[item.id].values() if each.library_id != self._library_id
        )

    def _settle(
        self,
        file_id: FileId,
        links: Sequence[FileLink],
        fingerprint: str | None,
        duration_ms: Milliseconds | None,
        credits_ms: Milliseconds | None,
    ) -> None:
        last = self._items[links[-1].item_id].episode_number
        if fingerprint is not None:
            self._present[fingerprint][links[0].item_id] = None
        for link in links:
            self._files[link.item_id].append(
                FileFacts(file_id, self._library_id, duration_ms, credits_ms, link.part, links[0].item_id, last)
            )
            item = self._items[link.item_id]
            if item.show_id is not None:
                self._files_of_show[item.show_id] += 1
                self._restore(self._items[item.show_id])
            self._restore(item)
            self._change(self._measured(self._items[item.id]))

    def _restore(self, item: Item) -> None:
        """Make this library hold an item again."""
        holding = self._holdings[item.id].get(self._library_id)
        if holding is None:
            self._hold(Holding(item.id, self._library_id, self._now, title=item.title, year=item.year))
        elif holding.removed_at is not None:
            self.restored.append(item)
            self._hold(holding._replace(removed_at=None))
        self._change(self._completed(item))

    def _hold(self, holding: Holding) -> None:
        before = self._holdings[holding.item_id].get(self._library_id)
        if holding != before:
            self._holdings[holding.item_id][self._library_id] = holding
            self._touched[holding.item_id] = None
            if holding.item_id in self._items:
                self._put(self._items[holding.item_id])

    def _measured(self, item: Item) -> Item:
        living = {each.library_id for each in self._holdings[item.id].values() if each.removed_at is None}
        others = [each for each in item.files if each.library_id != self._library_id and each.library_id in living]
        files = tuple(sorted((*others, *self._files[item.id]), key=lambda file: file.file_id))
        return self._completed(with_files(item, files))

    # Index

    def _preference(self, item: Item, draft: Item) -> tuple[bool, bool, bool, int, str]:
        holding = self._holdings[item.id].get(self._library_id)
        return (
            self._name_key(item) != self._name_key(draft),
            holding is None,
            holding is not None and holding.removed_at is not None,
            item.added_at,
            item.id,
        )

    def _names(self, item: Item) -> set[tuple[str, int | None]]:
        return {(str(key[2]), None) for key in self._keys_of[item.id] if key[0] == "title"}

    def _name_key(self, item: Item) -> _Key:
        """Return the key of an item by the name that this library gives it."""
        holding = self._holdings[item.id].get(self._library_id) if item.id else None
        if holding is None or item.kind is ItemKind.EPISODE or (holding.title, holding.year) == (item.title, item.year):
            return _key(item)
        return "key", item.kind, None, identity(holding.title, holding.year)

    def _look(self, key: _Key) -> list[Item]:
        return [self._items[item_id] for item_id in self._index.get(key, ())]

    def _change(self, item: Item) -> None:
        if item != self._items.get(item.id):
            self._put(item)
            self._touched[item.id] = None

    def _put(self, item: Item) -> None:
        for key in self._keys_of.get(item.id, ()):
            self._index[key].pop(item.id, None)
        self._items[item.id] = item
        keys = self._keys_of[item.id] = self._keys(item)
        for key in keys:
            self._index[key][item.id] = None

    def _keys(self, item: Item) -> list[_Key]:
        keys = [_key(item), *_id_keys(item)]
        if item.show_id is not None:
            return [*keys, ("show", item.show_id)]
        holding = self._holdings[item.id].get(self._library_id)
        also = () if holding is None else holding.also
        told = [self._name_key(item), *(("key", item.kind, None, identity(*name)) for name in also)]
        titles = dict.fromkeys(("title", item.kind, str(key[3]).partition("|")[0]) for key in (keys[0], *told))
        return [*dict.fromkeys((*keys, *told)), *titles]


class _Evidence(NamedTuple):
    """What is known of a file: its reading, and whether its content is that of a known file and says what it is."""

    reading: FileReading
    is_telling: bool
    same_content: bool


def with_files(item: Item, files: Iterable[FileFacts]) -> Item:
    """Return an item with these files, and the runtime, credits and last episode that follow from its own.

    Without files the lengths that were known last stay.
    """
    present = tuple(sorted(files, key=lambda file: file.file_id))
    own = [file for file in present if file.first == item.id]
    if not own:
        return replace(item, files=present)
    runtime_ms, credits_ms = measure(own)
    ends = [file.end for file in own if file.end is not None]
    last = min(ends, default=None)
    is_longer = last is not None and item.episode_number is not None and last > item.episode_number
    return replace(
        item,
        files=present,
        runtime_ms=item.runtime_ms if "runtime_ms" in item.pinned else runtime_ms,
        credits_ms=item.credits_ms if "credits_ms" in item.pinned else credits_ms,
        episode_end=last if is_longer else None,
    )


def _numbers(name: ParsedName) -> list[int | None]:
    first, last = name.episode_number, name.episode_end
    if first is None or last is None or not first < last < first + _EPISODES_IN_A_FILE_MAX:
        return [first]
    return list(range(first, last + 1))


def _default_title(draft: Item) -> str:
    if draft.episode_number is not None:
        return f"Episode {draft.episode_number}"
    return draft.air_date.isoformat() if draft.air_date is not None else "Untitled"


def _with_year(item: Item) -> str:
    return item.title if item.year is None else f"{item.title} ({item.year})"


def _order(item: Item) -> tuple[int, int, str]:
    return item.season_number or 0, item.episode_number or 0, item.id


def _contradicts(one: Item, other: Item) -> bool:
    return contradict(one.external_ids, other.external_ids)


def _key(item: Item) -> _Key:
    # Within a show an episode is identified by its numbers, so that a renamed show keeps its episodes.
    name = item.identity.rpartition("|")[2] if item.kind is ItemKind.EPISODE else item.identity
    return "key", item.kind, item.show_id, name


def _id_keys(item: Item) -> list[_Key]:
    return [("id", item.kind, source, value) for source, value in item.external_ids.items()]
