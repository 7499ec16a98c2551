"""Tracks and subtitles of files over HTTP: what an item says about them, and what the `<track>` of a page gets."""

import os
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from sqlalchemy import update
from starlette.applications import Starlette
from starlette.routing import Mount

from captions import SRT, VTT, film_with_subtitles
from playhead.domain.catalogue import MediaStream
from playhead.http.auth import SESSION_COOKIE
from playhead.media.probe import probe
from playhead.storage import schema
from world import LIBRARY, MOVIE, NOWHERE, PASSWORD, World

pytestmark = pytest.mark.anyio

FILE, OTHER = "55555555-5555-4555-8555-555555555551", "55555555-5555-4555-8555-555555555552"
URL = f"/api/v1/stream/file/{FILE}/subtitles"


class Cinema:
    """The stocked world, whose movie has a file in a real folder."""

    def __init__(self, world: World, root: Path) -> None:
        self.world = world
        self.root = root

    async def show(
        self,
        path: str,
        streams: tuple[MediaStream, ...] | None,
        file_id: str = FILE,
        **columns: Any,  # noqa: ANN401 - any column
    ) -> None:
        row = {"id": file_id, "library_id": LIBRARY, "path": path, "size": 1, "mtime_ns": 0, "label": "36p"}
        row |= {"evidence": "", "added_at": 0, "streams": None, **columns}
        if streams is not None:
            row["streams"] = msgspec.json.encode(streams).decode()
        database = self.world.playhead.installation.database
        await database.write(lambda connection: connection.execute(schema.media_file.insert(), [row]) and None)
        link = {"file_id": file_id, "item_id": MOVIE}
        await database.write(lambda connection: connection.execute(schema.file_item.insert(), [link]) and None)

    async def files(self) -> list[dict[str, Any]]:
        answer = await self.get(f"/api/v1/items/{MOVIE}")
        assert answer.status_code == 200, answer.text
        return answer.json()["files"]

    async def get(self, path: str, method: str = "GET", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.world.client.request(method, path, headers=self.world.member | named)


@pytest.fixture
async def cinema(stocked: World, tmp_path: Path) -> Cinema:
    root = tmp_path / "films"
    root.mkdir()
    set_path = update(schema.library).values(path=str(root))
    await stocked.playhead.installation.database.write(lambda connection: connection.execute(set_path) and None)
    cinema = Cinema(stocked, root)
    film = film_with_subtitles(root / "Lights.mkv", "subrip", "ass")
    (root / "Lights.en.forced.srt").write_text(SRT)
    await cinema.show("Lights.mkv", probe(film).streams, container="matroska", video_codec="mpeg4", width=64, height=36)
    return cinema


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["error"]


async def test_a_file_lists_its_tracks_and_the_subtitles_beside_it(cinema: Cinema):
    assert await cinema.files() == [
        {
            "id": FILE,
            "label": "36p",
            "duration_seconds": None,
            "size": 1,
            "part": None,
            "container": "matroska",
            "video_codec": "mpeg4",
            "audio_codec": None,
            "width": 64,
            "height": 36,
            "audio": [],
            "subtitles": [
                {
                    "index": index,
                    "language": language,
                    "title": None,
                    "codec": codec,
                    "forced": forced,
                    "default": False,
                    "url": f"{URL}/{index}",
                }
                for index, (language, codec, forced) in enumerate(
                    [("de", "subrip", False), ("de", "ass", False), ("en", "subrip", True)]
                )
            ],
            "resume_position_seconds": None,
        }
    ]


async def test_sound_tracks_and_bitmap_subtitles_are_listed_without_a_url(cinema: Cinema):
    streams = (
        MediaStream("video", "h264"),
        MediaStream("audio", "aac", language="eng", title="Stereo", channels=2, default=True),
        MediaStream("audio", "ac3", channels=6),
        MediaStream("subtitle", "hdmv_pgs_subtitle", language="fre", title="Full", forced=True, default=True),
    )
    await cinema.show("Blu-ray.mkv", streams, OTHER)
    (file,) = [file for file in await cinema.files() if file["id"] == OTHER]
    assert file["audio"] == [
        {"language": "en", "title": "Stereo", "codec": "aac", "channels": 2, "default": True},
        {"language": None, "title": None, "codec": "ac3", "channels": 6, "default": False},
    ]
    assert file["subtitles"] == [
        {
            "index": 0,
            "language": "fr",
            "title": "Full",
            "codec": "hdmv_pgs_subtitle",
            "forced": True,
            "default": True,
            "url": None,
        }
    ]
    (cinema.root / "Blu-ray.mkv").touch()
    assert problem_of(await cinema.get(f"/api/v1/stream/file/{OTHER}/subtitles/0")) == (404, "Subtitles not found")


async def test_unknown_values_are_null(cinema: Cinema):
    await cinema.show("Unknown.mkv", None, OTHER)
    (file,) = [file for file in await cinema.files() if file["id"] == OTHER]
    assert {name: file[name] for name in ("container", "video_codec", "width", "audio", "subtitles")} == {
        "container": None,
        "video_codec": None,
        "width": None,
        "audio": [],
        "subtitles": [],
    }


@pytest.mark.parametrize("index", [0, 1, 2])
async def test_subtitles_are_sent_as_webvtt_from_any_source(cinema: Cinema, index: int):
    answer = await cinema.get(f"{URL}/{index}")
    assert answer.status_code == 200
    assert answer.text == VTT
    assert answer.headers["content-type"] == "text/vtt; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "private, no-cache"


async def test_the_url_in_an_item_leads_to_its_subtitles_also_under_a_mount(cinema: Cinema):
    mounted = Starlette(routes=[Mount("/media", app=cinema.world.playhead)])
    transport = httpx.ASGITransport(app=mounted)
    async with httpx.AsyncClient(transport=transport, base_url="http://playhead.test") as client:
        answer = await client.get(f"/media/api/v1/items/{MOVIE}", headers=cinema.world.member)
        url = answer.json()["files"][0]["subtitles"][2]["url"]
        assert url == f"/media{URL}/2"
        assert (await client.get(url, headers=cinema.world.member)).text == VTT


async def test_a_client_that_has_the_subtitles_gets_a_304(cinema: Cinema):
    tag = (await cinema.get(f"{URL}/2")).headers["etag"]
    answer = await cinema.get(f"{URL}/2", if_none_match=tag)
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert (await cinema.get(f"{URL}/1", if_none_match=tag)).status_code == 200
    (cinema.root / "Lights.en.forced.srt").write_text(SRT.replace("Two", "Three"))
    answer = await cinema.get(f"{URL}/2", if_none_match=tag)
    assert answer.status_code == 200
    assert "Three" in answer.text


async def test_head_matches_get(cinema: Cinema):
    whole = await cinema.get(f"{URL}/0")
    head = await cinema.get(f"{URL}/0", method="HEAD")
    assert head.status_code == 200
    assert dict(head.headers) == dict(whole.headers)


async def test_subtitles_are_converted_once(cinema: Cinema):
    first = await cinema.get(f"{URL}/0")
    film = cinema.root / "Lights.mkv"
    status = film.stat()
    # The same size and time, so it counts as unchanged; but nothing could be read from it again.
    film.write_bytes(bytes(status.st_size))
    os.utime(film, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (await cinema.get(f"{URL}/0")).text == first.text


async def test_missing_or_unreadable_subtitles_are_404(cinema: Cinema):
    for index in ("3", "-1", "x", "1.0", "\u0661", "9" * 40):
        assert problem_of(await cinema.get(f"{URL}/{index}")) == (404, "Subtitles not found"), index
    for file_id in (NOWHERE, "no-uuid", MOVIE):
        answer = await cinema.get(f"/api/v1/stream/file/{file_id}/subtitles/0")
        assert problem_of(answer) == (404, "File not found")
    (cinema.root / "Lights.en.forced.srt").write_text("nothing of the kind")
    for _ in range(2):
        assert problem_of(await cinema.get(f"{URL}/2")) == (404, "Subtitles not found")
    (cinema.root / "Lights.mkv").unlink()
    assert problem_of(await cinema.get(f"{URL}/0")) == (404, "Subtitles not found")


async def test_a_link_out_of_the_library_is_not_followed(cinema: Cinema, tmp_path: Path):
    (tmp_path / "secret.srt").write_text(SRT)
    (cinema.root / "Lights.en.forced.srt").unlink()
    (cinema.root / "Lights.en.forced.srt").symlink_to(tmp_path / "secret.srt")
    assert problem_of(await cinema.get(f"{URL}/2")) == (404, "Subtitles not found")


async def test_subtitles_are_sent_only_to_users_who_may_see_their_library(cinema: Cinema):
    client = cinema.world.client
    assert problem_of(await client.get(f"{URL}/0")) == (401, "Not authenticated")
    assert problem_of(await client.get(f"{URL}/0", headers=cinema.world.stranger)) == (403, "Access denied")
    assert (await client.get(f"{URL}/0", headers=cinema.world.admin)).status_code == 200
    signed_in = await cinema.world.playhead.installation.sign_ins.sign_in("member", PASSWORD, "127.0.0.1")
    assert (await client.get(f"{URL}/0", headers={"cookie": f"{SESSION_COOKIE}={signed_in.token}"})).text == VTT
