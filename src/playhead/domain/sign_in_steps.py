"""Sign-ins of more than one request: their lifetime and number. Looks nothing up."""

from enum import StrEnum

STEP_LIFETIME_MS = 10 * 60_000

STEPS_PER_ADDRESS = 20
"""In progress from one address; the oldest is replaced by a new one."""

STEPS_MAX = 10_000
"""In progress overall."""


class StepKind(StrEnum):
    """What the next request of a sign-in must present."""

    OPENID = "openid"
    REGISTRATION = "registration"  # a new passkey
    PASSKEY = "passkey"
    PASSWORD_PROVED = "password-proved"  # noqa: S105 - a second factor is wanted too
    PASSKEY_PROVED = "passkey-proved"  # the password is required, too
