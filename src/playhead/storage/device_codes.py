"""Devices that wait to be signed in, and wrong guesses: queries that take a connection. Decides nothing."""

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, and_, bindparam, delete, func, insert, select, update

from playhead.domain.device_codes import DeviceKind, DeviceProtocol
from playhead.domain.model import Instant, UserId
from playhead.storage.engine.database import Prepared
from playhead.storage.engine.upserts import insert_for
from playhead.storage.schema import device_code, guess


class StoredDeviceCode(NamedTuple):
    """A sign-in request of a device, under the hashes of its codes. `address` is as sent; limits count by `sender`."""

    hash: str
    user_code_hash: str
    purpose: DeviceProtocol
    name: str
    kind: DeviceKind
    address: str
    sender: str
    created_at: Instant
    expires_at: Instant


class DeviceDecision(NamedTuple):
    """A decision about a device: `user_id` is the user who approved it, None if it was denied."""

    hash: str
    user_id: UserId | None
    is_redeemed: bool


def add(connection: Connection, stored: StoredDeviceCode) -> bool:
    """Store a request, and return whether its codes were free."""
    row = stored._asdict() | {"purpose": stored.purpose.value, "kind": stored.kind.value}
    kept = insert_for(connection, device_code).values(row).on_conflict_do_nothing().returning(device_code.c.hash)
    return connection.execute(kept).first() is not None


def count(connection: Connection, sender: str | None = None) -> int:
    """Return the number of requests, of one sender or of all."""
    counted = select(func.count()).select_from(device_code)
    return connection.execute(counted if sender is None else counted.where(device_code.c.sender == sender)).scalar_one()


def prune(connection: Connection, until: Instant) -> None:
    """Remove everything that expired up to `until`."""
    connection.execute(delete(device_code).where(device_code.c.expires_at <= until))


_LIFE = Prepared(select(device_code.c.purpose, device_code.c.expires_at).where(device_code.c.hash == bindparam("hash")))


def find_life(connection: Connection, code_hash: str) -> tuple[DeviceProtocol, Instant] | None:
    """Return the purpose and the expiry of a request by the hash of its device code; None if there is none."""
    row = _LIFE.one(connection, (code_hash,))
    return None if row is None else (DeviceProtocol(row[0]), Instant(row[1]))


# One query for all waiting devices. There are few decisions within ten minutes.
_DECIDED = Prepared(
    select(device_code.c.hash, device_code.c.user_id, device_code.c.redeemed_at).where(
        device_code.c.decided_at >= bindparam("since")
    )
)


def list_decided(connection: Connection) -> list[DeviceDecision]:
    """Return the decisions about all stored requests."""
    found = _DECIDED.rows(connection, [(0,)])
    return [DeviceDecision(code_hash, user_id, redeemed_at is not None) for code_hash, user_id, redeemed_at in found]


def find_undecided(connection: Connection, user_code_hash: str, now: Instant) -> StoredDeviceCode | None:
    """Return the undecided request with this user code."""
    row = connection.execute(
        select(device_code).where(
            device_code.c.user_code_hash == user_code_hash,
            device_code.c.expires_at > now,
            device_code.c.decided_at.is_(None),
        )
    ).first()
    return None if row is None else _stored(row)


def decide(connection: Connection, code_hash: str, user_id: UserId | None, now: Instant) -> bool:
    """Store who approved a request, or None for a denial; return whether nobody had decided before."""
    undecided = and_(device_code.c.hash == code_hash, device_code.c.decided_at.is_(None))
    changed = update(device_code).where(undecided).values(user_id=user_id, decided_at=now)
    return connection.execute(changed).rowcount == 1


def redeem(connection: Connection, code_hash: str, now: Instant) -> tuple[UserId, StoredDeviceCode] | None:
    """Use up an approved, unexpired request, and return who approved it. Only one of several callers gets it."""
    row = connection.execute(
        update(device_code)
        .where(
            device_code.c.hash == code_hash,
            device_code.c.user_id.is_not(None),
            device_code.c.redeemed_at.is_(None),
            device_code.c.expires_at > now,
        )
        .values(redeemed_at=now)
        .returning(device_code)
    ).first()
    return None if row is None else (UserId(row.user_id), _stored(row))


def _stored(row: Row[Any]) -> StoredDeviceCode:
    return StoredDeviceCode(
        row.hash,
        row.user_code_hash,
        DeviceProtocol(row.purpose),
        row.name,
        DeviceKind(row.kind),
        row.address,
        row.sender,
        row.created_at,
        row.expires_at,
    )


# Guesses at short codes, by user and by address.


def list_guesses(connection: Connection, subject: str, since: Instant) -> list[Instant]:
    """Return the times of a subject's guesses after `since`."""
    found = select(guess.c.made_at).where(guess.c.subject == subject, guess.c.made_at > since)
    return list(connection.execute(found).scalars())


def add_guess(connection: Connection, subjects: Collection[str], guess_id: str, made_at: Instant) -> None:
    """Record a guess for each of its subjects."""
    connection.execute(
        insert(guess), [{"subject": subject, "id": guess_id, "made_at": made_at} for subject in subjects]
    )


def prune_guesses(connection: Connection, until: Instant) -> None:
    """Delete all guesses up to `until`."""
    connection.execute(delete(guess).where(guess.c.made_at <= until))
