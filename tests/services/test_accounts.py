"""Accounts on a real database. Passwords are hashed with little memory to keep the tests fast."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from typing import TypeVar
from uuid import uuid4

import pytest
from sqlalchemy import func, insert, select

from fakes import Clock, Ids, Stopwatch
from playhead.domain.accounts import (
    FAILURES_OF_ADDRESS_ALLOWED,
    SIGN_INS_MAX,
    SIGN_INS_OF_ADDRESS_MAX,
    Principal,
    TokenKind,
    User,
    login_key,
)
from playhead.domain.model import Instant, LibraryId, Role, TokenId, UserId
from playhead.domain.tokens import TokenScope, form_token, token_hash, token_key
from playhead.errors import Code, PlayheadError, unavailable
from playhead.services import credential_cache
from playhead.services.accounts import Accounts, Ended
from playhead.services.passwords import Passwords
from playhead.storage import schema
from playhead.storage.engine.database import Connection, Database

T = TypeVar("T")

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse"
HERE = "192.0.2.1"
NOBODY = UserId("99999999-0000-4000-8000-000000000000")
DAY_MS = 86_400_000


class CountingDatabase:
    """A database that counts queries, can be full, and can be changed before a look-up returns."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.inline_reads = 0
        self.writes = 0
        self.is_full = False
        self.overtaken_by: Callable[[], Awaitable[object]] | None = None

    async def read(self, fn: Callable[[Connection], T]) -> T:
        return await self._database.read(fn)

    async def read_inline(self, fn: Callable[[Connection], T]) -> T:
        self.inline_reads += 1
        found = await self._database.read_inline(fn)
        if self.overtaken_by is not None:
            await self.overtaken_by()
            self.overtaken_by = None
        return found

    def read_nowait(self, fn: Callable[[Connection], T]) -> T:
        return self._database.read_nowait(fn)

    async def write(self, fn: Callable[[Connection], T]) -> T:
        self.writes += 1
        if self.is_full:
            raise unavailable()
        return await self._database.write(fn)

    async def close(self) -> None:
        await self._database.close()


class Process:
    """One server process: its accounts, and the parts that they were built from. Several may share one database."""

    def __init__(
        self, database: Database, passwords: Passwords, clock: Clock, ids: Ids, numbers: Iterator[int]
    ) -> None:
        self.database = CountingDatabase(database)
        self.passwords = passwords
        self.clock = clock
        self.stopwatch = Stopwatch()
        self.accounts = Accounts(
            self.database,
            passwords,
            clock=clock,
            monotonic=self.stopwatch,
            new_id=ids,
            new_digits=lambda: f"{next(numbers):032x}",
        )


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    passwords = Passwords(memory_kib=64)
    yield passwords
    passwords.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def processes(database: Database, passwords: Passwords, clock: Clock) -> tuple[Process, Process]:
    ids, numbers = Ids(), count(1)
    return Process(database, passwords, clock, ids, numbers), Process(database, passwords, clock, ids, numbers)


@pytest.fixture
def process(processes: tuple[Process, Process]) -> Process:
    return processes[0]


@pytest.fixture
def accounts(process: Process) -> Accounts:
    return process.accounts


async def refused(awaitable: Awaitable[object]) -> PlayheadError:
    with pytest.raises(PlayheadError) as caught:
        await awaitable
    return caught.value


async def outcomes(*awaitables: Awaitable[object]) -> list[str]:
    """Run all at the same instant, and return how each ended: "done", or the code of the refusal."""
    ended = await asyncio.gather(*awaitables, return_exceptions=True)
    for outcome in ended:
        if isinstance(outcome, BaseException) and not isinstance(outcome, PlayheadError):
            raise outcome
    return [outcome.code.value if isinstance(outcome, PlayheadError) else "done" for outcome in ended]


async def add_library(database: Database, library_id: str = "11111111-0000-4000-8000-000000000000") -> LibraryId:
    def add(connection: Connection) -> None:
        connection.execute(insert(schema.library).values(id=library_id, name=library_id, kind="movies", created_at=0))

    await database.write(add)
    return LibraryId(library_id)


async def rows_of(database: Database, table: str) -> int:
    return await database.read(
        lambda connection: connection.execute(select(func.count()).select_from(schema.metadata.tables[table])).scalar()
    )


# Users


async def test_a_new_user_keeps_the_name_as_typed_and_sees_no_library(accounts: Accounts):
    ana = await accounts.create_user(" Ana ", PASSWORD, Role.MEMBER)
    assert (ana.name, ana.role) == ("Ana", Role.MEMBER)
    assert await accounts.find_user(ana.id) == ana
    assert await accounts.list_grants(ana.id) == frozenset()


