"""A database of an earlier version, on either engine, that a test fills and then upgrades."""

from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

from playhead.domain.model import Instant
from playhead.storage.migrations import postgres as postgres_migrations
from playhead.storage.migrations.upgrade import Migrations, upgrade


class MigratedStore:
    """A store at the revision `before`: on PostgreSQL at `url`, or if that is empty, in a SQLite file at `path`."""

    def __init__(self, path: Path, url: str, before: Migrations) -> None:
        self._path, self._url = path, url
        self.upgrade(before)
        self.engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://") or f"sqlite+apsw:///{path}")

    def upgrade(self, migrations: Migrations) -> None:
        if self._url:
            postgres_migrations.upgrade(self._url, migrations=migrations)
        else:
            upgrade(self._path, now=Instant(0), migrations=migrations)

    def run(self, sql: str, *values: dict[str, Any]) -> list[dict[str, Any]]:
        with self.engine.begin() as connection:
            done = connection.execute(text(sql), list(values) or None)
            return [dict(row) for row in done.mappings()] if done.returns_rows else []
