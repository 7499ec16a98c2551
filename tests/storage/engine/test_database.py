"""Prepared statements: the results of Core, without its overhead."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    create_engine,
    delete,
    exc,
    literal,
    literal_column,
    select,
    type_coerce,
    update,
)
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.compiler import compiles

from playhead.storage.engine.database import Prepared

metadata = MetaData()
book = Table(
    "book",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("title", Text, nullable=False, unique=True),
    Column("read", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
)

ADD = Prepared(
    insert(book).values(
        id=bindparam("id"), title=bindparam("title"), read=bindparam("read"), version=literal_column("1")
    )
)
FIND = Prepared(select(book.c.title, type_coerce(book.c.read, Integer)).where(book.c.id == bindparam("id")))


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    engine = create_engine(f"sqlite+apsw:///{tmp_path / 'books.db'}", hide_parameters=True)
    with engine.connect() as connection:
        metadata.create_all(connection)
        ADD.run(connection, [(1, "Emma", 1), (2, "Ulysses", 0), (3, "Momo", 0)])
        yield connection
    engine.dispose()


def test_rows_are_plain_tuples_in_the_order_of_the_values(connection: Connection):
    assert FIND.rows(connection, [(3,), (99,), (1,)]) == [("Momo", 0), ("Emma", 1)]
    assert type(FIND.rows(connection, [(2,)])[0]) is tuple
    core = connection.execute(select(book.c.title, book.c.read).where(book.c.id == 2)).one()
    assert FIND.rows(connection, [(2,)]) == [tuple(core)]
    assert FIND.rows(connection, []) == []


def test_the_only_row_or_none(connection: Connection):
    assert FIND.one(connection, (99,)) is None
    assert FIND.one(connection, (1,)) == ("Emma", 1)


def test_a_look_up_has_a_row_for_each_of_the_values(connection: Connection):
    assert FIND.look_up(connection, [(3,), (1,)]) == [("Momo", 0), ("Emma", 1)]


def test_run_counts_the_changed_rows(connection: Connection):
    mark = Prepared(update(book).where(book.c.id >= bindparam("least")).values(read=bindparam("is_read")))
    assert mark.run(connection, [(1, 2)]) == 2
    assert mark.run(connection, [(1, 99)]) == 0
    assert mark.run(connection, [(0, 1), (0, 3)]) == 4
    assert FIND.one(connection, (3,)) == ("Momo", 0)
    assert Prepared(delete(book)).run(connection, [()]) == 3


def test_a_change_that_must_find_all_rows_refuses_to_miss_one(connection: Connection):
    older = Prepared(update(book).where(book.c.id == bindparam("which")).values(version=literal_column("version + 1")))
    assert older.run_returning(connection, [(1,), (2,)]) is None
    with pytest.raises(RuntimeError, match="had not read"):
        older.run_returning(connection, [(1,), (99,)])


def test_a_parameter_may_be_used_several_times(connection: Connection):
    statement = Prepared(
        select(book.c.title, literal_column("'seen'"), bindparam("id", type_=Integer))
        .where((book.c.id == bindparam("id")) | (book.c.version == bindparam("id") + literal_column("40")))
        .where(book.c.title != literal_column("'Ulysses'"))
        .limit(bindparam("most"))
        .offset(literal_column("0"))
    )
    assert statement.rows(connection, [(1, 5), (3, 5)]) == [("Emma", "seen", 1), ("Momo", "seen", 3)]


def test_an_error_is_the_one_that_core_raises_and_hides_the_values(connection: Connection):
    with pytest.raises(exc.IntegrityError) as direct:
        ADD.run(connection, [(7, "Emma", 0)])
    with pytest.raises(exc.IntegrityError) as core:
        connection.execute(insert(book).values(id=7, title="Emma", read=False, version=1))
    assert type(direct.value.orig) is type(core.value.orig)
    assert direct.value.orig.extended_code == core.value.orig.extended_code
    assert "Emma" not in str(direct.value)
    with pytest.raises(exc.DataError):
        FIND.rows(connection, [(2**70,)])


@pytest.mark.parametrize("values", [(), (1, 2)])
def test_exactly_as_many_values_are_taken_as_there_are_parameters(connection: Connection, values: tuple[int, ...]):
    with pytest.raises(exc.ProgrammingError):
        FIND.rows(connection, [values])


def test_an_expanding_parameter_is_refused(connection: Connection):
    several = Prepared(select(book.c.id).where(book.c.id.in_(bindparam("ids", expanding=True))))
    with pytest.raises(TypeError, match="expanding"):
        several.rows(connection, [([1, 2],)])


def test_a_constant_among_the_parameters_is_refused(connection: Connection):
    older = Prepared(update(book).where(book.c.id == bindparam("which")).values(version=literal(5)))
    with pytest.raises(TypeError, match="literals"):
        older.run(connection, [(1,)])


def test_a_statement_runs_in_the_transaction_of_its_connection(connection: Connection):
    connection.commit()
    transaction = connection.begin()
    ADD.run(connection, [(8, "Faust", 0)])
    transaction.rollback()
    assert FIND.rows(connection, [(8,)]) == []


class Counted(ColumnElement[int]):
    """An expression that counts how often it is compiled."""

    inherit_cache = False
    type = Integer()
    times = 0


@compiles(Counted)
def count(_element: Counted, _compiler: Any, **_: Any) -> str:  # noqa: ANN401 - what SQLAlchemy hands in
    Counted.times += 1
    return "7"


def test_a_statement_is_compiled_once_per_dialect(connection: Connection):
    statement = Prepared(select(Counted()))
    Counted.times = 0
    assert [statement.one(connection, ()) for _ in range(3)] == [(7,)] * 3
    with connection.engine.connect() as other:
        assert statement.one(other, ()) == (7,)
    assert Counted.times == 1
