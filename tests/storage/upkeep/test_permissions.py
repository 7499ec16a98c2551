import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from playhead.storage.upkeep.permissions import find_wide, narrow, open_private, private_paths


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def make(path: Path, mode: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"secret")
    path.chmod(mode)
    return path


@pytest.mark.usefixtures("umask")
def test_folder_database_backups_and_credentials_become_private_to_their_owner(tmp_path: Path):
    data = tmp_path / "data"
    names = ["playhead.db", "playhead.db-wal", "playhead.db.backup-0003-20251108T220000Z", "demo.json", "backups/a.db"]
    files = [make(data / name, 0o644) for name in names]
    for folder in (data, data / "backups"):
        folder.chmod(0o755)
    paths = list(private_paths(data, data / "playhead.db", data / "backups"))
    wide = {each.path for each in find_wide(paths)}
    assert wide == {*files, data, data / "backups"}
    assert {each.path for each in narrow(paths)} == wide
    assert [mode_of(file) for file in files] == [0o600] * len(files)
    assert mode_of(data) == mode_of(data / "backups") == 0o700
    assert find_wide(paths) == []


def test_only_its_own_files_change_around_a_database_elsewhere(tmp_path: Path):
    data, database = tmp_path / "data", tmp_path / "shared" / "films.db"
    data.mkdir()
    own = [make(database.with_name(f"films.db{end}"), 0o664) for end in ("", "-wal", "-shm", ".backup-0003-x")]
    others = make(database.with_name("films.dbx"), 0o644)
    backups = make(tmp_path / "share" / "old.db", 0o644).parent
    database.parent.chmod(0o755)
    backups.chmod(0o755)
    list(narrow(private_paths(data, database, backups)))
    assert [mode_of(file) for file in own] == [0o600] * len(own)
    assert (mode_of(others), mode_of(database.parent), mode_of(backups)) == (0o644, 0o755, 0o755)


def test_the_target_of_a_symbolic_link_is_not_changed(tmp_path: Path):
    data, elsewhere = tmp_path / "data", make(tmp_path / "film.mkv", 0o644)
    data.mkdir()
    (data / "film.mkv").symlink_to(elsewhere)
    list(narrow(private_paths(data, None, data / "backups")))
    assert mode_of(elsewhere) == 0o644


@pytest.mark.usefixtures("umask")
def test_a_private_file_stays_private_when_it_replaces_a_readable_one(tmp_path: Path):
    for path in (tmp_path / "new.jsonl", make(tmp_path / "old.jsonl", 0o666)):
        with open_private(path) as target:
            target.write(b"history")
        assert (mode_of(path), path.read_bytes()) == (0o600, b"history")
