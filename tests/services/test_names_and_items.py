"""Which files become one item by their names, and what happens to items when the rules for names change."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import update

from fakes import Ids
from playhead.domain.catalogue import ParsedName
from playhead.domain.model import ItemId, ItemKind, LibraryKind
from playhead.services.scanning import ScanReport
from playhead.storage import schema
from playhead.storage.engine.database import Connection, Database
from scanned import ADMIN, ScannedLibrary, remember, remembered

pytestmark = pytest.mark.anyio


# When the rules for names change


async def read_again(library: ScannedLibrary) -> ScanReport:
    """Scan as the first start of a version with other rules does: every name is read again."""

    def forget(connection: Connection) -> None:
        connection.execute(update(schema.media_file).values(evidence="of other rules"))

    await library.database.write(forget)
    return await library.scan()


def read_as(names: dict[str, ParsedName]) -> Callable[..., ParsedName]:
    """Rules that read the paths so, as a version before may have done."""
    return lambda path, _: names[str(path)]


async def test_an_item_follows_its_file_when_other_rules_read_another_title(movies: ScannedLibrary) -> None:
    movies.film("www.site.world - Fenland (2013).mkv")
    movies.film("Heat (1995).mkv")
    site, heat = ParsedName(ItemKind.MOVIE, "www site world"), ParsedName(ItemKind.MOVIE, "Heat", 1995)
    rules = read_as({"www.site.world - Fenland (2013).mkv": site, "Heat (1995).mkv": heat})
    await movies.new_scanner(rules).scan(movies.id)
    before = {view.item.title: view.item.id for view in await movies.items()}
    await movies.database.write(lambda connection: remember(connection, before["www site world"]))
    report = await read_again(movies)
    after = {view.item.title: view.item.id for view in await movies.items()}
    assert after == {"Fenland": before["www site world"], "Heat": before["Heat"]}
    assert (report.items_removed, report.added) == ([], [])
    assert await movies.database.read(remembered) == [after["Fenland"]]


async def test_a_show_and_its_episodes_keep_their_ids_when_other_rules_read_another_show(
    shows: ScannedLibrary,
) -> None:
    paths = ["Naruto/Filler/Naruto - 101.mkv", "Naruto/Filler/Naruto - 102.mkv"]
    for path in paths:
        shows.film(path, 24)
    await shows.new_scanner(
        lambda path, _: ParsedName(ItemKind.EPISODE, "Filler", season_number=1, episode_number=int(path.stem[-3:]))
    ).scan(shows.id)
    episodes = await shows.episodes()
    (show,) = await shows.items(ItemKind.SHOW)
    await shows.database.write(lambda connection: remember(connection, episodes[1, 102]))
    await read_again(shows)
    (named,) = await shows.items(ItemKind.SHOW)
    assert (named.item.id, named.item.title) == (show.item.id, "Naruto")
    assert await shows.episodes() == episodes
    assert await shows.database.read(remembered) == [episodes[1, 102]]


async def test_shows_that_other_rules_took_for_one_are_told_apart_and_the_first_keeps_the_items(
    shows: ScannedLibrary,
) -> None:
    shows.film("Ahti/1080p/S01E01.mkv", 24)
    shows.film("Ilmari/1080p/S01E01.mkv", 25)
    merged_name = ParsedName(ItemKind.EPISODE, "1080p", season_number=1, episode_number=1)
    rules = read_as(dict.fromkeys(["Ahti/1080p/S01E01.mkv", "Ilmari/1080p/S01E01.mkv"], merged_name))
    await shows.new_scanner(rules).scan(shows.id)
    (merged,) = (await shows.episodes()).values()
    await shows.database.write(lambda connection: remember(connection, merged))
    await read_again(shows)
    titles = {view.item.id: view.item.title for view in await shows.items(ItemKind.SHOW)}
    owners = {view.item.id: titles[view.item.show_id or ItemId("")] for view in await shows.items(ItemKind.EPISODE)}
    assert sorted(owners.values()) == ["Ahti", "Ilmari"]
    assert owners[merged] == "Ahti"
    assert await shows.database.read(remembered) == [merged]


# What names make of files: (kind, files, items). An item is written as its title, numbers and count of files.

ONE_ITEM_OR_SEVERAL = [
    ("shows", ["Mayo/[G] Mayo - 12 [1080p].mkv", "Mayo/[G] Mayo - 12.5 [1080p].mkv"], ["Mayo S01E12 1"]),
    (
        "shows",
        ["Rigel/Season 7/Rigel-S07E12-31st_Century.mkv", "Rigel/Season 7/Rigel S07E01-2nd Chance.mkv"],
        ["Rigel S07E01 1", "Rigel S07E12 1"],
    ),
    ("shows", [f"Piece/Piece - {n}.mkv" for n in (479, 480, 720)], [f"Piece S01E{n} 1" for n in (479, 480, 720)]),
    (
        "shows",
        ["Doc/Specials/Doc 0x1901.mkv", "Loony/Loony 1940x01.mkv", "Mad M/Mad M - 5x9.mkv"],
        ["Doc S00E1901 1", "Loony S1940E01 1", "Mad M S05E09 1"],
    ),
    (
        "movies",
        [
            "Fenland.2013.1080p.mkv",
            "Fenland.EXTENDED.2013.German.DL.1080p.mkv",
            "Fenland.3D.2013.COMPLETE.mkv",
            "Fenland Director's Cut (2013).mkv",
            "www.place.world - Fenland (2013) 720p.mkv",
        ],
        ["Fenland 5"],
    ),
    (
        "shows",
        ["Quarry (2010)/Season 1/Quarry S01E01.mkv", "Quarry (2010)/Between the Seasons/Quarry - S00E01.mkv"],
        ["Quarry S00E01 1", "Quarry S01E01 1"],
    ),
    ("shows", ["Heron/Filler/Heron - 101.mkv", "Otter/Filler/Otter - 101.mkv"], ["Heron S01E101 1", "Otter S01E101 1"]),
    ("shows", ["Heron/1080p/S01E01.mkv", "Otter/1080p/S01E01.mkv"], ["Heron S01E01 1", "Otter S01E01 1"]),
    ("shows", ["Heron/Kausi 1/01.mkv", "Otter/Kausi 1/01.mkv"], ["Heron S01E01 1", "Otter S01E01 1"]),
    (
        "shows",
        ["Shore/Season 1/S01E01.mkv", "Shore (UK)/Season 1/S01E01.mkv"],
        ["Shore (UK) S01E01 1", "Shore S01E01 1"],
    ),
    ("movies", ["Granite (2014)/Granite.2014.mkv", "Granite (2014)/Granite.Extras-GRP/On.Set-GRP.mkv"], ["Granite 1"]),
    (
        "shows",
        ["221208 Otter Time ep34[1080p60].mp4", "221215 Otter Time ep35.ts"],
        ["Otter Time S01E34 1", "Otter Time S01E35 1"],
    ),
    (
        "shows",
        ["[G] Gran Season 2 - 10 [1080p].mkv", "[G] Gran S2 - 10 [720p].mkv", "[G] Gran - 03 [1080p].mkv"],
        ["Gran S01E03 1", "Gran S02E10 2"],
    ),
    (
        "shows",
        [f"Fosca - Temporada 4 [HDTV][Cap.40{n}][AC3].mkv" for n in (8, 9)],
        ["Fosca S04E08 1", "Fosca S04E09 1"],
    ),
    (
        "shows",
        ["[G][国漫][雪山][2019][08][GB].mp4", "[G][国漫][海岸][2019][08][GB].mp4"],
        ["海岸 S01E08 1", "雪山 S01E08 1"],
    ),
    ("shows", ["Duo/Duo - 1x01 - 1x02.mkv"], ["Duo S01E01 1", "Duo S01E02 1"]),
    ("movies", ["+1 (2013).mkv", "1 (2013).mkv", "C++ (2013).mkv", "C# (2013).mkv"], ["+1 1", "1 1", "C# 1", "C++ 1"]),
    (
        "movies",
        ["Old Trilogy/Old Days (1950).mkv", "Old Trilogy/Old Nights (1952).mkv"],
        ["Old Days 1", "Old Nights 1"],
    ),
]


@pytest.mark.parametrize(
    ("kind", "files", "expected"), ONE_ITEM_OR_SEVERAL, ids=[row[1][0] for row in ONE_ITEM_OR_SEVERAL]
)
async def test_names_make_one_item_or_several(
    database: Database, tmp_path: Path, ids: Ids, kind: str, files: list[str], expected: list[str]
) -> None:
    library = ScannedLibrary(database, tmp_path / kind, LibraryKind(kind), ids)
    await library.open()
    for file in files:
        library.film(file)
    await library.scan()
    shows = {view.item.id: view.item.title for view in await library.items(ItemKind.SHOW)}
    found: list[str] = []
    for view in await library.items():
        item = view.item
        if item.kind is not ItemKind.SHOW:
            count = len((await library.catalogue.get_item(ADMIN, item.id)).files)
            numbers = f"S{item.season_number or 0:02}E{item.episode_number or 0:02} " if item.show_id else ""
            found.append(f"{shows.get(item.show_id or ItemId(''), item.title)} {numbers}{count}")
    assert sorted(found) == expected


PARTS = [
    ("movies", [f"Fell (1999)/Fell (1999) - part{n}.mkv" for n in range(1, 12)], 110),
    ("movies", ["Fell (1999)/Disk 1/title1.mkv", "Fell (1999)/Disk 2/title1.mkv"], 20),
    ("movies", ["Fell (1999)/Fell (1999) Disc 1/x.mkv", "Fell (1999)/Fell (1999) Disc 2/x.mkv"], 20),
    ("shows", ["Daily/Daily.2015.09.07.Part1.720p.mkv", "Daily/Daily.2015.09.07.Part2.720p.mkv"], 20),
    ("shows", ["Otter/Otter S01E05a.mkv", "Otter/Otter S01E05b.mkv"], 20),
    ("shows", ["Otter/Otter S01E05 cd1.mkv", "Otter/Otter S01E05 cd2.mkv"], 20),
    ("shows", ["Otter.S01E05.DVDRip-GRP/CD1/a.avi", "Otter.S01E05.DVDRip-GRP/CD2/a.avi"], 20),
]


@pytest.mark.parametrize(("kind", "files", "minutes"), PARTS, ids=[row[1][0] for row in PARTS])
async def test_an_item_in_parts_is_as_long_as_all_of_them(
    database: Database, tmp_path: Path, ids: Ids, kind: str, files: list[str], minutes: int
) -> None:
    library = ScannedLibrary(database, tmp_path / kind, LibraryKind(kind), ids)
    await library.open()
    for file in files:
        library.film(file, 10)
    await library.scan()
    lengths = [view.item.runtime_ms for view in await library.items() if view.item.kind is not ItemKind.SHOW]
    assert lengths == [minutes * 60_000]


async def test_versions_in_three_dimensions_are_told_apart_by_their_labels(movies: ScannedLibrary) -> None:
    for ending in (" - 1080p", ".3D.HSBS", ".3D.HTAB"):
        movies.film(f"Coral (2015)/Coral (2015){ending}.mkv")
    await movies.scan()
    labels = {file.label for file in (await movies.only()).files}
    assert labels == {"1080p H.264", "1080p H.264 3D HSBS", "1080p H.264 3D HTAB"}
