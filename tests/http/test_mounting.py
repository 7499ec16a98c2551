"""Playhead within another application, under its own path."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette

from playhead import create_app
from playhead.asgi import Playhead
from playhead.domain.model import Role
from world import MOVIE, PASSWORD, stock_library

pytestmark = pytest.mark.anyio

OUTER: list[Callable[[], Starlette]] = [Starlette, FastAPI]


async def token_of_viewer(playhead: Playhead) -> str:
    accounts = playhead.installation.accounts
    user = await accounts.create_user("anna", PASSWORD, Role.MEMBER)
    await playhead.installation.database.write(lambda connection: stock_library(connection, user.id))
    return (await accounts.create_token(user.id, "tests")).secret


@pytest.mark.parametrize("outer", OUTER)
async def test_it_opens_at_the_first_request_and_answers_under_its_path(outer: Callable[[], Starlette], tmp_path: Path):
    playhead = create_app(tmp_path / "data")
    application = outer()
    application.mount("/watch/playhead", playhead)
    transport = httpx.ASGITransport(app=application)
    async with httpx.AsyncClient(transport=transport, base_url="http://site.test") as client:
        assert (await client.get("/watch/playhead/readyz")).status_code == 200
        client.headers["authorization"] = f"Bearer {await token_of_viewer(playhead)}"
        url = f"/watch/playhead/api/v1/playback/movie/{MOVIE}"
        saved = await client.post(url, json={"position_seconds": 1250, "duration_seconds": 5400})
        assert saved.json()["completion_percentage"] == 23.15
        assert (await client.get(url)).json() == saved.json()
        assert (await client.get(f"/api/v1/playback/movie/{MOVIE}")).status_code == 404
        assert (await client.get("/watch/playhead/static/playhead.css")).status_code == 200
    await playhead.close()


async def test_a_lifespan_opens_and_closes_it(tmp_path: Path):
    playhead = create_app(tmp_path / "data")
    sent: list[str] = []
    received = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> dict[str, str]:
        kind = next(received)
        if kind == "lifespan.shutdown":
            assert playhead.installation.database
        return {"type": kind}

    async def send(message: dict[str, str]) -> None:
        sent.append(message["type"])

    await playhead({"type": "lifespan"}, receive, send)  # pyright: ignore[reportArgumentType]
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    with pytest.raises(RuntimeError):
        playhead.installation  # noqa: B018 - the property raises


async def test_a_lifespan_that_cannot_open_says_why(tmp_path: Path):
    (tmp_path / "playhead.db").write_text("This is no database, and long enough to be looked at as one." * 20)
    playhead = create_app(tmp_path)
    sent: list[dict[str, str]] = []

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup"}

    async def send(message: dict[str, str]) -> None:
        sent.append(message)

    with pytest.raises(Exception, match=r"playhead\.db"):
        await playhead({"type": "lifespan"}, receive, send)  # pyright: ignore[reportArgumentType]
    assert sent[0]["type"] == "lifespan.startup.failed"
    assert "playhead.db" in sent[0]["message"]
