"""The check of the store: no findings in a sound one, and every violation with its table, key and remedy."""

# ruff: noqa: S608 - statements are put together from the constants below

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from sqlalchemy import Connection, insert, text

from playhead.storage import schema
from playhead.storage.engine.postgres import PostgresDatabase
from playhead.storage.engine.sqlite import SQLiteDatabase
from playhead.storage.upkeep.checking import IntegrityFault, check_file, check_server
from world import EPISODE, MOVIE, SHOW, stock_library

ANNA = "55555555-5555-4555-8555-555555555555"
PLAY = "66666666-6666-4666-8666-666666666666"
OTHER = "77777777-7777-4777-8777-777777777777"
DURATION = 5_400_000


def stock(connection: Connection) -> None:
    """A user with a library, one watched movie, an episode only marked, a kept point and a snoozed card."""
    connection.execute(
        insert(schema.account).values(id=ANNA, name="Anna", role="member", password_hash="-", created_at=1)
    )
    connection.execute(insert(schema.login).values(name="anna", user_id=ANNA))
    token = {
        "hash": "0" * 64,
        "id": PLAY,
        "user_id": OTHER,
        "kind": "setup",
        "scope": "all",
        "name": "",
        "created_at": 1,
    }
    connection.execute(insert(schema.token).values(token))
    stock_library(connection, ANNA)
    common = {
        "user_id": ANNA,
        "version": 1,
        "changed_at": 1,
        "watched": True,
        "armed": False,
        "completed_marked": False,
    }
    reported = {"item_id": MOVIE, "position_ms": DURATION, "duration_ms": DURATION, "last_watched_at": 1}
    completed = {"session": "s", "completed_session": "s", "completed_duration_ms": DURATION, "completed_marked": True}
    connection.execute(insert(schema.progress).values(common | reported | completed | {"completed_at": 1}))
    connection.execute(insert(schema.progress).values(common | {"item_id": EPISODE, "position_ms": 0}))
    key = {"user_id": ANNA, "item_id": MOVIE, "id": PLAY}
    connection.execute(insert(schema.play).values(key | {"watched_at": 1, "source": "automatic"}))
    connection.execute(
        insert(schema.kept_position).values(key | {"position_ms": 1, "duration_ms": DURATION, "kept_at": 1})
    )
    connection.execute(insert(schema.list_state).values(user_id=ANNA, item_id=MOVIE, snoozed_until=1))


@pytest.fixture
def path(database_path: Path) -> Iterator[Path]:
    """An SQLite database that a server has open."""
    server = SQLiteDatabase(database_path)
    server.write_blocking(stock)
    yield database_path
    server.close_blocking()


@pytest.fixture
def server(postgres_url: str) -> Iterator[PostgresDatabase]:
    """A PostgreSQL database, stocked."""
    server = PostgresDatabase(postgres_url)
    server.write_blocking(stock)
    yield server
    server.close_blocking()


def spoil(path: Path, sql: str) -> None:
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute(sql)


def check(path: Path) -> list[IntegrityFault]:
    return list(check_file(path, lambda _done, _total: None))


def test_a_sound_database_has_no_findings(path: Path):
    assert check(path) == []


def test_an_empty_database_has_no_findings(database_path: Path):
    assert check(database_path) == []


def test_progress_grows_to_100_percent(path: Path):
    told: list[tuple[int, int]] = []
    list(check_file(path, lambda done, total: told.append((done, total))))
    assert told == [(number + 1, len(told)) for number in range(len(told))]


_KEEP_21_MORE = (
    "WITH RECURSIVE number(n) AS (SELECT 10 UNION ALL SELECT n + 1 FROM number WHERE n < 30) "
    "INSERT INTO kept_position SELECT user_id, item_id, '00000000-0000-4000-8000-0000000000' || n, 1, 2, n, NULL "
    "FROM kept_position, number"
)
_OF_MOVIE = f"user_id={ANNA}, item_id={MOVIE}"


