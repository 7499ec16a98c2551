"""The database on SQLite: transactions, readers, other processes, the size of the log, failing disks, refusals."""

import asyncio
import shutil
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue

import apsw
import pytest
from sqlalchemy import Connection, bindparam, exc, func, insert, select

from disks import faulty_disk
from fakes import settle
from playhead.errors import Code, PlayheadError, unavailable
from playhead.storage.engine import apsw_dbapi
from playhead.storage.engine.database import Prepared, StorageRefused
from playhead.storage.engine.sqlite import LogLimits, SQLiteDatabase
from playhead.storage.engine.sqlite_requirements import (
    filesystem_type,
    is_network_filesystem,
    is_wal_sound,
    require_sound_library,
)
from playhead.storage.schema import account, library_access, login

MIB = 1024 * 1024


@pytest.fixture
def engine() -> str:
    return "sqlite"


ADD = Prepared(insert(login).values(name=bindparam("name"), user_id=bindparam("user_id")))


def add(name: str, user_id: str = "u") -> Callable[[Connection], None]:
    return lambda connection: ADD.run(connection, [(name, user_id)]) and None


def names(connection: Connection) -> list[str]:
    return list(connection.scalars(select(login.c.name).order_by(login.c.name)))


def refused(act: Callable[[], object]) -> Code:
    with pytest.raises(PlayheadError) as caught:
        act()
    return caught.value.code


def copy_as_it_is(path: Path) -> Path:
    copy = path.with_name("copy.db")
    shutil.copy(path, copy)
    shutil.copy(f"{path}-wal", f"{copy}-wal")
    return copy


def overwrite_the_last_pages(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-20 * 4096 :] = b"\xff" * (20 * 4096)
    path.write_bytes(content)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "waited for nothing"
        time.sleep(0.002)


def size_once_still(database: Path) -> int:
    """Return the size of the log once it has stayed the same for a hundred reads."""
    size, looks = log_size(database), 0
    deadline = time.monotonic() + 60
    while looks < 100:
        assert time.monotonic() < deadline, "it never stops growing"
        time.sleep(0.005)
        before, size = size, log_size(database)
        looks = looks + 1 if size == before else 0
    return size


# Transactions


@pytest.mark.anyio
async def test_what_is_written_can_be_read_also_inline(database: SQLiteDatabase):
    await database.write(add("ana"))
    assert await database.read(names) == ["ana"]
    assert await database.read_inline(names) == ["ana"]
    await database.write(add("ben"))
    assert await database.read_inline(names) == ["ana", "ben"]


@pytest.mark.anyio
async def test_an_exception_rolls_everything_back_and_reaches_the_caller(database: SQLiteDatabase):
    def add_and_fail(connection: Connection) -> None:
        add("ana")(connection)
        raise LookupError("of the function")

    with pytest.raises(LookupError, match="of the function"):
        await database.write(add_and_fail)
    await database.write(add("ben"))
    assert await database.read(names) == ["ben"]


@pytest.mark.anyio
async def test_a_violated_constraint_is_raised_unchanged(database: SQLiteDatabase):
    await database.write(add("ana"))
    with pytest.raises(exc.IntegrityError):
        await database.write(add("ana"))
    orphan = insert(library_access).values(user_id="nobody", library_id="l", granted_at=1)
    with pytest.raises(exc.IntegrityError):
        await database.write(lambda connection: connection.execute(orphan))
    assert database.failure is None


@pytest.mark.anyio
async def test_a_committed_transaction_survives_a_crash_immediately_after(
    database: SQLiteDatabase, database_path: Path
):
    await database.write(add("ana"))
    # The files now hold what a machine finds after a power loss: nothing has been checkpointed yet.
    after = SQLiteDatabase(copy_as_it_is(database_path))
    assert await after.read(names) == ["ana"]
    await after.close()


def test_commits_are_synchronous_and_foreign_keys_enforced(blocking_database: SQLiteDatabase):
    def pragmas(connection: Connection) -> list[object]:
        wanted = ("journal_mode", "synchronous", "foreign_keys", "wal_autocheckpoint")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in wanted]

    assert blocking_database.write_blocking(pragmas) == ["wal", 2, 1, 0]


@pytest.mark.anyio
@pytest.mark.parametrize("way", ["read", "read_inline"])
async def test_readers_cannot_write(database: SQLiteDatabase, way: str):
    with pytest.raises(exc.OperationalError, match="READONLY"):
        await getattr(database, way)(add("ana"))
    assert await database.read(names) == []
    assert database.failure is None