async def test_a_name_that_differs_only_in_case_is_taken(accounts: Accounts):
    await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    error = await refused(accounts.create_user("ANA", PASSWORD, Role.MEMBER))
    assert (error.code, error.message) == (Code.CONFLICT, "User name is taken")
    assert len(await accounts.list_users()) == 1


async def test_all_faults_of_a_new_user_are_reported_together(accounts: Accounts):
    error = await refused(accounts.create_user("", "short", Role.MEMBER))
    assert error.code is Code.INVALID
    assert error.details is not None
    assert set(error.details) == {"username", "password"}


async def test_users_are_listed_by_name_regardless_of_case_in_pages(accounts: Accounts):
    for name in ("cleo", "Ana", "ben"):
        await accounts.create_user(name, PASSWORD, Role.MEMBER)
    assert [user.name for user in await accounts.list_users()] == ["Ana", "ben", "cleo"]
    first = await accounts.list_users(limit=2)
    assert [user.name for user in await accounts.list_users(after=login_key(first[-1].name), limit=2)] == ["cleo"]


async def test_a_user_is_found_by_name_regardless_of_case(accounts: Accounts):
    ana = await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    assert await accounts.find_user_named("aNA") == ana
    assert (await refused(accounts.find_user_named("ben"))).code is Code.NOT_FOUND
    assert (await refused(accounts.find_user_named("\0"))).code is Code.NOT_FOUND


async def test_a_renamed_user_signs_in_by_the_new_name_and_frees_the_old_one(accounts: Accounts):
    ana = await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    assert (await accounts.change_user(ana.id, name="Anna")).user.name == "Anna"
    assert (await accounts.sign_in("anna", PASSWORD, HERE)).user.id == ana.id
    assert (await refused(accounts.sign_in("ana", PASSWORD, HERE))).code is Code.NOT_AUTHENTICATED
    await accounts.create_user("Ana", PASSWORD, Role.MEMBER)


async def test_a_user_may_change_the_case_of_their_name_but_not_take_another_users(accounts: Accounts):
    ana = await accounts.create_user("ana", PASSWORD, Role.MEMBER)
    await accounts.create_user("ben", PASSWORD, Role.MEMBER)
    assert (await accounts.change_user(ana.id, name="ANA")).user.name == "ANA"
    assert (await refused(accounts.change_user(ana.id, name="Ben"))).code is Code.CONFLICT
    assert (await accounts.find_user(ana.id)).name == "ANA"


async def test_a_change_with_one_refused_part_changes_nothing(accounts: Accounts):
    ana = await accounts.create_user("Ana", PASSWORD, Role.ADMIN)
    await accounts.create_user("Ben", PASSWORD, Role.ADMIN)
    assert (await refused(accounts.change_user(ana.id, role=Role.MEMBER, name="ben"))).code is Code.CONFLICT
    assert await accounts.find_user(ana.id) == ana
    assert (await refused(accounts.change_user(ana.id, name="Anna", password="short"))).code is Code.INVALID
    assert await accounts.find_user(ana.id) == ana


async def test_a_new_password_ends_the_sessions_and_keeps_the_api_tokens(accounts: Accounts):
    await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    session, ana = await accounts.sign_in("Ana", PASSWORD, HERE)
    secret, _ = await accounts.create_token(ana.id, "phone")
    await accounts.change_user(ana.id, password="battery staple")
    assert await accounts.authenticate(session) is None
    assert await accounts.authenticate(secret) is not None
    assert (await refused(accounts.sign_in("Ana", PASSWORD, HERE))).code is Code.NOT_AUTHENTICATED
    await accounts.sign_in("Ana", "battery staple", HERE)


async def test_an_unknown_user_cannot_be_changed_or_removed(accounts: Accounts):
    assert (await refused(accounts.change_user(NOBODY, password=PASSWORD))).code is Code.NOT_FOUND
    assert (await refused(accounts.remove_user(NOBODY))).code is Code.NOT_FOUND
    assert (await refused(accounts.find_user(NOBODY))).code is Code.NOT_FOUND
    assert (await refused(accounts.create_token(NOBODY, "phone"))).code is Code.NOT_FOUND


