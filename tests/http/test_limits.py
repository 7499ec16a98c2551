"""What happens beyond the limits of docs/limits.md that a single user can reach: one test per row."""

import re
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, Table, func, insert, select

from fakes import Ids
from playhead.domain.accounts import TokenKind
from playhead.domain.limits import (
    DECISIONS_OF_USER,
    KEPT_POSITIONS_OF_ITEM,
    LIBRARIES,
    PLAYS_OF_ITEM,
    SESSIONS_OF_USER,
    TOKENS_OF_USER,
    Limit,
)
from playhead.storage import schema
from world import EPISODE, LIBRARY, MOVIE, PASSWORD, SHOW, World, insert_items

pytestmark = [pytest.mark.anyio, pytest.mark.both_engines]

DAY_MS = 86_400_000
MOVIE_URL = f"/api/v1/playback/movie/{MOVIE}"
END = {"position_seconds": 5400, "duration_seconds": 5400}

new_id = Ids()


async def fill(world: World, table: Table, *rows: dict[str, Any]) -> None:
    """Insert rows of the member into the store without the server's knowledge."""
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


async def test_a_mark_of_a_show_is_refused_entirely_if_one_episode_has_all_its_plays(stocked: World):
    await fill_plays(stocked, PLAYS_OF_ITEM.most, EPISODE)
    answer = await stocked.client.put(f"/api/v1/playback/show/{SHOW}/watched", headers=stocked.member)
    assert_refused(answer, PLAYS_OF_ITEM)
    assert await count(stocked, schema.progress) == 0


async def test_the_last_play_of_an_item_can_still_be_marked(stocked: World):
    await fill_plays(stocked, PLAYS_OF_ITEM.most - 1)
    answer = await stocked.client.put(f"{MOVIE_URL}/watched", headers=stocked.member)
    assert answer.json()["play_count"] == PLAYS_OF_ITEM.most


async def test_a_completing_save_beyond_the_plays_of_an_item_succeeds_and_adds_none(stocked: World):
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


async def test_plays_are_paged_and_each_is_listed_once(stocked: World):
    await fill_plays(stocked, 5)
    undated = [{"item_id": MOVIE, "id": new_id(), "watched_at": None, "source": "marked"} for _ in range(2)]
    same_time = [{"item_id": MOVIE, "id": new_id(), "watched_at": DAY_MS, "source": "marked"} for _ in range(2)]
    await fill(stocked, schema.play, *undated, *same_time)
    whole = (await stocked.client.get(f"{MOVIE_URL}/plays", headers=stocked.member)).json()
    assert (len(whole["items"]), whole["next_cursor"]) == (9, None)
    parts = await read_in_parts(stocked, f"{MOVIE_URL}/plays")
    assert [len(part) for part in parts] == [2, 2, 2, 2, 1]
    assert [play for part in parts for play in part] == whole["items"]
    assert [play["watched_at"] for play in whole["items"][-2:]] == [None, None]


