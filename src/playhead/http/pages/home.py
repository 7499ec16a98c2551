"""Home: what to go on with, what comes next, and what is new."""

from starlette.responses import Response

from playhead.domain.lists import NextKind
from playhead.http.pages.page import Pages, Visit
from playhead.services.browsing import Browsing
from playhead.services.lists import Lists

_CARDS = 40
_CARDS_SHOWN = 12
"""Of each section; a page has its limits."""


class HomePage:
    """The page that everybody begins with."""

    def __init__(self, pages: Pages, lists: Lists, browsing: Browsing) -> None:
        self._pages = pages
        self._lists = lists
        self._browsing = browsing

    async def show(self, visit: Visit) -> Response:
        """Show what is in progress, the shows whose next episode is not begun, and what was added last."""
        cards = [
            (each.kind, self._browsing.seen(each.watched))
            for each in await self._lists.continue_watching(visit.viewer, _CARDS)
        ]
        return self._pages.render(
            visit,
            "home.html",
            begun=[seen for kind, seen in cards if kind is NextKind.CONTINUE][:_CARDS_SHOWN],
            following=[(kind, seen) for kind, seen in cards if kind is not NextKind.CONTINUE][:_CARDS_SHOWN],
            recent=await self._browsing.recent(visit.viewer),
        )
