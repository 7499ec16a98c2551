"""Fakes of what the program takes from outside: clocks, delays and new identifiers; and `settle`."""

import asyncio
from uuid import UUID

from playhead.domain.model import Instant, Milliseconds


class Clock:
    """A clock that stands still. Call it for the time; set `now` or call `advance` to move it."""

    def __init__(self, now: int = 1_762_639_200_000) -> None:  # 2025-11-08T22:00:00Z
        self.now = Instant(now)

    def __call__(self) -> Instant:
        return self.now

    def advance(self, by_ms: int | Milliseconds) -> None:
        self.now = Instant(self.now + by_ms)


class Ids:
    """Canonical UUIDs, the same in every run: the n-th call returns the number n in the form of a random UUID."""

    def __init__(self) -> None:
        self._last = 0

    def __call__(self) -> str:
        self._last += 1
        return str(UUID(int=self._last, version=4))


class Stopwatch:
    """A monotonic clock in seconds, moved by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


async def settle() -> None:
    """Run the event loop until it has nothing left to do without waiting for something outside of it."""
    for _ in range(50):
        await asyncio.sleep(0)
