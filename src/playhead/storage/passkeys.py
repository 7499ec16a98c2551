"""Passkeys, recovery codes and the two-factor setting: queries that take a connection. Decides nothing."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, insert, select, update

from playhead.domain.model import Instant, PasskeyId, UserId
from playhead.domain.passkeys import Passkey
from playhead.storage.schema import passkey, recovery_code, second_factor


def list_passkeys(connection: Connection, user_id: UserId) -> list[Passkey]:
    """Return a user's passkeys, oldest first."""
    rows = connection.execute(
        select(passkey).where(passkey.c.user_id == user_id).order_by(passkey.c.created_at, passkey.c.id)
    )
    return [_passkey(row) for row in rows]


def find_passkey(connection: Connection, user_id: UserId, credential_id: str) -> Passkey | None:
    """Return a user's passkey by its credential."""
    own = and_(passkey.c.user_id == user_id, passkey.c.credential_id == credential_id)
    row = connection.execute(select(passkey).where(own)).first()
    return None if row is None else _passkey(row)


def add_passkey(connection: Connection, stored: Passkey) -> None:
    """Store a passkey. Raises IntegrityError if the account has this credential already: find it first."""
    connection.execute(insert(passkey).values(asdict(stored)))


def note_passkey(connection: Connection, used: Passkey, sign_count: int, used_at: Instant) -> bool:
    """Store the new counter of a used passkey if the old one is still stored; return whether it was."""
    kept = and_(
        passkey.c.user_id == used.user_id,
        passkey.c.credential_id == used.credential_id,
        passkey.c.sign_count == used.sign_count,
    )
    return connection.execute(update(passkey).where(kept).values(sign_count=sign_count, used_at=used_at)).rowcount == 1


def rename_passkey(connection: Connection, user_id: UserId, passkey_id: PasskeyId, name: str) -> bool:
    """Rename a passkey if it is this user's, and return whether it was."""
    own = and_(passkey.c.user_id == user_id, passkey.c.id == passkey_id)
    return connection.execute(update(passkey).where(own).values(name=name)).rowcount > 0


def remove_passkey(connection: Connection, user_id: UserId, passkey_id: PasskeyId) -> bool:
    """Remove a passkey if it is this user's, and return whether it was."""
    own = and_(passkey.c.user_id == user_id, passkey.c.id == passkey_id)
    return connection.execute(delete(passkey).where(own)).rowcount > 0


def remove_all(connection: Connection, user_id: UserId) -> None:
    """Remove a user's passkeys and recovery codes, so that their sign-in needs no second factor."""
    for table in (passkey, recovery_code, second_factor):
        connection.execute(delete(table).where(table.c.user_id == user_id))


def needs_second_factor(connection: Connection, user_id: UserId) -> bool:
    """Return whether a user signs in with password and passkey together."""
    return (
        connection.execute(select(second_factor.c.user_id).where(second_factor.c.user_id == user_id)).first()
        is not None
    )


def set_second_factor(connection: Connection, user_id: UserId, since: Instant | None) -> None:
    """Make a user's sign-in require both from now on or, with None, no longer."""
    connection.execute(delete(second_factor).where(second_factor.c.user_id == user_id))
    if since is not None:
        connection.execute(insert(second_factor).values(user_id=user_id, since=since))


def replace_recovery_codes(connection: Connection, user_id: UserId, hashes: Iterable[str], now: Instant) -> None:
    """Store new recovery codes, replacing all old ones."""
    connection.execute(delete(recovery_code).where(recovery_code.c.user_id == user_id))
    rows = [{"user_id": user_id, "hash": each, "created_at": now} for each in hashes]
    connection.execute(insert(recovery_code), rows)


def count_recovery_codes(connection: Connection, user_id: UserId) -> int:
    """Return the number of recovery codes left."""
    own = select(func.count()).select_from(recovery_code).where(recovery_code.c.user_id == user_id)
    return connection.execute(own).scalar_one()


def use_recovery_code(connection: Connection, user_id: UserId, code_hash: str) -> bool:
    """Remove a recovery code, and return whether there was one. Of several concurrent uses only one succeeds."""
    own = and_(recovery_code.c.user_id == user_id, recovery_code.c.hash == code_hash)
    return connection.execute(delete(recovery_code).where(own)).rowcount > 0


def _passkey(row: Row[Any]) -> Passkey:
    return Passkey(
        PasskeyId(row.id),
        UserId(row.user_id),
        row.credential_id,
        row.public_key,
        row.sign_count,
        row.name,
        Instant(row.created_at),
        None if row.used_at is None else Instant(row.used_at),
    )
