from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from playhead.domain.catalogue import ParsedName
from playhead.domain.model import ItemKind, LibraryKind
from playhead.media.names.extras import is_video
from playhead.media.names.filenames import parse


def rows() -> list[tuple[str, str, str]]:
    lines = (Path(__file__).parent / "names.txt").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.split(" | ")] for line in lines if line and not line.startswith("#")]
    return [(library, path, meaning) for library, path, meaning in cells]


def described(parsed: ParsedName | None) -> str:
    """Everything that was read, in the notation that names.txt explains."""
    if parsed is None:
        return "-"
    words = [parsed.title]
    if parsed.year:
        words.append(f"({parsed.year})")
    if parsed.season_number is not None or parsed.episode_number is not None:
        last = f"-E{parsed.episode_end:02}" if parsed.episode_end else ""
        words.append(f"S{parsed.season_number:02}E{parsed.episode_number:02}{last}")
    if parsed.episode_title:
        words.append(f'"{parsed.episode_title}"')
    if parsed.air_date:
        words.append(parsed.air_date.isoformat())
    if parsed.part:
        words.append(f"part {parsed.part}")
    if parsed.edition:
        words.append(f"<{parsed.edition}>")
    words += [f"{{{source}-{value}}}" for source, value in sorted(parsed.external_ids.items())]
    return " ".join(words)


@pytest.mark.parametrize(("library", "path", "meaning"), rows(), ids=[path for _, path, _ in rows()])
def test_a_name_becomes_what_a_person_would_say(library: str, path: str, meaning: str):
    parsed = parse(PurePosixPath(path), LibraryKind(library))
    assert described(parsed) == meaning


# Pieces that names are made of, so that chance finds what a list of names does not.
PIECES = st.sampled_from(
    [
        *("The Matrix", "1999", "(1999)", "S01E02", "1x02", "-", " ", ".", "_", "[", "]", "(", ")", "{tmdb-603}", "05"),
        *(
            "1080p",
            "x264",
            "Season 1",
            "101",
            "2024-01-15",
            "cd1",
            "part 2",
            "Specials",
            "第5話",
            "第二季",
            "{edition-",
        ),
        *("99999", "٣", "²", "\udcff", "\0", "E\u0301", "…", "Extended Cut", "www.a.com", "OVA", "ё", "..", "S01-S05"),
    ]
)
NAMES = st.lists(PIECES, min_size=1, max_size=8).map("".join) | st.text(min_size=1, max_size=60)


@settings(max_examples=200)
@given(st.lists(NAMES, min_size=1, max_size=4), st.sampled_from(LibraryKind))
def test_every_path_is_an_item_with_a_title_or_none(names: list[str], library: LibraryKind):
    parsed = parse(PurePosixPath("/".join(name.replace("/", "") for name in names) + ".mkv"), library)
    if parsed is not None:
        assert parsed.title.strip() == parsed.title != ""
        assert parsed.title.encode()  # a name that is no UTF-8 leaves no lone surrogate
        assert parsed.kind is (ItemKind.MOVIE if library is LibraryKind.MOVIES else ItemKind.EPISODE)
        assert library is LibraryKind.MOVIES or parsed.episode_number is not None or parsed.air_date is not None
        assert parsed.episode_end is None or parsed.episode_end > (parsed.episode_number or 0)


@pytest.mark.parametrize(
    "name",
    [
        *(
            (piece * 240)[:240]
            for piece in (
                *(
                    "1x01",
                    "S01E01",
                    "(",
                    "[a]",
                    "- ",
                    "1 season ",
                    "www.a-",
                    "第1季第",
                    "x264 ",
                    "E01-",
                    "01+",
                    "_",
                    ".",
                ),
                *("part1 ", "extended ", "ultimate edition ", "a cut ", "1. ", "★", "12.5 ", "saga", "extras ", "3D "),
            )
        ),
        "]1x02OVA]S01-S05.S01-S051999",  # kept guessit busy for minutes
    ],
)
def test_no_name_keeps_the_scan_busy(name: str):
    """Each of these would hang the test run if a pattern tried every way to match it."""
    for library in LibraryKind:
        for path in (f"{name}.mkv", f"{name}/01.mkv", f"Show (1999)/{name}/{name}.mkv"):
            parse(PurePosixPath(path), library)


def test_a_video_is_told_by_its_extension_in_any_case():
    assert is_video(PurePosixPath("a/The Matrix.MKV"))
    assert is_video(PurePosixPath("a/The Matrix.mp4"))
    assert not is_video(PurePosixPath("a/The Matrix.srt"))
    assert not is_video(PurePosixPath("a/mkv"))
