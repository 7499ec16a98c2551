"""The installation that the flags name: its settings, and one call of it. Independent of the commands."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from playhead.config import Settings, load_settings
from playhead.domain.model import NOBODY, Role
from playhead.errors import PlayheadError
from playhead.terminal import fail, log_to_stderr, say

if TYPE_CHECKING:
    from playhead.bootstrap import Installation
    from playhead.services.access import Viewer

T = TypeVar("T")

DataOption = Annotated[
    Path | None, typer.Option("--data", help="Folder of the installation. [env: PLAYHEAD_DATA]", show_default=False)
]
DatabaseOption = Annotated[
    str | None,
    typer.Option("--database", help="sqlite:///PATH or postgresql://USER@HOST/NAME. [env: PLAYHEAD_DATABASE]"),
]


def run(data: Path | None, database: str | None, call: Callable[["Installation"], Awaitable[T]]) -> T:
    """Open the installation, make one call, close it. An expected error prints its message and exits with 1."""
    from playhead.bootstrap import open_installation
    from playhead.storage.engine.database import StorageRefused

    settings = read_settings(data=data, database=database)
    log_to_stderr("WARNING", "playhead: %(message)s")

    async def open_and_call() -> T:
        async with open_installation(settings, on_failure=fail) as playhead:
            return await call(playhead)

    try:
        return asyncio.run(open_and_call())
    except PlayheadError as error:
        for member, faults in (error.details or {}).items():
            say(f"{member}: {', '.join(faults)}", err=True)
        fail(error.message)
    except StorageRefused as error:
        fail(str(error))


def read_settings(**flags: object) -> Settings:
    """Return the settings of the flags, the environment and the file. Prints faults and exits."""
    try:
        return load_settings(**flags)
    except ValueError as error:
        fail(str(error))


def operator() -> "Viewer":
    """Return an admin without an account: whoever can open the database may see everything in it."""
    from playhead.services.access import Viewer

    return Viewer(NOBODY, Role.ADMIN)
