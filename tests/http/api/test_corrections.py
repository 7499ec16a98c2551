"""Corrections of the catalogue over HTTP, and their log."""

from typing import Any

import pytest
from sqlalchemy import Connection, insert

from playhead.storage import schema
from world import EPISODE, LIBRARY, MOVIE, NOWHERE, RUNTIME_MS, SHOW, World, insert_items

pytestmark = [pytest.mark.anyio, pytest.mark.both_engines]

OTHER = "55555555-5555-4555-8555-555555555555"
FILE = "66666666-6666-4666-8666-666666666666"


async def call(world: World, method: str, path: str, body: object = None, *, as_admin: bool = True) -> tuple[int, Any]:
    headers = world.admin if as_admin else world.member
    answer = await world.client.request(method, f"/api/v1{path}", json=body, headers=headers)
    return answer.status_code, answer.json() if answer.content else None


async def faults(world: World, method: str, path: str, body: object) -> dict[str, list[str]]:
    status, answer = await call(world, method, path, body)
    assert status == 422, answer
    return answer["details"]


@pytest.fixture
async def doubled(stocked: World) -> World:
    """The world with the film twice, and a file of the first."""

    def add(connection: Connection) -> None:
        title = {"title": "Harbour Light", "year": 2018, "kind": "movie", "runtime_ms": RUNTIME_MS}
        insert_items(connection, [title | {"id": OTHER, "identity": "harbour light|2018|"}])
        file = {"id": FILE, "library_id": LIBRARY, "path": "xvid-hl.mkv", "size": 1, "mtime_ns": 1, "label": "1080p"}
        further = {"evidence": "", "added_at": 0, "duration_ms": RUNTIME_MS, "fingerprint": "f"}
        connection.execute(insert(schema.media_file), [file | further])
        connection.execute(insert(schema.file_item), [{"file_id": FILE, "item_id": MOVIE}])

    await stocked.playhead.installation.database.write(add)
    return stocked


async def test_a_merge_answers_with_the_item_and_sync_clients_hear_of_it(doubled: World) -> None:
    report = {"position_seconds": 1200, "duration_seconds": 5400}
    assert (await call(doubled, "POST", f"/playback/movie/{OTHER}", report, as_admin=False))[0] == 200
    doubled.clock.advance(60_000)
    before = "2025-11-08T22:00:30Z"
    status, answer = await call(doubled, "POST", f"/items/{MOVIE}/merge", {"from": OTHER})
    assert (status, answer["item"]["id"], answer["left_over"]) == (200, MOVIE, [])
    _, changed = await call(doubled, "GET", f"/playback?changed_since={before}", as_admin=False)
    assert [(each["id"], each["position_seconds"]) for each in changed["items"]] == [(MOVIE, 1200)]
    assert changed["merged"] == [{"id": OTHER, "merged_into": MOVIE}]
    _, later = await call(doubled, "GET", "/playback?changed_since=2025-11-08T22:02:00Z", as_admin=False)
    assert (later["items"], later["merged"]) == ([], [])
    for item_id in (MOVIE, OTHER):
        _, read = await call(doubled, "GET", f"/playback/movie/{item_id}", as_admin=False)
        assert read["position_seconds"] == 1200
        assert (await call(doubled, "GET", f"/items/{item_id}"))[1]["id"] == MOVIE


async def test_faults_of_a_merge_name_the_member(doubled: World) -> None:
    path = f"/items/{MOVIE}/merge"
    assert await faults(doubled, "POST", path, {"from": MOVIE}) == {
        "from": ["must be another item: they are one already"]
    }
    assert await faults(doubled, "POST", path, {"from": SHOW}) == {"from": ["must be a movie"]}
    assert await faults(doubled, "POST", path, {"from": "x"}) == {"from": ["must be a UUID"]}
    assert "from" in await faults(doubled, "POST", path, {})
    assert (await call(doubled, "POST", path, {"from": NOWHERE}))[0] == 404
    assert (await call(doubled, "POST", f"/items/{NOWHERE}/merge", {"from": MOVIE}))[0] == 404


