"""Request bodies: read within limits and decoded into validated values. Errors name every faulty member at once."""

import json
import math
import re
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from functools import cache
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope

from playhead.errors import Code, PlayheadError, invalid

T = TypeVar("T")

JSON_MAX_BYTES: Final = 64 * 1024
JSON_MEDIA_TYPES: Final = ("application/json", "text/plain")

# Integers with more digits than any member allows become floats, so that 5,000 digits are cheap, and too large.
_LONGEST_INTEGER: Final = 25

_TRANSLATIONS: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern), text)
    for pattern, text in (
        (r"Expected `(?:int|float)` >= (\S+?)(?:\.0)?$", r"must be greater than or equal to \1"),
        (r"Expected `(?:int|float)` <= (\S+?)(?:\.0)?$", r"must be less than or equal to \1"),
        (r"Expected `(?:int|float)` > (\S+?)(?:\.0)?$", r"must be greater than \1"),
        (r"Expected `(?:int|float)` < (\S+?)(?:\.0)?$", r"must be less than \1"),
        (r"Expected `str` of length >= (\d+)", r"must have at least \1 characters"),
        (r"Expected `str` of length <= (\d+)", r"must have at most \1 characters"),
        (r"Expected `array` of length <= (\d+)", r"must have at most \1 entries"),
        (r"Expected `object` of length <= (\d+)", r"must have at most \1 members"),
        (r"Expected `str` matching regex", "has characters that are not allowed"),
        (r"Expected `[^`]*`, got `null`", "must not be null"),
        (r"Expected `int(?: \| null)?`, got", "must be a whole number"),
        (r"Expected `float(?: \| null)?`, got|Expected `int \| float", "must be a number"),
        (r"Expected `bool(?: \| null)?`, got", "must be true or false"),
        (
            r"Expected `datetime(?: \| null)?`, got|RFC3339|timezone",
            "must be an RFC 3339 time with its offset from UTC",
        ),
        (r"Expected `str(?: \| null)?`, got", "must be a string"),
        (r"Expected `array(?: \| null)?`, got", "must be an array"),
        (r"Expected `object(?: \| null)?`, got", "must be an object"),
    )
)


def malformed() -> PlayheadError:
    """The body is not JSON."""
    return PlayheadError(Code.MALFORMED, "Malformed JSON")


def too_large() -> PlayheadError:
    """The body is longer than the route allows."""
    return PlayheadError(Code.TOO_LARGE, "Request too large")


def require_media_type(content_type: str | None, *allowed: str) -> None:
    """Raise UNSUPPORTED_MEDIA_TYPE for another content type. A body without one counts as the expected type."""
    if content_type is None or content_type in allowed:
        return
    if content_type.partition(";")[0].strip().lower() not in allowed:
        raise PlayheadError(Code.UNSUPPORTED_MEDIA_TYPE, "Unsupported media type")


def _refuse_announced(scope: Scope, limit: int) -> None:
    for name, value in scope["headers"]:
        if name == b"content-length" and int(value) > limit:  # the server has checked that it is a number
            raise too_large()


async def read_body(scope: Scope, receive: Receive, limit: int = JSON_MAX_BYTES) -> bytes:
    """Return the whole body. Raises TOO_LARGE as soon as it is known to be over `limit` bytes, ClientDisconnect."""
    _refuse_announced(scope, limit)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body = message.get("body", b"")
        if len(body) > limit:
            raise too_large()
        return body
    return b"".join([piece async for piece in _pieces(message, receive, limit)])


async def whole_body(scope: Scope, receive: Receive, limit: int) -> Receive:
    """Wait for the complete body, and return a `receive` that yields it again.

    Does not wait if there is no body, or if it exceeds `limit` bytes: reading it then raises TOO_LARGE.
    """
    length = 0
    for name, value in scope["headers"]:
        if name == b"content-length":
            length = int(value)
        elif name == b"transfer-encoding":
            length = 1
    if not 0 < length <= limit:
        return receive
    messages: deque[Message] = deque()
    length = 0
    while True:
        message = await receive()
        messages.append(message)
        length += len(message.get("body", b""))
        if length > limit or not message.get("more_body"):
            break

    async def replay() -> Message:
        return messages.popleft() if messages else await receive()

    return replay


