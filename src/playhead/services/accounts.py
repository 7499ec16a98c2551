"""Accounts: users, passwords, sign-in, tokens and grants. Knows no HTTP and no SQL.

Callers check with `domain.access` whether the principal may administer; nothing here repeats that check.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple, TypeVar
from zoneinfo import available_timezones

from playhead.domain.access import may_keep_account, may_lack_password
from playhead.domain.accounts import (
    DAY_MS,
    FAILURE_WINDOW_MS,
    FAILURES_OF_ADDRESS_ALLOWED,
    NO_PASSWORD,
    SIGN_INS_MAX,
    Principal,
    Token,
    TokenKind,
    User,
    clean_name,
    day_of,
    expiry_faults,
    has_sign_in_room,
    is_last_admin,
    login_key,
    name_faults,
    renewed_expiry,
    retry_after_s,
    throttle_address,
    token_is_live,
)
from playhead.domain.limits import TOKENS_OF_USER
from playhead.domain.model import NOBODY, Instant, LibraryId, Role, TokenId, UserId
from playhead.domain.passkeys import recovery_hash
from playhead.domain.tokens import TokenKey, TokenScope, form_token, is_token, names_its_user, token_hash, token_key
from playhead.errors import (
    Code,
    PlayheadError,
    conflict,
    invalid,
    not_authenticated,
    not_found,
    second_factor_needed,
    too_many_attempts,
    unavailable,
)
from playhead.services.credential_cache import CredentialCache, Watcher
from playhead.services.passwords import Passwords
from playhead.storage import accounts as storage
from playhead.storage import passkeys as passkeys_storage
from playhead.storage.engine.database import Connection, Database, WouldBlockError

T = TypeVar("T")


# The key under which all failures of an address are counted: no login key has upper-case letters.
_ANY_NAME = "ANY NAME"


class _Proof(NamedTuple):
    """A user whose password was right, and the id of that attempt."""

    user: User
    password_hash: str
    key: str
    address: str
    attempt_id: str


class SignedIn(NamedTuple):
    """A new session: its token, which is shown only once, and its user."""

    token: str
    user: User


class SessionView(NamedTuple):
    """A session of a user. `is_current`: it is the one that makes the request."""

    token: Token
    is_current: bool


class NewToken(NamedTuple):
    """A new API token: its secret, which is shown only once, and its stored part."""

    secret: str
    token: Token


class Ended(NamedTuple):
    """The number of a user's sessions and API tokens that a password change has ended."""

    sessions: int
    tokens: int


class UserChanged(NamedTuple):
    """A user after a change, and what it ended: only a new password ends anything."""

    user: User
    ended: Ended