@pytest.mark.anyio
async def test_a_read_sees_one_snapshot_while_others_write(database: SQLiteDatabase):
    def count_twice(connection: Connection) -> tuple[list[str], list[str]]:
        before = names(connection)
        database.write_blocking(add("ana"))
        return before, names(connection)

    assert await database.read(count_twice) == ([], [])
    assert await database.read(names) == ["ana"]


@pytest.mark.anyio
async def test_four_reads_run_in_parallel(database: SQLiteDatabase):
    barrier = threading.Barrier(4)
    waits = [database.read(lambda _connection: barrier.wait(timeout=60)) for _ in range(4)]
    assert sorted(await asyncio.gather(*waits)) == [0, 1, 2, 3]


@pytest.mark.anyio
async def test_writes_run_one_after_another_in_order(database: SQLiteDatabase):
    await asyncio.gather(*(database.write(add(f"{n:02}", str(n))) for n in range(50)))
    inserted = await database.read(lambda c: list(c.scalars(select(login.c.user_id).order_by(login.c.name))))
    assert inserted == [str(n) for n in range(50)]


@pytest.mark.anyio
async def test_a_cancelled_caller_does_not_undo_a_write_that_has_started(database: SQLiteDatabase):
    begun, go_on = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        begun.set()
        go_on.wait(10)
        add("ana")(connection)

    task = asyncio.create_task(database.write(slow))
    await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    await database.write(add("ben"))
    assert await database.read(names) == ["ana", "ben"]


@pytest.mark.anyio
async def test_an_inline_read_runs_on_the_calling_thread_and_the_next_one_on_another(database: SQLiteDatabase):
    assert await database.read_inline(lambda _connection: threading.current_thread()) is threading.current_thread()
    await asyncio.sleep(0)  # a snapshot is held for one iteration of the event loop
    inside, go_on = threading.Event(), threading.Event()

    def stay(_connection: Connection) -> str:
        inside.set()
        go_on.wait(10)
        return threading.current_thread().name

    with ThreadPoolExecutor(1, "other-loop") as pool:
        other = pool.submit(lambda: asyncio.run(database.read_inline(stay)))
        inside.wait(10)
        elsewhere = await database.read_inline(lambda _connection: threading.current_thread().name)
        go_on.set()
        assert other.result().startswith("other-loop")
    assert elsewhere.startswith("playhead-reader")


@pytest.mark.anyio
async def test_an_inline_read_that_finds_a_lock_is_repeated_on_a_reader_thread(database: SQLiteDatabase):
    here = threading.current_thread()

    def busy_here(_connection: Connection) -> str:
        if threading.current_thread() is here:
            raise apsw_dbapi.translated(apsw.exception_for(apsw.SQLITE_BUSY_RECOVERY))
        return "read"

    assert await database.read_inline(busy_here) == "read"


@pytest.mark.anyio
async def test_a_partially_fetched_inline_read_keeps_no_snapshot_beyond_its_iteration(
    database: SQLiteDatabase, database_path: Path
):
    await database.write(lambda connection: [add(name)(connection) for name in "abc"])
    kept = await database.read_inline(lambda connection: connection.execute(select(login)))
    await asyncio.sleep(0)
    with closing(apsw.Connection(str(database_path))) as other:
        other.execute("SELECT count(*) FROM login").fetchall()
        assert other.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE) == (0, 0)
    assert len(kept.all()) == 3


@pytest.mark.anyio
async def test_an_inline_read_after_a_write_sees_what_was_written(database: SQLiteDatabase):
    async def write_and_read_inline(name: str) -> bool:
        await database.write(add(name))
        return name in await database.read_inline(names)

    async def read_inline_all_the_time() -> None:
        for _ in range(300):
            await database.read_inline(names)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        group.create_task(read_inline_all_the_time())
        seen = [group.create_task(write_and_read_inline(f"{number}")) for number in range(50)]
    assert all(task.result() for task in seen)


@pytest.mark.anyio
async def test_a_batch_is_durable_and_rolled_back_completely_on_failure(database: SQLiteDatabase):
    def add_and_fail(connection: Connection) -> None:
        add("ben")(connection)
        raise LookupError

    await database.commit_batch(add("ana"))
    with pytest.raises(LookupError):
        await database.commit_batch(add_and_fail)
    assert await database.read(names) == ["ana"]


@pytest.mark.anyio
async def test_a_batch_waits_for_another_process_without_blocking_the_event_loop(
    database: SQLiteDatabase, database_path: Path
):
    with closing(apsw.Connection(str(database_path))) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(database.commit_batch(add("ana")))
        for _ in range(20):
            await asyncio.sleep(0.004)
        assert not waiting.done()
        other.execute("ROLLBACK")
        await waiting
    assert await database.read_inline(names) == ["ana"]


