"""Prepared statements: the results of Core, without its overhead."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    create_engine,
    delete,
    exc,
    func,
    literal,
    select,
    type_coerce,
    update,
)
from sqlalchemy.dialects.sqlite import insert

from playhead.storage.engine.database import Prepared

metadata = MetaData()
book = Table(
    "book",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("title", Text, nullable=False, unique=True),
    Column("read", Boolean, nullable=False),
    Column("facts", JSON),
    Column("version", Integer, nullable=False),
)
keys = func.json_each(bindparam("keys", type_=Text)).table_valued("key", "value", name="k")

ADD = Prepared(
    insert(book).values(
        id=bindparam("id"), title=bindparam("title"), read=bindparam("read"), facts=bindparam("facts"), version=1
    )
)
FIND = Prepared(select(book.c.title, book.c.read, book.c.facts).where(book.c.id == bindparam("id")))


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    engine = create_engine(f"sqlite+apsw:///{tmp_path / 'books.db'}", hide_parameters=True)
    with engine.connect() as connection:
        metadata.create_all(connection)
        for number, title in enumerate(("Emma", "Ulysses", "Momo"), 1):
            ADD.rows(connection, id=number, title=title, read=title == "Emma", facts={"pages": number})
        yield connection
    engine.dispose()


def test_rows_are_plain_tuples_with_values_converted_as_by_core(connection: Connection):
    assert FIND.rows(connection, id=1) == [("Emma", True, {"pages": 1})]
    assert type(FIND.rows(connection, id=2)[0]) is tuple
    assert FIND.rows(connection, id=2)[0][1] is False
    assert FIND.rows(connection, id=99) == []
    core = connection.execute(select(book.c.title, book.c.read, book.c.facts).where(book.c.id == 2)).one()
    assert FIND.rows(connection, id=2) == [tuple(core)]


def test_the_only_row_or_none(connection: Connection):
    assert FIND.one(connection, (99,)) is None
    title = Prepared(select(book.c.title).where(book.c.id == bindparam("id")))
    assert title.one(connection, (1,)) == ("Emma",)


def test_a_coerced_column_keeps_the_value_of_the_driver(connection: Connection):
    raw = Prepared(select(type_coerce(book.c.read, Integer)).where(book.c.id == 1))
    assert type(raw.rows(connection)[0][0]) is int


def test_run_counts_the_changed_rows(connection: Connection):
    mark = Prepared(update(book).where(book.c.id >= bindparam("least")).values(read=bindparam("is_read")))
    assert mark.run_each(connection, [(1, 2)]) == 2
    assert mark.run_each(connection, [(1, 99)]) == 0
    assert FIND.rows(connection, id=3) == [("Momo", True, {"pages": 3})]
    assert Prepared(delete(book)).run_each(connection, [()]) == 3


def test_a_parameter_may_be_used_several_times_and_next_to_constants(connection: Connection):
    statement = Prepared(
        select(book.c.title, literal("seen"), bindparam("id", type_=Integer))
        .where((book.c.id == bindparam("id")) | (book.c.version == bindparam("id") + 40))
        .where(book.c.title != "Ulysses")
        .limit(bindparam("most"))
    )
    assert statement.rows(connection, id=1, most=5) == [("Emma", "seen", 1)]
    assert statement.rows(connection, id=3, most=5) == [("Momo", "seen", 3)]


def test_a_constant_keeps_its_value_from_one_call_to_the_next(connection: Connection):
    older = Prepared(update(book).where(book.c.id == bindparam("which")).values(version=book.c.version + 5))
    older.rows(connection, which=1)
    older.rows(connection, which=1)
    assert connection.scalar(select(book.c.version).where(book.c.id == 1)) == 11


def test_many_keys_are_passed_as_one_json_text_and_keep_their_order(connection: Connection):
    found = Prepared(
        select(keys.c.key, book.c.title).select_from(keys).outerjoin(book, book.c.id == keys.c.value).order_by("key")
    )
    assert found.rows(connection, keys=json.dumps([3, 9, 1])) == [(0, "Momo"), (1, None), (2, "Emma")]


def test_an_upsert_returns_the_keys_that_it_wrote(connection: Connection):
    new = insert(book).from_select(
        ["id", "title", "read", "version"],
        select(
            keys.c.value.op("->>")(0), keys.c.value.op("->>")(1), literal(value=False), keys.c.value.op("->>")(2)
        ).where(literal(1) == 1),
    )
    upsert = Prepared(
        new.on_conflict_do_update(
            index_elements=[book.c.id],
            set_={"title": new.excluded.title, "version": new.excluded.version},
            where=book.c.version == new.excluded.version - 1,
        ).returning(book.c.id, book.c.read)
    )
    rows = json.dumps([[1, "Emma II", 2], [2, "Too old", 9], [4, "New", 1]])
    assert sorted(upsert.rows(connection, keys=rows)) == [(1, True), (4, False)]
    assert FIND.rows(connection, id=2) == [("Ulysses", False, {"pages": 2})]


def test_an_error_is_the_one_that_core_raises_and_hides_the_values(connection: Connection):
    with pytest.raises(exc.IntegrityError) as direct:
        ADD.rows(connection, id=7, title="Emma", read=False, facts=None)
    with pytest.raises(exc.IntegrityError) as core:
        connection.execute(insert(book).values(id=7, title="Emma", read=False, facts=None, version=1))
    assert type(direct.value.orig) is type(core.value.orig)
    assert direct.value.orig.extended_code == core.value.orig.extended_code
    assert "Emma" not in str(direct.value)
    with pytest.raises(exc.DataError):
        FIND.rows(connection, id=2**70)


@pytest.mark.parametrize("parameters", [{}, {"id": 1, "other": 2}, {"other": 1}])
def test_exactly_the_named_parameters_are_taken(connection: Connection, parameters: dict[str, int]):
    with pytest.raises(TypeError, match="takes"):
        FIND.rows(connection, **parameters)


def test_an_expanding_parameter_is_refused(connection: Connection):
    several = Prepared(select(book.c.id).where(book.c.id.in_(bindparam("ids", expanding=True))))
    with pytest.raises(TypeError, match="JSON"):
        several.rows(connection, ids=[1, 2])


def test_a_statement_runs_in_the_transaction_of_its_connection(connection: Connection):
    connection.commit()
    transaction = connection.begin()
    ADD.rows(connection, id=8, title="Faust", read=False, facts=None)
    transaction.rollback()
    assert FIND.rows(connection, id=8) == []


def test_a_statement_is_compiled_once_per_dialect(connection: Connection):
    assert FIND.sql(connection) is FIND.sql(connection)
    assert "book.id = ?" in FIND.sql(connection)
