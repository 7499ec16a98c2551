"""Contents that can be made again, kept up to a number of bytes."""

import os
from pathlib import Path

import pytest

from playhead.media.keeping import Keeper

KEYS = [f"{number:032x}"[::-1] for number in range(20)]


def sizes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def age(folder: Path, key: str, seconds: int) -> None:
    (file,) = folder.rglob(key)
    at = file.stat().st_mtime - seconds
    os.utime(file, (at, at))


def test_what_is_kept_is_found_again_also_by_another_process(tmp_path: Path):
    keeper = Keeper(tmp_path / "kept", 1000)
    assert keeper.find(KEYS[0]) is None
    keeper.keep(KEYS[0], b"picture")
    assert keeper.find(KEYS[0]) == b"picture"
    assert Keeper(tmp_path / "kept", 1000).find(KEYS[0]) == b"picture"
    assert keeper.find(KEYS[1]) is None


def test_it_is_for_its_owner_alone(tmp_path: Path):
    Keeper(tmp_path / "kept", 1000).keep(KEYS[0], b"picture")
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o700


def test_more_than_the_bound_is_never_kept(tmp_path: Path):
    keeper = Keeper(tmp_path, 1000)
    for key in KEYS:
        keeper.keep(key, bytes(150))
        assert sizes(tmp_path) <= 1000
    assert keeper.find(KEYS[-1]) is not None


def test_what_was_used_last_stays(tmp_path: Path):
    keeper = Keeper(tmp_path, 1000)
    for key in KEYS[:6]:
        keeper.keep(key, bytes(150))
        age(tmp_path, key, 100_000)
    assert keeper.find(KEYS[0]) is not None
    for key in KEYS[6:9]:
        keeper.keep(key, bytes(150))
    assert keeper.find(KEYS[0]) is not None
    assert keeper.find(KEYS[1]) is None


def test_what_a_process_before_has_kept_counts(tmp_path: Path):
    for key in KEYS[:6]:
        Keeper(tmp_path, 1000).keep(key, bytes(150))
    Keeper(tmp_path, 300).keep(KEYS[6], bytes(150))
    assert sizes(tmp_path) <= 300


def test_the_folder_may_be_deleted_at_any_time(tmp_path: Path):
    keeper = Keeper(tmp_path / "kept", 1000)
    keeper.keep(KEYS[0], b"picture")
    (file,) = (tmp_path / "kept").rglob(KEYS[0])
    file.unlink()
    file.parent.rmdir()
    (tmp_path / "kept").rmdir()
    assert keeper.find(KEYS[0]) is None
    keeper.keep(KEYS[0], b"picture")
    assert keeper.find(KEYS[0]) == b"picture"


def test_an_empty_file_is_nothing(tmp_path: Path):
    keeper = Keeper(tmp_path, 1000)
    keeper.keep(KEYS[0], b"picture")
    (file,) = tmp_path.rglob(KEYS[0])
    file.write_bytes(b"")
    assert keeper.find(KEYS[0]) is None


def test_where_nothing_can_be_written_it_says_so_and_leaves_nothing(tmp_path: Path):
    (tmp_path / "kept").write_text("a file in its place")
    with pytest.raises(OSError):  # noqa: PT011 - whichever the system says
        Keeper(tmp_path / "kept", 1000).keep(KEYS[0], b"picture")
