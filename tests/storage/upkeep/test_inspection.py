"""What doctor learns about a database from outside: a file, or a server."""

from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import apsw
import psycopg
import pytest
from sqlalchemy import Connection, insert

from playhead.domain.model import Instant
from playhead.storage import schema
from playhead.storage.engine.postgres import PostgresDatabase
from playhead.storage.engine.sqlite import SQLiteDatabase
from playhead.storage.migrations import HEAD
from playhead.storage.migrations import postgres as postgres_migrations
from playhead.storage.migrations.upgrade import Migrations, upgrade
from playhead.storage.upkeep.inspection import inspect_file, inspect_server
from postgres import Cluster

BEFORE_TITLES = Migrations(head="0013")  # libraries could not be removed
OLD_LIBRARY = (
    "INSERT INTO library (id, name, kind, path, created_at)"
    " VALUES ('00000000-0000-4000-8000-000000000000', 'Old', 'movies', '/srv/old', 0)"
)
NEWEST = 1_762_639_200_000

_numbers = count(1)


def stock(connection: Connection) -> None:
    account = {"id": "55555555-5555-4555-8555-555555555555", "name": "anna", "role": "member", "password_hash": ""}
    connection.execute(insert(schema.account), [account | {"created_at": NEWEST}])
    library = {"name": "Films", "kind": "movies", "created_at": 0}
    ids = [f"{number:08}-0000-4000-8000-000000000000" for number in range(3)]
    connection.execute(insert(schema.library), [library | {"id": ids[0], "path": "/srv/films"}])
    connection.execute(insert(schema.library), [library | {"id": ids[1], "name": "Imported"}])
    removed = {"id": ids[2], "name": "Removed", "path": "/srv/removed", "removed_at": 5}
    connection.execute(insert(schema.library), [library | removed])


# A file


def test_schema_newest_time_and_folders_of_a_file_are_read(database_path: Path):
    database = SQLiteDatabase(database_path)
    database.write_blocking(stock)
    found = inspect_file(database_path)  # while it is in use, and its rows are still in the log
    assert (found.revision, found.head, found.fault) == (HEAD, HEAD, None)
    assert found.newest_at == NEWEST
    assert found.library_folders == ("/srv/films",)
    assert found.log_bytes > 0
    database.close_blocking()
    assert inspect_file(database_path).log_bytes == 0


def test_a_file_of_the_version_before_is_read(tmp_path: Path):
    path = tmp_path / "playhead.db"
    upgrade(path, now=Instant(0), migrations=BEFORE_TITLES)
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute(OLD_LIBRARY)
    found = inspect_file(path)
    assert (found.revision, found.library_folders, found.fault) == (BEFORE_TITLES.head, ("/srv/old",), None)


def test_a_missing_file_is_not_a_fault(tmp_path: Path):
    found = inspect_file(tmp_path / "later" / "playhead.db")
    assert (found.revision, found.fault, found.log_bytes) == (None, None, 0)
    assert found.free_bytes > 0


@pytest.mark.parametrize(
    ("content", "words"), [(b"no database " * 1000, "not a database"), (b"SQLite format 3\0" + b"\1" * 5000, "")]
)
def test_the_reason_why_a_file_cannot_be_read_is_reported(tmp_path: Path, content: bytes, words: str):
    path = tmp_path / "playhead.db"
    path.write_bytes(content)
    found = inspect_file(path)
    assert found.fault is not None
    assert words in found.fault
    assert found.revision is None


# A server


@pytest.fixture
def url(cluster: Cluster) -> Iterator[str]:
    """A new empty database, for changes that must not reach the one that tests share."""
    name = f"inspected-{next(_numbers)}"
    yield cluster.create(name)
    cluster.run_sql(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_version_settings_and_connections_of_a_server_are_read(postgres_url: str):
    database = PostgresDatabase(postgres_url)
    database.write_blocking(stock)
    found = inspect_server(postgres_url)
    database.close_blocking()
    assert (found.revision, found.head, found.fault) == (HEAD, HEAD, None)
    assert found.server == postgres_url
    assert int(found.version.partition(".")[0]) >= 13
    assert found.is_new_enough
    assert not found.is_read_only
    assert found.unsafe_settings == ("fsync", "full_page_writes")  # as the cluster of the tests is configured
    assert 0 < found.connections_free < found.connections_max == 200
    assert found.clock is not None
    assert found.newest_at == NEWEST
    assert found.library_folders == ("/srv/films",)


def test_a_server_of_the_version_before_is_read(url: str):
    postgres_migrations.upgrade(url, migrations=BEFORE_TITLES)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(OLD_LIBRARY.encode())
    found = inspect_server(url)
    assert (found.revision, found.library_folders, found.fault) == (BEFORE_TITLES.head, ("/srv/old",), None)


def test_an_empty_database_of_a_server_is_not_a_fault(url: str):
    found = inspect_server(url)
    assert (found.revision, found.fault) == (None, None)


def test_a_database_of_another_program_is_a_fault(url: str):
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE theirs (id integer)")
    assert inspect_server(url).fault == "it is not a Playhead database"


def test_a_read_only_database_is_reported_as_such(cluster: Cluster, url: str):
    cluster.run_sql(f'ALTER DATABASE "{url.rpartition("/")[2]}" SET default_transaction_read_only = on')
    assert inspect_server(url).is_read_only


@pytest.mark.parametrize(
    "url", ["postgresql://anna:secret@127.0.0.1:1/playhead", "postgresql://anna:secret@127.0.0.1:port/playhead"]
)
def test_the_reason_why_a_server_is_unreachable_is_reported_without_the_password(url: str):
    found = inspect_server(url)
    assert found.fault
    assert "secret" not in f"{found}"
