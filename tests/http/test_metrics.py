"""Prometheus metrics: counts by route and status, queues, commits; and never who watched what."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import cast

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import Message, Receive, Scope, Send

from playhead.errors import unavailable
from playhead.http.application import Application
from playhead.http.auth import Authentication
from playhead.http.connection import CONNECTION
from playhead.http.metrics import MetricsCollector, MetricsRoutes, RequestStats, WorkerLabel
from playhead.http.route import Access, Call, Route
from playhead.services.measures import Commits
from world import MOVIE, World

pytestmark = pytest.mark.anyio

REPORT = {"position_seconds": 1250, "duration_seconds": 5400}
SAVE = f"/api/v1/playback/movie/{MOVIE}"


async def metrics(world: World) -> dict[str, float]:
    """Every sample by its name with its labels, in the text format."""
    response = await world.client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    samples: dict[str, float] = {}
    for family in text_string_to_metric_families(response.text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            samples[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return samples


def requests(samples: dict[str, float], method: str, route: str, status: int) -> float:
    return samples.get(f'playhead_requests_total{{method="{method}",route="{route}",status="{status}"}}', 0)


async def test_requests_are_counted_by_the_route_of_the_table_and_status(stocked: World):
    await stocked.client.post(SAVE, json=REPORT, headers=stocked.member)
    await stocked.client.post(SAVE, json=REPORT, headers=stocked.stranger)
    await stocked.client.get(SAVE)
    await stocked.client.get("/api/v1/items", headers=stocked.member)
    await stocked.client.patch("/api/v1/items", headers=stocked.member)
    await stocked.client.get("/no/such/path")
    await stocked.client.request("BREW", "/no/such/path")
    await stocked.client.get("/static/nothing.css")
    samples = await metrics(stocked)
    assert requests(samples, "POST", "/api/v1/playback/movie/{id}", 200) == 1
    assert requests(samples, "POST", "/api/v1/playback/movie/{id}", 403) == 1
    assert requests(samples, "GET", "/api/v1/playback/movie/{id}", 401) == 1
    assert requests(samples, "GET", "/api/v1/items", 200) == 1
    assert requests(samples, "other", "/api/v1/items", 405) == 1
    assert requests(samples, "other", "other", 404) == 3
    assert requests(await metrics(stocked), "GET", "/metrics", 200) == 1


async def test_every_save_is_in_one_commit_whose_size_and_time_are_recorded(stocked: World):
    await asyncio.gather(*(stocked.client.post(SAVE, json=REPORT, headers=stocked.member) for _ in range(5)))
    samples = await metrics(stocked)
    assert samples["playhead_commit_reports_sum"] == 5
    commits = samples["playhead_commit_reports_count"]
    assert 1 <= commits <= 5
    assert samples["playhead_commit_seconds_count"] == commits
    assert samples["playhead_commit_seconds_sum"] > 0
    assert samples['playhead_commit_reports_bucket{le="+Inf"}'] == commits
    assert samples['playhead_commit_reports_bucket{le="8.0"}'] == commits
    assert samples['playhead_queue_depth{queue="saves"}'] == 0
    has_log = stocked.playhead.settings.database_url is None
    assert ("playhead_wal_bytes" in samples) == has_log
    assert not has_log or samples["playhead_wal_bytes"] > 0


async def test_the_process_reports_its_own_basics(world: World):
    samples = await metrics(world)
    assert samples["process_resident_memory_bytes"] > 0
    assert any(name.startswith("playhead_info{version=") for name in samples)


async def test_no_metric_contains_a_user_an_item_or_any_user_text(stocked: World):
    await stocked.client.post(SAVE, json=REPORT, headers=stocked.member)
    await stocked.client.get(f"/api/v1/items/{MOVIE}?secret=1", headers=stocked.member)
    await stocked.client.get("/harbour-lights")
    text = (await stocked.client.get("/metrics")).text
    assert re.findall(r"[0-9a-f]{8}-[0-9a-f]{4}-", text) == []
    for private in ("member", "secret", "harbour"):
        assert private not in text


async def test_any_of_several_workers_reports_the_sum_of_all():
    def numbers_after(answers: int) -> MetricsCollector:
        traffic = RequestStats()
        traffic.answers["GET", "/livez", 200] = answers
        return MetricsCollector(
            traffic, Commits, waiting=dict[str, int], refused=dict[str, int], log_bytes=lambda: None, version="1"
        )

    async def ask_others() -> dict[int, bytes | None]:
        return {2: None, 0: numbers_after(3).encode()}

    answer = await MetricsRoutes(numbers_after(4), WorkerLabel(1, ask_others)).read(cast("Call", None))
    families = {family.name: family for family in text_string_to_metric_families(bytes(answer.body).decode())}
    up = [(sample.labels["worker"], sample.value) for sample in families["playhead_worker_up"].samples]
    assert up == [("0", 1), ("1", 1), ("2", 0)]
    requests = families["playhead_requests"].samples
    assert [(sample.labels["worker"], sample.value) for sample in requests] == [("0", 3), ("1", 4)]
    assert families["playhead_commit_seconds"].type == "histogram"
    assert all("worker" in sample.labels for family in families.values() for sample in family.samples)


class Doors:
    """A small application: a bounded route that is held, an unbounded one, and room for two concurrent requests."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.inside = asyncio.Semaphore(0)
        self.traffic = RequestStats()
        rows = [
            Route("GET", "/held", self.hold, "", access=Access.ANYONE),
            Route("POST", "/held", self.hold, "", access=Access.ANYONE),
            Route("GET", "/readyz", self.pass_by, "", access=Access.ANYONE, bounded=False),
            Route("GET", "/free", self.pass_by, "", access=Access.ANYONE, bounded=False),
        ]
        self.application = Application(rows, no_files, Authentication(nobody), self.traffic, most_under_way=2)
        transport = httpx.ASGITransport(app=self.application)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://playhead.test")

    async def hold(self, _: Call) -> str:
        self.inside.release()
        await self.opened.wait()
        return "held"

    async def pass_by(self, _: Call) -> str:
        return "free"


