"""Listing real folders."""

import os
from pathlib import Path, PurePosixPath

import pytest

from playhead.media.folders import Beside, Walk, contained, contained_video, fingerprint, nested, shown, walk


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


def test_nfo_files_are_listed_with_their_videos(tmp_path: Path) -> None:
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


def test_evidence_changes_with_each_nfo_and_with_the_videos_that_share_it(tmp_path: Path) -> None:
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
    depth = 4200 // 251  # deeper than the longest possible path
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


def test_a_missing_root_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        walk(tmp_path / "nowhere", is_video)


def test_names_that_are_not_utf8_are_shown_escaped() -> None:
    assert shown(os.fsdecode(b"caf\xe9 \xc3\xa9.mkv")) == r"caf\xe9 é.mkv"


def test_only_a_file_inside_a_folder_is_contained_in_it(tmp_path: Path) -> None:
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


def test_nested_folders_are_recognised_by_path_components_not_by_prefix() -> None:
    films = [Path("/films"), Path("/x/y")]
    assert nested(Path("/films/new"), films) == Path("/films")
    assert nested(Path("/films"), films) == Path("/films")
    assert nested(Path("/x"), films) == Path("/x/y")
    assert nested(Path("/films2"), films) is None


def test_a_fingerprint_distinguishes_contents_by_size_beginning_and_end(tmp_path: Path) -> None:
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
        file.truncate(1 << 40)  # a sparse file: reading it all would take minutes
    assert fingerprint(path).startswith(f"{1 << 40:x}-")


def test_an_nfo_with_decomposed_accents_or_another_case_belongs_to_its_video(tmp_path: Path) -> None:
    put(tmp_path, "Cr\u00e8me.mkv", "Cre\u0300me.nfo", "Stra\u00dfe.mkv", "STRASSE.NFO")
    assert listed(tmp_path).beside == {
        "Cr\u00e8me.mkv": Beside(own="Cre\u0300me.nfo"),
        "Stra\u00dfe.mkv": Beside(own="STRASSE.NFO"),
    }


def test_parts_of_a_film_share_the_nfo_of_the_film(tmp_path: Path) -> None:
    put(tmp_path, "Heat cd1.mkv", "Heat cd2.mkv", "Heat.nfo", "Ronin.part1.mkv", "Ronin.nfo", "Ronin.part1.nfo")
    put(tmp_path, "F/movie.nfo", "F/CD1/f.mkv", "F/Disc 2/f.mkv", "F/Extras/x.mkv")
    assert listed(tmp_path).beside == {
        "Heat cd1.mkv": Beside(own="Heat.nfo"),
        "Heat cd2.mkv": Beside(own="Heat.nfo"),
        "Ronin.part1.mkv": Beside(own="Ronin.part1.nfo"),
        "F/CD1/f.mkv": Beside(movie="F/movie.nfo"),
        "F/Disc 2/f.mkv": Beside(movie="F/movie.nfo"),
    }


def test_an_nfo_called_like_the_folder_or_the_only_one_of_a_single_film_speaks_of_it(tmp_path: Path) -> None:
    put(tmp_path, "Heat (1995)/heat (1995).nfo", "Heat (1995)/heat-grp.mkv")
    put(tmp_path, "Ronin/grp-release.nfo", "Ronin/ronin.mkv", "Two/grp.nfo", "Two/a.mkv", "Two/b.mkv")
    put(tmp_path, "Show/season.nfo", "Show/a.mkv", "top.nfo", "top-1.mkv")
    assert listed(tmp_path).beside == {
        "Heat (1995)/heat-grp.mkv": Beside(movie="Heat (1995)/heat (1995).nfo"),
        "Ronin/ronin.mkv": Beside(movie="Ronin/grp-release.nfo"),
    }


@pytest.mark.parametrize("name", [".ignore", ".nomedia"])
def test_a_folder_that_is_to_be_ignored_is_left_out_and_named(tmp_path: Path, name: str) -> None:
    put(tmp_path, "a.mkv", "Private/b.mkv", "Private/more/c.mkv")
    (tmp_path / "Private" / name).touch()
    found = listed(tmp_path)
    assert [file.path for file in found.files] == ["a.mkv"]
    assert found.skipped == [("Private", f"it is left out by {name}")]


def test_patterns_leave_out_files_and_folders_below(tmp_path: Path) -> None:
    put(tmp_path, "a.mkv", "b/Trailers/c.mkv", "b/keep.mkv", "b/x.sample.mkv", "b/x.sample.txt")
    (tmp_path / ".plexignore").write_text("*/Trailers/*\n*.sample.*\n")
    found = listed(tmp_path)
    assert [file.path for file in found.files] == ["a.mkv", "b/keep.mkv"]
    assert [skipped.path for skipped in found.skipped] == ["b/Trailers/c.mkv", "b/x.sample.mkv"]
    assert found.skipped[0].reason == "it is left out by .plexignore"


