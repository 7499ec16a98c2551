"""A lock that tells whether a folder's databases are in use: shared for every process, exclusive for a restore.

It is flock(2) on the folder itself: it leaves no file behind, the kernel releases it however the process ends, and it
is independent of SQLite's own locks. On file systems without such locks, SQLite's are the only ones.
"""

import errno
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from playhead.storage.engine.database import StorageRefused

_RETRY_S = 0.02

# A restore replaces the file within milliseconds but checks a large backup for minutes; nobody waits for the latter.
_SHARED_PATIENCE_S = 5.0

# A command such as `playhead user list` has finished by then; a server has not.
_EXCLUSIVE_PATIENCE_S = 1.0


class FolderLock:
    """A lock that is held until `release`, or until the process ends. Entering it as a context changes nothing."""

    def __init__(self, handle: int | None) -> None:
        self._handle = handle

    def release(self) -> None:
        """Release the lock; idempotent."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


def lock_shared(database: Path, patience_s: float = _SHARED_PATIENCE_S) -> FolderLock:
    """Mark `database` as in use by this process. Blocks; raises StorageRefused while it is being restored."""
    folder = database.resolve().parent
    handle = _lock(folder, fcntl.LOCK_SH, patience_s)
    if handle == _TAKEN:
        raise StorageRefused(f"{database} is being restored from a backup. Try again when that is done.")
    return FolderLock(handle)


def lock_exclusive(database: Path, patience_s: float = _EXCLUSIVE_PATIENCE_S) -> FolderLock:
    """Keep every other process of Playhead away from `database`. Blocks; raises StorageRefused if one uses it."""
    folder = database.resolve().parent
    handle = _lock(folder, fcntl.LOCK_EX, patience_s)
    if handle == _TAKEN:
        raise StorageRefused(f"A server or a command of Playhead uses {folder}. Stop it first.")
    return FolderLock(handle)


_TAKEN = -1


def _lock(folder: Path, operation: int, patience_s: float) -> int | None:
    """Return the handle that holds the lock, None if the folder has no locks, or _TAKEN."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # opening the database reports what is wrong with its folder
        return None
    until = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(handle, operation | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno == errno.EWOULDBLOCK and time.monotonic() < until:
                time.sleep(_RETRY_S)
                continue
            os.close(handle)
            return _TAKEN if error.errno == errno.EWOULDBLOCK else None
        return handle
