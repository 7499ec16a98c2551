"""A server as the README starts it, for tests of installing and running it."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from server import Server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that has not been started yet."""
    server = Server(tmp_path / "installation")
    yield server
    if server.running:
        server.stop(signal.SIGKILL)
