"""Automatic scans: watches the folders of all libraries, and scans one when it changed or, by time, may have.

`domain/auto_scanning.py` decides when; a scan itself is `scanning.py`'s.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from playhead.domain.auto_scanning import ScanSchedule, Settling
from playhead.domain.catalogue import Library
from playhead.domain.model import Instant, LibraryId
from playhead.domain.texts import shown
from playhead.errors import PlayheadError
from playhead.media.watching import FolderWatch, WatchLostError
from playhead.services.scanning import Scanner, ScanRunningError, ScanSummary
from playhead.storage import catalogue
from playhead.storage.engine.database import Database

# One waits for a disk that hangs, the others go on.
_WATCHES_AT_ONCE: Final = 4
_SCANS_AT_ONCE: Final = 2
_LOOK_EVERY_S: Final = 2.0
_POLLS_WITHIN_S: Final = 1.0

# How often a watch that was refused is tried again; the folder of one that is gone may return any time.
_REFUSED_RETRY_MS: Final = 5 * 60_000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AutoScanStatus:
    """How a library is kept up to date in this process.

    `is_watched`: every change is noticed. `next_at` is None if only a change, or nothing, causes the next scan.
    """

    is_watched: bool
    next_at: Instant | None


@dataclass(slots=True)
class _Kept:
    """A library that is kept up to date."""

    library: Library
    schedule: ScanSchedule
    settling: Settling = field(default_factory=Settling)
    watch: FolderWatch | None = None
    retry_at: Instant | None = None
    polling: "asyncio.Task[None] | None" = None
    scanning: "asyncio.Task[None] | None" = None
    fault: str = ""
    failure: str = ""


class AutoScans:
    """Scans the libraries of one installation without being asked, while it is open.

    Several processes on one database may do so: the lease of a library admits one scan, and every process sees in its
    report which changes it has covered. `rescan_minutes` is 0 if time causes no scan.
    """

    def __init__(
        self,
        database: Database,
        scanner: Scanner,
        rescan_minutes: int,
        *,
        clock: Callable[[], Instant],
        open_watch: Callable[[Path], FolderWatch] = FolderWatch,
    ) -> None:
        self._database = database
        self._scanner = scanner
        self._rescan_ms = rescan_minutes * 60_000
        self._clock = clock
        self._open_watch = open_watch
        self._libraries: dict[LibraryId, _Kept] = {}
        self._threads = ThreadPoolExecutor(_WATCHES_AT_ONCE, "playhead-watch")
        self._free_scans = asyncio.Semaphore(_SCANS_AT_ONCE)
        self._task: asyncio.Task[None] | None = None
        self._limit_is_told = False

    def start(self) -> None:
        """Look every two seconds, until `close`, for what is to be watched and scanned."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop watching, and cancel the automatic scans; what they have stored stays. Idempotent."""
        task, self._task = self._task, None
        tasks = [] if task is None else [task]
        for kept in self._libraries.values():
            tasks += [each for each in (kept.polling, kept.scanning) if each is not None]
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for kept in self._libraries.values():
            self._stop_watching(kept)
        self._libraries.clear()
        self._threads.shutdown(wait=False)

    def status(self, library: Library) -> AutoScanStatus:
        """Return how a library is kept up to date."""
        kept = self._libraries.get(library.id)
        if kept is None:
            return AutoScanStatus(is_watched=False, next_at=None)
        next_at = kept.schedule.next_at(self._clock(), _scanned_at(library), self._rescan_ms_of(kept))
        return AutoScanStatus(_is_watched(kept), None if next_at is None else Instant(max(next_at, self._clock())))

    async def look(self) -> None:
        """Read the libraries, take in what changed in their folders, and begin the scans that are due."""
        libraries = await self._database.read(catalogue.list_libraries)
        self._adopt([library for library in libraries if library.path is not None])
        for kept in self._libraries.values():
            if kept.polling is None or kept.polling.done():
                kept.polling = asyncio.create_task(self._poll(kept))
        # A folder whose disk hangs holds up nobody else: its poll goes on while the others are served.
        polls = [kept.polling for kept in self._libraries.values() if kept.polling is not None]
        if polls:
            await asyncio.wait(polls, timeout=_POLLS_WITHIN_S)
        for kept in self._libraries.values():
            self._scan_if_due(kept)

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
            except PlayheadError as error:
                log.warning("Libraries cannot be kept up to date just now: %s", error.message)
            except Exception:
                log.exception("Libraries cannot be kept up to date just now")
            await asyncio.sleep(_LOOK_EVERY_S)

    def _adopt(self, libraries: list[Library]) -> None:
        """Take on libraries that are new, and give up those that are gone or have moved."""
        now = self._clock()
        known = {library.id: library for library in libraries}
        for kept in [*self._libraries.values()]:
            current = known.get(kept.library.id)
            if current is None or current.path != kept.library.path:
                for task in (kept.polling, kept.scanning):
                    if task is not None:
                        task.cancel()
                self._stop_watching(kept)
                del self._libraries[kept.library.id]
        for library in libraries:
            kept = self._libraries.get(library.id)
            if kept is None:
                # Nor does anybody know what changed before this process began.
                self._libraries[library.id] = _Kept(library, ScanSchedule().changed(now))
            else:
                if library.scan_report != kept.library.scan_report:
                    kept.schedule = kept.schedule.scanned_elsewhere(Instant(_begun_at(library)))
                kept.library = library

    # Watching

    async def _poll(self, kept: _Kept) -> None:
        loop, now = asyncio.get_running_loop(), self._clock()
        try:
            if kept.watch is None:
                # A clock that was set back must not put off the next attempt.
                if kept.retry_at is not None and now < kept.retry_at <= now + _REFUSED_RETRY_MS:
                    return
                kept.watch = await loop.run_in_executor(self._threads, self._open_watch, Path(kept.library.path or ""))
                # Nobody knows what changed while nobody watched.
                kept.schedule, kept.fault = kept.schedule.changed(self._clock()), ""
                return
            changed = await loop.run_in_executor(self._threads, kept.watch.poll)
        except WatchLostError as error:
            self._note_loss(kept, error)
            return
        if changed:
            # Not before it was noticed: a scan that had begun by then may have missed it.
            now = self._clock()
            kept.settling.touch(changed, now)
            kept.schedule = kept.schedule.changed(now)

    def _note_loss(self, kept: _Kept, error: WatchLostError) -> None:
        self._stop_watching(kept)
        by_time = "it is scanned by time" if self._rescan_ms else "it is scanned only when asked (rescan_minutes is 0)"
        if error.is_limit:
            kept.retry_at = Instant(self._clock() + _REFUSED_RETRY_MS)
            if not self._limit_is_told:
                self._limit_is_told = True
                log.warning(
                    "The library %s cannot be watched for changes: the system's limit is reached "
                    "(fs.inotify.max_user_watches, fs.inotify.max_user_instances); %s",
                    shown(kept.library.name),
                    by_time,
                )
        elif kept.fault != str(error):
            kept.fault = str(error)
            log.warning(
                "The library %s is not watched for changes: %s; until it can be, %s",
                shown(kept.library.name),
                shown(str(error)),
                by_time,
            )

    def _stop_watching(self, kept: _Kept) -> None:
        watch, kept.watch = kept.watch, None
        if watch is not None:
            with suppress(RuntimeError):  # the threads have ended
                self._threads.submit(watch.close)

    # Scanning

    def _rescan_ms_of(self, kept: _Kept) -> int:
        return 0 if _is_watched(kept) else self._rescan_ms

    def _scan_if_due(self, kept: _Kept) -> None:
        if kept.scanning is not None and not kept.scanning.done():
            return
        now, library = self._clock(), kept.library
        if library.scan_until is not None and now < library.scan_until:
            return
        due_at = kept.schedule.next_at(now, _scanned_at(library), self._rescan_ms_of(kept))
        if due_at is not None and due_at <= now:
            kept.scanning = asyncio.create_task(self._scan(kept))

    async def _scan(self, kept: _Kept) -> None:
        async with self._free_scans:
            now, before = self._clock(), kept.schedule
            kept.settling.begin(now)
            kept.schedule = kept.schedule.begun(now)
            try:
                await self._scanner.scan(
                    kept.library.id, is_settled=lambda found: kept.settling.is_settled(found, self._clock())
                )
            except ScanRunningError:
                missed = kept.schedule.last_change_at
                kept.schedule = before if missed is None else before.changed(missed)
            except PlayheadError as error:
                if kept.failure != error.message:
                    log.warning("The scan of %s failed: %s", shown(kept.library.name), shown(error.message))
                kept.failure = error.message
                kept.schedule = kept.schedule.failed(self._clock())
            except Exception:
                log.exception("The scan of %s failed", shown(kept.library.name))
                kept.schedule = kept.schedule.failed(self._clock())
            else:
                kept.failure = ""
                kept.schedule = kept.schedule.ended(self._clock(), kept.settling.settles_at)


def _is_watched(kept: _Kept) -> bool:
    return kept.watch is not None and kept.watch.reports_all


def _scanned_at(library: Library) -> Instant:
    return library.created_at if library.scanned_at is None else library.scanned_at


def _begun_at(library: Library) -> int:
    if library.scan_report is None:
        return 0
    return msgspec.json.decode(library.scan_report, type=ScanSummary).begun_at
