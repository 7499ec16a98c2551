"""The commands. Each opens the installation, calls one service and prints; all of them work beside a running server."""

import asyncio
import getpass
import re
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, NoReturn, TypeVar
from urllib.parse import urlsplit

import typer

from playhead.config import Settings, load_settings
from playhead.domain.model import NOBODY, ItemKind, LibraryKind, Role, instant_of, moment_of
from playhead.domain.texts import shown, shown_json
from playhead.domain.tokens import TokenScope
from playhead.errors import PlayheadError
from playhead.storage.upkeep.permissions import open_private
from playhead.terminal import log_to_stderr, progress_bar, say

if TYPE_CHECKING:
    from playhead.bootstrap import Installation
    from playhead.domain.accounts import User
    from playhead.domain.catalogue import Item
    from playhead.services.access import Viewer
    from playhead.services.accounts import Ended
    from playhead.services.catalogue import ItemView
    from playhead.services.passkeys import Factors
    from playhead.services.scanning import ScanReport

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
history = typer.Typer(help="Taking along what a user has watched.", no_args_is_help=True)
app.add_typer(db, name="db")
app.add_typer(history, name="history")

Data = Annotated[
    Path | None, typer.Option("--data", help="Folder of the installation. [env: PLAYHEAD_DATA]", show_default=False)
]
Database = Annotated[
    str | None,
    typer.Option("--database", help="sqlite:///PATH or postgresql://USER@HOST/NAME. [env: PLAYHEAD_DATABASE]"),
]
PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


def main() -> None:
    """Run the command line. Expected failures print one line and exit with 1, wrong usage exits with 2."""
    app()


@app.command()
def serve(  # noqa: PLR0913 - as many as there are flags
    host: Annotated[str | None, typer.Option(help="Address to listen on. [env: PLAYHEAD_HOST; 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on. [env: PLAYHEAD_PORT; 8765]")] = None,
    data: Data = None,
    database: Database = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes that serve the port; several need PostgreSQL. [env: PLAYHEAD_WORKERS; 1]"),
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Serve a small library made on the spot.")] = False,
) -> None:
    """Run the server."""
    from playhead.server import run as server

    settings = _settings(host=host, port=port, data=data, database=database, workers=workers)
    try:
        code = server.run(settings, demo=demo)
    except (server.CannotServeError, PlayheadError) as error:
        _fail(str(error))
    raise typer.Exit(code)


