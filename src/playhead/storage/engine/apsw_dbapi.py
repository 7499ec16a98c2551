"""A DB-API 2.0 (PEP 249) module over apsw, for SQLAlchemy. Knows SQLite's result codes; knows no tables and no policy.

`execute` fetches all rows: a statement is finished when it returns, so that no forgotten cursor can keep a read
snapshot open (which would prevent the write-ahead log from being reset) or block a commit.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias, cast

import apsw

apilevel = "2.0"
threadsafety = 1  # threads may share the module, and pass connections on, but not use them concurrently
paramstyle = "qmark"
sqlite_version = apsw.sqlite_lib_version()
sqlite_version_info = tuple(int(part) for part in sqlite_version.split("."))
version_info = tuple(int(part) for part in apsw.apsw_version().split("."))

Binary = bytes
STRING = str
BINARY = bytes
NUMBER = float
DATETIME = str
ROWID = int

Row: TypeAlias = tuple[Any, ...]
Bindings: TypeAlias = "Sequence[Any] | Mapping[str, Any]"
BeginMode: TypeAlias = Literal["DEFERRED", "IMMEDIATE"]

# After one of these SQLite's view of the file cannot be trusted. The exception is a wal-index that cannot grow: that is
# a full disk, detected before anything was written.
_DAMAGE_CODES = frozenset({apsw.SQLITE_IOERR, apsw.SQLITE_CORRUPT, apsw.SQLITE_NOTADB})


class Warning(Exception):  # noqa: A001, N818 - the name is PEP 249's
    """Never raised; PEP 249 requires it."""


class Error(Exception):
    """Any failure of the database.

    `code` is SQLite's primary result code (such as `apsw.SQLITE_BUSY`) and `extended_code` the extended one (such as
    `apsw.SQLITE_IOERR_FSYNC`); both are None if the failure did not come from SQLite.
    """

    code: int | None = None
    extended_code: int | None = None


class InterfaceError(Error):
    """The driver was used in an unsupported way."""


class DatabaseError(Error):
    """The file is damaged or not a database; also the parent of the classes below."""


class DataError(DatabaseError):
    """A value does not fit: too long, out of range, not encodable."""


class OperationalError(DatabaseError):
    """Busy, full, unreadable, no such table, and the like: not necessarily the programmer's fault."""


class IntegrityError(DatabaseError):
    """A constraint was violated."""


class InternalError(DatabaseError):
    """SQLite reported an internal error."""


class ProgrammingError(DatabaseError):
    """Wrong number or types of parameters, or use after closing."""


class NotSupportedError(DatabaseError):
    """The library was built without the requested feature."""


# The same classes as the standard library's sqlite3 where it covers the case. Everything else is an OperationalError.
_CLASSES: Mapping[type[BaseException], type[Error]] = {
    apsw.ConstraintError: IntegrityError,
    apsw.MismatchError: IntegrityError,
    apsw.TooBigError: DataError,
    apsw.RangeError: ProgrammingError,
    apsw.BindingsError: ProgrammingError,
    apsw.MisuseError: ProgrammingError,
    apsw.ConnectionClosedError: ProgrammingError,
    apsw.CursorClosedError: ProgrammingError,
    apsw.ThreadingViolationError: ProgrammingError,
    apsw.ForkingViolationError: ProgrammingError,
    apsw.IncompleteExecutionError: ProgrammingError,
    apsw.ExecutionCompleteError: ProgrammingError,
    apsw.InternalError: InternalError,
    apsw.NotFoundError: InternalError,
    apsw.CorruptError: DatabaseError,
    apsw.NotADBError: DatabaseError,
    apsw.FormatError: DatabaseError,
    apsw.AuthError: DatabaseError,
    apsw.NoLFSError: NotSupportedError,
    apsw.VFSNotImplementedError: NotSupportedError,
    OverflowError: DataError,  # an integer of more than 64 bits
    UnicodeEncodeError: DataError,  # a lone surrogate
    TypeError: ProgrammingError,  # a value of a type that SQLite does not store
}

# The exceptions of apsw for a statement or its parameters. Anything else is a defect and propagates.
FAILURES = (apsw.Error, OverflowError, UnicodeEncodeError, TypeError)


def translated(error: BaseException) -> Error:
    """Return the DB-API error for one of FAILURES, with SQLite's result codes; raise it `from` the original."""
    known = next((_CLASSES[kind] for kind in type(error).__mro__ if kind in _CLASSES), OperationalError)
    code = getattr(error, "result", -1)
    if code < 0:
        return known(str(error))
    extended_code = getattr(error, "extendedresult", code)
    name = apsw.mapping_extended_result_codes.get(extended_code) or apsw.mapping_result_codes.get(code)
    result = known(f"{error} ({name})")
    result.code, result.extended_code = code, extended_code
    return result


