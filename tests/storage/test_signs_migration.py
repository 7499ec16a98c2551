"""Items stored by earlier versions have the identity that their title has now, where signs count."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text

from playhead.domain.catalogue import identity
from playhead.domain.model import Instant
from playhead.storage.migrations import postgres as postgres_migrations
from playhead.storage.migrations.upgrade import Migrations, upgrade

BEFORE = Migrations(head="0012")
LIBRARY = "00000000-0000-4000-8000-000000000001"
MOVIES = {"+1": "1", "1": "1", "C++ & You": "c and you", "The 3%": "3", "100_50": "100 50", "#Alive #2": "alive 2"}
SHOW, EPISODE = (f"00000000-0000-4000-8000-0000000000{number}" for number in (90, 91))


class Store:
    """A database on either engine, of the version before and then of this one."""

    def __init__(self, path: Path, url: str) -> None:
        self._path, self._url = path, url
        self.upgrade(BEFORE)
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


@pytest.fixture
def store(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
    url = request.getfixturevalue("cluster").create(uuid4().hex) if engine == "postgresql" else ""
    made = Store(tmp_path / "playhead.db", url)
    yield made
    made.engine.dispose()


def put(store: Store, item: str, title: str, key: str, kind: str = "movie", show: str | None = None) -> None:
    store.run(
        "INSERT INTO item (id, library_id, kind, title, sort_title, search_title, identity, added_at, show_id)"
        " VALUES (:id, :library, :kind, :title, :title, :title, :identity, 0, :show)",
        {"id": item, "library": LIBRARY, "kind": kind, "title": title, "identity": key, "show": show},
    )


def test_stored_identities_become_those_of_titles_with_signs(store: Store):
    store.run("INSERT INTO library (id, name, kind, created_at) VALUES (:id, 'Films', 'movies', 0)", {"id": LIBRARY})
    for number, (title, key) in enumerate(MOVIES.items()):
        put(store, f"00000000-0000-4000-8000-0000000000{number + 10}", title, f"{key}|2013|")
    put(store, SHOW, "$9.99", "9 99||", "show")
    put(store, EPISODE, "Pilot", "9 99||s1e1", "episode", SHOW)
    store.upgrade(Migrations())
    found = {row["title"]: row["identity"] for row in store.run("SELECT title, identity FROM item")}
    assert found == {
        **{title: identity(title, 2013) for title in MOVIES},
        "$9.99": identity("$9.99"),
        "Pilot": identity("$9.99", season_number=1, episode_number=1),
    }
