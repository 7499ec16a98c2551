"""The storage seam: runs a synchronous function with a connection in a transaction; and prepared hot statements.

Knows no engine: `sqlite.py` and `postgres.py` implement this interface. The functions take a connection, neither commit
nor roll back, and never keep the connection.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Protocol, TypeVar, cast

import msgspec
from sqlalchemy import ClauseElement, Connection, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.selectable import ReturnsRows

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
    """Return the cache of rows that `Database.commit_batch` never changes, or None where nothing may be cached.

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

    def each(self, sql: str, many: Iterable[Any]) -> list[Row]:
        """Execute once for each of the parameters, and return the rows of all, in their order."""
        ...

    def run_each(self, sql: str, many: Iterable[Any]) -> int:
        """Execute once for each of the parameters, and return the number of changed rows in all."""
        ...


_Convert = Callable[[Any], Any]


class _Plan:
    """A statement compiled for one dialect: the text, and how values go in and come out."""

    def __init__(self, statement: ClauseElement, dialect: Dialect) -> None:
        compiled = cast("SQLCompiler", statement.compile(dialect=dialect))
        if compiled.post_compile_params or compiled.literal_execute_params:
            raise TypeError("a prepared statement has no expanding parameters: hand lists in as JSON")
        binds = {name: bind for bind, name in compiled.bind_names.items()}
        self.sql = str(compiled)
        # Set as long as the dialect has its driver, and only such dialects have connections.
        self.failure = cast("type[Exception]", cast("Any", dialect.dbapi).Error)
        self._required = frozenset(name for name, bind in binds.items() if bind.required)
        self._constants = {name: bind.effective_value for name, bind in binds.items() if not bind.required}
        processors = {name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in binds.items()}
        self._processors = [(name, convert) for name, convert in processors.items() if convert]
        self._arrange = _arrangement(compiled)
        self.spread = _spreading(compiled)
        self.gather = _gathering(compiled)
        columns = statement.exported_columns if isinstance(statement, ReturnsRows) else ()
        results = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
        self._results = [(index, convert) for index, convert in enumerate(results) if convert]

    def bind(self, parameters: dict[str, Any]) -> Any:  # noqa: ANN401 - a tuple or a mapping, as the driver wants
        if parameters.keys() != self._required:
            raise TypeError(f"the statement takes {sorted(self._required)}, not {sorted(parameters)}")
        if self._constants:
            parameters |= self._constants
        for name, convert in self._processors:
            parameters[name] = convert(parameters[name])
        return self._arrange(parameters)

    def decode(self, row: Row) -> Row:
        values = list(row)
        for index, convert in self._results:
            values[index] = convert(values[index])
        return tuple(values)

    @property
    def plain(self) -> bool:
        """Whether rows can be handed on as they come from the driver."""
        return not self._results


def _arrangement(compiled: SQLCompiler) -> Callable[[Mapping[str, Any]], Any]:
    # How the driver wants the values: by name, or as a tuple in which a parameter stands once for each of its uses.
    if not compiled.positional:
        return lambda parameters: parameters
    order = compiled.positiontup or []
    if len(order) > 1:
        return itemgetter(*order)
    return lambda parameters: tuple(parameters[name] for name in order)


def _spreading(compiled: SQLCompiler) -> Callable[[Sequence[Row]], Iterable[Any]]:
    # As `_arrangement`, for rows whose values stand in the order of the parameters' first use.
    names = list(dict.fromkeys(compiled.bind_names.values()))
    if not compiled.positional:
        return lambda many: [dict(zip(names, row, strict=True)) for row in many]
    order = compiled.positiontup or []
    places = [names.index(name) for name in order]
    if places == list(range(len(names))):
        return lambda many: many
    return lambda many: map(itemgetter(*places), many)


def _gathering(compiled: SQLCompiler) -> Callable[[Sequence[Row]], Any]:
    # All rows as one set of parameters, by name.
    names = list(dict.fromkeys(compiled.bind_names.values()))
    if names == ["rows"]:
        return lambda many: {"rows": _encode(many).decode()}
    return lambda many: dict(zip(names, map(list, zip(*many, strict=True)), strict=True))


_encode = msgspec.json.Encoder().encode

_UNBOUND: tuple[Connection | None, Any, Any] = (None, None, None)


