"""A server under attack: raw connections to it, and its memory usage."""

import re
import socket
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from server import Server

MEMORY_MAX_BYTES = 32 * 1024 * 1024
"""What no attack may cost the server, beyond its memory while idle."""

HOST = b"Host: playhead.test\r\n"


class Target:
    """A running server with the admin `anna`, whose token is `token`."""

    def __init__(self, data: Path) -> None:
        self.server = Server(data)
        self.token = self.server.add_user("anna")
        self.server.start()
        self.bearer = b"Authorization: Bearer %b\r\n" % self.token.encode()
        for _ in range(3):  # so that modules loaded on first use do not count as growth
            assert self.exchange(b"GET /api/v1/me HTTP/1.1\r\n" + HOST + self.bearer + b"Connection: close\r\n\r\n")
        self.idle_bytes = self.memory_bytes()

    def connect(self) -> socket.socket:
        address = urlsplit(self.server.url)
        connection = socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def exchange(self, *pieces: bytes) -> bytes:
        """Send the pieces on a new connection and return everything that arrives until the server closes it."""
        with self.connect() as connection:
            with suppress(ConnectionError):  # the server may have closed the connection already
                for piece in pieces:
                    connection.sendall(piece)
            return received(connection)

    def memory_bytes(self) -> int:
        status = Path(f"/proc/{self.server.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024

    def reset_peak(self) -> None:
        self.idle_bytes = self.memory_bytes()
        Path(f"/proc/{self.server.pid}/clear_refs").write_text("5")

    def peak_growth_bytes(self) -> int:
        """Return how far the memory peak since `reset_peak` lies above the memory of the idle server."""
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.server.pid}/status").read_text())
        assert found
        return int(found[1]) * 1024 - self.idle_bytes


def received(connection: socket.socket) -> bytes:
    """Return everything that arrives until the other side closes or resets the connection."""
    parts: list[bytes] = []
    with suppress(ConnectionError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def statuses(answers: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answers)]