async def test_items_told_apart_are_in_the_log_and_not_merged_until_that_is_undone(doubled: World) -> None:
    merging = doubled.playhead.installation.merging
    same = {"external_ids": {"tmdb": "7"}}
    for item_id in (MOVIE, OTHER):
        assert (await call(doubled, "PATCH", f"/items/{item_id}", same))[0] == 200
    path = f"/items/{MOVIE}/tell-apart"
    assert await call(doubled, "POST", path, {"other": OTHER}) == (204, None)
    assert await merging.merge_certain() == 0
    _, log = await call(doubled, "GET", "/audit?limit=500")
    (entry,) = [each for each in log["items"] if each["act"] == "tell-apart"]
    assert (entry["subject"].split(" ≠ ")[1], entry["can_undo"]) == ("Harbour Light (2018)", True)
    assert (await call(doubled, "POST", f"/audit/{entry['id']}/undo"))[0] == 204
    assert await merging.merge_certain() == 1


async def test_faults_of_telling_apart_name_the_member(doubled: World) -> None:
    path = f"/items/{MOVIE}/tell-apart"
    assert await faults(doubled, "POST", path, {"other": SHOW}) == {"other": ["must be a movie"]}
    assert await faults(doubled, "POST", path, {"other": "x"}) == {"other": ["must be a UUID"]}
    assert (await call(doubled, "POST", path, {"other": NOWHERE}))[0] == 404


async def test_a_split_answers_with_the_item_that_has_the_files(doubled: World) -> None:
    body = {"file_ids": [FILE], "title": "Harbour Nights", "year": 2020}
    status, made = await call(doubled, "POST", f"/items/{MOVIE}/split", body)
    assert (status, made["title"], made["year"], made["available"]) == (200, "Harbour Nights", 2020, True)
    assert [file["id"] for file in (await call(doubled, "GET", f"/items/{made['id']}"))[1]["files"]] == [FILE]
    report = {"position_seconds": 1200, "duration_seconds": 5400, "file_id": FILE}
    assert (await call(doubled, "POST", f"/playback/movie/{made['id']}", report, as_admin=False))[0] == 200
    back = {"file_ids": [FILE], "into": MOVIE, "with_state": True}
    assert (await call(doubled, "POST", f"/items/{made['id']}/split", back))[1]["id"] == MOVIE
    moved = (await call(doubled, "GET", f"/playback/movie/{MOVIE}", as_admin=False))[1]
    assert moved["position_seconds"] == 1200
    assert await faults(doubled, "POST", f"/items/{MOVIE}/split", {"file_ids": ["x"]}) == {
        "file_ids": ["must be a UUID"]
    }
    assert "into" in await faults(doubled, "POST", f"/items/{MOVIE}/split", {"file_ids": [FILE], "into": "x"})
    assert "title" in await faults(doubled, "POST", f"/items/{MOVIE}/split", {"file_ids": [FILE], "title": "\u202e"})


async def test_a_file_is_identified_shown_and_released(doubled: World) -> None:
    path = f"/files/{FILE}/identity"
    status, known = await call(doubled, "GET", path)
    assert (status, known["path"], known["read"]["title"], known["told"], known["items"]) == (
        200,
        "xvid-hl.mkv",
        "xvid-hl",
        None,
        [MOVIE],
    )
    told = {"title": "Harbour Lights", "year": 2019, "external_ids": {"tmdb": "7"}, "edition": "Uncut"}
    status, known = await call(doubled, "PUT", path, told)
    assert status == 200
    assert {name: known["told"][name] for name in told} == told
    assert (await call(doubled, "DELETE", path))[0] == 204
    assert (await call(doubled, "DELETE", path))[0] == 404
    told = {"title": "Tidal Station", "air_date": "2021-05-01", "kind": "episode"}
    assert (await call(doubled, "PUT", path, told))[1]["told"]["air_date"] == "2021-05-01"
    assert (await call(doubled, "PUT", f"/files/{NOWHERE}/identity", told))[0] == 404


@pytest.mark.parametrize(
    ("told", "member"),
    [
        ({}, "title"),
        ({"ignore": True, "title": "Autumn"}, "ignore"),
        ({"kind": "movie", "episode_number": 1}, "kind"),
        ({"season_number": 1}, "episode_number"),
        ({"episode_number": 3, "episode_end": 3}, "episode_end"),
        ({"air_date": "2021-02-30"}, "air_date"),
        ({"item_id": "x"}, "item_id"),
        ({"item_id": SHOW}, "item_id"),
        ({"title": "\u202e"}, "title"),
    ],
)
async def test_faults_of_an_identity_name_the_member(doubled: World, told: dict[str, object], member: str) -> None:
    assert [*await faults(doubled, "PUT", f"/files/{FILE}/identity", told)] == [member]


