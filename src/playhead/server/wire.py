"""Between HTTP and the socket: answers leave in one piece, and connections and silent clients have bounds."""

import asyncio
import logging
import socket
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, Final, Protocol, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from playhead.http.api.events import CONNECTION
from playhead.http.at_once import Later
from playhead.http.errors import PAUSE, Headers, Pause

log = logging.getLogger(__name__)

# A part of a film is large enough to be sent by itself.
_SEND_AT_ONCE: Final = 16 * 1024

HEAD_WITHIN_S: Final = 10.0
"""How long a client may take for a request's head. nginx grants 60 s, but no head of ours needs two packets."""

BODY_STALLS_S: Final = 30.0
"""How long nothing of a body may come while it is waited for."""


_STREAM_HOLDS: Final = 16 * 1024

TARGET_MAX_BYTES: Final = 8 * 1024
"""RFC 9112, section 3, recommends to support at least 8,000."""

HEAD_MAX_BYTES: Final = 32 * 1024
"""Of a head from its first byte to its end, and of what follows a chunked body."""

FIELDS_MAX: Final = 100
"""Of a head, and of a trailer section."""


_HEAD_TOO_LARGE: Final = (431, "The head of the request is too large.")
_TARGET_TOO_LONG: Final = (414, "The target of the request is too long.")
_FIELD_OVERHEAD: Final = len(": \r\n")


