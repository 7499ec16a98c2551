"""Imports into a real store: all or nothing, and correct even under concurrent changes."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest
from sqlalchemy import Connection, func, insert, select

from fakes import Clock, Ids
from playhead.domain.importing import FAULTS_MAX, ImportEntry, LineFault, ShowName
from playhead.domain.model import ItemId, ItemKind
from playhead.errors import Code, PlayheadError
from playhead.services.importing import Importer, ImportReport
from playhead.storage import catalogue, schema
from playhead.storage.engine.database import Database
from playhead.storage.engine.sqlite import SQLiteDatabase

pytestmark = pytest.mark.anyio

T = TypeVar("T")

LIBRARIES = [
    {"id": "f0000000-0000-4000-8000-000000000000", "name": "Films", "kind": "movies", "created_at": 0},
    {"id": "50000000-0000-4000-8000-000000000000", "name": "Series", "kind": "shows", "created_at": 0},
]


@pytest.fixture
async def store(database: SQLiteDatabase) -> SQLiteDatabase:
    await database.write(lambda connection: connection.execute(insert(schema.library), LIBRARIES))
    return database


def importer(database: Database) -> Importer:
    return Importer(database, clock=Clock(), new_id=Ids())


def movies(count: int, **members: object) -> list[ImportEntry]:
    return [
        ImportEntry(number, "Films", ItemKind.MOVIE, f"Film {number}", external_ids={"tmdb": str(number)}, **members)  # pyright: ignore[reportArgumentType]
        for number in range(1, count + 1)
    ]


def series(episodes: int) -> list[ImportEntry]:
    name = ShowName(title="Tidal Station", year=2021)
    lines = [ImportEntry(1, "Series", ItemKind.SHOW, "Tidal Station", year=2021)]
    lines += [
        ImportEntry(1 + number, "Series", ItemKind.EPISODE, "Ebb", show=name, season_number=1, episode_number=number)
        for number in range(1, episodes + 1)
    ]
    return lines


def count(connection: Connection) -> tuple[int, int]:
    tables = (schema.item, schema.external_id)
    items, external_ids = (connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables)
    return items, external_ids


async def test_an_import_is_stored_and_unchanged_when_repeated(store: SQLiteDatabase):
    entries = [*movies(7), *(series(5))]
    entries = [ImportEntry(**{**_members(entry), "line": line}) for line, entry in enumerate(entries, 1)]
    service = importer(store)
    assert await service.run(entries) == ImportReport(13, 0, 0)
    assert await store.read(count) == (13, 7)
    assert await service.run(entries) == ImportReport(0, 0, 13)
    assert await store.read(count) == (13, 7)


def _members(entry: ImportEntry) -> dict[str, object]:
    return {name: getattr(entry, name) for name in ImportEntry.__dataclass_fields__}


async def test_items_without_a_line_are_not_changed(store: SQLiteDatabase):
    service = importer(store)
    await service.run(movies(3))
    changed = ImportEntry(1, "Films", ItemKind.MOVIE, "Film Two", external_ids={"tmdb": "2", "imdb": "tt2"})
    assert await service.run([changed]) == ImportReport(0, 1, 0)
    rows = await store.read(
        lambda connection: connection.execute(
            select(schema.item.c.title, schema.holding.c.removed_at).join(schema.holding)
        ).all()
    )
    assert sorted(rows) == [("Film 1", None), ("Film 3", None), ("Film Two", None)]
    assert await store.read(count) == (3, 4)


async def test_with_one_faulty_line_nothing_is_imported(store: SQLiteDatabase):
    entries = [*movies(3), ImportEntry(4, "Nowhere", ItemKind.MOVIE, "Film 4")]
    with pytest.raises(PlayheadError) as refused:
        await importer(store).run(entries, [LineFault(9, None, "is not JSON")])
    assert refused.value.code is Code.INVALID
    assert refused.value.details == {"line 4: library": ["there is no such library"], "line 9": ["is not JSON"]}
    assert await store.read(count) == (0, 0)


async def test_too_many_faults_are_truncated(store: SQLiteDatabase):
    faults = [LineFault(line, None, "is not JSON") for line in range(FAULTS_MAX + 5)]
    with pytest.raises(PlayheadError) as refused:
        await importer(store).run([], faults)
    assert len(refused.value.details or {}) == FAULTS_MAX + 1


async def test_an_empty_import_succeeds(store: SQLiteDatabase):
    assert await importer(store).run([]) == ImportReport(0, 0, 0)


async def test_concurrent_imports_see_each_other(store: SQLiteDatabase):
    service = importer(store)
    reports = await asyncio.gather(*(service.run(movies(5)) for _ in range(3)))
    assert sorted(report.added for report in reports) == [0, 0, 5]
    assert await store.read(count) == (5, 5)


class Overtaken:
    """A database that somebody else changes just before the import writes what it has decided."""

    def __init__(self, database: SQLiteDatabase, meanwhile: Sequence[ImportEntry]) -> None:
        self._database = database
        self._meanwhile = meanwhile

    async def read(self, fn: Callable[[Connection], T]) -> T:
        return await self._database.read(fn)

    async def read_long(self, fn: Callable[[Connection], T]) -> T:
        return await self._database.read_long(fn)

    async def write(self, fn: Callable[[Connection], T]) -> T:
        ids = Ids()
        for _ in range(100):  # different ids
            ids()
        other = Importer(self._database, clock=Clock(), new_id=ids)
        await other.run(self._meanwhile)
        return await self._database.write(fn)


async def test_items_that_another_process_imported_meanwhile_are_not_imported_twice(store: SQLiteDatabase):
    service = importer(Overtaken(store, movies(3)))  # pyright: ignore[reportArgumentType] - all that an import needs
    assert await service.run(movies(5)) == ImportReport(2, 0, 3)
    assert await store.read(count) == (5, 5)


async def test_items_that_another_process_changed_meanwhile_are_read_again(store: SQLiteDatabase):
    await importer(store).run(movies(3))
    service = importer(Overtaken(store, movies(3, year=2002)))  # pyright: ignore[reportArgumentType]
    assert await service.run(movies(3, year=2002)) == ImportReport(0, 0, 3)
    assert await store.read(count) == (3, 3)


async def test_the_id_of_an_item_that_another_process_created_meanwhile_becomes_its_alias(store: SQLiteDatabase):
    service = importer(Overtaken(store, movies(1)))  # pyright: ignore[reportArgumentType]
    own_id = ItemId("aaaaaaaa-0000-4000-8000-000000000001")
    own = ImportEntry(1, "Films", ItemKind.MOVIE, "Film 1", id=own_id, external_ids={"tmdb": "1"})
    assert await service.run([own]) == ImportReport(0, 1, 0)
    assert await store.read(count) == (1, 1)
    found = await store.read(lambda connection: catalogue.find_item(connection, own_id))
    assert (found and found.title) == "Film 1"
    assert await importer(store).run([own]) == ImportReport(0, 0, 1)


async def test_thousands_of_lines_are_one_import(store: SQLiteDatabase):
    service = importer(store)
    assert await service.run(movies(6001)) == ImportReport(6001, 0, 0)
    assert await service.run(movies(6001)) == ImportReport(0, 0, 6001)
