"""The lock on a data folder: shared by everything that uses it, exclusive for a restore."""

from pathlib import Path

import pytest

from playhead.storage.engine.database import StorageRefused
from playhead.storage.engine.folder_lock import lock_exclusive, lock_shared


def test_any_number_may_share_the_lock(database_path: Path):
    with lock_shared(database_path), lock_shared(database_path):
        pass


def test_the_lock_becomes_exclusive_only_when_nobody_shares_it(database_path: Path):
    with lock_shared(database_path), pytest.raises(StorageRefused, match="Stop it first"):
        lock_exclusive(database_path, patience_s=0)
    lock_exclusive(database_path, patience_s=0).release()


def test_the_lock_cannot_be_shared_while_it_is_exclusive(database_path: Path):
    with lock_exclusive(database_path), pytest.raises(StorageRefused, match="is being restored"):
        lock_shared(database_path, patience_s=0)


def test_the_lock_is_that_of_the_folder_to_which_a_link_leads(database_path: Path, tmp_path: Path):
    link = tmp_path / "elsewhere" / "playhead.db"
    link.parent.mkdir()
    link.symlink_to(database_path)
    with lock_shared(link), pytest.raises(StorageRefused):
        lock_exclusive(database_path, patience_s=0)


def test_releasing_twice_is_harmless(database_path: Path):
    lock = lock_shared(database_path)
    lock.release()
    lock.release()


def test_a_missing_folder_is_left_to_others_to_report(tmp_path: Path):
    lock_shared(tmp_path / "nowhere" / "playhead.db").release()
