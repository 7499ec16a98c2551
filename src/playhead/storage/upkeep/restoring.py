"""Replaces a database by a backup: at every moment either the complete old one is there, or the new one."""

import os
import shutil
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import apsw
from sqlalchemy.exc import DBAPIError

from playhead.domain.model import Instant, moment_of
from playhead.storage.engine import apsw_dbapi
from playhead.storage.engine.database import StorageRefused
from playhead.storage.engine.folder_lock import lock_exclusive
from playhead.storage.engine.sqlite import Patience
from playhead.storage.engine.sqlite_requirements import require_local_folder, require_sound_library
from playhead.storage.migrations.upgrade import Migrations, read_revision, require_known
from playhead.storage.upkeep.copying import SUFFIXES, copy_database, remove_files, sync

_PATIENCE_S = 1.0

_IN_USE_CODES = frozenset({apsw.SQLITE_BUSY, apsw.SQLITE_LOCKED})

# SQLite cannot read the file that is replaced, which may be the reason for the restore.
_DAMAGED_CODES = frozenset({apsw.SQLITE_NOTADB, apsw.SQLITE_CORRUPT, apsw.SQLITE_IOERR})


@dataclass(frozen=True, slots=True)
class Restored:
    """The result of a restore: size in bytes and schema revision of the new database, and where the old one is kept."""

    size: int
    revision: str
    kept: Path | None


def restore(
    database: Path,
    backup: Path,
    *,
    now: Instant,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    link: Callable[[Path, Path], None] = os.link,
) -> Restored:
    """Replace `database`, which nobody may be using, by a verified copy of `backup`; durable on return.

    The old one is kept next to it as `<name>.replaced-<UTC time>`. The schema is not upgraded: the next start does
    that. Raises StorageRefused, with nothing changed, if the database is in use, if `backup` is damaged, foreign or
    newer than this program, and if something cannot be written. `link` makes a hard link.
    """
    require_sound_library()
    database = database.resolve()
    try:
        revision = _require_backup(database, backup)
        database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        require_local_folder(database.parent)
        with lock_exclusive(database):
            remove_second_names(database)
            return _restore(database, backup, revision, now, progress, link)
    except OSError as error:
        raise StorageRefused(f"{error.filename or database} cannot be used: {error.strerror}") from error
    except (apsw_dbapi.Error, DBAPIError) as error:
        raise StorageRefused(f"{database} cannot be restored from {backup}: {error}") from error


def remove_second_names(database: Path) -> None:
    """Remove the second name of a database, under which a restore that was killed was about to keep it.

    A database with two names has two logs, which would corrupt it. Nobody may be restoring it meanwhile.
    """
    with suppress(OSError):
        if database.stat().st_nlink == 1:
            return
        for other in database.parent.glob(f"{database.name}.replaced-*"):
            if other.samefile(database):
                other.unlink()


def _require_backup(database: Path, backup: Path) -> str:
    """Return the schema revision of a backup. Raises StorageRefused if it cannot be restored."""
    if not backup.is_file():
        raise StorageRefused(f"There is no backup at {backup}")
    if backup.resolve() in {database.with_name(database.name + suffix) for suffix in SUFFIXES}:
        raise StorageRefused(f"{backup} is the database itself, or belongs to it. Name a backup.")
    try:
        with closing(apsw_dbapi.connect(str(backup), flags=apsw.SQLITE_OPEN_READONLY)) as reader:
            reader.driver.set_busy_handler(Patience(_PATIENCE_S))
            revision = read_revision(reader, backup)
    except apsw_dbapi.Error as error:
        raise StorageRefused(f"{backup} cannot be read: {error}") from error
    if revision is None:
        raise StorageRefused(f"{backup} is empty. Name another backup.")
    require_known(backup, revision, Migrations())
    return revision


def _restore(  # noqa: PLR0913 - the arguments of `restore`
    database: Path,
    backup: Path,
    revision: str,
    now: Instant,
    progress: Callable[[int, int], None],
    link: Callable[[Path, Path], None],
) -> Restored:
    copy = database.with_name(f"{database.name}.restored")
    try:
        copy_database(backup, copy, thorough=True, progress=progress)
        _give_to_owner(copy, database)
        size = copy.stat().st_size
        kept = _free_name(database, now)
        is_kept = _replace(database, copy, kept, link)
    except BaseException:
        remove_files(copy)
        raise
    return Restored(size, revision, kept if is_kept else None)


