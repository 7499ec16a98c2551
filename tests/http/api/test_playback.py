"""The frozen contract over HTTP: its answers, and every row of its table of errors."""

import json
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, update

from playhead.storage.schema import item
from world import EPISODE, LIBRARY, MOVIE, NOWHERE, SHOW, World

pytestmark = [pytest.mark.anyio, pytest.mark.both_engines]

NOTHING_SAVED = {"position_seconds": 0, "duration_seconds": None, "completion_percentage": 0, "watched": False}
MINUTE_MS = 60_000
DAY_MS = 86_400_000


def movie(item_id: str = MOVIE) -> str:
    return f"/api/v1/playback/movie/{item_id}"


def episode(item_id: str = EPISODE) -> str:
    return f"/api/v1/playback/episode/{item_id}"


async def save(world: World, position: float, duration: float = 5400, url: str = "", **more: object) -> dict[str, Any]:
    report = {"position_seconds": position, "duration_seconds": duration, **more}
    response = await world.client.post(url or movie(), json=report, headers=world.member)
    assert response.status_code == 200, response.text
    return response.json()


async def read(world: World, url: str = "") -> dict[str, Any]:
    response = await world.client.get(url or movie(), headers=world.member)
    assert response.status_code == 200, response.text
    return response.json()


async def post(world: World, body: str | bytes, content_type: str | None = "application/json") -> httpx.Response:
    headers = {**world.member} if content_type is None else {**world.member, "content-type": content_type}
    return await world.client.post(movie(), content=body, headers=headers)


