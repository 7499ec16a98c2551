"""The database on PostgreSQL: transactions, retries, timeouts, and what is hidden from clients."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import ExitStack
from functools import partial
from threading import Barrier, Event, Thread
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, exc, text

from playhead.errors import Code, PlayheadError
from playhead.storage.engine.database import StorageRefused
from playhead.storage.engine.postgres import LANES, Limits, PostgresDatabase, described, parse_url
from postgres import Cluster

HURRIED = Limits(statement_s=0.3, lock_s=0.2, patience_s=0.5)

# Ends the connection of a transaction while it commits, for as long as the sequence is below 1. A sequence is not reset
# when a transaction is rolled back.
DROP_AT_COMMIT = """
CREATE SEQUENCE dropped MINVALUE -10 START -10;
CREATE FUNCTION drop_connection() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('dropped') < 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON note DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION drop_connection();
"""


@pytest.fixture(scope="module")
def notes_url(cluster: Cluster) -> str:
    return cluster.create("notes")


@pytest.fixture
def url(notes_url: str) -> str:
    """A database with two small tables: nothing here knows those of Playhead."""
    run(notes_url, "DROP TABLE IF EXISTS note, tally; DROP FUNCTION IF EXISTS drop_connection")
    run(notes_url, "DROP SEQUENCE IF EXISTS dropped")
    run(notes_url, "CREATE TABLE note (text text PRIMARY KEY)")
    run(notes_url, "CREATE TABLE tally (id integer PRIMARY KEY, count integer NOT NULL)")
    run(notes_url, "INSERT INTO tally VALUES (1, 0), (2, 0)")
    return notes_url


@pytest.fixture
def database(url: str) -> Iterator[PostgresDatabase]:
    opened = PostgresDatabase(url)
    yield opened
    opened.close_blocking()


@pytest.fixture
def hurried(url: str) -> Iterator[PostgresDatabase]:
    """The same, with timeouts so short that a test can reach them."""
    opened = PostgresDatabase(url, limits=HURRIED)
    yield opened
    opened.close_blocking()


def run(url: str, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        done = connection.execute(sql.encode())
        return done.fetchall() if done.description else []


def note(words: str) -> Callable[[Connection], None]:
    return lambda connection: connection.execute(text("INSERT INTO note VALUES (:words)"), {"words": words}) and None


def notes(connection: Connection) -> list[str]:
    return list(connection.scalars(text("SELECT text FROM note ORDER BY text")))


def count(connection: Connection, number: int) -> None:
    connection.execute(text("UPDATE tally SET count = count + 1 WHERE id = :id"), {"id": number})


def ask(sql: str) -> Callable[[Connection], Any]:
    return lambda connection: connection.execute(text(sql)).scalar()


def drop(url: str, connection: Connection) -> None:
    """End the connection from outside, as an administrator or a failover would."""
    pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    run(url, f"SELECT pg_terminate_backend({pid}, 5000)")


def refused(act: Callable[[], object]) -> Code:
    with pytest.raises(PlayheadError) as caught:
        act()
    return caught.value.code


class Counted:
    """A function that counts how often it is called."""

    def __init__(self, fn: Callable[[Connection], Any]) -> None:
        self.times = 0
        self._fn = fn

    def __call__(self, connection: Connection) -> Any:  # noqa: ANN401
        self.times += 1
        return self._fn(connection)


# Transactions


@pytest.mark.anyio
async def test_what_is_written_can_be_read_also_inline_and_in_batches(database: PostgresDatabase):
    await database.write(note("a"))
    await database.commit_batch(note("b"))
    assert await database.read(notes) == ["a", "b"]
    assert await database.read_inline(notes) == ["a", "b"]


def test_an_exception_rolls_everything_back_and_reaches_the_caller(database: PostgresDatabase):
    def note_and_fail(connection: Connection) -> None:
        note("a")(connection)
        raise LookupError("of the function")

    with pytest.raises(LookupError, match="of the function"):
        database.write_blocking(note_and_fail)
    assert database.read_blocking(notes) == []


def test_a_violated_constraint_is_raised_unchanged_and_not_retried(database: PostgresDatabase):
    again = Counted(note("a"))
    database.write_blocking(again)
    with pytest.raises(exc.IntegrityError):
        database.write_blocking(again)
    assert again.times == 2


def test_a_read_sees_one_snapshot(database: PostgresDatabase):
    def twice(connection: Connection) -> tuple[list[str], list[str]]:
        before = notes(connection)
        database.write_blocking(note("meanwhile"))
        return before, notes(connection)

    assert database.read_blocking(twice) == ([], [])
    assert database.read_blocking(notes) == ["meanwhile"]


def test_readers_cannot_write(database: PostgresDatabase):
    assert refused(lambda: database.read_blocking(note("a"))) is Code.UNAVAILABLE
    assert database.read_blocking(notes) == []


def test_commits_are_synchronous_whatever_the_database_is_configured_to(database: PostgresDatabase, url: str):
    run(url, "ALTER DATABASE notes SET synchronous_commit = off")
    try:
        fresh = PostgresDatabase(url)
        assert fresh.write_blocking(ask("SHOW synchronous_commit")) == "on"
        fresh.close_blocking()
    finally:
        run(url, "ALTER DATABASE notes RESET synchronous_commit")
    assert database.write_blocking(ask("SHOW synchronous_commit")) == "on"


def test_no_query_is_compiled_whatever_the_database_is_configured_to(database: PostgresDatabase, url: str):
    run(url, "ALTER DATABASE notes SET jit = on")
    try:
        fresh = PostgresDatabase(url)
        for ask_one in (fresh.read_blocking, fresh.write_blocking, database.read_blocking):
            assert ask_one(ask("SHOW jit")) == "off"
        fresh.close_blocking()
    finally:
        run(url, "ALTER DATABASE notes RESET jit")


@pytest.mark.parametrize(
    ("setting", "value"),
    [("lock_timeout", "4s"), ("idle_in_transaction_session_timeout", "8s")],
)
def test_every_connection_has_limits_whatever_the_database_is_configured_to(
    database: PostgresDatabase, url: str, setting: str, value: str
):
    run(url, f"ALTER DATABASE notes SET {setting} = 0")
    try:
        fresh = PostgresDatabase(url)
        for ask_one in (fresh.read_blocking, fresh.write_blocking, database.write_blocking):
            assert ask_one(ask(f"SHOW {setting}")) == value
        fresh.close_blocking()
    finally:
        run(url, f"ALTER DATABASE notes RESET {setting}")


def test_statements_have_limits_whatever_the_database_is_configured_to(database: PostgresDatabase, url: str):
    run(url, "ALTER DATABASE notes SET statement_timeout = 0")
    try:
        fresh = PostgresDatabase(url)
        for each in (fresh, database):
            assert each.read_blocking(ask("SHOW statement_timeout")) == "10s"
            assert each.write_blocking(ask("SHOW statement_timeout")) == "30s"
        fresh.close_blocking()
    finally:
        run(url, "ALTER DATABASE notes RESET statement_timeout")


def test_ids_are_read_as_text(database: PostgresDatabase):
    an_id = "5f0c1d8e-0000-4000-8000-000000000001"
    assert database.read_blocking(ask(f"SELECT '{an_id}'::uuid")) == an_id


def test_every_user_has_one_lane(database: PostgresDatabase):
    assert database.lanes == LANES
    assert {database.lane_of(f"{number:032x}") for number in range(100)} == set(range(LANES))
    assert database.lane_of("ana") == database.lane_of("ana")


# Retries


def test_a_deadlock_is_retried_and_both_succeed(database: PostgresDatabase):
    both_have_one = Barrier(2, timeout=60)

    def change(first: int, second: int, connection: Connection) -> None:
        count(connection, first)
        if changes[first - 1].times == 1:
            both_have_one.wait()
        count(connection, second)

    changes = [Counted(partial(change, 1, 2)), Counted(partial(change, 2, 1))]
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(database.write_blocking, changes))
    assert database.read_blocking(ask("SELECT sum(count) FROM tally")) == 4
    assert sorted(each.times for each in changes) == [1, 2]


def test_a_serialization_failure_is_retried(database: PostgresDatabase):
    def change(connection: Connection) -> None:
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        ask("SELECT 1")(connection)
        if counted.times == 1:
            database.write_blocking(lambda other: count(other, 1))
        count(connection, 1)

    counted = Counted(change)
    database.write_blocking(counted)
    assert counted.times == 2
    assert database.read_blocking(ask("SELECT count FROM tally WHERE id = 1")) == 2


@pytest.mark.parametrize("way", ["read_blocking", "write_blocking"])
def test_a_connection_that_is_dropped_in_use_is_replaced(database: PostgresDatabase, url: str, way: str):
    def look(connection: Connection) -> list[str]:
        if counted.times == 1:
            drop(url, connection)
        return notes(connection)

    counted = Counted(look)
    assert getattr(database, way)(counted) == []
    assert counted.times == 2


def test_a_connection_that_is_dropped_while_idle_is_replaced(database: PostgresDatabase, url: str):
    database.write_blocking(note("a"))
    run(url, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'playhead'")
    database.write_blocking(note("b"))
    assert database.read_blocking(notes) == ["a", "b"]


@pytest.mark.anyio
async def test_an_idempotent_batch_is_repeated_when_the_outcome_of_the_commit_is_unknown(
    database: PostgresDatabase, url: str
):
    run(url, DROP_AT_COMMIT)
    run(url, "SELECT setval('dropped', -2)")  # twice
    applied = Counted(note("a"))
    await database.commit_batch(applied)
    assert applied.times == 3
    assert await database.read(notes) == ["a"]


def test_a_write_is_never_repeated_when_the_outcome_of_the_commit_is_unknown(database: PostgresDatabase, url: str):
    run(url, DROP_AT_COMMIT)
    written = Counted(note("a"))
    assert refused(lambda: database.write_blocking(written)) is Code.UNAVAILABLE
    assert written.times == 1
    run(url, "SELECT setval('dropped', 1)")
    database.write_blocking(note("b"))
    assert database.read_blocking(notes) == ["b"]


@pytest.mark.anyio
async def test_repeated_failures_are_given_up(hurried: PostgresDatabase, url: str):
    run(url, DROP_AT_COMMIT.replace("-10", "-1000"))
    applied = Counted(note("a"))
    with pytest.raises(PlayheadError) as caught:
        await hurried.commit_batch(applied)
    assert caught.value.code is Code.UNAVAILABLE
    assert applied.times > 2


def test_the_service_recovers_after_the_server_was_down():
    cluster = Cluster()
    try:
        run(cluster.url(), "CREATE TABLE note (text text PRIMARY KEY)")
        database = PostgresDatabase(cluster.url())
        hurried = PostgresDatabase(cluster.url(), limits=HURRIED)
        database.write_blocking(note("before"))
        cluster.stop("immediate")
        assert refused(lambda: hurried.write_blocking(note("never"))) is Code.UNAVAILABLE
        assert refused(lambda: hurried.read_blocking(notes)) is Code.UNAVAILABLE
        waiting = Thread(target=database.write_blocking, args=(note("meanwhile"),))
        waiting.start()
        cluster.start()
        waiting.join()
        assert database.read_blocking(notes) == hurried.read_blocking(notes) == ["before", "meanwhile"]
        hurried.close_blocking()
        database.close_blocking()
    finally:
        cluster.close()


# Giving up


def test_a_statement_that_takes_too_long_is_unavailable(hurried: PostgresDatabase):
    slow = Counted(ask("SELECT pg_sleep(20)"))
    assert refused(lambda: hurried.read_blocking(slow)) is Code.UNAVAILABLE
    assert slow.times == 1


def test_a_lock_that_is_never_released_is_unavailable(hurried: PostgresDatabase, url: str):
    with psycopg.connect(url) as holder:
        holder.execute("UPDATE tally SET count = 7 WHERE id = 1")
        assert refused(lambda: hurried.write_blocking(lambda connection: count(connection, 1))) is Code.UNAVAILABLE
    hurried.write_blocking(lambda connection: count(connection, 1))
    assert hurried.read_blocking(ask("SELECT count FROM tally WHERE id = 1")) == 8


@pytest.mark.parametrize("code", ["53100", "58030", "25006", "57014"])  # out of space, I/O error, read-only, cancelled
def test_what_the_server_cannot_do_at_the_moment_is_unavailable_immediately(database: PostgresDatabase, code: str):
    fail = Counted(ask(f"DO $$ BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = '{code}'; END $$"))
    assert refused(lambda: database.write_blocking(fail)) is Code.UNAVAILABLE
    assert fail.times == 1
    database.write_blocking(note("then"))


@pytest.mark.anyio
async def test_a_request_is_unavailable_while_all_connections_are_busy(hurried: PostgresDatabase):
    enough = Event()

    def hold(connection: Connection) -> None:
        ask("SELECT 1")(connection)
        enough.wait(10)

    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(100))
        stack.callback(enough.set)
        held = [threads.submit(hurried.read_blocking, hold) for _ in range(50)]
        await asyncio.to_thread(wait, held, 10, FIRST_COMPLETED)  # of those that got no connection
        with pytest.raises(PlayheadError) as caught:
            await hurried.read_inline(notes)
        assert caught.value.code is Code.UNAVAILABLE
    assert await hurried.read_inline(notes) == []


@pytest.mark.anyio
async def test_after_closing_everything_is_refused(url: str):
    database = PostgresDatabase(url)
    await database.close()
    await database.close()
    for way in (database.read, database.read_inline, database.write, database.commit_batch):
        with pytest.raises(PlayheadError) as caught:
            await way(notes)
        assert caught.value.code is Code.UNAVAILABLE
    assert run(url, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'playhead'") == [(0,)]


@pytest.mark.anyio
async def test_closing_waits_for_running_transactions(url: str):
    database = PostgresDatabase(url)
    begun, enough = Event(), Event()

    def write(connection: Connection) -> None:
        note("a")(connection)
        begun.set()
        enough.wait(10)

    writing = asyncio.ensure_future(database.write(write))
    await asyncio.to_thread(begun.wait, 10)
    closing = asyncio.ensure_future(database.close())
    await asyncio.sleep(0)
    enough.set()
    await asyncio.gather(writing, closing)
    assert run(url, "SELECT text FROM note") == [("a",)]


# Refusals


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("postgresql://ana:secret@127.0.0.1:1/playhead", "refused"),
        ("postgresql://ana:secret@127.0.0.1:{port}/nowhere", "ana"),
        ("postgresql://ana:secret@127.0.0.1:{port}/postgres", "ana"),
    ],
)
def test_a_database_that_cannot_be_opened_is_reported_without_the_password(cluster: Cluster, wrong: str, words: str):
    with pytest.raises(StorageRefused) as caught:
        PostgresDatabase(wrong.format(port=cluster.port))
    assert words in str(caught.value)
    assert "ana:***@" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_errors_show_no_values(database: PostgresDatabase):
    with pytest.raises(exc.DBAPIError) as caught:
        database.write_blocking(
            lambda connection: connection.execute(
                text("INSERT INTO tally VALUES (:id, :hash)"), {"id": 3, "hash": "the hash of a password"}
            )
        )
    assert "[SQL parameters hidden" in str(caught.value)


def test_a_malformed_url_is_refused_without_showing_it():
    with pytest.raises(StorageRefused) as caught:
        parse_url("postgresql://ana:secret@host:port/playhead")
    assert "postgresql://user@host/name" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert described("postgresql://ana:secret@localhost/playhead") == "postgresql://ana:***@localhost/playhead"
