"""A user's lists: continue watching, next up, history, now playing; and the user's decisions about cards."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from playhead.domain.access import may_administer
from playhead.domain.events import Change, Publish, Topic
from playhead.domain.file_facts import facts_for
from playhead.domain.limits import DECISIONS_OF_USER
from playhead.domain.lists import (
    Card,
    CardCandidate,
    ItemState,
    ListState,
    NextKind,
    NextUp,
    continue_watching,
    find_candidates,
    following,
    next_up,
)
from playhead.domain.model import LATEST, Instant, ItemId, ItemKind, Milliseconds, UserId
from playhead.domain.playback import Policy, Progress, resume_position
from playhead.errors import access_denied, invalid
from playhead.services.access import ItemView, Sight, Viewer, item_views, require_item, sight_of
from playhead.services.catalogue import LIMIT_MAX, library_named
from playhead.services.cursors import UNDATED, PlayingCursor, TimeCursor, decode_cursor, encode_cursor
from playhead.services.periods import Moment, require_period, zone_of
from playhead.storage import lists as storage
from playhead.storage import merging, playback
from playhead.storage.engine.database import Connection, Database
from playhead.storage.lists import PlayedRow, PlayFilter, WatchedRow
from playhead.storage.playback import Key

# How far back to look first: most users have been active with more than a page of cards since.
_LATELY_MS = 14 * 24 * 60 * 60 * 1000


T = TypeVar("T")


class WatchedView(NamedTuple):
    """An item, a user's progress, and the resume position. `show` is an episode's show."""

    view: ItemView
    show: ItemView | None
    progress: Progress | None
    resume_position_ms: Milliseconds


class CardView(NamedTuple):
    """A card of continue watching: what to play, why, and its latest activity."""

    watched: WatchedView
    kind: NextKind
    active_at: Instant


class PlayedView(NamedTuple):
    """A play of the history, with its item."""

    play: PlayedRow
    view: ItemView
    show: ItemView | None


class HistoryFilter(NamedTuple):
    """Which plays of the history to list, and in what order; None does not restrict them.

    `item_id` is a movie, an episode, or a show, which means its episodes. `library` is a name or an id. `first` and
    `last` are days of the user's time zone, both included, or times.
    """

    item_id: ItemId | None = None
    show_id: ItemId | None = None
    kind: ItemKind | None = None
    library: str | None = None
    first: Moment | None = None
    last: Moment | None = None
    oldest_first: bool = False


class PlayingView(NamedTuple):
    """An item that is playing now. `user` is the name of the user, set if all users were requested."""

    watched: WatchedView
    progress: Progress
    user: str | None


class ChangedView(NamedTuple):
    """A user's state of one item, without the item."""

    item_id: ItemId
    kind: ItemKind
    progress: Progress
    resume_position_ms: Milliseconds


class ChangedPage(NamedTuple):
    """A page of changed state; `merged` are the ids that have become aliases of its items since, by the old id."""

    items: list[ChangedView]
    next_cursor: str | None
    merged: Mapping[ItemId, ItemId]


class Page(NamedTuple, Generic[T]):
    """A page of a list; `next_cursor` gets the next one, None at the end."""

    items: list[T]
    next_cursor: str | None