class Host(Protocol):
    """What a connection asks beside the application."""

    async def turn_away(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request of a connection for which there is no room."""
        ...

    def may_answer_at_once(self, method: bytes, target: bytes) -> bool:
        """Say whether a request may be one for `answer_at_once`, so that its body is waited for."""
        ...

    def answer_at_once(
        self, method: bytes, target: bytes, headers: Headers, body: bytes, pause: Pause
    ) -> bytes | Later | None:
        """Return the whole answer, or what it waits for, or None where the application has to be called.

        `pause` lets the connection rest.
        """
        ...


class OneWriteProtocol(HttpToolsProtocol):
    """Uvicorn's protocol, which writes the head and the body of an answer apart: two system calls and two packets.

    Joined, a read costs a fifth less of the server's processor time (docs/benchmarks.md).
    """

    # Set by `bounded_protocol`; by itself the protocol has no bounds.
    most_connections: int | None = None
    host: Host | None = None
    # Of all connections; made with the first, which is where the loop is known.
    outbox: "Outbox | None" = None

    # The body, as far as it has come, of a request that may be answered at once; never kept for longer than a turn.
    _held: bytes | None = None
    # Whether the last request was answered without the application, and nothing has come since.
    _rests = False

    # Whether a head is expected or has begun: everything between the end of one message and the end of the next head.
    _in_head = True
    # Of the head, or of what follows the last piece of a body: bytes and fields so far.
    _section_bytes = 0
    _fields = 0
    _field_bytes = 0
    # What answers a request that the parser gives up, where that is not 400.
    _refusal: tuple[int, str] | None = None
    _reads_no_more = False

    _pieces = 0
    _still_since = 0.0
    _stands_at: tuple[RequestResponseCycle | None, int] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin with a transport that joins; a connection too many will be told so."""
        super().connection_made(JoiningTransport(transport, self._outbox()))
        most, host = self.most_connections, self.host
        if most is not None and host is not None and len(self.connections) > most:
            # To close it at once would show the client a broken connection, and no reason.
            self.app = cast("Any", host.turn_away)
            self.host = None
        self.app_state = {**self.app_state, CONNECTION: self, PAUSE: self.pause}

    def _outbox(self) -> "Outbox":
        kind = type(self)
        if kind.outbox is None:
            kind.outbox = Outbox(self.loop)
        return kind.outbox

    def pause(self, seconds: float) -> None:
        """Read nothing more for so long; what comes meanwhile waits in the client's own buffers."""
        if not self.transport.is_closing():
            self.flow.pause_reading()
            self.loop.call_later(seconds, self._read_on)

    def _pause_soon(self, seconds: float) -> None:
        # The end of an answer lets the connection be read again.
        self.loop.call_soon(self.pause, seconds)

    def _read_on(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Take what came; a request that has not come whole in it is one for the application."""
        if self._reads_no_more:
            return
        self._rests = False
        pieces = self._pieces
        super().data_received(data)
        if pieces == self._pieces:
            # Nothing but a part of a head, or of what surrounds a body: the parser keeps an unfinished field, however
            # long it grows.
            self._count(len(data))
        if self._held is not None:
            if self.transport.is_closing():  # what followed was no HTTP
                self._held = None
            else:
                self._hand_on()

    def _count(self, length: int) -> None:
        """Count bytes that are no body; refuse where they are too many after the parser took them."""
        self._section_bytes += length
        if self._section_bytes > HEAD_MAX_BYTES and not self.transport.is_closing():
            self._refusal = _HEAD_TOO_LARGE
            self.send_400_response("")

    def _refuse(self, refusal: tuple[int, str]) -> None:
        """Let the parser give up. Only for its callbacks: it turns what they raise into an error of its own."""
        self._refusal = refusal
        raise ValueError(refusal[1])

    def send_400_response(self, msg: str) -> None:
        """Refuse what was received last, and read nothing more. `msg` is uvicorn's."""
        status, text = self._refusal or (400, msg)
        self._reads_no_more = True
        cycle = self._cycle
        if cycle is None or cycle.response_complete or (cycle.more_body and not cycle.response_started):
            lines = [b"HTTP/1.1 %d %b\r\n" % (status, HTTPStatus(status).phrase.encode())]
            lines += [
                b"content-type: text/plain; charset=utf-8\r\nx-content-type-options: nosniff\r\n",
                b"connection: close\r\n",
            ]
            self.transport.write(b"%bcontent-length: %d\r\n\r\n%b" % (b"".join(lines), len(text), text.encode()))
            self.transport.close()
        elif cycle.more_body or self.pipeline:
            self.transport.abort()  # the head of another answer has left, or others are answered first
        else:
            cycle.keep_alive = False  # what is under way is in order, and is answered

    def on_message_begin(self) -> None:
        """Begin a head. What uvicorn makes here for the application is made where that is called."""
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self._fields = self._field_bytes = 0
        if not self._in_head:  # else the bytes before are counted: this is where a connection, or a head, begins
            self._in_head = True
            self._section_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Take a part of the target."""
        if len(self.url) + len(url) > TARGET_MAX_BYTES:
            self._refuse(_TARGET_TOO_LONG)
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of a head; those of a trailer section count for nothing, and towards its limits."""
        self._fields += 1
        self._field_bytes += len(name) + len(value) + _FIELD_OVERHEAD
        if self._fields > FIELDS_MAX or self._field_bytes > HEAD_MAX_BYTES:
            self._refuse(_HEAD_TOO_LARGE)
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Wait for the body where a request may be answered at once; else begin a request of the application."""
        self._in_head = False
        self._pieces += 1
        self._fields = self._field_bytes = self._section_bytes = 0
        if cast("Any", self.parser).should_upgrade():
            self._reads_no_more = True
        if self._may_be_at_once():
            self._held = b""
        else:
            self._begin_request()

    def _begin_request(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers  # in place: the scope has this list
        super().on_headers_complete()
        if self._reads_no_more:
            # We never upgrade, and neither does uvicorn without a WebSocket library. But where a request asks for it,
            # httptools ends the message with its head, and takes what follows for the next request, its body included;
            # uvicorn logs that, and keeps the connection. So the sender of a body would write requests on a connection
            # that a proxy then shares with others (CWE-444). Nothing behind such a head may be read.
            self.cycle.keep_alive = False

    def _may_be_at_once(self) -> bool:
        host, cycle, parser = self.host, self._cycle, cast("Any", self.parser)
        return (
            host is not None
            and host.may_answer_at_once(parser.get_method(), self.url)
            and (cycle is None or cycle.response_complete)
            and parser.should_keep_alive()
            and not parser.should_upgrade()
            and not self.expect_100_continue
            and parser.get_http_version() == "1.1"
            and not self.flow.write_paused
        )

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body, and remember that something came."""
        self._pieces += 1
        self._section_bytes = 0
        if self._held is None:
            super().on_body(body)
        else:
            self._held += body

    def on_message_complete(self) -> None:
        """Hear that a request is whole: answer it at once if that can be."""
        self._in_head = True
        self._pieces += 1
        self._section_bytes = 0
        held, host, parser = self._held, self.host, cast("Any", self.parser)
        if held is not None and host is not None:
            answer = host.answer_at_once(parser.get_method(), self.url, self.headers, held, self._pause_soon)
            if answer is not None:
                self._held = None
                if isinstance(answer, bytes):
                    self.transport.write(answer)
                    self._rest()
                else:
                    self._await(answer)
                return
            self._hand_on()
        super().on_message_complete()

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: two lines for each request that asks for an upgrade would let anybody fill the log."""

    def _hand_on(self) -> None:
        """Begin a request of the application after all."""
        body, self._held = self._held, None
        self._begin_request()
        if body:
            super().on_body(body)

    def _await(self, answer: Later) -> None:
        awaited = _Awaited()
        self.cycle = cast("RequestResponseCycle", awaited)
        self.tasks.add(cast("asyncio.Task[None]", answer.future))
        answer.future.add_done_callback(partial(self._conclude, awaited, answer.conclude))

    def _conclude(
        self,
        awaited: "_Awaited",
        conclude: Callable[[asyncio.Future[Any], Pause], bytes],
        future: asyncio.Future[Any],
    ) -> None:
        self.tasks.discard(cast("asyncio.Task[None]", future))
        if future.cancelled():  # the server ends, and its connections with it
            return
        answer = conclude(future, self._pause_soon)
        awaited.response_complete = True
        if awaited.disconnected or self.transport.is_closing():
            return
        if awaited.keep_alive:
            self.transport.write(answer)
        else:
            self.transport.write(answer.replace(b"\r\n", b"\r\nconnection: close\r\n", 1))
            self.transport.close()
        self._rest()

    def _rest(self) -> None:
        """Do what uvicorn does after an answer, without a timer: `end_if_still` sees who rests for too long."""
        if self.pipeline or self.flow.read_paused or self.transport.is_closing():
            self.on_response_complete()
        else:
            self.server_state.total_requests += 1
            self._rests = True
            self._pieces += 1

    def end_if_still(self, now_s: float) -> None:
        """Break the connection off where the client has owed something for too long. To be called now and then.

        `now_s` are seconds of any clock that never jumps. Nothing is owed while an answer is made or sent. Connections
        on which no further request is begun end in uvicorn's own time, by itself where the application has answered.
        """
        owed = self._owed()
        if owed is None or owed != self._stands_at:
            self._stands_at, self._still_since = owed, now_s
            return
        still_s, cycle = now_s - self._still_since, owed[0]
        if self._rests:
            if still_s >= self.timeout_keep_alive:
                self.transport.close()
        elif still_s >= (HEAD_WITHIN_S if cycle is None or cycle.response_complete else BODY_STALLS_S):
            self.transport.abort()

    def _owed(self) -> tuple[RequestResponseCycle | None, int] | None:
        """Return what changes when something comes that the client owes, or None where it owes nothing."""
        cycle = self._cycle
        if self._rests:
            return cycle, self._pieces  # the next request
        if cycle is None or cycle.response_complete:
            # A request's head, unless uvicorn waits for the next request.
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
            self.host = None

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


class _Awaited:
    """Stands where uvicorn looks for a request that is under way, for one that waits without a task."""

    more_body = response_started = False

    def __init__(self) -> None:
        self.keep_alive = True
        self.disconnected = False
        self.response_complete = False
        self.message_event = self

    def set(self) -> None:
        """Nobody waits for a message of it."""


def bounded_protocol(most_connections: int, host: Host) -> type[OneWriteProtocol]:
    """Return the protocol for at most so many connections; the requests of all further ones are turned away."""

    class Bounded(OneWriteProtocol):
        pass

    Bounded.most_connections = most_connections
    Bounded.host = host
    return Bounded


def _closing(app: ASGIApp) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        await app(scope, receive, send_and_close)

    return answer


class Outbox:
    """The connections that have something to send at the end of this turn of the loop.

    What leaves together is answered together: the next requests come in few turns, and share what each turn costs.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due: list[JoiningTransport] = []

    def put(self, transport: "JoiningTransport") -> None:
        """Let a connection send at the end of the turn."""
        if not self._due:
            self._loop.call_soon(self._send)
        self._due.append(transport)

    def _send(self) -> None:
        due, self._due = self._due, []
        for transport in due:
            try:
                transport.flush()
            except Exception:  # one connection must not take the answers of the others along
                log.exception("An answer could not be sent")


class JoiningTransport(asyncio.Transport):
    """Hands to `transport`, at the end of a turn of the loop, all that was written in it."""

    def __init__(self, transport: asyncio.Transport, outbox: "Outbox") -> None:
        super().__init__()
        self._transport = transport
        self._outbox = outbox
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
            self._outbox.put(self)
        self._waiting.append(cast("bytes", data))
        if len(data) >= _SEND_AT_ONCE:
            self.flush()

    def close(self) -> None:
        """Send what was kept, then close."""
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once; what was kept is lost."""
        self._waiting.clear()
        self._transport.abort()

    def flush(self) -> None:
        """Send what was kept."""
        if self._waiting:
            data = b"".join(self._waiting)
            self._waiting.clear()
            if not self._transport.is_closing():  # uvloop's raises where its client is gone
                self._transport.write(data)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else a transport has
        return getattr(self._transport, name)
