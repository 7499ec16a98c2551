"""Remembered devices on a real database. Passwords and PINs are hashed with little memory."""

import asyncio
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from sqlalchemy import select

from fakes import Clock, Ids
from playhead.domain.accounts import Principal, TokenKind
from playhead.domain.household import DEVICE_LIFETIME_MS, PIN_FAILURES_MAX, TileEntry
from playhead.domain.limits import HOUSEHOLD_DEVICES_OF_USER, PEOPLE_OF_DEVICE
from playhead.domain.model import DeviceId, Role, UserId
from playhead.domain.tokens import TokenScope
from playhead.errors import Code, PlayheadError
from playhead.services.accounts import Accounts
from playhead.services.credentials import Credentials
from playhead.services.household import Household, HouseholdDevice
from playhead.services.passwords import Passwords
from playhead.services.sign_ins import SignIns
from playhead.storage import schema
from playhead.storage.engine.database import Connection, Database

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse battery"
PIN, WRONG = "4817", "5926"
HERE = "192.0.2.1"


class Home:
    """A household: its accounts, a clock, and who is signed in."""

    def __init__(self, database: Database, passwords: Passwords) -> None:
        self.database = database
        self.clock = Clock()
        ids, numbers = Ids(), count(1)
        self.credentials = Credentials(
            database, clock=self.clock, monotonic=lambda: 0.0, new_id=ids, new_digits=lambda: f"{next(numbers):032x}"
        )
        self.sign_ins = SignIns(database, self.credentials, passwords, clock=self.clock, new_id=ids)
        self.accounts = Accounts(database, self.credentials, passwords, clock=self.clock, new_id=ids)
        self.household = Household(
            database,
            self.credentials,
            passwords,
            clock=self.clock,
            new_id=ids,
            new_secret=lambda: f"{next(numbers):064x}",
        )

    async def add(self, name: str, role: Role = Role.MEMBER) -> Principal:
        """Create a user, and sign them in with the password."""
        user = await self.accounts.create_user(name, PASSWORD, role)
        signed_in = await self.sign_ins.sign_in(user.name, PASSWORD, HERE)
        return await self.who(signed_in.token)

    async def who(self, token: str) -> Principal:
        principal = await self.credentials.authenticate(token)
        assert principal is not None
        return principal

    async def is_live(self, token: str) -> bool:
        return await self.credentials.authenticate(token) is not None

    async def device(self, secret: str) -> HouseholdDevice:
        found = await self.household.recognise(secret)
        assert found is not None
        return found

    async def entry(self, secret: str, user_id: UserId) -> TileEntry:
        tile = (await self.device(secret)).tile_of(user_id)
        assert tile is not None
        return tile.entry

    async def enter(self, secret: str, user_id: UserId, pin: str = "", current: Principal | None = None) -> str:
        return (await self.household.enter(secret, user_id, pin, current)).token


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    passwords = Passwords(memory_kib=64)
    yield passwords
    passwords.close()


@pytest.fixture
def home(database: Database, passwords: Passwords) -> Home:
    return Home(database, passwords)


async def code_of(awaited: Any) -> Code:  # noqa: ANN401 - whatever is awaited
    with pytest.raises(PlayheadError) as caught:
        await awaited
    return caught.value.code


async def test_a_remembered_device_shows_the_people_on_it_and_nobody_else(home: Home):
    ana, ben = await home.add("Ana"), await home.add("Ben")
    await home.add("Cleo")
    secret = await home.household.remember(ana, "  Living   room ")
    remembered = await home.device(secret)
    assert (remembered.device.name, [tile.user.name for tile in remembered.tiles]) == ("Living room", ["Ana"])
    await home.household.join(ben, remembered.device.id)
    await home.household.join(ben, remembered.device.id)
    assert [tile.user.name for tile in (await home.device(secret)).tiles] == ["Ana", "Ben"]
    await home.household.leave(ana, remembered.device.id)
    assert [tile.user.name for tile in (await home.device(secret)).tiles] == ["Ben"]


async def test_the_store_contains_neither_the_secret_nor_a_pin(home: Home):
    ana = await home.add("Ana")
    secret = await home.household.remember(ana, "TV")
    await home.household.set_pin(ana.user_id, PIN)

    def everything(connection: Connection) -> str:
        tables = (schema.household_device, schema.household_person, schema.pin)
        return repr([tuple(row) for table in tables for row in connection.execute(select(table))])

    kept = await home.database.read(everything)
    assert "$argon2id$" in kept
    assert secret not in kept
    assert f"'{PIN}'" not in kept


