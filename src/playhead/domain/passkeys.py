"""Passkeys and recovery codes: their limits and forms. Verifies nothing."""

import hashlib
import re
from dataclasses import dataclass

from playhead.domain.model import Instant, PasskeyId, UserId

PASSKEYS_MAX = 20
"""Of one account."""

RECOVERY_CODES = 10

RECOVERY_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without characters that look alike: l and 1, i, o and 0."""

RECOVERY_CODE_LENGTH = 16  # 79 bits, enough for a fast hash

_SEPARATORS = re.compile(r"[\s-]+")


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey as its owner sees it, and its verification data. Credential id and public key are base64url."""

    id: PasskeyId
    user_id: UserId
    credential_id: str
    public_key: str
    sign_count: int
    name: str
    created_at: Instant
    used_at: Instant | None


def shown_code(code: str) -> str:
    """Return a recovery code in its display form: in groups of four."""
    return "-".join(code[start : start + 4] for start in range(0, len(code), 4))


def recovery_hash(code: str) -> str:
    """Return the form in which a recovery code is stored, however it is typed."""
    return hashlib.sha256(_SEPARATORS.sub("", code).lower().encode("utf-8", "replace")).hexdigest()
