"""Inspection of a database from outside, without upgrading or changing it. Decides nothing."""

from contextlib import closing
from pathlib import Path
from shutil import disk_usage
from typing import NamedTuple

import apsw
from sqlalchemy import Connection, delete, false, func, inspect, select, text
from sqlalchemy.exc import DBAPIError

from playhead.domain.health import ServerFacts, SqliteFacts
from playhead.domain.model import Instant
from playhead.storage.engine import apsw_dbapi
from playhead.storage.engine.database import StorageRefused
from playhead.storage.engine.sqlite_requirements import filesystem_type, is_network_filesystem, is_wal_sound
from playhead.storage.migrations import HEAD
from playhead.storage.schema import account, library, progress, sign_in_failure

_PATIENCE_MS = 5000
_REMOVED = "removed_at"  # the column of removed libraries, whose folders nobody needs; older schemas have none


def touch(connection: Connection) -> None:
    """Write without changing anything: fails if the store cannot be written."""
    connection.execute(delete(sign_in_failure).where(false()))


def inspect_file(path: Path) -> SqliteFacts:
    """Inspect the database file at `path`, which need not exist. Faults are never raised."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    try:
        mountinfo = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
    except OSError:
        mountinfo = ""
    filesystem = filesystem_type(folder.resolve(), mountinfo)
    content = _Content()
    if path.exists():
        try:
            content = _read(path)
        except apsw_dbapi.Error as error:
            content = _Content(fault=str(error))
    return SqliteFacts(
        **content._asdict(),
        head=HEAD,
        sqlite_version=apsw_dbapi.sqlite_version,
        is_sqlite_sound=is_wal_sound(apsw_dbapi.sqlite_version_info),
        filesystem=filesystem,
        is_network=is_network_filesystem(filesystem),
        free_bytes=disk_usage(folder).free,
        log_bytes=log_size(path),
    )


_SERVER = text(
    "SELECT current_setting('server_version'), current_setting('server_version_num')::int / 10000, "
    "current_setting('fsync'), current_setting('full_page_writes'), "
    "pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on', "
    "current_setting('max_connections')::int, "
    "(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'), "
    "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
)


def inspect_server(url: str) -> ServerFacts:
    """Inspect a PostgreSQL database. Faults are never raised."""
    # Loaded only where it is used, as everywhere.
    from playhead.storage.engine.postgres import described, make_engine, reason  # noqa: PLC0415
    from playhead.storage.migrations.postgres import OLDEST_MAJOR  # noqa: PLC0415

    try:
        server, engine = described(url), make_engine(url)
    except StorageRefused as error:
        return ServerFacts(server="", head=HEAD, fault=str(error))
    try:
        with engine.connect() as connection:
            version, major, fsync, full_pages, is_read_only, most, used, clock = connection.execute(_SERVER).one()
            content = _read_server(connection)
    except DBAPIError as error:
        return ServerFacts(server=server, head=HEAD, fault=reason(error))
    finally:
        engine.dispose()
    syncing = (("fsync", fsync), ("full_page_writes", full_pages))
    return ServerFacts(
        **content._asdict(),
        head=HEAD,
        server=server,
        version=version,
        is_new_enough=major >= OLDEST_MAJOR,
        unsafe_settings=tuple(name for name, value in syncing if value != "on"),
        is_read_only=is_read_only,
        connections_free=most - used,
        connections_max=most,
        clock=Instant(clock),
    )


def log_size(path: Path) -> int:
    """Return the size in bytes of the write-ahead log of the database at `path`; 0 if there is none."""
    return _size(path.with_name(f"{path.name}-wal"))


class _Content(NamedTuple):
    """The members of StoreFacts that are read from the database itself."""

    revision: str | None = None
    newest_at: Instant | None = None
    library_folders: tuple[str, ...] = ()
    fault: str | None = None


def _read_server(connection: Connection) -> _Content:
    tables = set(inspect(connection).get_table_names())
    if not {"alembic_version", "account", "progress", "library"} <= tables:
        return _Content(fault="it is not a Playhead database" if tables else None)
    times = (select(func.max(account.c.created_at)), select(func.max(progress.c.last_watched_at)))
    known = [at for each in times if (at := connection.execute(each).scalar()) is not None]
    folders = select(library.c.path).where(library.c.path.is_not(None))
    if any(column["name"] == _REMOVED for column in inspect(connection).get_columns("library")):
        folders = folders.where(library.c.removed_at.is_(None))
    return _Content(
        connection.execute(text("SELECT version_num FROM alembic_version")).scalar(),
        max(known) if known else None,
        tuple(connection.scalars(folders)),
    )


def _read(path: Path) -> _Content:
    with closing(apsw_dbapi.connect(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        connection.driver.set_busy_timeout(_PATIENCE_MS)
        tables = {name for (name,) in connection.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        if not {"alembic_version", "account", "progress", "library"} <= tables:
            if tables:
                raise apsw_dbapi.DatabaseError("it is not a Playhead database")
            return _Content()
        times = connection.rows(
            "SELECT max(created_at) FROM account UNION ALL SELECT max(last_watched_at) FROM progress"
        )
        known = [Instant(at) for (at,) in times if at is not None]
        folders = "SELECT path FROM library WHERE path IS NOT NULL"
        if any(name == _REMOVED for (name,) in connection.rows("SELECT name FROM pragma_table_info('library')")):
            folders += " AND removed_at IS NULL"
        return _Content(
            connection.rows("SELECT version_num FROM alembic_version")[0][0],
            max(known) if known else None,
            tuple(folder for (folder,) in connection.rows(folders)),
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
