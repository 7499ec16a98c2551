"""Communication between workers: running ones answer, and missing ones are noticed within about a second."""

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


async def test_each_worker_gets_the_answers_of_the_others(peers: list[Peers]):
    large = b"x" * 1_000_000
    said = [b"zero", b"", large]
    async with AsyncExitStack() as stack:
        for peer, words in zip(peers, said, strict=True):
            await stack.enter_async_context(peer.telling(lambda words=words: words))
        assert await peers[0].ask() == {1: b"", 2: large}
        assert await peers[1].ask() == {0: b"zero", 2: large}


async def test_answers_are_current(peers: list[Peers]):
    times = iter(range(10))
    async with peers[1].telling(lambda: str(next(times)).encode()):
        assert [(await peers[0].ask())[1] for _ in range(3)] == [b"0", b"1", b"2"]


async def test_a_worker_that_is_gone_gives_no_answer(peers: list[Peers]):
    async with peers[1].telling(lambda: b"here"):
        assert await peers[0].ask() == {1: b"here", 2: None}
    assert await peers[0].ask() == {1: None, 2: None}


async def test_a_hung_worker_delays_the_others_by_at_most_a_second(peers: list[Peers], tmp_path: Path):
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(str(tmp_path / "2"))
        hanging.listen()
        began = time.monotonic()
        async with peers[1].telling(lambda: b"here"):
            assert await peers[0].ask() == {1: b"here", 2: None}
        assert 0.9 < time.monotonic() - began < 10


async def test_a_killed_worker_is_replaced_at_the_same_place(peers: list[Peers], tmp_path: Path):
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(tmp_path / "1"))  # the socket file remains
    assert await peers[0].ask() == {1: None, 2: None}
    async with Peers(tmp_path, 1, 3).telling(lambda: b"again"):
        assert (await peers[0].ask())[1] == b"again"


async def test_many_may_ask_concurrently(peers: list[Peers]):
    async with peers[1].telling(lambda: b"here"):
        assert await asyncio.gather(*(peers[0].ask() for _ in range(50))) == [{1: b"here", 2: None}] * 50
