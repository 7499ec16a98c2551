"""Group commit in lanes: jobs that arrive while a batch commits form the next batch. Knows no domain and no SQL."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence, Sized
from itertools import islice
from typing import Generic, TypeVar

from playhead.errors import unavailable

Job = TypeVar("Job")
Result = TypeVar("Result")

# From this size on the fixed cost of a batch is a small share of it, and lingering gains nothing.
_LINGER_UNTIL = 128
# Iterations of the event loop without a new job that end the lingering. An idle iteration takes some microseconds.
_LINGER_ITERATIONS = 6


class GroupCommit(Generic[Job, Result]):
    """Passes queued jobs to `commit` in batches: one batch per lane at a time, lanes in parallel.

    `commit` takes the jobs of a batch in order of arrival and returns one result per job, in that order, once all are
    durable. A result that is an exception is raised to that job's submitter only; an exception raised by `commit`, to
    all submitters of the batch. Jobs of one lane keep their order. `lane_of` maps a job to its lane,
    0 ≤ lane < `lanes`. `observe` gets the size of each batch and its duration in seconds. Bound to one event loop.

    `max_waiting` is four full batches: a job then waits for at most four disk syncs, within a client's patience.
    """

    def __init__(  # noqa: PLR0913 - bounds that a test or a store sets
        self,
        commit: Callable[[list[Job]], Awaitable[Sequence[Result | Exception]]],
        *,
        lanes: int = 1,
        lane_of: Callable[[Job], int] = lambda _: 0,
        max_batch: int = 512,
        max_waiting: int = 2048,
        observe: Callable[[int, float], None] = lambda _size, _seconds: None,
    ) -> None:
        self._commit = commit
        self._lane_of = lane_of
        self._lanes: list[_Lane[Job, Result]] = [_Lane() for _ in range(lanes)]
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._observe = observe
        self._waiting = 0
        self._refused = 0
        self._closed = False

    @property
    def waiting(self) -> int:
        """The number of jobs that are queued or being committed."""
        return self._waiting

    @property
    def refused(self) -> int:
        """The number of jobs refused so far because the queue was full or closed."""
        return self._refused

    def submit(self, job: Job) -> "asyncio.Future[Result]":
        """Queue a job; the future yields its result once it is durable.

        Raises UNAVAILABLE immediately if the queue is full or closed (backpressure). Cancelling the future does not
        withdraw the job: it may already be durable.
        """
        if self._closed or self._waiting >= self._max_waiting:
            self._refused += 1
            raise unavailable()
        lane = self._lanes[self._lane_of(job)]
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        lane.waiting.append((job, future))
        self._waiting += 1
        if lane.task is None:
            # The task starts at the next iteration of the event loop, so that all requests of this one share its first
            # batch.
            lane.task = loop.create_task(self._run(lane))
        return future

    def submit_many(self, jobs: Sequence[Job]) -> "list[asyncio.Future[Result]]":
        """Queue all jobs of one submitter, or none; otherwise like `submit`."""
        if self._waiting + len(jobs) > self._max_waiting:
            self._refused += len(jobs)
            raise unavailable()
        return [self.submit(job) for job in jobs]

    async def close(self) -> None:
        """Refuse further jobs and wait until all accepted ones are answered."""
        self._closed = True
        while running := [lane.task for lane in self._lanes if lane.task is not None]:
            await asyncio.wait(running)

    async def _run(self, lane: "_Lane[Job, Result]") -> None:
        loop = asyncio.get_running_loop()
        try:
            while lane.waiting:
                batch = list(islice(lane.waiting, self._max_batch))
                for _ in batch:
                    lane.waiting.popleft()
                began = loop.time()
                await self._commit_batch(batch)
                self._waiting -= len(batch)
                self._observe(len(batch), loop.time() - began)
                await _linger(lane.waiting)
        finally:
            lane.task = None

    async def _commit_batch(self, batch: "list[tuple[Job, asyncio.Future[Result]]]") -> None:
        results: Sequence[Result | Exception]
        try:
            results = await self._commit([job for job, _ in batch])
        except Exception as error:  # noqa: BLE001 - whatever it is, every submitter must hear of it
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():  # its submitter was cancelled, a client that hung up
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)


async def _linger(waiting: Sized) -> None:
    """Linger so that just-served clients join the next batch, if other jobs are already queued.

    Otherwise clients fall into two halves that take turns, and twice as many batches are needed.
    """
    quiet = 0
    while 0 < len(waiting) < _LINGER_UNTIL and quiet < _LINGER_ITERATIONS:
        before = len(waiting)
        await asyncio.sleep(0)
        quiet = 0 if len(waiting) > before else quiet + 1


class _Lane(Generic[Job, Result]):
    """The queued jobs of one lane, and the task that commits them while there are any."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[Job, asyncio.Future[Result]]] = deque()
        self.task: asyncio.Task[None] | None = None