async def test_everything_a_user_wrote_and_owned_is_removed_with_them(accounts: Accounts, database: Database):
    keeper = await accounts.create_user("Keeper", PASSWORD, Role.ADMIN)
    await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    session, ana = await accounts.sign_in("Ana", PASSWORD, HERE)
    library_id = await add_library(database)

    def watch(connection: Connection) -> None:
        for user_id in (ana.id, keeper.id):
            key = {"user_id": user_id, "item_id": "22222222-0000-4000-8000-000000000000"}
            connection.execute(
                insert(schema.progress).values(
                    **key,
                    position_ms=1,
                    duration_ms=2,
                    watched=False,
                    armed=True,
                    last_watched_at=0,
                    changed_at=0,
                    completed_marked=False,
                    version=1,
                )
            )
            connection.execute(insert(schema.play).values(**key, id=user_id, source="automatic"))

    await database.write(watch)
    await accounts.grant(library_id, ana.id)
    await accounts.create_token(ana.id, "phone")
    await accounts.remove_user(ana.id)
    assert await accounts.authenticate(session) is None
    assert await rows_of(database, "token") == 0
    assert await rows_of(database, "library_access") == 0
    assert await rows_of(database, "login") == await rows_of(database, "account") == 1
    assert await rows_of(database, "progress") == await rows_of(database, "play") == 1
    await accounts.create_user("Ana", PASSWORD, Role.MEMBER)


async def test_the_last_admin_can_be_neither_removed_nor_demoted(accounts: Accounts):
    ana = await accounts.create_user("Ana", PASSWORD, Role.ADMIN)
    await accounts.create_user("Ben", PASSWORD, Role.MEMBER)
    assert (await refused(accounts.remove_user(ana.id))).code is Code.CONFLICT
    assert (await refused(accounts.change_user(ana.id, role=Role.MEMBER))).code is Code.CONFLICT
    assert (await accounts.change_user(ana.id, role=Role.ADMIN)).user.role is Role.ADMIN


async def test_of_two_admins_who_remove_each_other_at_the_same_instant_one_stays(processes: tuple[Process, Process]):
    one, other = (process.accounts for process in processes)
    ana = await one.create_user("Ana", PASSWORD, Role.ADMIN)
    ben = await one.create_user("Ben", PASSWORD, Role.ADMIN)
    assert sorted(await outcomes(one.remove_user(ana.id), other.change_user(ben.id, role=Role.MEMBER))) == [
        "conflict",
        "done",
    ]


# Signing in


async def test_a_session_identifies_its_user_until_sign_out(accounts: Accounts):
    ana = await accounts.create_user("Ana", PASSWORD, Role.ADMIN)
    session, user = await accounts.sign_in("ANA", PASSWORD, HERE)
    principal = await accounts.authenticate(session)
    assert user == ana
    assert principal is not None
    assert (principal.user_id, principal.name, principal.role) == (ana.id, "Ana", Role.ADMIN)
    assert principal.token_kind is TokenKind.SESSION
    await accounts.sign_out(principal)
    assert await accounts.authenticate(session) is None


async def test_no_secret_is_stored(accounts: Accounts, database: Database):
    await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    session, _ = await accounts.sign_in("Ana", PASSWORD, HERE)
    stored = await database.read(
        lambda connection: [
            *connection.execute(select(schema.token)).one(),
            *connection.execute(select(schema.account)).one(),
        ]
    )
    assert session not in stored
    assert not any(PASSWORD in str(value) for value in stored)
    assert any(str(value).startswith("$argon2id$v=19$m=64,t=2,p=1$") for value in stored)


@pytest.mark.parametrize("name", ["Ana", "nobody", "", "\0", "\ud800", "x" * 10_000])
@pytest.mark.parametrize("password", ["wrong horse", "", "\ud800", "x" * 10_000])
async def test_a_wrong_password_and_an_unknown_name_are_refused_identically(
    accounts: Accounts, name: str, password: str
):
    await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    error = await refused(accounts.sign_in(name, password, HERE))
    assert (error.code, error.message) == (Code.NOT_AUTHENTICATED, "Not authenticated")


async def test_ten_failures_block_only_that_name_and_address(accounts: Accounts):
    for name in ("Ana", "Ben"):
        await accounts.create_user(name, PASSWORD, Role.MEMBER)
    for _ in range(10):
        assert (await refused(accounts.sign_in("Ana", "wrong horse", HERE))).code is Code.NOT_AUTHENTICATED
    error = await refused(accounts.sign_in("ANA ", PASSWORD, HERE))
    assert (error.code, error.retry_after_s) == (Code.TOO_MANY_ATTEMPTS, 900)
    await accounts.sign_in("Ana", PASSWORD, "192.0.2.2")
    await accounts.sign_in("Ben", PASSWORD, HERE)


