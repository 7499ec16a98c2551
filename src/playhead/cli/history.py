"""`playhead history …`: exporting and importing what a user has watched."""

import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from playhead.cli.installation import DatabaseOption, DataOption, run
from playhead.storage.upkeep.permissions import open_private
from playhead.terminal import fail, progress_bar, say

if TYPE_CHECKING:
    from playhead.bootstrap import Installation

app = typer.Typer(help="Exporting and importing what a user has watched.", no_args_is_help=True)


@app.command("export")
def export_history(
    file: Annotated[Path, typer.Argument(help="JSON Lines; - is standard output.")],
    user_name: Annotated[str, typer.Option("--user", help="Whose history.")],
    data: DataOption = None,
    database: DatabaseOption = None,
) -> None:
    """Write everything that a user has watched and marked, one item per line, in a portable form."""

    async def export(playhead: "Installation", target: IO[bytes]) -> int:
        found = await playhead.accounts.find_user_named(user_name)
        with progress_bar("Exporting, in items") as show:
            return await playhead.history.export(found.id, target.write, show)

    if str(file) == "-":
        run(data, database, lambda playhead: export(playhead, sys.stdout.buffer))
        return
    partial = file.with_name(file.name + ".partial")
    try:
        with open_private(partial) as target:
            count = run(data, database, lambda playhead: export(playhead, target))
        partial.replace(file)  # a file of this name is always complete
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror}")
    finally:
        partial.unlink(missing_ok=True)
    say(f"Exported {count} items of {user_name} to {file}")


@app.command("import")
def import_history(
    file: Annotated[Path, typer.Argument(help="A file written by an export.")],
    user_name: Annotated[str, typer.Option("--user", help="The user who gets the history.")],
    data: DataOption = None,
    database: DatabaseOption = None,
) -> None:
    """Import a history; existing state is kept. Lines that match no item here are written to FILE.unmatched."""
    from playhead.services.history import Rejected

    unmatched = file.with_name(file.name + ".unmatched")
    rejected: list[int] = []

    async def import_lines(playhead: "Installation", lines: IO[bytes], kept: IO[bytes]) -> tuple[int, int]:
        found = await playhead.accounts.find_user_named(user_name)
        total = sum(1 for _ in lines)
        lines.seek(0)

        def reject(line: Rejected) -> None:
            rejected.append(line.number)
            kept.write(line.line.rstrip(b"\n") + b"\n")
            say(f"line {line.number} {line.reason}", err=True)

        with progress_bar("Importing, in lines") as show:
            return await playhead.history.import_lines(found.id, lines, reject, lambda done: show(done, total))

    try:
        with file.open("rb") as lines, open_private(unmatched) as kept:
            changed, unchanged = run(data, database, lambda playhead: import_lines(playhead, lines, kept))
    except OSError as error:
        fail(f"{error.filename} cannot be used: {error.strerror}")
    finally:
        if not rejected:
            unmatched.unlink(missing_ok=True)
    say(f"Imported for {user_name}: {changed} items changed, {unchanged} known already")
    if rejected:
        fail(f"{len(rejected)} lines were not imported; they are in {unmatched}")
