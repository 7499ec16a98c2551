"""Accounts of users authenticated by an OpenID provider or a trusted proxy. Knows no HTTP and no SQL.

An account is found only by issuer and subject. Role and grants follow the groups if the settings map them.
"""

import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import NamedTuple

from playhead.domain.accounts import (
    NO_PASSWORD,
    Principal,
    TokenKind,
    User,
    clean_name,
    day_of,
    is_last_admin,
    login_key,
    name_faults,
)
from playhead.domain.identity import (
    PROXY_ISSUER,
    SUBJECT_LENGTH_MAX,
    GroupRules,
    Identity,
    IdentityRefusedError,
    LinkedIdentity,
    Refusal,
    groups_of,
)
from playhead.domain.model import IdentityId, Instant, LibraryId, Role, UserId
from playhead.domain.tokens import TokenKey
from playhead.errors import conflict, not_found
from playhead.services.credential_cache import CredentialCache
from playhead.storage import accounts as accounts_storage
from playhead.storage import identity as storage
from playhead.storage.engine.database import Connection, Database

# How long a proxy's assertion is cached: grants of new libraries take effect within that time.
REMEMBERED_MS = 60_000

# Asserted names without an account, so that each is logged once.
_REFUSED_MAX = 1000

_PROXY_HASH = "proxy:"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AccountRules:
    """The settings for accounts of identities: whether one is created at first sight, and what groups determine."""

    creates: bool = False
    groups: GroupRules = field(default_factory=GroupRules)


class SignInPlan(NamedTuple):
    """The account that an identity signs in to, and what has to change first; None means no change."""

    user: User
    linked: LinkedIdentity
    role: Role | None
    granted: frozenset[LibraryId] | None
    is_due: bool

    @property
    def is_settled(self) -> bool:
        """Whether nothing has to be written."""
        return self.role is None and self.granted is None and not self.is_due


class Identities:
    """Identities and the accounts that they sign in to. `clock` returns the time, `new_id` a random UUID."""

    def __init__(
        self, database: Database, rules: AccountRules, *, clock: Callable[[], Instant], new_id: Callable[[], str]
    ) -> None:
        self._database = database
        self._rules = rules
        self._clock = clock
        self._new_id = new_id

    async def admit(self, identity: Identity) -> tuple[User, LinkedIdentity]:
        """Return the account of an identity, with role and grants by its groups; create it if that is allowed.

        Writes only changes. The last admin with a password keeps that role, whatever the groups say. Raises
        IdentityRefusedError.
        """
        if not self._rules.groups.admit(identity.groups):
            raise IdentityRefusedError(Refusal.NOT_ALLOWED)
        if not 0 < len(identity.subject) <= SUBJECT_LENGTH_MAX or "\0" in identity.subject:
            raise IdentityRefusedError(Refusal.NAME_UNUSABLE)
        now = self._clock()
        standing = await self._database.read(lambda connection: self._standing(connection, identity, now))
        if standing is not None and standing.is_settled:
            return standing.user, standing.linked
        if standing is None and not self._rules.creates:
            raise IdentityRefusedError(Refusal.UNKNOWN)
        return await self._database.write(lambda connection: self._settle(connection, identity, now))

    def _standing(self, connection: Connection, identity: Identity, now: Instant) -> SignInPlan | None:
        linked = storage.find_identity(connection, identity.issuer, identity.subject)
        user = None if linked is None else accounts_storage.find_user(connection, linked.user_id)
        if linked is None or user is None:
            return None
        groups = self._rules.groups
        role = groups.role(identity.groups, user.role)
        names = groups.library_names(identity.groups)
        granted = None if names is None else storage.list_libraries_named(connection, names)
        if granted == accounts_storage.list_grants(connection, user.id):
            granted = None
        is_due = linked.used_at < day_of(now) or linked.name != identity.name
        return SignInPlan(user, linked, None if role is user.role else role, granted, is_due)

    def _settle(self, connection: Connection, identity: Identity, now: Instant) -> tuple[User, LinkedIdentity]:
        if storage.find_identity(connection, identity.issuer, identity.subject) is None:
            self._make_account(connection, identity, now)
        standing = self._standing(connection, identity, now)
        if standing is None:  # the account was removed meanwhile
            raise IdentityRefusedError(Refusal.UNKNOWN)
        user, linked = standing.user, standing.linked
        storage.note_identity(connection, linked.id, identity.name, day_of(now))
        if standing.granted is not None:
            _set_grants(connection, user.id, standing.granted, now)
        if standing.role is None:
            return user, linked
        if user.role is Role.ADMIN and is_last_admin(accounts_storage.lock_admins(connection), user.id):
            log.warning("%s stays an admin against their groups: nobody else could sign in as one locally", user.name)
            return user, linked
        accounts_storage.set_role(connection, user.id, standing.role)
        accounts_storage.count_epoch(connection)
        return User(user.id, user.name, standing.role, user.created_at), linked

    def _make_account(self, connection: Connection, identity: Identity, now: Instant) -> None:
        if not self._rules.creates:
            raise IdentityRefusedError(Refusal.UNKNOWN)
        if name_faults(identity.name):
            raise IdentityRefusedError(Refusal.NAME_UNUSABLE)
        if not accounts_storage.any_user(connection):
            # The setup link creates the first account, so that there is an admin with a password.
            raise IdentityRefusedError(Refusal.UNKNOWN)
        user = User(UserId(self._new_id()), clean_name(identity.name), Role.MEMBER, now)
        key = login_key(identity.name)
        if accounts_storage.find_login(connection, key) is not None:
            raise IdentityRefusedError(Refusal.NAME_TAKEN)
        try:
            accounts_storage.add_user(connection, user, key, NO_PASSWORD)
        except accounts_storage.NameTakenError:
            raise IdentityRefusedError(Refusal.NAME_TAKEN) from None
        storage.add_identity(connection, self._link(identity, user.id, now))

    def _link(self, identity: Identity, user_id: UserId, now: Instant) -> LinkedIdentity:
        return LinkedIdentity(
            IdentityId(self._new_id()), user_id, identity.issuer, identity.subject, identity.name, now, day_of(now)
        )

    async def link(self, user_id: UserId, identity: Identity) -> None:
        """Link an identity to an account; idempotent. Raises CONFLICT if it is linked to another one."""
        now = self._clock()

        def link(connection: Connection) -> None:
            linked = storage.find_identity(connection, identity.issuer, identity.subject)
            if linked is None:
                if accounts_storage.find_user(connection, user_id) is None:
                    raise not_found("User not found")
                storage.add_identity(connection, self._link(identity, user_id, now))
                accounts_storage.count_epoch(connection)
            elif linked.user_id != user_id:
                raise conflict("This identity is linked to another account")

        await self._database.write(link)

    async def unlink(self, user_id: UserId, identity_id: IdentityId) -> None:
        """Unlink an identity.

        Raises NOT_FOUND, also for another user's identity, and CONFLICT if it is the only way to sign in to the
        account.
        """

        def unlink(connection: Connection) -> None:
            others = [each for each in storage.list_identities(connection, user_id) if each.id != identity_id]
            if not others and not storage.has_password(connection, user_id):
                raise conflict("It would no longer be possible to sign in to the account")
            if not storage.remove_identity(connection, user_id, identity_id):
                raise not_found("Identity not found")
            accounts_storage.count_epoch(connection)

        await self._database.write(unlink)

    async def list_of(self, user_id: UserId) -> list[LinkedIdentity]:
        """Return the identities that sign in to an account, oldest first."""
        return await self._database.read(lambda connection: storage.list_identities(connection, user_id))

    async def find(self, identity: Identity) -> LinkedIdentity | None:
        """Return the link of an identity, if there is one."""
        return await self._database.read(
            lambda connection: storage.find_identity(connection, identity.issuer, identity.subject)
        )

    async def ended(self, identity_ids: Collection[str]) -> frozenset[str]:
        """Return those of these identities that are no longer linked to an account."""
        present = await self._database.read(lambda connection: storage.list_present(connection, identity_ids))
        return frozenset(identity_ids) - present


