"""The API for people: what the OpenAPI document says, as a page."""

from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from playhead.http.pages.page import Pages
from playhead.http.route import Call

_LIMITS = (
    ("minimum", "at least"),
    ("exclusiveMinimum", "over"),
    ("maximum", "at most"),
    ("minLength", "shortest"),
    ("maxLength", "longest"),
    ("maxItems", "at most"),
)


class APIPage:
    """Shows the document that `describe` gives."""

    def __init__(self, pages: Pages, describe: Callable[[], dict[str, Any]]) -> None:
        self._pages = pages
        self._describe = describe

    async def show(self, call: Call) -> Response:
        """Show the OpenAPI document to a person, signed in or not."""
        document = self._describe()
        operations: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                operations.setdefault(operation["tags"][0], []).append((method, path, operation))
        schemas = document["components"]["schemas"]
        values: dict[str, Any] = {"operations": operations, "schemas": schemas, "limits": _LIMITS}
        if call.known_user is None:
            return self._pages.render_plain(call, "docs.html", **values)
        return self._pages.render(await self._pages.visit(call), "docs.html", **values)
