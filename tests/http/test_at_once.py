"""What is answered at once: the same bytes as in the usual way, and only where that way would answer with success."""

import asyncio

import httpx
import pytest

from playhead.bootstrap import Playhead
from playhead.config import Settings
from world import EPISODE, MOVIE, NOWHERE, World

pytestmark = pytest.mark.anyio

NOOP = "/api/v1/noop"
MOVIE_PATH, EPISODE_PATH = f"/api/v1/playback/movie/{MOVIE}", f"/api/v1/playback/episode/{EPISODE}"
REPORT = {"position_seconds": 1250, "duration_seconds": 5400}


def at_once(playhead: Playhead, path: str, headers: dict[str, str]) -> bytes | None:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    return playhead.answer_at_once(path.encode(), [(b"host", b"playhead.test"), *pairs])


async def in_the_usual_way(world: World, path: str, headers: dict[str, str]) -> bytes:
    response = await world.client.get(path, headers=headers)
    assert response.status_code == 200
    head = "".join(f"{name}: {value}\r\n" for name, value in response.headers.items())
    return f"HTTP/1.1 200 OK\r\n{head}\r\n".encode() + response.content


async def test_a_noop_is_answered_with_the_same_bytes(stocked: World):
    expected = await in_the_usual_way(stocked, NOOP, stocked.member)
    assert at_once(stocked.playhead, NOOP, stocked.member) == expected


@pytest.mark.parametrize("path", [MOVIE_PATH, EPISODE_PATH])
@pytest.mark.parametrize("who", ["member", "admin"])
async def test_a_read_is_answered_with_the_same_bytes_on_the_engine_that_need_not_wait(
    stocked: World, engine: str, path: str, who: str
):
    headers = stocked.member if who == "member" else stocked.admin
    for saved in (False, True):
        if saved:
            assert (await stocked.client.post(path, json=REPORT, headers=headers)).status_code == 200
        expected = await in_the_usual_way(stocked, path, headers)
        for _ in range(2):  # looked up, and remembered
            assert at_once(stocked.playhead, path, headers) == (expected if engine == "sqlite" else None)
            await asyncio.sleep(0)


async def test_only_success_of_who_is_known_is_answered_at_once(stocked: World):
    tell = stocked.playhead
    assert at_once(tell, MOVIE_PATH, stocked.member) is None  # not known yet
    for headers in (stocked.member, stocked.stranger):
        await stocked.client.get(NOOP, headers=headers)
    token = stocked.member["authorization"].removeprefix("Bearer ")
    for path, headers in (
        (MOVIE_PATH, stocked.stranger),
        (f"/api/v1/playback/movie/{NOWHERE}", stocked.member),
        (f"/api/v1/playback/movie/{EPISODE}", stocked.member),
        ("/api/v1/playback/movie/", stocked.member),
        ("/api/v1/playback/movie/%31", stocked.member),
        (MOVIE_PATH + "?", stocked.member),
        (NOOP + "/", stocked.member),
        ("/livez", stocked.member),
        ("/api/v1/user/me", stocked.member),
        (NOOP, {}),
        (NOOP, {"authorization": f"Basic {token}"}),
        (NOOP, {"authorization": "Bearer " + "0" * 64}),
        (NOOP, {"cookie": f"playhead_session={token}"}),
        (NOOP, stocked.member | {"content-length": "2"}),
        (NOOP, stocked.member | {"transfer-encoding": "chunked"}),
        (NOOP, stocked.member | {"expect": "100-continue"}),
    ):
        assert at_once(tell, path, headers) is None, (path, headers)
    assert at_once(tell, NOOP, stocked.member) is not None


async def test_a_revoked_token_is_not_answered_any_more(stocked: World):
    await stocked.client.get(NOOP, headers=stocked.member)
    assert at_once(stocked.playhead, NOOP, stocked.member) is not None
    accounts = stocked.playhead.installation.accounts
    await accounts.remove_user(stocked.user_ids["member"])  # pyright: ignore[reportArgumentType]
    assert at_once(stocked.playhead, NOOP, stocked.member) is None


async def test_what_is_answered_at_once_is_counted(stocked: World):
    await stocked.client.get(NOOP, headers=stocked.member)
    assert at_once(stocked.playhead, NOOP, stocked.member) is not None
    numbers = (await stocked.client.get("/metrics")).text
    assert 'playhead_requests_total{method="GET",route="/api/v1/noop",status="200"} 2.0' in numbers


async def test_behind_a_proxy_both_paths_are_answered(settings: Settings):
    playhead = Playhead(settings.model_copy(update={"base_path": "/playhead"}))
    assert at_once(playhead, NOOP, {}) is None  # closed
    await playhead.open()
    signed_in = await playhead.installation.accounts.setup_token()
    assert signed_in is not None
    owner = await playhead.installation.accounts.claim(signed_in, "owner", "correct horse battery")
    headers = {"authorization": f"Bearer {owner.token}"}
    transport = httpx.ASGITransport(app=playhead)
    async with httpx.AsyncClient(transport=transport, base_url="http://playhead.test") as client:
        for path in (NOOP, "/playhead" + NOOP):
            assert (await client.get(path, headers=headers)).status_code == 200
            assert at_once(playhead, path, headers) is not None
        assert at_once(playhead, "/other" + NOOP, headers) is None
    await playhead.close()
