"""Playhead on SQLite: one writer, read-only readers, checkpoints, and fail-stop on a failed write.

Knows no tables. See docs/decisions/0002-sqlite-through-apsw.md.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple, Protocol, TypeVar, cast

import apsw
from sqlalchemy import Connection, create_engine
from sqlalchemy.dialects import registry
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from playhead.errors import PlayheadError, unavailable
from playhead.storage.engine import (
    apsw_dbapi,
)
from playhead.storage.engine.database import (
    READ_S,
    ConnectionCache,
    StorageRefused,
    WouldBlockError,
    enable_connection_cache,
)
from playhead.storage.engine.deadlines import RETRY_AFTER_S, Deadlines
from playhead.storage.engine.sqlite_requirements import require_local_folder, require_sound_library

T = TypeVar("T")

registry.register("sqlite.apsw", "playhead.storage.engine.sqlite_dialect", "ApswDialect")

_PAGE = 4096  # bytes; SQLite's default, and what the limits of the write-ahead log below are counted in
_MIB = 1024 * 1024

_RESTART_PATIENCE_S = 0.05

_READERS = 4
_INLINE_CACHE_KIB = 8192
_READER_PATIENCE_S = 5.0

# Neither the file nor the program is at fault: a retry, or free space, will help.
_PASSING_CODES = frozenset(
    {
        apsw.SQLITE_BUSY,
        apsw.SQLITE_LOCKED,
        apsw.SQLITE_FULL,
        apsw.SQLITE_IOERR,  # damaging ones were sorted out before: what is left is a wal-index without room to grow
        apsw.SQLITE_NOMEM,
        apsw.SQLITE_INTERRUPT,
        apsw.SQLITE_PROTOCOL,
        apsw.SQLITE_CANTOPEN,
    }
)
# The file or its disk has been made read-only under the writer.
_BARRED_CODES = frozenset({apsw.SQLITE_READONLY, apsw.SQLITE_PERM})
_WAITING_CODES = frozenset({apsw.SQLITE_BUSY, apsw.SQLITE_LOCKED})


class LogLimits(NamedTuple):
    """Limits of the write-ahead log, in pages.

    A checkpoint starts at `checkpoint` pages, and again every `further` pages: saves change the same pages repeatedly,
    and a checkpoint writes each of them once. From `restart` on it also waits briefly for readers, because the log can
    only be reset while nobody reads from it. At `most` a write first waits up to `wait_s`, and again every `room`
    pages: the log cannot grow over 64 MiB within half a minute of a reader that keeps its snapshot, as a backup does,
    and of small saves only one in a few hundred waits.
    """

    checkpoint: int = 16 * _MIB // _PAGE
    further: int = 4 * _MIB // _PAGE
    restart: int = 32 * _MIB // _PAGE
    most: int = 48 * _MIB // _PAGE
    room: int = 2 * _MIB // _PAGE
    wait_s: float = 5.0


_LIMITS = LogLimits()


class Patience:
    """A busy handler that retries every 1 to 5 ms until `limit_s` has passed.

    SQLite's own waits up to 100 ms between attempts, and so starves next to a process that commits continuously. SQLite
    calls it without holding the GIL, and sleeping releases it again.
    """

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._until = 0.0

    def __call__(self, tries: int) -> bool:
        """Wait briefly and return True, or False once `limit_s` has passed. `tries` counts from 0 for each lock."""
        now = time.monotonic()
        if self.limit_s <= 0:
            return False
        if tries == 0:
            self._until = now + self.limit_s
        elif now >= self._until:
            return False
        # The low bits of the clock are random enough to keep two processes out of step.
        time.sleep(0.001 + (time.perf_counter_ns() & 0xFFF) * 1e-6)
        return True


def open_writer(
    path: Path, patience: Patience, *, vfs: str | None = None, limits: LogLimits = _LIMITS
) -> apsw_dbapi.Connection:
    """Open an existing database for writing, durably and with foreign keys. Raises `apsw_dbapi.Error`.

    Only `checkpoint`, and closing the last connection, run checkpoints.
    """
    connection = apsw_dbapi.connect(str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=vfs, begin_mode="IMMEDIATE")
    connection.driver.set_busy_handler(patience)
    _keep_plans(connection)
    _become_wal(connection, patience)
    for pragma in (
        "synchronous = FULL",
        "fullfsync = ON",  # macOS: fsync alone does not reach the disk there
        "checkpoint_fullfsync = ON",
        "foreign_keys = ON",
        "temp_store = MEMORY",
        "trusted_schema = OFF",
        "cache_size = -8192",  # KiB; the pages of a batch of 512 reports, so that none is written before the commit
        f"journal_size_limit = {limits.checkpoint * _PAGE}",
        "wal_autocheckpoint = 0",
    ):
        connection.rows(f"PRAGMA {pragma}")
    return connection


def _keep_plans(connection: apsw_dbapi.Connection) -> None:
    """Make plans independent of parameter values.

    Otherwise SQLite recompiles a statement for each new value once it has compared two parameters while planning: a
    look-up of one progress took 17 µs instead of 5 µs.
    """
    connection.driver.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)


def _become_wal(connection: apsw_dbapi.Connection, patience: Patience) -> None:
    # The mode is kept in the file, so this changes something only once. Changing does not call the busy handler.
    tries = 0
    while connection.rows("PRAGMA journal_mode") != [("wal",)]:
        try:
            if connection.rows("PRAGMA journal_mode = WAL") != [("wal",)]:
                raise apsw_dbapi.NotSupportedError("the file system has no shared memory for a write-ahead log")
        except apsw_dbapi.OperationalError as error:
            if error.code != apsw.SQLITE_BUSY or not patience(tries):
                raise
            tries += 1


def _open_reader(
    path: Path,
    patience: Patience | None,
    *,
    vfs: str | None,
    begin_mode: apsw_dbapi.BeginMode | None = "DEFERRED",
    cache_kib: int = 2000,
) -> apsw_dbapi.Connection:
    connection = apsw_dbapi.connect(str(path), flags=apsw.SQLITE_OPEN_READONLY, vfs=vfs, begin_mode=begin_mode)
    connection.driver.set_busy_handler(patience)
    _keep_plans(connection)
    # No mmap: a reader drops its pages at each commit of the writer, and the next look-up was much slower with a memory
    # map (17 instead of 62 µs without). A larger cache costs nothing then, and helps while nobody writes.
    for pragma in (
        "query_only = ON",
        f"cache_size = -{cache_kib}",
        "temp_store = MEMORY",
        "trusted_schema = OFF",
        "wal_autocheckpoint = 0",
    ):
        connection.rows(f"PRAGMA {pragma}")
    return connection


def engine_connections(*connections: apsw_dbapi.Connection) -> list[Connection]:
    """Return SQLAlchemy connections over open ones, which share their compiled statements; closing one closes both."""
    engine = create_engine(
        "sqlite+apsw://", creator=iter(connections).__next__, poolclass=NullPool, hide_parameters=True
    )
    return [engine.connect() for _ in connections]


class SQLiteDatabase:
    """The `Database` on one SQLite file: a writer on its own thread, readers on theirs, and one for `read_inline`.

    Other processes may read and write the same file. The file must exist, with its tables: see
    `playhead.storage.migrations.upgrade`. Raises StorageRefused if library, folder or file cannot be used.

    Fail-stop: after a failed commit, checkpoint, read or write of the file SQLite's state cannot be trusted.
    `on_failure` is then called once, on any thread, with the reason; queued and new calls raise UNAVAILABLE; the
    process is expected to exit. A full disk is not such a failure: the transaction is rolled back.
    """

    def __init__(  # noqa: PLR0913 - what a setting or a test decides
        self,
        path: Path,
        *,
        on_failure: Callable[[str], None] = lambda _reason: None,
        busy_timeout_ms: int = 30_000,
        vfs: str | None = None,
        limits: LogLimits = _LIMITS,
        read_s: float = READ_S,
    ) -> None:
        require_sound_library()
        require_local_folder(path.absolute().parent)
        self._on_failure = on_failure
        self._failure: str | None = None
        self._failing = threading.Lock()
        self._closed = False
        self._patience = Patience(busy_timeout_ms / 1000)
        self._wal_pages = 0
        self._limits = limits
        self._checkpoint_due = limits.checkpoint
        self._wait_due = limits.most
        try:
            self._log = open_writer(path, self._patience, vfs=vfs, limits=limits)
            self._log.driver.set_wal_hook(self._on_commit)
            [self._writer] = engine_connections(self._log)
            # Its transactions bypass SQLAlchemy, whose overhead exceeds the cost of a look-up.
            self._inline_driver = _open_reader(path, None, vfs=vfs, begin_mode=None, cache_kib=_INLINE_CACHE_KIB)
            readers = [_open_reader(path, Patience(_READER_PATIENCE_S), vfs=vfs) for _ in range(_READERS)]
            self._inline_reader, *idle = engine_connections(self._inline_driver, *readers)
            self._of_writer = _Memory(self._log, enable_connection_cache(self._writer))
            self._inline_memory = _Memory(self._inline_driver, enable_connection_cache(self._inline_reader))
        except (apsw_dbapi.Error, DBAPIError) as error:
            raise StorageRefused(f"The database {path} cannot be opened: {error}") from error
        self._deadlines = Deadlines(read_s)
        self._idle: SimpleQueue[Connection] = SimpleQueue()
        for connection in idle:
            self._idle.put(connection)
        self._inline_free = threading.Lock()
        self._snapshot_of: asyncio.AbstractEventLoop | None = None
        self._writer_free = threading.Lock()
        self._writing = ThreadPoolExecutor(1, "playhead-writer")
        # Separate, because what runs there holds the writer already, and a function that waits for it may be in the
        # queue.
        self._committing = ThreadPoolExecutor(1, "playhead-commit")
        self._reading = ThreadPoolExecutor(_READERS, "playhead-reader")

    @property
    def failure(self) -> str | None:
        """Why the database has stopped, or None."""
        return self._failure

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """See Database.read."""
        return await asyncio.wrap_future(self._submit(self._reading, self._read, fn))

    async def read_long(self, fn: Callable[[Connection], T]) -> T:
        """See Database.read_long."""
        return await asyncio.wrap_future(self._submit(self._reading, partial(self._read, has_limit=False), fn))

    def read_blocking(self, fn: Callable[[Connection], T]) -> T:
        """See Database.read_blocking."""
        return self._submit(self._reading, self._read, fn).result()

    async def write(self, fn: Callable[[Connection], T]) -> T:
        """See Database.write."""
        return await asyncio.wrap_future(self._submit(self._writing, self._write, fn))

    def write_blocking(self, fn: Callable[[Connection], T]) -> T:
        """See Database.write_blocking."""
        return self._submit(self._writing, self._write, fn).result()

    async def commit_batch(self, fn: Callable[[Connection], T]) -> T:
        """See Database.commit_batch. Everything but the commit runs on the calling thread.

        A thread that runs statements of microseconds contends with the event loop for the GIL, which costs more than
        the statements: docs/decisions/0016-the-batch-runs-on-the-loop.md. If the writer or the file is busy, it falls
        back to `write`.
        """
        self._require_running()
        if self._wal_pages < self._wait_due and self._writer_free.acquire(blocking=False):
            try:
                has_begun = self._begin_at_once()
            except BaseException:
                self._writer_free.release()
                raise
            if has_begun:
                return await self._apply(fn)
            self._writer_free.release()
        write = partial(self._write, changes_anything=False)
        return await asyncio.wrap_future(self._submit(self._writing, write, fn))

    lanes = 1
    gathers_reads = False

    def lane_of(self, user_id: str) -> int:
        """See Database.lane_of: there is one writer."""
        del user_id
        return 0

    async def read_inline(self, fn: Callable[[Connection], T]) -> T:
        """See Database.read_inline. Falls back to `read` for concurrent loops and for a busy file.

        All inline reads of one loop iteration share a snapshot, because beginning one costs as much as a look-up.
        It ends before the loop sees the next event, so a read that follows an awaited write sees it.
        """
        try:
            return self.read_nowait(fn)
        except WouldBlockError:
            return await self.read(fn)

    def read_nowait(self, fn: Callable[[Connection], T]) -> T:
        """See Database.read_nowait."""
        self._require_running()
        loop = asyncio.get_running_loop()
        try:
            if self._snapshot_of is loop or self._begin_snapshot(loop):
                return fn(self._inline_reader)
        except Exception as error:
            if _code(error) not in _WAITING_CODES:
                self._judge(self._inline_reader, error)
                raise
        raise WouldBlockError

    def _begin_snapshot(self, loop: asyncio.AbstractEventLoop) -> bool:
        if not self._inline_free.acquire(blocking=False):
            return False
        try:
            self._inline_driver.rows("BEGIN")
            self._inline_memory.forget_where_changed()
        except BaseException:
            self._end_snapshot()
            raise
        self._snapshot_of = loop
        loop.call_soon(self._end_snapshot)
        return True

    def _end_snapshot(self) -> None:
        self._snapshot_of = None
        try:
            self._inline_driver.rollback()
            if self._inline_reader.in_transaction():  # a function has used it through SQLAlchemy
                self._inline_reader.rollback()
        finally:
            self._inline_free.release()

    def shorten_reads(self, seconds: float) -> None:
        """See Database.shorten_reads."""
        self._deadlines.shorten(seconds)

    async def close(self) -> None:
        """See Database.close."""
        await asyncio.to_thread(self.close_blocking)

    def close_blocking(self) -> None:
        """Do what `close` does for callers without an event loop."""
        with self._failing:
            if self._closed:
                return
            self._closed = True
        self._deadlines.shorten(0)
        self._reading.shutdown()
        self._deadlines.close()
        self._writing.shutdown()
        self._committing.shutdown()
        while not self._idle.empty():
            self._idle.get().close()
        with self._inline_free:
            self._inline_reader.close()
        if self._failure:
            # The log is left as it is; the next process recovers it by its checksums.
            self._log.driver.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        self._writer.close()

    def _require_running(self) -> None:
        if self._failure or self._closed:
            raise unavailable()

    def _submit(
        self,
        threads: ThreadPoolExecutor,
        run: Callable[[Callable[[Connection], T]], T],
        fn: Callable[[Connection], T],
    ) -> Future[T]:
        self._require_running()
        try:
            return threads.submit(run, fn)
        except RuntimeError as error:  # closed by another thread in this instant
            raise unavailable() from error

    def _read(self, fn: Callable[[Connection], T], *, has_limit: bool = True) -> T:
        if self._failure or self._closed:  # while this function waited for its turn
            raise unavailable()
        connection = self._idle.get()
        dbapi = cast("apsw_dbapi.Connection", connection.connection.dbapi_connection)
        try:
            with self._deadlines.watch(dbapi.driver.interrupt, has_limit=has_limit) as running:
                try:
                    with connection.begin():
                        return fn(connection)
                except Exception as error:
                    if running.interrupted and _code(error) == apsw.SQLITE_INTERRUPT:
                        raise unavailable(RETRY_AFTER_S) from error
                    self._judge(connection, error)
                    raise
        finally:
            dbapi.rollback()  # the end of the transaction may have been what was interrupted
            self._idle.put(connection)

    def _write(self, fn: Callable[[Connection], T], *, changes_anything: bool = True) -> T:
        with self._writer_free:
            if self._wal_pages >= self._wait_due and not self._failure:
                self._wait_due = self._wal_pages + self._limits.room
                self._checkpoint(apsw.SQLITE_CHECKPOINT_RESTART, self._limits.wait_s)
            if self._failure:
                raise unavailable()
            try:
                transaction = self._writer.begin()
                result = self._run(transaction, fn)
                self._commit(transaction)
            except Exception as error:
                self._judge_write(error)
                raise
            finally:
                if changes_anything:
                    self._of_writer.forget()
        self._keep_log_small_soon()
        return result

    def _begin_at_once(self) -> bool:
        """Begin on the calling thread; return False if another process is writing.

        The writer must be held. The transaction bypasses SQLAlchemy, whose overhead exceeds the cost of a statement.
        """
        self._patience.limit_s, usual = 0.0, self._patience.limit_s
        try:
            self._log.begin()
        except Exception as error:
            if _code(error) in _WAITING_CODES:
                return False
            self._judge_write(error)
            raise
        finally:
            self._patience.limit_s = usual
        return True

    async def _apply(self, fn: Callable[[Connection], T]) -> T:
        loop = asyncio.get_running_loop()
        committed: asyncio.Future[None] = loop.create_future()
        try:
            result = self._run(self._log, fn)
            self._committing.submit(self._commit_and_tell, loop, committed)
        except BaseException as error:
            self._undo(self._log)
            self._writer_free.release()
            if isinstance(error, Exception):
                self._judge_write(error)
            raise
        await committed
        return result

    def _commit_and_tell(self, loop: asyncio.AbstractEventLoop, committed: "asyncio.Future[None]") -> None:
        # By hand, because the future of the thread pool and the one that waits for it cost as much as the statements.
        failure: Exception | None = None
        try:
            self._commit_and_release()
        except Exception as error:  # noqa: BLE001 - whatever it is, the waiting caller must get it
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits
            loop.call_soon_threadsafe(_settle, committed, failure)
        if failure is None:
            self._keep_log_small_soon()

    def _commit_and_release(self) -> None:
        try:
            self._commit(self._log)
        except Exception as error:
            self._judge_write(error)
            raise
        finally:
            self._writer_free.release()

    def _run(self, transaction: "_Transaction", fn: Callable[[Connection], T]) -> T:
        try:
            self._of_writer.forget_where_changed()
            result = fn(self._writer)
            if self._log.damage is not None:  # and `fn` has caught the exception
                self._fail(self._log.damage)
                raise unavailable()
        except BaseException:
            self._undo(transaction)
            raise
        return result

    def _commit(self, transaction: "_Transaction") -> None:
        try:
            transaction.commit()
        except BaseException as error:
            if _code(error) not in _PASSING_CODES | {apsw.SQLITE_CONSTRAINT}:
                self._fail(f"a commit failed: {error.orig if isinstance(error, DBAPIError) else error}")
            self._undo(transaction)
            raise

    def _judge_write(self, error: Exception) -> None:
        if _code(error) in _BARRED_CODES:
            self._fail(f"the database can no longer be written: {error}")
        self._judge(self._writer, error)

    def _undo(self, transaction: "_Transaction") -> None:
        try:
            transaction.rollback()
            self._log.rollback()  # SQLAlchemy considers a transaction ended whose commit has failed
        except (DBAPIError, apsw_dbapi.Error) as error:
            self._fail(f"a rollback failed: {error}")

    def _judge(self, connection: Connection, error: Exception) -> None:
        """Raise UNAVAILABLE for transient and fatal errors; return for errors of the function that was run."""
        damage = cast("apsw_dbapi.Connection", connection.connection.dbapi_connection).damage
        if damage is not None:
            self._fail(damage)
        if not isinstance(error, PlayheadError) and (self._failure or _code(error) in _PASSING_CODES):
            raise unavailable() from error

    def _fail(self, reason: str) -> None:
        with self._failing:
            if self._failure is not None:
                return
            self._failure = reason
        self._on_failure(reason)

    def _on_commit(self, _driver: apsw.Connection, _name: str, pages: int) -> int:
        # SQLite calls it after each commit with the length of the log, which shrinks when the log is reset.
        if pages < self._wal_pages:
            self._expect_short_log()
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def _expect_short_log(self) -> None:
        self._checkpoint_due = self._limits.checkpoint
        self._wait_due = self._limits.most

    def _keep_log_small_soon(self) -> None:
        if self._wal_pages >= self._checkpoint_due and not self._closed:
            # After the answer, not before it. Closing checkpoints by itself.
            with contextlib.suppress(RuntimeError):
                self._writing.submit(self._keep_log_small)

    def _keep_log_small(self) -> None:
        with self._writer_free:
            self._checkpoint_where_due()

    def _checkpoint_where_due(self) -> None:
        if self._failure or self._wal_pages < self._checkpoint_due:
            return
        self._checkpoint_due = self._wal_pages + self._limits.further
        if self._wal_pages < self._limits.restart:
            self._checkpoint(apsw.SQLITE_CHECKPOINT_PASSIVE, 0)
        else:
            self._checkpoint(apsw.SQLITE_CHECKPOINT_RESTART, _RESTART_PATIENCE_S)

    def _checkpoint(self, mode: int, patience_s: float) -> None:
        usual, self._patience.limit_s = self._patience.limit_s, patience_s
        try:
            self._log.checkpoint(mode)
        except apsw_dbapi.Error as error:
            # Busy: a reader keeps its snapshot. Full: the log keeps its content until there is space.
            if self._log.damage is not None or error.code not in _PASSING_CODES:
                self._fail(f"a checkpoint failed: {error}")
        else:
            if mode == apsw.SQLITE_CHECKPOINT_RESTART:
                self._wal_pages = 0
                self._expect_short_log()
        finally:
            self._patience.limit_s = usual


class _Transaction(Protocol):
    """SQLAlchemy's transaction, or a connection that has begun one itself."""

    def commit(self) -> None: ...

    def rollback(self) -> None: ...


def _settle(future: "asyncio.Future[None]", failure: Exception | None) -> None:
    if future.done():  # the caller was cancelled
        return
    if failure is None:
        future.set_result(None)
    else:
        future.set_exception(failure)


class _Memory:
    """The cache of a connection, and when it must be cleared."""

    def __init__(self, connection: apsw_dbapi.Connection, memory: ConnectionCache) -> None:
        self._connection = connection
        self._memory = memory
        self._version = -1

    def forget(self) -> None:
        self._memory.clear()

    def forget_where_changed(self) -> None:
        """Clear the cache if another connection, of any process, has committed. Call it first in a transaction.

        Its first statement, which this is, fixes the snapshot.
        """
        [(version,)] = self._connection.rows("PRAGMA data_version")
        if version != self._version:
            self._version = version
            self._memory.clear()


def _code(error: BaseException) -> int | None:
    orig = error.orig if isinstance(error, DBAPIError) else error
    return orig.code if isinstance(orig, apsw_dbapi.Error) else None
