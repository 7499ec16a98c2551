"""Restoring: the backup is checked first, the replaced files are kept, and a database in use is left alone."""

import errno
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from sqlalchemy import insert

from playhead.domain.model import Instant
from playhead.storage.engine import apsw_dbapi
from playhead.storage.engine.database import StorageRefused
from playhead.storage.engine.folder_lock import lock_exclusive, lock_shared
from playhead.storage.engine.sqlite import Patience, SQLiteDatabase, open_writer
from playhead.storage.migrations import HEAD
from playhead.storage.schema import login
from playhead.storage.upkeep.copying import back_up
from playhead.storage.upkeep.restoring import remove_second_names, restore

NOW = Instant(1_762_639_200_000)
KEPT = "playhead.db.replaced-20251108T220000Z"


def ask(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(apsw.Connection(str(path))) as connection:
        return connection.execute(sql).fetchall()


def names(path: Path) -> set[object]:
    return {name for (name,) in ask(path, "SELECT name FROM login")}


def add(path: Path, name: str) -> None:
    with closing(open_writer(path, Patience(1))) as writer:
        writer.rows("INSERT INTO login (name, user_id) VALUES (?, 'u')", (name,))


def files(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


@pytest.fixture
def data(migrated_file: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copy(migrated_file, folder / "playhead.db")
    return folder


@pytest.fixture
def database(data: Path) -> Path:
    """A database that contains bert."""
    add(data / "playhead.db", "bert")
    return data / "playhead.db"


@pytest.fixture
def backup(migrated_file: Path, tmp_path: Path) -> Path:
    """A backup that contains anna."""
    source = Path(shutil.copy(migrated_file, tmp_path / "before.db"))
    add(source, "anna")
    back_up(source, tmp_path / "backup.db")
    return tmp_path / "backup.db"


def refusal(database: Path, backup: Path) -> str:
    """Return why a restore is refused; it must leave the folder unchanged."""
    before = {entry.name: entry.read_bytes() for entry in database.parent.iterdir() if entry.is_file()}
    with pytest.raises(StorageRefused) as caught:
        restore(database, backup, now=NOW)
    after = {entry.name: entry.read_bytes() for entry in database.parent.iterdir() if entry.is_file()}
    assert after.keys() == before.keys()
    return str(caught.value)


def test_the_backup_replaces_the_database_and_the_old_one_is_kept(database: Path, backup: Path):
    restored = restore(database, backup, now=NOW)
    assert names(database) == {"anna"}
    assert restored.kept == database.with_name(KEPT)
    assert names(restored.kept) == {"bert"}
    assert files(database.parent) == {"playhead.db", KEPT}
    assert restored.revision == HEAD
    assert restored.size == database.stat().st_size
    assert database.stat().st_mode & 0o777 == 0o600
    assert database.stat().st_nlink == 1
    assert names(backup) == {"anna"}


def test_the_log_of_a_killed_server_is_kept_too(data: Path, backup: Path, tmp_path: Path):
    running = tmp_path / "running"
    running.mkdir()
    shutil.copy(data / "playhead.db", running / "playhead.db")
    server = SQLiteDatabase(running / "playhead.db")
    server.write_blocking(lambda c: c.execute(insert(login).values(name="carl", user_id="u")) and None)
    for name in ("playhead.db", "playhead.db-wal"):  # as a power loss would leave it
        shutil.copy(running / name, data / name)
    server.close_blocking()
    restored = restore(data / "playhead.db", backup, now=NOW)
    assert restored.kept is not None
    assert names(restored.kept) == {"carl"}
    assert names(data / "playhead.db") == {"anna"}
    assert files(data) == {"playhead.db", KEPT}


def test_a_new_folder_gets_the_backup_and_there_is_nothing_to_keep(backup: Path, tmp_path: Path):
    database = tmp_path / "new" / "playhead.db"
    assert restore(database, backup, now=NOW).kept is None
    assert names(database) == {"anna"}
    assert files(database.parent) == {"playhead.db"}


@pytest.mark.parametrize("content", [b"lost" * 5000, b""])
def test_a_database_that_sqlite_cannot_read_is_kept_with_its_log_and_replaced(data: Path, backup: Path, content: bytes):
    (data / "playhead.db").write_bytes(content)
    (data / "playhead.db-wal").write_bytes(b"log" * 100)
    restored = restore(data / "playhead.db", backup, now=NOW)
    assert names(data / "playhead.db") == {"anna"}
    assert restored.kept is not None
    assert restored.kept.read_bytes() == content
    assert restored.kept.with_name(f"{KEPT}-wal").read_bytes() == b"log" * 100
    assert files(data) == {"playhead.db", KEPT, f"{KEPT}-wal"}


def test_a_log_without_its_database_does_not_affect_the_restored_one(data: Path, backup: Path):
    (data / "playhead.db").unlink()
    (data / "playhead.db-wal").write_bytes(b"log" * 100)
    restore(data / "playhead.db", backup, now=NOW)
    assert names(data / "playhead.db") == {"anna"}
    assert files(data) == {"playhead.db", f"{KEPT}-wal"}


def test_two_restores_within_a_second_keep_both_old_databases(database: Path, backup: Path):
    first, second = restore(database, backup, now=NOW), restore(database, backup, now=NOW)
    assert second.kept == database.with_name(f"{KEPT}-2")
    assert first.kept is not None
    assert names(first.kept) == {"bert"}


def test_without_hard_links_the_old_database_is_copied(database: Path, backup: Path):
    def refuse(_source: Path, _target: Path) -> None:
        raise OSError(errno.EPERM, "no links here")

    restored = restore(database, backup, now=NOW, link=refuse)
    assert restored.kept is not None
    assert names(restored.kept) == {"bert"}
    assert names(database) == {"anna"}
    assert files(database.parent) == {"playhead.db", KEPT}


def test_a_database_behind_a_symbolic_link_is_replaced_at_its_target(database: Path, backup: Path, tmp_path: Path):
    link = tmp_path / "link.db"
    link.symlink_to(database)
    restored = restore(link, backup, now=NOW)
    assert link.is_symlink()
    assert names(database) == {"anna"}
    assert restored.kept == database.with_name(KEPT)


def test_a_restore_is_refused_while_a_server_or_a_command_uses_the_folder(database: Path, backup: Path):
    with lock_shared(database):
        assert "Stop it first" in refusal(database, backup)
    assert names(database) == {"bert"}


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_a_restore_is_refused_while_another_program_writes_the_database(database: Path, backup: Path, mode: str):
    with closing(apsw.Connection(str(database))) as other:
        other.execute(f"PRAGMA journal_mode = {mode}")
        other.execute("BEGIN IMMEDIATE")
        assert "Another program has" in refusal(database, backup)
    assert names(database) == {"bert"}


def test_the_database_cannot_be_opened_during_a_restore(database: Path, backup: Path):
    refused: list[str] = []

    def try_to_open(_done: int, _total: int) -> None:
        with pytest.raises(StorageRefused) as caught:
            lock_shared(database, patience_s=0)
        refused.append(str(caught.value))

    restore(database, backup, now=NOW, progress=try_to_open)
    assert refused
    lock_exclusive(database, patience_s=0).release()


def write(content: bytes) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.write_bytes(content)

    return change


def damage(path: Path) -> None:
    """Overwrite a page in the middle of an index, which the quick check does not see."""
    page = ask(path, "SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_login_1' OR name = 'login'")
    content = bytearray(path.read_bytes())
    start = (int(str(page[0][0])) - 1) * 4096
    content[start + 8 : start + 4096] = b"\x55" * 4088
    path.write_bytes(content)


def make_newer(path: Path) -> None:
    ask(path, "UPDATE alembic_version SET version_num = '9999'")


def make_foreign(path: Path) -> None:
    path.unlink()
    ask(path, "CREATE TABLE recipe (name TEXT)")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (Path.unlink, "There is no backup"),
        (write(b""), "is empty"),
        (write(b"Dear reader, " * 1000), "is not a Playhead database"),
        (make_foreign, "is not a Playhead database"),
        (make_newer, "newer version of Playhead"),
        (damage, "is damaged"),
    ],
)
def test_an_invalid_backup_is_refused_and_nothing_changes(
    database: Path, backup: Path, change: Callable[[Path], None], words: str
):
    change(backup)
    assert words in refusal(database, backup)
    assert names(database) == {"bert"}


def test_the_database_itself_and_its_log_do_not_count_as_backups(database: Path):
    assert "is the database itself" in refusal(database, database)


def test_a_folder_without_write_permission_is_reported(database: Path, backup: Path):
    (database.parent / "playhead.db.restored.partial").mkdir()
    assert "cannot be used" in refusal(database, backup)
    assert names(database) == {"bert"}


def test_leftovers_of_a_killed_restore_are_no_obstacle(database: Path, backup: Path):
    (database.parent / "playhead.db.restored").write_bytes(b"half")
    (database.parent / "playhead.db.restored.partial").write_bytes(b"half")
    restore(database, backup, now=NOW)
    assert files(database.parent) == {"playhead.db", KEPT}


def test_the_second_name_left_by_a_killed_restore_is_removed(database: Path):
    database.with_name(KEPT).hardlink_to(database)
    other = database.with_name("playhead.db.replaced-20240101T000000Z")
    shutil.copy(database, other)
    remove_second_names(database)
    assert files(database.parent) == {"playhead.db", other.name}


def test_an_older_backup_keeps_its_schema(database: Path, backup: Path):
    ask(backup, "UPDATE alembic_version SET version_num = '0001'")
    assert restore(database, backup, now=NOW).revision == "0001"


def test_a_failure_of_the_last_step_leaves_the_old_database(database: Path, backup: Path):
    def interrupt(_source: Path, _target: Path) -> None:
        raise apsw_dbapi.OperationalError("interrupted")

    with pytest.raises(StorageRefused, match="interrupted"):
        restore(database, backup, now=NOW, link=interrupt)
    assert names(database) == {"bert"}
    assert files(database.parent) == {"playhead.db"}
