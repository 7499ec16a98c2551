"""Pages of other origins: preflights, which answers they may read, and that browsers' own credentials never count."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus

import httpx
import pytest
from starlette.types import Message

from fakes import Clock
from playhead.asgi import Playhead
from playhead.config import Settings
from playhead.domain.model import Role
from playhead.http.route import Pending
from world import MOVIE, PASSWORD, stock_library

pytestmark = pytest.mark.anyio

PLAYER, APP, OTHER = "https://player.example", "capacitor://localhost", "https://evil.example"
PATH = f"/api/v1/playback/movie/{MOVIE}"
REPORT = {"position_seconds": 1250, "duration_seconds": 5400}
ALLOWED, CREDENTIALS = "access-control-allow-origin", "access-control-allow-credentials"


@dataclass
class Site:
    """A Playhead with allowed origins, a client of it, and the header of a member who may see its library."""

    playhead: Playhead
    client: httpx.AsyncClient
    member: dict[str, str]

    async def get(self, path: str, origin: str | None, **headers: str) -> httpx.Response:
        return await self.client.get(
            path, headers=self.member | ({} if origin is None else {"origin": origin}) | headers
        )

    async def preflight(self, path: str, origin: str, method: str = "POST") -> httpx.Response:
        headers = {"origin": origin, "access-control-request-method": method}
        return await self.client.options(path, headers=headers | {"access-control-request-headers": "authorization"})


@asynccontextmanager
async def site(settings: Settings, *origins: str, base_path: str = "") -> AsyncIterator[Site]:
    own = Settings(data=settings.data, allowed_origins=origins, base_path=base_path)
    playhead = Playhead(own, clock=Clock(), password_memory_kib=8)
    await playhead.open()
    try:
        accounts = playhead.installation.accounts
        user = await accounts.create_user("member", PASSWORD, Role.MEMBER)
        await playhead.installation.database.write(lambda connection: stock_library(connection, user.id))
        token = (await accounts.create_token(user.id, "tests")).secret
        transport = httpx.ASGITransport(app=playhead, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://playhead.test") as client:
            yield Site(playhead, client, {"authorization": f"Bearer {token}"})
    finally:
        await playhead.close()


@pytest.fixture
async def here(settings: Settings) -> AsyncIterator[Site]:
    async with site(settings, PLAYER, APP) as found:
        yield found


def reading(response: httpx.Response) -> tuple[str | None, str | None]:
    """Who may read a response, and whether with credentials."""
    return response.headers.get(ALLOWED), response.headers.get(CREDENTIALS)


# Preflights


@pytest.mark.parametrize("path", [PATH, "/api/v1/events", f"/api/v1/stream/movie/{MOVIE}", "/api/v1/sessions"])
async def test_a_preflight_of_an_allowed_origin_is_answered_without_a_token(here: Site, path: str):
    for origin in (PLAYER, APP):
        answer = await here.preflight(path, origin)
        assert (answer.status_code, answer.content, reading(answer)) == (204, b"", (origin, None))
        assert answer.headers["vary"] == "origin"
        assert answer.headers["access-control-max-age"] == "7200"
        assert {"POST", "PUT", "PATCH", "DELETE"} <= {*answer.headers["access-control-allow-methods"].split(", ")}
        wanted = {"authorization", "content-type", "range", "last-event-id"}
        assert wanted <= {*answer.headers["access-control-allow-headers"].split(", ")}


async def test_a_preflight_of_another_origin_is_a_method_that_is_not_allowed(here: Site):
    for origin in (OTHER, PLAYER + ":8443", "http://player.example", "null", PLAYER.upper()):
        answer = await here.preflight(PATH, origin)
        assert (answer.status_code, reading(answer)) == (405, (None, None))


async def test_pages_are_not_for_other_origins(here: Site):
    assert (await here.preflight("/sign-in", PLAYER)).status_code == 405
    for path in ("/", "/sign-in", "/livez", "/metrics", "/static/playhead.css"):
        assert reading(await here.get(path, PLAYER)) == (None, None)


async def test_options_without_a_method_is_no_preflight(here: Site):
    assert (await here.client.options(PATH, headers={"origin": PLAYER})).status_code == 405


# Answers


async def test_a_page_of_an_allowed_origin_saves_and_reads_with_a_token(here: Site):
    saved = await here.client.post(PATH, json=REPORT, headers=here.member | {"origin": PLAYER})
    assert (saved.status_code, reading(saved)) == (200, (PLAYER, None))
    read = await here.get(PATH, PLAYER)
    assert (read.json()["position_seconds"], reading(read), read.headers["vary"]) == (1250, (PLAYER, None), "origin")
    exposed = {*read.headers["access-control-expose-headers"].split(", ")}
    assert {"accept-ranges", "content-range", "etag", "retry-after"} <= exposed


async def test_errors_can_be_read_too(here: Site):
    for path, headers, status in (
        (PATH, {}, 401),
        ("/api/v1/nothing", here.member, 404),
        ("/api/v1/items?limit=x", here.member, 422),
        ("/api/v1/users", here.member, 403),
        (f"/api/v1/stream/movie/{MOVIE}", here.member, 404),
    ):
        answer = await here.client.get(path, headers=headers | {"origin": PLAYER})
        assert (answer.status_code, reading(answer)) == (status, (PLAYER, None)), path


async def test_a_stream_of_events_can_be_read(here: Site):
    answer = await here.client.head("/api/v1/events", headers=here.member | {"origin": PLAYER})
    assert (answer.status_code, reading(answer)) == (200, (PLAYER, None))


async def test_an_answer_that_already_varies_keeps_that(here: Site):
    answer = await here.get(f"/api/v1/items/{MOVIE}/artwork?kind=poster&width=240", PLAYER)
    assert "origin" in answer.headers["vary"]


async def test_a_session_can_be_opened_from_an_allowed_origin_and_sets_no_cookie(here: Site):
    body = {"username": "member", "password": PASSWORD}
    answer = await here.client.post("/api/v1/sessions", json=body, headers={"origin": PLAYER})
    assert (answer.status_code, reading(answer), "set-cookie" in answer.headers) == (201, (PLAYER, None), False)


async def test_another_origin_is_answered_as_if_there_were_no_setting(here: Site):
    assert reading(await here.get(PATH, OTHER)) == (None, None)


async def test_a_cookie_changes_nothing_for_an_allowed_origin(here: Site):
    body = {"username": "member", "password": PASSWORD}
    token = (await here.client.post("/api/v1/sessions", json=body)).json()["token"]
    headers = {"cookie": f"playhead_session={token}", "origin": PLAYER}
    answer = await here.client.post(PATH, json=REPORT, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (403, "Access denied")
    assert reading(answer) == (PLAYER, None)


async def test_every_origin_can_be_allowed(settings: Settings):
    async with site(settings, "*") as here:
        for answer in (await here.get(PATH, OTHER), await here.preflight(PATH, "null")):
            assert (answer.is_success, reading(answer)) == (True, ("*", None))
            assert "vary" not in answer.headers


async def test_the_api_below_a_path_of_a_proxy_is_allowed_too(settings: Settings):
    async with site(settings, PLAYER, base_path="/playhead") as here:
        for path in (PATH, f"/playhead{PATH}"):
            assert reading(await here.get(path, PLAYER)) == (PLAYER, None)
            assert (await here.preflight(path, PLAYER)).status_code == 204


async def test_a_refusal_of_a_full_server_can_be_read(here: Site):
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "GET", "path": PATH, "headers": [(b"origin", PLAYER.encode())]}
    await here.playhead.turn_away(scope, receive, send)
    assert (sent[0]["status"], (ALLOWED.encode(), PLAYER.encode()) in sent[0]["headers"]) == (503, True)


# The fast path


@dataclass
class Whole:
    """A complete request of the server."""

    named: dict[bytes, bytes]
    method: bytes = b"GET"
    target: bytes = PATH.encode()
    body: bytes | None = None


async def fast(here: Site, **headers: str) -> bytes | None:
    named = {name.encode(): value.encode() for name, value in (here.member | headers).items()}
    answer = here.playhead.answer_fast(Whole(named))
    assert not isinstance(answer, Pending)
    return answer


def in_bytes(response: httpx.Response) -> bytes:
    status = HTTPStatus(response.status_code)
    head = "".join(f"{name}: {value}\r\n" for name, value in response.headers.items())
    return f"HTTP/1.1 {status.value} {status.phrase}\r\n{head}\r\n".encode() + response.content


async def test_without_an_origin_the_fast_path_answers_the_same_bytes_as_without_the_setting(
    here: Site, settings: Settings
):
    with_setting = in_bytes(await here.get(PATH, None))
    assert await fast(here) == with_setting
    await here.playhead.close()
    async with site(settings.model_copy(update={"data": settings.data / "other"})) as plain:
        for origin in (None, PLAYER):
            assert in_bytes(await plain.get(PATH, origin)) == with_setting
        assert await fast(plain) == await fast(plain, origin=PLAYER) == with_setting


async def test_with_an_origin_the_fast_path_leaves_the_answer_to_the_application(here: Site):
    await here.get(PATH, None)
    assert await fast(here) is not None
    assert await fast(here, origin=PLAYER) is None
    assert await fast(here, origin=OTHER) is None
