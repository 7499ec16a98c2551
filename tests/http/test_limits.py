"""What happens beyond the limits of docs/limits.md, for what one user can add to: a test a row."""

from typing import Any

import httpx
import pytest
from sqlalchemy import Table, func, insert, select

from playhead.domain.limits import KEPT_POSITIONS_OF_ITEM, PLAYS_OF_ITEM, Limit
from playhead.storage import schema
from support import Ids
from world import EPISODE, MOVIE, SHOW, World

pytestmark = pytest.mark.anyio

DAY_MS = 86_400_000
MOVIE_URL = f"/api/v1/playback/movie/{MOVIE}"
END = {"position_seconds": 5400, "duration_seconds": 5400}

new_id = Ids()


async def fill(world: World, table: Table, *rows: dict[str, Any]) -> None:
    """Put rows of the member into the store behind the server's back."""
    member = {"user_id": world.user_ids["member"]}
    await world.playhead.installation.database.write(
        lambda connection: connection.execute(insert(table), [member | row for row in rows])
    )


async def count(world: World, table: Table) -> int:
    query = select(func.count()).select_from(table)
    return await world.playhead.installation.database.read(lambda connection: connection.execute(query).scalar_one())


async def fill_plays(world: World, number: int, item_id: str = MOVIE) -> None:
    rows = [
        {"item_id": item_id, "id": new_id(), "watched_at": day * DAY_MS, "source": "marked"} for day in range(number)
    ]
    await fill(world, schema.play, *rows)


def assert_refused(answer: httpx.Response, limit: Limit) -> None:
    assert answer.status_code == 409, answer.text
    problem = answer.json()
    assert problem["type"] == "urn:playhead:error:limit-reached"
    assert problem["error"] == f"There can be at most {limit.most:,} {limit.what}"


# Plays of an item


async def test_a_mark_beyond_the_plays_of_an_item_is_refused_and_changes_nothing(stocked: World):
    await fill_plays(stocked, PLAYS_OF_ITEM.most)
    before = (await stocked.client.get(f"{MOVIE_URL}/state", headers=stocked.member)).json()
    answer = await stocked.client.put(f"{MOVIE_URL}/watched", json={"new_play": True}, headers=stocked.member)
    assert_refused(answer, PLAYS_OF_ITEM)
    assert (await stocked.client.get(f"{MOVIE_URL}/state", headers=stocked.member)).json() == before


async def test_a_mark_of_a_show_is_refused_whole_where_one_episode_has_all_its_plays(stocked: World):
    await fill_plays(stocked, PLAYS_OF_ITEM.most, EPISODE)
    answer = await stocked.client.put(f"/api/v1/playback/show/{SHOW}/watched", headers=stocked.member)
    assert_refused(answer, PLAYS_OF_ITEM)
    assert await count(stocked, schema.progress) == 0


async def test_the_last_play_of_an_item_can_still_be_marked(stocked: World):
    await fill_plays(stocked, PLAYS_OF_ITEM.most - 1)
    answer = await stocked.client.put(f"{MOVIE_URL}/watched", headers=stocked.member)
    assert answer.json()["play_count"] == PLAYS_OF_ITEM.most


async def test_a_completing_save_beyond_the_plays_of_an_item_is_answered_and_adds_none(stocked: World):
    await fill_plays(stocked, PLAYS_OF_ITEM.most - 1)
    for _ in range(3):
        assert (await stocked.client.post(MOVIE_URL, json=END, headers=stocked.member)).json()["watched"]
        stocked.clock.advance(DAY_MS)
        begun = await stocked.client.post(MOVIE_URL, json=END | {"position_seconds": 300}, headers=stocked.member)
        assert begun.json()["position_seconds"] == 300
    assert await count(stocked, schema.play) == PLAYS_OF_ITEM.most


async def test_a_batch_adds_no_more_plays_than_an_item_can_have(stocked: World):
    await fill_plays(stocked, PLAYS_OF_ITEM.most - 1)
    reports = [
        {"kind": "movie", "id": MOVIE, "duration_seconds": 5400}
        | {"position_seconds": position, "observed_at": f"2025-11-0{day}T{hour}:00:00Z"}
        for day in (1, 2, 3)
        for hour, position in ((10, 300), (11, 5400))
    ]
    answer = await stocked.client.post("/api/v1/playback/batch", json={"reports": reports}, headers=stocked.member)
    assert [result["status"] for result in answer.json()["results"]] == [200] * 6
    assert await count(stocked, schema.play) == PLAYS_OF_ITEM.most


# Kept positions


async def test_of_the_kept_positions_of_an_item_the_newest_stay(stocked: World):
    for number in range(KEPT_POSITIONS_OF_ITEM.most + 3):
        for position in (1000 + number, 200):
            stocked.clock.advance(DAY_MS)
            body = {"position_seconds": position, "duration_seconds": 5400}
            await stocked.client.post(MOVIE_URL, json=body, headers=stocked.member)
    kept = (await stocked.client.get(f"{MOVIE_URL}/positions", headers=stocked.member)).json()["items"]
    assert len(kept) == KEPT_POSITIONS_OF_ITEM.most
    assert kept[0]["position_seconds"] == 1000 + KEPT_POSITIONS_OF_ITEM.most + 2
