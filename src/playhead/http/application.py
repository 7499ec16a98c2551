"""The ASGI application over the route table: hot routes first, then Starlette's router."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Mount, Router
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from playhead.domain.texts import shown
from playhead.errors import Code, PlayheadError, not_found, unavailable
from playhead.http.auth import Authentication, header
from playhead.http.connection import connection_of
from playhead.http.cross_origin import CrossOrigin
from playhead.http.errors import NO_SNIFFING, STATUS, Headers, send_internal_error, send_problem
from playhead.http.fast_path import FastPath, KnownPrincipal
from playhead.http.metrics import NO_ROUTE, RequestStats
from playhead.http.route import Access, Call, HotEndpoint, Route, Slots, respond

log = logging.getLogger(__name__)


class Application:
    """Answers HTTP requests by the route table. Mounts under any path; has no lifespan of its own.

    `base_path` is the path at which a proxy serves it; under a mount the mount's path counts. `known_principal`
    resolves some credentials without waiting, for the fast path (`http/fast_path.py`). `traffic` counts responses. At
    most `most_under_way` requests of bounded routes are answered concurrently; further ones get 503 (backpressure).
    `cross_origin` says which other origins' pages may use the API.
    """

    def __init__(  # noqa: PLR0913 - what it joins
        self,
        table: Sequence[Route],
        static: ASGIApp,
        authentication: Authentication,
        traffic: RequestStats,
        *,
        known_principal: KnownPrincipal = lambda _token: None,
        base_path: str = "",
        cross_origin: CrossOrigin | None = None,
        most_under_way: int = 256,
    ) -> None:
        self.table = table
        self._cross_origin = cross_origin or None
        self.answer_fast = FastPath(
            table, known_principal, traffic, base_path=base_path, leaves_origins=self._cross_origin is not None
        )
        self._base_path = base_path
        self._authentication = authentication
        self._traffic = traffic
        self._answers = traffic.answers
        self._hot_routes = _HotRoutes(table)
        slots = Slots(most_under_way, traffic)
        paths: dict[str, dict[str, Route]] = {}
        for route in table:
            paths.setdefault(route.path, {})[route.method] = route
        routes: list[BaseRoute] = [
            StarletteRoute(path, _PathEndpoint(path, methods, authentication, traffic, slots))
            for path, methods in paths.items()
        ]
        home = paths.get("/", {}).get("GET")
        self._missing_page = None if home is None else replace(home, endpoint=_missing, access=Access.ANYONE)
        self._router = Router(
            [*routes, Mount("/static", _Static(static, traffic))], redirect_slashes=False, default=self._no_such_path
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._base_path and not scope.get("root_path"):
            scope = _below(self._base_path, scope)
        if self._cross_origin is not None:
            status = await self._cross_origin.answer_preflight(scope, send)
            if status is not None:
                self._answers[NO_ROUTE, NO_ROUTE, status] += 1
                return
            send = self._cross_origin.allowing(scope, send)
        found = self._hot_routes.match(scope)
        if found is not None:
            route, parameters = found
            status = await respond(route, parameters, self._authentication, scope, receive, send)
            self._answers[route.method, route.path, status] += 1
            return
        try:
            await self._router(scope, receive, send)
        except PlayheadError as error:
            await self._refuse(send, error)
        except HTTPException as error:  # of the static files
            code = next((code for code, status in STATUS.items() if status == error.status_code), Code.NOT_FOUND)
            await self._refuse(send, PlayheadError(code, error.detail))
        except Exception:
            log.exception("Defect while answering %s %s", scope["method"], shown(scope["path"]))
            self._answers[NO_ROUTE, NO_ROUTE, 500] += 1
            await send_internal_error(send)

    async def turn_away(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request on a connection over the limit, and close the connection.

        Only probes are answered: monitoring must not mistake a full server for a dead one.
        """
        connection = connection_of(scope)
        if connection is not None:
            connection.end_after_answer()
        if scope["path"].removeprefix(self._base_path) in _PROBES:
            await self(scope, receive, send)
            return
        self._traffic.refused["connections"] += 1
        if self._cross_origin is not None:
            send = self._cross_origin.allowing(scope, send)
        await self._refuse(send, unavailable())

    def count_refusal(self, status: int) -> None:
        """Count a request that was refused before it reached the application."""
        self._answers[NO_ROUTE, NO_ROUTE, status] += 1

    async def _no_such_path(self, scope: Scope, receive: Receive, send: Send) -> None:
        # People get a page, programs a problem document.
        is_person = scope["method"] in {"GET", "HEAD"} and "text/html" in (header(scope, b"accept") or "")
        of_programs = scope["path"].startswith(scope.get("root_path", "") + "/api/")
        if self._missing_page is None or not is_person or of_programs:
            raise not_found()
        status = await respond(self._missing_page, {}, self._authentication, scope, receive, send)
        self._answers[NO_ROUTE, NO_ROUTE, status] += 1

    async def _refuse(self, send: Send, error: PlayheadError, headers: Headers | None = None) -> None:
        self._answers[NO_ROUTE, NO_ROUTE, STATUS[error.code]] += 1
        await send_problem(send, error, headers)