@pytest.mark.parametrize(
    ("sql", "table", "key", "words"),
    [
        ("UPDATE progress SET position_ms = -1 WHERE duration_ms > 0", "progress", _OF_MOVIE, "below 0"),
        (
            "UPDATE progress SET position_ms = duration_ms + 1 WHERE duration_ms > 0",
            "progress",
            _OF_MOVIE,
            "behind the end",
        ),
        ("UPDATE progress SET position_ms = 7 WHERE duration_ms IS NULL", "progress", EPISODE, "never reported"),
        ("UPDATE progress SET last_watched_at = NULL", "progress", _OF_MOVIE, "only one is known"),
        (f"UPDATE progress SET version = 0 WHERE item_id = '{MOVIE}'", "progress", _OF_MOVIE, "version is below 1"),
        ("UPDATE progress SET event = 'jump' WHERE duration_ms > 0", "progress", _OF_MOVIE, "event is none of"),
        ("UPDATE progress SET completed_duration_ms = NULL", "progress", _OF_MOVIE, "only one is known"),
        (
            "UPDATE progress SET completed_at = 1 WHERE completed_session IS NULL",
            "progress",
            EPISODE,
            "nobody",
        ),
        ("UPDATE progress SET watched = 0 WHERE duration_ms > 0", "progress", _OF_MOVIE, "is not watched"),
        (
            "UPDATE progress SET last_watched_at = -1 WHERE duration_ms > 0",
            "progress",
            _OF_MOVIE,
            "outside the calendar",
        ),
        (
            "UPDATE progress SET version = 'one' WHERE duration_ms > 0",
            "progress",
            _OF_MOVIE,
            "not an integer",
        ),
        ("UPDATE progress SET armed = 2 WHERE duration_ms > 0", "progress", _OF_MOVIE, "neither 0 nor 1"),
        ("UPDATE progress SET item_id = 'Ebb' WHERE duration_ms IS NULL", "progress", "item_id=Ebb", "canonical UUID"),
        ("DELETE FROM progress WHERE duration_ms > 0", "play", PLAY, "no progress of the item"),
        ("DELETE FROM account", "progress", _OF_MOVIE, "leads to no row of account"),
        ("DELETE FROM account", "login", "name=anna", "of no account"),
        ("DELETE FROM login", "account", ANNA, "no name to sign in with"),
        (f"INSERT INTO login VALUES ('ann', '{ANNA}')", "login", ANNA, "several names"),
        ("UPDATE token SET kind = 'api'", "token", "hash=0000", "of no account"),
        ("UPDATE token SET hash = 'secret'", "token", "hash=secret", "no SHA-256"),
        ("UPDATE account SET role = 'king'", "account", ANNA, "role is none of admin, member"),
        ("UPDATE play SET source = 'dreamt'", "play", PLAY, "source is none of"),
        ("UPDATE play SET watched_at = NULL", "play", PLAY, "has no time"),
        (
            f"INSERT INTO play VALUES ('{ANNA}', '{MOVIE}', '{OTHER}', 1, 'automatic')",
            "play",
            "watched_at=1",
            "more than once",
        ),
        ("UPDATE kept_position SET position_ms = duration_ms + 1", "kept_position", PLAY, "behind the end"),
        (
            _KEEP_21_MORE,
            "kept_position",
            _OF_MOVIE,
            "more than 20 points",
        ),
        ("UPDATE list_state SET dropped_at = 1", "list_state", _OF_MOVIE, "only shows"),
        (f"UPDATE item SET show_id = '{MOVIE}' WHERE kind = 'episode'", "item", EPISODE, "leads to no show"),
        ("UPDATE item SET show_id = NULL", "item", EPISODE, "an episode has no show"),
        (f"UPDATE holding SET library_id = '{OTHER}' WHERE item_id = '{SHOW}'", "holding", SHOW, "row of library"),
        (f"INSERT INTO alias VALUES ('{OTHER}', '{PLAY}', 1, 1)", "alias", OTHER, "leads to no row of item"),
        (
            f"INSERT INTO alias VALUES ('{OTHER}', '{MOVIE}', 1, 1), ('{PLAY}', '{OTHER}', 1, 1)",
            "alias",
            PLAY,
            "leads to another alias",
        ),
        (f"INSERT INTO alias VALUES ('{SHOW}', '{MOVIE}', 1, 1)", "alias", SHOW, "there is an item with this id"),
        (f"UPDATE item SET owner_id = '{ANNA}' WHERE id = '{MOVIE}'", "holding", MOVIE, "has a private item"),
        (f"UPDATE item SET owner_id = '{ANNA}', is_open = 1 WHERE id = '{SHOW}'", "item", SHOW, "private item is open"),
        ("UPDATE library SET removed_at = 1", "holding", MOVIE, "a removed library has an item"),
    ],
)
def test_a_violated_rule_is_found_with_its_table_and_key(path: Path, sql: str, table: str, key: str, words: str):
    spoil(path, sql)
    found = [fault for fault in check(path) if fault.table == table and key in fault.key and words in fault.text]
    assert len(found) == 1, check(path)
    assert found[0].remedy


