"""Upgrading an SQLite database: from nothing, from an older version, and every reason to refuse."""

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine

from fakes import Clock
from playhead.storage import migrations as history
from playhead.storage import schema
from playhead.storage.engine.database import Database, StorageRefused
from playhead.storage.engine.sqlite import SQLiteDatabase
from playhead.storage.migrations.upgrade import Migrations, Upgrade, upgrade

NOW = Clock().now
DAY = 86_400_000
OURS = Path(history.__file__).parent


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "playhead.db"


def run(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        return connection.execute(sql).fetchall()


def refusal(path: Path, migrations: Migrations | None = None) -> str:
    with pytest.raises(StorageRefused) as caught:
        upgrade(path, now=NOW, migrations=migrations)
    return str(caught.value)


def names_beside(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.parent.iterdir())


# The schema


def test_head_is_the_newest_revision_and_the_history_is_linear():
    assert ScriptDirectory(str(OURS)).get_heads() == [history.HEAD]


def in_one_line(sql: str) -> str:
    # The name of a table that was rebuilt and renamed is quoted.
    return re.sub(r"\s+", " ", sql).strip().replace('"', "")


def test_migrating_creates_exactly_the_tables_of_the_schema(path: Path, tmp_path: Path):
    upgrade(path, now=NOW)
    made = tmp_path / "made.db"
    engine = create_engine(f"sqlite+apsw:///{made}")
    schema.metadata.create_all(engine)
    engine.dispose()
    wanted = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name <> 'alembic_version'"
    migrated = {str(name): in_one_line(str(sql)) for name, sql in run(path, wanted)}
    created = {str(name): in_one_line(str(sql)) for name, sql in run(made, wanted)}
    assert migrated == created
    assert "WITHOUT ROWID" in migrated["progress"]


def test_alembic_finds_no_difference_between_the_database_and_the_schema(blocking_database: Database):
    def differences(connection: Connection) -> list[object]:
        # Alembic does not know that an index is made on one engine only.
        of_sqlite = {"ix_item_search_title_year_kind"} if connection.dialect.name == "postgresql" else set[str]()
        options = {"include_object": lambda _object, name, *_: name not in of_sqlite}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), schema.metadata))

    assert blocking_database.read_blocking(differences) == []


# New databases, and databases that are up to date


def test_a_new_database_is_created_with_its_folder_and_private_to_its_owner(path: Path):
    assert upgrade(path, now=NOW) == Upgrade(None, history.HEAD, None)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert run(path, "PRAGMA journal_mode") == [("wal",)]
    database = SQLiteDatabase(path)
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}
    database.close_blocking()


def test_an_up_to_date_database_is_left_unchanged(path: Path):
    upgrade(path, now=NOW)
    before = path.read_bytes()
    assert upgrade(path, now=NOW) == Upgrade(history.HEAD, history.HEAD, None)
    assert path.read_bytes() == before
    assert names_beside(path) == ["playhead.db"]


def test_opening_an_up_to_date_database_does_not_load_alembic(path: Path):
    upgrade(path, now=NOW)
    program = """
import sys
from pathlib import Path
from playhead.storage.migrations.upgrade import upgrade
from playhead.storage.engine.sqlite import SQLiteDatabase
upgrade(Path(sys.argv[1]), now=0)
SQLiteDatabase(Path(sys.argv[1])).close_blocking()
sys.exit("alembic" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=False)  # noqa: S603 - the text above
    assert done.returncode == 0


def test_processes_that_start_concurrently_create_one_database(path: Path):
    program = """
