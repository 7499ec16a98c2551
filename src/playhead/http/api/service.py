"""The server about itself: is it alive, can it write, what does it offer."""

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
    """How the server is; `ok` is the only status that is answered with 200."""

    status: str


class ServiceRoutes:
    """Endpoints for supervisors and developers. `is_ready` says whether a save would be accepted."""

    def __init__(self, is_ready: Callable[[], Awaitable[bool]], document: Callable[[], dict[str, Any]]) -> None:
        self._is_ready = is_ready
        self._examination: asyncio.Task[bool] | None = None

        @lru_cache(maxsize=8)
        def encoded(url: str) -> bytes:
            return encode({**document(), "servers": [{"url": url}]})

        self._encoded = encoded

    async def live(self, _: Call) -> StatusAnswer:
        """Answer that the process is there; never touches the store."""
        return StatusAnswer("ok")

    async def ready(self, _: Call) -> StatusAnswer:
        """Answer whether saves are accepted. Raises UNAVAILABLE.

        However many ask, the store is examined once at a time: probes have no bound of their own.
        """
        examination = self._examination
        if examination is None or examination.done():
            examination = self._examination = asyncio.create_task(_awaited(self._is_ready))
        if not await asyncio.shield(examination):
            raise unavailable()
        return StatusAnswer("ok")

    async def openapi(self, call: Call) -> Response:
        """Answer the OpenAPI document of the route table, with the path under which it is mounted.

        Anybody may ask for it, and making it takes as long as a hundred reads, so it is made once for each path.
        """
        return Response(self._encoded(call.scope.get("root_path") or "/"), media_type="application/json")


async def _awaited(is_ready: Callable[[], Awaitable[bool]]) -> bool:
    return await is_ready()
