"""The storage seam: run a plain function with a connection, in a transaction, off the event loop."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")


class Database(Protocol):
    """An open database. Functions handed in are synchronous, take a connection, and never keep it."""

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` on a reader thread, in a read-only transaction: one snapshot for all its statements."""
        ...

    async def peek(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` for one statement of microseconds, by the shortest way the engine has; no transaction around it."""
        ...

    async def write(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` in a write transaction and return when it is durable. Rolled back whole if `fn` raises."""
        ...

    async def close(self) -> None:
        """Let running functions end, then close every connection."""
        ...
