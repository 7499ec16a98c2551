"""The page of the player as the server renders it: where it resumes, its sources, and what comes next."""

import json
import re
from html import unescape
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, insert, update

from playhead.storage import schema
from world import EPISODE, LIBRARY, MOVIE, NOWHERE, RUNTIME_MS, SHOW, World, insert_items

pytestmark = pytest.mark.anyio

SMALL, LARGE = "aaaaaaaa-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-000000000002"
FIRST_PART, SECOND_PART = "aaaaaaaa-0000-4000-8000-000000000003", "aaaaaaaa-0000-4000-8000-000000000004"
SECOND_EPISODE = "33333333-3333-4333-8333-333333333334"


async def put(world: World, item_id: str, file_id: str, **what: object) -> None:
    """Add a file to the catalogue, with 1080 lines and the whole runtime unless told otherwise."""
    part = what.pop("part", None)
    file = {
        "id": file_id,
        "library_id": LIBRARY,
        "path": f"{file_id}.mp4",
        "size": 3 * 1024 * 1024,
        "mtime_ns": 0,
        "duration_ms": RUNTIME_MS,
        "label": "1080p H.264",
        "container": "mov",
        "width": 1920,
        "height": 1080,
        "video_codec": "h264",
        "audio_codec": "aac",
        "evidence": "",
        "added_at": 0,
    }

    def store(connection: Connection) -> None:
        connection.execute(insert(schema.media_file), [file | what])
        connection.execute(insert(schema.file_item), [{"file_id": file_id, "item_id": item_id, "part": part}])

    await world.playhead.installation.database.write(store)


async def put_second_episode(world: World) -> None:
    def store(connection: Connection) -> None:
        episode = {
            "id": SECOND_EPISODE,
            "library_id": LIBRARY,
            "kind": "episode",
            "title": "<Flood>",
            "sort_title": "flood",
            "search_title": "flood",
            "identity": "flood",
            "show_id": SHOW,
            "season_number": 1,
            "episode_number": 2,
            "added_at": 0,
        }
        insert_items(connection, [episode])

    await world.playhead.installation.database.write(store)


async def change_film(world: World, **columns: object) -> None:
    change = update(schema.item).where(schema.item.c.id == MOVIE).values(columns)
    await world.playhead.installation.database.write(lambda connection: connection.execute(change) and None)


async def open_page(world: World, path: str = f"movie/{MOVIE}", **query: str) -> httpx.Response:
    answer = await world.client.get(f"/watch/{path}", params=query, headers=world.member)
    assert answer.status_code == 200, answer.text
    return answer


def data_of(page: httpx.Response) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="watch">(.*?)</script>', page.text, re.DOTALL)
    assert found
    return json.loads(found[1])


def source_of(page: httpx.Response) -> str:
    (source,) = re.findall(r'<video[^>]* src="([^"]*)"', page.text, re.DOTALL)
    return unescape(source)


async def save(world: World, position: float, duration: float = 5400, **more: object) -> None:
    body = {"position_seconds": position, "duration_seconds": duration, **more}
    answer = await world.client.post(f"/api/v1/playback/movie/{MOVIE}", json=body, headers=world.member)
    assert answer.status_code == 200, answer.text


# Where it resumes


async def test_it_resumes_at_the_position_with_or_without_scripts(stocked: World):
    await put(stocked, MOVIE, LARGE)
    await save(stocked, 1250.5)
    page = await open_page(stocked)
    data = data_of(page)
    assert (data["kind"], data["id"]) == ("movie", MOVIE)
    assert f'data-user="{stocked.user_ids["member"]}"' in page.text
    assert (data["start"], data["left"]) == (1250.5, {"position": 1250.5, "of": 5400})
    assert source_of(page) == f"/api/v1/stream/file/{LARGE}#t=1250.5"


async def test_unstarted_and_finished_items_start_at_the_beginning(stocked: World):
    await put(stocked, MOVIE, LARGE)
    for position in (None, 5300):
        if position is not None:
            await save(stocked, position)
        page = await open_page(stocked)
        assert (data_of(page)["start"], data_of(page)["left"]) == (0, None)
        assert source_of(page) == f"/api/v1/stream/file/{LARGE}"


