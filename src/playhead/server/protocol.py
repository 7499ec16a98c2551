"""The server's side of HTTP/1.1 (RFC 9112) without I/O: bytes in, events out; answers in, bytes out.

Knows no socket, no clock and no application. httptools parses heads; where a message begins and ends is decided here,
strictly: whatever two parsers could read differently is refused, because the other parser may be a proxy's.
"""

import re
from collections.abc import Iterable
from enum import Enum
from functools import lru_cache
from http import HTTPStatus
from typing import Final, NamedTuple

import httptools

TARGET_MAX_BYTES: Final = 8 * 1024
"""RFC 9112, section 3, recommends to support at least 8,000."""

HEAD_MAX_BYTES: Final = 32 * 1024
"""From the first byte of a head to its end; also of a trailer section."""

FIELDS_MAX: Final = 100
"""Of a head, and of a trailer section."""

_CHUNK_LINE_MAX_BYTES: Final = 1024
_CHUNKS_A_STEP: Final = 256
_EMPTY_LINES_MAX: Final = 2  # before a request; section 2.2 asks to ignore at least one

_END: Final = b"\r\n\r\n"
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_FIELD_LINE: Final = re.compile(_TOKEN + rb":[^\x00-\x08\x0a-\x1f\x7f]*")
_CHUNK_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?")
_REQUEST_LINE: Final = re.compile(_TOKEN + rb" [!-~]+ HTTP/(\d)\.(\d)")
_HOST: Final = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=:\[\]%-]*")
_CLOSE: Final = re.compile(rb"(?:^|,)[ \t]*close[ \t]*(?:,|$)", re.IGNORECASE)
_BARE_LINE_FEED: Final = re.compile(rb"(?<!\r)\n")

_FIELD_NAME: Final = re.compile(_TOKEN)
_FORBIDDEN_IN_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


# Two of one of these would make a request ambiguous.
_SINGLE: Final = frozenset({b"host", b"content-length", b"transfer-encoding", b"authorization"})

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

Fields = list[tuple[bytes, bytes]]
"""Lower-case names, and values."""


class State(Enum):
    """How far a connection has been read."""

    HEAD = "a request's head is expected, or has begun"
    SIZED_BODY = "a body with a Content-Length is being read"
    CHUNKED_BODY = "a chunked body is being read"
    WHOLE = "a request is whole; what follows it is kept until `next_request`"
    CLOSED = "nothing more is read: what comes is discarded"


# On Python 3.11 reading a member through its Enum class takes 0.1 us, and every request would do so five times.
_HEAD: Final = State.HEAD
_SIZED_BODY: Final = State.SIZED_BODY
_CHUNKED_BODY: Final = State.CHUNKED_BODY
_WHOLE: Final = State.WHOLE
_CLOSED: Final = State.CLOSED