@pytest.mark.parametrize("secret", ["", "x", "0" * 64, "F" * 64])
async def test_an_unknown_secret_is_no_device(home: Home, secret: str):
    ana = await home.add("Ana")
    await home.household.remember(ana, "TV")
    assert await home.household.recognise(secret) is None
    assert await code_of(home.enter(secret, ana.user_id)) is Code.NOT_AUTHENTICATED
    await home.household.note_password(secret, ana.user_id)


async def test_a_pin_allows_watching_and_nothing_more(home: Home):
    ana = await home.add("Ana", Role.ADMIN)
    secret = await home.household.remember(ana, "TV")
    assert await home.entry(secret, ana.user_id) is TileEntry.PASSWORD
    await home.household.set_pin(ana.user_id, PIN)
    assert await home.household.has_pin(ana.user_id)
    assert await home.entry(secret, ana.user_id) is TileEntry.PIN
    principal = await home.who(await home.enter(secret, ana.user_id, PIN))
    assert (principal.user_id, principal.role, principal.scope) == (ana.user_id, Role.ADMIN, TokenScope.WATCH)
    assert principal.token_kind is TokenKind.SESSION
    assert {session.token.name for session in await home.sign_ins.list_sessions(principal)} == {"TV", ""}


async def test_a_tap_is_enough_if_its_owner_allows_it_and_never_for_an_admin(home: Home):
    ana, admin = await home.add("Ana"), await home.add("Root", Role.ADMIN)
    secret = await home.household.remember(ana, "TV")
    other = await home.household.remember(ana, "Tablet")
    device_id = (await home.device(secret)).device.id
    assert await code_of(home.enter(secret, ana.user_id)) is Code.ACCESS_DENIED
    await home.household.allow_tap(ana, device_id, allows=True)
    assert await home.is_live(await home.enter(secret, ana.user_id))
    assert await home.entry(other, ana.user_id) is TileEntry.PASSWORD
    await home.household.allow_tap(ana, device_id, allows=False)
    assert await home.entry(secret, ana.user_id) is TileEntry.PASSWORD
    assert await code_of(home.household.allow_tap(admin, device_id, allows=True)) is Code.ACCESS_DENIED


async def test_a_user_who_becomes_an_admin_needs_a_pin_even_if_they_had_allowed_a_tap(home: Home):
    ana = await home.add("Ana")
    secret = await home.household.remember(ana, "TV")
    await home.household.allow_tap(ana, (await home.device(secret)).device.id, allows=True)
    await home.accounts.change_user(ana.user_id, role=Role.ADMIN)
    assert await home.entry(secret, ana.user_id) is TileEntry.PASSWORD


async def test_an_admin_puts_a_child_on_a_device_where_a_tap_is_enough(home: Home):
    admin = await home.add("Root", Role.ADMIN)
    kim = await home.accounts.create_user("Kim", None, Role.CHILD)
    secret = await home.household.remember(admin, "TV", [kim.id])
    token = await home.enter(secret, kim.id)
    assert (await home.who(token)).role is Role.CHILD
    assert await home.entry(secret, admin.user_id) is TileEntry.PASSWORD
    assert await code_of(home.enter(secret, admin.user_id, "", await home.who(token))) is Code.ACCESS_DENIED
    await home.household.set_pin(kim.id, PIN)
    assert await code_of(home.enter(secret, kim.id)) is Code.NOT_AUTHENTICATED


async def test_only_an_admin_puts_other_people_on_a_device(home: Home):
    ana, ben = await home.add("Ana"), await home.add("Ben")
    assert await code_of(home.household.remember(ana, "TV", [ben.user_id])) is Code.ACCESS_DENIED
    secret = await home.household.remember(ana, "TV")
    device_id = (await home.device(secret)).device.id
    assert await code_of(home.household.set_people(ana, device_id, [ben.user_id])) is Code.ACCESS_DENIED
    assert await code_of(home.enter(secret, ben.user_id)) is Code.NOT_AUTHENTICATED


async def test_switching_ends_the_session_of_the_previous_person(home: Home):
    admin = await home.add("Root", Role.ADMIN)
    kim = await home.accounts.create_user("Kim", None, Role.CHILD)
    secret = await home.household.remember(admin, "TV", [kim.id])
    signed_in = await home.sign_ins.sign_in("Root", PASSWORD, HERE)
    current = await home.who(signed_in.token)
    token = await home.enter(secret, kim.id, "", current)
    assert await home.is_live(token)
    assert not await home.is_live(signed_in.token)


# Guessing