def assert_problem(response: httpx.Response, status: int, error: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (problem["status"], problem["title"], problem["error"]) == (status, error, error)
    assert problem["type"].startswith("urn:playhead:error:")
    return problem


async def test_the_answer_without_saved_progress_is_exact(stocked: World):
    assert await read(stocked) == NOTHING_SAVED
    assert await read(stocked, episode()) == NOTHING_SAVED


async def test_saved_progress_is_returned_and_read_again(stocked: World):
    expected = {
        "position_seconds": 1250,
        "duration_seconds": 5400,
        "completion_percentage": 23.15,
        "watched": False,
        "last_watched_at": "2025-11-08T22:00:00Z",
    }
    assert await save(stocked, 1250) == expected
    assert await read(stocked) == expected


async def test_the_answer_matches_the_contract_byte_for_byte(stocked: World):
    response = await post(stocked, '{"position_seconds": 1250, "duration_seconds": 5400}')
    assert response.content == (
        b'{"position_seconds":1250,"duration_seconds":5400,"completion_percentage":23.15,"watched":false,'
        b'"last_watched_at":"2025-11-08T22:00:00Z"}'
    )
    assert response.headers["content-type"] == "application/json"


async def test_an_episode_has_its_own_progress(stocked: World):
    await save(stocked, 1250)
    await save(stocked, 60, url=episode())
    assert (await read(stocked, episode()))["position_seconds"] == 60
    assert (await read(stocked))["position_seconds"] == 1250


async def test_every_save_moves_last_watched_at(stocked: World):
    await save(stocked, 1250)
    stocked.clock.advance(MINUTE_MS)
    assert (await save(stocked, 1250))["last_watched_at"] == "2025-11-08T22:01:00Z"


async def test_fractions_are_kept_to_the_millisecond(stocked: World):
    answer = await save(stocked, 12.3456, 5400.5)
    assert (answer["position_seconds"], answer["duration_seconds"]) == (12.346, 5400.5)


async def test_whole_numbers_are_returned_as_integers(stocked: World):
    response = await post(stocked, '{"position_seconds": 12.0, "duration_seconds": 5400.000}')
    assert b'"position_seconds":12,' in response.content
    assert b'"duration_seconds":5400,' in response.content


async def test_users_see_only_their_own_progress(stocked: World):
    await save(stocked, 1250)
    response = await stocked.client.get(movie(), headers=stocked.admin)
    assert response.json() == NOTHING_SAVED


async def test_the_user_comes_from_the_credential_never_from_the_request(stocked: World):
    await save(stocked, 1250, user_id=stocked.user_ids["admin"], user="admin")
    assert (await stocked.client.get(movie(), headers=stocked.admin)).json() == NOTHING_SAVED


async def test_optional_and_unknown_members_are_accepted(stocked: World):
    answer = await save(
        stocked,
        1250,
        event="pause",
        session_id="s1",
        device="Television",
        file_id=NOWHERE,
        observed_at="2025-11-08T21:59:00Z",
        client_now="2025-11-08T22:00:00.5+00:00",
        mood={"good": True},
    )
    assert answer["last_watched_at"] == "2025-11-08T21:59:00Z"


async def test_a_plain_text_beacon_is_accepted(stocked: World):
    response = await post(stocked, '{"position_seconds": 7, "duration_seconds": 60}', "text/plain;charset=UTF-8")
    assert response.status_code == 200
    assert (await read(stocked))["position_seconds"] == 7


async def test_an_id_in_capitals_is_the_same_id(stocked: World):
    await save(stocked, 1250, url=movie(MOVIE.upper()))
    assert (await read(stocked))["position_seconds"] == 1250


async def test_progress_survives_a_restart(stocked: World):
    saved = await save(stocked, 1250)
    await stocked.playhead.close()
    assert await read(stocked) == saved


# The worked examples of docs/semantics.md


async def test_example_1_a_report_in_the_middle(stocked: World):
    answer = await save(stocked, 1250)
    assert (answer["completion_percentage"], answer["watched"]) == (23.15, False)


async def test_example_2_exactly_90_percent_is_watched(stocked: World):
    answer = await save(stocked, 4860)
    assert (answer["completion_percentage"], answer["watched"]) == (90, True)
    assert await plays(stocked) == 1


async def test_example_3_a_second_less_is_not(stocked: World):
    answer = await save(stocked, 4859)
    assert (answer["completion_percentage"], answer["watched"]) == (89.98, False)
    assert await plays(stocked) == 0


async def test_example_4_threshold_credits_and_end_are_one_play(stocked: World):
    for position in (4900, 5000, 5400):
        stocked.clock.advance(MINUTE_MS)
        answer = await save(stocked, position)
    assert answer["watched"]
    assert await plays(stocked) == 1


async def test_example_5_a_second_viewing_keeps_the_mark(stocked: World):
    await save(stocked, 4900)
    stocked.clock.advance(DAY_MS)
    await save(stocked, 600)
    answer = await save(stocked, 3000)
    assert (answer["watched"], answer["position_seconds"]) == (True, 3000)
    assert await plays(stocked) == 1


async def test_example_6_a_second_viewing_to_the_end_is_a_second_play(stocked: World):
    await save(stocked, 4900)
    stocked.clock.advance(DAY_MS)
    await save(stocked, 600)
    await save(stocked, 4900)
    assert await plays(stocked) == 2


async def test_example_7_a_jump_back_and_forth_is_no_second_play(stocked: World):
    await save(stocked, 4900)
    stocked.clock.advance(2 * MINUTE_MS)
    await save(stocked, 600)
    await save(stocked, 4900)
    assert await plays(stocked) == 1


async def test_example_17_progress_belongs_to_the_item_not_to_the_file(stocked: World):
    await save(stocked, 3000, file_id="aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa")
    assert (await read(stocked))["position_seconds"] == 3000


@pytest.mark.parametrize("name", ["", "x" * 5000, "no such file", "\0"], ids=["empty", "long", "unknown", "NUL"])
async def test_whatever_a_player_calls_its_file_the_position_is_stored(stocked: World, name: str):
    await save(stocked, 3000, file_id=name)
    assert (await read(stocked))["position_seconds"] == 3000


async def test_a_report_in_the_time_of_a_part_is_placed_on_the_timeline(stocked: World):
    def divide(connection: Connection) -> None:
        parts = [[f"cd{part}", LIBRARY, 2_700_000, None, part, MOVIE, None] for part in (1, 2)]
        connection.execute(
            update(item).where(item.c.id == MOVIE).values(files=json.dumps(parts, separators=(",", ":")))
        )

    await stocked.playhead.installation.database.write(divide)
    answer = await save(stocked, 300, 2700, file_id="cd2")
    assert (answer["position_seconds"], answer["duration_seconds"]) == (3000, 5400)
    report = {"kind": "movie", "id": MOVIE, "position_seconds": 600, "duration_seconds": 2700, "file_id": "cd2"}
    response = await stocked.client.post("/api/v1/playback/batch", json={"reports": [report]}, headers=stocked.member)
    assert response.json()["results"][0]["state"]["position_seconds"] == 3300


async def plays(world: World) -> int:
    def count(connection: Connection) -> int:
        return connection.exec_driver_sql("SELECT count(*) FROM play").scalar_one()

    return await world.playhead.installation.database.read(count)


# The table of errors


async def test_401_without_a_credential(stocked: World):
    for response in (await stocked.client.get(movie()), await stocked.client.post(movie(), json={})):
        assert_problem(response, 401, "Not authenticated")
        assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("value", ["Bearer " + "0" * 64, "Bearer nonsense", "Bearer", "Basic YTpi", "Bearer é"])
async def test_401_with_an_invalid_credential(stocked: World, value: str):
    response = await stocked.client.get(movie(), headers={"authorization": value.encode()})
    assert_problem(response, 401, "Not authenticated")


async def test_401_with_a_revoked_token(stocked: World):
    tokens = (await stocked.client.get("/api/v1/tokens", headers=stocked.member)).json()["items"]
    await stocked.client.delete(f"/api/v1/tokens/{tokens[0]['id']}", headers=stocked.member)
    assert_problem(await stocked.client.get(movie(), headers=stocked.member), 401, "Not authenticated")


async def test_403_for_a_library_without_a_grant(stocked: World):
    report = {"position_seconds": 1, "duration_seconds": 2}
    for url in (movie(), episode(), movie(SHOW)):
        assert_problem(await stocked.client.get(url, headers=stocked.stranger), 403, "Access denied")
        response = await stocked.client.post(url, json=report, headers=stocked.stranger)
        assert_problem(response, 403, "Access denied")


@pytest.mark.parametrize("item_id", [NOWHERE, "12", "x" * 36, "%00", "é"])
async def test_404_for_a_missing_item(stocked: World, item_id: str):
    report = {"position_seconds": 1, "duration_seconds": 2}
    for url, error in ((movie(item_id), "Media item not found"), (episode(item_id), "Episode not found")):
        assert_problem(await stocked.client.get(url, headers=stocked.member), 404, error)
        assert_problem(await stocked.client.post(url, json=report, headers=stocked.member), 404, error)


async def test_404_for_an_item_of_another_kind(stocked: World):
    for url, error in (
        (movie(SHOW), "Media item is not a movie"),
        (movie(EPISODE), "Media item is not a movie"),
        (episode(MOVIE), "Episode not found"),
        (episode(SHOW), "Episode not found"),
    ):
        assert_problem(await stocked.client.get(url, headers=stocked.member), 404, error)


@pytest.mark.parametrize("body", ["", "{", "nope", "[" * 60_000, b"\xff\xfe\x00"])
async def test_400_for_a_body_that_is_not_json(stocked: World, body: str | bytes):
    assert_problem(await post(stocked, body), 400, "Malformed JSON")


async def test_413_for_a_body_over_64_kib(stocked: World):
    right = '{"position_seconds": 1, "duration_seconds": 60, "more": "%s"}'
    fits = right % ("x" * (65_536 - len(right) + 2))
    assert len(fits) == 65_536
    assert (await post(stocked, fits)).status_code == 200
    assert_problem(await post(stocked, fits + " "), 413, "Request too large")
    assert_problem(await post(stocked, "[" * 100_000), 413, "Request too large")


async def test_415_with_another_content_type(stocked: World):
    for content_type in ("application/x-www-form-urlencoded", "text/html", "application/jsonx"):
        response = await post(stocked, '{"position_seconds": 1, "duration_seconds": 2}', content_type)
        assert_problem(response, 415, "Unsupported media type")


@pytest.mark.parametrize(
    ("body", "details"),
    [
        ("{}", {"position_seconds": ["is required"], "duration_seconds": ["is required"]}),
        (
            '{"position_seconds": -1, "duration_seconds": 0}',
            {
                "position_seconds": ["must be greater than or equal to 0"],
                "duration_seconds": ["must be greater than 0"],
            },
        ),
        ('{"position_seconds": null, "duration_seconds": 1}', {"position_seconds": ["must not be null"]}),
        ('{"position_seconds": true, "duration_seconds": 1}', {"position_seconds": ["must be a number"]}),
        ('{"position_seconds": NaN, "duration_seconds": 1}', {"position_seconds": ["must be a finite number"]}),
        ('{"position_seconds": 1, "duration_seconds": 1e400}', {"duration_seconds": ["must be a finite number"]}),
        (
            '{"position_seconds": 1, "duration_seconds": 10000001}',
            {"duration_seconds": ["must be less than or equal to 10000000"]},
        ),
    ],
)
async def test_422_names_every_faulty_member(stocked: World, body: str, details: dict[str, list[str]]):
    assert assert_problem(await post(stocked, body), 422, "Invalid data")["details"] == details


@pytest.mark.parametrize("digits", [5000, 60_000])
async def test_422_for_a_number_of_many_digits(stocked: World, digits: int):
    body = f'{{"position_seconds": {"9" * digits}, "duration_seconds": 1}}'
    assert "position_seconds" in assert_problem(await post(stocked, body), 422, "Invalid data")["details"]


async def test_bad_input_changes_nothing(stocked: World):
    saved = await save(stocked, 1250)
    stocked.clock.advance(MINUTE_MS)
    for body in ("{", '{"position_seconds": 9}', '{"position_seconds": 9, "duration_seconds": 60, "event": "jump"}'):
        assert (await post(stocked, body)).status_code in {400, 422}
    assert await read(stocked) == saved


async def test_429_after_ten_failed_sign_ins(stocked: World):
    for _ in range(10):
        wrong = {"username": "member", "password": "wrong password"}
        assert_problem(await stocked.client.post("/api/v1/sessions", json=wrong), 401, "Not authenticated")
    response = await stocked.client.post("/api/v1/sessions", json=wrong)
    assert_problem(response, 429, "Too many attempts")
    assert 0 < int(response.headers["retry-after"]) <= 900


async def test_503_when_the_store_has_failed(stocked: World):
    await stocked.playhead.installation.database.close()
    for response in (
        await stocked.client.get(movie(), headers=stocked.member),
        await post(stocked, '{"position_seconds": 1, "duration_seconds": 2}'),
        await stocked.client.get("/readyz"),
    ):
        assert_problem(response, 503, "Service unavailable")
        assert int(response.headers["retry-after"]) >= 1
    assert (await stocked.client.get("/livez")).status_code == 200


async def test_another_method_is_refused_with_the_allowed_ones(stocked: World):
    response = await stocked.client.put(movie(), json={}, headers=stocked.member)
    assert_problem(response, 405, "Method not allowed")
    assert response.headers["allow"] == "DELETE, GET, HEAD, POST"


async def test_noop_answers_and_validates_like_a_save(stocked: World):
    report = {"position_seconds": 1250, "duration_seconds": 5400}
    response = await stocked.client.post("/api/v1/noop", json=report, headers=stocked.member)
    assert response.json()["completion_percentage"] == 23.15
    assert_problem(await stocked.client.post("/api/v1/noop", json={}, headers=stocked.member), 422, "Invalid data")
    assert_problem(await stocked.client.get("/api/v1/noop"), 401, "Not authenticated")
    response = await stocked.client.get("/api/v1/noop", headers=stocked.member)
    assert json.loads(response.content)["position_seconds"] == 1250