import sys
from pathlib import Path
from playhead.storage.migrations.upgrade import upgrade
print(upgrade(Path(sys.argv[1]), now=0).before)
"""
    started = [
        subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)  # noqa: S603
        for _ in range(4)
    ]
    answers = [process.communicate()[0].strip() for process in started]
    assert [process.returncode for process in started] == [0] * 4
    assert sorted(answers) == [history.HEAD, history.HEAD, history.HEAD, "None"]


# From an older version


def test_an_older_database_is_backed_up_and_then_upgraded_with_its_content(
    path: Path, later: Callable[[str], Migrations]
):
    upgrade(path, now=NOW)
    run(path, "INSERT INTO login VALUES ('ana', 'u')")
    done = upgrade(path, now=NOW, migrations=later('op.add_column("login", sa.Column("more", sa.Text()))'))
    assert done.before == history.HEAD
    assert done.after == "9999"
    assert run(path, "SELECT name, user_id, more FROM login") == [("ana", "u", None)]
    assert done.backup == path.with_name(f"playhead.db.backup-{history.HEAD}-20251108T220000Z")
    assert done.backup.stat().st_mode & 0o777 == 0o600
    assert run(done.backup, "SELECT * FROM login") == [("ana", "u")]
    assert run(done.backup, "PRAGMA journal_mode") == [("delete",)]
    # A backup is a normal database: it can be restored.
    assert upgrade(done.backup, now=NOW).before == history.HEAD
    assert names_beside(path) == ["playhead.db", done.backup.name]


def test_a_token_from_before_native_tokens_is_kept_and_found_by_its_hash(path: Path):
    upgrade(path, now=NOW, migrations=Migrations(head="0006"))
    run(path, "INSERT INTO token VALUES ('h', 'i', 'u', 'api', 'phone', 1, NULL, 2)")
    assert upgrade(path, now=NOW).before == "0006"
    found = run(path, "SELECT user_id, hash, id, kind, scope, name, created_at, expires_at, last_used_at FROM token")
    assert found == [("u", "h", "i", "api", "all", "phone", 1, None, 2)]
    assert run(path, "SELECT hash, user_id FROM token_by_hash") == [("h", "u")]


def test_the_backup_contains_uncheckpointed_writes_of_another_process(path: Path, later: Callable[[str], Migrations]):
    upgrade(path, now=NOW)
    with closing(apsw.Connection(str(path))) as running:
        running.execute("INSERT INTO login VALUES ('ana', 'u')")
        done = upgrade(path, now=NOW, migrations=later("pass"))
    assert done.backup is not None
    assert run(done.backup, "SELECT name FROM login") == [("ana",)]


def test_the_last_three_backups_are_kept(path: Path, later: Callable[[str], Migrations]):
    upgrade(path, now=NOW)
    newer = later("pass")
    stranger = path.with_name("playhead.db.backup-of-my-own")
    stranger.touch()
    for day in range(5):
        run(path, f"UPDATE alembic_version SET version_num = '{history.HEAD}'")  # noqa: S608 - a constant
        upgrade(path, now=type(NOW)(NOW + day * DAY), migrations=newer)
    kept = [name for name in names_beside(path) if name != stranger.name]
    assert [name.rpartition("-")[2][:8] for name in kept[1:]] == ["20251110", "20251111", "20251112"]
    assert stranger.exists()


def test_a_migration_that_fails_changes_nothing(path: Path, later: Callable[[str], Migrations]):
    upgrade(path, now=NOW)
    run(path, "INSERT INTO login VALUES ('ana', 'u')")
    tables = run(path, "SELECT sql FROM sqlite_schema")
    broken = later('op.drop_table("login")\nop.create_table("a", sa.Column("b", sa.Text()))\nop.execute("nonsense")')
    assert "nonsense" in refusal(path, broken)
    assert run(path, "SELECT sql FROM sqlite_schema") == tables
    assert run(path, "SELECT name FROM login") == [("ana",)]
    assert upgrade(path, now=NOW).before == history.HEAD


def test_a_process_killed_during_a_migration_leaves_the_old_version_and_a_backup(
    path: Path, later: Callable[[str], Migrations]
):
    upgrade(path, now=NOW)
    run(path, "INSERT INTO login VALUES ('ana', 'u')")
    deadly = later('op.drop_table("login")\nos.kill(os.getpid(), signal.SIGKILL)')
    program = """
