"""Samples of the last hour: this process's counters, read every ten seconds. Kept in memory only."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from playhead.domain.model import Instant

INTERVAL_S: Final = 10
KEPT: Final = 3600 // INTERVAL_S


class Counters(NamedTuple):
    """Totals since the start (requests to commit_s), and current values.

    `failed` counts answers of 500 and above except 503, `refused` those of 503. `log_bytes` is None if the store has no
    log of its own, `memory_bytes` if the system does not report it.
    """

    requests: int
    failed: int
    refused: int
    saves: int
    commits: int
    commit_s: float
    waiting: int
    streams: int
    log_bytes: int | None
    memory_bytes: int | None


class Sample(NamedTuple):
    """One sample: rates, counts and means since the previous one, and current values.

    `commit_ms` and `saves_per_commit` are means, None if nothing was committed.
    """

    at: Instant
    requests_per_s: float
    saves_per_s: float
    commit_ms: float | None
    saves_per_commit: float | None
    failed: int
    refused: int
    waiting: int
    streams: int
    log_bytes: int | None
    memory_bytes: int | None


def sample(before: Counters, after: Counters, elapsed_s: float, at: Instant) -> Sample:
    """Compare two readings taken `elapsed_s` (above 0) apart."""
    commits = after.commits - before.commits
    return Sample(
        at,
        (after.requests - before.requests) / elapsed_s,
        (after.saves - before.saves) / elapsed_s,
        1000 * (after.commit_s - before.commit_s) / commits if commits else None,
        (after.saves - before.saves) / commits if commits else None,
        after.failed - before.failed,
        after.refused - before.refused,
        after.waiting,
        after.streams,
        after.log_bytes,
        after.memory_bytes,
    )


class Sampler:
    """Keeps the samples of the last hour. `read` returns the counters, `monotonic` is a monotonic clock in seconds."""

    def __init__(
        self, read: Callable[[], Counters], *, clock: Callable[[], Instant], monotonic: Callable[[], float]
    ) -> None:
        self._read = read
        self._clock = clock
        self._monotonic = monotonic
        self._samples: deque[Sample] = deque(maxlen=KEPT)
        self._before, self._looked_at = read(), monotonic()
        self._task: asyncio.Task[None] | None = None

    @property
    def samples(self) -> Sequence[Sample]:
        """Return the samples of up to an hour, oldest first."""
        return tuple(self._samples)

    def start(self) -> None:
        """Take a sample every ten seconds until `close`."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop sampling; idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def look(self) -> None:
        """Take a sample since the previous one."""
        counters, looked_at = self._read(), self._monotonic()
        if looked_at > self._looked_at:
            self._samples.append(sample(self._before, counters, looked_at - self._looked_at, self._clock()))
            self._before, self._looked_at = counters, looked_at

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_S)
            self.look()
