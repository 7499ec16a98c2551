"""Accounts on a real database. Passwords are hashed with little memory to keep the tests fast."""

import pytest
from sqlalchemy import insert

from fakes import Clock
from playhead.domain.accounts import (
    User,
    login_key,
)
from playhead.domain.model import Instant, LibraryId, Role, TokenId
from playhead.domain.tokens import TokenScope, token_key
from playhead.errors import Code
from playhead.services.accounts import Accounts
from playhead.services.credentials import Credentials
from playhead.services.sign_ins import SignIns
from playhead.storage import schema
from playhead.storage.engine.database import Connection, Database
from processes import DAY_MS, HERE, NOBODY, PASSWORD, Process, outcomes, refused, rows_of

pytestmark = pytest.mark.anyio


async def add_library(database: Database, library_id: str = "11111111-0000-4000-8000-000000000000") -> LibraryId:
    def add(connection: Connection) -> None:
        connection.execute(insert(schema.library).values(id=library_id, name=library_id, kind="movies", created_at=0))

    await database.write(add)
    return LibraryId(library_id)


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


async def test_a_renamed_user_signs_in_by_the_new_name_and_frees_the_old_one(accounts: Accounts, sign_ins: SignIns):
    ana = await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    assert (await accounts.change_user(ana.id, name="Anna")).user.name == "Anna"
    assert (await sign_ins.sign_in("anna", PASSWORD, HERE)).user.id == ana.id
    assert (await refused(sign_ins.sign_in("ana", PASSWORD, HERE))).code is Code.NOT_AUTHENTICATED
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


async def test_a_new_password_ends_the_sessions_and_keeps_the_api_tokens(
    accounts: Accounts, credentials: Credentials, sign_ins: SignIns
):
    await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    session, ana = await sign_ins.sign_in("Ana", PASSWORD, HERE)
    secret, _ = await accounts.create_token(ana.id, "phone")
    await accounts.change_user(ana.id, password="battery staple")
    assert await credentials.authenticate(session) is None
    assert await credentials.authenticate(secret) is not None
    assert (await refused(sign_ins.sign_in("Ana", PASSWORD, HERE))).code is Code.NOT_AUTHENTICATED
    await sign_ins.sign_in("Ana", "battery staple", HERE)


async def test_an_unknown_user_cannot_be_changed_or_removed(accounts: Accounts):
    assert (await refused(accounts.change_user(NOBODY, password=PASSWORD))).code is Code.NOT_FOUND
    assert (await refused(accounts.remove_user(NOBODY))).code is Code.NOT_FOUND
    assert (await refused(accounts.find_user(NOBODY))).code is Code.NOT_FOUND
    assert (await refused(accounts.create_token(NOBODY, "phone"))).code is Code.NOT_FOUND


async def test_everything_a_user_wrote_and_owned_is_removed_with_them(
    accounts: Accounts, credentials: Credentials, sign_ins: SignIns, database: Database
):
    keeper = await accounts.create_user("Keeper", PASSWORD, Role.ADMIN)
    await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    session, ana = await sign_ins.sign_in("Ana", PASSWORD, HERE)
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
    assert await credentials.authenticate(session) is None
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


# API tokens


async def test_tokens_are_listed_newest_first_without_sessions(accounts: Accounts, sign_ins: SignIns, clock: Clock):
    ana = await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    await sign_ins.sign_in("Ana", PASSWORD, HERE)
    for name in ("one", "two"):
        clock.now += 1
        await accounts.create_token(ana.id, name)
    assert [token.name for token in await accounts.list_tokens(ana.id)] == ["two", "one"]


async def test_a_token_needs_a_name(accounts: Accounts):
    ana = await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    error = await refused(accounts.create_token(ana.id, " "))
    assert error.code is Code.INVALID
    assert error.details == {"name": ["must have 1 to 64 characters"]}


async def test_a_token_can_be_revoked_only_by_its_owner_and_ends_immediately(
    accounts: Accounts, credentials: Credentials
):
    ana = await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    ben = await accounts.create_user("Ben", PASSWORD, Role.ADMIN)
    secret, token = await accounts.create_token(ana.id, "phone")
    assert await credentials.authenticate(secret) is not None
    assert (await refused(accounts.revoke_token(ben.id, token.id))).code is Code.NOT_FOUND
    assert await credentials.authenticate(secret) is not None
    await accounts.revoke_token(ana.id, token.id)
    assert await credentials.authenticate(secret) is None
    assert (await refused(accounts.revoke_token(ana.id, token.id))).code is Code.NOT_FOUND
    assert (await refused(accounts.revoke_token(ana.id, TokenId(NOBODY)))).code is Code.NOT_FOUND


async def test_a_token_has_a_name_its_scope_and_its_expiry(accounts: Accounts, credentials: Credentials, clock: Clock):
    ana = await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    ends_at = Instant(clock.now + 2 * DAY_MS)
    secret, token = await accounts.create_token(ana.id, "phone", scope=TokenScope.REPORT, expires_at=ends_at)
    assert token_key(secret).user_id == ana.id
    assert await accounts.list_tokens(ana.id) == [token]
    for _ in range(2):
        principal = await credentials.authenticate(secret)
        assert principal is not None
        assert principal.scope is TokenScope.REPORT
        clock.advance(DAY_MS - 1)  # a use must not change the expiry
    assert (await accounts.list_tokens(ana.id))[0].expires_at == ends_at
    clock.advance(2)
    assert await credentials.authenticate(secret) is None


@pytest.mark.parametrize("ahead_ms", [0, -1, 8_000 * 365 * DAY_MS])
async def test_a_token_must_expire_in_the_future_at_a_representable_time(
    accounts: Accounts, clock: Clock, ahead_ms: int
):
    ana = await accounts.create_user("Ana", PASSWORD, Role.MEMBER)
    error = await refused(accounts.create_token(ana.id, "phone", expires_at=Instant(clock.now + ahead_ms)))
    assert error.details == {"expires_at": ["must be in the future, and before the year 10000"]}
    assert await accounts.list_tokens(ana.id) == []


# The first admin


async def test_the_setup_link_creates_the_first_admin_once(
    accounts: Accounts, credentials: Credentials, sign_ins: SignIns
):
    token = await accounts.setup_token()
    assert token is not None
    assert await accounts.can_claim(token)
    session, ana = await accounts.claim(token, "Ana", PASSWORD)
    assert ana.role is Role.ADMIN
    principal = await credentials.authenticate(session)
    assert principal is not None
    assert principal.user_id == ana.id
    assert not await accounts.can_claim(token)
    assert (await refused(accounts.claim(token, "Ben", PASSWORD))).code is Code.NOT_FOUND
    assert await accounts.list_users() == [ana]
    await sign_ins.sign_in("ana", PASSWORD, HERE)


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


async def test_the_setup_link_is_not_a_credential_and_no_credential_is_a_setup_link(
    accounts: Accounts, credentials: Credentials
):
    token = await accounts.setup_token()
    assert token is not None
    assert await credentials.authenticate(token) is None
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
