"""Users, logins, tokens, failed sign-ins and grants: queries as functions that take a connection. Decides nothing."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, func, insert, or_, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from playhead.domain.accounts import NO_PASSWORD, Token, TokenKind, User
from playhead.domain.limits import SESSIONS_OF_USER
from playhead.domain.model import Instant, LibraryId, Role, TokenId, UserId
from playhead.domain.tokens import TokenKey, TokenScope
from playhead.storage import household
from playhead.storage.engine.database import Prepared
from playhead.storage.engine.signals import signal_commit
from playhead.storage.engine.upserts import insert_for
from playhead.storage.schema import (
    account,
    credential_epoch,
    device_code,
    identity,
    library,
    library_access,
    login,
    sign_in_failure,
    token,
    token_by_hash,
)


class NameTakenError(Exception):
    """Another account has this name, or one that differs only in case."""


@dataclass(frozen=True, slots=True)
class StoredToken:
    """The result of looking up a token by its hash."""

    user_id: UserId
    kind: TokenKind
    scope: TokenScope
    expires_at: Instant | None
    last_used_at: Instant | None


@dataclass(frozen=True, slots=True)
class Login:
    """An account with its password hash."""

    user: User
    password_hash: str


# Every request whose credential is not cached runs the first and the third of these.
_TOKEN_BY_KEY = Prepared(
    select(token.c.user_id, token.c.kind, token.c.scope, token.c.expires_at, token.c.last_used_at).where(
        token.c.user_id == bindparam("user_id"), token.c.hash == bindparam("hash")
    )
)
_USER_BY_HASH = Prepared(select(token_by_hash.c.user_id).where(token_by_hash.c.hash == bindparam("hash")))
_ACCOUNT_BY_ID = Prepared(
    select(account.c.id, account.c.name, account.c.role, account.c.created_at).where(
        account.c.id == bindparam("user_id")
    )
)


def find_bearer(connection: Connection, key: TokenKey, *, search: bool) -> tuple[StoredToken, User] | None:
    """Return a token, of any kind and age, with its account; None if either is missing.

    `search`: the user in `key` is a guess, so the token may be another user's.
    """
    found = _TOKEN_BY_KEY.one(connection, key)
    if found is None and search:
        row = _USER_BY_HASH.one(connection, (key.hash,))
        found = None if row is None else _TOKEN_BY_KEY.one(connection, (row[0], key.hash))
    if found is None:
        return None
    user_id, kind, scope, expires_at, last_used_at = found
    user = find_user(connection, user_id)
    if user is None:
        return None
    return StoredToken(user_id, TokenKind(kind), TokenScope(scope), expires_at, last_used_at), user


_SELECT_EPOCH = select(credential_epoch.c.number)
_EPOCH = Prepared(_SELECT_EPOCH)

EPOCH_SQL = str(_SELECT_EPOCH)
"""Reads what `read_epoch` returns, no row for 0."""

REVOCATIONS_CHANNEL = "playhead_revocations"
"""Where a commit that changes the epoch is signalled."""


def read_epoch(connection: Connection) -> int:
    """Return the epoch of credentials, which increases with each change that affects the validity or rights of any."""
    row = _EPOCH.one(connection, ())
    return 0 if row is None else int(row[0])


def count_epoch(connection: Connection) -> None:
    """Increase the epoch of credentials, and signal it, so that other processes clear their caches."""
    connection.execute(
        insert_for(connection, credential_epoch)
        .values(id=1, number=1)
        .on_conflict_do_update(index_elements=[credential_epoch.c.id], set_={"number": credential_epoch.c.number + 1})
    )
    signal_commit(connection, REVOCATIONS_CHANNEL)


def list_expiries(connection: Connection, keys: Collection[TokenKey]) -> dict[str, tuple[TokenKind, Instant | None]]:
    """Return the kind and the expiry of each of these tokens, by hash; removed ones are left out."""
    rows = connection.execute(
        select(token.c.hash, token.c.kind, token.c.expires_at).where(tuple_(token.c.user_id, token.c.hash).in_(keys))
    )
    return {token_hash: (TokenKind(kind), expires_at) for token_hash, kind, expires_at in rows}


# Users


def find_user(connection: Connection, user_id: UserId) -> User | None:
    """Return the account with this id."""
    row = _ACCOUNT_BY_ID.one(connection, (user_id,))
    return None if row is None else _user(*row)


def find_login(connection: Connection, login_key: str) -> Login | None:
    """Return the account that signs in by this name, with the hash of its password."""
    user_id = connection.execute(select(login.c.user_id).where(login.c.name == login_key)).scalar()
    if user_id is None:
        return None
    row = connection.execute(
        select(account.c.id, account.c.name, account.c.role, account.c.created_at, account.c.password_hash).where(
            account.c.id == user_id
        )
    ).first()
    return None if row is None else Login(_user(row.id, row.name, row.role, row.created_at), row.password_hash)


def list_users(connection: Connection, after: str, limit: int | None) -> list[User]:
    """Return up to `limit` (None: all) accounts ordered by login key, starting after the key `after`."""
    rows = connection.execute(
        select(account.c.id, account.c.name, account.c.role, account.c.created_at)
        .join(login, login.c.user_id == account.c.id)
        .where(login.c.name > after)
        .order_by(login.c.name)
        .limit(limit)
    )
    return [_user(*row) for row in rows]


def count_users(connection: Connection) -> dict[Role, int]:
    """Return the number of accounts of each role."""
    rows = connection.execute(select(account.c.role, func.count()).group_by(account.c.role))
    return {Role(role): number for role, number in rows}


def any_user(connection: Connection) -> bool:
    """Return whether there is any account."""
    return connection.execute(select(login.c.name).limit(1)).first() is not None


def add_user(connection: Connection, user: User, login_key: str, password_hash: str) -> None:
    """Store a new account and its login. Raises NameTakenError."""
    try:
        connection.execute(insert(login).values(name=login_key, user_id=user.id))
    except IntegrityError as error:
        raise NameTakenError from error
    connection.execute(
        insert(account).values(
            id=user.id, name=user.name, role=user.role.value, password_hash=password_hash, created_at=user.created_at
        )
    )


def rename_user(connection: Connection, user_id: UserId, name: str, login_key: str) -> None:
    """Rename an account. Raises NameTakenError."""
    try:
        connection.execute(update(login).where(login.c.user_id == user_id).values(name=login_key))
    except IntegrityError as error:
        raise NameTakenError from error
    connection.execute(update(account).where(account.c.id == user_id).values(name=name))


def set_role(connection: Connection, user_id: UserId, role: Role) -> None:
    """Change the role of an account."""
    connection.execute(update(account).where(account.c.id == user_id).values(role=role.value))


def set_password_hash(connection: Connection, user_id: UserId, password_hash: str) -> None:
    """Change the password of an account."""
    connection.execute(update(account).where(account.c.id == user_id).values(password_hash=password_hash))


def find_presentation(connection: Connection, user_id: UserId) -> tuple[str | None, str | None]:
    """Return the time zone and the language that a user chose, each None without a choice."""
    query = select(account.c.time_zone, account.c.language).where(account.c.id == user_id)
    found = connection.execute(query).first()
    return (None, None) if found is None else (found.time_zone, found.language)


def set_language(connection: Connection, user_id: UserId, language: str | None) -> None:
    """Store the language of a user's pages; None leaves it to the browser."""
    connection.execute(update(account).where(account.c.id == user_id).values(language=language))


