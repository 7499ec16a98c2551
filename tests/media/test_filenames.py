from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from playhead.domain.catalogue import ParsedName
from playhead.domain.model import ItemKind, LibraryKind
from playhead.media.filenames import parse


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
