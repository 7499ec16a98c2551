"""The storage seam: runs a synchronous function with a connection in a transaction; and prepared hot statements.

Knows no engine: `sqlite.py` and `postgres.py` implement this interface. The functions take a connection, neither commit
nor roll back, and never keep the connection.
"""

from collections.abc import Callable, Collection, Sequence
from operator import itemgetter
from typing import Any, Protocol, TypeVar, cast

import msgspec
from sqlalchemy import ClauseElement, Connection, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

T = TypeVar("T")
Row = tuple[Any, ...]


READ_S = 10.0
"""How long a read may take unless a setting says otherwise."""


class StorageRefused(Exception):  # noqa: N818 - a refusal, not a defect; the message is for a person
    """The store cannot be used, and a restart will not help: the message tells a person why.

    Examples: a network file system, an affected SQLite library, a database of a newer version of Playhead.
    """


class WouldBlockError(Exception):
    """The read cannot run without waiting: use the method that waits."""


class Database(Protocol):
    """An open database.

    All methods but `close` raise `PlayheadError` UNAVAILABLE if the store is busy for too long, full, failed or closed;
    exceptions of the function propagate. `write` and `read` survive cancellation of the caller: a function that has
    started runs to its end. A function must not wait for another one of its kind: there is one writer, and a limited
    number of readers.
    """

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` on a reader thread in a read-only transaction: one snapshot for all its statements.

        After its deadline the running statement is interrupted and UNAVAILABLE is raised.
        """
        ...

    async def read_long(self, fn: Callable[[Connection], T]) -> T:
        """Like `read` without the deadline: for scans, imports and exports, never for answering a request.

        Each statement should read a bounded amount. Shutdown still interrupts it.
        """
        ...

    async def read_inline(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn`, a single statement of microseconds, in the cheapest way of the engine; without a transaction.

        On SQLite it runs on the calling thread, so it must do nothing else that takes time. If that is not possible it
        runs as by `read`, possibly after a first attempt: `fn` must have no side effects.
        """
        ...

    def read_nowait(self, fn: Callable[[Connection], T]) -> T:
        """Like `read_inline` without waiting for anything. Raises WouldBlockError if that is not possible."""
        ...

    async def write(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` in a write transaction and return when it is durable. Rolled back completely if `fn` raises.

        `fn` may be retried after a conflict with another process; never after a commit of unknown outcome.
        """
        ...

    async def commit_batch(self, fn: Callable[[Connection], T]) -> T:
        """Like `write`, in the cheapest way of the engine, for a few `Prepared` statements of microseconds.

        `fn` must be idempotent across transactions: it is retried even if the outcome of a commit is unknown. On SQLite
        it may run on the calling thread. It must not change rows that connections cache, see `connection_cache`.
        """
        ...

    @property
    def lanes(self) -> int:
        """How many transactions of users' writes should run in parallel."""
        ...

    def lane_of(self, user_id: str) -> int:
        """Return the lane of this user's writes: 0 ≤ lane < `lanes`."""
        ...

    @property
    def gathers_reads(self) -> bool:
        """Whether batching look-ups into one statement pays, because each round trip is expensive."""
        ...

    def read_blocking(self, fn: Callable[[Connection], T]) -> T:
        """Like `read`, for callers without an event loop: commands and tests."""
        ...

    def write_blocking(self, fn: Callable[[Connection], T]) -> T:
        """Like `write`, for callers without an event loop: commands and tests."""
        ...

    def shorten_reads(self, seconds: float) -> None:
        """Interrupt every running read, long ones included, after this many seconds; later reads get no more.

        For a process that is shutting down.
        """
        ...

    async def close(self) -> None:
        """Interrupt reads, wait for running and queued writes, then close every connection. Idempotent."""
        ...


_CACHE = "playhead.cache"

ConnectionCache = dict[Any, Any]
"""Cached look-ups that are still valid; code that adds entries also bounds them."""


