import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from playhead.domain.model import Instant
from playhead.storage.migrations.upgrade import upgrade
from playhead.storage.sqlite import SQLiteDatabase


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of the newest schema, to be copied: migrating anew for each test would take longer than it."""
    path = tmp_path_factory.mktemp("migrated") / "playhead.db"
    upgrade(path, now=Instant(0))
    return path


@pytest.fixture
def database_path(migrated_file: Path, tmp_path: Path) -> Path:
    """The file of a database with the newest schema, that nobody has open."""
    return Path(shutil.copy(migrated_file, tmp_path / "playhead.db"))


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
