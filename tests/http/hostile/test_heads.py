"""Requests whose heads and trailers never end, and requests smuggled in others, sent to a real server."""

from contextlib import suppress

import pytest

from hostile import HOST, MEMORY_MAX_BYTES, Target, received, statuses

SMUGGLED = b"GET /api/v1/me HTTP/1.1\r\n" + HOST


@pytest.mark.parametrize("value", [b"h2c", b"websocket", b"anything"])
@pytest.mark.parametrize("head", [b"GET / HTTP/1.1\r\n", b"POST /api/v1/sessions HTTP/1.1\r\n", b"PUT /x HTTP/1.1\r\n"])
def test_nothing_after_an_upgrade_request_is_read_as_a_request(target: Target, head: bytes, value: bytes):
    hidden = SMUGGLED + target.bearer + b"\r\n"
    with target.connect() as connection, suppress(ConnectionError):
        connection.sendall(
            head + HOST + b"Connection: Upgrade\r\nUpgrade: %b\r\nContent-Length: %d\r\n\r\n" % (value, len(hidden))
        )
        answers = connection.recv(65536)
        connection.sendall(hidden)
        answers += received(connection)
    assert len(statuses(answers)) == 1
    assert b"connection: close" in answers
    assert b"anna" not in answers


def test_connect_opens_no_tunnel(target: Target):
    answers = target.exchange(
        b"CONNECT a:1 HTTP/1.1\r\n" + HOST + b"\r\n" + SMUGGLED + target.bearer + b"Connection: close\r\n\r\n"
    )
    assert statuses(answers) in ([], [400])


@pytest.mark.parametrize(
    ("begin", "piece", "status"),
    [
        (b"GET / HTTP/1.1\r\n" + HOST, b"a: b\r\n" * 10_000, 431),
        (b"GET / HTTP/1.1\r\n" + HOST + b"a: ", b"b" * 65536, 431),
        (b"GET / HTTP/1.1\r\n" + HOST, b"a" * 65536, 431),
        (b"GET /", b"a" * 65536, 414),
        (
            b"POST /api/v1/sessions HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n",
            b"a: b\r\n" * 10_000,
            431,
        ),
        (
            b"POST /api/v1/sessions HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\na: ",
            b"b" * 65536,
            431,
        ),
        (
            b"POST /api/v1/sessions HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n1;a=",
            b"b" * 65536,
            431,
        ),
    ],
    ids=["fields", "value", "name", "target", "trailers", "trailer", "chunk extension"],
)
def test_an_endless_head_or_trailer_is_refused_and_costs_no_memory(
    target: Target, begin: bytes, piece: bytes, status: int
):
    target.reset_peak()
    answers = target.exchange(begin, *[piece] * (25_000_000 // len(piece)))
    assert statuses(answers) in ([], [status])  # none if the client was still sending when the connection was closed
    assert target.peak_growth_bytes() <= MEMORY_MAX_BYTES