async def test_wrong_pins_lead_to_growing_delays_and_then_the_password_is_needed(home: Home):
    ana = await home.add("Ana")
    secret = await home.household.remember(ana, "TV")
    await home.household.set_pin(ana.user_id, PIN)
    waits: list[int] = []
    for _ in range(PIN_FAILURES_MAX):
        assert await code_of(home.enter(secret, ana.user_id, WRONG)) is Code.NOT_AUTHENTICATED
        tile = (await home.device(secret)).tile_of(ana.user_id)
        assert tile is not None
        if tile.wait_s is not None and tile.entry is TileEntry.PIN:
            with pytest.raises(PlayheadError) as caught:
                await home.enter(secret, ana.user_id, PIN)
            assert (caught.value.code, caught.value.retry_after_s) == (Code.TOO_MANY_ATTEMPTS, tile.wait_s)
            waits.append(tile.wait_s)
            home.clock.advance(tile.wait_s * 1000)
    assert waits == [30, 120, 600]
    home.clock.advance(86_400_000)
    assert await home.entry(secret, ana.user_id) is TileEntry.PASSWORD
    assert await code_of(home.enter(secret, ana.user_id, PIN)) is Code.ACCESS_DENIED
    await home.household.note_password(secret, ana.user_id)
    assert await home.is_live(await home.enter(secret, ana.user_id, PIN))


async def test_a_right_pin_clears_the_wrong_ones(home: Home):
    ana = await home.add("Ana")
    secret = await home.household.remember(ana, "TV")
    await home.household.set_pin(ana.user_id, PIN)
    for _ in range(4):
        for _ in range(2):
            assert await code_of(home.enter(secret, ana.user_id, WRONG)) is Code.NOT_AUTHENTICATED
        await home.enter(secret, ana.user_id, PIN)


async def test_concurrent_pin_attempts_all_count(home: Home):
    ana = await home.add("Ana")
    secret = await home.household.remember(ana, "TV")
    await home.household.set_pin(ana.user_id, PIN)
    codes = await asyncio.gather(*(code_of(home.enter(secret, ana.user_id, WRONG)) for _ in range(10)))
    assert 1 <= codes.count(Code.NOT_AUTHENTICATED) <= 3  # then there is a delay
    assert codes.count(Code.NOT_AUTHENTICATED) + codes.count(Code.TOO_MANY_ATTEMPTS) == 10


async def test_wrong_pins_of_one_person_or_device_delay_nobody_else(home: Home):
    ana, ben = await home.add("Ana"), await home.add("Ben")
    secret, other = await home.household.remember(ana, "TV"), await home.household.remember(ana, "Tablet")
    await home.household.join(ben, (await home.device(secret)).device.id)
    for person in (ana, ben):
        await home.household.set_pin(person.user_id, PIN)
    for _ in range(3):
        await code_of(home.enter(secret, ana.user_id, WRONG))
    assert await home.is_live(await home.enter(other, ana.user_id, PIN))
    assert await home.is_live(await home.enter(secret, ben.user_id, PIN))


@pytest.mark.parametrize("pin", ["", "12", "1234", "0000", "abcd"])
async def test_a_malformed_pin_is_refused(home: Home, pin: str):
    ana = await home.add("Ana")
    assert await code_of(home.household.set_pin(ana.user_id, pin)) is Code.INVALID
    assert not await home.household.has_pin(ana.user_id)


async def test_a_removed_pin_admits_nobody(home: Home):
    ana = await home.add("Ana")
    secret = await home.household.remember(ana, "TV")
    await home.household.set_pin(ana.user_id, PIN)
    await home.household.remove_pin(ana.user_id)
    assert await code_of(home.enter(secret, ana.user_id, PIN)) is Code.ACCESS_DENIED
    nobody = UserId("99999999-0000-4000-8000-000000000000")
    assert await code_of(home.household.remove_pin(nobody)) is Code.NOT_FOUND
    assert await code_of(home.household.set_pin(nobody, PIN)) is Code.NOT_FOUND


# Forgetting


async def test_forgetting_a_device_ends_the_sessions_of_its_tiles_and_no_others(home: Home):
    ana, ben = await home.add("Ana"), await home.add("Ben")
    await home.household.set_pin(ana.user_id, PIN)
    secret, other = await home.household.remember(ana, "TV"), await home.household.remember(ana, "Tablet")
    here, there = await home.enter(secret, ana.user_id, PIN), await home.enter(other, ana.user_id, PIN)
    device_id = (await home.device(secret)).device.id
    assert await code_of(home.household.forget(ben, device_id)) is Code.ACCESS_DENIED
    await home.household.forget(ana, device_id)
    assert await home.household.recognise(secret) is None
    assert not await home.is_live(here)
    assert await home.is_live(there)
    assert await code_of(home.household.forget(ana, device_id)) is Code.NOT_FOUND
    assert await code_of(home.household.join(ana, DeviceId(device_id))) is Code.NOT_FOUND


