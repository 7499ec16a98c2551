"""Saving reports that name their file, or whose length tells it: visibility of files, parts, and caches."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Any

import pytest
from sqlalchemy import Connection, insert, update

from fakes import Clock, Ids
from playhead.domain.catalogue import FileFacts
from playhead.domain.model import FileId, ItemId, ItemKind, LibraryId, Milliseconds, UserId
from playhead.domain.playback import Policy, Progress, Report
from playhead.domain.tokens import TokenKey
from playhead.services.events import Events
from playhead.services.playback import Playback
from playhead.storage import playback as storage
from playhead.storage.catalogue import encode_files
from playhead.storage.engine.database import Database
from playhead.storage.schema import account, file_item, item, library, library_access, media_file
from world import EPISODE, LIBRARY, MOVIE, SHOW, hold, insert_items, stock_library

pytestmark = pytest.mark.anyio

ANA, BEN = UserId("aaaaaaaa-0000-4000-8000-000000000001"), UserId("bbbbbbbb-0000-4000-8000-000000000002")
ATTIC = LibraryId("cccccccc-0000-4000-8000-000000000003")
SECOND = "dddddddd-0000-4000-8000-000000000004"
DOUBLE, LONGER = "eeeeeeee-0000-4000-8000-000000000005", "eeeeeeee-0000-4000-8000-000000000006"
S = 1000


def file(
    name: str,
    seconds: int,
    credits: int | None = None,  # noqa: A002 - the field's word
    part: int | None = None,
    library_id: str = LIBRARY,
) -> FileFacts:
    credits_ms = None if credits is None else Milliseconds(credits * S)
    return FileFacts(
        FileId(name), LibraryId(library_id), Milliseconds(seconds * S), credits_ms, part, ItemId(MOVIE), None
    )


SHORT, LONG = file("short", 7200, 6900), file("long", 9900, 9000)
SECRET = file("secret", 3600, 3000, library_id=ATTIC)


def stock(connection: Connection) -> None:
    for user_id, role in ((ANA, "member"), (BEN, "admin")):
        connection.execute(insert(account).values(id=user_id, name=role, role=role, password_hash="", created_at=0))
    stock_library(connection, ANA)
    connection.execute(insert(library).values(id=ATTIC, name="Attic", kind="movies", created_at=0))
    connection.execute(update(item).where(item.c.id == MOVIE).values(runtime_ms=None))


def with_files(*files: FileFacts, **columns: object) -> Any:  # noqa: ANN401 - a statement
    runtime_ms = min((each.duration_ms for each in files if each.duration_ms is not None), default=None)
    values = {"files": encode_files(files), "runtime_ms": runtime_ms} | columns
    return update(item).where(item.c.id == MOVIE).values(values)


@pytest.fixture
async def stocked(database: Database) -> Database:
    await database.write(stock)
    return database


@pytest.fixture
async def playback(stocked: Database) -> AsyncIterator[Playback]:
    async def nobody(_: Collection[TokenKey]) -> frozenset[TokenKey]:
        return frozenset()

    events = Events(monotonic=asyncio.get_running_loop().time, ended_tokens=nobody)
    opened = Playback(stocked, events, clock=Clock(), new_id=Ids(), policy=Policy())
    yield opened
    await opened.close()


@pytest.fixture
def change(stocked: Database) -> Callable[..., Any]:
    async def execute(*statements: Any) -> None:  # noqa: ANN401
        def run(connection: Connection) -> None:
            for statement in statements:
                connection.execute(statement)

        await stocked.write(run)

    return execute


async def in_attic(database: Database, **columns: object) -> None:
    await database.write(lambda connection: hold(connection, MOVIE, ATTIC, **columns))


async def save(
    playback: Playback, seconds: int, of: int, name: str | None = None, user_id: UserId = ANA
) -> tuple[float, float, bool]:
    """Save twice, the second time from the cache; return position and duration in seconds, and whether watched."""
    found: list[Progress] = []
    for _ in range(2):
        report = Report(Milliseconds(seconds * S), Milliseconds(of * S), file_id=name)
        found.append((await playback.save(user_id, ItemKind.MOVIE, ItemId(MOVIE), report)).progress)
    first, second = found
    assert (first.position_ms, first.duration_ms, first.watched) == (
        second.position_ms,
        second.duration_ms,
        second.watched,
    )
    return first.position_ms / S, (first.duration_ms or 0) / S, first.watched


async def test_two_cuts_of_one_film_never_finish_each_other(playback: Playback, change: Callable[..., Any]):
    await change(with_files(SHORT, LONG, credits_ms=SHORT.credits_ms))
    assert await save(playback, 7000, 9900, "long") == (7000, 9900, False)
    assert await save(playback, 7000, 9900) == (7000, 9900, False)
    assert await save(playback, 6950, 8000) == (6950, 8000, False)
    assert await save(playback, 30, 60, "long") == (30, 9900, False)
    assert await save(playback, 9000, 9900, "long") == (9000, 9900, True)


async def test_the_second_part_reports_in_its_own_time(playback: Playback, change: Callable[..., Any]):
    await change(with_files(file("cd1", 60, part=1), file("cd2", 60, part=2), runtime_ms=120 * S))
    assert await save(playback, 60, 60, "cd1") == (60, 120, False)
    assert await save(playback, 30, 60, "cd2") == (90, 120, False)
    assert await save(playback, 60, 60, "cd2") == (120, 120, True)


async def test_a_batch_places_each_report_by_its_own_file(playback: Playback, change: Callable[..., Any]):
    await change(with_files(file("cd1", 60, part=1), file("cd2", 60, part=2), runtime_ms=120 * S))
    reports: Sequence[tuple[ItemKind, ItemId, Report]] = [
        (ItemKind.MOVIE, ItemId(MOVIE), Report(Milliseconds(S * at), Milliseconds(60 * S), file_id=name))
        for name, at in (("cd1", 60), ("cd2", 30), ("cd2", 60))
    ]
    decisions = await playback.save_many(ANA, reports)
    assert [
        (each.progress.position_ms, each.progress.watched) for each in decisions if not isinstance(each, Exception)
    ] == [
        (60 * S, False),
        (90 * S, False),
        (120 * S, True),
    ]
    assert [each.play_at is not None for each in decisions if not isinstance(each, Exception)] == [False, False, True]


async def test_the_files_of_a_library_that_is_not_granted_decide_nothing(
    playback: Playback, stocked: Database, change: Callable[..., Any]
):
    await in_attic(stocked)
    await change(with_files(SHORT, LONG, SECRET))
    assert await save(playback, 3100, 3600, "secret") == (3100, 7200, False)
    assert await save(playback, 3100, 3600) == (3100, 7200, False)
    assert await save(playback, 3100, 3600, "secret", BEN) == (3100, 3600, True)
    await change(insert(library_access).values(user_id=ANA, library_id=ATTIC, granted_at=0))
    assert await save(playback, 3100, 3600, "secret") == (3100, 3600, True)


async def test_the_only_visible_file_decides(playback: Playback, stocked: Database, change: Callable[..., Any]):
    await in_attic(stocked)
    await change(with_files(SHORT, SECRET))
    assert await save(playback, 3100, 3600, "secret") == (3100, 7200, False)
    assert await save(playback, 6950, 7200) == (6950, 7200, True)


async def test_an_open_title_says_nothing_of_files_in_libraries_of_others(
    playback: Playback, stocked: Database, change: Callable[..., Any]
):
    await in_attic(stocked)
    await change(
        with_files(SECRET, is_open=True, credits_ms=SECRET.credits_ms),
        library_access.delete().where(library_access.c.user_id == ANA),
    )
    assert await save(playback, 20, 30) == (20, 30, False)
    assert await save(playback, 3100, 3600, "secret") == (3100, 3600, False)
    assert await save(playback, 3100, 3600, None, BEN) == (3100, 3600, True)


async def test_files_in_a_library_that_the_viewer_has_are_seen_whoever_else_has_the_item(
    playback: Playback, stocked: Database, change: Callable[..., Any]
):
    await in_attic(stocked, removed_at=1)
    await change(with_files(LONG, credits_ms=LONG.credits_ms))
    assert await save(playback, 9000, 9900) == (9000, 9900, True)


async def test_changed_files_count_for_the_next_report(playback: Playback, change: Callable[..., Any]):
    await change(with_files(SHORT, LONG))
    assert await save(playback, 7000, 9900, "long") == (7000, 9900, False)
    await change(with_files(SHORT, LONG._replace(credits_ms=SHORT.credits_ms)))
    assert await save(playback, 7000, 9900, "long") == (7000, 9900, True)


async def test_an_imported_item_has_the_lengths_that_the_import_told(playback: Playback, change: Callable[..., Any]):
    await change(with_files(runtime_ms=5400 * S, credits_ms=4000 * S))
    assert await save(playback, 28, 30, "some file") == (28, 5400, False)
    assert await save(playback, 4000, 5400) == (4000, 5400, True)


async def test_the_further_episodes_of_a_file_get_the_report_as_it_was_placed(
    playback: Playback, stocked: Database, change: Callable[..., Any]
):
    double = file(DOUBLE, 3600, 3000)._replace(first=ItemId(EPISODE), end=2)
    longer = file(LONGER, 5400, 5100)._replace(first=ItemId(EPISODE), end=2)

    def stock_second(connection: Connection) -> None:
        second = {"id": SECOND, "kind": "episode", "show_id": SHOW, "season_number": 1, "episode_number": 2}
        insert_items(connection, [second | {"files": encode_files([double, longer])}])
        for name in (DOUBLE, LONGER):
            columns = {"path": name, "size": 1, "mtime_ns": 1, "label": "", "evidence": "", "added_at": 0}
            connection.execute(insert(media_file).values(id=name, library_id=LIBRARY, **columns))
            for item_id in (EPISODE, SECOND):
                connection.execute(insert(file_item).values(file_id=name, item_id=item_id))

    await stocked.write(stock_second)
    first = {"files": encode_files([double, longer]), "runtime_ms": 3600 * S, "episode_end": 2}
    await change(update(item).where(item.c.id == EPISODE).values(first))
    for name, of, watched in ((LONGER, 5400, False), (DOUBLE, 3600, True)):
        report = Report(Milliseconds(3100 * S), Milliseconds(of * S), file_id=name)
        decision = await playback.save(ANA, ItemKind.EPISODE, ItemId(EPISODE), report)
        assert decision.progress.watched is watched
        [known] = await stocked.read(lambda connection: storage.load(connection, [(ANA, ItemId(SECOND))]))
        assert known is not None
        assert (known.progress is not None and known.progress.watched) is watched
