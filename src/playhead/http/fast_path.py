"""The fast path: answers hot requests as soon as they are complete, without ASGI: no task, scope or messages."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, Protocol, cast

from playhead.domain.accounts import Principal
from playhead.errors import PlayheadError
from playhead.http.auth import bearer_credential
from playhead.http.bodies import JSON_MAX_BYTES, JSON_MEDIA_TYPES, decode, encode, require_media_type, too_large
from playhead.http.errors import Headers, internal_problem, is_last, problem
from playhead.http.metrics import RequestStats
from playhead.http.route import JSON_HEADERS, HotEndpoint, LastAnswer, Pending, Route, require_scope

log = logging.getLogger(__name__)

KnownPrincipal = Callable[[str], Principal | None]
"""Returns the principal of a token if that needs no look-up."""


class WholeRequest(Protocol):
    """A complete request. `named` has the values of some of its headers, by lower-case name."""

    @property
    def method(self) -> bytes:
        """As in the request line."""
        ...

    @property
    def target(self) -> bytes:
        """As in the request line."""
        ...

    @property
    def named(self) -> Mapping[bytes, bytes]:
        """At least `authorization`, `content-type` and `origin`, if present."""
        ...

    @property
    def body(self) -> bytes | None:
        """None if there is no body."""
        ...


class FastPath:
    """Answers the rows of the table that have a `HotEndpoint`, for clients with a cached bearer token.

    Everything else is left to `respond`, including unknown tokens and defects. Endpoints, bodies and errors are shared
    with it, so refusals have the same bytes. With `leaves_origins` so are requests that a browser sent from a page of
    some origin: the application decides whether the page may read the answer.
    """

    def __init__(
        self,
        table: Sequence[Route],
        known_principal: KnownPrincipal,
        stats: RequestStats,
        *,
        base_path: str,
        leaves_origins: bool,
    ) -> None:
        self._leaves_origins = leaves_origins
        self._known_principal = known_principal
        self._answers = stats.answers
        self._rows: dict[tuple[bytes, bytes], tuple[Route, HotEndpoint]] = {}
        for route in table:
            if isinstance(route.endpoint, HotEndpoint):
                for base in {"", base_path}:  # a proxy may or may not strip its own path
                    prefix = (base + route.path.removesuffix("{id}")).encode()
                    self._rows[route.method.encode(), prefix] = (route, route.endpoint)

    def __call__(self, request: WholeRequest) -> bytes | Pending[bytes] | None:
        """Return the complete response, or the pending one, or None if the application has to answer."""
        target = request.target
        cut = target.rfind(b"/") + 1
        row = self._rows.get((request.method, target[:cut]))
        parameter = target[cut:]
        if row is None or not parameter.replace(b"-", b"").isalnum():
            return None  # another path, or one with a query or an escape
        if self._leaves_origins and b"origin" in request.named:
            return None
        token = bearer_credential(request.named.get(b"authorization", b""))
        principal = None if token is None else self._known_principal(token)
        if principal is None:
            return None
        route, endpoint = row
        try:
            return self._answer(route, endpoint, principal, parameter.decode("ascii"), request)
        except PlayheadError as error:
            return self._refuse(route, error)
        except Exception:  # noqa: BLE001 - whatever it is, the application encounters it again, and logs it
            return None

    def _answer(
        self, route: Route, endpoint: HotEndpoint, principal: Principal, parameter: str, request: WholeRequest
    ) -> bytes | Pending[bytes]:
        require_scope(route, principal)
        body = None
        if endpoint.body is not None:
            body = _checked(endpoint.body, request.named.get(b"content-type"), request.body)
        answer = endpoint.answer(principal, parameter, body)
        if not isinstance(answer, Pending):
            return self._succeed(route, answer)
        pending = cast("Pending[object]", answer)
        return Pending(pending.future, partial(self._conclude, route, pending.conclude))

    def _conclude(
        self, route: Route, conclude: Callable[[asyncio.Future[Any]], object], future: asyncio.Future[Any]
    ) -> bytes:
        try:
            return self._succeed(route, conclude(future))
        except PlayheadError as error:
            return self._refuse(route, error)
        except Exception:
            log.exception("Defect while answering %s %s", route.method, route.path)
            return self._fail(route, *internal_problem())

    def _succeed(self, route: Route, answer: object) -> bytes:
        body = encode(answer)
        self._answers[route.method, route.path, 200] += 1
        return b"%b%d\r\n\r\n%b" % (_SUCCESS, len(body), body)

    def _refuse(self, route: Route, error: PlayheadError) -> bytes:
        answer = self._fail(route, *problem(error))
        return LastAnswer(answer) if is_last(error) else answer

    def _fail(self, route: Route, status: int, headers: Headers, body: bytes) -> bytes:
        self._answers[route.method, route.path, status] += 1
        return b"%b\r\n%b" % (_head(status, headers), body)


def _checked(kind: type[Any], content_type: bytes | None, body: bytes | None) -> object:
    require_media_type(None if content_type is None else content_type.decode("latin-1"), *JSON_MEDIA_TYPES)
    if body is None or len(body) > JSON_MAX_BYTES:
        raise too_large()
    return decode(body, kind)


def _head(status: int, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    lines = [b"%b: %b\r\n" % header for header in headers]
    return b"HTTP/1.1 %d %b\r\n%b" % (status, HTTPStatus(status).phrase.encode(), b"".join(lines))


_SUCCESS = _head(200, JSON_HEADERS) + b"content-length: "
