"""The server about itself: health checks and the OpenAPI document."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any

from msgspec import Struct
from starlette.responses import Response

from playhead.errors import unavailable
from playhead.http.bodies import encode
from playhead.http.route import Call


class StatusAnswer(Struct):
    """The status of the server; only `ok` is sent with 200."""

    status: str


class ServiceRoutes:
    """Endpoints for supervisors and developers. `is_ready` returns whether a save would be accepted."""

    def __init__(self, is_ready: Callable[[], Awaitable[bool]], document: Callable[[], dict[str, Any]]) -> None:
        self._is_ready = is_ready
        self._examination: asyncio.Task[bool] | None = None

        @lru_cache(maxsize=8)
        def encoded(url: str) -> bytes:
            return encode({**document(), "servers": [{"url": url}]})

        self._encoded = encoded

    async def live(self, _: Call) -> StatusAnswer:
        """Answer that the process is running; never uses the store."""
        return StatusAnswer("ok")

    async def ready(self, _: Call) -> StatusAnswer:
        """Return whether saves are accepted. Raises UNAVAILABLE.

        Concurrent requests share one check of the store, because probes are not bounded.
        """
        examination = self._examination
        if examination is None or examination.done():
            examination = self._examination = asyncio.create_task(_awaited(self._is_ready))
        if not await asyncio.shield(examination):
            raise unavailable()
        return StatusAnswer("ok")

    async def openapi(self, call: Call) -> Response:
        """Return the OpenAPI document of the route table, with the path under which it is mounted.

        It is public, and building it costs as much as a hundred reads, so it is built once per path.
        """
        return Response(self._encoded(call.scope.get("root_path") or "/"), media_type="application/json")


async def _awaited(is_ready: Callable[[], Awaitable[bool]]) -> bool:
    return await is_ready()