async def test_a_person_removed_from_a_device_is_signed_out_there(home: Home):
    admin = await home.add("Root", Role.ADMIN)
    kim = await home.accounts.create_user("Kim", None, Role.CHILD)
    secret = await home.household.remember(admin, "TV", [kim.id])
    token = await home.enter(secret, kim.id)
    await home.household.set_people(admin, (await home.device(secret)).device.id, [admin.user_id])
    assert not await home.is_live(token)
    assert [tile.user.name for tile in (await home.device(secret)).tiles] == ["Root"]


async def test_a_device_that_is_unused_for_half_a_year_is_forgotten(home: Home):
    ana = await home.add("Ana")
    secret = await home.household.remember(ana, "TV")
    home.clock.advance(DEVICE_LIFETIME_MS - 86_400_000)
    assert await home.household.recognise(secret) is not None  # which counts as a use
    home.clock.advance(DEVICE_LIFETIME_MS - 86_400_000)
    assert await home.household.recognise(secret) is not None
    home.clock.advance(DEVICE_LIFETIME_MS)
    assert await home.household.recognise(secret) is None
    assert await home.household.list_devices(ana) == []
    assert await code_of(home.enter(secret, ana.user_id)) is Code.NOT_AUTHENTICATED


async def test_a_removed_user_leaves_no_rows(home: Home):
    await home.add("Root", Role.ADMIN)
    ana, ben = await home.add("Ana"), await home.add("Ben")
    own, other = await home.household.remember(ana, "Tablet"), await home.household.remember(ben, "TV")
    await home.household.join(ana, (await home.device(other)).device.id)
    await home.household.set_pin(ana.user_id, PIN)
    await home.enter(other, ana.user_id, PIN)
    await home.accounts.remove_user(ana.user_id)
    assert await home.household.recognise(own) is None
    assert [tile.user.name for tile in (await home.device(other)).tiles] == ["Ben"]

    def rows(connection: Connection) -> int:
        tables = (schema.pin, schema.household_session)
        return sum(len(connection.execute(select(table)).all()) for table in tables)

    assert await home.database.read(rows) == 0


async def test_users_see_their_own_devices_and_an_admin_all(home: Home):
    admin, ana, ben = await home.add("Root", Role.ADMIN), await home.add("Ana"), await home.add("Ben")
    secret = await home.household.remember(ana, "TV")
    await home.household.join(ben, (await home.device(secret)).device.id)
    await home.household.remember(admin, "Tablet")

    async def names(principal: Principal, *, everybody: bool = False) -> set[str]:
        return {each.device.name for each in await home.household.list_devices(principal, everybody=everybody)}

    assert await names(ana) == await names(ben) == {"TV"}
    assert await names(admin) == {"Tablet"}
    assert await names(admin, everybody=True) == {"TV", "Tablet"}
    assert await code_of(home.household.list_devices(ana, everybody=True)) is Code.ACCESS_DENIED


# Limits


async def test_a_device_beyond_the_limit_is_refused_until_one_is_forgotten(home: Home):
    ana = await home.add("Ana")
    secrets = [await home.household.remember(ana, f"TV {number}") for number in range(HOUSEHOLD_DEVICES_OF_USER.most)]
    assert await code_of(home.household.remember(ana, "TV")) is Code.LIMIT_REACHED
    await home.household.forget(ana, (await home.device(secrets[0])).device.id)
    await home.household.remember(ana, "TV")


async def test_people_beyond_the_limit_of_a_device_are_refused(home: Home):
    admin = await home.add("Root", Role.ADMIN)
    names = [f"Kim {number}" for number in range(PEOPLE_OF_DEVICE.most)]
    children = [await home.accounts.create_user(name, None, Role.CHILD) for name in names]
    assert await code_of(home.household.remember(admin, "TV", [kim.id for kim in children])) is Code.LIMIT_REACHED
    secret = await home.household.remember(admin, "TV", [kim.id for kim in children[1:]])
    assert len((await home.device(secret)).tiles) == PEOPLE_OF_DEVICE.most


async def test_an_invalid_name_is_reported(home: Home):
    ana = await home.add("Ana")
    assert await code_of(home.household.remember(ana, "")) is Code.INVALID
