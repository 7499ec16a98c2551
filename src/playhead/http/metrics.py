"""What the server tells Prometheus. Names routes and statuses, never a user, an item or an address.

Requests are counted as plain integers and made into metrics only when somebody asks: a counter of prometheus_client
takes a lock at each step, and costs more than all of Playhead's routing.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.responses import Response

from playhead.http.route import Call
from playhead.services.measures import Commits, Distribution

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

NO_ROUTE: Final = "other"
"""Stands for the method and the path of what is no route: whatever people call must not become a label."""


class Traffic:
    """What was answered so far, by method, path of the table and status, and how much is under way just now.

    `refused` counts by queue what was answered with 503 because there was no room.
    """

    def __init__(self) -> None:
        self.answers: defaultdict[tuple[str, str, int], int] = defaultdict(int)
        self.refused: defaultdict[str, int] = defaultdict(int)
        self.under_way = 0


class MetricsRoutes:
    """The endpoint for Prometheus. `waiting` and `refused` say it of each queue by name.

    `log_bytes` is the size of the store's log, None where it has none of its own.
    """

    def __init__(  # noqa: PLR0913 - each number comes from where it is known
        self,
        traffic: Traffic,
        commits: Callable[[], Commits],
        *,
        waiting: Callable[[], Mapping[str, int]],
        refused: Callable[[], Mapping[str, int]],
        log_bytes: Callable[[], int | None],
        version: str,
    ) -> None:
        self._traffic = traffic
        self._commits = commits
        self._waiting = waiting
        self._refused = refused
        self._log_bytes = log_bytes
        self._version = version
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._registry.register(_Collected(self._collect))

    async def read(self, _: Call) -> Response:
        """Answer all metrics of this process, in Prometheus' text format."""
        return Response(generate_latest(self._registry), media_type=MEDIA_TYPE, headers={"cache-control": "no-store"})

    def _collect(self) -> Iterable[Metric]:
        yield InfoMetricFamily("playhead", "This program", {"version": self._version})
        requests = CounterMetricFamily(
            "playhead_requests", "Requests that were answered", labels=["method", "route", "status"]
        )
        for (method, path, status), count in self._traffic.answers.items():
            if status:  # nobody was there any more to hear the answer
                requests.add_metric([method, path, str(status)], count)
        yield requests
        yield GaugeMetricFamily(
            "playhead_requests_under_way", "Requests of bounded routes that are being answered", self._traffic.under_way
        )
        refused = CounterMetricFamily(
            "playhead_refused", "What was answered with 503 because there was no room", labels=["queue"]
        )
        for queue, count in {**self._traffic.refused, **self._refused()}.items():
            refused.add_metric([queue], count)
        yield refused
        waiting = GaugeMetricFamily("playhead_queue_depth", "What waits or is being committed", labels=["queue"])
        for queue, count in self._waiting().items():
            waiting.add_metric([queue], count)
        yield waiting
        yield _histogram(
            "playhead_commit_seconds",
            "From the begin of a transaction of reports until it is durable",
            self._commits().seconds,
        )
        yield _histogram("playhead_commit_reports", "Reports in one transaction", self._commits().sizes)
        log_bytes = self._log_bytes()
        if log_bytes is not None:
            yield GaugeMetricFamily("playhead_wal_bytes", "Size of SQLite's write-ahead log", log_bytes)


class _Collected(Collector):
    """What a function yields, asked for at each scrape and not before."""

    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        return self._collect()

    def describe(self) -> Iterable[Metric]:
        return ()


def _histogram(name: str, documentation: str, values: Distribution) -> HistogramMetricFamily:
    total, buckets = 0, list[tuple[str, float]]()
    for bound, count in zip((*map(str, map(float, values.bounds)), "+Inf"), values.counts, strict=True):
        total += count
        buckets.append((bound, total))
    return HistogramMetricFamily(name, documentation, buckets=buckets, sum_value=values.sum)