class Accounts:
    """The accounts of an installation.

    `clock` returns the time, `monotonic` is a monotonic clock in seconds, `new_id` returns a random UUID, `new_digits`
    128 random bits as 32 lower-case hexadecimal digits. `refused_sign_ins` counts the sign-ins refused for lack of
    capacity. Only accounts with one of the `password_roles` sign in with a password.
    """

    def __init__(  # noqa: PLR0913 - every source of time and chance is handed in by itself
        self,
        database: Database,
        passwords: Passwords,
        *,
        clock: Callable[[], Instant],
        monotonic: Callable[[], float],
        new_id: Callable[[], str],
        new_digits: Callable[[], str],
        password_roles: Collection[Role] = tuple(Role),
    ) -> None:
        self._password_roles = password_roles
        self._database = database
        self._passwords = passwords
        self._clock = clock
        self._new_id = new_id
        self._new_digits = new_digits
        self._credentials = CredentialCache(monotonic)
        self._checking = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None
        self._signing_in: Counter[str] = Counter()  # by address
        self.refused_sign_ins = 0

    # Authentication

    async def authenticate(self, token: str) -> Principal | None:
        """Return the principal of a token; None if it is unknown, expired, revoked or malformed.

        A revocation here takes effect immediately, one by another process within 1 s, with and without `keep_fresh`.
        """
        if self._credentials.is_stale():
            if not is_token(token):
                return None
            await self._check_epoch()
        principal = self._credentials.get(token, self._clock())
        if principal is not None:
            return principal
        return await self._look_up(token) if is_token(token) else None

    def known_principal(self, token: str) -> Principal | None:
        """Return the principal of a token if that is possible without waiting; None leaves it to `authenticate`.

        The cached entry of a player that reports every ten seconds would always be stale. On SQLite, reading the epoch
        is then one inline look-up of microseconds; on PostgreSQL `keep_fresh` has read it. So its save takes the fast
        path, too.
        """
        principal = self._credentials.get(token, self._clock())
        if principal is None or not self._credentials.is_stale():
            return principal
        generation = self._credentials.generation()
        try:
            epoch = self._database.read_nowait(storage.read_epoch)
        except (WouldBlockError, PlayheadError):
            return None
        self._credentials.check(epoch, generation)
        return self._credentials.get(token, self._clock())

    def keep_fresh(self, watcher: Watcher) -> None:
        """Hear of revocations by other processes from now until `close`, so that tokens in use need no look-up."""
        self._watching = asyncio.create_task(self._credentials.keep_fresh(watcher, storage.EPOCH_SQL))

    async def close(self) -> None:
        """End what `keep_fresh` began; idempotent."""
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching

    async def _check_epoch(self) -> None:
        """Clear the cache if another process has revoked something since the last check."""
        async with self._checking:
            if self._credentials.is_stale():
                generation = self._credentials.generation()
                self._credentials.check(await self._database.read_inline(storage.read_epoch), generation)

    async def _look_up(self, token: str) -> Principal | None:
        key, search = token_key(token), not names_its_user(token)
        generation = self._credentials.generation()
        found = await self._database.read_inline(lambda connection: storage.find_bearer(connection, key, search=search))
        if found is None:
            return None
        stored, user = found
        now = self._clock()
        if not token_is_live(stored.kind, stored.expires_at, now):
            return None
        principal = Principal(user.id, user.name, user.role, stored.kind, key.hash, stored.scope)
        today = day_of(now)
        ends_at = Instant(today + DAY_MS)  # the use of each day is recorded
        self._credentials.put(token, principal, min(ends_at, stored.expires_at or ends_at), generation)
        if stored.last_used_at is None or stored.last_used_at < today:
            expires_at = renewed_expiry(stored.kind, stored.expires_at, now)
            # A full disk refuses this, too; it must not fail a request that only reads.
            with suppress(PlayheadError):
                await self._database.write(
                    lambda connection: storage.note_use(connection, principal.token_key, today, expires_at)
                )
        return principal

    async def ended_tokens(self, keys: Collection[TokenKey]) -> frozenset[TokenKey]:
        """Return those of these tokens that are no longer valid: for whatever lasts longer than a request."""
        found = await self._database.read(lambda connection: storage.list_expiries(connection, keys))
        now = self._clock()
        live = {digest for digest, (kind, expires_at) in found.items() if token_is_live(kind, expires_at, now)}
        return frozenset(key for key in keys if key.hash not in live)

    # Signing in and out

    async def sign_in(  # noqa: PLR0913 - what proves who it is, and where they are
        self,
        name: str,
        password: str,
        address: str,
        device: str = "",
        *,
        code: str = "",
        passkey_of: UserId | None = None,
    ) -> SignedIn:
        """Open a session; beyond the limit, the user's least recently used session ends.

        `address` is the client's address, `device` the name of the session in lists.

        Raises NOT_AUTHENTICATED, identically and after the same time for a wrong password and an unknown name;
        TOO_MANY_ATTEMPTS after ten failures of this name from this address within 15 minutes, after 100 of all names
        from it, and while too many sign-ins from it are in progress; UNAVAILABLE while too many are in progress
        overall; ACCESS_DENIED if this user cannot sign in with a password.

        If the account requires a second factor, that is `code`, a recovery code, or a passkey of the user `passkey_of`;
        without one raises SECOND_FACTOR_NEEDED, which counts as a failure until there is one.
        """
        sender = throttle_address(address)
        async with self._place(sender):
            found = await self._prove(login_key(name), password, sender)
            self.require_local(found.user)
            password_hash = found.password_hash
            if self._passwords.needs_rehash(password_hash):
                password_hash = await self._passwords.hash(password, sender)
        secret, session = self._make_token(found.user.id, TokenKind.SESSION, device)
        now = session.created_at

        def succeed(connection: Connection) -> None:
            if not storage.replace_password_hash(connection, found.user.id, found.password_hash, password_hash):
                raise not_authenticated()  # changed during the comparison, or the user was removed
            _require_second_factor(connection, found.user.id, code, passkey_of)
            _forgive(connection, found)
            storage.remove_expired_tokens(connection, found.user.id, now)
            storage.add_token(connection, token_hash(secret), session)

        await self._database.write(succeed)
        return SignedIn(secret, found.user)

    def require_local(self, user: User) -> None:
        """Raise ACCESS_DENIED if this user signs in only at the identity provider."""
        if user.role not in self._password_roles:
            raise PlayheadError(Code.ACCESS_DENIED, "Password sign-in is for admins only")

    async def credentials_of(self, name: str) -> storage.Credentials:
        """Return the account that signs in by this name, with its password hash. Raises NOT_AUTHENTICATED."""
        found = await self._database.read(lambda connection: storage.find_credentials(connection, login_key(name)))
        if found is None:
            raise not_authenticated()
        return found

    async def count_attempt(self, name: str, address: str) -> str:
        """Count a failed sign-in, until `finish_attempt` is called with the returned id. Raises TOO_MANY_ATTEMPTS."""
        key, sender, attempt_id, now = login_key(name), throttle_address(address), self._new_id(), self._clock()
        await self._database.write(lambda connection: _begin_attempt(connection, key, sender, attempt_id, now))
        return attempt_id

    def finish_attempt(
        self, connection: Connection, name: str, address: str, password_digest: str, attempt_id: str = ""
    ) -> None:
        """Clear the failed sign-ins of a user who has completed two steps.

        Raises NOT_AUTHENTICATED if the password is no longer the one whose hash had this digest.
        """
        found = storage.find_credentials(connection, login_key(name))
        if found is None or token_hash(found.password_hash) != password_digest:
            raise not_authenticated()
        sender = throttle_address(address)
        _forgive(connection, _Proof(found.user, found.password_hash, login_key(name), sender, attempt_id or NOBODY))

    async def confirm_password(self, principal: Principal, password: str, address: str) -> None:
        """Check a user's own password; succeeds for users without one. Wrong guesses count as failed sign-ins.

        Raises INVALID for `current`, TOO_MANY_ATTEMPTS, UNAVAILABLE.
        """
        key, sender = login_key(principal.name), throttle_address(address)
        if (await self.credentials_of(principal.name)).password_hash == NO_PASSWORD:
            return
        async with self._place(sender):
            try:
                proof = await self._prove(key, password, sender)
            except PlayheadError as error:
                if error.code is not Code.NOT_AUTHENTICATED:
                    raise
                raise _wrong_password() from None
        await self._database.write(lambda connection: _forgive(connection, proof))

    def open_session(
        self, connection: Connection, user_id: UserId, device: str, scope: TokenScope = TokenScope.ALL
    ) -> SignedIn:
        """Open a session for a user authenticated by another service, within its transaction.

        `device` is the name of the session in lists. Raises NOT_FOUND if the user has been removed.
        """
        user = _user(connection, user_id)
        secret, session = self._make_token(user_id, TokenKind.SESSION, device)
        storage.remove_expired_tokens(connection, user_id, session.created_at)
        storage.add_token(connection, token_hash(secret), replace(session, scope=scope))
        return SignedIn(secret, user)

    @asynccontextmanager
    async def _place(self, address: str) -> AsyncGenerator[None]:
        """Take one of the slots for concurrent password comparisons.

        Raises TOO_MANY_ATTEMPTS if the address has used its share of them, UNAVAILABLE if none is free.
        """
        if self._signing_in.total() >= SIGN_INS_MAX:
            self.refused_sign_ins += 1
            raise unavailable(retry_after_s=2)
        if not has_sign_in_room(self._signing_in.total(), self._signing_in[address]):
            self.refused_sign_ins += 1
            raise too_many_attempts(retry_after_s=2)
        self._signing_in[address] += 1
        try:
            yield
        finally:
            self._signing_in[address] -= 1
            if not self._signing_in[address]:
                del self._signing_in[address]

    async def _prove(self, key: str, password: str, address: str) -> _Proof:
        """Return the user with this password. Counts as a failure until `_forgive`.

        Raises NOT_AUTHENTICATED, TOO_MANY_ATTEMPTS.
        """
        now = self._clock()
        # A client over the limit costs no write.
        await self._database.read(lambda connection: _refuse_throttled(connection, key, address, now))
        # The attempt counts as failed until it has succeeded: so concurrent guesses, and those cancelled before the
        # answer, all count.
        attempt_id = self._new_id()
        found = await self._database.write(lambda connection: _begin_attempt(connection, key, address, attempt_id, now))
        stored = None if found is None or found.password_hash == NO_PASSWORD else found.password_hash
        verified = await self._passwords.verify(stored, password, address)
        if found is None or not verified:
            raise not_authenticated()
        return _Proof(found.user, found.password_hash, key, address, attempt_id)

    async def sign_out(self, principal: Principal) -> None:
        """End the session that makes the request. Raises NOT_FOUND for an API token."""
        if principal.token_kind is not TokenKind.SESSION:
            raise not_found("Session not found")
        await self._revoke(lambda connection: storage.remove_token(connection, principal.token_key))

    async def list_sessions(self, principal: Principal) -> list[SessionView]:
        """Return the caller's valid sessions, newest first."""
        now = self._clock()

        def load(connection: Connection) -> list[SessionView]:
            current = storage.find_token_id(connection, principal.token_key)
            tokens = storage.list_tokens(connection, principal.user_id, TokenKind.SESSION)
            live = [token for token in tokens if token_is_live(token.kind, token.expires_at, now)]
            return [SessionView(token, token.id == current) for token in live]

        return await self._database.read(load)

    async def end_other_sessions(self, principal: Principal) -> None:
        """End all sessions of the principal except the one that makes the request. API tokens stay."""
        await self._revoke(
            lambda connection: storage.remove_sessions(connection, principal.user_id, but=principal.token_hash)
        )

    async def change_own_password(
        self, principal: Principal, current: str, password: str, address: str, *, end_tokens: bool = False
    ) -> Ended:
        """Change a user's own password, which requires the current one, and end their other sessions.

        With `end_tokens` their API tokens end, too. Returns what ended. Raises INVALID (`password`; `current`, which
        counts as a failed sign-in), TOO_MANY_ATTEMPTS, UNAVAILABLE.
        """
        _refuse_faults(password=self._passwords.faults(password, principal.name))
        key, throttled = login_key(principal.name), throttle_address(address)
        async with self._place(throttled):
            try:
                found = await self._prove(key, current, throttled)
            except PlayheadError as error:
                if error.code is not Code.NOT_AUTHENTICATED:
                    raise
                raise _wrong_password() from None
            password_hash = await self._passwords.hash(password)

        def change(connection: Connection) -> Ended:
            if not storage.replace_password_hash(connection, principal.user_id, found.password_hash, password_hash):
                raise _wrong_password()  # changed during the comparison
            _forgive(connection, found)
            return _end_credentials(connection, principal.user_id, end_tokens=end_tokens, but=principal.token_hash)

        return await self._revoke(change)

    # The first admin

    async def setup_token(self) -> str | None:
        """Return a new token that creates the first admin, once; older ones end. None if there is a user already."""
        if await self.has_users():
            return None
        secret, token = self._make_token(UserId(self._new_id()), TokenKind.SETUP, "")

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
        _refuse_faults(username=name_faults(name), password=self._passwords.faults(password, name))
        password_hash = await self._passwords.hash(password)
        user = User(user_id, clean_name(name), Role.ADMIN, self._clock())
        secret, session = self._make_token(user_id, TokenKind.SESSION, device)

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
        _refuse_faults(username=name_faults(name), password=self._new_password_faults(name, password, role))
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
        return await self._database.read(lambda connection: _user(connection, user_id))

    async def find_user_named(self, name: str) -> User:
        """Return the user who signs in by this name. Raises NOT_FOUND."""
        found = await self._database.read(lambda connection: storage.find_credentials(connection, login_key(name)))
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
        _refuse_faults(username=[] if name is None else name_faults(name), password=faults)
        password_hash = None if password is None else await self._passwords.hash(password)

        def change(connection: Connection) -> UserChanged:
            user = _user(connection, user_id)
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
            return UserChanged(_user(connection, user_id), Ended(sessions, tokens))

        return await self._revoke(change)

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
            user = _user(connection, user_id)
            if user.role is Role.ADMIN and is_last_admin(storage.lock_admins(connection), user_id):
                raise conflict("The last admin cannot be removed")
            storage.remove_user(connection, user_id)

        await self._revoke(remove)

    # API tokens

    async def create_token(
        self, user_id: UserId, name: str, *, scope: TokenScope = TokenScope.ALL, expires_at: Instant | None = None
    ) -> NewToken:
        """Create an API token, which lasts until `expires_at` or its revocation.

        Raises INVALID for `name` and `expires_at`, NOT_FOUND for the user, CONFLICT for a child, LIMIT_REACHED.
        """
        faults = [] if expires_at is None else expiry_faults(expires_at, self._clock())
        _refuse_faults(name=name_faults(name), expires_at=faults)
        secret, token = self._make_token(user_id, TokenKind.API, clean_name(name))
        token = replace(token, scope=scope, expires_at=expires_at)

        def create(connection: Connection) -> None:
            if not may_keep_account(_user(connection, user_id).role):
                raise conflict("A child has no API tokens")
            if storage.count_tokens(connection, user_id, TokenKind.API) >= TOKENS_OF_USER.most:
                raise TOKENS_OF_USER.refusal()
            storage.add_token(connection, token_hash(secret), token)

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

        await self._revoke(revoke)

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

    def _make_token(self, user_id: UserId, kind: TokenKind, name: str) -> tuple[str, Token]:
        now = self._clock()
        used_at = day_of(now) if kind is TokenKind.SESSION else None  # who is about to use it
        token = Token(TokenId(self._new_id()), user_id, kind, name, now, renewed_expiry(kind, None, now), used_at)
        return form_token(user_id, self._new_digits()), token

    async def write_revoking(self, fn: Callable[[Connection], T]) -> T:
        """Write what may end credentials, for another service. They end here immediately, elsewhere within 1 s."""
        return await self._revoke(fn)

    async def _revoke(self, fn: Callable[[Connection], T]) -> T:
        """Write something that may end a credential or change its rights, and clear the credential cache."""

        def revoke(connection: Connection) -> T:
            result = fn(connection)
            storage.count_epoch(connection)
            return result

        try:
            return await self._database.write(revoke)
        finally:
            self._credentials.clear()


