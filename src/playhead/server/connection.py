"""A connection: the socket side of `protocol.py`; requests are answered on the fast path or by the application."""

import asyncio
import logging
import socket
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Any, Final, NamedTuple, Protocol, cast
from urllib.parse import unquote

import httptools
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from playhead.http.connection import CONNECTION
from playhead.http.errors import NO_SNIFFING, wire_problem
from playhead.http.forwarding import Proxies
from playhead.http.route import LastAnswer, Pending
from playhead.server.limits import (
    BODY_WITHIN_S,
    HEAD_WITHIN_S,
    IDLE_MAX_S,
    LINGER_MAX_S,
    RATE_MIN_BYTES_S,
    WINDOW_S,
    Addresses,
    Admission,
)
from playhead.server.protocol import CONTINUE, Data, Event, Request, RequestRefusal, ResponseError, State
from playhead.server.protocol import Protocol as HTTPProtocol

log = logging.getLogger(__name__)

# A chunk of a film is large enough to be sent on its own.
_SEND_IMMEDIATELY_BYTES: Final = 16 * 1024

# More of a body than the application has asked for is left in the client's buffers.
_BODY_BUFFER_BYTES: Final = 64 * 1024

# An unread body is discarded up to this size, so that the connection can be kept.
_DISCARDED_MAX_BYTES: Final = 64 * 1024

# The part of a request that counts as held: a streamed body is consumed as it arrives.
_HELD_MAX_BYTES: Final = 1024 * 1024

# After this many events of one packet, other connections get their turn.
_EVENTS_A_TURN: Final = 16

# This much of an unread answer is buffered before the connection makes no more, and before it is counted.
_UNREAD_MAX_BYTES: Final = 16 * 1024
_FILM_BUFFER_BYTES: Final = 64 * 1024
_STREAM_BUFFER_BYTES: Final = 16 * 1024


