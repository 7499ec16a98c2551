"""Who is notified of a change, when, and how much: the hub of open streams, and its link to other processes."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import apsw
import pytest

from disks import faulty_disk
from fakes import Clock, Ids
from playhead.domain.accounts import Principal, TokenKind, User
from playhead.domain.events import NAMED_MAX, SHOWN_MAX, Change, Topic
from playhead.domain.limits import EVENT_STREAMS, EVENT_STREAMS_OF_USER, NOTICES_OF_STREAM
from playhead.domain.model import Instant, ItemId, ItemKind, Milliseconds, Role, UserId
from playhead.domain.playback import Event, Policy, Progress, Report
from playhead.domain.tokens import TokenKey
from playhead.errors import Code, PlayheadError, unavailable
from playhead.services.events import Events, EventStream, StreamSignal, StreamTiming
from playhead.services.playback import Playback
from playhead.services.relaying import Relay
from playhead.storage.accounts import add_user
from playhead.storage.engine.sqlite import SQLiteDatabase
from world import MOVIE, stock_library

pytestmark = pytest.mark.anyio

ANNA, BEN = UserId("a0000000-0000-4000-8000-000000000000"), UserId("b0000000-0000-4000-8000-000000000000")
FILM, OTHER_FILM = ItemId("f0000000-0000-4000-8000-000000000000"), ItemId("f1000000-0000-4000-8000-000000000000")
NOW = Instant(1_762_639_200_000)
QUICK = StreamTiming(round_s=0.02, tick_s=0.01)
WITHIN_S = 60.0


class Seconds:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Tokens:
    """Which tokens have ended. `fails`: the store is unavailable at the moment."""

    def __init__(self) -> None:
        self.ended: set[str] = set()
        self.fails = False
        self.asked = asyncio.Event()

    async def __call__(self, keys: Collection[TokenKey]) -> set[TokenKey]:
        self.asked.set()
        if self.fails:
            raise unavailable()
        return {key for key in keys if key.hash in self.ended}


def principal(user_id: UserId = ANNA, digest: str = "hash") -> Principal:
    return Principal(user_id, "anna", Role.MEMBER, TokenKind.API, digest)


def progress(position_s: int, version: int = 1) -> Progress:
    length = Milliseconds(5_400_000)
    position = Milliseconds(position_s * 1000)
    return Progress(position, length, watched=False, armed=True, last_watched_at=NOW, version=version, changed_at=NOW)


def moved(position_s: int, version: int = 1, item_id: ItemId = FILM, user_id: UserId = ANNA) -> Change:
    return Change(user_id, Topic.PROGRESS, (item_id,), progress(position_s, version))


def items(count: int) -> tuple[ItemId, ...]:
    return tuple(ItemId(f"{number:08}-0000-4000-8000-000000000000") for number in range(count))


@pytest.fixture
async def events() -> Events:
    return Events(monotonic=Seconds(), ended_tokens=Tokens(), pace=QUICK)


async def told(stream: EventStream) -> list[Change | StreamSignal]:
    """Return the next events of the stream; no more than one round."""
    async with asyncio.timeout(WITHIN_S):
        notices = await stream.next()
    return [each for notice in notices for each in ([notice] if isinstance(notice, StreamSignal) else notice)]


# Who is notified of what


async def test_a_change_is_sent_to_all_streams_of_its_user_and_to_nobody_else(events: Events):
    phone, tv, ben = events.open(principal()), events.open(principal()), events.open(principal(BEN))
    events.publish([moved(100)])
    assert await told(phone) == await told(tv) == [moved(100)]
    events.publish([moved(7, user_id=BEN)])
    assert await told(ben) == [moved(7, user_id=BEN)]


async def test_only_the_newest_change_of_an_item_is_sent(events: Events):
    stream = events.open(principal())
    events.publish([moved(100)])
    assert await told(stream) == [moved(100)]
    events.publish([moved(110, 2)])
    events.publish([moved(120, 3), moved(50, item_id=OTHER_FILM)])
    assert await told(stream) == [moved(120, 3), moved(50, item_id=OTHER_FILM)]


async def test_a_late_older_version_is_sent_without_its_progress(events: Events):
    stream = events.open(principal())
    events.publish([moved(120, 3)])
    assert await told(stream) == [moved(120, 3)]
    events.publish([moved(110, 2)])
    assert await told(stream) == [Change(ANNA, Topic.PROGRESS, (FILM,))]


async def test_many_items_are_named_together_and_too_many_not_at_all(events: Events):
    stream = events.open(principal())
    some = items(SHOWN_MAX + 1)
    events.publish([moved(100, item_id=item_id) for item_id in some])
    assert await told(stream) == [Change(ANNA, Topic.PROGRESS, some)]
    events.publish([Change(ANNA, Topic.WATCHED, items(NAMED_MAX))])
    assert await told(stream) == [Change(ANNA, Topic.WATCHED, items(NAMED_MAX))]
    events.publish([Change(ANNA, Topic.WATCHED, items(2000)), Change(ANNA, Topic.WATCHED, (FILM,))])
    assert await told(stream) == [Change(ANNA, Topic.WATCHED, ())]


async def test_without_listeners_a_change_costs_only_a_check(events: Events):
    assert not events.is_heard
    stream = events.open(principal())
    assert events.is_heard
    events.leave(stream)
    events.leave(stream)
    assert not events.is_heard
    events.publish([moved(100)])


async def test_everybody_is_told_to_refetch_after_missed_changes(events: Events):
    anna, ben = events.open(principal()), events.open(principal(BEN))
    events.refetch_all()
    assert await told(anna) == await told(ben) == [StreamSignal.REFETCH]


# The lifetime of a stream


async def test_an_idle_stream_gets_a_heartbeat():
    seconds = Seconds()
    events = Events(monotonic=seconds, ended_tokens=Tokens(), pace=QUICK)
    stream = events.open(principal())
    waiting = asyncio.create_task(told(stream))
    await asyncio.sleep(0)
    seconds.now += QUICK.heartbeat_s
    assert await waiting == [StreamSignal.HEARTBEAT]
    await events.close()


async def test_a_stream_that_is_not_read_for_too_long_is_closed():
    seconds = Seconds()
    events = Events(monotonic=seconds, ended_tokens=Tokens(), pace=QUICK)
    stuck, reading = events.open(principal()), events.open(principal())
    given_up = asyncio.Event()
    stuck.on_stalled = given_up.set
    events.publish([moved(100)])
    await told(stuck)  # and never asks for more
    await told(reading)
    waiting = asyncio.create_task(told(reading))
    await asyncio.sleep(0)
    seconds.now += QUICK.stalled_s
    async with asyncio.timeout(WITHIN_S):
        await given_up.wait()
    assert await told(stuck) == []
    assert not waiting.done()
    events.end_streams()
    assert await waiting == []
    await events.close()


async def test_a_stream_with_too_many_pending_changes_is_closed(events: Events):
    stream = events.open(principal())
    for _ in range(NOTICES_OF_STREAM.most + 1):
        stream.put(StreamSignal.REFETCH)
    assert await told(stream) == []


async def test_a_stream_ends_with_its_token_even_if_the_store_was_unavailable_at_first():
    tokens = Tokens()
    events = Events(monotonic=Seconds(), ended_tokens=tokens, pace=QUICK)
    lost, kept = events.open(principal(digest="lost")), events.open(principal(digest="kept"))
    tokens.ended, tokens.fails = {"lost"}, True
    async with asyncio.timeout(WITHIN_S):
        await tokens.asked.wait()
    tokens.fails = False
    assert await told(lost) == []
    events.publish([moved(100)])
    assert await told(kept) == [moved(100)]
    await events.close()


async def test_a_stream_beyond_the_limit_of_a_user_is_refused_until_one_ends(events: Events):
    streams = [events.open(principal()) for _ in range(EVENT_STREAMS_OF_USER.most)]
    with pytest.raises(PlayheadError) as refused:
        events.open(principal())
    assert refused.value.code is Code.UNAVAILABLE
    assert refused.value.retry_after_s
    events.open(principal(BEN))
    events.leave(streams[0])
    events.open(principal())
    assert events.refused == 1
    await events.close()


async def test_a_stream_beyond_the_limit_of_a_process_is_refused(events: Events):
    for number in range(EVENT_STREAMS.most):
        events.open(principal(UserId(f"user {number}")))
    with pytest.raises(PlayheadError):
        events.open(principal(BEN))
    assert (events.refused, events.open_streams) == (1, EVENT_STREAMS.most)
    await events.close()
    with pytest.raises(PlayheadError):
        events.open(principal(BEN))


# Between processes


class Wire:
    """Carries notifications between all its ends. `cut`: nothing gets through; a reconnected end is told so."""

    bytes_max = 7999

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.cut = False
        self._ends: list[Callable[[str], None]] = []

    async def notify(self, texts: Sequence[str]) -> None:
        if self.cut:
            raise unavailable()
        self.sent += texts
        for end in self._ends:
            for text in texts:
                end(text)

    async def listen(self, heard: Callable[[str], None], connected: Callable[[], None]) -> None:
        self._ends.append(heard)
        connected()
        await asyncio.Event().wait()

    async def close(self) -> None:
        pass


class Process:
    """One process on the wire, with a stream of Anna's."""

    def __init__(self, wire: Wire, name: str) -> None:
        self.relay = Relay(wire, name, pace_s=0.01)
        self.events = Events(monotonic=Seconds(), ended_tokens=Tokens(), pace=QUICK, relay=self.relay.send)
        self.relay.start(self.events)
        self.stream = self.events.open(principal())

    async def close(self) -> None:
        await self.events.close()
        await self.relay.close()