async def test_the_block_ends_when_the_failures_are_15_minutes_old(accounts: Accounts, clock: Clock):
    await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    for _ in range(10):
        await refused(accounts.sign_in("Ana", "wrong horse", HERE))
    clock.now += 15 * 60_000 - 1
    assert (await refused(accounts.sign_in("Ana", PASSWORD, HERE))).retry_after_s == 1
    clock.now += 1
    await accounts.sign_in("Ana", PASSWORD, HERE)


async def test_attempts_while_blocked_do_not_extend_the_block_and_cost_no_write(process: Process):
    await process.accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    for _ in range(10):
        await refused(process.accounts.sign_in("Ana", "wrong horse", HERE))
    writes = process.database.writes
    process.clock.now += 14 * 60_000
    for _ in range(20):
        assert (await refused(process.accounts.sign_in("Ana", PASSWORD, HERE))).code is Code.TOO_MANY_ATTEMPTS
    assert process.database.writes == writes
    process.clock.now += 60_000
    await process.accounts.sign_in("Ana", PASSWORD, HERE)


async def test_an_unknown_name_is_throttled_like_a_known_one(accounts: Accounts):
    for _ in range(10):
        await refused(accounts.sign_in("nobody", PASSWORD, HERE))
    assert (await refused(accounts.sign_in("nobody", PASSWORD, HERE))).code is Code.TOO_MANY_ATTEMPTS


async def test_a_success_clears_earlier_failures(accounts: Accounts):
    await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    for _ in range(3):
        for _ in range(9):
            await refused(accounts.sign_in("Ana", "wrong horse", HERE))
        await accounts.sign_in("Ana", PASSWORD, HERE)


async def test_a_hundred_guesses_at_the_same_instant_on_two_processes_are_ten(processes: tuple[Process, Process]):
    await processes[0].accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    ended = await outcomes(
        *(processes[number % 2].accounts.sign_in("Ana", f"guess number {number}", HERE) for number in range(100))
    )
    assert ended.count(Code.NOT_AUTHENTICATED.value) == 10
    assert ended.count(Code.TOO_MANY_ATTEMPTS.value) == 90


async def test_a_cancelled_guess_counts(process: Process, database: Database, clock: Clock):
    class Stuck(Passwords):
        """Never returns."""

        async def verify(self, stored: str | None, password: str, sender: str = "") -> bool:  # noqa: ARG002 - nobody gets that far
            comparing.release()
            await asyncio.Event().wait()
            return True

    await process.accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    comparing = asyncio.Semaphore(0)
    stuck = Stuck(memory_kib=64)
    other = Process(database, stuck, clock, Ids(), count(1000))
    guesses = [asyncio.create_task(other.accounts.sign_in("Ana", "wrong horse", HERE)) for _ in range(10)]
    for _ in guesses:
        await comparing.acquire()
    for guess in guesses:
        guess.cancel()
    await asyncio.gather(*guesses, return_exceptions=True)
    assert (await refused(process.accounts.sign_in("Ana", PASSWORD, HERE))).code is Code.TOO_MANY_ATTEMPTS
    stuck.close()


async def test_old_failures_are_deleted(accounts: Accounts, clock: Clock, database: Database):
    for number in range(30):
        await refused(accounts.sign_in(f"nobody {number}", PASSWORD, HERE))
    assert await rows_of(database, "sign_in_failure") == 2 * 30  # by name, and by address
    clock.now += 15 * 60_000
    await refused(accounts.sign_in("nobody", PASSWORD, HERE))
    assert await rows_of(database, "sign_in_failure") == 2


async def test_one_address_has_a_share_of_the_concurrent_sign_ins_and_leaves_room_for_others(accounts: Accounts):
    crowd = [accounts.sign_in(f"nobody {number}", PASSWORD, HERE) for number in range(SIGN_INS_OF_ADDRESS_MAX + 5)]
    ended = await outcomes(*crowd, accounts.sign_in("nobody", PASSWORD, "192.0.2.2"))
    assert ended[-1] == Code.NOT_AUTHENTICATED.value
    assert ended.count(Code.TOO_MANY_ATTEMPTS.value) == 5
    assert ended.count(Code.NOT_AUTHENTICATED.value) == SIGN_INS_OF_ADDRESS_MAX + 1
    assert (await refused(accounts.sign_in("nobody", PASSWORD, HERE))).code is Code.NOT_AUTHENTICATED


