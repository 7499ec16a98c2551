"""Power loss: acknowledged writes survive, whatever the disk made of unsynced ones."""

import asyncio
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, cast

import apsw
import pytest
from sqlalchemy import Connection, insert

from disks import Event, Found, Name, RecordingDisk, Sync, Write, losses_of_power, recording_disk
from fakes import Clock, Ids
from playhead.domain.model import ItemId, ItemKind, Milliseconds, UserId
from playhead.domain.playback import Policy, Report
from playhead.services.events import Events
from playhead.services.playback import Playback
from playhead.storage import schema
from playhead.storage.engine.sqlite import LogLimits, SQLiteDatabase
from world import LIBRARY, insert_items

if TYPE_CHECKING:
    from playhead.storage.engine import apsw_dbapi

USERS = 30
MOVIES = 6
ROUNDS = 80
MOST_AT_ONCE = 60
DURATION = Milliseconds(1_000_000)
MINUTE_MS = 60_000

# The log is checkpointed every 32 pages, so that the database file is written and the log restarted many times.
SMALL = LogLimits(checkpoint=32, further=16, restart=48, most=400)


@dataclass(frozen=True)
class Saved:
    """What a client was told: this state of this item is stored."""

    user_id: str
    item_id: str
    position_ms: int
    plays: int


Key = tuple[str, str]


def stock(connection: Connection) -> tuple[list[UserId], list[ItemId]]:
    ids = Ids()
    users = [UserId(ids()) for _ in range(USERS)]
    movies = [ItemId(ids()) for _ in range(MOVIES)]
    user = {"role": "admin", "password_hash": "", "created_at": 0}
    connection.execute(insert(schema.account), [user | {"id": each, "name": each} for each in users])
    connection.execute(insert(schema.library), [{"id": LIBRARY, "name": "Films", "kind": "movies", "created_at": 0}])
    movie = {"library_id": LIBRARY, "kind": "movie", "title": "t", "sort_title": "t", "search_title": "t"}
    rows = [movie | {"id": each, "identity": each, "added_at": 0} for each in movies]
    insert_items(connection, rows)
    return users, movies


async def nobody(tokens: Collection[str]) -> Collection[str]:
    del tokens
    return ()


async def watch(database: SQLiteDatabase, disk: RecordingDisk, random: Random) -> None:
    """Save for many users concurrently, always further in each movie, and record every answer."""
    users, movies = await database.write(stock)
    clock = Clock()
    events = Events(monotonic=lambda: 0.0, ended_tokens=nobody)
    playback = Playback(database, events, clock=clock, new_id=Ids(), policy=Policy())
    keys = [(user, movie) for user in users for movie in movies]
    reached = dict.fromkeys(keys, 0)
    plays = dict.fromkeys(keys, 0)

    async def save(user: UserId, movie: ItemId) -> None:
        reached[user, movie] += random.randint(1, 200_000)
        report = Report(Milliseconds(reached[user, movie]), DURATION)
        decision = await playback.save(user, ItemKind.MOVIE, movie, report)
        assert decision.applied
        plays[user, movie] += decision.play_at is not None
        disk.tell(Saved(user, movie, decision.progress.position_ms, plays[user, movie]))

    for _ in range(ROUNDS):
        clock.advance(MINUTE_MS)
        some = random.sample(keys, random.randint(1, MOST_AT_ONCE))
        await asyncio.gather(*(save(*key) for key in some))
    await playback.close()


def record(database_path: Path, seed: int, prepare: Callable[[SQLiteDatabase], None] = lambda _: None) -> RecordingDisk:
    """Run the work on a recording disk, and close the database."""
    random = Random(seed)  # noqa: S311 - to be repeated
    with recording_disk() as disk:
        disk.holds(database_path)
        database = SQLiteDatabase(database_path, vfs=disk.vfs, limits=SMALL)
        prepare(database)
        asyncio.run(watch(database, disk, random))
        database.close_blocking()
    return disk