class ProxyIdentities:
    """Users whom a trusted proxy names on each of their requests; assertions are cached for a while.

    The caller decides whether the proxy is trusted. `monotonic` is a monotonic clock in seconds.
    """

    def __init__(
        self,
        database: Database,
        identities: Identities,
        *,
        clock: Callable[[], Instant],
        monotonic: Callable[[], float],
    ) -> None:
        self._database = database
        self._identities = identities
        self._clock = clock
        self._remembered = CredentialCache(monotonic)
        self._refused: dict[str, Refusal] = {}

    async def authenticate(self, name: str, groups: str) -> Principal | None:
        """Return the principal of these requests; None for a user without an account here, or who may not sign in.

        A change of the account takes effect immediately within this process, and within 1 s by another process.
        """
        key = f"{name}\0{groups}"
        if self._remembered.is_stale():
            generation = self._remembered.generation()
            self._remembered.check(await self._database.read_inline(accounts_storage.read_epoch), generation)
        now = self._clock()
        principal = self._remembered.get(key, now)
        if principal is not None:
            return principal
        generation = self._remembered.generation()
        try:
            user, linked = await self._identities.admit(proxy_identity(name, groups))
        except IdentityRefusedError as error:
            self._note_refusal(name, error.refusal)
            return None
        self._refused.pop(name, None)
        principal = Principal(user.id, user.name, user.role, TokenKind.PROXY, f"{_PROXY_HASH}{linked.id}")
        self._remembered.put(key, principal, Instant(now + REMEMBERED_MS), generation)
        return principal

    def _note_refusal(self, name: str, refusal: Refusal) -> None:
        if self._refused.get(name) is refusal:
            return
        if len(self._refused) >= _REFUSED_MAX:
            del self._refused[next(iter(self._refused))]
        self._refused[name] = refusal
        log.info("The proxy names %r, who is not signed in: %s", name, refusal.value)


def proxy_identity(name: str, groups: str) -> Identity:
    """Return the identity that the headers of a trusted proxy name."""
    return Identity(PROXY_ISSUER, name, name, groups_of(groups))


async def ended_credentials(
    keys: Collection[TokenKey],
    *,
    tokens: Callable[[Collection[TokenKey]], Awaitable[Collection[TokenKey]]],
    identities: Identities,
) -> frozenset[TokenKey]:
    """Return those of the credentials of principals that are no longer valid, whether tokens or identities."""
    linked = {each: each.hash.removeprefix(_PROXY_HASH) for each in keys if each.hash.startswith(_PROXY_HASH)}
    ended = await tokens([each for each in keys if each not in linked])
    if not linked:
        return frozenset(ended)
    gone = await identities.ended([*linked.values()])
    return frozenset(ended) | {each for each, identity_id in linked.items() if identity_id in gone}


def _set_grants(connection: Connection, user_id: UserId, wanted: frozenset[LibraryId], now: Instant) -> None:
    granted = accounts_storage.list_grants(connection, user_id)
    for library_id in wanted - granted:
        accounts_storage.add_grant(connection, user_id, library_id, now)
    for library_id in granted - wanted:
        accounts_storage.remove_grant(connection, user_id, library_id)
