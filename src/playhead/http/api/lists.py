"""Lists over HTTP: continue watching, next up, history, now playing, all progress; and the states of cards."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field
from msgspec.structs import asdict

from playhead.domain.lists import NextKind
from playhead.domain.model import EARLIEST, ItemKind, instant_of
from playhead.http.api.catalogue import Cursor, ItemAnswer, Limit, Word, item_answer
from playhead.http.api.formats import MomentText, Time, moments_of, progress_answer, seconds, time_text
from playhead.http.api.marks import TimeText, UuidText
from playhead.http.bodies import check
from playhead.http.route import Call, require_item_id
from playhead.services.catalogue import LIMIT_DEFAULT, LIMIT_MAX
from playhead.services.lists import CardView, ChangedView, HistoryFilter, Lists, PlayedView, PlayingView, WatchedView

CARDS_MAX = 200


class CardsQuery(Struct):
    """The number of cards to return."""

    limit: Annotated[int, Meta(ge=1, le=CARDS_MAX)] | None = None


class HistoryQuery(Struct):
    """The plays to list. `item` may be a show, which means its episodes; `library` is a name or an id.

    They are from a day or time on, until a day, which is included, or a time. Days are those of the caller's time zone.
    """

    item: UuidText | None = None
    show: UuidText | None = None
    kind: Literal["movie", "episode"] | None = None
    library: Word | None = None
    from_: MomentText | None = field(default=None, name="from")
    until: MomentText | None = None
    order: Literal["newest", "oldest"] = "newest"
    cursor: Cursor | None = None
    limit: Limit = LIMIT_DEFAULT


class ChangedQuery(Struct):
    """A filter of all progress: changed at or since a time; only watched or only unwatched."""

    changed_since: TimeText | None = None
    watched: Literal["true", "false"] | None = None
    cursor: Cursor | None = None
    limit: Limit = LIMIT_DEFAULT


class _Since(Struct):
    """The time of a ChangedQuery, validated strictly: msgspec would accept a number given as text."""

    changed_since: Time


class PlayingQuery(Struct):
    """Whose playback to list: the caller's or, for an admin, everybody's."""

    all: Literal["true", "false"] = "false"
    cursor: Cursor | None = None
    limit: Limit = LIMIT_MAX


class SnoozeRequest(Struct):
    """The time until which a card is snoozed."""

    until: Time


class WatchedAnswer(Struct, kw_only=True):
    """An item with the caller's progress. `show` is an episode's show, and null for a movie."""

    item: ItemAnswer
    show: ItemAnswer | None
    position_seconds: int | float
    duration_seconds: int | float | None
    completion_percentage: int | float
    watched: bool
    last_watched_at: TimeText | None
    resume_position_seconds: int | float


class CardAnswer(WatchedAnswer, kw_only=True):
    """A card of continue watching. `kind` says why: continue, next, rewatch. Cards are sorted by `active_at`."""

    kind: Annotated[str, Meta(extra_json_schema={"enum": ["continue", "next", "rewatch"]})]
    active_at: TimeText


class CardsAnswer(Struct):
    """The cards of continue watching, newest activity first. `next_cursor` is always null."""

    items: list[CardAnswer]
    next_cursor: None = None


class NextUpAnswer(Struct):
    """The next episode of a show; `episode` is null, and the kind is done, if nothing is left."""

    kind: NextKind
    episode: WatchedAnswer | None


class HistoryPlayAnswer(Struct):
    """One completed viewing; `watched_at` is null if unknown. `source` is what added it."""

    id: UuidText
    watched_at: TimeText | None
    source: Annotated[str, Meta(extra_json_schema={"enum": ["automatic", "marked", "imported"]})]
    item: ItemAnswer
    show: ItemAnswer | None


class HistoryAnswer(Struct):
    """A page of the history, newest first; `next_cursor` gets the next page and is null at the end."""

    items: list[HistoryPlayAnswer]
    next_cursor: str | None


class PlayingAnswer(WatchedAnswer, kw_only=True):
    """An item that is playing. `user` is the user's name, shown if everybody's playback was requested."""

    event: str | None
    device: str | None
    session: str | None
    user: str | UnsetType = UNSET


class PlayingListAnswer(Struct):
    """What is playing now, newest report first; `next_cursor` is null at the end."""

    items: list[PlayingAnswer]
    next_cursor: str | None


class ChangedItemAnswer(Struct):
    """The progress of one item: the five frozen members, the resume position, and when the server changed it."""

    id: UuidText
    kind: ItemKind
    position_seconds: int | float
    duration_seconds: int | float | None
    completion_percentage: int | float
    watched: bool
    last_watched_at: TimeText | None
    resume_position_seconds: int | float
    version: int
    changed_at: TimeText


class MergedIdAnswer(Struct):
    """An id that has become an alias: it means the item `merged_into`."""

    id: UuidText
    merged_into: UuidText


class ChangedItemsAnswer(Struct):
    """A page of all progress, in order of change; `next_cursor` gets the next page and is null at the end.

    `merged` are the ids that have become aliases of these items since the time that was asked for.
    """

    items: list[ChangedItemAnswer]
    next_cursor: str | None
    merged: list[MergedIdAnswer]


class ListRoutes:
    """The endpoints of the lists."""

    def __init__(self, lists: Lists) -> None:
        self._lists = lists

    async def continue_watching(self, call: Call) -> CardsAnswer:
        """List continue watching: one card per movie and per show."""
        cards = await self._lists.continue_watching(call.viewer, call.query(CardsQuery).limit)
        return CardsAnswer([_card_answer(card) for card in cards])

    async def next_up(self, call: Call) -> NextUpAnswer:
        """Return the next episode of a show."""
        following, view = await self._lists.next_up(call.viewer, call.item_id(ItemKind.SHOW))
        return NextUpAnswer(following.kind, None if view is None else _watched_answer(view))

    async def history(self, call: Call) -> HistoryAnswer:
        """List plays, newest first or oldest first; undated ones count as the oldest."""
        query = call.query(HistoryQuery)
        first, last = moments_of(from_=query.from_, until=query.until)
        wanted = HistoryFilter(
            item_id=None if query.item is None else require_item_id(query.item, ItemKind.MOVIE),
            show_id=None if query.show is None else require_item_id(query.show, ItemKind.SHOW),
            kind=None if query.kind is None else ItemKind(query.kind),
            library=query.library,
            first=first,
            last=last,
            oldest_first=query.order == "oldest",
        )
        plays, cursor = await self._lists.history(call.viewer, query.cursor, query.limit, wanted)
        return HistoryAnswer([_play_answer(each) for each in plays], cursor)

    async def now_playing(self, call: Call) -> PlayingListAnswer:
        """List what is playing now."""
        query = call.query(PlayingQuery)
        playing, cursor = await self._lists.now_playing(
            call.viewer, everybody=query.all == "true", cursor=query.cursor, limit=query.limit
        )
        return PlayingListAnswer([_playing_answer(each) for each in playing], cursor)

    async def changed(self, call: Call) -> ChangedItemsAnswer:
        """List all of the caller's progress, for clients that synchronise."""
        query = call.query(ChangedQuery)
        since = EARLIEST
        if query.changed_since is not None:
            since = max(since, instant_of(check({"changed_since": query.changed_since}, _Since).changed_since))
        page = await self._lists.changed(
            call.viewer,
            since,
            watched=None if query.watched is None else query.watched == "true",
            cursor=query.cursor,
            limit=query.limit,
        )
        merged = [MergedIdAnswer(old, new) for old, new in page.merged.items()]
        return ChangedItemsAnswer([_changed_answer(each) for each in page.items], page.next_cursor, merged)

    async def hide(self, call: Call) -> None:
        """Hide a card until the next activity."""
        await self._lists.hide(call.viewer, call.item_id(ItemKind.MOVIE), hidden=True)

    async def show(self, call: Call) -> None:
        """Show a hidden card again."""
        await self._lists.hide(call.viewer, call.item_id(ItemKind.MOVIE), hidden=False)

    async def snooze(self, call: Call) -> None:
        """Snooze a card until a time."""
        request = await call.json(SnoozeRequest)
        await self._lists.snooze(call.viewer, call.item_id(ItemKind.MOVIE), instant_of(request.until))

    async def wake(self, call: Call) -> None:
        """Show a snoozed card again."""
        await self._lists.snooze(call.viewer, call.item_id(ItemKind.MOVIE), None)

    async def drop(self, call: Call) -> None:
        """Drop a show."""
        await self._lists.drop(call.viewer, call.item_id(ItemKind.SHOW), dropped=True)

    async def take_up(self, call: Call) -> None:
        """Take a dropped show up again."""
        await self._lists.drop(call.viewer, call.item_id(ItemKind.SHOW), dropped=False)


