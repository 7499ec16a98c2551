"""The promises of group commit to its submitters."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from fakes import settle
from playhead.errors import Code, PlayheadError
from playhead.storage.engine.group_commit import GroupCommit


class Store:
    """Records the batches that it receives, and holds each until it is released."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure: Exception | None = None
        self.running = self.most_running = 0

    async def commit(self, jobs: list[int]) -> Sequence[int | Exception]:
        self.batches.append(jobs)
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        await self.gate.wait()
        self.running -= 1
        if self.failure is not None:
            raise self.failure
        return [ValueError(str(job)) if job < 0 else job * 10 for job in jobs]


def with_store(scenario: Callable[[Store], Awaitable[None]]) -> None:
    async def run() -> None:
        await scenario(Store())

    asyncio.run(run())


def test_concurrent_jobs_share_a_batch_and_get_their_own_results():
    async def scenario(store: Store) -> None:
        group = GroupCommit(store.commit)
        assert await asyncio.gather(*(group.submit(job) for job in (1, 2, 3))) == [10, 20, 30]
        assert store.batches == [[1, 2, 3]]

    with_store(scenario)


def test_many_jobs_of_one_submitter_are_accepted_all_or_none():
    async def scenario(store: Store) -> None:
        group = GroupCommit(store.commit, max_waiting=3)
        assert await asyncio.gather(*group.submit_many([1, 2, 3])) == [10, 20, 30]
        waiting = group.submit(4)
        with pytest.raises(PlayheadError) as refused:
            group.submit_many([5, 6, 7])
        assert refused.value.code is Code.UNAVAILABLE
        assert (group.waiting, group.refused) == (1, 3)
        assert await waiting == 40
        assert store.batches == [[1, 2, 3], [4]]

    with_store(scenario)


def test_jobs_that_arrive_during_a_commit_make_up_the_next_batch():
    async def scenario(store: Store) -> None:
        group = GroupCommit(store.commit)
        store.gate.clear()
        first = group.submit(1)
        await settle()
        later = [group.submit(job) for job in (2, 3, 4)]
        await settle()
        assert not first.done()
        store.gate.set()
        assert await asyncio.gather(first, *later) == [10, 20, 30, 40]
        assert store.batches == [[1], [2, 3, 4]]

    with_store(scenario)


def test_a_client_that_returns_soon_after_an_answer_joins_the_waiting_batch():
    async def scenario(store: Store) -> None:
        group = GroupCommit(store.commit)

        async def save_twice(first: int, second: int) -> None:
            await group.submit(first)
            for _ in range(3):  # the round trip to the client
                await asyncio.sleep(0)
            await group.submit(second)

        store.gate.clear()
        clients = [asyncio.create_task(save_twice(1, 3))]
        await settle()
        clients.append(asyncio.create_task(save_twice(2, 4)))
        await settle()
        store.gate.set()
        await asyncio.gather(*clients)
        assert store.batches == [[1], [2, 3], [4]]

    with_store(scenario)


def test_a_batch_contains_no_more_than_its_limit():
    async def scenario(store: Store) -> None:
        group = GroupCommit(store.commit, max_batch=2)
        await asyncio.gather(*(group.submit(job) for job in range(5)))
        assert store.batches == [[0, 1], [2, 3], [4]]

    with_store(scenario)


def test_a_lane_commits_one_batch_at_a_time_and_lanes_run_in_parallel():
    async def scenario(store: Store) -> None:
        group = GroupCommit(store.commit, lanes=2, lane_of=lambda job: job % 2)
        store.gate.clear()
        waiting = [group.submit(job) for job in (0, 1)]
        await settle()
        waiting += [group.submit(job) for job in (2, 3)]
        await settle()
        assert store.batches == [[0], [1]]
        store.gate.set()
        await asyncio.gather(*waiting)
        assert store.batches == [[0], [1], [2], [3]]
        assert store.most_running == 2

    with_store(scenario)


def test_a_result_that_is_an_exception_is_raised_to_its_submitter_alone():
    async def scenario(store: Store) -> None:
        group = GroupCommit(store.commit)
        results = await asyncio.gather(*(group.submit(job) for job in (1, -2, 3)), return_exceptions=True)
        assert results[0] == 10
        assert isinstance(results[1], ValueError)
        assert results[2] == 30

    with_store(scenario)


def test_a_failed_batch_is_raised_to_everybody_in_it_and_the_next_one_succeeds():
    async def scenario(store: Store) -> None:
        group = GroupCommit(store.commit)
        store.failure = OSError("disk")
        results = await asyncio.gather(*(group.submit(job) for job in (1, 2)), return_exceptions=True)
        assert [type(result) for result in results] == [OSError, OSError]
        store.failure = None
        assert await group.submit(3) == 30

    with_store(scenario)


def test_a_full_queue_refuses_immediately_and_accepts_more_once_there_is_room():
    async def scenario(store: Store) -> None:
        group = GroupCommit(store.commit, max_waiting=2)
        store.gate.clear()
        waiting = [group.submit(job) for job in (1, 2)]
        with pytest.raises(PlayheadError) as refused:
            group.submit(3)
        assert refused.value.code is Code.UNAVAILABLE
        assert refused.value.retry_after_s
        store.gate.set()
        await asyncio.gather(*waiting)
        assert await group.submit(3) == 30

    with_store(scenario)


def test_a_cancelled_submitter_affects_nobody_else():
    async def scenario(store: Store) -> None:
        group = GroupCommit(store.commit)
        store.gate.clear()
        gone, there = group.submit(1), group.submit(2)
        await settle()
        gone.cancel()
        store.gate.set()
        assert await there == 20

    with_store(scenario)


def test_closing_answers_accepted_jobs_and_refuses_the_rest():
    async def scenario(store: Store) -> None:
        group = GroupCommit(store.commit, max_batch=1)
        store.gate.clear()
        waiting = [group.submit(job) for job in (1, 2)]
        closing = asyncio.ensure_future(group.close())
        await settle()
        with pytest.raises(PlayheadError):
            group.submit(3)
        assert not closing.done()
        store.gate.set()
        await closing
        assert [future.result() for future in waiting] == [10, 20]

    with_store(scenario)
