"""Signing in with a password, and the sessions that it opens. Knows no HTTP and no SQL."""

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import asynccontextmanager
from typing import NamedTuple

from playhead.domain.accounts import (
    FAILURE_WINDOW_MS,
    FAILURES_OF_ADDRESS_ALLOWED,
    NO_PASSWORD,
    SIGN_INS_MAX,
    Principal,
    Token,
    TokenKind,
    User,
    has_sign_in_room,
    login_key,
    retry_after_s,
    throttle_address,
    token_is_live,
)
from playhead.domain.model import NOBODY, Instant, Role, UserId
from playhead.domain.passkeys import recovery_hash
from playhead.domain.tokens import token_hash
from playhead.errors import (
    Code,
    PlayheadError,
    invalid,
    not_authenticated,
    not_found,
    refuse_faults,
    second_factor_needed,
    too_many_attempts,
    unavailable,
)
from playhead.services.credentials import Credentials, Ended, SignedIn
from playhead.services.passwords import Passwords
from playhead.storage import accounts as storage
from playhead.storage import passkeys as passkeys_storage
from playhead.storage.engine.database import Connection, Database

# The key under which all failures of an address are counted: no login key has upper-case letters.
_ANY_NAME = "ANY NAME"


class _Proof(NamedTuple):
    """A user whose password was right, and the id of that attempt."""

    user: User
    password_hash: str
    key: str
    address: str
    attempt_id: str


class SessionView(NamedTuple):
    """A session of a user. `is_current`: it is the one that makes the request."""

    token: Token
    is_current: bool


class SignIns:
    """The sign-ins of an installation: checking passwords, the throttling of attempts, and sessions.

    `clock` returns the time, `new_id` a random UUID. `refused` counts the sign-ins refused for lack of capacity. Only
    accounts with one of the `password_roles` sign in with a password.
    """

    def __init__(  # noqa: PLR0913 - what it joins, and every source of time and chance
        self,
        database: Database,
        credentials: Credentials,
        passwords: Passwords,
        *,
        clock: Callable[[], Instant],
        new_id: Callable[[], str],
        password_roles: Collection[Role] = tuple(Role),
    ) -> None:
        self._database = database
        self._credentials = credentials
        self._passwords = passwords
        self._clock = clock
        self._new_id = new_id
        self._password_roles = password_roles
        self._signing_in: Counter[str] = Counter()  # by address
        self.refused = 0

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
        secret, session = self._credentials.make_token(found.user.id, TokenKind.SESSION, device)
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

    async def login_of(self, name: str) -> storage.Login:
        """Return the account that signs in by this name, with its password hash. Raises NOT_AUTHENTICATED."""
        found = await self._database.read(lambda connection: storage.find_login(connection, login_key(name)))
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
        found = storage.find_login(connection, login_key(name))
        if found is None or token_hash(found.password_hash) != password_digest:
            raise not_authenticated()
        sender = throttle_address(address)
        _forgive(connection, _Proof(found.user, found.password_hash, login_key(name), sender, attempt_id or NOBODY))

    async def confirm_password(self, principal: Principal, password: str, address: str) -> None:
        """Check a user's own password; succeeds for users without one. Wrong guesses count as failed sign-ins.

        Raises INVALID for `current`, TOO_MANY_ATTEMPTS, UNAVAILABLE.
        """
        key, sender = login_key(principal.name), throttle_address(address)
        if (await self.login_of(principal.name)).password_hash == NO_PASSWORD:
            return
        async with self._place(sender):
            try:
                proof = await self._prove(key, password, sender)
            except PlayheadError as error:
                if error.code is not Code.NOT_AUTHENTICATED:
                    raise
                raise _wrong_password() from None
        await self._database.write(lambda connection: _forgive(connection, proof))

    @asynccontextmanager
    async def _place(self, address: str) -> AsyncGenerator[None]:
        """Take one of the slots for concurrent password comparisons.

        Raises TOO_MANY_ATTEMPTS if the address has used its share of them, UNAVAILABLE if none is free.
        """
        if self._signing_in.total() >= SIGN_INS_MAX:
            self.refused += 1
            raise unavailable(retry_after_s=2)
        if not has_sign_in_room(self._signing_in.total(), self._signing_in[address]):
            self.refused += 1
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
        await self._credentials.write_revoking(lambda connection: storage.remove_token(connection, principal.token_key))

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
        await self._credentials.write_revoking(
            lambda connection: storage.remove_sessions(connection, principal.user_id, but=principal.token_hash)
        )

    async def change_own_password(
        self, principal: Principal, current: str, password: str, address: str, *, end_tokens: bool = False
    ) -> Ended:
        """Change a user's own password, which requires the current one, and end their other sessions.

        With `end_tokens` their API tokens end, too. Returns what ended. Raises INVALID (`password`; `current`, which
        counts as a failed sign-in), TOO_MANY_ATTEMPTS, UNAVAILABLE.
        """
        refuse_faults(password=self._passwords.faults(password, principal.name))
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

        return await self._credentials.write_revoking(change)


def _wrong_password() -> PlayheadError:
    return invalid({"current": ["is not your password"]})


def _end_credentials(connection: Connection, user_id: UserId, *, end_tokens: bool, but: str) -> Ended:
    sessions = storage.remove_sessions(connection, user_id, but=but)
    return Ended(sessions, storage.remove_api_tokens(connection, user_id, but=but) if end_tokens else 0)


def _require_second_factor(connection: Connection, user_id: UserId, code: str, passkey_of: UserId | None) -> None:
    if passkey_of is not None and passkey_of != user_id:
        raise not_authenticated()
    if passkey_of == user_id or not passkeys_storage.needs_second_factor(connection, user_id):
        return
    if not code:
        raise second_factor_needed()
    if not passkeys_storage.use_recovery_code(connection, user_id, recovery_hash(code)):
        raise not_authenticated()


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
) -> storage.Login | None:
    storage.lock_login(connection, key)
    _refuse_throttled(connection, key, address, now)
    storage.prune_failures(connection, Instant(now - FAILURE_WINDOW_MS))
    for name in (key, _ANY_NAME):
        storage.add_failure(connection, name, address, attempt_id, now)
    return storage.find_login(connection, key)


def _forgive(connection: Connection, proof: _Proof) -> None:
    """Clear the failures of a name from an address, and of those of the address only the attempt that succeeded.

    Otherwise the owner of an account could guess at others' passwords without limit.
    """
    storage.clear_failures(connection, proof.key, proof.address)
    storage.remove_failure(connection, _ANY_NAME, proof.address, proof.attempt_id)
