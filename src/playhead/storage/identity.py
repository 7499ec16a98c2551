"""Identities of external issuers and the accounts that they sign in to. Decides nothing."""

from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, insert, select, update

from playhead.domain.accounts import NO_PASSWORD
from playhead.domain.identity import LinkedIdentity
from playhead.domain.model import IdentityId, Instant, LibraryId, UserId
from playhead.storage.schema import account, identity, library, provider_session, token


def find_identity(connection: Connection, issuer: str, subject: str) -> LinkedIdentity | None:
    """Return the linked identity with this subject."""
    own = and_(identity.c.issuer == issuer, identity.c.subject == subject)
    row = connection.execute(select(identity).where(own)).first()
    return None if row is None else _linked(row)


def list_identities(connection: Connection, user_id: UserId) -> list[LinkedIdentity]:
    """Return the identities linked to an account, oldest first."""
    rows = connection.execute(
        select(identity).where(identity.c.user_id == user_id).order_by(identity.c.linked_at, identity.c.id)
    )
    return [_linked(row) for row in rows]


def list_present(connection: Connection, identity_ids: Collection[str]) -> frozenset[str]:
    """Return those of these identities that are still linked to an account."""
    found = select(identity.c.id).join(account, account.c.id == identity.c.user_id)
    return frozenset(connection.execute(found.where(identity.c.id.in_(identity_ids))).scalars())


def add_identity(connection: Connection, linked: LinkedIdentity) -> None:
    """Link an identity to an account. Raises IntegrityError if it is linked already: find it first."""
    connection.execute(insert(identity).values(asdict(linked)))


def note_identity(connection: Connection, identity_id: IdentityId, name: str, day: Instant) -> None:
    """Record the current name of an identity at its issuer, and the day of its use."""
    connection.execute(update(identity).where(identity.c.id == identity_id).values(name=name, used_at=day))


def remove_identity(connection: Connection, user_id: UserId, identity_id: IdentityId) -> bool:
    """Unlink an identity if it is this user's, and return whether it was."""
    own = and_(identity.c.user_id == user_id, identity.c.id == identity_id)
    return connection.execute(delete(identity).where(own)).rowcount > 0


def has_password(connection: Connection, user_id: UserId) -> bool:
    """Return whether a user can sign in with a password."""
    found = select(account.c.id).where(account.c.id == user_id, account.c.password_hash != NO_PASSWORD)
    return connection.execute(found).first() is not None


def add_provider_session(
    connection: Connection, user_id: UserId, token_hash: str, id_token: str, created_at: Instant
) -> None:
    """Store the ID token with which a session was opened, and delete those of the user's ended sessions."""
    live = select(token.c.hash).where(token.c.user_id == user_id)
    connection.execute(
        delete(provider_session).where(
            provider_session.c.user_id == user_id, provider_session.c.token_hash.not_in(live)
        )
    )
    connection.execute(
        insert(provider_session).values(
            user_id=user_id, token_hash=token_hash, id_token=id_token, created_at=created_at
        )
    )


def take_provider_session(connection: Connection, user_id: UserId, token_hash: str) -> str | None:
    """Remove the ID token of a session and return it; None if a provider did not open it."""
    own = and_(provider_session.c.user_id == user_id, provider_session.c.token_hash == token_hash)
    return connection.execute(delete(provider_session).where(own).returning(provider_session.c.id_token)).scalar()


def list_libraries_named(connection: Connection, names: Collection[str]) -> frozenset[LibraryId]:
    """Return the libraries with these names; unknown names are left out."""
    found = connection.execute(select(library.c.id).where(library.c.name.in_(names))).scalars()
    return frozenset(LibraryId(each) for each in found)


def _linked(row: Row[Any]) -> LinkedIdentity:
    return LinkedIdentity(
        IdentityId(row.id),
        UserId(row.user_id),
        row.issuer,
        row.subject,
        row.name,
        Instant(row.linked_at),
        Instant(row.used_at),
    )
