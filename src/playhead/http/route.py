"""A row of the route table, and how a matching request is answered."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar, cast
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from playhead.domain.access import may_administer, may_keep_account
from playhead.domain.accounts import Principal
from playhead.domain.model import ItemId, ItemKind, canonical_id
from playhead.domain.texts import shown
from playhead.domain.tokens import ScopeNeed, TokenScope, sufficient_scopes
from playhead.errors import (
    Code,
    PlayheadError,
    access_denied,
    insufficient_scope,
    invalid,
    not_authenticated,
    not_found,
    unavailable,
)
from playhead.http.auth import Authentication, header, identify
from playhead.http.bodies import (
    JSON_MAX_BYTES,
    JSON_MEDIA_TYPES,
    convert,
    decode,
    encode,
    read_body,
    require_media_type,
    whole_body,
)
from playhead.http.connection import connection_of
from playhead.http.errors import NO_SNIFFING, STATUS, is_last, send_internal_error, send_problem
from playhead.services.access import NOT_FOUND, Viewer

if TYPE_CHECKING:
    from playhead.http.metrics import RequestStats

T = TypeVar("T")
A = TypeVar("A")
IdT = TypeVar("IdT", bound=str)

log = logging.getLogger(__name__)

_QUERY_MEMBERS_MAX = 100
_SEASON_DIGITS_MAX = 6


class Access(Enum):
    """Who may call a route. ANYONE includes signed-in users; the services decide which items a MEMBER sees.

    A child may call the routes for a MEMBER that belong to watching, and no others.
    """

    ANYONE = "anyone"
    MEMBER = "member"
    ADMIN = "admin"


class Caching(Enum):
    """The Cache-Control of a successful response. Errors are not cached unless their endpoint says so."""

    NO_STORE = "no-store"
    NO_STORE_AS_IS = "no-store, no-transform"  # forbids proxies to compress it, and thus to buffer it
    REVALIDATE = "private, no-cache"  # a browser may cache it, but must revalidate whether it may still be seen
    AN_HOUR = "private, max-age=3600"


def require_id(text: str, id_type: Callable[[str], IdT], missing: str) -> IdT:
    """Return an id in its stored form. Raises NOT_FOUND, with the message `missing`, if it is not a UUID."""
    found = canonical_id(text)
    if found is None:
        raise not_found(missing)
    return id_type(found)


def require_item_id(text: str, kind: ItemKind) -> ItemId:
    """Return the id of an item. Raises NOT_FOUND, with the message for this kind, if it is not a UUID."""
    found = canonical_id(text)
    if found is None:
        raise not_found(NOT_FOUND[kind])
    return ItemId(found)


class Call:
    """One request, as an endpoint sees it."""

    __slots__ = ("_principal", "parameters", "receive", "scope")

    def __init__(
        self, scope: Scope, receive: Receive, parameters: Mapping[str, str], principal: Principal | None
    ) -> None:
        self.scope = scope
        self.receive = receive
        self.parameters = parameters
        self._principal = principal

    @property
    def user(self) -> Principal:
        """Return the principal. Raises NOT_AUTHENTICATED if there is none, on a route for ANYONE."""
        if self._principal is None:
            raise not_authenticated()
        return self._principal

    @property
    def known_user(self) -> Principal | None:
        """Return the principal, if there is one."""
        return self._principal

    @property
    def viewer(self) -> Viewer:
        """Return the viewer for the catalogue. Raises NOT_AUTHENTICATED like `user`."""
        user = self.user
        return Viewer(user.user_id, user.role)

    def path_id(self, id_type: Callable[[str], IdT], missing: str, parameter: str = "id") -> IdT:
        """Return the id in the path. Raises NOT_FOUND, with the message `missing`, if it is not a UUID."""
        return require_id(self.parameters[parameter], id_type, missing)

    def item_id(self, kind: ItemKind) -> ItemId:
        """Return the item id in the path. Raises NOT_FOUND, with the message for this kind, if it is not a UUID."""
        return require_item_id(self.parameters["id"], kind)

    @property
    def season_number(self) -> int | None:
        """Return the season in the path, or None. Raises NOT_FOUND if it is not a number."""
        text = self.parameters.get("season")
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= _SEASON_DIGITS_MAX):
            raise not_found("Season not found")
        return int(text)

    @property
    def request(self) -> Request:
        """Return Starlette's view of the request, for forms, cookies and addresses."""
        return Request(self.scope, self.receive)

    def header(self, name: bytes) -> str | None:
        """Return the first header of that name (lower case), or None."""
        return header(self.scope, name)

    async def json(self, kind: type[T]) -> T:
        """Return the checked body. Raises UNSUPPORTED_MEDIA_TYPE, TOO_LARGE, MALFORMED, INVALID.

        Browsers' `sendBeacon` sends strings as `text/plain`.
        """
        require_media_type(header(self.scope, b"content-type"), *JSON_MEDIA_TYPES)
        return decode(await read_body(self.scope, self.receive), kind)

    async def body(self, limit: int = JSON_MAX_BYTES) -> bytes:
        """Return the body of a request for JSON, possibly empty. Raises UNSUPPORTED_MEDIA_TYPE, TOO_LARGE."""
        require_media_type(header(self.scope, b"content-type"), *JSON_MEDIA_TYPES)
        return await read_body(self.scope, self.receive, limit)

    def query(self, kind: type[T]) -> T:
        """Return the checked members of the query string. Raises INVALID."""
        text = self.scope.get("query_string", b"").decode("latin-1")
        try:
            pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_QUERY_MEMBERS_MAX)
        except ValueError:
            raise invalid({"query": [f"must have at most {_QUERY_MEMBERS_MAX} members"]}) from None
        counts = Counter(name for name, _ in pairs)
        repeated = [name for name, count in counts.items() if count > 1]
        if repeated:
            raise invalid({name: ["must be given once"] for name in repeated})
        return convert(dict(pairs), kind)