_PROBES = frozenset({"/livez", "/readyz"})


class _HotRoutes:
    """Finds a hot route by dictionary look-up: its path is fixed, or ends in one parameter."""

    def __init__(self, table: Sequence[Route]) -> None:
        self._fixed: dict[tuple[str, str], Route] = {}
        self._ending: dict[tuple[str, str], Route] = {}
        for route in table:
            if route.hot:
                prefix, _, parameter = route.path.partition("{")
                if parameter not in {"", "id}"}:
                    raise ValueError(f"{route.path} cannot be hot: only a last part named id may vary")
                if isinstance(route.endpoint, HotEndpoint):
                    _require_fast(route, parameter)
                (self._ending if parameter else self._fixed)[route.method, prefix] = route

    def match(self, scope: Scope) -> tuple[Route, Mapping[str, str]] | None:
        path: str = scope["path"]
        root: str = scope.get("root_path", "")
        if root and path.startswith(root + "/"):  # mounted: the path begins with where
            path = path[len(root) :]
        method: str = scope["method"]
        cut = path.rfind("/") + 1
        route = self._ending.get((method, path[:cut]))
        if route is not None:
            return route, {"id": path[cut:]}
        route = self._fixed.get((method, path))
        return None if route is None else (route, {})


def _require_fast(route: Route, parameter: str) -> None:
    """Raise ValueError for a row that the fast path would answer differently from `respond`."""
    if not parameter or (route.access, route.status) != (Access.MEMBER, 200):
        raise ValueError(f"{route.method} {route.path} cannot have a HotEndpoint: only a member's hot item can")
    if not route.watching:
        raise ValueError(f"{route.method} {route.path} cannot have a HotEndpoint: it is closed to children")


class _PathEndpoint:
    """All methods of one path. HEAD is answered like GET; the server omits the body."""

    def __init__(
        self,
        path: str,
        methods: Mapping[str, Route],
        authentication: Authentication,
        traffic: RequestStats,
        slots: Slots,
    ) -> None:
        self._path = path
        self._methods = methods
        self._authentication = authentication
        self._traffic = traffic
        self._slots = slots

    @cached_property
    def _allowed(self) -> bytes:
        return ", ".join(sorted({*self._methods} | ({"HEAD"} if "GET" in self._methods else set()))).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        route = self._methods.get("GET" if method == "HEAD" and "HEAD" not in self._methods else method)
        if route is None:
            error = PlayheadError(Code.METHOD_NOT_ALLOWED, "Method not allowed")
            self._traffic.answers[NO_ROUTE, self._path, STATUS[error.code]] += 1
            await send_problem(send, error, [(b"allow", self._allowed)])
            return
        slots = self._slots if route.bounded else None
        status = await respond(route, scope["path_params"], self._authentication, scope, receive, send, slots)
        self._traffic.answers[route.method, route.path, status] += 1


class _Static:
    """The static files, counted as one route."""

    def __init__(self, files: ASGIApp, traffic: RequestStats) -> None:
        self._files = files
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def count(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._traffic.answers["GET", "/static", message["status"]] += 1
                # Their URLs have no version, so browsers revalidate each time; the answer is mostly 304.
                message["headers"] = [*message["headers"], (b"cache-control", b"no-cache"), NO_SNIFFING]
            await send(message)

        await self._files(scope, receive, count)


def _below(base_path: str, scope: Scope) -> Scope:
    """Return a request as if it came to a mount at this path: proxies forward it with or without the path."""
    path: str = scope["path"]
    if not path.startswith(base_path + "/") and path != base_path:
        path = base_path + path
    return {**scope, "root_path": base_path, "path": path}


async def _missing(call: Call) -> object:
    del call
    raise not_found()
