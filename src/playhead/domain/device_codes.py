"""Device sign-in: the form of codes, their lifetime, and how often a device may poll. Looks nothing up."""

import hashlib
import re
from enum import StrEnum
from typing import Final, NamedTuple

from playhead.domain.accounts import NAME_LENGTH_MAX, clean_name, name_faults
from playhead.domain.model import Instant

# RFC 8628, 6.1: consonants spell no words, and none of these looks like another letter or a digit.
USER_CODE_ALPHABET: Final = "BCDFGHJKLMNPQRSTVWXZ"
USER_CODE_LENGTH: Final = 8
_USER_CODE_INPUT_MAX: Final = 64
_IGNORED = re.compile(r"[\s_.\-\u2010-\u2015\u2212]")

LIFETIME_MS: Final = 10 * 60_000
INTERVAL_S: Final = 5  # RFC 8628, 3.2: what clients assume
SLOWER_BY_S: Final = 5  # RFC 8628, 3.5
# A device that counts five seconds from the answer, or has a fast clock, is still on time.
_JITTER_MS: Final = 1000

# Anybody may request a code, so the number of stored requests is bounded, per sender and in total.
WAITING_MAX: Final = 10_000
WAITING_PER_ADDRESS_MAX: Final = 100

# A user code has 20^8 (2.56 * 10^10) values. With ten wrong codes in 15 minutes an attacker makes 960 guesses a day; if
# all of WAITING_MAX codes wait all day long, one of them is hit with a probability of 960 * 10^4 / 2.56 * 10^10, which
# is 1 in 2,700 a day. In a household with one waiting television it is 1 in 27 million. A hit only signs the stranger's
# device in to the attacker's own account. An address, which a household shares, has three times as many guesses.
GUESSES_PER_USER_MAX: Final = 10
GUESSES_PER_ADDRESS_MAX: Final = 30

_DEVICE_CODE = re.compile(r"[0-9a-f]{64}")


class DeviceKind(StrEnum):
    """What a device claims to be. Only shown to the user who approves it."""

    TV = "tv"
    PLAYER = "player"
    COMPUTER = "computer"
    PHONE = "phone"
    OTHER = "other"


class DeviceProtocol(StrEnum):
    """The protocol that started a sign-in; only the same protocol can redeem its code."""

    NATIVE = "native"


class PollOutcome(StrEnum):
    """Why a device code yields nothing, or not yet. The values are the error codes of RFC 8628, 3.5."""

    PENDING = "authorization_pending"
    TOO_FAST = "slow_down"
    DENIED = "access_denied"
    EXPIRED = "expired_token"


class PollPace(NamedTuple):
    """How often a device may poll, and when it last did."""

    interval_s: int = INTERVAL_S
    asked_at: Instant | None = None


class DeviceRequest(NamedTuple):
    """A device that waits to be signed in, as shown for approval. `user_code` is in its display form."""

    user_code: str
    name: str
    kind: DeviceKind
    address: str
    requested_at: Instant


def clean_user_code(text: str) -> str | None:
    """Return a user code in the form for comparison: in capitals, without spaces and hyphens; None if malformed."""
    if len(text) > _USER_CODE_INPUT_MAX:
        return None
    code = _IGNORED.sub("", text).upper()
    return code if len(code) == USER_CODE_LENGTH and set(code) <= set(USER_CODE_ALPHABET) else None


def shown_user_code(code: str) -> str:
    """Return a user code in its display form: two groups of four."""
    half = USER_CODE_LENGTH // 2
    return f"{code[:half]}-{code[half:]}"


def is_device_code(text: str) -> bool:
    """Return whether a text has the form of a device code, so that nothing else reaches the store."""
    return _DEVICE_CODE.fullmatch(text) is not None


def code_hash(code: str) -> str:
    """Return the form in which both codes are stored.

    A device code has 256 random bits. A user code has few, but lasts only ten minutes, and only works for a signed-in
    user: a reader of the store gains nothing by searching for it.
    """
    return hashlib.sha256(code.encode()).hexdigest()


def device_name_faults(name: str) -> list[str]:
    """Return what is wrong with the name of a device, as phrases. "" is valid: the device has stated none."""
    return name_faults(name) if name else []


def clean_device_name(name: str, otherwise: str) -> str:
    """Return the name by which a session is listed, or `otherwise` if the device has stated none."""
    return clean_name(name)[:NAME_LENGTH_MAX] or otherwise


def next_pace(pace: PollPace, now: Instant) -> tuple[PollPace, bool]:
    """Record a poll of a device, and return whether it is too early.

    Each early poll extends the interval (RFC 8628, 3.5). A clock that was set back makes nobody early.
    """
    since_ms = None if pace.asked_at is None else now - pace.asked_at
    if since_ms is not None and 0 <= since_ms < pace.interval_s * 1000 - _JITTER_MS:
        return PollPace(pace.interval_s + SLOWER_BY_S, now), True
    return PollPace(pace.interval_s, now), False
