"""What a process on PostgreSQL believes of tokens that another process revokes, over a wire that may fail.

The seconds of the credential cache pass only when a test says so: while they stand still nothing becomes stale, so a
token that is no longer known has been heard of.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import count
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest

from fakes import Clock, Ids, Stopwatch
from playhead.bootstrap import open_installation
from playhead.config import Settings
from playhead.domain.model import Role
from playhead.services.accounts import Accounts
from playhead.services.credentials import Credentials
from playhead.services.passwords import Passwords
from playhead.services.sign_ins import SignIns
from playhead.storage.accounts import REVOCATIONS_CHANNEL
from playhead.storage.engine.database import Connection
from playhead.storage.engine.notifying import PostgresNotifier
from playhead.storage.engine.postgres import PostgresDatabase
from postgres import Cluster
from proxy import Proxy

T = TypeVar("T")

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse"
HERE = "192.0.2.1"
WITHIN_S = 30
SILENCE_S = 0.3


class CountingDatabase(PostgresDatabase):
    """Counts the statements that look up a token, or whether one was revoked."""

    looked_up = 0

    async def read_inline(self, fn: Callable[[Connection], T]) -> T:
        self.looked_up += 1
        return await super().read_inline(fn)


class Process:
    """One of the server processes on a database."""

    def __init__(self, url: str, passwords: Passwords, clock: Clock, ids: Ids, numbers: Iterator[int]) -> None:
        self.database = CountingDatabase(url)
        self.stopwatch = Stopwatch()
        self.credentials = Credentials(
            self.database, clock=clock, monotonic=self.stopwatch, new_id=ids, new_digits=lambda: f"{next(numbers):032x}"
        )
        self.sign_ins = SignIns(self.database, self.credentials, passwords, clock=clock, new_id=ids)
        self.accounts = Accounts(self.database, self.credentials, passwords, clock=clock, new_id=ids)

    async def until_known(self, token: str) -> None:
        """Wait until a player with this token needs no look-up."""
        await until(lambda: self.credentials.known_principal(token) is not None)

    async def until_unknown(self, token: str) -> None:
        """Wait until this token is no longer believed."""
        await until(lambda: self.credentials.known_principal(token) is None)

    async def close(self) -> None:
        await self.credentials.close()
        await self.database.close()


class OnlyWhenTold:
    """Reads the epoch at the beginning and when a commit signals, never because time has passed."""

    def __init__(self, url: str) -> None:
        self._notifier = PostgresNotifier(url, REVOCATIONS_CHANNEL)

    async def watch(
        self, query: str, _period_s: float, begin: Callable[[], T | None], seen: Callable[[int, T], None]
    ) -> None:
        await self._notifier.watch(query, 600, begin, seen)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not condition():  # noqa: ASYNC110 - simpler than an event for each
            await asyncio.sleep(0.01)


@pytest.fixture
async def processes(postgres_url: str, anyio_backend: str) -> AsyncIterator[tuple[Process, Process]]:  # noqa: ARG001
    """Where things are revoked, and the process that has to hear of it; it does not listen yet."""
    passwords, clock, ids, numbers = Passwords(memory_kib=64), Clock(), Ids(), count(1)
    here, elsewhere = (Process(postgres_url, passwords, clock, ids, numbers) for _ in range(2))
    yield here, elsewhere
    await elsewhere.close()
    await here.close()
    passwords.close()


async def sign_in(process: Process) -> str:
    await process.accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    token, _ = await process.sign_ins.sign_in("Ana", PASSWORD, HERE)
    return token


async def sign_out(process: Process, token: str) -> None:
    principal = await process.credentials.authenticate(token)
    assert principal is not None
    await process.sign_ins.sign_out(principal)


async def test_a_player_that_reports_every_ten_seconds_needs_no_look_up(
    processes: tuple[Process, Process], postgres_url: str
):
    _, process = processes
    token = await sign_in(process)
    process.credentials.keep_fresh(PostgresNotifier(postgres_url, REVOCATIONS_CHANNEL))
    principal = await process.credentials.authenticate(token)
    looked_up = process.database.looked_up
    for _ in range(5):
        process.stopwatch.seconds += 10
        await process.until_known(token)
        assert await process.credentials.authenticate(token) == principal
    assert process.database.looked_up == looked_up
    process.stopwatch.seconds += 60  # nobody watches: the epoch is no longer read
    assert process.credentials.known_principal(token) is None


@pytest.mark.parametrize(
    "change", ["signed out", "user removed", "user demoted", "password changed", "token revoked", "sessions ended"]
)
async def test_a_commit_that_revokes_is_heard_by_every_process(
    processes: tuple[Process, Process], postgres_url: str, change: str
):
    here, elsewhere = processes
    token = await sign_in(here)
    api_token, stored = await here.accounts.create_token((await here.accounts.list_users())[0].id, "television")
    principal = await here.credentials.authenticate(api_token)
    assert principal is not None
    changes: dict[str, Callable[[], Awaitable[object]]] = {
        "signed out": lambda: sign_out(here, token),
        "user removed": lambda: here.accounts.remove_user(stored.user_id),
        "user demoted": lambda: here.accounts.change_user(stored.user_id, role=Role.CHILD),
        "password changed": lambda: here.accounts.change_user(stored.user_id, password="battery staple"),
        "token revoked": lambda: here.accounts.revoke_token(stored.user_id, stored.id),
        "sessions ended": lambda: here.sign_ins.end_other_sessions(principal),
    }
    for each in (token, api_token):
        await elsewhere.credentials.authenticate(each)
    elsewhere.credentials.keep_fresh(OnlyWhenTold(postgres_url))
    elsewhere.stopwatch.seconds += 10
    await elsewhere.until_known(token)  # it listens
    await changes[change]()
    for each in (token, api_token):
        await elsewhere.until_unknown(each)
        assert await elsewhere.credentials.authenticate(each) == await here.credentials.authenticate(each)


async def test_a_listener_that_is_ended_listens_again(
    processes: tuple[Process, Process], postgres_url: str, cluster: Cluster
):
    here, elsewhere = processes
    token = await sign_in(here)
    await elsewhere.credentials.authenticate(token)
    elsewhere.credentials.keep_fresh(PostgresNotifier(postgres_url, REVOCATIONS_CHANNEL))
    elsewhere.stopwatch.seconds += 10
    await elsewhere.until_known(token)
    cluster.run_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'playhead events'")
    elsewhere.stopwatch.seconds += 10
    looked_up = elsewhere.database.looked_up
    await elsewhere.until_known(token)
    assert elsewhere.database.looked_up == looked_up
    await sign_out(here, token)
    await elsewhere.until_unknown(token)
    assert await elsewhere.credentials.authenticate(token) is None


async def test_over_a_wire_that_is_silent_nothing_is_believed_for_a_second(
    processes: tuple[Process, Process], postgres_url: str, cluster: Cluster
):
    here, elsewhere = processes
    token = await sign_in(here)
    lasting, _ = await here.sign_ins.sign_in("Ana", PASSWORD, HERE)
    for each in (token, lasting):
        await elsewhere.credentials.authenticate(each)
    with Proxy(cluster.port) as proxy:
        url = postgres_url.replace(f":{cluster.port}/", f":{proxy.port}/")
        elsewhere.credentials.keep_fresh(PostgresNotifier(url, REVOCATIONS_CHANNEL, silence_s=SILENCE_S))
        elsewhere.stopwatch.seconds += 10
        await elsewhere.until_known(token)
        proxy.cut()
        await sign_out(here, token)
        elsewhere.stopwatch.seconds += 0.9
        assert elsewhere.credentials.known_principal(token) is None
        assert elsewhere.credentials.known_principal(lasting) is None
        assert await elsewhere.credentials.authenticate(token) is None
        assert await elsewhere.credentials.authenticate(lasting) is not None
        proxy.mend()
        elsewhere.stopwatch.seconds += 10
        looked_up = elsewhere.database.looked_up
        await elsewhere.until_known(lasting)
        assert elsewhere.database.looked_up == looked_up
        assert elsewhere.credentials.known_principal(token) is None
        await sign_out(here, lasting)
        await elsewhere.until_unknown(lasting)
        await elsewhere.credentials.close()


async def test_an_installation_watches_until_it_is_closed(tmp_path: Path, postgres_url: str, cluster: Cluster):
    def listening() -> int:
        with psycopg.connect(cluster.url()) as connection:
            [(number,)] = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'playhead events' AND query LIKE %s",
                ["%credential_epoch%"],
            )
            return int(number)

    def ignore(_reason: str) -> None: ...

    settings = Settings(data=tmp_path / "data", database=postgres_url)
    async with open_installation(settings, on_failure=ignore, password_memory_kib=64) as installation:
        await installation.accounts.create_user("Ana", PASSWORD, Role.MEMBER)
        token, _ = await installation.sign_ins.sign_in("Ana", PASSWORD, HERE)
        await installation.credentials.authenticate(token)
        await until(lambda: listening() == 1)
    await until(lambda: listening() == 0)
