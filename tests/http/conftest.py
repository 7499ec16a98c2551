"""The application in process: a real database in a temporary folder, and an HTTP client for it."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from fakes import Clock
from playhead.asgi import Playhead
from playhead.bootstrap import open_installation
from playhead.config import Settings
from playhead.domain.model import Instant, Role
from playhead.services.accounts import Accounts
from world import LIBRARY, PASSWORD, World, stock_library

# At full cost, hashing three passwords takes longer than most tests. tests/services/test_passwords.py tests that cost.
CHEAP_HASHES_KIB = 8

ROLES = {"admin": Role.ADMIN, "member": Role.MEMBER, "stranger": Role.MEMBER}


@dataclass(frozen=True)
class People:
    """The users of a world: the header that authenticates each, and their ids."""

    headers: dict[str, dict[str, str]]
    user_ids: dict[str, str]


async def add_people(accounts: Accounts) -> People:
    people = People({}, {})
    for name, role in ROLES.items():
        user = await accounts.create_user(name, PASSWORD, role)
        secret = (await accounts.create_token(user.id, "tests")).secret
        people.headers[name] = {"authorization": f"Bearer {secret}"}
        people.user_ids[name] = user.id
    return people


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests marked `both_engines` on both engines. What storage does not decide is the same on either."""
    chosen = any("engine" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if metafunc.definition.get_closest_marker("both_engines") and "engine" in metafunc.fixturenames and not chosen:
        metafunc.parametrize("engine", ["sqlite", "postgresql"])


@pytest.fixture
def engine() -> str:
    """SQLite, unless a test or its module is marked `both_engines`."""
    return "sqlite"


@pytest.fixture(scope="session")
def inhabited(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, People]:
    """An SQLite database with the users of a world, to be copied: adding them takes longer than most tests."""
    settings = Settings(data=tmp_path_factory.mktemp("inhabited"))
    shutil.copy(migrated_file, settings.database_path)

    async def add() -> People:
        async with open_installation(
            settings, on_failure=pytest.fail, clock=Clock(), password_memory_kib=CHEAP_HASHES_KIB
        ) as installation:
            return await add_people(installation.accounts)

    return settings.database_path, asyncio.run(add())


@pytest.fixture
async def world(settings: Settings, inhabited: tuple[Path, People]) -> AsyncIterator[World]:
    clock = Clock(Instant(1_762_639_200_000))  # 2025-11-08T22:00:00Z
    playhead = Playhead(settings, clock=clock, password_memory_kib=CHEAP_HASHES_KIB)
    file, people = inhabited
    if settings.database_url is None:
        shutil.copy(file, settings.database_path)
    await playhead.open()
    if settings.database_url is not None:
        people = await add_people(playhead.installation.accounts)
    headers = {name: dict(header) for name, header in people.headers.items()}
    transport = httpx.ASGITransport(app=playhead, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://playhead.test") as client:
        yield World(
            playhead, client, clock, headers["admin"], headers["member"], headers["stranger"], dict(people.user_ids)
        )
    await playhead.close()


@pytest.fixture
async def stocked(world: World) -> World:
    """The world with a library of a movie, a show and an episode, which the member may see."""
    await world.playhead.installation.database.write(lambda c: stock_library(c, world.user_ids["member"]))
    return world


@pytest.fixture
async def child(stocked: World) -> dict[str, str]:
    """The headers of a child who may see the library."""
    body = {"username": "kim", "password": PASSWORD, "role": "child"}
    made = await stocked.client.post("/api/v1/users", json=body, headers=stocked.admin)
    assert (made.status_code, made.json()["role"]) == (201, "child")
    path = f"/api/v1/libraries/{LIBRARY}/access/{made.json()['id']}"
    assert (await stocked.client.put(path, headers=stocked.admin)).status_code == 204
    stocked.user_ids["kim"] = made.json()["id"]
    session = await stocked.client.post("/api/v1/sessions", json={"username": "kim", "password": PASSWORD})
    return {"authorization": f"Bearer {session.json()['token']}"}
