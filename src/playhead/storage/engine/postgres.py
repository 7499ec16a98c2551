"""Playhead on PostgreSQL: a pool, statement settings, lanes, and retries after failures.

Knows no tables. Several processes share one database; none locks another out. See docs/decisions/0018-postgresql.md.
"""

import asyncio
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, TypeVar, cast

import psycopg
from psycopg import sql as psycopg_sql
from psycopg.abc import PQGen
from psycopg.types.string import TextLoader
from sqlalchemy import URL, Connection, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import NullPool, QueuePool

from playhead.errors import unavailable
from playhead.storage.engine.database import READ_S, Row, StorageRefused, WouldBlockError
from playhead.storage.engine.deadlines import RETRY_AFTER_S, Deadlines

T = TypeVar("T")

LANES = 1
"""Batches of saves in parallel in one process. With more lanes each batch is smaller and none is cheaper: on one
machine
one lane did a third more saves than two, and half more than four. More processes are more lanes."""

_WRITERS = LANES + 3  # the lanes, and what is not a batch
_READERS = 4
_CONNECT_TIMEOUT_S = 5
_UNANSWERED_S = 15  # a connection whose other end does not even acknowledge is given up


class Limits(NamedTuple):
    """Timeouts in seconds.

    `patience_s`: how long transient failures are retried, and how long to wait for a free connection; less than a
    client waits, more than a failover takes. The others fit into it. A dead network sends no error, so a save or a
    look-up drops its connection after `silence_s`, other statements that much after the server's statement timeout. The
    server rolls an abandoned transaction back after `idle_s`, which frees its rows for the retry; until then the retry
    waits up to `lock_s`. A read for a request may take `read_s` in all.
    """

    statement_s: float = 30.0
    lock_s: float = 4.0
    silence_s: float = 5.0
    idle_s: float = 8.0
    patience_s: float = 10.0
    read_s: float = READ_S


_LIMITS = Limits()
_CANCEL_WITHIN_S = 1.0
_LOOK_FOR_SIGNALS_S = 0.1  # how often a wait for the server checks for Ctrl-C; psycopg's own default
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 1.0

_CANCELED = "57014"  # by the deadline of a read, or by the server's limit for a statement

# Nothing was done, or it was rolled back; a retry may succeed. Source: PostgreSQL's documentation, appendix A.
_AGAIN = frozenset({"40001", "40P01", "55P03", "57P03", "53300", "08001", "08004"})
# The server closed the connection; the outcome of a commit in flight is unknown.
_DROPPED = frozenset({"08000", "08003", "08006", "08007", "57P01", "57P02", "57P05", "25P03"})
# The server cannot at present, and an immediate retry would not help: timeout, out of space, read-only.
_PASSING_CLASSES = ("53", "55", "57", "58", "25006")


class PsycopgConnection(psycopg.Connection[Row]):
    """A psycopg connection with the methods of Direct. Ids are text, as on SQLite.

    It is closed if the server is silent for `silence_s`.
    """

    silence_s: float | None = None
    is_canceled = False
    """Set from another thread: no further statement is sent. A cancel request between two statements stops nothing."""

    def wait(self, gen: PQGen[T], interval: float = _LOOK_FOR_SIGNALS_S, timeout: float | None = None) -> T:
        """Wait for the server's answer. Raises OperationalError on a timeout, QueryCanceled once it is canceled."""
        if self.is_canceled:
            raise psycopg.errors.QueryCanceled("the read was interrupted between two statements")
        try:
            return super().wait(gen, interval, self.silence_s if timeout is None else timeout)
        except psycopg.OperationalError as error:
            if timeout is None and error.sqlstate is None:  # not of the server's
                self.pgconn.finish()  # its answer, if there will be one, is not to be taken for that of the next
            raise

    def rows(self, sql: str, parameters: Any) -> list[Row]:  # noqa: ANN401 - a tuple or a mapping
        """See Direct.rows."""
        return self.execute(_text(sql), parameters, prepare=True).fetchall()

    def run(self, sql: str, parameters: Any) -> int:  # noqa: ANN401
        """See Direct.run."""
        return self.execute(_text(sql), parameters, prepare=True).rowcount

    def each(self, sql: str, many: Sequence[Any]) -> list[Row]:
        """See Direct.each. All are sent before the first answer is waited for."""
        if len(many) == 1:  # the pipeline that many of them share costs more than a query
            return self.rows(sql, many[0])
        rows: list[Row] = []
        with self.cursor() as cursor:
            cursor.executemany(_text(sql), many, returning=True)
            while cursor.pgresult is not None:
                rows += cursor.fetchall()
                if not cursor.nextset():
                    break
        return rows

    def run_each(self, sql: str, many: Sequence[Any]) -> int:
        """See Direct.run_each. As `each`."""
        if len(many) == 1:
            return self.run(sql, many[0])
        with self.cursor() as cursor:
            cursor.executemany(_text(sql), many)
            return cursor.rowcount

    def load(self, table: str, columns: Iterable[str], rows: Iterable[Row]) -> None:
        """Insert many rows in the open transaction, in PostgreSQL's quickest way."""
        names = psycopg_sql.SQL(", ").join(map(psycopg_sql.Identifier, columns))
        into = psycopg_sql.SQL("COPY {} ({}) FROM STDIN").format(psycopg_sql.Identifier(table), names)
        with self.cursor() as cursor, cursor.copy(into) as copy:
            for row in rows:
                copy.write_row(row)