@pytest.mark.anyio
async def test_concurrent_batches_and_writes_lose_nothing(database: SQLiteDatabase):
    async with asyncio.TaskGroup() as group:
        for number in range(100):
            group.create_task((database.commit_batch if number % 3 else database.write)(add(f"{number:03}")))
    assert await database.read(names) == [f"{number:03}" for number in range(100)]


@pytest.mark.anyio
async def test_cancelling_a_batch_leaves_the_writer_free(database: SQLiteDatabase):
    given_up = asyncio.create_task(database.commit_batch(add("ana")))
    await asyncio.sleep(0)
    given_up.cancel()
    await database.commit_batch(add("ben"))
    assert "ben" in await database.read(names)


@pytest.mark.anyio
async def test_after_closing_everything_is_refused_and_no_files_remain_beside_the_database(
    database: SQLiteDatabase, database_path: Path
):
    await database.write(add("ana"))
    waiting = [asyncio.create_task(database.write(add(f"{n}"))) for n in range(5)]
    await asyncio.sleep(0)
    await database.close()
    await asyncio.gather(*waiting)
    for method in (database.read, database.read_inline, database.write):
        with pytest.raises(PlayheadError) as caught:
            await method(names)
        assert caught.value.code is Code.UNAVAILABLE
    await database.close()
    assert [entry.name for entry in database_path.parent.iterdir()] == [database_path.name]


# Other processes

WRITER = """
import sys
from pathlib import Path
from sqlalchemy import insert
from playhead.storage.schema import login
from playhead.storage.engine.sqlite import SQLiteDatabase

database = SQLiteDatabase(Path(sys.argv[1]))
for n in range(int(sys.argv[3])):
    row = {"name": f"{sys.argv[2]}{n}", "user_id": "u"}
    database.write_blocking(lambda connection: connection.execute(insert(login), row))
database.close_blocking()
"""


@pytest.mark.anyio
async def test_several_processes_write_concurrently_and_none_sees_a_lock(database: SQLiteDatabase, database_path: Path):
    arguments = [sys.executable, "-W", "error", "-c", WRITER, str(database_path)]
    others = [await asyncio.create_subprocess_exec(*arguments, name, "200") for name in ("one-", "two-")]
    written = 0
    while any(process.returncode is None for process in others) or written < 200:
        await database.write(add(f"own-{written}"))
        await database.read_inline(names) if written % 20 == 0 else None
        written += 1
    assert [await process.wait() for process in others] == [0, 0]
    assert await database.read(lambda c: c.scalar(select(func.count()).select_from(login))) == written + 400


@pytest.mark.anyio
async def test_waiting_for_another_process_does_not_block_the_event_loop(database: SQLiteDatabase, database_path: Path):
    with closing(apsw.Connection(str(database_path))) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(database.write(add("ana")))
        for _ in range(50):
            await asyncio.sleep(0.004)
        assert not waiting.done()
        other.execute("ROLLBACK")
        await waiting
    assert await database.read_inline(names) == ["ana"]


def test_a_lock_that_is_never_released_is_unavailable_after_the_timeout(database_path: Path):
    database = SQLiteDatabase(database_path, busy_timeout_ms=50)
    with closing(apsw.Connection(str(database_path))) as other:
        other.execute("BEGIN IMMEDIATE")
        assert refused(lambda: database.write_blocking(add("ana"))) is Code.UNAVAILABLE
        assert database.read_blocking(names) == []
        other.execute("ROLLBACK")
    database.write_blocking(add("ana"))
    assert database.failure is None
    database.close_blocking()


# The write-ahead log


def log_size(path: Path) -> int:
    return path.with_name(f"{path.name}-wal").stat().st_size


def write_a_mebibyte(database: SQLiteDatabase, number: int) -> None:
    text = chr(ord("a") + number % 26) * MIB
    database.write_blocking(
        lambda connection: (
            connection.execute(account.delete()),
            connection.execute(
                insert(account).values(id="u", name=text, role="member", password_hash="", created_at=number)
            ),
        )
    )