class Connection:
    """One apsw connection. `begin_mode` selects what `begin` does; with None every statement commits on its own.

    `damage` is the first failure after which file or disk cannot be trusted, even if its exception was caught.
    """

    Error = Error  # PEP 249, optional extension; SQLAlchemy's pool looks for it

    def __init__(self, driver: apsw.Connection, *, begin_mode: BeginMode | None = "DEFERRED") -> None:
        self.driver = driver
        self.begin_mode = begin_mode
        self.damage: str | None = None
        # apsw's stubs use Buffer, which typing has only since Python 3.12: hence Any.
        self._execute = cast("Any", driver).execute
        self._executemany = cast("Any", driver).executemany

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return not self.driver.get_autocommit()

    def failed(self, error: BaseException) -> Error:
        """Translate one of FAILURES and record damage."""
        result = translated(error)
        damaging = result.code in _DAMAGE_CODES and result.extended_code != apsw.SQLITE_IOERR_SHMSIZE
        if damaging and self.damage is None:
            self.damage = str(result)
        return result

    def rows(self, sql: str, parameters: Bindings = ()) -> list[Row]:
        """Execute, and return all rows. This and the next two bypass the DB-API cursor."""
        try:
            return self._execute(sql, parameters).fetchall()
        except FAILURES as error:
            raise self.failed(error) from error

    def run(self, sql: str, parameters: Bindings = ()) -> int:
        """Execute to the end, and return the number of rows inserted, updated or deleted."""
        driver = self.driver
        before = driver.total_changes()
        self.rows(sql, parameters)
        # changes() keeps the count of an earlier statement if this one does not count changes.
        return driver.changes() if driver.total_changes() != before else 0

    def each(self, sql: str, many: Iterable[Bindings]) -> list[Row]:
        """Execute once per set of parameters, and return all rows in order."""
        try:
            return list(self._executemany(sql, many))
        except FAILURES as error:
            raise self.failed(error) from error

    def run_each(self, sql: str, many: Iterable[Bindings]) -> int:
        """Execute to the end once per set of parameters; return the total number of changed rows."""
        before = self.driver.total_changes()
        self.each(sql, many)
        return self.driver.total_changes() - before

    def begin(self) -> None:
        """Begin a transaction, unless every statement commits on its own."""
        if self.begin_mode is not None:
            self.rows("BEGIN IMMEDIATE" if self.begin_mode == "IMMEDIATE" else "BEGIN")

    def commit(self) -> None:
        """Commit the open transaction durably; does nothing if none is open."""
        if self.in_transaction:
            self.rows("COMMIT")

    def rollback(self) -> None:
        """Roll back the open transaction, if there is one: SQLite rolls back by itself after some errors."""
        if self.in_transaction:
            self.rows("ROLLBACK")

    def checkpoint(self, mode: int) -> tuple[int, int]:
        """Checkpoint the write-ahead log; return its frames, and how many of them are now in the database."""
        try:
            return self.driver.wal_checkpoint("main", mode)
        except FAILURES as error:
            raise self.failed(error) from error

    def cursor(self) -> "Cursor":
        """Return a new DB-API cursor."""
        return Cursor(self)

    def close(self) -> None:
        """Close the connection; an open transaction is rolled back."""
        try:
            self.driver.close(force=True)
        except FAILURES as error:
            raise self.failed(error) from error


class Cursor:
    """A DB-API cursor. Its rows are in memory as soon as `execute` returns."""

    arraysize = 1

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.description: tuple[tuple[Any, ...], ...] | None = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self._rows: Iterator[Row] = iter(())
        self._changes = False

    def _note(self, cursor: apsw.Cursor, _sql: str, _bindings: object) -> bool:
        # Called by apsw once the statement is prepared. Afterwards it is too late to ask for the columns: those of
        # a result without rows are gone by then.
        self.description = cursor.description or None
        self._changes = not cursor.is_readonly
        return True

    def execute(self, operation: str, parameters: Bindings = ()) -> "Cursor":
        """Execute one statement. `rowcount` is the number of changed rows, or -1 for a statement that only reads."""
        driver = self.connection.driver
        self.description = None
        self._rows = iter(())
        try:
            before = driver.total_changes()
            cursor = cast("Any", driver.cursor())
            cursor.exec_trace = self._note
            self._rows = iter(cursor.execute(operation, parameters).fetchall())
            self.rowcount = -1
            if self._changes:
                self.rowcount = driver.changes() if driver.total_changes() != before else 0
                self.lastrowid = driver.last_insert_rowid()
        except FAILURES as error:
            raise self.connection.failed(error) from error
        return self

    def executemany(self, operation: str, seq_of_parameters: Iterable[Bindings]) -> "Cursor":
        """Execute a statement that returns no rows once for each of the parameters; `rowcount` is the sum."""
        self.description = None
        self._rows = iter(())
        self.rowcount = sum(self.connection.run(operation, parameters) for parameters in seq_of_parameters)
        return self

    def fetchone(self) -> Row | None:
        """Return the next row, or None."""
        return next(self._rows, None)

    def fetchmany(self, size: int | None = None) -> list[Row]:
        """Return at most `size` (by default `arraysize`) further rows."""
        wanted = self.arraysize if size is None else size
        return [row for _, row in zip(range(wanted), self._rows, strict=False)]

    def fetchall(self) -> list[Row]:
        """Return all further rows."""
        return list(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return self._rows

    def setinputsizes(self, sizes: object) -> None:
        """PEP 249 allows this to do nothing."""

    def setoutputsize(self, size: int, column: int | None = None) -> None:
        """PEP 249 allows this to do nothing."""

    def close(self) -> None:
        """Discard the remaining rows."""
        self._rows = iter(())


def connect(
    database: str,
    *,
    flags: int = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE,
    vfs: str | None = None,
    begin_mode: BeginMode | None = "DEFERRED",
) -> Connection:
    """Open `database`, a path or ':memory:'. Raises OperationalError if it cannot be opened.

    The file is not read before the first statement, so a file that is not a database is detected later.
    """
    try:
        return Connection(apsw.Connection(database, flags=flags, vfs=vfs), begin_mode=begin_mode)
    except FAILURES as error:
        raise translated(error) from error
