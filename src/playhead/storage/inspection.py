"""What can be said of a database file from outside, without upgrading or changing it. Decides nothing."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import apsw
from sqlalchemy import Connection, delete, false

from playhead.domain.model import Instant
from playhead.storage import apsw_dbapi
from playhead.storage.migrations import HEAD
from playhead.storage.schema import sign_in_failure
from playhead.storage.sqlite import filesystem_type, is_network_filesystem, is_wal_sound

_PATIENCE_MS = 5000


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """A database file and what lies under it; sizes in bytes.

    `revision` is the schema's, None where there is no database yet; `fault` says why the file cannot be read.
    `newest_at` is the latest time of receipt that it holds, `library_folders` are those that scans look through.
    """

    sqlite_version: str
    is_sqlite_sound: bool
    filesystem: str | None
    is_network: bool
    exists: bool
    size: int
    log_size: int
    head: str
    revision: str | None = None
    fault: str | None = None
    newest_at: Instant | None = None
    library_folders: tuple[str, ...] = ()


def touch(connection: Connection) -> None:
    """Write, and change nothing: fails where the store cannot be written."""
    connection.execute(delete(sign_in_failure).where(false()))


def inspect(path: Path) -> StoreFacts:
    """Look at the database file at `path`, which need not exist. Never raises for what it finds."""
    folder = next(parent for parent in path.parents if parent.exists())
    try:
        mountinfo = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
    except OSError:
        mountinfo = ""
    filesystem = filesystem_type(folder.resolve(), mountinfo)
    content, fault = _Content(), None
    if path.exists():
        try:
            content = _read(path)
        except apsw_dbapi.Error as error:
            fault = str(error)
    return StoreFacts(
        sqlite_version=apsw_dbapi.sqlite_version,
        is_sqlite_sound=is_wal_sound(apsw_dbapi.sqlite_version_info),
        filesystem=filesystem,
        is_network=is_network_filesystem(filesystem),
        exists=path.exists(),
        size=_size(path),
        log_size=log_size(path),
        head=HEAD,
        revision=content.revision,
        fault=fault,
        newest_at=content.newest_at,
        library_folders=content.library_folders,
    )


def log_size(path: Path) -> int:
    """Return how many bytes the write-ahead log of the database at `path` takes; 0 where there is none."""
    return _size(path.with_name(f"{path.name}-wal"))


class _Content(NamedTuple):
    revision: str | None = None
    newest_at: Instant | None = None
    library_folders: tuple[str, ...] = ()


def _read(path: Path) -> _Content:
    with closing(apsw_dbapi.connect(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        connection.driver.set_busy_timeout(_PATIENCE_MS)
        tables = {name for (name,) in connection.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        if not {"alembic_version", "account", "progress", "library"} <= tables:
            if tables:
                raise apsw_dbapi.DatabaseError("it is no database of Playhead's")
            return _Content()
        times = connection.rows(
            "SELECT max(created_at) FROM account UNION ALL SELECT max(last_watched_at) FROM progress"
        )
        known = [Instant(at) for (at,) in times if at is not None]
        return _Content(
            connection.rows("SELECT version_num FROM alembic_version")[0][0],
            max(known) if known else None,
            tuple(folder for (folder,) in connection.rows("SELECT path FROM library WHERE path IS NOT NULL")),
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
