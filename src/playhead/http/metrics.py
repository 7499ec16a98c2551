"""Metrics for Prometheus. Labels name routes and statuses, never users, items or addresses.

Requests are counted as plain integers and turned into metrics only on a scrape: a counter of prometheus_client takes a
lock on every increment and costs more than all of Playhead's routing. If several workers serve one port, the one that
is scraped answers for all.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, NamedTuple

import msgspec
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample
from starlette.responses import Response

from playhead.http.route import Call
from playhead.services.measures import Commits, Distribution

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

NO_ROUTE: Final = "other"
"""The label of requests that match no route: arbitrary paths must not become labels."""


class RequestStats:
    """Responses so far, by method, route path and status, and the requests in progress.

    `refused` counts, per queue, the requests answered with 503 by backpressure.
    """

    def __init__(self) -> None:
        self.answers: defaultdict[tuple[str, str, int], int] = defaultdict(int)
        self.refused: defaultdict[str, int] = defaultdict(int)
        self.under_way = 0


class WorkerLabel(NamedTuple):
    """This process among several workers, and how to query the others for their encoded metrics.

    A worker that does not answer yields None.
    """

    place: int
    ask_others: Callable[[], Awaitable[Mapping[int, bytes | None]]]


class MetricsCollector(Collector):
    """All metrics of this process, computed on demand. `waiting` and `refused` are per queue, by name.

    `log_bytes` is the size of the store's log, None if it has none.
    """

    def __init__(  # noqa: PLR0913 - each number comes from where it is known
        self,
        traffic: RequestStats,
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

    def encode(self) -> bytes:
        """Return the metrics, encoded for another worker's response."""
        return msgspec.json.encode(
            [
                (family.name, family.documentation, family.type, [sample[:3] for sample in family.samples])
                for family in self.collect()
            ]
        )

    def collect(self) -> Iterable[Metric]:
        """Yield all current metrics."""
        yield from self._registry.collect()
        yield InfoMetricFamily("playhead", "This program", {"version": self._version})
        requests = CounterMetricFamily("playhead_requests", "Answered requests", labels=["method", "route", "status"])
        for (method, path, status), count in self._traffic.answers.items():
            if status:  # nobody was there any more to hear the answer
                requests.add_metric([method, path, str(status)], count)
        yield requests
        yield GaugeMetricFamily(
            "playhead_requests_under_way", "Requests of bounded routes in progress", self._traffic.under_way
        )
        refused = CounterMetricFamily("playhead_refused", "Requests refused with 503 by full queues", labels=["queue"])
        for queue, count in {**self._traffic.refused, **self._refused()}.items():
            refused.add_metric([queue], count)
        yield refused
        waiting = GaugeMetricFamily("playhead_queue_depth", "Jobs that are queued or being committed", labels=["queue"])
        for queue, count in self._waiting().items():
            waiting.add_metric([queue], count)
        yield waiting
        yield _histogram(
            "playhead_commit_seconds",
            "From the beginning of a transaction of reports until it is durable",
            self._commits().seconds,
        )
        yield _histogram("playhead_commit_reports", "Reports in one transaction", self._commits().sizes)
        log_bytes = self._log_bytes()
        if log_bytes is not None:
            yield GaugeMetricFamily("playhead_wal_bytes", "Size of SQLite's write-ahead log", log_bytes)


class MetricsRoutes:
    """The endpoint for Prometheus. With several workers, `worker` identifies this one."""

    def __init__(self, numbers: MetricsCollector, worker: WorkerLabel | None) -> None:
        self._numbers = numbers
        self._worker = worker

    async def read(self, _: Call) -> Response:
        """Answer all metrics in Prometheus' text format; several workers are labelled with their indexes."""
        source = self._numbers if self._worker is None else await _ask_all(self._numbers, self._worker)
        return Response(generate_latest(source), media_type=MEDIA_TYPE)


class _Joined(Collector):
    """The metrics of several workers: each family once, with an additional label."""

    def __init__(self) -> None:
        self._families: dict[str, Metric] = {}
        self._up = GaugeMetricFamily("playhead_worker_up", "Whether the worker answered", labels=["worker"])

    def add(self, place: int, families: Iterable[Metric]) -> None:
        for family in families:
            joined = self._families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            for sample in family.samples:
                joined.samples.append(sample._replace(labels={**sample.labels, "worker": str(place)}))

    def set_up(self, place: int, *, is_up: bool) -> None:
        self._up.add_metric([str(place)], is_up)

    def collect(self) -> Iterable[Metric]:
        yield from self._families.values()
        yield self._up


async def _ask_all(numbers: MetricsCollector, worker: WorkerLabel) -> _Joined:
    told = dict(await worker.ask_others())
    told[worker.place] = numbers.encode()
    joined = _Joined()
    for place, encoded in sorted(told.items()):
        joined.set_up(place, is_up=encoded is not None)
        if encoded is not None:
            joined.add(place, map(_family, _decode(encoded)))
    return joined


_Encoded = tuple[str, str, str, list[tuple[str, dict[str, str], float]]]

_decode = msgspec.json.Decoder(list[_Encoded]).decode


def _family(encoded: _Encoded) -> Metric:
    name, documentation, kind, samples = encoded
    family = Metric(name, documentation, kind)
    family.samples = [Sample(*sample) for sample in samples]
    return family


def _histogram(name: str, documentation: str, values: Distribution) -> HistogramMetricFamily:
    total, buckets = 0, list[tuple[str, float]]()
    for bound, count in zip((*map(str, map(float, values.bounds)), "+Inf"), values.counts, strict=True):
        total += count
        buckets.append((bound, total))
    return HistogramMetricFamily(name, documentation, buckets=buckets, sum_value=values.sum)
