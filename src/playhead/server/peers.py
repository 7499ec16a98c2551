"""How the workers of one server query each other: a few bytes each, over Unix sockets in a private folder.

The folder belongs to their parent and is closed to other users. Knows nothing of the content.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

_TELLS_WITHIN_S: Final = 1.0


class Peers:
    """One worker's end; its index is `place`, from 0, of `count`."""

    def __init__(self, folder: Path, place: int, count: int) -> None:
        self.place = place
        self._folder = folder
        self._count = count

    @asynccontextmanager
    async def telling(self, tell: Callable[[], bytes]) -> AsyncGenerator[None]:
        """Answer every query with the result of `tell`, within the block."""

        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(tell())
            writer.close()

        path = self._path(self.place)
        path.unlink(missing_ok=True)  # left by one that was killed
        async with await asyncio.start_unix_server(answer, path):
            yield

    async def ask(self) -> Mapping[int, bytes | None]:
        """Query all other workers; returns answers by index, None for one that does not answer within a second."""
        others = [place for place in range(self._count) if place != self.place]
        return dict(zip(others, await asyncio.gather(*map(self._ask, others)), strict=True))

    async def _ask(self, place: int) -> bytes | None:
        try:
            async with asyncio.timeout(_TELLS_WITHIN_S):
                reader, writer = await asyncio.open_unix_connection(self._path(place))
                try:
                    return await reader.read()
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return None

    def _path(self, place: int) -> Path:
        return self._folder / str(place)
