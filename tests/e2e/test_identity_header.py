"""The identity header of a trusted proxy on a real socket: in the head, as a trailer, next to X-Forwarded-For."""

import socket
from collections.abc import Iterator

import pytest

from server import Server

CHUNKED = b"POST /api/v1/tokens HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n"


@pytest.fixture(scope="module", params=["127.0.0.1", "192.0.2.1"])
def trusting(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, bool]]:
    """A server, and whether it trusts connections from this machine."""
    folder = tmp_path_factory.mktemp("trusting")
    server = Server(folder / "installation")
    server.environment = {
        "PLAYHEAD_TRUSTED_PROXIES": request.param,
        "PLAYHEAD_REMOTE_USER_HEADER": "Remote-User",
        "PLAYHEAD_CREATE_ACCOUNTS": "true",
    }
    server.add_user("boss")
    server.start()
    yield server, request.param == "127.0.0.1"
    assert server.stop() == 0


def exchange(server: Server, request: bytes) -> int:
    """Send bytes and return the status of the answer."""
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return int(answer.split(b" ", 2)[1])


def get(headers: bytes) -> bytes:
    return b"GET /api/v1/me HTTP/1.1\r\nhost: x\r\nconnection: close\r\n" + headers + b"\r\n"


def test_the_header_counts_only_from_a_trusted_proxy(trusting: tuple[Server, bool]):
    server, trusted = trusting
    assert exchange(server, get(b"Remote-User: anna\r\n")) == (200 if trusted else 401)
    assert exchange(server, get(b"Remote-User: anna\r\nX-Forwarded-For: 203.0.113.9\r\n")) == (200 if trusted else 401)
    assert exchange(server, get(b"Remote-User: anna\r\nX-Forwarded-For: 192.0.2.1\r\n")) == (200 if trusted else 401)


def test_two_headers_are_refused_where_one_would_be_trusted(trusting: tuple[Server, bool]):
    server, trusted = trusting
    assert exchange(server, get(b"Remote-User: anna\r\nremote-USER: boss\r\n")) == (400 if trusted else 401)


def test_a_trailer_names_nobody(trusting: tuple[Server, bool]):
    server, _ = trusting
    body = b'10\r\n{"name": "phone"}\r\n0\r\nRemote-User: boss\r\n\r\n'.replace(b"10\r\n", b"11\r\n", 1)
    request = CHUNKED + b"transfer-encoding: chunked\r\ntrailer: Remote-User\r\norigin: http://x\r\n\r\n" + body
    assert exchange(server, request) == 401


def test_a_trailer_does_not_replace_the_user_named_in_the_head(trusting: tuple[Server, bool]):
    server, trusted = trusting
    body = b'11\r\n{"name": "phone"}\r\n0\r\nRemote-User: boss\r\nRemote-Groups: root\r\n\r\n'
    head = CHUNKED + b"transfer-encoding: chunked\r\nremote-user: ben\r\norigin: http://x\r\n\r\n"
    assert exchange(server, head + body) == (201 if trusted else 401)
    assert server.query(
        "SELECT token.name FROM token JOIN account ON account.id = user_id WHERE account.name = 'boss'"
    ) == [("tests",)]