async def stream_body(scope: Scope, receive: Receive, limit: int) -> AsyncGenerator[bytes]:
    """Yield the body piece by piece. Raises like `read_body`."""
    _refuse_announced(scope, limit)
    async for piece in _pieces(await receive(), receive, limit):
        yield piece


async def _pieces(message: Message, receive: Receive, limit: int) -> AsyncGenerator[bytes]:
    length = 0
    while True:
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece: bytes = message.get("body", b"")
        length += len(piece)
        if length > limit:
            raise too_large()
        yield piece
        if not message.get("more_body"):
            return
        message = await receive()


UNDECODABLE: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError, OverflowError)
"""The exceptions of msgspec for a body that is not JSON, or not of the type."""


@cache
def _decoder(kind: type[Any]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def decode(body: bytes, kind: type[T]) -> T:
    """Decode JSON into a Struct. Raises MALFORMED, or INVALID with every faulty member and its faults.

    A valid body is decoded in one step; only an invalid one is examined again, member by member.
    """
    try:
        return _decoder(kind).decode(body)
    except UNDECODABLE:
        raise _refusal(parse_leniently(body), kind, strict=True) from None


def check(raw: Mapping[str, object], kind: type[T]) -> T:
    """Convert an object of what `parse_leniently` returned. Raises INVALID with every faulty member."""
    details = _faults(raw, kind, strict=True)
    if details:
        raise invalid(details)
    return msgspec.convert(raw, kind)


def convert(raw: Mapping[str, object], kind: type[T]) -> T:
    """Validate members given as text, such as a query string's. Raises INVALID with every faulty one."""
    try:
        return msgspec.convert(raw, kind, strict=False)
    except msgspec.ValidationError:
        raise _refusal(raw, kind, strict=False) from None


def parse_leniently(body: bytes) -> object:
    """Parse JSON that a stricter parser refused, so that `NaN` or 5,000 digits are blamed on the member that has them.

    Raises MALFORMED.
    """

    def parse_int(digits: str) -> int | float:
        return int(digits) if len(digits) <= _LONGEST_INTEGER else float(digits)

    try:
        return json.loads(body, parse_int=parse_int)
    except (ValueError, RecursionError):
        raise malformed() from None


def _refusal(raw: object, kind: type[Any], *, strict: bool) -> PlayheadError:
    if not isinstance(raw, Mapping):
        return invalid({"body": ["must be an object"]})
    details = _faults(raw, kind, strict=strict)  # pyright: ignore[reportUnknownArgumentType] - JSON has no other keys
    if not details:  # no member that is looked at is at fault: something else in the text is not JSON
        return malformed()
    return invalid(details)


_fields = cache(msgspec.structs.fields)


def _faults(members: Mapping[str, object], kind: type[Any], *, strict: bool) -> dict[str, list[str]]:
    details: dict[str, list[str]] = {}
    for field in _fields(kind):
        if field.encode_name in members:
            fault = _fault(members[field.encode_name], field.type, strict=strict)
        else:
            fault = "is required" if field.required else None
        if fault is not None:
            details[field.encode_name] = [fault]
    return details


def _fault(value: object, kind: Any, *, strict: bool) -> str | None:  # noqa: ANN401 - any type that a member can have
    if isinstance(value, float) and not math.isfinite(value):
        return "must be a finite number"
    if isinstance(value, str) and not _is_text(value):
        return "must be text without surrogates or NUL"
    try:
        msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        return _translate(str(error))
    except (OverflowError, RecursionError):
        return "is out of range"
    return None


def _is_text(value: str) -> bool:
    return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)


def _translate(message: str) -> str:
    where = ""
    if " - at `$" in message:
        message, _, path = message.partition(" - at `$")
        where = path.rstrip("`").lstrip(".")
    for pattern, text in _TRANSLATIONS:
        found = pattern.search(message)
        if found:
            message = found.expand(text)
            break
    else:
        message = message[:1].lower() + message[1:].replace("`", "")
    return f"{where}: {message}" if where else message


Encoder = Callable[[object], bytes]
encode: Encoder = msgspec.json.Encoder().encode
