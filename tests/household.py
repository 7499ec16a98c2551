"""A household whose members report from several devices, go offline now and then, and follow each other's changes.

Each report has its own observation time and no session. So the rules determine one outcome, in whatever order and
however often the reports arrive. A report without an answer is sent again, to any server that runs.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from random import Random
from typing import Any

import httpx

from playhead.domain.model import Instant, Milliseconds, instant_of
from playhead.domain.playback import ItemFacts, Policy, Progress, Report, advance
from playhead.http.api.formats import progress_answer
from playhead.http.bodies import encode
from server import Server

DURATION_S = 5400

_BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
_STEP = timedelta(seconds=7)
_PAUSE_S = 0.03
_ANSWERS_WITHIN_S = 60
_OFFLINE_ONE_IN = 12
_LONGEST_OFFLINE = 20
_SETTLES_WITHIN_S = 60

Item = tuple[str, str]
"""Kind and id."""


def path_of(item: Item) -> str:
    return "/api/v1/playback/{}/{}".format(*item)


@dataclass
class Member:
    """A user, and every report from any of their devices."""

    token: str
    items: Sequence[Item]
    reports: list[tuple[Item, dict[str, Any]]] = field(default_factory=list[tuple[Item, dict[str, Any]]])

    def report(self, random: Random, device: str) -> tuple[Item, dict[str, Any]]:
        """Make a report of some item, later than all earlier ones."""
        item = random.choice(self.items)
        observed_at = _BEGIN + len(self.reports) * _STEP
        report = {
            "position_seconds": random.randrange(DURATION_S * 1000) / 1000,
            "duration_seconds": DURATION_S,
            "observed_at": observed_at.isoformat(),
            "event": random.choice((None, "start", "progress", "pause", "seek", "stop")),
            "device": device,
        }
        self.reports.append((item, report))
        return item, report

    def expected(self, facts: ItemFacts) -> dict[Item, dict[str, Any]]:
        """Return what the rules say about all reports, in the form of the contract."""
        policy, now = Policy(), instant_of(datetime.now(UTC))
        found: dict[Item, dict[str, Any]] = {}
        for wanted in self.items:
            progress: Progress | None = None
            plays: list[Instant] = []
            for item, report in self.reports:
                if item == wanted:
                    decision = advance(progress, _report(report), facts, policy, now, plays)
                    progress = decision.progress
                    plays += [] if decision.play_at is None else [decision.play_at]
            found[wanted] = json.loads(encode(progress_answer(progress)))
        return found


def _report(members: dict[str, Any]) -> Report:
    return Report(
        Milliseconds(round(members["position_seconds"] * 1000)),
        Milliseconds(members["duration_seconds"] * 1000),
        instant_of(datetime.fromisoformat(members["observed_at"])),
    )


class Device:
    """Reports at random, and shows the last change that it received of each item. Prefers the server at `home`."""

    def __init__(self, member: Member, name: str, servers: Sequence[Server], home: int, random: Random) -> None:
        self.member = member
        self.name = name
        self.view: dict[Item, dict[str, Any]] = {}
        self.streams = 0
        self.refetches = 0
        self.repeated = 0
        self._servers = [*servers[home:], *servers[:home]]
        self._random = random
        self._kinds = {item_id: (kind, item_id) for kind, item_id in member.items}
        self._client = httpx.AsyncClient(
            headers={"authorization": f"Bearer {member.token}"}, timeout=httpx.Timeout(_ANSWERS_WITHIN_S)
        )

    # Reporting

    async def report_until(self, is_over: Callable[[], bool]) -> None:
        """Send one report after another; sometimes go offline, and then send the collected reports together."""
        while not is_over():
            if self._random.randrange(_OFFLINE_ONE_IN):
                item, report = self.member.report(self._random, self.name)
                await self._send("POST", path_of(item), report)
            else:
                gathered: list[dict[str, Any]] = []
                for _ in range(self._random.randint(2, _LONGEST_OFFLINE)):
                    (kind, item_id), report = self.member.report(self._random, self.name)
                    gathered.append(report | {"kind": kind, "id": item_id})
                    await asyncio.sleep(_PAUSE_S)
                self._random.shuffle(gathered)
                answer = await self._send("POST", "/api/v1/playback/batch", {"reports": gathered})
                assert {result["status"] for result in answer["results"]} == {HTTPStatus.OK}
            await asyncio.sleep(self._random.random() * _PAUSE_S)

    async def _send(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Retry until there is an answer, from whichever server."""
        while True:
            for server in self._servers:
                try:
                    response = await self._client.request(method, server.url + path, json=body)
                except httpx.HTTPError:
                    self.repeated += 1
                    continue
                if response.status_code == HTTPStatus.OK:
                    return response.json()
                assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE, response.text
            await asyncio.sleep(_PAUSE_S)

    # Listening

    async def listen(self) -> None:
        """Follow the live changes until cancelled; reconnect to another server when one goes away."""
        while True:
            for server in self._servers:
                try:
                    await self._listen_to(server)
                except httpx.HTTPError:
                    continue
                finally:
                    await asyncio.sleep(_PAUSE_S)

    async def _listen_to(self, server: Server) -> None:
        headers = {"last-event-id": "0"} if self.streams else {}
        async with self._client.stream("GET", f"{server.url}/api/v1/events", headers=headers, timeout=None) as stream:
            assert stream.status_code == HTTPStatus.OK
            self.streams += 1
            if not headers:  # a device that connects for the first time fetches on its own
                await self._look_at(self.member.items)
            name = ""
            async for line in stream.aiter_lines():
                key, _, value = line.partition(": ")
                if key == "event":
                    name = value
                elif key == "data":
                    await self._hear(name, json.loads(value))

    async def _hear(self, name: str, data: dict[str, Any]) -> None:
        if name == "refetch":
            self.refetches += 1
        if data.get("progress") is not None:
            (item_id,) = data["items"]
            self.view[self._kinds[item_id]] = data["progress"]
        elif data.get("items") is None:
            await self._look_at(self.member.items)
        else:
            await self._look_at([self._kinds[item_id] for item_id in data["items"]])

    async def _look_at(self, items: Sequence[Item]) -> None:
        for item in items:
            self.view[item] = await self._send("GET", path_of(item))

    async def states(self) -> dict[Item, dict[str, Any]]:
        """Read all items, from every server: they must agree."""
        found: dict[Item, dict[str, Any]] = {}
        for item in self.member.items:
            answers = [(await self._client.get(server.url + path_of(item))).json() for server in self._servers]
            assert all(answer == answers[0] for answer in answers)
            found[item] = answers[0]
        return found

    async def close(self) -> None:
        await self._client.aclose()


async def live_through(devices: Sequence[Device], act: Callable[[], object]) -> dict[str, dict[Item, dict[str, Any]]]:
    """Let all devices report and listen until `act`, which runs on another thread, has returned.

    Returns the servers' state of each member's items, once every device shows the same. Raises TimeoutError.
    """
    acting = asyncio.ensure_future(asyncio.to_thread(act))
    listening = [asyncio.create_task(device.listen()) for device in devices]
    async with asyncio.TaskGroup() as reporting:
        for device in devices:
            reporting.create_task(device.report_until(acting.done))
    await acting
    states = {device.member.token: await device.states() for device in devices}
    async with asyncio.timeout(_SETTLES_WITHIN_S):
        while any(device.view != states[device.member.token] for device in devices):  # noqa: ASYNC110 - others' work
            await asyncio.sleep(_PAUSE_S)
    for task in listening:
        task.cancel()
    await asyncio.gather(*listening, return_exceptions=True)
    for device in devices:
        await device.close()
    return states
