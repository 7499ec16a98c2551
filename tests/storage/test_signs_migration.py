"""Items stored by earlier versions have the identity that their title has now, where signs count."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from migrated_store import MigratedStore
from playhead.domain.catalogue import identity
from playhead.storage.migrations.upgrade import Migrations

BEFORE = Migrations(head="0012")
LIBRARY = "00000000-0000-4000-8000-000000000001"
MOVIES = {"+1": "1", "1": "1", "C++ & You": "c and you", "The 3%": "3", "100_50": "100 50", "#Alive #2": "alive 2"}
SHOW, EPISODE = (f"00000000-0000-4000-8000-0000000000{number}" for number in (90, 91))


@pytest.fixture
def store(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[MigratedStore]:
    url = request.getfixturevalue("cluster").create(uuid4().hex) if engine == "postgresql" else ""
    made = MigratedStore(tmp_path / "playhead.db", url, BEFORE)
    yield made
    made.engine.dispose()


def put(store: MigratedStore, item: str, title: str, key: str, kind: str = "movie", show: str | None = None) -> None:
    store.run(
        "INSERT INTO item (id, library_id, kind, title, sort_title, search_title, identity, added_at, show_id)"
        " VALUES (:id, :library, :kind, :title, :title, :title, :identity, 0, :show)",
        {"id": item, "library": LIBRARY, "kind": kind, "title": title, "identity": key, "show": show},
    )


def test_stored_identities_become_those_of_titles_with_signs(store: MigratedStore):
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