def set_time_zone(connection: Connection, user_id: UserId, name: str, *, only_first: bool = False) -> None:
    """Store a user's time zone; with `only_first`, only if they have none yet."""
    wanted = and_(account.c.id == user_id, account.c.time_zone.is_(None)) if only_first else account.c.id == user_id
    connection.execute(update(account).where(wanted).values(time_zone=name))


def replace_password_hash(connection: Connection, user_id: UserId, verified: str, replacement: str) -> bool:
    """Store `replacement` if the hash still is `verified`, and return whether it was.

    Locks the account's row until the end of the transaction: a concurrent password change or removal by another process
    has to wait.
    """
    return (
        connection.execute(
            update(account)
            .where(account.c.id == user_id, account.c.password_hash == verified)
            .values(password_hash=replacement)
        ).rowcount
        == 1
    )


def remove_user(connection: Connection, user_id: UserId) -> None:
    """Remove an account, its login, tokens, identities and device approvals; the rest is deleted by cascade."""
    connection.execute(delete(account).where(account.c.id == user_id))
    connection.execute(delete(login).where(login.c.user_id == user_id))
    _remove_tokens(connection, token.c.user_id == user_id)
    connection.execute(delete(identity).where(identity.c.user_id == user_id))
    _withdraw_approvals(connection, user_id)
    household.remove_user(connection, user_id)


def lock_admins(connection: Connection) -> list[UserId]:
    """Return the ids of all admins who have a password, and keep other processes from changing who is one.

    Admins without one depend on an identity provider or a proxy, so they do not count as the last admin. The locks last
    until the transaction ends.

    The locks are taken on the logins, a replicated table, because a distributed engine cannot lock rows of several
    shards; SQLite has one writer and needs none. So the accounts are read again after the locks are held.
    """
    admins = select(account.c.id).where(account.c.role == Role.ADMIN.value, account.c.password_hash != NO_PASSWORD)
    before = connection.execute(admins).scalars().all()
    connection.execute(
        select(login.c.name).where(login.c.user_id.in_(before)).order_by(login.c.name).with_for_update()
    ).all()
    return list(connection.execute(admins).scalars())


