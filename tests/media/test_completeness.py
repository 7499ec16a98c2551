"""Files that were cut, as a copy looks until it is complete."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clips import write_clip
from playhead.media.completeness import FRESH_S, is_truncated

ENDINGS = ("mkv", "webm", "mp4", "mov", "avi", "wmv", "ts", "m2ts", "ogv")


@pytest.fixture(scope="module", params=ENDINGS)
def film(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / f"film.{request.param}"
    write_clip(
        path, 60, {".webm": "libvpx", ".ogv": "libvpx", ".wmv": "wmv2", ".avi": "mpeg4"}.get(path.suffix, "h264")
    )
    return path


def variant(film: Path, change: Callable[[bytes], bytes], age_s: float = 0) -> Path:
    path = film.with_name(f"variant{film.suffix}")
    path.write_bytes(change(film.read_bytes()))
    changed_at = time.time() - age_s
    os.utime(path, (changed_at, changed_at))
    return path


def test_a_whole_film_is_not_truncated(film: Path) -> None:
    assert not is_truncated(film)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9])
def test_a_film_of_which_a_part_is_missing_is_truncated(film: Path, share: float) -> None:
    def cut(content: bytes) -> bytes:
        length = int(len(content) * share)
        return content[: length - length % 188 - 100]  # within a packet

    assert is_truncated(variant(film, cut))


def test_what_was_appended_to_a_film_does_not_matter(film: Path) -> None:
    if film.suffix != ".ogv":  # whose end is a mark
        assert not is_truncated(variant(film, lambda content: content + b"\0" * 32))


def test_an_old_recording_that_was_interrupted_is_taken_as_it_is(film: Path) -> None:
    def cut(content: bytes) -> bytes:
        return content[: len(content) // 376 * 188 - 100]

    tells_no_length = film.suffix in (".ts", ".m2ts", ".ogv")
    assert is_truncated(variant(film, cut, age_s=FRESH_S + 60)) is not tells_no_length


def test_parts_of_a_large_avi_are_missed_by_its_super_index(tmp_path: Path) -> None:
    entry = (1 << 31).to_bytes(8, "little") + (4096).to_bytes(4, "little") + bytes(4)
    index = b"\4\0\0\0" + (1).to_bytes(4, "little") + b"00dc" + bytes(12) + entry
    stream = b"LIST" + (4 + 8 + len(index)).to_bytes(4, "little") + b"strlindx" + len(index).to_bytes(4, "little")
    stream += index
    header = b"LIST" + (4 + len(stream)).to_bytes(4, "little") + b"hdrl" + stream
    path = tmp_path / "large.avi"
    path.write_bytes(b"RIFF" + (len(header) + 4).to_bytes(4, "little") + b"AVI " + header)
    assert is_truncated(path)
    os.truncate(path, (1 << 31) + 4096)  # a hole
    assert not is_truncated(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"RIFF",
        b"RIFF\0\0\0\0AVI ",
        b"RIFF\0\0\0\0AVI LIST\0\0\0\0movi",
        b"RIFF\0\0\0\0AVI " + b"indx\4\0\0\0\1\2\3\4" * 10,
        b"RIFF\0\0\0\0AVI " + b"JUNK\0\0\0\0" * 100_000,
        b"\x1a\x45\xdf\xa3\x01\xff\xff\xff\xff\xff\xff\xff",
        b"\0\0\0\0ftyp" + b"\0\0\0\1moof\0\0\0\0\0\0\0\0",
        b"\0\0\0\x08free" * 100_000,
        b"OggS",
        b"OggS" * 100,
        b"G",
        b"no film at all",
        bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"),
    ],
)
def test_junk_of_any_length_is_looked_at_without_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "junk.avi"
    path.write_bytes(content)
    assert is_truncated(path) in (True, False)
