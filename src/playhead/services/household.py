"""Remembered devices of a household: people as tiles, PINs, switching. Knows no HTTP and no SQL.

A session that is opened at a tile can only watch: changing an account requires signing in with the password.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import NamedTuple

from playhead.domain.access import may_administer
from playhead.domain.accounts import Principal, TokenKind, User, clean_name, day_of, login_key, name_faults
from playhead.domain.household import (
    TileEntry,
    TileState,
    colour_of,
    device_is_live,
    entry_of,
    initial_of,
    is_device_secret,
    may_allow_tap,
    pin_faults,
    pin_wait_s,
)
from playhead.domain.limits import HOUSEHOLD_DEVICES_OF_USER, PEOPLE_OF_DEVICE
from playhead.domain.model import DeviceId, Instant, UserId
from playhead.domain.tokens import TokenKey, TokenScope, token_hash
from playhead.errors import PlayheadError, access_denied, invalid, not_authenticated, not_found, too_many_attempts
from playhead.services.credentials import Credentials, SignedIn, find_user
from playhead.services.passwords import Passwords
from playhead.storage import accounts as accounts_storage
from playhead.storage import household as storage
from playhead.storage.engine.database import Connection, Database
from playhead.storage.household import RememberedDevice


@dataclass(frozen=True, slots=True)
class Tile:
    """A person's tile on a device: `wait_s` until the next PIN attempt, None if one is possible now."""

    user: User
    entry: TileEntry
    allows_tap: bool
    wait_s: int | None
    colour: int
    initial: str


class HouseholdDevice(NamedTuple):
    """A remembered device with its people, ordered by name."""

    device: RememberedDevice
    tiles: list[Tile]

    def tile_of(self, user_id: UserId) -> Tile | None:
        """Return a person's tile, if they have one here."""
        return next((tile for tile in self.tiles if tile.user.id == user_id), None)


