"""The fast path: the same bytes as the application's answers, including refusals, and only for a cached token."""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus

import httpx
import pytest

from playhead.asgi import Playhead
from playhead.config import Settings
from playhead.domain.model import UserId
from playhead.domain.tokens import TokenScope
from playhead.http.route import LastAnswer, Pending
from world import EPISODE, MOVIE, NOWHERE, World

pytestmark = pytest.mark.anyio

ME = "/api/v1/me"
MOVIE_PATH, EPISODE_PATH = f"/api/v1/playback/movie/{MOVIE}", f"/api/v1/playback/episode/{EPISODE}"
NOWHERE_PATH = f"/api/v1/playback/movie/{NOWHERE}"
REPORT = b'{"position_seconds": 1250, "duration_seconds": 5400}'
JSON = {"content-type": "application/json"}


@dataclass
class Whole:
    """A complete request."""

    method: bytes
    target: bytes
    named: dict[bytes, bytes]
    body: bytes


class Line:
    """A connection that offers requests to the fast path, and counts how many answers ended it."""

    def __init__(self, playhead: Playhead) -> None:
        self.playhead = playhead
        self.ends = 0

    async def ask(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes | None:
        named = {name.encode(): value.encode() for name, value in headers.items()}
        answer = self.playhead.answer_fast(Whole(method.encode(), path.encode(), named, body))
        if isinstance(answer, Pending):
            await asyncio.wait([answer.future])
            answer = answer.conclude(answer.future)
        self.ends += isinstance(answer, LastAnswer)
        return answer


@pytest.fixture
def line(stocked: World) -> Line:
    return Line(stocked.playhead)


async def by_the_application(world: World, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    response = await world.client.request(method, path, headers=headers, content=body)
    status = HTTPStatus(response.status_code)
    head = "".join(f"{name}: {value}\r\n" for name, value in response.headers.items())
    return f"HTTP/1.1 {status.value} {status.phrase}\r\n{head}\r\n".encode() + response.content


@pytest.mark.parametrize("path", [MOVIE_PATH, EPISODE_PATH])
@pytest.mark.parametrize("who", ["member", "admin"])
async def test_saves_and_reads_are_answered_with_the_same_bytes(stocked: World, line: Line, path: str, who: str):
    headers = stocked.member if who == "member" else stocked.admin
    for request in (("GET", path, headers), ("POST", path, headers | JSON, REPORT), ("GET", path, headers)):
        expected = await by_the_application(stocked, *request)
        for _ in range(2):  # looked up and cached
            assert await line.ask(*request) == expected
            await asyncio.sleep(0)
    assert b'"position_seconds":1250,' in expected  # pyright: ignore[reportPossiblyUnboundVariable]


async def test_a_save_on_the_fast_path_is_stored(stocked: World, line: Line):
    await stocked.client.get(ME, headers=stocked.member)
    answer = await line.ask("POST", MOVIE_PATH, stocked.member | JSON, REPORT)
    assert answer is not None
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    read = (await stocked.client.get(MOVIE_PATH, headers=stocked.member)).json()
    assert (read["position_seconds"], read["completion_percentage"]) == (1250, 23.15)


async def test_refusals_are_the_same_bytes(stocked: World, line: Line):
    for who in (stocked.member, stocked.stranger):
        await stocked.client.get(ME, headers=who)
    member = stocked.member | JSON
    for request in (
        ("GET", MOVIE_PATH, stocked.stranger),
        ("GET", NOWHERE_PATH, stocked.member),
        ("GET", f"/api/v1/playback/movie/{EPISODE}", stocked.member),
        ("GET", "/api/v1/playback/movie/12", stocked.member),
        ("POST", MOVIE_PATH, stocked.stranger | JSON, REPORT),
        ("POST", NOWHERE_PATH, member, REPORT),
        ("POST", f"/api/v1/playback/episode/{MOVIE}", member, REPORT),
        ("POST", MOVIE_PATH, member, b""),
        ("POST", MOVIE_PATH, member, b"{"),
        ("POST", MOVIE_PATH, member, b'{"position_seconds": -1, "duration_seconds": "x"}'),
        ("POST", MOVIE_PATH, member, b'{"position_seconds": NaN, "duration_seconds": 1}'),
        ("POST", MOVIE_PATH, stocked.member | {"content-type": "image/png"}, REPORT),
        ("POST", MOVIE_PATH, member, REPORT + b" " * 65_536),
    ):
        expected = await by_the_application(stocked, *request)
        assert not expected.startswith(b"HTTP/1.1 200")
        assert await line.ask(*request) == expected, request
    assert line.ends == 0


async def test_a_token_with_an_insufficient_scope_is_refused_with_the_same_bytes(stocked: World, line: Line):
    accounts = stocked.playhead.installation.accounts
    token = await accounts.create_token(UserId(stocked.user_ids["member"]), "reads", scope=TokenScope.READ)
    reader = {"authorization": f"Bearer {token.secret}"}
    await stocked.client.get(ME, headers=reader)
    save = ("POST", MOVIE_PATH, reader | JSON, REPORT)
    expected = await by_the_application(stocked, *save)
    assert expected.startswith(b"HTTP/1.1 403")
    assert await line.ask(*save) == expected
    read = await line.ask("GET", MOVIE_PATH, reader)
    assert read is not None
    assert read.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEaReR"])
async def test_the_scheme_of_a_credential_is_case_insensitive(stocked: World, line: Line, scheme: str):
    credential = stocked.member["authorization"].partition(" ")[2]
    headers = {"authorization": f"{scheme} {credential}"}
    expected = await by_the_application(stocked, "GET", MOVIE_PATH, headers)
    assert expected.startswith(b"HTTP/1.1 200")
    assert await line.ask("GET", MOVIE_PATH, headers) == expected


async def test_a_closed_store_ends_the_connection(stocked: World, line: Line):
    await stocked.client.get(ME, headers=stocked.member)
    await stocked.playhead.installation.playback.close()
    answer = await line.ask("POST", MOVIE_PATH, stocked.member | JSON, REPORT)
    assert answer is not None
    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert line.ends == 1


async def test_everything_else_is_left_to_the_application(stocked: World, line: Line):
    assert await line.ask("GET", MOVIE_PATH, stocked.member) is None  # not cached yet
    await stocked.client.get(ME, headers=stocked.member)
    token = stocked.member["authorization"].removeprefix("Bearer ")
    for method, path, headers in (
        ("GET", "/api/v1/playback/movie/", stocked.member),
        ("GET", "/api/v1/playback/movie/%31", stocked.member),
        ("GET", MOVIE_PATH + "?", stocked.member),
        ("GET", MOVIE_PATH + "/", stocked.member),
        ("GET", MOVIE_PATH + "/state", stocked.member),
        ("GET", f"/api/v1/playback/show/{MOVIE}", stocked.member),
        ("GET", "/livez", stocked.member),
        ("GET", "/api/v1/noop", stocked.member),
        ("POST", "/api/v1/noop", stocked.member),
        ("GET", ME, stocked.member),
        ("HEAD", MOVIE_PATH, stocked.member),
        ("PUT", MOVIE_PATH, stocked.member),
        ("DELETE", MOVIE_PATH, stocked.member),
        ("GET", MOVIE_PATH, {}),
        ("GET", MOVIE_PATH, {"authorization": f"Basic {token}"}),
        ("GET", MOVIE_PATH, {"authorization": "Bearer " + "0" * 64}),
        ("GET", MOVIE_PATH, {"cookie": f"playhead_session={token}"}),
    ):
        assert await line.ask(method, path, headers) is None, (method, path, headers)
    assert await line.ask("GET", MOVIE_PATH, stocked.member) is not None


async def test_a_defect_is_logged_and_hidden_from_the_client(
    stocked: World, line: Line, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    async def fail(*_: object) -> None:
        raise ZeroDivisionError

    await stocked.client.get(ME, headers=stocked.member)
    monkeypatch.setattr(stocked.playhead.installation.database, "commit_batch", fail)
    expected = await by_the_application(stocked, "POST", MOVIE_PATH, stocked.member | JSON, REPORT)
    assert expected.startswith(b"HTTP/1.1 500 ")
    assert await line.ask("POST", MOVIE_PATH, stocked.member | JSON, REPORT) == expected
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError] * 2


async def test_a_revoked_token_is_refused(stocked: World, line: Line):
    await stocked.client.get(ME, headers=stocked.member)
    assert await line.ask("GET", MOVIE_PATH, stocked.member) is not None
    accounts = stocked.playhead.installation.accounts
    await accounts.remove_user(stocked.user_ids["member"])  # pyright: ignore[reportArgumentType]
    assert await line.ask("GET", MOVIE_PATH, stocked.member) is None


async def test_answers_of_the_fast_path_are_counted(stocked: World, line: Line):
    await stocked.client.get(ME, headers=stocked.member)
    for path in (MOVIE_PATH, MOVIE_PATH, NOWHERE_PATH):
        assert await line.ask("GET", path, stocked.member) is not None
    numbers = (await stocked.client.get("/metrics")).text
    for status, count in ((200, 2), (404, 1)):
        name = f'method="GET",route="/api/v1/playback/movie/{{id}}",status="{status}"'
        assert f"playhead_requests_total{{{name}}} {count}.0" in numbers


async def test_behind_a_proxy_both_paths_answer(settings: Settings):
    playhead = Playhead(settings.model_copy(update={"base_path": "/playhead"}))
    line = Line(playhead)
    assert await line.ask("GET", NOWHERE_PATH, {}) is None  # closed
    await playhead.open()
    signed_in = await playhead.installation.accounts.setup_token()
    assert signed_in is not None
    owner = await playhead.installation.accounts.claim(signed_in, "owner", "correct horse battery")
    headers = {"authorization": f"Bearer {owner.token}"}
    transport = httpx.ASGITransport(app=playhead)
    async with httpx.AsyncClient(transport=transport, base_url="http://playhead.test") as client:
        for path in (NOWHERE_PATH, "/playhead" + NOWHERE_PATH):
            assert (await client.get(path, headers=headers)).status_code == 404
            answer = await line.ask("GET", path, headers)
            assert answer is not None
            assert answer.startswith(b"HTTP/1.1 404 Not Found\r\n")
        assert await line.ask("GET", "/other" + NOWHERE_PATH, headers) is None
    await playhead.close()
