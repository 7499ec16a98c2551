"""Server processes that may share a database, for tests of credentials, sign-ins and accounts."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import pytest
from sqlalchemy import func, select

from fakes import Clock, Ids, Stopwatch
from playhead.domain.model import UserId
from playhead.errors import PlayheadError, unavailable
from playhead.services.accounts import Accounts
from playhead.services.credentials import Credentials
from playhead.services.passwords import Passwords
from playhead.services.sign_ins import SignIns
from playhead.storage import schema
from playhead.storage.engine.database import Connection, Database

T = TypeVar("T")

PASSWORD = "correct horse"
HERE = "192.0.2.1"
NOBODY = UserId("99999999-0000-4000-8000-000000000000")
DAY_MS = 86_400_000


class CountingDatabase:
    """A database that counts queries, can be full, and can be changed before a look-up returns."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.inline_reads = 0
        self.writes = 0
        self.is_full = False
        self.overtaken_by: Callable[[], Awaitable[object]] | None = None

    async def read(self, fn: Callable[[Connection], T]) -> T:
        return await self._database.read(fn)

    async def read_inline(self, fn: Callable[[Connection], T]) -> T:
        self.inline_reads += 1
        found = await self._database.read_inline(fn)
        if self.overtaken_by is not None:
            await self.overtaken_by()
            self.overtaken_by = None
        return found

    def read_nowait(self, fn: Callable[[Connection], T]) -> T:
        return self._database.read_nowait(fn)

    async def write(self, fn: Callable[[Connection], T]) -> T:
        self.writes += 1
        if self.is_full:
            raise unavailable()
        return await self._database.write(fn)

    async def close(self) -> None:
        await self._database.close()


class Process:
    """The services of one server process, and the parts that they were built from. Several may share one database."""

    def __init__(
        self, database: Database, passwords: Passwords, clock: Clock, ids: Ids, numbers: Iterator[int]
    ) -> None:
        self.database = CountingDatabase(database)
        self.passwords = passwords
        self.clock = clock
        self.stopwatch = Stopwatch()
        self.credentials = Credentials(
            self.database,
            clock=clock,
            monotonic=self.stopwatch,
            new_id=ids,
            new_digits=lambda: f"{next(numbers):032x}",
        )
        self.sign_ins = SignIns(self.database, self.credentials, passwords, clock=clock, new_id=ids)
        self.accounts = Accounts(self.database, self.credentials, passwords, clock=clock, new_id=ids)


async def refused(awaitable: Awaitable[object]) -> PlayheadError:
    with pytest.raises(PlayheadError) as caught:
        await awaitable
    return caught.value


async def outcomes(*awaitables: Awaitable[object]) -> list[str]:
    """Run all at the same instant, and return how each ended: "done", or the code of the refusal."""
    ended = await asyncio.gather(*awaitables, return_exceptions=True)
    for outcome in ended:
        if isinstance(outcome, BaseException) and not isinstance(outcome, PlayheadError):
            raise outcome
    return [outcome.code.value if isinstance(outcome, PlayheadError) else "done" for outcome in ended]


async def rows_of(database: Database, table: str) -> int:
    return await database.read(
        lambda connection: connection.execute(select(func.count()).select_from(schema.metadata.tables[table])).scalar()
    )
