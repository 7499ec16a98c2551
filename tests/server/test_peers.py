"""What workers tell each other: whoever is there answers, whoever is not is known within a second or so."""

import asyncio
import socket
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from playhead.server.peers import Peers

pytestmark = pytest.mark.anyio


@pytest.fixture
def peers(tmp_path: Path) -> list[Peers]:
    return [Peers(tmp_path, place, 3) for place in range(3)]


async def test_each_is_told_what_the_others_say(peers: list[Peers]):
    large = b"x" * 1_000_000
    said = [b"zero", b"", large]
    async with AsyncExitStack() as stack:
        for peer, words in zip(peers, said, strict=True):
            await stack.enter_async_context(peer.telling(lambda words=words: words))
        assert await peers[0].ask() == {1: b"", 2: large}
        assert await peers[1].ask() == {0: b"zero", 2: large}


async def test_what_is_told_is_of_the_moment(peers: list[Peers]):
    times = iter(range(10))
    async with peers[1].telling(lambda: str(next(times)).encode()):
        assert [(await peers[0].ask())[1] for _ in range(3)] == [b"0", b"1", b"2"]


async def test_one_that_is_gone_says_nothing(peers: list[Peers]):
    async with peers[1].telling(lambda: b"here"):
        assert await peers[0].ask() == {1: b"here", 2: None}
    assert await peers[0].ask() == {1: None, 2: None}


async def test_one_that_hangs_is_waited_for_no_longer_than_a_second(peers: list[Peers], tmp_path: Path):
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(str(tmp_path / "2"))
        hanging.listen()
        began = time.monotonic()
        async with peers[1].telling(lambda: b"here"):
            assert await peers[0].ask() == {1: b"here", 2: None}
        assert 0.9 < time.monotonic() - began < 10


async def test_one_that_was_killed_is_followed_by_another_at_the_same_place(peers: list[Peers], tmp_path: Path):
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(tmp_path / "1"))  # whose name stays
    assert await peers[0].ask() == {1: None, 2: None}
    async with Peers(tmp_path, 1, 3).telling(lambda: b"again"):
        assert (await peers[0].ask())[1] == b"again"


async def test_many_may_ask_at_once(peers: list[Peers]):
    async with peers[1].telling(lambda: b"here"):
        assert await asyncio.gather(*(peers[0].ask() for _ in range(50))) == [{1: b"here", 2: None}] * 50
