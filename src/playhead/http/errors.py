"""The one translation of coded errors to HTTP: status, problem document (RFC 9457) and headers."""

from functools import lru_cache
from http import HTTPStatus

import msgspec
from starlette.types import Send

from playhead.errors import Code, PlayheadError

STATUS: dict[Code, int] = {
    Code.NOT_AUTHENTICATED: 401,
    Code.SECOND_FACTOR_NEEDED: 401,
    Code.ACCESS_DENIED: 403,
    Code.INSUFFICIENT_SCOPE: 403,
    Code.NOT_FOUND: 404,
    Code.MALFORMED: 400,
    Code.TOO_LARGE: 413,
    Code.UNSUPPORTED_MEDIA_TYPE: 415,
    Code.INVALID: 422,
    Code.CONFLICT: 409,
    Code.LIMIT_REACHED: 409,
    Code.TOO_MANY_ATTEMPTS: 429,
    Code.DEVICE_CODE: 400,
    Code.UNAVAILABLE: 503,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.RANGE_NOT_SATISFIABLE: 416,
    Code.PRECONDITION_FAILED: 412,
}


class Problem(msgspec.Struct, omit_defaults=True):
    """An error's body: the members of RFC 9457, and Playhead's `error` and `details` above the standard."""

    type: str
    title: str
    status: int
    error: str
    details: dict[str, list[str]] | None = None


Headers = list[tuple[bytes, bytes]]

NO_SNIFFING = (b"x-content-type-options", b"nosniff")
"""In every response: browsers must not guess a file's type from its content."""


def problem(error: PlayheadError, headers: Headers | None = None) -> tuple[int, Headers, bytes]:
    """Return status, headers and problem document of a coded error; `headers` are added to those of the code."""
    if error.details is None:
        body = _plain_body(error.code, error.message)
    else:
        body = _body(error.code, error.message, {name: list(faults) for name, faults in error.details.items()})
    more = [*(headers or ())]
    if error.code in {Code.NOT_AUTHENTICATED, Code.SECOND_FACTOR_NEEDED}:
        more.append((b"www-authenticate", b"Bearer"))
    if error.code is Code.INSUFFICIENT_SCOPE:
        more.append((b"www-authenticate", b'Bearer error="insufficient_scope"'))  # RFC 6750, 3.1
    if error.retry_after_s is not None:
        more.append((b"retry-after", str(error.retry_after_s).encode()))
    return STATUS[error.code], [*_about(body), *more], body


async def send_problem(send: Send, error: PlayheadError, headers: Headers | None = None) -> None:
    """Answer with the problem document of a coded error; see `problem`."""
    await _send(send, *problem(error, headers))


def _body(code: Code, message: str, details: dict[str, list[str]] | None) -> bytes:
    return msgspec.json.encode(Problem(f"urn:playhead:error:{code.value}", message, STATUS[code], message, details))


@lru_cache(maxsize=64)  # under overload nothing is sent as often as a refusal
def _plain_body(code: Code, message: str) -> bytes:
    return _body(code, message, None)


def is_last(error: PlayheadError) -> bool:
    """Return whether to close the connection after the response: under overload this makes room for others.

    Keeping it open without reading would delay every client whose requests a proxy sends on it.
    """
    return error.code is Code.UNAVAILABLE


def wire_problem(status: int, title: str) -> bytes:
    """Return the complete response to an invalid request that never reaches the application; the connection closes."""
    body = msgspec.json.encode(Problem("about:blank", title, status, title))
    fields = b"".join(b"%b: %b\r\n" % field for field in [*_about(body), (b"connection", b"close")])
    return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (status, HTTPStatus(status).phrase.encode(), fields, body)


def internal_problem() -> tuple[int, Headers, bytes]:
    """Return the response to a defect, like `problem`. Details are in the log only."""
    title = "Internal server error"
    body = msgspec.json.encode(Problem("urn:playhead:error:internal", title, 500, title))
    return 500, _about(body), body


async def send_internal_error(send: Send) -> None:
    """Answer a defect; see `internal_problem`."""
    await _send(send, *internal_problem())


def _about(body: bytes) -> Headers:
    return [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        NO_SNIFFING,
    ]


async def _send(send: Send, status: int, headers: Headers, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