class Prepared:
    """A Core statement that is compiled once per dialect and then executed directly on the driver.

    For hot statements, where Core's execution costs more than the query. Values are passed by the names of the
    statement's `bindparam`s; lists are passed as JSON (`func.json_each(bindparam("keys"))`), because an expanding IN
    cannot be compiled once. If the engines need different statements, `of_dialect` names the others:
    `Prepared(sqlite, postgresql=…)`. Rows are plain tuples, converted by the column types as in Core; a `type_coerce`
    to a driver type (Integer for Boolean) avoids that. Errors are the same `sqlalchemy.exc` classes as Core's.

    Runs in the connection's current transaction and begins none: use it inside `Database.read`, `write` or
    `read_inline`.
    """

    def __init__(self, statement: ClauseElement, **of_dialect: ClauseElement) -> None:
        self._statement = statement
        self._of_dialect = of_dialect
        self._plans: dict[str, _Plan] = {}
        self._bound = _UNBOUND

    def sql(self, connection: Connection) -> str:
        """Return the text that the driver gets; for tests and for EXPLAIN."""
        return self._plan(connection).sql

    def rows(self, connection: Connection, /, **parameters: Any) -> list[Row]:  # noqa: ANN401 - what the columns hold
        """Execute, and return all rows. Raises TypeError unless exactly the statement's parameters are given."""
        plan = self._plans.get(connection.dialect.driver) or self._plan(connection)
        values = plan.bind(parameters)
        try:
            rows = _direct(connection).rows(plan.sql, values)
        except plan.failure as error:
            raise _wrapped(connection, plan, error) from error
        return rows if plan.plain else [plan.decode(row) for row in rows]

    def one(self, connection: Connection, values: Row) -> Row | None:
        """Execute for one row of values, and return the only row, or None. Otherwise as `each`."""
        rows = self.each(connection, (values,))
        return rows[0] if rows else None

    def each(self, connection: Connection, many: Sequence[Row]) -> list[Row]:
        """Execute once for each of `many`, and return all rows in order, unconverted.

        Values are in the order in which the statement first names its parameters, and are not converted.
        """
        known, plan, direct = self._bound
        if known is not connection:
            plan, direct = self._bind(connection)
        try:
            return direct.each(plan.sql, plan.spread(many))
        except plan.failure as error:
            self._bound = _UNBOUND  # the connection may be a broken one, which is opened anew
            raise _wrapped(connection, plan, error) from error

    def run_each(self, connection: Connection, many: Sequence[Row]) -> int:
        """Execute once for each of `many`; return the number of rows changed in all. Otherwise as `each`."""
        known, plan, direct = self._bound
        if known is not connection:
            plan, direct = self._bind(connection)
        try:
            return direct.run_each(plan.sql, plan.spread(many))
        except plan.failure as error:
            self._bound = _UNBOUND
            raise _wrapped(connection, plan, error) from error

    def all_at_once(self, connection: Connection, many: Sequence[Row]) -> list[Row]:
        """Execute once, with the columns of `many` as arrays or all of it as JSON; see `PreparedMany`."""
        known, plan, direct = self._bound
        if known is not connection:
            plan, direct = self._bind(connection)
        try:
            return direct.rows(plan.sql, plan.gather(many))
        except plan.failure as error:
            self._bound = _UNBOUND
            raise _wrapped(connection, plan, error) from error

    def run_at_once(self, connection: Connection, many: Sequence[Row]) -> int:
        """Execute once as `all_at_once` does; return the number of rows changed."""
        known, plan, direct = self._bound
        if known is not connection:
            plan, direct = self._bind(connection)
        try:
            return direct.run(plan.sql, plan.gather(many))
        except plan.failure as error:
            self._bound = _UNBOUND
            raise _wrapped(connection, plan, error) from error

    def _bind(self, connection: Connection) -> tuple[_Plan, Direct]:
        # The last connection is remembered as one value, so that threads that alternate take nothing from each other.
        plan, direct = self._plan(connection), _direct(connection)
        self._bound = (connection, plan, direct)
        return plan, direct

    def _plan(self, connection: Connection) -> _Plan:
        # Two threads may both compile a statement at first; they come to the same result.
        dialect = connection.dialect
        plan = self._plans.get(dialect.driver)
        if plan is None:
            statement = self._of_dialect.get(dialect.name, self._statement)
            plan = self._plans[dialect.driver] = _Plan(statement, dialect)
        return plan


def _direct(connection: Connection) -> Direct:
    return cast("Direct", connection.connection.dbapi_connection)


def _wrapped(connection: Connection, plan: _Plan, error: Exception) -> BaseException:
    # Parameters are hidden as everywhere in storage: among them are hashes of passwords and tokens.
    return DBAPIError.instance(
        plan.sql, None, error, plan.failure, hide_parameters=True, dialect=connection.dialect, ismulti=False
    )


class PreparedMany:
    """A Core statement for many rows of values, executed as suits the engine.

    `each` runs once per row, which is best for an engine in the same process. Across a network `together` runs once for
    all rows: its parameters of the same names are arrays, one per column; or, if its only parameter is `rows`, that is
    one JSON text, an array of arrays. `together` is for PostgreSQL.
    """

    def __init__(self, each: ClauseElement, together: ClauseElement) -> None:
        self._each = Prepared(each)
        self._together = Prepared(together)

    def sql(self, connection: Connection) -> str:
        """Return the text that the driver gets; for tests and for EXPLAIN."""
        return (self._together if connection.dialect.name == "postgresql" else self._each).sql(connection)

    def look_up(self, connection: Connection, many: Sequence[Row]) -> list[Row | None]:
        """Return one row for each of `many`, in their order; None where `together` has none.

        `each` must find exactly one row. `together` may leave rows out, and tells the place of each, counted from 1, in
        an additional last column.
        """
        if connection.dialect.name != "postgresql":
            return [*self._each.each(connection, many)]
        found: list[Row | None] = [None] * len(many)
        for row in self.rows(connection, many):
            found[row[-1] - 1] = row
        return found

    def rows(self, connection: Connection, many: Sequence[Row]) -> list[Row]:
        """Return the rows of all, in no order."""
        if connection.dialect.name != "postgresql":
            return self._each.each(connection, many)
        return self._together.all_at_once(connection, many) if many else []

    def run_telling(self, connection: Connection, many: Sequence[Row]) -> Collection[Row] | None:
        """Run, and return what `together` returns of the rows that it changed; None where it changed all.

        Raises RuntimeError where `each` does not change all: its engine lets nobody write between a look and a change.
        """
        if connection.dialect.name == "postgresql":
            told = self._together.all_at_once(connection, many)
            return None if len(told) == len(many) else frozenset(told)
        if self._each.run_each(connection, many) != len(many):
            raise RuntimeError("rows were changed that were not looked at in this transaction")
        return None

    def run(self, connection: Connection, many: Sequence[Row]) -> int:
        """Return the number of rows changed in all."""
        if connection.dialect.name != "postgresql":
            return self._each.run_each(connection, many)
        return self._together.run_at_once(connection, many)