class Lists:
    """The lists of users. `clock` returns the time; `publish` publishes changes."""

    def __init__(self, database: Database, *, clock: Callable[[], Instant], policy: Policy, publish: Publish) -> None:
        self._database = database
        self._clock = clock
        self._policy = policy
        self._publish = publish

    # Reading

    async def continue_watching(self, viewer: Viewer, limit: int | None = None) -> list[CardView]:
        """Return the cards of continue watching, newest activity first, at most `limit` (default: the policy's)."""
        wanted = self._policy.cards if limit is None else limit
        return await self._database.read(
            lambda connection: self.cards(connection, sight_of(connection, viewer), wanted)
        )

    def cards(self, connection: Connection, sight: Sight, wanted: int) -> list[CardView]:
        """Return the cards of `continue_watching`."""
        cards = self._cards(connection, sight.viewer, self._clock(), wanted)
        watched = self._watched(connection, sight, [card.row for card in cards])
        return [CardView(watched[card.row.item_id], card.kind, card.active_at) for card in cards]

    def _cards(self, connection: Connection, viewer: Viewer, now: Instant, wanted: int) -> list[Card]:
        """Look at recent activity first, and at all of it only if that yields too few cards."""
        is_admin = may_administer(viewer.role)
        states = storage.list_states(connection, viewer.user_id)
        earliest = Instant(now - self._policy.activity_ms)
        lately = Instant(max(earliest, now - _LATELY_MS))
        seen: set[ItemId] = set()
        cards: list[Card] = []
        for since, before in ((lately, LATEST), (earliest, lately)):
            rows = storage.recent(connection, viewer.user_id, is_admin=is_admin, since=since, before=before)
            found = [each for each in find_candidates(rows, states, self._policy, now) if each.id not in seen]
            seen.update(row.show_id or row.item_id for row in rows)
            for start in range(0, len(found), max(1, wanted)):
                if len(cards) >= wanted:
                    return cards
                cards += self._cards_of(connection, viewer, found[start : start + wanted], now, wanted - len(cards))
        return cards

    def _cards_of(
        self, connection: Connection, viewer: Viewer, candidates: Sequence[CardCandidate], now: Instant, wanted: int
    ) -> list[Card]:
        shows = [each.id for each in candidates if not each.is_settled]
        episodes = storage.episodes(connection, viewer.user_id, shows, is_admin=may_administer(viewer.role))
        return continue_watching(candidates, episodes, self._policy, now, wanted)

    async def next_up(self, viewer: Viewer, show_id: ItemId) -> tuple[NextUp, WatchedView | None]:
        """Return the next episode of a show. Raises NOT_FOUND, ACCESS_DENIED."""
        now = self._clock()

        def load(connection: Connection) -> tuple[NextUp, WatchedView | None]:
            meant = _require(connection, viewer.user_id, show_id, ItemKind.SHOW)
            found = storage.episodes(connection, viewer.user_id, [meant], is_admin=may_administer(viewer.role))
            following_up = next_up(found[meant], self._policy, now)
            return following_up, self._watched_episode(connection, sight_of(connection, viewer), following_up.episode)

        return await self._database.read(load)

    def following(
        self, connection: Connection, sight: Sight, show_id: ItemId, episode_id: ItemId
    ) -> WatchedView | None:
        """Return the episode to play after this one of a show that the viewer may see."""
        viewer = sight.viewer
        rows = storage.all_episodes(connection, viewer.user_id, show_id, is_admin=may_administer(viewer.role))
        row = following(rows, episode_id, self._policy, self._clock())
        return self._watched_episode(connection, sight, row)

    def _watched_episode(self, connection: Connection, sight: Sight, row: ItemState | None) -> WatchedView | None:
        if row is None:
            return None
        return self._watched(connection, sight, [row])[row.item_id]

    async def history(
        self, viewer: Viewer, cursor: str | None, limit: int, wanted: HistoryFilter | None = None
    ) -> Page[PlayedView]:
        """Return plays, newest first unless `wanted` reverses it; undated ones count as the oldest.

        Raises INVALID for the cursor and the period; NOT_FOUND, ACCESS_DENIED for the item, the show and the library.
        """
        after = None if cursor is None else decode_cursor(cursor, TimeCursor)
        query = wanted or HistoryFilter()

        def load(connection: Connection) -> Page[PlayedView]:
            plays = storage.list_history(
                connection,
                viewer.user_id,
                is_admin=may_administer(viewer.role),
                wanted=_play_filter(connection, viewer, query),
                oldest_first=query.oldest_first,
                after=after,
                limit=limit + 1,
            )
            shown = plays[:limit]
            sight = sight_of(connection, viewer)
            views = _views(connection, sight, [(each.item_id, each.show_id) for each in shown])
            last = shown[-1] if len(plays) > limit else None
            return Page(
                [PlayedView(each, *views[each.item_id]) for each in shown],
                None
                if last is None
                else encode_cursor(TimeCursor(UNDATED if last.watched_at is None else last.watched_at, last.id)),
            )

        return await self._database.read(load)

    async def now_playing(
        self, viewer: Viewer, *, everybody: bool, cursor: str | None = None, limit: int = LIMIT_MAX
    ) -> Page[PlayingView]:
        """Return what is playing now, newest first.

        Raises ACCESS_DENIED if a member asks for all users, INVALID for the cursor.
        """
        is_admin = may_administer(viewer.role)
        if everybody and not is_admin:
            raise access_denied()
        since = Instant(self._clock() - self._policy.playing_ms)
        after = None if cursor is None else decode_cursor(cursor, PlayingCursor)

        def load(connection: Connection) -> Page[PlayingView]:
            whose = None if everybody else viewer.user_id
            rows = storage.list_playing(connection, whose, is_admin=is_admin, since=since, after=after, limit=limit + 1)
            shown = rows[:limit]
            names = storage.names_of(connection, [row.user_id for row in shown]) if everybody else {}
            sight = sight_of(connection, viewer)
            views = _views(connection, sight, [(row.item_id, row.show_id) for row in shown])
            playing = [
                PlayingView(
                    WatchedView(*views[row.item_id], row.progress, self._resume_position(row)),
                    row.progress,
                    names.get(row.user_id),
                )
                for row in shown
            ]
            last = shown[-1] if len(rows) > limit else None
            if last is None:
                return Page(playing, None)
            at = last.progress.last_watched_at or 0
            return Page(playing, encode_cursor(PlayingCursor(at, last.item_id, last.user_id)))

        return await self._database.read(load)

    async def changed(
        self, viewer: Viewer, since: Instant, *, watched: bool | None, cursor: str | None, limit: int
    ) -> ChangedPage:
        """Return all of a user's state that changed at `since` or later, in order of the changes.

        Raises INVALID for the cursor.
        """
        after = None if cursor is None else decode_cursor(cursor, TimeCursor)

        def load(connection: Connection) -> ChangedPage:
            rows = storage.list_changed(
                connection,
                viewer.user_id,
                is_admin=may_administer(viewer.role),
                since=since,
                watched=watched,
                after=after,
                limit=limit + 1,
            )
            shown = rows[:limit]
            last = shown[-1] if len(rows) > limit else None
            return ChangedPage(
                [ChangedView(row.item_id, row.kind, row.progress, self._resume_position(row)) for row in shown],
                None if last is None else encode_cursor(TimeCursor(last.progress.changed_at, last.item_id)),
                merging.aliases_since(connection, [row.item_id for row in shown], since),
            )

        return await self._database.read(load)

    # Decisions about cards

    async def hide(self, viewer: Viewer, item_id: ItemId, *, hidden: bool) -> None:
        """Hide a card from continue watching until the next activity, or show it again. An episode's is its show's.

        Raises NOT_FOUND, ACCESS_DENIED.
        """
        await self._set(viewer, item_id, None, hidden_at=self._clock() if hidden else None)

    async def snooze(self, viewer: Viewer, item_id: ItemId, until: Instant | None) -> None:
        """Snooze a card until a time, or show it again with None. An episode's card is its show's.

        Raises NOT_FOUND, ACCESS_DENIED, and INVALID for a time in the past.
        """
        if until is not None and until <= self._clock():
            raise invalid({"until": ["must be in the future"]})
        await self._set(viewer, item_id, None, snoozed_until=until)

    async def drop(self, viewer: Viewer, show_id: ItemId, *, dropped: bool) -> None:
        """Drop a show, so that no list contains it, or take it up again. Raises NOT_FOUND, ACCESS_DENIED."""
        await self._set(viewer, show_id, ItemKind.SHOW, dropped_at=self._clock() if dropped else None)

    async def _set(self, viewer: Viewer, item_id: ItemId, kind: ItemKind | None, **change: Instant | None) -> None:
        def write(connection: Connection) -> ItemId | None:
            card = storage.card_of(connection, _require(connection, viewer.user_id, item_id, kind))
            if any(change.values()):
                self._require_room(connection, (viewer.user_id, card))
            return card if storage.set_state(connection, (viewer.user_id, card), **change) else None

        card = await self._database.write(write)
        if card is not None:
            self._publish([Change(viewer.user_id, Topic.LISTS, (card,))])

    def _require_room(self, connection: Connection, key: Key) -> None:
        """Raise LIMIT_REACHED if a user has too many decisions about cards; expired snoozes are removed first."""
        user_id, _ = key
        if storage.find_state(connection, key) != ListState():
            return
        if storage.count_states(connection, user_id) < DECISIONS_OF_USER.most:
            return
        storage.remove_past_snoozes(connection, user_id, self._clock())
        if storage.count_states(connection, user_id) >= DECISIONS_OF_USER.most:
            raise DECISIONS_OF_USER.refusal()

    # Views

    def _watched(self, connection: Connection, sight: Sight, rows: Sequence[ItemState]) -> dict[ItemId, WatchedView]:
        """Return the items of these rows, each with its whole progress."""
        views = _views(connection, sight, [(row.item_id, row.show_id) for row in rows])
        known = playback.load(connection, [(sight.viewer.user_id, row.item_id) for row in rows])
        found: dict[ItemId, WatchedView] = {}
        for row, each in zip(rows, known, strict=True):
            progress, resume_ms = None, Milliseconds(0)
            if each is not None and each.progress is not None:
                progress = each.progress
                resume_ms = resume_position(
                    progress, facts_for(progress.duration_ms, each.facts, each.playable), self._policy
                )
            found[row.item_id] = WatchedView(*views[row.item_id], progress, resume_ms)
        return found

    def _resume_position(self, row: WatchedRow) -> Milliseconds:
        return resume_position(row.progress, row.facts, self._policy)


