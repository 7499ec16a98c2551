"""The sqlite+apsw dialect and its DB-API, without Playhead's tables."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    delete,
    exc,
    func,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import Engine

from playhead.storage.engine import apsw_dbapi
from playhead.storage.engine.sqlite_dialect import ApswDialect

metadata = MetaData()
shelf = Table("shelf", metadata, Column("id", Integer, primary_key=True), Column("name", Text, unique=True))
book = Table(
    "book",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("shelf_id", Integer, ForeignKey("shelf.id", ondelete="CASCADE"), nullable=False),
    Column("title", String(40), nullable=False),
    Column("read", Boolean, nullable=False, default=False),
    Column("version", Integer, nullable=False, default=1),
    CheckConstraint("length(title) > 0", name="titled"),
    Index("ix_book_title", "title"),
)


def driver_of(connection: Connection) -> apsw.Connection:
    return connection.connection.dbapi_connection.driver


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite+apsw:///{tmp_path / 'books.db'}")
    metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection:
        driver_of(connection).execute("PRAGMA foreign_keys = ON")  # has no effect within a transaction
        connection.execute(insert(shelf).values(id=1, name="top"))
        connection.commit()
        yield connection


def test_the_module_is_db_api_level_2():
    assert (apsw_dbapi.apilevel, apsw_dbapi.paramstyle, apsw_dbapi.threadsafety) == ("2.0", "qmark", 1)
    for name in ("InterfaceError", "DatabaseError"):
        assert issubclass(getattr(apsw_dbapi, name), apsw_dbapi.Error)
    for name in ("Data", "Operational", "Integrity", "Internal", "Programming", "NotSupported"):
        assert issubclass(getattr(apsw_dbapi, f"{name}Error"), apsw_dbapi.DatabaseError)


def test_no_second_sqlite_library_is_loaded():
    program = """
import sys
from sqlalchemy import create_engine, text
import playhead.storage.engine.sqlite
with create_engine("sqlite+apsw://").connect() as connection:
    assert connection.scalar(text("SELECT 1")) == 1
sys.exit("_sqlite3" in sys.modules or "sqlite3" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], check=False)  # noqa: S603 - the text above
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("url", "arguments"),
    [
        ("sqlite+apsw://", [":memory:"]),
        ("sqlite+apsw:///relative.db", ["relative.db"]),
        ("sqlite+apsw:////absolute.db", ["/absolute.db"]),
    ],
)
def test_a_url_names_a_path_or_memory(url: str, arguments: list[str]):
    made = create_engine(url)
    assert made.dialect.create_connect_args(made.url) == (arguments, {})


@pytest.mark.parametrize("url", ["sqlite+apsw://host/x.db", "sqlite+apsw:///x.db?cache=shared"])
def test_a_url_with_a_host_or_options_is_refused(url: str):
    with pytest.raises(exc.ArgumentError):
        create_engine(url)


# Errors


def sql(statement: str, *parameters: object) -> Callable[[Connection], object]:
    return lambda connection: connection.exec_driver_sql(statement, parameters)


