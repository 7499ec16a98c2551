# pyright: reportUnknownMemberType=false
# apispec's methods take bare dictionaries, which strict checking calls unknown.
"""The OpenAPI 3.1 document, generated from the route table and msgspec's schemas by apispec."""

import inspect
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from apispec import APISpec

from playhead.domain.tokens import TokenScope
from playhead.errors import Code
from playhead.http.errors import STATUS, Problem
from playhead.http.route import Access, Route

_REFERENCE = "#/components/schemas/{name}"
_BODY_PROBLEMS = (Code.MALFORMED, Code.TOO_LARGE, Code.UNSUPPORTED_MEDIA_TYPE, Code.INVALID)


# The server's limits of a request target and of a head, for every route.
_REFUSED_BY_THE_SERVER = frozenset({414, 431})


def document(table: Sequence[Route], version: str) -> dict[str, Any]:
    """Build the document, as plain values ready for JSON."""
    routes = [route for route in table if route.documented]
    kinds = [Problem, *(kind for route in routes for kind in (route.request, route.query, route.answer) if kind)]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REFERENCE)
    schema_of = {repr(kind): schema for kind, schema in zip(kinds, schemas, strict=True)}
    spec = APISpec(
        title="Playhead",
        version=version,
        openapi_version="3.1.0",
        info={"description": "Save a playing position on one device, resume on any other."},
    )
    queries = {kind.__name__ for route in routes for kind in (route.query,) if kind}
    for name, schema in components.items():
        if name not in queries:
            spec.components.schema(name, schema)
    spec.components.security_scheme("token", {"type": "http", "scheme": "bearer"})
    spec.components.security_scheme("session", {"type": "apiKey", "in": "cookie", "name": "playhead_session"})
    for route in routes:
        spec.path(
            path=route.path.replace(":path}", "}"),
            operations={route.method.lower(): _operation(route, schema_of, components)},
        )
    return spec.to_dict()


def _operation(route: Route, schema_of: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": _operation_id(route),
        "tags": [route.tag],
        "parameters": [*_path_parameters(route), *_query_parameters(route, components)],
        "responses": _responses(route, schema_of),
    }
    description = inspect.getdoc(route.endpoint)
    if description:
        operation["description"] = description
    if route.access is not Access.ANYONE:
        operation["security"] = _credentials(route)
    if route.request is not None:
        media_types = route.media_types or ("application/json",)
        content = {media_type: {"schema": schema_of[repr(route.request)]} for media_type in media_types}
        operation["requestBody"] = {"required": route.body_required, "content": content}
    return operation


def _credentials(route: Route) -> list[dict[str, list[str]]]:
    """Return the security requirements of a route: a token with any sufficient scope, or a session."""
    return [*({"token": [scope.value]} for scope in TokenScope if scope in route.scopes), {"session": []}]


def _operation_id(route: Route) -> str:
    words = re.findall(r"[a-z0-9]+", route.path.removeprefix("/api/v1").lower())
    return "_".join([route.method.lower(), *words])


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    names = re.findall(r"{(\w+)", route.path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(route: Route, components: dict[str, Any]) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    schema = components[route.query.__name__]
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": member}
        for name, member in schema["properties"].items()
    ]


def _responses(route: Route, schema_of: dict[str, Any]) -> dict[str, Any]:
    success: dict[str, Any] = {"description": HTTPStatus(route.status).phrase}
    if route.answer is not None:
        media_types = ("application/json",) if route.request or not route.media_types else route.media_types
        success["content"] = {media_type: {"schema": schema_of[repr(route.answer)]} for media_type in media_types}
    elif route.media_types and route.request is None:
        success["content"] = {media_type: {} for media_type in route.media_types}
    responses: dict[str, Any] = {str(route.status): success}
    for status in route.more_statuses:
        bodiless = status == HTTPStatus.NOT_MODIFIED
        responses[str(status)] = ({} if bodiless else success) | {"description": HTTPStatus(status).phrase}
    for status in sorted({STATUS[code] for code in problem_codes(route)} | _REFUSED_BY_THE_SERVER):
        responses[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {"application/problem+json": {"schema": schema_of[repr(Problem)]}},
        }
    return responses


def problem_codes(route: Route) -> set[Code]:
    """Return every error code of a route, including those of access and body."""
    codes = {*route.problems}
    if route.access is not Access.ANYONE:
        codes |= {Code.NOT_AUTHENTICATED, Code.INSUFFICIENT_SCOPE, Code.UNAVAILABLE}
    if route.access is Access.ADMIN or (route.access is Access.MEMBER and not route.watching):
        codes.add(Code.ACCESS_DENIED)
    if route.access is not Access.ANYONE and route.method not in {"GET", "HEAD"}:
        codes.add(Code.ACCESS_DENIED)  # a cookie-authenticated change from another site
    if route.request is not None:
        codes |= {*_BODY_PROBLEMS}
    if route.query is not None:
        codes.add(Code.INVALID)
    return codes