async def test_the_address_can_choose_the_second_and_the_file(stocked: World):
    await put(stocked, MOVIE, LARGE)
    await put(stocked, MOVIE, SMALL, label="360p H.264", height=360)
    await save(stocked, 1250)
    page = await open_page(stocked, t="60", file=SMALL)
    data = data_of(page)
    assert (data["start"], data["left"], data["chosen"], data["explicit"]) == (60, None, 1, True)
    assert source_of(page) == f"/api/v1/stream/file/{SMALL}#t=60"
    assert (data_of(await open_page(stocked, t="0"))["start"]) == 0
    gone = data_of(await open_page(stocked, file=NOWHERE))
    assert (gone["start"], gone["chosen"]) == (1250, 0)


async def test_each_version_starts_where_it_is_not_completed(stocked: World):
    await put(stocked, MOVIE, LARGE, duration_ms=600_000)
    await put(stocked, MOVIE, SMALL, label="360p H.264", height=360, duration_ms=540_000)
    await put(stocked, MOVIE, FIRST_PART, label="240p H.264", height=240, duration_ms=None)
    await change_film(stocked, runtime_ms=540_000)
    await save(stocked, 500, 600)
    page = await open_page(stocked, file=SMALL)
    data = data_of(page)
    assert [(each["start"], each["completed"], each["latest"]) for each in data["versions"]] == [
        (500, 540, 510),
        (459, 486, 459),
        (500, None, None),
    ]
    assert (data["start"], data["left"]) == (459, {"position": 500, "of": 600})
    assert source_of(page) == f"/api/v1/stream/file/{SMALL}#t=459"


async def test_playback_resumes_in_the_cut_in_progress(stocked: World):
    await put(stocked, MOVIE, LARGE, duration_ms=600_000)
    await put(stocked, MOVIE, SMALL, label="360p H.264", height=360, duration_ms=540_000)
    await put(stocked, MOVIE, FIRST_PART, label="240p H.264", height=240, duration_ms=545_000)
    await change_film(stocked, runtime_ms=540_000)
    for position, duration, chosen in ((300, 540, 1), (300, 600, 0), (300, 700, 0), (10, 540, 0), (520, 540, 0)):
        await save(stocked, position, duration)
        assert data_of(await open_page(stocked))["chosen"] == chosen
    await save(stocked, 300, 540)
    assert data_of(await open_page(stocked, file=LARGE))["chosen"] == 0


async def test_a_second_in_the_address_that_completes_the_version_becomes_an_earlier_one(stocked: World):
    await put(stocked, MOVIE, SMALL, duration_ms=540_000)
    for asked, start in (("485", 485), ("486", 459), ("7000", 459)):
        assert data_of(await open_page(stocked, t=asked))["start"] == start


async def test_a_version_with_credits_starts_before_them(stocked: World):
    await put(stocked, MOVIE, SMALL, duration_ms=600_000)
    facts = f'[["{SMALL}","{LIBRARY}",600000,400000,null,"{MOVIE}",null]]'
    await change_film(stocked, files=facts, runtime_ms=600_000, credits_ms=400_000)
    (version,) = data_of(await open_page(stocked, t="450"))["versions"]
    assert (version["start"], version["completed"], version["latest"]) == (370, 400, 370)


@pytest.mark.parametrize("t", ["-1", "x", "nan", "inf", "1e12"])
async def test_an_invalid_second_is_refused(stocked: World, t: str):
    await put(stocked, MOVIE, LARGE)
    answer = await stocked.client.get(f"/watch/movie/{MOVIE}", params={"t": t}, headers=stocked.member)
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("text/html")


async def test_earlier_positions_are_offered(stocked: World):
    await put(stocked, MOVIE, LARGE)
    await save(stocked, 3730, device="Television")
    stocked.clock.advance(24 * 60 * 60 * 1000)
    await save(stocked, 600)
    page = await open_page(stocked)
    assert re.search(r'data-position="3730.0".*?1:02:10<small>yesterday at 22:00, Television</small>', page.text)


# Sources