async def test_sign_ins_beyond_the_hashing_capacity_are_refused_and_later_ones_are_not(accounts: Accounts):
    ended = await outcomes(
        *(accounts.sign_in(f"nobody {number}", PASSWORD, f"192.0.2.{number}") for number in range(SIGN_INS_MAX + 5))
    )
    assert ended.count(Code.UNAVAILABLE.value) == 5
    assert ended.count(Code.NOT_AUTHENTICATED.value) == SIGN_INS_MAX
    assert (await refused(accounts.sign_in("nobody", PASSWORD, HERE))).code is Code.NOT_AUTHENTICATED


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8:1:2::{:x}"])
async def test_an_address_or_ipv6_network_that_tries_many_names_is_refused_for_all_of_them(
    accounts: Accounts, clock: Clock, address: str
):
    await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    await accounts.create_user("Eve", PASSWORD, Role.MEMBER)
    for number in range(FAILURES_OF_ADDRESS_ALLOWED):
        await refused(accounts.sign_in(f"nobody {number}", PASSWORD, address.format(number)))
        if number % 20 == 0:  # one's own success does not clear the guesses
            await accounts.sign_in("Eve", PASSWORD, address.format(number))
    error = await refused(accounts.sign_in("Ana", PASSWORD, address.format(999)))
    assert (error.code, error.retry_after_s) == (Code.TOO_MANY_ATTEMPTS, 900)
    await accounts.sign_in("Ana", PASSWORD, HERE)  # from her own address, she can sign in
    clock.now += 15 * 60_000
    await accounts.sign_in("Ana", PASSWORD, address.format(999))


async def test_a_password_hashed_with_older_parameters_is_rehashed_at_sign_in(
    process: Process, database: Database, clock: Clock
):
    await process.accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    stronger = Passwords(memory_kib=128)
    later = Process(database, stronger, clock, Ids(), count(1000))
    await later.accounts.sign_in("Ana", PASSWORD, HERE)
    stored = await database.read(lambda connection: connection.execute(select(schema.account.c.password_hash)).scalar())
    assert "m=128" in stored
    await later.accounts.sign_in("Ana", PASSWORD, HERE)
    stronger.close()


async def test_a_sign_in_during_a_password_change_is_refused(process: Process, database: Database, clock: Clock):
    class Slow(Passwords):
        """Changes the password, in another process, while the old one is being compared."""

        async def verify(self, stored: str | None, password: str, sender: str = "") -> bool:
            verified = await super().verify(stored, password, sender)
            await process.accounts.change_user(ana.id, password="battery staple")
            return verified

    ana = await process.accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    slow = Slow(memory_kib=64)
    other = Process(database, slow, clock, Ids(), count(1000))
    assert (await refused(other.accounts.sign_in("Ana", PASSWORD, HERE))).code is Code.NOT_AUTHENTICATED
    assert await rows_of(database, "token") == 0
    slow.close()


# Tokens


async def test_a_session_ends_90_days_after_its_last_use(process: Process):
    accounts, clock = process.accounts, process.clock
    await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    session, _ = await accounts.sign_in("Ana", PASSWORD, HERE)
    for _ in range(3):
        clock.now += 90 * DAY_MS - 1
        process.stopwatch.seconds += 2
        assert await accounts.authenticate(session) is not None
    clock.now += 90 * DAY_MS
    process.stopwatch.seconds += 2
    assert await accounts.authenticate(session) is None


async def test_expired_sessions_are_deleted_at_the_next_sign_in(accounts: Accounts, clock: Clock, database: Database):
    await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    for _ in range(3):
        await accounts.sign_in("Ana", PASSWORD, HERE)
    clock.now += 90 * DAY_MS
    await accounts.sign_in("Ana", PASSWORD, HERE)
    assert await rows_of(database, "token") == 1


async def test_a_token_is_accepted_even_if_a_full_disk_prevents_recording_its_use(process: Process):
    ana = await process.accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    secret = (await process.accounts.create_token(ana.id, "Phone")).secret
    process.database.is_full = True
    principal = await process.accounts.authenticate(secret)
    assert principal is not None
    assert principal.user_id == ana.id


async def test_an_api_token_lasts_and_its_use_is_recorded_by_day_with_one_write_a_day(process: Process):
    accounts, clock = process.accounts, process.clock
    ana = await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    secret, token = await accounts.create_token(ana.id, " Phone ")
    assert (token.name, token.expires_at, token.last_used_at) == ("Phone", None, None)
    assert await accounts.list_tokens(ana.id) == [token]
    clock.now += 4000 * DAY_MS
    writes = process.database.writes
    for _ in range(5):
        process.stopwatch.seconds += 2
        assert await accounts.authenticate(secret) is not None
    assert process.database.writes == writes + 1
    assert (await accounts.list_tokens(ana.id))[0].last_used_at == clock.now - clock.now % DAY_MS
    clock.now += DAY_MS
    process.stopwatch.seconds += 2
    await accounts.authenticate(secret)
    assert process.database.writes == writes + 2