Endpoint = Callable[[Call], Awaitable[object]]


class LastAnswer(bytes):
    """A complete response after which the connection closes."""

    __slots__ = ()


class Pending(NamedTuple, Generic[A]):
    """A response that waits for a future, and how it is made from the result. Both may fail with a coded error.

    If the future is cancelled there is no response.
    """

    future: asyncio.Future[Any]
    conclude: Callable[[asyncio.Future[Any]], A]


class HotEndpoint:
    """The endpoint of a hot row whose path ends in an id; the fast path calls `answer` without a `Call`.

    `answer` gets the principal, the id as in the path, and the decoded `body`, if the row takes one. It returns the
    answer, or a pending one, and must not block. Raises coded errors.
    """

    __slots__ = ("answer", "body")

    def __init__(self, answer: Callable[[Principal, str, Any], object], body: type[Any] | None = None) -> None:
        self.answer = answer
        self.body = body

    async def __call__(self, call: Call) -> object:
        """Answer a request of the application."""
        body = None if self.body is None else await call.json(self.body)
        answer = self.answer(call.user, call.parameters["id"], body)
        if not isinstance(answer, Pending):
            return answer
        pending = cast("Pending[object]", answer)
        await asyncio.wait([pending.future])
        return pending.conclude(pending.future)


ShowRefusal = Callable[[Call, PlayheadError], Awaitable[Response]]
"""Shows a person why a page is refused: the counterpart of problem documents for programs."""


@dataclass(frozen=True, slots=True)
class Route:
    """A row of the table: who may call a route, what it answers, and its part of the OpenAPI document.

    The endpoint returns what is encoded as JSON, None if `status` is 204, or a Starlette response. `request`, `query`
    and `answer` are msgspec types; `media_types` those of the body that it takes or, without `request`, returns.
    `body_required`: an empty body is not allowed. `more_statuses` are further successful ones, such as 206 and 304.
    `problems` are the error codes that it may return in addition to those of access and body. `need`: what the scope of
    a token must allow, by default reading for GET and everything for other methods; routes for ANYONE need nothing.
    `hot`: looked up before Starlette's routing. `bounded`: the number of concurrent requests is limited; not so if a
    response lasts by its nature, or must be sent under any load. `body_max_bytes`: up to here a body is read before the
    request counts as being answered; None if the endpoint reads it in chunks. `documented`: part of the OpenAPI
    document; pages are not. `watching`: belongs to watching, and so is open to a child. `caching`: who may cache the
    answer. `show_refusal`: how a page shows failures; everything else returns problem documents.
    """

    method: str
    path: str
    endpoint: Endpoint
    summary: str
    access: Access = Access.MEMBER
    request: Any = None
    query: Any = None
    answer: Any = None
    status: int = 200
    more_statuses: tuple[int, ...] = ()
    media_types: tuple[str, ...] = ()
    body_required: bool = True
    problems: tuple[Code, ...] = ()
    tag: str = ""
    hot: bool = False
    bounded: bool = True
    body_max_bytes: int | None = JSON_MAX_BYTES
    documented: bool = True
    watching: bool = False
    show_refusal: ShowRefusal | None = None
    need: ScopeNeed | None = None
    caching: Caching = Caching.NO_STORE

    @property
    def scopes(self) -> frozenset[TokenScope]:
        """Return the scopes with which a token may call the route."""
        if self.access is Access.ANYONE:
            return frozenset(TokenScope)
        scopes = sufficient_scopes(self.need or (ScopeNeed.READ if self.method == "GET" else ScopeNeed.ALL))
        return scopes | {TokenScope.WATCH} if self.watching else scopes


