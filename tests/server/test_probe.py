"""The health check of a server."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from playhead.server.probe import ask


class _Unwell(BaseHTTPRequestHandler):
    """Alive, but not ready."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/livez" else 503)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Log nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), _Unwell) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))  # `shutdown` waits so long
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", ""])  # noqa: S104 - nothing is bound
def test_a_healthy_server_is_found_also_if_it_listens_on_all_addresses(port: int, host: str):
    assert ask(host, port, "/livez", timeout_s=5) is None


def test_any_other_answer_is_reported(port: int):
    assert ask("127.0.0.1", port, "/readyz", timeout_s=5) == "/readyz answers 503"


def test_a_missing_server_is_reported():
    fault = ask("127.0.0.1", 1, "/livez", timeout_s=5)
    assert fault is not None
    assert fault.startswith("nothing answers on 127.0.0.1 port 1: ")