@app.command()
def health(
    ready: Annotated[bool, typer.Option("--ready", help="Also whether a save would be accepted.")] = False,
    host: Annotated[str | None, typer.Option(help="As for serve. [env: PLAYHEAD_HOST; 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="As for serve. [env: PLAYHEAD_PORT; 8765]")] = None,
) -> None:
    """Ask the server whether it runs, for health checks. Exits with 1 where it does not."""
    from playhead.server.probe import ask

    settings = _settings(host=host, port=port)
    fault = ask(settings.host, settings.port, "/readyz" if ready else "/livez", timeout_s=5)
    if fault is not None:
        _fail(fault)
    say("ready" if ready else "alive")


@user.command("add")
def user_add(  # noqa: PLR0913 - its options
    name: str,
    admin: Annotated[bool, typer.Option("--admin", help="May also manage users and libraries.")] = False,
    child: Annotated[bool, typer.Option("--child", help="May do nothing but watch; asks for no password.")] = False,
    password_stdin: PasswordStdin = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """Add a user. Nobody but an admin sees a library until granted."""
    if admin and child:
        _fail("an account is an admin's or a child's")
    password = None if child and not password_stdin else _read_password(from_stdin=password_stdin)
    role = Role.ADMIN if admin else Role.CHILD if child else Role.MEMBER
    added = _run(data, database, lambda playhead: playhead.accounts.create_user(name, password, role))
    say(f"Added {added.role} {added.name}")


@user.command("list")
def user_list(data: Data = None, database: Database = None) -> None:
    """Show all users."""

    async def list_all(playhead: "Installation") -> "list[User]":
        users, cursor = await playhead.accounts.page_of_users("")
        while cursor is not None:
            more, cursor = await playhead.accounts.page_of_users(cursor)
            users += more
        return users

    users = _run(data, database, list_all)
    _print_table(("name", "role", "id"), [(each.name, each.role, each.id) for each in users])


@user.command("password")
def user_password(
    name: str,
    password_stdin: PasswordStdin = False,
    end_tokens: Annotated[bool, typer.Option("--end-tokens", help="Revoke the user's API tokens too.")] = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """Set a user's password and end their sessions."""
    password = _read_password(from_stdin=password_stdin)

    async def change(playhead: "Installation") -> "Ended":
        found = await playhead.accounts.find_user_named(name)
        return (await playhead.accounts.change_user(found.id, password=password, end_tokens=end_tokens)).ended

    ended = _run(data, database, change)
    say(f"Changed the password of {name}; sessions ended: {ended.sessions}, tokens revoked: {ended.tokens}")


@user.command("remove")
def user_remove(name: str, data: Data = None, database: Database = None) -> None:
    """Remove a user with their tokens, grants, progress and plays."""

    async def remove(playhead: "Installation") -> None:
        found = await playhead.accounts.find_user_named(name)
        await playhead.accounts.remove_user(found.id)

    _run(data, database, remove)
    say(f"Removed {name}")


@user.command("passkeys")
def user_passkeys(
    name: str,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove them and the recovery codes, so that the password is enough.")
    ] = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """Show a user's passkeys, or remove them."""

    async def run(playhead: "Installation") -> "Factors":
        found = await playhead.accounts.find_user_named(name)
        if remove:
            await playhead.passkeys.remove_all(found.id)
        return await playhead.passkeys.factors_of(found.id)

    factors = _run(data, database, run)
    if remove:
        say(f"Removed the passkeys and recovery codes of {name}")
        return
    rows = [
        (each.name, "never" if each.used_at is None else f"{moment_of(each.used_at):%Y-%m-%d}")
        for each in factors.passkeys
    ]
    _print_table(("name", "last used"), rows)


@token.command("create")
def token_create(  # noqa: PLR0913 - as many as there are flags
    user_name: Annotated[str, typer.Argument(metavar="USER")],
    name: Annotated[str, typer.Option(help="What the token is for.")] = "command line",
    scope: Annotated[
        TokenScope, typer.Option(help="read: everything the user sees; report: save and read progress; all: no limit.")
    ] = TokenScope.ALL,
    expires: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"],
            help="When the token expires, in UTC: a day, from whose beginning on it is refused, or a time.",
        ),
    ] = None,
    data: Data = None,
    database: Database = None,
) -> None:
    """Make a token and print it, this once."""
    expires_at = None if expires is None else instant_of(expires.replace(tzinfo=UTC))

    async def create(playhead: "Installation") -> str:
        found = await playhead.accounts.find_user_named(user_name)
        return (await playhead.accounts.create_token(found.id, name, scope=scope, expires_at=expires_at)).secret

    say(_run(data, database, create))


@library.command("add")
def library_add(
    name: str,
    path: Annotated[Path, typer.Argument(exists=False, help="Folder with the files.")],
    kind: Annotated[LibraryKind, typer.Option(help="What the folder holds.")],
    data: Data = None,
    database: Database = None,
) -> None:
    """Add a folder as a library. `playhead scan` then finds what is in it."""
    added = _run(data, database, lambda playhead: playhead.catalogue.add_library(name, kind, path))
    say(f"Added library {added.name}: {added.path}")


@library.command("list")
def library_list(data: Data = None, database: Database = None) -> None:
    """Show all libraries and how much is in them."""
    views = _run(data, database, lambda playhead: playhead.catalogue.list_libraries(_operator()))
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
    _print_table(("name", "kind", "movies", "shows", "episodes", "folder"), rows)


@library.command("grant")
def library_grant(
    name: str,
    user_name: Annotated[str, typer.Argument(metavar="USER")],
    data: Data = None,
    database: Database = None,
) -> None:
    """Let a user see a library."""

    async def grant(playhead: "Installation") -> None:
        found = await playhead.accounts.find_user_named(user_name)
        shelf = await playhead.catalogue.find_library(_operator(), name)
        await playhead.accounts.grant(shelf.id, found.id)

    _run(data, database, grant)
    say(f"{user_name} sees {name}")


@library.command("revoke")
def library_revoke(
    name: str,
    user_name: Annotated[str, typer.Argument(metavar="USER")],
    data: Data = None,
    database: Database = None,
) -> None:
    """Let a user no longer see a library. What they watched stays."""

    async def revoke(playhead: "Installation") -> None:
        found = await playhead.accounts.find_user_named(user_name)
        shelf = await playhead.catalogue.find_library(_operator(), name)
        await playhead.accounts.revoke(shelf.id, found.id)

    _run(data, database, revoke)
    say(f"{user_name} no longer sees {name}")


@app.command()
def scan(
    name: Annotated[str | None, typer.Argument(metavar="[LIBRARY]", help="Only this library.")] = None,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Believe a folder in which no video is left.")
    ] = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """Look through the folders and print what was added, changed, moved and removed."""

    async def scan_all(playhead: "Installation") -> list[str]:
        views = await playhead.catalogue.list_libraries(_operator())
        named = None if name is None else (await playhead.catalogue.find_library(_operator(), name)).id
        failures: list[str] = []
        for view in views:
            shelf = view.library
            if shelf.path is None or named not in {None, shelf.id}:
                continue
            try:
                with progress_bar(f"Scanning {shelf.name}") as show:
                    report = await playhead.scanner.scan(
                        shelf.id, progress=lambda so_far: show(so_far.done, so_far.total), allow_empty=allow_empty
                    )
            except PlayheadError as error:
                failures.append(f"{shelf.name}: {error.message}")
                continue
            _print_report(shelf.name, report)
        if named is not None and not any(view.library.id == named and view.library.path for view in views):
            failures.append(f"{name}: an imported library has no folder to scan")
        return failures

    failures = _run(data, database, scan_all)
    if failures:
        _fail("; ".join(failures))


@app.command()
def items(
    library_name: Annotated[str | None, typer.Option("--library", help="Only of this library.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the objects of the items route, one array.")] = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """Show the ids and titles of what there is."""
    from playhead.http.api.catalogue import item_answer
    from playhead.http.bodies import encode
    from playhead.services.catalogue import LIMIT_MAX

    async def list_all(playhead: "Installation") -> "list[ItemView]":
        views: list[ItemView] = []
        cursor: str | None = None
        while True:  # in parts, because a read has a deadline, however large the catalogue is
            page = await playhead.catalogue.list_items(
                _operator(), library=library_name, cursor=cursor, limit=LIMIT_MAX
            )
            views += page.items
            cursor = page.next_cursor
            if cursor is None:
                return views

    views = _run(data, database, list_all)
    if as_json:
        typer.echo(shown_json(encode([item_answer(view) for view in views]).decode()))
    else:
        rows = [(view.item.id, view.item.kind, _title(view.item)) for view in views]
        _print_table(("id", "kind", "title"), rows)


@history.command("export")
def history_export(
    file: Annotated[Path, typer.Argument(help="JSON Lines; - is standard output.")],
    user_name: Annotated[str, typer.Option("--user", help="Whose history.")],
    data: Data = None,
    database: Database = None,
) -> None:
    """Write everything that a user has watched and marked, one line an item, named so that it is found elsewhere."""

    async def export(playhead: "Installation", target: IO[bytes]) -> int:
        found = await playhead.accounts.find_user_named(user_name)
        with progress_bar("Exporting, in items") as show:
            return await playhead.history.export(found.id, target.write, show)

    if str(file) == "-":
        _run(data, database, lambda playhead: export(playhead, sys.stdout.buffer))
        return
    partial = file.with_name(file.name + ".partial")
    try:
        with open_private(partial) as target:
            count = _run(data, database, lambda playhead: export(playhead, target))
        partial.replace(file)  # a file of this name is a whole one
    except OSError as error:
        _fail(f"{file} cannot be written: {error.strerror}")
    finally:
        partial.unlink(missing_ok=True)
    say(f"Exported {count} items of {user_name} to {file}")


@history.command("import")
def history_import(
    file: Annotated[Path, typer.Argument(help="What an export has written.")],
    user_name: Annotated[str, typer.Option("--user", help="Whose history it becomes.")],
    data: Data = None,
    database: Database = None,
) -> None:
    """Bring a history in; what is there stays. Lines that name no item here are kept in FILE.unmatched."""
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
            changed, unchanged = _run(data, database, lambda playhead: import_lines(playhead, lines, kept))
    except OSError as error:
        _fail(f"{error.filename} cannot be used: {error.strerror}")
    finally:
        if not rejected:
            unmatched.unlink(missing_ok=True)
    say(f"Imported for {user_name}: {changed} items changed, {unchanged} known already")
    if rejected:
        _fail(f"{len(rejected)} lines were not imported; they are in {unmatched}")


@db.command("upgrade")
def db_upgrade(data: Data = None, database: Database = None) -> None:
    """Bring the database up to this program's schema; every start does so too."""

    async def nothing(_: "Installation") -> None:
        """Opening the installation has upgraded it."""

    _run(data, database, nothing)
    say("The database is up to date")


@db.command("backup")
def db_backup(
    file: Annotated[Path, typer.Argument(help="The copy; its folder must exist.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """Copy the database to FILE, while the server runs or not, and check the copy."""
    from playhead.storage.engine.database import StorageRefused
    from playhead.storage.upkeep.copying import back_up

    settings = _settings(data=data, database=database)
    if settings.database_url is not None:
        _fail(
            "PostgreSQL has its own tool for this, which works beside a running server:",
            f"    pg_dump --format=custom --file={file} --dbname={_without_password(settings.database_url)}",
            "and pg_restore brings it back. Nothing was backed up now.",
        )
    try:
        with progress_bar("Copying, in pages") as show:
            size = back_up(settings.database_path, file, force=force, progress=show)
    except StorageRefused as error:
        _fail(str(error))
    say(f"Backed up {settings.database_path} to {file}: {size} bytes, whole and sound")


@db.command("restore")
def db_restore(
    file: Annotated[Path, typer.Argument(help="What `playhead db backup`, the server or an upgrade has written.")],
    data: Data = None,
    database: Database = None,
) -> None:
    """Put a backup in the place of the database, with the server stopped, and keep what was there."""
    from playhead.bootstrap import now
    from playhead.storage.engine.database import StorageRefused
    from playhead.storage.migrations import HEAD
    from playhead.storage.upkeep.restoring import restore

    settings = _settings(data=data, database=database)
    if settings.database_url is not None:
        _fail(
            "PostgreSQL has its own tool for this; with all servers stopped:",
            f"    pg_restore --clean --if-exists --dbname={_without_password(settings.database_url)} {file}",
            "Nothing was restored now.",
        )
    path = settings.database_path
    try:
        with progress_bar("Copying, in pages") as show:
            restored = restore(path, file, now=now(), progress=show)
    except StorageRefused as error:
        _fail(f"{str(error).removesuffix('.')}. Nothing was changed.")
    say(f"Restored {path} from {file}: {restored.size} bytes, whole and sound")
    if restored.kept is not None:
        say(f"What was there before is kept as {restored.kept}")
    if restored.revision != HEAD:
        say(f"Its schema is {restored.revision}; the next start brings it to {HEAD}")


@db.command("copy")
def db_copy(
    source: Annotated[
        str, typer.Option("--from", metavar="URL", help="sqlite:///PATH or postgresql://USER@HOST/NAME.")
    ],
    target: Annotated[str, typer.Option("--to", metavar="URL", help="As --from. Nothing may be there yet.")],
) -> None:
    """Copy an installation to another database, from one engine to the other too, and compare every row."""
    from playhead.storage.engine.database import StorageRefused
    from playhead.storage.upkeep.moving import move

    before, after = (_place(url) for url in (source, target))
    try:
        with progress_bar("Copying and comparing, in rows") as show:
            rows = move(before, after, show)
    except StorageRefused as error:
        _fail(str(error))
    say(f"Copied {_shown(before)} to {_shown(after)}: {rows} rows, each compared")


@db.command("check")
def db_check(data: Data = None, database: Database = None) -> None:
    """Look for damage and for rows that break a rule; changes nothing. Exits with 1 where something is found."""
    from playhead.storage.upkeep.checking import check_file, check_server

    settings = _settings(data=data, database=database)
    url = settings.database_url
    name = str(settings.database_path) if url is None else _without_password(url)
    if url is None and not settings.database_path.is_file():
        _fail(f"There is no database at {name}")
    with progress_bar("Checking") as show:
        faults = list(check_file(settings.database_path, show) if url is None else check_server(url, show))
    for fault in faults:
        say(f"{fault.table}{f' ({fault.key})' if fault.key else ''}: {fault.text}")
        say(f"    {fault.remedy}")
    if faults:
        _fail(f"{len(faults)} {'fault' if len(faults) == 1 else 'faults'} in {name}")
    say(f"Nothing is wrong in {name}")


@app.command()
def doctor(data: Data = None, database: Database = None) -> None:
    """Look for what endangers the installation and say what to do. Exits with 1 where something is bad."""
    from playhead.asgi import VERSION
    from playhead.doctor import examine_installation
    from playhead.domain.health import Level, worst

    findings = examine_installation(_settings(data=data, database=database))
    version = sys.version_info
    say(f"{'ok':8} Playhead {VERSION} on Python {version.major}.{version.minor}.{version.micro}")
    for finding in findings:
        say(f"{finding.level:8} {finding.text}")
        if finding.remedy:
            say(f"{'':8} {finding.remedy}")
    if worst(findings) is Level.BAD:
        raise typer.Exit(1)


def _operator() -> "Viewer":
    """Return an admin without an account: whoever can open the database sees everything in it."""
    from playhead.services.access import Viewer

    return Viewer(NOBODY, Role.ADMIN)


def _title(item: "Item") -> str:
    """Return what a person calls an item: with its year, or its numbers."""
    if item.season_number is not None and item.episode_number is not None:
        return f"S{item.season_number:02}E{item.episode_number:02} {item.title}"
    return item.title if item.year is None else f"{item.title} ({item.year})"


def _print_report(title: str, report: "ScanReport") -> None:
    for word, paths in (("added", report.added), ("changed", report.changed), ("removed", report.removed)):
        for path in paths:
            say(f"{word:8} {path}")
    for path in report.restored:
        say(f"{'returned':8} {path}")
    for move in report.moved:
        say(f"{'moved':8} {move.before} → {move.after}")
    for skipped in report.skipped:
        say(f"{'skipped':8} {skipped.path}: {skipped.reason}", err=True)
    say(
        f"{title}: {len(report.added)} added, {len(report.changed)} changed, {len(report.moved)} moved, "
        f"{len(report.removed)} removed, {len(report.restored)} returned, {len(report.skipped)} skipped, "
        f"{report.unchanged} unchanged"
    )


def _run(data: Path | None, database: str | None, call: Callable[["Installation"], Awaitable[T]]) -> T:
    """Open the installation, make one call, close it."""
    from playhead.bootstrap import open_installation
    from playhead.storage.engine.database import StorageRefused

    settings = _settings(data=data, database=database)
    log_to_stderr("WARNING", "playhead: %(message)s")

    async def run() -> T:
        async with open_installation(settings, on_failure=_fail) as playhead:
            return await call(playhead)

    try:
        return asyncio.run(run())
    except PlayheadError as error:
        for member, faults in (error.details or {}).items():
            say(f"{member}: {', '.join(faults)}", err=True)
        _fail(error.message)
    except StorageRefused as error:
        _fail(str(error))


def _place(url: str) -> Path | str:
    """Return where a database is that a flag names: a file, or the URL of PostgreSQL's."""
    if not url:
        _fail("--from and --to are URLs: sqlite:///PATH or postgresql://USER@HOST/NAME")
    settings = _settings(database=url)
    return settings.database_url or settings.database_path


def _shown(place: Path | str) -> str:
    return _without_password(place) if isinstance(place, str) else str(place)


def _without_password(url: str) -> str:
    """Return a database's URL as it may be shown and typed: pg_dump asks for the password, or finds it in ~/.pgpass."""
    parts = urlsplit(url)
    return parts._replace(scheme="postgresql", netloc=re.sub(r":[^@]*@", "@", parts.netloc)).geturl()


def _settings(**flags: object) -> Settings:
    try:
        return load_settings(**flags)
    except ValueError as error:
        _fail(str(error))


def _fail(message: str, *more: str) -> NoReturn:
    say(f"playhead: {message}", *more, err=True)
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


def _print_table(heads: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> None:
    """Print aligned columns, which the eye and `awk` both read."""
    cells = [tuple(shown(str(cell)) for cell in row) for row in rows]
    widths = [max(len(row[place]) for row in [heads, *cells]) for place in range(len(heads))]
    for row in [tuple(head.upper() for head in heads), *cells]:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()
