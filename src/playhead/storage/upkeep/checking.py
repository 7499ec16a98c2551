"""Integrity checks of a whole database: its pages, its keys, and the invariants of the playback rules.

Changes nothing. Every statement sees its own snapshot and blocks no other; so it may check whatever holds at every
commit.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import apsw
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    ForeignKeyConstraint,
    FromClause,
    Integer,
    String,
    Table,
    Text,
    and_,
    case,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    text,
    type_coerce,
)
from sqlalchemy.exc import DBAPIError

from playhead.domain.accounts import TokenKind
from playhead.domain.model import EARLIEST, LATEST, ItemKind, LibraryKind, Role
from playhead.domain.playback import Event, Policy
from playhead.domain.tokens import TokenScope
from playhead.storage.engine import apsw_dbapi
from playhead.storage.engine.sqlite import Patience, engine_connections
from playhead.storage.migrations import HEAD
from playhead.storage.schema import (
    account,
    alias,
    holding,
    identity,
    item,
    kept_position,
    library,
    list_state,
    login,
    media_file,
    metadata,
    play,
    progress,
    token,
    token_by_hash,
)

ReportProgress = Callable[[int, int], None]

# A table with more faulty rows than this is beyond repair, and a list of its rows helps nobody.
_ROWS_SHOWN = 1000

_PATIENCE_S = 30.0

_HEX = "[0-9a-f]"
_CANONICAL_ID = "-".join(_HEX * length for length in (8, 4, 4, 4, 12))
"""A canonical UUID as a pattern of SQLite's GLOB."""

_RESTORE = "Stop Playhead, keep a copy of the file, and restore the newest backup in which nothing is found."
_SAVE_AGAIN = "The next report of a player replaces it; where many rows have this, restore the newest sound backup."
_UNREACHABLE = "Nobody can reach the row. Delete it, or restore a backup from before what it belongs to was lost."


@dataclass(frozen=True, slots=True)
class IntegrityFault:
    """One fault: its table and row, and what to do. `key` is empty for a fault that concerns no single row."""

    table: str
    key: str
    text: str
    remedy: str


class _Question(NamedTuple):
    """A statement that finds faulty rows: the columns of a key, then a flag per fault."""

    table: Table
    statement: Any  # a Select, whose type names each of its columns
    keys: Sequence[str]
    faults: Sequence[tuple[str, str]]
    """Text and remedy."""


