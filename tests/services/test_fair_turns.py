import asyncio
from collections.abc import Sequence

import pytest

from playhead.services.fair_turns import FairTurns

pytestmark = pytest.mark.anyio


async def served(turns: FairTurns, senders: Sequence[str]) -> list[str]:
    """Return the order in which senders that wait behind somebody are served."""
    order: list[str] = []

    async def wait(sender: str) -> None:
        await turns.acquire(sender)
        order.append(sender)
        turns.release()

    await turns.acquire("first")
    waiting = [asyncio.create_task(wait(sender)) for sender in senders]
    await asyncio.sleep(0)
    turns.release()
    await asyncio.gather(*waiting)
    return order


async def test_many_requests_of_one_sender_delay_another_by_one_turn():
    assert await served(FairTurns(1), ["crowd"] * 5 + ["anna"]) == ["crowd", "anna", *["crowd"] * 4]


async def test_senders_take_turns_in_order_of_arrival():
    assert await served(FairTurns(1), ["a", "a", "b", "c", "b"]) == ["a", "b", "c", "a", "b"]


async def test_concurrent_turns_are_limited():
    turns, most, now = FairTurns(2), 0, 0

    async def work(sender: str) -> None:
        nonlocal most, now
        await turns.acquire(sender)
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        turns.release()

    await asyncio.gather(*(work(f"{number % 3}") for number in range(20)))
    assert (most, now) == (2, 0)


async def test_the_turn_of_a_cancelled_waiter_passes_to_the_next():
    turns = FairTurns(1)
    await turns.acquire("first")
    gone, given, next_one = (asyncio.create_task(turns.acquire(name)) for name in "abc")
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    turns.release()  # to b, which is cancelled at the same instant
    given.cancel()
    await asyncio.gather(gone, given, return_exceptions=True)
    await asyncio.wait_for(next_one, 60)
    turns.release()
    await asyncio.wait_for(turns.acquire("later"), 60)
