"""Full load with concurrent scans, backups and new users in separate processes: no client ever gets a lock error.

It takes 30 seconds in `make soak`, and 8 in `make test-long`, in which all three commands run several times.
"""

import asyncio
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection, insert, literal, select

from clips import write_clip
from ledger import Line, report, stock
from playhead.storage import schema
from playhead.storage.engine.sqlite import SQLiteDatabase
from server import Server
from world import LIBRARY

pytestmark = pytest.mark.long

MIB = 1024 * 1024
LONGEST_LOG_BYTES = 64 * MIB

CLIENTS = 64
READS_EVERY = 4
MOVIES = [f"00000000-0000-4000-8000-{number:012}" for number in range(2000)]
WATCHERS = 50
CLIPS = 40


def stock_history(connection: Connection) -> None:
    """Add users who have watched every movie, so that a backup has 100,000 rows to copy and to check."""
    users = [f"20000000-0000-4000-8000-{number:012}" for number in range(WATCHERS)]
    account = {"role": "member", "password_hash": "", "created_at": 0}
    connection.execute(insert(schema.account), [account | {"id": user, "name": user} for user in users])
    connection.execute(insert(schema.login), [{"name": user, "user_id": user} for user in users])
    watched = {"position_ms": 60_000, "duration_ms": 600_000, "last_watched_at": 1, "version": 1, "changed_at": 1}
    watched |= {"watched": False, "armed": True, "completed_marked": False}
    rows = select(schema.account.c.id, schema.holding.c.item_id, *map(literal, watched.values()))
    rows = rows.join_from(schema.account, schema.holding, schema.holding.c.library_id == LIBRARY)
    rows = rows.where(schema.account.c.id.in_(users))
    connection.execute(insert(schema.progress).from_select(["user_id", "item_id", *watched], rows))


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    write_clip(folder / "Film 0 (2000).mkv")
    return folder


@pytest.fixture
def token(server: Server, clips: Path) -> str:
    """The token of an admin in an installation with a large history, and a library of clips to scan."""
    made = stock(server.settings, MOVIES)
    database = SQLiteDatabase(server.data / "playhead.db")
    database.write_blocking(stock_history)
    database.close_blocking()
    server.command("library", "add", "Clips", str(clips), "--kind", "movies")
    server.start()
    return made


class Load:
    """Clients that save and read as fast as answers arrive, and the answers by status."""

    def __init__(self, url: str, token: str) -> None:
        self.answers: Counter[int] = Counter()
        self._url = url
        self._token = token

    def run(self, act: Callable[[], object]) -> None:
        """Run until `act`, on another thread, has returned. Raises OSError or EOFError if there is no answer."""
        asyncio.run(self._run(act))

    async def _run(self, act: Callable[[], object]) -> None:
        acting = asyncio.ensure_future(asyncio.to_thread(act))
        async with asyncio.TaskGroup() as clients:
            for number in range(CLIENTS):
                clients.create_task(self._ask(number, acting))
        await acting

    async def _ask(self, number: int, acting: "asyncio.Future[object]") -> None:
        random = Random(number)  # noqa: S311 - to be repeated
        line = await Line.open(self._url, self._token)
        for turn in count(1):
            if acting.done():
                break
            path = f"/api/v1/playback/movie/{random.choice(MOVIES)}"
            ways = ("GET", path) if turn % READS_EVERY == 0 else ("POST", path, report(turn))
            status, _ = await line.ask(*ways)
            self.answers[status] += 1
        line.close()


class Watch:
    """The maximum length of the log of the server's database, sampled a hundred times a second."""

    def __init__(self, server: Server) -> None:
        self._log = server.data / "playhead.db-wal"
        self.longest = 0

    def until(self, ended: threading.Event) -> None:
        while not ended.wait(0.01):
            self.longest = max(self.longest, self._log.stat().st_size)


def renew(clips: Path, number: int) -> None:
    """Replace films in the folder: some new ones, and fewer of the old ones."""
    first = clips / "Film 0 (2000).mkv"
    for old in clips.glob(f"Clip {number - 2} *"):
        old.unlink()
    for each in range(CLIPS):
        shutil.copy(first, clips / f"Clip {number} {each} (2001).mkv")


def test_clients_get_no_error_during_scans_backups_and_new_users(
    server: Server, token: str, clips: Path, tmp_path: Path, *, soak: bool
):
    seconds = 30 if soak else 8
    load = Load(server.url, token)
    watch = Watch(server)
    done: Counter[str] = Counter()

    def again_and_again(name: str, act: Callable[[int], Any]) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until or not done[name]:
            act(done[name])
            done[name] += 1

    def scan(number: int) -> None:
        renew(clips, number)
        server.command("scan")

    def back_up(_: int) -> None:
        server.command("db", "backup", str(tmp_path / "copy.db"), "--force")

    def add_user(number: int) -> None:
        server.command("user", "add", f"user{number}", "--password-stdin", stdin="correct horse\n")

    def disturb() -> None:
        ended = threading.Event()
        with ThreadPoolExecutor(4) as threads:
            watching = threads.submit(watch.until, ended)
            acts = {"scan": scan, "backup": back_up, "user": add_user}
            waited_for = [threads.submit(again_and_again, name, act) for name, act in acts.items()]
            raise_what_failed(waited_for, ended)
            watching.result()

    load.run(disturb)
    assert load.answers.keys() == {200}
    assert load.answers.total() > 100 * seconds
    assert 0 < watch.longest <= LONGEST_LOG_BYTES
    assert min(done[name] for name in ("scan", "backup", "user")) > 0
    assert server.query("SELECT count(*) FROM account") == [(1 + WATCHERS + done["user"],)]
    assert server.query("SELECT count(*) > 0 FROM media_file") == [(1,)]
    assert server.stop() == 0
    assert "Traceback" not in server.printed()
    assert server.command("db", "check").returncode == 0


def raise_what_failed(futures: Iterable[Any], ended: threading.Event) -> None:
    try:
        for future in futures:
            future.result()
    finally:
        ended.set()