def _text(sql: str) -> psycopg_sql.SQL:
    return psycopg_sql.SQL(cast("Any", sql))  # of a compiled statement, which holds no value


def _connect(url: URL, limits: Limits) -> PsycopgConnection:
    settings = {
        "statement_timeout": f"{limits.statement_s * 1000:.0f}ms",
        "lock_timeout": f"{limits.lock_s * 1000:.0f}ms",
        "idle_in_transaction_session_timeout": f"{limits.idle_s * 1000:.0f}ms",
        "synchronous_commit": "on",  # what is answered is durable, whatever the server's default is
        # Compiling the conditions of a list took 340 ms for a query of 20 ms.
        "jit": "off",
    }
    connection = PsycopgConnection.connect(
        url.set(drivername="postgresql").render_as_string(hide_password=False),
        connect_timeout=_CONNECT_TIMEOUT_S,
        application_name="playhead",
        options=" ".join(f"-c {name}={value}" for name, value in settings.items()),
        keepalives_idle=_UNANSWERED_S,
        tcp_user_timeout=_UNANSWERED_S * 1000,
        client_encoding="utf8",
    )
    connection.adapters.register_loader("uuid", TextLoader)
    return connection


def parse_url(text: str) -> URL:
    """Return a `postgresql://` URL for SQLAlchemy and psycopg. Raises StorageRefused; never shows the password."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        raise StorageRefused("The database URL cannot be read: it looks like postgresql://user@host/name") from None
    return url.set(drivername="postgresql+psycopg")


def make_engine(text: str, *, connections: int = 0, limits: Limits = _LIMITS) -> Engine:
    """Return an engine with a pool of this many connections; with 0, each is opened on demand."""
    url = parse_url(text)

    def connect() -> PsycopgConnection:
        return _connect(url, limits)

    if not connections:
        return create_engine(url, creator=connect, poolclass=NullPool, hide_parameters=True)
    return create_engine(
        url,
        creator=connect,
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=limits.patience_s,
        hide_parameters=True,
    )


def described(text: str) -> str:
    """Return the URL for display, with three asterisks for its password."""
    return parse_url(text).set(drivername="postgresql").render_as_string(hide_password=True)


def reason(error: DBAPIError) -> str:
    """Return the first line of the server's or driver's message."""
    return str(error.orig).strip().partition("\n")[0]


class PostgresDatabase:
    """The `Database` on one PostgreSQL database. Its tables must exist: see `playhead.storage.migrations.upgrade`.

    A transaction that fails with a serialization failure, a deadlock or a lost connection is retried as long as
    `limits` allow. Raises StorageRefused if the database cannot be reached.
    """

    def __init__(self, url: str, *, limits: Limits = _LIMITS) -> None:
        self._closed = False
        self._limits = limits
        self._engine = make_engine(url, connections=_WRITERS, limits=limits)
        reading = make_engine(url, connections=_READERS, limits=limits._replace(statement_s=limits.read_s))
        try:
            self._engine.connect().close()
        except DBAPIError as error:
            self._engine.dispose()
            raise StorageRefused(f"The database {described(url)} cannot be opened: {reason(error)}") from error
        self._readers = reading
        self._deadlines = Deadlines(limits.read_s)
        self._snapshots = reading.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._single = reading.execution_options(isolation_level="AUTOCOMMIT")
        self._writing = ThreadPoolExecutor(_WRITERS, "playhead-writer")
        self._reading = ThreadPoolExecutor(_READERS, "playhead-reader")

    lanes = LANES
    gathers_reads = True

    def lane_of(self, user_id: str) -> int:
        """See Database.lane_of."""
        return zlib.crc32(user_id.encode()) % LANES

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """See Database.read."""
        return await self._off_loop(self._reading, self.read_blocking, fn)

    async def read_long(self, fn: Callable[[Connection], T]) -> T:
        """See Database.read_long. Each statement has the time that one of a write has."""
        return await self._off_loop(self._reading, self._read_long, fn)

    def read_nowait(self, fn: Callable[[Connection], T]) -> T:
        """See Database.read_nowait: here everything is waited for."""
        del fn
        raise WouldBlockError

    async def read_inline(self, fn: Callable[[Connection], T]) -> T:
        """See Database.read_inline. Runs on a reader thread, each statement by itself."""
        return await self._off_loop(self._reading, self._read_inline, fn)

    async def write(self, fn: Callable[[Connection], T]) -> T:
        """See Database.write."""
        return await self._off_loop(self._writing, self.write_blocking, fn)

    async def commit_batch(self, fn: Callable[[Connection], T]) -> T:
        """See Database.commit_batch."""
        return await self._off_loop(self._writing, self._apply, fn)

    def read_blocking(self, fn: Callable[[Connection], T]) -> T:
        """See Database.read_blocking."""
        return self._run_read(fn, self._limits.read_s + self._limits.silence_s, has_limit=True)

    def write_blocking(self, fn: Callable[[Connection], T]) -> T:
        """See Database.write_blocking."""
        return self._run(self._engine, fn, self._long_silence_s, idempotent=False)

    def shorten_reads(self, seconds: float) -> None:
        """See Database.shorten_reads."""
        self._deadlines.shorten(seconds)

    async def close(self) -> None:
        """See Database.close."""
        await asyncio.to_thread(self.close_blocking)

    def close_blocking(self) -> None:
        """Do what `close` does for callers without an event loop."""
        self._closed = True
        self._deadlines.shorten(0)
        self._reading.shutdown()
        self._deadlines.close()
        self._writing.shutdown()
        self._readers.dispose()
        self._engine.dispose()

    async def _off_loop(
        self, threads: ThreadPoolExecutor, run: Callable[[Callable[[Connection], T]], T], fn: Callable[[Connection], T]
    ) -> T:
        if self._closed:
            raise unavailable()
        try:
            future = threads.submit(run, fn)
        except RuntimeError as error:  # closed by another thread in this instant
            raise unavailable() from error
        return await asyncio.wrap_future(future)

    def _read_long(self, fn: Callable[[Connection], T]) -> T:
        statement_ms = self._limits.statement_s * 1000

        def read(connection: Connection) -> T:
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {statement_ms:.0f}")
            return fn(connection)

        return self._run_read(read, self._long_silence_s, has_limit=False)

    def _run_read(self, fn: Callable[[Connection], T], silence_s: float, *, has_limit: bool) -> T:
        def read(connection: Connection) -> T:
            if self._closed:  # while this function waited for its turn, or for another try
                raise unavailable()
            wire = cast("PsycopgConnection", connection.connection.dbapi_connection)
            try:
                with self._deadlines.watch(partial(_cancel, wire), has_limit=has_limit) as running:
                    try:
                        return fn(connection)
                    except DBAPIError as error:
                        if running.interrupted and _sqlstate(error) in {_CANCELED, None}:
                            raise unavailable(RETRY_AFTER_S) from error
                        raise
            finally:
                wire.is_canceled = False

        return self._run(self._snapshots, read, silence_s, idempotent=True)

    def _read_inline(self, fn: Callable[[Connection], T]) -> T:
        return self._run(self._single, fn, self._limits.silence_s, idempotent=True)

    def _apply(self, fn: Callable[[Connection], T]) -> T:
        return self._run(self._engine, fn, self._limits.silence_s, idempotent=True)

    @property
    def _long_silence_s(self) -> float:
        return self._limits.statement_s + self._limits.silence_s

    def _run(self, engine: Engine, fn: Callable[[Connection], T], silence_s: float, *, idempotent: bool) -> T:
        if self._closed:
            raise unavailable()
        deadline = time.monotonic() + self._limits.patience_s
        pause = _FIRST_PAUSE_S
        while True:
            attempt = _Attempt()
            try:
                return attempt.run(engine, fn, silence_s)
            except PoolTimeoutError as error:
                raise unavailable() from error
            except DBAPIError as error:
                again = attempt.may_be_repeated(error, idempotent=idempotent)
                if not again or time.monotonic() + pause > deadline:
                    if again or _is_passing(error):
                        retry_after_s = RETRY_AFTER_S if _sqlstate(error) == _CANCELED else 1
                        raise unavailable(retry_after_s) from error
                    raise
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)


class _Attempt:
    """One run of a function in a transaction."""

    def __init__(self) -> None:
        self._committing = False

    def run(self, engine: Engine, fn: Callable[[Connection], T], silence_s: float) -> T:
        with engine.connect() as connection, connection.begin():
            cast("PsycopgConnection", connection.connection.dbapi_connection).silence_s = silence_s
            result = fn(connection)
            self._committing = True
        return result

    def may_be_repeated(self, error: DBAPIError, *, idempotent: bool) -> bool:
        state = _sqlstate(error)
        if state in _AGAIN:
            return True
        dropped = error.connection_invalidated or state in _DROPPED or (state is None and _is_operational(error))
        return dropped and (idempotent or not self._committing)


def _cancel(wire: PsycopgConnection) -> None:
    wire.is_canceled = True
    with suppress(psycopg.Error):  # a server that cannot be reached answers the read neither
        wire.cancel_safe(timeout=_CANCEL_WITHIN_S)


def _sqlstate(error: DBAPIError) -> str | None:
    return error.orig.sqlstate if isinstance(error.orig, psycopg.Error) else None


def _is_operational(error: DBAPIError) -> bool:
    return isinstance(error.orig, (psycopg.OperationalError, psycopg.InterfaceError))


def _is_passing(error: DBAPIError) -> bool:
    state = _sqlstate(error)
    if state is None:
        return error.connection_invalidated or _is_operational(error)
    return state in _DROPPED or state.startswith(_PASSING_CLASSES)
