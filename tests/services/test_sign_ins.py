"""Sign-ins on a real database. Passwords are hashed with little memory to keep the tests fast."""

import asyncio
from itertools import count

import pytest
from sqlalchemy import select

from fakes import Clock, Ids
from playhead.domain.accounts import (
    FAILURES_OF_ADDRESS_ALLOWED,
    SIGN_INS_MAX,
    SIGN_INS_OF_ADDRESS_MAX,
    TokenKind,
)
from playhead.domain.model import Role
from playhead.errors import Code
from playhead.services.accounts import Accounts
from playhead.services.credentials import Credentials, Ended
from playhead.services.passwords import Passwords
from playhead.services.sign_ins import SignIns
from playhead.storage import schema
from playhead.storage.engine.database import Database
from processes import DAY_MS, HERE, PASSWORD, Process, outcomes, refused, rows_of

pytestmark = pytest.mark.anyio


async def test_a_session_identifies_its_user_until_sign_out(
    accounts: Accounts, credentials: Credentials, sign_ins: SignIns
):
    ana = await accounts.create_user("Ana", PASSWORD, Role.ADMIN)
    session, user = await sign_ins.sign_in("ANA", PASSWORD, HERE)
    principal = await credentials.authenticate(session)
    assert user == ana
    assert principal is not None
    assert (principal.user_id, principal.name, principal.role) == (ana.id, "Ana", Role.ADMIN)
    assert principal.token_kind is TokenKind.SESSION
    await sign_ins.sign_out(principal)
    assert await credentials.authenticate(session) is None


async def test_no_secret_is_stored(accounts: Accounts, sign_ins: SignIns, database: Database):
    await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    session, _ = await sign_ins.sign_in("Ana", PASSWORD, HERE)
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
    accounts: Accounts, sign_ins: SignIns, name: str, password: str
):
    await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    error = await refused(sign_ins.sign_in(name, password, HERE))
    assert (error.code, error.message) == (Code.NOT_AUTHENTICATED, "Not authenticated")


async def test_ten_failures_block_only_that_name_and_address(accounts: Accounts, sign_ins: SignIns):
    for name in ("Ana", "Ben"):
        await accounts.create_user(name, PASSWORD, Role.MEMBER)
    for _ in range(10):
        assert (await refused(sign_ins.sign_in("Ana", "wrong horse", HERE))).code is Code.NOT_AUTHENTICATED
    error = await refused(sign_ins.sign_in("ANA ", PASSWORD, HERE))
    assert (error.code, error.retry_after_s) == (Code.TOO_MANY_ATTEMPTS, 900)
    await sign_ins.sign_in("Ana", PASSWORD, "192.0.2.2")
    await sign_ins.sign_in("Ben", PASSWORD, HERE)


async def test_the_block_ends_when_the_failures_are_15_minutes_old(accounts: Accounts, sign_ins: SignIns, clock: Clock):
    await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    for _ in range(10):
        await refused(sign_ins.sign_in("Ana", "wrong horse", HERE))
    clock.now += 15 * 60_000 - 1
    assert (await refused(sign_ins.sign_in("Ana", PASSWORD, HERE))).retry_after_s == 1
    clock.now += 1
    await sign_ins.sign_in("Ana", PASSWORD, HERE)


async def test_attempts_while_blocked_do_not_extend_the_block_and_cost_no_write(process: Process):
    await process.accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    for _ in range(10):
        await refused(process.sign_ins.sign_in("Ana", "wrong horse", HERE))
    writes = process.database.writes
    process.clock.now += 14 * 60_000
    for _ in range(20):
        assert (await refused(process.sign_ins.sign_in("Ana", PASSWORD, HERE))).code is Code.TOO_MANY_ATTEMPTS
    assert process.database.writes == writes
    process.clock.now += 60_000
    await process.sign_ins.sign_in("Ana", PASSWORD, HERE)


async def test_an_unknown_name_is_throttled_like_a_known_one(sign_ins: SignIns):
    for _ in range(10):
        await refused(sign_ins.sign_in("nobody", PASSWORD, HERE))
    assert (await refused(sign_ins.sign_in("nobody", PASSWORD, HERE))).code is Code.TOO_MANY_ATTEMPTS


async def test_a_success_clears_earlier_failures(accounts: Accounts, sign_ins: SignIns):
    await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    for _ in range(3):
        for _ in range(9):
            await refused(sign_ins.sign_in("Ana", "wrong horse", HERE))
        await sign_ins.sign_in("Ana", PASSWORD, HERE)


