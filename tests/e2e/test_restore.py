"""Backups and restores that are killed at any system call, and the command while a server runs."""

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import apsw
import pytest

from playhead.domain.model import Instant
from playhead.storage.migrations.upgrade import Migrations, upgrade
from playhead.storage.upkeep.copying import back_up
from server import Server

# Calls that change files or their names, or make a change durable. A soak includes every write of a page.
NAMES = ("rename", "link", "unlink", "fsync", "fdatasync", "ftruncate", "fchmod", "mkdir")
WRITES = ("pwrite64",)

RESTORE = """
import sys
from pathlib import Path
from playhead.domain.model import Instant
from playhead.storage.upkeep.restoring import restore
restore(Path(sys.argv[1]), Path(sys.argv[2]), now=Instant(1_762_639_200_000))
"""

BACK_UP = """
import sys
from pathlib import Path
from playhead.domain.model import Instant
from playhead.storage.upkeep.backups import BackupFolder
folder = BackupFolder(Path(sys.argv[1]), Path(sys.argv[2]), make_folder=True)
with folder.alone():
    folder.make(Instant(1_762_639_200_000), lambda: None)
"""

KILLED = -9


@dataclass(frozen=True)
class Rows:
    """The content of a database, as a digest of all its rows; damage never equals it."""

    digest: str


