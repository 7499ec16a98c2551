"""Upgrades a database file to this program's schema: backs it up, then migrates in one transaction, or refuses.

Loads Alembic only if there is something to migrate, because a server must start quickly.
"""

import logging
import os
import re
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import apsw
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from playhead.domain.model import Instant, moment_of
from playhead.storage.engine import apsw_dbapi
from playhead.storage.engine.database import StorageRefused
from playhead.storage.engine.sqlite import Patience, engine_connections, open_writer
from playhead.storage.engine.sqlite_requirements import require_local_folder, require_sound_library
from playhead.storage.migrations import HEAD
from playhead.storage.upkeep.copying import copy_database

log = logging.getLogger("playhead.storage.migrations")
"""What an upgrade does, and in a long one how far it is: the server's log, and `playhead db upgrade`, show it."""

KEPT_BACKUPS = 3

# How long a command or a second server waits for a migration: longer than copying a large file takes.
_PATIENCE_S = 120.0


@dataclass(frozen=True)
class Upgrade:
    """The result of `upgrade`: the revisions before (None: no database) and after, and the backup, if any."""

    before: str | None
    after: str
    backup: Path | None


@dataclass(frozen=True)
class Migrations:
    """A folder of Alembic revisions, and the newest of them."""

    scripts: Path = Path(__file__).parent
    head: str = HEAD


def upgrade(path: Path, *, now: Instant, migrations: Migrations | None = None) -> Upgrade:
    """Upgrade the database file at `path`, creating file and folder if they are missing.

    An older database is first copied to `<name>.backup-<revision>-<UTC>` beside it; the last three copies are kept.
    Everything happens under the write lock and in one transaction: a failure leaves the database as it was, and of two
    processes one migrates and the other waits. Idempotent, and quick if nothing is to be done. Blocks. Raises
    StorageRefused for a database that is newer, foreign, damaged or read-only.
    """
    migrations = migrations or Migrations()
    require_sound_library()
    path = path.absolute()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        require_local_folder(path.parent)
        # Hashes of passwords and tokens are inside. SQLite gives its -wal and -shm files the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        if _glance(path) == migrations.head:
            return Upgrade(migrations.head, migrations.head, None)
        return _upgrade(path, now, migrations)
    except (apsw_dbapi.Error, DBAPIError, OSError) as error:
        raise StorageRefused(f"The database {path} cannot be used: {error}") from error


def _glance(path: Path) -> str | None:
    with closing(apsw_dbapi.connect(str(path), flags=apsw.SQLITE_OPEN_READWRITE)) as connection:
        connection.driver.set_busy_handler(Patience(_PATIENCE_S))
        return read_revision(connection, path)


def read_revision(connection: apsw_dbapi.Connection, path: Path) -> str | None:
    """Return the revision of the schema, or None for an empty database. Raises StorageRefused for any other."""
    try:
        tables = {name for (name,) in connection.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        if not tables:
            return None
        if tables >= {"alembic_version", "account", "progress"}:
            revisions = connection.rows("SELECT version_num FROM alembic_version")
            if len(revisions) == 1:
                return str(revisions[0][0])
    except apsw_dbapi.DatabaseError as error:
        if error.code != apsw.SQLITE_NOTADB:
            raise
    raise StorageRefused(f"{path} is not a Playhead database. Choose another data folder, or move that file away.")


def _upgrade(path: Path, now: Instant, migrations: Migrations) -> Upgrade:
    writer = open_writer(path, Patience(_PATIENCE_S))
    with closing(writer), engine_connections(writer)[0] as connection:
        # Off, or rebuilding a table would delete what refers to it. It cannot be changed inside the transaction.
        writer.rows("PRAGMA foreign_keys = OFF")
        with connection.begin():
            before = read_revision(writer, path)  # again: another process may have migrated while this one waited
            if before == migrations.head:
                return Upgrade(before, migrations.head, None)
            backup = None
            if before is not None:
                require_known(path, before, migrations)
                log.info("Copying the database before it is upgraded from schema %s to %s", before, migrations.head)
                backup = _back_up(path, before, now)
                log.info("Copied it to %s; upgrading", backup)
            migrate(connection, migrations)
            broken = writer.rows("PRAGMA foreign_key_check")
            if broken:
                raise StorageRefused(
                    f"Upgrading {path} would break references in {sorted({row[0] for row in broken})}."
                )
        if before is not None:
            log.info("The database has been upgraded to schema %s", migrations.head)
        return Upgrade(before, migrations.head, backup)


def require_known(database: Path | str, revision: str, migrations: Migrations) -> None:
    """Raise StorageRefused if this version does not know the revision of a database."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - slow to import, and rarely needed

    known = {script.revision for script in ScriptDirectory(str(migrations.scripts)).walk_revisions()}
    if revision not in known:
        raise StorageRefused(
            f"{database} was written by a newer version of Playhead: its schema is {revision}, and this version knows "
            f"schemas up to {migrations.head}. Install that version again, or restore a backup made before."
        )


def migrate(connection: Connection, migrations: Migrations) -> None:
    """Bring the schema to the newest revision, in the transaction that the connection is in."""
    from alembic import command  # noqa: PLC0415 - slow to import, and rarely needed
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(migrations.scripts).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, migrations.head)


def _back_up(path: Path, revision: str, now: Instant) -> Path:
    target = path.with_name(f"{path.name}.backup-{revision}-{moment_of(now):%Y%m%dT%H%M%SZ}")
    copy_database(path, target)
    for old in sorted(_backups(path), key=_made_at)[:-KEPT_BACKUPS]:
        old.unlink(missing_ok=True)
    return target


def _backups(path: Path) -> list[Path]:
    pattern = re.compile(re.escape(path.name) + r"\.backup-\w+-\d{8}T\d{6}Z")
    return [entry for entry in path.parent.iterdir() if pattern.fullmatch(entry.name)]


def _made_at(backup: Path) -> str:
    return backup.name.rpartition("-")[2]
