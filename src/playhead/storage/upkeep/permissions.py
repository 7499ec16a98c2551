"""Keeps the files of an installation readable only by their owner. Knows modes, not what the files mean."""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

FOLDER_MODE = 0o700
FILE_MODE = 0o600
_OF_OTHERS = 0o077


class WidePath(NamedTuple):
    """A folder or file that other users can access, and its mode."""

    path: Path
    mode: int

    def __str__(self) -> str:
        return f"{self.path} ({self.mode:04o})"


def private_paths(data: Path, database: Path | None, backups: Path) -> Iterator[Path]:
    """Return what must be private to the owner: the data folder with its own files, the database, and the backups.

    Folders elsewhere, such as a share for backups, are the responsibility of whoever chose them. Symbolic links are
    left out.
    """
    yield data
    folders = [data]
    if backups.is_relative_to(data):
        yield backups
        folders.append(backups)
    for folder in folders:
        yield from _files(folder)
    if database is not None and database.parent != data:
        yield from (each for each in _files(database.parent) if _is_part(each.name, database.name))


def find_wide(paths: Iterable[Path]) -> list[WidePath]:
    """Return those of these paths that other users can access. Missing ones are left out."""
    found: list[WidePath] = []
    for path in paths:
        try:
            mode = stat.S_IMODE(path.stat(follow_symlinks=False).st_mode)
        except OSError:
            continue
        if mode & _OF_OTHERS:
            found.append(WidePath(path, mode))
    return found


def narrow(paths: Iterable[Path]) -> Iterator[WidePath]:
    """Remove the access of other users, and yield the paths that had it; other users' files are skipped."""
    for wide in find_wide(paths):
        try:
            wide.path.chmod(FOLDER_MODE if wide.path.is_dir() else FILE_MODE)
        except OSError:
            continue
        yield wide


def open_private(path: Path) -> IO[bytes]:
    """Open a file for writing that only its owner can read, whatever the umask or an existing file's mode."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    os.fchmod(descriptor, FILE_MODE)
    return os.fdopen(descriptor, "wb")


def _files(folder: Path) -> Iterator[Path]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    yield from (Path(entry.path) for entry in entries if entry.is_file(follow_symlinks=False))


def _is_part(name: str, database: str) -> bool:
    """Return whether a file is the database, its log, or the backup of an upgrade."""
    return name == database or name.startswith((f"{database}-", f"{database}.backup-"))
