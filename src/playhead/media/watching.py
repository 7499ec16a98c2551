"""Watches one library's folder for changes by others, and says whether its file system reports them."""

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from watchfiles import watch

from playhead.media.folders import is_foreign
from playhead.media.ignoring import is_ignore_file

# File systems of this machine alone: what changes there changes through its kernel, which reports it. Any other type,
# such as nfs, cifs, 9p, virtiofs or fuse.*, may be changed from elsewhere, which no event reports.
_REPORTING: Final = frozenset(
    [
        "ext2",
        "ext3",
        "ext4",
        "xfs",
        "btrfs",
        "zfs",
        "f2fs",
        "bcachefs",
        "jfs",
        "tmpfs",
        "overlay",
        "vfat",
        "exfat",
        "ntfs",
        "ntfs3",
        "fuseblk",
        "hfsplus",
    ]
)
_MOUNTS: Final = Path("/proc/self/mountinfo")
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


class WatchLostError(Exception):
    """A folder cannot be watched, or no longer; the message says why, for an operator.

    `is_limit`: the system watches as many folders as it may.
    """

    def __init__(self, reason: str, *, is_limit: bool = False) -> None:
        super().__init__(reason)
        self.is_limit = is_limit


class FolderWatch:
    """A watch of a folder and everything below it. Not thread-safe; every method may wait for a disk."""

    def __init__(self, root: Path) -> None:
        """Begin to watch. Raises WatchLostError."""
        try:
            self._root = root.resolve(strict=True)
            self._identity = _identity(self._root)
            self.reports_all = reports_changes(self._root)
        except (OSError, RuntimeError) as error:
            raise WatchLostError(_reason(error)) from error
        # Minimal timeouts, so that `poll` returns immediately.
        self._changes = watch(
            self._root,
            watch_filter=None,
            debounce=1,
            step=1,
            rust_timeout=1,
            yield_on_timeout=True,
            force_polling=False,
            ignore_permission_denied=True,
        )
        try:
            self.poll()
        except WatchLostError:
            self.close()
            raise

    def poll(self) -> set[str]:
        """Return the paths in the library that changed since the last call.

        Raises WatchLostError, also if the folder is gone or another one is in its place.
        """
        try:
            if _identity(self._root) != self._identity:
                raise WatchLostError("another folder is in its place")
            changes = next(self._changes, None)
        except OSError as error:
            is_limit = error.errno in (errno.ENOSPC, errno.EMFILE)
            raise WatchLostError(_reason(error), is_limit=is_limit) from error
        except RuntimeError as error:  # what watchfiles raises for any other error of the system
            raise WatchLostError(_reason(error), is_limit=_speaks_of_a_limit(error)) from error
        if changes is None:
            raise WatchLostError("watching has ended")
        paths = (os.path.relpath(path, self._root) for _, path in changes)
        return {path for path in paths if _matters(PurePosixPath(path))}

    def close(self) -> None:
        """Stop watching; idempotent."""
        self._changes.close()


def reports_changes(root: Path, table: Path = _MOUNTS) -> bool:
    """Return whether the system reports every change at and below a resolved folder; True where that is unknown."""
    try:
        mounts = dict(_mounts(table.read_text("utf-8", "surrogateescape")))
    except OSError:
        return True
    own = max((point for point in mounts if root.is_relative_to(point)), key=lambda point: len(point.parts), default="")
    below = [point for point in mounts if point.is_relative_to(root)]
    return all(mounts[point] in _REPORTING for point in [own, *below] if isinstance(point, Path))


def _mounts(text: str) -> Iterator[tuple[Path, str]]:
    """Read mountinfo (proc_pid_mountinfo(5)): the fifth field is the mount point, the type follows a lone hyphen."""
    for line in text.splitlines():
        fields, _, rest = line.partition(" - ")
        point = fields.split(" ")[4]
        yield Path(_ESCAPED.sub(lambda found: chr(int(found[1], 8)), point)), rest.split(" ")[0]


def _identity(root: Path) -> tuple[int, int]:
    status = root.stat()
    return status.st_dev, status.st_ino


def _reason(error: OSError | RuntimeError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _speaks_of_a_limit(error: RuntimeError) -> bool:
    return "limit reached" in str(error) or "No space left" in str(error) or "Too many open files" in str(error)


def _matters(path: PurePosixPath) -> bool:
    """Return whether a scan would look at it: not in a hidden folder or one of a storage system."""
    return not any(is_foreign(part) for part in path.parts[:-1]) and (
        is_ignore_file(path.name) or not is_foreign(path.name)
    )
