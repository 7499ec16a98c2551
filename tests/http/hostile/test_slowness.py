"""Hundreds of clients that send or read slowly, against a real server: others are served, and memory is bounded."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from hostile import HOST, MEMORY_MAX_BYTES, Target, received, statuses

CLIENTS = 400
BODY = b"x" * 60_000


@contextmanager
def crowd(target: Target, *pieces: bytes) -> Iterator[list[socket.socket]]:
    """Many clients, each of which has sent these pieces."""
    with ExitStack() as stack:
        clients = [stack.enter_context(target.connect()) for _ in range(CLIENTS)]
        for piece in pieces:
            for client in clients:
                client.sendall(piece)
        yield clients


def is_served(target: Target, path: bytes, head: bytes = b"") -> bool:
    answer = target.exchange(b"GET %b HTTP/1.1\r\n" % path + HOST + head + b"Connection: close\r\n\r\n")
    return statuses(answer) == [200]


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"POST /api/v1/sessions HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 65000\r\n", BODY),
        (
            b"POST /api/v1/sessions HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n",
            b"1\r\n{\r\n",
        ),
        (
            b"POST /sign-in HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 50\r\n",
            b"username",
        ),
    ],
    ids=["long", "chunked", "form"],
)
def test_hundreds_of_slow_bodies_block_nobody_and_take_little_memory(target: Target, head: bytes, body: bytes):
    target.reset_peak()
    with crowd(target, head + HOST + b"\r\n", body):
        for path in (b"/readyz", b"/livez", b"/sign-in"):
            assert is_served(target, path)
        assert is_served(target, b"/api/v1/me", target.bearer)
        assert target.peak_growth_bytes() <= MEMORY_MAX_BYTES


def test_partial_heads_take_little_memory(target: Target):
    target.reset_peak()
    with crowd(target, b"GET / HTTP/1.1\r\n" + HOST, *[b"X: %b\r\n" % (b"y" * 7_500)] * 4):
        assert is_served(target, b"/readyz")
        assert target.peak_growth_bytes() <= MEMORY_MAX_BYTES


def test_unread_answers_block_nobody_and_take_little_memory(target: Target):
    request = b"GET /api/openapi.json HTTP/1.1\r\n" + HOST + b"\r\n"
    target.reset_peak()
    with crowd(target, request * 200):
        assert is_served(target, b"/readyz")
        assert is_served(target, b"/sign-in")
        assert target.peak_growth_bytes() <= MEMORY_MAX_BYTES


def test_chunks_of_one_byte_block_nobody(target: Target):
    head = b"POST /api/v1/sessions HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    target.reset_peak()
    with target.connect() as greedy:
        greedy.sendall(head + b"1\r\nx\r\n" * 10_000)
        assert is_served(target, b"/livez")
        greedy.sendall(b"0\r\n\r\n" + b"GET /livez HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
        assert statuses(received(greedy)) == [400, 200]  # invalid JSON, and then the next request
    assert target.peak_growth_bytes() <= MEMORY_MAX_BYTES


def test_thousands_of_pipelined_requests_are_answered_and_take_little_memory(target: Target):
    target.reset_peak()
    with target.connect() as greedy:
        greedy.sendall((b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n") * 2_000)
        greedy.sendall(b"GET /livez HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
        assert statuses(received(greedy)) == [200] * 2_001
    assert target.peak_growth_bytes() <= MEMORY_MAX_BYTES