@pytest.mark.parametrize(
    ("act", "expected", "extended_code"),
    [
        (sql("INSERT INTO shelf VALUES (2, 'top')"), exc.IntegrityError, apsw.SQLITE_CONSTRAINT_UNIQUE),
        (sql("INSERT INTO shelf VALUES (1, 'x')"), exc.IntegrityError, apsw.SQLITE_CONSTRAINT_PRIMARYKEY),
        (sql("INSERT INTO book VALUES (1, 9, 'x', 0, 1)"), exc.IntegrityError, apsw.SQLITE_CONSTRAINT_FOREIGNKEY),
        (sql("INSERT INTO book VALUES (1, 1, NULL, 0, 1)"), exc.IntegrityError, apsw.SQLITE_CONSTRAINT_NOTNULL),
        (sql("INSERT INTO book VALUES (1, 1, '', 0, 1)"), exc.IntegrityError, apsw.SQLITE_CONSTRAINT_CHECK),
        (sql("INSERT INTO shelf VALUES ('no number', 'x')"), exc.IntegrityError, apsw.SQLITE_MISMATCH),
        (sql("SELECT zeroblob(2000000000)"), exc.DataError, apsw.SQLITE_TOOBIG),
        (sql("SELECT ?", 2**63), exc.DataError, None),
        (sql("SELECT ?", "\ud800"), exc.DataError, None),
        (sql("SELECT * FROM nothing"), exc.OperationalError, apsw.SQLITE_ERROR),
        (sql("SELEC 1"), exc.OperationalError, apsw.SQLITE_ERROR),
        (sql("ATTACH '/no/such/folder/x.db' AS other"), exc.OperationalError, apsw.SQLITE_CANTOPEN),
        (sql("SELECT ?", 1, 2), exc.ProgrammingError, None),
        (sql("SELECT ?", object()), exc.ProgrammingError, None),
    ],
)
def test_an_error_has_its_db_api_class_and_sqlites_code(
    connection: Connection, act: Callable[[Connection], object], expected: type[Exception], extended_code: int | None
):
    with pytest.raises(exc.DBAPIError) as caught:
        act(connection)
    assert type(caught.value) is expected
    assert caught.value.orig.extended_code == extended_code
    assert caught.value.orig.code == (None if extended_code is None else extended_code & 0xFF)


@pytest.mark.parametrize(
    ("original", "expected"),
    [
        (apsw.SQLITE_BUSY, apsw_dbapi.OperationalError),
        (apsw.SQLITE_BUSY_SNAPSHOT, apsw_dbapi.OperationalError),
        (apsw.SQLITE_LOCKED, apsw_dbapi.OperationalError),
        (apsw.SQLITE_FULL, apsw_dbapi.OperationalError),
        (apsw.SQLITE_IOERR_FSYNC, apsw_dbapi.OperationalError),
        (apsw.SQLITE_CANTOPEN_ISDIR, apsw_dbapi.OperationalError),
        (apsw.SQLITE_READONLY, apsw_dbapi.OperationalError),
        (apsw.SQLITE_NOMEM, apsw_dbapi.OperationalError),
        (apsw.SQLITE_CORRUPT, apsw_dbapi.DatabaseError),
        (apsw.SQLITE_NOTADB, apsw_dbapi.DatabaseError),
        (apsw.SQLITE_MISUSE, apsw_dbapi.ProgrammingError),
        (apsw.SQLITE_RANGE, apsw_dbapi.ProgrammingError),
        (apsw.SQLITE_INTERNAL, apsw_dbapi.InternalError),
        (apsw.SQLITE_NOLFS, apsw_dbapi.NotSupportedError),
    ],
)
def test_a_result_code_maps_to_its_class(original: int, expected: type[Exception]):
    error = apsw_dbapi.translated(apsw.exception_for(original))
    assert type(error) is expected
    assert (error.code, error.extended_code) == (original & 0xFF, original)


def test_a_file_that_is_not_a_database_is_a_database_error(tmp_path: Path):
    path = tmp_path / "letter.db"
    path.write_text("Dear reader, this is a letter. " * 50)
    connection = apsw_dbapi.connect(str(path))
    with pytest.raises(apsw_dbapi.DatabaseError) as caught:
        connection.rows("SELECT * FROM sqlite_schema")
    assert type(caught.value) is apsw_dbapi.DatabaseError
    assert caught.value.code == apsw.SQLITE_NOTADB
    assert connection.damage is not None


def test_closed_connections_and_cursors_refuse_to_work():
    connection = apsw_dbapi.connect(":memory:")
    connection.close()
    connection.close()
    with pytest.raises(apsw_dbapi.ProgrammingError):
        connection.rows("SELECT 1")


