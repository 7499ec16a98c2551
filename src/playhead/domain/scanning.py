"""The decisions of a scan: which files are new, changed, moved or gone, and which item each belongs to. No disk access.

Tidying up a folder must not lose progress, so a file is matched with a known item wherever possible: one with the same
external id; else the same title, year and numbers; else the item of the same file under another name; else one without
files that differs only by an added or missing year.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from playhead.domain.catalogue import EpisodePlace, Item, MediaInfo, ParsedName, identity
from playhead.domain.model import FileId, Instant, ItemId, ItemKind, LibraryId, Milliseconds

# Part of every file's evidence. Raise it when the parsing of names or NFO files changes: the next scan then reads them
# again, without opening any video.
RULES_VERSION = 5

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


class EpisodeFacts(NamedTuple):
    """What an NFO file says about one of several episodes in a file. Each member may be missing."""

    title: str | None = None
    external_ids: Mapping[str, str] = {}
    place: EpisodePlace | None = None


@dataclass(frozen=True, slots=True)
class FileReading:
    """What a file's name, NFO files (`from_nfo`: at least partly) and content say.

    `episode_ids` are the external ids of the episode; those of the movie or the show are in `name`. `further` has the
    facts of the other episodes of the file, by their numbers. `place` is that of a special.
    """

    name: ParsedName
    info: MediaInfo
    fingerprint: str
    label: str
    from_nfo: bool = False
    episode_ids: Mapping[str, str] = field(default_factory=dict[str, str])
    further: Mapping[int, EpisodeFacts] = field(default_factory=dict[int, EpisodeFacts])
    place: EpisodePlace | None = None


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
    """The missing files, to be recognised by content under another name."""

    def __init__(self, absent: Iterable[KnownFile]) -> None:
        self._by_fingerprint: dict[str, list[KnownFile]] = defaultdict(list)
        for file in absent:
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


class _Placed(NamedTuple):
    """A file of an item. `first` is the item that its players report, `last_number` its last episode's number."""

    first: ItemId
    last_number: int | None
    part: int | None
    duration_ms: Milliseconds | None
    credits_ms: Milliseconds | None


@dataclass(frozen=True, slots=True)
class ItemChanges:
    """Items to store. Shows come before their episodes."""

    new: list[Item]
    changed: list[Item]


_Key = tuple[str, ...]


