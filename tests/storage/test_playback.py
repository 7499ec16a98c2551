"""Loading and storing the rows of a batch: in the order of the keys, each based on the version before, atomically."""

import re
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
from sqlalchemy import Connection, insert, text

from playhead.domain.limits import PLAYS_OF_ITEM
from playhead.domain.model import Instant, ItemId, Milliseconds, Role, UserId
from playhead.domain.playback import ItemFacts, Policy, Progress, Report, advance
from playhead.storage import playback, schema
from playhead.storage.engine.database import Database
from playhead.storage.engine.postgres import PostgresDatabase
from world import EPISODE, LIBRARY, MOVIE, NOWHERE, RUNTIME_MS, insert_items, stock_library

ANNA = UserId("55555555-5555-4555-8555-555555555555")
BEN = UserId("66666666-6666-4666-8666-666666666666")
NOBODY = UserId(NOWHERE)
KEYS = [(ANNA, ItemId(MOVIE)), (ANNA, ItemId(EPISODE)), (BEN, ItemId(MOVIE))]


def stock(connection: Connection) -> None:
    people = [{"id": ANNA, "role": "member"}, {"id": BEN, "role": "admin"}]
    common = {"name": "", "password_hash": "", "created_at": 0}
    connection.execute(insert(schema.account), [each | common for each in people])
    stock_library(connection, ANNA)


@pytest.fixture
def stocked(blocking_database: Database) -> Database:
    """A store with two users, of whom one may see the library."""
    blocking_database.write_blocking(stock)
    return blocking_database


@pytest.fixture
def server(postgres_url: str) -> Iterator[PostgresDatabase]:
    """The same on PostgreSQL."""
    opened = PostgresDatabase(postgres_url)
    opened.write_blocking(stock)
    yield opened
    opened.close_blocking()


def at(seconds: int, previous: Progress | None = None) -> Progress:
    """Progress after a report that follows `previous`."""
    report = Report(Milliseconds(seconds * 1000), Milliseconds(RUNTIME_MS))
    now = Instant(1 + (previous.version if previous else 0))
    return advance(previous, report, ItemFacts(None, None), Policy(), now, ()).progress


def store(*rows: tuple[playback.Key, Progress]) -> Callable[[Connection], list[playback.Key]]:
    return lambda connection: playback.store(connection, sorted(rows))


def load(*keys: playback.Key) -> Callable[[Connection], list[playback.SaveLookup | None]]:
    return lambda connection: playback.load(connection, keys)


def test_rows_are_loaded_in_the_order_of_the_keys_with_none_for_missing_ones(stocked: Database):
    stocked.write_blocking(store((KEYS[0], at(10)), (KEYS[2], at(20))))
    keys = [KEYS[2], (NOBODY, ItemId(MOVIE)), KEYS[1], (ANNA, ItemId(NOWHERE)), KEYS[0]]
    of_ben, of_nobody, episode, of_nothing, of_anna = stocked.read_blocking(load(*keys))
    assert of_nobody is None
    assert of_ben is not None
    assert of_anna is not None
    assert (of_ben.role, of_ben.standing.is_granted, of_ben.progress) == (Role.ADMIN, False, at(20))
    assert (of_anna.role, of_anna.standing.is_granted, of_anna.progress) == (Role.MEMBER, True, at(10))
    assert episode is not None
    assert (episode.kind, episode.progress) == ("episode", None)
    assert of_nothing is not None
    assert (of_nothing.kind, of_nothing.standing.is_granted) == (None, False)


def test_a_row_is_stored_only_over_the_version_it_was_based_on(stocked: Database):
    first = at(10)
    second = at(20, first)
    assert stocked.write_blocking(store((KEYS[0], first), (KEYS[1], first))) == []
    assert stocked.write_blocking(store((KEYS[0], second))) == []
    [known] = stocked.read_blocking(load(KEYS[0]))
    assert known is not None
    assert known.progress == second


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
@pytest.mark.parametrize("of_version", [1, 2, 9])
def test_a_row_that_another_process_changed_meanwhile_is_reported_and_not_stored(stocked: Database, of_version: int):
    first = at(10)
    theirs = at(20, first)._replace(version=2)
    stocked.write_blocking(store((KEYS[0], first)))
    stocked.write_blocking(store((KEYS[0], theirs)))
    ours = at(30, first)._replace(version=of_version)
    assert stocked.write_blocking(store((KEYS[0], ours), (KEYS[1], first))) == [KEYS[0]]
    known = stocked.read_blocking(load(*KEYS[:2]))
    assert [each and each.progress for each in known] == [theirs, first]


def fill(connection: Connection) -> None:
    """Fill the tables until only the right index is cheap, and update the planner's statistics."""
    numbers = range(1000)
    ids = [str(UUID(int=number + 1)) for number in numbers]
    people = {"name": "", "role": "member", "password_hash": "", "created_at": 0}
    titles = {"library_id": LIBRARY, "kind": "movie", "title": "", "sort_title": "", "search_title": "", "identity": ""}
    grants = {"library_id": LIBRARY, "granted_at": 0}
    connection.execute(insert(schema.account), [people | {"id": each} for each in ids])
    insert_items(connection, [titles | {"id": each, "added_at": 0} for each in ids])
    connection.execute(insert(schema.library_access), [grants | {"user_id": each} for each in ids])
    playback.store(connection, sorted(((UserId(each), ItemId(MOVIE)), at(10)) for each in ids))
    playback.store(connection, sorted(((ANNA, ItemId(each)), at(10)) for each in ids))
    connection.execute(text("ANALYZE"))