@pytest.mark.parametrize(
    ("code", "damaging"),
    [
        (apsw.SQLITE_IOERR_READ, True),
        (apsw.SQLITE_CORRUPT_INDEX, True),
        (apsw.SQLITE_FULL, False),
        (apsw.SQLITE_IOERR_SHMSIZE, False),  # a full disk, noticed at the wal-index
        (apsw.SQLITE_BUSY, False),
    ],
)
def test_a_connection_remembers_only_errors_that_make_the_file_untrustworthy(code: int, *, damaging: bool):
    connection = apsw_dbapi.connect(":memory:")
    connection.failed(apsw.exception_for(code))
    assert (connection.damage is not None) is damaging


def test_an_expected_error_does_not_count_as_damage(connection: Connection):
    with pytest.raises(exc.IntegrityError):
        connection.execute(insert(shelf).values(id=1, name="x"))
    assert connection.connection.dbapi_connection.damage is None


# Statements


def test_a_result_without_rows_still_has_its_columns(connection: Connection):
    result = connection.execute(select(book.c.id, book.c.title))
    assert list(result.keys()) == ["id", "title"]
    assert result.all() == []


def test_types_survive_a_round_trip(connection: Connection):
    values = ("ünï🎬", b"\x00\xff", 2**63 - 1, -(2**63), 0.1, None, "a\0b")
    columns = ", ".join("?" * len(values))
    assert tuple(connection.exec_driver_sql(f"SELECT {columns}", values).one()) == values
    table = Table("kept", MetaData(), Column("blob", LargeBinary), Column("flag", Boolean))
    table.create(connection)
    connection.execute(insert(table).values(blob=b"\x00\x01", flag=True))
    assert connection.execute(select(table)).one() == (b"\x00\x01", True)


def test_rows_are_fetched_one_by_one_in_chunks_and_all_together(connection: Connection):
    cursor = connection.connection.cursor()
    cursor.execute("SELECT value FROM json_each('[1,2,3,4,5,6]')")
    assert cursor.fetchone() == (1,)
    assert cursor.fetchmany() == [(2,)]
    assert cursor.fetchmany(2) == [(3,), (4,)]
    assert cursor.fetchall() == [(5,), (6,)]
    assert cursor.fetchone() is None
    cursor.close()


def test_inserting_returns_the_new_key(connection: Connection):
    assert connection.execute(insert(shelf).values(name="low")).inserted_primary_key == (2,)


def test_the_number_of_changed_rows_is_exact(connection: Connection):
    connection.execute(insert(book), [{"id": n, "shelf_id": 1, "title": f"{n}"} for n in range(5)])
    assert connection.execute(update(book).where(book.c.id < 3).values(read=True)).rowcount == 3
    assert connection.execute(update(book).where(book.c.id > 99).values(read=True)).rowcount == 0
    # The books that are deleted by cascade are not counted.
    assert connection.execute(delete(shelf)).rowcount == 1
    assert connection.scalar(select(func.count()).select_from(book)) == 0


def test_many_rows_are_inserted_and_updated_by_one_call(connection: Connection):
    rows = [{"id": n, "shelf_id": 1, "title": f"{n}"} for n in range(1000)]
    connection.execute(insert(book), rows)
    returned = connection.execute(insert(shelf).returning(shelf.c.id), [{"name": f"{n}"} for n in range(1500)])
    assert len(returned.all()) == 1500
    changed = connection.exec_driver_sql("UPDATE book SET read = 1 WHERE id = ?", [(1,), (2,), (5000,)])
    assert changed.rowcount == 2


