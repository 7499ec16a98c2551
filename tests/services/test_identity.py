"""Accounts of external identities on a real database: found by issuer and subject, with role and grants from groups."""

import logging

import pytest

from fakes import Clock, Ids, Stopwatch
from playhead.domain.accounts import Principal, TokenKind
from playhead.domain.identity import GroupRules, Identity, IdentityRefusedError, Refusal
from playhead.domain.model import LibraryId, Role, UserId
from playhead.domain.tokens import TokenKey
from playhead.errors import Code, PlayheadError
from playhead.services.accounts import Accounts
from playhead.services.credentials import Credentials
from playhead.services.identity import AccountRules, Identities, ProxyIdentities, ended_credentials
from playhead.services.passwords import Passwords
from playhead.services.sign_ins import SignIns
from playhead.storage.engine.database import Database
from world import LIBRARY, stock_library

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse"
ISSUER = "https://id.example.org"
DAY_MS = 86_400_000


class House:
    """An installation with a local admin, and identities under some rules."""

    def __init__(self, database: Database, rules: AccountRules) -> None:
        self.database = database
        self.clock = Clock()
        self.watch = Stopwatch()
        ids = Ids()
        tokens = (f"{number:032x}" for number in range(1, 1000))
        passwords = Passwords(threads=1, memory_kib=64)
        self.credentials = Credentials(
            database, clock=self.clock, monotonic=self.watch, new_id=ids, new_digits=lambda: next(tokens)
        )
        self.sign_ins = SignIns(database, self.credentials, passwords, clock=self.clock, new_id=ids)
        self.accounts = Accounts(database, self.credentials, passwords, clock=self.clock, new_id=ids)
        self.identities = Identities(database, rules, clock=self.clock, new_id=ids)
        self.proxy = ProxyIdentities(database, self.identities, clock=self.clock, monotonic=self.watch)

    async def refusal(self, identity: Identity) -> Refusal:
        with pytest.raises(IdentityRefusedError) as caught:
            await self.identities.admit(identity)
        return caught.value.refusal

    async def role_of(self, name: str) -> Role:
        return (await self.accounts.find_user_named(name)).role


def identity(name: str = "anna", subject: str = "1", *groups: str, issuer: str = ISSUER) -> Identity:
    return Identity(issuer, subject, name, frozenset(groups))


async def house(database: Database, **rules: object) -> House:
    made = House(database, AccountRules(**rules))  # pyright: ignore[reportArgumentType]
    await made.accounts.create_user("boss", PASSWORD, Role.ADMIN)
    return made


async def test_an_account_is_created_at_first_sign_in_and_found_by_subject_afterwards(database: Database):
    here = await house(database, creates=True)
    made, _ = await here.identities.admit(identity("Anna", "1"))
    again, linked = await here.identities.admit(identity("Anna Bell", "1"))
    assert again == made
    assert made.role is Role.MEMBER
    assert linked.user_id == made.id
    assert [each.name for each in await here.identities.list_of(made.id)] == ["Anna Bell"]
    other, _ = await here.identities.admit(identity("Anja", "1", issuer="https://other.example.org"))
    assert other.id != made.id


async def test_no_account_is_created_where_that_is_disabled(database: Database):
    here = await house(database, creates=False)
    assert await here.refusal(identity()) is Refusal.UNKNOWN
    assert [user.name for user in await here.accounts.list_users()] == ["boss"]


async def test_the_first_account_of_an_installation_is_never_created_from_an_identity(database: Database):
    here = House(database, AccountRules(creates=True))
    assert await here.refusal(identity()) is Refusal.UNKNOWN
    assert not await here.accounts.has_users()


async def test_an_existing_name_is_not_taken_over(database: Database):
    here = await house(database, creates=True)
    assert await here.refusal(identity("BOSS")) is Refusal.NAME_TAKEN


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 65, "\u202eanna"])
async def test_an_invalid_name_is_refused(database: Database, name: str):
    here = await house(database, creates=True)
    assert await here.refusal(identity(name)) is Refusal.NAME_UNUSABLE