@pytest.fixture
async def wire() -> Wire:
    return Wire()


async def two(wire: Wire) -> tuple[Process, Process]:
    """Two processes that have started: each has notified the other."""
    here, there = Process(wire, "here"), Process(wire, "there")
    async with asyncio.timeout(WITHIN_S):
        while len(wire.sent) < 2:  # noqa: ASYNC110 - others' work
            await asyncio.sleep(0.01)
    wire.sent.clear()
    begun = Change(ANNA, Topic.LISTS, (FILM,))
    for process in (here, there):
        process.events.deliver([begun])
        while (notices := await told(process.stream))[-1] != begun:
            assert set(notices) == {StreamSignal.REFETCH}
    return here, there


async def test_a_starting_process_tells_the_others_to_refetch(wire: Wire):
    # The one that it replaces may have been killed between a commit and its notification.
    here, there = await two(wire)
    third = Process(wire, "third")
    assert await told(here.stream) == await told(there.stream) == [StreamSignal.REFETCH]
    for process in (here, there, third):
        await process.close()


async def test_each_process_notifies_the_others_and_handles_its_own_changes_once(wire: Wire):
    here, there = await two(wire)
    here.events.publish([moved(100), Change(ANNA, Topic.LISTS, (OTHER_FILM,))])
    wanted = [moved(100), Change(ANNA, Topic.LISTS, (OTHER_FILM,))]
    assert await told(here.stream) == await told(there.stream) == wanted
    there.events.publish([moved(200, 2)])
    assert await told(here.stream) == await told(there.stream) == [moved(200, 2)]
    assert len(wire.sent) == 2
    await here.close()
    await there.close()


