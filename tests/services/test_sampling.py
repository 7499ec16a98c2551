"""Samples of the last hour: rates from counters, by an injected clock, bounded in number."""

import pytest

from fakes import Clock
from playhead.services.sampling import INTERVAL_S, KEPT, Counters, Sampler, sample

pytestmark = pytest.mark.anyio

NOTHING = Counters(0, 0, 0, 0, 0, 0.0, 0, 0, None, None)


class Counted:
    """Counters and a clock that a test advances."""

    def __init__(self) -> None:
        self.counters = NOTHING
        self.seconds = 0.0
        self.clock = Clock(0)
        self.sampler = Sampler(lambda: self.counters, clock=self.clock, monotonic=lambda: self.seconds)

    def after(self, seconds: float, **counters: float | None) -> None:
        self.seconds += seconds
        self.clock.advance(int(1000 * seconds))
        self.counters = self.counters._replace(**counters)
        self.sampler.look()


def test_counters_become_rates_and_means_over_the_elapsed_time():
    before = NOTHING._replace(requests=100, saves=50, commits=10, commit_s=1.0, failed=1, refused=5)
    after = Counters(300, 3, 5, 150, 30, 1.1, 7, 2, 4096, 8192)
    found = sample(before, after, 10, Clock(1000)())
    assert (found.at, found.requests_per_s, found.saves_per_s) == (1000, 20, 10)
    assert found.commit_ms == pytest.approx(5)
    assert found.saves_per_commit == 5
    assert (found.failed, found.refused, found.waiting, found.streams) == (2, 0, 7, 2)
    assert (found.log_bytes, found.memory_bytes) == (4096, 8192)


def test_without_commits_there_is_no_mean():
    found = sample(NOTHING, NOTHING._replace(requests=1), 10, Clock(0)())
    assert (found.commit_ms, found.saves_per_commit) == (None, None)


def test_each_sample_is_compared_with_the_one_before_by_the_elapsed_time():
    counted = Counted()
    counted.after(10, requests=100)
    counted.after(40, requests=300)  # the sample is late: the event loop was busy
    assert [(each.at, each.requests_per_s) for each in counted.sampler.samples] == [(10_000, 10), (50_000, 5)]


def test_two_samples_at_the_same_instant_are_one():
    counted = Counted()
    counted.after(0, requests=100)
    assert counted.sampler.samples == ()
    counted.after(10)
    assert [each.requests_per_s for each in counted.sampler.samples] == [10]


def test_only_one_hour_is_kept():
    counted = Counted()
    for _ in range(KEPT + 5):
        counted.after(INTERVAL_S)
    samples = counted.sampler.samples
    assert len(samples) == KEPT
    assert samples[-1].at - samples[0].at == 3_600_000 - 1000 * INTERVAL_S


async def test_a_sampler_can_be_closed_whether_or_not_it_was_started():
    counted = Counted()
    await counted.sampler.close()
    counted.sampler.start()
    await counted.sampler.close()
    await counted.sampler.close()