async def test_a_hundred_guesses_at_the_same_instant_on_two_processes_are_ten(processes: tuple[Process, Process]):
    await processes[0].accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    ended = await outcomes(
        *(processes[number % 2].sign_ins.sign_in("Ana", f"guess number {number}", HERE) for number in range(100))
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
    guesses = [asyncio.create_task(other.sign_ins.sign_in("Ana", "wrong horse", HERE)) for _ in range(10)]
    for _ in guesses:
        await comparing.acquire()
    for guess in guesses:
        guess.cancel()
    await asyncio.gather(*guesses, return_exceptions=True)
    assert (await refused(process.sign_ins.sign_in("Ana", PASSWORD, HERE))).code is Code.TOO_MANY_ATTEMPTS
    stuck.close()


async def test_old_failures_are_deleted(sign_ins: SignIns, clock: Clock, database: Database):
    for number in range(30):
        await refused(sign_ins.sign_in(f"nobody {number}", PASSWORD, HERE))
    assert await rows_of(database, "sign_in_failure") == 2 * 30  # by name, and by address
    clock.now += 15 * 60_000
    await refused(sign_ins.sign_in("nobody", PASSWORD, HERE))
    assert await rows_of(database, "sign_in_failure") == 2


async def test_one_address_has_a_share_of_the_concurrent_sign_ins_and_leaves_room_for_others(sign_ins: SignIns):
    crowd = [sign_ins.sign_in(f"nobody {number}", PASSWORD, HERE) for number in range(SIGN_INS_OF_ADDRESS_MAX + 5)]
    ended = await outcomes(*crowd, sign_ins.sign_in("nobody", PASSWORD, "192.0.2.2"))
    assert ended[-1] == Code.NOT_AUTHENTICATED.value
    assert ended.count(Code.TOO_MANY_ATTEMPTS.value) == 5
    assert ended.count(Code.NOT_AUTHENTICATED.value) == SIGN_INS_OF_ADDRESS_MAX + 1
    assert (await refused(sign_ins.sign_in("nobody", PASSWORD, HERE))).code is Code.NOT_AUTHENTICATED


async def test_sign_ins_beyond_the_hashing_capacity_are_refused_and_later_ones_are_not(sign_ins: SignIns):
    ended = await outcomes(
        *(sign_ins.sign_in(f"nobody {number}", PASSWORD, f"192.0.2.{number}") for number in range(SIGN_INS_MAX + 5))
    )
    assert ended.count(Code.UNAVAILABLE.value) == 5
    assert ended.count(Code.NOT_AUTHENTICATED.value) == SIGN_INS_MAX
    assert (await refused(sign_ins.sign_in("nobody", PASSWORD, HERE))).code is Code.NOT_AUTHENTICATED


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8:1:2::{:x}"])
async def test_an_address_or_ipv6_network_that_tries_many_names_is_refused_for_all_of_them(
    accounts: Accounts, sign_ins: SignIns, clock: Clock, address: str
):
    await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    await accounts.create_user("Eve", PASSWORD, Role.MEMBER)
    for number in range(FAILURES_OF_ADDRESS_ALLOWED):
        await refused(sign_ins.sign_in(f"nobody {number}", PASSWORD, address.format(number)))
        if number % 20 == 0:  # one's own success does not clear the guesses
            await sign_ins.sign_in("Eve", PASSWORD, address.format(number))
    error = await refused(sign_ins.sign_in("Ana", PASSWORD, address.format(999)))
    assert (error.code, error.retry_after_s) == (Code.TOO_MANY_ATTEMPTS, 900)
    await sign_ins.sign_in("Ana", PASSWORD, HERE)  # from her own address, she can sign in
    clock.now += 15 * 60_000
    await sign_ins.sign_in("Ana", PASSWORD, address.format(999))


async def test_a_password_hashed_with_older_parameters_is_rehashed_at_sign_in(
    process: Process, database: Database, clock: Clock
):
    await process.accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    stronger = Passwords(memory_kib=128)
    later = Process(database, stronger, clock, Ids(), count(1000))
    await later.sign_ins.sign_in("Ana", PASSWORD, HERE)
    stored = await database.read(lambda connection: connection.execute(select(schema.account.c.password_hash)).scalar())
    assert "m=128" in stored
    await later.sign_ins.sign_in("Ana", PASSWORD, HERE)
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
    assert (await refused(other.sign_ins.sign_in("Ana", PASSWORD, HERE))).code is Code.NOT_AUTHENTICATED
    assert await rows_of(database, "token") == 0
    slow.close()


async def test_expired_sessions_are_deleted_at_the_next_sign_in(
    accounts: Accounts, sign_ins: SignIns, clock: Clock, database: Database
):
    await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    for _ in range(3):
        await sign_ins.sign_in("Ana", PASSWORD, HERE)
    clock.now += 90 * DAY_MS
    await sign_ins.sign_in("Ana", PASSWORD, HERE)
    assert await rows_of(database, "token") == 1


async def test_an_api_token_cannot_sign_out(accounts: Accounts, credentials: Credentials, sign_ins: SignIns):
    ana = await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    secret, _ = await accounts.create_token(ana.id, "phone")
    principal = await credentials.authenticate(secret)
    assert principal is not None
    assert (await refused(sign_ins.sign_out(principal))).code is Code.NOT_FOUND
    assert await credentials.authenticate(secret) == principal


async def test_a_password_change_ends_all_tokens_on_request_and_says_how_many(
    accounts: Accounts, credentials: Credentials, sign_ins: SignIns
):
    await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    session, ana = await sign_ins.sign_in("Ana", PASSWORD, HERE)
    for _ in range(2):
        await sign_ins.sign_in("Ana", PASSWORD, HERE)
    secret, _ = await accounts.create_token(ana.id, "phone")
    principal = await credentials.authenticate(session)
    assert principal is not None
    ended = await sign_ins.change_own_password(principal, PASSWORD, "battery staple", HERE, end_tokens=True)
    assert ended == Ended(sessions=2, tokens=1)
    assert await credentials.authenticate(secret) is None
    assert await credentials.authenticate(session) is not None
    await accounts.create_token(ana.id, "phone")
    _, ended = await accounts.change_user(ana.id, password="staple of batteries", end_tokens=True)
    assert ended == Ended(sessions=1, tokens=1)
    assert await accounts.list_tokens(ana.id) == []
