"""Notifications between processes, over a connection that goes silent: the listener notices without an error."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime

import psycopg
import pytest

from playhead.errors import Code, PlayheadError
from playhead.storage.engine.notifying import PostgresNotifier
from postgres import Cluster
from proxy import Fault, Moment, Proxy

SILENCE_S = 0.3
WITHIN_S = 20


class Background:
    """A task that runs until the test ends it."""

    _task: asyncio.Task[None]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not condition():  # noqa: ASYNC110 - simpler than an event for each
                await asyncio.sleep(0.01)

    async def end(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


class Listener(Background):
    """What one process receives, and how often it started to listen."""

    def __init__(self, notifier: PostgresNotifier) -> None:
        self.heard: list[str] = []
        self.began = 0
        self._task = asyncio.create_task(notifier.listen(self.heard.append, self._begin))

    def _begin(self) -> None:
        self.began += 1

    async def until_begun(self, times: int) -> None:
        await self.until(lambda: self.began >= times)

    async def until_heard(self, text: str) -> None:
        await self.until(lambda: text in self.heard)


class Watcher(Background):
    """What one process reads of a sequence, and what it is asked before."""

    def __init__(self, notifier: PostgresNotifier, period_s: float) -> None:
        self.is_wanted = True
        self.begun = 0
        self.seen: list[tuple[int, int]] = []
        query = "SELECT last_value FROM watched"
        self._task = asyncio.create_task(notifier.watch(query, period_s, self._begin, self._see))

    def _begin(self) -> int | None:
        self.begun += 1
        return self.begun if self.is_wanted else None

    def _see(self, number: int, begun: int) -> None:
        self.seen.append((number, begun))


@pytest.fixture
def sequence(cluster: Cluster) -> Iterator[None]:
    """A number that transactions can raise, at 1."""
    cluster.run_sql("CREATE SEQUENCE watched")
    yield
    cluster.run_sql("DROP SEQUENCE watched")


async def last_statement_of_listener(cluster: Cluster) -> datetime:
    """Return when the only other connection to the database last started a statement."""
    async with await psycopg.AsyncConnection.connect(cluster.url(), autocommit=True) as connection:
        query = """
            SELECT query_start FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND query_start IS NOT NULL
        """
        rows = await (await connection.execute(query)).fetchall()
    return max(began for (began,) in rows)


@pytest.mark.anyio
async def test_an_idle_listener_probes_its_connection_and_keeps_it(cluster: Cluster):
    notifier = PostgresNotifier(cluster.url(), "calm", silence_s=SILENCE_S)
    listener = Listener(notifier)
    await listener.until_begun(1)
    asked = {await last_statement_of_listener(cluster)}
    async with asyncio.timeout(WITHIN_S):
        while len(asked) < 3:
            asked.add(await last_statement_of_listener(cluster))
    await notifier.notify(["a", "b"])
    await listener.until_heard("b")
    assert listener.heard == ["a", "b"]
    assert listener.began == 1
    await listener.end()
    await notifier.close()


@pytest.mark.anyio
@pytest.mark.parametrize("fault", Fault)
async def test_a_listener_whose_connection_fails_reconnects_and_says_so(cluster: Cluster, fault: Fault):
    direct = PostgresNotifier(cluster.url(), "failing")
    with Proxy(cluster.port) as proxy:
        url = cluster.url().replace(f":{cluster.port}/", f":{proxy.port}/")
        listener = Listener(PostgresNotifier(url, "failing", silence_s=SILENCE_S))
        await listener.until_begun(1)
        proxy.strike(fault, Moment.ANY)
        await listener.until_begun(2)
        await direct.notify(["then"])
        await listener.until_heard("then")
        await listener.end()
    await direct.close()


@pytest.mark.anyio
async def test_a_notification_into_a_silent_connection_fails_and_the_next_one_is_sent(cluster: Cluster):
    with Proxy(cluster.port) as proxy:
        url = cluster.url().replace(f":{cluster.port}/", f":{proxy.port}/")
        notifier = PostgresNotifier(url, "failing", silence_s=SILENCE_S)
        await notifier.notify(["before"])
        proxy.strike(Fault.STALL, Moment.ANY)
        with pytest.raises(PlayheadError) as caught:
            await notifier.notify(["never"])
        assert caught.value.code is Code.UNAVAILABLE
        await notifier.notify(["then"])
        await notifier.close()


@pytest.mark.anyio
@pytest.mark.usefixtures("sequence")
async def test_a_watcher_reads_as_soon_as_a_commit_signals(cluster: Cluster):
    watcher = Watcher(PostgresNotifier(cluster.url(), "watching"), period_s=600)
    await watcher.until(lambda: watcher.seen == [(1, 1)])
    with psycopg.connect(cluster.url()) as connection:
        connection.execute("SELECT setval('watched', 5)")
        connection.execute("SELECT pg_notify('watching', '')")
    await watcher.until(lambda: watcher.seen == [(1, 1), (5, 2)])
    await watcher.end()


@pytest.mark.anyio
@pytest.mark.usefixtures("sequence")
async def test_a_watcher_reads_regularly_what_nobody_signals_and_only_while_it_is_wanted(cluster: Cluster):
    watcher = Watcher(PostgresNotifier(cluster.url(), "watching"), period_s=0.05)
    cluster.run_sql("SELECT setval('watched', 5)")
    await watcher.until(lambda: bool(watcher.seen) and watcher.seen[-1][0] == 5)
    watcher.is_wanted = False
    await watcher.until(lambda: watcher.begun > watcher.seen[-1][1] + 3)
    read = len(watcher.seen)
    begun = watcher.begun
    await watcher.until(lambda: watcher.begun > begun + 3)
    assert len(watcher.seen) == read
    await watcher.end()


@pytest.mark.anyio
@pytest.mark.usefixtures("sequence")
@pytest.mark.parametrize("fault", Fault)
async def test_a_watcher_whose_wire_fails_reads_again(cluster: Cluster, fault: Fault):
    with Proxy(cluster.port) as proxy:
        url = cluster.url().replace(f":{cluster.port}/", f":{proxy.port}/")
        watcher = Watcher(PostgresNotifier(url, "watching", silence_s=SILENCE_S), period_s=0.05)
        await watcher.until(lambda: bool(watcher.seen))
        proxy.strike(fault, Moment.ANY)
        await watcher.until(lambda: proxy.struck == 1)
        cluster.run_sql("SELECT setval('watched', 5)")
        await watcher.until(lambda: watcher.seen[-1][0] == 5)
        await watcher.end()
