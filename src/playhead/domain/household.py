"""Remembered devices: how the people of a household sign in at their tiles, PINs, and limits on guessing.

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

# After this many consecutive wrong PINs on a device it requires the owner's password: a PIN of four digits is guessed
# with a probability of 6 in 10,000. The delays between attempts grow, so that it also takes a while.
PIN_FAILURES_MAX: Final = 6
_PIN_WAITS_S: Final = (0, 0, 0, 30, 120, 600)  # by the number of failures so far
# On all devices together: the attempts on several devices must not add up. 20 in 10,000.
PIN_FAILURES_OF_PERSON_MAX: Final = 20

DEVICE_LIFETIME_MS: Final = 180 * DAY_MS  # without use
COLOURS: Final = 8

_SECRET = re.compile(r"[0-9a-f]{64}")


class TileEntry(StrEnum):
    """What a person's tile requires."""

    TAP = "tap"
    PIN = "pin"
    PASSWORD = "password"  # noqa: S105 - the word, not one


class TileState(NamedTuple):
    """The state of a person on one device: whether they allow a tap, and wrong PINs since the last right one.

    `failures_elsewhere` are those on other devices.
    """

    user: User
    has_pin: bool
    allows_tap: bool
    failures: int
    failed_at: Instant | None
    failures_elsewhere: int


def entry_of(state: TileState) -> TileEntry:
    """Return what a person's tile requires.

    A tap alone is enough for a child without a PIN, and for a member without one who allowed it on this device. An
    admin's tile always requires more.
    """
    if state.has_pin:
        failures = state.failures + state.failures_elsewhere
        locked = state.failures >= PIN_FAILURES_MAX or failures >= PIN_FAILURES_OF_PERSON_MAX
        return TileEntry.PASSWORD if locked else TileEntry.PIN
    role = state.user.role
    return TileEntry.TAP if role is Role.CHILD or (state.allows_tap and may_allow_tap(role)) else TileEntry.PASSWORD


def may_allow_tap(role: Role) -> bool:
    """Return whether users may make a tap sufficient at their tile. For a child it is by default."""
    return role is Role.MEMBER


def pin_wait_s(state: TileState, now: Instant) -> int | None:
    """Return the number of seconds until the next PIN attempt, or None if one is possible now.

    A clock that was set back makes nobody wait longer.
    """
    if state.failed_at is None or not state.failures:
        return None
    wait_s = _PIN_WAITS_S[min(state.failures, len(_PIN_WAITS_S) - 1)]
    left_ms = min(state.failed_at + wait_s * 1000 - now, wait_s * 1000)
    return -(-left_ms // 1000) if left_ms > 0 else None


def pin_faults(pin: str) -> list[str]:
    """Return what is wrong with a new PIN, as phrases."""
    if not _PIN.fullmatch(pin):
        return [f"must have {PIN_LENGTH_MIN} to {PIN_LENGTH_MAX} digits"]
    if len(set(pin)) == 1 or any(pin in row for row in _ROWS):
        return ["must not be one repeated digit or a sequence"]
    return []


def is_device_secret(text: str) -> bool:
    """Return whether a text has the form of a remembered device's secret, so that nothing else reaches the store."""
    return _SECRET.fullmatch(text) is not None


def device_is_live(last_used_at: Instant, now: Instant) -> bool:
    """Return whether a device is still remembered."""
    return now < last_used_at + DEVICE_LIFETIME_MS


def colour_of(user_id: UserId) -> int:
    """Return the number of a person's colour, below COLOURS: always the same, derived from their id."""
    return int(user_id.replace("-", "")[:8], 16) % COLOURS


def initial_of(name: str) -> str:
    """Return the letter on a person's tile."""
    return name[:1].upper()