def connection_cache(connection: Connection) -> ConnectionCache | None:
    """Return the cache of rows that `Database.commit_batch` never changes, or None if nothing may be cached.

    The engine clears it as soon as the connection sees a change made by anything but `commit_batch`; it may also clear
    it without one.
    """
    return connection.info.get(_CACHE)


def enable_connection_cache(connection: Connection) -> ConnectionCache:
    """Give a connection a cache; the calling engine guarantees to clear it in time."""
    return connection.info.setdefault(_CACHE, {})


class Direct(Protocol):
    """The methods that `Prepared` needs of the DB-API connection under a SQLAlchemy connection. DB-API errors."""

    def rows(self, sql: str, parameters: Any) -> list[Row]:  # noqa: ANN401 - a tuple or a mapping, as the driver wants
        """Execute, and return all rows."""
        ...

    def run(self, sql: str, parameters: Any) -> int:  # noqa: ANN401
        """Execute, and return the number of changed rows."""
        ...

    def each(self, sql: str, many: Sequence[Any]) -> list[Row]:
        """Execute once for each of the parameters, and return the rows of all, in order."""
        ...

    def run_each(self, sql: str, many: Sequence[Any]) -> int:
        """Execute once for each of the parameters, and return the total number of changed rows."""
        ...


_UNBOUND: tuple[Connection | None, Any, Any] = (None, None, None)


class Prepared:
    """A Core statement that is compiled once per dialect and then executed directly on the driver.

    For hot statements, where Core's execution costs more than the query. It takes rows of values, in the order in which
    the statement first names its `bindparam`s, and returns plain tuples; neither are converted, so columns whose type
    the engines represent differently need a `type_coerce` (Integer for Boolean). Constants are literals in the text.
    Errors are the same `sqlalchemy.exc` classes as Core's; a statement that cannot be prepared raises TypeError.

    A statement runs once per row of values, which is best for an engine in the same process. `postgresql` is the
    statement of that engine if it needs a different one. `together` is that of PostgreSQL if it runs once for all rows,
    which saves round trips: its parameters of the same names are arrays, one per column; or, if its only parameter is
    `rows`, that is one JSON text, an array of arrays.

    Runs in the connection's current transaction and begins none: use it within `Database.read`, `write`, `read_inline`
    or `commit_batch`. There is one method per kind of result: `one` row or none, the `rows` of many keys, a `look_up`
    of one row per key, and `run` and `run_returning` for changes.
    """

    def __init__(
        self,
        statement: ClauseElement,
        *,
        postgresql: ClauseElement | None = None,
        together: ClauseElement | None = None,
    ) -> None:
        self._statement = statement
        self._postgresql = postgresql if together is None else together
        self._has_together = together is not None
        self._plans: dict[str, _Plan] = {}
        self._bound = _UNBOUND

    def one(self, connection: Connection, values: Row) -> Row | None:
        """Return the only row for these values, or None."""
        rows = self.rows(connection, (values,))
        return rows[0] if rows else None

    def rows(self, connection: Connection, many: Sequence[Row]) -> list[Row]:
        """Return the rows for each of `many`: in order, but with `together` in no order."""
        known, plan, direct = self._bound
        if known is not connection:
            plan, direct = self._bind(connection)
        try:
            if plan.is_together:
                return direct.rows(plan.sql, plan.arrange(many)) if many else []
            return direct.each(plan.sql, plan.arrange(many))
        except plan.failure as error:
            raise self._failed(connection, plan, error) from error

    def look_up(self, connection: Connection, many: Sequence[Row]) -> Sequence[Row | None]:
        """Return one row for each of `many`, in order; None where `together` has none.

        The statement must find exactly one row for each. `together` may leave rows out, and returns the position of
        each, counted from 1, in an additional last column.
        """
        rows = self.rows(connection, many)
        if not self._runs_together(connection):
            return rows
        found: list[Row | None] = [None] * len(many)
        for row in rows:
            found[row[-1] - 1] = row
        return found

    def run(self, connection: Connection, many: Sequence[Row]) -> int:
        """Execute for each of `many`; return the total number of changed rows."""
        known, plan, direct = self._bound
        if known is not connection:
            plan, direct = self._bind(connection)
        try:
            if plan.is_together:
                return direct.run(plan.sql, plan.arrange(many))
            return direct.run_each(plan.sql, plan.arrange(many))
        except plan.failure as error:
            raise self._failed(connection, plan, error) from error

    def run_returning(self, connection: Connection, many: Sequence[Row]) -> Collection[Row] | None:
        """Execute for each of `many`; return what `together` returns of the changed rows, or None if all were changed.

        Raises RuntimeError if the statement alone does not change all: its engine lets nobody else write between
        reading a row and changing it.
        """
        if self._runs_together(connection):
            changed = self.rows(connection, many)
            return None if len(changed) == len(many) else frozenset(changed)
        if self.run(connection, many) != len(many):
            raise RuntimeError("rows were changed that this transaction had not read")
        return None

    def _runs_together(self, connection: Connection) -> bool:
        return self._has_together and connection.dialect.name == "postgresql"

    def _bind(self, connection: Connection) -> "tuple[_Plan, Direct]":
        # The last connection is cached as one value, so that threads that alternate do not affect each other.
        plan, direct = self._plan(connection), cast("Direct", connection.connection.dbapi_connection)
        self._bound = (connection, plan, direct)
        return plan, direct

    def _plan(self, connection: Connection) -> "_Plan":
        # Two threads may both compile a statement at first, with the same result.
        dialect = connection.dialect
        plan = self._plans.get(dialect.driver)
        if plan is None:
            other = self._postgresql if dialect.name == "postgresql" else None
            statement = self._statement if other is None else other
            plan = _Plan(statement, dialect, is_together=self._runs_together(connection))
            self._plans[dialect.driver] = plan
        return plan

    def _failed(self, connection: Connection, plan: "_Plan", error: Exception) -> BaseException:
        self._bound = _UNBOUND  # the connection may be broken, and is then reopened
        # Parameters are hidden, as everywhere in storage: they include hashes of passwords and tokens.
        return DBAPIError.instance(
            plan.sql, None, error, plan.failure, hide_parameters=True, dialect=connection.dialect, ismulti=False
        )


