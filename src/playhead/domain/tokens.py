"""The form of tokens, and what a token's scope allows. Looks nothing up."""

import hashlib
import re
import zlib
from enum import StrEnum
from typing import NamedTuple

from playhead.domain.model import UserId, canonical_id

PREFIX = "ph_"
RANDOM_DIGITS = 32  # 128 bits
_USER_DIGITS = 32
_BARE = re.compile(r"[0-9a-f]{64}")
_NATIVE = re.compile(rf"{PREFIX}([0-9a-f]{{64}})([0-9a-f]{{8}})")


class TokenScope(StrEnum):
    """What a token may be used for. Sessions have ALL, except those opened at a tile, which have WATCH.

    READ reads everything that its user may read. REPORT saves progress and reads it back, for players. WATCH does what
    belongs to watching, and changes no account. ALL does whatever its user may do.
    """

    READ = "read"
    REPORT = "report"
    WATCH = "watch"
    ALL = "all"


class ScopeNeed(StrEnum):
    """What a route needs of a token's scope. Reading one's own progress is part of reading and of reporting."""

    READ = "read"
    READ_PROGRESS = "read-progress"
    REPORT = "report"
    ALL = "all"


_SUFFICIENT: dict[ScopeNeed, frozenset[TokenScope]] = {
    ScopeNeed.READ: frozenset({TokenScope.READ, TokenScope.ALL}),
    ScopeNeed.READ_PROGRESS: frozenset({TokenScope.READ, TokenScope.REPORT, TokenScope.ALL}),
    ScopeNeed.REPORT: frozenset({TokenScope.REPORT, TokenScope.ALL}),
    ScopeNeed.ALL: frozenset({TokenScope.ALL}),
}


def sufficient_scopes(need: ScopeNeed) -> frozenset[TokenScope]:
    """Return the scopes that meet a need. ALL is always among them."""
    return _SUFFICIENT[need]


class TokenKey(NamedTuple):
    """The key of a stored token: its user, and its SHA-256 in hexadecimal digits."""

    user_id: UserId
    hash: str


def form_token(user_id: UserId, random_digits: str) -> str:
    """Return a native token: `ph_`, the user's id, RANDOM_DIGITS random hexadecimal digits, and a CRC-32 of both.

    Secret scanners recognise a leaked token by prefix and checksum; a look-up finds the user's rows by the id.
    """
    digits = user_id.replace("-", "") + random_digits
    return f"{PREFIX}{digits}{_checksum(digits)}"


def is_token(text: str) -> bool:
    """Return whether a credential has the form of a token, so that nothing else reaches the store.

    That is a native token with a correct checksum, or 64 lower-case hexadecimal digits: tokens issued before native
    ones, and those of protocols whose clients insist on this length.
    """
    native = _NATIVE.fullmatch(text)
    if native is not None:
        return native[2] == _checksum(native[1])
    return _BARE.fullmatch(text) is not None


def names_its_user(token: str) -> bool:
    """Return whether a token is certain to begin with its user's id. For 64 bare digits only a look-up can tell."""
    return token.startswith(PREFIX)


def token_key(token: str) -> TokenKey:
    """Return the key of a token, given that `is_token`. The user is a guess unless `names_its_user`."""
    user_digits = token.removeprefix(PREFIX)[:_USER_DIGITS]
    dashed = "-".join(user_digits[start:end] for start, end in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)))
    return TokenKey(UserId(canonical_id(dashed) or dashed), token_hash(token))


def token_hash(token: str) -> str:
    """Return the form in which a token is stored. It has at least 128 random bits: no salt or slow hash is needed."""
    return hashlib.sha256(token.encode()).hexdigest()


def _checksum(digits: str) -> str:
    return f"{zlib.crc32(digits.encode()):08x}"
