"""Live changes: publishes committed changes to a user's open streams, here and in other processes. Keeps no history.

Changes are coalesced into rounds, so that the cost of a stream does not depend on the number of saves.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import suppress
from enum import Enum
from typing import Final, NamedTuple

from playhead.domain.accounts import Principal
from playhead.domain.events import Change, PendingChanges
from playhead.domain.limits import EVENT_STREAMS, EVENT_STREAMS_OF_USER, NOTICES_OF_STREAM
from playhead.domain.model import ItemId, UserId
from playhead.domain.tokens import TokenKey
from playhead.errors import PlayheadError, unavailable

log = logging.getLogger(__name__)

_VERSIONS_MAX: Final = 1000


class StreamTiming(NamedTuple):
    """The intervals of a stream, in seconds.

    The first change after a quiet period is sent immediately, later ones with the next round; with the relay between
    processes this must stay under 1 s. Each tick checks credentials and receivers. The heartbeat follows the WHATWG's
    advice for proxies that close idle connections.
    """

    round_s: float = 0.85
    tick_s: float = 1.0
    heartbeat_s: float = 15.0
    stalled_s: float = 10.0


PACE: Final = StreamTiming()


class StreamSignal(Enum):
    """Messages besides changes: refresh everything; and a heartbeat."""

    REFETCH = "refetch"
    HEARTBEAT = "heartbeat"


Notice = tuple[Change, ...] | StreamSignal


class EventStream:
    """The send queue of one open stream, bound to one event loop. `monotonic` is a monotonic clock in seconds.

    `on_stalled` is called if the last message has not been sent for too long: the sender must then give up.
    """

    def __init__(self, principal: Principal, monotonic: Callable[[], float], pace: StreamTiming) -> None:
        self.user_id = principal.user_id
        self.token_key = principal.token_key
        self.on_stalled: Callable[[], object] = lambda: None
        self._waiting: deque[Notice] = deque()
        self._wake = asyncio.Event()
        self._ended = False
        self._idle = False
        self._monotonic = monotonic
        self._pace = pace
        self._active_at = monotonic()

    async def next(self) -> Sequence[Notice]:
        """Wait for messages and return all of them; nothing at the end of the stream.

        Calling it again acknowledges that the previous ones were sent.
        """
        self._idle = True
        while not self._waiting and not self._ended:
            self._wake.clear()
            await self._wake.wait()
        self._idle = False
        self._active_at = self._monotonic()
        notices = [*self._waiting] if not self._ended else []
        self._waiting.clear()
        return notices

    def put(self, notice: Notice) -> None:
        """Queue a message. A stream with too long a queue is ended."""
        if len(self._waiting) >= NOTICES_OF_STREAM.most:
            self.end()
            return
        self._waiting.append(notice)
        self._wake.set()

    def end(self) -> None:
        """End the stream; queued messages are not sent."""
        self._ended = True
        self._wake.set()

    def tick(self) -> None:
        """Queue a heartbeat after a silence; give up on a receiver that does not read."""
        silent_s = self._monotonic() - self._active_at
        if self._idle:
            if silent_s >= self._pace.heartbeat_s:
                self.put(StreamSignal.HEARTBEAT)
        elif silent_s >= self._pace.stalled_s:
            self.end()
            self.on_stalled()


class _Audience:
    """All streams of one user, and the changes of the next round."""

    def __init__(self, user_id: UserId, round_s: float) -> None:
        self.streams: dict[EventStream, None] = {}
        self._user_id = user_id
        self._round_s = round_s
        self._versions: dict[ItemId, int] = {}
        self._gathered = PendingChanges()
        self._timer: asyncio.Handle | None = None
        self._next_round_at = 0.0

    def add(self, change: Change) -> None:
        if change.progress is not None and self._is_outdated(change.item_ids[0], change.progress.version):
            change = change._replace(progress=None)
        self._gathered.add(change)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(self._next_round_at, self._tell)

    def _is_outdated(self, item_id: ItemId, version: int) -> bool:
        # Two processes publish their commits in any order. A device must not end up with the older one; but a forgotten
        # progress restarts with version 1, so the device is notified without it, and fetches.
        versions = self._versions
        known = versions.get(item_id, 0)
        if len(versions) >= _VERSIONS_MAX:
            versions.clear()
        versions[item_id] = version
        return version < known

    def _tell(self) -> None:
        self._timer = None
        self._next_round_at = asyncio.get_running_loop().time() + self._round_s
        gathered, self._gathered = self._gathered, PendingChanges()
        changes = gathered.changes(self._user_id)
        for stream in self.streams:
            stream.put(changes)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


class Events:
    """The open streams of this process.

    `monotonic` is a monotonic clock in seconds. `ended_tokens` returns those of the given tokens that are no longer
    valid. `relay`, if several processes share the store, gets everything that is published here.
    """

    def __init__(
        self,
        *,
        monotonic: Callable[[], float],
        ended_tokens: Callable[[Collection[TokenKey]], Awaitable[Collection[TokenKey]]],
        relay: Callable[[Sequence[Change]], None] | None = None,
        pace: StreamTiming = PACE,
    ) -> None:
        self._monotonic = monotonic
        self._ended_tokens = ended_tokens
        self._relay = relay
        self._pace = pace
        self._audiences: dict[UserId, _Audience] = {}
        self._ticking: asyncio.Task[None] | None = None
        self._closed = False
        self.open_streams = 0
        self.refused = 0
        self.is_heard = relay is not None
        """Whether there may be any listener. Checked before saves are published, so that no listener means no cost."""

    def publish(self, changes: Sequence[Change]) -> None:
        """Publish changes to the users' streams in every process. Never blocks or raises. Call it after the commit."""
        if self._relay is not None:
            self._relay(changes)
        self.deliver(changes)

    def deliver(self, changes: Iterable[Change]) -> None:
        """Publish changes to the users' streams in this process."""
        for change in changes:
            audience = self._audiences.get(change.user_id)
            if audience is not None:
                audience.add(change)

    def refetch_all(self) -> None:
        """Make every stream of this process refresh, because changes may have been missed."""
        for stream in self._streams():
            stream.put(StreamSignal.REFETCH)

    def open(self, principal: Principal) -> EventStream:
        """Open a stream for a user; call `leave` at its end. Raises UNAVAILABLE if there are too many."""
        audience = self._audiences.get(principal.user_id)
        of_user = 0 if audience is None else len(audience.streams)
        if self._closed or self.open_streams >= EVENT_STREAMS.most or of_user >= EVENT_STREAMS_OF_USER.most:
            self.refused += 1
            raise unavailable(retry_after_s=5)
        if audience is None:
            audience = self._audiences[principal.user_id] = _Audience(principal.user_id, self._pace.round_s)
        stream = EventStream(principal, self._monotonic, self._pace)
        audience.streams[stream] = None
        self.open_streams += 1
        self.is_heard = True
        if self._ticking is None:
            self._ticking = asyncio.create_task(self._tick())
        return stream

    def leave(self, stream: EventStream) -> None:
        """Remove a stream; idempotent."""
        audience = self._audiences.get(stream.user_id)
        if audience is None or stream not in audience.streams:
            return
        del audience.streams[stream]
        self.open_streams -= 1
        if not audience.streams:
            audience.close()
            del self._audiences[stream.user_id]
        self.is_heard = self._relay is not None or bool(self._audiences)

    def end_streams(self) -> None:
        """End every stream and open no more, before shutdown. Idempotent."""
        self._closed = True
        for stream in self._streams():
            stream.end()

    async def close(self) -> None:
        """End every stream."""
        self.end_streams()
        if self._ticking is not None:
            self._ticking.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticking

    def _streams(self) -> list[EventStream]:
        return [stream for audience in self._audiences.values() for stream in audience.streams]

    async def _tick(self) -> None:
        try:
            while self._audiences:
                await asyncio.sleep(self._pace.tick_s)
                for stream in self._streams():
                    stream.tick()
                await self._end_revoked()
        finally:
            self._ticking = None

    async def _end_revoked(self) -> None:
        streams = self._streams()
        try:
            ended = await self._ended_tokens({stream.token_key for stream in streams})
        except PlayheadError:
            return  # the store is busy or full: retried with the next tick
        for stream in streams:
            if stream.token_key in ended:
                stream.end()