class ScanIndex:
    """The items of one library during a scan.

    Call `keep` for every unchanged file, then `place` for each of the others, then `finish`. `items` may include
    removed items of other libraries: a match by external id moves one here. `take_changes` returns the changes to store
    and may be called any number of times.
    """

    def __init__(
        self, library_id: LibraryId, items: Iterable[Item], *, now: Instant, new_id: Callable[[], str]
    ) -> None:
        self._library_id = library_id
        self._now = now
        self._new_id = new_id
        self._items: dict[ItemId, Item] = {}
        self._index: dict[_Key, dict[ItemId, None]] = defaultdict(dict)
        self._files: dict[ItemId, list[_Placed]] = defaultdict(list)
        self._files_of_show: dict[ItemId, int] = defaultdict(int)
        self._stored: dict[ItemId, Item] = {}
        self._touched: dict[ItemId, None] = {}
        self.removed: list[Item] = []
        self.restored: list[Item] = []
        for item in items:
            self._put(item)
            self._stored[item.id] = item

    def keep(self, file: KnownFile) -> bool:
        """Keep a file's item. Returns False if that is no longer in this library: then the file must be placed."""
        if file.fault is not None:
            return True
        links = [link for link in file.links if self._is_own(link.item_id)]
        if not links:
            return False
        links.sort(key=lambda link: _order(self._items[link.item_id]))
        self._settle(links, file.duration_ms, file.credits_ms)
        return True

    def place(self, reading: FileReading, before: KnownFile | None, *, same_content: bool) -> tuple[FileLink, ...]:
        """Find or create the items of a file and return their links, in order of the episodes.

        `before` is the stored file, under this or another path; `same_content`: only its name changed.
        """
        priors = [self._items[link.item_id] for link in before.links if link.item_id in self._items] if before else []
        links = self._place_movie(reading, priors, same_content=same_content)
        if reading.name.kind is not ItemKind.MOVIE:
            links = self._place_episodes(reading, priors, same_content=same_content)
        self._settle(links, reading.info.duration_ms, reading.info.credits_ms)
        return tuple(links)

    def finish(self) -> None:
        """Mark items without files as removed, and compute runtimes. Afterwards `removed` and `restored` are final."""
        for item in [item for item in self._items.values() if item.library_id == self._library_id]:
            available = self._is_settled(item)
            if available and item.kind is not ItemKind.SHOW:
                self._change(self._measured(item))
            elif not available and item.removed_at is None:
                self._change(replace(item, removed_at=self._now))
                self.removed.append(item)

    def take_changes(self) -> ItemChanges:
        """Return the items that are new or changed since the last call."""
        touched = [self._items[item_id] for item_id in self._touched]
        touched.sort(key=lambda item: item.kind is ItemKind.EPISODE)
        new = [item for item in touched if item.id not in self._stored]
        changed = [item for item in touched if self._stored.get(item.id, item) != item]
        self._stored |= {item.id: item for item in touched}
        self._touched.clear()
        return ItemChanges(new, changed)

    # The item of a file

    def _place_movie(self, reading: FileReading, priors: Sequence[Item], *, same_content: bool) -> list[FileLink]:
        name = reading.name
        if name.kind is not ItemKind.MOVIE:
            return []
        draft = self._draft(ItemKind.MOVIE, name.title, identity(name.title, name.year), name.external_ids)
        draft = replace(draft, year=name.year)
        item = self._take(draft, priors, same_content=same_content, certain=reading.from_nfo)
        return [FileLink(item.id, name.part)]

    def _place_episodes(self, reading: FileReading, priors: Sequence[Item], *, same_content: bool) -> list[FileLink]:
        name = reading.name
        draft = self._draft(ItemKind.SHOW, name.title, identity(name.title, name.year), name.external_ids)
        shows = {item.show_id: self._items[item.show_id] for item in priors if item.show_id is not None}
        show = self._take(
            replace(draft, year=name.year),
            list(shows.values()),
            same_content=same_content,
            certain=reading.from_nfo,
        )
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
            item = self._take(draft, prior, same_content=same_content, certain=reading.from_nfo)
            links.append(FileLink(item.id, name.part))
        return links

    def _draft(self, kind: ItemKind, title: str, key: str, external_ids: Mapping[str, str]) -> Item:
        return Item(ItemId(""), self._library_id, kind, title, key, added_at=self._now, external_ids=dict(external_ids))

    def _take(self, draft: Item, priors: Sequence[Item], *, same_content: bool, certain: bool) -> Item:
        """Return the item that `draft` describes, created or updated."""
        found = self._find(draft, priors, same_content=same_content)
        if found is None:
            item = replace(draft, id=ItemId(self._new_id()), title=draft.title or _default_title(draft))
            self._change(item)
            return item
        if self._is_settled(found) and not certain:
            # Another file has named it already; the result must not depend on the order of two files of one item.
            item = replace(found, external_ids={**draft.external_ids, **found.external_ids})
        else:
            title = draft.title or (found.title if _key(found) == _key(draft) else _default_title(draft))
            kept: Mapping[str, str] = {} if _contradicts(found, draft) else found.external_ids
            item = replace(
                draft,
                id=found.id,
                title=title,
                external_ids={**kept, **draft.external_ids},
                added_at=found.added_at,
                removed_at=found.removed_at,
                episode_end=found.episode_end,
                runtime_ms=found.runtime_ms,
                credits_ms=found.credits_ms,
                air_date=draft.air_date or (found.air_date if _key(found) == _key(draft) else None),
            )
        self._change(item)
        if item.kind is ItemKind.SHOW and item.identity != found.identity:
            self._rename_episodes(item)
        return item

    def _find(self, draft: Item, priors: Sequence[Item], *, same_content: bool) -> Item | None:
        by_id = [item for key in _id_keys(draft) for item in self._look(key) if self._may_be_by_id(item, draft)]
        if by_id:
            return min(by_id, key=lambda item: (_agreement(item, draft), *_preference(item, draft)))
        here = [item for item in self._look(_key(draft)) if not _contradicts(item, draft)]
        if here:
            return min(here, key=lambda item: _preference(item, draft))
        for item in priors:
            if (
                item.kind is draft.kind
                and not self._is_settled(item)
                and (same_content or not _contradicts(item, draft))
            ):
                return item
        return self._find_by_title(draft)

    def _may_be_by_id(self, item: Item, draft: Item) -> bool:
        # Some programs write the show's id into every episode's NFO; that must not merge all episodes.
        return item.kind is not ItemKind.EPISODE or _key(item) == _key(draft) or not self._is_settled(item)

    def _find_by_title(self, draft: Item) -> Item | None:
        if draft.kind is ItemKind.EPISODE:
            return None
        same_title = [
            item
            for item in self._look(_title_key(draft))
            if (item.year is None or draft.year is None)
            and item.library_id == draft.library_id
            and not self._is_settled(item)
            and not _contradicts(item, draft)
        ]
        return same_title[0] if len(same_title) == 1 else None

    def _rename_episodes(self, show: Item) -> None:
        for episode in self._look(("show", show.id)):
            key = identity(
                show.title,
                show.year,
                season_number=episode.season_number,
                episode_number=episode.episode_number,
                air_date=episode.air_date,
            )
            self._change(replace(episode, identity=key))

    # The files of an item

    def _is_own(self, item_id: ItemId) -> bool:
        item = self._items.get(item_id)
        return item is not None and item.library_id == self._library_id

    def _is_settled(self, item: Item) -> bool:
        return self._files_of_show[item.id] > 0 if item.kind is ItemKind.SHOW else bool(self._files[item.id])

    def _settle(
        self, links: Sequence[FileLink], duration_ms: Milliseconds | None, credits_ms: Milliseconds | None
    ) -> None:
        last = self._items[links[-1].item_id].episode_number
        for link in links:
            self._files[link.item_id].append(_Placed(links[0].item_id, last, link.part, duration_ms, credits_ms))
            item = self._measured(self._items[link.item_id])
            self._restore(item)
            if item.show_id is not None:
                self._files_of_show[item.show_id] += 1
                self._restore(self._items[item.show_id])

    def _restore(self, item: Item) -> None:
        if item.removed_at is not None:
            self.restored.append(item)
        self._change(replace(item, removed_at=None))

    def _measured(self, item: Item) -> Item:
        files = [file for file in self._files[item.id] if file.first == item.id]
        runtime_ms, credits_ms = measure((file.part, file.duration_ms, file.credits_ms) for file in files)
        ends = [file.last_number for file in files if file.last_number is not None]
        end = min(ends) if ends and item.episode_number is not None and min(ends) > item.episode_number else None
        return replace(item, runtime_ms=runtime_ms, credits_ms=credits_ms, episode_end=end)

    # Index

    def _look(self, key: _Key) -> list[Item]:
        return [self._items[item_id] for item_id in self._index.get(key, ())]

    def _change(self, item: Item) -> None:
        before = self._items.get(item.id)
        if item != before:
            if before is not None:
                for key in _keys(before):
                    self._index[key].pop(item.id, None)
            self._put(item)
            self._touched[item.id] = None

    def _put(self, item: Item) -> None:
        self._items[item.id] = item
        for key in _keys(item):
            self._index[key][item.id] = None


