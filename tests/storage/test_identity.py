"""The queries of identities, where their promises do not show through the service."""

import pytest
from sqlalchemy.exc import IntegrityError

from playhead.domain.accounts import NO_PASSWORD, User
from playhead.domain.identity import LinkedIdentity
from playhead.domain.model import IdentityId, Instant, Role, UserId
from playhead.storage import accounts, identity
from playhead.storage.engine.database import Connection, Database

pytestmark = pytest.mark.anyio

ANA = User(UserId("aaaaaaaa-0000-4000-8000-000000000000"), "Ana", Role.ADMIN, Instant(1))
BEN = User(UserId("bbbbbbbb-0000-4000-8000-000000000000"), "Ben", Role.ADMIN, Instant(2))


def linked(number: int, user: User = ANA, issuer: str = "https://id.example.org", subject: str = "s") -> LinkedIdentity:
    identity_id = IdentityId(f"{number:08x}-0000-4000-8000-000000000000")
    return LinkedIdentity(identity_id, user.id, issuer, subject, "ana", Instant(number), Instant(0))


def add(connection: Connection) -> None:
    accounts.add_user(connection, ANA, "ana", "hash of ana")
    accounts.add_user(connection, BEN, "ben", NO_PASSWORD)
    identity.add_identity(connection, linked(2))
    identity.add_identity(connection, linked(1, subject="t"))
    identity.add_identity(connection, linked(3, BEN, issuer="proxy"))


async def test_an_identity_is_found_by_issuer_and_subject_together(database: Database):
    await database.write(add)

    def find(connection: Connection) -> list[LinkedIdentity | None]:
        wanted = [("https://id.example.org", "s"), ("proxy", "s"), ("proxy", "t"), ("https://id.example.org", "S")]
        return [identity.find_identity(connection, *each) for each in wanted]

    assert await database.read(find) == [linked(2), linked(3, BEN, issuer="proxy"), None, None]


async def test_only_a_users_own_identities_are_listed_oldest_first(database: Database):
    await database.write(add)
    assert await database.read(lambda connection: identity.list_identities(connection, ANA.id)) == [
        linked(1, subject="t"),
        linked(2),
    ]


async def test_an_identity_cannot_be_linked_twice(database: Database):
    await database.write(add)
    with pytest.raises(IntegrityError):
        await database.write(lambda connection: identity.add_identity(connection, linked(9, BEN)))


async def test_the_identities_of_an_account_are_removed_with_it(database: Database):
    await database.write(add)
    ids = [linked(number).id for number in (1, 2, 3)]
    await database.write(lambda connection: accounts.remove_user(connection, ANA.id))
    assert await database.read(lambda connection: identity.list_present(connection, ids)) == {ids[2]}


async def test_only_admins_with_a_password_count_when_the_last_one_is_kept(database: Database):
    await database.write(add)
    assert await database.write(accounts.lock_admins) == [ANA.id]
    assert await database.read(lambda connection: identity.has_password(connection, ANA.id)) is True
    assert await database.read(lambda connection: identity.has_password(connection, BEN.id)) is False