def test_beside_a_reader_that_holds_a_snapshot_only_some_small_writes_wait_for_it(database_path: Path):
    limits = LogLimits(checkpoint=8, further=8, restart=16, most=32, room=60, wait_s=0.5)
    database = SQLiteDatabase(database_path, limits=limits)
    held, let_go = threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        connection.scalar(select(func.count()).select_from(account))
        held.set()
        let_go.wait(300)

    def write(number: int) -> float:
        began = time.monotonic()
        database.write_blocking(
            lambda connection: connection.execute(
                insert(account).values(id=str(number), name="", role="member", password_hash="", created_at=0)
            )
        )
        return time.monotonic() - began

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(database.read_blocking, hold)
        held.wait(30)
        took_s = [write(number) for number in range(60)]
        let_go.set()
        reading.result()
    database.close_blocking()
    waited = sum(each_s >= limits.wait_s for each_s in took_s)
    assert 0 < waited <= 10  # not each of the thirty or so that find the log too long


def test_the_log_stays_small_while_readers_are_short(blocking_database: SQLiteDatabase, database_path: Path):
    sizes: list[int] = []
    for number in range(100):
        write_a_mebibyte(blocking_database, number)
        blocking_database.read_blocking(lambda connection: connection.scalar(select(account.c.created_at)))
        sizes.append(log_size(database_path))
    assert max(sizes) <= 24 * MIB


def test_a_reader_that_holds_a_snapshot_cannot_let_the_log_grow_beyond_64_mib(
    blocking_database: SQLiteDatabase, database_path: Path
):
    holds, let_go = threading.Event(), threading.Event()

    def hold(connection: Connection) -> object:
        connection.scalar(select(func.count()).select_from(account))
        holds.set()
        let_go.wait(30)
        return connection.scalar(select(account.c.id))

    with ThreadPoolExecutor(2) as pool:
        held = pool.submit(blocking_database.read_blocking, hold)
        assert holds.wait(30)
        load = pool.submit(lambda: [write_a_mebibyte(blocking_database, number) for number in range(100)])
        wait_until(lambda: log_size(database_path) >= 48 * MIB)
        largest = size_once_still(database_path)
        assert not load.done()
        let_go.set()
        assert held.result() is None
        load.result()
    assert largest <= 64 * MIB
    assert log_size(database_path) <= 64 * MIB
    # The next restart of the log gives the space back.
    for number in range(20):
        write_a_mebibyte(blocking_database, number)
    wait_until(lambda: log_size(database_path) <= 24 * MIB)


# Failing disks


@pytest.mark.anyio
@pytest.mark.parametrize("code", [apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_WRITE, apsw.SQLITE_CORRUPT])
async def test_a_failed_commit_stops_the_database_permanently(database_path: Path, code: int):
    reasons: SimpleQueue[str] = SimpleQueue()
    with faulty_disk() as disk:
        database = SQLiteDatabase(database_path, vfs=disk.vfs, on_failure=reasons.put)
        await database.write(add("ana"))
        if code == apsw.SQLITE_IOERR_FSYNC:
            disk.sync_error = code
        else:
            disk.write_error = code
        begun = threading.Event()

        def wait_for_others(connection: Connection) -> None:
            begun.wait(10)
            add("ben")(connection)

        waiting = [database.write(wait_for_others), *(database.write(add(f"{n}")) for n in range(5))]
        gathered = asyncio.gather(*waiting, return_exceptions=True)
        await settle()
        begun.set()
        outcomes = await gathered
        assert [type(outcome) for outcome in outcomes] == [PlayheadError] * 6
        assert {outcome.code for outcome in outcomes if isinstance(outcome, PlayheadError)} == {Code.UNAVAILABLE}

        # A disk that works again changes nothing: lost writes are lost.
        disk.sync_error = disk.write_error = None
        synced = disk.syncs
        for method in (database.read, database.read_inline, database.write):
            with pytest.raises(PlayheadError):
                await method(names)
        await database.close()
        assert disk.syncs == synced  # nor did closing checkpoint
    assert reasons.qsize() == 1
    assert apsw.mapping_result_codes[code & 0xFF] in reasons.get()

    # The next process recovers by the log's checksums. Acknowledged writes are there.
    after = SQLiteDatabase(database_path)
    assert "ana" in await after.read(names)
    await after.close()


@pytest.mark.anyio
async def test_a_failure_that_the_function_swallows_still_stops_the_database(database_path: Path):
    reasons: SimpleQueue[str] = SimpleQueue()
    with faulty_disk() as disk:
        database = SQLiteDatabase(database_path, vfs=disk.vfs, on_failure=reasons.put)

        def swallow(connection: Connection) -> str:
            # More than the page cache can hold, so that pages are written before the commit.
            disk.write_error = apsw.SQLITE_IOERR_WRITE
            try:
                for number in range(20):
                    add(f"{number}" * MIB)(connection)
            except exc.OperationalError:
                return "all is well"
            return "nothing was written"

        with pytest.raises(PlayheadError):
            await database.write(swallow)
        disk.write_error = None
        await database.close()
    assert reasons.qsize() == 1


