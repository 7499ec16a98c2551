"""Remembered devices, the people on them, and PINs: queries that take a connection. Decides nothing."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, insert, or_, select, update

from playhead.domain.accounts import User
from playhead.domain.household import TileState
from playhead.domain.model import DeviceId, Instant, Role, UserId
from playhead.domain.tokens import TokenKey
from playhead.storage.schema import account, household_device, household_person, household_session, pin, token


class RememberedDevice(NamedTuple):
    """A remembered device. `remembered_by` is the user who had it remembered; `last_used_at` is a day."""

    id: DeviceId
    name: str
    remembered_by: UserId
    created_at: Instant
    last_used_at: Instant


class PinState(NamedTuple):
    """The state of a person on a device, with the hash of their PIN, if they have one."""

    state: TileState
    pin_hash: str | None


_DEVICE = (
    household_device.c.id,
    household_device.c.name,
    household_device.c.remembered_by,
    household_device.c.created_at,
    household_device.c.last_used_at,
)


# Devices


def find_device(connection: Connection, secret_hash: str) -> RememberedDevice | None:
    """Return the device with this secret."""
    row = connection.execute(select(*_DEVICE).where(household_device.c.hash == secret_hash)).first()
    return None if row is None else _device(row)


def find_device_by_id(connection: Connection, device_id: DeviceId) -> RememberedDevice | None:
    """Return the device with this id."""
    row = connection.execute(select(*_DEVICE).where(household_device.c.id == device_id)).first()
    return None if row is None else _device(row)


def list_devices(connection: Connection, user_id: UserId | None = None) -> list[RememberedDevice]:
    """Return devices, newest first: all, or those that a user has remembered or has a tile on."""
    stands_there = exists().where(
        household_person.c.device_id == household_device.c.id, household_person.c.user_id == user_id
    )
    found = select(*_DEVICE).order_by(household_device.c.created_at.desc(), household_device.c.id)
    if user_id is not None:
        found = found.where(or_(household_device.c.remembered_by == user_id, stands_there))
    return [_device(row) for row in connection.execute(found)]


def count_devices(connection: Connection, user_id: UserId) -> int:
    """Return the number of devices that a user has remembered."""
    counted = select(func.count()).where(household_device.c.remembered_by == user_id)
    return connection.execute(counted).scalar_one()


def add_device(connection: Connection, secret_hash: str, device: RememberedDevice) -> None:
    """Store a device under the hash of its secret."""
    connection.execute(insert(household_device).values(hash=secret_hash, **device._asdict()))


def note_use(connection: Connection, device_id: DeviceId, day: Instant) -> None:
    """Record the day on which a device was used."""
    changed = update(household_device).where(household_device.c.id == device_id, household_device.c.last_used_at < day)
    connection.execute(changed.values(last_used_at=day))


def remove_device(connection: Connection, device_id: DeviceId) -> Sequence[TokenKey]:
    """Remove a device and its people, and return the sessions that were opened there."""
    connection.execute(delete(household_person).where(household_person.c.device_id == device_id))
    connection.execute(delete(household_device).where(household_device.c.id == device_id))
    return _take_sessions(connection, household_session.c.device_id == device_id)


def _take_sessions(connection: Connection, condition: ColumnElement[bool]) -> Sequence[TokenKey]:
    taken = delete(household_session).where(condition)
    rows = connection.execute(taken.returning(household_session.c.user_id, household_session.c.token_hash))
    return [TokenKey(UserId(user_id), token_hash) for user_id, token_hash in rows]


def _device(row: Any) -> RememberedDevice:  # noqa: ANN401 - of the columns in _DEVICE
    return RememberedDevice(DeviceId(row.id), row.name, UserId(row.remembered_by), row.created_at, row.last_used_at)


# People


def list_people(connection: Connection, device_ids: Collection[DeviceId]) -> dict[DeviceId, list[TileState]]:
    """Return the people with a tile on each of these devices, in no order."""
    found: dict[DeviceId, list[TileState]] = {device_id: [] for device_id in device_ids}
    for row in connection.execute(_states().where(household_person.c.device_id.in_(device_ids))):
        found[DeviceId(row.device_id)].append(_state(row).state)
    return found


def find_person(connection: Connection, device_id: DeviceId, user_id: UserId) -> PinState | None:
    """Return the state of a person on a device; None if they have no tile there."""
    wanted = and_(household_person.c.device_id == device_id, household_person.c.user_id == user_id)
    row = connection.execute(_states().where(wanted)).first()
    return None if row is None else _state(row)


def _states() -> Any:  # noqa: ANN401 - a select of many columns
    other = household_person.alias()
    elsewhere = (
        select(func.coalesce(func.sum(other.c.pin_failures), 0))
        .where(other.c.user_id == household_person.c.user_id, other.c.device_id != household_person.c.device_id)
        .scalar_subquery()
        .label("failures_elsewhere")
    )
    return (
        select(
            household_person.c.device_id,
            household_person.c.allows_tap,
            household_person.c.pin_failures,
            household_person.c.pin_failed_at,
            account.c.id,
            account.c.name,
            account.c.role,
            account.c.created_at,
            pin.c.hash.label("pin_hash"),
            elsewhere,
        )
        .join(account, account.c.id == household_person.c.user_id)
        .outerjoin(pin, pin.c.user_id == household_person.c.user_id)
    )


def _state(row: Any) -> PinState:  # noqa: ANN401 - of the columns of `_states`
    user = User(UserId(row.id), row.name, Role(row.role), row.created_at)
    state = TileState(
        user, row.pin_hash is not None, row.allows_tap, row.pin_failures, row.pin_failed_at, int(row.failures_elsewhere)
    )
    return PinState(state, row.pin_hash)


def add_person(connection: Connection, device_id: DeviceId, user_id: UserId, added_at: Instant) -> None:
    """Give a user a tile on a device; idempotent."""
    wanted = and_(household_person.c.device_id == device_id, household_person.c.user_id == user_id)
    if connection.execute(select(household_person.c.user_id).where(wanted)).first() is None:
        connection.execute(
            insert(household_person).values(
                device_id=device_id, user_id=user_id, allows_tap=False, added_at=added_at, pin_failures=0
            )
        )


def remove_person(connection: Connection, device_id: DeviceId, user_id: UserId) -> Sequence[TokenKey]:
    """Remove a user from a device, and return the sessions that were opened at their tile."""
    wanted = and_(household_person.c.device_id == device_id, household_person.c.user_id == user_id)
    connection.execute(delete(household_person).where(wanted))
    there = and_(household_session.c.device_id == device_id, household_session.c.user_id == user_id)
    return _take_sessions(connection, there)


def set_allows_tap(connection: Connection, device_id: DeviceId, user_id: UserId, *, allows: bool) -> None:
    """Store whether a user's tile on a device requires nothing."""
    wanted = and_(household_person.c.device_id == device_id, household_person.c.user_id == user_id)
    connection.execute(update(household_person).where(wanted).values(allows_tap=allows))


