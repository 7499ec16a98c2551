"""The folder of backups: lists, makes and removes the automatic backups. Decides nothing."""

import fcntl
import os
import shutil
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path

from playhead.domain.backups import Backup, backup_made_at, backup_name, required_bytes
from playhead.domain.model import Instant
from playhead.storage.engine import apsw_dbapi
from playhead.storage.engine.database import StorageRefused
from playhead.storage.upkeep.copying import copy_database, remove_files
from playhead.storage.upkeep.inspection import log_size

_MIB = 1024 * 1024
_PARTIAL = ".partial"

# A copy reads one snapshot, so the log cannot be reset meanwhile. From 48 MiB on the writer waits for readers; a backup
# ends before that.
_LONGEST_LOG_BYTES = 40 * _MIB


class BackupFolder:
    """The backups of one database. `make_folder`: the folder may be created if it is missing.

    A folder other than the default must exist: if a disk is not mounted, nothing is written to its mount point.
    """

    def __init__(self, database: Path, folder: Path, *, make_folder: bool) -> None:
        self.database = database
        self.folder = folder
        self._make_folder = make_folder

    def find(self) -> Sequence[Backup]:
        """Return the existing backups, oldest first. Raises StorageRefused if the folder cannot be read."""
        found: list[Backup] = []
        try:
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    made_at = backup_made_at(entry.name)
                    if made_at is not None and entry.is_file(follow_symlinks=False):
                        found.append(Backup(entry.name, made_at, entry.stat().st_size))
        except FileNotFoundError:
            if not self._make_folder:
                raise StorageRefused(self._missing()) from None
        except OSError as error:
            raise StorageRefused(f"The folder of backups, {self.folder}, cannot be read: {error.strerror}") from error
        return sorted(found, key=lambda each: each.made_at)

    def require_usable(self) -> None:
        """Raise StorageRefused if the folder does not exist and may not be created, or cannot be written."""
        if not self.folder.is_dir():
            if not self._make_folder or self.folder.exists():
                raise StorageRefused(self._missing())
        elif not os.access(self.folder, os.W_OK | os.X_OK):
            raise StorageRefused(f"The folder of backups, {self.folder}, cannot be written")

    @contextmanager
    def alone(self) -> Generator[bool]:
        """Yield whether no other process backs up the same database; none does until the end of the context."""
        # Next to the database, not in the folder of backups, which may be on the network, where such locks do not work.
        handle = os.open(
            self.database.with_name(f"{self.database.name}.backup-lock"),
            os.O_RDWR | os.O_CREAT | os.O_CLOEXEC,
            0o600,
        )
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
            else:
                yield True
        finally:
            os.close(handle)

    def make(self, now: Instant, keep_going: Callable[[], None]) -> Backup:
        """Copy the database, verify the copy, and name it: complete and durable on return. Call it within `alone`.

        `keep_going` is called repeatedly, and aborts the copy by raising. Raises StorageRefused, and leaves no files,
        if there is no space, the folder cannot be used, the copy is damaged, or the log grows too long meanwhile.
        """
        target = self.folder / backup_name(now)
        try:
            self.require_usable()
            self.folder.mkdir(mode=0o700, exist_ok=True)
            self._remove_partial()
            self._require_room()
            copy_database(self.database, target, thorough=True, progress=self._watched(keep_going))
            return Backup(target.name, now, target.stat().st_size)
        except OSError as error:
            raise StorageRefused(f"{error.filename or self.folder} cannot be used: {error.strerror}") from error
        except apsw_dbapi.Error as error:
            raise StorageRefused(f"{self.database} cannot be copied to {self.folder}: {error}") from error

    def remove(self, backups: Iterable[Backup]) -> None:
        """Remove backups; missing ones are ignored. Raises StorageRefused."""
        try:
            for each in backups:
                (self.folder / each.name).unlink(missing_ok=True)
        except OSError as error:
            raise StorageRefused(f"An old backup in {self.folder} cannot be removed: {error.strerror}") from error

    def _missing(self) -> str:
        return f"The folder of backups, {self.folder}, is missing. Create it, or mount its disk."

    def _remove_partial(self) -> None:
        """Remove the leftovers of a killed process."""
        for entry in [*self.folder.iterdir()]:
            name, partial, _ = entry.name.partition(_PARTIAL)
            if partial and backup_made_at(name) is not None:
                remove_files(self.folder / f"{name}{_PARTIAL}")

    def _require_room(self) -> None:
        size = self.database.stat().st_size + log_size(self.database)
        on_same_disk = self.folder.stat().st_dev == self.database.stat().st_dev
        required, free = required_bytes(size, on_same_disk=on_same_disk), shutil.disk_usage(self.folder).free
        if free < required:
            raise StorageRefused(
                f"{self.folder} has {free // _MIB} MiB free, and a backup needs {-(-required // _MIB)}. Make room."
            )

    def _watched(self, keep_going: Callable[[], None]) -> Callable[[int, int], None]:
        longest = max(_LONGEST_LOG_BYTES, log_size(self.database) + _LONGEST_LOG_BYTES // 2)

        def watch(done: int, total: int) -> None:
            keep_going()
            if done < total and log_size(self.database) > longest:
                raise StorageRefused(
                    "So much was saved during the copy that it was cancelled, so that saves need not wait"
                )

        return watch
