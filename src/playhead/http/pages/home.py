"""Home: what to go on with, what comes next, and what is new."""

from starlette.responses import Response

from playhead.http.pages.page import Pages, Visit
from playhead.services.lists import Lists


class HomePage:
    """The page that everybody begins with."""

    def __init__(self, pages: Pages, lists: Lists) -> None:
        self._pages = pages
        self._lists = lists

    async def show(self, visit: Visit) -> Response:
        """Show the cards of continue watching."""
        cards = await self._lists.continue_watching(visit.viewer)
        return self._pages.render(visit, "home.html", cards=cards)