import sys
from pathlib import Path
from playhead.storage.migrations.upgrade import Migrations, upgrade
upgrade(Path(sys.argv[1]), now=0, migrations=Migrations(Path(sys.argv[2]), "9999"))
"""
    arguments = [sys.executable, "-c", program, str(path), str(deadly.scripts)]
    assert subprocess.run(arguments, check=False).returncode == -signal.SIGKILL  # noqa: S603 - the text above
    assert upgrade(path, now=NOW).before == history.HEAD
    assert run(path, "SELECT name FROM login") == [("ana",)]
    backup = path.with_name(f"playhead.db.backup-{history.HEAD}-19700101T000000Z")
    assert run(backup, "SELECT name FROM login") == [("ana",)]


def test_rebuilding_a_referenced_table_keeps_the_rows_that_refer_to_it(path: Path, later: Callable[[str], Migrations]):
    upgrade(path, now=NOW)
    run(path, "INSERT INTO account (id, name, role, password_hash, created_at) VALUES ('u', 'Ana', 'member', 'x', 1)")
    run(path, "INSERT INTO library_access VALUES ('u', 'l', 1)")
    rebuild = 'with op.batch_alter_table("account", recreate="always") as batch:\n    batch.drop_column("created_at")'
    upgrade(path, now=NOW, migrations=later(rebuild))
    assert run(path, "SELECT user_id FROM library_access") == [("u",)]


def test_a_migration_that_breaks_a_reference_is_refused(path: Path, later: Callable[[str], Migrations]):
    upgrade(path, now=NOW)
    run(path, "INSERT INTO account (id, name, role, password_hash, created_at) VALUES ('u', 'Ana', 'member', 'x', 1)")
    run(path, "INSERT INTO library_access VALUES ('u', 'l', 1)")
    assert "library_access" in refusal(path, later('op.execute("DELETE FROM account")'))
    assert run(path, "SELECT id FROM account") == [("u",)]


# Backups


def test_an_interrupted_backup_does_not_count_and_does_not_block_the_next(
    path: Path, later: Callable[[str], Migrations]
):
    upgrade(path, now=NOW)
    partial = path.with_name(f"playhead.db.backup-{history.HEAD}-20251108T220000Z.partial")
    partial.write_bytes(b"half")
    done = upgrade(path, now=NOW, migrations=later("pass"))
    assert done.backup is not None
    assert run(done.backup, "PRAGMA quick_check") == [("ok",)]
    assert not partial.exists()


def test_a_damaged_database_is_neither_backed_up_nor_upgraded(path: Path, later: Callable[[str], Migrations]):
    upgrade(path, now=NOW)
    numbers = "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 20000)"
    run(path, f"INSERT INTO login {numbers} SELECT n, 'u' FROM number")  # noqa: S608 - the text above
    content = bytearray(path.read_bytes())
    content[-40 * 4096 : -20 * 4096] = b"\xff" * (20 * 4096)
    path.write_bytes(content)
    assert "damaged" in refusal(path, later("pass"))
    assert names_beside(path) == ["playhead.db"]
    assert run(path, "SELECT version_num FROM alembic_version") == [(history.HEAD,)]


# Refusals


def _letter(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("Dear reader, this is a letter. " * 50)
    return path


def test_a_newer_database_is_refused_with_both_revisions(path: Path, later: Callable[[str], Migrations]):
    upgrade(path, now=NOW)
    upgrade(path, now=NOW, migrations=later("pass"))
    before = names_beside(path)
    message = refusal(path)
    assert "newer version of Playhead" in message
    assert "9999" in message
    assert history.HEAD in message
    assert names_beside(path) == before


@pytest.mark.parametrize(
    "statements",
    [
        "CREATE TABLE photo (id INTEGER)",
        "CREATE TABLE alembic_version (version_num TEXT); INSERT INTO alembic_version VALUES ('0001')",
        "CREATE TABLE alembic_version (version_num TEXT); CREATE TABLE account (id); CREATE TABLE progress (id)",
    ],
)
def test_a_database_of_another_program_is_refused_and_unchanged(path: Path, statements: str):
    path.parent.mkdir()
    run(path, statements)
    before = path.read_bytes()
    assert "not a Playhead database" in refusal(path)
    assert path.read_bytes() == before
    assert names_beside(path) == ["playhead.db"]


def test_a_file_that_is_not_a_database_is_refused_and_unchanged(path: Path):
    before = _letter(path).read_bytes()
    assert "not a Playhead database" in refusal(path)
    assert path.read_bytes() == before
    assert names_beside(path) == ["playhead.db"]


def test_a_folder_in_place_of_the_file_is_refused_with_its_name(path: Path):
    path.mkdir(parents=True)
    assert str(path) in refusal(path)


def test_a_file_in_place_of_the_folder_is_refused_with_its_name(path: Path):
    path.parent.touch()
    assert str(path) in refusal(path)
