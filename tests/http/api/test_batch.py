"""Batches of reports from devices that were offline: each report has its own result and affects no other."""

import json
from typing import Any

import httpx
import pytest

from player import Player
from playhead.domain.limits import REPORTS_OF_BATCH
from world import EPISODE, MOVIE, NOWHERE, SHOW, World

pytestmark = [pytest.mark.anyio, pytest.mark.both_engines]

URL = "/api/v1/playback/batch"


def report(position: object, observed: str | None = None, **more: object) -> dict[str, Any]:
    """A report of the movie, observed at an hour and minute of this evening; it is 22:00 now."""
    made = {"kind": "movie", "id": MOVIE, "position_seconds": position, "duration_seconds": 5400}
    return made | ({} if observed is None else {"observed_at": f"2025-11-08T{observed}:00Z"}) | more


async def post(world: World, body: object, headers: dict[str, str] | None = None) -> httpx.Response:
    return await world.client.post(URL, json=body, headers=world.member if headers is None else headers)


async def send(world: World, *reports: object, **more: object) -> list[dict[str, Any]]:
    response = await post(world, {"reports": reports, **more})
    assert response.status_code == 200, response.text
    return response.json()["results"]


async def test_reports_are_answered_one_by_one_in_order(stocked: World):
    first, second = await send(stocked, report(1250), report(60, kind="episode", id=EPISODE))
    assert first == {
        "status": 200,
        "applied": True,
        "reason": None,
        "state": {
            "position_seconds": 1250,
            "duration_seconds": 5400,
            "completion_percentage": 23.15,
            "watched": False,
            "last_watched_at": "2025-11-08T22:00:00Z",
        },
    }
    assert second["state"]["position_seconds"] == 60
    assert (await Player(stocked).state())["position_seconds"] == 1250
    assert (await Player(stocked, EPISODE, kind="episode").state())["position_seconds"] == 60


async def test_the_order_of_arrival_does_not_matter(stocked: World):
    results = await send(stocked, report(3000, "21:00"), report(900, "20:00"), report(2000, "20:30"))
    assert [result["applied"] for result in results] == [True, True, True]
    assert [result["state"]["position_seconds"] for result in results] == [3000, 900, 2000]
    state = await Player(stocked).state()
    assert (state["position_seconds"], state["last_watched_at"]) == (3000, "2025-11-08T21:00:00Z")


async def test_a_whole_offline_evening_counts_its_plays(stocked: World):
    await send(stocked, report(5000, "21:50"), report(600, "18:00"), report(5000, "19:30"), report(600, "20:00"))
    times = [play["watched_at"] for play in await Player(stocked).plays()]
    assert times == ["2025-11-08T21:50:00Z", "2025-11-08T19:30:00Z"]


async def test_reports_without_a_time_count_as_now_in_their_order(stocked: World):
    await send(stocked, report(700), report(800), report(900, "21:00"))
    assert (await Player(stocked).state())["position_seconds"] == 800


async def test_a_late_report_is_reported_as_late(stocked: World):
    await Player(stocked).report(3000)
    (result,) = await send(stocked, report(900, "20:00"))
    assert (result["status"], result["applied"], result["reason"]) == (200, False, "late")
    assert result["state"]["position_seconds"] == 3000


async def test_a_late_completion_is_not_applied_and_still_marks(stocked: World):
    await Player(stocked).report(3000)
    (result,) = await send(stocked, report(5000, "20:00"))
    assert (result["applied"], result["reason"], result["state"]["watched"]) == (False, "late", True)


async def test_a_forgotten_tab_and_a_failed_start_are_reported_as_such(stocked: World):
    await send(stocked, report(3000, session_id="A"), report(60, session_id="B", event="start"))
    results = await send(stocked, report(0, session_id="B"), report(3060, session_id="A"))
    assert [(result["applied"], result["reason"]) for result in results] == [
        (False, "below_floor"),
        (False, "superseded"),
    ]
    assert (await Player(stocked).state())["position_seconds"] == 3000


async def test_the_clock_of_the_device_is_corrected_for_all_reports(stocked: World):
    # The device's clock shows 19:00 while it is 22:00.
    await send(stocked, report(900, "18:00"), client_now="2025-11-08T19:00:00Z")
    assert (await Player(stocked).state())["last_watched_at"] == "2025-11-08T21:00:00Z"


async def test_the_client_clock_of_a_single_report_is_ignored(stocked: World):
    await send(stocked, report(900, "20:00", client_now="2025-11-08T20:00:00Z"))
    assert (await Player(stocked).state())["last_watched_at"] == "2025-11-08T20:00:00Z"


async def test_the_same_batch_twice_counts_once(stocked: World):
    reports = [report(600, "18:00"), report(5000, "19:30"), report(600, "20:00"), report(3000, "21:00")]
    await send(stocked, *reports)
    state = await Player(stocked).state()
    await send(stocked, *reports)
    assert await Player(stocked).state() == state


