"""Pictures of items over HTTP: real ones, made from real films and images, as a browser requests them."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from pictures import GREEN, RED, checks, colour_at, film, image, is_near, shape_of
from playhead.domain.model import LibraryId
from playhead.http.auth import SESSION_COOKIE
from playhead.storage import schema
from world import EPISODE, LIBRARY, MOVIE, NOWHERE, PASSWORD, SHOW, World

pytestmark = pytest.mark.anyio

FILM = "Harbour Lights (2019)/Harbour Lights (2019).mkv"
EBB = "Tidal Station/Season 1/Tidal Station S01E01.mkv"


class Wall:
    """The stocked world with a real media folder."""

    def __init__(self, world: World, root: Path) -> None:
        self.world = world
        self.root = root

    async def hang(self, item_id: str, path: str, **file: Any) -> None:  # noqa: ANN401 - any column
        row = {"id": item_id.replace("-4", "-5", 1), "library_id": LibraryId(LIBRARY), "path": path, "size": 1}
        row |= {"mtime_ns": 0, "label": "360p", "evidence": "", "added_at": 0, **file}
        database = self.world.playhead.installation.database
        await database.write(lambda connection: connection.execute(schema.media_file.insert(), [row]) and None)
        link = {"file_id": row["id"], "item_id": item_id}
        await database.write(lambda connection: connection.execute(schema.file_item.insert(), [link]) and None)

    async def get(self, item_id: str, query: str = "", method: str = "GET", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"/api/v1/items/{item_id}/artwork{query}"
        return await self.world.client.request(method, url, headers=self.world.member | named)


@pytest.fixture
async def wall(stocked: World, tmp_path: Path) -> Wall:
    root = tmp_path / "films"
    root.mkdir()
    set_path = update(schema.library).values(path=str(root))
    await stocked.playhead.installation.database.write(lambda connection: connection.execute(set_path) and None)
    wall = Wall(stocked, root)
    await wall.hang(MOVIE, FILM)
    await wall.hang(EPISODE, EBB)
    film(root / FILM, [checks] * 3)
    film(root / EBB, [checks] * 3)
    return wall


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["error"]


async def test_a_movie_has_a_poster_with_its_headers(wall: Wall):
    answer = await wall.get(MOVIE)
    assert answer.status_code == 200
    assert shape_of(answer.content) == (480, 720)
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["cache-control"] == "private, max-age=3600"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["vary"] == "authorization, cookie"


@pytest.mark.parametrize(
    ("item_id", "query", "shape"),
    [
        (MOVIE, "?width=240", (240, 360)),
        (MOVIE, "?kind=still&width=960", (960, 540)),
        (EPISODE, "", (480, 270)),
        (EPISODE, "?kind=poster&width=240", (240, 360)),
        (SHOW, "", (480, 720)),
        (SHOW, "?season=1&kind=still", (480, 270)),
    ],
)
async def test_the_query_chooses_kind_and_width(wall: Wall, item_id: str, query: str, shape: tuple[int, int]):
    answer = await wall.get(item_id, query)
    assert answer.status_code == 200, answer.text
    assert shape_of(answer.content) == shape


async def test_files_beside_the_media_are_shown(wall: Wall):
    image(wall.root / "Harbour Lights (2019)" / "poster.png", RED, codec="png")
    image(wall.root / "Tidal Station" / "season01-poster.jpg", GREEN)
    assert is_near(colour_at((await wall.get(MOVIE)).content), RED)
    assert is_near(colour_at((await wall.get(SHOW, "?season=1")).content), GREEN)


async def test_a_client_that_has_the_picture_gets_a_304(wall: Wall):
    tag = (await wall.get(MOVIE)).headers["etag"]
    for asked in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = await wall.get(MOVIE, if_none_match=asked)
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == tag
        assert answer.headers["cache-control"] == "private, max-age=3600"
        assert "content-type" not in answer.headers
    assert (await wall.get(MOVIE, if_none_match='"other"')).status_code == 200
    assert (await wall.get(MOVIE, "?width=240", if_none_match=tag)).status_code == 200


async def test_a_new_poster_has_another_etag(wall: Wall):
    tag = (await wall.get(MOVIE)).headers["etag"]
    image(wall.root / "Harbour Lights (2019)" / "poster.jpg", RED)
    answer = await wall.get(MOVIE, if_none_match=tag)
    assert answer.status_code == 200
    assert answer.headers["etag"] != tag


async def test_head_matches_get(wall: Wall):
    whole = await wall.get(MOVIE)
    head = await wall.get(MOVIE, method="HEAD")
    assert head.status_code == 200
    assert dict(head.headers) == dict(whole.headers)


@pytest.mark.parametrize(
    "query", ["?width=300", "?width=x", "?kind=banner", "?season=-1", "?season=1", "?width=240&width=480"]
)
async def test_a_faulty_query_is_refused_by_member(wall: Wall, query: str):
    answer = await wall.get(MOVIE, query)
    assert problem_of(answer) == (422, "Invalid data")
    assert set(answer.json()["details"]) == {query[1:].partition("=")[0]}


async def test_a_missing_picture_and_a_missing_item_are_404(wall: Wall):
    assert problem_of(await wall.get(SHOW, "?season=9")) == (404, "Artwork not found")
    assert problem_of(await wall.get(NOWHERE)) == (404, "Media item not found")
    assert problem_of(await wall.get("no-uuid")) == (404, "Media item not found")
    (wall.root / FILM).write_bytes(b"no film")
    for _ in range(2):
        answer = await wall.get(MOVIE)
        assert problem_of(answer) == (404, "Artwork not found")
        # Pages of the next ten minutes do not request it again; those of another user do.
        assert answer.headers["cache-control"] == "private, max-age=600"
        assert answer.headers["vary"] == "authorization, cookie"
    assert (await wall.get(NOWHERE)).headers["cache-control"] == "no-store"
    (wall.root / FILM).unlink()
    assert problem_of(await wall.get(MOVIE)) == (404, "Artwork not found")


async def test_a_link_out_of_the_library_is_not_shown(wall: Wall, tmp_path: Path):
    image(tmp_path / "secret.jpg", RED)
    (wall.root / "Harbour Lights (2019)" / "poster.jpg").symlink_to(tmp_path / "secret.jpg")
    answer = await wall.get(MOVIE)
    assert answer.status_code == 200
    assert not all(is_near(colour_at(answer.content, across / 10), RED) for across in range(1, 10))


async def test_a_picture_is_shown_only_to_users_who_may_see_its_library(wall: Wall):
    client, url = wall.world.client, f"/api/v1/items/{MOVIE}/artwork"
    assert problem_of(await client.get(url)) == (401, "Not authenticated")
    assert problem_of(await client.get(url, headers=wall.world.stranger)) == (403, "Access denied")
    assert (await client.get(url, headers=wall.world.admin)).status_code == 200
    tag = (await wall.get(MOVIE)).headers["etag"]
    answer = await client.get(url, headers=wall.world.stranger | {"if-none-match": tag})
    assert problem_of(answer) == (403, "Access denied")


async def test_an_image_on_a_page_needs_only_the_cookie(wall: Wall):
    signed_in = await wall.world.playhead.installation.sign_ins.sign_in("member", PASSWORD, "127.0.0.1")
    cookie = {"cookie": f"{SESSION_COOKIE}={signed_in.token}", "sec-fetch-site": "same-origin"}
    answer = await wall.world.client.get(f"/api/v1/items/{MOVIE}/artwork", headers=cookie)
    assert answer.status_code == 200
    assert shape_of(answer.content) == (480, 720)
