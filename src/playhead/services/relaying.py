"""Live changes between the processes on one store: publishes local changes to the others, and theirs here."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final, Protocol

import msgspec

from playhead.domain.events import Change, PendingChanges
from playhead.domain.model import UserId
from playhead.errors import PlayheadError
from playhead.services.events import Events

log = logging.getLogger(__name__)

# With the round of a stream less than 1 s; long enough that a thousand saves a second fit into a few messages.
PACE_S: Final = 0.05
USERS_MAX: Final = 10_000
_LAST_WITHIN_S: Final = 1.0


class Notifier(Protocol):
    """Carries messages of at most `bytes_max` bytes to all processes on a store: see PostgresNotifier."""

    bytes_max: int

    async def notify(self, texts: Sequence[str]) -> None:
        """Send messages to all listeners. Raises UNAVAILABLE."""
        ...

    async def listen(self, heard: Callable[[str], None], connected: Callable[[], None]) -> None:
        """Deliver messages until cancelled; messages sent before `connected` is called are missed."""
        ...

    async def close(self) -> None:
        """Release all resources."""
        ...


_Gathered = dict[UserId, PendingChanges]


class _Message(msgspec.Struct, array_like=True):
    """`changes` is None if the sender no longer knows what changed: anything may have."""

    origin: str
    changes: tuple[Change, ...] | None


_decode = msgspec.json.Decoder(_Message).decode


class Relay:
    """One process's end. `origin` identifies it. A process that missed a message refreshes everything."""

    def __init__(self, notifier: Notifier, origin: str, *, pace_s: float = PACE_S) -> None:
        self._notifier = notifier
        self._origin = origin
        self._pace_s = pace_s
        self._gathered: _Gathered = {}
        # A starting process tells the others to refresh everything: the one that it replaces may have been killed
        # between a commit and its notification.
        self._lost_count = True
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def send(self, changes: Sequence[Change]) -> None:
        """Queue changes for the other processes. Never blocks, never raises."""
        for change in changes:
            gathered = self._gathered.get(change.user_id)
            if gathered is None:
                gathered = self._gathered[change.user_id] = PendingChanges()
            gathered.add(change)
        if len(self._gathered) > USERS_MAX:
            self._lose_count()
        self._wake.set()

    def start(self, events: Events) -> None:
        """Start sending and receiving."""

        def heard(text: str) -> None:
            if events.open_streams:
                self._hear(text, events)

        self._wake.set()
        # Messages sent while this process was not listening are lost.
        listening = self._notifier.listen(heard, events.refetch_all)
        self._tasks = [asyncio.create_task(listening), asyncio.create_task(self._keep_sending())]

    async def close(self) -> None:
        """Send what is queued, then stop."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        with suppress(PlayheadError, TimeoutError):
            await asyncio.wait_for(self._send_gathered(), _LAST_WITHIN_S)
        await self._notifier.close()

    def _hear(self, text: str, events: Events) -> None:
        try:
            message = _decode(text)
        except msgspec.DecodeError:  # of another version of Playhead, while workers are replaced one by one
            events.refetch_all()
            return
        if message.origin == self._origin:
            return
        if message.changes is None:
            events.refetch_all()
        else:
            events.deliver(message.changes)

    async def _keep_sending(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._send_gathered()
            except PlayheadError:
                self._lose_count()
                self._wake.set()
            await asyncio.sleep(self._pace_s)

    async def _send_gathered(self) -> None:
        gathered, self._gathered = self._gathered, {}
        lost_count, self._lost_count = self._lost_count, False
        texts = [_text(self._origin, None)] if lost_count else []
        texts += self._texts(change for user_id, each in gathered.items() for change in each.changes(user_id))
        if texts:
            await self._notifier.notify(texts)

    def _lose_count(self) -> None:
        self._lost_count = True
        self._gathered.clear()

    def _texts(self, changes: Iterable[Change]) -> Iterable[str]:
        """Encode all changes in as few messages as possible, none of them too long."""
        empty = len(_text(self._origin, b"[]"))
        held: list[bytes] = []
        length = empty
        for encoded in map(msgspec.json.encode, changes):
            if held and length + len(encoded) + 1 > self._notifier.bytes_max:
                yield _text(self._origin, b"[%s]" % b",".join(held))
                held, length = [], empty
            held.append(encoded)
            length += len(encoded) + 1
        if held:
            yield _text(self._origin, b"[%s]" % b",".join(held))


def _text(origin: str, changes: bytes | None) -> str:
    return msgspec.json.encode([origin, None if changes is None else msgspec.Raw(changes)]).decode()
