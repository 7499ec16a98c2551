from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from playhead.storage.migrations.upgrade import upgrade
from playhead.storage.sqlite import SQLiteDatabase
from support import Clock


@pytest.fixture
def database_path(tmp_path: Path) -> Path:
    path = tmp_path / "playhead.db"
    upgrade(path, now=Clock().now)
    return path


@pytest.fixture
async def database(database_path: Path, anyio_backend: str) -> AsyncIterator[SQLiteDatabase]:  # noqa: ARG001 - the loop
    opened = SQLiteDatabase(database_path)
    yield opened
    await opened.close()


@pytest.fixture
def blocking_database(database_path: Path) -> Iterator[SQLiteDatabase]:
    """For tests without an event loop, which use read_blocking and write_blocking."""
    opened = SQLiteDatabase(database_path)
    yield opened
    opened.close_blocking()
