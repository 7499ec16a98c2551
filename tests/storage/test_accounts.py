"""The queries of accounts, where their promises do not show through the service."""

import pytest
from sqlalchemy import Connection, insert

from playhead.domain.accounts import Token, TokenKind, User
from playhead.domain.catalogue import Library
from playhead.domain.model import Instant, LibraryId, LibraryKind, Role, TokenId, UserId
from playhead.domain.tokens import TokenKey, TokenScope
from playhead.storage import accounts, catalogue, schema
from playhead.storage.engine.database import Database

pytestmark = pytest.mark.anyio

ANA = User(UserId("aaaaaaaa-0000-4000-8000-000000000000"), "Ana", Role.ADMIN, Instant(1))
BEN = User(UserId("bbbbbbbb-0000-4000-8000-000000000000"), "Ben", Role.MEMBER, Instant(2))
DAY = Instant(86_400_000)


def token_of(user: User, kind: TokenKind, number: int, expires_at: Instant | None = None) -> Token:
    token_id = TokenId(f"{number:08x}-0000-4000-8000-000000000000")
    return Token(token_id, user.id, kind, "phone", Instant(number), expires_at, None)


def add_ana_and_ben(connection: Connection) -> None:
    accounts.add_user(connection, ANA, "ana", "hash of ana")
    accounts.add_user(connection, BEN, "ben", "hash of ben")


async def test_a_user_is_found_by_id_and_by_login_with_the_password_hash(database: Database):
    await database.write(add_ana_and_ben)
    assert await database.read(lambda connection: accounts.find_user(connection, ANA.id)) == ANA
    found = await database.read(lambda connection: accounts.find_login(connection, "ben"))
    assert found == accounts.Login(BEN, "hash of ben")
    assert await database.read(lambda connection: accounts.find_login(connection, "cleo")) is None


async def test_a_login_that_is_taken_leaves_no_rows(database: Database):
    await database.write(add_ana_and_ben)
    third = User(UserId("cccccccc-0000-4000-8000-000000000000"), "ANA", Role.MEMBER, Instant(3))
    with pytest.raises(accounts.NameTakenError):
        await database.write(lambda connection: accounts.add_user(connection, third, "ana", "hash"))
    assert await database.read(lambda connection: accounts.find_user(connection, third.id)) is None
    with pytest.raises(accounts.NameTakenError):
        await database.write(lambda connection: accounts.rename_user(connection, BEN.id, "Ana", "ana"))
    assert await database.read(lambda connection: accounts.find_user(connection, BEN.id)) == BEN


async def test_a_token_is_found_by_its_hash_together_with_its_account(database: Database):
    session = token_of(ANA, TokenKind.SESSION, 1, Instant(5))
    await database.write(add_ana_and_ben)
    await database.write(lambda connection: accounts.add_token(connection, "digest", session))

    async def find(user: User, digest: str, *, search: bool) -> tuple[accounts.StoredToken, User] | None:
        key = TokenKey(user.id, digest)
        return await database.read_inline(lambda connection: accounts.find_bearer(connection, key, search=search))

    expected = (accounts.StoredToken(ANA.id, TokenKind.SESSION, TokenScope.ALL, Instant(5), None), ANA)
    assert await find(ANA, "digest", search=False) == expected
    assert await find(ANA, "another", search=True) is None
    assert await find(BEN, "digest", search=True) is None
    await database.write(
        lambda connection: connection.execute(insert(schema.token_by_hash).values(hash="digest", user_id=ANA.id))
    )
    assert await find(BEN, "digest", search=True) == expected
    assert await find(BEN, "digest", search=False) is None


async def test_a_token_whose_account_is_gone_is_not_found(database: Database):
    await database.write(lambda connection: accounts.add_token(connection, "digest", token_of(ANA, TokenKind.API, 1)))
    assert (
        await database.read_inline(
            lambda connection: accounts.find_bearer(connection, TokenKey(ANA.id, "digest"), search=True)
        )
        is None
    )


