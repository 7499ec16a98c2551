"""Cross-origin requests of browsers (WHATWG Fetch standard, CORS protocol): which origins' pages may use the API.

Credentials that a browser adds by itself, cookies above all, are never allowed: such a page presents a token.
"""

from collections.abc import Collection
from typing import Final

from starlette.types import Message, Scope, Send

from playhead.http.auth import header
from playhead.http.errors import Headers

_API: Final = "/api/v1/"
_ANY: Final = "*"

# What browsers do not allow by themselves: the token, the media types of bodies, ranges and preconditions of streams,
# and the last event seen.
_REQUEST_HEADERS: Final = (
    b"authorization, content-type, range, if-match, if-none-match, if-modified-since, if-unmodified-since, if-range, "
    b"last-event-id"
)
_RESPONSE_HEADERS: Final = b"accept-ranges, content-length, content-range, etag, retry-after, www-authenticate"
_METHODS: Final = b"GET, HEAD, POST, PUT, PATCH, DELETE"
_MAX_AGE_S: Final = b"7200"  # Chromium remembers a preflight no longer


class CrossOrigin:
    """The origins whose pages may use the API, as browsers name them; `*` stands for all of them."""

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origins)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._origins)

    async def answer_preflight(self, scope: Scope, send: Send) -> int | None:
        """Answer what a browser asks before a request of another origin's page: without a credential, for any path.

        Returns the status, or None if this is no such question, or of an origin that is not allowed.
        """
        if scope["method"] != "OPTIONS" or header(scope, b"access-control-request-method") is None:
            return None
        allowed = self._headers(scope)
        if not allowed:
            return None
        headers = [
            *allowed,
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _REQUEST_HEADERS),
            (b"access-control-max-age", _MAX_AGE_S),
        ]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
        return 204

    def allowing(self, scope: Scope, send: Send) -> Send:
        """Return a `send` that lets the page of an allowed origin read the response."""
        allowed = self._headers(scope)
        if not allowed:
            return send
        allowed.append((b"access-control-expose-headers", _RESPONSE_HEADERS))

        async def send_allowing(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *allowed]
            await send(message)

        return send_allowing

    def _headers(self, scope: Scope) -> Headers:
        origin = header(scope, b"origin")
        if origin is None or not scope["path"].removeprefix(scope.get("root_path", "")).startswith(_API):
            return []
        if _ANY in self._origins:
            return [(b"access-control-allow-origin", b"*")]
        if origin not in self._origins:
            return []
        return [(b"access-control-allow-origin", origin.encode("latin-1")), (b"vary", b"origin")]
