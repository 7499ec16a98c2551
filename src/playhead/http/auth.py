"""Authentication of requests: by bearer token, by a trusted proxy's header, or by the session cookie.

Browsers send the latter two on their own, so these must not change anything on behalf of another site.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.requests import cookie_parser
from starlette.types import Scope

from playhead.domain.accounts import Principal
from playhead.errors import access_denied
from playhead.http.proxies import IdentityHeader

SESSION_COOKIE = "playhead_session"

_SAFE_METHODS = frozenset({"GET", "HEAD"})

Authenticate = Callable[[str], Awaitable[Principal | None]]


def header(scope: Scope, name: bytes) -> str | None:
    """Return the first header of that name (lower case), or None."""
    for key, value in scope["headers"]:
        if key == name:
            return value.decode("latin-1")
    return None


class Authentication(NamedTuple):
    """Authentication by tokens and, if configured, by the header of a trusted proxy."""

    by_token: Authenticate
    by_proxy: IdentityHeader | None = None


async def identify(scope: Scope, authentication: Authentication) -> Principal | None:
    """Return the principal of a request; None without a valid credential.

    A bearer token, if present, decides alone. Otherwise a trusted proxy's header counts, or the session cookie if the
    proxy names nobody with an account. A request that changes something by either must come from the same origin:
    raises ACCESS_DENIED. Raises MALFORMED for a repeated identity header.
    """
    authorization = cookie = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            authorization = value
        elif name == b"cookie":
            cookie = value
    if authorization is not None:
        credential = bearer_credential(authorization)
        return None if credential is None else await authentication.by_token(credential)
    by_proxy = authentication.by_proxy
    principal = None if by_proxy is None else await by_proxy.identify(scope)
    if principal is None and cookie is not None:
        token = cookie_parser(cookie.decode("latin-1")).get(SESSION_COOKIE)
        principal = None if token is None else await authentication.by_token(token)
    if principal is not None and scope["method"] not in _SAFE_METHODS:
        require_same_origin(scope)
    return principal


def bearer_credential(authorization: bytes) -> str | None:
    """Return the token of an Authorization header; None for other schemes. Case does not matter (RFC 9110, 11.1)."""
    if authorization[:7].lower() != b"bearer ":
        return None
    return authorization[7:].strip().decode("latin-1")


def require_same_origin(scope: Scope) -> None:
    """Raise ACCESS_DENIED if the browser says that another site's page initiated the request."""
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    named = {name: value.decode("latin-1") for name, value in headers if name in _ORIGIN_HEADERS}
    site = named.get(b"sec-fetch-site")
    if site is not None:
        if site not in {"same-origin", "none"}:
            raise access_denied()
        return
    origin = named.get(b"origin")
    if origin is None or urlsplit(origin).netloc.lower() != named.get(b"host", "").lower():
        raise access_denied()


_ORIGIN_HEADERS = frozenset({b"sec-fetch-site", b"origin", b"host"})
