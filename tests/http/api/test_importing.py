"""The import over HTTP: its answers, and every way in which a body can be wrong."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert

from playhead.domain.importing import FAULTS_MAX
from playhead.domain.limits import LINES_OF_IMPORT
from playhead.http.api.importing import BODY_MAX_BYTES, LINE_MAX_BYTES, Lines
from playhead.storage import schema
from world import World

pytestmark = [pytest.mark.anyio, pytest.mark.both_engines]

PATH = "/api/v1/catalogue/import"
OWN = "aaaaaaaa-0000-4000-8000-000000000001"

MOVIE: dict[str, Any] = {"library": "Film", "kind": "movie", "title": "Harbour Lights", "year": 2019}
SHOW: dict[str, Any] = {"library": "Serie", "kind": "show", "title": "Tidal Station", "external_ids": {"tvdb": "7"}}
EPISODE: dict[str, Any] = {
    "library": "Serie",
    "kind": "episode",
    "title": "Ebb",
    "show": {"external_ids": {"tvdb": "7"}},
    "season_number": 1,
    "episode_number": 2,
}


@pytest.fixture
async def ready(world: World) -> World:
    """The world with two libraries for imports."""
    rows = [
        {"id": "f0000000-0000-4000-8000-000000000000", "name": "Film", "kind": "movies", "created_at": 0},
        {"id": "50000000-0000-4000-8000-000000000000", "name": "Serie", "kind": "shows", "created_at": 0},
    ]
    await world.playhead.installation.database.write(lambda c: c.execute(insert(schema.library), rows))
    return world


async def send(
    world: World, body: bytes | AsyncIterator[bytes], media_type: str = "application/x-ndjson"
) -> httpx.Response:
    headers = world.admin | {"content-type": media_type}
    return await world.client.post(PATH, headers=headers, content=body)


def ndjson(*lines: object) -> bytes:
    return b"\n".join(json.dumps(line).encode() for line in lines)


async def details(world: World, body: bytes) -> dict[str, list[str]]:
    answer = await send(world, body)
    assert (answer.status_code, answer.json()["error"]) == (422, "Invalid data"), answer.text
    return answer.json()["details"]


async def test_items_are_imported_and_found_again(ready: World):
    body = ndjson(MOVIE | {"id": OWN, "runtime_seconds": 5400.5, "credits_start_seconds": 5000}, EPISODE, SHOW)
    answer = await send(ready, body)
    assert (answer.status_code, answer.json()) == (200, {"added": 3, "changed": 0, "unchanged": 0})
    assert (await send(ready, body)).json() == {"added": 0, "changed": 0, "unchanged": 3}
    item = (await ready.client.get(f"/api/v1/items/{OWN}", headers=ready.admin)).json()
    assert (item["title"], item["year"], item["available"], item["runtime_seconds"]) == (
        "Harbour Lights",
        2019,
        True,
        5400.5,
    )


async def test_progress_survives_the_removal_and_return_of_an_item(ready: World):
    await send(ready, ndjson(MOVIE | {"id": OWN}))
    path = f"/api/v1/playback/movie/{OWN}"
    body = {"position_seconds": 1250, "duration_seconds": 5400}
    saved = (await ready.client.post(path, headers=ready.admin, json=body)).json()
    for line in (MOVIE | {"id": OWN, "available": False}, MOVIE | {"title": "Other", "id": OWN}):
        assert (await send(ready, ndjson(line))).json()["changed"] == 1
        assert (await ready.client.get(path, headers=ready.admin)).json() == saved


@pytest.mark.parametrize("body", [b"", b"\n", b" \r\n\n"])
async def test_an_empty_body_is_answered_with_zeros(ready: World, body: bytes):
    answer = await send(ready, body)
    assert (answer.status_code, answer.json()) == (200, {"added": 0, "changed": 0, "unchanged": 0})


async def test_blank_lines_and_windows_line_ends_make_no_difference(ready: World):
    body = b"\r\n" + ndjson(MOVIE) + b"\r\n\r\n" + ndjson(MOVIE | {"year": 1950}) + b"\r\n"
    assert (await send(ready, body)).json() == {"added": 2, "changed": 0, "unchanged": 0}


async def test_every_faulty_line_is_reported_and_nothing_is_imported(ready: World):
    body = b"\n".join(
        [
            ndjson(MOVIE),
            b"",
            ndjson({"library": "Film", "kind": "film", "year": 1.5, "id": OWN}),
            b"{",
            ndjson(MOVIE | {"title": "Dawn", "id": "x", "air_date": "2024-02-30"}),
            ndjson(MOVIE | {"library": "Nowhere"}),
            b"[]",
            ndjson(EPISODE | {"show": {"id": "x"}}),
            ndjson(MOVIE | {"title": "HARBOUR lights"}),
        ]
    )
    assert await details(ready, body) == {
        "line 3: kind": ["invalid enum value 'film'"],
        "line 3: title": ["is required"],
        "line 3: year": ["must be a whole number"],
        "line 4": ["is not JSON"],
        "line 5: id": ["must be a UUID"],
        "line 5: air_date": ["must be a date such as 2024-01-15"],
        "line 6: library": ["there is no such library"],
        "line 7": ["must be an object"],
        "line 8: show": ["id: must be a UUID"],
        "line 9": ["means the same item as line 1"],
    }
    assert (await send(ready, ndjson(MOVIE))).json() == {"added": 1, "changed": 0, "unchanged": 0}


@pytest.mark.parametrize(
    ("member", "fault"),
    [
        ('"title": "a\\u0000b"', "line 1: title"),
        ('"title": "\\ud800"', "line 1: title"),
        ('"title": ""', "line 1: title"),
        ('"title": true', "line 1: title"),
        (f'"title": "{"x" * 501}"', "line 1: title"),
        ('"title": "\\u001b\\u202e\\n"', "line 1: title"),
        (f'"external_ids": {{"tmdb": "{"x" * 201}"}}', "line 1: external_ids"),
        (f'"external_ids": {{"{"x" * 51}": "1"}}', "line 1: external_ids"),
        ('"title": "x", "title": null', "line 1: title"),
        (f'"year": {"9" * 5000}', "line 1: year"),
        ('"year": 0', "line 1: year"),
        ('"year": 1e400', "line 1: year"),
        ('"year": NaN', "line 1: year"),
        ('"runtime_seconds": 1e9', "line 1: runtime_seconds"),
        ('"runtime_seconds": 0', "line 1: runtime_seconds"),
        ('"runtime_seconds": Infinity', "line 1: runtime_seconds"),
        ('"available": 1', "line 1: available"),
        ('"external_ids": {"tmdb": 603}', "line 1: external_ids"),
        ('"external_ids": {"tmdb": "\\ud800"}', "line 1: external_ids"),
        ('"external_ids": {"tmdb": "\\u0000"}', "line 1: external_ids"),
        ('"external_ids": {"\\u0000": "1"}', "line 1: external_ids"),
        ('"external_ids": []', "line 1: external_ids"),
        ('"show": []', "line 1: show"),
        ('"season_number": -1', "line 1: season_number"),
        ('"air_date": "2024-W01-1"', "line 1: air_date"),
        ('"other": "\\ud800"', "line 1"),
        (f'"other": {"[" * 30_000}{"]" * 30_000}', "line 1"),
    ],
)
async def test_a_line_that_is_not_an_item_is_reported(ready: World, member: str, fault: str):
    body = json.dumps(MOVIE)[:-1] + ", " + member + "}"
    assert list(await details(ready, body.encode())) == [fault]


async def test_a_line_that_is_too_long_is_reported(ready: World):
    body = ndjson(MOVIE, MOVIE | {"other": "x" * LINE_MAX_BYTES}, [])
    assert await details(ready, body) == {
        "line 2": [f"must have at most {LINE_MAX_BYTES} bytes"],
        "line 3": ["must be an object"],
    }


async def test_an_endless_line_is_not_buffered(ready: World):
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(32):
            yield b"x" * 65_536

    headers = ready.admin | {"content-type": "application/x-ndjson"}
    answer = await ready.client.post(PATH, headers=headers, content=pieces())
    assert answer.json()["details"] == {"line 1": [f"must have at most {LINE_MAX_BYTES} bytes"]}


async def test_of_very_many_faults_the_first_are_reported(ready: World):
    named = await details(ready, b"x\n" * (FAULTS_MAX + 500))
    assert len(named) == FAULTS_MAX + 1
    assert named["body"] == [f"only the first {FAULTS_MAX} faults are listed"]


async def test_a_body_over_the_limit_is_too_large(ready: World):
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(BODY_MAX_BYTES // (1024 * 1024) + 1):
            yield b" " * (1024 * 1024)

    headers = ready.admin | {"content-type": "application/x-ndjson"}
    answer = await ready.client.post(PATH, headers=headers | {"content-length": str(BODY_MAX_BYTES + 1)}, content=b"")
    assert answer.status_code == 413
    assert (await ready.client.post(PATH, headers=headers, content=pieces())).status_code == 413


async def test_more_lines_than_fit_into_memory_are_too_large(ready: World):
    answer = await send(ready, (ndjson(MOVIE) + b"\n") * (LINES_OF_IMPORT.most + 1))
    assert answer.status_code == 413


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", "application/xml", ""])
async def test_another_content_type_is_not_supported(ready: World, media_type: str):
    assert (await send(ready, ndjson(MOVIE), media_type)).status_code == 415


async def test_only_admins_import(ready: World):
    for headers, status in ((ready.member, 403), ({}, 401)):
        answer: httpx.Response = await ready.client.post(PATH, headers=headers, content=ndjson(MOVIE))
        assert answer.status_code == status


@given(st.binary(max_size=200), st.integers(min_value=1, max_value=50))
def test_lines_are_the_same_however_a_body_is_split(body: bytes, size: int):
    body = ndjson(MOVIE) + b"\n" + body + b"\n"
    whole, cut = Lines(), Lines()
    whole.feed(body)
    for start in range(0, len(body), size):
        cut.feed(body[start : start + size])
    assert (cut.entries, cut.faults) == (whole.entries, whole.faults)


@pytest.mark.parametrize("letter", ["x", "千", "\ufdfa", "1 2", "\U0001f9d1"])
async def test_the_longest_titles_of_any_script_are_accepted_on_both_engines(ready: World, letter: str):
    title = (letter * 500)[:500]
    body = ndjson(MOVIE | {"title": title}, MOVIE | {"title": title[:-1] + "z"})
    assert (await send(ready, body)).json() == {"added": 2, "changed": 0, "unchanged": 0}
    assert (await send(ready, body)).json() == {"added": 0, "changed": 0, "unchanged": 2}


async def test_a_title_is_stored_without_control_characters(ready: World):
    body = ndjson(MOVIE | {"title": " Evil\x1b]0;owned\x07\n\u202eLight "})
    assert (await send(ready, body)).json()["added"] == 1
    items = (await ready.client.get("/api/v1/items", headers=ready.admin)).json()["items"]
    assert "Evil ]0;owned Light" in [item["title"] for item in items]
    assert (await send(ready, body)).json()["unchanged"] == 1
