"""A library of movies and shows in a running Playhead, addressed by names that a test chooses.

An episode's name is that of its show and its numbers: 'Tides 1x04'.
"""

from collections.abc import Iterable
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import httpx
from sqlalchemy import Connection, delete, insert, update

from player import Player
from playhead.storage import schema
from world import RUNTIME_MS, World, insert_items

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


def id_of(name: str) -> str:
    return str(uuid5(NAMESPACE_OID, name))


class SampleLibrary:
    """A library that the member may see. Requests are the member's, unless told otherwise."""

    def __init__(self, world: World, library: str = "Shelf") -> None:
        self.world = world
        self.clock = world.clock
        self.library = library
        self._names: dict[str, str] = {}
        self._kinds: dict[str, str] = {}

    # Contents

    async def open(self) -> None:
        """Create the library, and grant the member access."""
        row = {"id": id_of(self.library), "name": self.library, "kind": "shows", "created_at": 0}
        await self._write(insert(schema.library).values(row))
        await self.grant()

    async def grant(self) -> None:
        row = {"user_id": self.world.user_ids["member"], "library_id": id_of(self.library), "granted_at": 0}
        await self._write(insert(schema.library_access).values(row))

    async def revoke(self) -> None:
        await self._write(
            delete(schema.library_access).where(schema.library_access.c.library_id == id_of(self.library))
        )

    async def add_movies(self, *names: str) -> None:
        for name in names:
            await self._add(name, "movie")

    async def add_show(self, name: str, *numbers: str, **more: object) -> None:
        """Add a show with these episodes, such as '1x04'; `more` are columns of each."""
        if name not in self._kinds:
            await self._add(name, "show")
        for number in numbers:
            season, episode = number.split("x")
            await self._add(
                f"{name} {number}",
                "episode",
                **{"show_id": id_of(name), "season_number": int(season), "episode_number": int(episode), **more},
            )

    async def change(self, name: str, **columns: object) -> None:
        await self._write(update(schema.item).where(schema.item.c.id == id_of(name)).values(columns))

    async def remove(self, *names: str) -> None:
        """Make the files of these disappear."""
        await self._hold(names, self.clock())

    async def bring_back(self, *names: str) -> None:
        """Make the files of these appear again."""
        await self._hold(names, None)

    async def _hold(self, names: Iterable[str], removed_at: int | None) -> None:
        ids = [id_of(name) for name in names]
        await self._write(update(schema.holding).where(schema.holding.c.item_id.in_(ids)).values(removed_at=removed_at))

    async def _add(self, name: str, kind: str, **more: object) -> None:
        self._names[id_of(name)] = name
        self._kinds[name] = kind
        row: dict[str, Any] = {"id": id_of(name), "kind": kind, "title": name}
        row |= {"sort_title": name, "search_title": name, "identity": name}
        if kind != "show":
            row["runtime_ms"] = RUNTIME_MS
        await self.world.playhead.installation.database.write(
            lambda connection: insert_items(connection, [row | more], id_of(self.library))
        )

    async def _write(self, statement: Any) -> None:  # noqa: ANN401 - whatever can be executed
        def run(connection: Connection) -> None:
            connection.execute(statement)

        await self.world.playhead.installation.database.write(run)

    # What users do

    def player(self, name: str, headers: dict[str, str] | None = None) -> Player:
        return Player(self.world, id_of(name), kind=self._kinds[name], headers=headers)

    async def watch(self, *names: str, to: float = 5400, **more: object) -> None:
        """Report a position in each, a minute apart."""
        for name in names:
            await self.player(name).report(to, **more)
            self.clock.advance(MINUTE_MS)

    async def ask(
        self, method: str, path: str, body: object = None, *, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Request a path below /api/v1."""
        headers = self.world.member if headers is None else headers
        return await self.world.client.request(method, f"/api/v1/{path}", json=body, headers=headers)

    async def get(self, path: str, *, headers: dict[str, str] | None = None) -> Any:  # noqa: ANN401 - JSON
        response = await self.ask("GET", path, headers=headers)
        assert response.status_code == 200, response.text
        return response.json()

    async def do(self, method: str, path: str, body: object = None) -> None:
        response = await self.ask(method, path, body)
        assert response.status_code == 204, response.text
        assert response.content == b""

    # What lists contain, by name

    def name(self, item_id: str) -> str:
        return self._names[item_id]

    async def cards(self, query: str = "", *, headers: dict[str, str] | None = None) -> list[tuple[str, str]]:
        """Return name and kind of each card of continue watching."""
        found = await self.get(f"continue-watching{query}", headers=headers)
        assert found["next_cursor"] is None
        return [(self.name(card["item"]["id"]), card["kind"]) for card in found["items"]]

    async def next_up(self, show: str) -> tuple[str, str | None]:
        """Return the kind and the name of what is next up in a show."""
        found = await self.get(f"shows/{id_of(show)}/next-up")
        return found["kind"], None if found["episode"] is None else self.name(found["episode"]["item"]["id"])

    async def pages(self, path: str, *, limit: int = 500, query: str = "") -> list[dict[str, Any]]:
        """Return all entries of a list, page by page."""
        found = await self.get(f"{path}?limit={limit}{query}")
        items = list(found["items"])
        while found["next_cursor"] is not None:
            assert len(found["items"]) == limit
            found = await self.get(f"{path}?limit={limit}{query}&cursor={found['next_cursor']}")
            items += found["items"]
        return items

    async def history(self, *, limit: int = 500) -> list[str]:
        """Return the names of what was played, newest first."""
        return [self.name(play["item"]["id"]) for play in await self.pages("history", limit=limit)]