class Host(Protocol):
    """What a connection needs in addition to the ASGI application."""

    def answer_fast(self, request: Request) -> "bytes | Pending[bytes] | None":
        """Return the complete answer to a complete request, or the pending one, or None to leave it to the application.

        The answer is one of HTTP/1.1 with a Content-Length.
        """
        ...

    async def turn_away(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for which its client, or the server, has no capacity."""
        ...

    def count_refusal(self, status: int) -> None:
        """Count a request that was refused before it was complete."""
        ...


class Listener:
    """What the connections of a process share. `monotonic` is a monotonic clock in seconds."""

    def __init__(
        self, app: ASGIApp, host: Host, addresses: Addresses, proxies: Proxies, monotonic: Callable[[], float]
    ) -> None:
        self.app = app
        self.host = host
        self.addresses = addresses
        self.proxies = proxies
        self.monotonic = monotonic
        self.loop = asyncio.get_running_loop()
        self.outbox = Outbox(self.loop)
        self.connections: set[HttpConnection] = set()
        self.tasks: set[asyncio.Future[Any]] = set()

    def close_overdue(self) -> None:
        """Close the connections whose clients have missed a deadline. Call it every other second."""
        now_s = self.monotonic()
        for connection in [*self.connections]:
            connection.close_if_overdue(now_s)


class _Waits(Enum):
    """What a connection waits for its client to do."""

    BEGIN = "a further request"
    HEAD = "the rest of a head"
    BODY = "the rest of a body"
    READ = "the client to read"
    END = "the client to close"


_DEADLINES_S: Final = {
    _Waits.BEGIN: IDLE_MAX_S,
    _Waits.HEAD: HEAD_WITHIN_S,
    _Waits.BODY: WINDOW_S,
    _Waits.READ: WINDOW_S,
    _Waits.END: LINGER_MAX_S,
}


class _Watch(NamedTuple):
    """Since when a connection waits, for what, and in which request; and the window that runs meanwhile."""

    waits: _Waits
    number: int
    since_s: float
    window_s: float
    window_bytes: int


class HttpConnection(asyncio.Protocol):
    """One client's connection."""

    _transport: asyncio.Transport

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.protocol = HTTPProtocol()
        self._peer = ""
        self._address: tuple[str, int] | None = None
        self._is_served = True
        self._exchange: Exchange | None = None
        self._pending: asyncio.Future[Any] | None = None
        self._outgoing: list[bytes] = []
        self._is_ending = False  # after the current answer, or the next
        self._is_lost = False
        self._is_lingering = False
        self._may_pause = False  # the client may, in reading
        self._is_write_paused = False
        self._is_read_paused = False
        self._is_rescheduled = False
        self._drained: asyncio.Future[None] | None = None
        self._requests = 0
        self._received_bytes = 0  # of the body that is being read
        self._sent_bytes = 0
        self._held_bytes = 0
        self._unread_bytes = 0
        self._part_since_s: float | None = None  # when an incomplete head or body began
        self._watch: _Watch | None = None

    # Called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection, and admit or refuse it."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        if peer:
            self._peer, self._address = peer[0], (peer[0], peer[1])
        admission = self._listener.addresses.connect(self._peer)
        self._is_served = admission is Admission.SERVE
        self._listener.connections.add(self)
        if admission is Admission.DROP:
            self._transport.abort()
        else:
            self._transport.set_write_buffer_limits(_UNREAD_MAX_BYTES)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whatever makes an answer that the client is gone."""
        del exc
        self._is_lost = True
        self._listener.connections.discard(self)
        self._listener.addresses.disconnect(self._peer)
        self._release()
        self._outgoing.clear()
        self.protocol.close()
        if self._exchange is not None:
            self._exchange.disconnect()
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        """Process received bytes."""
        event = self.protocol.receive(data)
        if event is not None:
            self._handle(event)
        elif self.protocol.has_backlog:
            self._update_reading()
        else:
            self._judge_part()

    def pause_writing(self) -> None:
        """Make no more answers until the client has read some."""
        self._is_write_paused = True
        self._unread_bytes = 0 if self._may_pause else self._transport.get_write_buffer_size()
        if not self._listener.addresses.hold(self._peer, self._unread_bytes):
            self.abort()

    def resume_writing(self) -> None:
        """Continue with answers."""
        self._is_write_paused = False
        self._listener.addresses.hold(self._peer, -self._unread_bytes)
        self._unread_bytes = 0
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None
        self._go_on()

    # Requests

    def _handle(self, event: Event | None) -> None:
        left = _EVENTS_A_TURN
        while event is not None and not self._transport.is_closing():
            if not left:
                # One packet may contain thousands of requests, and others have their turn.
                self._is_rescheduled = True
                self._listener.loop.call_soon(self._take_turn, event)
                break
            left -= 1
            if isinstance(event, Request):
                self._begin(event)
            elif isinstance(event, Data):
                self._take(event)
            else:
                self._refuse(event)
            if self._is_write_paused:
                break
            event = self.protocol.next_request()
        # Otherwise there is no reason to pause.
        if self.protocol.buffered_bytes or self._is_read_paused or self._is_write_paused or self._exchange is not None:
            self._update_reading()

    def _take_turn(self, event: Event | None) -> None:
        self._is_rescheduled = False
        self._handle(event)

    def _go_on(self) -> None:
        if not self._is_rescheduled and not self._is_lost:
            self._handle(self.protocol.next_request())

    def _begin(self, request: Request) -> None:
        self._requests += 1
        self._part_since_s = None
        if self._is_ending or not self._is_served:
            self.protocol.keep_alive = False
        if request.body is None:
            self._received_bytes = 0
        else:
            if self._held_bytes:
                self._release()
            if self._is_served:
                answer = self._listener.host.answer_fast(request)
                if isinstance(answer, bytes):
                    self._finish(answer)
                    return
                if answer is not None:
                    self._wait_for(answer)
                    return
        self._call_application(request)

    def _finish(self, answer: bytes) -> None:
        if isinstance(answer, LastAnswer):
            self.protocol.keep_alive = False
        self._write(self.protocol.finish_response(answer))
        if not self.protocol.keep_alive:
            self._end()

    def _wait_for(self, pending: "Pending[bytes]") -> None:
        future = self._pending = pending.future
        self._listener.tasks.add(future)
        future.add_done_callback(partial(self._conclude, pending.conclude))

    def _conclude(self, conclude: Callable[[asyncio.Future[Any]], bytes], future: asyncio.Future[Any]) -> None:
        self._pending = None
        self._listener.tasks.discard(future)
        if future.cancelled():  # the server is shutting down, and closes its connections
            return
        answer = conclude(future)
        if not (self._is_lost or self._transport.is_closing()):
            self._finish(answer)
            self._go_on()

    def _call_application(self, request: Request) -> None:
        listener = self._listener
        scope = self._scope_of(request)
        if scope is None:
            self._refuse(_MALFORMED_TARGET)
            return
        app, client = listener.app, None
        if not self._is_served:
            app = listener.host.turn_away
        elif listener.proxies.trusts(self._peer):
            client = listener.proxies.client_of(request.fields, self._peer)
            if client == self._peer:
                client = None  # the proxy itself, such as for a health check
            elif not listener.addresses.enter(client):
                app, client = listener.host.turn_away, None
        self._exchange = exchange = Exchange(self, request, client)
        task = listener.loop.create_task(exchange.run(app, scope))
        listener.tasks.add(task)
        task.add_done_callback(listener.tasks.discard)

    def _scope_of(self, request: Request) -> dict[str, Any] | None:
        """Return the ASGI scope, None for a target that is not a path."""
        try:
            url = httptools.parse_url(request.target)
        except httptools.HttpParserInvalidURLError:
            return None
        raw_path = cast("bytes | None", url.path)  # a CONNECT request has none
        if raw_path is None:
            return None
        path = raw_path.decode("latin-1")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.0" if request.is_1_0 else "1.1",
            "server": self._transport.get_extra_info("sockname")[:2],
            "client": self._address,
            "scheme": "http",
            "root_path": "",
            "method": request.method.decode("ascii"),
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": url.query or b"",
            "headers": request.fields,
            "state": {CONNECTION: self},
        }

    def _take(self, piece: Data) -> None:
        self._received_bytes += len(piece.data)
        if self._exchange is not None:
            self._exchange.feed(piece)
        if piece.is_last:
            self._part_since_s = None
            self._release()
        else:
            self._judge_part()

    def _refuse(self, refusal: RequestRefusal) -> None:
        protocol = self.protocol
        protocol.close()
        self._listener.host.count_refusal(refusal.status)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:  # the fault is in the body of its request
            exchange.disconnect()
            if protocol.response_started:
                self.abort()
                return
        if not refusal.is_answered:
            protocol.response_started = protocol.response_complete = True
            self._write(wire_problem(refusal.status, refusal.reason))
        self._linger()

    def _judge_part(self) -> None:
        """Refuse an incomplete head or body that has no memory or no time left."""
        protocol = self.protocol
        if protocol.state not in _IN_PART or self._transport.is_closing():
            return
        held_bytes = min(self._received_bytes, _HELD_MAX_BYTES) + protocol.buffered_bytes
        if held_bytes > self._held_bytes:
            more_bytes, self._held_bytes = held_bytes - self._held_bytes, held_bytes
            if not self._listener.addresses.hold(self._peer, more_bytes):
                self._refuse(_NO_ROOM)
                return
        # The watch checks, too; but it runs on the event loop, and a client that keeps that busy must not gain time.
        now_s = self._listener.monotonic()
        within_s = HEAD_WITHIN_S if protocol.state is State.HEAD else BODY_WITHIN_S
        if self._part_since_s is None:
            self._part_since_s = now_s
        elif now_s - self._part_since_s >= within_s:
            self.abort()

    def _release(self) -> None:
        if self._held_bytes:
            self._listener.addresses.hold(self._peer, -self._held_bytes)
        self._held_bytes = self._received_bytes = 0

    # Answers

    @property
    def is_write_paused(self) -> bool:
        """Whether the client has to read before more is sent."""
        return self._is_write_paused

    async def drain(self) -> None:
        """Wait until the client has read enough, or is gone."""
        while self._is_write_paused and not self._is_lost:
            if self._drained is None:
                self._drained = self._listener.loop.create_future()
            await asyncio.shield(self._drained)

    def write(self, data: bytes) -> None:
        """Send at the end of this iteration of the event loop; large data immediately, after what is queued."""
        self._write(data)

    def _write(self, data: bytes) -> None:
        outgoing = self._outgoing
        if len(data) >= _SEND_IMMEDIATELY_BYTES:
            outgoing.append(data)
            self.flush()
            return
        if not outgoing:
            self._listener.outbox.put(self)
        outgoing.append(data)

    def flush(self) -> None:
        """Send what is queued for the end of the iteration."""
        if not self._outgoing:
            return
        pieces, self._outgoing = self._outgoing, []
        if self._transport.is_closing():  # uvloop raises if the client is gone
            return
        if len(pieces[-1]) >= _SEND_IMMEDIATELY_BYTES:
            # Not joined: many connections may wait to send the same large body, and share it.
            self._sent_bytes += sum(map(len, pieces))
            self._transport.writelines(pieces)
        else:
            data = b"".join(pieces)
            self._sent_bytes += len(data)
            self._transport.write(data)

    def leave(self, client: str) -> None:
        """Stop counting a client's request."""
        self._listener.addresses.leave(client)

    def answered(self, exchange: "Exchange") -> None:
        """Continue after the application's answer is complete."""
        if self._exchange is not exchange:
            return
        self._exchange = None
        self._may_pause = False
        if self.protocol.keep_alive:
            self._go_on()
        else:
            self._end()

    def begin_answer(self, *, expects_continue: bool) -> None:
        """Decide whether the connection can be kept, before the head of the answer is made."""
        missing = self.protocol.missing_bytes
        if missing is None or missing > _DISCARDED_MAX_BYTES or (missing and expects_continue):
            self.protocol.keep_alive = False

    def _end(self) -> None:
        if self.protocol.state is State.WHOLE and not self.protocol.has_backlog:
            self.flush()
            self._transport.close()
        else:
            self._linger()

    def _linger(self) -> None:
        """Close the connection so that the client sees the answer.

        Closing it with unread input would reset it, and the client's system would discard the answer.
        """
        self.protocol.close()
        self.flush()
        if self._transport.is_closing():
            return
        self._is_lingering = True
        self._transport.write_eof()
        self._update_reading()

    def update_reading(self) -> None:
        """Read from the socket, or pause, depending on free capacity."""
        self._update_reading()

    def _update_reading(self) -> None:
        exchange = self._exchange
        is_full = (
            self._is_rescheduled
            or self.protocol.has_backlog
            or (exchange is not None and exchange.is_full)
            or (self._is_write_paused and not self._is_answering)
        ) and not self._is_lingering
        if is_full != self._is_read_paused and not self._transport.is_closing():
            self._is_read_paused = is_full
            if is_full:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    # Deadlines and shutdown

    def close_if_overdue(self, now_s: float) -> None:
        """Close if the client has missed a deadline. `now_s` is the time of a monotonic clock."""
        waits = self._waits()
        if waits is None:
            self._watch = None
            return
        total = self._progress_bytes(waits)
        watch = self._watch
        if watch is None or watch.waits is not waits or watch.number != self._requests:
            self._watch = _Watch(waits, self._requests, now_s, now_s, total)
            return
        if waits is _Waits.BODY and now_s - watch.since_s >= BODY_WITHIN_S:
            self.abort()
            return
        elapsed_s = now_s - watch.window_s
        if elapsed_s < _DEADLINES_S[waits]:
            return
        if waits in _IN_WINDOWS and total - watch.window_bytes >= RATE_MIN_BYTES_S * elapsed_s:
            self._watch = watch._replace(window_s=now_s, window_bytes=total)
        elif waits is _Waits.BEGIN:
            self._transport.close()
        else:
            self.abort()

    def _waits(self) -> _Waits | None:
        unsent_bytes = self._transport.get_write_buffer_size()
        if unsent_bytes and not self._may_pause:
            return _Waits.READ
        if self._is_lingering:
            return _Waits.END
        state = self.protocol.state
        if state is State.HEAD:
            return _Waits.HEAD if self.protocol.has_begun_head or not self._requests else _Waits.BEGIN
        if state is State.WHOLE and self.protocol.response_complete:
            return _Waits.BEGIN
        if state in _IN_BODY and not self._is_read_paused:
            return _Waits.BODY
        return None

    def _progress_bytes(self, waits: _Waits) -> int:
        if waits is _Waits.READ:
            return self._sent_bytes - self._transport.get_write_buffer_size()
        return self._received_bytes + self.protocol.buffered_bytes

    @property
    def _is_answering(self) -> bool:
        return self._exchange is not None or self._pending is not None

    @property
    def waits_for_client(self) -> bool:
        """Whether a request is in progress that only its client can finish: by sending, or by reading."""
        if self._transport.get_write_buffer_size():
            return True
        return self._exchange is not None and (self.protocol.state in _IN_BODY or self.protocol.response_started)

    def answer_last(self) -> None:
        """Answer the request in progress or, if there is none, one more; then close."""
        self._is_ending = True
        if not self.protocol.response_started:
            self.protocol.keep_alive = False

    def shutdown(self) -> None:
        """Close as soon as the request in progress is answered."""
        self._is_ending = True
        if self._is_answering:
            self.protocol.keep_alive = False
        else:
            self.flush()
            self._transport.close()

    def end_after_answer(self) -> None:
        """Close the connection after the answer to the request in progress."""
        self.protocol.keep_alive = False

    def allow_pauses(self) -> None:
        """Allow the client to read the answer as slowly as it likes, such as a film that is paused."""
        self._may_pause = True
        self._transport.set_write_buffer_limits(_FILM_BUFFER_BYTES)

    def dedicate(self) -> None:
        """End the connection with the current answer, and buffer little of what its client does not read.

        Otherwise the kernel would buffer megabytes for a client that reads nothing, before anybody notices.
        """
        self.end_after_answer()
        self.allow_pauses()
        self._transport.set_write_buffer_limits(_STREAM_BUFFER_BYTES)
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _STREAM_BUFFER_BYTES)

    def abort(self) -> None:
        """Close immediately. Unsent data is lost, and the request's task is told that its client is gone."""
        self._outgoing.clear()
        self._transport.abort()


