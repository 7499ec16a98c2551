"""Live changes as server-sent events (WHATWG HTML standard, section 9.2): one endless response per device."""

import asyncio
from functools import lru_cache
from typing import Any, Final, cast

from msgspec import UNSET, Struct, UnsetType
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from playhead.domain.events import Change
from playhead.http.api.formats import ProgressAnswer, progress_answer
from playhead.http.bodies import encode
from playhead.http.connection import connection_of
from playhead.http.route import Call
from playhead.services.events import Events, EventStream, Notice, StreamSignal

MEDIA_TYPE: Final = "text/event-stream"

# nginx, and proxies that follow it, do not buffer a response with this header.
_HEADERS: Final = {"x-accel-buffering": "no"}

# Spreads reconnections after a restart.
_RETRY_MS: Final = 1000
_RETRY_STEP_MS: Final = 100
_RETRY_STEPS: Final = 20

_SIGNALS: Final = {StreamSignal.REFETCH: b"event: refetch\ndata: {}\n\n", StreamSignal.HEARTBEAT: b":\n\n"}


class ChangeAnswer(Struct):
    """The data of an event. `items` are the ids to refresh; null means too many to name: refresh everything.

    `progress`, and the session and device that reported it, are present if the progress of a single item changed.
    """

    items: list[str] | None
    progress: ProgressAnswer | UnsetType = UNSET
    session_id: str | UnsetType | None = UNSET
    device: str | UnsetType | None = UNSET


class EventRoutes:
    """The endpoint that sends changes."""

    def __init__(self, events: Events) -> None:
        self._events = events

    async def listen(self, call: Call) -> Response:
        """Stream the caller's changes from any of their devices as they happen, until the caller disconnects.

        Events are `progress`, `watched` and `lists`, and `refetch` if changes may have been missed: refresh everything.
        A reconnected stream (`Last-Event-ID`) starts with it.
        """
        if call.scope["method"] == "HEAD":
            return _Endless()
        stream = self._events.open(call.user)
        if call.header(b"last-event-id") is not None:
            stream.put(StreamSignal.REFETCH)
        return _EventStream(self._events, stream)


class _Endless(Response):
    """A response of unknown length. On its own it sends only its head."""

    media_type = MEDIA_TYPE

    def __init__(self) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]


class _EventStream(_Endless):
    """The response. One task sends, and another only waits for the client to disconnect."""

    def __init__(self, events: Events, stream: EventStream) -> None:
        super().__init__()
        self._events = events
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        watching = asyncio.create_task(_end_with_client(self._stream, receive))
        sending = cast("asyncio.Task[None]", asyncio.current_task())
        connection = connection_of(scope)
        stalled = False

        def give_up() -> None:
            nonlocal stalled
            stalled = True
            if connection is not None:
                connection.abort()
            sending.cancel()

        self._stream.on_stalled = give_up
        if connection is not None:
            connection.dedicate()
        try:
            await self._send(send)
        except asyncio.CancelledError:
            if not stalled or sending.uncancel():
                raise
        finally:
            self._events.leave(self._stream)
            watching.cancel()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        retry_ms = _RETRY_MS + self._events.open_streams % _RETRY_STEPS * _RETRY_STEP_MS
        # The id makes a reconnecting client say so. It identifies nothing: no history is kept.
        text = b"retry: %d\nid: 0\n\n" % retry_ms
        while text:
            await send({"type": "http.response.body", "body": text, "more_body": True})
            text = b"".join(map(_text, await self._stream.next()))
        await send({"type": "http.response.body", "body": b""})


async def _end_with_client(stream: EventStream, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.end()


def _text(notice: Notice) -> bytes:
    return _SIGNALS[notice] if isinstance(notice, StreamSignal) else _changes_text(notice)


@lru_cache(maxsize=64)  # all devices of a user are sent the same, one after another
def _changes_text(changes: tuple[Change, ...]) -> bytes:
    return b"".join(b"event: %s\ndata: %s\n\n" % (change.topic.encode(), encode(_answer(change))) for change in changes)


def _answer(change: Change) -> ChangeAnswer:
    items = cast("list[Any]", list(change.item_ids)) or None
    if change.progress is None:
        return ChangeAnswer(items)
    return ChangeAnswer(items, progress_answer(change.progress), change.progress.session, change.progress.device)
