"""Credentials: looks up, issues and revokes the tokens that requests present. Knows no HTTP, no SQL and no password."""

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple, TypeVar

from playhead.domain.accounts import DAY_MS, Principal, Token, TokenKind, User, day_of, renewed_expiry, token_is_live
from playhead.domain.model import Instant, TokenId, UserId
from playhead.domain.tokens import TokenKey, TokenScope, form_token, is_token, names_its_user, token_hash, token_key
from playhead.errors import PlayheadError, not_found
from playhead.services.credential_cache import CredentialCache, Watcher
from playhead.storage import accounts as storage
from playhead.storage.engine.database import Connection, Database, WouldBlockError

T = TypeVar("T")


class SignedIn(NamedTuple):
    """A new session: its token, which is shown only once, and its user."""

    token: str
    user: User


class Ended(NamedTuple):
    """The number of a user's sessions and API tokens that a password change has ended."""

    sessions: int
    tokens: int


class Credentials:
    """The tokens of an installation: sessions and API tokens.

    `clock` returns the time, `monotonic` is a monotonic clock in seconds, `new_id` returns a random UUID, `new_digits`
    128 random bits as 32 lower-case hexadecimal digits.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], Instant],
        monotonic: Callable[[], float],
        new_id: Callable[[], str],
        new_digits: Callable[[], str],
    ) -> None:
        self._database = database
        self._clock = clock
        self._new_id = new_id
        self._new_digits = new_digits
        self._cache = CredentialCache(monotonic)
        self._checking = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None

    async def authenticate(self, token: str) -> Principal | None:
        """Return the principal of a token; None if it is unknown, expired, revoked or malformed.

        A revocation here takes effect immediately, one by another process within 1 s, with and without `keep_fresh`.
        """
        if self._cache.is_stale():
            if not is_token(token):
                return None
            await self._check_epoch()
        principal = self._cache.get(token, self._clock())
        if principal is not None:
            return principal
        return await self._look_up(token) if is_token(token) else None

    def known_principal(self, token: str) -> Principal | None:
        """Return the principal of a token if that is possible without waiting; None leaves it to `authenticate`.

        The cached entry of a player that reports every ten seconds would always be stale. On SQLite, reading the epoch
        is then one inline look-up of microseconds; on PostgreSQL `keep_fresh` has read it. So its save takes the fast
        path, too.
        """
        principal = self._cache.get(token, self._clock())
        if principal is None or not self._cache.is_stale():
            return principal
        generation = self._cache.generation()
        try:
            epoch = self._database.read_nowait(storage.read_epoch)
        except (WouldBlockError, PlayheadError):
            return None
        self._cache.check(epoch, generation)
        return self._cache.get(token, self._clock())

    def keep_fresh(self, watcher: Watcher) -> None:
        """Hear of revocations by other processes from now until `close`, so that tokens in use need no look-up."""
        self._watching = asyncio.create_task(self._cache.keep_fresh(watcher, storage.EPOCH_SQL))

    async def close(self) -> None:
        """End what `keep_fresh` began; idempotent."""
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching

    async def _check_epoch(self) -> None:
        """Clear the cache if another process has revoked something since the last check."""
        async with self._checking:
            if self._cache.is_stale():
                generation = self._cache.generation()
                self._cache.check(await self._database.read_inline(storage.read_epoch), generation)

    async def _look_up(self, token: str) -> Principal | None:
        key, search = token_key(token), not names_its_user(token)
        generation = self._cache.generation()
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
        self._cache.put(token, principal, min(ends_at, stored.expires_at or ends_at), generation)
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

    def make_token(self, user_id: UserId, kind: TokenKind, name: str) -> tuple[str, Token]:
        """Return a new secret and the token to store for it. Stores nothing."""
        now = self._clock()
        used_at = day_of(now) if kind is TokenKind.SESSION else None  # who is about to use it
        token = Token(TokenId(self._new_id()), user_id, kind, name, now, renewed_expiry(kind, None, now), used_at)
        return form_token(user_id, self._new_digits()), token

    def open_session(
        self, connection: Connection, user_id: UserId, device: str, scope: TokenScope = TokenScope.ALL
    ) -> SignedIn:
        """Open a session for a user authenticated by another service, within its transaction.

        `device` is the name of the session in lists. Raises NOT_FOUND if the user has been removed.
        """
        user = find_user(connection, user_id)
        secret, session = self.make_token(user_id, TokenKind.SESSION, device)
        storage.remove_expired_tokens(connection, user_id, session.created_at)
        storage.add_token(connection, token_hash(secret), replace(session, scope=scope))
        return SignedIn(secret, user)

    async def write_revoking(self, fn: Callable[[Connection], T]) -> T:
        """Write what may end a credential or change its rights. That holds here immediately, elsewhere within 1 s."""

        def revoke(connection: Connection) -> T:
            result = fn(connection)
            storage.count_epoch(connection)
            return result

        try:
            return await self._database.write(revoke)
        finally:
            self._cache.clear()


def find_user(connection: Connection, user_id: UserId) -> User:
    """Return a user. Raises NOT_FOUND."""
    user = storage.find_user(connection, user_id)
    if user is None:
        raise not_found("User not found")
    return user
