"""Marks and other changes made by hand: watched, unwatched, forget, restore a point; and reading the whole state.

Each is one transaction and one published change, however many episodes it touches.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

from playhead.domain.catalogue import FileFacts, Version
from playhead.domain.events import Change, Publish, Topic
from playhead.domain.file_facts import LeftAt, Timeline, completed_at, facts_for, latest_start, start_in, starts_in
from playhead.domain.limits import PLAYS_OF_ITEM
from playhead.domain.lists import has_aired, is_hidden, up_to
from playhead.domain.marks import MarkDecision, UndoStep, mark_watched, restore, take_back, unwatch
from playhead.domain.merging import Play
from playhead.domain.model import LATEST, FileId, Instant, ItemId, ItemKind, Milliseconds, UserId
from playhead.domain.playback import ItemFacts, KeptPoint, Policy, Progress, resume_position
from playhead.errors import conflict, not_found
from playhead.services.access import require_item
from playhead.services.catalogue import LIMIT_MAX
from playhead.services.cursors import UNDATED, TimeCursor, decode_cursor, encode_cursor
from playhead.storage import lists, playback
from playhead.storage import marks as storage
from playhead.storage.engine.database import Connection, Database
from playhead.storage.marks import MARKED, PlayCount
from playhead.storage.playback import Key, SaveLookup

Starts = Mapping[FileId, Milliseconds | None]
"""Where each file starts, see `domain.file_facts.starts_in`."""


class WatchState(NamedTuple):
    """The whole state of one item for one user; `progress` is None if nothing is saved.

    `hidden`: off continue watching until the next activity. An episode's card is its show's. `files` are those that the
    user may see, `starts` where each starts when the item is resumed.
    """

    progress: Progress | None
    resume_position_ms: Milliseconds
    plays: PlayCount
    hidden: bool
    files: tuple[FileFacts, ...]
    starts: Starts


class VersionStart(NamedTuple):
    """Where a version starts when the item is resumed, on the version's timeline.

    `completed_ms`: the position from which on it is completed; `latest_ms`: the latest at which it may start. They are
    None if its length is unknown.
    """

    start_ms: Milliseconds
    completed_ms: Milliseconds | None
    latest_ms: Milliseconds | None


class PlayPage(NamedTuple):
    """A part of the plays of an item; `next_cursor` gets the next part, None at the end."""

    items: list[Play]
    next_cursor: str | None


class Mark(NamedTuple):
    """A mark as watched at a time; a future time counts as now, None means that the time is unknown.

    `new_play`: add a play even if the item is already watched.
    """

    watched_at: Instant | None = LATEST
    new_play: bool = False


class Marks:
    """The marks of users. `clock` returns the time, `new_id` a random UUID; `publish` publishes changes.

    Methods on an item raise NOT_FOUND, ACCESS_DENIED, UNAVAILABLE, and NOT_AUTHENTICATED for a user that no longer
    exists. `kind` is the kind that the caller expects, movie or episode. All methods are idempotent, except for marks
    that request a new play. Marks raise LIMIT_REACHED if an item cannot have another play.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], Instant],
        new_id: Callable[[], str],
        policy: Policy,
        publish: Publish,
    ) -> None:
        self._database = database
        self._clock = clock
        self._new_id = new_id
        self._policy = policy
        self._publish = publish

    # Reading

    async def read(self, user_id: UserId, kind: ItemKind, item_id: ItemId) -> WatchState:
        """Return the whole state of an item."""

        def load(connection: Connection) -> WatchState:
            return self._state(connection, *_require(connection, user_id, item_id, kind))

        return await self._database.read(load)

    async def list_plays(
        self, user_id: UserId, kind: ItemKind, item_id: ItemId, *, cursor: str | None = None, limit: int = LIMIT_MAX
    ) -> PlayPage:
        """Return plays, newest first, undated ones last. Raises INVALID for the cursor."""
        after = None if cursor is None else decode_cursor(cursor, TimeCursor)

        def load(connection: Connection) -> PlayPage:
            key, _ = _require(connection, user_id, item_id, kind)
            return page_of_plays(connection, key, after, limit)

        return await self._database.read(load)

    async def list_points(self, user_id: UserId, kind: ItemKind, item_id: ItemId) -> list[tuple[str, KeptPoint]]:
        """Return the kept points with their ids, newest first."""

        def load(connection: Connection) -> list[tuple[str, KeptPoint]]:
            key, _ = _require(connection, user_id, item_id, kind)
            return storage.list_points(connection, key)

        return await self._database.read(load)

    def state_and_points(
        self, connection: Connection, key: Key, kind: ItemKind
    ) -> tuple[WatchState, list[tuple[str, KeptPoint]]]:
        """Return what `read` and `list_points` return, as one transaction sees it."""
        return self._state(connection, *_require(connection, *key, kind)), storage.list_points(connection, key)

    def start_of(self, version: Version, state: WatchState, at: Milliseconds | None = None) -> VersionStart:
        """Return where a version starts; `at` is a position that was asked for instead of the stored one."""
        position = state.resume_position_ms if at is None else at
        duration = version.duration_ms
        if duration is None:
            return VersionStart(position, None, None)
        credits_of = {file.file_id: file.credits_ms for file in state.files}
        last = version.files[-1]
        credits_ms = credits_of.get(last.id)
        if credits_ms is not None:
            credits_ms = Milliseconds(duration - (last.duration_ms or 0) + credits_ms)
        timeline = Timeline(duration, credits_ms, {})
        reported = duration if at is not None or state.progress is None else state.progress.duration_ms or duration
        return VersionStart(
            start_in(timeline, LeftAt(position, reported), self._policy) if position else position,
            completed_at(timeline, self._policy),
            latest_start(timeline, self._policy),
        )

    # One item

    async def mark(self, user_id: UserId, kind: ItemKind, item_id: ItemId, mark: Mark | None) -> WatchState:
        """Mark an item as watched or, without a mark, as unwatched. Returns the new state."""
        now = self._clock()

        def run(connection: Connection) -> tuple[WatchState, ItemId | None]:
            key, _ = _require(connection, user_id, item_id, kind)
            changed = self._change(connection, [key], lambda known: self._marked(known, mark, now))
            return self._state(connection, *_require(connection, *key, kind)), key[1] if changed else None

        state, changed_id = await self._database.write(run)
        if changed_id is not None:
            self._publish([Change(user_id, Topic.WATCHED, (changed_id,))])
        return state

    async def restore(self, user_id: UserId, kind: ItemKind, item_id: ItemId, point_id: str) -> WatchState:
        """Restore a kept point. Returns the new state. Raises NOT_FOUND for the point, too."""
        now = self._clock()

        def run(connection: Connection) -> tuple[WatchState, ItemId]:
            key, _ = _require(connection, user_id, item_id, kind)
            point = dict(storage.list_points(connection, key)).get(point_id)
            if point is None:
                raise not_found("Position not found")
            self._change(
                connection, [key], lambda known: restore(known.progress, point, _facts(known), self._policy, now)
            )
            return self._state(connection, *_require(connection, *key, kind)), key[1]

        state, changed_id = await self._database.write(run)
        self._publish([Change(user_id, Topic.PROGRESS, (changed_id,))])
        return state

    async def forget(self, user_id: UserId, kind: ItemKind, item_id: ItemId) -> None:
        """Delete this user's progress, plays and kept points of an item, and decisions about its card."""

        def run(connection: Connection) -> ItemId | None:
            key, _ = _require(connection, user_id, item_id, kind)
            return key[1] if storage.forget(connection, key) else None

        forgotten_id = await self._database.write(run)
        if forgotten_id is not None:
            self._publish([Change(user_id, Topic.PROGRESS, (forgotten_id,))])

    async def remove_play(self, user_id: UserId, kind: ItemKind, item_id: ItemId, play_id: str) -> None:
        """Remove one play; the watched flag stays. Raises NOT_FOUND for the play, too, with the `member` play_id."""

        def run(connection: Connection) -> ItemId:
            key, _ = _require(connection, user_id, item_id, kind)
            if not storage.remove_play(connection, key, play_id):
                raise not_found("Play not found", member="play_id")
            return key[1]

        changed_id = await self._database.write(run)
        self._publish([Change(user_id, Topic.WATCHED, (changed_id,))])

    # Bulk marks, and undo

    async def mark_item(
        self, user_id: UserId, kind: ItemKind, item_id: ItemId, mark: Mark | None
    ) -> Sequence[UndoStep]:
        """Mark an item as `mark` does. Returns the steps that undo it."""

        def select(connection: Connection) -> list[ItemId]:
            key, _ = _require(connection, user_id, item_id, kind)
            return [key[1]]

        return await self._mark_all(user_id, select, mark, self._clock())

    async def mark_show(
        self, user_id: UserId, show_id: ItemId, season_number: int | None, mark: Mark | None
    ) -> Sequence[UndoStep]:
        """Mark every aired episode of a show or season as watched or, without a mark, every episode as unwatched.

        Returns an undo step for each changed episode. Raises NOT_FOUND also for a season without episodes.
        """
        now = self._clock()

        def select(connection: Connection) -> list[ItemId]:
            (_, meant), _ = _require(connection, user_id, show_id, ItemKind.SHOW)
            episodes = storage.list_episodes(connection, meant, season_number)
            if season_number is not None and not episodes:
                raise not_found("Season not found")
            return [id_ for id_, air_date in episodes if mark is None or has_aired(air_date, now)]

        return await self._mark_all(user_id, select, mark, now)

    async def mark_up_to(self, user_id: UserId, episode_id: ItemId, mark: Mark) -> Sequence[UndoStep]:
        """Mark an episode and every aired regular one before it. Returns the steps that undo it."""
        now = self._clock()

        def select(connection: Connection) -> list[ItemId]:
            (_, meant), _ = _require(connection, user_id, episode_id, ItemKind.EPISODE)
            show_id = lists.card_of(connection, meant)
            episodes = lists.all_episodes(connection, user_id, show_id, is_admin=False)
            return up_to(episodes, meant, now)

        return await self._mark_all(user_id, select, mark, now)

    async def undo(self, user_id: UserId, undos: Sequence[UndoStep]) -> None:
        """Undo marks, all or none: progress is as before, and the plays and points that they added are removed.

        Raises CONFLICT if something else has changed one of the items since.
        """
        now = self._clock()

        def run(connection: Connection) -> tuple[ItemId, ...]:
            found, meant = playback.load_meant(connection, {(user_id, undo.item_id) for undo in undos})
            keys = [(user_id, meant.get(undo.item_id, undo.item_id)) for undo in undos]
            if len({*keys}) < len(keys):  # two of them have become one item
                raise _changed_meanwhile()
            before: list[tuple[Key, Progress]] = []
            for key, undo in zip(keys, undos, strict=True):
                progress = take_back(require_item(found[key], None).progress, undo, now)
                if progress is None:
                    raise _changed_meanwhile()
                before.append((key, progress))
            if playback.store(connection, sorted(before, key=itemgetter(0))):
                raise _changed_meanwhile()
            for key, undo in zip(keys, undos, strict=True):
                storage.take_back(connection, key, undo.play_id, undo.point_id)
            return tuple(item_id for _, item_id in keys)

        changed_ids = await self._database.write(run)
        self._publish([Change(user_id, Topic.WATCHED, changed_ids)])

    async def _mark_all(
        self, user_id: UserId, select: Callable[[Connection], list[ItemId]], mark: Mark | None, now: Instant
    ) -> Sequence[UndoStep]:
        def run(connection: Connection) -> list[UndoStep]:
            keys = [(user_id, item_id) for item_id in sorted(select(connection))]
            return self._change(connection, keys, lambda known: self._marked(known, mark, now))

        undos = await self._database.write(run)
        if undos:
            self._publish([Change(user_id, Topic.WATCHED, tuple(undo.item_id for undo in undos))])
        return undos

    # Implementation

    def _marked(self, known: SaveLookup, mark: Mark | None, now: Instant) -> MarkDecision | None:
        if mark is None:
            return unwatch(known.progress, _facts(known), self._policy, now)
        watched_at, new_play = mark
        return mark_watched(known.progress, _facts(known), self._policy, now, watched_at, new_play=new_play)

    def _change(
        self, connection: Connection, keys: Sequence[Key], decide: Callable[[SaveLookup], MarkDecision | None]
    ) -> list[UndoStep]:
        """Change the progress of these keys, which must be sorted: unsorted rows of two processes deadlock.

        Raises LIMIT_REACHED if one of the items cannot have another play. Returns an undo step for each visible change;
        a mark that only renews `unwatched_at` is not one.
        """
        known_of = {key: known for key, known in zip(keys, playback.load(connection, keys), strict=True) if known}
        marked_of = {key: marked for key, known in known_of.items() if (marked := decide(known)) is not None}
        lost = playback.store(connection, [(key, marked.progress) for key, marked in marked_of.items()])
        done = {key: marked for key, marked in marked_of.items() if key not in lost}
        plays = {key: self._new_id() for key, marked in done.items() if marked.adds_play}
        if any(number >= PLAYS_OF_ITEM.most for number in playback.count_plays(connection, [*plays]).values()):
            raise PLAYS_OF_ITEM.refusal()
        playback.add_plays(connection, [(*key, id_, done[key].play_at, MARKED) for key, id_ in plays.items()])
        points = {key: (self._new_id(), marked.kept) for key, marked in done.items() if marked.kept is not None}
        playback.keep_points(
            connection, [(*key, id_, kept) for key, (id_, kept) in points.items()], self._policy.kept_points
        )
        changed = [
            UndoStep(
                key[1],
                known_of[key].progress,
                marked.progress.version,
                plays.get(key),
                points[key][0] if key in points else None,
            )
            for key, marked in done.items()
            if _shows(known_of[key].progress, marked)
        ]
        if lost:  # lost a race against another process: decide these again on what it stored
            changed += self._change(connection, lost, decide)
        return changed

    def _state(self, connection: Connection, key: Key, known: SaveLookup) -> WatchState:
        progress, left = known.progress, None
        if progress is not None and progress.duration_ms is not None:
            resume_ms = resume_position(progress, _facts(known), self._policy)
            left = LeftAt(resume_ms, progress.duration_ms) if resume_ms else None
        files = playback.list_files(connection, key, known.role)
        return WatchState(
            progress,
            Milliseconds(0) if left is None else left.position_ms,
            storage.count_plays(connection, key),
            hidden=is_hidden(*storage.find_hidden(connection, key)),
            files=files,
            starts=starts_in(files, left, self._policy),
        )


def page_of_plays(connection: Connection, key: Key, after: TimeCursor | None, limit: int) -> PlayPage:
    """Return up to `limit` plays of an item, beginning behind a place in their list."""
    plays = storage.list_plays(connection, key, after, limit + 1)
    if len(plays) <= limit:
        return PlayPage(plays, None)
    last = plays[limit - 1]
    at = UNDATED if last.watched_at is None else last.watched_at
    return PlayPage(plays[:limit], encode_cursor(TimeCursor(at, last.id)))


def _require(connection: Connection, user_id: UserId, item_id: ItemId, kind: ItemKind) -> tuple[Key, SaveLookup]:
    """Look up the item that an id means, with its key."""
    key, known = playback.find(connection, user_id, item_id)
    return key, require_item(known, kind)


def _facts(known: SaveLookup) -> ItemFacts:
    """Return the facts of the version that was reported."""
    return facts_for(None if known.progress is None else known.progress.duration_ms, known.facts, known.playable)


def _changed_meanwhile() -> Exception:
    return conflict("It has been changed since")


def _shows(before: Progress | None, marked: MarkDecision) -> bool:
    after = marked.progress
    return (
        marked.adds_play or before is None or (before.watched, before.position_ms) != (after.watched, after.position_ms)
    )
