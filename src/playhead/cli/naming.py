"""`playhead name`: how names of files are read, and by which rule. Opens neither the files nor the installation."""

import json
import sys
from typing import Annotated

import typer

from playhead.domain.catalogue import ParsedName
from playhead.domain.model import ItemKind, LibraryKind
from playhead.domain.texts import shown_json
from playhead.terminal import say


def name(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH]", help="Any number, relative to a library's folder; by default the lines of standard input."
        ),
    ] = None,
    kind: Annotated[
        LibraryKind | None,
        typer.Option(help="The library's kind. [default: shows for names with numbers, else movies]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one object for each path, or null.")] = False,
) -> None:
    """Show how names of files are read, and by which rule."""
    from playhead.media.names.filenames import likely_kind, parse
    from playhead.media.reading import read_name

    for path in paths or (line.rstrip("\r\n") for line in sys.stdin):
        relative = path.lstrip("/")
        parsed = read_name(relative, kind or likely_kind(relative), parse) if relative else None
        if as_json:
            typer.echo(shown_json(json.dumps(None if parsed is None else _members(parsed), ensure_ascii=False)))
        else:
            say(path, f"    {_sentence(parsed)}")


def _members(parsed: ParsedName) -> dict[str, object]:
    return {
        "title": parsed.title,
        "year": parsed.year,
        "season_number": parsed.season_number,
        "episode_number": parsed.episode_number,
        "episode_end": parsed.episode_end,
        "air_date": None if parsed.air_date is None else parsed.air_date.isoformat(),
        "part": parsed.part,
        "edition": parsed.edition,
        "external_ids": dict(parsed.external_ids),
        "rule": parsed.rule,
    }


def _sentence(parsed: ParsedName | None) -> str:
    """Return what was read as a person would say it, and the rule."""
    if parsed is None:
        return "no item of such a library, or an extra of one"
    words = [parsed.title if parsed.year is None else f"{parsed.title} ({parsed.year})"]
    if parsed.kind is ItemKind.EPISODE and parsed.air_date is None:
        last = "" if parsed.episode_end is None else f" to {parsed.episode_end}"
        words.append(f"season {parsed.season_number}, episode {parsed.episode_number}{last}")
    if parsed.air_date is not None:
        words.append(f"of {parsed.air_date.isoformat()}")
    words += [] if parsed.part is None else [f"part {parsed.part}"]
    words += [] if parsed.edition is None else [parsed.edition]
    words += [f"{source} {value}" for source, value in sorted(parsed.external_ids.items())]
    return f"{', '.join(words)}; rule: {parsed.rule}"