async def test_an_item_is_changed_and_says_which_members_are_pinned(doubled: World) -> None:
    body = {"title": "Harbor Lights", "runtime_seconds": 90.5, "external_ids": {"imdb": "tt1"}}
    status, item = await call(doubled, "PATCH", f"/items/{MOVIE}", body)
    assert (status, item["title"], item["runtime_seconds"], item["external_ids"]) == (
        200,
        "Harbor Lights",
        90.5,
        {"imdb": "tt1"},
    )
    assert item["pinned"] == ["external_ids", "runtime_seconds", "title"]
    _, item = await call(doubled, "PATCH", f"/items/{MOVIE}", {"runtime_seconds": None, "title": None, "year": 2017})
    assert (item["pinned"], item["year"]) == (["external_ids", "year"], 2017)
    status, item = await call(doubled, "PATCH", f"/items/{MOVIE}", {"credits_start_seconds": 80})
    assert item["pinned"] == ["credits_start_seconds", "external_ids", "year"]
    assert await faults(doubled, "PATCH", f"/items/{EPISODE}", {"year": 2019}) == {
        "year": ["must not be set: an episode has none"]
    }


async def test_a_library_is_renamed_and_removed_and_both_undone(doubled: World) -> None:
    status, library = await call(doubled, "PATCH", f"/libraries/{LIBRARY}", {"name": "Cinema"})
    assert (status, library["name"]) == (200, "Cinema")
    assert await faults(doubled, "PATCH", f"/libraries/{LIBRARY}", {"path": "/nowhere"}) == {
        "path": ["must be an existing folder that can be read"]
    }
    doubled.clock.advance(1)
    assert (await call(doubled, "DELETE", f"/libraries/{LIBRARY}"))[0] == 204
    assert (await call(doubled, "GET", "/libraries"))[1]["items"] == []
    assert (await call(doubled, "DELETE", f"/libraries/{LIBRARY}?titles=delete"))[0] == 404
    assert "titles" in await faults(doubled, "DELETE", f"/libraries/{LIBRARY}?titles=x", None)
    _, log = await call(doubled, "GET", "/audit")
    assert [(each["act"], each["subject"], each["user"], each["can_undo"]) for each in log["items"]] == [
        ("remove-library", "Cinema", "admin", True),
        ("rename-library", "Films → Cinema", "admin", True),
    ]
    for entry in log["items"]:
        assert (await call(doubled, "POST", f"/audit/{entry['id']}/undo"))[0] == 204
    assert [each["name"] for each in (await call(doubled, "GET", "/libraries"))[1]["items"]] == ["Films"]
    _, log = await call(doubled, "GET", "/audit?limit=1")
    assert [each["can_undo"] for each in log["items"]] == [False]
    assert log["items"][0]["undone_at"] is not None
    _, rest = await call(doubled, "GET", f"/audit?limit=1&cursor={log['next_cursor']}")
    assert (len(rest["items"]), rest["next_cursor"]) == (1, None)
    assert (await call(doubled, "POST", f"/audit/{NOWHERE}/undo"))[0] == 404


async def test_an_item_taken_out_of_a_library_is_no_longer_seen(doubled: World) -> None:
    assert (await call(doubled, "GET", f"/items/{MOVIE}", as_admin=False))[0] == 200
    assert (await call(doubled, "DELETE", f"/libraries/{LIBRARY}/items/{MOVIE}"))[0] == 204
    assert (await call(doubled, "GET", f"/items/{MOVIE}", as_admin=False))[0] == 403
    assert (await call(doubled, "DELETE", f"/libraries/{LIBRARY}/items/{NOWHERE}"))[0] == 404


async def test_members_may_correct_nothing(doubled: World) -> None:
    for method, path, body in (
        ("POST", f"/items/{MOVIE}/merge", {"from": OTHER}),
        ("POST", f"/items/{MOVIE}/tell-apart", {"other": OTHER}),
        ("POST", f"/items/{MOVIE}/split", {"file_ids": [FILE]}),
        ("PATCH", f"/items/{MOVIE}", {"title": "x"}),
        ("GET", f"/files/{FILE}/identity", None),
        ("PUT", f"/files/{FILE}/identity", {"title": "x"}),
        ("DELETE", f"/files/{FILE}/identity", None),
        ("PATCH", f"/libraries/{LIBRARY}", {"name": "x"}),
        ("DELETE", f"/libraries/{LIBRARY}", None),
        ("DELETE", f"/libraries/{LIBRARY}/items/{MOVIE}", None),
        ("GET", "/audit", None),
        ("POST", f"/audit/{NOWHERE}/undo", None),
    ):
        assert (await call(doubled, method, path, body, as_admin=False))[0] == 403, path
