"""What a folder is said to hold, on real folders."""

import os
from pathlib import Path, PurePosixPath

import pytest

from playhead.media.folders import Beside, Walk, contained, fingerprint, nested, shown, walk


def is_video(path: PurePosixPath) -> bool:
    return path.suffix == ".mkv"


def listed(root: Path) -> Walk:
    return walk(root.resolve(), is_video)


def put(root: Path, *paths: str) -> None:
    for path in paths:
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(path)


def test_videos_are_listed_by_path_with_size_and_time(tmp_path: Path) -> None:
    put(tmp_path, "b.mkv", "a/c.mkv", "a/poster.jpg", "a/.x.mkv", ".git/d.mkv", "@eaDir/e.mkv")
    os.utime(tmp_path / "b.mkv", ns=(1, 1_234_567_890_123_456_789))
    files = listed(tmp_path).files
    assert [file.path for file in files] == ["a/c.mkv", "b.mkv"]
    assert (files[1].size, files[1].mtime_ns) == (5, 1_234_567_890_123_456_789)


def test_nfo_files_stand_beside_their_videos(tmp_path: Path) -> None:
    put(
        tmp_path,
        "movie.nfo",
        "a.mkv",
        "a.NFO",
        "S/tvshow.nfo",
        "S/1/b.mkv",
        "S/1/c.mkv",
        "S/1/b.nfo",
        "F/movie.nfo",
        "F/d.mkv",
    )
    assert listed(tmp_path).beside == {
        "a.mkv": Beside(own="a.NFO"),
        "S/1/b.mkv": Beside(own="S/1/b.nfo", show="S/tvshow.nfo"),
        "S/1/c.mkv": Beside(show="S/tvshow.nfo"),
        "F/d.mkv": Beside(movie="F/movie.nfo"),
    }


def test_the_nearest_tvshow_nfo_counts(tmp_path: Path) -> None:
    put(tmp_path, "tvshow.nfo", "S/tvshow.nfo", "S/1/b.mkv", "T/c.mkv")
    beside = listed(tmp_path).beside
    assert (beside["S/1/b.mkv"].show, beside["T/c.mkv"].show) == ("S/tvshow.nfo", "tvshow.nfo")


def test_evidence_changes_with_each_nfo_and_with_who_shares_it(tmp_path: Path) -> None:
    put(tmp_path, "F/d.mkv")
    seen = {listed(tmp_path).files[0].evidence}
    for path in ("F/movie.nfo", "F/d.nfo", "tvshow.nfo", "F/other.mkv"):
        put(tmp_path, path)
        seen.add(listed(tmp_path).files[0].evidence)
    (tmp_path / "F/d.nfo").write_text("other")
    seen.add(listed(tmp_path).files[0].evidence)
    assert len(seen) == 6
    assert listed(tmp_path).files[0].evidence in seen


def test_a_folder_that_cannot_be_listed_is_named_and_counts_as_unread(tmp_path: Path) -> None:
    put(tmp_path, "a.mkv")
    name = "x" * 250
    depth = 4200 // 251  # deeper than a path may be long
    handle = os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth + 1):
        os.mkdir(name, dir_fd=handle)
        inner = os.open(name, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = inner
    os.close(handle)
    found = listed(tmp_path)
    assert [file.path for file in found.files] == ["a.mkv"]
    assert len(found.unread) == 1
    assert found.skipped == [(found.unread[0], "it cannot be read: File name too long")]


def test_a_root_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        walk(tmp_path / "nowhere", is_video)


def test_names_that_are_no_utf8_are_shown_escaped() -> None:
    assert shown(os.fsdecode(b"caf\xe9 \xc3\xa9.mkv")) == r"caf\xe9 é.mkv"


def test_what_is_contained_is_a_file_inside(tmp_path: Path) -> None:
    root = tmp_path / "films"
    put(tmp_path, "secret.mkv", "films/a/b.mkv", "films2/c.mkv")
    (root / "in.mkv").symlink_to(root / "a/b.mkv")
    (root / "out.mkv").symlink_to(tmp_path / "secret.mkv")
    (tmp_path / "link").symlink_to(root)
    inside = root.resolve() / "a/b.mkv"
    assert [contained(root, path) for path in ("a/b.mkv", "in.mkv", "a/../in.mkv")] == [inside] * 3
    assert contained(tmp_path / "link", "a/b.mkv") == inside
    outside = ("out.mkv", "../secret.mkv", "../films2/c.mkv", str(tmp_path / "secret.mkv"), "a", "gone", "a\0", "")
    assert [contained(root, path) for path in outside] == [None] * len(outside)
    assert contained(tmp_path / "nowhere", "a.mkv") is None


def test_folders_are_nested_by_their_parts_and_not_by_their_letters() -> None:
    films = [Path("/films"), Path("/x/y")]
    assert nested(Path("/films/new"), films) == Path("/films")
    assert nested(Path("/films"), films) == Path("/films")
    assert nested(Path("/x"), films) == Path("/x/y")
    assert nested(Path("/films2"), films) is None


def test_a_fingerprint_tells_contents_apart_by_size_beginning_and_end(tmp_path: Path) -> None:
    contents = [b"", b"a", b"b", b"a" * 300_000, b"b" + b"a" * 299_999, b"a" * 299_999 + b"b", b"a" * 300_001]
    contents += [b"a" * 65_536, b"a" * 65_535 + b"b", b"a" * 65_537, b"a" * 65_536 + b"b"]
    prints: set[str] = set()
    for number, content in enumerate(contents):
        path = tmp_path / f"{number}"
        path.write_bytes(content)
        prints.add(fingerprint(path))
    assert len(prints) == len(contents)
    (tmp_path / "copy").write_bytes(contents[3])
    assert fingerprint(tmp_path / "copy") == fingerprint(tmp_path / "3")


def test_a_fingerprint_reads_no_more_than_two_samples(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a hole: reading it whole would take minutes
    assert fingerprint(path).startswith(f"{1 << 40:x}-")