def read(path: Path) -> dict[Key, tuple[int, int]]:
    """Return the position and the number of plays of each key. Raises apsw.Error if the file is damaged."""
    with closing(apsw.Connection(str(path))) as connection:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)  # keep nothing
        faults = connection.execute("PRAGMA integrity_check").fetchall()
        if faults != [("ok",)]:
            raise apsw.CorruptError(f"{faults}")
        rows = connection.execute(
            "SELECT user_id, item_id, position_ms, (SELECT count(*) FROM play "
            "WHERE play.user_id = progress.user_id AND play.item_id = progress.item_id) FROM progress"
        )
        return {(user, item): (position, plays) for user, item, position, plays in rows}


def faults_after(told: Iterable[object], name: str, files: dict[str, bytes], folder: Path) -> Iterator[str]:
    """Yield what is wrong with the surviving files, as the next process sees them."""
    for path in folder.iterdir():
        path.unlink()
    for file, content in files.items():
        (folder / file).write_bytes(content)
    (folder / f"{name}-shm").write_bytes(bytes(range(256)) * 128)  # from before, or anything
    try:
        stored = read(folder / name)
    except apsw.Error as error:
        yield f"the file is damaged: {error}"
        return
    promised: dict[Key, Saved] = {(each.user_id, each.item_id): each for each in told if isinstance(each, Saved)}
    for key, saved in promised.items():
        position_ms, plays = stored.get(key, (0, 0))
        if position_ms < saved.position_ms or plays < saved.plays:
            yield f"{saved} was answered, position {position_ms} and {plays} plays are stored"


@pytest.mark.long
def test_acknowledged_writes_survive_a_power_loss_at_every_sync(database_path: Path, tmp_path: Path, *, soak: bool):
    folder = tmp_path / "after"
    folder.mkdir()
    for seed in range(40 if soak else 3):
        path = Path(shutil.copy(database_path, tmp_path / f"{seed}.db"))
        events = record(path, seed).events
        for told, files in losses_of_power(events, range(6 if soak else 2)):
            assert list(faults_after(told, path.name, files, folder)) == []


def numbers_of(events: Iterable[Event]) -> tuple[int, int]:
    """Return the file numbers of the database and of its log."""
    numbers = {each.name: each.file for each in events if isinstance(each, Found | Name) and each.file}
    return numbers["playhead.db"], numbers["playhead.db-wal"]


def test_the_record_contains_checkpoints_and_restarted_logs(database_path: Path):
    events = record(database_path, seed=0).events
    database, log = numbers_of(events)
    synced = [each.file for each in events if isinstance(each, Sync)]
    assert synced.count(database) > 10
    assert synced.count(log) > ROUNDS
    beginnings = [each for each in events if isinstance(each, Write) and (each.file, each.offset) == (log, 0)]
    assert len(beginnings) > 10


def test_without_a_sync_per_commit_the_same_check_finds_lost_writes(database_path: Path, tmp_path: Path):
    def be_careless(database: SQLiteDatabase) -> None:
        connections = database.write_blocking(lambda connection: [connection.connection.dbapi_connection])
        cast("apsw_dbapi.Connection", connections[0]).rows("PRAGMA synchronous = NORMAL")

    folder = tmp_path / "after"
    folder.mkdir()
    events = record(database_path, 0, be_careless).events
    losses = losses_of_power(events, [0])
    faults = [fault for told, files in losses for fault in faults_after(told, "playhead.db", files, folder)]
    assert faults
    assert all("was answered" in fault for fault in faults)  # and nothing is damaged


def test_on_a_disk_that_reorders_writes_the_same_check_finds_damage(database_path: Path, tmp_path: Path):
    events = record(database_path, 0).events
    database, _ = numbers_of(events)
    lied = [each for each in events if not (isinstance(each, Sync) and each.file == database)]
    folder = tmp_path / "after"
    folder.mkdir()
    losses = losses_of_power(lied, [0])
    faults = [fault for told, files in losses for fault in faults_after(told, "playhead.db", files, folder)]
    assert any("damaged" in fault for fault in faults)
