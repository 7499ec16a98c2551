"""`playhead library …`: folders of movies and shows, and who may see them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from playhead.cli.installation import DatabaseOption, DataOption, operator, run
from playhead.domain.catalogue import TitlesOnRemoval
from playhead.domain.model import ItemKind, LibraryKind
from playhead.terminal import print_table, say

if TYPE_CHECKING:
    from playhead.bootstrap import Installation
    from playhead.domain.catalogue import Library

app = typer.Typer(help="Folders of movies and shows, and who sees them.", no_args_is_help=True)


@app.command("add")
def add_library(
    name: str,
    path: Annotated[Path, typer.Argument(exists=False, help="Folder with the files.")],
    kind: Annotated[LibraryKind, typer.Option(help="The content of the folder.")],
    data: DataOption = None,
    database: DatabaseOption = None,
) -> None:
    """Add a folder as a library. `playhead scan` then adds its items."""
    added = run(data, database, lambda playhead: playhead.catalogue.add_library(name, kind, path))
    say(f"Added library {added.name}: {added.path}")


@app.command("rename")
def rename(
    name: str,
    new_name: Annotated[str, typer.Argument(metavar="NEW_NAME")],
    data: DataOption = None,
    database: DatabaseOption = None,
) -> None:
    """Rename a library."""

    async def change(playhead: "Installation") -> "Library":
        found = await playhead.catalogue.find_library(operator(), name)
        return await playhead.libraries.change(operator(), found.id, name=new_name)

    say(f"Renamed library {name}: {run(data, database, change).name}")


@app.command("move")
def move(
    name: str,
    path: Annotated[Path, typer.Argument(exists=False, help="Folder where the files are now.")],
    data: DataOption = None,
    database: DatabaseOption = None,
) -> None:
    """Give a library another folder. `playhead scan` then finds its files, by their content if need be."""

    async def change(playhead: "Installation") -> "Library":
        found = await playhead.catalogue.find_library(operator(), name)
        return await playhead.libraries.change(operator(), found.id, path=str(path))

    changed = run(data, database, change)
    say(f"Moved library {changed.name}: {changed.path}")


@app.command("remove")
def remove(
    name: str,
    titles: Annotated[
        TitlesOnRemoval,
        typer.Option(help="Whether to keep or delete what people watched of titles that no library has then."),
    ] = TitlesOnRemoval.KEEP,
    data: DataOption = None,
    database: DatabaseOption = None,
) -> None:
    """Remove a library; its files stay on the disk. Adding the folder again, anywhere, finds the same titles."""

    async def change(playhead: "Installation") -> None:
        found = await playhead.catalogue.find_library(operator(), name)
        await playhead.libraries.remove(operator(), found.id, titles)

    run(data, database, change)
    say(f"Removed library {name}")


@app.command("list")
def list_libraries(data: DataOption = None, database: DatabaseOption = None) -> None:
    """List all libraries with their item counts."""
    views = run(data, database, lambda playhead: playhead.catalogue.list_libraries(operator()))
    rows = [
        (
            view.library.name,
            view.library.kind,
            view.counts.get(ItemKind.MOVIE, 0),
            view.counts.get(ItemKind.SHOW, 0),
            view.counts.get(ItemKind.EPISODE, 0),
            view.library.path or "(imported)",
        )
        for view in views
    ]
    print_table(("name", "kind", "movies", "shows", "episodes", "folder"), rows)


@app.command("grant")
def grant(
    name: str,
    user_name: Annotated[str, typer.Argument(metavar="USER")],
    data: DataOption = None,
    database: DatabaseOption = None,
) -> None:
    """Grant a user access to a library."""
    _set_grant(data, database, name, user_name, granted=True)
    say(f"{user_name} sees {name}")


@app.command("revoke")
def revoke(
    name: str,
    user_name: Annotated[str, typer.Argument(metavar="USER")],
    data: DataOption = None,
    database: DatabaseOption = None,
) -> None:
    """Revoke a user's access to a library. What they watched stays."""
    _set_grant(data, database, name, user_name, granted=False)
    say(f"{user_name} no longer sees {name}")


def _set_grant(data: Path | None, database: str | None, name: str, user_name: str, *, granted: bool) -> None:
    async def change(playhead: "Installation") -> None:
        found = await playhead.accounts.find_user_named(user_name)
        library = await playhead.catalogue.find_library(operator(), name)
        await (playhead.accounts.grant if granted else playhead.accounts.revoke)(library.id, found.id)

    run(data, database, change)
