"""Upgrading a PostgreSQL database: from nothing, from an older version, and every reason to refuse."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import create_engine, inspect

from playhead.storage import migrations as history
from playhead.storage import schema
from playhead.storage.engine.database import StorageRefused
from playhead.storage.migrations.postgres import upgrade
from playhead.storage.migrations.upgrade import Migrations, Upgrade
from postgres import Cluster

ANA = "5f0c1d8e-0000-4000-8000-000000000001"
ADD_ANA = "INSERT INTO login VALUES ('ana', '5f0c1d8e-0000-4000-8000-000000000001')"


@pytest.fixture
def url(cluster: Cluster) -> Iterator[str]:
    """The URL of a database with nothing in it."""
    name = uuid4().hex
    yield cluster.create(name)
    cluster.run_sql(f'DROP DATABASE "{name}" WITH (FORCE)')


def run(url: str, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        done = connection.execute(sql.encode())
        return done.fetchall() if done.description else []


def refusal(url: str, migrations: Migrations | None = None) -> str:
    with pytest.raises(StorageRefused) as caught:
        upgrade(url, migrations=migrations)
    return str(caught.value)


def columns(url: str) -> list[tuple[Any, ...]]:
    return run(
        url,
        "SELECT table_name, column_name, data_type, is_nullable, collation_name FROM information_schema.columns "
        "WHERE table_schema = 'public' AND table_name <> 'alembic_version' ORDER BY 1, 2",
    )


def indexes(url: str) -> list[tuple[Any, ...]]:
    return run(
        url,
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1",
    )


def references(url: str) -> list[tuple[Any, ...]]:
    return run(url, "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f' ORDER BY 1")


def test_migrating_creates_exactly_the_tables_of_the_schema(url: str, cluster: Cluster):
    assert upgrade(url) == Upgrade(None, history.HEAD, None)
    other = cluster.create(uuid4().hex)
    engine = create_engine(other.replace("postgresql://", "postgresql+psycopg://"))
    schema.metadata.create_all(engine)
    assert inspect(engine).has_table("progress")
    engine.dispose()
    assert columns(url) == columns(other)
    assert indexes(url) == indexes(other)
    assert references(url) == references(other)
    assert ("login", "name", "text", "NO", "C") in columns(url)
    assert ("progress", "user_id", "uuid", "NO", None) in columns(url)


def test_an_up_to_date_database_is_left_unchanged(url: str):
    upgrade(url)
    before = (run(url, "SELECT xmin::text, version_num FROM alembic_version"), columns(url))
    assert upgrade(url) == Upgrade(history.HEAD, history.HEAD, None)
    assert (run(url, "SELECT xmin::text, version_num FROM alembic_version"), columns(url)) == before


def test_processes_that_start_concurrently_create_one_database(url: str):
    program = """
import sys
from playhead.storage.migrations.postgres import upgrade
print(upgrade(sys.argv[1]).before)
"""
    started = [
        subprocess.Popen([sys.executable, "-c", program, url], stdout=subprocess.PIPE, text=True)  # noqa: S603
        for _ in range(3)
    ]
    answers = [process.communicate()[0].strip() for process in started]
    assert [process.returncode for process in started] == [0] * 3
    assert sorted(answers) == [history.HEAD, history.HEAD, "None"]


def test_an_older_database_is_upgraded_with_its_content(url: str, later: Callable[[str], Migrations]):
    upgrade(url)
    run(url, ADD_ANA)
    done = upgrade(url, migrations=later('op.add_column("login", sa.Column("more", sa.Text()))'))
    assert done == Upgrade(history.HEAD, "9999", None)
    assert run(url, "SELECT name, user_id::text, more FROM login") == [("ana", ANA, None)]


def test_a_token_from_before_native_tokens_is_kept_and_found_by_its_hash(url: str):
    upgrade(url, migrations=Migrations(head="0006"))
    run(url, f"INSERT INTO token VALUES ('h', '{ANA}', '{ANA}', 'api', 'phone', 1, NULL, 2)")  # noqa: S608 - ours
    assert upgrade(url).before == "0006"
    found = run(url, "SELECT user_id::text, hash, kind, scope, name, created_at, expires_at, last_used_at FROM token")
    assert found == [(ANA, "h", "api", "all", "phone", 1, None, 2)]
    assert run(url, "SELECT hash, user_id::text FROM token_by_hash") == [("h", ANA)]


def test_a_migration_that_fails_changes_nothing(url: str, later: Callable[[str], Migrations]):
    upgrade(url)
    run(url, ADD_ANA)
    before = columns(url)
    broken = later('op.drop_table("login")\nop.create_table("a", sa.Column("b", sa.Text()))\nop.execute("nonsense")')
    assert "nonsense" in refusal(url, broken)
    assert columns(url) == before
    assert run(url, "SELECT name FROM login") == [("ana",)]
    assert upgrade(url).before == history.HEAD


def test_a_second_migration_waits_for_the_first_and_finds_it_done(url: str, later: Callable[[str], Migrations]):
    upgrade(url)
    newer = later('op.add_column("login", sa.Column("more", sa.Text()))')
    done: list[Upgrade] = []
    with psycopg.connect(url) as in_the_way:
        in_the_way.execute("SELECT name FROM login")  # a reader of any table delays the migration
        threads = [Thread(target=lambda: done.append(upgrade(url, migrations=newer))) for _ in range(2)]
        for thread in threads:
            thread.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype IN ('advisory', 'relation')"
        while run(url, waiting) != [(2,)]:
            assert not done
    for thread in threads:
        thread.join()
    assert sorted(str(each.before) for each in done) == [history.HEAD, "9999"]


def test_a_newer_database_is_refused_with_both_revisions(url: str, later: Callable[[str], Migrations]):
    upgrade(url)
    upgrade(url, migrations=later("pass"))
    message = refusal(url)
    assert "newer version of Playhead" in message
    assert "9999" in message
    assert history.HEAD in message


@pytest.mark.parametrize(
    "statements",
    [
        "CREATE TABLE photo (id integer)",
        "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('0001')",
        "CREATE TABLE alembic_version (version_num text); CREATE TABLE account (); CREATE TABLE progress ()",
    ],
)
def test_a_database_of_another_program_is_refused_and_unchanged(url: str, statements: str):
    run(url, statements)
    before = columns(url)
    assert "not a Playhead database" in refusal(url)
    assert columns(url) == before


def test_an_unreachable_server_is_reported_without_the_password():
    message = refusal("postgresql://ana:secret@127.0.0.1:1/playhead")
    assert "postgresql://ana:***@127.0.0.1:1/playhead" in message
    assert "refused" in message
    assert "secret" not in message
