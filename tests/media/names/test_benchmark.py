"""How many of many names are read right. names.jsonl has one a line: library, path, kind, and what is expected.

Expected are members of ParsedName (title, year, season, episode, last, date, part, edition, ids); `none`: no item;
`not_regular`: no item, or a special. What is not there is not compared. Titles are compared as the catalogue does.
The kind `debatable` is read wrong on purpose or for want of a better rule; it keeps the score honest.
"""

import json
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from playhead.domain.catalogue import ParsedName, identity
from playhead.domain.model import LibraryKind
from playhead.media.names.filenames import parse

NAMES = Path(__file__).parent / "names.jsonl"
FLOOR = 98.0  # percent; raise it with the score, never lower it


def is_right(expected: dict[str, Any], parsed: ParsedName | None) -> bool:
    if expected.get("none"):
        return parsed is None
    if expected.get("not_regular"):
        return parsed is None or parsed.season_number == 0
    if parsed is None:
        return False
    last = parsed.episode_end or parsed.episode_number
    got = {
        "title": identity(parsed.title),
        "year": parsed.year,
        "season": parsed.season_number,
        "episode": parsed.episode_number,
        "last": last,
        "date": str(parsed.air_date),
        "part": parsed.part,
        "edition": parsed.edition,
        "ids": dict(parsed.external_ids),
    }
    wanted = expected | {"title": identity(expected["title"])}
    return all(got[member] == value for member, value in wanted.items())


def test_names_of_many_kinds_are_read_right(record_property: Callable[[str, object], None]):
    rows = [json.loads(line) for line in NAMES.read_text("utf-8").splitlines()]
    right = [is_right(row["expected"], parse(PurePosixPath(row["path"]), LibraryKind(row["library"]))) for row in rows]
    wrong = [row["path"] for row, well in zip(rows, right, strict=True) if not well and row["kind"] != "debatable"]
    score = 100 * sum(right) / len(rows)
    record_property("summary", f"names read right: {sum(right)} of {len(rows)}, {score:.1f} % (floor {FLOOR} %)")
    assert len(rows) >= 600
    assert wrong == []
    assert score >= FLOOR
