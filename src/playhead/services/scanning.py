"""Scans of libraries: list the folder, compare it with the catalogue, probe new files, store the decisions.

A scan writes in small transactions, so that saves do not wait for it; interrupted at any point, it leaves a consistent
catalogue, and the next scan continues from there.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeVar

import msgspec

from playhead.domain.catalogue import Library, MediaInfo, ParsedName, version_label
from playhead.domain.identifying import Identification, Identifications, identified
from playhead.domain.matching import Clue
from playhead.domain.model import FileId, Instant, ItemId, ItemKind, LibraryId, LibraryKind
from playhead.domain.scanning import (
    IDENTIFIED,
    Departure,
    FileLink,
    FileReading,
    FolderDiff,
    FoundFile,
    ItemChanges,
    ItemMerge,
    KnownFile,
    MissingFiles,
    ProbeTask,
    ScanIndex,
    compare,
)
from playhead.domain.texts import shown
from playhead.errors import Code, PlayheadError, conflict, not_found
from playhead.media.contents import Unreadable
from playhead.media.folders import Beside, Skipped, Walk, contained_video, fingerprint, walk
from playhead.media.names.extras import is_video
from playhead.media.reading import Description, NfoFiles, describe, read_name
from playhead.services.splitting import Splitting
from playhead.storage import catalogue, matching, scanning
from playhead.storage.engine.database import Connection, Database
from playhead.storage.playback import Key
from playhead.storage.scanning import FileChange

log = logging.getLogger(__name__)

T = TypeVar("T")

# Files stored per transaction: a few milliseconds, which a save may have to wait.
FILES_AT_ONCE = 50

# Opening a file is mostly waiting for a disk or a network file system.
OPEN_AT_ONCE = 4

# How long a scan's lease lasts without renewal: a killed process blocks a library no longer than this.
LEASE_MS = 15_000
_RENEWAL_S = 4.0

# The most entries of each kind in a stored report; the counts include all.
ENTRIES_KEPT = 200


class ScanProgress(NamedTuple):
    """The progress of a scan: `done` of `total` files to probe; `path` is the last one probed."""

    done: int
    total: int
    path: str = ""


class RunningScan(NamedTuple):
    """A scan that is running in this process; `total` is None while the folder is being listed."""

    done: int
    total: int | None
    path: str


class FileMove(NamedTuple):
    """A file that was recognised under another path."""

    before: str
    after: str


class Reassigned(NamedTuple):
    """A known file that is of another title now."""

    path: str
    before: str
    after: str


class MergedTitle(NamedTuple):
    """A title that turned out to be another one."""

    title: str
    into: str


class Unclear(NamedTuple):
    """A file whose external ids mean several titles, so that they count for nothing."""

    path: str
    titles: tuple[str, ...]


@dataclass(slots=True)
class ScanReport:
    """What a scan changed in one library: paths of files, and titles of restored and removed items.

    `skipped` lists everything that is not in the catalogue, including files that earlier scans found faulty.
    `reassigned` lists the known files that are of another title now, `merges` the items that turned out to be one,
    `merged` their titles, and `unclear` the files that were read and whose external ids disagree. `items_added` counts
    the new items: two versions of a film are one.
    """

    added: list[str] = field(default_factory=list[str])
    changed: list[str] = field(default_factory=list[str])
    moved: list[FileMove] = field(default_factory=list[FileMove])
    removed: list[str] = field(default_factory=list[str])
    restored: list[str] = field(default_factory=list[str])
    skipped: list[Skipped] = field(default_factory=list[Skipped])
    items_added: Counter[ItemKind] = field(default_factory=Counter[ItemKind])
    items_removed: list[str] = field(default_factory=list[str])
    items_restored: list[str] = field(default_factory=list[str])
    reassigned: list[Reassigned] = field(default_factory=list[Reassigned])
    merges: list[ItemMerge] = field(default_factory=list[ItemMerge])
    merged: list[MergedTitle] = field(default_factory=list[MergedTitle])
    unclear: list[Unclear] = field(default_factory=list[Unclear])
    unchanged: int = 0


class ScanSummary(msgspec.Struct):
    """The stored part of a report: counts, the first files and titles, and why the scan failed, if it did.

    Counts are of files, but for `items_added` and `merged`. `begun_at` is 0 in reports of earlier versions.
    """

    added: int = 0
    changed: int = 0
    moved: int = 0
    removed: int = 0
    restored: int = 0
    unchanged: int = 0
    skipped: int = 0
    skipped_files: list[Skipped] = []
    reassigned: int = 0
    reassigned_files: list[Reassigned] = []
    merged: int = 0
    merged_titles: list[MergedTitle] = []
    failure: str | None = None
    begun_at: int = 0
    items_added: dict[ItemKind, int] = {}


class ScanRunningError(PlayheadError):
    """The library is being scanned already, by this process or another one."""


async def _leave(_: Iterable[ItemMerge]) -> int:
    return 0


class ScanTools(NamedTuple):
    """The functions that read names and contents of files, and that merge the items that turned out to be one.

    Without `merge` a scan only reports them. `splitting` moves users' state along with files of another title.
    """

    parse: Callable[[PurePosixPath, LibraryKind], ParsedName | None]
    probe: Callable[[Path], MediaInfo]
    merge: Callable[[Iterable[ItemMerge]], Awaitable[int]] = _leave
    splitting: Splitting | None = None


class Scanner:
    """Scans libraries, one scan per library at a time across processes.

    `clock` returns the time, `new_id` a random UUID.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], Instant],
        new_id: Callable[[], str],
        tools: ScanTools,
    ) -> None:
        self._database = database
        self._clock = clock
        self._new_id = new_id
        self._tools = tools
        self._running: set[asyncio.Task[None]] = set()
        self._progress: dict[LibraryId, RunningScan] = {}

    async def scan(
        self,
        library_id: LibraryId,
        *,
        progress: Callable[[ScanProgress], None] = lambda _: None,
        allow_empty: bool = False,
        is_settled: Callable[[FoundFile], bool] = lambda _: True,
    ) -> ScanReport:
        """Scan a library and return what changed. A second scan changes nothing more.

        Raises NOT_FOUND, and CONFLICT if a scan is already running, or the library has no folder, an unreadable one, or
        one that no longer holds any video: an unmounted disk must not empty a catalogue. `allow_empty` overrides that.
        A new or changed file that is not settled is skipped as still being copied.
        """
        library, scan_id = await self._begin(library_id)
        return await self._scan(library, scan_id, progress, is_settled, allow_empty=allow_empty)

    async def start(self, library_id: LibraryId) -> None:
        """Start a scan in the background; its report is stored with the library.

        Raises NOT_FOUND, or CONFLICT if a scan is already running or the library has no folder.
        """
        library, scan_id = await self._begin(library_id)
        task = asyncio.create_task(self._scan_unattended(library, scan_id))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def wait(self) -> None:
        """Wait until the scans started here have ended."""
        await asyncio.gather(*self._running)

    def progress_of(self, library_id: LibraryId) -> RunningScan | None:
        """Return the progress of a library's scan; None if none is running in this process."""
        return self._progress.get(library_id)

    async def close(self) -> None:
        """Cancel the scans started here; what they have stored stays."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _begin(self, library_id: LibraryId) -> tuple[Library, str]:
        library = await self._database.read(lambda connection: catalogue.find_library(connection, library_id))
        if library is None:
            raise not_found("Library not found")
        if library.path is None:
            raise conflict(f"The library {library.name} has no folder: its items are imported")
        scan_id, now = self._new_id(), self._clock()
        until = Instant(now + LEASE_MS)
        if not await self._database.write(
            lambda connection: scanning.take_lease(connection, library_id, scan_id, now, until)
        ):
            raise ScanRunningError(Code.CONFLICT, f"The library {library.name} is being scanned already")
        return library, scan_id

    async def _scan_unattended(self, library: Library, scan_id: str) -> None:
        try:
            await self._scan(library, scan_id, lambda _: None, lambda _: True, allow_empty=False)
        except PlayheadError as error:
            log.warning("The scan of %s failed: %s", shown(library.name), shown(error.message))
        except Exception:
            log.exception("The scan of %s failed", shown(library.name))

    async def _scan(
        self,
        library: Library,
        scan_id: str,
        progress: Callable[[ScanProgress], None],
        is_settled: Callable[[FoundFile], bool],
        *,
        allow_empty: bool,
    ) -> ScanReport:
        def note(done: ScanProgress) -> None:
            self._progress[library.id] = RunningScan(done.done, done.total, shown(done.path))
            progress(done)

        self._progress[library.id] = RunningScan(0, None, "")
        scan = _Scan(self._database, library, scan_id, self._clock, self._new_id, self._tools, note, is_settled)
        async with self._lease(library.id, scan_id):
            try:
                report = await scan.run(allow_empty=allow_empty)
            except Exception as error:
                reason = error.message if isinstance(error, PlayheadError) else "it failed: see the log"
                summary = msgspec.json.encode(ScanSummary(failure=reason, begun_at=scan.begun_at)).decode()
                with contextlib.suppress(Exception):  # the store itself may be what failed
                    await self._database.write(
                        lambda connection: scanning.store_report(connection, library.id, summary, None)
                    )
                raise
        await self._tools.merge(report.merges)
        return report

    @asynccontextmanager
    async def _lease(self, library_id: LibraryId, scan_id: str) -> AsyncGenerator[None]:
        renewal = asyncio.create_task(self._renew(library_id, scan_id))
        try:
            yield
        finally:
            renewal.cancel()
            with contextlib.suppress(PlayheadError):  # then it expires
                await self._database.write(lambda connection: scanning.release_lease(connection, library_id, scan_id))
            self._progress.pop(library_id, None)

    async def _renew(self, library_id: LibraryId, scan_id: str) -> None:
        # Listing a large folder on a slow disk takes longer than the lease.
        while True:
            await asyncio.sleep(_RENEWAL_S)
            until = Instant(self._clock() + LEASE_MS)
            with contextlib.suppress(PlayheadError):
                await self._database.write(
                    partial(scanning.renew_lease, library_id=library_id, scan_id=scan_id, until=until)
                )


class _ProbedFile(NamedTuple):
    """A probed file: what it is, or why it is skipped. `passing`: a later attempt may succeed.

    `said` is what a person said about it, and `content` its fingerprint, as far as that was read.
    """

    task: ProbeTask
    reading: FileReading | None
    fault: str = ""
    passing: bool = False
    said: Identification | None = None
    content: str | None = None


class _Scan:
    """One scan of one library."""

    def __init__(  # noqa: PLR0913 - what a scanner has, and what this scan is about
        self,
        database: Database,
        library: Library,
        scan_id: str,
        clock: Callable[[], Instant],
        new_id: Callable[[], str],
        tools: ScanTools,
        progress: Callable[[ScanProgress], None],
        is_settled: Callable[[FoundFile], bool],
    ) -> None:
        self._database = database
        self._library = library
        self._scan_id = scan_id
        self._clock = clock
        self._new_id = new_id
        self._tools = tools
        self._progress = progress
        self._is_settled = is_settled
        self.begun_at = clock()
        self._report = ScanReport()
        self._root = Path(library.path or "")
        self._nfos = NfoFiles(self._root)
        self._beside: dict[str, Beside] = {}
        self._lost = MissingFiles(())
        self._index = ScanIndex(library.id, now=clock(), new_id=new_id)
        self._identifications = Identifications()
        self._prints: dict[str, str] = {}
        self._absent: set[FileId] = set()
        self._moved: set[FileId] = set()
        self._done = 0
        self._said: dict[str, tuple[Identification, dict[str, str | None]]] = {}

    async def run(self, *, allow_empty: bool) -> ScanReport:
        found = await self._walk()
        files, items, said = await self._database.read_long(
            lambda connection: (
                scanning.load_files(connection, self._library.id),
                scanning.load_items(connection, self._library.id),
                scanning.load_identifications(connection, self._library.id),
            )
        )
        self._identifications = Identifications(said)
        # Ten thousand files take a second of processor time, which must not block the event loop.
        comparison = await asyncio.to_thread(self._compare, found, files)
        if not found.files and not allow_empty and any(not file.removed for file in comparison.absent):
            known = sum(not file.removed for file in comparison.absent)
            raise conflict(
                f"The folder {shown(str(self._root))} no longer contains any videos, but {known} are known. "
                "Nothing was changed: is the disk mounted?"
            )
        self._index = await asyncio.to_thread(
            ScanIndex, self._library.id, items, now=self._clock(), new_id=self._new_id
        )
        self._beside = found.beside
        self._report.skipped += found.skipped
        astray = await self._keep(comparison, found)
        self._absent = {file.id for file in comparison.absent}
        self._lost = MissingFiles([*comparison.absent, *await self._replaced(comparison.tasks)])
        await self._look([*astray, *comparison.tasks])
        await self._finish(comparison)
        return self._report

    def _compare(self, found: Walk, known: Sequence[KnownFile]) -> FolderDiff:
        prints = {file.path: file.fingerprint for file in known}
        marked = (self._identifications.mark(file, prints.get(file.path)) for file in found.files)
        return compare(marked, known, found.unread)

    async def _replaced(self, tasks: Sequence[ProbeTask]) -> list[KnownFile]:
        """Return the known files whose paths have other content now: files may have traded places.

        All are looked at before any is placed, because the one that has the content of another may come first.
        """
        changed = [task for task in tasks if task.known is not None and task.open and task.known.fingerprint]
        if len(changed) + len(self._absent) < 2:  # noqa: PLR2004 - one file trades places with none
            return []
        pool = ThreadPoolExecutor(OPEN_AT_ONCE, "playhead-scan")
        loop = asyncio.get_running_loop()
        try:
            prints = await asyncio.gather(*(loop.run_in_executor(pool, self._print, each) for each in changed))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        self._prints = {task.found.path: value for task, value in zip(changed, prints, strict=True) if value}
        return [
            task.known
            for task, value in zip(changed, prints, strict=True)
            if task.known is not None and value is not None and value != task.known.fingerprint
        ]

    def _print(self, task: ProbeTask) -> str | None:
        try:
            real = contained_video(self._root, task.found.path)
            return None if real is None else fingerprint(real)
        except OSError:
            return None

    async def _walk(self) -> Walk:
        try:
            self._root = await asyncio.to_thread(self._root.resolve, strict=True)
            self._nfos = NfoFiles(self._root)
            return await asyncio.to_thread(walk, self._root, is_video)
        except (OSError, RuntimeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "its links go in a circle"
            raise conflict(f"The folder {shown(str(self._root))} cannot be read: {reason}") from error

    async def _keep(self, comparison: FolderDiff, found: Walk) -> list[ProbeTask]:
        """Keep unchanged files, and return those to read again because their item moved to another library."""
        same = [*comparison.kept, *comparison.returned]
        astray = await asyncio.to_thread(self._keep_all, same)
        report = self._report
        report.skipped += [Skipped(shown(file.path), file.fault) for file in same if file.fault is not None]
        report.unchanged = len(comparison.kept)
        report.restored += [file.path for file in comparison.returned]
        returned = [file.id for file in comparison.returned]
        await self._store_items()
        if returned:
            await self._write(lambda connection: scanning.mark_files(connection, returned, None))
        listed = {file.path: file for file in found.files} if astray else {}
        return [
            ProbeTask(self._identifications.mark(listed[file.path], file.fingerprint), file, open=False)
            for file in astray
            if file.path in listed
        ]

    def _keep_all(self, files: Iterable[KnownFile]) -> list[KnownFile]:
        for file in files:
            if IDENTIFIED in file.evidence:
                self._note_said(self._identifications.find(file.path, file.fingerprint), file.path, file.fingerprint)
        return [file for file in files if not self._index.keep(file)]

    async def _look(self, tasks: Sequence[ProbeTask]) -> None:
        # Files at their old path come first: an item whose file is still there is not taken for a renamed one. Of
        # titles that were taken for one, that of its name keeps the item.
        named = await asyncio.to_thread(self._still_named, tasks)
        ordered = sorted(tasks, key=lambda task: (task.known is None, task.found.path not in named))
        self._progress(ScanProgress(0, len(ordered)))
        pool = ThreadPoolExecutor(OPEN_AT_ONCE, "playhead-scan")
        try:
            for start in range(0, len(ordered), FILES_AT_ONCE):
                seen = await self._look_into_some(pool, ordered[start : start + FILES_AT_ONCE], len(ordered))
                await self._learn(seen)
                decided = await asyncio.to_thread(self._decide_all, seen)
                changes, now = self._index.take_changes(), self._clock()
                self._report.items_added.update(item.kind for item in changes.new)
                departures = self._index.take_departures()
                moved = await self._write(partial(self._store, changes, decided, departures, now))
                self._tell(moved)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _still_named(self, tasks: Sequence[ProbeTask]) -> set[str]:
        """Return the paths of files whose names still tell their title, of titles with files in several folders."""
        of_whole: dict[ItemId, list[str]] = {}
        for task in tasks:
            whole_id = None if task.known is None or task.open else self._index.whole_of(task.known)
            if whole_id is not None:
                of_whole.setdefault(whole_id, []).append(task.found.path)
        named: set[str] = set()
        for whole_id, paths in of_whole.items():
            if len({path.partition("/")[0] for path in paths}) > 1:
                for path in paths:
                    name = read_name(path, self._library.kind, self._tools.parse)
                    if name is not None and self._index.is_named(whole_id, name):
                        named.add(path)
        return named

    async def _learn(self, seen: Sequence[_ProbedFile]) -> None:
        """Load what the store has about the titles that these files may mean."""
        clues: list[Clue] = []
        for (_, known, _), reading, *_ in seen:
            if reading is not None:
                clues += _clues(reading, known, self._library.id)
        shows = self._index.shows
        self._index.learn(
            await self._database.read_long(partial(matching.find_candidates, clues=clues, known_shows=shows))
        )

    async def _look_into_some(
        self, pool: ThreadPoolExecutor, tasks: Sequence[ProbeTask], total: int
    ) -> list[_ProbedFile]:
        unopened = [task.known.id for task in tasks if task.known is not None and not task.open]
        infos = await self._database.read_long(lambda connection: scanning.load_infos(connection, unopened))

        async def look(task: ProbeTask) -> _ProbedFile:
            info = infos.get(task.known.id) if task.known is not None else None
            if task.open and not self._is_settled(task.found):
                seen = _ProbedFile(task, None, "it is still being copied", passing=True)
            else:
                seen = await asyncio.get_running_loop().run_in_executor(pool, self._look_into, task, info)
            self._done += 1
            self._progress(ScanProgress(self._done, total, task.found.path))
            return seen

        return list(await asyncio.gather(*map(look, tasks)))

    def _look_into(self, task: ProbeTask, info: MediaInfo | None) -> _ProbedFile:
        """Read one file on a thread of the pool. `info` is its known content if that has not changed."""
        path = task.found.path
        try:
            described = describe(
                self._nfos, path, self._beside.get(path, Beside()), self._library.kind, self._tools.parse
            )
            real = contained_video(self._root, path)
            if real is None:
                return _ProbedFile(task, None, "it has gone", passing=True)
            content = None if task.known is None else task.known.fingerprint
            if info is None or content is None:
                content = self._prints.get(path) or fingerprint(real)
            said = self._identifications.find(path, content)
            name = _name(described, said)
            if name is None:
                fault = f"its name is not that of {_KINDS[self._library.kind]}, or is that of an extra"
                if said is not None and said.told.is_ignored:
                    fault = "it was marked as no film"
                return _ProbedFile(task, None, fault, said=said, content=content)
            info = info or self._tools.probe(real)
        except OSError as error:
            return _ProbedFile(task, None, f"it cannot be read: {error.strerror or error}", passing=True)
        except Unreadable as error:
            return _ProbedFile(task, None, str(error), error.passing)
        reading = FileReading(name, info, content, version_label(info, name.edition, name.stereo))
        if said is not None:
            # What a person says counts as certain. The NFO file beside it may tell of another episode.
            reading = replace(reading, from_nfo=True, item_id=said.told.item_id)
        elif described is not None:
            reading = replace(
                reading,
                from_nfo=described.from_nfo,
                episode_ids=described.episode_ids,
                further=described.further,
                place=described.place,
            )
        return _ProbedFile(task, reading, said=said, content=content)

    def _decide_all(self, seen: Iterable[_ProbedFile]) -> list[FileChange]:
        return [file for file in map(self._decide, seen) if file is not None]

    def _decide(self, seen: _ProbedFile) -> FileChange | None:
        (found, known, _), reading = seen.task, seen.reading
        if IDENTIFIED not in found.evidence:  # only now is its content known
            found = self._identifications.mark(found, seen.content)
        self._note_said(seen.said, found.path, seen.content)
        if reading is None:
            self._report.skipped.append(Skipped(shown(found.path), seen.fault))
            if seen.passing:
                if known is not None:
                    self._index.keep(known)
                return None
            file_id = FileId(self._new_id()) if known is None else known.id
            return FileChange(file_id, known is None, found, fault=seen.fault, fingerprint=seen.content)
        same = known is not None and known.fingerprint == reading.fingerprint
        twin = None if same else self._lost.claim(reading.fingerprint, found.path)
        row = known or (twin if twin is not None and twin.id in self._absent else None)
        file_id = FileId(self._new_id()) if row is None else row.id
        before = twin or known
        links, meant = self._index.place(file_id, reading, before, same_content=same or twin is not None)
        self._note(found.path, known, row)
        if before is not None:
            self._note_title(found.path, before.links, links)
        if meant:
            titles_meant = tuple(self._index.title_of(item_id) or "" for item_id in meant)
            self._report.unclear.append(Unclear(shown(found.path), titles_meant))
        return FileChange(
            file_id,
            row is None,
            found,
            info=reading.info,
            label=reading.label,
            fingerprint=reading.fingerprint,
            links=links,
            meant=meant,
        )

    def _note_said(self, said: Identification | None, path: str, content: str | None) -> None:
        """Note a file about which a person said something."""
        if said is not None:
            self._said.setdefault(said.id, (said, {}))[1][path] = content

    def _note_title(self, path: str, before: Iterable[FileLink], after: Iterable[FileLink]) -> None:
        """Report a file that another item has now, or that of a movie or show which has another title now."""
        old, new = ({link.item_id for link in links} for links in (before, after))
        title_of = partial(self._index.title_of, whole=not old.isdisjoint(new))
        was = sorted({title for item_id in old if (title := title_of(item_id, before=True)) is not None})
        now = sorted({title for item_id in new if (title := title_of(item_id)) is not None})
        if was and now and (old.isdisjoint(new) or was != now):
            self._report.reassigned.append(Reassigned(shown(path), ", ".join(was), ", ".join(now)))

    def _note(self, path: str, known: KnownFile | None, twin: KnownFile | None) -> None:
        if known is not None:
            (self._report.restored if known.removed else self._report.changed).append(path)
        elif twin is not None:
            self._moved.add(twin.id)
            self._report.moved.append(FileMove(twin.path, path))
        else:
            self._report.added.append(path)

    async def _finish(self, comparison: FolderDiff) -> None:
        gone = [file for file in comparison.absent if not file.removed and file.id not in self._moved]
        ids, now = [file.id for file in gone], self._clock()
        await asyncio.to_thread(self._index.finish)
        await self._store_items()
        report, title_of = self._report, self._index.title_of
        report.removed += [file.path for file in gone]
        report.items_removed += [item.title for item in self._index.removed]
        report.items_restored += [item.title for item in self._index.restored]
        report.merges += self._index.merges
        report.merged += [
            MergedTitle(title_of(source, before=True) or "", title_of(into) or "") for into, source in report.merges
        ]
        report.skipped.sort()
        departures = self._index.take_departures(at_end=True)
        summary = msgspec.json.encode(_summary(report, self.begun_at)).decode()

        followed = [(said, self._identifications.follow(said, seen)) for said, seen in self._said.values()]
        changed = [after for before, after in followed if after != before]

        def end(connection: Connection) -> set[Key]:
            scanning.mark_files(connection, ids, now)
            scanning.store_identifications(connection, self._library.id, changed)
            scanning.store_report(connection, self._library.id, summary, now)
            return self._carry(connection, departures)

        self._tell(await self._write(end))

    async def _store_items(self) -> None:
        changes = self._index.take_changes()
        for start in range(0, max(len(changes.changed), len(changes.holdings)), FILES_AT_ONCE):
            end = start + FILES_AT_ONCE
            some = ItemChanges([], changes.changed[start:end], changes.holdings[start:end])
            await self._write(partial(scanning.store_items, changes=some))

    def _store(
        self,
        changes: ItemChanges,
        files: Sequence[FileChange],
        departures: Sequence[Departure],
        now: Instant,
        connection: Connection,
    ) -> set[Key]:
        """Store what was decided of some files; return the users' items of which the state has moved."""
        scanning.store_items(connection, changes)
        scanning.store_files(connection, self._library.id, files, now)
        return self._carry(connection, departures)

    def _carry(self, connection: Connection, departures: Sequence[Departure]) -> set[Key]:
        splitting = self._tools.splitting
        return set() if splitting is None else splitting.carry(connection, departures)

    def _tell(self, moved: set[Key]) -> None:
        if self._tools.splitting is not None:
            self._tools.splitting.tell(moved)

    async def _write(self, fn: Callable[[Connection], T]) -> T:
        until = Instant(self._clock() + LEASE_MS)

        def write(connection: Connection) -> tuple[T] | None:
            if not scanning.renew_lease(connection, self._library.id, self._scan_id, until):
                return None
            return (fn(connection),)

        written = await self._database.write(write)
        if written is None:
            raise conflict(f"Another scan of the library {self._library.name} has started since")
        return written[0]