class Request:
    """A request whose head is complete. `body` is the whole body, or None if it follows in `Data` events.

    `named` has the values of the fields by name: the first of a repeated field, but all of Connection, joined.
    `keep_alive` is the client's wish.
    """

    is_1_0 = False
    keep_alive = True
    upgrades = False
    body: bytes | None = b""

    def __init__(self, method: bytes, target: bytes, fields: Fields) -> None:
        self.method = method
        self.target = target
        self.fields = fields
        self.named = dict(fields)

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for a 100 before it sends the body (RFC 9110, section 10.1.1)."""
        return not self.is_1_0 and self.named.get(b"expect", b"").lower() == b"100-continue"


class _HeadParser:
    """Parses the heads of a connection one after another, with one parser as long as requests arrive complete."""

    __slots__ = ("_fields", "_is_skipping", "_method", "_parser", "_target")

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._is_skipping = False
        self._method = self._target = b""
        self._fields: Fields = []

    # Called by httptools.

    def on_url(self, part: bytes) -> None:
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._method = self._parser.get_method()

    def on_body(self, part: bytes) -> None:
        if not self._is_skipping:
            raise ValueError(f"a head contains {len(part)} bytes of a body")

    def skip(self, body: bytes) -> None:
        """Let the parser see a complete body of the announced length."""
        self._is_skipping = True
        self._parser.feed_data(body)
        self._is_skipping = False

    def parse(self, head: bytes) -> "Request | RequestRefusal":
        """Return the request of a complete head, or what is wrong with it."""
        self._method = self._target = b""
        self._fields = []
        upgrades = False
        try:
            self._parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            # We never upgrade. But if a request asks for it, httptools ends the message with its head and takes what
            # follows for the next request, including the body; uvicorn used to ignore that and kept the connection. So
            # the sender of a body could write requests on a connection that a proxy then shared with others (CWE-444).
            # Nothing after such a head is read.
            upgrades = True
        except httptools.HttpParserError:
            return _fault_of(head)
        method, target = self._method, self._target
        if not method:  # httptools has to find the end of the head where `Protocol` finds it
            return _fault_of(head)
        if len(target) > TARGET_MAX_BYTES:
            return _TARGET_TOO_LONG
        request = Request(method, target, self._fields)
        version_at = len(method) + 1 + len(target)  # httptools accepts several spaces, and other protocols
        if not head.startswith(b" HTTP/1.1\r\n", version_at):
            if not head.startswith(b" HTTP/1.0\r\n", version_at):
                return _fault_of(head)
            request.is_1_0 = True
            request.keep_alive = False  # without chunks, the connection ends with the end of many answers
        if upgrades:
            request.upgrades = True
            request.keep_alive = False
        return _fault_of_fields(request) or request


def _fault_of_fields(request: Request) -> "RequestRefusal | None":
    fields, named = request.fields, request.named
    if len(fields) > FIELDS_MAX:
        return HEAD_TOO_LARGE
    if len(named) < len(fields):
        fault = _judge_repeated(request)
        if fault is not None:
            return fault
    if b"connection" in named and _CLOSE.search(named[b"connection"]):
        request.keep_alive = False
    host = named.get(b"host")
    if host is None:
        return None if request.is_1_0 else RequestRefusal(400, "There is no Host.")
    return None if _is_host(host) else RequestRefusal(400, "The Host is malformed.")


def _judge_repeated(request: Request) -> "RequestRefusal | None":
    """Refuse a repeated field that must be single; correct `named`, which has the last of the others."""
    named = request.named
    named.clear()
    for name, value in request.fields:
        if name not in named:
            named[name] = value
        elif name in _SINGLE:
            return RequestRefusal(400, f"There is more than one {name.decode().title()}.")
        elif name == b"connection":
            named[name] += b"," + value
    return None


@lru_cache(maxsize=64)  # all clients of a server use one of a few names
def _is_host(host: bytes) -> bool:
    return _HOST.fullmatch(host) is not None


class Data(NamedTuple):
    """A part of a body, and whether the request is complete with it."""

    data: bytes
    is_last: bool


class RequestRefusal(NamedTuple):
    """What was received cannot be answered otherwise. Nothing more is read.

    `is_answered`: it is the rest of a request whose answer is complete, so there is no further answer.
    """

    status: int
    reason: str
    is_answered: bool = False


Event = Request | Data | RequestRefusal

HEAD_TOO_LARGE: Final = RequestRefusal(431, "The header fields are too large.")
_TARGET_TOO_LONG: Final = RequestRefusal(414, "The request target is too long.")
_MALFORMED: Final = RequestRefusal(400, "The request is malformed.")
_UNSUPPORTED_VERSION: Final = RequestRefusal(505, "Only HTTP/1.1 and HTTP/1.0 are supported.")


class ResponseError(RuntimeError):
    """The application answers in a way that HTTP does not allow."""


class Protocol:
    """One connection. `receive` input, then call `next_event` until there is none; answers are framed here.

    One request at a time: after `response_complete`, `next_request` starts the next one. Input received meanwhile is
    kept; `has_backlog` says that there is some, and that no more should be read from the socket.
    """

    __slots__ = (
        "_buffer",
        "_empty_lines",
        "_has_response_body",
        "_in_chunk",
        "_in_trailers",
        "_is_chunked_response",
        "_is_head_request",
        "_is_request_1_0",
        "_left",
        "_owed",
        "_parser",
        "_scanned",
        "keep_alive",
        "response_complete",
        "response_started",
        "state",
    )

    def __init__(self) -> None:
        self.state = _HEAD
        self.keep_alive = True
        self.response_started = False
        self.response_complete = True
        self._buffer = b""
        self._scanned = 0
        self._empty_lines = 0
        self._parser: _HeadParser | None = None
        # Of the body that is being read: the missing bytes of it, or of a chunk.
        self._left = 0
        self._in_chunk = False
        self._in_trailers = False
        self._is_head_request = False
        self._is_request_1_0 = False
        self._has_response_body = True
        self._is_chunked_response = False
        self._owed: int | None = None  # bytes of a response with a Content-Length

    # What is received

    def receive(self, data: bytes) -> Event | None:
        """Receive bytes; return the first event that they make, or None."""
        if self.state is _CLOSED:
            return None
        self._buffer = self._buffer + data if self._buffer else data
        return self._read_head() if self.state is _HEAD else self.next_event()

    def next_event(self) -> Event | None:
        """Return the next event of the input, or None if more must be received, or answered, before."""
        state = self.state
        if state is _HEAD:
            return self._read_head()
        if state is _SIZED_BODY:
            return self._read_sized()
        if state is _CHUNKED_BODY:
            return self._read_chunks()
        return None

    def next_request(self) -> Event | None:
        """Start the next request, after one that is complete and answered; return an event of it, or None.

        Nothing is read after a request that ended the connection.
        """
        if self.state is _WHOLE:
            if not self.response_complete:
                return None
            if not self.keep_alive:  # input after the last request of a connection is ignored
                self.close()
                return None
            self.state = _HEAD
        return self.next_event() if self._buffer else None

    @property
    def has_backlog(self) -> bool:
        """Whether something was received after the request that is being answered."""
        return self.state is _WHOLE and bool(self._buffer)

    @property
    def has_begun_head(self) -> bool:
        """Whether a part of a head, and no more, was received."""
        return self.state is _HEAD and bool(self._buffer)

    @property
    def buffered_bytes(self) -> int:
        """How much input is buffered."""
        return len(self._buffer)

    @property
    def missing_bytes(self) -> int | None:
        """How much of the body is missing; None if unknown."""
        if self.state is _SIZED_BODY:
            return self._left
        return None if self.state is _CHUNKED_BODY else 0

    def close(self) -> None:
        """Read nothing more."""
        self.state = _CLOSED
        self._buffer = b""

    def _refuse(self, refusal: RequestRefusal) -> RequestRefusal:
        is_answered = self.state is not _HEAD and self.response_complete
        self.close()
        self.keep_alive = False
        return refusal._replace(is_answered=is_answered)

    def _read_head(self) -> Event | None:
        data = self._buffer
        if data.startswith(b"\r\n"):
            data = self._buffer = self._skip_empty_lines(data)
        end = data.find(_END, self._scanned)
        if end < 0:
            fault = _fault_of_part(data, self._scanned)
            self._scanned = max(0, len(data) - len(_END) + 1)
            return None if fault is None else self._refuse(fault)
        end += len(_END)
        if end > HEAD_MAX_BYTES:
            return self._refuse(_fault_of_length(data))
        self._scanned = self._empty_lines = 0
        head, self._buffer = (data, b"") if end == len(data) else (data[:end], data[end:])
        parser = self._parser or _HeadParser()
        request = parser.parse(head)
        if isinstance(request, RequestRefusal):
            return self._refuse(request)
        fault = self._begin_body(request)
        if fault is not None:
            return self._refuse(fault)
        # A parser waits for the body that its head announces; if that follows later, the next head gets another parser.
        body = request.body
        self._parser = None if body is None else parser
        if body:
            parser.skip(body)
        self.keep_alive = request.keep_alive
        self.response_started = self.response_complete = False
        self._is_head_request = request.method == b"HEAD"
        self._is_request_1_0 = request.is_1_0
        return request

    def _skip_empty_lines(self, data: bytes) -> bytes:
        while self._empty_lines < _EMPTY_LINES_MAX and data.startswith(b"\r\n"):
            data = data[2:]
            self._empty_lines += 1
        return data

    def _begin_body(self, request: Request) -> RequestRefusal | None:
        if request.upgrades:
            self.close()
            return None
        named = request.named
        coding = named.get(b"transfer-encoding")
        if coding is not None:
            if request.is_1_0:
                return RequestRefusal(400, "HTTP/1.0 has no Transfer-Encoding.")
            if coding.lower() != b"chunked":
                return RequestRefusal(501, "Only the chunked Transfer-Encoding is supported.")
            self.state = _CHUNKED_BODY
            self._left, self._in_chunk, self._in_trailers = 0, False, False
            request.body = None
            return None
        length = named.get(b"content-length")
        if length is not None:
            self._begin_sized(request, int(length))  # httptools accepts only digits
        else:
            self.state = _WHOLE
        return None

    def _begin_sized(self, request: Request, length: int) -> None:
        if length > len(self._buffer):
            self.state = _SIZED_BODY
            self._left = length
            request.body = None
            return
        request.body, self._buffer = self._buffer[:length], self._buffer[length:]
        self.state = _WHOLE

    def _read_sized(self) -> Event | None:
        data = self._buffer
        if not data:
            return None
        if len(data) > self._left:
            data, self._buffer = data[: self._left], data[self._left :]
        else:
            self._buffer = b""
        self._left -= len(data)
        if self._left:
            return Data(data, is_last=False)
        self.state = _WHOLE
        return Data(data, is_last=True)

    def _read_chunks(self) -> Event | None:
        """Read some chunks: one packet may contain tens of thousands."""
        pieces: list[bytes] = []
        at = 0
        for _ in range(_CHUNKS_A_STEP):
            step = self._read_trailers(at) if self._in_trailers else self._read_chunk(at, pieces)
            if isinstance(step, RequestRefusal):
                return self._refuse(step)
            if step == at:
                break
            at = step
            if self.state is _WHOLE:
                break
        self._buffer = self._buffer[at:]
        is_last = self.state is _WHOLE
        return Data(b"".join(pieces), is_last) if pieces or is_last else None

    def _read_chunk(self, at: int, pieces: list[bytes]) -> RequestRefusal | int:
        """Read a chunk's size, its available data, or its end; return the position after it, or `at` if incomplete."""
        data = self._buffer
        if self._left:
            piece = data[at : at + self._left]
            if piece:
                pieces.append(piece)
                self._left -= len(piece)
            return at + len(piece)
        if self._in_chunk:
            if data.startswith(b"\r\n", at):
                self._in_chunk = False
                return at + 2
            return at if data[at:] in {b"", b"\r"} else _MALFORMED
        return self._read_chunk_line(at)

    def _read_chunk_line(self, at: int) -> RequestRefusal | int:
        data = self._buffer
        end = data.find(b"\r\n", at, at + _CHUNK_LINE_MAX_BYTES)
        if end < 0:
            if len(data) - at >= _CHUNK_LINE_MAX_BYTES:
                return HEAD_TOO_LARGE
            return _MALFORMED if _BARE_LINE_FEED.search(data, at) else at
        line = _CHUNK_LINE.fullmatch(data, at, end)
        if line is None:
            return _MALFORMED
        self._left = int(line[1], 16)
        self._in_chunk = self._left > 0
        self._in_trailers = not self._in_chunk
        return end + 2

    def _read_trailers(self, at: int) -> RequestRefusal | int:
        """Read the whole trailer section; none of it becomes a header, because nobody has checked it as one."""
        data = self._buffer
        end = at - 2 if data.startswith(b"\r\n", at) else data.find(_END, at)
        if end == -1 and not data.startswith(b"\r\n", at):
            if len(data) - at > HEAD_MAX_BYTES or data.count(b"\r\n", at) > FIELDS_MAX:
                return HEAD_TOO_LARGE
            return _MALFORMED if _BARE_LINE_FEED.search(data, at) else at
        lines = data[at:end].split(b"\r\n") if end > at else []
        if end - at > HEAD_MAX_BYTES or len(lines) > FIELDS_MAX:
            return HEAD_TOO_LARGE
        if not all(map(_FIELD_LINE.fullmatch, lines)):
            return _MALFORMED
        self.state = _WHOLE
        return end + len(_END)

    # Answers

    def start_response(self, status: int, fields: Iterable[tuple[bytes, bytes]]) -> bytes:
        """Return the head of the answer. Raises ResponseError for anything that would not be HTTP."""
        if self.response_started:
            raise ResponseError("the response was started already")
        lines = [_status_line(status)]
        owed = None
        says_close = False
        for name, value in fields:
            if _FIELD_NAME.fullmatch(name) is None or _FORBIDDEN_IN_VALUE.search(value):
                raise ResponseError(f"not a header field: {name!r}: {value!r}")
            lowered = name.lower()
            if lowered == b"content-length":
                owed = int(value)
            elif lowered == b"transfer-encoding":
                continue  # framing is decided here
            elif lowered == b"connection" and b"close" in value.lower():
                self.keep_alive = False
                says_close = True
            lines.append(b"%b: %b\r\n" % (name, value))
        has_body = self._has_response_body = not self._is_head_request and status not in _WITHOUT_BODY
        self._is_chunked_response = has_body and owed is None and not self._is_request_1_0
        self._owed = owed
        if self._is_chunked_response:
            lines.append(b"transfer-encoding: chunked\r\n")
        elif has_body and owed is None:
            self.keep_alive = False  # the end of the connection is the end of the body
        if not self.keep_alive and not says_close:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        self.response_started = True
        return b"".join(lines)

    def send_body(self, data: bytes, *, more: bool) -> bytes:
        """Return a part of the answer's body, framed. Raises ResponseError for another length than promised."""
        if not self.response_started or self.response_complete:
            raise ResponseError("there is no response to which this belongs")
        if not self._has_response_body:
            framed = b""
        elif self._is_chunked_response:
            framed = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
            if not more:
                framed += b"0\r\n\r\n"
        else:
            framed = data
            if self._owed is not None:
                owed = self._owed = self._owed - len(data)
                if owed < 0 or (owed and not more):
                    raise ResponseError(f"the body is {abs(owed)} bytes too {'long' if owed < 0 else 'short'}")
        self.response_complete = not more
        return framed

    def finish_response(self, response: bytes) -> bytes:
        """Finish a complete answer made elsewhere; return it as this connection has to send it."""
        self.response_started = self.response_complete = True
        return response if self.keep_alive else response.replace(b"\r\n", b"\r\nconnection: close\r\n", 1)