class Household:
    """The remembered devices of an installation.

    `clock` returns the time, `new_id` a random UUID, `new_secret` 256 random bits as 64 lower-case hexadecimal digits.
    """

    def __init__(  # noqa: PLR0913 - every source of time and chance is handed in by itself
        self,
        database: Database,
        credentials: Credentials,
        passwords: Passwords,
        *,
        clock: Callable[[], Instant],
        new_id: Callable[[], str],
        new_secret: Callable[[], str],
    ) -> None:
        self._database = database
        self._credentials = credentials
        self._passwords = passwords
        self._clock = clock
        self._new_id = new_id
        self._new_secret = new_secret

    # The device

    async def recognise(self, secret: str) -> HouseholdDevice | None:
        """Return the device with this secret; None if it is not remembered, or was unused for 180 days."""
        if not is_device_secret(secret):
            return None
        now = self._clock()

        def find(connection: Connection) -> HouseholdDevice | None:
            device = storage.find_device(connection, token_hash(secret))
            if device is None or not device_is_live(device.last_used_at, now):
                return None
            return HouseholdDevice(device, _tiles(storage.list_people(connection, [device.id])[device.id], now))

        found = await self._database.read(find)
        if found is not None and found.device.last_used_at < day_of(now):
            await self._database.write(lambda connection: storage.note_use(connection, found.device.id, day_of(now)))
        return found

    async def remember(self, principal: Principal, name: str, others: Collection[UserId] = ()) -> str:
        """Remember a device under a name, and return its secret, which is shown only once.

        The caller gets a tile on it; an admin may give tiles to `others`, too. Raises INVALID for `name`, ACCESS_DENIED
        if a non-admin names others, NOT_FOUND for unknown ones, LIMIT_REACHED.
        """
        faults = name_faults(name)
        if faults:
            raise invalid({"name": faults})
        if others and not may_administer(principal.role):
            raise access_denied()
        now, secret = self._clock(), self._new_secret()
        device = RememberedDevice(DeviceId(self._new_id()), clean_name(name), principal.user_id, now, day_of(now))

        def add(connection: Connection) -> None:
            if storage.count_devices(connection, principal.user_id) >= HOUSEHOLD_DEVICES_OF_USER.most:
                raise HOUSEHOLD_DEVICES_OF_USER.refusal()
            storage.add_device(connection, token_hash(secret), device)
            storage.add_person(connection, device.id, principal.user_id, now)
            self._place(connection, device.id, others, now)

        await self._database.write(add)
        return secret

    async def set_people(self, principal: Principal, device_id: DeviceId, user_ids: Collection[UserId]) -> None:
        """Give tiles on a device to exactly these people; existing tiles keep the choice of a tap.

        For admins. Raises ACCESS_DENIED, NOT_FOUND, LIMIT_REACHED.
        """
        if not may_administer(principal.role):
            raise access_denied()
        now = self._clock()

        def change(connection: Connection) -> None:
            _device(connection, device_id)
            for state in storage.list_people(connection, [device_id])[device_id]:
                if state.user.id not in user_ids:
                    _end_sessions(connection, storage.remove_person(connection, device_id, state.user.id))
            self._place(connection, device_id, user_ids, now)

        await self._credentials.write_revoking(change)

    async def join(self, principal: Principal, device_id: DeviceId) -> None:
        """Give the caller a tile on a device. Raises NOT_FOUND, LIMIT_REACHED."""
        now = self._clock()

        def add(connection: Connection) -> None:
            _device(connection, device_id)
            self._place(connection, device_id, [principal.user_id], now)

        await self._database.write(add)

    async def leave(self, principal: Principal, device_id: DeviceId) -> None:
        """Remove the caller from a device, and end the sessions that were opened at their tile; idempotent."""

        def remove(connection: Connection) -> None:
            _end_sessions(connection, storage.remove_person(connection, device_id, principal.user_id))

        await self._credentials.write_revoking(remove)

    async def allow_tap(self, principal: Principal, device_id: DeviceId, *, allows: bool) -> None:
        """Store whether the caller's tile on a device requires nothing while they have no PIN.

        Raises ACCESS_DENIED for an admin, whose tile always requires something.
        """
        if allows and not may_allow_tap(principal.role):
            raise access_denied()
        await self._database.write(
            lambda connection: storage.set_allows_tap(connection, device_id, principal.user_id, allows=allows)
        )

    async def forget(self, principal: Principal, device_id: DeviceId) -> None:
        """Forget a device and end the sessions that were opened at its tiles.

        Raises NOT_FOUND, and ACCESS_DENIED unless the caller is an admin or has remembered it.
        """

        def remove(connection: Connection) -> None:
            device = _device(connection, device_id)
            if device.remembered_by != principal.user_id and not may_administer(principal.role):
                raise access_denied()
            _end_sessions(connection, storage.remove_device(connection, device_id))

        await self._credentials.write_revoking(remove)

    async def list_devices(self, principal: Principal, *, everybody: bool = False) -> list[HouseholdDevice]:
        """Return the devices that the caller has remembered or has a tile on; on request, for an admin, everybody's.

        Raises ACCESS_DENIED if a non-admin requests everybody's.
        """
        if everybody and not may_administer(principal.role):
            raise access_denied()
        now = self._clock()

        def load(connection: Connection) -> list[HouseholdDevice]:
            devices = storage.list_devices(connection, None if everybody else principal.user_id)
            live = [device for device in devices if device_is_live(device.last_used_at, now)]
            people = storage.list_people(connection, [device.id for device in live])
            return [HouseholdDevice(device, _tiles(people[device.id], now)) for device in live]

        return await self._database.read(load)

    # Tiles

    async def enter(self, secret: str, user_id: UserId, pin: str, current: Principal | None) -> SignedIn:
        """Open a watch-only session for a person on the device with this secret, and end the `current` one.

        Raises NOT_AUTHENTICATED for a wrong PIN, and if there is no such device or person; ACCESS_DENIED if the tile
        requires the password; TOO_MANY_ATTEMPTS while PIN attempts are delayed.
        """
        if not is_device_secret(secret):
            raise not_authenticated()
        now = self._clock()
        device, found = await self._database.write(lambda connection: _begin(connection, secret, user_id, now))
        pin_hash = found.pin_hash
        if pin_hash is not None and not await self._passwords.verify(pin_hash, pin):
            raise not_authenticated()

        def succeed(connection: Connection) -> SignedIn:
            person = storage.find_person(connection, device.id, user_id)
            if person is None or person.pin_hash != pin_hash:
                raise not_authenticated()  # changed during the comparison
            storage.clear_failures(connection, user_id, device.id)
            signed_in = self._credentials.open_session(connection, user_id, device.name, TokenScope.WATCH)
            storage.add_session(connection, device.id, user_id, token_hash(signed_in.token))
            if current is not None and current.token_kind is TokenKind.SESSION:
                accounts_storage.remove_token(connection, current.token_key)
            return signed_in

        return await self._credentials.write_revoking(succeed)

    async def note_password(self, secret: str, user_id: UserId) -> None:
        """Record that a person has signed in with their password on a device: their PIN can be used there again."""
        if not is_device_secret(secret):
            return
        digest = token_hash(secret)

        def clear(connection: Connection) -> None:
            device = storage.find_device(connection, digest)
            if device is not None and storage.find_person(connection, device.id, user_id) is not None:
                storage.clear_failures(connection, user_id)

        await self._database.write(clear)

    # PINs

    async def has_pin(self, user_id: UserId) -> bool:
        """Return whether a user has a PIN."""
        return await self._database.read(lambda connection: storage.has_pin(connection, user_id))

    async def set_pin(self, user_id: UserId, pin: str) -> None:
        """Set a user's PIN, replacing any current one. Raises INVALID for `pin`, NOT_FOUND."""
        faults = pin_faults(pin)
        if faults:
            raise invalid({"pin": faults})
        pin_hash, now = await self._passwords.hash(pin), self._clock()

        def change(connection: Connection) -> None:
            find_user(connection, user_id)
            storage.set_pin(connection, user_id, pin_hash, now)

        await self._database.write(change)

    async def remove_pin(self, user_id: UserId) -> None:
        """Remove a user's PIN; idempotent. Raises NOT_FOUND for an unknown user."""

        def change(connection: Connection) -> None:
            find_user(connection, user_id)
            storage.remove_pin(connection, user_id)

        await self._database.write(change)

    def _place(self, connection: Connection, device_id: DeviceId, user_ids: Collection[UserId], now: Instant) -> None:
        for user_id in user_ids:
            find_user(connection, user_id)
            storage.add_person(connection, device_id, user_id, now)
        if len(storage.list_people(connection, [device_id])[device_id]) > PEOPLE_OF_DEVICE.most:
            raise PEOPLE_OF_DEVICE.refusal()


