"""Sign-ins that take more than one request: how long one may take, and how many there are. Looks nothing up."""

from enum import StrEnum

STEP_LIFETIME_MS = 10 * 60_000

STEPS_PER_ADDRESS = 20
"""Begun and not finished from one address; the oldest gives way to a new one."""

STEPS_MAX = 10_000
"""Begun and not finished in all."""


class StepKind(StrEnum):
    """What the next request of a sign-in brings."""

    OPENID = "openid"
    REGISTRATION = "registration"  # a new passkey
    PASSKEY = "passkey"
    PASSWORD_PROVED = "password-proved"  # noqa: S105 - a second factor is wanted too
    PASSKEY_PROVED = "passkey-proved"  # the password is wanted too
