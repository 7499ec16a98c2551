"""Items of the version before become titles that their library holds, under their ids and with all that was theirs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from migrated_store import MigratedStore
from playhead.storage.migrations.upgrade import Migrations

BEFORE = Migrations(head="0015")
HOUR = 3_600_000
MANY = 100_000


def ident(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


FILMS, SHOWS, ANA = ident(1), ident(2), ident(3)
FILM, GONE, SHOW, FIRST, SECOND = (ident(number) for number in range(10, 15))


@pytest.fixture
def store(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[MigratedStore]:
    url = request.getfixturevalue("cluster").create(uuid4().hex) if engine == "postgresql" else ""
    made = MigratedStore(tmp_path / "playhead.db", url, BEFORE)
    yield made
    made.engine.dispose()


def row(item: str, library: str, title: str, **values: object) -> dict[str, object]:
    defaults: dict[str, object] = {"kind": "movie", "year": None, "show": None, "season": None, "episode": None}
    return {"id": item, "library": library, "title": title, "added": 5, "removed": None} | defaults | values


def put_items(store: MigratedStore, *rows: dict[str, object]) -> None:
    store.run(
        "INSERT INTO item (id, library_id, kind, title, sort_title, search_title, identity, added_at, removed_at, year,"
        " show_id, season_number, episode_number) VALUES (:id, :library, :kind, :title, :title, :title, :title || '||',"
        " :added, :removed, :year, :show, :season, :episode)",
        *rows,
    )


def put_files(store: MigratedStore, *rows: dict[str, object]) -> None:
    store.run(
        "INSERT INTO media_file (id, library_id, path, size, mtime_ns, duration_ms, credits_ms, label, evidence, fault,"
        " added_at, removed_at) VALUES (:id, :library, :path, 1, 1, :duration, :credits, '', '', :fault, 5, :removed)",
        *({"credits": None, "fault": None, "removed": None} | each for each in rows),
    )


def put_links(store: MigratedStore, *rows: tuple[str, str, int | None]) -> None:
    values = [{"file": file, "item": item, "part": part} for file, item, part in rows]
    store.run("INSERT INTO file_item (file_id, item_id, part) VALUES (:file, :item, :part)", *values)


def put_libraries(store: MigratedStore) -> None:
    for library, name, kind in ((FILMS, "Films", "movies"), (SHOWS, "Shows", "shows")):
        store.run(
            "INSERT INTO library (id, name, kind, path, created_at) VALUES (:id, :name, :kind, :path, 0)",
            {"id": library, "name": name, "kind": kind, "path": f"/srv/{name}"},
        )


def holdings(store: MigratedStore) -> dict[str, tuple[Any, ...]]:
    found = store.run("SELECT * FROM holding")
    return {
        str(each["item_id"]): (
            str(each["library_id"]),
            each["added_at"],
            each["removed_at"],
            each["ended_at"],
            json.loads(each["told"]),
        )
        for each in found
    }


def files_of(store: MigratedStore) -> dict[str, Any]:
    found = store.run("SELECT id, files FROM item")
    return {str(each["id"]): each["files"] and json.loads(each["files"]) for each in found}


def test_each_item_is_held_by_its_library_and_told_by_it(store: MigratedStore):
    put_libraries(store)
    put_items(
        store,
        row(FILM, FILMS, 'The "Film"', year=1999),
        row(GONE, FILMS, "Gone", removed=7),
        row(SHOW, SHOWS, "Show", kind="show"),
        row(FIRST, SHOWS, "Pilot", kind="episode", show=SHOW, season=1, episode=1),
    )
    store.upgrade(Migrations())
    assert holdings(store) == {
        FILM: (FILMS, 5, None, None, {"title": 'The "Film"', "year": 1999}),
        GONE: (FILMS, 5, 7, None, {"title": "Gone", "year": None}),
        SHOW: (SHOWS, 5, None, None, {"title": "Show", "year": None}),
        FIRST: (SHOWS, 5, None, None, {"title": "Pilot", "year": None}),
    }
    items = store.run("SELECT id, is_open, owner_id, pinned, added_at FROM item ORDER BY id")
    assert [str(each["id"]) for each in items] == [FILM, GONE, SHOW, FIRST]
    assert {(bool(each["is_open"]), each["owner_id"], each["pinned"], each["added_at"]) for each in items} == {
        (False, None, None, 5)
    }


def test_each_item_knows_the_lengths_and_parts_of_its_present_files(store: MigratedStore):
    put_libraries(store)
    put_items(
        store,
        row(FILM, FILMS, "Film"),
        row(SHOW, SHOWS, "Show", kind="show"),
        row(FIRST, SHOWS, "One", kind="episode", show=SHOW, season=1, episode=1),
        row(SECOND, SHOWS, "Two", kind="episode", show=SHOW, season=1, episode=2),
    )
    cd1, cd2, double, removed, faulty = (ident(number) for number in range(20, 25))
    put_files(
        store,
        {"id": cd1, "library": FILMS, "path": "cd1", "duration": HOUR},
        {"id": cd2, "library": FILMS, "path": "cd2", "duration": HOUR, "credits": HOUR - 60_000},
        {"id": double, "library": SHOWS, "path": "double", "duration": 2 * HOUR},
        {"id": removed, "library": FILMS, "path": "removed", "duration": HOUR, "removed": 9},
        {"id": faulty, "library": FILMS, "path": "faulty", "duration": None, "fault": "it is no video"},
    )
    put_links(store, (cd1, FILM, 1), (cd2, FILM, 2), (double, SECOND, None), (double, FIRST, None))
    put_links(store, (removed, FILM, None), (faulty, FILM, None))
    store.upgrade(Migrations())
    of_double = [double, SHOWS, 2 * HOUR, None, None, FIRST, 2]
    assert files_of(store) == {
        FILM: [[cd1, FILMS, HOUR, None, 1, FILM, None], [cd2, FILMS, HOUR, HOUR - 60_000, 2, FILM, None]],
        SHOW: None,
        FIRST: [of_double],
        SECOND: [of_double],
    }


def test_the_name_of_a_removed_library_is_free_and_that_of_a_present_one_is_not(store: MigratedStore):
    put_libraries(store)
    store.upgrade(Migrations())
    store.run("UPDATE library SET removed_at = 9 WHERE id = :id", {"id": FILMS})
    another = "INSERT INTO library (id, name, kind, created_at) VALUES (:id, :name, 'movies', 0)"
    store.run(another, {"id": ident(4), "name": "Films"})
    with pytest.raises(Exception, match=r"(?i)unique"):
        store.run(another, {"id": ident(5), "name": "Films"})


def test_the_upgrade_says_how_far_it_is(store: MigratedStore, caplog: pytest.LogCaptureFixture):
    put_libraries(store)
    put_items(store, row(FILM, FILMS, "Film"))
    file = ident(20)
    put_files(store, {"id": file, "library": FILMS, "path": "film.mkv", "duration": HOUR})
    put_links(store, (file, FILM, None))
    with caplog.at_level("INFO", "playhead.storage.migrations"):
        store.upgrade(Migrations())
    said = [each.message for each in caplog.records if each.name == "playhead.storage.migrations"]
    assert f"from schema {BEFORE.head} to {Migrations().head}" in said[0]
    assert "Titles: the files of 1 of 1 items are known" in said
    assert said[-1] == f"The database has been upgraded to schema {Migrations().head}"


@pytest.mark.long
def test_a_hundred_thousand_items_are_migrated_with_everything_that_belongs_to_them(store: MigratedStore):
    put_libraries(store)
    episodes = range(1_000, 1_000 + MANY)
    put_items(store, row(SHOW, SHOWS, "Show", kind="show"))
    store.run(
        "INSERT INTO account (id, name, role, password_hash, created_at) VALUES (:id, 'ana', 'member', '!', 0)",
        {"id": ANA},
    )
    put_items(
        store,
        *(
            row(ident(number), SHOWS, f"Episode {number}", kind="episode", show=SHOW, season=1, episode=number)
            for number in episodes
        ),
    )
    files = [
        {"id": ident(10_000_000 + number), "library": SHOWS, "path": f"{number}.mkv", "duration": HOUR}
        for number in episodes
    ]
    put_files(store, *files)
    put_links(store, *((ident(10_000_000 + number), ident(number), None) for number in episodes))
    store.run(
        "INSERT INTO progress (user_id, item_id, position_ms, watched, armed, version, changed_at, completed_marked)"
        " VALUES (:user, :item, :position, :no, :no, 1, 0, :no)",
        *({"user": ANA, "item": ident(number), "position": number, "no": False} for number in episodes),
    )
    store.upgrade(Migrations())
    assert len(holdings(store)) == MANY + 1
    found = files_of(store)
    assert all(found[ident(number)][0][0] == ident(10_000_000 + number) for number in episodes)
    progress = store.run("SELECT item_id, position_ms FROM progress")
    assert {str(each["item_id"]): each["position_ms"] for each in progress} == {
        ident(number): number for number in episodes
    }
