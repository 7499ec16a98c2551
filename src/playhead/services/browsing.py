"""The catalogue pages: libraries, items, shows and seasons with a user's state of each. Changes nothing.

A page is one snapshot, with a number of statements that does not depend on its length.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

from playhead.domain.access import may_administer
from playhead.domain.catalogue import Item, Library, MediaFile
from playhead.domain.lists import (
    EpisodeCounts,
    ItemState,
    ListState,
    NextUp,
    WatchFilter,
    has_aired,
    in_order,
    is_in_progress,
    neighbours,
    next_up,
)
from playhead.domain.model import Instant, ItemId, ItemKind, LibraryId, LibraryKind, Milliseconds, moment_of
from playhead.domain.playback import ItemFacts, KeptPoint, Policy, Progress, completion_percentage, resume_position
from playhead.domain.searching import parse_search
from playhead.errors import not_found
from playhead.services.access import ItemView, Sight, Viewer, item_views, require_library, sight_of, visible_item
from playhead.services.catalogue import detail_of
from playhead.services.cursors import TimeCursor, decode_cursor, decode_item_cursor, encode_item_cursor
from playhead.services.lists import WatchedView
from playhead.services.marks import PlayPage, page_of_plays
from playhead.storage import browsing as storage
from playhead.storage import catalogue, lists, marks
from playhead.storage.browsing import Browsed
from playhead.storage.catalogue import ItemOrder, ListPosition
from playhead.storage.engine.database import Connection, Database
from playhead.storage.searching import Matches, find_matches, in_order_of_match

LIBRARY_PAGE_LENGTH = 60
"""Items per page of a library."""

FOUND_MAX = 48
"""The most movies, shows and episodes, each, that a search shows."""

RECENT_MAX = 18
"""The number of recently added items shown."""

PLAYS_SHOWN = 100
"""Plays per page of an item."""

_ADDED_TOGETHER_MS = 24 * 60 * 60 * 1000


class ItemWithState(NamedTuple):
    """A movie or an episode with the user's state. `show` is an episode's show.

    `is_begun`: it can be resumed at `resume_position_ms`.
    """

    view: ItemView
    show: Item | None
    progress: Progress | None
    resume_position_ms: Milliseconds
    is_begun: bool

    @property
    def item(self) -> Item:
        """The movie or episode."""
        return self.view.item

    @property
    def is_available(self) -> bool:
        """Whether a library that the user may see has it."""
        return self.view.available

    @property
    def has_files(self) -> bool:
        """Whether it can be played here."""
        return self.view.has_files

    @property
    def is_watched(self) -> bool:
        """Whether it is marked as watched."""
        return self.progress is not None and self.progress.watched

    @property
    def percent(self) -> float:
        """Return the percentage watched if it can be resumed, else 0."""
        if not self.is_begun or self.progress is None or self.progress.duration_ms is None:
            return 0
        return completion_percentage(self.progress.position_ms, self.progress.duration_ms)

    @property
    def left_ms(self) -> Milliseconds | None:
        """Return the remaining time, the whole length if it is not begun, or None if the length is unknown."""
        if self.is_begun and self.progress is not None and self.progress.duration_ms is not None:
            return Milliseconds(self.progress.duration_ms - self.progress.position_ms)
        return self.view.runtime_ms


class ShowWithState(NamedTuple):
    """A show, and how much of it the user has watched."""

    view: ItemView
    counts: EpisodeCounts

    @property
    def item(self) -> Item:
        """The show."""
        return self.view.item

    @property
    def has_files(self) -> bool:
        """Whether it has files here."""
        return self.view.has_files


class RecentView(NamedTuple):
    """A recent addition: a movie or a single episode to play, or a show with several new episodes."""

    added_at: Instant
    seen: ItemWithState | None
    show: ShowWithState | None
    new_episodes: int = 0


class LibraryPage(NamedTuple):
    """A page of a library: movies or shows. `next_cursor` gets the next page, None at the end."""

    library: Library
    movies: Sequence[ItemWithState]
    shows: Sequence[ShowWithState]
    next_cursor: str | None


class FoundPage(NamedTuple):
    """The first results of a search of each kind; `is_cut`: there are more."""

    movies: Sequence[ItemWithState]
    shows: Sequence[ShowWithState]
    episodes: Sequence[ItemWithState]
    is_cut: bool


class ItemPageView(NamedTuple):
    """The page of a movie or an episode. `files` are its versions, the preferred one first."""

    seen: ItemWithState
    files: Sequence[MediaFile]
    play_count: int
    plays: PlayPage
    points: Sequence[tuple[str, KeptPoint]]
    state: ListState
    previous: ItemId | None
    next: ItemId | None


class SeasonView(NamedTuple):
    """A season of a show; number 0 holds the specials."""

    number: int
    counts: EpisodeCounts
    begun: ItemWithState | None


class ShowPage(NamedTuple):
    """The page of a show: its seasons, its next episode, and its first one."""

    view: ItemView
    counts: EpisodeCounts
    seasons: Sequence[SeasonView]
    following: NextUp
    next_episode: ItemWithState | None
    first: ItemWithState | None
    state: ListState


class SeasonPage(NamedTuple):
    """The page of a season: its episodes in order. `numbers` are all seasons of the show."""

    show: Item
    number: int
    numbers: Sequence[int]
    episodes: Sequence[ItemWithState]
    counts: EpisodeCounts


class Browsing:
    """The catalogue as one user sees it. `clock` returns the time.

    Methods raise NOT_FOUND for what does not exist, and ACCESS_DENIED for what the viewer may not see.
    """

    def __init__(self, database: Database, *, clock: Callable[[], Instant], policy: Policy) -> None:
        self._database = database
        self._clock = clock
        self._policy = policy

    async def library(  # noqa: PLR0913 - the members of a search
        self,
        viewer: Viewer,
        library_id: LibraryId,
        *,
        watch_filter: WatchFilter = WatchFilter.ALL,
        query: str = "",
        sort: str = "title",
        cursor: str | None = None,
    ) -> LibraryPage:
        """Return a page of a library. Also raises INVALID (`sort`, `cursor`).

        `query`: see `parse_search`; exact matches come first. `sort` is one of `cursors.SORTS`.
        """
        place = decode_item_cursor(sort, cursor)
        today = _today(self._clock())

        def load(connection: Connection) -> LibraryPage:
            library = require_library(connection, viewer, library_id)
            sight = sight_of(connection, viewer)
            kind = ItemKind.MOVIE if library.kind is LibraryKind.MOVIES else ItemKind.SHOW
            matches = find_matches(connection, parse_search(query), [library_id], kind)
            rows = self._rows(
                connection, sight, library_id, kind, watch_filter, matches, sort, place, LIBRARY_PAGE_LENGTH + 1
            )
            shown = [browsed for browsed, _ in rows[:LIBRARY_PAGE_LENGTH]]
            goes_on = len(rows) > len(shown)
            movies = self._movies(connection, sight, shown) if kind is ItemKind.MOVIE else []
            shows = self._shows(connection, sight, shown, today) if kind is ItemKind.SHOW else []
            cursor = encode_item_cursor(sort, rows[LIBRARY_PAGE_LENGTH - 1][1]) if goes_on else None
            return LibraryPage(library, movies, shows, cursor)

        return await self._database.read(load)

    async def search(self, viewer: Viewer, query: str) -> FoundPage:
        """Return what a query finds, see `parse_search`, in all libraries that the viewer may see.

        What no library has now is found by those who have state on it.
        """
        today, search = _today(self._clock()), parse_search(query)
        if search is None:
            return FoundPage([], [], [], is_cut=False)

        def load(connection: Connection) -> FoundPage:
            sight = sight_of(connection, viewer)
            matches = find_matches(connection, search, sight.libraries.keys(), user_id=viewer.user_id)
            found = {
                kind: [
                    browsed
                    for browsed, _ in self._rows(
                        connection, sight, None, kind, WatchFilter.ALL, matches, "title", None, FOUND_MAX + 1
                    )
                ]
                for kind in ItemKind
            }
            episodes = found[ItemKind.EPISODE][:FOUND_MAX]
            return FoundPage(
                self._movies(connection, sight, found[ItemKind.MOVIE][:FOUND_MAX]),
                self._shows(connection, sight, found[ItemKind.SHOW][:FOUND_MAX], today),
                self._with_shows(connection, sight, episodes),
                is_cut=any(len(rows) > FOUND_MAX for rows in found.values()),
            )

        return await self._database.read(load)

    def recent(self, connection: Connection, sight: Sight) -> list[RecentView]:
        """Return recent additions to the libraries, newest first; a show once, with its new episodes."""
        today = _today(self._clock())
        user_id, libraries = sight.viewer.user_id, sight.libraries.keys()
        added = storage.list_added(connection, libraries, RECENT_MAX)
        cards = storage.list_items(connection, user_id, [each.id for each in added])
        at = {each.id: each.added_at for each in added if cards[each.id].item.kind is ItemKind.SHOW}
        new = storage.list_newest_episodes(connection, libraries, at, _ADDED_TOGETHER_MS)
        lone = [ids[0] for ids in new.values() if len(ids) == 1]
        episodes = storage.list_items(connection, user_id, lone)
        views = item_views(connection, sight, (each.item for each in (*cards.values(), *episodes.values())))
        shows = {
            each.item.id: each for each in self._shows(connection, sight, [cards[show_id] for show_id in at], today)
        }

        def seen(browsed: Browsed, show: Item | None = None) -> ItemWithState:
            return self._seen(views[browsed.item.id], browsed.progress, show)

        def recent_of(each: storage.Added) -> RecentView:
            card = cards[each.id]
            if each.id not in shows:
                return RecentView(each.added_at, seen(card), None)
            of_show = new.get(each.id, [])
            if len(of_show) == 1:
                return RecentView(each.added_at, seen(episodes[of_show[0]], card.item), shows[each.id], 1)
            return RecentView(each.added_at, None, shows[each.id], len(of_show))

        return [recent_of(each) for each in added]

    async def item(
        self, viewer: Viewer, kind: ItemKind, item_id: ItemId, plays_cursor: str | None = None
    ) -> ItemPageView:
        """Return the page of a movie or an episode, removed or not, with the plays after the cursor.

        Also raises INVALID for the cursor.
        """
        after = None if plays_cursor is None else decode_cursor(plays_cursor, TimeCursor)

        def load(connection: Connection) -> ItemPageView:
            sight = sight_of(connection, viewer)
            view = visible_item(connection, sight, item_id, kind)
            item, key = view.item, (viewer.user_id, view.item.id)
            show = previous = following = None
            if item.show_id is not None:
                show = catalogue.find_item(connection, item.show_id)
                of_show = lists.all_episodes(
                    connection, viewer.user_id, item.show_id, is_admin=may_administer(viewer.role)
                )
                previous, following = neighbours(of_show, item.id)
            known = storage.list_items(connection, viewer.user_id, [item.id])[item.id]
            return ItemPageView(
                self._seen(view, known.progress, show),
                detail_of(connection, view).files,
                marks.count_plays(connection, key).number,
                page_of_plays(connection, key, after, PLAYS_SHOWN),
                marks.list_points(connection, key),
                lists.find_state(connection, (viewer.user_id, item.show_id or item.id)),
                previous,
                following,
            )

        return await self._database.read(load)

    async def show(self, viewer: Viewer, show_id: ItemId) -> ShowPage:
        """Return the page of a show."""
        now = self._clock()

        def load(connection: Connection) -> ShowPage:
            sight = sight_of(connection, viewer)
            view = visible_item(connection, sight, show_id, ItemKind.SHOW)
            viewed, seen = self._episodes(connection, sight, view.item)
            following = next_up(viewed, self._policy, now)
            numbers = sorted({_season(each.item) for each in seen if each.is_available}, key=_specials_last)
            next_id = None if following.episode is None else following.episode.item_id
            return ShowPage(
                view,
                _count((each for each in seen if _season(each.item) != 0), now),
                [_season_of(number, seen, now) for number in numbers],
                following,
                next((each for each in seen if each.item.id == next_id), None),
                next((each for each in seen if each.is_available and _season(each.item) != 0), None),
                lists.find_state(connection, (viewer.user_id, view.item.id)),
            )

        return await self._database.read(load)

    async def season(self, viewer: Viewer, show_id: ItemId, number: int) -> SeasonPage:
        """Return the page of a season. Also raises NOT_FOUND for a season without episodes."""
        now = self._clock()

        def load(connection: Connection) -> SeasonPage:
            sight = sight_of(connection, viewer)
            view = visible_item(connection, sight, show_id, ItemKind.SHOW)
            _, seen = self._episodes(connection, sight, view.item)
            shown = [
                each
                for each in seen
                if _season(each.item) == number and (each.is_available or each.progress is not None)
            ]
            if not shown:
                raise not_found("Season not found")
            numbers = sorted({_season(each.item) for each in seen if each.is_available} | {number}, key=_specials_last)
            return SeasonPage(view.item, number, numbers, shown, _count(shown, now))

        return await self._database.read(load)

    def seen(self, watched: WatchedView) -> ItemWithState:
        """Return the items of a list as pages show them."""
        show = None if watched.show is None else watched.show.item
        return self._seen(watched.view, watched.progress, show)

    # Implementation

    def _rows(  # noqa: PLR0913 - the members of a search
        self,
        connection: Connection,
        sight: Sight,
        library_id: LibraryId | None,
        kind: ItemKind,
        watch_filter: WatchFilter,
        matches: Matches | None,
        sort: str,
        after: ListPosition | None,
        wanted: int,
    ) -> list[tuple[Browsed, ListPosition]]:
        """Return one page of rows, of one library or of everything. The rules decide which movies are in progress."""
        found: list[tuple[Browsed, ListPosition]] = []
        visible = sight.libraries.keys()
        load = partial(
            storage.list_filtered,
            connection,
            sight.viewer.user_id,
            visible if library_id is None else [library_id],
            visible=visible,
            with_mine=library_id is None,
            kind=kind,
            watch_filter=watch_filter,
            order=ItemOrder(sort.lstrip("-")),
            descending=sort.startswith("-"),
            today=_today(self._clock()),
        )
        while True:
            rows = in_order_of_match(matches, after, wanted, load)
            picks = watch_filter is WatchFilter.IN_PROGRESS and kind is not ItemKind.SHOW
            found += [row for row in rows if not picks or self._is_begun(row[0])]
            if len(rows) < wanted or len(found) >= wanted:
                return found[:wanted]
            after = rows[-1][1]

    def _is_begun(self, browsed: Browsed) -> bool:
        item, progress = browsed
        return progress is not None and is_in_progress(progress, _facts(item), self._policy)

    def _seen(self, view: ItemView, progress: Progress | None, show: Item | None = None) -> ItemWithState:
        if progress is None:
            return ItemWithState(view, show, None, Milliseconds(0), is_begun=False)
        facts = view.facts
        return ItemWithState(
            view,
            show,
            progress,
            resume_position(progress, facts, self._policy),
            is_in_progress(progress, facts, self._policy),
        )

    def _movies(self, connection: Connection, sight: Sight, movies: Sequence[Browsed]) -> list[ItemWithState]:
        views = item_views(connection, sight, (each.item for each in movies))
        return [self._seen(views[each.item.id], each.progress) for each in movies]

    def _shows(self, connection: Connection, sight: Sight, shows: Sequence[Browsed], today: str) -> list[ShowWithState]:
        ids = [each.item.id for each in shows]
        counts = storage.count_episodes(connection, sight.viewer.user_id, sight.libraries.keys(), ids, today)
        views = item_views(connection, sight, (each.item for each in shows))
        return [ShowWithState(views[show_id], counts.get(show_id, EpisodeCounts())) for show_id in ids]

    def _with_shows(self, connection: Connection, sight: Sight, episodes: Sequence[Browsed]) -> list[ItemWithState]:
        show_ids = {each.item.show_id for each in episodes if each.item.show_id is not None}
        shows = storage.list_items(connection, sight.viewer.user_id, show_ids)
        views = item_views(connection, sight, (each.item for each in episodes))
        return [
            self._seen(
                views[each.item.id],
                each.progress,
                None if each.item.show_id is None else shows[each.item.show_id].item,
            )
            for each in episodes
        ]

    def _episodes(
        self, connection: Connection, sight: Sight, show: Item
    ) -> tuple[list[ItemState], list[ItemWithState]]:
        """Return all episodes of a show in order: as input of the rules, and as views."""
        user_id, is_admin = sight.viewer.user_id, may_administer(sight.viewer.role)
        viewed = in_order(lists.all_episodes(connection, user_id, show.id, is_admin=is_admin))
        known = {each.item.id: each for each in storage.list_episodes(connection, user_id, show.id)}
        views = item_views(connection, sight, (each.item for each in known.values()))
        return viewed, [self._seen(views[each.item_id], known[each.item_id].progress, show) for each in viewed]


def _facts(item: Item) -> ItemFacts:
    return ItemFacts(item.runtime_ms, item.credits_ms)


def _season(item: Item) -> int:
    return 1 if item.season_number is None else item.season_number


def _specials_last(number: int) -> tuple[bool, int]:
    return number == 0, number


def _season_of(number: int, seen: Iterable[ItemWithState], now: Instant) -> SeasonView:
    mine = [each for each in seen if _season(each.item) == number]
    begun = max(
        (each for each in mine if each.is_begun and each.is_available),
        key=lambda each: 0 if each.progress is None else each.progress.last_watched_at or 0,
        default=None,
    )
    return SeasonView(number, _count(mine, now), begun)


def _count(seen: Iterable[ItemWithState], now: Instant) -> EpisodeCounts:
    there = [each for each in seen if each.is_available and has_aired(_date(each.item), now)]
    return EpisodeCounts(
        len(there),
        sum(each.is_watched for each in there),
        sum(each.is_watched or each.is_begun for each in there),
    )


def _date(item: Item) -> str | None:
    return None if item.air_date is None else item.air_date.isoformat()


def _today(now: Instant) -> str:
    return moment_of(now).date().isoformat()
