"""The real server, started as the README says, in a separate folder."""

import signal
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from postgres import Cluster
from server import Server

_numbers = count(1)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that has not been started yet."""
    server = Server(tmp_path / "installation")
    yield server
    if server.running:
        server.stop(signal.SIGKILL)


@pytest.fixture(scope="session")
def durable_cluster() -> Iterator[Cluster]:
    """A PostgreSQL server that syncs its commits, for tests that kill it under load."""
    made = Cluster(durable=True)
    yield made
    made.close()


@pytest.fixture
def durable_server(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that has not been started yet, on either engine; on PostgreSQL in its own database."""
    database = ""
    if engine == "postgresql":
        cluster: Cluster = request.getfixturevalue("durable_cluster")
        database = cluster.create(f"durable-{next(_numbers)}")
    server = Server(tmp_path / "installation", database)
    yield server
    if server.running:
        server.stop(signal.SIGKILL)
