"""What is measured: an installation in a folder, and requests to it. Measures nothing itself."""

import asyncio
import os
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn
from uuid import UUID

from servers import BenchError
from sqlalchemy import Connection, insert

from playhead.bootstrap import open_installation
from playhead.config import ENVIRONMENT_PREFIX, Settings
from playhead.domain.model import LibraryId, Role
from playhead.storage import schema

USERS = 100
MOVIES = 1000
DURATION_S = 5400

LIBRARY = LibraryId(str(UUID(int=1)))
LOCKED_LIBRARY = LibraryId(str(UUID(int=2)))
LOCKED_MOVIE = str(UUID(int=2**65))
"""A movie that none of the users may see: what a request without access is tried on."""

_REQUESTS = 50_000


def ignore_settings() -> None:
    """Forget the settings in the environment: they belong to an installation that must not be touched."""
    for name in [name for name in os.environ if name.startswith(ENVIRONMENT_PREFIX)]:
        del os.environ[name]


def make_installation(data: Path, *, database: str = "") -> list[str]:
    """Make users who may see the library of movies; return the token of each."""

    async def make() -> list[str]:
        async with open_installation(Settings(data=data, database=database), on_failure=fail) as playhead:
            await playhead.database.write(add_movies)

            async def add_user(number: int) -> str:
                user = await playhead.accounts.create_user(f"user{number}", f"password {number}", Role.MEMBER)
                await playhead.accounts.grant(LIBRARY, user.id)
                return (await playhead.accounts.create_token(user.id, "bench")).secret

            return list(await asyncio.gather(*(add_user(number) for number in range(USERS))))

    return asyncio.run(make())


def add_movies(connection: Connection) -> None:
    """Add the library of movies, and one of a single movie that nobody is granted."""
    libraries = {LIBRARY: "Movies", LOCKED_LIBRARY: "Locked"}
    connection.execute(
        insert(schema.library),
        [{"id": library, "name": name, "kind": "movies", "created_at": 0} for library, name in libraries.items()],
    )
    for library, held in ((LIBRARY, movies()), (LOCKED_LIBRARY, [LOCKED_MOVIE])):
        add_items(connection, library, [item_row(movie, "movie") for movie in held])


def item_row(item_id: str, kind: str) -> dict[str, Any]:
    """Return the row of an item whose names are all its id."""
    names = dict.fromkeys(("id", "title", "sort_title", "search_title", "identity"), item_id)
    runtime = None if kind == "show" else DURATION_S * 1000
    return names | {"kind": kind, "runtime_ms": runtime, "added_at": 0, "is_open": False}


def add_items(connection: Connection, library: LibraryId, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add items that one library holds."""
    connection.execute(insert(schema.item), rows)
    held = {"library_id": library, "added_at": 0, "told": "{}"}
    connection.execute(insert(schema.holding), [held | {"item_id": row["id"]} for row in rows])


def fail(reason: str) -> NoReturn:
    raise BenchError(f"the store failed: {reason}")


def movies() -> list[str]:
    return [str(UUID(int=2**64 + number)) for number in range(MOVIES)]


def write_requests(file: Path, tokens: Sequence[str]) -> None:
    """Write what all loads send: anybody, anything, anywhere in it, the same at each run of the benchmark.

    One report in ten lies in the last tenth and so completes its movie, as one heartbeat in ten does.
    """
    chance = random.Random(1)
    all_movies = movies()
    lines = (
        f"{chance.choice(tokens)} {chance.choice(all_movies)} {chance.randint(0, DURATION_S)}\n"
        for _ in range(_REQUESTS)
    )
    file.write_text("".join(lines), "ascii")