def _play_filter(connection: Connection, viewer: Viewer, wanted: HistoryFilter) -> PlayFilter:
    user_id = viewer.user_id
    period = require_period(wanted.first, wanted.last, zone_of(connection, user_id))
    item_id = None if wanted.item_id is None else _require(connection, user_id, wanted.item_id, None)
    show_id = None if wanted.show_id is None else _require(connection, user_id, wanted.show_id, ItemKind.SHOW)
    library = None if wanted.library is None else library_named(connection, viewer, wanted.library)
    return PlayFilter(period, item_id, show_id, wanted.kind, None if library is None else library.id)


def _require(connection: Connection, user_id: UserId, item_id: ItemId, kind: ItemKind | None) -> ItemId:
    """Return the id of the item that an id means."""
    key, lookup = playback.find(connection, user_id, item_id)
    require_item(lookup, kind)
    return key[1]


def _views(
    connection: Connection, sight: Sight, item_ids: Iterable[tuple[ItemId, ItemId | None]]
) -> dict[ItemId, tuple[ItemView, ItemView | None]]:
    """Return items as a viewer sees them, and an episode's show beside it."""
    shows = dict(item_ids)
    wanted = {id_ for pair in shows.items() for id_ in pair if id_ is not None}
    items = storage.items_of(connection, sorted(wanted))
    views = item_views(connection, sight, items.values())
    return {
        item_id: (views[item_id], None if show_id is None else views[show_id]) for item_id, show_id in shows.items()
    }
