"""The application in process: a real database in a temporary folder, and a client that speaks HTTP to it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from support import Clock

from playhead.bootstrap import Playhead
from playhead.config import Settings
from playhead.domain.model import Instant, Role

PASSWORD = "correct horse battery"


@dataclass
class World:
    """A running Playhead, a client, its clock, and tokens of an admin, a member who sees all, and a stranger."""

    playhead: Playhead
    client: httpx.AsyncClient
    clock: Clock
    admin: dict[str, str]
    member: dict[str, str]
    stranger: dict[str, str]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = Clock(Instant(1_762_639_200_000))  # 2025-11-08T22:00:00Z
    playhead = Playhead(Settings(data=tmp_path / "data"), clock=clock)
    await playhead.open()
    accounts = playhead.installation.accounts
    headers: dict[str, dict[str, str]] = {}
    for name, role in (("admin", Role.ADMIN), ("member", Role.MEMBER), ("stranger", Role.MEMBER)):
        user = await accounts.create_user(name, PASSWORD, role)
        secret = (await accounts.create_token(user.id, "tests")).secret
        headers[name] = {"authorization": f"Bearer {secret}"}
    transport = httpx.ASGITransport(app=playhead, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://playhead.test") as client:
        yield World(playhead, client, clock, headers["admin"], headers["member"], headers["stranger"])
    await playhead.close()
