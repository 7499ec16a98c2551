"""A store of the version before finds titles with a typo once it is upgraded."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from migrated_store import MigratedStore
from playhead.domain.searching import Search
from playhead.storage.catalogue import ItemOrder, list_items
from playhead.storage.migrations.upgrade import Migrations
from playhead.storage.searching import find_matches, learn_words

LIBRARY = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
def store(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[MigratedStore]:
    url = request.getfixturevalue("cluster").create(uuid4().hex) if engine == "postgresql" else ""
    made = MigratedStore(tmp_path / "playhead.db", url, Migrations(head="0013"))
    yield made
    made.engine.dispose()


def test_the_words_of_stored_titles_are_learned_in_batches(store: MigratedStore):
    store.run("INSERT INTO library (id, name, kind, created_at) VALUES (:id, 'Films', 'movies', 0)", {"id": LIBRARY})
    reels = [f"reel {number} {'swedish' if number % 2 else 'lantern'}" for number in range(2_300)]
    titles = ["copper sky", *reels, "x" * 999]
    store.run(
        "INSERT INTO item (id, library_id, kind, title, sort_title, search_title, identity, added_at)"
        " VALUES (:id, :library, 'movie', :title, :title, :title, :title || '||', 0)",
        *(
            {"id": f"00000000-0000-4000-8000-{number:012}", "library": LIBRARY, "title": title}
            for number, title in enumerate(titles)
        ),
    )
    store.upgrade(Migrations())
    with store.engine.begin() as connection:
        before = store.run("SELECT count(*) AS number FROM spelling")
        learn_words(connection, titles)
        matches = find_matches(connection, Search(("coper",)), [LIBRARY])
        assert matches is not None
        found = list_items(
            connection,
            [LIBRARY],
            user_id=None,
            kind=None,
            matching=matches.similar,
            order=ItemOrder.TITLE,
            descending=False,
            after=None,
            limit=None,
        )
    assert [item.title for item, _ in found] == ["copper sky"]
    assert store.run("SELECT count(*) AS number FROM spelling") == before
    assert [row["word"] for row in store.run("SELECT word FROM spelling WHERE key = word ORDER BY word")] == [
        "copper",
        "lantern",
        "reel",
        "swedish",
    ]
