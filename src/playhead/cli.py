"""The commands. Each opens the installation, calls one service and prints; all of them work beside a running server."""

import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer

from playhead.config import Settings, load_settings
from playhead.domain.model import Role
from playhead.errors import PlayheadError

if TYPE_CHECKING:
    from playhead.bootstrap import Installation

T = TypeVar("T")

app = typer.Typer(
    name="playhead",
    help="Save a playing position on one device, resume on any other.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
user = typer.Typer(help="Who may sign in.", no_args_is_help=True)
token = typer.Typer(help="Tokens for players and scripts.", no_args_is_help=True)
library = typer.Typer(help="Folders of movies and shows, and who sees them.", no_args_is_help=True)
db = typer.Typer(help="The database.", no_args_is_help=True)
app.add_typer(user, name="user")
app.add_typer(token, name="token")
app.add_typer(library, name="library")
app.add_typer(db, name="db")

Data = Annotated[
    Path | None, typer.Option("--data", help="Folder of the installation. [env: PLAYHEAD_DATA]", show_default=False)
]
Database = Annotated[
    str | None,
    typer.Option("--database", help="sqlite:///PATH instead of a file in --data. [env: PLAYHEAD_DATABASE]"),
]
PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


def main() -> None:
    """Run the command line. Expected failures print one line and exit with 1, wrong usage exits with 2."""
    app()


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on. [env: PLAYHEAD_HOST; 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on. [env: PLAYHEAD_PORT; 8765]")] = None,
    data: Data = None,
    database: Database = None,
    demo: Annotated[bool, typer.Option("--demo", help="Serve a small library made on the spot.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Run the server."""
    from playhead import server  # noqa: PLC0415 - the other commands need no HTTP

    settings = _settings(host=host, port=port, data=data, database=database)
    try:
        code = server.run(settings, demo=demo)
    except (server.CannotServeError, PlayheadError) as error:
        _fail(str(error))
    raise typer.Exit(code)


@user.command("add")
def user_add(
    name: str,
    admin: Annotated[bool, typer.Option("--admin", help="May also manage users and libraries.")] = False,  # noqa: FBT002 - a flag
    password_stdin: PasswordStdin = False,  # noqa: FBT002 - a flag
    data: Data = None,
    database: Database = None,
) -> None:
    """Add a user. A member sees no library until granted."""
    password = _read_password(from_stdin=password_stdin)
    role = Role.ADMIN if admin else Role.MEMBER
    added = _run(data, database, lambda playhead: playhead.accounts.create_user(name, password, role))
    typer.echo(f"Added {added.role} {added.name}")


@user.command("list")
def user_list(data: Data = None, database: Database = None) -> None:
    """Show all users."""
    users = _run(data, database, lambda playhead: playhead.accounts.list_users())
    _print_table(("name", "role", "id"), [(each.name, each.role, each.id) for each in users])


@user.command("password")
def user_password(
    name: str,
    password_stdin: PasswordStdin = False,  # noqa: FBT002 - a flag
    data: Data = None,
    database: Database = None,
) -> None:
    """Set a user's password and end their sessions. Tokens stay."""
    password = _read_password(from_stdin=password_stdin)

    async def change(playhead: "Installation") -> None:
        found = await playhead.accounts.find_user_named(name)
        await playhead.accounts.change_user(found.id, password=password)

    _run(data, database, change)
    typer.echo(f"Changed the password of {name}")


@user.command("remove")
def user_remove(name: str, data: Data = None, database: Database = None) -> None:
    """Remove a user with their tokens, grants, progress and plays."""

    async def remove(playhead: "Installation") -> None:
        found = await playhead.accounts.find_user_named(name)
        await playhead.accounts.remove_user(found.id)

    _run(data, database, remove)
    typer.echo(f"Removed {name}")


@token.command("create")
def token_create(
    user_name: Annotated[str, typer.Argument(metavar="USER")],
    name: Annotated[str, typer.Option(help="What the token is for.")] = "command line",
    data: Data = None,
    database: Database = None,
) -> None:
    """Make a token and print it, this once."""

    async def create(playhead: "Installation") -> str:
        found = await playhead.accounts.find_user_named(user_name)
        return (await playhead.accounts.create_token(found.id, name)).secret

    typer.echo(_run(data, database, create))


@db.command("upgrade")
def db_upgrade(data: Data = None, database: Database = None) -> None:
    """Bring the database up to this program's schema; every start does so too."""

    async def nothing(_: "Installation") -> None:
        """Opening the installation has upgraded it."""

    _run(data, database, nothing)
    typer.echo("The database is up to date")


def _run(data: Path | None, database: str | None, call: Callable[["Installation"], Awaitable[T]]) -> T:
    """Open the installation, make one call, close it."""
    from playhead.bootstrap import open_installation  # noqa: PLC0415 - --help needs none of it
    from playhead.storage.database import StorageRefused  # noqa: PLC0415

    settings = _settings(data=data, database=database)

    async def run() -> T:
        async with open_installation(settings, on_failure=_fail) as playhead:
            return await call(playhead)

    try:
        return asyncio.run(run())
    except PlayheadError as error:
        for member, faults in (error.details or {}).items():
            typer.echo(f"{member}: {', '.join(faults)}", err=True)
        _fail(error.message)
    except StorageRefused as error:
        _fail(str(error))


def _settings(**flags: object) -> Settings:
    try:
        return load_settings(**flags)
    except ValueError as error:
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    typer.echo(f"playhead: {message}", err=True)
    raise typer.Exit(1)


def _read_password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        _fail("no terminal to ask for the password: give it on standard input, with --password-stdin")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        _fail("the two are not the same")
    return password


def _print_table(heads: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    """Print aligned columns, which the eye and `awk` both read."""
    cells = [tuple(str(cell) for cell in row) for row in rows]
    widths = [max(len(row[place]) for row in [heads, *cells]) for place in range(len(heads))]
    for row in [tuple(head.upper() for head in heads), *cells]:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
