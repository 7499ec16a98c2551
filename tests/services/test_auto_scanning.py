"""Automatic scans of real folders, with a clock moved by hand."""

import asyncio
import logging
import os
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from playhead.domain.auto_scanning import FAILED_RETRY_MS, QUIET_MS, SETTLED_MS
from playhead.media.watching import FolderWatch, WatchLostError
from playhead.services.auto_scanning import AutoScans, AutoScanStatus
from playhead.services.libraries import Libraries
from scanned import ADMIN, ScannedLibrary, remember, remembered

pytestmark = pytest.mark.anyio

PATIENCE_S = 60
MINUTE_MS = 60_000


@pytest.fixture
async def auto(movies: ScannedLibrary) -> AsyncIterator[AutoScans]:
    auto = AutoScans(movies.database, movies.scanner, 15, clock=movies.clock)
    yield auto
    await auto.close()


async def look_until(auto: AutoScans, is_reached: Callable[[], object]) -> None:
    """Let it look until a condition holds, or what it returns does."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            await auto.look()
            reached = is_reached()
            if await reached if asyncio.iscoroutine(reached) else reached:
                return
            await asyncio.sleep(0.01)


async def status(auto: AutoScans, library: ScannedLibrary) -> AutoScanStatus:
    return auto.status((await library.catalogue.get_library(ADMIN, library.id)).library)


async def has_titles(library: ScannedLibrary, *titles: str) -> bool:
    return await library.titles() == list(titles)


def age(library: ScannedLibrary, path: str) -> None:
    """Make a file an hour old by the library's clock."""
    seconds = library.clock.now / 1000 - 3600
    os.utime(library.root / path, (seconds, seconds))


async def scanned_at_start(auto: AutoScans, movies: ScannedLibrary) -> None:
    """Let it take the library on and scan what is there."""
    await look_until(auto, lambda: _is_watched(auto, movies))
    movies.clock.advance(QUIET_MS)
    await look_until(auto, lambda: _is_at_rest(auto, movies))


async def _is_watched(auto: AutoScans, movies: ScannedLibrary) -> bool:
    return (await status(auto, movies)).is_watched


async def _is_at_rest(auto: AutoScans, movies: ScannedLibrary) -> bool:
    view = await movies.catalogue.get_library(ADMIN, movies.id)
    return view.report is not None and not view.scanning and auto.status(view.library).next_at is None


async def test_a_new_file_is_found_once_it_has_settled(auto: AutoScans, movies: ScannedLibrary) -> None:
    movies.film("Heat (1995).mkv")
    age(movies, "Heat (1995).mkv")
    await scanned_at_start(auto, movies)
    assert await movies.titles() == ["Heat"]
    movies.film("Alien (1979).mkv")
    await look_until(auto, lambda: _is_planned(auto, movies))
    assert await movies.titles() == ["Heat"]
    movies.clock.advance(QUIET_MS)
    await look_until(auto, lambda: _comes_back(auto, movies, "Alien", "Heat"))


async def _comes_back(auto: AutoScans, movies: ScannedLibrary, *titles: str) -> bool:
    """Advance the clock to each scan that is planned, until these are the titles."""
    planned = (await status(auto, movies)).next_at
    if planned is not None and planned > movies.clock.now:
        movies.clock.now = planned
    return await has_titles(movies, *titles)


async def _is_planned(auto: AutoScans, movies: ScannedLibrary) -> bool:
    return (await status(auto, movies)).next_at is not None


async def test_a_growing_file_is_left_out_as_still_being_copied_and_found_later(
    auto: AutoScans, movies: ScannedLibrary
) -> None:
    movies.film("Heat (1995).mkv")
    age(movies, "Heat (1995).mkv")
    growing = movies.film("Alien (1979).mkv")
    os.utime(growing, (movies.clock.now / 1000 + QUIET_MS / 1000, movies.clock.now / 1000 + QUIET_MS / 1000))
    await look_until(auto, lambda: _is_watched(auto, movies))
    movies.clock.advance(QUIET_MS)
    await look_until(auto, lambda: has_titles(movies, "Heat"))

    async def is_told() -> bool:
        report = (await movies.catalogue.get_library(ADMIN, movies.id)).report
        return report is not None and [file.reason for file in report.skipped_files] == ["it is still being copied"]

    await look_until(auto, is_told)
    await look_until(auto, lambda: _is_planned(auto, movies))
    movies.clock.advance(SETTLED_MS)
    await look_until(auto, lambda: _comes_back(auto, movies, "Alien", "Heat"))


async def test_a_scan_by_another_process_covers_the_changes_before_it(auto: AutoScans, movies: ScannedLibrary) -> None:
    other = AutoScans(movies.database, movies.new_scanner(), 15, clock=movies.clock)
    await look_until(other, lambda: _is_watched(other, movies))
    await scanned_at_start(auto, movies)
    await other.look()
    assert (await status(other, movies)).next_at is None
    await other.close()


