"""A device that listens to the live changes of a real server."""

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from server import PATIENCE_S, Server


class Device:
    """An event stream on a socket of its own."""

    def __init__(self, server: Server, token: str) -> None:
        where = urlsplit(server.url)
        self.socket = socket.create_connection((where.hostname, where.port), timeout=PATIENCE_S)
        head = f"GET /api/v1/events HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token}\r\n\r\n"
        self.socket.sendall(head.encode())
        self.response = http.client.HTTPResponse(self.socket)
        self.response.begin()
        assert self.response.status == 200
        while self.response.readline().strip():  # the status line and headers
            pass

    def event(self) -> tuple[str, Any]:
        """Return the name and the data of the next event; "" at the end."""
        fields: dict[str, str] = {}
        for line in self.response:
            if line.strip():
                name, _, value = line.decode().strip().partition(": ")
                fields[name] = value
            elif "event" in fields:
                return fields["event"], json.loads(fields["data"])
        return "", None

    def close(self) -> None:
        self.response.close()
        self.socket.close()


@contextmanager
def listening(server: Server, token: str) -> Iterator[Device]:
    device = Device(server, token)
    yield device
    device.close()
