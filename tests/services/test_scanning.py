"""Scans of real folders into a real database. The content of a film is written into its file as text: `minutes=90`."""

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import pytest
from sqlalchemy import func, select

from playhead.domain.catalogue import EpisodePlace, MediaInfo, ParsedName
from playhead.domain.events import Change
from playhead.domain.model import ItemKind, LibraryId, LibraryKind, Milliseconds
from playhead.domain.playback import Policy
from playhead.errors import Code, PlayheadError
from playhead.media.decoders import Decoders
from playhead.media.jobs import BUDGETS, Budget, ProbeFilm
from playhead.media.names import filenames
from playhead.services.scanning import (
    FILES_AT_ONCE,
    LEASE_MS,
    RunningScan,
    Scanner,
    ScanProgress,
    ScanReport,
    ScanTools,
)
from playhead.services.splitting import Splitting
from playhead.storage import scanning, schema
from playhead.storage.engine.database import Connection, Database
from scanned import ADMIN, ScannedLibrary, remember, remember_at, remembered

pytestmark = pytest.mark.anyio

# Every file that this process opens while `opened` is a list. Audit hooks cannot be removed, so there is only one.
opened: list[str] | None = None


def note_opening(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and opened is not None:
        opened.append(os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes) else str(arguments[0]))


sys.addaudithook(note_opening)


@contextmanager
def openings() -> Iterator[list[str]]:
    global opened  # noqa: PLW0603 - the hook is global, too
    opened = []
    try:
        yield opened
    finally:
        opened = None


async def refusal(awaitable: object) -> PlayheadError:
    with pytest.raises(PlayheadError) as caught:
        await awaitable
    return caught.value


# From a folder to items


async def test_a_first_scan_adds_films_and_reports_them(movies: ScannedLibrary) -> None:
    movies.film("The Matrix (1999) {tmdb-603}/The Matrix (1999) 1080p.mkv", 136)
    movies.film("Heat.1995.1080p.BluRay.x264-GRP.mkv", 170)
    report = await movies.scan()
    assert report.added == [
        "Heat.1995.1080p.BluRay.x264-GRP.mkv",
        "The Matrix (1999) {tmdb-603}/The Matrix (1999) 1080p.mkv",
    ]
    assert (report.changed, report.moved, report.removed, report.skipped) == ([], [], [], [])
    heat, matrix = await movies.items()
    assert (heat.item.title, heat.item.year, heat.item.runtime_ms) == ("Heat", 1995, 170 * 60_000)
    assert (matrix.item.title, matrix.item.external_ids) == ("The Matrix", {"tmdb": "603"})
    (file,) = (await movies.catalogue.get_item(ADMIN, matrix.item.id)).files
    assert (file.label, file.duration_ms, file.size > 0) == ("1080p H.264", 136 * 60_000, True)


async def test_versions_and_parts_are_files_of_one_item(movies: ScannedLibrary) -> None:
    movies.film("Heat (1995)/Heat (1995) - 2160p.mkv", 171, height=2160)
    movies.film("Heat (1995)/Heat (1995) - 1080p.mkv", 170)
    movies.film("Ben-Hur (1959)/Ben-Hur (1959) cd1.avi", 100)
    movies.film("Ben-Hur (1959)/Ben-Hur (1959) cd2.avi", 112)
    await movies.scan()
    ben_hur, heat = await movies.items()
    assert heat.item.runtime_ms == 170 * 60_000
    assert ben_hur.item.runtime_ms == 212 * 60_000
    files = (await movies.catalogue.get_item(ADMIN, heat.item.id)).files
    assert {file.label for file in files} == {"2160p H.264", "1080p H.264"}
    assert [file.part for file in (await movies.catalogue.get_item(ADMIN, ben_hur.item.id)).files] == [1, 2]


