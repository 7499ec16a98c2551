from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from playhead.storage.migrations.upgrade import upgrade
from playhead.storage.sqlite import SQLiteDatabase
from support import Clock


@pytest.fixture
async def database(tmp_path: Path, anyio_backend: str) -> AsyncIterator[SQLiteDatabase]:  # noqa: ARG001 - the loop
    path = tmp_path / "playhead.db"
    upgrade(path, now=Clock().now)
    opened = SQLiteDatabase(path)
    yield opened
    await opened.close()
