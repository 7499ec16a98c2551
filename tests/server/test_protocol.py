"""HTTP/1.1 without I/O: the meaning of bytes, however they are cut, and the form of answers on the wire."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playhead.server.protocol import (
    FIELDS_MAX,
    HEAD_MAX_BYTES,
    TARGET_MAX_BYTES,
    Data,
    Protocol,
    Request,
    RequestRefusal,
    ResponseError,
    State,
)

HOST = b"Host: playhead.test\r\n"
GET = b"GET /a?b=c HTTP/1.1\r\n" + HOST + b"\r\n"
SIZED = b"POST /a HTTP/1.1\r\n" + HOST + b"Content-Length: 11\r\n\r\nhello world"
CHUNKED = (
    b"POST /a HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n006;name=value\r\n world\r\n0\r\nAuthorization: Bearer x\r\nX: y\r\n\r\n"
)

Seen = tuple[object, ...]


def read(protocol: Protocol, *pieces: bytes) -> list[Seen]:
    """Return each request with its body, and each refusal, in a comparable form; every request is answered."""
    seen: list[Seen] = []
    for piece in pieces:
        event = protocol.receive(piece)
        while event is not None:
            if isinstance(event, Request):
                body = event.body
                seen.append((event.method, event.target, event.fields, event.keep_alive, body or b"", body is not None))
            elif isinstance(event, Data):
                *rest, body, _ = seen[-1]
                seen[-1] = (*rest, bytes(body) + event.data, event.is_last)  # pyright: ignore[reportArgumentType]
            else:
                if seen and not seen[-1][-1]:  # how much of a body arrives before the fault depends on the cuts
                    *rest, _, is_whole = seen[-1]
                    seen[-1] = (*rest, b"", is_whole)
                seen.append((event.status,))
            if protocol.state is State.WHOLE and not protocol.response_complete:
                protocol.finish_response(b"HTTP/1.1 200 OK\r\n\r\n")
            event = protocol.next_request()
    return seen


STREAMS = [
    GET,
    GET * 3,
    SIZED,
    CHUNKED,
    GET + SIZED + CHUNKED + SIZED + GET,
    b"\r\n" + GET + b"\r\n" + SIZED,
    b"HEAD / HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nEmpty:\r\nSpaces: \t a b \t\r\n\r\n",
    b"POST / HTTP/1.1\r\n" + HOST + b"Connection: close\r\nContent-Length: 0\r\n\r\n",
    b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GET,
    CHUNKED[:-4] + b"bad\r\n\r\n",
    b"GET / HTTP/2.0\r\n" + HOST + b"\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
]


@pytest.mark.parametrize("stream", STREAMS, ids=range(len(STREAMS)))
def test_where_the_bytes_are_cut_makes_no_difference(stream: bytes):
    whole = read(Protocol(), stream)
    assert whole
    for cut in range(len(stream) + 1):
        assert read(Protocol(), stream[:cut], stream[cut:]) == whole, cut
    assert read(Protocol(), *(stream[place : place + 1] for place in range(len(stream)))) == whole


def test_requests_and_their_bodies_are_seen_in_order():
    seen = read(Protocol(), GET + SIZED + CHUNKED + GET)
    assert [(each[0], each[1], each[4], each[5]) for each in seen] == [
        (b"GET", b"/a?b=c", b"", True),
        (b"POST", b"/a", b"hello world", True),
        (b"POST", b"/a", b"hello world", True),
        (b"GET", b"/a?b=c", b"", True),
    ]


def test_trailers_do_not_count_as_headers():
    protocol = Protocol()
    request = protocol.receive(CHUNKED)
    assert isinstance(request, Request)
    assert protocol.next_event() == Data(b"hello world", is_last=True)
    assert request.fields == [(b"host", b"playhead.test"), (b"transfer-encoding", b"chunked")]
    assert b"authorization" not in request.named


def head(*lines: bytes, first: bytes = b"POST / HTTP/1.1") -> bytes:
    return b"\r\n".join([first, *lines, b"", b""])


def test_the_first_of_a_repeated_field_counts_but_all_of_connection():
    request = Protocol().receive(
        head(b"Host: a", b"Content-Type: a/b", b"Connection: keep-alive", b"content-type: c/d", b"Connection: close")
    )
    assert isinstance(request, Request)
    assert request.named == {b"host": b"a", b"content-type": b"a/b", b"connection": b"keep-alive,close"}
    assert not request.keep_alive


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (head(), 400),
        (head(b"Host: a", b"Host: a"), 400),
        (head(b"Host: a/b"), 400),
        (head(b"Host: a", b"Content-Length: 1", b"Content-Length: 1"), 400),
        (head(b"Host: a", b"Content-Length: 1", b"Transfer-Encoding: chunked"), 400),
        (head(b"Host: a", b"Transfer-Encoding: chunked", b"Content-Length: 1"), 400),
        (head(b"Host: a", b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), 400),
        (head(b"Host: a", b"Authorization: Bearer a", b"Authorization: Bearer b"), 400),
        (head(b"Host: a", b"Content-Length: +1"), 400),
        (head(b"Host: a", b"Content-Length: 1, 1"), 400),
        (head(b"Host: a", b"Content-Length: -1"), 400),
        (head(b"Host: a", b"Content-Length: 0x1"), 400),
        (head(b"Host: a", b"Content-Length: 99999999999999999999999"), 400),
        (head(b"Host: a", b"Transfer-Encoding: gzip"), 400),
        (head(b"Host: a", b"Transfer-Encoding: xchunked"), 400),
        (head(b"Host: a", b"Transfer-Encoding: chunked, gzip"), 400),
        (head(b"Host: a", b"Transfer-Encoding: gzip, chunked"), 501),
        (head(b"Transfer-Encoding: chunked", first=b"POST / HTTP/1.0"), 400),
        (head(b"Host: a", first=b"GET / HTTP/2.0"), 505),
        (head(b"Host: a", first=b"GET / HTTP/3.0"), 505),
        (head(b"Host: a", first=b"GET / HTTP/1.2"), 505),
        (head(b"Host: a", first=b"GET / HTTP/0.9"), 505),
        (head(b"", b"SM", first=b"PRI * HTTP/2.0"), 505),
        (head(b"Host: a", first=b"GET /"), 400),
        (head(b"Host: a", first=b"GET  / HTTP/1.1"), 400),
        (head(b"Host: a", first=b"GET / RTSP/1.0"), 400),
        (head(b"Host: a", first=b"get / HTTP/1.1"), 400),
        (head(b"Host: a", first=b"GET /\xff HTTP/1.1"), 400),
        (head(b"Host: a", b"X : y"), 400),
        (head(b"Host: a", b"X: y\r\n z"), 400),
        (head(b"Host: a", b" X: y"), 400),
        (head(b"Host: a", b"X: y\0"), 400),
        (head(b"Host: a", b"X: y\rZ: a"), 400),
        (head(b"Host: a", b"X"), 400),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00", 400),
        (b"\r\n\r\n\r\n\r\nGET", 400),
        (b"GET /" + b"a" * TARGET_MAX_BYTES, 414),
        (head(b"Host: a", first=b"GET /" + b"a" * TARGET_MAX_BYTES + b" HTTP/1.1"), 414),
        (head(b"Host: a", *[b"X: y"] * FIELDS_MAX), 431),
        (head(b"Host: a", *(b"X%d: y" % number for number in range(FIELDS_MAX))), 431),
        (head(b"Host: a", b"X: " + b"y" * HEAD_MAX_BYTES), 431),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * HEAD_MAX_BYTES, 431),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 2_000, 431),
    ],
)
def test_ambiguous_malformed_or_too_large_requests_are_refused_and_nothing_after_them_is_read(text: bytes, status: int):
    protocol = Protocol()
    assert read(protocol, text)[-1] == (status,)
    assert protocol.state is State.CLOSED
    assert not protocol.keep_alive
    assert protocol.receive(GET) is None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"x\r\n", 400),
        (b"\r\n", 400),
        (b"-1\r\n", 400),
        (b"0x1\r\na\r\n", 400),
        (b"1 1\r\na\r\n", 400),
        (b"1\na\r\n", 400),
        (b"1\r\nab\r\n", 400),
        (b"1\r\na\n", 400),
        (b"1" * 17 + b"\r\n", 400),
        (b"1;" + b"a" * 2_000, 431),
        (b"0\r\nX y\r\n\r\n", 400),
        (b"0\r\nX: y\n\r\n", 400),
        (b"0\r\n X: y\r\n\r\n", 400),
        (b"0\r\n" + b"X: y\r\n" * (FIELDS_MAX + 1), 431),
        (b"0\r\n" + b"X: y\r\n" * (FIELDS_MAX + 1) + b"\r\n", 431),
        (b"0\r\nX: " + b"y" * HEAD_MAX_BYTES, 431),
        (b"0\r\nX: " + b"y" * HEAD_MAX_BYTES + b"\r\n\r\n", 431),
    ],
)
def test_malformed_or_too_large_chunks_and_trailers_are_refused(body: bytes, status: int):
    protocol = Protocol()
    begin = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    assert read(protocol, begin + body)[-1] == (status,)
    assert protocol.receive(GET) is None


@pytest.mark.parametrize("length", [0, 5])
def test_nothing_is_read_after_a_request_for_an_upgrade(length: int):
    text = head(b"Host: a", b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: %d" % length)
    protocol = Protocol()
    seen = read(protocol, text + GET, GET)
    assert [each[:2] for each in seen] == [(b"POST", b"/")]
    assert protocol.start_response(200, [(b"content-length", b"0")]).endswith(b"connection: close\r\n\r\n")


@pytest.mark.parametrize(
    "last", [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"]
)
@pytest.mark.parametrize("is_cut", [False, True])
def test_nothing_is_read_after_the_last_request_of_a_connection(last: bytes, *, is_cut: bool):
    protocol = Protocol()
    seen = read(protocol, last, GET) if is_cut else read(protocol, last + GET)
    assert len(seen) == 1
    assert protocol.state is State.CLOSED


def test_input_during_an_answer_waits_until_the_next_request_is_started():
    protocol = Protocol()
    assert isinstance(protocol.receive(GET), Request)
    assert protocol.receive(GET) is None
    assert protocol.has_backlog
    assert protocol.next_request() is None
    protocol.finish_response(b"")
    assert isinstance(protocol.next_request(), Request)
    assert not protocol.has_backlog


def answered(request: bytes, status: int, fields: list[tuple[bytes, bytes]], *parts: bytes) -> tuple[bytes, bool]:
    protocol = Protocol()
    assert isinstance(protocol.receive(request), Request)
    text = protocol.start_response(status, fields)
    for place, part in enumerate(parts, 1):
        text += protocol.send_body(part, more=place < len(parts))
    assert protocol.response_complete
    return text, protocol.keep_alive


LENGTH = [(b"content-length", b"4")]
OLD = GET.replace(b"1.1", b"1.0")


@pytest.mark.parametrize(
    ("request_text", "status", "fields", "parts", "expected", "is_kept"),
    [
        (GET, 200, LENGTH, [b"bo", b"dy"], b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody", True),
        (
            GET,
            200,
            [],
            [b"bo", b"", b"dy"],
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n",
            True,
        ),
        (GET, 200, [], [b""], b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", True),
        (OLD, 200, [], [b"bo", b"dy"], b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nbody", False),
        (OLD, 200, LENGTH, [b"body"], b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbody", False),
        (GET.replace(b"GET", b"HEAD"), 200, LENGTH, [b"body"], b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n", True),
        (GET.replace(b"GET", b"HEAD"), 200, [], [b""], b"HTTP/1.1 200 OK\r\n\r\n", True),
        (GET, 204, [], [b""], b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (GET, 304, [(b"etag", b"x")], [b""], b"HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n", True),
        (
            GET,
            200,
            [*LENGTH, (b"Connection", b"close")],
            [b"body"],
            b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nConnection: close\r\n\r\nbody",
            False,
        ),
        (
            GET.replace(HOST, HOST + b"Connection: x\r\nConnection: y , Close\r\n"),
            200,
            LENGTH,
            [b"body"],
            b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbody",
            False,
        ),
    ],
)
def test_an_answer_is_framed_as_its_request_allows(
    request_text: bytes,
    status: int,
    fields: list[tuple[bytes, bytes]],
    parts: list[bytes],
    expected: bytes,
    is_kept: bool,  # noqa: FBT001 - a column of the table
):
    assert answered(request_text, status, fields, *parts) == (expected, is_kept)


@pytest.mark.parametrize(
    "field", [(b"x", b"a\r\nb: c"), (b"x", b"a\nb"), (b"x", b"a\0"), (b"x y", b"a"), (b"", b"a"), (b"x:", b"a")]
)
def test_a_field_that_would_inject_another_is_refused(field: tuple[bytes, bytes]):
    protocol = Protocol()
    protocol.receive(GET)
    with pytest.raises(ResponseError):
        protocol.start_response(200, [field])


@pytest.mark.parametrize("parts", [[b"longer"], [b"lo"], [b"bo", b"dye"]])
def test_a_body_of_another_length_than_promised_is_refused(parts: list[bytes]):
    with pytest.raises(ResponseError):
        answered(GET, 200, LENGTH, *parts)


def test_a_complete_answer_announces_the_end_of_the_connection():
    protocol = Protocol()
    protocol.receive(GET)
    protocol.keep_alive = False
    answer = protocol.finish_response(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    assert answer == b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


WORDS = st.sampled_from(
    [
        *re.findall(rb"[^\r\n]*\r?\n?", CHUNKED + SIZED + GET),
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b":",
        b"0\r\n",
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: upgrade\r\nUpgrade: x\r\n",
        b"HTTP/1.0\r\n\r\n",
        GET,
    ]
)
STREAM = st.lists(WORDS | st.binary(max_size=8), max_size=24).map(b"".join)


@given(STREAM, st.lists(st.integers(0, 400), max_size=6))
def test_any_bytes_however_cut_are_read_the_same_way_and_raise_nothing(stream: bytes, cuts: list[int]):
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [stream[first:last] for first, last in pairwise(places)]
    in_pieces, whole = read(Protocol(), *pieces), read(Protocol(), stream)
    # Of two faults the cuts decide which is seen first, and thus the status.
    assert [each if len(each) > 1 else () for each in in_pieces] == [each if len(each) > 1 else () for each in whole]
    assert all(len(each) > 1 for each in whole[:-1])  # nothing follows a refusal


def test_refusing_the_rest_of_a_request_says_whether_an_answer_is_expected():
    for is_answered in (False, True):
        protocol = Protocol()
        protocol.receive(CHUNKED[: CHUNKED.index(b"5\r\n")])
        if is_answered:
            protocol.finish_response(b"")
        assert protocol.receive(b"x\r\n") == RequestRefusal(400, "The request is malformed.", is_answered)
