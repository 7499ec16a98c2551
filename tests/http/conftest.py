"""The application in process: a real database in a temporary folder, and a client that speaks HTTP to it."""

from collections.abc import AsyncIterator

import httpx
import pytest

from playhead.asgi import Playhead
from playhead.config import Settings
from playhead.domain.model import Instant, Role
from support import Clock
from world import PASSWORD, World, stock_library


@pytest.fixture
async def world(settings: Settings) -> AsyncIterator[World]:
    clock = Clock(Instant(1_762_639_200_000))  # 2025-11-08T22:00:00Z
    playhead = Playhead(settings, clock=clock)
    await playhead.open()
    accounts = playhead.installation.accounts
    headers: dict[str, dict[str, str]] = {}
    user_ids: dict[str, str] = {}
    for name, role in (("admin", Role.ADMIN), ("member", Role.MEMBER), ("stranger", Role.MEMBER)):
        user = await accounts.create_user(name, PASSWORD, role)
        secret = (await accounts.create_token(user.id, "tests")).secret
        headers[name] = {"authorization": f"Bearer {secret}"}
        user_ids[name] = user.id
    transport = httpx.ASGITransport(app=playhead, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://playhead.test") as client:
        yield World(playhead, client, clock, headers["admin"], headers["member"], headers["stranger"], user_ids)
    await playhead.close()


@pytest.fixture
async def stocked(world: World) -> World:
    """The world with a library of a movie, a show and an episode, which the member may see."""
    await world.playhead.installation.database.write(lambda c: stock_library(c, world.user_ids["member"]))
    return world
