"""Watching a folder for changes by others."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from playhead.media.watching import FolderWatch, WatchLostError, reports_changes

PATIENCE_S = 60


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "films").mkdir()
    return tmp_path / "films"


@pytest.fixture
def watch(root: Path) -> Iterator[FolderWatch]:
    watch = FolderWatch(root)
    yield watch
    watch.close()


def collect(watch: FolderWatch, is_enough: Callable[[set[str]], bool]) -> set[str]:
    seen: set[str] = set()
    until = time.monotonic() + PATIENCE_S
    while not is_enough(seen):
        assert time.monotonic() < until, seen
        seen |= watch.poll()
    return seen


def test_a_file_in_a_folder_made_later_is_noticed(root: Path, watch: FolderWatch) -> None:
    (root / "Heat").mkdir()
    collect(watch, lambda seen: "Heat" in seen)
    (root / "Heat" / "Heat.mkv").write_bytes(b"1")
    collect(watch, lambda seen: "Heat/Heat.mkv" in seen)
    (root / "Heat" / "Heat.mkv").unlink()
    collect(watch, lambda seen: "Heat/Heat.mkv" in seen)


def test_hidden_files_and_folders_of_storage_systems_do_not_count_but_ignore_files_do(
    root: Path, watch: FolderWatch
) -> None:
    (root / "@eaDir").mkdir()
    (root / "@eaDir" / "thumbnail.jpg").write_bytes(b"1")
    (root / ".Heat.mkv.part").write_bytes(b"1")
    (root / ".ignore").write_bytes(b"1")
    (root / "Last.mkv").write_bytes(b"1")
    assert collect(watch, lambda seen: "Last.mkv" in seen) == {".ignore", "Last.mkv"}


def test_a_folder_that_is_not_there_cannot_be_watched(tmp_path: Path) -> None:
    with pytest.raises(WatchLostError):
        FolderWatch(tmp_path / "away")


def test_a_folder_that_vanishes_or_is_replaced_is_lost(root: Path, watch: FolderWatch) -> None:
    root.rename(root.with_name("elsewhere"))
    with pytest.raises(WatchLostError):
        watch.poll()
    root.mkdir()
    with pytest.raises(WatchLostError, match="another folder"):
        watch.poll()


def test_a_removed_folder_is_lost(root: Path, watch: FolderWatch) -> None:
    shutil.rmtree(root)
    with pytest.raises(WatchLostError):
        watch.poll()


@pytest.mark.parametrize(
    ("mounts", "reports"),
    [
        ("/ ext4", True),
        ("/ ext4, /srv nfs4", False),
        ("/ nfs4, /srv xfs", True),
        ("/ ext4, /srv\\040media cifs", True),
        ("/ ext4, /srv/films/more fuse.mergerfs", False),
        ("/ overlay, /srv/films 9p", False),
        ("/ ext4, /srv nfs4, /srv btrfs", True),
    ],
)
def test_file_systems_that_others_change_do_not_report(tmp_path: Path, mounts: str, *, reports: bool) -> None:
    lines = (
        f"{number} 1 0:{number} / {mount.split()[0]} rw,relatime shared:1 - {mount.split()[1]} source rw"
        for number, mount in enumerate(mounts.split(", "))
    )
    table = tmp_path / "mountinfo"
    table.write_text("\n".join(lines) + "\n")
    assert reports_changes(Path("/srv/films"), table) is reports


def test_without_a_table_of_mounts_changes_are_taken_to_be_reported(tmp_path: Path) -> None:
    assert reports_changes(Path("/srv/films"), tmp_path / "away")
