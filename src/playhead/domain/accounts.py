"""Accounts, tokens, and their rules: names, passwords, lifetimes, limits on sign-in attempts. Looks nothing up."""

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address, ip_address, ip_network

from playhead.domain.model import LATEST, Instant, Role, TokenId, UserId
from playhead.domain.tokens import TokenKey, TokenScope

NAME_LENGTH_MAX = 64
# Controls, invisible characters, direction marks and unassigned characters: two names that look the same must not
# differ by them, and PostgreSQL stores no NUL. Written so that ECMA-262 (OpenAPI) reads it alike.
_UNSEEN = (
    r"\x00-\x1f\x7f-\x9f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e"
    r"\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\uffff"
)
NAME_PATTERN = rf"^(?!\s*$)[^{_UNSEEN}]*$"

DAY_MS = 86_400_000
SESSION_LIFETIME_MS = 90 * DAY_MS

FAILURES_ALLOWED = 10
FAILURE_WINDOW_MS = 15 * 60_000

# Failures of an address with all names together. A household does not reach that; trying one password with many names
# does.
FAILURES_OF_ADDRESS_ALLOWED = 100

# Concurrent sign-ins: about two seconds of hashing. One address gets few of the last half, so that it cannot fill it.
SIGN_INS_MAX = 128
SIGN_INS_OF_ADDRESS_MAX = 16
_SIGN_INS_OF_ADDRESS_WHEN_BUSY = 2

_REFUSED = re.compile(rf"[{_UNSEEN}\ud800-\udfff]")  # a lone surrogate is not text, and cannot occur in JSON
_IPV6_PREFIX = 64


class TokenKind(StrEnum):
    """A session ends when it is not used; an API token when it is revoked or expires.

    A setup token only creates the first admin. PROXY is never stored: a trusted proxy authenticates each request.
    """

    SESSION = "session"
    API = "api"
    SETUP = "setup"
    PROXY = "proxy"


NO_PASSWORD = "!"  # noqa: S105 - the opposite of one
"""Replaces the password hash of an account without one: no password matches it."""


@dataclass(frozen=True, slots=True)
class User:
    """An account as its owner and an admin see it. `name` is as it was typed."""

    id: UserId
    name: str
    role: Role
    created_at: Instant


@dataclass(frozen=True, slots=True)
class Token:
    """A credential without its secret. `last_used_at` is the day of the last use; `expires_at` None means never."""

    id: TokenId
    user_id: UserId
    kind: TokenKind
    name: str
    created_at: Instant
    expires_at: Instant | None
    last_used_at: Instant | None
    scope: TokenScope = TokenScope.ALL


@dataclass(frozen=True, slots=True)
class Principal:
    """The user who makes a request, and the credential."""

    user_id: UserId
    name: str
    role: Role
    token_kind: TokenKind
    token_hash: str
    scope: TokenScope = TokenScope.ALL

    @property
    def token_key(self) -> TokenKey:
        """Return the key under which the credential is stored."""
        return TokenKey(self.user_id, self.token_hash)


def clean_name(text: str) -> str:
    """Return a user's or token's name in its stored form: NFKC, trimmed, with single spaces inside."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def name_faults(text: str) -> list[str]:
    """Return what is wrong with a user's or token's name, as phrases; an empty list if nothing is.

    NAME_LENGTH_MAX and NAME_PATTERN express the same, except for ligatures that are several characters once normalised.
    """
    faults: list[str] = []
    if not text.strip() or max(len(text), len(clean_name(text))) > NAME_LENGTH_MAX:
        faults.append(f"must have 1 to {NAME_LENGTH_MAX} characters")
    if _REFUSED.search(text):
        faults.append("must not contain control characters")
    return faults


def login_key(name: str) -> str:
    """Return the key by which user names are unique, ignoring case: NFKC_Casefold of the Unicode standard.

    A text that cannot be a name (see `name_faults`) has the key "", which no account has.
    """
    if name_faults(name):
        return ""
    return unicodedata.normalize("NFKC", clean_name(name).casefold())


def password_bytes(password: str) -> bytes:
    """Return the bytes to hash: UTF-8 of NFC, because keyboards differ in how they compose a letter (RFC 8265, 4.2)."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def token_is_live(kind: TokenKind, expires_at: Instant | None, now: Instant) -> bool:
    """Return whether a stored token authenticates requests."""
    return kind is not TokenKind.SETUP and (expires_at is None or now < expires_at)


def renewed_expiry(kind: TokenKind, expires_at: Instant | None, used_at: Instant) -> Instant | None:
    """Return the expiry of a token after a use at `used_at`: only the use of a session extends it."""
    return Instant(used_at + SESSION_LIFETIME_MS) if kind is TokenKind.SESSION else expires_at


def expiry_faults(expires_at: Instant, now: Instant) -> list[str]:
    """Return what is wrong with the chosen expiry of a new token, as phrases."""
    return [] if now < expires_at <= LATEST else ["must be in the future, and before the year 10000"]


def day_of(now: Instant) -> Instant:
    """Return the beginning of the UTC day: the precision to which the use of a token is recorded."""
    return Instant(now - now % DAY_MS)


def is_last_admin(admins: Collection[UserId], user_id: UserId) -> bool:
    """Return whether no admin would be left without this user."""
    return set(admins) == {user_id}


def throttle_address(address: str) -> str:
    """Return the key by which failures of a client are counted.

    One customer of an IPv6 provider has a whole /64, so all of it counts as one. Anything but an address (a Unix
    socket, a test) counts as it is.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:NAME_LENGTH_MAX]
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ip_network((parsed, _IPV6_PREFIX), strict=False))


def has_sign_in_room(under_way: int, of_address: int) -> bool:
    """Return whether an address may start another sign-in, given the number of its own and of all in progress."""
    is_busy = under_way >= SIGN_INS_MAX // 2
    return of_address < (_SIGN_INS_OF_ADDRESS_WHEN_BUSY if is_busy else SIGN_INS_OF_ADDRESS_MAX)


def retry_after_s(failures: Sequence[Instant], now: Instant, allowed: int = FAILURES_ALLOWED) -> int | None:
    """Return the number of seconds until the next attempt is allowed, or None if it is allowed now.

    `failures` are the times of earlier ones, such as failed sign-ins of the same name and address, in any order; up to
    `allowed` of them may occur within FAILURE_WINDOW_MS.
    """
    recent = sorted(failure for failure in failures if failure > now - FAILURE_WINDOW_MS)
    if len(recent) < allowed:
        return None
    # A clock that was set back must not lock anybody out for longer than the window.
    wait_ms = min(recent[-allowed] + FAILURE_WINDOW_MS - now, FAILURE_WINDOW_MS)
    return -(-wait_ms // 1000)