# PINs


def set_pin(connection: Connection, user_id: UserId, pin_hash: str, set_at: Instant) -> None:
    """Set a user's PIN, replacing any current one."""
    remove_pin(connection, user_id)
    connection.execute(insert(pin).values(user_id=user_id, hash=pin_hash, set_at=set_at))


def remove_pin(connection: Connection, user_id: UserId) -> None:
    """Remove a user's PIN, and clear wrong attempts on all devices."""
    connection.execute(delete(pin).where(pin.c.user_id == user_id))
    clear_failures(connection, user_id)


def has_pin(connection: Connection, user_id: UserId) -> bool:
    """Return whether a user has a PIN."""
    return connection.execute(select(pin.c.user_id).where(pin.c.user_id == user_id)).first() is not None


def count_failure(
    connection: Connection, device_id: DeviceId, user_id: UserId, failures: int, failed_at: Instant
) -> bool:
    """Count an attempt that has not succeeded yet, if there were `failures` before; return whether there were."""
    wanted = and_(
        household_person.c.device_id == device_id,
        household_person.c.user_id == user_id,
        household_person.c.pin_failures == failures,
    )
    counted = update(household_person).where(wanted).values(pin_failures=failures + 1, pin_failed_at=failed_at)
    return connection.execute(counted).rowcount == 1


def clear_failures(connection: Connection, user_id: UserId, device_id: DeviceId | None = None) -> None:
    """Clear a user's wrong PINs on one device, or on all."""
    wanted = household_person.c.user_id == user_id
    if device_id is not None:
        wanted = and_(wanted, household_person.c.device_id == device_id)
    connection.execute(update(household_person).where(wanted).values(pin_failures=0, pin_failed_at=None))


# Sessions that were opened at a tile


def add_session(connection: Connection, device_id: DeviceId, user_id: UserId, token_hash: str) -> None:
    """Record on which device a session was opened, and delete the device's sessions that have ended."""
    ended = ~exists().where(
        token.c.user_id == household_session.c.user_id, token.c.hash == household_session.c.token_hash
    )
    connection.execute(delete(household_session).where(household_session.c.device_id == device_id, ended))
    connection.execute(insert(household_session).values(user_id=user_id, token_hash=token_hash, device_id=device_id))


def remove_user(connection: Connection, user_id: UserId) -> None:
    """Remove everything about a user, including devices that they have remembered."""
    for table in (pin, household_person, household_session):
        connection.execute(delete(table).where(table.c.user_id == user_id))
    own = select(household_device.c.id).where(household_device.c.remembered_by == user_id)
    for device_id in connection.execute(own).scalars().all():
        remove_device(connection, DeviceId(device_id))
