"""Live changes over HTTP: who receives what, and when."""

import asyncio
import time
from collections.abc import AsyncIterator

import psycopg
import pytest
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from listener import Listener
from playhead.asgi import Playhead
from playhead.config import Settings
from playhead.domain.events import Change, Topic
from playhead.domain.model import ItemId
from playhead.http.api.events import EventRoutes
from playhead.http.connection import CONNECTION
from playhead.http.route import Call
from playhead.services.events import Events, StreamTiming
from world import EPISODE, MOVIE, World

pytestmark = pytest.mark.anyio

URL = f"/api/v1/playback/movie/{MOVIE}"
REPORT = {"position_seconds": 1250, "duration_seconds": 5400}


def listen(world: World, headers: dict[str, str] | None = None, **more: str) -> Listener:
    return Listener(world.playhead, (world.member if headers is None else headers) | more)


async def save(world: World, url: str = URL, **members: object) -> None:
    response = await world.client.post(url, json=REPORT | members, headers=world.member)
    assert response.status_code == 200


async def test_a_save_reaches_the_users_other_devices_with_the_contracts_members_and_the_player(stocked: World):
    async with listen(stocked) as device:
        await save(stocked, session_id="s1", device="living room")
        assert await device.event() == (
            "progress",
            {
                "items": [MOVIE],
                "progress": {
                    "position_seconds": 1250,
                    "duration_seconds": 5400,
                    "completion_percentage": 23.15,
                    "watched": False,
                    "last_watched_at": "2025-11-08T22:00:00Z",
                },
                "session_id": "s1",
                "device": "living room",
            },
        )


async def test_an_event_is_sent_only_after_the_change_is_durable(stocked: World):
    async with listen(stocked) as device:
        await save(stocked)
        _, heard = await device.event()
        read = await stocked.client.get(URL, headers=stocked.member)
        assert read.json() == heard["progress"]


async def test_a_completion_is_also_a_change_of_watched_and_only_once(stocked: World):
    async with listen(stocked) as device:
        await save(stocked, position_seconds=5300)
        names = {(await device.event())[0], (await device.event())[0]}
        assert names == {"progress", "watched"}
        await save(stocked, position_seconds=5350)
        assert (await device.event())[0] == "progress"
        await save(stocked, f"/api/v1/playback/episode/{EPISODE}")
        assert (await device.event())[1]["items"] == [EPISODE]


async def test_a_refused_report_is_not_a_change(stocked: World):
    async with listen(stocked) as device:
        refused = await stocked.client.post(URL, json=REPORT, headers=stocked.stranger)
        assert refused.status_code == 403
        await save(stocked, position_seconds=60)
        assert (await device.event())[1]["progress"]["position_seconds"] == 60


async def test_a_report_that_is_sent_again_is_announced_again(stocked: World):
    # The process that answered first may have been killed between the commit and its notification.
    await save(stocked, observed_at="2025-11-08T21:00:00Z")
    async with listen(stocked) as device:
        await save(stocked, observed_at="2025-11-08T21:00:00Z")
        assert (await device.event())[1]["progress"]["position_seconds"] == 1250


async def test_nobody_receives_the_changes_of_others(stocked: World):
    async with listen(stocked, stocked.admin) as admin, listen(stocked) as device:
        await save(stocked)
        assert (await device.event())[0] == "progress"
        response = await stocked.client.post(URL, json=REPORT | {"position_seconds": 7}, headers=stocked.admin)
        assert response.status_code == 200
        assert (await admin.event())[1]["progress"]["position_seconds"] == 7


async def test_of_several_saves_within_a_round_the_last_counts(stocked: World):
    async with listen(stocked) as device:
        for position in range(100, 120):
            await save(stocked, position_seconds=position)
        heard = [(await device.event())[1]["progress"]["position_seconds"]]
        while heard[-1] != 119:
            heard.append((await device.event())[1]["progress"]["position_seconds"])
    assert len(heard) < 20
    assert heard == sorted(heard)


async def test_a_reconnecting_stream_is_told_to_refetch_and_a_new_one_is_not(stocked: World):
    async with listen(stocked, **{"Last-Event-ID": "0"}) as back, listen(stocked) as new:
        assert await back.event() == ("refetch", {})
        await save(stocked)
        assert (await new.event())[0] == "progress"


async def test_a_stream_starts_with_an_id_and_a_retry_time(stocked: World):
    async with listen(stocked) as device:
        block = await device.block()
        assert block is not None
        fields = dict(line.split(": ") for line in block.splitlines())
        assert fields["id"] == "0"
        assert 1000 <= int(fields["retry"]) <= 3000


async def test_proxies_are_told_neither_to_cache_nor_to_buffer_a_stream(stocked: World):
    async with listen(stocked) as device:
        headers = {name.decode(): value.decode() for name, value in device.head["headers"]}
        assert device.head["status"] == 200
    assert headers == {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-store, no-transform",
        "x-content-type-options": "nosniff",
        "x-accel-buffering": "no",
    }
    head = await stocked.client.head("/api/v1/events", headers=stocked.member)
    assert (head.status_code, dict(head.headers), head.content) == (200, headers, b"")


async def test_a_stream_requires_a_user(stocked: World):
    response = await stocked.client.get("/api/v1/events")
    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"
    posted = await stocked.client.post("/api/v1/events", headers=stocked.member)
    assert (posted.status_code, posted.headers["allow"]) == (405, "GET, HEAD")


