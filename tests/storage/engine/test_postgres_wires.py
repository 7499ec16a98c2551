"""PostgreSQL behind a network that fails: what is given up, what is retried, and that everything takes effect once."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from itertools import product
from typing import cast

import psycopg
import pytest
from sqlalchemy import Connection, text

from playhead.errors import Code, PlayheadError
from playhead.storage.engine.postgres import Limits, PostgresDatabase, PsycopgConnection
from postgres import Cluster
from proxy import Fault, Moment, Proxy

LIMITS = Limits(statement_s=5.0, lock_s=1.0, silence_s=0.5, idle_s=0.8, patience_s=8.0)
LONGER_THAN_SILENCE_S = 0.8


@pytest.fixture(scope="module")
def url(cluster: Cluster) -> str:
    return cluster.create("wires")


@pytest.fixture
def notes(url: str) -> Callable[[], list[str]]:
    """Create an empty table of notes, and return a function that reads it, bypassing the proxy."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS note")
        connection.execute("CREATE TABLE note (text text PRIMARY KEY)")

    def read() -> list[str]:
        with psycopg.connect(url) as connection:
            return [row[0] for row in connection.execute("SELECT text FROM note ORDER BY text")]

    return read


@pytest.fixture
def proxy(cluster: Cluster) -> Iterator[Proxy]:
    with Proxy(cluster.port) as proxy:
        yield proxy


@pytest.fixture
def database(url: str, notes: Callable[[], list[str]], cluster: Cluster, proxy: Proxy) -> Iterator[PostgresDatabase]:
    del notes
    database = PostgresDatabase(url.replace(f":{cluster.port}/", f":{proxy.port}/"), limits=LIMITS)
    yield database
    database.close_blocking()


class Note:
    """Writes a note unless it exists, and counts how often it is called."""

    def __init__(self, words: str) -> None:
        self.words = words
        self.times = 0

    def __call__(self, connection: Connection) -> str:
        self.times += 1
        connection.execute(text("INSERT INTO note VALUES (:words) ON CONFLICT DO NOTHING"), {"words": self.words})
        return self.words


def strike(proxy: Proxy, fault: Fault, moment: Moment) -> None:
    proxy.strike(fault, moment)
    if moment is Moment.ANY:  # it hits idle connections in the pool
        while not proxy.struck:
            time.sleep(0.001)


@pytest.mark.anyio
@pytest.mark.parametrize(("fault", "moment"), [*product(Fault, Moment)])
async def test_an_idempotent_write_succeeds_whatever_happens_to_its_connection(
    database: PostgresDatabase, proxy: Proxy, notes: Callable[[], list[str]], fault: Fault, moment: Moment
):
    await database.commit_batch(Note("before"))
    strike(proxy, fault, moment)
    note = Note("meanwhile")
    assert await database.commit_batch(note) == "meanwhile"
    assert proxy.struck
    assert note.times > 1
    assert notes() == ["before", "meanwhile"]
    assert await database.commit_batch(Note("then")) == "then"


class PipelinedNotes:
    """Writes notes through the pipeline of hot statements: all are sent before the first answer is awaited."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, connection: Connection) -> int:
        self.times += 1
        driver = cast("PsycopgConnection", connection.connection.dbapi_connection)
        return driver.run_each("INSERT INTO note VALUES (%(words)s)", [{"words": "a"}, {"words": "b"}])


@pytest.mark.anyio
@pytest.mark.parametrize("fault", Fault)
async def test_after_one_connection_has_failed_none_of_its_age_is_used(
    database: PostgresDatabase, proxy: Proxy, notes: Callable[[], list[str]], fault: Fault
):
    together = threading.Barrier(3)

    def meet(connection: Connection) -> None:
        connection.execute(text("SELECT 1"))
        together.wait()

    await asyncio.gather(
        *(database.commit_batch(meet) for _ in range(together.parties))
    )  # so there are three connections
    strike(proxy, fault, Moment.ANY)
    write = PipelinedNotes()
    assert await database.commit_batch(write) == 2
    assert write.times == 2
    assert notes() == ["a", "b"]


@pytest.mark.parametrize("fault", [Fault.DROP, Fault.RESET])
def test_a_write_that_is_not_idempotent_is_not_repeated_once_a_commit_was_sent(
    database: PostgresDatabase, proxy: Proxy, notes: Callable[[], list[str]], fault: Fault
):
    strike(proxy, fault, Moment.AFTER_COMMIT)
    note = Note("meanwhile")
    with pytest.raises(PlayheadError) as caught:
        database.write_blocking(note)
    assert caught.value.code is Code.UNAVAILABLE
    assert note.times == proxy.struck == 1
    assert notes() == ["meanwhile"]


@pytest.mark.anyio
async def test_a_look_up_on_a_silent_connection_is_repeated(database: PostgresDatabase, proxy: Proxy):
    await database.read_inline(lambda connection: connection.execute(text("SELECT 1")))
    strike(proxy, Fault.STALL, Moment.ANY)
    assert await database.read_inline(lambda connection: connection.execute(text("SELECT 2")).scalar()) == 2


@pytest.mark.anyio
async def test_a_slow_statement_is_not_mistaken_for_a_silent_connection(database: PostgresDatabase, proxy: Proxy):
    def take_long(connection: Connection) -> object:
        return connection.execute(
            text("SELECT 'slept' FROM pg_sleep(:seconds)"), {"seconds": LONGER_THAN_SILENCE_S}
        ).scalar()

    assert await database.write(take_long) == "slept"
    assert await database.read(take_long) == "slept"
    assert not proxy.struck


@pytest.mark.anyio
async def test_while_nothing_passes_everything_is_refused_and_then_works_again(
    url: str, notes: Callable[[], list[str]], cluster: Cluster, proxy: Proxy
):
    hurried = LIMITS._replace(patience_s=1.0)
    database = PostgresDatabase(url.replace(f":{cluster.port}/", f":{proxy.port}/"), limits=hurried)
    await database.commit_batch(Note("before"))
    proxy.cut()
    with pytest.raises(PlayheadError) as caught:
        await database.commit_batch(Note("meanwhile"))
    assert caught.value.code is Code.UNAVAILABLE
    proxy.mend()
    await database.commit_batch(Note("then"))
    assert notes() == ["before", "then"]
    await database.close()