_ALL: Final = TokenScope.ALL  # on Python 3.11 reading a member through its Enum class takes 0.1 us


def require_scope(route: Route, principal: Principal) -> None:
    """Raise INSUFFICIENT_SCOPE if the token of a request may not call the route."""
    if principal.scope is not _ALL and principal.scope not in route.scopes:
        raise insufficient_scope(principal.scope)


def _require_role(route: Route, principal: Principal | None) -> None:
    """Raise ACCESS_DENIED if the principal may not call the route. Routes for ANYONE are open to all."""
    if principal is None or route.access is Access.ANYONE:
        return
    allowed = may_administer(principal.role) if route.access is Access.ADMIN else True
    if not allowed or not (route.watching or may_keep_account(principal.role)):
        raise access_denied()


_BARE_HEADERS = ((b"cache-control", b"no-store"), NO_SNIFFING)
JSON_HEADERS = ((b"content-type", b"application/json"), *_BARE_HEADERS)


async def _send_response(route: Route, response: Response, scope: Scope, receive: Receive, send: Send) -> int:
    """Send the answer of an endpoint, with the headers that the table specifies."""
    if response.status_code < HTTPStatus.BAD_REQUEST:
        response.headers["cache-control"] = route.caching.value
    else:
        response.headers.setdefault("cache-control", Caching.NO_STORE.value)
    response.headers["x-content-type-options"] = "nosniff"
    await response(scope, receive, send)
    return response.status_code


class Slots:
    """Limits concurrent requests. `stats` counts them, and the refused ones."""

    def __init__(self, most: int, stats: "RequestStats") -> None:
        self._most = most
        self._stats = stats

    def require(self) -> None:
        """Raise UNAVAILABLE if all slots are taken."""
        if self._stats.under_way >= self._most:
            self._stats.refused["requests"] += 1
            raise unavailable()

    def __enter__(self) -> None:
        self.require()
        self._stats.under_way += 1

    def __exit__(self, *_: object) -> None:
        self._stats.under_way -= 1


async def respond(  # noqa: PLR0913 - ASGI's three, and what they are answered by
    route: Route,
    parameters: Mapping[str, str],
    authentication: Authentication,
    scope: Scope,
    receive: Receive,
    send: Send,
    slots: Slots | None = None,
) -> int:
    """Answer one request: authenticate, authorise, call the endpoint; failures become problem documents or pages.

    One of `slots` is held while the response is made: not before the body is complete, and not while the client reads.
    Returns the status, or 0 if the client disconnected before there was one.
    """
    principal = None
    try:
        if slots is not None:
            slots.require()  # refusing should cost less than authenticating
        principal = await _admit(route, authentication, scope)
        if slots is None:
            result = await route.endpoint(Call(scope, receive, parameters, principal))
        else:
            if route.body_max_bytes is not None and route.method not in {"GET", "HEAD"}:
                receive = await whole_body(scope, receive, route.body_max_bytes)
            with slots:
                result = await route.endpoint(Call(scope, receive, parameters, principal))
        if isinstance(result, Response):
            return await _send_response(route, result, scope, receive, send)
        body = b"" if result is None else encode(result)
    except PlayheadError as error:
        return await _refuse(route, Call(scope, receive, parameters, principal), error, send)
    except ClientDisconnect:
        return 0
    except Exception:
        log.exception("Defect while answering %s %s", scope["method"], shown(scope["path"]))
        await send_internal_error(send)
        return 500
    headers = [*_BARE_HEADERS] if result is None else [*JSON_HEADERS, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": route.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
    return route.status


async def _admit(route: Route, authentication: Authentication, scope: Scope) -> Principal | None:
    principal = await identify(scope, authentication)
    if principal is None and route.access is not Access.ANYONE:
        raise not_authenticated()
    if principal is not None:
        require_scope(route, principal)
    _require_role(route, principal)
    return principal


async def _refuse(route: Route, call: Call, error: PlayheadError, send: Send) -> int:
    connection = connection_of(call.scope)
    if connection is not None and is_last(error):
        connection.end_after_answer()
    if route.show_refusal is not None:
        page = await route.show_refusal(call, error)
        return await _send_response(route, page, call.scope, call.receive, send)
    await send_problem(send, error)
    return STATUS[error.code]
