"""A player and a remote control of one user and one item, over HTTP, for tests that tell a story."""

from typing import Any

import httpx

from world import MOVIE, World


class Player:
    """Reports positions of one item and reads its state; as the member, unless told otherwise."""

    def __init__(
        self, world: World, item_id: str = MOVIE, *, kind: str = "movie", headers: dict[str, str] | None = None
    ) -> None:
        self.world = world
        self.item_id = item_id
        self.kind = kind
        self.headers = world.member if headers is None else headers

    async def ask(self, method: str, path: str = "", body: object = None) -> httpx.Response:
        url = f"/api/v1/playback/{self.kind}/{self.item_id}{path}"
        return await self.world.client.request(method, url, json=body, headers=self.headers)

    async def get(self, method: str, path: str = "", body: object = None) -> Any:  # noqa: ANN401 - JSON
        response = await self.ask(method, path, body)
        assert response.status_code in {200, 204}, response.text
        return response.json() if response.content else None

    async def report(self, position: float, duration: float = 5400, **more: object) -> dict[str, Any]:
        return await self.get("POST", "", {"position_seconds": position, "duration_seconds": duration, **more})

    async def state(self) -> dict[str, Any]:
        return await self.get("GET", "/state")

    async def mark(self, **body: object) -> dict[str, Any]:
        return await self.get("PUT", "/watched", body)

    async def unwatch(self) -> dict[str, Any]:
        return await self.get("DELETE", "/watched")

    async def forget(self) -> None:
        await self.get("DELETE")

    async def plays(self) -> list[dict[str, Any]]:
        return (await self.get("GET", "/plays"))["items"]

    async def positions(self) -> list[dict[str, Any]]:
        return (await self.get("GET", "/positions"))["items"]

    async def restore(self, position: float) -> dict[str, Any]:
        """Go back to the kept point at this position."""
        point = next(each for each in await self.positions() if each["position_seconds"] == position)
        return await self.get("POST", f"/positions/{point['id']}/restore")