def measure(
    files: Iterable[tuple[int | None, Milliseconds | None, Milliseconds | None]],
) -> tuple[Milliseconds | None, Milliseconds | None]:
    """Return the runtime and the start of credits of an item with these files: (part, duration, start of credits).

    The runtime is that of the shortest version (rule 6 of the semantics). For an item in parts it is the sum of each
    part's shortest file. The credits are the earliest of any version.
    """
    whole: list[tuple[int, int | None]] = []
    parts: dict[int, tuple[int, int | None]] = {}
    for part, duration_ms, credits_ms in files:
        if duration_ms is None:
            continue
        if part is None:
            whole.append((duration_ms, credits_ms))
        elif part not in parts or duration_ms < parts[part][0]:
            parts[part] = (duration_ms, credits_ms)
    if parts:
        length = sum(duration_ms for duration_ms, _ in parts.values())
        last_ms, credits_ms = parts[max(parts)]
        whole.append((length, None if credits_ms is None else length - last_ms + credits_ms))
    if not whole:
        return None, None
    runtime_ms = Milliseconds(min(length for length, _ in whole))
    starts = [Milliseconds(credits_ms) for _, credits_ms in whole if credits_ms is not None]
    return runtime_ms, min(starts, default=None)


def _numbers(name: ParsedName) -> list[int | None]:
    first, last = name.episode_number, name.episode_end
    if first is None or last is None or not first < last < first + _EPISODES_IN_A_FILE_MAX:
        return [first]
    return list(range(first, last + 1))


def _default_title(draft: Item) -> str:
    if draft.episode_number is not None:
        return f"Episode {draft.episode_number}"
    return draft.air_date.isoformat() if draft.air_date is not None else "Untitled"


def _order(item: Item) -> tuple[int, int, str]:
    return item.season_number or 0, item.episode_number or 0, item.id


def _contradicts(one: Item, other: Item) -> bool:
    """Whether external ids distinguish two items: a common source differs, and none agrees."""
    shared = one.external_ids.keys() & other.external_ids.keys()
    return bool(shared) and all(one.external_ids[source] != other.external_ids[source] for source in shared)


def _agreement(item: Item, draft: Item) -> int:
    """Sort key: of several items found by external ids, the one with most matches comes first."""
    return -sum(item.external_ids.get(source) == value for source, value in draft.external_ids.items())


def _preference(item: Item, draft: Item) -> tuple[bool, bool, bool, int, str]:
    return (
        _key(item) != _key(draft),
        item.library_id != draft.library_id,
        item.removed_at is not None,
        item.added_at,
        item.id,
    )


def _key(item: Item) -> _Key:
    # Within a show an episode is identified by its numbers, so that a renamed show keeps its episodes.
    name = item.identity.rpartition("|")[2] if item.kind is ItemKind.EPISODE else item.identity
    return "key", item.kind, item.show_id or item.library_id, name


def _title_key(item: Item) -> _Key:
    return "title", item.kind, item.identity.partition("|")[0]


def _id_keys(item: Item) -> list[_Key]:
    return [("id", item.kind, source, value) for source, value in item.external_ids.items()]


def _keys(item: Item) -> list[_Key]:
    keys = [_key(item), *_id_keys(item)]
    keys.append(("show", item.show_id) if item.show_id is not None else _title_key(item))
    return keys
