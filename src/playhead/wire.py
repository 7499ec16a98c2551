"""Between HTTP and the socket: answers leave in one piece, and connections and silent clients have bounds."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from playhead.http.errors import PAUSE
from playhead.http.events import CONNECTION

# A part of a film is large enough to be sent by itself.
_SEND_AT_ONCE: Final = 16 * 1024

HEAD_WITHIN_S: Final = 10.0
"""How long a client may take for a request's head. nginx grants 60 s, but no head of ours needs two packets."""

BODY_STALLS_S: Final = 30.0
"""How long nothing of a body may come while it is waited for."""


_STREAM_HOLDS: Final = 16 * 1024


AnswerAtOnce = Callable[[bytes, list[tuple[bytes, bytes]]], bytes | None]
"""Gives the whole answer to a GET by its target and headers, or None where the application has to be called."""


class OneWriteProtocol(HttpToolsProtocol):
    """Uvicorn's protocol, which writes the head and the body of an answer apart: two system calls and two packets.

    Joined, a read costs a fifth less of the server's processor time (docs/benchmarks.md).
    """

    # Set by `bounded_protocol`; by itself the protocol has no bounds.
    most_connections: int | None = None
    turn_away: ASGIApp | None = None
    answer_at_once: AnswerAtOnce | None = None

    _pieces = 0
    _still_since = 0.0
    _stands_at: tuple[RequestResponseCycle | None, int] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin with a transport that joins; a connection too many will be told so."""
        super().connection_made(JoiningTransport(transport, self.loop))
        most, turn_away = self.most_connections, self.turn_away
        if most is not None and turn_away is not None and len(self.connections) > most:
            # To close it at once would show the client a broken connection, and no reason.
            self.app = cast("Any", turn_away)
            self.answer_at_once = None
        self.app_state = {**self.app_state, CONNECTION: self, PAUSE: self.pause}

    def pause(self, seconds: float) -> None:
        """Read nothing more for so long; what comes meanwhile waits in the client's own buffers."""
        if not self.transport.is_closing():
            self.flow.pause_reading()
            self.loop.call_later(seconds, self._read_on)

    def _read_on(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def on_headers_complete(self) -> None:
        """Answer at once where that can be; else begin a request of the application."""
        answer = self._answer_at_once()
        if answer is None:
            super().on_headers_complete()
            return
        self.transport.write(answer)
        self.on_response_complete()

    def _answer_at_once(self) -> bytes | None:
        give, cycle, parser = self.answer_at_once, self._cycle, cast("Any", self.parser)
        if (
            give is None
            or parser.get_method() != b"GET"
            or not (cycle is None or cycle.response_complete)
            or not parser.should_keep_alive()
            or parser.should_upgrade()
            or parser.get_http_version() != "1.1"
            or self.flow.write_paused
        ):
            return None
        return give(self.url, self.headers)

    def on_message_complete(self) -> None:
        """Hear that a request is whole. One that was answered at once has nothing that waits for it."""
        if self._cycle is not None:
            super().on_message_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body, and remember that something came."""
        self._pieces += 1
        super().on_body(body)

    def end_if_still(self, now_s: float) -> None:
        """Break the connection off where the client has owed something for too long. To be called now and then.

        `now_s` are seconds of any clock that never jumps. Nothing is owed while an answer is made or sent, and uvicorn
        itself ends connections on which no further request is begun.
        """
        owed = self._owed()
        if owed is None or owed != self._stands_at:
            self._stands_at, self._still_since = owed, now_s
            return
        cycle = owed[0]
        is_head = cycle is None or cycle.response_complete
        if now_s - self._still_since >= (HEAD_WITHIN_S if is_head else BODY_STALLS_S):
            self.transport.abort()

    def _owed(self) -> tuple[RequestResponseCycle | None, int] | None:
        """Return what changes when something comes that the client owes, or None where it owes nothing."""
        cycle = self._cycle
        if cycle is None or cycle.response_complete:
            # A request's head, unless the connection rests between two requests.
            return (cycle, 0) if self.timeout_keep_alive_task is None else None
        return (cycle, self._pieces) if cycle.more_body and not self.flow.read_paused else None

    @property
    def _cycle(self) -> RequestResponseCycle | None:
        return cast("RequestResponseCycle | None", self.cycle)  # uvicorn says that there always is one

    @property
    def waits_for_client(self) -> bool:
        """Whether a request is under way that only its client can bring to an end: by sending, or by reading."""
        cycle = self._cycle
        return cycle is not None and not cycle.response_complete and (cycle.more_body or cycle.response_started)

    def answer_last(self) -> None:
        """Answer what is under way and, where nothing is, one request more; then close."""
        cycle = self._cycle
        if cycle is not None and not cycle.response_complete:
            cycle.keep_alive = False
        else:
            self.app = cast("Any", _closing(cast("ASGIApp", self.app)))
            self.answer_at_once = None

    def dedicate(self) -> None:
        """Let the connection end with the answer that is made, and hold little of what its client does not read.

        The kernel would take megabytes for a client that reads nothing, before anybody notices.
        """
        cycle = self._cycle
        if cycle is not None:
            cycle.keep_alive = False
        self.transport.set_write_buffer_limits(_STREAM_HOLDS)
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _STREAM_HOLDS)

    def abort(self) -> None:
        """Close at once. What is not sent is lost, and the request's task hears that its client is gone."""
        self.transport.abort()


def bounded_protocol(
    most_connections: int, turn_away: ASGIApp, answer_at_once: AnswerAtOnce | None = None
) -> type[OneWriteProtocol]:
    """Return the protocol for at most so many connections; `turn_away` answers the requests of all further ones."""

    class Bounded(OneWriteProtocol):
        pass

    Bounded.most_connections = most_connections
    Bounded.turn_away = staticmethod(turn_away)
    Bounded.answer_at_once = None if answer_at_once is None else staticmethod(answer_at_once)
    return Bounded


def _closing(app: ASGIApp) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        await app(scope, receive, send_and_close)

    return answer


class JoiningTransport(asyncio.Transport):
    """Hands to `transport`, at the end of a turn of the loop, all that was written in it."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._waiting: list[bytes] = []
        # These are asked for at every request, and need nothing from here.
        self.get_extra_info = transport.get_extra_info
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.set_protocol = transport.set_protocol
        self.set_write_buffer_limits = transport.set_write_buffer_limits

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep what is small until the end of the turn; send what is large, after what was kept."""
        if not self._waiting and len(data) < _SEND_AT_ONCE:
            self._loop.call_soon(self._flush)
        self._waiting.append(cast("bytes", data))
        if len(data) >= _SEND_AT_ONCE:
            self._flush()

    def close(self) -> None:
        """Send what was kept, then close."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once; what was kept is lost."""
        self._waiting.clear()
        self._transport.abort()

    def _flush(self) -> None:
        if self._waiting:
            data = b"".join(self._waiting)
            self._waiting.clear()
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else a transport has
        return getattr(self._transport, name)
