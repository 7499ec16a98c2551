"""What people tell a scan to leave out."""

import os
from pathlib import Path

import pytest

from playhead.media.ignoring import find_ignoring, ignored_by


def left_out(root: Path, path: str, *, is_folder: bool = False, name: str = ".ignore", text: str = "") -> bool:
    (root / name).write_text(text)
    whole, files = find_ignoring(root, "", [name])
    return whole is not None or ignored_by(path, files, is_folder=is_folder) is not None


@pytest.mark.parametrize("name", [".ignore", ".embyignore", ".nomedia", ".NOMEDIA", ".tmmignore", "tmm.ignore"])
def test_an_empty_file_leaves_its_folder_out(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert find_ignoring(tmp_path, "", ["a.mkv", name]) == (name, [])


def test_an_empty_plexignore_leaves_nothing_out(tmp_path: Path) -> None:
    assert not left_out(tmp_path, "a.mkv", name=".plexignore", text="\n# nothing yet\n")


def test_what_a_nomedia_file_holds_means_nothing(tmp_path: Path) -> None:
    assert left_out(tmp_path, "b.mkv", name=".nomedia", text="a.mkv")


def test_a_file_of_comments_leaves_its_folder_out(tmp_path: Path) -> None:
    assert left_out(tmp_path, "a.mkv", text="\ufeff# all of it\r\n\r\n")


@pytest.mark.parametrize(
    ("pattern", "path", "is_left_out"),
    [
        ("*.avi", "a.avi", True),
        ("*.AVI", "Film/a.avi", True),
        ("*.avi", "a.mkv", False),
        ("Private", "Films/Private", True),
        ("Private/", "Private", False),  # a file of that name
        ("/Private", "Private", True),
        ("/Private", "Films/Private", False),
        ("Films/*.mkv", "Films/a.mkv", True),
        ("Films/*.mkv", "Films/b/a.mkv", False),
        ("Films/**/a.mkv", "Films/b/c/a.mkv", True),
        ("Films/**/a.mkv", "Films/a.mkv", True),
        ("**/b/*", "x/y/b/a.mkv", True),
        ("Films\\a.mkv", "Films/a.mkv", True),
        ("[ab].mkv", "b.mkv", True),
        ("?.mkv", "ab.mkv", False),
        ("caf\u00e9.mkv", "cafe\u0301.mkv", True),
        ("# a.mkv\nb.mkv", "a.mkv", False),
        ("!a.mkv\nb.mkv", "a.mkv", False),
        ("*.mkv\n!a.mkv", "a.mkv", False),
        ("!a.mkv\n*.mkv", "a.mkv", True),
        ("/", "a.mkv", True),  # no pattern at all
        ("x" * 400 + "\nb", "a.mkv", False),
    ],
)
def test_patterns_are_those_of_git(tmp_path: Path, pattern: str, path: str, is_left_out: bool) -> None:  # noqa: FBT001
    assert left_out(tmp_path, path, text=pattern) is is_left_out


def test_a_pattern_for_folders_leaves_folders_out(tmp_path: Path) -> None:
    assert left_out(tmp_path, "Films/Private", is_folder=True, text="Private/")


@pytest.mark.parametrize(
    ("pattern", "path"),
    [("_Adult/*", "_Adult/a.mkv"), ("*/Extras/*", "Show/Season 1/Extras/a.mkv"), ("*NCOP*", "Show/x NCOP1.mkv")],
)
def test_patterns_of_plex_are_understood(tmp_path: Path, pattern: str, path: str) -> None:
    assert left_out(tmp_path, path, name=".plexignore", text=pattern)


def test_patterns_count_from_the_folder_of_their_file_and_the_innermost_decides(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / ".plexignore").write_text("*.ts")
    (tmp_path / "a/.plexignore").write_text("!keep.ts\n/b.mkv")
    _, outer = find_ignoring(tmp_path, "", [".plexignore"])
    _, inner = find_ignoring(tmp_path, "a", [".plexignore"])
    both = [*outer, *inner]
    assert ignored_by("a/x.ts", both, is_folder=False) == ".plexignore"
    assert ignored_by("a/keep.ts", both, is_folder=False) is None
    assert ignored_by("a/b.mkv", both, is_folder=False) == "a/.plexignore"


def test_a_file_that_cannot_be_read_leaves_its_folder_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".plexignore")
    assert find_ignoring(tmp_path, "", [".plexignore"]) == (".plexignore", [])
    assert find_ignoring(tmp_path, "gone", [".ignore"]) == ("gone/.ignore", [])


def test_no_pattern_keeps_a_scan_busy(tmp_path: Path) -> None:
    hostile = "\n".join(["a*" * 100 + "b"] * 500)
    assert not left_out(tmp_path, "/".join(["a" * 200] * 8), text=hostile)
    assert not left_out(tmp_path, "/".join(["a"] * 200), text="/".join(["**", "a"] * 50) + "/b")