_IN_BODY: Final = frozenset({State.SIZED_BODY, State.CHUNKED_BODY})
_IN_PART: Final = _IN_BODY | {State.HEAD}
_IN_WINDOWS: Final = frozenset({_Waits.BODY, _Waits.READ})
_MALFORMED_TARGET: Final = RequestRefusal(400, "The request target is malformed.")
_NO_ROOM: Final = RequestRefusal(503, "There is no memory left for incomplete requests.")


class Exchange:
    """One request to the ASGI application, and its answer.

    `client`, if present, is counted as having a request in progress.
    """

    def __init__(self, connection: HttpConnection, request: Request, client: str | None) -> None:
        self._connection = connection
        self._expects_continue = request.expects_continue
        self._client = client
        self._body = bytearray(request.body or b"")
        self._is_whole = request.body is not None
        self._is_end_due = True  # the application has not been told that the body ends
        self._is_disconnected = False
        self._is_answered = False
        self._news = asyncio.Event()

    @property
    def is_full(self) -> bool:
        """Whether the application has to take some of the body first."""
        return len(self._body) > _BODY_BUFFER_BYTES

    def feed(self, piece: Data) -> None:
        """Receive a part of the body."""
        self._body += piece.data
        self._is_whole = piece.is_last
        self._news.set()

    def disconnect(self) -> None:
        """Tell the application that its client is gone."""
        self._is_disconnected = True
        self._news.set()

    async def run(self, app: ASGIApp, scope: dict[str, Any]) -> None:
        """Let the application answer."""
        try:
            await app(scope, self.receive, self.send)
        except asyncio.CancelledError:
            self._connection.abort()
            raise
        except Exception:
            log.exception("Defect of the application")
            await self._fail()
        else:
            if not (self._is_answered or self._is_disconnected):
                log.error("The application did not complete its answer")
                await self._fail()
        finally:
            if self._client is not None:
                self._connection.leave(self._client)

    async def _fail(self) -> None:
        connection = self._connection
        if self._is_disconnected or self._is_answered:
            return
        if connection.protocol.response_started:
            connection.abort()
            return
        connection.end_after_answer()
        headers = [(b"content-length", b"0"), NO_SNIFFING]
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        await self.send({"type": "http.response.body"})

    async def receive(self) -> Message:
        """Return the next message of ASGI."""
        connection = self._connection
        if self._expects_continue:
            self._expects_continue = False
            if not (self._is_whole or self._is_disconnected or connection.protocol.response_started):
                connection.write(CONTINUE)
        while not (self._is_disconnected or self._is_answered):
            if self._body or (self._is_whole and self._is_end_due):
                body = bytes(self._body)
                self._body.clear()
                self._is_end_due = not self._is_whole
                connection.update_reading()
                return {"type": "http.request", "body": body, "more_body": not self._is_whole}
            self._news.clear()
            await self._news.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Handle a message of ASGI. Raises ResponseError for one that HTTP does not allow here."""
        connection = self._connection
        if connection.is_write_paused:
            await connection.drain()
        if self._is_disconnected:
            return
        protocol = connection.protocol
        if not protocol.response_started:
            if message["type"] != "http.response.start":
                raise ResponseError(f"{message['type']} comes before the head of the answer")
            connection.begin_answer(expects_continue=self._expects_continue)
            connection.write(protocol.start_response(message["status"], message.get("headers", ())))
            return
        if message["type"] != "http.response.body":
            raise ResponseError(f"{message['type']} comes after the head of the answer")
        framed = protocol.send_body(message.get("body", b""), more=message.get("more_body", False))
        if framed:
            connection.write(framed)
        if protocol.response_complete:
            self._is_answered = True
            self._news.set()
            connection.answered(self)


class Outbox:
    """The connections that have something to send at the end of this iteration of the event loop.

    Clients that are answered together send their next requests together, and share the cost of an iteration.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due: list[HttpConnection] = []

    def put(self, connection: HttpConnection) -> None:
        """Make a connection send at the end of the iteration."""
        if not self._due:
            self._loop.call_soon(self._send)
        self._due.append(connection)

    def _send(self) -> None:
        due, self._due = self._due, []
        for connection in due:
            try:
                connection.flush()
            except Exception:  # one connection must not affect the answers of the others
                log.exception("An answer could not be sent")
