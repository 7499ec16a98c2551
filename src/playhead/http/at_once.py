"""Answers hot requests as soon as they are whole, without ASGI: no task, no scope, no messages."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple

from playhead.domain.accounts import Principal
from playhead.errors import PlayheadError
from playhead.http.auth import bearer_credential
from playhead.http.bodies import JSON_MAX_BYTES, JSON_MEDIA_TYPES, decode, encode, require_media_type, too_large
from playhead.http.errors import Headers, Pause, hold_back, internal_problem, problem
from playhead.http.metrics import RequestStats
from playhead.http.route import JSON_HEADERS, Access, Awaited, Route, require_scope

log = logging.getLogger(__name__)

Recall = Callable[[str], Principal | None]
"""Says whose token this is where that needs no look-up."""


class Later(NamedTuple):
    """An answer that has to be waited for: once the future is done, `conclude` makes it of the future and a `Pause`.

    Whoever has cancelled the future concludes nothing.
    """

    future: asyncio.Future[Any]
    conclude: Callable[[asyncio.Future[Any], Pause], bytes]


_OF_NOTHING: dict[bytes, Route] = {}


class AtOnce:
    """Answers the rows of the table that have an `at_once`, for who is known by a bearer token.

    Everything else, and what only the usual way can tell, is left to `respond`: who is not known yet, defects, a store
    that is busy. What is refused is refused here as there: credentials, bodies and errors are judged by one code.
    """

    def __init__(self, table: Sequence[Route], recall: Recall, traffic: RequestStats, *, base_path: str) -> None:
        self._recall = recall
        self._answers = traffic.answers
        self._routes: dict[bytes, dict[bytes, Route]] = {}
        for route in table:
            if route.at_once is None:
                continue
            if not (route.hot and route.path.endswith("/{id}")) or (route.access, route.status) != (Access.MEMBER, 200):
                raise ValueError(
                    f"{route.method} {route.path} cannot be answered at once: only a member's hot item can"
                )
            if not route.watching:
                raise ValueError(f"{route.method} {route.path} cannot be answered at once: it is closed to children")
            of_method = self._routes.setdefault(route.method.encode(), {})
            for base in {"", base_path}:  # a proxy may hand on its own path, or not
                of_method[(base + route.path.removesuffix("{id}")).encode()] = route

    def may(self, method: bytes, target: bytes) -> bool:
        """Say whether this may be a request to answer."""
        return target[: target.rfind(b"/") + 1] in self._routes.get(method, _OF_NOTHING)

    def __call__(
        self, method: bytes, target: bytes, headers: Headers, body: bytes, pause: Pause
    ) -> bytes | Later | None:
        """Return the whole answer to a request, or what it waits for, or None where it takes the usual way."""
        cut = target.rfind(b"/") + 1
        route, parameter = self._routes.get(method, _OF_NOTHING).get(target[:cut]), target[cut:]
        if route is None or route.at_once is None or not parameter.replace(b"-", b"").isalnum():
            return None  # another path, or one with a query or an escape
        principal, content_type = self._look_at(headers)
        if principal is None:
            return None
        try:
            require_scope(route, principal)
            request = None if route.request is None else _checked(route.request, content_type, body)
            found = route.at_once(principal, parameter.decode("ascii"), request)
            if isinstance(found, Awaited):
                return Later(found.future, partial(self._conclude, route, found.show))
            return self._succeed(route, found)
        except PlayheadError as error:
            return self._refuse(route, error, pause)
        except Exception:  # noqa: BLE001 - whatever it is, the usual way meets it again, and tells it
            return None

    def _look_at(self, headers: Headers) -> tuple[Principal | None, str | None]:
        """Return who asks, if that is known, and the type of the body, if it is told."""
        credential, content_type = b"", None
        for name, value in headers:
            if name == b"authorization":
                credential = value
            elif name == b"content-type" and content_type is None:
                content_type = value.decode("latin-1")
        token = bearer_credential(credential)
        return None if token is None else self._recall(token), content_type

    def _conclude(
        self, route: Route, show: Callable[[Any], object], future: asyncio.Future[Any], pause: Pause
    ) -> bytes:
        try:
            return self._succeed(route, show(future.result()))
        except PlayheadError as error:
            return self._refuse(route, error, pause)
        except Exception:
            log.exception("Defect while answering %s %s", route.method, route.path)
            return self._fail(route, internal_problem())

    def _succeed(self, route: Route, answer: object) -> bytes:
        body = encode(answer)
        self._answers[route.method, route.path, 200] += 1
        return b"%b%d\r\n\r\n%b" % (_SUCCESS, len(body), body)

    def _refuse(self, route: Route, error: PlayheadError, pause: Pause) -> bytes:
        hold_back(pause, error)
        return self._fail(route, problem(error))

    def _fail(self, route: Route, told: tuple[int, Headers, bytes]) -> bytes:
        status, headers, body = told
        self._answers[route.method, route.path, status] += 1
        return b"%b\r\n%b" % (_head(status, headers), body)


def _checked(kind: type[Any], content_type: str | None, body: bytes) -> object:
    require_media_type(content_type, *JSON_MEDIA_TYPES)
    if len(body) > JSON_MAX_BYTES:
        raise too_large()
    return decode(body, kind)


def _head(status: int, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    lines = [b"%b: %b\r\n" % header for header in headers]
    return b"HTTP/1.1 %d %b\r\n%b" % (status, HTTPStatus(status).phrase.encode(), b"".join(lines))


_SUCCESS = _head(200, JSON_HEADERS) + b"content-length: "