async def test_the_day_of_use_never_goes_back(database: Database):
    def later_then_earlier(connection: Connection) -> list[Token]:
        accounts.add_token(connection, "digest", token_of(ANA, TokenKind.API, 1))
        accounts.note_use(connection, TokenKey(ANA.id, "digest"), Instant(2 * DAY), None)
        accounts.note_use(connection, TokenKey(ANA.id, "digest"), DAY, None)
        return accounts.list_tokens(connection, ANA.id, TokenKind.API)

    assert [token.last_used_at for token in await database.write(later_then_earlier)] == [2 * DAY]


async def test_tokens_of_one_user_are_removed_without_affecting_others(database: Database):
    def add(connection: Connection) -> None:
        accounts.add_token(connection, "1", token_of(ANA, TokenKind.SESSION, 1, Instant(10)))
        accounts.add_token(connection, "2", token_of(ANA, TokenKind.SESSION, 2, Instant(20)))
        accounts.add_token(connection, "3", token_of(ANA, TokenKind.API, 3))
        accounts.add_token(connection, "4", token_of(BEN, TokenKind.SESSION, 4, Instant(10)))

    def kept(connection: Connection) -> list[int]:
        return sorted(
            token.created_at
            for user in (ANA, BEN)
            for kind in (TokenKind.SESSION, TokenKind.API)
            for token in accounts.list_tokens(connection, user.id, kind)
        )

    await database.write(add)
    await database.write(lambda connection: accounts.remove_expired_tokens(connection, ANA.id, Instant(10)))
    assert await database.read(kept) == [2, 3, 4]
    await database.write(lambda connection: accounts.remove_sessions(connection, ANA.id))
    assert await database.read(kept) == [3, 4]


async def test_setup_tokens_are_all_removed_together_and_nothing_else(database: Database):
    def remove(connection: Connection) -> tuple[list[str], list[str]]:
        accounts.add_token(connection, "1", token_of(ANA, TokenKind.SETUP, 1))
        accounts.add_token(connection, "2", token_of(BEN, TokenKind.SETUP, 2))
        accounts.add_token(connection, "3", token_of(ANA, TokenKind.API, 3))
        first = accounts.remove_setup_tokens(connection)
        return sorted(first), list(accounts.remove_setup_tokens(connection))

    assert await database.write(remove) == (["1", "2"], [])
    assert len(await database.read(lambda connection: accounts.list_tokens(connection, ANA.id, TokenKind.API))) == 1


async def test_a_password_hash_is_replaced_only_if_it_is_still_the_compared_one(database: Database):
    def replace(connection: Connection) -> tuple[bool, bool]:
        add_ana_and_ben(connection)
        replaced = accounts.replace_password_hash(connection, ANA.id, "hash of ana", "new hash")
        return replaced, accounts.replace_password_hash(connection, ANA.id, "hash of ana", "newer hash")

    assert await database.write(replace) == (True, False)
    found = await database.read(lambda connection: accounts.find_login(connection, "ana"))
    assert found == accounts.Login(ANA, "new hash")


async def test_failures_after_a_time_are_counted_by_name_and_address(database: Database):
    def fail(connection: Connection) -> list[Instant]:
        for number, (name, address) in enumerate(
            [("ana", "a"), ("ana", "a"), ("ana", "b"), ("ben", "a"), ("ana", "a")]
        ):
            failure_id = f"{number:08x}-0000-4000-8000-000000000000"
            accounts.add_failure(connection, name, address, failure_id, Instant(number))
        return accounts.list_failures(connection, "ana", "a", Instant(0))

    assert sorted(await database.write(fail)) == [1, 4]


async def test_granting_twice_makes_one_grant(database: Database):
    library_id = LibraryId("11111111-0000-4000-8000-000000000000")

    def grant(connection: Connection) -> frozenset[LibraryId]:
        add_ana_and_ben(connection)
        catalogue.add_library(connection, Library(library_id, "Films", LibraryKind.MOVIES, None, Instant(1)))
        accounts.add_grant(connection, BEN.id, library_id, Instant(1))
        accounts.add_grant(connection, BEN.id, library_id, Instant(2))
        return accounts.list_grants(connection, BEN.id)

    assert await database.write(grant) == {library_id}
    assert await database.read(lambda connection: accounts.list_grants(connection, ANA.id)) == frozenset()
