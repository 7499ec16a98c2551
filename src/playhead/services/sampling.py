"""The last hour in numbers: what this process has counted, looked at every ten seconds. Kept in memory only."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from playhead.domain.model import Instant

INTERVAL_S: Final = 10
KEPT: Final = 3600 // INTERVAL_S


class Counters(NamedTuple):
    """What was counted since the start (requests to commit_s), and what is so just now.

    `failed` were answered with 500 or the like, `refused` with 503. `log_bytes` is None where the store has no log of
    its own, `memory_bytes` where the system does not tell.
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
    """One look: rates, counts and means since the look before it, and what was so at its time.

    `commit_ms` and `saves_per_commit` are means, None where nothing was committed.
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
    """Compare two looks, `elapsed_s` (above 0) from each other."""
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
    """Keeps the samples of the last hour. `read` gives the counters, `monotonic` seconds that never jump."""

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
        """Look every ten seconds until `close`."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Look no more; idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def look(self) -> None:
        """Take a sample of the time since the last one."""
        counters, looked_at = self._read(), self._monotonic()
        if looked_at > self._looked_at:
            self._samples.append(sample(self._before, counters, looked_at - self._looked_at, self._clock()))
            self._before, self._looked_at = counters, looked_at

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_S)
            self.look()