async def test_a_faulty_report_affects_no_other(stocked: World):
    results = await send(
        stocked,
        report(None),
        report(1250),
        report("12", duration_seconds=0, kind="show"),
        7,
        report(1, id=NOWHERE),
        report(1, id="nonsense", kind="episode"),
        report(1, id=SHOW),
        {"kind": "movie"},
    )
    assert [result["status"] for result in results] == [422, 200, 422, 422, 404, 404, 404, 422]
    assert results[0] == {
        "status": 422,
        "error": "Invalid data",
        "details": {"position_seconds": ["must not be null"]},
    }
    assert [*results[2]["details"]] == ["position_seconds", "duration_seconds", "kind"]
    assert results[3]["details"] == {"report": ["must be an object"]}
    assert results[4] == {"status": 404, "error": "Media item not found"}
    assert results[5] == {"status": 404, "error": "Episode not found"}
    assert results[6] == {"status": 404, "error": "Media item is not a movie"}
    assert [*results[7]["details"]] == ["position_seconds", "duration_seconds", "id"]
    assert (await Player(stocked).state())["version"] == 1


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-1", "9" * 400, "1e400"])
async def test_an_invalid_number_affects_no_other_report(stocked: World, number: str):
    body = json.dumps({"reports": [report(1250), report("?")]}).replace('"?"', number)
    response = await stocked.client.post(URL, content=body, headers=stocked.member)
    assert [result["status"] for result in response.json()["results"]] == [200, 422]


@pytest.mark.parametrize("text", ["\\ud800", "a\\u0000b"])
async def test_text_that_no_store_accepts_affects_no_other_report(stocked: World, text: str):
    body = json.dumps({"reports": [report(1250), report(60, device="?")]}).replace("?", text)
    response = await stocked.client.post(URL, content=body, headers=stocked.member)
    assert [result["status"] for result in response.json()["results"]] == [200, 422]


async def test_forbidden_items_are_refused_report_by_report(stocked: World):
    response = await post(stocked, {"reports": [report(1250)]}, stocked.stranger)
    assert response.json()["results"] == [{"status": 403, "error": "Access denied"}]


async def test_a_batch_changes_nothing_of_other_users(stocked: World):
    await send(stocked, report(1250))
    assert (await Player(stocked, headers=stocked.admin).state())["version"] == 0


async def test_an_empty_batch_has_no_results(stocked: World):
    assert await send(stocked) == []


async def test_500_reports_are_accepted(stocked: World):
    reports = [report(number, device="x" * 200, session_id="y" * 200, file_id="z" * 200) for number in range(500)]
    results = await send(stocked, *reports)
    assert {result["status"] for result in results} == {200}
    state = await Player(stocked).state()
    assert (state["position_seconds"], state["version"]) == (499, 1)


@pytest.mark.parametrize(
    ("body", "member"),
    [
        ([], "body"),
        ({}, "reports"),
        ({"reports": None}, "reports"),
        ({"reports": {"0": {}}}, "reports"),
        ({"reports": [{}] * 501}, "reports"),
        ({"reports": [], "client_now": "yesterday"}, "client_now"),
        ({"reports": [7], "client_now": 7}, "client_now"),
    ],
)
async def test_a_body_that_is_not_a_batch_is_refused_entirely(stocked: World, body: object, member: str):
    response = await post(stocked, body)
    assert (response.status_code, [*response.json()["details"]]) == (422, [member])


async def test_a_batch_over_the_limit_is_refused_entirely_and_one_at_the_limit_is_not(stocked: World):
    reports = [report(number) for number in range(REPORTS_OF_BATCH.most + 1)]
    answer = await post(stocked, {"reports": reports})
    assert (answer.status_code, [*answer.json()["details"]]) == (422, ["reports"])
    assert (await Player(stocked).state())["version"] == 0
    assert len((await post(stocked, {"reports": reports[1:]})).json()["results"]) == REPORTS_OF_BATCH.most


async def test_a_body_that_is_not_json_is_refused_entirely(stocked: World):
    response = await stocked.client.post(URL, content='{"reports": [', headers=stocked.member)
    assert (response.status_code, response.json()["error"]) == (400, "Malformed JSON")


async def test_a_megabyte_is_accepted_and_no_more(stocked: World):
    body = json.dumps({"reports": [report(1250)], "more": "?"})
    fits = body.replace("?", "x" * (1024 * 1024 - len(body) + 1))
    assert len(fits) == 1024 * 1024
    assert (await stocked.client.post(URL, content=fits, headers=stocked.member)).status_code == 200
    assert (await stocked.client.post(URL, content=fits + " ", headers=stocked.member)).status_code == 413


async def test_a_failed_store_refuses_the_whole_batch(stocked: World):
    await stocked.playhead.installation.database.close()
    response = await post(stocked, {"reports": [report(1250), report(None)]})
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) >= 1
