"""`playhead serve`, `playhead health` and `playhead doctor`: running and examining the server."""

import sys
from typing import Annotated

import typer

from playhead.cli.installation import DatabaseOption, DataOption, read_settings
from playhead.errors import PlayheadError
from playhead.terminal import fail, say


def serve(  # noqa: PLR0913 - as many as there are flags
    host: Annotated[str | None, typer.Option(help="Address to listen on. [env: PLAYHEAD_HOST; 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on. [env: PLAYHEAD_PORT; 8765]")] = None,
    data: DataOption = None,
    database: DatabaseOption = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes that serve the port; several need PostgreSQL. [env: PLAYHEAD_WORKERS; 1]"),
    ] = None,
    rescan_minutes: Annotated[
        int | None,
        typer.Option(help="Minutes between scans of unwatched libraries; 0: none. [env: PLAYHEAD_RESCAN_MINUTES; 15]"),
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Serve the demo library.")] = False,
) -> None:
    """Run the server."""
    from playhead.server import run as server

    settings = read_settings(
        host=host, port=port, data=data, database=database, workers=workers, rescan_minutes=rescan_minutes
    )
    try:
        code = server.run(settings, demo=demo)
    except (server.CannotServeError, PlayheadError) as error:
        fail(str(error))
    raise typer.Exit(code)


def health(
    ready: Annotated[bool, typer.Option("--ready", help="Also whether a save would be accepted.")] = False,
    host: Annotated[str | None, typer.Option(help="As for serve. [env: PLAYHEAD_HOST; 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="As for serve. [env: PLAYHEAD_PORT; 8765]")] = None,
) -> None:
    """Ask the server whether it is running, for health checks. Exits with 1 if it is not."""
    from playhead.server.probe import ask

    settings = read_settings(host=host, port=port)
    fault = ask(settings.host, settings.port, "/readyz" if ready else "/livez", timeout_s=5)
    if fault is not None:
        fail(fault)
    say("ready" if ready else "alive")


def doctor(data: DataOption = None, database: DatabaseOption = None) -> None:
    """Look for problems of the installation and say what to do. Exits with 1 if something is bad."""
    from playhead.asgi import VERSION
    from playhead.doctor import examine_installation
    from playhead.domain.health import Level, worst

    findings = examine_installation(read_settings(data=data, database=database))
    version = sys.version_info
    say(f"{'ok':8} Playhead {VERSION} on Python {version.major}.{version.minor}.{version.micro}")
    for finding in findings:
        say(f"{finding.level:8} {finding.text}")
        if finding.remedy:
            say(f"{'':8} {finding.remedy}")
    if worst(findings) is Level.BAD:
        raise typer.Exit(1)
