"""Home: items in progress, next up, and new additions."""

from starlette.responses import Response

from playhead.domain.lists import NextKind
from playhead.http.pages.page import Pages
from playhead.http.route import Call
from playhead.services.snapshots import Snapshots

_CARDS = 40
_CARDS_SHOWN = 12
"""Of each section; a page has limits."""


class HomePage:
    """The home page."""

    def __init__(self, pages: Pages, snapshots: Snapshots) -> None:
        self._pages = pages
        self._snapshots = snapshots

    async def show(self, call: Call) -> Response:
        """Show what is in progress, the shows whose next episode has not been started, and the newest additions."""
        home = await self._snapshots.home(call.viewer, _CARDS)
        return self._pages.render(
            await self._pages.visit_with(call, home.frame),
            "home.html",
            begun=[seen for kind, seen in home.cards if kind is NextKind.CONTINUE][:_CARDS_SHOWN],
            following=[(kind, seen) for kind, seen in home.cards if kind is not NextKind.CONTINUE][:_CARDS_SHOWN],
            recent=home.recent,
        )