def _name(described: Description | None, said: Identification | None) -> ParsedName | None:
    """Return what names and NFO files say of a file, corrected by a person; None if it is no item."""
    name = None if described is None else described.name
    if said is None:
        return name
    return None if said.told.is_ignored else identified(name, said.told)


def _clues(reading: FileReading, known: KnownFile | None, library_id: LibraryId) -> list[Clue]:
    """Return what a file says about the titles that it belongs to: a movie, or a show and its episodes."""
    name = reading.name
    links = () if known is None else known.links
    whole = ItemKind.MOVIE if name.kind is ItemKind.MOVIE else ItemKind.SHOW
    clue = Clue(
        whole,
        external_ids=name.external_ids,
        titles=(name.title,),
        year=name.year,
        fingerprint=reading.fingerprint,
        runtime_ms=reading.info.duration_ms,
        library_id=library_id,
    )
    facts = [reading.episode_ids, *(each.external_ids for each in reading.further.values())]
    ids = [*(link.item_id for link in links), *([] if reading.item_id is None else [reading.item_id])]
    return [
        clue,
        *(Clue(ItemKind.EPISODE, external_ids=each) for each in facts if each),
        *(Clue(name.kind, id=item_id) for item_id in ids),
    ]


_KINDS = {LibraryKind.MOVIES: "a movie", LibraryKind.SHOWS: "an episode"}


def _summary(report: ScanReport, begun_at: Instant) -> ScanSummary:
    return ScanSummary(
        added=len(report.added),
        changed=len(report.changed),
        moved=len(report.moved),
        removed=len(report.removed),
        restored=len(report.restored),
        unchanged=report.unchanged,
        skipped=len(report.skipped),
        skipped_files=report.skipped[:ENTRIES_KEPT],
        reassigned=len(report.reassigned),
        reassigned_files=report.reassigned[:ENTRIES_KEPT],
        merged=len(report.merged),
        merged_titles=report.merged[:ENTRIES_KEPT],
        begun_at=begun_at,
        items_added=dict(sorted(report.items_added.items())),
    )
