"""Saving and reading when the underlying rows change between two requests, in this process or another.

What a server caches about items, accounts and grants must never differ from the store.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from typing import Any

import pytest
from sqlalchemy import Connection, Executable, delete, insert, update

from fakes import Clock, Ids
from playhead.domain.model import ItemId, ItemKind, Milliseconds, Role, UserId
from playhead.domain.playback import Policy, Report
from playhead.errors import Code, PlayheadError
from playhead.services.events import Events
from playhead.services.playback import Playback
from playhead.storage import playback as storage
from playhead.storage.engine.database import Database
from playhead.storage.schema import account, item, library_access
from world import LIBRARY, MOVIE, RUNTIME_MS, stock_library

pytestmark = pytest.mark.anyio

ANA, BEN = UserId("aaaaaaaa-0000-4000-8000-000000000001"), UserId("bbbbbbbb-0000-4000-8000-000000000002")
FILM = ItemId(MOVIE)
HALF = Report(Milliseconds(RUNTIME_MS // 2), Milliseconds(RUNTIME_MS))

GRANT = insert(library_access).values(user_id=BEN, library_id=LIBRARY, granted_at=0)
REVOKE = delete(library_access).where(library_access.c.user_id == ANA)
REMOVE_FILM = delete(item).where(item.c.id == FILM)
REMOVE_ANA = delete(account).where(account.c.id == ANA)
NO_MOVIE = update(item).where(item.c.id == FILM).values(kind="episode")
NO_ADMIN = update(account).where(account.c.id == BEN).values(role="member")


def stock(connection: Connection) -> None:
    for user_id, role in ((ANA, "member"), (BEN, "admin")):
        connection.execute(insert(account).values(id=user_id, name=role, role=role, password_hash="", created_at=0))
    stock_library(connection, ANA)


@pytest.fixture
async def playback(database: Database) -> AsyncIterator[Playback]:
    async def nobody(_: Collection[str]) -> frozenset[str]:
        return frozenset()

    await database.write(stock)
    events = Events(monotonic=asyncio.get_running_loop().time, ended_tokens=nobody)
    opened = Playback(database, events, clock=Clock(), new_id=Ids(), policy=Policy())
    yield opened
    await opened.close()


@pytest.fixture(params=["here", "by another process"])
async def change(
    request: pytest.FixtureRequest, database: Database, open_database: Callable[[], Any]
) -> AsyncIterator[Callable[[Any], Any]]:
    """Changes something in the store, through this server's database or past it."""
    changing = database if request.param == "here" else open_database()

    async def execute(statement: Executable) -> None:
        await changing.write(lambda connection: connection.execute(statement) and None)

    yield execute
    if changing is not database:
        await changing.close()


async def save(playback: Playback, user_id: UserId = ANA) -> str:
    """Save, and return the position or the code of a refusal."""
    try:
        return str((await playback.save(user_id, ItemKind.MOVIE, FILM, HALF)).progress.position_ms)
    except PlayheadError as error:
        return error.code.value


async def read(playback: Playback, user_id: UserId = ANA, role: Role = Role.MEMBER) -> str:
    """Like `save`, for a read."""
    try:
        progress = await playback.read(user_id, role, ItemKind.MOVIE, FILM)
    except PlayheadError as error:
        return error.code.value
    return "nothing" if progress is None else str(progress.position_ms)


SAVED = str(RUNTIME_MS // 2)


@pytest.mark.parametrize(
    ("statement", "code"),
    [(REVOKE, Code.ACCESS_DENIED), (REMOVE_FILM, Code.NOT_FOUND), (NO_MOVIE, Code.NOT_FOUND)],
    ids=["a revoked grant", "a removed film", "a film that is an episode"],
)
async def test_an_item_that_was_visible_is_refused_as_soon_as_it_is_not(
    playback: Playback, change: Callable[[Any], Any], statement: Executable, code: Code
):
    assert [await save(playback), await read(playback)] == [SAVED, SAVED]
    assert [await save(playback), await read(playback)] == [SAVED, SAVED]
    await change(statement)
    assert [await save(playback), await read(playback)] == [code.value, code.value]


async def test_a_grant_takes_effect_with_the_next_request(playback: Playback, change: Callable[[Any], Any]):
    await change(NO_ADMIN)
    assert [await save(playback, BEN), await read(playback, BEN)] == [Code.ACCESS_DENIED.value] * 2
    await change(GRANT)
    assert [await read(playback, BEN), await save(playback, BEN), await read(playback, BEN)] == [
        "nothing",
        SAVED,
        SAVED,
    ]


async def test_a_removed_user_saves_nothing_more(playback: Playback, change: Callable[[Any], Any]):
    assert await save(playback) == SAVED
    await change(REMOVE_ANA)
    assert await save(playback) == Code.NOT_AUTHENTICATED.value


async def test_a_demoted_admin_sees_only_granted_libraries(playback: Playback, change: Callable[[Any], Any]):
    assert [await save(playback, BEN), await read(playback, BEN, Role.ADMIN)] == [SAVED, SAVED]
    await change(NO_ADMIN)
    assert await save(playback, BEN) == Code.ACCESS_DENIED.value


async def test_a_runtime_that_becomes_known_counts_for_the_next_report(
    playback: Playback, change: Callable[[Any], Any]
):
    await change(update(item).where(item.c.id == FILM).values(runtime_ms=None))
    short = Report(Milliseconds(20_000), Milliseconds(30_000))
    assert (await playback.save(ANA, ItemKind.MOVIE, FILM, short)).progress.duration_ms == short.duration_ms
    await change(update(item).where(item.c.id == FILM).values(runtime_ms=RUNTIME_MS))
    assert (await playback.save(ANA, ItemKind.MOVIE, FILM, short)).progress.duration_ms == RUNTIME_MS


async def test_a_change_that_is_rolled_back_is_not_cached(playback: Playback, database: Database):
    def look_and_give_up(connection: Connection) -> None:
        connection.execute(REVOKE)
        assert storage.load(connection, [(ANA, FILM)])[0] is not None
        raise KeyError

    assert await save(playback) == SAVED
    with pytest.raises(KeyError):
        await database.write(look_and_give_up)
    assert [await save(playback), await read(playback)] == [SAVED, SAVED]


async def test_cached_and_uncached_keys_are_looked_up_together(playback: Playback, database: Database):
    stranger = UserId("cccccccc-0000-4000-8000-000000000003")
    keys = [(ANA, FILM), (ANA, ItemId(ANA)), (BEN, FILM), (stranger, FILM)]
    await save(playback)
    looked_up: list[Any] = []

    def look(connection: Connection) -> None:
        looked_up[:] = [storage.load(connection, [(ANA, FILM)]), storage.load(connection, keys)]

    await database.write(look)
    [ana], together = looked_up
    nowhere, ben, nobody = together[1:]
    assert (together[0], nobody) == (ana, None)
    assert (ana.standing.is_granted, ana.progress.position_ms, nowhere.kind) == (True, RUNTIME_MS // 2, None)
    assert (ben.role, ben.standing.is_granted, ben.kind, ben.facts, ben.progress) == (
        Role.ADMIN,
        False,
        "movie",
        ana.facts,
        None,
    )
