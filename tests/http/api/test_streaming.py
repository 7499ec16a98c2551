"""Films as bytes over HTTP: ranges, conditions, names, access, and files that must not be served."""

import asyncio
import os
from collections.abc import MutableMapping
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, insert, update
from starlette.requests import ClientDisconnect

from playhead.domain.catalogue import MediaFile
from playhead.domain.model import FileId
from playhead.http.api.streaming import file_response, media_type_of
from playhead.storage import schema
from world import EPISODE, LIBRARY, MOVIE, NOWHERE, SHOW, World

pytestmark = pytest.mark.anyio

MOVIE_FILE = "55555555-5555-4555-8555-555555555551"
EPISODE_FILE = "55555555-5555-4555-8555-555555555552"
FILM = bytes(range(250)) * 4
SIZE = len(FILM)
MODIFIED_AT = 1_700_000_000

STREAM = f"/api/v1/stream/movie/{MOVIE}"


class Cinema:
    """The stocked world, whose movie and episode have files in a real folder."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder

    async def show(
        self,
        item_id: str,
        file_id: str,
        path: str,
        *,
        container: str = "mov",
        codec: str = "h264",
        part: int | None = None,
    ) -> None:
        """Add a file to the catalogue; the test decides whether it exists on disk."""

        def store(connection: Connection) -> None:
            file = {
                "id": file_id,
                "library_id": LIBRARY,
                "path": path,
                "size": SIZE,
                "mtime_ns": 0,
                "duration_ms": 5_400_000,
                "label": "360p H.264",
                "container": container,
                "width": 640,
                "height": 360,
                "video_codec": codec,
                "audio_codec": "aac",
                "evidence": "",
                "added_at": 0,
            }
            connection.execute(insert(schema.media_file), [file])
            connection.execute(insert(schema.file_item), [{"file_id": file_id, "item_id": item_id, "part": part}])

        await self.world.playhead.installation.database.write(store)

    def lay(self, name: str, content: bytes = FILM) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (MODIFIED_AT, MODIFIED_AT))
        return path

    async def get(self, path: str = STREAM, method: str = "GET", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.world.client.request(method, path, headers=self.world.member | named)


@pytest.fixture
async def cinema(stocked: World, tmp_path: Path) -> Cinema:
    folder = tmp_path / "films"
    folder.mkdir()
    cinema = Cinema(stocked, folder)
    set_path = update(schema.library).values(path=str(folder))
    await stocked.playhead.installation.database.write(lambda connection: connection.execute(set_path) and None)
    await cinema.show(MOVIE, MOVIE_FILE, "Harbour Lights (2019).mp4")
    await cinema.show(EPISODE, EPISODE_FILE, "Tidal Station/Ebb.mkv", container="matroska")
    cinema.lay("Harbour Lights (2019).mp4")
    cinema.lay("Tidal Station/Ebb.mkv", FILM[::-1])
    return cinema


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
    return answer.status_code, answer.json()["error"]


# The whole file


async def test_a_movie_is_sent_completely_with_its_headers(cinema: Cinema):
    answer = await cinema.get()
    assert answer.status_code == 200
    assert answer.content == FILM
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-length"] == str(SIZE)
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["last-modified"] == formatdate(MODIFIED_AT, usegmt=True)
    assert answer.headers["etag"].startswith('"')
    assert "content-range" not in answer.headers


async def test_an_episode_is_sent_with_the_type_of_its_container(cinema: Cinema):
    answer = await cinema.get(f"/api/v1/stream/episode/{EPISODE}")
    assert answer.content == FILM[::-1]
    assert answer.headers["content-type"] == "video/matroska"


async def test_a_file_is_sent_by_its_own_id(cinema: Cinema):
    answer = await cinema.get(f"/api/v1/stream/file/{EPISODE_FILE}")
    assert answer.content == FILM[::-1]


async def test_a_file_larger_than_one_chunk_arrives_complete(cinema: Cinema):
    content = os.urandom(700_001)
    cinema.lay("Harbour Lights (2019).mp4", content)
    assert (await cinema.get()).content == content
    assert (await cinema.get(range="bytes=300000-")).content == content[300_000:]


async def test_head_describes_the_whole_file_and_ignores_a_range(cinema: Cinema):
    whole = await cinema.get()
    answer = await cinema.get(method="HEAD", range="bytes=0-9")
    assert answer.status_code == 200
    assert answer.content == b""
    assert dict(answer.headers) == dict(whole.headers)


async def test_an_empty_file_is_an_empty_answer(cinema: Cinema):
    cinema.lay("Harbour Lights (2019).mp4", b"")
    answer = await cinema.get()
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")
    assert (await cinema.get(range="bytes=0-0")).status_code == 416


# Ranges: RFC 9110, section 14


async def test_one_range_is_206_with_content_range(cinema: Cinema):
    for asked, first, last in (
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=990-", 990, 999),
        ("bytes=990-5000", 990, 999),
        ("bytes=0-", 0, 999),
        ("bytes=-10", 990, 999),
        ("bytes=-5000", 0, 999),
        ("BYTES=5-6", 5, 6),
        ("bytes= 5-6 ", 5, 6),
        ("bytes=5-9999999999999999999", 5, 999),
    ):
        answer = await cinema.get(range=asked)
        assert answer.status_code == 206, asked
        assert answer.headers["content-range"] == f"bytes {first}-{last}/{SIZE}", asked
        assert answer.headers["content-length"] == str(last - first + 1), asked
        assert answer.content == FILM[first : last + 1], asked


async def test_a_range_beyond_the_end_is_416_with_the_length(cinema: Cinema):
    for asked in ("bytes=1000-", "bytes=1000-2000", "bytes=9999999999999999999-", "bytes=-0"):
        answer = await cinema.get(range=asked)
        assert problem_of(answer) == (416, "Range not satisfiable"), asked
        assert answer.headers["content-range"] == f"bytes */{SIZE}", asked


async def test_anything_but_a_single_byte_range_is_ignored(cinema: Cinema):
    for asked in (
        "bytes=20-10",
        "bytes=-",
        "bytes=",
        "bytes=a-b",
        "bytes=1_0-2_0",
        "bytes=0x1-0x2",
        "bytes=+1-2",
        "bytes=--5",
        "bytes 0-9",
        "seconds=0-9",
        "bytes=0-9,20-29",
        "bytes=" + "9" * 5000 + "-",
        "",
    ):
        answer = await cinema.get(range=asked)
        assert (answer.status_code, answer.content) == (200, FILM), asked


async def test_consecutive_ranges_make_up_the_film(cinema: Cinema):
    parts = [(await cinema.get(range=f"bytes={first}-{first + 149}")).content for first in range(0, SIZE, 150)]
    assert b"".join(parts) == FILM


# Conditions: RFC 9110, section 13


async def test_a_client_that_has_the_file_gets_a_304(cinema: Cinema):
    tag = (await cinema.get()).headers["etag"]
    for asked in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = await cinema.get(if_none_match=asked)
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == tag
        assert "content-type" not in answer.headers
        head = await cinema.get(method="HEAD", if_none_match=asked)
        assert head.status_code == 304
    assert (await cinema.get(if_none_match='"other"')).status_code == 200


async def test_a_date_counts_only_without_an_etag(cinema: Cinema):
    then, before = formatdate(MODIFIED_AT, usegmt=True), formatdate(MODIFIED_AT - 1, usegmt=True)
    assert (await cinema.get(if_modified_since=then)).status_code == 304
    assert (await cinema.get(if_modified_since=before)).status_code == 200
    assert (await cinema.get(if_modified_since="some day")).status_code == 200
    assert (await cinema.get(if_modified_since=then, if_none_match='"other"')).status_code == 200


async def test_a_precondition_for_another_version_of_the_file_is_refused(cinema: Cinema):
    first = await cinema.get()
    tag, modified = first.headers["etag"], first.headers["last-modified"]
    long_ago = "Sun, 06 Nov 1994 08:49:37 GMT"
    for asked in ('"other"', f"W/{tag}", '"other", "another"'):
        refused = await cinema.get(if_match=asked)
        assert problem_of(refused) == (412, "The file has changed")
    for asked in (tag, "*", f'"other", {tag}'):
        assert (await cinema.get(if_match=asked, if_unmodified_since=long_ago)).status_code == 200
    assert (await cinema.get(if_unmodified_since=long_ago)).status_code == 412
    assert (await cinema.get(if_unmodified_since=long_ago, method="HEAD")).status_code == 412
    for since in (modified, "no date"):
        assert (await cinema.get(if_unmodified_since=since)).status_code == 200


async def test_a_range_of_another_version_of_the_file_gets_the_whole_new_one(cinema: Cinema):
    whole = await cinema.get()
    tag, date = whole.headers["etag"], whole.headers["last-modified"]
    for current in (tag, date):
        assert (await cinema.get(range="bytes=1-2", if_range=current)).status_code == 206
    before = formatdate(MODIFIED_AT - 1, usegmt=True)
    for outdated in ('"other"', f"W/{tag}", before, "nonsense"):
        answer = await cinema.get(range="bytes=1-2", if_range=outdated)
        assert (answer.status_code, answer.content) == (200, FILM)


async def test_different_content_has_a_different_etag(cinema: Cinema):
    tag = (await cinema.get()).headers["etag"]
    path = cinema.lay("Harbour Lights (2019).mp4", FILM[::-1])
    os.utime(path, (MODIFIED_AT, MODIFIED_AT + 0.5))
    assert (await cinema.get()).headers["etag"] != tag


# Names and types


async def test_the_file_name_survives_in_any_script(cinema: Cinema):
    name = 'Ein "Haus" à 灯台%.mp4'
    cinema.lay(name)
    await cinema.show(MOVIE, NOWHERE, name)
    answer = await cinema.get(f"/api/v1/stream/file/{NOWHERE}")
    assert answer.headers["content-disposition"] == (
        'inline; filename="Ein _Haus_ _ ___.mp4"; '
        "filename*=UTF-8''Ein%20%22Haus%22%20%C3%A0%20%E7%81%AF%E5%8F%B0%25.mp4"
    )


@pytest.mark.parametrize(
    ("name", "container", "media_type"),
    [
        ("film.mp4", "mov", "video/mp4"),
        ("film.MOV", "mov", "video/quicktime"),
        ("film.webm", "matroska", "video/webm"),
        ("film.mkv", "matroska", "video/matroska"),
        ("film.mp4", "matroska", "video/matroska"),
        ("film.avi", "avi", "video/vnd.avi"),
        ("film.mp4", "nut", "application/octet-stream"),
        ("film.mp4", None, "application/octet-stream"),
    ],
)
def test_the_type_is_that_of_the_content_not_of_the_name(name: str, container: str | None, media_type: str):
    assert media_type_of(name, container) == media_type


# Which file


async def test_of_several_versions_a_browser_gets_a_playable_one(cinema: Cinema):
    await cinema.show(MOVIE, NOWHERE, "A better one.mkv", container="matroska", codec="hevc")
    cinema.lay("A better one.mkv", b"for players")
    assert (await cinema.get()).content == FILM
    assert (await cinema.get(f"/api/v1/stream/file/{NOWHERE}")).content == b"for players"


async def test_the_first_part_of_a_film_in_parts_is_sent(cinema: Cinema):
    for number, file_id in ((2, NOWHERE), (1, SHOW)):
        await cinema.show(EPISODE, file_id, f"Ebb cd{number}.mp4", part=number)
        cinema.lay(f"Ebb cd{number}.mp4", b"part %d" % number)
    await cinema.world.playhead.installation.database.write(
        lambda connection: (
            connection.execute(
                update(schema.media_file).where(schema.media_file.c.id == EPISODE_FILE).values(removed_at=1)
            )
            and None
        )
    )
    assert (await cinema.get(f"/api/v1/stream/episode/{EPISODE}")).content == b"part 1"


# Access: as for progress


async def test_missing_items_are_404_with_the_text_of_the_contract(cinema: Cinema):
    for path, refusal in (
        (f"movie/{NOWHERE}", "Media item not found"),
        ("movie/no-uuid", "Media item not found"),
        (f"movie/{SHOW}", "Media item is not a movie"),
        (f"movie/{EPISODE}", "Media item is not a movie"),
        (f"episode/{NOWHERE}", "Episode not found"),
        ("episode/no-uuid", "Episode not found"),
        (f"episode/{MOVIE}", "Episode not found"),
        (f"file/{NOWHERE}", "File not found"),
        ("file/no-uuid", "File not found"),
        (f"file/{MOVIE}", "File not found"),
    ):
        assert problem_of(await cinema.get(f"/api/v1/stream/{path}")) == (404, refusal), path


@pytest.mark.parametrize("path", [STREAM, f"/api/v1/stream/episode/{EPISODE}", f"/api/v1/stream/file/{MOVIE_FILE}"])
async def test_a_film_is_sent_only_to_users_who_may_see_its_library(cinema: Cinema, path: str):
    client = cinema.world.client
    assert problem_of(await client.get(path)) == (401, "Not authenticated")
    assert problem_of(await client.get(path, headers=cinema.world.stranger)) == (403, "Access denied")
    assert (await client.get(path, headers=cinema.world.admin)).status_code == 200


# What must not be served


async def test_a_link_out_of_the_library_is_not_followed(cinema: Cinema, tmp_path: Path):
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"secret")
    (cinema.folder / "Harbour Lights (2019).mp4").unlink()
    (cinema.folder / "Harbour Lights (2019).mp4").symlink_to(secret)
    assert problem_of(await cinema.get())[0] == 404


async def test_a_link_to_another_video_outside_is_served_as_the_scan_found_it(cinema: Cinema, tmp_path: Path):
    store = tmp_path / "ab12.mp4"
    store.write_bytes(FILM)
    (cinema.folder / "Harbour Lights (2019).mp4").unlink()
    (cinema.folder / "Harbour Lights (2019).mp4").symlink_to(store)
    response = await cinema.get()
    assert response.content == FILM
    assert 'filename="Harbour Lights (2019).mp4"' in response.headers["content-disposition"]
    store.rename(tmp_path / "playhead.db")
    (cinema.folder / "Harbour Lights (2019).mp4").unlink()
    (cinema.folder / "Harbour Lights (2019).mp4").symlink_to(tmp_path / "playhead.db")
    assert problem_of(await cinema.get())[0] == 404


async def test_a_linked_folder_out_of_the_library_is_not_followed(cinema: Cinema, tmp_path: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "Ebb.mkv").write_bytes(b"secret")
    (cinema.folder / "Tidal Station" / "Ebb.mkv").unlink()
    (cinema.folder / "Tidal Station").rmdir()
    (cinema.folder / "Tidal Station").symlink_to(outside)
    assert problem_of(await cinema.get(f"/api/v1/stream/episode/{EPISODE}"))[0] == 404


async def test_a_link_within_the_library_is_served(cinema: Cinema):
    path = cinema.folder / "Harbour Lights (2019).mp4"
    path.rename(cinema.folder / "real.mp4")
    path.symlink_to("real.mp4")
    assert (await cinema.get()).content == FILM


@pytest.mark.parametrize("path", ["../secret.mp4", "sub/../../secret.mp4", "/etc/passwd"])
async def test_a_path_out_of_the_library_is_not_served(cinema: Cinema, tmp_path: Path, path: str):
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    (cinema.folder / "sub").mkdir()
    await cinema.show(MOVIE, NOWHERE, path)
    assert problem_of(await cinema.get(f"/api/v1/stream/file/{NOWHERE}"))[0] == 404


async def test_a_vanished_file_is_404(cinema: Cinema):
    (cinema.folder / "Harbour Lights (2019).mp4").unlink()
    assert problem_of(await cinema.get())[0] == 404
    assert problem_of(await cinema.get(f"/api/v1/stream/file/{MOVIE_FILE}"))[0] == 404
    head = await cinema.get(method="HEAD")
    assert head.status_code == 404


@pytest.mark.parametrize("kind", ["folder", "pipe"])
async def test_anything_but_a_regular_file_is_404(cinema: Cinema, kind: str):
    path = cinema.folder / "Harbour Lights (2019).mp4"
    path.unlink()
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    assert problem_of(await cinema.get())[0] == 404


# Interrupted transfers


class Transfer:
    """The server's side of one transfer: how much was sent, and whether the client is still connected."""

    def __init__(self) -> None:
        self.sent = 0
        self.gone = asyncio.Event()

    async def receive(self) -> dict[str, str]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        self.sent += len(message.get("body", b""))
        if self.sent:
            self.gone.set()
        await asyncio.sleep(0)


