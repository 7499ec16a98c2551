"""The server about itself: is it alive, can it write, what does it offer."""

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from playhead.errors import unavailable
from playhead.http.route import Call


class StatusAnswer(Struct):
    """How the server is; `ok` is the only status that is answered with 200."""

    status: str


class ServiceRoutes:
    """Endpoints for supervisors and developers. `is_ready` says whether a save would be accepted."""

    def __init__(self, is_ready: Callable[[], Awaitable[bool]], document: Callable[[], dict[str, Any]]) -> None:
        self._is_ready = is_ready
        self._document = document

    async def live(self, _: Call) -> StatusAnswer:
        """Answer that the process is there; never touches the store."""
        return StatusAnswer("ok")

    async def ready(self, _: Call) -> StatusAnswer:
        """Answer whether saves are accepted. Raises UNAVAILABLE."""
        if not await self._is_ready():
            raise unavailable()
        return StatusAnswer("ok")

    async def openapi(self, call: Call) -> dict[str, Any]:
        """Answer the OpenAPI document of the route table, with the path under which it is mounted."""
        return self._document() | {"servers": [{"url": call.scope.get("root_path") or "/"}]}
