"""The closed set of errors that Playhead answers with. Knows no HTTP: `http/errors.py` maps each code to a status."""

from collections.abc import Mapping, Sequence
from enum import Enum


class Code(Enum):
    """Why a request was refused. The value is a stable identifier, used in logs and in a problem's `type`."""

    NOT_AUTHENTICATED = "not-authenticated"
    SECOND_FACTOR_NEEDED = "second-factor-needed"
    ACCESS_DENIED = "access-denied"
    INSUFFICIENT_SCOPE = "insufficient-scope"
    NOT_FOUND = "not-found"
    MALFORMED = "malformed"
    TOO_LARGE = "too-large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type"
    INVALID = "invalid"
    CONFLICT = "conflict"
    LIMIT_REACHED = "limit-reached"
    TOO_MANY_ATTEMPTS = "too-many-attempts"
    DEVICE_CODE = "device-code"
    UNAVAILABLE = "unavailable"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    RANGE_NOT_SATISFIABLE = "range-not-satisfiable"
    PRECONDITION_FAILED = "precondition-failed"


class PlayheadError(Exception):
    """An expected refusal: a `code`, a `message` for the client, and for INVALID the faulty members.

    `details` maps each faulty member to all of its faults. `member` names the subject of a NOT_FOUND or a CONFLICT, for
    callers that must distinguish them; it is not part of any answer. `retry_after_s` says when a retry may succeed
    (TOO_MANY_ATTEMPTS, UNAVAILABLE). Any other exception is a defect and stays private.
    """

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        details: Mapping[str, Sequence[str]] | None = None,
        member: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details
        self.member = member
        self.retry_after_s = retry_after_s


def not_authenticated() -> PlayheadError:
    """No credential, or one that is unknown, expired or revoked; the client is not told which."""
    return PlayheadError(Code.NOT_AUTHENTICATED, "Not authenticated")


def second_factor_needed() -> PlayheadError:
    """The password is right, and the account requires password and passkey together."""
    return PlayheadError(
        Code.SECOND_FACTOR_NEEDED,
        "Second factor needed",
        details={"code": ["must be a recovery code; to use a passkey, sign in on the sign-in page"]},
    )


def access_denied() -> PlayheadError:
    """It exists, and this user may not see or change it."""
    return PlayheadError(Code.ACCESS_DENIED, "Access denied")


def insufficient_scope(scope: str) -> PlayheadError:
    """The user may do this, but not with this token, whose `scope` is too small."""
    return PlayheadError(Code.INSUFFICIENT_SCOPE, f"The scope of this token, {scope}, does not allow this")


def not_found(message: str = "Not found", *, member: str | None = None) -> PlayheadError:
    """Something does not exist; `message` names it."""
    return PlayheadError(Code.NOT_FOUND, message, member=member)


def invalid(details: Mapping[str, Sequence[str]]) -> PlayheadError:
    """Invalid members of a request, each with its faults."""
    return PlayheadError(Code.INVALID, "Invalid data", details=details)


def refuse_faults(**details: Sequence[str]) -> None:
    """Raise INVALID with the members that have faults, if any has."""
    faulty = {member: faults for member, faults in details.items() if faults}
    if faulty:
        raise invalid(faulty)


def conflict(message: str, *, member: str | None = None) -> PlayheadError:
    """The request conflicts with existing state, such as a name that is taken: then `member` is the name."""
    return PlayheadError(Code.CONFLICT, message, member=member)


def limit_reached(message: str) -> PlayheadError:
    """The request would exceed a limit; `message` names it. Nothing was changed."""
    return PlayheadError(Code.LIMIT_REACHED, message)


def too_many_attempts(retry_after_s: int) -> PlayheadError:
    """Too many failed sign-ins; `retry_after_s` is when the next attempt is allowed."""
    return PlayheadError(Code.TOO_MANY_ATTEMPTS, "Too many attempts", retry_after_s=retry_after_s)


def device_code_refused(error: str, retry_after_s: int | None = None) -> PlayheadError:
    """A device code yields nothing, or not yet; `error` is a code of RFC 8628, 3.5, or RFC 6749, 5.2."""
    return PlayheadError(Code.DEVICE_CODE, error, retry_after_s=retry_after_s)


def unavailable(retry_after_s: int = 1) -> PlayheadError:
    """Overloaded, or the store failed. A request that was not answered with success may not have taken effect."""
    return PlayheadError(Code.UNAVAILABLE, "Service unavailable", retry_after_s=retry_after_s)
