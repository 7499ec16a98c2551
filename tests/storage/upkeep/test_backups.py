"""The folder of backups: what counts as a backup, what making one needs, and what a failure leaves."""

import shutil
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from sqlalchemy import insert

from playhead.domain.backups import backup_name
from playhead.domain.model import Instant
from playhead.storage.engine.database import StorageRefused
from playhead.storage.engine.sqlite import SQLiteDatabase
from playhead.storage.schema import login
from playhead.storage.upkeep.backups import BackupFolder

NOW = Instant(1_762_639_200_000)
NAME = backup_name(NOW)


def go_on() -> None:
    """Never cancel the copy."""


@pytest.fixture
def folder(database_path: Path) -> BackupFolder:
    return BackupFolder(database_path, database_path.parent / "backups", make_folder=True)


def files(folder: BackupFolder) -> list[str]:
    return sorted(entry.name for entry in folder.folder.iterdir())


def fault(folder: BackupFolder) -> str:
    with pytest.raises(StorageRefused) as caught:
        folder.make(NOW, go_on)
    return str(caught.value)


def test_a_backup_is_one_private_file_in_a_private_folder(folder: BackupFolder):
    made = folder.make(NOW, go_on)
    assert files(folder) == [NAME]
    assert folder.find() == [made]
    assert (made.name, made.made_at) == (NAME, NOW)
    path = folder.folder / NAME
    assert made.size == path.stat().st_size
    assert path.stat().st_mode & 0o777 == 0o600
    assert folder.folder.stat().st_mode & 0o777 == 0o700
    with closing(apsw.Connection(str(path))) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_other_files_and_folders_do_not_count_as_backups(folder: BackupFolder):
    folder.make(NOW, go_on)
    (folder.folder / "holiday.jpg").write_bytes(b"")
    (folder.folder / backup_name(Instant(0))).mkdir()
    (folder.folder / backup_name(Instant(1000))).symlink_to(folder.folder / NAME)
    assert [each.name for each in folder.find()] == [NAME]


def test_backups_are_found_oldest_first_and_removed_by_name(folder: BackupFolder):
    newer, older = folder.make(NOW, go_on), folder.make(Instant(NOW - 1000), go_on)
    assert folder.find() == [older, newer]
    folder.remove([older, older])
    assert folder.find() == [newer]


def test_leftovers_of_a_killed_process_are_removed_by_the_next_backup(folder: BackupFolder):
    folder.folder.mkdir()
    for suffix in ("", "-journal"):
        (folder.folder / f"{backup_name(Instant(0))}.partial{suffix}").write_bytes(b"half")
    (folder.folder / "my.partial").write_bytes(b"mine")
    folder.make(NOW, go_on)
    assert files(folder) == ["my.partial", NAME]


def test_a_folder_outside_the_data_folder_must_exist(database_path: Path, tmp_path: Path):
    folder = BackupFolder(database_path, tmp_path / "disk" / "backups", make_folder=False)
    with pytest.raises(StorageRefused, match=r"is missing\. Create it, or mount its disk"):
        folder.find()
    assert "is missing" in fault(folder)
    assert not folder.folder.exists()


def test_a_file_in_place_of_the_folder_is_reported(folder: BackupFolder):
    folder.folder.write_bytes(b"")
    assert "is missing" in fault(folder)
    with pytest.raises(StorageRefused, match="cannot be read"):
        folder.find()


def test_a_damaged_database_is_reported_and_not_backed_up(folder: BackupFolder):
    content = bytearray(folder.database.read_bytes())
    content[4096 * 2 :] = b"\x55" * (len(content) - 4096 * 2)
    folder.database.write_bytes(content)
    assert "damaged" in fault(folder) or "malformed" in fault(folder)
    assert files(folder) == []


def test_a_cancelled_copy_leaves_no_files(folder: BackupFolder):
    def end() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        folder.make(NOW, end)
    assert files(folder) == []


def test_a_copy_is_abandoned_before_the_growing_log_delays_saves(folder: BackupFolder):
    server = SQLiteDatabase(folder.database)
    rows = [{"name": f"{number:01000}", "user_id": "u"} for number in range(20_000)]
    server.write_blocking(lambda c: c.execute(insert(login), rows) and None)
    log = folder.database.with_name(f"{folder.database.name}-wal")

    def save_much() -> None:
        with log.open("ab") as grown:
            grown.truncate(1024 * 1024 * 1024)  # takes no space itself

    try:
        with pytest.raises(StorageRefused, match="So much was saved during the copy"):
            folder.make(NOW, save_much)
    finally:
        server.close_blocking()
    assert files(folder) == []


def test_a_disk_without_space_for_a_copy_and_a_margin_is_not_filled(folder: BackupFolder):
    free = shutil.disk_usage(folder.database.parent).free
    with folder.database.open("ab") as grown:
        grown.truncate(free)  # takes no space itself
    assert "MiB free, and a backup needs" in fault(folder)
    assert files(folder) == []


def test_only_one_process_backs_up_at_a_time(folder: BackupFolder):
    with folder.alone() as first:
        assert first
        with folder.alone() as second:
            assert not second
    with folder.alone() as third:
        assert third
