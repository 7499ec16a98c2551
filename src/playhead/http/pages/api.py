"""The API for people: the OpenAPI document as a page."""

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


class APIPages:
    """Shows the document that `describe` returns, to anybody."""

    def __init__(self, pages: Pages, describe: Callable[[], dict[str, Any]]) -> None:
        self._pages = pages
        self._describe = describe

    async def show(self, call: Call) -> Response:
        """Show the operations."""
        operations: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
        for path, methods in self._describe()["paths"].items():
            for method, operation in methods.items():
                operations.setdefault(operation["tags"][0], []).append((method, path, operation))
        return await self._page(call, "docs.html", operations=operations)

    async def show_schemas(self, call: Call) -> Response:
        """Show the schemas of bodies and answers."""
        return await self._page(call, "docs_schemas.html", schemas=self._describe()["components"]["schemas"])

    async def _page(self, call: Call, template: str, **values: Any) -> Response:  # noqa: ANN401 - the template's
        if call.known_user is None:
            return self._pages.render_plain(call, template, limits=_LIMITS, **values)
        return self._pages.render(await self._pages.visit(call), template, limits=_LIMITS, **values)
