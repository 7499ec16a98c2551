"""On both engines, reads that take too long are interrupted, and nothing else is."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import pytest
from sqlalchemy import Connection, text

from playhead.errors import Code, PlayheadError
from playhead.storage.engine.database import Database
from playhead.storage.engine.deadlines import RETRY_AFTER_S, Deadlines
from playhead.storage.engine.postgres import Limits, PostgresDatabase
from playhead.storage.engine.sqlite import SQLiteDatabase

pytestmark = pytest.mark.anyio

SHORT_S = 0.2
LONG_S = 3600.0
PATIENCE_S = 60  # generous, for a busy machine

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"

Open = Callable[[float], Database]


@pytest.fixture
def open_with(engine: str, request: pytest.FixtureRequest) -> Open:
    """Opens a database whose reads have this many seconds."""
    if engine == "sqlite":
        path = request.getfixturevalue("database_path")
        return lambda read_s: SQLiteDatabase(path, read_s=read_s)
    url = request.getfixturevalue("postgres_url")
    return lambda read_s: PostgresDatabase(url, limits=Limits(read_s=read_s, statement_s=LONG_S))


@pytest.fixture
async def hurried(open_with: Open, anyio_backend: str) -> AsyncIterator[Database]:  # noqa: ARG001 - the loop
    database = open_with(SHORT_S)
    yield database
    await database.close()


@pytest.fixture
async def patient(open_with: Open, anyio_backend: str) -> AsyncIterator[Database]:  # noqa: ARG001 - the loop
    database = open_with(LONG_S)
    yield database
    await database.close()


def count_for_ever(connection: Connection) -> int:
    return connection.execute(text(ENDLESS)).scalar_one()


def one(connection: Connection) -> int:
    return connection.execute(text("SELECT 1")).scalar_one()


class Begun:
    """A read that never ends on its own, and signals that it has started."""

    def __init__(self) -> None:
        self._begun = threading.Event()

    def __call__(self, connection: Connection) -> int:
        one(connection)
        self._begun.set()
        return count_for_ever(connection)

    async def wait(self) -> None:
        assert await asyncio.to_thread(self._begun.wait, PATIENCE_S)


async def refusal(reading: "asyncio.Future[int]") -> PlayheadError:
    with pytest.raises(PlayheadError) as refused:
        await asyncio.wait_for(reading, PATIENCE_S)
    assert refused.value.code is Code.UNAVAILABLE
    return refused.value


async def test_a_read_beyond_its_deadline_is_interrupted_and_may_be_retried_later(hurried: Database):
    refused = await refusal(asyncio.ensure_future(hurried.read(count_for_ever)))
    assert refused.retry_after_s == RETRY_AFTER_S


async def test_readers_continue_after_an_interruption(hurried: Database):
    readings = [asyncio.ensure_future(hurried.read(count_for_ever)) for _ in range(8)]  # twice as many as readers
    for reading in readings:
        await refusal(reading)
    assert await asyncio.gather(*(hurried.read(one) for _ in range(8))) == [1] * 8


async def test_a_read_of_many_short_statements_has_a_deadline_too(hurried: Database):
    def read(connection: Connection) -> int:
        while True:
            one(connection)

    await refusal(asyncio.ensure_future(hurried.read(read)))


async def test_a_long_read_has_no_deadline(hurried: Database):
    begun = Begun()
    reading = asyncio.ensure_future(hurried.read_long(begun))
    await begun.wait()
    await refusal(asyncio.ensure_future(hurried.read(count_for_ever)))  # which has started later, and has one
    assert not reading.done()
    hurried.shorten_reads(0)
    await refusal(reading)


async def test_a_write_has_no_deadline(hurried: Database):
    released = threading.Event()

    def write(connection: Connection) -> int:
        assert released.wait(PATIENCE_S)
        return one(connection)

    writing = asyncio.ensure_future(hurried.write(write))
    await refusal(asyncio.ensure_future(hurried.read(count_for_ever)))
    released.set()
    assert await writing == 1


async def test_a_process_that_is_about_to_end_shortens_running_and_future_reads(patient: Database):
    begun = Begun()
    reading = asyncio.ensure_future(patient.read(begun))
    await begun.wait()
    patient.shorten_reads(SHORT_S)
    await refusal(reading)
    assert await patient.read(one) == 1
    await refusal(asyncio.ensure_future(patient.read(count_for_ever)))


async def test_closing_interrupts_running_reads(open_with: Open):
    database = open_with(LONG_S)
    begun, long = Begun(), Begun()
    readings = [asyncio.ensure_future(database.read(begun)), asyncio.ensure_future(database.read_long(long))]
    await begun.wait()
    await long.wait()
    await asyncio.wait_for(database.close(), PATIENCE_S)
    for reading in readings:
        await refusal(reading)


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
async def test_the_server_itself_limits_only_the_statements_of_reads(hurried: Database):
    def timeout(connection: Connection) -> str:
        return connection.execute(text("SHOW statement_timeout")).scalar_one()

    assert await hurried.read(timeout) == "200ms"
    assert await hurried.read_inline(timeout) == "200ms"
    assert await hurried.read_long(timeout) == "1h"
    assert await hurried.write(timeout) == "1h"
    assert await hurried.read(timeout) == "200ms"


# Without an engine


class Interrupted:
    """Interrupts a read, and counts how often."""

    def __init__(self) -> None:
        self.times = 0
        self.twice = threading.Event()

    def __call__(self) -> None:
        self.times += 1
        if self.times > 1:
            self.twice.set()


def test_a_read_that_continues_is_interrupted_again():
    deadlines, interrupted = Deadlines(0), Interrupted()
    with deadlines.watch(interrupted) as running:
        assert interrupted.twice.wait(PATIENCE_S)
        assert running.interrupted
    deadlines.close()


def test_a_finished_read_is_not_interrupted():
    deadlines, interrupted, other = Deadlines(LONG_S), Interrupted(), Interrupted()
    with deadlines.watch(interrupted) as ended:
        pass
    with deadlines.watch(other):
        deadlines.shorten(0)
        assert other.twice.wait(PATIENCE_S)
    ended.interrupt()
    assert interrupted.times == 0
    deadlines.close()
