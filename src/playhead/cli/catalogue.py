"""`playhead scan` and `playhead items`: scanning the libraries, and listing their items."""

from typing import TYPE_CHECKING, Annotated

import typer

from playhead.cli.installation import DatabaseOption, DataOption, operator, run
from playhead.domain.texts import shown_json
from playhead.errors import PlayheadError
from playhead.terminal import fail, print_table, progress_bar, say

if TYPE_CHECKING:
    from playhead.bootstrap import Installation
    from playhead.domain.catalogue import Item
    from playhead.services.catalogue import ItemView
    from playhead.services.scanning import ScanReport


def scan(
    name: Annotated[str | None, typer.Argument(metavar="[LIBRARY]", help="Only this library.")] = None,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Accept a folder that contains no videos.")
    ] = False,
    data: DataOption = None,
    database: DatabaseOption = None,
) -> None:
    """Scan the folders and print what was added, changed, moved and removed."""

    async def scan_all(playhead: "Installation") -> list[str]:
        views = await playhead.catalogue.list_libraries(operator())
        named = None if name is None else (await playhead.catalogue.find_library(operator(), name)).id
        failures: list[str] = []
        for view in views:
            library = view.library
            if library.path is None or named not in {None, library.id}:
                continue
            try:
                with progress_bar(f"Scanning {library.name}") as show:
                    report = await playhead.scanner.scan(
                        library.id, progress=lambda so_far: show(so_far.done, so_far.total), allow_empty=allow_empty
                    )
            except PlayheadError as error:
                failures.append(f"{library.name}: {error.message}")
                continue
            _print_report(library.name, report)
        if named is not None and not any(view.library.id == named and view.library.path for view in views):
            failures.append(f"{name}: an imported library has no folder to scan")
        return failures

    failures = run(data, database, scan_all)
    if failures:
        fail("; ".join(failures))


def items(
    library_name: Annotated[str | None, typer.Option("--library", help="Only of this library.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the objects of the items route, one array.")] = False,
    data: DataOption = None,
    database: DatabaseOption = None,
) -> None:
    """List all items with their ids and titles."""
    from playhead.http.api.catalogue import item_answer
    from playhead.http.bodies import encode
    from playhead.services.catalogue import LIMIT_MAX

    async def list_all(playhead: "Installation") -> "list[ItemView]":
        views: list[ItemView] = []
        cursor: str | None = None
        while True:  # in pages, because a read has a deadline, however large the catalogue is
            page = await playhead.catalogue.list_items(operator(), library=library_name, cursor=cursor, limit=LIMIT_MAX)
            views += page.items
            cursor = page.next_cursor
            if cursor is None:
                return views

    views = run(data, database, list_all)
    if as_json:
        typer.echo(shown_json(encode([item_answer(view) for view in views]).decode()))
    else:
        rows = [(view.item.id, view.item.kind, _title(view.item)) for view in views]
        print_table(("id", "kind", "title"), rows)


def _title(item: "Item") -> str:
    """Return the display title of an item: with its year, or its numbers."""
    if item.season_number is not None and item.episode_number is not None:
        return f"S{item.season_number:02}E{item.episode_number:02} {item.title}"
    return item.title if item.year is None else f"{item.title} ({item.year})"


def _added(report: "ScanReport") -> str:
    """Return how many items and files were added, as '28 movies in 30 files added'."""
    counts = [_counted(number, kind.value) for kind, number in sorted(report.items_added.items())]
    files = _counted(len(report.added), "file")
    return f"{', '.join(counts)} in {files} added" if counts and report.added else f"{files} added"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _print_report(title: str, report: "ScanReport") -> None:
    for word, paths in (("added", report.added), ("changed", report.changed), ("removed", report.removed)):
        for path in paths:
            say(f"{word:8} {path}")
    for path in report.restored:
        say(f"{'returned':8} {path}")
    for move in report.moved:
        say(f"{'moved':8} {move.before} → {move.after}")
    for file in report.reassigned:
        say(f"{'title':8} {file.path}: {file.before} → {file.after}")
    for merged in report.merged:
        say(f"{'merged':8} {merged.title} → {merged.into}")
    for skipped in report.skipped:
        say(f"{'skipped':8} {skipped.path}: {skipped.reason}", err=True)
    say(
        f"{title}: {_added(report)}, {len(report.changed)} changed, {len(report.moved)} moved, "
        f"{len(report.removed)} removed, {len(report.restored)} returned, {len(report.skipped)} skipped, "
        f"{report.unchanged} unchanged{_retitled(report)}"
    )


def _retitled(report: "ScanReport") -> str:
    """Return how many files and titles turned out to be others, which is rare."""
    parts = ((len(report.reassigned), "of another title"), (len(report.merged), "merged"))
    return "".join(f", {number} {what}" for number, what in parts if number)