_WITHOUT_BODY: Final = frozenset({204, 304})


def _status_line(status: int) -> bytes:
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


_STATUS_LINES: Final = {each.value: b"HTTP/1.1 %d %b\r\n" % (each.value, each.phrase.encode()) for each in HTTPStatus}


def _fault_of(head: bytes) -> RequestRefusal:
    """Return what is wrong with a head that httptools rejects."""
    line = _REQUEST_LINE.fullmatch(head, 0, head.find(b"\r\n"))
    return _UNSUPPORTED_VERSION if line is not None and line.groups() not in _VERSIONS else _MALFORMED


_VERSIONS: Final = ((b"1", b"1"), (b"1", b"0"))


def _fault_of_length(data: bytes) -> RequestRefusal:
    line = data.find(b"\r\n", 0, TARGET_MAX_BYTES)
    return _TARGET_TOO_LONG if line < 0 else HEAD_TOO_LARGE


def _fault_of_part(data: bytes, begin: int) -> RequestRefusal | None:
    """Return what is wrong already with an incomplete head, whose bytes before `begin` were checked."""
    if not data:
        return None
    if not data[:1].isalpha() and data != b"\r":
        return _MALFORMED  # such as TLS
    if _BARE_LINE_FEED.search(data, begin):
        return _MALFORMED
    if len(data) <= TARGET_MAX_BYTES:
        return None
    fault = _fault_of_length(data)
    if fault is _TARGET_TOO_LONG or len(data) > HEAD_MAX_BYTES or data.count(b"\r\n") > FIELDS_MAX + 1:
        return fault
    return None