async def test_tokens_are_listed_newest_first_without_sessions(accounts: Accounts, clock: Clock):
    ana = await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    await accounts.sign_in("Ana", PASSWORD, HERE)
    for name in ("one", "two"):
        clock.now += 1
        await accounts.create_token(ana.id, name)
    assert [token.name for token in await accounts.list_tokens(ana.id)] == ["two", "one"]


async def test_a_token_needs_a_name(accounts: Accounts):
    ana = await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    error = await refused(accounts.create_token(ana.id, " "))
    assert error.code is Code.INVALID
    assert error.details == {"name": ["must have 1 to 64 characters"]}


async def test_a_token_can_be_revoked_only_by_its_owner_and_ends_immediately(accounts: Accounts):
    ana = await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    ben = await accounts.create_user("Ben", PASSWORD, Role.ADMIN)
    secret, token = await accounts.create_token(ana.id, "phone")
    assert await accounts.authenticate(secret) is not None
    assert (await refused(accounts.revoke_token(ben.id, token.id))).code is Code.NOT_FOUND
    assert await accounts.authenticate(secret) is not None
    await accounts.revoke_token(ana.id, token.id)
    assert await accounts.authenticate(secret) is None
    assert (await refused(accounts.revoke_token(ana.id, token.id))).code is Code.NOT_FOUND
    assert (await refused(accounts.revoke_token(ana.id, TokenId(NOBODY)))).code is Code.NOT_FOUND


async def test_an_api_token_cannot_sign_out(accounts: Accounts):
    ana = await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    secret, _ = await accounts.create_token(ana.id, "phone")
    principal = await accounts.authenticate(secret)
    assert principal is not None
    assert (await refused(accounts.sign_out(principal))).code is Code.NOT_FOUND
    assert await accounts.authenticate(secret) == principal


@pytest.mark.parametrize(
    "text", ["", "a" * 63, "A" * 64, "é" * 64, "a" * 64 + "\n", "a" * 10_000, "ph_" + "a" * 64 + "00000000"]
)
async def test_malformed_tokens_never_reach_the_store(process: Process, text: str):
    assert await process.accounts.authenticate(text) is None
    assert process.database.inline_reads == 0


async def test_an_unknown_token_identifies_nobody(process: Process):
    assert await process.accounts.authenticate(form_token(NOBODY, "0" * 32)) is None
    assert process.database.inline_reads == 2  # the credential generation, and the token


async def test_a_token_from_before_native_tokens_is_valid_until_it_is_revoked(accounts: Accounts, database: Database):
    ana = await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    old = "0123456789abcdef" * 4
    row = {"hash": token_hash(old), "id": NOBODY, "user_id": ana.id, "kind": "api", "scope": "all", "name": "phone"}

    def migrate(connection: Connection) -> None:
        connection.execute(insert(schema.token).values(row | {"created_at": 0}))
        connection.execute(insert(schema.token_by_hash).values(hash=row["hash"], user_id=ana.id))

    await database.write(migrate)
    principal = await accounts.authenticate(old)
    assert principal is not None
    assert (principal.user_id, principal.scope) == (ana.id, TokenScope.ALL)
    await accounts.revoke_token(ana.id, TokenId(NOBODY))
    assert await accounts.authenticate(old) is None
    assert await rows_of(database, "token_by_hash") == 0


async def test_a_token_has_a_name_its_scope_and_its_expiry(accounts: Accounts, clock: Clock):
    ana = await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    ends_at = Instant(clock.now + 2 * DAY_MS)
    secret, token = await accounts.create_token(ana.id, "phone", scope=TokenScope.REPORT, expires_at=ends_at)
    assert token_key(secret).user_id == ana.id
    assert await accounts.list_tokens(ana.id) == [token]
    for _ in range(2):
        principal = await accounts.authenticate(secret)
        assert principal is not None
        assert principal.scope is TokenScope.REPORT
        clock.advance(DAY_MS - 1)  # a use must not change the expiry
    assert (await accounts.list_tokens(ana.id))[0].expires_at == ends_at
    clock.advance(2)
    assert await accounts.authenticate(secret) is None


