"""A size-bounded cache of content that can be made again."""

import os
from pathlib import Path

import pytest

from playhead.media.disk_cache import DiskCache

KEYS = [f"{number:032x}"[::-1] for number in range(20)]


def sizes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def age(folder: Path, key: str, seconds: int) -> None:
    (file,) = folder.rglob(key)
    at = file.stat().st_mtime - seconds
    os.utime(file, (at, at))


def test_a_kept_entry_is_found_again_also_by_another_process(tmp_path: Path):
    cache = DiskCache(tmp_path / "kept", 1000)
    assert cache.get(KEYS[0]) is None
    cache.put(KEYS[0], b"picture")
    assert cache.get(KEYS[0]) == b"picture"
    assert DiskCache(tmp_path / "kept", 1000).get(KEYS[0]) == b"picture"
    assert cache.get(KEYS[1]) is None


def test_the_cache_is_private_to_its_owner(tmp_path: Path):
    DiskCache(tmp_path / "kept", 1000).put(KEYS[0], b"picture")
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o700


def test_the_cache_never_exceeds_its_bound(tmp_path: Path):
    cache = DiskCache(tmp_path, 1000)
    for key in KEYS:
        cache.put(key, bytes(150))
        assert sizes(tmp_path) <= 1000
    assert cache.get(KEYS[-1]) is not None


def test_the_most_recently_used_entries_stay(tmp_path: Path):
    cache = DiskCache(tmp_path, 1000)
    for key in KEYS[:6]:
        cache.put(key, bytes(150))
        age(tmp_path, key, 100_000)
    assert cache.get(KEYS[0]) is not None
    for key in KEYS[6:9]:
        cache.put(key, bytes(150))
    assert cache.get(KEYS[0]) is not None
    assert cache.get(KEYS[1]) is None


def test_entries_of_an_earlier_process_count(tmp_path: Path):
    for key in KEYS[:6]:
        DiskCache(tmp_path, 1000).put(key, bytes(150))
    DiskCache(tmp_path, 300).put(KEYS[6], bytes(150))
    assert sizes(tmp_path) <= 300


def test_the_folder_may_be_deleted_at_any_time(tmp_path: Path):
    cache = DiskCache(tmp_path / "kept", 1000)
    cache.put(KEYS[0], b"picture")
    (file,) = (tmp_path / "kept").rglob(KEYS[0])
    file.unlink()
    file.parent.rmdir()
    (tmp_path / "kept").rmdir()
    assert cache.get(KEYS[0]) is None
    cache.put(KEYS[0], b"picture")
    assert cache.get(KEYS[0]) == b"picture"


def test_an_empty_file_is_not_an_entry(tmp_path: Path):
    cache = DiskCache(tmp_path, 1000)
    cache.put(KEYS[0], b"picture")
    (file,) = tmp_path.rglob(KEYS[0])
    file.write_bytes(b"")
    assert cache.get(KEYS[0]) is None


def test_an_unwritable_folder_is_reported_and_leaves_no_files(tmp_path: Path):
    (tmp_path / "kept").write_text("a file in its place")
    with pytest.raises(OSError):  # noqa: PT011 - whichever the system says
        DiskCache(tmp_path / "kept", 1000).put(KEYS[0], b"picture")
