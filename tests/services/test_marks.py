"""Marks in the store: one transaction and one published change each, whatever else is written concurrently."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from fakes import Clock, Ids
from playhead.domain.events import Change, Topic
from playhead.domain.marks import UndoStep
from playhead.domain.model import Instant, ItemId, ItemKind, Milliseconds, UserId
from playhead.domain.playback import Policy, Report
from playhead.errors import Code, PlayheadError
from playhead.services.events import Events
from playhead.services.marks import Mark, Marks
from playhead.services.playback import Playback
from playhead.services.undoing import decode, encode
from playhead.storage import schema
from playhead.storage.engine.database import Connection, Database
from playhead.storage.upkeep.checking import IntegrityFault, check_file, check_server
from world import EPISODE, LIBRARY, MOVIE, NOWHERE, SHOW, insert_items, stock_library

pytestmark = pytest.mark.anyio

USER = UserId("aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa")
LENGTH = Milliseconds(5_400_000)
LONG_SHOW = ItemId("55555555-5555-4555-8555-555555555555")


class Installation:
    """Marks and reports of one process over a store."""

    def __init__(self, database: Database, new_id: Callable[[], str], clock: Clock) -> None:
        self.database = database
        self.published: list[Change] = []
        self.marks = Marks(database, clock=clock, new_id=new_id, policy=Policy(), publish=self._publish)
        events = Events(monotonic=asyncio.get_running_loop().time, ended_tokens=self._nobody)
        self.playback = Playback(database, events, clock=clock, new_id=new_id, policy=Policy())

    def _publish(self, changes: Sequence[Change]) -> None:
        self.published += changes

    async def _nobody(self, _: object) -> frozenset[str]:
        return frozenset()

    async def report(self, seconds: int, item_id: str = MOVIE, kind: ItemKind = ItemKind.MOVIE) -> None:
        await self.playback.save(USER, kind, ItemId(item_id), Report(Milliseconds(seconds * 1000), LENGTH))

    async def count(self, table: str) -> int:
        query = select(func.count()).select_from(schema.metadata.tables[table])
        return await self.database.read(lambda connection: connection.execute(query).scalar_one())


def stock(connection: Connection) -> None:
    account = {"id": USER, "name": "member", "role": "member", "password_hash": "", "created_at": 0}
    connection.execute(insert(schema.account), [account])
    stock_library(connection, USER)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ids() -> Ids:
    return Ids()


@pytest.fixture
async def here(database: Database, ids: Ids, clock: Clock) -> Installation:
    await database.write(stock)
    return Installation(database, ids, clock)


async def test_a_mark_is_published_once_and_names_the_item(here: Installation):
    await here.marks.mark(USER, ItemKind.MOVIE, ItemId(MOVIE), Mark())
    assert [(change.topic, change.item_ids) for change in here.published] == [(Topic.WATCHED, (MOVIE,))]
    assert here.published[0].user_id == USER


async def test_a_mark_without_effect_is_not_published(here: Installation):
    movie = ItemKind.MOVIE, ItemId(MOVIE)
    await here.marks.mark(USER, *movie, Mark())
    await here.marks.mark(USER, *movie, Mark())
    await here.marks.mark_show(USER, ItemId(SHOW), None, None)
    await here.marks.forget(USER, ItemKind.EPISODE, ItemId(EPISODE))
    assert len(here.published) == 1


async def test_forgetting_restoring_and_removing_a_play_are_published(here: Installation):
    movie = ItemKind.MOVIE, ItemId(MOVIE)
    for seconds in (3000, 5000):
        await here.report(seconds)
    ((point_id, _),) = await here.marks.list_points(USER, *movie)
    (play,) = (await here.marks.list_plays(USER, *movie)).items
    await here.marks.restore(USER, *movie, point_id)
    await here.marks.remove_play(USER, *movie, play.id)
    await here.marks.forget(USER, *movie)
    assert [change.topic for change in here.published] == [Topic.PROGRESS, Topic.WATCHED, Topic.PROGRESS]


async def test_a_refused_mark_is_not_published(here: Installation):
    for item_id, code in ((NOWHERE, Code.NOT_FOUND), (SHOW, Code.NOT_FOUND)):
        with pytest.raises(PlayheadError) as refused:
            await here.marks.mark(USER, ItemKind.MOVIE, ItemId(item_id), Mark())
        assert refused.value.code is code
    assert here.published == []


async def test_a_removed_user_has_no_marks(here: Installation):
    nobody = UserId("bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb")
    for call in (
        here.marks.read(nobody, ItemKind.MOVIE, ItemId(MOVIE)),
        here.marks.mark(nobody, ItemKind.MOVIE, ItemId(MOVIE), Mark()),
        here.marks.mark_show(nobody, ItemId(SHOW), None, Mark()),
    ):
        with pytest.raises(PlayheadError) as refused:
            await call
        assert refused.value.code is Code.NOT_AUTHENTICATED


# A long show


def long_show(connection: Connection) -> None:
    def row(item_id: str, kind: str, **more: object) -> dict[str, Any]:
        names = dict.fromkeys(("title", "sort_title", "search_title", "identity"), item_id)
        return names | {"id": item_id, "library_id": LIBRARY, "kind": kind, "added_at": 0} | more

    insert_items(connection, [row(LONG_SHOW, "show")])
    episodes = [
        row(
            f"66666666-6666-4666-8666-{number:012}",
            "episode",
            show_id=LONG_SHOW,
            season_number=1,
            episode_number=number,
        )
        for number in range(1, 2001)
    ]
    insert_items(connection, episodes)


async def test_a_show_of_2000_episodes_is_one_change(here: Installation):
    await here.database.write(long_show)
    assert len(await here.marks.mark_show(USER, LONG_SHOW, None, Mark())) == 2000
    (change,) = here.published
    assert (change.topic, len(change.item_ids)) == (Topic.WATCHED, 2000)
    assert (await here.count("progress"), await here.count("play")) == (2000, 2000)
    assert len(await here.marks.mark_show(USER, LONG_SHOW, None, None)) == 2000
    assert await here.count("play") == 2000


async def test_a_show_is_marked_completely_or_not_at_all(database: Database, clock: Clock, ids: Ids):
    numbers = Ids()

    def fail_late() -> str:
        if numbers() > "00000000-0000-4000-8000-000000000400":
            raise RuntimeError("no more ids")
        return ids()

    await database.write(stock)
    await database.write(long_show)
    here = Installation(database, fail_late, clock)
    with pytest.raises(RuntimeError):
        await here.marks.mark_show(USER, LONG_SHOW, None, Mark())
    assert (await here.count("progress"), await here.count("play")) == (0, 0)
    assert here.published == []


# Undo


async def faults(engine: str, request: pytest.FixtureRequest) -> list[IntegrityFault]:
    """What `db check` finds in the tables that users write."""
    if engine == "sqlite":
        found = check_file(request.getfixturevalue("database_path"), lambda _done, _all: None)
    else:
        found = check_server(request.getfixturevalue("postgres_url"), lambda _done, _all: None)
    return [fault for fault in found if fault.table in {"progress", "play", "kept_position"}]


async def test_undoing_a_whole_show_is_one_change_and_leaves_a_sound_store(
    here: Installation, clock: Clock, engine: str, request: pytest.FixtureRequest
):
    await here.report(5000, EPISODE, ItemKind.EPISODE)
    clock.advance(Milliseconds(86_400_000))
    await here.report(2000, EPISODE, ItemKind.EPISODE)
    before = await here.marks.read(USER, ItemKind.EPISODE, ItemId(EPISODE))
    undos = await here.marks.mark_show(USER, ItemId(SHOW), None, None)
    here.published.clear()
    await here.marks.undo(USER, decode(encode(undos) or "", clock.now))
    after = await here.marks.read(USER, ItemKind.EPISODE, ItemId(EPISODE))
    assert before.progress is not None
    changed = before.progress._replace(version=before.progress.version + 2, changed_at=clock.now)
    assert after == before._replace(progress=changed)
    assert [(change.topic, change.item_ids) for change in here.published] == [(Topic.WATCHED, (EPISODE,))]
    assert await faults(engine, request) == []


async def test_undo_removes_exactly_what_a_mark_added(here: Installation, engine: str, request: pytest.FixtureRequest):
    await here.report(3000)
    await here.marks.mark(USER, ItemKind.MOVIE, ItemId(MOVIE), Mark())
    await here.report(1000)
    undos = await here.marks.mark_item(USER, ItemKind.MOVIE, ItemId(MOVIE), Mark(new_play=True))
    assert (await here.count("play"), await here.count("kept_position")) == (2, 2)
    await here.marks.undo(USER, undos)
    assert (await here.count("play"), await here.count("kept_position")) == (1, 1)
    assert await faults(engine, request) == []


async def test_undo_is_all_or_nothing(here: Installation):
    await here.database.write(long_show)
    undos = await here.marks.mark_show(USER, LONG_SHOW, None, Mark())
    await here.report(100, undos[-1].item_id, ItemKind.EPISODE)
    with pytest.raises(PlayheadError) as refused:
        await here.marks.undo(USER, undos)
    assert refused.value.code is Code.CONFLICT
    assert await here.count("play") == 2000
    await here.marks.undo(USER, undos[:-1])
    assert await here.count("play") == 1


async def test_of_two_processes_one_undoes_a_mark(
    here: Installation, open_database: Callable[[], Any], ids: Ids, clock: Clock
):
    other = Installation(open_database(), ids, clock)
    try:
        undos = await here.marks.mark_item(USER, ItemKind.MOVIE, ItemId(MOVIE), Mark())
        results = await asyncio.gather(
            *(each.marks.undo(USER, undos) for each in (here, other)), return_exceptions=True
        )
        refused = [result for result in results if isinstance(result, PlayheadError)]
        assert [error.code for error in refused] == [Code.CONFLICT]
        assert await here.count("play") == 0
    finally:
        await other.database.close()


async def test_undo_ignores_a_show_itself_and_unknown_items(here: Installation):
    for item_id, code in ((SHOW, Code.CONFLICT), (NOWHERE, Code.NOT_FOUND)):
        with pytest.raises(PlayheadError) as refused:
            await here.marks.undo(USER, [UndoStep(ItemId(item_id), None, 1)])
        assert refused.value.code is code


async def test_marking_up_to_an_episode_is_one_change(here: Installation):
    await here.database.write(long_show)
    undos = await here.marks.mark_up_to(USER, ItemId("66666666-6666-4666-8666-000000000150"), Mark())
    (change,) = here.published
    assert (change.topic, len(change.item_ids), len(undos)) == (Topic.WATCHED, 150, 150)


# Concurrency


async def test_nothing_is_lost_when_two_processes_mark_and_report_concurrently(
    here: Installation, open_database: Callable[[], Any], ids: Ids, clock: Clock
):
    other = Installation(open_database(), ids, clock)
    try:
        movie = ItemKind.MOVIE, ItemId(MOVIE)
        times = [Instant(clock.now - 86_400_000 * day) for day in range(40)]
        await asyncio.gather(
            *(
                each.marks.mark(USER, *movie, Mark(at, new_play=True))
                for at, each in zip(times, [here, other] * 20, strict=True)
            ),
            *(each.report(1000 + number) for number in range(10) for each in (here, other)),
        )
        state = await here.marks.read(USER, *movie)
        assert state.plays.number == 40
        assert state.progress is not None
        assert state.progress.watched
        assert sorted(play.watched_at or 0 for play in (await other.marks.list_plays(USER, *movie)).items) == sorted(
            times
        )
    finally:
        await other.database.close()


async def test_two_processes_that_mark_a_show_concurrently_mark_each_episode_once(
    here: Installation, open_database: Callable[[], Any], ids: Ids, clock: Clock
):
    other = Installation(open_database(), ids, clock)
    try:
        await here.database.write(long_show)
        changed = await asyncio.gather(*(each.marks.mark_show(USER, LONG_SHOW, None, Mark()) for each in (here, other)))
        assert sum(map(len, changed)) == 2000
        assert await here.count("play") == 2000
    finally:
        await other.database.close()