@pytest.mark.parametrize("ahead_ms", [0, -1, 8_000 * 365 * DAY_MS])
async def test_a_token_must_expire_in_the_future_at_a_representable_time(
    accounts: Accounts, clock: Clock, ahead_ms: int
):
    ana = await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    error = await refused(accounts.create_token(ana.id, "phone", expires_at=Instant(clock.now + ahead_ms)))
    assert error.details == {"expires_at": ["must be in the future, and before the year 10000"]}
    assert await accounts.list_tokens(ana.id) == []


async def test_a_password_change_ends_all_tokens_on_request_and_says_how_many(accounts: Accounts):
    await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    session, ana = await accounts.sign_in("Ana", PASSWORD, HERE)
    for _ in range(2):
        await accounts.sign_in("Ana", PASSWORD, HERE)
    secret, _ = await accounts.create_token(ana.id, "phone")
    principal = await accounts.authenticate(session)
    assert principal is not None
    ended = await accounts.change_own_password(principal, PASSWORD, "battery staple", HERE, end_tokens=True)
    assert ended == Ended(sessions=2, tokens=1)
    assert await accounts.authenticate(secret) is None
    assert await accounts.authenticate(session) is not None
    await accounts.create_token(ana.id, "phone")
    _, ended = await accounts.change_user(ana.id, password="staple of batteries", end_tokens=True)
    assert ended == Ended(sessions=1, tokens=1)
    assert await accounts.list_tokens(ana.id) == []


async def test_a_token_is_looked_up_once_and_then_only_checked_for_revocations(process: Process):
    ana = await process.accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    secret, _ = await process.accounts.create_token(ana.id, "phone")
    for _ in range(5):
        await process.accounts.authenticate(secret)
    assert process.database.inline_reads == 2
    process.stopwatch.seconds += 0.9
    for _ in range(5):
        await process.accounts.authenticate(secret)
    assert process.database.inline_reads == 3


async def test_a_player_that_reports_every_ten_seconds_is_authenticated_without_waiting_on_sqlite(
    process: Process, database: Database
):
    ana = await process.accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    secret, _ = await process.accounts.create_token(ana.id, "phone")
    assert process.accounts.known_principal(secret) is None
    principal = await process.accounts.authenticate(secret)
    assert process.accounts.known_principal(secret) == principal
    process.stopwatch.seconds += 10
    looked_up = process.database.inline_reads
    # On PostgreSQL the check for revocations is a round trip, which must not block the event loop.
    assert process.accounts.known_principal(secret) == (None if database.gathers_reads else principal)
    assert process.database.inline_reads == looked_up


async def test_a_token_that_expires_while_cached_identifies_nobody(process: Process):
    await process.accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    session, _ = await process.accounts.sign_in("Ana", PASSWORD, HERE)
    assert await process.accounts.authenticate(session) is not None
    process.clock.advance(90 * DAY_MS)
    assert await process.accounts.authenticate(session) is None


@pytest.mark.parametrize(
    "change", ["token revoked", "user removed", "user demoted", "user renamed", "password changed"]
)
async def test_a_change_takes_effect_here_immediately_and_elsewhere_within_a_second(
    processes: tuple[Process, Process], change: str
):
    here, elsewhere = processes
    accounts = here.accounts
    await accounts.create_user("Keeper", PASSWORD, Role.ADMIN)
    await accounts.create_user("Ana", PASSWORD, Role.ADMIN)
    session, ana = await accounts.sign_in("Ana", PASSWORD, HERE)
    before = await accounts.authenticate(session)
    assert before is not None
    assert await elsewhere.accounts.authenticate(session) == before
    changes = {
        "token revoked": lambda: accounts.sign_out(before),
        "user removed": lambda: accounts.remove_user(ana.id),
        "user demoted": lambda: accounts.change_user(ana.id, role=Role.MEMBER),
        "user renamed": lambda: accounts.change_user(ana.id, name="Anna"),
        "password changed": lambda: accounts.change_user(ana.id, password="battery staple"),
    }
    after = {
        "user demoted": Principal(ana.id, "Ana", Role.MEMBER, before.token_kind, before.token_hash),
        "user renamed": Principal(ana.id, "Anna", Role.ADMIN, before.token_kind, before.token_hash),
    }.get(change)
    await changes[change]()
    assert await here.accounts.authenticate(session) == after
    elsewhere.stopwatch.seconds += 0.9
    assert elsewhere.accounts.known_principal(session) is None
    assert await elsewhere.accounts.authenticate(session) == after


async def test_a_look_up_during_a_revocation_is_not_cached(process: Process):
    ana = await process.accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    secret, token = await process.accounts.create_token(ana.id, "phone")
    process.database.overtaken_by = lambda: process.accounts.revoke_token(ana.id, token.id)
    await process.accounts.authenticate(secret)
    assert await process.accounts.authenticate(secret) is None