def test_a_library_that_is_to_be_ignored_as_a_whole_says_so(tmp_path: Path) -> None:
    put(tmp_path, "a.mkv")
    (tmp_path / ".nomedia").touch()
    assert listed(tmp_path).skipped == [(".", "it is left out by .nomedia")]


@pytest.mark.parametrize(
    "folder",
    [
        *("@eaDir", "@EADIR", "#recycle", "@Recycle", "@Recently-Snapshot", "$RECYCLE.BIN", "RECYCLER", "__MACOSX"),
        *("Network Trash Folder", "found.000", "lost+found", ".Trash-1000", "~snapshot"),
    ],
)
def test_folders_that_storage_systems_make_are_passed_over(tmp_path: Path, folder: str) -> None:
    put(tmp_path, "a.mkv", f"{folder}/b.mkv", f"Films/{folder}/c.mkv")
    found = listed(tmp_path)
    assert ([file.path for file in found.files], found.skipped) == (["a.mkv"], [])


@pytest.mark.parametrize(
    ("path", "skipped", "word"),
    [
        ("Cloud (2019)/Cloud (2019).strm", "Cloud (2019)/Cloud (2019).strm", "stream"),
        ("Film.ISO", "Film.ISO", "discs"),
        ("Film (2001)/VIDEO_TS/VTS_01_1.mkv", "Film (2001)/VIDEO_TS", "discs"),
        ("Film (2001)/BDMV/STREAM/00001.mkv", "Film (2001)/BDMV", "discs"),
        ("Film.2001/film.RAR", "Film.2001/film.RAR", "archives"),
        ("Film.2001/film.part01.rar", "Film.2001/film.part01.rar", "archives"),
        ("Film.2001/film.zip", "Film.2001/film.zip", "archives"),
        ("Film.2001/film.7z", "Film.2001/film.7z", "archives"),
        ("_UNPACK_Film.2001/a.mkv", "_UNPACK_Film.2001", "unpacked"),
    ],
)
def test_what_is_not_supported_is_named_once(tmp_path: Path, path: str, skipped: str, word: str) -> None:
    put(tmp_path, path)
    found = listed(tmp_path)
    assert found.files == []
    assert [each.path for each in found.skipped] == [skipped]
    assert word in found.skipped[0].reason


def test_further_volumes_of_an_archive_and_archives_of_extras_are_not_named(tmp_path: Path) -> None:
    volumes = ("film.part1.rar", "film.part2.rar", "film.part10.rar", "b.rar", "b.r00", "b.r01")
    put(
        tmp_path,
        *(f"Film.2001/{name}" for name in volumes),
        "Film.2001/Subs/film.subs.rar",
        "Film.2001/film.sample.rar",
    )
    assert [each.path for each in listed(tmp_path).skipped] == ["Film.2001/b.rar", "Film.2001/film.part1.rar"]


def test_links_to_videos_elsewhere_count_and_links_to_anything_else_do_not(tmp_path: Path) -> None:
    root = tmp_path / "films"
    put(tmp_path, "store/ab12.mkv", "store/id_rsa", "store/ab12.srt", "films/a.mkv")
    (root / "Heat (1995).mkv").symlink_to(tmp_path / "store/ab12.mkv")
    (root / "key.mkv").symlink_to(tmp_path / "store/id_rsa")
    (root / "store").symlink_to(tmp_path / "store")
    found = listed(root)
    assert [file.path for file in found.files] == ["Heat (1995).mkv", "a.mkv"]
    assert [skipped.path for skipped in found.skipped] == ["key.mkv", "store"]


def test_a_video_may_be_a_link_to_a_video_of_the_known_size_elsewhere(tmp_path: Path) -> None:
    root, store = tmp_path / "films", tmp_path.resolve() / "store"
    put(tmp_path, "store/ab12.mkv", "store/id_rsa", "films/a.mkv")
    (root / "in.mkv").symlink_to("a.mkv")
    (root / "out.mkv").symlink_to(store / "ab12.mkv")
    (root / "key.mkv").symlink_to(store / "id_rsa")
    (root / "store").symlink_to(store)
    (root / "store2").symlink_to(store)
    (store / "again.mkv").symlink_to("ab12.mkv")
    assert contained_video(root, "in.mkv") == root.resolve() / "a.mkv"
    assert contained_video(root, "out.mkv") == contained_video(root, "out.mkv", 14) == store / "ab12.mkv"
    refused = ("key.mkv", "store/ab12.mkv", "store/again.mkv", "../store/ab12.mkv", "../store/again.mkv", "gone.mkv")
    assert [contained_video(root, path) for path in refused] == [None] * len(refused)
    assert contained_video(root, str(store / "again.mkv")) is None
    assert contained_video(root, "out.mkv", 15) is None
    assert contained(root, "out.mkv") is None
