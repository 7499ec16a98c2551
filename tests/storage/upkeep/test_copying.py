"""Copies of a database in use: one snapshot, verified, and never in the way of writers."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from sqlalchemy import insert

from playhead.storage.engine.database import StorageRefused
from playhead.storage.engine.sqlite import SQLiteDatabase
from playhead.storage.schema import login
from playhead.storage.upkeep.copying import back_up, copy_database


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "copy.db"


@pytest.fixture
def server(database_path: Path) -> Iterator[SQLiteDatabase]:
    """A process that has the database open, and writes."""
    opened = SQLiteDatabase(database_path)
    yield opened
    opened.close_blocking()


def ask(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(apsw.Connection(str(path))) as connection:
        return connection.execute(sql).fetchall()


def fill(server: SQLiteDatabase) -> None:
    """Write 20,000 rows, some forty megabytes, in parts, so that the log is checkpointed in between."""
    for first in range(0, 20_000, 2_000):
        rows = [{"name": f"{number:01000}", "user_id": "u"} for number in range(first, first + 2_000)]
        server.write_blocking(lambda connection, rows=rows: connection.execute(insert(login), rows) and None)


def refusal(source: Path, target: Path) -> str:
    with pytest.raises(StorageRefused) as caught:
        back_up(source, target)
    return str(caught.value)


def letter(path: Path) -> Path:
    path.write_text("Dear reader, this is a letter. " * 50)
    return path


def test_a_backup_contains_uncheckpointed_writes_and_is_one_private_file(
    server: SQLiteDatabase, database_path: Path, target: Path
):
    server.write_blocking(lambda c: c.execute(insert(login).values(name="anna", user_id="u")) and None)
    size = back_up(database_path, target)
    assert target.stat().st_size == size
    assert target.stat().st_mode & 0o777 == 0o600
    assert ask(target, "SELECT name FROM login") == [("anna",)]
    assert [entry.name for entry in target.parent.iterdir() if entry.name.startswith("copy")] == ["copy.db"]


def test_a_backup_is_one_snapshot_and_writers_continue(server: SQLiteDatabase, database_path: Path, target: Path):
    fill(server)
    steps: list[tuple[int, int]] = []

    def write_between(done: int, total: int) -> None:
        steps.append((done, total))
        name = f"later {len(steps)}"
        server.write_blocking(lambda c: c.execute(insert(login).values(name=name, user_id="u")) and None)

    back_up(database_path, target, progress=write_between)
    assert len(steps) > 1
    assert steps == sorted(steps)
    assert steps[-1][0] == steps[-1][1]
    assert ask(target, "SELECT count(*) FROM login") == [(20_000,)]
    assert ask(database_path, "SELECT count(*) FROM login") == [(20_000 + len(steps),)]


def test_an_existing_file_is_replaced_only_on_request(database_path: Path, target: Path):
    letter(target)
    before = target.read_bytes()
    assert "exists already" in refusal(database_path, target)
    assert target.read_bytes() == before
    back_up(database_path, target, force=True)
    assert ask(target, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_a_database_is_never_copied_over_itself(database_path: Path, suffix: str):
    with pytest.raises(StorageRefused, match="the database itself"):
        back_up(database_path, database_path.with_name(database_path.name + suffix), force=True)


def test_a_failed_backup_is_reported_and_leaves_no_files(database_path: Path, target: Path, tmp_path: Path):
    assert "no database" in refusal(tmp_path / "nothing.db", target)
    assert "a folder" in refusal(database_path, tmp_path)
    assert "cannot be written" in refusal(database_path, tmp_path / "nowhere" / "copy.db")
    assert "NOTADB" in refusal(letter(tmp_path / "letter.db"), target)
    assert not target.exists()


def test_a_backup_of_a_damaged_database_does_not_replace_a_good_copy(
    server: SQLiteDatabase, database_path: Path, target: Path
):
    fill(server)
    server.close_blocking()
    copy_database(database_path, target)
    before = target.read_bytes()
    content = bytearray(database_path.read_bytes())
    content[-40 * 4096 : -20 * 4096] = b"\xff" * (20 * 4096)
    database_path.write_bytes(content)
    with pytest.raises(StorageRefused, match="damaged"):
        back_up(database_path, target, force=True)
    assert target.read_bytes() == before
    assert [entry.name for entry in target.parent.iterdir() if "partial" in entry.name] == []
