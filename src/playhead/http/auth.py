"""Who makes a request: a bearer token, a trusted proxy's word or the session cookie.

What a browser sends by itself, the latter two, must not change anything for another site.
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
    """How requests are authenticated: by tokens, and by the header of a trusted proxy where that is configured."""

    by_token: Authenticate
    by_proxy: IdentityHeader | None = None


async def identify(scope: Scope, authentication: Authentication) -> Principal | None:
    """Return who makes the request; None without a valid credential.

    A request that names a bearer token is judged by it alone. Else the word of a trusted proxy counts, and the session
    cookie where the proxy names nobody who has an account. A request that changes something by either must come from
    the same origin: raises ACCESS_DENIED. Raises MALFORMED for a repeated identity header.
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
    """Raise ACCESS_DENIED where a browser says that the request was begun by another site's page."""
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
