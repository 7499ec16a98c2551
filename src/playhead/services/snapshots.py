"""What a page shows, in one read transaction, so that its parts agree. Changes nothing."""

from collections.abc import Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from playhead.domain.catalogue import Item, Library
from playhead.domain.lists import NextKind
from playhead.domain.model import ItemId, ItemKind
from playhead.domain.playback import KeptPoint
from playhead.errors import not_found
from playhead.services.access import NOT_FOUND, Sight, Viewer, sight_of, visible_item
from playhead.services.browsing import Browsing, ItemWithState, RecentView
from playhead.services.catalogue import ItemDetail, detail_of, with_tracks
from playhead.services.lists import Lists, WatchedView
from playhead.services.marks import Marks, WatchState
from playhead.storage import accounts, catalogue
from playhead.storage.engine.database import Connection, Database


class Frame(NamedTuple):
    """What surrounds every page: the libraries in its navigation, and the user's preferences.

    `zone` is UTC until they choose one. `language` is a BCP 47 tag; None for that of the browser.
    """

    libraries: Sequence[Library]
    zone: ZoneInfo
    language: str | None


class HomeSnapshot(NamedTuple):
    """The home page: the cards of continue watching, each with its kind, and recent additions."""

    frame: Frame
    cards: Sequence[tuple[NextKind, ItemWithState]]
    recent: Sequence[RecentView]


class PlayerSnapshot(NamedTuple):
    """The player of an item. `show` and `following`, the episode to play next, are None for a movie."""

    frame: Frame
    detail: ItemDetail
    show: Item | None
    following: WatchedView | None
    state: WatchState
    points: Sequence[tuple[str, KeptPoint]]


class Snapshots:
    """The snapshots of pages that combine what several services know."""

    def __init__(self, database: Database, browsing: Browsing, lists: Lists, marks: Marks) -> None:
        self._database = database
        self._browsing = browsing
        self._lists = lists
        self._marks = marks

    async def frame(self, viewer: Viewer) -> Frame:
        """Return what surrounds a page whose content is loaded separately."""
        return await self._database.read(lambda connection: _frame(connection, sight_of(connection, viewer)))

    async def home(self, viewer: Viewer, cards: int) -> HomeSnapshot:
        """Return the home page with at most this many cards."""

        def load(connection: Connection) -> HomeSnapshot:
            sight = sight_of(connection, viewer)
            frame = _frame(connection, sight)
            found = self._lists.cards(connection, sight, cards)
            return HomeSnapshot(
                frame,
                [(card.kind, self._browsing.seen(card.watched)) for card in found],
                self._browsing.recent(connection, sight),
            )

        return await self._database.read(load)

    async def player(self, viewer: Viewer, kind: ItemKind, item_id: ItemId) -> PlayerSnapshot:
        """Return the player of a movie or an episode; `detail` may have no files. Raises NOT_FOUND, ACCESS_DENIED."""

        def load(connection: Connection) -> PlayerSnapshot:
            sight = sight_of(connection, viewer)
            view = visible_item(connection, sight, item_id, None)
            item = view.item
            if item.kind is not kind:
                raise not_found(NOT_FOUND[kind])
            frame = _frame(connection, sight)
            show = following = None
            if item.show_id is not None:
                show = catalogue.find_item(connection, item.show_id)
                following = self._lists.following(connection, sight, item.show_id, item.id)
            key = (viewer.user_id, item.id)
            state, points = self._marks.state_and_points(connection, key, kind)
            return PlayerSnapshot(frame, detail_of(connection, view), show, following, state, points)

        snapshot = await self._database.read(load)
        return snapshot._replace(detail=await with_tracks(snapshot.detail))


def _frame(connection: Connection, sight: Sight) -> Frame:
    zone, language = accounts.find_presentation(connection, sight.viewer.user_id)
    return Frame([*sight.libraries.values()], ZoneInfo(zone or "UTC"), language)
