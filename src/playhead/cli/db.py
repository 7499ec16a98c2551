"""`playhead db …`: the database."""

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from playhead.cli.installation import DatabaseOption, DataOption, read_settings, run
from playhead.terminal import fail, progress_bar, say

if TYPE_CHECKING:
    from playhead.bootstrap import Installation

app = typer.Typer(help="The database.", no_args_is_help=True)


@app.command("upgrade")
def upgrade(data: DataOption = None, database: DatabaseOption = None) -> None:
    """Upgrade the database to this program's schema; every start does so, too."""
    logging.getLogger("playhead.storage.migrations").setLevel(logging.INFO)

    async def nothing(_: "Installation") -> None:
        """Opening the installation has upgraded it."""

    run(data, database, nothing)
    say("The database is up to date")


@app.command("backup")
def create_backup(
    file: Annotated[Path, typer.Argument(help="The copy; its folder must exist.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    data: DataOption = None,
    database: DatabaseOption = None,
) -> None:
    """Copy the database to FILE, whether or not the server runs, and verify the copy."""
    from playhead.storage.engine.database import StorageRefused
    from playhead.storage.upkeep.copying import back_up

    settings = read_settings(data=data, database=database)
    if settings.database_url is not None:
        fail(
            "PostgreSQL has its own tool for this, which works while a server runs:",
            f"    pg_dump --format=custom --file={file} --dbname={_without_password(settings.database_url)}",
            "and pg_restore restores it. No backup was made.",
        )
    try:
        with progress_bar("Copying, in pages") as show:
            size = back_up(settings.database_path, file, force=force, progress=show)
    except StorageRefused as error:
        fail(str(error))
    say(f"Backed up {settings.database_path} to {file}: {size} bytes, complete and verified")


@app.command("restore")
def restore_backup(
    file: Annotated[Path, typer.Argument(help="A file written by `playhead db backup`, the server or an upgrade.")],
    data: DataOption = None,
    database: DatabaseOption = None,
) -> None:
    """Replace the database by a backup, with the server stopped, and keep the old one."""
    from playhead.bootstrap import now
    from playhead.storage.engine.database import StorageRefused
    from playhead.storage.migrations import HEAD
    from playhead.storage.upkeep.restoring import restore

    settings = read_settings(data=data, database=database)
    if settings.database_url is not None:
        fail(
            "PostgreSQL has its own tool for this; with all servers stopped:",
            f"    pg_restore --clean --if-exists --dbname={_without_password(settings.database_url)} {file}",
            "Nothing was restored.",
        )
    path = settings.database_path
    try:
        with progress_bar("Copying, in pages") as show:
            restored = restore(path, file, now=now(), progress=show)
    except StorageRefused as error:
        fail(f"{str(error).removesuffix('.')}. Nothing was changed.")
    say(f"Restored {path} from {file}: {restored.size} bytes, complete and verified")
    if restored.kept is not None:
        say(f"The previous database is kept as {restored.kept}")
    if restored.revision != HEAD:
        say(f"Its schema is {restored.revision}; the next start upgrades it to {HEAD}")


@app.command("copy")
def copy_database(
    source: Annotated[
        str, typer.Option("--from", metavar="URL", help="sqlite:///PATH or postgresql://USER@HOST/NAME.")
    ],
    target: Annotated[
        str, typer.Option("--to", metavar="URL", help="Like --from. It must not exist yet, or be empty.")
    ],
) -> None:
    """Copy an installation to another database, of the same or the other engine, and compare every row."""
    from playhead.storage.engine.database import StorageRefused
    from playhead.storage.upkeep.moving import move

    before, after = (_place(url) for url in (source, target))
    try:
        with progress_bar("Copying and comparing, in rows") as show:
            rows = move(before, after, show)
    except StorageRefused as error:
        fail(str(error))
    say(f"Copied {_shown(before)} to {_shown(after)}: {rows} rows, each compared")


@app.command("check")
def check_database(data: DataOption = None, database: DatabaseOption = None) -> None:
    """Check for damage and for rows that violate a rule; changes nothing. Exits with 1 if there are any."""
    from playhead.storage.upkeep.checking import check_file, check_server

    settings = read_settings(data=data, database=database)
    url = settings.database_url
    name = str(settings.database_path) if url is None else _without_password(url)
    if url is None and not settings.database_path.is_file():
        fail(f"There is no database at {name}")
    with progress_bar("Checking") as show:
        faults = list(check_file(settings.database_path, show) if url is None else check_server(url, show))
    for fault in faults:
        say(f"{fault.table}{f' ({fault.key})' if fault.key else ''}: {fault.text}")
        say(f"    {fault.remedy}")
    if faults:
        fail(f"{len(faults)} {'fault' if len(faults) == 1 else 'faults'} in {name}")
    say(f"Nothing is wrong in {name}")


def _place(url: str) -> Path | str:
    """Return the database that a flag names: a file, or a PostgreSQL URL."""
    if not url:
        fail("--from and --to are URLs: sqlite:///PATH or postgresql://USER@HOST/NAME")
    settings = read_settings(database=url)
    return settings.database_url or settings.database_path


def _shown(place: Path | str) -> str:
    return _without_password(place) if isinstance(place, str) else str(place)


def _without_password(url: str) -> str:
    """Return a database URL for display and for pg_dump, which asks for the password or finds it in ~/.pgpass."""
    parts = urlsplit(url)
    return parts._replace(scheme="postgresql", netloc=re.sub(r":[^@]*@", "@", parts.netloc)).geturl()