async def test_shows_seasons_specials_and_files_of_several_episodes(shows: ScannedLibrary) -> None:
    shows.film("Dark (2017)/Season 1/Dark S01E01.mkv", 50)
    shows.film("Dark (2017)/Season 1/Dark S01E02-E03.mkv", 100)
    shows.film("Dark (2017)/Specials/Dark S00E01.mkv", 10)
    shows.film("Dark.2017.S02E01.1080p/Dark.2017.S02E01.1080p.mkv", 55)
    await shows.scan()
    (show,) = await shows.items(ItemKind.SHOW)
    page = await shows.catalogue.list_episodes(ADMIN, show.item.id)
    numbers = [(view.item.season_number, view.item.episode_number, view.item.episode_end) for view in page.items]
    assert numbers == [(0, 1, None), (1, 1, None), (1, 2, 3), (1, 3, None), (2, 1, None)]
    runtimes = [view.item.runtime_ms and view.item.runtime_ms // 60_000 for view in page.items]
    assert runtimes == [10, 50, 100, None, 55]


async def test_an_nfo_outweighs_names(movies: ScannedLibrary, shows: ScannedLibrary) -> None:
    movies.film("Hitze/hitze.mkv")
    movies.nfo(
        "Hitze/movie.nfo", "<movie><title>Heat</title><year>1995</year><uniqueid type='tmdb'>949</uniqueid></movie>"
    )
    await movies.scan()
    item = (await movies.only()).view.item
    assert (item.title, item.year, item.external_ids) == ("Heat", 1995, {"tmdb": "949"})
    shows.film("dark/Season 1/dark.S01E01.mkv")
    shows.nfo("dark/tvshow.nfo", "<tvshow><title>Dark!</title><uniqueid type='tvdb'>334824</uniqueid></tvshow>")
    shows.nfo(
        "dark/Season 1/dark.S01E01.nfo",
        "<episodedetails><title>Secrets</title><season>1</season><episode>1</episode>"
        "<uniqueid type='tvdb'>5975893</uniqueid></episodedetails>",
    )
    await shows.scan()
    show, episode = (await shows.only(ItemKind.SHOW)).view.item, (await shows.only(ItemKind.EPISODE)).view.item
    assert (show.title, show.external_ids) == ("Dark!", {"tvdb": "334824"})
    assert (episode.title, episode.external_ids) == ("Secrets", {"tvdb": "5975893"})


async def test_a_changed_nfo_is_read_without_opening_the_film(movies: ScannedLibrary) -> None:
    film = movies.film("Hitze/hitze.mkv")
    await movies.scan()
    before = (await movies.only()).view.item
    movies.nfo("Hitze/hitze.nfo", "<movie><title>Heat</title><year>1995</year></movie>")
    with openings() as files:
        report = await movies.scan()
    after = await movies.only()
    assert (after.view.item.id, after.view.item.title, after.files[0].label) == (before.id, "Heat", "1080p H.264")
    assert report.changed == ["Hitze/hitze.mkv"]
    assert str(film) not in files


async def test_an_nfo_with_two_episodes_makes_two_items_with_their_titles(shows: ScannedLibrary) -> None:
    shows.film("Harbour Watch/Season 1/Harbour Watch 1x01.mkv")
    body = "<episodedetails><title>{}</title><season>1</season><episode>{}</episode>{}</episodedetails>\n"
    nfo = body.format("Ebb", 1, "") + body.format("Flow", 2, "<uniqueid type='tvdb'>12</uniqueid>")
    shows.nfo("Harbour Watch/Season 1/Harbour Watch 1x01.nfo", nfo)
    await shows.scan()
    first, second = [view.item for view in await shows.items(ItemKind.EPISODE)]
    assert (first.title, first.episode_number, first.episode_end) == ("Ebb", 1, 2)
    assert (second.title, second.episode_number, second.external_ids) == ("Flow", 2, {"tvdb": "12"})


async def test_new_items_are_counted_by_kind_apart_from_their_files(
    movies: ScannedLibrary, shows: ScannedLibrary
) -> None:
    movies.film("Heat (1995)/Heat (1995) - 1080p.mkv")
    movies.film("Heat (1995)/Heat (1995) - 2160p.mkv")
    movies.film("Ronin (1998).mkv")
    report = await movies.scan()
    assert (report.items_added, len(report.added)) == ({ItemKind.MOVIE: 2}, 3)
    movies.film("Ronin (1998) - 2160p.mkv")
    report = await movies.scan()
    assert (report.items_added, len(report.added)) == ({}, 1)
    shows.film("Lynx/Lynx S01E01-E02.mkv")
    shows.film("Lynx/Lynx S01E03.mkv")
    report = await shows.scan()
    assert (report.items_added, len(report.added)) == ({ItemKind.SHOW: 1, ItemKind.EPISODE: 3}, 2)


async def test_a_file_that_crashes_or_hangs_its_decoder_costs_the_others_nothing(movies: ScannedLibrary) -> None:
    # Ten times what the others take on a busy machine: this is how long the test waits for the one that hangs.
    budgets = {**BUDGETS, ProbeFilm: Budget(wall_s=8, cpu_s=30)}
    decoders = Decoders(budgets=budgets, command=[sys.executable, "-P", "-m", "fragile_worker"])
    tools = ScanTools(filenames.parse, decoders.probe)
    scanner = Scanner(movies.database, clock=movies.clock, new_id=movies.ids, tools=tools)
    for name in ("crash (2001)", "hang (2002)", *(f"Film {number} ({1990 + number})" for number in range(9))):
        movies.film(f"{name}.mkv")
    report = await scanner.scan(movies.id)
    assert [(each.path, each.reason) for each in report.skipped] == [
        ("crash (2001).mkv", "the decoder crashed on it (SIGSEGV)"),
        ("hang (2002).mkv", "reading it takes too long"),
    ]
    assert await movies.titles() == [f"Film {number}" for number in range(9)]
    # One that crashed is left alone until it changes; one that was slow is tried again.
    movies.clock.advance(1000)
    (movies.root / "hang (2002).mkv").unlink()
    report = await scanner.scan(movies.id)
    assert [each.path for each in report.skipped] == ["crash (2001).mkv"]
    # A worker without work ends after a while; the next film gets another one.
    movies.film("Film 9 (1999).mkv")
    assert (await scanner.scan(movies.id)).added == ["Film 9 (1999).mkv"]
    assert decoders.pids != []
    decoders.close()


async def test_a_special_has_the_place_that_its_nfo_gives_it(shows: ScannedLibrary) -> None:
    for name in ("Season 1/Lynx S01E01", "Season 2/Lynx S02E01", "Specials/Lynx S00E01", "Specials/Lynx S00E02"):
        shows.film(f"Lynx/{name}.mkv")
    nfo = "<episodedetails><title>Between</title><season>0</season><episode>1</episode>{}</episodedetails>"
    shows.nfo("Lynx/Specials/Lynx S00E01.nfo", nfo.format("<airsafter_season>1</airsafter_season>"))
    await shows.scan()
    assert await places(shows) == {(0, 1): EpisodePlace(1), (0, 2): None, (1, 1): None, (2, 1): None}
    shows.nfo(
        "Lynx/Specials/Lynx S00E01.nfo",
        nfo.format("<displayseason>2</displayseason><displayepisode>1</displayepisode>"),
    )
    await shows.scan()
    assert (await places(shows))[0, 1] == EpisodePlace(2, 1)
    shows.nfo("Lynx/Specials/Lynx S00E01.nfo", nfo.format(""))
    await shows.scan()
    assert (await places(shows))[0, 1] is None


async def places(shows: ScannedLibrary) -> dict[tuple[int | None, int | None], EpisodePlace | None]:
    items = [view.item for view in await shows.items(ItemKind.EPISODE)]
    return {(item.season_number, item.episode_number): item.place for item in items}


async def test_a_folder_that_is_ignored_from_now_on_loses_nothing(movies: ScannedLibrary) -> None:
    movies.film("Heat (1995).mkv")
    movies.film("Private/Ronin (1998).mkv")
    await movies.scan()
    before = {view.item.title: view.item.id for view in await movies.items()}
    movies.nfo("Private/.ignore", "")
    report = await movies.scan()
    assert report.items_removed == ["Ronin"]
    assert report.skipped == [("Private", "it is left out by .ignore")]
    (movies.root / "Private/.ignore").unlink()
    assert (await movies.scan()).items_restored == ["Ronin"]
    assert {view.item.title: view.item.id for view in await movies.items()} == before


async def test_a_film_that_is_being_copied_is_tried_again_by_each_scan(movies: ScannedLibrary) -> None:
    path = movies.film("Heat (1995).mkv", text="truncated")
    for _ in range(2):
        report = await movies.scan()
        assert (report.added, report.skipped) == ([], [("Heat (1995).mkv", "it is truncated")])
    status = path.stat()
    movies.film("Heat (1995).mkv", text="complete.")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    assert (await movies.scan()).added == ["Heat (1995).mkv"]


async def test_a_film_that_is_replaced_stays_while_its_successor_is_being_copied(movies: ScannedLibrary) -> None:
    movies.film("Heat (1995).mkv")
    await movies.scan()
    movies.film("Heat (1995).mkv", text="a better one, truncated")
    report = await movies.scan()
    assert (report.items_removed, len(report.skipped)) == ([], 1)
    assert await movies.titles() == ["Heat"]


async def test_a_movie_nfo_beside_two_films_applies_to_neither(movies: ScannedLibrary) -> None:
    movies.film("Films/Heat (1995).mkv")
    movies.film("Films/Ronin (1998).mkv")
    movies.nfo("Films/movie.nfo", "<movie><title>Alien</title><uniqueid type='tmdb'>348</uniqueid></movie>")
    await movies.scan()
    assert await movies.titles() == ["Heat", "Ronin"]


# Later scans


@pytest.mark.long
async def test_none_of_ten_thousand_unchanged_files_is_opened(movies: ScannedLibrary) -> None:
    for number in range(10_000):
        folder = movies.root / f"{number // 500}"
        folder.mkdir(exist_ok=True)
        (folder / f"Film {number}.mkv").write_text(f"minutes=90 {number}")

    def parse(path: PurePosixPath, _: LibraryKind) -> ParsedName:
        return ParsedName(ItemKind.MOVIE, path.stem)

    tools = ScanTools(parse, lambda _: MediaInfo(Milliseconds(1), "matroska", ()))
    movies.scanner = Scanner(movies.database, clock=movies.clock, new_id=movies.ids, tools=tools)
    assert len((await movies.scan()).added) == 10_000
    (movies.root / "0/Film 0.mkv").write_text("minutes=91 another size")
    with openings() as files:
        report = await movies.scan()
    assert (report.unchanged, report.changed) == (9_999, ["0/Film 0.mkv"])
    assert {PurePosixPath(path).name for path in files if path.endswith(".mkv")} == {"Film 0.mkv"}


async def test_a_replaced_film_is_the_same_item(movies: ScannedLibrary) -> None:
    film = movies.film("Heat (1995).mkv", 171)
    await movies.scan()
    before = await movies.only()
    film.write_text("minutes=170 height=2160")
    report = await movies.scan()
    after = await movies.only()
    assert after.view.item.id == before.view.item.id
    assert after.files[0].id == before.files[0].id
    assert (after.view.item.runtime_ms, after.files[0].label) == (170 * 60_000, "2160p H.264")
    assert report.changed == ["Heat (1995).mkv"]


async def test_an_upgraded_film_with_another_name_is_the_same_item(movies: ScannedLibrary) -> None:
    movies.film("Heat.1995.720p.mkv", height=720).unlink()
    movies.film("Heat.1995.720p.mkv", 171, height=720)
    await movies.scan()
    before = (await movies.only()).view.item
    (movies.root / "Heat.1995.720p.mkv").unlink()
    movies.film("Heat (1995)/Heat.1995.2160p.REMUX.mkv", 170, height=2160)
    report = await movies.scan()
    after = await movies.only()
    assert after.view.item.id == before.id
    assert [file.label for file in after.files] == ["2160p H.264"]
    assert (len(report.added), report.removed, report.items_removed) == (1, ["Heat.1995.720p.mkv"], [])


async def test_a_film_in_a_renamed_folder_is_the_same_item(movies: ScannedLibrary) -> None:
    movies.film("Haet/Haet.mkv")
    await movies.scan()
    before = await movies.only()
    (movies.root / "Haet").rename(movies.root / "Heat (1995)")
    (movies.root / "Heat (1995)/Haet.mkv").rename(movies.root / "Heat (1995)/Heat (1995).mkv")
    report = await movies.scan()
    after = await movies.only()
    assert (after.view.item.id, after.files[0].id) == (before.view.item.id, before.files[0].id)
    assert (after.view.item.title, after.view.item.year) == ("Heat", 1995)
    assert report.moved == [("Haet/Haet.mkv", "Heat (1995)/Heat (1995).mkv")]
    assert (report.added, report.removed) == ([], [])


async def test_a_renamed_show_keeps_all_its_episodes(shows: ScannedLibrary) -> None:
    for number in range(1, 6):
        shows.film(f"Drak/Season 1/Drak S01E0{number}.mkv")
    await shows.scan()
    before, show = await shows.episodes(), (await shows.only(ItemKind.SHOW)).view.item
    (shows.root / "Drak").rename(shows.root / "Dark (2017)")
    for path in sorted((shows.root / "Dark (2017)/Season 1").iterdir()):
        path.rename(path.with_name(path.name.replace("Drak", "Dark")))
    report = await shows.scan()
    after = (await shows.only(ItemKind.SHOW)).view.item
    assert (after.id, after.title, after.year) == (show.id, "Dark", 2017)
    assert await shows.episodes() == before
    assert len(report.moved) == 5


class Told(list[Change]):
    def __call__(self, changes: Iterable[Change]) -> None:
        self.extend(changes)


async def test_where_another_library_has_the_show_progress_goes_with_files_to_their_new_numbers(
    shows: ScannedLibrary, database: Database, tmp_path: Path
) -> None:
    others = ScannedLibrary(database, tmp_path / "others", LibraryKind.SHOWS, shows.ids)
    others.id = (await shows.catalogue.add_library("others", LibraryKind.SHOWS, others.root)).id
    for number in (1, 2, 3):
        shows.film(f"Dark (2017)/Dark S01E0{number}.mkv", 50)
        others.film(f"Dark (2017)/Dark S01E0{number}.mkv", 52)
    await shows.scan()
    await others.scan()
    before = await shows.episodes()
    assert len(before) == 3

    def play(connection: Connection) -> None:
        for (_, number), item_id in before.items():
            query = select(schema.media_file.c.id).where(
                schema.media_file.c.library_id == shows.id, schema.media_file.c.path.contains(f"E0{number}")
            )
            remember_at(connection, item_id, (number or 0) * 60_000, connection.execute(query).scalar_one())

    await database.write(play)
    folder = shows.root / "Dark (2017)"
    first, second, third = (folder / f"Dark S01E0{number}.mkv" for number in (1, 2, 3))
    first.rename(folder / "aside")
    second.rename(first)
    (folder / "aside").rename(second)
    third.rename(folder / "Dark S01E04.mkv")
    told = Told()
    splitting = Splitting(
        database, clock=shows.clock, new_id=shows.ids, policy=Policy(), parse=filenames.parse, publish=told
    )
    report = await shows.new_scanner(splitting=splitting).scan(shows.id)
    after = await shows.episodes()
    assert {numbers: after[numbers] for numbers in before} == before
    positions = select(schema.progress.c.item_id, schema.progress.c.position_ms)
    stored = dict(await database.read(lambda connection: connection.execute(positions).all()))
    assert stored == {after[1, 1]: 120_000, after[1, 2]: 60_000, after[1, 4]: 180_000}
    assert {item_id for change in told for item_id in change.item_ids} == {*before.values(), *after.values()}
    assert len(report.reassigned) == 3


async def test_a_removed_film_is_marked_and_returns_as_itself(movies: ScannedLibrary) -> None:
    movies.film("Ronin (1998).mkv")
    film = movies.film("Heat (1995).mkv")
    aside = movies.root.parent / "aside.mkv"
    shutil.copy2(film, aside)
    await movies.scan()
    heat = (await movies.items())[0].item
    film.unlink()
    gone = await movies.scan()
    assert (gone.removed, gone.items_removed) == (["Heat (1995).mkv"], ["Heat"])
    assert await movies.titles() == ["Ronin"]
    detail = await movies.catalogue.get_item(ADMIN, heat.id)
    assert (detail.view.available, detail.files) == (False, [])
    aside.rename(film)
    with openings() as files:
        back = await movies.scan()
    assert (back.restored, back.items_restored) == (["Heat (1995).mkv"], ["Heat"])
    assert str(film) not in files
    assert (await movies.items())[0].item.id == heat.id


async def test_a_film_that_returns_in_another_file_is_the_same_item(movies: ScannedLibrary) -> None:
    movies.film("Ronin (1998).mkv")
    film = movies.film("Heat (1995).mkv")
    await movies.scan()
    heat = (await movies.items())[0].item.id
    film.unlink()
    await movies.scan()
    movies.film("films/Heat.1995.mkv", 169)
    await movies.scan()
    assert heat in [view.item.id for view in await movies.items()]


async def test_a_show_that_loses_its_last_episode_is_removed_too(shows: ScannedLibrary) -> None:
    shows.film("Other/Other S01E01.mkv")
    film = shows.film("Dark/Dark S01E01.mkv")
    await shows.scan()
    film.unlink()
    await shows.scan()
    assert await shows.titles(ItemKind.SHOW) == ["Other"]


async def test_scanning_again_reports_and_changes_nothing(shows: ScannedLibrary) -> None:
    shows.film("Dark/Dark S01E01E02.mkv")
    shows.film("Dark/Dark S01E01.mkv")
    await shows.scan()
    before = await shows.items()
    report = await shows.scan()
    assert report == ScanReport(unchanged=2)
    assert [view.item for view in await shows.items()] == [view.item for view in before]


async def test_removing_files_never_changes_what_users_watched(movies: ScannedLibrary, database: Database) -> None:
    film = movies.film("Heat (1995).mkv")
    movies.film("Ronin (1998).mkv")
    await movies.scan()
    heat = (await movies.items())[0].item.id

    await database.write(lambda connection: remember(connection, heat))
    film.unlink()
    await movies.scan()
    assert await database.read(remembered) == [heat]


async def test_a_film_moved_to_another_library_is_the_same_item_by_its_external_id(
    database: Database, movies: ScannedLibrary, tmp_path: Path
) -> None:
    movies.film("Ronin (1998).mkv")
    film = movies.film("Heat (1995) {tmdb-949}.mkv")
    await movies.scan()
    heat = (await movies.items())[0].item.id
    other = ScannedLibrary(database, tmp_path / "others", LibraryKind.MOVIES, movies.ids)
    other.id = (await movies.catalogue.add_library("others", LibraryKind.MOVIES, other.root)).id
    film.rename(other.root / film.name)
    await movies.scan()
    await other.scan()
    page = await movies.catalogue.list_items(ADMIN, library="others")
    assert [view.item.id for view in page.items] == [heat]
    (other.root / film.name).rename(film)
    other.film("Alien (1979).mkv")
    await other.scan()
    await movies.scan()
    page = await movies.catalogue.list_items(ADMIN, library="movies")
    assert [view.item.id for view in page.items][:1] == [heat]


# Files that are not films


async def test_a_broken_film_is_reported_and_opened_again_only_when_it_changes(movies: ScannedLibrary) -> None:
    broken = movies.film("Broken (2000).mkv")
    broken.write_text("nothing")
    movies.film("Heat (1995).mkv")
    first = await movies.scan()
    assert first.skipped == [("Broken (2000).mkv", "it holds no film")]
    with openings() as files:
        second = await movies.scan()
    assert second.skipped == first.skipped
    assert str(broken) not in files
    movies.film("Broken (2000).mkv")
    third = await movies.scan()
    assert (third.skipped, third.changed) == ([], ["Broken (2000).mkv"])
    assert await movies.titles() == ["Broken", "Heat"]


async def test_a_film_that_breaks_is_unavailable_until_it_is_repaired(movies: ScannedLibrary) -> None:
    film = movies.film("Heat (1995).mkv")
    movies.film("Ronin (1998).mkv")
    await movies.scan()
    heat = (await movies.items())[0].item.id
    film.write_text("nothing")
    await movies.scan()
    assert await movies.titles() == ["Ronin"]
    movies.film("Heat (1995).mkv", 100)
    await movies.scan()
    assert heat in [view.item.id for view in await movies.items()]


async def test_a_film_that_is_temporarily_unreadable_is_retried_by_the_next_scan(movies: ScannedLibrary) -> None:
    film = movies.film("Heat (1995).mkv")
    await movies.scan()
    film.write_text("minutes=100")
    movies.film("Ronin (1998).mkv")

    def fail(_: Path) -> MediaInfo:
        raise PermissionError(13, "Permission denied")

    movies.scanner = Scanner(
        movies.database, clock=movies.clock, new_id=movies.ids, tools=ScanTools(filenames.parse, fail)
    )
    report = await movies.scan()
    assert report.skipped == [
        ("Heat (1995).mkv", "it cannot be read: Permission denied"),
        ("Ronin (1998).mkv", "it cannot be read: Permission denied"),
    ]
    assert (report.items_removed, await movies.titles()) == ([], ["Heat"])
    movies.scanner = movies.new_scanner()
    report = await movies.scan()
    assert (report.changed, report.added, report.skipped) == (["Heat (1995).mkv"], ["Ronin (1998).mkv"], [])


async def test_a_film_that_disappears_during_the_scan_is_skipped(movies: ScannedLibrary) -> None:
    film = movies.film("Heat (1995).mkv")

    def parse(path: PurePosixPath, kind: LibraryKind) -> ParsedName | None:
        film.unlink()
        return filenames.parse(path, kind)

    report = await movies.new_scanner(parse).scan(movies.id)
    assert report.skipped == [("Heat (1995).mkv", "it has gone")]
    assert await movies.titles() == []


async def test_an_unrecognised_video_is_reported_and_other_files_are_ignored(movies: ScannedLibrary) -> None:
    movies.film("Heat (1995)/Heat (1995).mkv")
    movies.film("Heat (1995)/Trailers/Heat trailer.mkv")
    movies.nfo("Heat (1995)/poster.jpg", "")
    movies.film("Heat (1995)/.hidden.mkv")
    report = await movies.scan()
    assert [skipped.path for skipped in report.skipped] == ["Heat (1995)/Trailers/Heat trailer.mkv"]
    assert await movies.titles() == ["Heat"]


async def test_a_name_that_is_not_utf8_is_reported_and_skipped(movies: ScannedLibrary) -> None:
    movies.film("Heat (1995).mkv")
    movies.film(os.fsdecode(b"caf\xe9.mkv"))
    movies.film(os.fsdecode(b"d\xefr/Heat.mkv"))
    report = await movies.scan()
    assert report.skipped == [(r"caf\xe9.mkv", "the name is not UTF-8"), (r"d\xefr", "the name is not UTF-8")]
    assert await movies.titles() == ["Heat"]


async def test_links_lead_neither_out_of_the_library_nor_in_circles(movies: ScannedLibrary, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "Secret (2001).mkv").write_text("minutes=90")
    real = movies.film("real/Heat (1995).mkv")
    (movies.root / "circle").symlink_to(movies.root)
    (movies.root / "again (1995).mkv").symlink_to(real)
    (movies.root / "out").symlink_to(outside)
    (outside / "id_rsa").write_text("minutes=90")
    (movies.root / "key (2006).mkv").symlink_to(outside / "id_rsa")
    (movies.root / "lost (2003).mkv").symlink_to(movies.root / "nothing.mkv")
    (movies.root / "loop (2004).mkv").symlink_to(movies.root / "loop (2004).mkv")
    os.mkfifo(movies.root / "pipe (2005).mkv")
    report = await movies.scan()
    assert report.added == ["real/Heat (1995).mkv"]
    assert {skipped.path: skipped.reason.partition(" (")[0] for skipped in report.skipped} == {
        "lost (2003).mkv": "the link leads nowhere",
        "loop (2004).mkv": "the link leads nowhere",
        "out": "links to folders outside the library are not followed",
        "key (2006).mkv": "the link leads out of the library, to a file that is not called a video",
        "pipe (2005).mkv": "it is not a regular file",
    }


async def test_a_library_of_links_to_videos_elsewhere_is_usable(movies: ScannedLibrary, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    for name in ("a1.mkv", "b2.mkv"):
        (store / name).write_text(f"minutes=90 {name}")
    (movies.root / "Heat (1995).mkv").symlink_to(store / "a1.mkv")
    (movies.root / "Ronin (1998)").mkdir()
    (movies.root / "Ronin (1998)/Ronin (1998).mkv").symlink_to("../../store/b2.mkv")
    assert len((await movies.scan()).added) == 2
    assert await movies.titles() == ["Heat", "Ronin"]
    before = [view.item.id for view in await movies.items()]
    (store / "a1.mkv").rename(store / "c3.mkv")
    (movies.root / "Heat (1995).mkv").unlink()
    (movies.root / "Heat (1995).mkv").symlink_to(store / "c3.mkv")
    report = await movies.scan()
    assert (report.unchanged, report.skipped) == (2, [])
    assert [view.item.id for view in await movies.items()] == before


async def test_a_link_to_a_file_without_another_name_counts(movies: ScannedLibrary) -> None:
    (movies.root / ".store").mkdir()
    (movies.root / ".store/abc").write_text("minutes=90")
    (movies.root / "Heat (1995).mkv").symlink_to(".store/abc")
    await movies.scan()
    assert await movies.titles() == ["Heat"]


# Failures


async def test_a_missing_folder_is_refused_and_nothing_is_removed(movies: ScannedLibrary) -> None:
    movies.film("Heat (1995).mkv")
    await movies.scan()
    movies.root.rename(movies.root.with_name("away"))
    error = await refusal(movies.scan())
    assert (error.code, "cannot be read" in error.message) == (Code.CONFLICT, True)
    movies.root.mkdir()
    error = await refusal(movies.scan())
    assert "is the disk mounted?" in error.message
    assert await movies.titles() == ["Heat"]
    (view,) = await movies.catalogue.list_libraries(ADMIN)
    assert view.report is not None
    assert view.report.failure == error.message
    assert view.scanning is False


async def test_an_empty_folder_is_accepted_on_request(movies: ScannedLibrary) -> None:
    movies.film("Heat (1995).mkv").unlink()
    await movies.scan()
    film = movies.film("Heat (1995).mkv")
    await movies.scan()
    film.unlink()
    report = await movies.scan(allow_empty=True)
    assert report.items_removed == ["Heat"]
    assert await movies.titles() == []


async def test_a_cancelled_scan_keeps_what_it_has_stored_and_the_next_one_continues(movies: ScannedLibrary) -> None:
    for number in range(FILES_AT_ONCE + 20):
        movies.film(f"Film {number:03} (2000).mkv")

    def stop(progress: ScanProgress) -> None:
        if progress.done == FILES_AT_ONCE + 10:
            task.cancel()

    task = asyncio.create_task(movies.scanner.scan(movies.id, progress=stop))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(await movies.items()) == FILES_AT_ONCE
    with openings() as files:
        report = await movies.scan()
    assert (report.unchanged, len(report.added)) == (FILES_AT_ONCE, 20)
    assert len({path for path in files if path.endswith(".mkv")}) == 20
    assert len(await movies.items()) == FILES_AT_ONCE + 20


async def test_a_library_is_scanned_by_one_scan_at_a_time(movies: ScannedLibrary) -> None:
    for number in range(20):
        movies.film(f"Film {number} (2000).mkv")
    ended = await asyncio.gather(
        movies.scanner.scan(movies.id), movies.new_scanner().scan(movies.id), return_exceptions=True
    )
    reports = [each for each in ended if isinstance(each, ScanReport)]
    (error,) = [each for each in ended if isinstance(each, PlayheadError)]
    assert [len(report.added) for report in reports] == [20]
    assert (error.code, error.message) == (Code.CONFLICT, "The library movies is being scanned already")


async def test_a_killed_scan_blocks_no_longer_than_its_lease(movies: ScannedLibrary, database: Database) -> None:
    movies.film("Heat (1995).mkv")
    now = movies.clock.now
    until = type(now)(now + LEASE_MS)
    taken = await database.write(lambda c: scanning.take_lease(c, movies.id, movies.ids(), now, until))
    assert taken
    (view,) = await movies.catalogue.list_libraries(ADMIN)
    assert view.scanning
    assert (await refusal(movies.scanner.scan(movies.id))).code is Code.CONFLICT
    movies.clock.advance(LEASE_MS)
    assert len((await movies.scan()).added) == 1


async def test_a_scan_that_lost_its_lease_stores_nothing_more(movies: ScannedLibrary, database: Database) -> None:
    movies.film("Heat (1995).mkv")
    loop = asyncio.get_running_loop()

    def parse(path: PurePosixPath, kind: LibraryKind) -> ParsedName | None:
        def take(connection: Connection) -> None:
            late = type(movies.clock.now)(movies.clock.now + 2 * LEASE_MS)
            assert scanning.take_lease(connection, movies.id, movies.ids(), late, late)

        asyncio.run_coroutine_threadsafe(database.write(take), loop).result()
        return filenames.parse(path, kind)

    error = await refusal(movies.new_scanner(parse).scan(movies.id))
    assert error.code is Code.CONFLICT
    assert await movies.titles() == []


async def test_a_defect_in_one_scan_does_not_block_the_next(movies: ScannedLibrary) -> None:
    movies.film("Heat (1995).mkv")

    def parse(*_: object) -> ParsedName | None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await movies.new_scanner(parse).scan(movies.id)
    (view,) = await movies.catalogue.list_libraries(ADMIN)
    assert view.report is not None
    assert view.report.failure == "it failed: see the log"
    assert len((await movies.scan()).added) == 1


async def test_only_a_library_with_a_folder_can_be_scanned(movies: ScannedLibrary) -> None:
    imported = await movies.catalogue.add_library("imported", LibraryKind.MOVIES, None)
    assert (await refusal(movies.scanner.scan(imported.id))).code is Code.CONFLICT
    assert (await refusal(movies.scanner.scan(LibraryId(movies.ids())))).code is Code.NOT_FOUND


async def test_saves_do_not_wait_for_a_scan(movies: ScannedLibrary, database: Database) -> None:
    for number in range(400):
        movies.film(f"Film {number} (2000).mkv")
    task = asyncio.create_task(movies.scanner.scan(movies.id))
    rounds = 0
    while not task.done():
        await database.write(lambda connection: connection.execute(select(func.count()).select_from(schema.progress)))
        rounds += 1
        await asyncio.sleep(0)
    assert len((await task).added) == 400
    assert rounds > 5


# In the background


async def test_a_background_scan_runs_on_its_own_and_leaves_its_report(movies: ScannedLibrary) -> None:
    movies.film("Heat (1995).mkv")
    movies.film("Broken.mkv").write_text("nothing")
    await movies.scanner.start(movies.id)
    until = time.monotonic() + 10
    (view,) = await movies.catalogue.list_libraries(ADMIN)
    while view.report is None or view.scanning:
        assert time.monotonic() < until
        await asyncio.sleep(0.01)
        (view,) = await movies.catalogue.list_libraries(ADMIN)
    assert (view.report.added, view.report.skipped, view.report.failure) == (1, 1, None)
    assert view.report.skipped_files == [("Broken.mkv", "it holds no film")]
    assert view.library.scanned_at == movies.clock.now
    assert view.counts == {ItemKind.MOVIE: 1}


async def test_closing_cancels_a_background_scan_and_releases_the_library(movies: ScannedLibrary) -> None:
    for number in range(FILES_AT_ONCE * 2):
        movies.film(f"Film {number} (2000).mkv")
    await movies.scanner.start(movies.id)
    await asyncio.sleep(0)
    await movies.scanner.close()
    (view,) = await movies.catalogue.list_libraries(ADMIN)
    assert view.scanning is False
    assert len((await movies.scan()).added) + len(await movies.items()) >= FILES_AT_ONCE * 2


async def test_a_refused_background_scan_leaves_the_reason(movies: ScannedLibrary) -> None:
    movies.film("Heat (1995).mkv")
    await movies.scan()
    movies.root.rename(movies.root.with_name("away"))
    await movies.scanner.start(movies.id)
    view = (await movies.catalogue.list_libraries(ADMIN))[0]
    until = time.monotonic() + 10
    while view.scanning or view.report is None or view.report.failure is None:
        assert time.monotonic() < until
        await asyncio.sleep(0.01)
        view = (await movies.catalogue.list_libraries(ADMIN))[0]
    assert "cannot be read" in view.report.failure


async def test_progress_is_reported_until_the_end(movies: ScannedLibrary) -> None:
    films = {f"Film {number} (2000).mkv" for number in range(3)}
    for film in films:
        movies.film(film)
    told: list[ScanProgress] = []
    shown: list[RunningScan | None] = []

    def tell(progress: ScanProgress) -> None:
        told.append(progress)
        shown.append(movies.scanner.progress_of(movies.id))

    assert movies.scanner.progress_of(movies.id) is None
    await movies.scanner.scan(movies.id, progress=tell)
    assert [(each.done, each.total) for each in told] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert told[0].path == ""
    assert {each.path for each in told[1:]} == films
    assert shown == [RunningScan(*each) for each in told]
    assert movies.scanner.progress_of(movies.id) is None


async def test_a_failed_scan_does_not_count_as_running(movies: ScannedLibrary) -> None:
    movies.root.rmdir()
    await refusal(movies.scan())
    assert movies.scanner.progress_of(movies.id) is None


async def test_a_title_of_900_000_characters_is_stored_truncated(movies: ScannedLibrary) -> None:
    movies.film("Heat (1995).mkv")
    movies.nfo("Heat (1995).nfo", "<movie><title>" + "\ufdfa" * 90_000 + "</title></movie>")
    movies.film("Ronin (1998).mkv")
    movies.nfo("Ronin (1998).nfo", f"<movie><title>{'x' * 900_000}</title></movie>")
    await movies.scan()
    assert sorted(map(len, await movies.titles())) == [500, 500]
    assert (await movies.scan()).unchanged == 2


async def test_names_with_terminal_sequences_are_reported_escaped_and_stored_clean(movies: ScannedLibrary) -> None:
    movies.film("Evil \x1b]0;owned\x07\n (2001).mkv")
    (movies.root / "Broken \x1b[31m (2002).mkv").write_text("nothing")
    report = await movies.scan()
    assert report.skipped == [(r"Broken \x1b[31m (2002).mkv", "it holds no film")]
    assert await movies.titles() == ["Evil ]0;owned"]
    library = await movies.catalogue.find_library(ADMIN, movies.kind)
    assert "\\u001b" not in (library.scan_report or "")
