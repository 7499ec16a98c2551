"""Libraries and search: posters, filtered, sorted and paged."""

from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from playhead.domain.lists import WatchFilter
from playhead.domain.model import LibraryId
from playhead.domain.texts import WORD
from playhead.http.pages.page import Pages, Visit
from playhead.http.pages.translations import deferred, gettext
from playhead.services.browsing import Browsing

FILTERS: Final = {
    WatchFilter.ALL: deferred("All"),
    WatchFilter.UNWATCHED: deferred("Unwatched"),
    WatchFilter.IN_PROGRESS: deferred("In progress"),
    WatchFilter.WATCHED: deferred("Watched"),
}
ORDERS: Final = {
    "title": deferred("Title"),
    "-title": deferred("Title, Z to A"),
    "-year": deferred("Newest first"),
    "year": deferred("Oldest first"),
    "-added": deferred("Recently added first"),
    "added": deferred("Recently added last"),
}


class LibraryPages:
    """The endpoints of the content of libraries."""

    def __init__(self, pages: Pages, browsing: Browsing) -> None:
        self._pages = pages
        self._browsing = browsing

    async def show(self, visit: Visit) -> Response:
        """Show a page of a library, by filter, order and search."""
        library_id = visit.call.path_id(LibraryId, "Library not found")
        asked = visit.call.request.query_params
        watch_filter, sort, query = asked.get("show", ""), asked.get("sort", ""), _query(asked.get("find"))
        watch_filter = WatchFilter(watch_filter) if watch_filter in FILTERS else WatchFilter.ALL
        sort = sort if sort in ORDERS else "title"
        page = await self._browsing.library(
            visit.viewer, library_id, watch_filter=watch_filter, query=query, sort=sort, cursor=asked.get("cursor")
        )

        def link(**change: str) -> str:
            members = {"show": watch_filter.value, "sort": sort, "find": query} | change
            plain = {"show": WatchFilter.ALL.value, "sort": "title", "find": ""}
            text = urlencode({name: value for name, value in members.items() if value != plain.get(name)})
            return f"/libraries/{library_id}" + (f"?{text}" if text else "")

        return self._pages.render(
            visit,
            "library.html",
            page=page,
            watch_filter=watch_filter,
            sort=sort,
            find=query,
            filters={each: gettext(words) for each, words in FILTERS.items()},
            orders={order: gettext(words) for order, words in ORDERS.items()},
            link=link,
            is_first="cursor" not in asked,
        )

    async def search(self, visit: Visit) -> Response:
        """Show the items whose titles contain the words of a search."""
        query = _query(visit.call.request.query_params.get("query"))
        found = await self._browsing.search(visit.viewer, query)
        return self._pages.render(visit, "search.html", query=query, found=found)


def _query(text: str | None) -> str:
    """Return the text to search for, without characters that the store cannot take."""
    return "".join((text or "").replace("\0", " ").split("\ufffd"))[: WORD.characters].strip()