@lru_cache(maxsize=1)
def time_zones() -> frozenset[str]:
    """Return the names of all time zones of this machine. Reads some hundred files, once."""
    return frozenset(available_timezones())


def _wrong_password() -> PlayheadError:
    return invalid({"current": ["is not your password"]})


def _end_credentials(connection: Connection, user_id: UserId, *, end_tokens: bool, but: str) -> Ended:
    sessions = storage.remove_sessions(connection, user_id, but=but)
    return Ended(sessions, storage.remove_api_tokens(connection, user_id, but=but) if end_tokens else 0)


def _storable(cursor: str) -> str:
    """Any text is a position in the alphabet, once every database can store it."""
    return cursor.encode("utf-8", "replace").decode().replace("\0", "")


def _refuse_faults(**details: list[str]) -> None:
    faulty = {member: faults for member, faults in details.items() if faults}
    if faulty:
        raise invalid(faulty)


def _require_second_factor(connection: Connection, user_id: UserId, code: str, passkey_of: UserId | None) -> None:
    if passkey_of is not None and passkey_of != user_id:
        raise not_authenticated()
    if passkey_of == user_id or not passkeys_storage.needs_second_factor(connection, user_id):
        return
    if not code:
        raise second_factor_needed()
    if not passkeys_storage.use_recovery_code(connection, user_id, recovery_hash(code)):
        raise not_authenticated()


