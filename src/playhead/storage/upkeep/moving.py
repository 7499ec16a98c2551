"""Copies an installation from one engine to the other: all rows, each compared, or none. Decides nothing."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any

import apsw
import psycopg
from sqlalchemy import ColumnElement, Connection, Table, Text, delete, func, insert, inspect, select, text, true, tuple_
from sqlalchemy.exc import DBAPIError

from playhead.domain.accounts import TokenKind
from playhead.domain.model import Instant
from playhead.storage.engine import apsw_dbapi
from playhead.storage.engine.database import Row, StorageRefused
from playhead.storage.engine.postgres import PsycopgConnection, described, make_engine
from playhead.storage.engine.sqlite import Patience, engine_connections
from playhead.storage.engine.sqlite_requirements import require_local_folder, require_sound_library
from playhead.storage.migrations import HEAD
from playhead.storage.migrations import postgres as migrations
from playhead.storage.migrations.upgrade import upgrade
from playhead.storage.schema import metadata, token
from playhead.storage.upkeep.copying import partial_file

Location = Path | str
"""A database: an SQLite file, or a PostgreSQL URL."""

ReportProgress = Callable[[int, int], None]

_PATIENCE_S = 120.0
_ROWS_AT_ONCE = 2000


def move(source: Location, target: Location, show: ReportProgress) -> int:
    """Copy every row of one database into another, compare each, and return their number.

    The source may be in use and is not changed; the copy is one snapshot. The target must be a file that does not
    exist, or an empty PostgreSQL database; it gets all rows or none. `show` gets the progress: rows copied and
    compared, total. Raises StorageRefused for a source with another schema, any other target, and a row that cannot be
    stored or differs when read back.
    """
    try:
        with _reading(source) as read, _writing(target) as write:
            counts = {table: _count(read, table) for table in metadata.sorted_tables}
            rows = sum(counts.values())
            done = 0

            def note(more: int) -> None:
                nonlocal done
                done += more
                show(done, 2 * rows)

            for table in counts:
                _fill(table, read, write, note)
            for table in counts:
                _compare(table, read, write, note)
    except (DBAPIError, psycopg.Error, apsw_dbapi.Error, OSError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        reason = str(cause).strip().partition("\n")[0]
        raise StorageRefused(f"{_name(source)} cannot be copied to {_name(target)}: {reason}") from error
    return rows


def _name(place: Location) -> str:
    return described(place) if isinstance(place, str) else str(place)


# The source


@contextmanager
def _reading(place: Location) -> Generator[Connection]:
    """Yield a connection in a transaction with one snapshot of a database of this program's schema."""
    opened = _reading_server(place) if isinstance(place, str) else _reading_file(place)
    with opened as connection:
        if "alembic_version" not in inspect(connection).get_table_names():
            raise StorageRefused(f"{_name(place)} is not a Playhead database")
        revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        if revision != HEAD:
            raise StorageRefused(
                f"The schema of {_name(place)} is {revision}, and this program knows {HEAD}. "
                "Run `playhead db upgrade` of the newest version on it first."
            )
        yield connection


