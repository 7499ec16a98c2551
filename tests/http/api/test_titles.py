"""One title, one item, over HTTP: old ids, titles of several libraries or none, and who sees which part of them."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import Connection, delete, insert, select, update

from listener import Listener
from playhead.domain.catalogue import FileFacts
from playhead.domain.model import FileId, ItemId, LibraryId, Milliseconds
from playhead.storage import schema
from playhead.storage.catalogue import encode_files
from world import EPISODE, LIBRARY, MOVIE, RUNTIME_MS, SHOW, World, hold, insert_items

pytestmark = [pytest.mark.anyio, pytest.mark.both_engines]

OLD_MOVIE = "0a000000-1111-4111-8111-111111111111"
OLD_SHOW = "fa000000-2222-4222-8222-222222222222"
OLD_EPISODE = "fa000000-3333-4333-8333-333333333333"

ATTIC = "55555555-4444-4444-8444-444444444444"
FILE, FILE_IN_ATTIC = "66666666-0000-4000-8000-000000000001", "66666666-0000-4000-8000-000000000002"
ELSEWHERE = "77777777-1111-4111-8111-111111111111"
PRIVATE = "77777777-1111-4111-8111-222222222222"

REPORT = {"position_seconds": 1200, "duration_seconds": 5400}
NO_STATE = {"position_seconds": 0, "duration_seconds": None, "completion_percentage": 0, "watched": False}


async def write(world: World, change: Callable[[Connection], None]) -> None:
    await world.playhead.installation.database.write(change)


async def rows(world: World, column: Any) -> list[Any]:  # noqa: ANN401 - a column of any type
    read = world.playhead.installation.database.read
    return await read(lambda connection: [*connection.execute(select(column)).scalars()])


async def call(
    world: World, method: str, path: str, headers: dict[str, str], body: object = None
) -> tuple[int, dict[str, Any]]:
    answer = await world.client.request(method, f"/api/v1{path}", json=body, headers=headers)
    return answer.status_code, answer.json() if answer.content else {}


async def get(world: World, path: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    status, answer = await call(world, "GET", path, headers or world.member)
    assert status == 200, answer
    return answer


async def listed(world: World, path: str, headers: dict[str, str]) -> list[str]:
    return [each["id"] for each in (await get(world, path, headers))["items"]]


# Old ids


@pytest.fixture
async def renamed(stocked: World) -> World:
    """The world whose items had other ids before: one that sorts before the id of today, and two after it."""
    old = {OLD_MOVIE: MOVIE, OLD_SHOW: SHOW, OLD_EPISODE: EPISODE}

    def add(connection: Connection) -> None:
        rows = [{"id": old_id, "item_id": item_id, "made_at": 1, "swept_at": 1} for old_id, item_id in old.items()]
        connection.execute(insert(schema.alias), rows)

    await write(stocked, add)
    return stocked


@pytest.mark.parametrize(
    ("kind", "old", "now"), [("movie", OLD_MOVIE, MOVIE), ("episode", OLD_EPISODE, EPISODE)], ids=["movie", "episode"]
)
async def test_a_save_and_a_read_by_an_old_id_are_of_the_item(renamed: World, kind: str, old: str, now: str) -> None:
    assert await get(renamed, f"/playback/{kind}/{old}") == NO_STATE
    status, saved = await call(renamed, "POST", f"/playback/{kind}/{old}", renamed.member, REPORT)
    assert (status, saved["position_seconds"]) == (200, 1200)
    for item_id in (old, now, old.upper()):  # the first read by each id is not remembered yet, the second is
        assert await get(renamed, f"/playback/{kind}/{item_id}") == saved
        assert await get(renamed, f"/playback/{kind}/{item_id}") == saved
    assert await rows(renamed, schema.progress.c.item_id) == [now]
    assert (await call(renamed, "GET", f"/playback/{kind}/{old}", renamed.stranger))[0] == 403
    assert (await call(renamed, "POST", f"/playback/{kind}/{old}", renamed.stranger, REPORT))[0] == 403
    other = "episode" if kind == "movie" else "movie"
    assert (await call(renamed, "POST", f"/playback/{other}/{old}", renamed.member, REPORT))[0] == 404


@pytest.mark.parametrize("ids", [(OLD_MOVIE, MOVIE), (MOVIE, OLD_MOVIE)], ids=["old first", "old last"])
async def test_an_old_and_a_new_id_in_one_batch_are_one_item(renamed: World, ids: tuple[str, str]) -> None:
    observed = ("21:00", "20:00")
    reports = [
        {"kind": "movie", "id": item_id, "position_seconds": 3000 - 1000 * place, "duration_seconds": 5400}
        | {"observed_at": f"2025-11-08T{observed[place]}:00Z"}
        for place, item_id in enumerate(ids)
    ]
    status, answer = await call(renamed, "POST", "/playback/batch", renamed.member, {"reports": reports})
    assert status == 200
    # The reports are applied in the order of their times, as those of one item.
    assert [(each["status"], each["applied"]) for each in answer["results"]] == [(200, True), (200, True)]
    assert [each["state"]["position_seconds"] for each in answer["results"]] == [3000, 2000]
    assert (await get(renamed, f"/playback/movie/{MOVIE}"))["position_seconds"] == 3000
    assert await rows(renamed, schema.progress.c.item_id) == [MOVIE]
    assert await rows(renamed, schema.progress.c.version) == [1]  # decided together, stored once


async def test_an_offline_evening_under_both_ids_is_one_play(renamed: World) -> None:
    reports = [
        {"kind": "movie", "id": item_id, "position_seconds": 5000 + minute, "duration_seconds": 5400}
        | {"observed_at": f"2025-11-08T21:0{minute}:00Z"}
        for minute, item_id in enumerate((OLD_MOVIE, MOVIE, OLD_MOVIE))
    ]
    await call(renamed, "POST", "/playback/batch", renamed.member, {"reports": reports})
    for item_id in (OLD_MOVIE, MOVIE):
        assert len((await get(renamed, f"/playback/movie/{item_id}/plays"))["items"]) == 1


async def test_marks_by_an_old_id_are_of_the_item(renamed: World) -> None:
    assert (await call(renamed, "PUT", f"/playback/movie/{OLD_MOVIE}/watched", renamed.member, {}))[0] == 200
    assert (await get(renamed, f"/playback/movie/{MOVIE}"))["watched"] is True
    assert (await call(renamed, "DELETE", f"/playback/movie/{OLD_MOVIE}/watched", renamed.member))[0] == 200
    assert (await get(renamed, f"/playback/movie/{MOVIE}"))["watched"] is False
    for path in (f"/playback/show/{OLD_SHOW}/watched", f"/playback/show/{OLD_SHOW}/season/1/watched"):
        assert (await call(renamed, "PUT", path, renamed.member, {}))[1]["changed"] == 1
        assert (await get(renamed, f"/playback/episode/{OLD_EPISODE}"))["watched"] is True
        assert (await call(renamed, "DELETE", path, renamed.member))[1]["changed"] == 1
    await call(renamed, "POST", f"/playback/movie/{MOVIE}", renamed.member, REPORT)
    assert (await call(renamed, "DELETE", f"/playback/movie/{OLD_MOVIE}", renamed.member))[0] in {200, 204}
    assert (await get(renamed, f"/playback/movie/{MOVIE}"))["position_seconds"] == 0
    assert set(await rows(renamed, schema.progress.c.item_id)) <= {MOVIE, EPISODE}


async def test_lists_name_the_item_and_their_routes_take_old_ids(renamed: World) -> None:
    await call(renamed, "POST", f"/playback/movie/{OLD_MOVIE}", renamed.member, REPORT)
    await call(renamed, "POST", f"/playback/episode/{OLD_EPISODE}", renamed.member, REPORT)
    assert set(await listed(renamed, "/playback", renamed.member)) == {MOVIE, EPISODE}
    playing = (await get(renamed, "/now-playing"))["items"]
    assert {each["item"]["id"] for each in playing} == {MOVIE, EPISODE}

    async def cards() -> set[str]:
        found = (await get(renamed, "/continue-watching"))["items"]
        return {each["show"]["id"] if each.get("show") else each["item"]["id"] for each in found}

    assert await cards() == {MOVIE, SHOW}
    assert (await get(renamed, f"/shows/{OLD_SHOW}/next-up"))["episode"]["item"]["id"] == EPISODE
    until = {"until": "2025-11-20T00:00:00Z"}
    for method, path, body, left in (
        ("PUT", f"/continue-watching/{OLD_MOVIE}/hidden", None, {SHOW}),
        ("DELETE", f"/continue-watching/{OLD_MOVIE}/hidden", None, {MOVIE, SHOW}),
        ("PUT", f"/items/{OLD_MOVIE}/snoozed", until, {SHOW}),
        ("DELETE", f"/items/{OLD_MOVIE}/snoozed", None, {MOVIE, SHOW}),
        ("PUT", f"/shows/{OLD_SHOW}/dropped", None, {MOVIE}),
        ("DELETE", f"/shows/{OLD_SHOW}/dropped", None, {MOVIE, SHOW}),
    ):
        status, answer = await call(renamed, method, path, renamed.member, body)
        assert status in {200, 204}, (path, answer)
        assert await cards() == left, path
    assert {*await rows(renamed, schema.list_state.c.item_id)} <= {MOVIE, SHOW}
    await call(renamed, "PUT", f"/playback/movie/{OLD_MOVIE}/watched", renamed.member, {})
    assert [each["item"]["id"] for each in (await get(renamed, "/history"))["items"]] == [MOVIE]


async def test_an_item_is_shown_by_its_old_id(renamed: World) -> None:
    assert (await get(renamed, f"/items/{OLD_MOVIE}"))["id"] == MOVIE
    assert await listed(renamed, f"/items/{OLD_SHOW}/episodes", renamed.member) == [EPISODE]
    assert await listed(renamed, "/items?kind=movie", renamed.member) == [MOVIE]
    assert (await call(renamed, "GET", f"/items/{OLD_MOVIE}", renamed.stranger))[0] == 403


async def test_other_devices_hear_of_a_report_by_an_old_id_under_the_new_one(renamed: World) -> None:
    async with Listener(renamed.playhead, renamed.member) as device:
        await call(renamed, "POST", f"/playback/movie/{OLD_MOVIE}", renamed.member, REPORT)
        name, heard = await device.event()
    assert (name, heard["items"], heard["progress"]["position_seconds"]) == ("progress", [MOVIE], 1200)


# A film of two libraries, the attic first. The member may see the films, and not the attic.


def put_file(connection: Connection, file_id: str, library_id: str, **columns: object) -> None:
    file = {"id": file_id, "library_id": library_id, "path": f"{file_id}.mkv", "size": 1, "mtime_ns": 1, "label": "HD"}
    further = {"evidence": "", "added_at": 0, "duration_ms": RUNTIME_MS}
    connection.execute(insert(schema.media_file), [file | further | columns])
    connection.execute(insert(schema.file_item), [{"file_id": file_id, "item_id": MOVIE}])


@pytest.fixture
async def shared(stocked: World) -> World:
    """The world whose film is in the attic, too, in another version; only the attic has another film."""

    def add(connection: Connection) -> None:
        connection.execute(update(schema.library).values(path="/srv/films"))
        attic = {"id": ATTIC, "name": "Attic", "kind": "movies", "path": "/srv/attic", "created_at": 0}
        connection.execute(insert(schema.library), [attic])
        connection.execute(update(schema.holding).values(added_at=5))
        hold(connection, MOVIE, ATTIC)
        put_file(connection, FILE, LIBRARY)
        put_file(connection, FILE_IN_ATTIC, ATTIC, label="2160p HEVC")
        insert_items(connection, [{"id": ELSEWHERE, "kind": "movie", "title": "Copper Sky", "year": 1974}], ATTIC)

    await write(stocked, add)
    return stocked


async def grant(world: World, library_id: str, name: str) -> None:
    path = f"/libraries/{library_id}/access/{world.user_ids[name]}"
    assert (await call(world, "PUT", path, world.admin))[0] == 204


async def test_a_film_of_two_libraries_is_one_item_with_one_state(shared: World) -> None:
    await grant(shared, ATTIC, "stranger")
    for headers in (shared.member, shared.stranger):
        assert await listed(shared, "/items?kind=movie&query=harbour", headers) == [MOVIE]
    assert await listed(shared, "/items?kind=movie", shared.admin) == [ELSEWHERE, MOVIE]
    await call(shared, "POST", f"/playback/movie/{MOVIE}", shared.member, REPORT)
    await grant(shared, ATTIC, "member")
    assert await listed(shared, "/items?library=Attic", shared.member) == [ELSEWHERE, MOVIE]
    film = await get(shared, f"/items/{MOVIE}")
    assert (film["library"], film["libraries"]) == ("Attic", ["Attic", "Films"])
    assert film["state"]["position_seconds"] == 1200
    assert {file["id"] for file in film["files"]} == {FILE, FILE_IN_ATTIC}


async def test_each_viewer_sees_only_libraries_and_files_of_their_own(shared: World) -> None:
    await grant(shared, ATTIC, "stranger")
    for headers, library, file, hidden in (
        (shared.member, "Films", FILE, FILE_IN_ATTIC),
        (shared.stranger, "Attic", FILE_IN_ATTIC, FILE),
    ):
        film = await get(shared, f"/items/{MOVIE}", headers)
        assert (film["title"], film["available"]) == ("Harbour Lights", True)
        assert (film["library"], film["libraries"]) == (library, [library])
        assert [each["id"] for each in film["files"]] == [file]
        (of_list,) = [each for each in (await get(shared, "/items", headers))["items"] if each["id"] == MOVIE]
        assert of_list["libraries"] == [library]
        assert (await call(shared, "GET", f"/stream/file/{hidden}", headers))[0] == 403
        assert (await call(shared, "GET", f"/stream/file/{hidden}/subtitles/0", headers))[0] == 403


SHORT_MS, LONG_MS = Milliseconds(RUNTIME_MS - 600_000), Milliseconds(RUNTIME_MS)
CUTS = (
    FileFacts(FileId(FILE), LibraryId(LIBRARY), LONG_MS, None, None, ItemId(MOVIE), None),
    FileFacts(FileId(FILE_IN_ATTIC), LibraryId(ATTIC), SHORT_MS, None, None, ItemId(MOVIE), None),
)


async def store_cuts(world: World, cuts: Sequence[FileFacts] = CUTS) -> None:
    """Give the film a file in each library; that of the attic is shorter."""
    changed = update(schema.item).where(schema.item.c.id == MOVIE)

    def store(connection: Connection) -> None:
        connection.execute(changed.values(runtime_ms=SHORT_MS, files=encode_files(cuts)))

    await write(world, store)


async def test_the_length_of_a_film_is_that_of_the_files_that_one_may_see(shared: World) -> None:
    await store_cuts(shared)
    await grant(shared, ATTIC, "stranger")
    for headers, length_ms in ((shared.member, LONG_MS), (shared.stranger, SHORT_MS), (shared.admin, SHORT_MS)):
        assert (await get(shared, f"/items/{MOVIE}", headers))["runtime_seconds"] == length_ms / 1000
        (of_list,) = [each for each in (await get(shared, "/items", headers))["items"] if each["id"] == MOVIE]
        assert of_list["runtime_seconds"] == length_ms / 1000
    # The member still sees the title, because the removed library was granted, and no file of it.
    assert (await call(shared, "DELETE", f"/libraries/{LIBRARY}", shared.admin))[0] == 204
    await store_cuts(shared, CUTS[1:])
    assert (await get(shared, f"/items/{MOVIE}"))["runtime_seconds"] is None
    assert (await get(shared, f"/items/{MOVIE}", shared.stranger))["runtime_seconds"] == SHORT_MS / 1000


async def test_hours_of_statistics_are_those_of_the_files_that_one_may_see(shared: World) -> None:
    await store_cuts(shared)
    await grant(shared, ATTIC, "stranger")
    for headers, length_ms in ((shared.member, LONG_MS), (shared.stranger, SHORT_MS), (shared.admin, SHORT_MS)):
        report = {"position_seconds": LONG_MS // 1000, "duration_seconds": LONG_MS // 1000}
        assert (await call(shared, "POST", f"/playback/movie/{MOVIE}", headers, report))[0] == 200
        total = (await get(shared, "/statistics", headers))["total"]
        assert total == {
            "plays": 1,
            "hours": pytest.approx(length_ms / 3_600_000, abs=0.05),
            "items": 1,
            "rewatches": 0,
        }


async def test_a_film_that_only_another_library_has_is_not_seen_by_its_id(shared: World) -> None:
    for method, path, body in (
        ("GET", f"/items/{ELSEWHERE}", None),
        ("GET", f"/playback/movie/{ELSEWHERE}", None),
        ("POST", f"/playback/movie/{ELSEWHERE}", REPORT),
        ("PUT", f"/playback/movie/{ELSEWHERE}/watched", {}),
        ("PUT", f"/continue-watching/{ELSEWHERE}/hidden", None),
        ("GET", f"/items/{ELSEWHERE}/artwork", None),
        ("GET", f"/stream/movie/{ELSEWHERE}", None),
    ):
        assert (await call(shared, method, path, shared.member, body))[0] == 403, path
    assert ELSEWHERE not in await listed(shared, "/items", shared.member)
    assert (await call(shared, "GET", "/items?library=Attic", shared.member))[0] == 403


async def test_an_open_film_of_a_library_one_may_not_see_shows_title_and_own_state_alone(shared: World) -> None:
    def open_it(connection: Connection) -> None:
        connection.execute(update(schema.item).where(schema.item.c.id == ELSEWHERE).values(is_open=True))
        connection.execute(update(schema.item).where(schema.item.c.id == ELSEWHERE).values(runtime_ms=RUNTIME_MS))
        connection.execute(insert(schema.external_id), [{"item_id": ELSEWHERE, "source": "imdb", "value": "tt74"}])

    await write(shared, open_it)
    assert ELSEWHERE not in await listed(shared, "/items", shared.member)
    assert (await call(shared, "POST", f"/playback/movie/{ELSEWHERE}", shared.member, REPORT))[0] == 200
    film = await get(shared, f"/items/{ELSEWHERE}")
    assert (film["title"], film["external_ids"]) == ("Copper Sky", {"imdb": "tt74"})
    assert film["state"]["position_seconds"] == 1200
    assert (film["library"], film["libraries"], film["available"]) == (None, [], False)
    assert (film["runtime_seconds"], film["files"]) == (None, [])
    assert (await call(shared, "GET", f"/items/{ELSEWHERE}/artwork", shared.member))[0] == 404
    assert (await call(shared, "GET", f"/stream/movie/{ELSEWHERE}", shared.member))[0] == 404
    assert ELSEWHERE in await listed(shared, "/items", shared.member)
    assert ELSEWHERE not in await listed(shared, "/items", shared.stranger)


async def test_the_grant_of_one_library_can_end_while_that_of_the_other_stays(shared: World) -> None:
    await grant(shared, ATTIC, "member")
    await call(shared, "POST", f"/playback/movie/{MOVIE}", shared.member, REPORT)
    path = f"/libraries/{LIBRARY}/access/{shared.user_ids['member']}"
    assert (await call(shared, "DELETE", path, shared.admin))[0] == 204
    film = await get(shared, f"/items/{MOVIE}")
    assert (film["libraries"], [each["id"] for each in film["files"]]) == (["Attic"], [FILE_IN_ATTIC])
    assert (await get(shared, f"/playback/movie/{MOVIE}"))["position_seconds"] == 1200
    path = f"/libraries/{ATTIC}/access/{shared.user_ids['member']}"
    assert (await call(shared, "DELETE", path, shared.admin))[0] == 204
    assert (await call(shared, "GET", f"/playback/movie/{MOVIE}", shared.member))[0] == 403
    assert (await call(shared, "POST", f"/playback/movie/{MOVIE}", shared.member, REPORT))[0] == 403


# Libraries that were removed


async def test_titles_of_a_removed_library_stay_with_those_who_had_a_grant_and_its_files_go(shared: World) -> None:
    await grant(shared, ATTIC, "stranger")
    await call(shared, "POST", f"/playback/movie/{ELSEWHERE}", shared.stranger, REPORT)
    assert (await call(shared, "DELETE", f"/libraries/{ATTIC}?titles=keep", shared.admin))[0] in {200, 204}
    film = await get(shared, f"/items/{ELSEWHERE}", shared.stranger)
    assert (film["title"], film["libraries"], film["available"], film["files"]) == ("Copper Sky", [], False, [])
    assert film["state"]["position_seconds"] == 1200
    assert (await get(shared, f"/playback/movie/{ELSEWHERE}", shared.stranger))["position_seconds"] == 1200
    # The other title is still visible by its grant, as one that the attic held, though its files are elsewhere.
    film = await get(shared, f"/items/{MOVIE}", shared.stranger)
    assert (film["title"], film["libraries"], film["available"], film["files"]) == ("Harbour Lights", [], False, [])
    assert await listed(shared, "/items", shared.stranger) == [ELSEWHERE]  # only that one has state
    for headers in (shared.stranger, shared.admin):
        assert (await call(shared, "GET", f"/stream/file/{FILE_IN_ATTIC}", headers))[0] == 404
    assert (await call(shared, "GET", f"/libraries/{ATTIC}/items", shared.admin))[0] == 404
    assert "Attic" not in {each["name"] for each in (await get(shared, "/libraries", shared.admin))["items"]}
    film = await get(shared, f"/items/{MOVIE}")
    assert (film["libraries"], [each["id"] for each in film["files"]]) == (["Films"], [FILE])


# Titles that no library has


async def test_a_private_item_is_found_by_its_owner_and_admins_alone(stocked: World) -> None:
    private = {"id": PRIVATE, "kind": "movie", "title": "Summer", "year": 2019, "owner_id": stocked.user_ids["member"]}
    await write(stocked, lambda connection: insert_items(connection, [private], None))
    assert (await call(stocked, "POST", f"/playback/movie/{PRIVATE}", stocked.member, REPORT))[0] == 200
    assert (await get(stocked, f"/items/{PRIVATE}"))["state"]["position_seconds"] == 1200
    assert (await get(stocked, f"/items/{PRIVATE}", stocked.admin))["title"] == "Summer"
    unknown = "99999999-9999-4999-8999-999999999999"
    for method, path, body in (
        ("GET", "/items/{}", None),
        ("GET", "/playback/movie/{}", None),
        ("POST", "/playback/movie/{}", REPORT),
        ("GET", "/playback/movie/{}/plays", None),
        ("PUT", "/playback/movie/{}/watched", {}),
        ("PUT", "/continue-watching/{}/hidden", None),
        ("GET", "/items/{}/artwork", None),
        ("GET", "/stream/movie/{}", None),
    ):
        # Exactly as if it did not exist: nobody learns that somebody has such a title.
        found = await call(stocked, method, path.format(PRIVATE), stocked.stranger, body)
        assert found[0] == 404, path
        assert found == await call(stocked, method, path.format(unknown), stocked.stranger, body), path
    reports = [REPORT | {"kind": "movie", "id": PRIVATE}]
    _, answer = await call(stocked, "POST", "/playback/batch", stocked.stranger, {"reports": reports})
    assert [each["status"] for each in answer["results"]] == [404]
    assert PRIVATE in await listed(stocked, "/items", stocked.member)
    assert PRIVATE not in await listed(stocked, "/items", stocked.stranger)


async def test_an_orphan_is_seen_by_those_who_have_state_on_it(stocked: World) -> None:
    await call(stocked, "POST", f"/playback/movie/{MOVIE}", stocked.member, REPORT)
    await call(stocked, "POST", f"/playback/episode/{EPISODE}", stocked.member, REPORT)
    await grant(stocked, LIBRARY, "stranger")
    # Nothing holds or held them any more: not even a grant helps.
    await write(stocked, lambda connection: connection.execute(delete(schema.holding)) and None)
    for kind, item_id in (("movie", MOVIE), ("episode", EPISODE)):
        found = await get(stocked, f"/items/{item_id}")
        assert (found["library"], found["libraries"], found["available"]) == (None, [], False)
        assert found["state"]["position_seconds"] == 1200
        assert (await get(stocked, f"/playback/{kind}/{item_id}"))["position_seconds"] == 1200
        assert (await call(stocked, "POST", f"/playback/{kind}/{item_id}", stocked.member, REPORT))[0] == 200
        assert (await call(stocked, "GET", f"/items/{item_id}", stocked.stranger))[0] == 403
        assert (await call(stocked, "POST", f"/playback/{kind}/{item_id}", stocked.stranger, REPORT))[0] == 403
    assert (await get(stocked, f"/items/{SHOW}"))["title"] == "Tidal Station"  # by the state of its episode
    assert set(await listed(stocked, "/items", stocked.member)) == {MOVIE, SHOW, EPISODE}
    assert await listed(stocked, "/items", stocked.stranger) == []
    assert set(await listed(stocked, "/items", stocked.admin)) == set()
    assert (await get(stocked, f"/items/{MOVIE}", stocked.admin))["title"] == "Harbour Lights"
    assert (await call(stocked, "DELETE", f"/playback/movie/{MOVIE}", stocked.member))[0] in {200, 204}
    assert (await call(stocked, "GET", f"/items/{MOVIE}", stocked.member))[0] == 403
