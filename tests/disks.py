"""Simulated disks: SQLite file systems that fail when a test tells them to, under the real storage code."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import apsw

_numbers = count(1)


class FaultyDisk(apsw.VFS):
    """A disk that works unless `sync_error`, `write_error` or `checkpoint_error` is set to an SQLite result code.

    A checkpoint error hits only what is synced of the database itself, which nothing but a checkpoint does.
    """

    def __init__(self) -> None:
        self.vfs = f"faulty-{next(_numbers)}"
        self.sync_error: int | None = None
        self.write_error: int | None = None
        self.checkpoint_error: int | None = None
        self.syncs = 0
        super().__init__(self.vfs, base="")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> "FaultyFile":  # noqa: N802 - apsw's name
        return FaultyFile(self, name, flags)

    def excepthook(self, *_exception: object) -> bool:
        return True  # the failure reaches the caller as a result code; nothing is to be printed


class FaultyFile(apsw.VFSFile):
    def __init__(self, disk: FaultyDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        self._is_database = bool(flags[0] & apsw.SQLITE_OPEN_MAIN_DB)
        super().__init__("", name, flags)

    def xSync(self, flags: int) -> None:  # noqa: N802 - apsw's name
        self._disk.syncs += 1
        if self._disk.sync_error is not None:
            raise apsw.exception_for(self._disk.sync_error)
        if self._disk.checkpoint_error is not None and self._is_database:
            raise apsw.exception_for(self._disk.checkpoint_error)
        super().xSync(flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - apsw's name
        if self._disk.write_error is not None:
            raise apsw.exception_for(self._disk.write_error)
        super().xWrite(data, offset)

    def excepthook(self, *_exception: object) -> bool:
        return True


@contextmanager
def faulty_disk() -> Iterator[FaultyDisk]:
    """A disk that works at first; close every database on it before leaving."""
    disk = FaultyDisk()
    yield disk
    disk.unregister()
