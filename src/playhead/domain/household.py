"""Shared devices: how the people of a household get in by their tiles, PINs, and how guesses are held up.

Looks nothing up.
"""

import re
from enum import StrEnum
from typing import Final, NamedTuple

from playhead.domain.accounts import DAY_MS, User
from playhead.domain.model import Instant, Role, UserId

PIN_LENGTH_MIN: Final = 4
PIN_LENGTH_MAX: Final = 8
PIN_PATTERN: Final = rf"[0-9]{{{PIN_LENGTH_MIN},{PIN_LENGTH_MAX}}}"
_PIN = re.compile(PIN_PATTERN, re.ASCII)
_ROWS: Final = ("01234567890", "09876543210")

# After so many wrong PINs in a row on one device its owner's password is needed there: a PIN of four digits is guessed
# with a probability of 6 in 10,000. The waits before the next try grow, so that it also takes a while.
PIN_FAILURES_MAX: Final = 6
_PIN_WAITS_S: Final = (0, 0, 0, 30, 120, 600)  # by the number of failures so far
# Over all devices together: whoever gets hold of several must not add up their tries. 20 in 10,000.
PIN_FAILURES_OF_PERSON_MAX: Final = 20

DEVICE_LIFETIME_MS: Final = 180 * DAY_MS  # without use
COLOURS: Final = 8

_SECRET = re.compile(r"[0-9a-f]{64}")


class TileEntry(StrEnum):
    """What a person's tile asks for."""

    TAP = "tap"
    PIN = "pin"
    PASSWORD = "password"  # noqa: S105 - the word, not one


class TileState(NamedTuple):
    """What is known of somebody on one device: what they allow there, and the wrong PINs since the last right one.

    `failures_elsewhere` are those on other devices.
    """

    user: User
    has_pin: bool
    allows_tap: bool
    failures: int
    failed_at: Instant | None
    failures_elsewhere: int


def entry_of(state: TileState) -> TileEntry:
    """Return what somebody's tile asks for.

    A tap alone is enough for a child without a PIN, and for a member without one who allowed it on this device. An
    admin's tile always asks.
    """
    if state.has_pin:
        failures = state.failures + state.failures_elsewhere
        locked = state.failures >= PIN_FAILURES_MAX or failures >= PIN_FAILURES_OF_PERSON_MAX
        return TileEntry.PASSWORD if locked else TileEntry.PIN
    role = state.user.role
    return TileEntry.TAP if role is Role.CHILD or (state.allows_tap and may_allow_tap(role)) else TileEntry.PASSWORD


def may_allow_tap(role: Role) -> bool:
    """Say whether somebody may let their tile ask for nothing. A child's does so by itself."""
    return role is Role.MEMBER


def pin_wait_s(state: TileState, now: Instant) -> int | None:
    """Return the number of seconds until the next PIN is compared, or None if one may be tried now.

    A clock that was set back makes nobody wait longer.
    """
    if state.failed_at is None or not state.failures:
        return None
    wait_s = _PIN_WAITS_S[min(state.failures, len(_PIN_WAITS_S) - 1)]
    left_ms = min(state.failed_at + wait_s * 1000 - now, wait_s * 1000)
    return -(-left_ms // 1000) if left_ms > 0 else None


def pin_faults(pin: str) -> list[str]:
    """Say what is wrong with a new PIN, as phrases."""
    if not _PIN.fullmatch(pin):
        return [f"must have {PIN_LENGTH_MIN} to {PIN_LENGTH_MAX} digits"]
    if len(set(pin)) == 1 or any(pin in row for row in _ROWS):
        return ["must not be one digit again and again, or digits in a row"]
    return []


def is_device_secret(text: str) -> bool:
    """Say whether a text has the form of a remembered device's secret, so that nothing else reaches the store."""
    return _SECRET.fullmatch(text) is not None


def device_is_live(last_used_at: Instant, now: Instant) -> bool:
    """Say whether a device is still remembered."""
    return now < last_used_at + DEVICE_LIFETIME_MS


def colour_of(user_id: UserId) -> int:
    """Return the number of somebody's colour, below COLOURS: always the same, and told from their id."""
    return int(user_id.replace("-", "")[:8], 16) % COLOURS


def initial_of(name: str) -> str:
    """Return the letter on somebody's tile."""
    return name[:1].upper()