async def test_a_folder_that_vanishes_costs_nothing_and_is_watched_again_when_it_returns(
    auto: AutoScans, movies: ScannedLibrary, caplog: pytest.LogCaptureFixture
) -> None:
    movies.film("Heat (1995).mkv")
    age(movies, "Heat (1995).mkv")
    await scanned_at_start(auto, movies)
    (heat,) = await movies.items()
    await movies.database.write(lambda connection: remember(connection, heat.item.id))
    away = movies.root.with_name("unplugged")
    movies.root.rename(away)
    with caplog.at_level(logging.WARNING):
        await look_until(auto, lambda: _is_planned(auto, movies))
        for _ in range(3):
            movies.clock.advance(FAILED_RETRY_MS)
            await look_until(auto, lambda: _has_failed(movies))
    assert await movies.titles() == ["Heat"]
    assert sum("is not watched" in record.message for record in caplog.records) == 1
    away.rename(movies.root)
    movies.film("Alien (1979).mkv")
    age(movies, "Alien (1979).mkv")
    await look_until(auto, lambda: _comes_back(auto, movies, "Alien", "Heat"))
    assert await movies.database.read(remembered) == [heat.item.id]
    assert (await status(auto, movies)).is_watched


async def _has_failed(movies: ScannedLibrary) -> bool:
    report = (await movies.catalogue.get_library(ADMIN, movies.id)).report
    return report is not None and report.failure is not None


async def test_a_disk_that_is_unmounted_leaves_an_empty_folder_and_loses_nothing(
    auto: AutoScans, movies: ScannedLibrary
) -> None:
    movies.film("Heat (1995).mkv")
    age(movies, "Heat (1995).mkv")
    await scanned_at_start(auto, movies)
    movies.root.rename(movies.root.with_name("unplugged"))
    movies.root.mkdir()
    await look_until(auto, lambda: _comes_to_failure(auto, movies))
    assert await movies.titles() == ["Heat"]


async def _comes_to_failure(auto: AutoScans, movies: ScannedLibrary) -> bool:
    await _comes_back(auto, movies)
    return await _has_failed(movies)


async def test_shows_deleted_during_a_scan_lose_nobodys_progress(auto: AutoScans, movies: ScannedLibrary) -> None:
    for number in range(60):
        movies.film(f"Film {chr(65 + number % 26)}{number} (1995)/film.mkv")
        age(movies, f"Film {chr(65 + number % 26)}{number} (1995)/film.mkv")
    movies.film("Heat (1995).mkv")
    age(movies, "Heat (1995).mkv")
    await scanned_at_start(auto, movies)
    kept = (await movies.items())[0].item
    await movies.database.write(lambda connection: remember(connection, kept.id))
    scan = asyncio.create_task(movies.scan())
    for folder in list(movies.root.iterdir()):
        if folder.is_dir():
            await asyncio.to_thread(shutil.rmtree, folder)
    await scan
    # Who has watched it still finds it, as one that is not there.
    await look_until(auto, lambda: _comes_back(auto, movies, kept.title, "Heat"))
    assert [view.available for view in await movies.items()] == [False, True]
    assert await movies.database.read(remembered) == [kept.id]


async def test_closing_in_the_midst_of_a_scan_leaves_a_catalogue_that_the_next_process_completes(
    auto: AutoScans, movies: ScannedLibrary
) -> None:
    for number in range(60):
        movies.film(f"Film {number:02} (1995).mkv")
        age(movies, f"Film {number:02} (1995).mkv")
    await look_until(auto, lambda: _is_watched(auto, movies))
    movies.clock.advance(QUIET_MS)
    await auto.look()
    await auto.close()
    movies.clock.advance(MINUTE_MS)
    following = AutoScans(movies.database, movies.new_scanner(), 15, clock=movies.clock)
    await scanned_at_start(following, movies)
    assert len(await movies.titles()) == 60
    await following.close()


async def test_libraries_that_are_added_or_renamed_are_picked_up(
    auto: AutoScans, movies: ScannedLibrary, shows: ScannedLibrary
) -> None:
    await look_until(auto, lambda: _is_watched(auto, movies))
    await look_until(auto, lambda: _is_watched(auto, shows))
    libraries = Libraries(movies.database, clock=movies.clock, new_id=movies.ids, publish=lambda _: None)
    await libraries.change(ADMIN, movies.id, name="Films")
    await auto.look()
    assert (await status(auto, movies)).is_watched
    unknown = AutoScans(movies.database, movies.scanner, 15, clock=movies.clock)
    assert await status(unknown, movies) == AutoScanStatus(is_watched=False, next_at=None)
    await unknown.close()


def refuse_by_limit(root: Path) -> FolderWatch:
    raise WatchLostError(f"no space left for {root}", is_limit=True)


async def test_at_the_limit_of_watches_libraries_are_scanned_by_time_and_the_log_says_so_once(
    movies: ScannedLibrary, shows: ScannedLibrary, caplog: pytest.LogCaptureFixture
) -> None:
    auto = AutoScans(movies.database, movies.scanner, 15, clock=movies.clock, open_watch=refuse_by_limit)
    movies.film("Heat (1995).mkv")
    age(movies, "Heat (1995).mkv")
    await look_until(auto, lambda: _is_planned(auto, shows))
    movies.clock.advance(QUIET_MS)
    await look_until(auto, lambda: has_titles(movies, "Heat"))
    movies.film("Alien (1979).mkv")
    age(movies, "Alien (1979).mkv")
    # Not by a fixed time: a scan that is still ending when the clock moves counts as a long one, and is rested after.
    await look_until(auto, lambda: _comes_back(auto, movies, "Alien", "Heat"))
    assert not (await status(auto, movies)).is_watched
    assert sum("limit is reached" in record.message for record in caplog.records) == 1
    await auto.close()