SCOPE = {"type": "http", "method": "GET", "path": "/", "headers": [], "asgi": {"spec_version": "2.3"}}


def stored(path: str) -> MediaFile:
    return MediaFile(FileId(""), path, "", 0, None, "mov", None, None, None, None, None)


async def test_a_disconnected_client_ends_the_reading(tmp_path: Path):
    path = tmp_path / "long.mp4"
    path.touch()
    os.truncate(path, 1 << 30)
    transfer = Transfer()
    response = await file_response(SCOPE, path, stored(path.name))
    await response(SCOPE, transfer.receive, transfer.send)
    assert 0 < transfer.sent < 1 << 26
    assert str(path) not in open_files()


async def test_a_file_that_shrinks_during_the_transfer_aborts_the_connection(tmp_path: Path):
    path = tmp_path / "short.mp4"
    path.write_bytes(FILM)
    response = await file_response(SCOPE, path, stored(path.name))
    path.write_bytes(FILM[:10])
    transfer = Transfer()
    with pytest.raises(ClientDisconnect):
        await response(SCOPE, Transfer().receive, transfer.send)
    assert transfer.sent == 10
    assert str(path) not in open_files()


async def test_no_answer_leaves_a_file_open(cinema: Cinema):
    folder = str(cinema.folder)
    tag = (await cinema.get()).headers["etag"]
    await cinema.get(range="bytes=1-2")
    await cinema.get(range="bytes=5000-")
    await cinema.get(method="HEAD")
    await cinema.get(if_none_match=tag)
    opened = open_files()
    assert [path for path in opened if path.startswith(folder)] == []


def open_files() -> list[str]:
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return [str(link.readlink()) for link in links]