def _begin(
    connection: Connection, secret: str, user_id: UserId, now: Instant
) -> tuple[RememberedDevice, storage.PinState]:
    """Return the device and the person, after all checks except that of the PIN.

    An attempt counts as wrong until it has succeeded: so concurrent attempts, and those cancelled before the answer,
    all count.
    """
    device = storage.find_device(connection, token_hash(secret))
    found = None if device is None else storage.find_person(connection, device.id, user_id)
    if device is None or found is None or not device_is_live(device.last_used_at, now):
        raise not_authenticated()
    entry = entry_of(found.state)
    if entry is TileEntry.PASSWORD:
        raise access_denied()
    if entry is TileEntry.PIN:
        wait_s = pin_wait_s(found.state, now)
        if wait_s is not None:
            raise too_many_attempts(wait_s)
        if not storage.count_failure(connection, device.id, user_id, found.state.failures, now):
            raise too_many_attempts(1)
    return device, found


def _tiles(people: Collection[TileState], now: Instant) -> list[Tile]:
    return [
        Tile(
            state.user,
            entry_of(state),
            state.allows_tap,
            pin_wait_s(state, now),
            colour_of(state.user.id),
            initial_of(state.user.name),
        )
        for state in sorted(people, key=lambda each: login_key(each.user.name))
    ]


def _device(connection: Connection, device_id: DeviceId) -> RememberedDevice:
    found = storage.find_device_by_id(connection, device_id)
    if found is None:
        raise _unknown_device()
    return found


def _end_sessions(connection: Connection, keys: Collection[TokenKey]) -> None:
    for key in keys:
        accounts_storage.remove_token(connection, key)


def _unknown_device() -> PlayheadError:
    return not_found("Device not found")
