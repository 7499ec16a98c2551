"""A running Playhead in process, tested over HTTP, with a clock that the test moves."""

from dataclasses import dataclass

import httpx
from sqlalchemy import Connection, insert

from fakes import Clock
from playhead.asgi import Playhead
from playhead.storage import schema

PASSWORD = "correct horse battery"

MOVIE = "11111111-1111-4111-8111-111111111111"
SHOW = "22222222-2222-4222-8222-222222222222"
EPISODE = "33333333-3333-4333-8333-333333333333"
LIBRARY = "44444444-4444-4444-8444-444444444444"
NOWHERE = "99999999-9999-4999-8999-999999999999"

RUNTIME_MS = 5_400_000


@dataclass
class World:
    """A running Playhead, a client, its clock, and tokens of an admin, a member who sees everything, and a stranger."""

    playhead: Playhead
    client: httpx.AsyncClient
    clock: Clock
    admin: dict[str, str]
    member: dict[str, str]
    stranger: dict[str, str]
    user_ids: dict[str, str]


def stock_library(connection: Connection, viewer: str | None) -> None:
    """Store a library with a movie, a show and its episode; grant access to `viewer`, if there is one."""
    connection.execute(insert(schema.library), [{"id": LIBRARY, "name": "Films", "kind": "movies", "created_at": 0}])
    for item in (
        {"id": MOVIE, "kind": "movie", "title": "Harbour Lights", "year": 2019, "runtime_ms": RUNTIME_MS},
        {"id": SHOW, "kind": "show", "title": "Tidal Station", "year": 2021},
        {
            "id": EPISODE,
            "kind": "episode",
            "title": "Ebb",
            "show_id": SHOW,
            "season_number": 1,
            "episode_number": 1,
            "runtime_ms": RUNTIME_MS,
        },
    ):
        title = str(item["title"]).lower()
        common = {"library_id": LIBRARY, "sort_title": title, "search_title": title, "identity": title, "added_at": 0}
        connection.execute(insert(schema.item), [common | item])
    if viewer is None:
        return
    grant = {"user_id": viewer, "library_id": LIBRARY, "granted_at": 0}
    connection.execute(insert(schema.library_access), [grant])
