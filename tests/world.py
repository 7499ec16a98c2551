"""A running Playhead in process, tested over HTTP, with a clock that the test moves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from sqlalchemy import ColumnElement, Connection, insert, select, update

from fakes import Clock
from playhead.asgi import Playhead
from playhead.domain.catalogue import identity
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


def insert_items(connection: Connection, rows: Sequence[Mapping[str, Any]], library_id: str | None = LIBRARY) -> None:
    """Store items that a library has, which may be none; what a row leaves out has a default. Shows come first.

    A row may say in `library_id` which library has it, and in `removed_at` since when it has not. Its `identity` may be
    a title alone: what is stored has the form of every identity.
    """
    columns = dict.fromkeys(name for row in rows for name in row)
    items: list[dict[str, Any]] = []
    holdings: list[dict[str, Any]] = []
    for row in rows:
        title = str(row.get("title", "")).lower()
        names = {"title": "", "sort_title": title, "search_title": title, "identity": title}
        values = columns | names | {"added_at": 0, "is_open": False} | row
        if "|" not in str(values["identity"]):
            values["identity"] = identity(str(values["identity"]), values.get("year"))
        holder, removed_at = values.pop("library_id", None) or library_id, values.pop("removed_at", None)
        items.append(values)
        if holder is not None:
            held = {"item_id": values["id"], "library_id": holder, "added_at": values["added_at"], "told": "{}"}
            holdings.append(held | {"removed_at": removed_at})
    connection.execute(insert(schema.item), items)
    if holdings:
        connection.execute(insert(schema.holding), holdings)


def hold(connection: Connection, item_id: str, library_id: str = LIBRARY, **columns: object) -> None:
    """Let a library have an item."""
    held = {"item_id": item_id, "library_id": library_id, "added_at": 0, "told": "{}"} | columns
    connection.execute(insert(schema.holding), [held])


def change_holdings(connection: Connection, *conditions: ColumnElement[bool], **columns: object) -> None:
    """Change the holdings of the items that meet these conditions, as when files disappear or return."""
    items = select(schema.item.c.id).where(*conditions)
    connection.execute(update(schema.holding).where(schema.holding.c.item_id.in_(items)).values(columns))


def stock_library(connection: Connection, viewer: str | None) -> None:
    """Store a library with a movie, a show and its episode; grant access to `viewer`, if there is one."""
    connection.execute(insert(schema.library), [{"id": LIBRARY, "name": "Films", "kind": "movies", "created_at": 0}])
    items: list[dict[str, Any]] = [
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
    ]
    insert_items(connection, items)
    if viewer is None:
        return
    grant = {"user_id": viewer, "library_id": LIBRARY, "granted_at": 0}
    connection.execute(insert(schema.library_access), [grant])
