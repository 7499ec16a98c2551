"""Automatic backups: when one is made, what is removed, and that failures are logged, retried, and do no harm."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path

import pytest

from fakes import Clock
from playhead.domain.backups import Backup, BackupPlan
from playhead.domain.model import Instant
from playhead.services.backups import Backups
from playhead.storage.engine.database import StorageRefused
from playhead.storage.upkeep.backups import BackupFolder

pytestmark = pytest.mark.anyio

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


class FailingFolder(BackupFolder):
    """A folder in which making a backup fails as often as a test wants."""

    error: Exception | None = None
    tries = 0

    def make(self, now: Instant, keep_going: Callable[[], None]) -> Backup:
        self.tries += 1
        if self.error is not None:
            raise self.error
        return super().make(now, keep_going)


class SlowFolder(BackupFolder):
    """A folder in which a copy runs until it is cancelled."""

    begun: threading.Event
    ended = False

    def make(self, now: Instant, keep_going: Callable[[], None]) -> Backup:
        def watch() -> None:
            self.begun.set()
            while True:
                keep_going()

        try:
            return super().make(now, watch)
        finally:
            self.ended = True


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(database_path: Path) -> FailingFolder:
    return FailingFolder(database_path, database_path.parent / "backups", make_folder=True)


@pytest.fixture
async def backups(folder: FailingFolder, clock: Clock, anyio_backend: str) -> AsyncIterator[Backups]:  # noqa: ARG001
    made = Backups(folder, BackupPlan(hours=24, keep=2), clock=clock)
    yield made
    await made.close()


async def test_the_first_check_makes_one_and_the_next_is_due_a_period_later(
    backups: Backups, folder: FailingFolder, clock: Clock
):
    assert (await backups.status()).next_at == clock.now
    await backups.look()
    status = await backups.status()
    assert status.last is not None
    assert status.last.made_at == clock.now
    assert status.next_at == clock.now + 24 * HOUR_MS
    assert status.fault is None
    clock.advance(24 * HOUR_MS - 1)
    await backups.look()
    assert folder.tries == 1
    clock.advance(1)
    await backups.look()
    assert folder.tries == 2


async def test_the_oldest_backup_is_removed_when_there_are_too_many(
    backups: Backups, folder: FailingFolder, clock: Clock
):
    times: list[Instant] = []
    for _ in range(4):
        await backups.look()
        times.append(clock.now)
        clock.advance(25 * HOUR_MS)
    assert [each.made_at for each in folder.find()] == times[-2:]


async def test_another_process_finds_that_the_backup_was_made(backups: Backups, folder: FailingFolder, clock: Clock):
    await backups.look()
    other = Backups(folder, BackupPlan(hours=24, keep=2), clock=clock)
    await other.look()
    await other.close()
    assert folder.tries == 1


async def test_another_process_leaves_a_running_backup_alone(backups: Backups, folder: FailingFolder):
    with folder.alone():
        await backups.look()
    assert folder.tries == 0
    assert (await backups.status()).fault is None
    await backups.look()
    assert folder.tries == 1


async def test_a_failure_is_logged_and_retried_with_growing_delays(
    backups: Backups, folder: FailingFolder, clock: Clock, caplog: pytest.LogCaptureFixture
):
    folder.error = StorageRefused("the disk is full")
    await backups.look()
    status = await backups.status()
    assert status.fault == "the disk is full"
    assert status.next_at == clock.now + MINUTE_MS
    assert [each.message for each in caplog.records] == [
        "No backup could be made; the next attempt is in 1 min: the disk is full"
    ]
    tried_at = [clock.now]
    for _ in range(31):
        clock.advance(MINUTE_MS)
        before = folder.tries
        await backups.look()
        if folder.tries > before:
            tried_at.append(clock.now)
    assert [(later - sooner) // MINUTE_MS for sooner, later in pairwise(tried_at)] == [
        1, 2, 4, 8, 16,
    ]  # fmt: skip
    folder.error = None
    clock.advance(HOUR_MS)
    await backups.look()
    status = await backups.status()
    assert status.fault is None
    assert status.last is not None


async def test_a_failure_does_not_remove_older_backups(backups: Backups, folder: FailingFolder, clock: Clock):
    await backups.look()
    [kept] = folder.find()
    folder.error = StorageRefused("the disk is full")
    for _ in range(5):
        clock.advance(25 * HOUR_MS)
        await backups.look()
    assert folder.find() == [kept]


async def test_a_defect_is_logged_too_and_ends_nothing(
    backups: Backups, folder: FailingFolder, caplog: pytest.LogCaptureFixture
):
    folder.error = ZeroDivisionError()
    await backups.look()
    assert (await backups.status()).fault == "A defect; see the log"
    assert any(each.levelno == logging.ERROR and each.exc_info for each in caplog.records)


async def test_setting_the_clock_back_after_a_failure_does_not_delay_the_retry(
    backups: Backups, folder: FailingFolder, clock: Clock
):
    folder.error = StorageRefused("the disk is full")
    await backups.look()
    clock.advance(-1000 * HOUR_MS)
    await backups.look()
    assert folder.tries == 2


async def test_a_missing_folder_is_a_failure_and_its_return_is_noticed(
    database_path: Path, tmp_path: Path, clock: Clock
):
    place = tmp_path / "disk"
    backups = Backups(BackupFolder(database_path, place, make_folder=False), BackupPlan(hours=24, keep=2), clock=clock)
    await backups.look()
    assert "is missing" in ((await backups.status()).fault or "")
    place.mkdir()
    clock.advance(MINUTE_MS)
    await backups.look()
    assert (await backups.status()).fault is None
    assert len((await backups.status()).backups) == 1
    await backups.close()


async def test_once_started_it_checks_on_its_own(database_path: Path, clock: Clock):
    made = asyncio.Event()
    loop = asyncio.get_running_loop()

    class ToldFolder(BackupFolder):
        def make(self, now: Instant, keep_going: Callable[[], None]) -> Backup:
            backup = super().make(now, keep_going)
            loop.call_soon_threadsafe(made.set)
            return backup

    folder = ToldFolder(database_path, database_path.parent / "backups", make_folder=True)
    backups = Backups(folder, BackupPlan(hours=24, keep=2), clock=clock, look_every_s=0)
    backups.start()
    await asyncio.wait_for(made.wait(), 30)
    await backups.close()
    assert len(folder.find()) == 1


async def test_a_plan_of_no_hours_makes_no_backups(folder: FailingFolder, clock: Clock):
    backups = Backups(folder, BackupPlan(hours=0, keep=7), clock=clock)
    backups.start()
    status = await backups.status()
    assert (status.next_at, status.fault) == (None, None)
    await backups.close()


async def test_shutdown_cancels_a_copy(database_path: Path, clock: Clock):
    folder = SlowFolder(database_path, database_path.parent / "backups", make_folder=True)
    folder.begun = threading.Event()
    backups = Backups(folder, BackupPlan(hours=24, keep=2), clock=clock)
    look = asyncio.create_task(backups.look())
    await asyncio.to_thread(folder.begun.wait, 30)
    await backups.close()
    await look
    assert folder.ended
    assert folder.find() == []
    assert list(folder.folder.iterdir()) == []
    assert (await backups.status()).fault is None