def test_an_upsert_with_a_condition_returns_only_what_it_wrote(connection: Connection):
    statement = insert(book).values([{"id": n, "shelf_id": 1, "title": f"{n}", "version": 2} for n in (1, 2, 3)])
    statement = statement.on_conflict_do_update(
        index_elements=[book.c.id],
        set_={"version": statement.excluded.version},
        where=book.c.version == statement.excluded.version - 1,
    ).returning(book.c.id)
    connection.execute(
        insert(book),
        [{"id": 1, "shelf_id": 1, "title": "a", "version": 1}, {"id": 2, "shelf_id": 1, "title": "b", "version": 7}],
    )
    assert sorted(connection.execute(statement).scalars()) == [1, 3]
    assert connection.scalar(select(book.c.version).where(book.c.id == 2)) == 7


# Transactions


def test_transactions_are_isolated_and_rolled_back(engine: Engine, connection: Connection):
    connection.execute(insert(shelf).values(id=5, name="five"))
    assert not driver_of(connection).get_autocommit()
    with engine.connect() as other:
        assert other.scalar(select(func.count()).select_from(shelf)) == 1
    connection.rollback()
    assert driver_of(connection).get_autocommit()
    assert connection.scalar(select(func.count()).select_from(shelf)) == 1


def test_a_savepoint_is_rolled_back_alone(connection: Connection):
    connection.execute(insert(shelf).values(id=5, name="five"))
    savepoint = connection.begin_nested()
    connection.execute(insert(shelf).values(id=6, name="six"))
    with pytest.raises(exc.IntegrityError):
        connection.execute(insert(shelf).values(id=7, name="top"))
    savepoint.rollback()
    connection.commit()
    assert connection.scalars(select(shelf.c.id).order_by(shelf.c.id)).all() == [1, 5]


def test_tables_are_created_and_dropped_within_a_transaction(connection: Connection):
    connection.execute(text("CREATE TABLE brief (id INTEGER)"))
    connection.rollback()
    assert not inspect(connection).has_table("brief")


def test_with_autocommit_every_statement_is_a_transaction(engine: Engine):
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(insert(shelf).values(id=8, name="eight"))
        assert driver_of(connection).get_autocommit()
        connection.rollback()
        assert connection.scalar(select(shelf.c.name).where(shelf.c.id == 8)) == "eight"
    with engine.connect() as connection:
        assert connection.get_isolation_level() == "SERIALIZABLE"
        connection.scalar(select(shelf.c.name))
        assert not driver_of(connection).get_autocommit()


def test_an_unfetched_result_holds_no_snapshot(engine: Engine):
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(insert(shelf), [{"name": f"{n}"} for n in range(3)])
        result = connection.execute(select(shelf))
        assert result.fetchone() is not None
        assert driver_of(connection).txn_state() == apsw.SQLITE_TXN_NONE


# Reflection and migration


def test_tables_are_reflected(engine: Engine):
    found = MetaData()
    found.reflect(engine)
    assert set(found.tables) == {"shelf", "book"}
    reflected = found.tables["book"]
    assert reflected.primary_key.columns.keys() == ["id"]
    assert {key.target_fullname for key in reflected.foreign_keys} == {"shelf.id"}
    assert {index.name for index in reflected.indexes} == {"ix_book_title"}
    assert [column["name"] for column in inspect(engine).get_unique_constraints("shelf")[0:1]] == [None]
    assert inspect(engine).get_check_constraints("book")[0]["sqltext"] == "length(title) > 0"
    assert isinstance(engine.dialect, ApswDialect)


def test_alembic_rebuilds_a_table_in_a_batch_and_keeps_its_rows(connection: Connection):
    connection.execute(insert(book).values(id=1, shelf_id=1, title="kept"))
    operations = Operations(MigrationContext.configure(connection))
    with operations.batch_alter_table("book") as batch:
        batch.add_column(Column("pages", Integer))
        batch.alter_column("version", new_column_name="edition", type_=Text())
        batch.drop_column("read")
    connection.commit()
    assert [column["name"] for column in inspect(connection).get_columns("book")] == [
        "id",
        "shelf_id",
        "title",
        "edition",
        "pages",
    ]
    assert connection.execute(text("SELECT title FROM book")).scalar() == "kept"