def _give_to_owner(copy: Path, database: Path) -> None:
    """After a restore by root, let the server's user open the file."""
    if os.geteuid() == 0:
        owner = (database if database.exists() else database.parent).stat()
        os.chown(copy, owner.st_uid, owner.st_gid)


def _free_name(database: Path, now: Instant) -> Path:
    name = f"{database.name}.replaced-{moment_of(now):%Y%m%dT%H%M%SZ}"
    number = 1
    kept = database.with_name(name)
    while any(kept.with_name(kept.name + suffix).exists() for suffix in SUFFIXES):
        number += 1
        kept = database.with_name(f"{name}-{number}")
    return kept


def _replace(database: Path, copy: Path, kept: Path, link: Callable[[Path, Path], None]) -> bool:
    """Replace the database by `copy`; return whether there was one, which then has the name `kept`."""
    if not database.exists() or not _is_put_together(database):
        return _replace_damaged(database, copy, kept)
    try:
        link(database, kept)
    except OSError:  # a file system without hard links
        copy_database(database, kept)
    try:
        sync(database.parent)
        with closing(apsw_dbapi.connect(str(database), flags=apsw.SQLITE_OPEN_READWRITE)) as owner:
            # Other programs than Playhead do not know the folder's lock, but know SQLite's.
            _begin_alone(owner, database)
            copy.replace(database)
            sync(database.parent)
            owner.rollback()
    except BaseException:
        if database.exists() and copy.exists():  # nothing was replaced
            kept.unlink(missing_ok=True)
        raise
    return True


def _is_put_together(database: Path) -> bool:
    """Checkpoint the log, so that the database is one file; return False if SQLite cannot read it.

    Raises StorageRefused if another program has it open.
    """
    if not database.stat().st_size:  # SQLite would remove the log of an empty file
        return False
    try:
        with closing(apsw_dbapi.connect(str(database), flags=apsw.SQLITE_OPEN_READWRITE)) as owner:
            owner.driver.set_busy_handler(Patience(_PATIENCE_S))
            owner.driver.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)  # nor one that does not fit
            owner.rows("PRAGMA synchronous = FULL")
            if owner.rows("PRAGMA journal_mode = DELETE") != [("delete",)]:
                raise _in_use(database)
    except apsw_dbapi.Error as error:
        if error.code in _IN_USE_CODES:
            raise _in_use(database) from error
        if error.code in _DAMAGED_CODES:
            return False
        raise
    return True


def _begin_alone(owner: apsw_dbapi.Connection, database: Path) -> None:
    try:
        owner.rows("BEGIN EXCLUSIVE")
        if owner.rows("PRAGMA journal_mode") != [("delete",)]:
            raise _in_use(database)
    except apsw_dbapi.Error as error:
        if error.code in _IN_USE_CODES:
            raise _in_use(database) from error
        raise


def _in_use(database: Path) -> StorageRefused:
    return StorageRefused(f"Another program has {database} open. End it first.")


def _replace_damaged(database: Path, copy: Path, kept: Path) -> bool:
    """Put `copy` where there is no database, or one that SQLite cannot read, whose log must not affect the new one.

    All of the old one is kept before anything is removed, its log under the matching name.
    """
    belongings = [suffix for suffix in SUFFIXES if database.with_name(database.name + suffix).exists()]
    for suffix in belongings:
        if suffix == "-shm":  # the index of the log, which SQLite recreates
            continue
        _keep_bytes(database.with_name(database.name + suffix), kept.with_name(kept.name + suffix))
    sync(database.parent)
    for suffix in belongings:
        if suffix:
            database.with_name(database.name + suffix).unlink()
    sync(database.parent)
    copy.replace(database)
    sync(database.parent)
    return bool(belongings)


def _keep_bytes(source: Path, target: Path) -> None:
    # No hard link, as for a sound database: a restore that is killed here leaves all of the old one in both places.
    shutil.copyfile(source, target)
    target.chmod(0o600)
    sync(target)
