"""A real server, and clients that talk to it byte by byte."""

import signal
from collections.abc import Iterator

import pytest

from hostile import Target


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A running server with an admin and a member, whose idle memory is known."""
    made = Target(tmp_path_factory.mktemp("hostile") / "installation")
    yield made
    if made.server.running:
        made.server.stop(signal.SIGKILL)