def _user(user_id: str, name: str, role: str, created_at: int) -> User:
    return User(UserId(user_id), name, Role(role), Instant(created_at))


# Tokens


def add_token(connection: Connection, token_hash: str, stored: Token) -> None:
    """Store a token under its hash. A session beyond the limit of its user ends the least recently used one."""
    if stored.kind is TokenKind.SESSION:
        _end_idle_sessions(connection, stored.user_id, SESSIONS_OF_USER.most - 1)
    connection.execute(
        insert(token).values(
            hash=token_hash,
            id=stored.id,
            user_id=stored.user_id,
            kind=stored.kind.value,
            scope=stored.scope.value,
            name=stored.name,
            created_at=stored.created_at,
            expires_at=stored.expires_at,
            last_used_at=stored.last_used_at,
        )
    )


def _end_idle_sessions(connection: Connection, user_id: UserId, most: int) -> None:
    """Keep the `most` sessions that were used last. Uses are recorded by day, so of one day the newest stay."""
    last_used = func.coalesce(token.c.last_used_at, token.c.created_at)
    idle = (
        select(token.c.hash)
        .where(token.c.user_id == user_id, token.c.kind == TokenKind.SESSION.value)
        .order_by(last_used.desc(), token.c.created_at.desc(), token.c.id)
        .offset(most)
    )
    hashes = connection.execute(idle).scalars().all()
    if hashes:
        _remove_tokens(connection, and_(token.c.user_id == user_id, token.c.hash.in_(hashes)))
        count_epoch(connection)


def count_tokens(connection: Connection, user_id: UserId, kind: TokenKind) -> int:
    """Return the number of a user's tokens of one kind."""
    query = select(func.count()).select_from(token).where(token.c.user_id == user_id, token.c.kind == kind.value)
    return connection.execute(query).scalar_one()


def list_tokens(connection: Connection, user_id: UserId, kind: TokenKind) -> list[Token]:
    """Return a user's tokens of one kind, newest first."""
    rows = connection.execute(
        select(token)
        .where(token.c.user_id == user_id, token.c.kind == kind.value)
        .order_by(token.c.created_at.desc(), token.c.id)
    )
    return [
        Token(
            TokenId(row.id),
            UserId(row.user_id),
            TokenKind(row.kind),
            row.name,
            row.created_at,
            row.expires_at,
            row.last_used_at,
            TokenScope(row.scope),
        )
        for row in rows
    ]


def note_use(connection: Connection, key: TokenKey, day: Instant, expires_at: Instant | None) -> None:
    """Record the day on which a token was used, and its new expiry; writes nothing if the day is recorded already."""
    connection.execute(
        update(token)
        .where(_has_key(key), or_(token.c.last_used_at.is_(None), token.c.last_used_at < day))
        .values(last_used_at=day, expires_at=expires_at)
    )


def remove_token(connection: Connection, key: TokenKey) -> bool:
    """Remove a token by its key, and return whether there was one."""
    return bool(_remove_tokens(connection, _has_key(key)))


def remove_token_of(connection: Connection, user_id: UserId, token_id: TokenId) -> bool:
    """Remove a token by its id if it is this user's, and return whether it was."""
    return bool(_remove_tokens(connection, and_(token.c.user_id == user_id, token.c.id == token_id)))


def find_token_id(connection: Connection, key: TokenKey) -> TokenId | None:
    """Return the public id of a token, for places where its secret must not appear."""
    return connection.execute(select(token.c.id).where(_has_key(key))).scalar()


def remove_sessions(connection: Connection, user_id: UserId, *, but: str = "") -> int:
    """Remove a user's sessions, except the one with the hash `but`, and approvals that would become one.

    Returns the number of sessions. API tokens stay.
    """
    _withdraw_approvals(connection, user_id)
    session = token.c.kind == TokenKind.SESSION.value
    return len(_remove_tokens(connection, and_(token.c.user_id == user_id, session, token.c.hash != but)))


def remove_api_tokens(connection: Connection, user_id: UserId, *, but: str = "") -> int:
    """Remove a user's API tokens, except the one with the hash `but`, and return their number. Sessions stay."""
    api = token.c.kind == TokenKind.API.value
    return len(_remove_tokens(connection, and_(token.c.user_id == user_id, api, token.c.hash != but)))


def _withdraw_approvals(connection: Connection, user_id: UserId) -> None:
    """Withdraw a user's approvals of devices that have not fetched their session yet."""
    connection.execute(update(device_code).where(device_code.c.user_id == user_id).values(user_id=None))


def remove_expired_tokens(connection: Connection, user_id: UserId, now: Instant) -> None:
    """Remove a user's expired tokens."""
    _remove_tokens(connection, and_(token.c.user_id == user_id, token.c.expires_at <= now))


