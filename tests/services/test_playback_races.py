"""Concurrent reports of several processes for the same keys on PostgreSQL: stored in the order of keys, none lost."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import Connection, insert, text

from fakes import Clock
from playhead.domain.model import ItemId, ItemKind, Milliseconds, UserId
from playhead.domain.playback import Policy, Report
from playhead.services.events import Events
from playhead.services.playback import Playback
from playhead.storage import schema
from playhead.storage.engine.postgres import PostgresDatabase
from world import LIBRARY, insert_items, stock_library

pytestmark = pytest.mark.anyio

USER = UserId("aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa")
MOVIES = [ItemId(f"00000000-0000-4000-8000-{number:012}") for number in range(40)]
LENGTH = Milliseconds(5_400_000)

# Records the order in which rows are stored.
NOTE_ORDER = """
CREATE TABLE stored (number serial, item_id uuid);
CREATE FUNCTION note_stored() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO stored (item_id) VALUES (NEW.item_id); RETURN NEW; END $$;
CREATE TRIGGER note_stored BEFORE INSERT ON progress FOR EACH ROW EXECUTE FUNCTION note_stored();
"""
FORGET_ORDER = "DROP FUNCTION note_stored CASCADE; DROP TABLE stored"


def stock(connection: Connection) -> None:
    account = {"id": USER, "name": "member", "role": "member", "password_hash": "", "created_at": 0}
    connection.execute(insert(schema.account), [account])
    stock_library(connection, USER)
    texts = dict.fromkeys(("title", "sort_title", "search_title"), "")
    movie = texts | {"library_id": LIBRARY, "kind": "movie", "added_at": 0}
    insert_items(connection, [movie | {"id": each, "identity": each} for each in MOVIES])


def ask(sql: str) -> Any:  # noqa: ANN401
    return lambda connection: [tuple(row) for row in connection.execute(text(sql))]


async def nobody(_: object) -> frozenset[str]:
    return frozenset()


@pytest.fixture
async def processes(postgres_url: str, anyio_backend: str) -> AsyncIterator[list[tuple[PostgresDatabase, Playback]]]:
    """The services of four processes."""
    del anyio_backend
    opened: list[tuple[PostgresDatabase, Playback]] = []
    ids = iter(range(10**6))
    for _ in range(4):
        database = PostgresDatabase(postgres_url)
        events = Events(monotonic=asyncio.get_running_loop().time, ended_tokens=nobody)
        new_id = lambda: f"{next(ids):08}-0000-4000-8000-000000000000"  # noqa: E731
        opened.append((database, Playback(database, events, clock=Clock(), new_id=new_id, policy=Policy())))
    await opened[0][0].write(stock)
    yield opened
    for database, playback in opened:
        await playback.close()
        await database.close()


async def save_all(playback: Playback, movies: list[ItemId], seconds: int) -> None:
    report = Report(Milliseconds(seconds * 1000), LENGTH)
    await asyncio.gather(*(playback.save(USER, ItemKind.MOVIE, each, report) for each in movies))


async def test_a_batch_is_stored_in_the_order_of_its_keys(processes: list[tuple[PostgresDatabase, Playback]]):
    database, playback = processes[0]
    await database.write(lambda connection: connection.execute(text(NOTE_ORDER)) and None)
    try:
        await save_all(playback, random.Random(1).sample(MOVIES, len(MOVIES)), 60)  # noqa: S311 - to be repeated
        stored = await database.read(ask("SELECT item_id FROM stored ORDER BY number"))
    finally:
        await database.write(lambda connection: connection.execute(text(FORGET_ORDER)) and None)
    assert playback.commits.sizes.sum == len(MOVIES)
    assert [item_id for (item_id,) in stored] == MOVIES


async def test_processes_that_save_the_same_keys_in_any_order_do_not_deadlock(
    processes: list[tuple[PostgresDatabase, Playback]],
):
    chance = random.Random(1)  # noqa: S311 - to be repeated
    rounds = 10
    for number in range(rounds):
        await asyncio.gather(
            *(
                save_all(playback, chance.sample(MOVIES, len(MOVIES)), 60 * (number * len(processes) + place))
                for place, (_, playback) in enumerate(processes)
            )
        )
    versions = await processes[0][0].read(ask("SELECT version, count(*) FROM progress GROUP BY version"))
    assert versions == [(rounds * len(processes), len(MOVIES))]
