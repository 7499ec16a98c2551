"""Malformed ids: PostgreSQL cannot compare them with a uuid, so no statement may receive one."""

import re

import pytest

from playhead.http.route import Route
from world import MOVIE, World

pytestmark = [pytest.mark.anyio, pytest.mark.both_engines]

NO_IDS = ("none", "11111111-1111-4111-8111-11111111111", "%27", MOVIE.upper())

OWN_PAGE = {"sec-fetch-site": "same-origin"}

# Form fields that contain an id.
FORMS = (
    {"do": "remove-play", "play": "none"},
    {"do": "restore", "position": "none"},
    {"kind": "movie", "item": "none"},
    {"kind": "movie", "item": MOVIE},
    {"library-none": "on"},
)


async def statuses(world: World, route: Route, text: str) -> list[tuple[int, str]]:
    path = re.sub(r"{[^}]*}", text, route.path)
    forms = FORMS if route.show_refusal is not None and route.method == "POST" else (None,)
    body = {"position_seconds": 1, "duration_seconds": 2, "until": "2025-11-09T22:00:00Z"} if route.request else None
    headers = world.admin | OWN_PAGE
    answers = [await world.client.request(route.method, path, json=body, data=form, headers=headers) for form in forms]
    return [(answer.status_code, f"{route.method} {path}: {answer.text[:200]}") for answer in answers]


@pytest.mark.parametrize("text", NO_IDS)
async def test_no_route_fails_on_a_malformed_id(stocked: World, text: str):
    routes = [route for route in stocked.playhead.table if "{" in route.path]
    assert len(routes) > 50
    for route in routes:
        for status, what in await statuses(stocked, route, text):
            assert status < 500, what


async def test_removing_a_play_by_a_malformed_id_changes_nothing(stocked: World):
    answer = await stocked.client.post(
        "/history/none/remove", data={"kind": "movie", "item": MOVIE}, headers=stocked.admin | OWN_PAGE
    )
    assert answer.status_code == 404, answer.text
