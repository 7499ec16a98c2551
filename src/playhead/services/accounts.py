"""Accounts: the first admin, users, API tokens and grants. Knows no HTTP and no SQL.

Callers check with `domain.access` whether the principal may administer; nothing here repeats that check.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import available_timezones

from playhead.domain.access import may_keep_account, may_lack_password
from playhead.domain.accounts import (
    NO_PASSWORD,
    Token,
    TokenKind,
    User,
    clean_name,
    expiry_faults,
    is_last_admin,
    login_key,
    name_faults,
)
from playhead.domain.auditing import Act, AuditEntry
from playhead.domain.limits import TOKENS_OF_USER
from playhead.domain.model import Instant, LibraryId, Role, TokenId, UserId
from playhead.domain.tokens import TokenScope, is_token, token_hash, token_key
from playhead.errors import conflict, invalid, not_found, refuse_faults
from playhead.services.credentials import Credentials, Ended, SignedIn, find_user
from playhead.services.passwords import Passwords
from playhead.storage import accounts as storage
from playhead.storage import auditing
from playhead.storage.engine.database import Connection, Database


class NewToken(NamedTuple):
    """A new API token: its secret, which is shown only once, and its stored part."""

    secret: str
    token: Token


class UserChanged(NamedTuple):
    """A user after a change, and what it ended: only a new password ends anything."""

    user: User
    ended: Ended


class Accounts:
    """The accounts of an installation. `clock` returns the time, `new_id` a random UUID."""

    def __init__(
        self,
        database: Database,
        credentials: Credentials,
        passwords: Passwords,
        *,
        clock: Callable[[], Instant],
        new_id: Callable[[], str],
    ) -> None:
        self._database = database
        self._credentials = credentials
        self._passwords = passwords
        self._clock = clock
        self._new_id = new_id

    # The first admin

    async def setup_token(self) -> str | None:
        """Return a new token that creates the first admin, once; older ones end. None if there is a user already."""
        if await self.has_users():
            return None
        secret, token = self._credentials.make_token(UserId(self._new_id()), TokenKind.SETUP, "")

        def issue(connection: Connection) -> bool:
            storage.remove_setup_tokens(connection)
            if storage.any_user(connection):
                return False
            storage.add_token(connection, token_hash(secret), token)
            return True

        return secret if await self._database.write(issue) else None

    async def can_claim(self, token: str) -> bool:
        """Return whether `claim` would accept this token now."""
        return await self._setup_user_id(token) is not None

    async def claim(self, token: str, name: str, password: str, device: str = "") -> SignedIn:
        """Create the first admin and open a session for them, with the name `device` in lists.

        Raises NOT_FOUND if the token is malformed or no longer valid: of two concurrent claims one succeeds. Raises
        INVALID for `username` and `password`; the token then stays valid.
        """
        user_id = await self._setup_user_id(token)
        if user_id is None:
            raise not_found("Setup link not found")
        refuse_faults(username=name_faults(name), password=self._passwords.faults(password, name))
        password_hash = await self._passwords.hash(password)
        user = User(user_id, clean_name(name), Role.ADMIN, self._clock())
        secret, session = self._credentials.make_token(user_id, TokenKind.SESSION, device)

        def make_admin(connection: Connection) -> None:
            if token_hash(token) not in storage.remove_setup_tokens(connection) or storage.any_user(connection):
                raise not_found("Setup link not found")
            storage.add_user(connection, user, login_key(name), password_hash)
            storage.add_token(connection, token_hash(secret), session)

        await self._database.write(make_admin)
        return SignedIn(secret, user)

    async def _setup_user_id(self, token: str) -> UserId | None:
        if not is_token(token):
            return None
        return await self._database.read(lambda connection: storage.setup_user_id(connection, token_key(token)))

    # Users

    async def create_user(self, name: str, password: str | None, role: Role) -> User:
        """Create an account that sees no library yet; only a child's may have no password (None).

        Raises INVALID for `username` and `password`, CONFLICT.
        """
        refuse_faults(username=name_faults(name), password=self._new_password_faults(name, password, role))
        password_hash = NO_PASSWORD if password is None else await self._passwords.hash(password)
        user = User(UserId(self._new_id()), clean_name(name), role, self._clock())

        def create(connection: Connection) -> None:
            if not storage.any_user(connection):
                storage.remove_setup_tokens(connection)
            try:
                storage.add_user(connection, user, login_key(name), password_hash)
            except storage.NameTakenError as error:
                raise conflict("User name is taken", member="username") from error

        await self._database.write(create)
        return user

    async def has_users(self) -> bool:
        """Return whether there is any user; without one, the setup link is the only way in."""
        return await self._database.read(storage.any_user)

    async def list_users(self, *, after: str = "", limit: int | None = None) -> list[User]:
        """Return users ordered by login key, starting after the key `after`; all of them without `limit`."""
        return await self._database.read(lambda connection: storage.list_users(connection, after, limit))

    async def page_of_users(self, cursor: str, limit: int = 100) -> tuple[list[User], str | None]:
        """Return users as `list_users` does, and the cursor of the next page, None at the end."""
        users = await self.list_users(after=_storable(cursor), limit=limit + 1)
        return users[:limit], login_key(users[limit - 1].name) if len(users) > limit else None

    async def count_users(self) -> dict[Role, int]:
        """Return how many users there are of each role."""
        return await self._database.read(storage.count_users)

    async def find_user(self, user_id: UserId) -> User:
        """Return a user. Raises NOT_FOUND."""
        return await self._database.read(lambda connection: find_user(connection, user_id))

    async def find_user_named(self, name: str) -> User:
        """Return the user who signs in by this name. Raises NOT_FOUND."""
        found = await self._database.read(lambda connection: storage.find_login(connection, login_key(name)))
        if found is None:
            raise not_found("User not found")
        return found.user

    async def change_user(
        self,
        user_id: UserId,
        *,
        name: str | None = None,
        role: Role | None = None,
        password: str | None = None,
        end_tokens: bool = False,
    ) -> UserChanged:
        """Change the given members, all or nothing. A new password ends the sessions, `end_tokens` the API tokens.

        Both end if the user becomes a child, who has none.

        Raises NOT_FOUND; INVALID for `username` and `password`; CONFLICT for a name that is taken, and if no admin
        would be left.
        """
        found = await self.find_user(user_id)
        faults = [] if password is None else self._passwords.faults(password, found.name if name is None else name)
        refuse_faults(username=[] if name is None else name_faults(name), password=faults)
        password_hash = None if password is None else await self._passwords.hash(password)

        def change(connection: Connection) -> UserChanged:
            user = find_user(connection, user_id)
            if role is not None and role is not user.role:
                _set_role(connection, user, role)
            if name is not None:
                try:
                    storage.rename_user(connection, user_id, clean_name(name), login_key(name))
                except storage.NameTakenError as error:
                    raise conflict("User name is taken", member="username") from error
            if password_hash is not None:
                storage.set_password_hash(connection, user_id, password_hash)
            sessions = 0 if password_hash is None else storage.remove_sessions(connection, user_id)
            tokens = storage.remove_api_tokens(connection, user_id) if end_tokens else 0
            return UserChanged(find_user(connection, user_id), Ended(sessions, tokens))

        return await self._credentials.write_revoking(change)

    async def set_language(self, user_id: UserId, language: str | None) -> None:
        """Store the language of a user's pages, by its tag; None leaves it to the browser."""
        await self._database.write(lambda connection: storage.set_language(connection, user_id, language))

    async def set_time_zone(self, user_id: UserId, name: str) -> None:
        """Store the time zone in which a user sees days and times. Raises INVALID for an unknown name."""
        if name not in await asyncio.to_thread(time_zones):
            raise invalid({"time_zone": ["must be the name of a time zone, such as Europe/Berlin"]})
        await self._database.write(lambda connection: storage.set_time_zone(connection, user_id, name))

    async def propose_time_zone(self, user_id: UserId, name: str) -> None:
        """Store the time zone of a user's browser, unless they have one. Does nothing for ""."""
        if name in await asyncio.to_thread(time_zones):
            await self._database.write(
                lambda connection: storage.set_time_zone(connection, user_id, name, only_first=True)
            )

    async def remove_user(self, user_id: UserId) -> None:
        """Remove a user with their tokens, grants, progress and plays.

        Raises NOT_FOUND, and CONFLICT for the last admin.
        """

        def remove(connection: Connection) -> None:
            user = find_user(connection, user_id)
            if user.role is Role.ADMIN and is_last_admin(storage.lock_admins(connection), user_id):
                raise conflict("The last admin cannot be removed")
            storage.remove_user(connection, user_id)

        await self._credentials.write_revoking(remove)

    # API tokens

    async def create_token(
        self,
        user_id: UserId,
        name: str,
        *,
        scope: TokenScope = TokenScope.ALL,
        expires_at: Instant | None = None,
        by: UserId | None = None,
    ) -> NewToken:
        """Create an API token, which lasts until `expires_at` or its revocation.

        `by` is the admin who creates it for the user, which the audit log records.

        Raises INVALID for `name` and `expires_at`, NOT_FOUND for the user, CONFLICT for a child, LIMIT_REACHED.
        """
        faults = [] if expires_at is None else expiry_faults(expires_at, self._clock())
        refuse_faults(name=name_faults(name), expires_at=faults)
        secret, token = self._credentials.make_token(user_id, TokenKind.API, clean_name(name))
        token = replace(token, scope=scope, expires_at=expires_at)

        def create(connection: Connection) -> None:
            user = find_user(connection, user_id)
            if not may_keep_account(user.role):
                raise conflict("A child has no API tokens")
            if storage.count_tokens(connection, user_id, TokenKind.API) >= TOKENS_OF_USER.most:
                raise TOKENS_OF_USER.refusal()
            storage.add_token(connection, token_hash(secret), token)
            if by is not None:
                data = {"user_id": user_id, "token_id": token.id, "scope": scope.value}
                subject = f"{token.name} ({user.name})"
                entry = AuditEntry(self._new_id(), self._clock(), by, Act.CREATE_TOKEN, subject, data)
                auditing.add(connection, entry)

        await self._database.write(create)
        return NewToken(secret, token)

    async def list_tokens(self, user_id: UserId) -> list[Token]:
        """Return a user's API tokens, newest first."""
        return await self._database.read(lambda connection: storage.list_tokens(connection, user_id, TokenKind.API))

    async def find_token(self, user_id: UserId, token_id: TokenId) -> Token:
        """Return one of the user's own API tokens. Raises NOT_FOUND, for another user's too."""
        own = await self.list_tokens(user_id)
        found = next((token for token in own if token.id == token_id), None)
        if found is None:
            raise not_found("Token not found")
        return found

    async def revoke_token(self, user_id: UserId, token_id: TokenId) -> None:
        """Revoke one of the user's own tokens. Raises NOT_FOUND, for another user's too."""

        def revoke(connection: Connection) -> None:
            if not storage.remove_token_of(connection, user_id, token_id):
                raise not_found("Token not found")

        await self._credentials.write_revoking(revoke)

    # Grants

    async def grant(self, library_id: LibraryId, user_id: UserId) -> None:
        """Grant a user access to a library; idempotent. Raises NOT_FOUND for an unknown library or user."""
        now = self._clock()

        def add(connection: Connection) -> None:
            _refuse_unknown(connection, library_id, user_id)
            storage.add_grant(connection, user_id, library_id, now)

        await self._database.write(add)

    async def revoke(self, library_id: LibraryId, user_id: UserId) -> None:
        """Revoke a user's access to a library; idempotent. Raises NOT_FOUND for an unknown library or user."""

        def remove(connection: Connection) -> None:
            _refuse_unknown(connection, library_id, user_id)
            storage.remove_grant(connection, user_id, library_id)

        await self._database.write(remove)

    async def set_grants(self, user_id: UserId, library_ids: Collection[LibraryId]) -> None:
        """Grant a user access to exactly these libraries. Raises NOT_FOUND for an unknown library or user."""
        now = self._clock()

        def change(connection: Connection) -> None:
            granted = storage.list_grants(connection, user_id)
            for library_id in library_ids:
                _refuse_unknown(connection, library_id, user_id)
                storage.add_grant(connection, user_id, library_id, now)
            for library_id in granted.difference(library_ids):
                storage.remove_grant(connection, user_id, library_id)

        await self._database.write(change)

    async def list_grants(self, user_id: UserId) -> frozenset[LibraryId]:
        """Return the libraries granted to a user. An admin sees the others, too."""
        return await self._database.read(lambda connection: storage.list_grants(connection, user_id))

    def _new_password_faults(self, name: str, password: str | None, role: Role) -> list[str]:
        if password is not None:
            return self._passwords.faults(password, name)
        return [] if may_lack_password(role) else ["is required"]


@lru_cache(maxsize=1)
def time_zones() -> frozenset[str]:
    """Return the names of all time zones of this machine. Reads some hundred files, once."""
    return frozenset(available_timezones())


def _storable(cursor: str) -> str:
    """Any text is a position in the alphabet, once every database can store it."""
    return cursor.encode("utf-8", "replace").decode().replace("\0", "")


def _refuse_unknown(connection: Connection, library_id: LibraryId, user_id: UserId) -> None:
    if not storage.library_exists(connection, library_id):
        raise not_found("Library not found")
    find_user(connection, user_id)


def _set_role(connection: Connection, user: User, role: Role) -> None:
    if user.role is Role.ADMIN and is_last_admin(storage.lock_admins(connection), user.id):
        raise conflict("The last admin cannot be demoted", member="role")
    storage.set_role(connection, user.id, role)
    if not may_keep_account(role):
        storage.remove_api_tokens(connection, user.id)
