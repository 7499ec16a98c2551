"""Labels that distinguish the files of an item."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playhead.domain.catalogue import MediaFile, MediaStream, versions
from playhead.domain.labels import ordered_versions
from playhead.domain.model import FileId, Milliseconds


def file(path: str, label: str = "1080p H.264", minutes: int | None = 90, part: int | None = None) -> MediaFile:
    duration_ms = None if minutes is None else Milliseconds(minutes * 60_000)
    return MediaFile(FileId(path), path, label, 1000, duration_ms, "matroska", 1920, 1080, "h264", None, part)


def sound(
    codec: str = "aac", channels: int | None = 2, language: str | None = None, *, default: bool = False
) -> MediaStream:
    return MediaStream("audio", codec, language, channels=channels, default=default)


def labels(*files: MediaFile) -> list[str]:
    return [
        each.label for each in sorted(ordered_versions(files), key=lambda each: [f.id for f in files].index(each.id))
    ]


def test_labels_that_differ_stay_as_they_are():
    assert labels(file("a.mkv"), file("b.mkv", "720p H.264")) == ["1080p H.264", "720p H.264"]
    assert labels() == []


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([sound("ac3", 6)], [sound("aac", 2)], ["AC3 5.1", "AAC 2.0"]),
        ([sound("truehd", 8)], [sound("aac", 1)], ["TRUEHD 7.1", "AAC 1.0"]),
        ([sound("aac", 3)], [sound("aac", None)], ["AAC 3 ch", "AAC 0 ch"]),
        ([sound("aac"), sound("dts", 6, default=True)], [sound("aac")], ["DTS 5.1", "AAC 2.0"]),
        ([sound(language="deu"), sound(language="eng")], [sound(language="eng")], ["deu+eng", "eng"]),
        ([sound()], [], ["AAC 2.0", ""]),
    ],
)
def test_files_with_the_same_label_are_distinguished_by_their_sound(
    one: list[MediaStream], other: list[MediaStream], expected: list[str]
):
    first = replace(file("a.mkv"), streams=tuple(one))
    second = replace(file("b.mkv"), streams=tuple(other))
    assert labels(first, second) == [f"1080p H.264 {words}".strip() for words in expected]


def test_then_by_container_and_length():
    assert labels(file("a.mkv"), file("a.mp4")) == ["1080p H.264 MKV", "1080p H.264 MP4"]
    assert labels(file("a.mkv"), file("b.mkv", minutes=102)) == ["1080p H.264 90 min", "1080p H.264 102 min"]
    assert labels(file("a.mkv"), file("b.mkv", minutes=None)) == ["1080p H.264 90 min", "1080p H.264"]


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (("Coral - 1080p.mkv", "Coral.3D.HSBS.mkv", "Coral.3D.HTAB.mkv"), ["", "3D HSBS", "3D HTAB"]),
        (("F/F.WEB-GRP.mkv", "F/F.BluRay-GRP.mkv"), ["WEB", "BluRay"]),
        (("F.WEB-DL.mkv", "F.WEB Rip.mkv"), ["DL", "Rip"]),
        (("F [WEB-DL].mkv", "F [BluRay].mkv", "F - DVD - TV.mkv"), ["WEB-DL", "BluRay", "DVD TV"]),
        (("HD/Film.mkv", "SD/Film.mkv"), ["HD", "SD"]),
        (("Film/Film.mkv", "Film 4K/Film.mkv"), ["", "4K"]),
        (("Film.mkv", "film.fixed.mkv"), ["", "fixed"]),
        (("a-/Film.mkv", "a.Film.mkv", "a/Film.mkv"), ["", "(2)", "(3)"]),
    ],
)
def test_then_by_the_words_in_which_their_paths_differ(paths: tuple[str, ...], expected: list[str]):
    assert labels(*(file(path) for path in paths)) == [f"1080p H.264 {words}".strip() for words in expected]


def test_only_those_that_still_collide_are_distinguished_further():
    stereo = (sound("aac"),)
    files = [
        replace(file("a.mkv"), streams=(sound("ac3", 6),)),
        replace(file("b.mkv"), streams=stereo),
        replace(file("b.mp4"), streams=stereo),
    ]
    assert labels(*files) == ["1080p H.264 AC3 5.1", "1080p H.264 AAC 2.0 MKV", "1080p H.264 AAC 2.0 MP4"]


def test_parts_of_one_version_keep_one_label():
    files = [file("cd1.avi", part=1, minutes=40), file("cd2.avi", part=2, minutes=50)]
    assert labels(*files) == ["1080p H.264"] * 2
    files += [file("cd1.mkv", part=1, minutes=41), file("cd2.mkv", part=2, minutes=49)]
    found = versions(ordered_versions(files))
    assert sorted((version.label, [each.id for each in version.files]) for version in found) == [
        ("1080p H.264 AVI", ["cd1.avi", "cd2.avi"]),
        ("1080p H.264 MKV", ["cd1.mkv", "cd2.mkv"]),
    ]


def test_parts_that_nothing_distinguishes_keep_their_label():
    files = [file("a/cd1.avi", part=1), file("b/cd1.avi", part=1), file("a/cd2.avi", part=2)]
    assert labels(*files) == ["1080p H.264"] * 3


def test_a_name_without_an_extension_has_a_label():
    assert labels(file("a"), file("b")) == ["1080p H.264 a", "1080p H.264 b"]


@given(st.lists(st.text("ab ./-", min_size=1, max_size=12), max_size=8, unique=True))
def test_no_two_whole_files_have_the_same_label(paths: list[str]):
    found = ordered_versions(file(path, "x") for path in paths)
    assert len({each.label for each in found}) == len(found)
