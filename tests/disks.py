"""Simulated disks under the real storage code: SQLite file systems that fail on demand, or lose power."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from pathlib import Path
from random import Random
from typing import NamedTuple

import apsw

_numbers = count(1)


class FaultyDisk(apsw.VFS):
    """A disk that works unless `sync_error`, `write_error` or `checkpoint_error` is set to an SQLite result code.

    A checkpoint error affects only syncs of the database file itself, which nothing but a checkpoint does.
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
        return True  # the failure reaches the caller as a result code; do not print it, too


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


# Power loss

SECTOR = 512  # bytes; the unit in which a disk writes


class Write(NamedTuple):
    """A write of `data` at `offset` to file number `file`. Without data, the file was truncated to this length."""

    file: int
    offset: int
    data: bytes | None


class Sync(NamedTuple):
    """From here on, everything done to this file before is durable, and so is its name."""

    file: int


class Name(NamedTuple):
    """From here on `name` is file number `file`, or no file. A removal can be durable immediately."""

    name: str
    file: int | None
    lasts: bool = False


class Found(NamedTuple):
    """The disk has file number `file` from the beginning, with this content."""

    name: str
    file: int
    content: bytes


class Told(NamedTuple):
    """A caller was told something that must hold from now on."""

    what: object


Event = Write | Sync | Name | Found | Told


class RecordingDisk(apsw.VFS):
    """A disk that works, and records in `events` what was done to it, in order.

    Names are without folders. SQLite's file system syncs the folder when it first syncs a log or journal that it has
    created, so the first sync of a file makes its name durable, too. The shared memory beside a log is not recorded:
    the first process that opens the database rebuilds it.
    """

    def __init__(self) -> None:
        self.vfs = f"recording-{next(_numbers)}"
        self.events: list[Event] = []
        self._files: dict[str, int] = {}
        self._lock = threading.Lock()
        super().__init__(self.vfs, base="")

    def holds(self, path: Path) -> None:
        """Record a file that exists already; it is durable."""
        number = self._files[path.name] = next(_numbers)
        self.note(Found(path.name, number, path.read_bytes()))

    def tell(self, what: object) -> None:
        """Record that a caller was told something."""
        self.note(Told(what))

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - apsw's name
        if name is None:  # a temporary file, deleted when it is closed
            return apsw.VFSFile("", name, flags)
        path = Path(name.filename() if isinstance(name, apsw.URIFilename) else name)
        file = RecordingFile(self, name, flags)
        with self._lock:
            file.number = self._file(path.name)
        return file

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802, FBT001 - apsw's name and call
        super().xDelete(filename, syncdir)
        with self._lock:
            name = Path(filename).name
            if self._files.pop(name, None) is not None:
                self.events.append(Name(name, None, lasts=bool(syncdir)))

    def note(self, event: Event) -> None:
        with self._lock:
            self.events.append(event)

    def _file(self, name: str) -> int:
        if name not in self._files:
            self._files[name] = next(_numbers)
            self.events.append(Name(name, self._files[name]))
        return self._files[name]