@contextmanager
def _reading_file(path: Path) -> Generator[Connection]:
    if not path.is_file():
        raise StorageRefused(f"There is no database at {path}")
    with closing(apsw_dbapi.connect(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as reader:
        reader.driver.set_busy_handler(Patience(_PATIENCE_S))
        [connection] = engine_connections(reader)
        with connection, connection.begin():
            yield connection


@contextmanager
def _reading_server(url: str) -> Generator[Connection]:
    with _connected(url, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY") as connection:
        yield connection


@contextmanager
def _connected(url: str, begin: str) -> Generator[Connection]:
    """Yield a connection in a transaction without a time limit; commit it at the end."""
    engine = make_engine(url)
    try:
        with engine.connect() as connection, connection.begin():
            connection.execute(text(begin))
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            yield connection
    finally:
        engine.dispose()


# The target


@contextmanager
def _writing(place: Location) -> Generator[Connection]:
    """Yield a connection to an empty database in a transaction, durable at the end."""
    opened = _writing_server(place) if isinstance(place, str) else _writing_file(place)
    with opened as connection:
        yield connection


@contextmanager
def _writing_file(path: Path) -> Generator[Connection]:
    if path.exists():
        raise StorageRefused(f"{path} exists already. Choose another file, or move that one away.")
    require_sound_library()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    require_local_folder(path.absolute().parent)
    with partial_file(path) as partial:
        upgrade(partial, now=Instant(0))
        with closing(apsw_dbapi.connect(str(partial), begin_mode="IMMEDIATE")) as writer:
            # A crash loses only the partial file, and all of it is synced below.
            writer.rows("PRAGMA journal_mode = DELETE")
            writer.rows("PRAGMA synchronous = OFF")
            writer.rows("PRAGMA foreign_keys = ON")
            [connection] = engine_connections(writer)
            with connection, connection.begin():
                yield connection


@contextmanager
def _writing_server(url: str) -> Generator[Connection]:
    migrations.upgrade(url)
    tables = ", ".join(f'"{table.name}"' for table in metadata.sorted_tables)
    # Nobody else may write meanwhile: a server on it would find half an installation, and add to it.
    with _connected(url, f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE") as connection:
        # The link that a start on an empty database prints leads to nothing worth keeping.
        connection.execute(delete(token).where(token.c.kind == TokenKind.SETUP.value))
        for table in metadata.sorted_tables:
            if _count(connection, table):
                raise StorageRefused(
                    f"{described(url)} is not empty: there are rows in {table.name}. Choose an empty database."
                )
        yield connection


# Rows


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _fill(table: Table, source: Connection, target: Connection, note: Callable[[int], None]) -> None:
    for condition in _in_order_of_reference(table):
        for page in _pages(table, source, condition):
            _insert(table, target, page)
            note(len(page))


def _in_order_of_reference(table: Table) -> Sequence[ColumnElement[bool]]:
    """Parents come before the rows of the same table that refer to them."""
    own = [key.parent for key in table.foreign_keys if key.column.table is table]
    return [condition for column in own for condition in (column.is_(None), column.is_not(None))] or [true()]


def _insert(table: Table, target: Connection, rows: Sequence[Row]) -> None:
    names = [column.name for column in table.c]
    direct = target.connection.dbapi_connection
    if isinstance(direct, PsycopgConnection):
        direct.load(table.name, names, rows)
    else:
        target.execute(insert(table), [dict(zip(names, row, strict=True)) for row in rows])


def _compare(table: Table, source: Connection, target: Connection, note: Callable[[int], None]) -> None:
    """Read everything again, from both databases, in key order."""
    for expected, found in zip_longest(_pages(table, source), _pages(table, target), fillvalue=()):
        if expected != found:
            pairs = zip_longest(expected, found)
            row = next(one or other for one, other in pairs if one != other)
            key = ", ".join(f"{column.name}={row[table.c.values().index(column)]}" for column in table.primary_key)
            raise StorageRefused(f"A row of {table.name} is not the same in the copy ({key}). Nothing was copied.")
        note(len(expected))


def _pages(
    table: Table, connection: Connection, condition: ColumnElement[bool] | None = None
) -> Iterator[Sequence[Row]]:
    """Yield all rows in key order, which is the same on every engine, without loading all of them."""
    keys = [_sortable(column, connection.dialect.name) for column in table.primary_key]
    places = [table.c.values().index(column) for column in table.primary_key]
    page = select(table).order_by(*keys).limit(_ROWS_AT_ONCE)
    if condition is not None:
        page = page.where(condition)
    rows: Sequence[Row] = [tuple(row) for row in connection.execute(page)]
    while rows:
        yield rows
        last = [rows[-1][place] for place in places]
        further = page.where(tuple_(*keys) > tuple_(*last, types=[column.type for column in table.primary_key]))
        rows = [tuple(row) for row in connection.execute(further)]


def _sortable(column: ColumnElement[Any], dialect: str) -> ColumnElement[Any]:
    # By code point, as SQLite compares, whatever the server's locale.
    return column.collate("C") if dialect == "postgresql" and isinstance(column.type, Text) else column
