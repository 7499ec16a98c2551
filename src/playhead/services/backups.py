"""Automatic backups: makes one when it is due, removes old ones, and records failures."""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from playhead.domain.backups import Backup, BackupPlan, due_at, newest, retry_at, superfluous
from playhead.domain.model import Instant
from playhead.services.single_flight import yield_to_others
from playhead.storage.engine.database import StorageRefused
from playhead.storage.upkeep.backups import BackupFolder

_LOOK_EVERY_S: Final = 60

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BackupStatus:
    """The status of the backups of a database file. `next_at` is None if the plan makes none.

    `fault` is None if nothing is wrong: the last attempt succeeded, and the folder can be read.
    """

    database: str
    folder: str
    plan: BackupPlan
    backups: Sequence[Backup]
    last: Backup | None
    next_at: Instant | None
    fault: str | None


class _EndedError(Exception):
    """The server shuts down, which cancels the copy."""


class Backups:
    """Backs up one database by a plan, on its own thread, which yields to saves.

    The state is read from the folder, so several processes on one database make one backup between them, and a restart
    makes none before it is due.
    """

    def __init__(
        self,
        folder: BackupFolder,
        plan: BackupPlan,
        *,
        clock: Callable[[], Instant],
        look_every_s: float = _LOOK_EVERY_S,
    ) -> None:
        self._folder = folder
        self._plan = plan
        self._clock = clock
        self._look_every_s = look_every_s
        self._fault: str | None = None
        self._failures = 0
        self._failed_at = self._retry_at = Instant(0)
        self._is_ending = threading.Event()
        self._thread = ThreadPoolExecutor(1, "playhead-backup", yield_to_others)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Check once a minute, first in a minute, whether a backup is due, until `close`."""
        if self._plan.hours:
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop, and cancel a running copy; idempotent."""
        self._is_ending.set()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def look(self) -> None:
        """Make a backup if one is due. A failure is logged, shown, and retried later; it is never raised."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._look)

    async def status(self) -> BackupStatus:
        """Return the current status."""
        return await asyncio.to_thread(self._status)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._look_every_s)
            await self.look()

    def _look(self) -> None:
        now = self._clock()
        if self._failed_at <= now < self._retry_at:
            return
        try:
            self._make_if_due(now)
        except _EndedError:
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, saves go on and it is tried again
            self._note_failure(error)
        else:
            self._fault, self._failures, self._retry_at = None, 0, Instant(0)

    def _make_if_due(self, now: Instant) -> None:
        if now < due_at(self._plan, self._folder.find(), now):
            return
        with self._folder.alone() as is_alone:
            # Another process may have made one since, or be making one now.
            if not is_alone or now < due_at(self._plan, self._folder.find(), now):
                return
            made = self._folder.make(now, self._keep_going)
            log.info("Backed up to %s/%s: %d bytes", self._folder.folder, made.name, made.size)
            self._folder.remove(superfluous(self._plan, self._folder.find(), now))

    def _keep_going(self) -> None:
        if self._is_ending.is_set():
            raise _EndedError

    def _note_failure(self, error: Exception) -> None:
        if not isinstance(error, StorageRefused):
            log.error("A backup failed by a defect", exc_info=error)
        self._failures += 1
        self._fault = str(error) if isinstance(error, StorageRefused) else "A defect; see the log"
        self._failed_at = self._clock()
        self._retry_at = retry_at(self._plan, self._failed_at, self._failures)
        minutes = (self._retry_at - self._failed_at) // 60_000
        log.warning("No backup could be made; the next attempt is in %d min: %s", minutes, self._fault)

    def _status(self) -> BackupStatus:
        now = self._clock()
        fault = self._fault
        try:
            backups = self._folder.find()
        except StorageRefused as error:
            backups, fault = (), str(error)
        next_at = None
        if self._plan.hours:
            next_at = Instant(max(self._retry_at, due_at(self._plan, backups, now), now))
        return BackupStatus(
            database=str(self._folder.database),
            folder=str(self._folder.folder),
            plan=self._plan,
            backups=backups,
            last=newest(backups, now),
            next_at=next_at,
            fault=fault if self._plan.hours else None,
        )