class _Plan:
    """A statement compiled for one dialect: its text, and how the driver takes the values of many rows."""

    def __init__(self, statement: ClauseElement, dialect: Dialect, *, is_together: bool) -> None:
        compiled = cast("SQLCompiler", statement.compile(dialect=dialect))
        if compiled.post_compile_params or compiled.literal_execute_params:
            raise TypeError("a prepared statement has no expanding parameters: run it once per key")
        if not all(bind.required for bind in compiled.bind_names):
            raise TypeError("a prepared statement has no constants as parameters: write them as literals")
        self.sql = str(compiled)
        self.is_together = is_together
        # Set once the dialect has its driver; only such dialects have connections.
        self.failure = cast("type[Exception]", cast("Any", dialect.dbapi).Error)
        names = list(dict.fromkeys(compiled.bind_names.values()))
        self.arrange = _gathering(names) if is_together else _spreading(names, compiled)


def _spreading(names: list[str], compiled: SQLCompiler) -> Callable[[Sequence[Row]], Any]:
    # One set of parameters per row: by name, or a tuple that repeats a value for each use of its parameter.
    if not compiled.positional:
        return lambda many: [dict(zip(names, row, strict=True)) for row in many]
    places = [names.index(name) for name in compiled.positiontup or []]
    if places == list(range(len(names))):
        return lambda many: many
    return lambda many: [*map(itemgetter(*places), many)]


_encode = msgspec.json.Encoder().encode


def _gathering(names: list[str]) -> Callable[[Sequence[Row]], Any]:
    # All rows as one set of parameters, by name.
    if names == ["rows"]:
        return lambda many: {"rows": _encode(many).decode()}
    return lambda many: dict(zip(names, map(list, zip(*many, strict=True)), strict=True))