async def no_files(scope: Scope, receive: Receive, send: Send) -> None:
    del scope, receive, send
    raise unavailable()


async def nobody(_: str) -> None:
    return None


async def test_requests_over_the_bound_are_refused_immediately_and_the_rest_served():
    doors = Doors()
    async with doors.client as client:
        held = [asyncio.create_task(client.get("/held")) for _ in range(2)]
        for _ in held:
            await doors.inside.acquire()
        refused = await client.get("/held")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json()["error"] == "Service unavailable"
        assert (await client.get("/free")).status_code == 200
        doors.opened.set()
        assert [(await each).status_code for each in held] == [200, 200]
        assert (await client.get("/held")).status_code == 200
    assert doors.traffic.refused == {"requests": 1}
    assert doors.traffic.answers["GET", "/held", 503] == 1
    assert doors.traffic.under_way == 0


async def test_slow_bodies_count_only_once_they_are_complete():
    doors = Doors()
    rest = [asyncio.Event() for _ in range(3)]

    async def slow(whole: asyncio.Event) -> AsyncIterator[bytes]:
        yield b"a"
        await whole.wait()
        yield b"b"

    headers = {"content-length": "2"}
    async with doors.client as client:
        posts = [asyncio.create_task(client.post("/held", content=slow(each), headers=headers)) for each in rest]
        await asyncio.sleep(0)
        assert doors.traffic.under_way == 0
        held = asyncio.create_task(client.get("/held"))
        await doors.inside.acquire()
        rest[0].set()
        await doors.inside.acquire()  # complete, and so the second to count
        rest[1].set()
        assert (await posts[1]).status_code == 503
        doors.opened.set()
        rest[2].set()
        assert [(await each).status_code for each in (held, posts[0], posts[2])] == [200, 200, 200]
    assert doors.traffic.under_way == 0


class Line:
    """The part of a request's connection that a refusal uses."""

    def __init__(self) -> None:
        self.ends = False

    def end_after_answer(self) -> None:
        self.ends = True


@pytest.mark.parametrize(("path", "status"), [("/held", 503), ("/elsewhere", 503), ("/readyz", 200)])
async def test_a_connection_too_many_is_refused_and_closed_but_a_probe_is_answered(path: str, status: int):
    doors, line = Doors(), Line()
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("nobody reads what it asks for")

    state = {CONNECTION: line}
    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b"", "state": state}
    await doors.application.turn_away(scope, receive, send)
    assert sent[0]["status"] == status
    assert line.ends
    assert ((b"retry-after", b"1") in sent[0]["headers"]) is (status == 503)
    assert doors.traffic.refused == ({"connections": 1} if status == 503 else {})
