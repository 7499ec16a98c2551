"""The ASGI application over the route table: hot routes first, Starlette's router for the rest."""

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property

from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Mount, Router
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from playhead.errors import Code, PlayheadError, not_found
from playhead.http.auth import Authenticate
from playhead.http.errors import STATUS, send_internal_error, send_problem
from playhead.http.route import Route, respond

log = logging.getLogger(__name__)


class Application:
    """Answers HTTP requests by the table. Mounts under any path; has no start and no end of its own."""

    def __init__(self, table: Sequence[Route], static: ASGIApp, authenticate: Authenticate) -> None:
        self.table = table
        self._authenticate = authenticate
        self._lane = _Lane(table)
        paths: dict[str, dict[str, Route]] = {}
        for route in table:
            paths.setdefault(route.path, {})[route.method] = route
        routes: list[BaseRoute] = [
            StarletteRoute(path, _PathEndpoint(methods, authenticate)) for path, methods in paths.items()
        ]
        self._router = Router([*routes, Mount("/static", static)], redirect_slashes=False, default=_no_such_path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        found = self._lane.match(scope)
        if found is not None:
            route, parameters = found
            await respond(route, parameters, self._authenticate, scope, receive, send)
            return
        try:
            await self._router(scope, receive, send)
        except PlayheadError as error:
            await send_problem(send, error)
        except HTTPException as error:  # of the static files
            code = next((code for code, status in STATUS.items() if status == error.status_code), Code.NOT_FOUND)
            await send_problem(send, PlayheadError(code, error.detail))
        except Exception:
            log.exception("Defect while answering %s %s", scope["method"], scope["path"])
            await send_internal_error(send)


class _Lane:
    """Finds a hot route by dictionary: its path is fixed, or ends in one parameter. Everything else is shared."""

    def __init__(self, table: Sequence[Route]) -> None:
        self._fixed: dict[tuple[str, str], Route] = {}
        self._ending: dict[tuple[str, str], Route] = {}
        for route in table:
            if route.hot:
                prefix, _, parameter = route.path.partition("{")
                if parameter not in {"", "id}"}:
                    raise ValueError(f"{route.path} cannot be hot: only a last part named id may vary")
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


class _PathEndpoint:
    """All methods of one path. HEAD is GET without a body, which the server leaves out."""

    def __init__(self, methods: Mapping[str, Route], authenticate: Authenticate) -> None:
        self._methods = methods
        self._authenticate = authenticate

    @cached_property
    def _allowed(self) -> bytes:
        return ", ".join(sorted({*self._methods} | ({"HEAD"} if "GET" in self._methods else set()))).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        route = self._methods.get("GET" if method == "HEAD" and "HEAD" not in self._methods else method)
        if route is None:
            error = PlayheadError(Code.METHOD_NOT_ALLOWED, "Method not allowed")
            await send_problem(send, error, [(b"allow", self._allowed)])
            return
        await respond(route, scope["path_params"], self._authenticate, scope, receive, send)


async def _no_such_path(scope: Scope, receive: Receive, send: Send) -> None:
    del scope, receive
    await send_problem(send, not_found())
