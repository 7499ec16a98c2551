"""The real server, started as the README says, in a folder of its own."""

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
    """A server that is not started yet."""
    server = Server(tmp_path / "installation")
    yield server
    if server.running:
        server.stop(signal.SIGKILL)


@pytest.fixture(scope="session")
def durable_cluster() -> Iterator[Cluster]:
    """A PostgreSQL server that syncs what it commits, for tests that stop it in the midst of its work."""
    made = Cluster(durable=True)
    yield made
    made.close()


@pytest.fixture
def durable_server(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that is not started yet, on either engine; on PostgreSQL in a database of its own."""
    database = ""
    if engine == "postgresql":
        cluster: Cluster = request.getfixturevalue("durable_cluster")
        database = cluster.create(f"durable-{next(_numbers)}")
    server = Server(tmp_path / "installation", database)
    yield server
    if server.running:
        server.stop(signal.SIGKILL)