def rows_of(path: Path) -> Rows:
    """Read all rows, as the next start would: including the log, if there is one. Fails if it is missing or damaged."""
    assert path.is_file()
    with closing(apsw.Connection(str(path))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        digest = hashlib.sha256()
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
        for (table,) in tables:
            rows = connection.execute(f'SELECT * FROM "{table}"').fetchall()  # noqa: S608 - a name that SQLite told
            digest.update(repr(sorted(map(repr, rows))).encode())
    return Rows(digest.hexdigest())


def run(script: str, paths: Sequence[Path], *around: str) -> int:
    command = [*around, sys.executable, "-B", "-c", script, *map(str, paths)]
    return subprocess.run(command, check=False, timeout=60).returncode  # noqa: S603 - our own program


def run_and_kill(script: str, paths: Sequence[Path], call: str, number: int, trace: Path) -> bool:
    """Run a script, and kill it at its n-th call of a kind; return whether it made that many."""
    kill = f"inject={call}:signal=KILL:when={number}"
    status = run(script, paths, "strace", "-f", "-qq", "-o", str(trace), "-e", f"trace={call}", "-e", kill)
    assert status in (0, KILLED)
    return status == KILLED


@pytest.fixture
def calls(*, soak: bool) -> tuple[str, ...]:
    return (*NAMES, *WRITES) if soak else NAMES


def fill(path: Path, name: str) -> None:
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("INSERT INTO login (name, user_id) VALUES (?, 'u')", (name,))


@pytest.fixture
def installation(migrated_file: Path, tmp_path: Path) -> Path:
    """A data folder as a killed server leaves it: some of the rows are only in the log."""
    data, running = tmp_path / "prepared", tmp_path / "running"
    for folder in (data, running):
        folder.mkdir()
    database = Path(shutil.copy(migrated_file, running / "playhead.db"))
    fill(database, "before")
    with closing(apsw.Connection(str(database))) as connection:
        connection.execute("INSERT INTO login (name, user_id) VALUES ('in the log', 'u')")
        for suffix in ("", "-wal"):
            shutil.copy(running / f"playhead.db{suffix}", data / f"playhead.db{suffix}")
    return data


def copied(installation: Path, tmp_path: Path, name: str) -> Path:
    """A copy of the installation, for one kill."""
    return Path(shutil.copytree(installation, tmp_path / name))


@pytest.mark.long
def test_a_killed_restore_leaves_the_complete_old_database_or_the_new_one(
    installation: Path, migrated_file: Path, tmp_path: Path, calls: tuple[str, ...]
):
    source = Path(shutil.copy(migrated_file, tmp_path / "source.db"))
    fill(source, "restored")
    backup = tmp_path / "backup.db"
    back_up(source, backup)
    new = rows_of(backup)
    old = rows_of(copied(installation, tmp_path, "intact") / "playhead.db")
    deaths = 0
    for call in calls:
        for number in count(1):
            data = copied(installation, tmp_path, f"{call}-{number}")
            was_killed = run_and_kill(RESTORE, (data / "playhead.db", backup), call, number, tmp_path / "trace")
            found = rows_of(data / "playhead.db")
            assert found in (old, new), f"killed at {call} {number}"
            assert rows_of(backup) == new
            if found == new:  # what was replaced is there, too
                [kept] = data.glob("playhead.db.replaced-*")
                assert rows_of(kept) == old
            if not was_killed:
                assert found == new
                break
            deaths += 1
            # Its leftovers are no obstacle: a repetition succeeds.
            assert run(RESTORE, (data / "playhead.db", backup)) == 0
            assert rows_of(data / "playhead.db") == new
            assert {each.name for each in data.iterdir() if "replaced" not in each.name} == {"playhead.db"}
            shutil.rmtree(data)
    assert deaths >= 12


@pytest.mark.long
def test_a_killed_backup_is_complete_or_absent_and_the_database_unchanged(
    installation: Path, tmp_path: Path, calls: tuple[str, ...]
):
    old = rows_of(copied(installation, tmp_path, "intact") / "playhead.db")
    deaths = 0
    for call in calls:
        for number in count(1):
            data = copied(installation, tmp_path, f"{call}-{number}")
            paths = (data / "playhead.db", data / "backups")
            was_killed = run_and_kill(BACK_UP, paths, call, number, tmp_path / "trace")
            backups = [*data.glob("backups/playhead-*Z.db")]
            assert [rows_of(each) for each in backups] in ([], [old])
            assert rows_of(data / "playhead.db") == old
            if not was_killed:
                assert backups
                break
            deaths += 1
            assert run(BACK_UP, paths) == 0
            assert [each.name for each in paths[1].iterdir()] == ["playhead-20251108T220000Z.db"]
            shutil.rmtree(data)
    assert deaths >= 5


# A failing disk


def run_on_a_failing_disk(script: str, paths: Sequence[Path], call: str, error: str, trace: Path) -> str:
    """Run a script whose n-th call and all later ones of that kind fail; assert that it failed; return its output."""
    command = [
        *("strace", "-f", "-qq", "-o", str(trace), "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when=1+"),
        *(sys.executable, "-B", "-c", script, *map(str, paths)),
    ]
    ran = subprocess.run(command, check=False, timeout=60, capture_output=True, text=True)  # noqa: S603 - our own program
    assert "(INJECTED)" in trace.read_text()
    assert ran.returncode == 1
    return ran.stderr.strip().splitlines()[-1]


FAILURES = [("pwrite64", "ENOSPC"), ("pwrite64", "EIO"), ("fsync", "EIO"), ("rename", "EIO")]


@pytest.mark.parametrize(("call", "error"), FAILURES)
def test_a_disk_failure_during_a_backup_leaves_none_and_the_database_unchanged(
    installation: Path, tmp_path: Path, call: str, error: str
):
    old = rows_of(copied(installation, tmp_path, "intact") / "playhead.db")
    database, folder = installation / "playhead.db", tmp_path / "backups"
    folder.mkdir()
    told = run_on_a_failing_disk(BACK_UP, (database, folder), call, error, tmp_path / "trace")
    assert told.startswith("playhead.storage.engine.database.StorageRefused: ")
    assert list(folder.iterdir()) == []
    assert rows_of(database) == old


@pytest.mark.parametrize(("call", "error"), FAILURES)
def test_a_disk_failure_during_a_restore_leaves_the_old_database(
    installation: Path, migrated_file: Path, tmp_path: Path, call: str, error: str
):
    old = rows_of(copied(installation, tmp_path, "intact") / "playhead.db")
    source = Path(shutil.copy(migrated_file, tmp_path / "source.db"))
    fill(source, "restored")
    back_up(source, tmp_path / "backup.db")
    database = installation / "playhead.db"
    trace = tmp_path / "trace"
    told = run_on_a_failing_disk(RESTORE, (database, tmp_path / "backup.db"), call, error, trace)
    assert told.startswith("playhead.storage.engine.database.StorageRefused: ")
    assert {each.name for each in installation.iterdir()} <= {"playhead.db", "playhead.db-wal", "playhead.db-shm"}
    assert rows_of(database) == old


# The command


def test_restore_is_refused_while_the_server_runs_and_succeeds_afterwards(server: Server, tmp_path: Path):
    server.command("user", "add", "anna", "--admin", "--password-stdin", stdin="correct horse\n")
    backup = tmp_path / "backup.db"
    server.command("db", "backup", str(backup))
    server.start()
    server.command("user", "add", "bert", "--password-stdin", stdin="battery staple\n")
    refused = server.command("db", "restore", str(backup), check=False)
    assert refused.returncode == 1
    assert "uses" in refused.stderr
    assert "Stop it first. Nothing was changed." in refused.stderr
    assert server.stop() == 0

    told = server.command("db", "restore", str(backup)).stdout
    assert f"Restored {server.data / 'playhead.db'} from {backup}" in told
    kept = re.search(r"The previous database is kept as (\S+)", told)
    assert kept is not None
    users = server.command("user", "list").stdout
    assert "anna" in users
    assert "bert" not in users
    server.start()
    assert server.stop() == 0

    server.command("db", "restore", kept[1])
    assert "bert" in server.command("user", "list").stdout


def test_a_backup_of_an_upgrade_can_be_restored_and_the_next_start_upgrades_it(server: Server):
    server.command("db", "upgrade")
    older = server.data / "playhead.db.backup-0002-20251108T220000Z"
    upgrade(older, now=Instant(0), migrations=Migrations(head="0002"))
    told = server.command("db", "restore", str(older)).stdout
    assert "Its schema is 0002; the next start upgrades it to" in told
    server.start()
    assert server.stop() == 0
    assert "Nothing is wrong" in server.command("db", "check").stdout


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_on_postgresql_restore_refers_to_its_own_tools(durable_server: Server, tmp_path: Path):
    told = durable_server.command("db", "restore", str(tmp_path / "copy.dump"), check=False)
    assert told.returncode == 1
    assert f"pg_restore --clean --if-exists --dbname={durable_server.database} {tmp_path / 'copy.dump'}" in told.stderr
    assert "Nothing was restored" in told.stderr


def test_a_server_does_not_start_while_its_database_is_restored(server: Server):
    server.command("db", "upgrade")
    held = subprocess.Popen(["flock", "--exclusive", str(server.data), "sh", "-c", "echo held; read _"],  # noqa: S603, S607
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # fmt: skip
    assert held.stdout is not None
    assert held.stdout.readline() == "held\n"
    refused = server.command("user", "list", check=False)
    held.communicate("\n")
    assert refused.returncode == 1
    assert "is being restored from a backup" in refused.stderr
    assert server.command("user", "list").returncode == 0