async def test_no_notification_exceeds_the_limit_of_the_wire(wire: Wire):
    here, there = await two(wire)
    long = "💫" * 200
    for number in range(50):
        change = moved(number, user_id=UserId(f"user {number}"))
        shown = progress(number)._replace(session=long, device=long)
        here.events.publish([change._replace(progress=shown)])
    here.events.publish([Change(ANNA, Topic.WATCHED, items(NAMED_MAX))])
    assert await told(there.stream) == [Change(ANNA, Topic.WATCHED, items(NAMED_MAX))]
    assert 1 < len(wire.sent) < 50
    assert max(len(text.encode()) for text in wire.sent) <= wire.bytes_max
    await here.close()
    await there.close()


async def test_a_process_that_missed_notifications_is_told_to_refetch_once_reconnected(wire: Wire):
    here, there = await two(wire)
    wire.cut = True
    here.events.publish([moved(100)])
    assert await told(here.stream) == [moved(100)]
    wire.cut = False
    assert await told(there.stream) == [StreamSignal.REFETCH]
    await here.close()
    await there.close()


async def test_a_notification_of_another_version_leads_to_a_refetch(wire: Wire):
    here, there = await two(wire)
    await wire.notify(['{"language": "of the future"}'])
    assert await told(here.stream) == await told(there.stream) == [StreamSignal.REFETCH]
    await here.close()
    await there.close()


async def test_the_last_changes_are_sent_before_shutdown(wire: Wire):
    here, there = await two(wire)
    here.events.publish([moved(100)])
    await here.close()
    assert await told(there.stream) == [moved(100)]
    await there.close()


# Only after the commit


async def test_nobody_is_notified_of_a_failed_commit(database_path: Path):
    with faulty_disk() as disk:
        database = SQLiteDatabase(database_path, vfs=disk.vfs)
        await database.write(lambda connection: stock_library(connection, viewer=None))
        await database.write(lambda connection: add_user(connection, User(ANNA, "Anna", Role.ADMIN, NOW), "anna", ""))
        events = Events(monotonic=Seconds(), ended_tokens=Tokens(), pace=QUICK)
        playback = Playback(database, events, clock=Clock(), new_id=Ids(), policy=Policy())
        stream = events.open(principal())
        report = Report(Milliseconds(1_250_000), Milliseconds(5_400_000))
        decision = await playback.save(ANNA, ItemKind.MOVIE, ItemId(MOVIE), report)
        assert await told(stream) == [Change(ANNA, Topic.PROGRESS, (ItemId(MOVIE),), decision.progress)]
        disk.sync_error = apsw.SQLITE_IOERR_FSYNC
        with pytest.raises(PlayheadError):
            await playback.save(ANNA, ItemKind.MOVIE, ItemId(MOVIE), report._replace(event=Event.PAUSE))
        events.publish([Change(ANNA, Topic.LISTS, (FILM,))])
        assert await told(stream) == [Change(ANNA, Topic.LISTS, (FILM,))]
        await playback.close()
        await events.close()
        await database.close()
