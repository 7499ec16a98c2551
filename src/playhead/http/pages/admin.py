"""Administration: overview, and now playing."""

from starlette.responses import Response

from playhead.http.pages.page import Pages, Visit
from playhead.services.accounts import Accounts
from playhead.services.catalogue import Catalogue
from playhead.services.lists import Lists

_PLAYING_SHOWN = 100


class AdminPages:
    """The first pages of administration."""

    def __init__(self, pages: Pages, accounts: Accounts, catalogue: Catalogue, lists: Lists) -> None:
        self._pages = pages
        self._accounts = accounts
        self._catalogue = catalogue
        self._lists = lists

    async def show(self, visit: Visit) -> Response:
        """Show the areas of administration, with counts."""
        return self._pages.render(
            visit,
            "admin.html",
            views=await self._catalogue.list_libraries(visit.viewer),
            users=await self._accounts.count_users(),
            playing=await self._lists.now_playing(visit.viewer, everybody=True),
        )

    async def show_playing(self, visit: Visit) -> Response:
        """Show what everybody is playing."""
        cursor = visit.call.request.query_params.get("cursor")
        playing, following = await self._lists.now_playing(
            visit.viewer, everybody=True, cursor=cursor, limit=_PLAYING_SHOWN
        )
        return self._pages.render(visit, "admin_playing.html", playing=playing, following=following)