def test_a_batch_is_loaded_by_its_users_and_keys_only(server: PostgresDatabase):
    server.write_blocking(fill)

    def load_and_explain(connection: Connection) -> tuple[str, str]:
        playback.load(connection, KEYS)
        [[name, statement]] = connection.execute(
            text("SELECT name, statement FROM pg_prepared_statements WHERE statement LIKE '%unnest%progress%'")
        )
        keys = ", ".join(f"'{{{','.join(ids)}}}'" for ids in zip(*KEYS, strict=True))
        plan = connection.execute(text(f'EXPLAIN EXECUTE "{name}"({keys})')).scalars()
        return statement, "\n".join(plan)

    statement, plan = server.write_blocking(load_and_explain)
    # Starting at the account, and naming the users: a distributed engine queries only the nodes that hold these.
    assert " JOIN account ON account.id = " in statement
    assert "\nWHERE account.id = any(" in statement
    for table in ("account", "item", "library_access", "progress"):
        assert re.search(rf"Index (Only )?Scan (using|on) pk_{table}\b", plan), plan
    assert "Seq Scan" not in plan


def test_storing_a_batch_looks_each_item_up_by_id(server: PostgresDatabase):
    server.write_blocking(fill)

    def store_and_explain(connection: Connection) -> str:
        playback.store(connection, sorted((key, at(10)) for key in KEYS[:1]))
        [[name]] = connection.execute(
            text("SELECT name FROM pg_prepared_statements WHERE statement LIKE 'INSERT INTO progress%'")
        )
        return "\n".join(connection.execute(text(f"EXPLAIN EXECUTE \"{name}\"('[]')")).scalars())

    plan = server.write_blocking(store_and_explain)
    assert re.search(r"Index (Only )?Scan (using|on) pk_item\b", plan), plan
    assert "Seq Scan" not in plan


def add_plays(*times: int, key: playback.Key = KEYS[0]) -> Callable[[Connection], None]:
    rows = [(*key, str(UUID(int=number + 1)), Instant(at), "marked") for number, at in enumerate(times)]
    return lambda connection: playback.add_plays(connection, rows)


def span(first: int, last: int, key: playback.Key = KEYS[0]) -> tuple[UserId, ItemId, Instant, Instant]:
    return (*key, Instant(first), Instant(last))


def test_plays_are_found_by_their_time_with_both_ends_included(stocked: Database):
    stocked.write_blocking(add_plays(100, 200, 300))
    spans = [span(100, 100), span(150, 250), span(301, 400), span(0, 400, KEYS[1])]
    found = stocked.read_blocking(lambda connection: playback.find_plays(connection, spans))
    assert {key: sorted(times) for key, times in found.items()} == {KEYS[0]: [100, 200]}


def test_of_many_plays_within_a_span_two_are_read(stocked: Database):
    stocked.write_blocking(add_plays(*range(1000)))
    found = stocked.read_blocking(lambda connection: playback.find_plays(connection, [span(0, 1000)]))
    assert len(found[KEYS[0]]) == 2


def test_plays_are_found_without_reading_the_others_of_the_item(stocked: Database):
    stocked.write_blocking(add_plays(*range(1000)))

    def explain(connection: Connection) -> str:
        values = span(5, 6)
        statements: list[str] = []
        if connection.dialect.name == "postgresql":
            playback.find_plays(connection, [values])
            [[name]] = connection.execute(
                text("SELECT name FROM pg_prepared_statements WHERE statement LIKE '%unnest%play.watched_at%'")
            )
            connection.execute(text("SET LOCAL enable_seqscan = off"))
            arrays = ", ".join(f"'{{{value}}}'" for value in values)
            return str(connection.execute(text(f'EXPLAIN EXECUTE "{name}"({arrays})')).all())
        driver = connection.connection.dbapi_connection.driver
        driver.exec_trace = lambda _cursor, sql, _values: statements.append(sql) or True
        playback.find_plays(connection, [values])
        driver.exec_trace = None
        return str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statements[0]}", values).all())

    assert "ix_play_user_id_item_id_watched_at" in stocked.read_blocking(explain)


def test_plays_are_counted_for_each_key_even_if_there_are_none(stocked: Database):
    stocked.write_blocking(add_plays(1, 2, 3))
    counts = stocked.read_blocking(lambda connection: playback.count_plays(connection, KEYS))
    assert counts == {KEYS[0]: 3, KEYS[1]: 0, KEYS[2]: 0}


def test_the_count_of_plays_stops_at_the_limit(stocked: Database):
    stocked.write_blocking(add_plays(*range(PLAYS_OF_ITEM.most + 5)))
    counts = stocked.read_blocking(lambda connection: playback.count_plays(connection, KEYS[:1]))
    assert counts == {KEYS[0]: PLAYS_OF_ITEM.most}