def _watched_answer(view: WatchedView) -> WatchedAnswer:
    shown = progress_answer(view.progress)
    return WatchedAnswer(
        item=item_answer(view.view),
        show=None if view.show is None else item_answer(view.show),
        position_seconds=shown.position_seconds,
        duration_seconds=shown.duration_seconds,
        completion_percentage=shown.completion_percentage,
        watched=shown.watched,
        last_watched_at=None if isinstance(shown.last_watched_at, UnsetType) else shown.last_watched_at,
        resume_position_seconds=seconds(view.resume_position_ms),
    )


def _card_answer(each: CardView) -> CardAnswer:
    return CardAnswer(**asdict(_watched_answer(each.watched)), kind=each.kind, active_at=time_text(each.active_at))


def _play_answer(each: PlayedView) -> HistoryPlayAnswer:
    play = each.play
    return HistoryPlayAnswer(
        play.id,
        None if play.watched_at is None else time_text(play.watched_at),
        play.source,
        item_answer(each.view),
        None if each.show is None else item_answer(each.show),
    )


def _playing_answer(each: PlayingView) -> PlayingAnswer:
    watched, progress, user = each
    return PlayingAnswer(
        **asdict(_watched_answer(watched)),
        event=progress.event,
        device=progress.device,
        session=progress.session,
        user=UNSET if user is None else user,
    )


def _changed_answer(each: ChangedView) -> ChangedItemAnswer:
    shown, progress = progress_answer(each.progress), each.progress
    return ChangedItemAnswer(
        each.item_id,
        each.kind,
        shown.position_seconds,
        shown.duration_seconds,
        shown.completion_percentage,
        shown.watched,
        None if isinstance(shown.last_watched_at, UnsetType) else shown.last_watched_at,
        seconds(each.resume_position_ms),
        progress.version,
        time_text(progress.changed_at),
    )