@pytest.mark.parametrize("subject", ["", "x" * 256, "a\0b"])
async def test_an_invalid_subject_is_refused(database: Database, subject: str):
    here = await house(database, creates=True)
    assert await here.refusal(identity("anna", subject)) is Refusal.NAME_UNUSABLE


async def test_a_user_outside_the_allowed_groups_is_refused_even_with_an_account(database: Database):
    here = await house(database, creates=True, groups=GroupRules(members=frozenset({"family"})))
    await here.identities.admit(identity("anna", "1", "family"))
    assert await here.refusal(identity("anna", "1", "guests")) is Refusal.NOT_ALLOWED


async def test_role_and_libraries_follow_the_groups_at_each_sign_in(database: Database):
    rules = GroupRules(admins=frozenset({"root"}), libraries={"family": frozenset({"Films", "Nowhere"})})
    here = await house(database, creates=True, groups=rules)
    await database.write(lambda connection: stock_library(connection, None))
    anna, _ = await here.identities.admit(identity("anna", "1", "root", "family"))
    assert await here.role_of("anna") is Role.ADMIN
    assert await here.accounts.list_grants(anna.id) == {LibraryId(LIBRARY)}
    returned, _ = await here.identities.admit(identity("anna", "1"))
    assert returned.role is await here.role_of("anna") is Role.MEMBER
    assert await here.accounts.list_grants(anna.id) == frozenset()


async def test_role_and_libraries_stay_as_an_admin_set_them_if_groups_decide_nothing(database: Database):
    here = await house(database, creates=True)
    await database.write(lambda connection: stock_library(connection, None))
    anna, _ = await here.identities.admit(identity("anna", "1", "whatever"))
    await here.accounts.change_user(anna.id, role=Role.ADMIN)
    await here.accounts.grant(LibraryId(LIBRARY), anna.id)
    await here.identities.admit(identity("anna", "1", "whatever"))
    assert await here.role_of("anna") is Role.ADMIN
    assert await here.accounts.list_grants(anna.id) == {LibraryId(LIBRARY)}


async def test_groups_never_demote_the_last_admin_with_a_password(database: Database, caplog: pytest.LogCaptureFixture):
    here = await house(database, creates=True, groups=GroupRules(admins=frozenset({"root"})))
    await here.identities.admit(identity("carl", "2", "root"))  # an admin who depends on the provider
    boss = await here.accounts.find_user_named("boss")
    await here.identities.link(boss.id, identity("boss", "9"))
    with caplog.at_level(logging.WARNING):
        user, _ = await here.identities.admit(identity("boss", "9"))
    assert user.role is await here.role_of("boss") is Role.ADMIN
    assert "boss stays an admin" in caplog.text


async def test_the_last_admin_with_a_password_cannot_be_demoted_or_removed_by_others(database: Database):
    here = await house(database, creates=True, groups=GroupRules(admins=frozenset({"root"})))
    await here.identities.admit(identity("carl", "2", "root"))
    boss = await here.accounts.find_user_named("boss")
    for attempt in (here.accounts.change_user(boss.id, role=Role.MEMBER), here.accounts.remove_user(boss.id)):
        with pytest.raises(PlayheadError) as caught:
            await attempt
        assert caught.value.code is Code.CONFLICT


async def test_no_password_signs_in_to_an_account_without_one(database: Database):
    here = await house(database, creates=True)
    await here.identities.admit(identity("anna"))
    for guess in ("!", "", "anna"):
        with pytest.raises(PlayheadError) as caught:
            await here.sign_ins.sign_in("anna", guess, "192.0.2.1")
        assert caught.value.code is Code.NOT_AUTHENTICATED


async def test_an_identity_is_linked_to_only_one_account(database: Database):
    here = await house(database)
    boss = await here.accounts.find_user_named("boss")
    member = await here.accounts.create_user("member", PASSWORD, Role.MEMBER)
    await here.identities.link(boss.id, identity())
    await here.identities.link(boss.id, identity())
    with pytest.raises(PlayheadError) as caught:
        await here.identities.link(member.id, identity())
    assert caught.value.code is Code.CONFLICT
    user, _ = await here.identities.admit(identity())
    assert user.id == boss.id