async def test_versions_come_with_the_types_to_ask_a_browser_about(stocked: World):
    await put(stocked, MOVIE, LARGE, container="matroska", path="a.mkv", video_codec="hevc", audio_codec="eac3")
    await put(stocked, MOVIE, SMALL, path="a.mov", label="360p H.264", height=360, audio_codec=None)
    versions = data_of(await open_page(stocked))["versions"]
    untouched = {"start": 0, "completed": 4860, "latest": 4740}
    assert versions == [
        {
            "label": "360p H.264",
            **untouched,
            "parts": [
                {
                    "id": SMALL,
                    "seconds": 5400,
                    "picture": 'video/mp4; codecs="avc1.640028"',
                    "sound": None,
                    "subtitles": [],
                }
            ],
        },
        {
            "label": "1080p H.264",
            **untouched,
            "parts": [
                {
                    "id": LARGE,
                    "seconds": 5400,
                    "picture": 'video/matroska; codecs="hvc1.1.6.L120.90"',
                    "sound": 'video/matroska; codecs="ec-3"',
                    "subtitles": [],
                }
            ],
        },
    ]


async def test_a_film_in_parts_resumes_in_the_right_part(stocked: World):
    await put(stocked, MOVIE, SECOND_PART, part=2, duration_ms=2_400_000)
    await put(stocked, MOVIE, FIRST_PART, part=1, duration_ms=3_000_000)
    await save(stocked, 2999)
    assert source_of(await open_page(stocked)) == f"/api/v1/stream/file/{FIRST_PART}#t=2999"
    await save(stocked, 3100)
    page = await open_page(stocked)
    assert source_of(page) == f"/api/v1/stream/file/{SECOND_PART}#t=100"
    (version,) = data_of(page)["versions"]
    assert [(part["id"], part["seconds"]) for part in version["parts"]] == [(FIRST_PART, 3000), (SECOND_PART, 2400)]
    assert data_of(page)["start"] == 3100
    assert data_of(await open_page(stocked, file=SECOND_PART))["chosen"] == 0


async def test_without_known_lengths_the_first_part_is_played(stocked: World):
    await put(stocked, MOVIE, FIRST_PART, part=1, duration_ms=None)
    await put(stocked, MOVIE, SECOND_PART, part=2, duration_ms=None)
    await save(stocked, 3100)
    assert source_of(await open_page(stocked)) == f"/api/v1/stream/file/{FIRST_PART}#t=3100"


async def test_an_item_without_a_file_cannot_be_played(stocked: World):
    answer = await stocked.client.get(f"/watch/movie/{MOVIE}", headers=stocked.member)
    assert answer.status_code == 404
    assert "File not found" in answer.text


@pytest.mark.parametrize(
    "path", [f"movie/{EPISODE}", f"episode/{MOVIE}", f"movie/{SHOW}", f"movie/{NOWHERE}", "movie/x"]
)
async def test_a_missing_item_has_no_player(stocked: World, path: str):
    answer = await stocked.client.get(f"/watch/{path}", headers=stocked.member)
    assert answer.status_code == 404
    assert "This page does not exist" in answer.text


# What comes next


async def test_the_page_of_an_episode_knows_its_show_and_the_next_episode(stocked: World):
    await put_second_episode(stocked)
    await put(stocked, EPISODE, LARGE)
    await put(stocked, SECOND_EPISODE, SMALL)
    page = await open_page(stocked, f"episode/{EPISODE}")
    assert "Tidal Station · S1 E1" in page.text
    assert f'href="/shows/{SHOW}"' in page.text
    assert f'data-address="/watch/episode/{SECOND_EPISODE}"' in page.text
    assert "S1 E2 · &lt;Flood&gt;" in page.text
    last = await open_page(stocked, f"episode/{SECOND_EPISODE}")
    assert "data-address" not in last.text
    assert data_of(last)["title"] == "<Flood>"
    assert (data_of(last)["show"], data_of(last)["poster"]) == ("Tidal Station", SHOW)


async def test_an_anonymous_visitor_returns_to_the_player_after_sign_in(stocked: World):
    answer = await stocked.client.get(f"/watch/movie/{MOVIE}?t=60")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/sign-in?next=/watch/movie/{MOVIE}%3Ft%3D60"


async def test_the_page_is_small_and_has_nothing_inline(stocked: World):
    await put(stocked, MOVIE, LARGE)
    page = await open_page(stocked)
    assert len(page.content) < 50_000
    assert not re.search(r"<style|\sstyle=|\son\w+=", page.text)
    assert [kind for kind in re.findall(r"<script ([^>]*)>", page.text) if "src=" not in kind] == [
        'type="application/json" id="watch"'
    ]
    for reference in re.findall(r'(?:src|href)="(/static/[^"]*)"', page.text):
        assert (await stocked.client.get(reference)).status_code == 200
