"""Two users with three devices each, and a server that is killed meanwhile: in the end all of them show the same state.

The server must agree with the rules about all reports; every report is accepted in the end, because a device retries
until it is answered.
"""

import asyncio
import signal
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import Connection

from household import DURATION_S, Device, Item, Member, live_through
from playhead.bootstrap import open_installation
from playhead.config import Settings
from playhead.domain.model import LibraryId, Milliseconds, Role
from playhead.domain.playback import ItemFacts
from server import Server
from world import EPISODE, LIBRARY, MOVIE, RUNTIME_MS, SHOW, insert_items, stock_library

pytestmark = pytest.mark.long

MOVIES = [MOVIE, *(f"00000000-0000-4000-8000-00000000000{number}" for number in range(2))]
EPISODES = [EPISODE, *(f"00000000-0000-4000-8000-00000000001{number}" for number in range(2))]
ITEMS: list[Item] = [*(("movie", each) for each in MOVIES), *(("episode", each) for each in EPISODES)]

DEVICES = ("television", "phone", "browser")

_numbers = count(1)


@pytest.fixture
def servers(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[list[Server]]:
    """On PostgreSQL two servers on one database, on SQLite a single one."""
    servers = [Server(tmp_path / "one")]
    if engine == "postgresql":
        database = request.getfixturevalue("durable_cluster").create(f"household-{next(_numbers)}")
        servers = [Server(tmp_path / name, database) for name in ("one", "other")]
    yield servers
    for server in servers:
        if server.running:
            server.stop(signal.SIGKILL)


def furnish(settings: Settings) -> list[Member]:
    """Create an installation with three movies, three episodes, and two members who may see them."""

    def stock(connection: Connection) -> None:
        stock_library(connection, viewer=None)
        common = {"library_id": LIBRARY, "runtime_ms": RUNTIME_MS, "added_at": 0}
        for number, (kind, item_id) in enumerate(ITEMS):
            if item_id in (MOVIE, EPISODE):
                continue
            names = dict.fromkeys(("title", "sort_title", "search_title", "identity"), item_id)
            row = common | names | {"id": item_id, "kind": kind}
            if kind == "episode":
                row |= {"show_id": SHOW, "season_number": 1, "episode_number": number}
            insert_items(connection, [row])

    async def make() -> list[Member]:
        members: list[Member] = []
        async with open_installation(settings, on_failure=lambda _: None) as installation:
            await installation.database.write(stock)
            for name in ("anna", "ben"):
                user = await installation.accounts.create_user(name, "correct horse", Role.MEMBER)
                await installation.accounts.grant(LibraryId(LIBRARY), user.id)
                members.append(Member((await installation.accounts.create_token(user.id, name)).secret, ITEMS))
        return members

    return asyncio.run(make())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """In a soak two households run in parallel, one per worker, with five kills of each server between them."""
    if "kills" in metafunc.fixturenames:
        metafunc.parametrize("kills", [3, 2] if metafunc.config.getoption("--soak") else [1])


def test_all_devices_agree_with_the_server_and_the_rules_although_a_server_is_killed(servers: list[Server], kills: int):
    random = Random(kills)  # noqa: S311 - to be repeated, as far as time allows
    members = furnish(servers[0].settings)
    for server in servers:
        server.start()
    devices = [
        Device(member, name, servers, number % len(servers), Random(random.random()))  # noqa: S311
        for member in members
        for number, name in enumerate(DEVICES)
    ]

    def kill_and_restart() -> None:
        for killed in servers * kills:
            time.sleep(random.uniform(1, 3))
            killed.stop(signal.SIGKILL)
            time.sleep(random.uniform(0, 1))
            killed.start()
        time.sleep(random.uniform(1, 3))

    states = asyncio.run(live_through(devices, kill_and_restart))

    facts = ItemFacts(Milliseconds(RUNTIME_MS), None)
    for member in members:
        assert len(member.reports) > len(ITEMS)
        assert states[member.token] == member.expected(facts)
    assert RUNTIME_MS == DURATION_S * 1000
    assert all(device.streams > 1 and device.refetches for device in devices)
    assert sum(device.repeated for device in devices)
    for server in servers:
        assert server.stop() == 0
        assert "Traceback" not in server.printed()