class RecordingFile(apsw.VFSFile):
    def __init__(self, disk: RecordingDisk, name: str | apsw.URIFilename, flags: list[int]) -> None:
        self._disk = disk
        self.number = 0
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - apsw's name
        super().xWrite(data, offset)
        self._disk.note(Write(self.number, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - apsw's name
        super().xTruncate(newsize)
        self._disk.note(Write(self.number, newsize, None))

    def xSync(self, flags: int) -> None:  # noqa: N802 - apsw's name
        super().xSync(flags)
        self._disk.note(Sync(self.number))


@contextmanager
def recording_disk() -> Iterator[RecordingDisk]:
    """A disk with an empty record; close every database on it before leaving."""
    disk = RecordingDisk()
    yield disk
    disk.unregister()


class Loss(StrEnum):
    """What happens to unsynced writes when the power fails."""

    ALL = "all of it is lost"
    SOME = "some of it is kept, in any order"
    TORN = "some of its sectors are kept, some of them in part, and where there was nothing stands anything"


@dataclass
class _File:
    lasting: bytearray = field(default_factory=bytearray)
    unsynced: list[Write] = field(default_factory=list[Write])

    def sync(self) -> None:
        for write in self.unsynced:
            _apply(self.lasting, write)
        self.unsynced = []

    def after(self, loss: Loss, random: Random) -> bytes:
        content = bytearray(self.lasting)
        kept = [write for write in self.unsynced if random.random() < 0.5] if loss is not Loss.ALL else []
        if loss is Loss.SOME:
            random.shuffle(kept)
        elif loss is Loss.TORN:
            kept = [part for write in self.unsynced for part in _torn(write, len(content), random)]
        for write in kept:
            _apply(content, write)
        return bytes(content)


def _apply(content: bytearray, write: Write) -> None:
    _, offset, data = write
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    if data is None:
        del content[offset:]
    else:
        content[offset : offset + len(data)] = data


def _torn(write: Write, length: int, random: Random) -> Iterator[Write]:
    """Yield what a torn write leaves of it, in a file of which this many bytes are durable."""
    if write.data is None:
        if random.random() < 0.5:
            yield write
        return
    end = write.offset + len(write.data)
    start = write.offset
    while start < end:
        stop = min(end, start - start % SECTOR + SECTOR)
        sector = write.data[start - write.offset : stop - write.offset]
        chance = random.random()
        if chance < 0.1:
            written = random.randrange(len(sector) + 1)
            yield Write(write.file, start, sector[:written] + random.randbytes(len(sector) - written))
        elif chance < 0.55:
            yield Write(write.file, start, sector)
        elif start >= length and chance < 0.75:
            yield Write(write.file, start, random.randbytes(len(sector)))  # what the disk held of an older file
        start = stop


class Disk:
    """What is durable, and what is not yet, while a record is replayed."""

    def __init__(self) -> None:
        self._files: dict[int, _File] = {}
        self._names: dict[str, int | None] = {}
        self._unsynced: list[Name] = []

    def play(self, event: Event) -> None:
        if isinstance(event, Write):
            self._files.setdefault(event.file, _File()).unsynced.append(event)
        elif isinstance(event, Sync):
            self._files.setdefault(event.file, _File()).sync()
            if any(name.file == event.file for name in self._unsynced):
                self._sync_names()
        elif isinstance(event, Name):
            self._unsynced.append(event)
            if event.lasts:
                self._sync_names()
        elif isinstance(event, Found):
            self._files[event.file] = _File(bytearray(event.content))
            self._names[event.name] = event.file

    def after(self, loss: Loss, random: Random) -> dict[str, bytes]:
        """Return the files that exist when the power is back."""
        # Changes of a folder become durable in order, however many of them do.
        kept = 0 if loss is Loss.ALL else random.randint(0, len(self._unsynced))
        names = self._names | {name: file for name, file, _ in self._unsynced[:kept]}
        return {
            name: self._files.get(file, _File()).after(loss, random) for name, file in names.items() if file is not None
        }

    def _sync_names(self) -> None:
        self._names |= {name: file for name, file, _ in self._unsynced}
        self._unsynced = []


def losses_of_power(events: Iterable[Event], seeds: Iterable[int]) -> Iterator[tuple[list[object], dict[str, bytes]]]:
    """Replay a record, with a power loss before every sync and at the end, in each way of losing data, for each seed.

    Yields what callers had been told until then, and the files that exist afterwards.
    """
    seeds = list(seeds)
    disk = Disk()
    told: list[object] = []
    number = 0
    for event in [*events, Sync(-1)]:
        if isinstance(event, Sync):
            for loss in Loss:
                for seed in seeds if loss is not Loss.ALL else seeds[:1]:
                    yield told, disk.after(loss, Random(f"{seed} {number} {loss}"))  # noqa: S311 - to be repeated
            number += 1
        elif isinstance(event, Told):
            told.append(event.what)
        disk.play(event)