async def test_of_too_many_tokens_the_most_recently_looked_up_stay_cached(
    process: Process, database: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(credential_cache, "CREDENTIALS_MAX", 20)
    ana = await process.accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    secrets = [form_token(ana.id, f"{number:032x}") for number in range(21)]
    today = process.clock.now - process.clock.now % DAY_MS
    rows = [
        {
            "hash": token_hash(secret),
            "id": str(uuid4()),
            "user_id": ana.id,
            "kind": "api",
            "scope": "all",
            "name": "phone",
        }
        | {"created_at": 0, "last_used_at": today}
        for secret in secrets
    ]
    await database.write(lambda connection: connection.execute(insert(schema.token), rows))
    for secret in secrets:
        await process.accounts.authenticate(secret)
    looked_up = process.database.inline_reads
    await process.accounts.authenticate(secrets[1])
    assert process.database.inline_reads == looked_up
    await process.accounts.authenticate(secrets[0])
    assert process.database.inline_reads == looked_up + 1


# The first admin


async def test_the_setup_link_creates_the_first_admin_once(accounts: Accounts):
    token = await accounts.setup_token()
    assert token is not None
    assert await accounts.can_claim(token)
    session, ana = await accounts.claim(token, "Ana", PASSWORD)
    assert ana.role is Role.ADMIN
    principal = await accounts.authenticate(session)
    assert principal is not None
    assert principal.user_id == ana.id
    assert not await accounts.can_claim(token)
    assert (await refused(accounts.claim(token, "Ben", PASSWORD))).code is Code.NOT_FOUND
    assert await accounts.list_users() == [ana]
    await accounts.sign_in("ana", PASSWORD, HERE)


async def test_of_concurrent_claims_one_succeeds(processes: tuple[Process, Process]):
    token = await processes[0].accounts.setup_token()
    assert token is not None
    ended = await outcomes(
        *(processes[number % 2].accounts.claim(token, f"user {number}", PASSWORD) for number in range(8))
    )
    assert ended.count("done") == 1
    assert ended.count(Code.NOT_FOUND.value) == 7
    assert len(await processes[0].accounts.list_users()) == 1


async def test_a_claim_with_an_invalid_password_leaves_the_link_valid(accounts: Accounts):
    token = await accounts.setup_token()
    assert token is not None
    error = await refused(accounts.claim(token, "Ana", "short"))
    assert error.code is Code.INVALID
    assert error.details is not None
    assert set(error.details) == {"password"}
    await accounts.claim(token, "Ana", PASSWORD)


async def test_a_restart_without_users_makes_a_new_link_and_ends_the_old_one(accounts: Accounts, database: Database):
    old, new = await accounts.setup_token(), await accounts.setup_token()
    assert old is not None
    assert new is not None
    assert old != new
    assert not await accounts.can_claim(old)
    assert await accounts.can_claim(new)
    assert await rows_of(database, "token") == 1


async def test_with_a_user_there_is_no_link_and_an_earlier_one_is_invalid(accounts: Accounts):
    token = await accounts.setup_token()
    assert token is not None
    await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    assert (await refused(accounts.claim(token, "Ben", PASSWORD))).code is Code.NOT_FOUND
    assert await accounts.setup_token() is None


async def test_the_setup_link_is_not_a_credential_and_no_credential_is_a_setup_link(accounts: Accounts):
    token = await accounts.setup_token()
    assert token is not None
    assert await accounts.authenticate(token) is None
    session, _ = await accounts.claim(token, "Ana", PASSWORD)
    assert not await accounts.can_claim(session)
    assert not await accounts.can_claim("no token")


# Grants


async def test_a_grant_lasts_until_it_is_revoked_and_both_can_be_repeated(accounts: Accounts, database: Database):
    ana = await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    library_id = await add_library(database)
    for _ in range(2):
        await accounts.grant(library_id, ana.id)
        assert await accounts.list_grants(ana.id) == {library_id}
    for _ in range(2):
        await accounts.revoke(library_id, ana.id)
        assert await accounts.list_grants(ana.id) == frozenset()


async def test_a_grant_requires_an_existing_library_and_user(accounts: Accounts, database: Database):
    ana: User = await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    library_id = await add_library(database)
    for change in (accounts.grant, accounts.revoke):
        assert (await refused(change(LibraryId(NOBODY), ana.id))).message == "Library not found"
        assert (await refused(change(library_id, NOBODY))).message == "User not found"
