"""Translates coded errors to HTTP, once: status, problem document (RFC 9457) and headers."""

from functools import lru_cache

import msgspec
from starlette.types import Scope, Send

from playhead.errors import Code, PlayheadError

STATUS: dict[Code, int] = {
    Code.NOT_AUTHENTICATED: 401,
    Code.ACCESS_DENIED: 403,
    Code.NOT_FOUND: 404,
    Code.MALFORMED: 400,
    Code.TOO_LARGE: 413,
    Code.UNSUPPORTED_MEDIA_TYPE: 415,
    Code.INVALID: 422,
    Code.CONFLICT: 409,
    Code.TOO_MANY_ATTEMPTS: 429,
    Code.UNAVAILABLE: 503,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.RANGE_NOT_SATISFIABLE: 416,
}


class Problem(msgspec.Struct, omit_defaults=True):
    """An error's body: the members of RFC 9457, and Playhead's `error` and `details` above the standard."""

    type: str
    title: str
    status: int
    error: str
    details: dict[str, list[str]] | None = None


async def send_problem(send: Send, error: PlayheadError, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    """Answer with the problem document of a coded error; `headers` are added to those that the code calls for."""
    status = STATUS[error.code]
    if error.details is None:
        body = _plain_body(error.code, error.message)
    else:
        body = _body(error.code, error.message, {name: list(faults) for name, faults in error.details.items()})
    more = [*(headers or ())]
    if error.code is Code.NOT_AUTHENTICATED:
        more.append((b"www-authenticate", b"Bearer"))
    if error.retry_after_s is not None:
        more.append((b"retry-after", str(error.retry_after_s).encode()))
    await _send(send, status, body, more)


def _body(code: Code, message: str, details: dict[str, list[str]] | None) -> bytes:
    return msgspec.json.encode(Problem(f"urn:playhead:error:{code.value}", message, STATUS[code], message, details))


@lru_cache(maxsize=64)  # under overload nothing is sent as often as a refusal
def _plain_body(code: Code, message: str) -> bytes:
    return _body(code, message, None)


def hold_back(scope: Scope, error: PlayheadError) -> None:
    """Read no further request from a client before the time at which it was told to try again, if the server can.

    Who heeds `Retry-After` does not notice; a crowd that does not would cost more by being refused than by being
    served.
    """
    if error.code is Code.UNAVAILABLE and error.retry_after_s is not None:
        pause = scope.get("state", {}).get(PAUSE)
        if pause is not None:
            pause(error.retry_after_s)


PAUSE = "playhead.pause"
"""What a server of ours puts into the state of a request: a function that lets its connection rest for some seconds."""


async def send_internal_error(send: Send) -> None:
    """Answer a defect. What went wrong is in the log, and nothing of it here."""
    title = "Internal server error"
    await _send(send, 500, msgspec.json.encode(Problem("urn:playhead:error:internal", title, 500, title)), [])


async def _send(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    start = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})