def check_file(path: Path, show: ReportProgress) -> Iterator[IntegrityFault]:
    """Yield every fault of an SQLite database, which may be in use. `show` gets the progress: done, total.

    If its pages are damaged or its schema is not this program's, nothing else is checked. Faults are never raised.
    """
    try:
        with closing(apsw_dbapi.connect(str(path), flags=apsw.SQLITE_OPEN_READONLY, begin_mode=None)) as reader:
            reader.driver.set_busy_handler(Patience(_PATIENCE_S))
            reader.rows("PRAGMA query_only = ON")
            tables = [name for (name,) in reader.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")]
            if "alembic_version" not in tables:
                yield IntegrityFault(
                    "alembic_version", "", "the file is not a Playhead database", "Choose another file."
                )
                return
            [connection] = engine_connections(reader)
            with connection:
                damage = _damage(reader, tables, len(_questions(connection.dialect.name)), show)
                yield from damage
                if not damage:
                    yield from _check(connection, show, done=len(tables))
    except (apsw_dbapi.Error, DBAPIError) as error:
        yield IntegrityFault("the database", "", f"cannot be read: {error}", _RESTORE)


def check_server(url: str, show: ReportProgress) -> Iterator[IntegrityFault]:
    """Yield every faulty row of a PostgreSQL database, in one snapshot; otherwise like `check_file`.

    Pages, types and foreign keys are the server's responsibility, but are checked where that is cheap.
    """
    from playhead.storage.engine.postgres import make_engine, reason  # noqa: PLC0415 - loaded only where it is used

    engine = make_engine(url)
    try:
        with engine.connect() as connection, connection.begin():
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            yield from _check(connection, show, done=0)
    except DBAPIError as error:
        yield IntegrityFault(
            "the database", "", f"cannot be read: {reason(error)}", "Ask the server's log for the cause."
        )
    finally:
        engine.dispose()


def _check(connection: Connection, show: ReportProgress, done: int) -> Iterator[IntegrityFault]:
    revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if revision != HEAD:
        found = f"the schema is {revision}, and this program knows {HEAD}"
        yield IntegrityFault(
            "alembic_version", "", found, "Run `playhead db upgrade` of the newest version, then check again."
        )
        return
    questions = _questions(connection.dialect.name)
    for number, question in enumerate(questions, 1):
        yield from _ask(connection, question)
        show(done + number, done + len(questions))


def _damage(
    reader: apsw_dbapi.Connection, tables: Sequence[str], further: int, show: ReportProgress
) -> list[IntegrityFault]:
    """Compare every table with its indexes, page by page: one after the other, so that no log grows for long."""
    faults: list[IntegrityFault] = []
    for number, table in enumerate(tables, 1):
        quoted = table.replace('"', '""')
        rows = reader.rows(f'PRAGMA integrity_check("{quoted}")')
        faults += [IntegrityFault(table, "", str(row[0]), _RESTORE) for row in rows if row != ("ok",)]
        show(number, len(tables) + further)
    return faults


def _ask(connection: Connection, question: _Question) -> Iterator[IntegrityFault]:
    width = len(question.keys)
    rows = connection.execute(question.statement.limit(_ROWS_SHOWN)).all()
    for row in rows:
        key = ", ".join(f"{name}={value}" for name, value in zip(question.keys, row[:width], strict=True))
        for (found, remedy), is_so in zip(question.faults, row[width:], strict=True):
            if is_so:
                yield IntegrityFault(question.table.name, key, found, remedy)
    if len(rows) == _ROWS_SHOWN:
        yield IntegrityFault(
            question.table.name, "", f"more than {_ROWS_SHOWN} rows are faulty; the rest is not shown", _RESTORE
        )


def _questions(dialect: str) -> list[_Question]:
    return [
        *(_rows_of(table, dialect) for table in metadata.sorted_tables),
        *chain.from_iterable(_references_of(table) for table in metadata.sorted_tables),
        *_lost_owners(),
        *_across_rows(Policy()),
    ]


def _rows_of(table: Table, dialect: str) -> _Question:
    """The faults of a row by itself, in one pass through its table."""
    faults = [*_OF_ROWS.get(table.name, ())]
    for column in table.c:
        if isinstance(column.type, BigInteger) and column.name.endswith(("_at", "_until")):
            faults.append((f"{column.name} is outside the calendar", not_(column.between(EARLIEST, LATEST)), _RESTORE))
        if dialect == "sqlite":  # which allows any value in any column
            faults += _types_of(column)
    return _question(table, faults)


def _types_of(column: Column[Any]) -> Iterator[tuple[str, ColumnElement[bool], str]]:
    kind = column.type
    if isinstance(kind, Integer | Boolean):  # BigInteger is an Integer
        yield f"{column.name} is not an integer", func.typeof(column).not_in(["integer", "null"]), _RESTORE
    if isinstance(kind, Boolean):
        yield f"{column.name} is neither 0 nor 1", type_coerce(column, Integer).not_in([0, 1]), _RESTORE
    if isinstance(kind, String) and not isinstance(kind, Text):  # an id
        strange = type_coerce(column, Text).bool_op("NOT GLOB")(_CANONICAL_ID)
        yield f"{column.name} is not a canonical UUID", strange, _RESTORE
    if isinstance(kind, Text):
        yield f"{column.name} is not text", func.typeof(column).not_in(["text", "null"]), _RESTORE


def _references_of(table: Table) -> Iterator[_Question]:
    """The rows with dangling foreign keys: like `PRAGMA foreign_key_check`, but with their keys."""
    for constraint in table.constraints:
        if not isinstance(constraint, ForeignKeyConstraint):
            continue
        [element] = constraint.elements
        parent = element.column.table.alias("parent")
        child, key = element.parent, parent.c[element.column.name]
        found = f"{child.name} leads to no row of {element.column.table.name}"
        yield _lone(table, child, parent, key == child, key, found)


def _lost_owners() -> Iterator[_Question]:
    """The rows whose parent row is missing, without a foreign key."""
    yield _lone(login, login.c.user_id, account, account.c.id == login.c.user_id, account.c.id, "it is of no account")
    named = _lone(account, account.c.id, login, login.c.user_id == account.c.id, login.c.user_id, "nobody can sign in")
    yield named._replace(faults=[("it has no name to sign in with", "Remove the user, or restore a backup.")])
    # A setup token names the user that it will create.
    owned = _lone(token, token.c.user_id, account, account.c.id == token.c.user_id, account.c.id, "it is of no account")
    yield owned._replace(statement=owned.statement.where(token.c.kind != TokenKind.SETUP.value))
    of_nobody = "it is of no account"
    yield _lone(identity, identity.c.user_id, account, account.c.id == identity.c.user_id, account.c.id, of_nobody)
    named = and_(token.c.user_id == token_by_hash.c.user_id, token.c.hash == token_by_hash.c.hash)
    yield _lone(token_by_hash, token_by_hash.c.hash, token, named, token.c.hash, "it leads to no token")
    for table in (play, kept_position):
        owner = and_(progress.c.user_id == table.c.user_id, progress.c.item_id == table.c.item_id)
        yield _lone(table, table.c.user_id, progress, owner, progress.c.user_id, "there is no progress of the item")


def _lone(  # noqa: PLR0913 - both sides of a join
    table: Table,
    child: ColumnElement[Any],
    parent: FromClause,
    owner: ColumnElement[bool],
    key: ColumnElement[Any],
    found: str,
) -> _Question:
    keys = [*table.primary_key]
    statement = select(*keys, literal(1)).select_from(table).outerjoin(parent, owner)
    return _Question(
        table, statement.where(child.is_not(None), key.is_(None)), [each.name for each in keys], [(found, _UNREACHABLE)]
    )


def _across_rows(policy: Policy) -> Iterator[_Question]:
    of_item = [kept_position.c.user_id, kept_position.c.item_id]
    yield _Question(
        kept_position,
        select(*of_item, literal(1)).group_by(*of_item).having(func.count() > policy.kept_points),
        ["user_id", "item_id"],
        [(f"more than {policy.kept_points} points are kept", "The next point that is kept removes the oldest.")],
    )
    of_moment = [play.c.user_id, play.c.item_id, play.c.watched_at]
    yield _Question(
        play,
        select(*of_moment, literal(1))
        .where(play.c.source == "automatic")
        .group_by(*of_moment)
        .having(func.count() > 1),
        ["user_id", "item_id", "watched_at"],
        [("one viewing is counted more than once", "Delete all but one of these plays.")],
    )
    yield _Question(
        login,
        select(login.c.user_id, literal(1)).group_by(login.c.user_id).having(func.count() > 1),
        ["user_id"],
        [("an account has several names", "Delete those by which nobody signs in.")],
    )
    yield _Question(
        list_state,
        select(list_state.c.user_id, list_state.c.item_id, literal(1))
        .join(item, item.c.id == list_state.c.item_id)
        .where(list_state.c.dropped_at.is_not(None), item.c.kind != ItemKind.SHOW.value),
        ["user_id", "item_id"],
        [("only shows can be dropped", "Delete the row; no position is in it.")],
    )
    show = item.alias("show")
    yield _Question(
        item,
        select(item.c.id, literal(1)).join(show, show.c.id == item.c.show_id).where(show.c.kind != ItemKind.SHOW.value),
        ["id"],
        [("show_id leads to no show", "Scan or import its library again.")],
    )
    further = alias.alias("further")
    yield _Question(
        alias,
        select(alias.c.id, literal(1)).join(further, further.c.id == alias.c.item_id),
        ["id"],
        [("it leads to another alias", _RESTORE)],
    )
    yield _Question(
        alias,
        select(alias.c.id, literal(1)).join(item, item.c.id == alias.c.id),
        ["id"],
        [("there is an item with this id", _RESTORE)],
    )
    yield _Question(
        holding,
        select(holding.c.item_id, holding.c.library_id, literal(1))
        .join(item, item.c.id == holding.c.item_id)
        .where(item.c.owner_id.is_not(None), holding.c.removed_at.is_(None), holding.c.ended_at.is_(None)),
        ["item_id", "library_id"],
        [("a library has a private item", _A_SCAN)],
    )
    yield _Question(
        holding,
        select(holding.c.item_id, holding.c.library_id, literal(1))
        .join(library, library.c.id == holding.c.library_id)
        .where(library.c.removed_at.is_not(None), holding.c.removed_at.is_(None)),
        ["item_id", "library_id"],
        [("a removed library has an item", _RESTORE)],
    )


def _question(table: Table, faults: Sequence[tuple[str, ColumnElement[bool], str]]) -> _Question:
    keys = [*table.primary_key]
    flags = [case((condition, 1), else_=0) for _, condition, _ in faults]
    # The keys as they are stored: malformed ids must be shown, too.
    statement = select(*(type_coerce(key, Text) for key in keys), *flags).where(
        or_(false(), *(condition for _, condition, _ in faults))
    )
    return _Question(table, statement, [key.name for key in keys], [(found, remedy) for found, _, remedy in faults])


def _no_member_of(column: Column[Any], members: Sequence[str]) -> tuple[str, ColumnElement[bool], str]:
    return f"{column.name} is none of {', '.join(members)}", column.not_in(members), _RESTORE


_A_SCAN = "Scan or import its library again."

_OF_ROWS: dict[str, Sequence[tuple[str, ColumnElement[bool], str]]] = {
    "account": [_no_member_of(account.c.role, [*Role])],
    "token": [
        _no_member_of(token.c.kind, [*TokenKind]),
        _no_member_of(token.c.scope, [*TokenScope]),
        ("hash is no SHA-256 in hexadecimal digits", func.length(token.c.hash) != 64, _UNREACHABLE),  # noqa: PLR2004
    ],
    "library": [_no_member_of(library.c.kind, [*LibraryKind])],
    "item": [
        _no_member_of(item.c.kind, [*ItemKind]),
        ("an episode has no show", and_(item.c.kind == "episode", item.c.show_id.is_(None)), _A_SCAN),
        ("only episodes have a show", and_(item.c.kind != "episode", item.c.show_id.is_not(None)), _A_SCAN),
        ("runtime_ms is not above 0", item.c.runtime_ms <= 0, _A_SCAN),
        ("a private item is open", and_(item.c.is_open, item.c.owner_id.is_not(None)), _RESTORE),
    ],
    "media_file": [
        ("size is below 0", media_file.c.size < 0, _A_SCAN),
        ("duration_ms is not above 0", media_file.c.duration_ms <= 0, _A_SCAN),
    ],
    "progress": [
        ("position_ms is below 0", progress.c.position_ms < 0, _SAVE_AGAIN),
        ("duration_ms is not above 0", progress.c.duration_ms <= 0, _SAVE_AGAIN),
        ("the position lies behind the end (rule 5)", progress.c.position_ms > progress.c.duration_ms, _SAVE_AGAIN),
        (
            "what was never reported has a position",
            and_(progress.c.duration_ms.is_(None), progress.c.position_ms != 0),
            _SAVE_AGAIN,
        ),
        (
            "of duration_ms and last_watched_at only one is known",
            progress.c.duration_ms.is_(None) != progress.c.last_watched_at.is_(None),
            _SAVE_AGAIN,
        ),
        ("version is below 1", progress.c.version < 1, _RESTORE),
        _no_member_of(progress.c.event, [*Event]),
        (
            "of completed_session and completed_duration_ms only one is known (rule 8)",
            progress.c.completed_session.is_(None) != progress.c.completed_duration_ms.is_(None),
            _SAVE_AGAIN,
        ),
        (
            "nobody completed what is known of a completion (rule 8)",
            and_(
                progress.c.completed_session.is_(None),
                or_(progress.c.completed_at.is_not(None), progress.c.completed_marked.is_(True)),
            ),
            _SAVE_AGAIN,
        ),
        ("completed_duration_ms is not above 0", progress.c.completed_duration_ms <= 0, _SAVE_AGAIN),
        (
            "a completion marked it, and it is not watched (rule 8)",
            and_(progress.c.completed_marked.is_(True), progress.c.watched.is_(False)),
            _SAVE_AGAIN,
        ),
    ],
    "play": [
        _no_member_of(play.c.source, ["automatic", "marked", "imported"]),
        (
            "a play that a report completed has no time",
            and_(play.c.source == "automatic", play.c.watched_at.is_(None)),
            "Delete the play, or restore a backup.",
        ),
    ],
    "kept_position": [
        ("position_ms is below 0", kept_position.c.position_ms < 0, _UNREACHABLE),
        ("duration_ms is not above 0", kept_position.c.duration_ms <= 0, _UNREACHABLE),
        (
            "the point lies behind the end (rule 5)",
            kept_position.c.position_ms > kept_position.c.duration_ms,
            _UNREACHABLE,
        ),
    ],
}