async def test_a_stream_ends_within_about_a_second_of_the_revocation_of_its_token(stocked: World):
    response = await stocked.client.post("/api/v1/tokens", json={"name": "old phone"}, headers=stocked.member)
    made = response.json()
    phone = {"authorization": f"Bearer {made['token']}"}
    async with listen(stocked, phone) as device, listen(stocked) as other:
        await stocked.client.delete(f"/api/v1/tokens/{made['id']}", headers=stocked.member)
        assert await device.ended()
        await save(stocked)
        assert (await other.event())[0] == "progress"


async def test_the_streams_of_a_removed_user_end(stocked: World):
    async with listen(stocked) as device:
        removed = await stocked.client.delete(f"/api/v1/users/{stocked.user_ids['member']}", headers=stocked.admin)
        assert removed.status_code == 204
        assert await device.ended()


async def test_streams_end_on_shutdown_and_new_ones_are_refused(stocked: World):
    async with listen(stocked) as device:
        stocked.playhead.drain()
        assert await device.ended()
    response = await stocked.client.get("/api/v1/events", headers=stocked.member)
    assert response.status_code == 503
    assert response.headers["retry-after"]
    await save(stocked)


async def test_a_disconnected_client_is_forgotten(stocked: World):
    events = stocked.playhead.installation.events
    async with listen(stocked), listen(stocked, stocked.admin):
        assert events.open_streams == 2
    assert events.open_streams == 0


async def test_a_stream_works_under_a_mount(stocked: World):
    outer = Starlette()
    outer.mount("/watch", stocked.playhead)
    async with Listener(outer, stocked.member, "/watch/api/v1/events") as device:
        await save(stocked)
        assert (await device.event())[0] == "progress"


# Clients that do not read


class Connected:
    """The part of a server's connection that a stream uses."""

    def __init__(self) -> None:
        self.dedicated = False
        self.aborted = asyncio.Event()

    def dedicate(self) -> None:
        self.dedicated = True

    def abort(self) -> None:
        self.aborted.set()


@pytest.mark.parametrize("engine", ["sqlite"])
@pytest.mark.parametrize("own_server", [True, False])
async def test_a_stream_that_is_not_read_is_closed(stocked: World, *, own_server: bool):
    principal = await stocked.playhead.installation.credentials.authenticate(stocked.member["authorization"][7:])
    assert principal is not None
    events = Events(
        monotonic=time.monotonic,
        ended_tokens=stocked.playhead.installation.credentials.ended_tokens,
        pace=StreamTiming(round_s=0.01, tick_s=0.02, stalled_s=0.1),
    )
    connection = Connected()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if own_server:
            scope["state"] = {CONNECTION: connection}
        answer = await EventRoutes(events).listen(Call(scope, receive, {}, principal))
        await answer(scope, receive, send)

    async with Listener(app, stocked.member) as stuck, Listener(app, stocked.member) as device:
        stuck.reads.clear()
        events.publish([Change(principal.user_id, Topic.LISTS, (ItemId(MOVIE),))])
        assert await device.event() == ("lists", {"items": [MOVIE]})
        async with asyncio.timeout(60):
            await stuck.gone.wait()
        assert connection.aborted.is_set() == connection.dedicated == own_server
        events.publish([Change(principal.user_id, Topic.WATCHED, ())])
        assert await device.event() == ("watched", {"items": None})
        assert events.open_streams == 1
    await events.close()


# Two processes on one PostgreSQL database that notify each other


@pytest.fixture
async def second(stocked: World, settings: Settings) -> AsyncIterator[Playhead]:
    """Another process that listens to the first one, and that the first one knows."""
    playhead = Playhead(settings, clock=stocked.clock)
    async with listen(stocked) as near:
        await playhead.open()
        assert await near.event() == ("refetch", {})
    async with Listener(playhead, stocked.admin) as device:
        while device.is_silent:
            await stocked.client.post(URL, json=REPORT, headers=stocked.admin)
            await asyncio.sleep(0.05)
    yield playhead
    await playhead.close()


@pytest.mark.parametrize("engine", ["postgresql"])
async def test_a_commit_in_one_process_reaches_the_streams_of_another(stocked: World, second: Playhead):
    async with (
        Listener(second, stocked.member) as device,
        Listener(second, stocked.admin) as admin,
        listen(stocked) as near,
    ):
        await save(stocked, session_id="s1")
        assert (await device.event())[1]["session_id"] == "s1"
        assert (await near.event())[1]["session_id"] == "s1"
        answer = await stocked.client.post(URL, json=REPORT | {"session_id": "s2"}, headers=stocked.admin)
        assert answer.status_code == 200
        assert (await admin.event())[1]["session_id"] == "s2"


@pytest.mark.parametrize("engine", ["postgresql"])
async def test_a_process_that_lost_the_notifying_connection_is_told_to_refetch(
    stocked: World, second: Playhead, settings: Settings
):
    async with Listener(second, stocked.member) as device:
        with psycopg.connect(settings.database, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'playhead events' AND datname = current_database()"
            )
        assert await device.event() == ("refetch", {})
        await save(stocked)
        name, _ = await device.event()
        assert name in {"progress", "refetch"}  # the change, or that something was missed
