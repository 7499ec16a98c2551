"""Measurements of group commit, counted as plain integers and exported by `http/metrics.py`."""

from bisect import bisect_left
from collections.abc import Sequence

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Distribution:
    """A histogram: `counts` has one entry per upper bound, and one for larger values."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Commits:
    """The number of reports per transaction, and the time from its begin until it was durable."""

    def __init__(self) -> None:
        self.sizes = Distribution(_SIZES)
        self.seconds = Distribution(_SECONDS)

    def add(self, size: int, seconds: float) -> None:
        """Count a transaction."""
        self.sizes.add(size)
        self.seconds.add(seconds)
