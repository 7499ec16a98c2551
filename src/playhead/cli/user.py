"""`playhead user …`: who may sign in."""

import getpass
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from playhead.cli.installation import DatabaseOption, DataOption, run
from playhead.domain.model import Role, moment_of
from playhead.terminal import fail, print_table, say

if TYPE_CHECKING:
    from playhead.bootstrap import Installation
    from playhead.domain.accounts import User
    from playhead.services.credentials import Ended
    from playhead.services.passkeys import Factors

app = typer.Typer(help="Who may sign in.", no_args_is_help=True)

PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


@app.command("add")
def add_user(  # noqa: PLR0913 - its options
    name: str,
    admin: Annotated[bool, typer.Option("--admin", help="May also manage users and libraries.")] = False,
    child: Annotated[bool, typer.Option("--child", help="Can only watch; needs no password.")] = False,
    password_stdin: PasswordStdin = False,
    data: DataOption = None,
    database: DatabaseOption = None,
) -> None:
    """Add a user. Only admins see libraries that were not granted."""
    if admin and child:
        fail("an account is an admin's or a child's")
    password = None if child and not password_stdin else _read_password(from_stdin=password_stdin)
    role = Role.ADMIN if admin else Role.CHILD if child else Role.MEMBER
    added = run(data, database, lambda playhead: playhead.accounts.create_user(name, password, role))
    say(f"Added {added.role} {added.name}")


@app.command("list")
def list_users(data: DataOption = None, database: DatabaseOption = None) -> None:
    """List all users."""

    async def list_all(playhead: "Installation") -> "list[User]":
        users, cursor = await playhead.accounts.page_of_users("")
        while cursor is not None:
            more, cursor = await playhead.accounts.page_of_users(cursor)
            users += more
        return users

    users = run(data, database, list_all)
    print_table(("name", "role", "id"), [(each.name, each.role, each.id) for each in users])


@app.command("password")
def change_password(
    name: str,
    password_stdin: PasswordStdin = False,
    end_tokens: Annotated[bool, typer.Option("--end-tokens", help="Revoke the user's API tokens too.")] = False,
    data: DataOption = None,
    database: DatabaseOption = None,
) -> None:
    """Set a user's password and end their sessions."""
    password = _read_password(from_stdin=password_stdin)

    async def change(playhead: "Installation") -> "Ended":
        found = await playhead.accounts.find_user_named(name)
        return (await playhead.accounts.change_user(found.id, password=password, end_tokens=end_tokens)).ended

    ended = run(data, database, change)
    say(f"Changed the password of {name}; sessions ended: {ended.sessions}, tokens revoked: {ended.tokens}")


@app.command("remove")
def remove_user(name: str, data: DataOption = None, database: DatabaseOption = None) -> None:
    """Remove a user with their tokens, grants, progress and plays."""

    async def remove(playhead: "Installation") -> None:
        found = await playhead.accounts.find_user_named(name)
        await playhead.accounts.remove_user(found.id)

    run(data, database, remove)
    say(f"Removed {name}")


@app.command("passkeys")
def show_passkeys(
    name: str,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove them and the recovery codes, so that the password is enough.")
    ] = False,
    data: DataOption = None,
    database: DatabaseOption = None,
) -> None:
    """Show a user's passkeys, or remove them."""

    async def show(playhead: "Installation") -> "Factors":
        found = await playhead.accounts.find_user_named(name)
        if remove:
            await playhead.passkeys.remove_all(found.id)
        return await playhead.passkeys.factors_of(found.id)

    factors = run(data, database, show)
    if remove:
        say(f"Removed the passkeys and recovery codes of {name}")
        return
    rows = [
        (each.name, "never" if each.used_at is None else f"{moment_of(each.used_at):%Y-%m-%d}")
        for each in factors.passkeys
    ]
    print_table(("name", "last used"), rows)


def _read_password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        fail("no terminal to ask for the password: give it on standard input, with --password-stdin")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        fail("the two passwords differ")
    return password
