"""Libraries, items and episodes over HTTP, on a small library that the member may see and the stranger may not."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, update

from player import Player
from playhead.storage import schema
from world import EPISODE, LIBRARY, MOVIE, NOWHERE, SHOW, World

pytestmark = [pytest.mark.anyio, pytest.mark.both_engines]

MOVIE_ANSWER = {
    "id": MOVIE,
    "kind": "movie",
    "title": "Harbour Lights",
    "year": 2019,
    "library": "Films",
    "libraries": ["Films"],
    "external_ids": {},
    "available": True,
    "runtime_seconds": 5400,
}
EPISODE_ANSWER = {
    "id": EPISODE,
    "kind": "episode",
    "title": "Ebb",
    "year": None,
    "library": "Films",
    "libraries": ["Films"],
    "external_ids": {},
    "available": True,
    "runtime_seconds": 5400,
    "show_id": SHOW,
    "season_number": 1,
    "episode_number": 1,
    "episode_end": None,
    "air_date": None,
}


async def get(world: World, path: str, headers: dict[str, str] | None = None, **query: str | int) -> Any:  # noqa: ANN401 - JSON
    answer = await world.client.get(f"/api/v1{path}", headers=headers or world.member, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_member_sees_granted_libraries_without_their_folders(stocked: World) -> None:
    assert await get(stocked, "/libraries") == {
        "items": [
            {
                "id": LIBRARY,
                "name": "Films",
                "kind": "movies",
                "movies": 1,
                "shows": 1,
                "episodes": 1,
                "scanning": False,
                "scanned_at": None,
            }
        ],
        "next_cursor": None,
    }
    assert (await get(stocked, "/libraries", stocked.stranger))["items"] == []


async def test_an_admin_also_sees_folders_and_last_scans(stocked: World) -> None:
    (library,) = (await get(stocked, "/libraries", stocked.admin))["items"]
    assert (library["path"], library["last_scan"]) == (None, None)


async def test_items_have_the_members_of_their_kind(stocked: World) -> None:
    answer = await get(stocked, "/items", kind="movie")
    assert answer == {"items": [MOVIE_ANSWER], "next_cursor": None}
    answer = await get(stocked, "/items", kind="episode")
    assert answer == {"items": [EPISODE_ANSWER], "next_cursor": None}
    assert (await get(stocked, "/items", stocked.stranger))["items"] == []


async def test_items_can_be_searched_sorted_and_paged(stocked: World) -> None:
    first = await get(stocked, "/items", library="Films", sort="-title", limit=2)
    assert [item["title"] for item in first["items"]] == ["Tidal Station", "Harbour Lights"]
    rest = await get(stocked, "/items", library=LIBRARY, sort="-title", limit=2, cursor=first["next_cursor"])
    assert [item["title"] for item in rest["items"]] == ["Ebb"]
    assert rest["next_cursor"] is None
    found = await get(stocked, "/items", query="LIGHTS harb")
    assert [item["id"] for item in found["items"]] == [MOVIE]


@pytest.mark.parametrize(
    ("query", "member"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "501"}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"sort": "size"}, "sort"),
        ({"kind": "season"}, "kind"),
        ({"cursor": "forged"}, "cursor"),
        ({"query": "a\0b"}, "query"),
        ({"query": "x" * 201}, "query"),
    ],
)
async def test_a_faulty_member_of_the_query_is_named(stocked: World, query: dict[str, str], member: str) -> None:
    answer = await stocked.client.get("/api/v1/items", headers=stocked.member, params=query)
    assert answer.status_code == 422
    assert set(answer.json()["details"]) == {member}


async def test_bytes_that_are_not_text_find_nothing(stocked: World) -> None:
    for query, status in (("query=%ff", 200), ("library=%ed%a0%80", 404), ("cursor=%ff", 422)):
        answer = await stocked.client.get(f"/api/v1/items?{query}", headers=stocked.member)
        assert answer.status_code == status, query
        assert answer.json().get("items", []) == []


async def test_a_library_without_a_grant_cannot_be_listed(stocked: World) -> None:
    answer = await stocked.client.get("/api/v1/items?library=Films", headers=stocked.stranger)
    assert answer.status_code == 403
    answer = await stocked.client.get("/api/v1/items?library=None", headers=stocked.stranger)
    assert (answer.status_code, answer.json()["error"]) == (404, "Library not found")


async def test_an_item_has_files_and_the_state_of_the_requesting_user(stocked: World) -> None:
    nothing = {"position_seconds": 0, "duration_seconds": None, "completion_percentage": 0, "watched": False}
    assert await get(stocked, f"/items/{MOVIE}") == MOVIE_ANSWER | {"files": [], "state": nothing}
    report = {"position_seconds": 1250, "duration_seconds": 5400}
    saved = await stocked.client.post(f"/api/v1/playback/movie/{MOVIE}", headers=stocked.member, json=report)
    assert (await get(stocked, f"/items/{MOVIE}"))["state"] == saved.json()
    assert (await get(stocked, f"/items/{MOVIE}", stocked.admin))["state"] == nothing
    assert await get(stocked, f"/items/{EPISODE}") == EPISODE_ANSWER | {"files": [], "state": nothing}
    assert (await get(stocked, f"/items/{SHOW}"))["state"] is None


async def test_an_item_lists_its_files(stocked: World) -> None:
    file_id = "55555555-5555-4555-8555-555555555555"

    def add(connection: Connection) -> None:
        file = {
            "id": file_id,
            "library_id": LIBRARY,
            "path": "a.mkv",
            "size": 123,
            "mtime_ns": 0,
            "duration_ms": 5400500,
        }
        connection.execute(insert(schema.media_file), [file | {"label": "2160p HEVC", "evidence": "1", "added_at": 0}])
        connection.execute(insert(schema.file_item), [{"file_id": file_id, "item_id": MOVIE}])
        facts = f'[["{file_id}","{LIBRARY}",5400500,null,null,"{MOVIE}",null]]'
        connection.execute(update(schema.item).where(schema.item.c.id == MOVIE).values(files=facts))

    await stocked.playhead.installation.database.write(add)
    await Player(stocked).report(3000)
    assert (await get(stocked, f"/items/{MOVIE}"))["files"] == [
        {
            "id": file_id,
            "label": "2160p HEVC",
            "duration_seconds": 5400.5,
            "size": 123,
            "part": None,
            **dict.fromkeys(("container", "video_codec", "audio_codec", "width", "height")),
            "audio": [],
            "subtitles": [],
            "resume_position_seconds": 3000,
        }
    ]


async def test_missing_and_forbidden_items(stocked: World) -> None:
    for path, status, error in (
        (f"/items/{NOWHERE}", 404, "Media item not found"),
        ("/items/no-id", 404, "Media item not found"),
        (f"/items/{NOWHERE}/episodes", 404, "Show not found"),
        (f"/items/{MOVIE}/episodes", 404, "Show not found"),
        ("/items/no-id/episodes", 404, "Show not found"),
    ):
        answer = await stocked.client.get(f"/api/v1{path}", headers=stocked.member)
        assert (answer.status_code, answer.json()["error"]) == (status, error), path
    for path in (f"/items/{MOVIE}", f"/items/{SHOW}/episodes"):
        answer = await stocked.client.get(f"/api/v1{path}", headers=stocked.stranger)
        assert (answer.status_code, answer.json()["error"]) == (403, "Access denied"), path


async def test_episodes_of_a_show_and_of_a_season(stocked: World) -> None:
    assert await get(stocked, f"/items/{SHOW}/episodes") == {"items": [EPISODE_ANSWER], "next_cursor": None}
    assert (await get(stocked, f"/items/{SHOW}/episodes", season=1))["items"] == [EPISODE_ANSWER]
    assert (await get(stocked, f"/items/{SHOW}/episodes", season=0))["items"] == []


async def test_an_admin_sees_how_a_library_is_kept_up_to_date(world: World, tmp_path: Path) -> None:
    request = {"name": "Films", "kind": "movies", "path": str(tmp_path)}
    added = (await world.client.post("/api/v1/libraries", headers=world.admin, json=request)).json()
    assert {"watched", "next_scan_at"} <= added.keys()
    async with asyncio.timeout(60):
        while not (library := (await get(world, "/libraries", world.admin))["items"][0])["watched"]:  # noqa: ASYNC110 - as a client does
            await asyncio.sleep(0.05)
    assert library["next_scan_at"] is not None


async def test_a_library_is_added_and_scanned(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "Broken (2001).mkv").write_text("no film")
    request = {"name": "Films", "kind": "movies", "path": str(folder)}
    added = await world.client.post("/api/v1/libraries", headers=world.admin, json=request)
    assert added.status_code == 201
    library = added.json()
    assert (library["name"], library["path"], library["last_scan"], library["scanning"]) == (
        "Films",
        str(folder),
        None,
        False,
    )
    begun = await world.client.post(f"/api/v1/libraries/{library['id']}/scan", headers=world.admin)
    assert begun.status_code == 202
    until = time.monotonic() + 30
    (after,) = (await get(world, "/libraries", world.admin))["items"]
    while after["scanning"] or after["last_scan"] is None:
        assert time.monotonic() < until
        await asyncio.sleep(0.02)
        (after,) = (await get(world, "/libraries", world.admin))["items"]
    assert after["scanned_at"] == "2025-11-08T22:00:00Z"
    (skipped,) = after["last_scan"].pop("skipped_files")
    assert skipped["path"] == "Broken (2001).mkv"
    assert skipped["reason"]
    assert after["last_scan"] == {
        "added": 0,
        "items_added": {},
        "changed": 0,
        "moved": 0,
        "removed": 0,
        "restored": 0,
        "unchanged": 0,
        "skipped": 1,
        "reassigned": 0,
        "reassigned_files": [],
        "merged": 0,
        "merged_titles": [],
        "failure": None,
    }


async def test_a_library_that_cannot_be_added(stocked: World, tmp_path: Path) -> None:
    async def add(**members: Any) -> tuple[int, Any]:  # noqa: ANN401 - JSON
        answer = await stocked.client.post("/api/v1/libraries", headers=stocked.admin, json=members)
        return answer.status_code, answer.json().get("details") or answer.json()["error"]

    assert await add(name="Films", kind="movies") == (409, "This name is taken")
    assert await add(name="", kind="movies", path=str(tmp_path / "nowhere")) == (
        422,
        {"name": ["must have 1 to 64 characters"], "path": ["must be an existing folder that can be read"]},
    )
    status, details = await add(kind="music", path=7)
    assert (status, set(details)) == (422, {"name", "kind", "path"})


async def test_a_scan_that_cannot_start(stocked: World) -> None:
    for library_id, status in ((LIBRARY, 409), (NOWHERE, 404), ("no-id", 404)):
        answer = await stocked.client.post(f"/api/v1/libraries/{library_id}/scan", headers=stocked.admin)
        assert answer.status_code == status


async def test_only_admins_add_and_scan_libraries(stocked: World) -> None:
    for path in ("/libraries", f"/libraries/{LIBRARY}/scan"):
        answer = await stocked.client.post(f"/api/v1{path}", headers=stocked.member, json={})
        assert (answer.status_code, answer.json()["error"]) == (403, "Access denied")
