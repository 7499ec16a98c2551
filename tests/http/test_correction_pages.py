"""Corrections as a browser without scripts makes them: wrong titles, doubles, files, libraries, and the log."""

import re
from html import unescape
from pathlib import Path

import pytest

from clips import write_clip
from pages import enter, submit
from playhead.domain.model import LibraryId, LibraryKind
from world import NOWHERE, World

pytestmark = pytest.mark.anyio


def text_of(html: str) -> str:
    """The text of a page, in one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def faulty(html: str) -> set[str]:
    return set(re.findall(r'name="(\w+)"[^>]*aria-invalid', html))


async def libraries(world: World) -> list[str]:
    found = (await world.client.get("/api/v1/libraries", headers=world.admin)).json()["items"]
    return [each["id"] for each in found]


@pytest.fixture
async def films(world: World, tmp_path: Path) -> World:
    """The world with a library of two scanned films, one of them named badly, and a skipped file."""
    folder = tmp_path / "films"
    write_clip(folder / "Copper Sky (1974).mp4")
    write_clip(folder / "xvid-cs.mp4", seconds=2)
    (folder / "Broken (2020).mp4").write_bytes(b"no film")
    (folder / "Winter (2001).iso").write_bytes(b"a disc")
    installation = world.playhead.installation
    library = await installation.catalogue.add_library("Films", LibraryKind.MOVIES, folder)
    await installation.scanner.scan(library.id)
    await enter(world, "admin")
    return world


async def items(world: World) -> dict[str, str]:
    found = (await world.client.get("/api/v1/items", headers=world.admin)).json()["items"]
    return {each["title"]: each["id"] for each in found}


async def page_of(world: World, path: str, status: int = 200) -> str:
    answer = await world.client.get(path)
    assert answer.status_code == status, answer.text
    return answer.text


async def file_of(world: World, title: str) -> str:
    item_id = (await items(world))[title]
    files = (await world.client.get(f"/api/v1/items/{item_id}", headers=world.admin)).json()["files"]
    return str(files[0]["id"])


async def rescanned(world: World) -> None:
    await world.playhead.installation.correcting.rescanned()
    await world.playhead.installation.scanner.wait()


async def test_only_admins_are_offered_corrections(films: World) -> None:
    path = f"/movies/{(await items(films))['Copper Sky']}"
    assert "Wrong title?" in await page_of(films, path)
    (library,) = await libraries(films)
    grant = f"/api/v1/libraries/{library}/access/{films.user_ids['member']}"
    assert (await films.client.put(grant, headers=films.admin)).status_code == 204
    await enter(films)
    assert "Wrong title?" not in await page_of(films, path)


async def test_a_wrong_title_is_corrected_and_left_to_files_again(films: World) -> None:
    item_id = (await items(films))["Copper Sky"]
    here = f"/admin/items/{item_id}"
    fields = {"title": "Kupferhimmel", "year": "1975", "tmdb": "7", "imdb": "", "tvdb": ""}
    done = await submit(films.client, here, do="change", **fields)
    assert (done.status_code, done.headers["location"]) == (303, f"{here}?done=changed")
    page = text_of(await page_of(films, done.headers["location"]))
    assert "Kupferhimmel 1975 The title has been changed." in page
    assert "Set by an admin: ids, title and year." in page
    log = text_of(await page_of(films, "/admin/corrections"))
    assert "Changed: Copper Sky (1974) → Kupferhimmel (1975)" in log
    await submit(films.client, here, do="change", title="", year="", tmdb="7")
    assert "Copper Sky 1974" in text_of(await page_of(films, here))
    refused = await submit(films.client, here, do="change", title="Copper", year="x")
    assert (refused.status_code, faulty(refused.text)) == (422, {"year"})


async def test_two_entries_are_found_and_merged(films: World) -> None:
    found = await items(films)
    here = f"/admin/items/{found['Copper Sky']}"
    page = await page_of(films, f"{here}?query=xvid")
    assert re.findall(r'name="from" value="([^"]+)"', page) == [found["xvid-cs"]]
    assert "Nothing else has this title." in await page_of(films, f"{here}?query=nowhere")
    done = await submit(films.client, here, do="merge", **{"from": found["xvid-cs"]})
    assert done.headers["location"] == f"{here}?done=merged"
    assert "2 files" in await page_of(films, here)
    again = await submit(films.client, here, do="merge", **{"from": found["xvid-cs"]})
    assert (again.status_code, "They are one already." in again.text) == (422, False)
    assert "they are one already" in again.text
    for wrong in ("x", NOWHERE):
        assert (await submit(films.client, here, do="merge", **{"from": wrong})).status_code == 404


async def test_ticked_files_become_another_title(films: World) -> None:
    found = await items(films)
    here = f"/admin/items/{found['Copper Sky']}"
    file = await file_of(films, "xvid-cs")
    await submit(films.client, here, do="merge", **{"from": found["xvid-cs"]})
    none = await submit(films.client, here, do="split", new_title="Winter", new_year="")
    assert (none.status_code, "Must name at least one file." in none.text) == (422, True)
    ticked = {f"file-{file}": "on"}
    done = await submit(films.client, here, do="split", new_title="Winter", new_year="2001", **ticked)
    page = text_of(await page_of(films, done.headers["location"]))
    assert "Winter 2001 The files are a title of their own now." in page
    wrong = await submit(films.client, here, do="split", new_title="Winter", new_year="2001", **ticked)
    assert (wrong.status_code, " is not a file of this item." in wrong.text) == (422, True)


async def test_a_title_is_taken_out_of_a_library_and_that_undone_from_the_log(films: World) -> None:
    found = await items(films)
    here = f"/admin/items/{found['Copper Sky']}"
    (library,) = await libraries(films)
    done = await submit(films.client, here, do="end", library=library)
    assert done.headers["location"] == f"{here}?done=ended"
    assert set(await items(films)) == {"xvid-cs"}
    log = await page_of(films, "/admin/corrections")
    assert "Taken out of a library: Copper Sky (1974) in Films" in text_of(log)
    (undo,) = re.findall(r'action="(/admin/corrections/[^"]+/undo)"', log)
    undone = await submit(films.client, undo)
    assert undone.headers["location"] == "/admin/corrections?done=undone"
    assert set(await items(films)) == {"xvid-cs", "Copper Sky"}
    assert "undo" not in re.findall(r'action="([^"]+)"', await page_of(films, "/admin/corrections"))
    refused = await submit(films.client, undo)
    assert (refused.status_code, "It is undone already." in refused.text) == (409, True)
    assert (await submit(films.client, f"/admin/corrections/{NOWHERE}/undo")).status_code == 404
    assert (await submit(films.client, here, do="end", library="x")).status_code == 404
    assert (await submit(films.client, here, do="x")).status_code == 404


async def test_a_file_is_identified_ignored_and_released(films: World) -> None:
    here = f"/admin/files/{await file_of(films, 'xvid-cs')}"
    page = await page_of(films, here)
    assert "Its name is read by the rule “Title”." in page
    assert 'value="xvid-cs"' in page
    fields = {"title": "Copper Moon", "year": "1978", "tmdb": "8", "edition": "Uncut"}
    done = await submit(films.client, here, do="identify", **fields)
    assert done.headers["location"] == f"{here}?done=identified"
    await rescanned(films)
    assert set(await items(films)) == {"Copper Sky", "Copper Moon"}
    page = await page_of(films, here)
    assert "An admin has said what it is." in page
    assert all(f'value="{value}"' in page for value in fields.values())
    await submit(films.client, here, do="ignore")
    await rescanned(films)
    assert set(await items(films)) == {"Copper Sky"}
    assert "Skipped: It was marked as no film." in text_of(await page_of(films, here))
    done = await submit(films.client, here, do="release")
    assert done.headers["location"] == f"{here}?done=released"
    await rescanned(films)
    assert len(await items(films)) == 2


async def test_the_page_of_a_library_counts_new_titles_and_files_that_have_another_one(
    films: World, tmp_path: Path
) -> None:
    (library,) = await libraries(films)
    here = f"/admin/libraries/{library}"
    assert "Scanned today at 22:00: 2 movies in 2 files added, 2 files skipped" in text_of(await page_of(films, here))
    write_clip(tmp_path / "films" / "Copper Sky (1974) - 2.mp4", seconds=3)
    write_clip(tmp_path / "films" / "Winter (2001).mp4", seconds=4)
    write_clip(tmp_path / "films" / "Winter (2001) - 2.mp4", seconds=5)
    await films.playhead.installation.scanner.scan(LibraryId(library))
    assert "1 movie in 3 files added" in text_of(await page_of(films, here))
    item_id = (await items(films))["Copper Sky"]
    files = (await films.client.get(f"/api/v1/items/{item_id}", headers=films.admin)).json()["files"]
    (second,) = [each["id"] for each in files if each["duration_seconds"] == 3]
    await submit(films.client, f"/admin/files/{second}", do="identify", title="Copper Moon", year="1978")
    await rescanned(films)
    assert "1 file changed, 1 file has another title now" in text_of(await page_of(films, here))


@pytest.mark.parametrize(
    ("fields", "member"),
    [
        ({"title": ""}, "title"),
        ({"title": "x", "year": "-1"}, "year"),
        ({"title": "x", "season_number": "1"}, "episode_number"),
        ({"title": "x", "episode_number": "3", "episode_end": "3"}, "episode_end"),
        ({"title": "x", "air_date": "2021-02-30"}, "air_date"),
        ({"title": "x", "part": "0"}, "part"),
    ],
)
async def test_a_faulty_identity_is_refused_next_to_its_field(
    films: World, fields: dict[str, str], member: str
) -> None:
    here = f"/admin/files/{await file_of(films, 'xvid-cs')}"
    refused = await submit(films.client, here, do="identify", **fields)
    assert (refused.status_code, faulty(refused.text)) == (422, {member})


async def test_a_file_becomes_an_episode(films: World) -> None:
    here = f"/admin/files/{await file_of(films, 'xvid-cs')}"
    await submit(films.client, here, do="identify", title="Tidal Station", episode_number="2", episode_end="3")
    await rescanned(films)
    assert "Tidal Station" in await items(films)
    page = await page_of(films, here)
    assert re.search(r'name="season_number"[^>]*value="1"', page)
    await submit(films.client, here, do="identify", title="Tidal Station", air_date="2021-05-01")
    await rescanned(films)
    assert 'value="2021-05-01"' in await page_of(films, here)


async def test_skipped_and_guessed_files_are_listed_with_the_reason(films: World) -> None:
    (library,) = await libraries(films)
    here = f"/admin/libraries/{library}"
    assert f"{here}/files" in await page_of(films, here)
    page = text_of(await page_of(films, f"{here}/files"))
    assert re.search(r"Skipped Broken \(2020\)\.mp4 [A-Z][^.]+\. This is…", page), page
    assert "xvid-cs.mp4 Read as “xvid-cs” by the rule “Title”" in page
    assert "Left out" in page
    assert "Winter (2001).iso Images of discs are not supported. Guessed" in page
    assert page.count("Broken (2020).mp4") == 1
    assert "Copper Sky (1974).mp4" not in page
    await page_of(films, f"/admin/libraries/{NOWHERE}/files", 404)


async def test_a_file_whose_ids_mean_two_titles_is_listed_with_both(films: World, tmp_path: Path) -> None:
    (library,) = await libraries(films)
    folder, scanner = tmp_path / "films", films.playhead.installation.scanner
    write_clip(folder / "Tin Roof (1990) {tmdb-7}.mp4", seconds=3)
    write_clip(folder / "Salt Road (1981) {imdb-tt0000008}.mp4", seconds=4)
    await scanner.scan(LibraryId(library))
    write_clip(folder / "Harbour (2001) {tmdb-7} {imdb-tt0000008}.mp4", seconds=5)
    await scanner.scan(LibraryId(library))
    page = text_of(await page_of(films, f"/admin/libraries/{library}/files"))
    titles = r"(Tin Roof, Salt Road|Salt Road, Tin Roof)"
    assert re.search(rf"Harbour \(2001\).*\.mp4 Its ids mean several titles: {titles}", page), page


async def import_nearly_the_same(films: World) -> None:
    lines = '{"library": "Imported", "kind": "movie", "title": "Copper Sky", "year": 1975}'
    await films.client.post("/api/v1/libraries", json={"name": "Imported", "kind": "movies"}, headers=films.admin)
    headers = films.admin | {"content-type": "application/x-ndjson"}
    await films.client.post("/api/v1/catalogue/import", content=lines, headers=headers)


async def test_what_is_different_is_not_listed_again_until_that_is_undone(films: World) -> None:
    await import_nearly_the_same(films)
    page = await page_of(films, "/admin/corrections")
    ((one, other),) = re.findall(
        r'action="(/admin/items/[^"]+)">\s*<input type="hidden" name="other" value="([^"]+)"', page
    )
    assert (await submit(films.client, one, do="apart", other="x")).status_code == 404
    done = await submit(films.client, one, do="apart", other=other)
    page = await page_of(films, done.headers["location"])
    assert "They are kept apart, and not listed again." in page
    assert "Possibly the same" not in page
    assert re.search(r"Told apart: Copper Sky \(197\d\) ≠ Copper Sky \(197\d\)", text_of(page))
    (undo,) = re.findall(r'action="(/admin/corrections/[^"]+/undo)"', page)
    await submit(films.client, undo)
    assert "Possibly the same" in await page_of(films, "/admin/corrections")


async def test_what_may_be_the_same_is_listed_and_merged(films: World) -> None:
    await import_nearly_the_same(films)
    page = await page_of(films, "/admin/corrections")
    assert "1 pair of entries may be one title." in page
    assert "The years differ, or one is unknown." in page
    ((stays, goes),) = re.findall(
        r'action="(/admin/items/[^"]+)">\s*<input type="hidden" name="from" value="([^"]+)"', page
    )
    done = await submit(films.client, stays, do="merge", back="corrections", **{"from": goes})
    page = await page_of(films, done.headers["location"])
    assert "They are one title now." in page
    assert "Possibly the same" not in page


async def test_a_library_is_moved_and_a_faulty_folder_refused_next_to_its_field(films: World, tmp_path: Path) -> None:
    (library,) = await libraries(films)
    here = f"/admin/libraries/{library}"
    refused = await submit(films.client, f"{here}/move", path="/nowhere")
    assert (refused.status_code, faulty(refused.text)) == (422, {"path"})
    (tmp_path / "films").rename(tmp_path / "disk2")
    done = await submit(films.client, f"{here}/move", path=str(tmp_path / "disk2"))
    assert done.headers["location"] == f"{here}?done=moved"
    await films.playhead.installation.scanner.wait()
    page = text_of(await page_of(films, here))
    assert str(tmp_path / "disk2") in page
    assert len(await items(films)) == 2


async def test_a_library_is_removed_after_asking(films: World) -> None:
    (library,) = await libraries(films)
    here = f"/admin/libraries/{library}"
    assert f"{here}/remove" in await page_of(films, here)
    assert "Remove Films?" in await page_of(films, f"{here}/remove")
    done = await submit(films.client, f"{here}/remove", delete="on")
    assert done.headers["location"] == "/admin/libraries?done=removed"
    assert "The library has been removed." in await page_of(films, done.headers["location"])
    assert await libraries(films) == []
    assert (await submit(films.client, f"{here}/remove")).status_code == 404