def setup_user_id(connection: Connection, key: TokenKey) -> UserId | None:
    """Return the id that the first admin will get by this setup token; None if it is not one."""
    setup = and_(_has_key(key), token.c.kind == TokenKind.SETUP.value)
    return connection.execute(select(token.c.user_id).where(setup)).scalar()


def remove_setup_tokens(connection: Connection) -> Sequence[str]:
    """Remove every setup token and return their hashes. Of several concurrent processes, only one gets each."""
    return _remove_tokens(connection, token.c.kind == TokenKind.SETUP.value)


def _has_key(key: TokenKey) -> ColumnElement[bool]:
    return and_(token.c.user_id == key.user_id, token.c.hash == key.hash)


def _remove_tokens(connection: Connection, condition: ColumnElement[bool]) -> Sequence[str]:
    """Remove tokens, and return their hashes."""
    hashes = connection.execute(delete(token).where(condition).returning(token.c.hash)).scalars().all()
    if hashes:
        connection.execute(delete(token_by_hash).where(token_by_hash.c.hash.in_(hashes)))
    return hashes


# Failed sign-ins


def lock_login(connection: Connection, login_key: str) -> None:
    """Serialise sign-ins of one name across processes until the transaction ends.

    SQLite has one writer and needs no lock. An unknown name is not locked, since it has no password.
    """
    connection.execute(select(login.c.name).where(login.c.name == login_key).with_for_update()).all()


def list_failures(connection: Connection, login_key: str, address: str, since: Instant) -> list[Instant]:
    """Return the times of failed or unfinished sign-ins of a name from an address, after `since`."""
    return list(
        connection.execute(
            select(sign_in_failure.c.failed_at).where(
                sign_in_failure.c.name == login_key,
                sign_in_failure.c.address == address,
                sign_in_failure.c.failed_at > since,
            )
        ).scalars()
    )


def add_failure(connection: Connection, login_key: str, address: str, failure_id: str, failed_at: Instant) -> None:
    """Record a sign-in that has not succeeded."""
    connection.execute(
        insert(sign_in_failure).values(name=login_key, address=address, id=failure_id, failed_at=failed_at)
    )


def clear_failures(connection: Connection, login_key: str, address: str) -> None:
    """Delete the failed sign-ins of a name from an address."""
    connection.execute(
        delete(sign_in_failure).where(sign_in_failure.c.name == login_key, sign_in_failure.c.address == address)
    )


def remove_failure(connection: Connection, login_key: str, address: str, failure_id: str) -> None:
    """Delete one failed sign-in."""
    failure = and_(
        sign_in_failure.c.name == login_key,
        sign_in_failure.c.address == address,
        sign_in_failure.c.id == failure_id,
    )
    connection.execute(delete(sign_in_failure).where(failure))


def prune_failures(connection: Connection, until: Instant) -> None:
    """Delete all failed sign-ins up to `until`."""
    connection.execute(delete(sign_in_failure).where(sign_in_failure.c.failed_at <= until))


# Grants


def library_exists(connection: Connection, library_id: LibraryId) -> bool:
    """Return whether a library exists and is not removed."""
    present = select(library.c.id).where(library.c.id == library_id, library.c.removed_at.is_(None))
    return connection.execute(present).first() is not None


def add_grant(connection: Connection, user_id: UserId, library_id: LibraryId, granted_at: Instant) -> None:
    """Grant a user access to a library; idempotent."""
    grant = and_(library_access.c.user_id == user_id, library_access.c.library_id == library_id)
    if connection.execute(select(library_access.c.user_id).where(grant)).first() is None:
        connection.execute(insert(library_access).values(user_id=user_id, library_id=library_id, granted_at=granted_at))


def remove_grant(connection: Connection, user_id: UserId, library_id: LibraryId) -> None:
    """Revoke a user's access to a library; idempotent."""
    connection.execute(
        delete(library_access).where(library_access.c.user_id == user_id, library_access.c.library_id == library_id)
    )


def list_grants(connection: Connection, user_id: UserId) -> frozenset[LibraryId]:
    """Return the libraries granted to a user, without the removed ones, whose grants stay."""
    granted = (
        select(library_access.c.library_id)
        .join(library, library.c.id == library_access.c.library_id)
        .where(library_access.c.user_id == user_id, library.c.removed_at.is_(None))
    )
    return frozenset(LibraryId(found) for found in connection.execute(granted).scalars())


def list_lasting_grants(connection: Connection, user_id: UserId) -> frozenset[LibraryId]:
    """Return the libraries granted to a user, the removed ones included: what these held stays visible."""
    granted = select(library_access.c.library_id).where(library_access.c.user_id == user_id)
    return frozenset(LibraryId(found) for found in connection.execute(granted).scalars())