async def test_the_only_way_to_sign_in_to_an_account_is_not_unlinked(database: Database):
    here = await house(database, creates=True)
    anna, linked = await here.identities.admit(identity())
    with pytest.raises(PlayheadError) as caught:
        await here.identities.unlink(anna.id, linked.id)
    assert caught.value.code is Code.CONFLICT
    await here.accounts.change_user(anna.id, password=PASSWORD)
    await here.identities.unlink(anna.id, linked.id)
    assert await here.identities.list_of(anna.id) == []


async def test_nobody_unlinks_the_identity_of_another_user(database: Database):
    here = await house(database, creates=True)
    anna, linked = await here.identities.admit(identity())
    boss = await here.accounts.find_user_named("boss")
    with pytest.raises(PlayheadError) as caught:
        await here.identities.unlink(boss.id, linked.id)
    assert caught.value.code is Code.NOT_FOUND
    assert len(await here.identities.list_of(anna.id)) == 1


async def test_the_identities_of_a_removed_account_are_free_again(database: Database):
    here = await house(database, creates=True)
    anna, _ = await here.identities.admit(identity())
    await here.accounts.remove_user(anna.id)
    again, _ = await here.identities.admit(identity())
    assert again.id != anna.id


# Proxies


async def by_proxy(here: House, name: str = "anna", groups: str = "") -> Principal | None:
    return await here.proxy.authenticate(name, groups)


async def test_a_user_named_by_a_proxy_is_authenticated_without_a_session(database: Database):
    here = await house(database, creates=True)
    principal = await by_proxy(here)
    assert principal is not None
    assert (principal.name, principal.role, principal.token_kind) == ("anna", Role.MEMBER, TokenKind.PROXY)
    assert await here.sign_ins.list_sessions(principal) == []


async def test_an_assertion_of_a_proxy_is_cached_and_a_changed_group_is_noticed_immediately(database: Database):
    here = await house(database, creates=True, groups=GroupRules(admins=frozenset({"root"})))
    first = await by_proxy(here)
    assert await by_proxy(here) is first
    promoted = await by_proxy(here, groups="root")
    assert promoted is not None
    assert promoted.role is Role.ADMIN
    here.watch.seconds += 1  # the new role counts in all processes within a second
    demoted = await by_proxy(here)
    assert demoted is not None
    assert demoted.role is Role.MEMBER


async def test_an_unlinked_or_removed_account_stays_cached_for_less_than_a_second(database: Database):
    here = await house(database, creates=True)
    principal = await by_proxy(here)
    assert principal is not None
    lost = TokenKey(principal.user_id, "0" * 64)
    keys = [principal.token_key, lost]
    ended = {"tokens": here.credentials.ended_tokens, "identities": here.identities}
    assert await ended_credentials(keys, **ended) == {lost}  # pyright: ignore[reportArgumentType]
    await here.accounts.remove_user(principal.user_id)
    here.watch.seconds += 1
    again = await by_proxy(here)
    assert again is not None
    assert again.user_id != principal.user_id
    assert await ended_credentials(keys, **ended) == set(keys)  # pyright: ignore[reportArgumentType]


async def test_an_unknown_user_of_a_proxy_is_nobody_and_is_logged_once(
    database: Database, caplog: pytest.LogCaptureFixture
):
    here = await house(database)
    with caplog.at_level(logging.INFO, logger="playhead.services.identity"):
        for _ in range(3):
            assert await by_proxy(here, "ann\nInjected line") is None
    assert len(caplog.records) == 1
    assert "\n" not in caplog.records[0].getMessage()


async def test_an_identity_of_a_proxy_can_be_linked_to_an_existing_account(database: Database):
    here = await house(database)
    assert await by_proxy(here, "boss") is None
    boss = await here.accounts.find_user_named("boss")
    await here.identities.link(UserId(boss.id), Identity("proxy", "boss", "boss"))
    principal = await by_proxy(here, "boss")
    assert principal is not None
    assert principal.user_id == boss.id