def _user(connection: Connection, user_id: UserId) -> User:
    user = storage.find_user(connection, user_id)
    if user is None:
        raise not_found("User not found")
    return user


def _refuse_unknown(connection: Connection, library_id: LibraryId, user_id: UserId) -> None:
    if not storage.library_exists(connection, library_id):
        raise not_found("Library not found")
    _user(connection, user_id)


def _set_role(connection: Connection, user: User, role: Role) -> None:
    if user.role is Role.ADMIN and is_last_admin(storage.lock_admins(connection), user.id):
        raise conflict("The last admin cannot be demoted", member="role")
    storage.set_role(connection, user.id, role)
    if not may_keep_account(role):
        storage.remove_api_tokens(connection, user.id)


def _refuse_throttled(connection: Connection, key: str, address: str, now: Instant) -> None:
    since = Instant(now - FAILURE_WINDOW_MS)
    of_name = retry_after_s(storage.list_failures(connection, key, address, since), now)
    of_address = retry_after_s(
        storage.list_failures(connection, _ANY_NAME, address, since), now, FAILURES_OF_ADDRESS_ALLOWED
    )
    if of_name is not None or of_address is not None:
        raise too_many_attempts(max(of_name or 0, of_address or 0))


def _begin_attempt(
    connection: Connection, key: str, address: str, attempt_id: str, now: Instant
) -> storage.Credentials | None:
    storage.lock_login(connection, key)
    _refuse_throttled(connection, key, address, now)
    storage.prune_failures(connection, Instant(now - FAILURE_WINDOW_MS))
    for name in (key, _ANY_NAME):
        storage.add_failure(connection, name, address, attempt_id, now)
    return storage.find_credentials(connection, key)


def _forgive(connection: Connection, proof: _Proof) -> None:
    """Clear the failures of a name from an address, and of those of the address only the attempt that succeeded.

    Otherwise the owner of an account could guess at others' passwords without limit.
    """
    storage.clear_failures(connection, proof.key, proof.address)
    storage.remove_failure(connection, _ANY_NAME, proof.address, proof.attempt_id)