def test_a_failed_checkpoint_stops_the_database(database_path: Path):
    reasons: SimpleQueue[str] = SimpleQueue()
    with faulty_disk() as disk:
        database = SQLiteDatabase(database_path, vfs=disk.vfs, on_failure=reasons.put)

        disk.checkpoint_error = apsw.SQLITE_IOERR_FSYNC
        assert refused(lambda: [write_a_mebibyte(database, number) for number in range(40)]) is Code.UNAVAILABLE
        database.close_blocking()
    assert reasons.qsize() == 1
    assert "checkpoint" in reasons.get()


@pytest.mark.anyio
async def test_a_full_disk_refuses_saves_until_there_is_space_again(database_path: Path):
    reasons: SimpleQueue[str] = SimpleQueue()
    with faulty_disk() as disk:
        database = SQLiteDatabase(database_path, vfs=disk.vfs, on_failure=reasons.put)
        await database.write(add("ana"))
        disk.write_error = apsw.SQLITE_FULL
        for _ in range(3):
            with pytest.raises(PlayheadError) as caught:
                await database.write(add("ben"))
            assert caught.value.code is Code.UNAVAILABLE
        assert await database.read_inline(names) == ["ana"]
        disk.write_error = None
        await database.write(add("ben"))
        assert await database.read(names) == ["ana", "ben"]
        await database.close()
    assert reasons.empty()


@pytest.mark.anyio
async def test_a_damaged_file_stops_the_database_when_a_reader_finds_it(database_path: Path):
    database = SQLiteDatabase(database_path)
    await database.write(lambda connection: [add(f"{n:05}" * 20)(connection) for n in range(2000)])
    await database.close()
    overwrite_the_last_pages(database_path)
    reasons: SimpleQueue[str] = SimpleQueue()
    database = SQLiteDatabase(database_path, on_failure=reasons.put)
    with pytest.raises(PlayheadError):
        await database.read(names)
    await database.close()
    assert "CORRUPT" in reasons.get()


@pytest.mark.anyio
async def test_an_error_of_a_service_passes_through(database: SQLiteDatabase):
    def refuse(_connection: Connection) -> None:
        raise unavailable(7)

    for method in (database.read, database.write, database.read_inline):
        with pytest.raises(PlayheadError) as caught:
            await method(refuse)
        assert caught.value.retry_after_s == 7


# Refusals


@pytest.mark.parametrize(
    ("version", "sound"),
    [
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 54, 1), True),
        ((4, 0, 0), True),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 49, 9), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 45, 0), False),
        ((3, 40, 1), False),
        ((3, 7, 0), False),
    ],
)
def test_sqlite_versions_that_can_corrupt_a_log_are_recognised(version: tuple[int, ...], *, sound: bool):
    assert is_wal_sound(version) is sound


def test_the_installed_library_is_accepted():
    require_sound_library()


MOUNTS = r"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /mnt/media rw - cifs //nas/media rw
31 22 0:27 / /mnt/my\040nas rw master:3 - nfs4 nas:/export rw
32 31 254:1 / /mnt/my\040nas/disk rw - xfs /dev/vdb rw
33 22 0:30 / /home/ana/remote rw - fuse.sshfs ana@host: rw
34 22 0:31 / /mnt/over rw - nfs nas:/x rw
35 22 254:2 / /mnt/over rw - ext4 /dev/vdc rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/var/lib/playhead", "ext4"),
        ("/mnt/media", "cifs"),
        ("/mnt/media/deep/in", "cifs"),
        ("/mnt/mediathek", "ext4"),
        ("/mnt/my nas/data", "nfs4"),
        ("/mnt/my nas/disk/data", "xfs"),
        ("/home/ana/remote/x", "fuse.sshfs"),
        ("/mnt/over", "ext4"),
    ],
)
def test_the_file_system_of_a_folder_is_that_of_its_nearest_mount(folder: str, kind: str):
    assert filesystem_type(Path(folder), MOUNTS) == kind


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "fuse.rclone", "ceph"])
def test_a_network_file_system_is_recognised_by_its_type(kind: str):
    assert is_network_filesystem(kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "overlay", "tmpfs", "fuseblk", "fuse.mergerfs", None])
def test_a_local_file_system_is_accepted(kind: str | None):
    assert not is_network_filesystem(kind)


def test_a_missing_file_is_refused_with_its_name(tmp_path: Path):
    with pytest.raises(StorageRefused, match=r"playhead\.db"):
        SQLiteDatabase(tmp_path / "playhead.db")
    assert list(tmp_path.iterdir()) == []
