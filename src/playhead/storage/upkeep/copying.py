"""Copies of an SQLite database that may be in use: complete, verified, durable, or none at all."""

import os
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw

from playhead.storage.engine import apsw_dbapi
from playhead.storage.engine.database import StorageRefused
from playhead.storage.engine.sqlite import Patience

# How long a copy waits for a migration or a recovery of the log: longer than these take with a large file.
_PATIENCE_S = 120.0

_PAGES_AT_ONCE = 4096

_INSTRUCTIONS_BETWEEN_CALLS = 100_000  # of SQLite's virtual machine

SUFFIXES = ("", "-wal", "-shm", "-journal")
"""What SQLite adds to a database's name for the files that belong to it."""


def back_up(
    source: Path,
    target: Path,
    *,
    force: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> int:
    """Copy a database that may be in use to `target`, check the copy thoroughly, and return its size in bytes.

    The source is not upgraded. Raises StorageRefused if there is no database, if `target` exists (without `force`), is
    the database itself or cannot be written, and if the copy is not sound.
    """
    if not source.is_file():
        raise StorageRefused(f"There is no database at {source}")
    own = {source.with_name(source.name + suffix).resolve() for suffix in SUFFIXES}
    if target.resolve() in own:
        raise StorageRefused(f"{target} is the database itself. Choose another file.")
    if target.is_dir():
        raise StorageRefused(f"{target} is a folder. Name a file in it.")
    if target.exists() and not force:
        raise StorageRefused(f"{target} exists already. Choose another file, or replace it with --force.")
    try:
        copy_database(source, target, thorough=True, progress=progress)
        return target.stat().st_size
    except OSError as error:
        raise StorageRefused(f"{target} cannot be written: {error.strerror}") from error
    except apsw_dbapi.Error as error:
        raise StorageRefused(f"{source} cannot be copied to {target}: {error}") from error


def copy_database(
    source: Path,
    target: Path,
    *,
    thorough: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> None:
    """Copy a database that may be in use to `target`, replacing it; on return the copy is whole, checked and durable.

    The copy is one snapshot and blocks nobody: writers continue, into a log that grows meanwhile. `target` gets its
    name only when it is complete, and is a single file that needs no log. Readable by its owner only. `thorough`: every
    index is compared with its table, too, which takes several times as long. `progress` gets the copied and the total
    pages, and further calls during the check; an exception that it raises aborts the copy. Raises `apsw_dbapi.Error`,
    OSError, or StorageRefused if the copy does not pass SQLite's check.
    """
    with partial_file(target) as partial:
        os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        # Without locks: nobody else knows the partial file, and a network folder, a good place for it, has none.
        with closing(apsw_dbapi.connect(str(partial), vfs="unix-none")) as writer:
            writer.rows("PRAGMA locking_mode = EXCLUSIVE")  # or the copy, which is in WAL mode at first, needs locks
            # A crash loses only the partial file, and all of it is synced below, after the log has been released.
            writer.rows("PRAGMA synchronous = OFF")
            _copy(source, writer, progress)
            writer.rows("PRAGMA journal_mode = DELETE")
            pages = writer.rows("PRAGMA page_count")[0][0]
            writer.driver.set_progress_handler(lambda: progress(pages, pages) or False, _INSTRUCTIONS_BETWEEN_CALLS)
            found = writer.rows(f"PRAGMA {'integrity_check' if thorough else 'quick_check'}(1)")
        if found != [("ok",)]:
            raise StorageRefused(f"{source} is damaged: {found[0][0]}")


@contextmanager
def partial_file(target: Path) -> Generator[Path]:
    """Give the block another name for `target`; what it wrote there durably replaces `target`, if it raises nothing."""
    partial = target.with_name(f"{target.name}.partial")
    remove_files(partial)  # of an earlier attempt that was interrupted
    try:
        yield partial
        sync(partial)
        partial.replace(target)
        sync(target.parent)
    except BaseException:
        remove_files(partial)
        raise


def _copy(source: Path, writer: apsw_dbapi.Connection, progress: Callable[[int, int], None]) -> None:
    with closing(apsw_dbapi.connect(str(source), flags=apsw.SQLITE_OPEN_READONLY)) as reader:
        reader.driver.set_busy_handler(Patience(_PATIENCE_S))
        # Without a transaction around all steps, the copy would restart at every write between two of them.
        reader.begin()
        reader.rows("SELECT count(*) FROM sqlite_schema")
        try:
            with writer.driver.backup("main", reader.driver, "main") as backup:
                while not backup.done:
                    backup.step(_PAGES_AT_ONCE)
                    progress(backup.page_count - backup.remaining, backup.page_count)
        except apsw_dbapi.FAILURES as error:
            raise writer.failed(error) from error


def remove_files(database: Path) -> None:
    """Remove a database and its log, if they exist."""
    for suffix in SUFFIXES:
        database.with_name(database.name + suffix).unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Make a file, or the names in a folder, durable."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
