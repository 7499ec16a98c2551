"""Texts stored by earlier versions, of any length and with any characters, are within the limits after an upgrade."""

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from migrated_store import MigratedStore
from playhead.storage.migrations import HEAD
from playhead.storage.migrations.upgrade import Migrations

BEFORE = Migrations(head="0008")
LIBRARY, PLAIN, LONG, EVIL, NOTHING, FILE = (f"00000000-0000-4000-8000-00000000000{number}" for number in range(1, 7))
USER = "00000000-0000-4000-8000-0000000000aa"


@pytest.fixture
def store(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[MigratedStore]:
    url = ""
    if engine == "postgresql":
        url = request.getfixturevalue("cluster").create(uuid4().hex)
    made = MigratedStore(tmp_path / "playhead.db", url, BEFORE)
    yield made
    made.engine.dispose()


def put_items(store: MigratedStore, **titles: str) -> None:
    store.run("INSERT INTO library (id, name, kind, created_at) VALUES (:id, 'Films', 'movies', 0)", {"id": LIBRARY})
    ids = {"plain": PLAIN, "long": LONG, "evil": EVIL, "nothing": NOTHING}
    store.run(
        "INSERT INTO item (id, library_id, kind, title, sort_title, search_title, identity, added_at)"
        " VALUES (:id, :library, 'movie', :title, :key, :key, :identity, 0)",
        *(
            {"id": ids[name], "library": LIBRARY, "title": title, "key": title, "identity": f"{title}|1999|"}
            for name, title in titles.items()
        ),
    )


def test_titles_are_truncated_and_cleaned_and_valid_ones_stay(store: MigratedStore):
    put_items(store, plain="Amélie", long="long " * 2_000, evil="Evil\x1b]0;owned\x07", nothing="\x07")
    store.upgrade(Migrations())
    rows = {str(row["id"]): row for row in store.run("SELECT id, title, sort_title, search_title, identity FROM item")}
    assert rows[PLAIN]["title"] == rows[PLAIN]["sort_title"] == rows[PLAIN]["search_title"] == "Amélie"
    assert rows[PLAIN]["identity"] == "Amélie|1999|"
    assert rows[LONG]["title"] == ("long " * 100).rstrip()
    assert len(rows[LONG]["sort_title"]) <= 1600
    assert len(rows[LONG]["search_title"]) == 2000
    assert len(rows[LONG]["identity"]) <= 1610
    assert rows[LONG]["identity"].endswith("|1999|")
    assert rows[EVIL]["title"] == "Evil ]0;owned"
    assert rows[NOTHING]["title"] == "Untitled"
    assert store.run("SELECT version_num FROM alembic_version") == [{"version_num": HEAD}]


def test_labels_and_streams_of_files_are_truncated(store: MigratedStore):
    put_items(store, plain="Amélie")
    streams = [{"kind": "audio", "codec": "aac", "language": "x" * 5000, "title": "Com\x07mentary", "hdr": False}] * 300
    store.run(
        "INSERT INTO media_file (id, library_id, path, size, mtime_ns, label, streams, evidence, added_at)"
        " VALUES (:id, :library, 'a.mkv', 1, 1, :label, :streams, '', 0)",
        {"id": FILE, "library": LIBRARY, "label": "1080p " + "x" * 300, "streams": json.dumps(streams)},
    )
    store.upgrade(Migrations())
    (row,) = store.run("SELECT label, streams FROM media_file")
    assert len(row["label"]) == 200
    kept = json.loads(row["streams"])
    assert len(kept) == 200
    assert kept[0] == {"kind": "audio", "codec": "aac", "language": "x" * 35, "title": "Com mentary", "hdr": False}


def test_devices_of_imported_histories_are_truncated(store: MigratedStore):
    store.run(
        "INSERT INTO account (id, name, role, password_hash, created_at) VALUES (:id, 'anna', 'member', '', 0)",
        {"id": USER},
    )
    store.run(
        "INSERT INTO progress (user_id, item_id, position_ms, watched, armed, version, changed_at, completed_marked,"
        " device, session) VALUES (:user, :item, 1, false, false, 1, 1, false, :text, 'short')",
        {"user": USER, "item": PLAIN, "text": "d" * 1000},
    )
    store.run(
        "INSERT INTO play (user_id, item_id, id, source) VALUES (:user, :item, :id, :text)",
        {"user": USER, "item": PLAIN, "id": EVIL, "text": "s" * 1000},
    )
    store.upgrade(Migrations())
    assert store.run("SELECT device, session FROM progress") == [{"device": "d" * 200, "session": "short"}]
    assert store.run("SELECT source FROM play") == [{"source": "s" * 50}]