def test_thousands_of_findings_are_truncated(path: Path):
    spoil(
        path,
        "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 3000) "
        "INSERT INTO login SELECT n, 'nobody' FROM number",
    )
    faults = check(path)
    assert sum("rows are faulty" in fault.text for fault in faults) >= 1
    assert len(faults) < 3500


@pytest.mark.parametrize(
    ("sql", "table", "key", "words"),
    [
        (
            "UPDATE progress SET position_ms = duration_ms + 1 WHERE duration_ms > 0",
            "progress",
            _OF_MOVIE,
            "behind the end",
        ),
        ("DELETE FROM progress WHERE duration_ms > 0", "play", PLAY, "no progress of the item"),
        (f"INSERT INTO login VALUES ('ann', '{ANNA}')", "login", ANNA, "several names"),
        ("UPDATE list_state SET dropped_at = 1", "list_state", _OF_MOVIE, "only shows"),
    ],
)
def test_a_violated_rule_is_found_on_postgresql_as_well(
    server: PostgresDatabase, postgres_url: str, sql: str, table: str, key: str, words: str
):
    assert list(check_server(postgres_url, lambda _done, _total: None)) == []
    server.write_blocking(lambda connection: connection.execute(text(sql)) and None)
    found = list(check_server(postgres_url, lambda _done, _total: None))
    assert table in [fault.table for fault in found if key in fault.key and words in fault.text]


def test_damaged_pages_are_found_and_end_the_check(database_path: Path):
    path = database_path
    numbers = "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 20000)"
    spoil(path, f"INSERT INTO sign_in_failure {numbers} SELECT n, 'here', '{OTHER}', 1 FROM number")
    content = bytearray(path.read_bytes())
    content[-40 * 4096 : -20 * 4096] = b"\xff" * (20 * 4096)
    path.write_bytes(content)
    faults = check(path)
    assert faults
    assert all("restore the newest backup" in fault.remedy for fault in faults)


def test_a_foreign_or_missing_database_is_reported(tmp_path: Path):
    letter = tmp_path / "letter.db"
    letter.write_text("Dear reader, this is a letter. " * 50)
    assert ["cannot be read" in fault.text for fault in check(letter)] == [True]
    spoil(tmp_path / "photos.db", "CREATE TABLE photo (id INTEGER)")
    assert ["not a Playhead database" in fault.text for fault in check(tmp_path / "photos.db")] == [True]


def test_a_database_with_another_schema_is_not_checked(path: Path):
    spoil(path, "UPDATE alembic_version SET version_num = '9999'")
    assert ["the schema is 9999" in fault.text for fault in check(path)] == [True]
