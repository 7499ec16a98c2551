"""Movies, episodes, shows and seasons: their facts, the user's state, and the actions on them."""

from starlette.responses import Response

from playhead.domain.model import ItemKind
from playhead.http.pages.page import Pages, Visit
from playhead.services.browsing import Browsing


class ItemPages:
    """The endpoints of single items."""

    def __init__(self, pages: Pages, browsing: Browsing) -> None:
        self._pages = pages
        self._browsing = browsing

    async def show_movie(self, visit: Visit) -> Response:
        """Show a movie."""
        return await self._item(visit, ItemKind.MOVIE)

    async def show_episode(self, visit: Visit) -> Response:
        """Show an episode."""
        return await self._item(visit, ItemKind.EPISODE)

    async def _item(self, visit: Visit, kind: ItemKind) -> Response:
        cursor = visit.call.request.query_params.get("plays")
        page = await self._browsing.item(visit.viewer, kind, visit.call.item_id(kind), cursor)
        return self._pages.render(visit, "item.html", page=page)

    async def show_show(self, visit: Visit) -> Response:
        """Show a show with its seasons, and what to play next."""
        page = await self._browsing.show(visit.viewer, visit.call.item_id(ItemKind.SHOW))
        return self._pages.render(visit, "show.html", page=page)

    async def show_season(self, visit: Visit) -> Response:
        """Show a season with its episodes."""
        number = visit.call.season_number or 0
        page = await self._browsing.season(visit.viewer, visit.call.item_id(ItemKind.SHOW), number)
        return self._pages.render(visit, "season.html", page=page)