async def read_in_parts(world: World, url: str) -> list[list[dict[str, Any]]]:
    parts: list[list[dict[str, Any]]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await world.client.get(url, params={"limit": "2", **cursor}, headers=world.member)
        parts.append(answer.json()["items"])
        if answer.json()["next_cursor"] is None:
            return parts
        cursor = {"cursor": answer.json()["next_cursor"]}


async def test_now_playing_is_paged_and_each_entry_is_listed_once(stocked: World):
    ids = [new_id() for _ in range(5)]
    title = dict.fromkeys(("title", "sort_title", "search_title", "identity"), "")
    item = title | {"library_id": LIBRARY, "kind": "movie", "added_at": 0}
    rows = [item | {"id": each, "identity": each} for each in ids]
    await stocked.playhead.installation.database.write(lambda c: insert_items(c, rows))
    for each in ids:
        body = {"position_seconds": 100, "duration_seconds": 5400}
        await stocked.client.post(f"/api/v1/playback/movie/{each}", json=body, headers=stocked.member)
    parts = await read_in_parts(stocked, "/api/v1/now-playing")
    assert [len(part) for part in parts] == [2, 2, 1]
    assert {each["item"]["id"] for part in parts for each in part} == set(ids)
    everybody = await stocked.client.get("/api/v1/now-playing?all=true&limit=2", headers=stocked.admin)
    assert everybody.json()["next_cursor"]


@pytest.mark.parametrize("url", [f"{MOVIE_URL}/plays", "/api/v1/now-playing"])
async def test_a_cursor_of_another_list_is_refused(stocked: World, url: str):
    for cursor in ("x", "WzEsIngiXQ", "WzEsIngiLCJ5Il0", "e30"):
        answer = await stocked.client.get(url, params={"cursor": cursor}, headers=stocked.member)
        assert answer.json()["details"] == {"cursor": ["is not a cursor of this list"]}


async def test_the_page_of_an_item_pages_its_plays(stocked: World):
    await fill_plays(stocked, 150)
    first = (await stocked.client.get(f"/movies/{MOVIE}", headers=stocked.member)).text
    assert "150 plays" in first
    assert first.count('value="remove-play"') == 100
    [earlier] = re.findall(r'href="(\?plays=[^"]+)#plays"', first)
    second = (await stocked.client.get(f"/movies/{MOVIE}{earlier}", headers=stocked.member)).text
    assert second.count('value="remove-play"') == 50
    assert "Earlier plays" not in second


async def test_the_pages_of_admins_page_users(world: World):
    def add(connection: Connection) -> None:
        ids = [(new_id(), f"user {number:03}") for number in range(120)]
        common = {"role": "member", "password_hash": "", "created_at": 0}
        connection.execute(insert(schema.account), [common | {"id": each, "name": name} for each, name in ids])
        connection.execute(insert(schema.login), [{"name": name, "user_id": each} for each, name in ids])

    await world.playhead.installation.database.write(add)
    first = (await world.client.get("/admin/users", headers=world.admin)).text
    [more] = re.findall(r'href="(\?cursor=[^"]+)"', first)
    second = (await world.client.get(f"/admin/users{more}", headers=world.admin)).text
    assert first.count('aria-label="Change ') == 100
    assert second.count('aria-label="Change ') == 23
    assert "123" in (await world.client.get("/admin", headers=world.admin)).text


# Kept positions


async def test_the_newest_kept_positions_of_an_item_stay(stocked: World):
    for number in range(KEPT_POSITIONS_OF_ITEM.most + 3):
        for position in (1000 + number, 200):
            stocked.clock.advance(DAY_MS)
            body = {"position_seconds": position, "duration_seconds": 5400}
            await stocked.client.post(MOVIE_URL, json=body, headers=stocked.member)
    kept = (await stocked.client.get(f"{MOVIE_URL}/positions", headers=stocked.member)).json()["items"]
    assert len(kept) == KEPT_POSITIONS_OF_ITEM.most
    assert kept[0]["position_seconds"] == 1000 + KEPT_POSITIONS_OF_ITEM.most + 2


# Hidden, snoozed, dropped


async def test_a_card_state_beyond_the_limit_is_refused_until_one_is_removed(stocked: World):
    rows = [{"item_id": new_id(), "hidden_at": 1} for _ in range(DECISIONS_OF_USER.most)]
    await fill(stocked, schema.list_state, *rows)
    for method, url, body in (
        ("PUT", f"/api/v1/continue-watching/{MOVIE}/hidden", None),
        ("PUT", f"/api/v1/items/{MOVIE}/snoozed", {"until": "2025-11-20T22:00:00Z"}),
        ("PUT", f"/api/v1/shows/{SHOW}/dropped", None),
    ):
        assert_refused(await stocked.client.request(method, url, json=body, headers=stocked.member), DECISIONS_OF_USER)
    assert await count(stocked, schema.list_state) == DECISIONS_OF_USER.most


async def test_expired_snoozes_make_room_for_a_card_state(stocked: World):
    rows = [{"item_id": new_id(), "snoozed_until": 1} for _ in range(DECISIONS_OF_USER.most)]
    await fill(stocked, schema.list_state, *rows)
    answer = await stocked.client.put(f"/api/v1/shows/{SHOW}/dropped", headers=stocked.member)
    assert answer.status_code == 204
    assert await count(stocked, schema.list_state) == 1


# Tokens and sessions


async def fill_tokens(world: World, kind: TokenKind, number: int) -> None:
    common = {"kind": kind.value, "scope": "all", "name": "", "expires_at": None, "last_used_at": None}
    rows = [common | {"hash": f"{kind}-{each}", "id": new_id(), "created_at": each} for each in range(number)]
    await fill(world, schema.token, *rows)


async def test_a_token_beyond_the_limit_is_refused(world: World):
    await fill_tokens(world, TokenKind.API, TOKENS_OF_USER.most - 1)  # the world has created one
    assert_refused(await world.client.post("/api/v1/tokens", json={"name": "n"}, headers=world.member), TOKENS_OF_USER)
    await fill_tokens(world, TokenKind.SESSION, 1)  # which does not count
    first = (await world.client.get("/api/v1/tokens", headers=world.member)).json()["items"][-1]
    await world.client.delete(f"/api/v1/tokens/{first['id']}", headers=world.member)
    assert (await world.client.post("/api/v1/tokens", json={"name": "n"}, headers=world.member)).status_code == 201


async def test_the_settings_page_says_that_there_are_too_many_tokens(world: World):
    await fill_tokens(world, TokenKind.API, TOKENS_OF_USER.most - 1)
    answer = await world.client.post(
        "/settings/tokens", data={"name": "n"}, headers=world.member | {"sec-fetch-site": "same-origin"}
    )
    assert answer.status_code == 409
    assert "There can be at most 200 API tokens of one user" in answer.text


async def test_a_session_beyond_the_limit_ends_the_least_recently_used_one(world: World):
    await fill_tokens(world, TokenKind.SESSION, SESSIONS_OF_USER.most - 1)
    credentials = {"username": "member", "password": PASSWORD}
    first = (await world.client.post("/api/v1/sessions", json=credentials)).json()["token"]
    world.clock.advance(DAY_MS)
    second = (await world.client.post("/api/v1/sessions", json=credentials)).json()["token"]
    query = select(schema.token.c.hash).where(schema.token.c.kind == TokenKind.SESSION.value)
    hashes = await world.playhead.installation.database.read(lambda c: {*c.execute(query).scalars()})
    assert len(hashes) == SESSIONS_OF_USER.most
    assert "session-0" not in hashes
    assert "session-1" in hashes
    for token in (first, second):
        answer = await world.client.get("/api/v1/me", headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 200


# Libraries


async def test_a_library_beyond_the_limit_is_refused(world: World):
    rows = [
        {"id": new_id(), "name": f"Library {number}", "kind": "movies", "created_at": 0}
        for number in range(LIBRARIES.most)
    ]
    await world.playhead.installation.database.write(lambda c: c.execute(insert(schema.library), rows))
    answer = await world.client.post("/api/v1/libraries", json={"name": "N", "kind": "movies"}, headers=world.admin)
    assert_refused(answer, LIBRARIES)
