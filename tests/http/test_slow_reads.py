"""A page or list that takes the database too long is refused, and nobody else notices."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Connection, text

from playhead.config import Settings
from world import MOVIE, World

pytestmark = [pytest.mark.anyio, pytest.mark.both_engines]

# In place of the table that home and continue watching read, a view that never returns its first row.
ENDLESS = (
    "ALTER TABLE list_state RENAME TO list_state_away",
    (
        "CREATE VIEW list_state AS SELECT * FROM list_state_away WHERE "
        "(WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n) < 0"
    ),
)
AS_BEFORE = ("DROP VIEW list_state", "ALTER TABLE list_state_away RENAME TO list_state")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"read_seconds": 0.3})


@pytest.fixture
async def slow(stocked: World) -> AsyncIterator[World]:
    """A world in which reading one table never ends."""

    def run(*statements: str) -> "asyncio.Future[None]":
        def write(connection: Connection) -> None:
            for statement in statements:
                connection.execute(text(statement))

        return asyncio.ensure_future(stocked.playhead.installation.database.write(write))

    await stocked.client.put(f"/api/v1/continue-watching/{MOVIE}/hidden", headers=stocked.member)
    await run(*ENDLESS)
    yield stocked
    await run(*AS_BEFORE)


async def test_a_list_that_takes_too_long_is_refused_and_may_be_retried_later(slow: World):
    answer = await slow.client.get("/api/v1/continue-watching", headers=slow.member)
    assert (answer.status_code, answer.json()["error"]) == (503, "Service unavailable")
    assert int(answer.headers["retry-after"]) > 1


async def test_a_page_that_takes_too_long_is_refused_as_a_page(slow: World):
    answer = await slow.client.get("/", headers=slow.member)
    assert answer.status_code == 503
    assert answer.headers["content-type"].startswith("text/html")
    assert int(answer.headers["retry-after"]) > 1


async def test_saving_continues_while_all_readers_are_busy(slow: World):
    lists = [asyncio.ensure_future(slow.client.get("/api/v1/continue-watching", headers=slow.member)) for _ in range(6)]
    url, body = f"/api/v1/playback/movie/{MOVIE}", {"position_seconds": 1250, "duration_seconds": 5400}
    assert (await slow.client.post(url, json=body, headers=slow.member)).json()["position_seconds"] == 1250
    assert {(await each).status_code for each in lists} == {503}
