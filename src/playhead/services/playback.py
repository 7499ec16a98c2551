"""Saving and reading progress: load, decide by the domain's rules, store. Many reports share one transaction."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from playhead.domain.catalogue import FileFacts
from playhead.domain.events import Change, Topic
from playhead.domain.file_facts import files_meant, place
from playhead.domain.limits import PLAYS_OF_ITEM
from playhead.domain.model import Instant, ItemId, ItemKind, Role, UserId
from playhead.domain.playback import (
    Decision,
    FrozenProgress,
    ItemFacts,
    KeptPoint,
    Policy,
    Progress,
    Report,
    advance,
    concerns_whole_file,
    effective_at,
    in_whole_file,
    viewing_span,
)
from playhead.errors import Code, PlayheadError, not_authenticated
from playhead.services.access import refusal, require_item, require_readable
from playhead.services.events import Events
from playhead.services.measures import Commits
from playhead.storage import playback as storage
from playhead.storage.engine.database import Connection, Database, WouldBlockError
from playhead.storage.engine.group_commit import GroupCommit
from playhead.storage.playback import AUTOMATIC, Key, ReadLookup, SaveLookup

_OF_ONE_REPORT = (Code.NOT_FOUND, Code.ACCESS_DENIED)


class NamedEpisode(NamedTuple):
    """The episode that a report names: its facts, the effect of the report, which is applied to others, and its files.

    `files` are those that the user may see; None: all.
    """

    facts: ItemFacts
    decision: Decision
    files: tuple[FileFacts, ...] | None


class Save(NamedTuple):
    """A report in the queue. `kind` is the kind that the client expects of the item.

    `named` is set if the report is passed on to another episode of the file than the one that it names.
    """

    key: Key
    kind: ItemKind
    report: Report
    received_at: Instant
    named: NamedEpisode | None = None


class Lookup(NamedTuple):
    """A queued read, for a store that batches them. `kind` is the kind that the client expects of the item."""

    key: Key
    kind: ItemKind


_Stored = dict[Key, tuple[Progress, bool]]


class Playback:
    """The progress of users. `clock` returns the time, `new_id` a random UUID; `events` is notified of saves."""

    def __init__(
        self,
        database: Database,
        events: Events,
        *,
        clock: Callable[[], Instant],
        new_id: Callable[[], str],
        policy: Policy,
    ) -> None:
        self._database = database
        self._events = events
        self._clock = clock
        self._new_id = new_id
        self._policy = policy
        self.commits = Commits()
        self._saves: GroupCommit[Save, Decision] = GroupCommit(
            self._commit,
            lanes=database.lanes,
            lane_of=lambda save: database.lane_of(save.key[0]),
            observe=self.commits.add,
        )
        self._reads: GroupCommit[Lookup, Progress | None] = GroupCommit(
            self._load, lanes=database.lanes, lane_of=lambda lookup: database.lane_of(lookup.key[0])
        )

    async def read(
        self, user_id: UserId, role: Role, kind: ItemKind, item_id: ItemId
    ) -> Progress | FrozenProgress | None:
        """Return a user's progress of an item, None if nothing is saved.

        Raises NOT_FOUND, ACCESS_DENIED, UNAVAILABLE, and NOT_AUTHENTICATED if the user no longer exists.
        """
        found = self.read_nowait(user_id, role, kind, item_id)
        return (await found) if isinstance(found, asyncio.Future) else found

    def read_nowait(
        self, user_id: UserId, role: Role, kind: ItemKind, item_id: ItemId
    ) -> "FrozenProgress | asyncio.Future[Progress | None] | asyncio.Future[FrozenProgress | None] | None":
        """Read without a task; the result is a future if the store batches look-ups, or is busy."""
        if self._database.gathers_reads:
            return self._reads.submit(Lookup((user_id, item_id), kind))

        def show(connection: Connection) -> ReadLookup:
            return storage.show(connection, user_id, item_id)

        try:
            return require_readable(self._database.read_nowait(show), role, kind)
        except WouldBlockError:
            return asyncio.ensure_future(self._read_later(show, role, kind))

    async def _read_later(
        self, show: Callable[[Connection], ReadLookup], role: Role, kind: ItemKind
    ) -> FrozenProgress | None:
        return require_readable(await self._database.read_inline(show), role, kind)

    def save(self, user_id: UserId, kind: ItemKind, item_id: ItemId, report: Report) -> "asyncio.Future[Decision]":
        """Apply a report; the future yields its effect once that is durable.

        Raises UNAVAILABLE immediately or later, and later NOT_AUTHENTICATED for a user who no longer exists, NOT_FOUND,
        ACCESS_DENIED. Saving is idempotent: after UNAVAILABLE, send it again.
        """
        return self._saves.submit(Save((user_id, item_id), kind, report, self._clock()))

    async def save_many(
        self, user_id: UserId, reports: Sequence[tuple[ItemKind, ItemId, Report]]
    ) -> list[Decision | PlayheadError]:
        """Apply reports that arrive together, in order of observation; the results are in the order of the reports.

        The result of a report that cannot be applied is NOT_FOUND or ACCESS_DENIED. Otherwise raises like `save`, for
        all of them: send them all again.
        """
        now = self._clock()
        order = sorted(range(len(reports)), key=lambda number: effective_at(reports[number][2], self._policy, now))
        saves = [Save((user_id, item_id), kind, report, now) for kind, item_id, report in reports]
        futures = self._saves.submit_many([saves[number] for number in order])
        results: dict[int, Decision | PlayheadError] = {}
        for number, result in zip(order, await asyncio.gather(*futures, return_exceptions=True), strict=True):
            if isinstance(result, PlayheadError) and result.code in _OF_ONE_REPORT:
                results[number] = result
            elif isinstance(result, BaseException):
                raise result
            else:
                results[number] = result
        return [results[number] for number in range(len(reports))]

    @property
    def waiting(self) -> Mapping[str, int]:
        """The length of each queue, by its name."""
        return {"saves": self._saves.waiting, "reads": self._reads.waiting}

    @property
    def refused(self) -> Mapping[str, int]:
        """The number of requests refused by each full queue, by its name."""
        return {"saves": self._saves.refused, "reads": self._reads.refused}

    async def close(self) -> None:
        """Refuse further reports and wait until the accepted ones are durable."""
        await self._saves.close()
        await self._reads.close()

    async def _load(self, lookups: list["Lookup"]) -> list[Progress | Exception | None]:
        keys = [lookup.key for lookup in lookups]
        known, meant = await self._database.read_inline(lambda connection: storage.load_meant(connection, {*keys}))
        if meant:
            keys = [(user_id, meant.get(item_id, item_id)) for user_id, item_id in keys]
        return [_progress_of(known[key], lookup.kind) for key, lookup in zip(keys, lookups, strict=True)]

    async def _commit(self, saves: list[Save]) -> list[Decision | Exception]:
        stored: _Stored = {}
        meant: dict[ItemId, ItemId] = {}

        def store(connection: Connection) -> list[Decision | Exception]:
            stored.clear()  # left by a run that was rolled back
            meant.clear()
            return self._store(connection, saves, stored, meant)

        decisions = await self._database.commit_batch(store)
        if self._events.is_heard:
            self._events.publish(_changes(_as_meant(saves, meant), decisions, stored))
        return decisions

    def _store(
        self, connection: Connection, saves: Sequence[Save], stored: _Stored, meant: dict[ItemId, ItemId]
    ) -> list[Decision | Exception]:
        """Decide and store; add the changed progress to `stored`, and the aliases among the items to `meant`."""
        known, aliases = storage.load_meant(connection, {save.key for save in saves})
        if aliases:
            saves = _as_meant(saves, aliases)
            known = {save.key: known[save.key] for save in saves}
            meant |= aliases
        batch = _BatchState(connection, saves, known, self._policy)
        results = [batch.decide(save) for save in saves]
        lost = storage.store(connection, batch.changed())
        if lost:  # another process was faster: decide these again on what it stored
            again = [number for number, save in enumerate(saves) if save.key in lost]
            batch.drop(lost)
            decided = self._store(connection, [saves[number] for number in again], stored, meant)
            for number, decision in zip(again, decided, strict=True):
                results[number] = decision
        storage.take_back_plays(connection, batch.taken_back)
        storage.add_plays(connection, [(*key, self._new_id(), at, AUTOMATIC) for key, at in batch.new_plays])
        storage.keep_points(
            connection, [(*key, self._new_id(), point) for key, point in batch.kept], self._policy.kept_points
        )
        if batch.whole_files:
            self._hand_on(connection, batch.whole_files, stored, meant)
        if self._events.is_heard:
            stored |= batch.stored(lost)
        return results

    def _hand_on(
        self,
        connection: Connection,
        whole_files: Sequence[tuple[Save, NamedEpisode]],
        stored: _Stored,
        meant: dict[ItemId, ItemId],
    ) -> None:
        """Pass reports that apply to all episodes of their file on to the others."""
        saves = [
            save._replace(key=(save.key[0], item_id), named=named)
            for save, named in whole_files
            for item_id in sorted(_others(connection, save, named.files))
        ]
        if saves:
            self._store(connection, saves, stored, meant)


class _BatchState:
    """The state of the keys of one batch: of items, not of aliases. Later reports see the effect of earlier ones."""

    def __init__(
        self, connection: Connection, saves: Sequence[Save], known: Mapping[Key, SaveLookup | None], policy: Policy
    ) -> None:
        self._policy = policy
        self._known = known
        self._plays, self._room = self._load_plays(connection, saves)
        self._progress: dict[Key, Progress] = {}
        self.new_plays: list[tuple[Key, Instant]] = []
        self.taken_back: list[tuple[UserId, ItemId, Instant]] = []
        self.kept: list[tuple[Key, KeptPoint]] = []
        self.whole_files: list[tuple[Save, NamedEpisode]] = []

    def _load_plays(
        self, connection: Connection, saves: Sequence[Save]
    ) -> tuple[dict[Key, list[Instant]], dict[Key, int]]:
        """Return the plays that may belong to the same viewing as a report, and how many more an item can have.

        They are looked up only for reports that may add a play, a few in a thousand, and counted only if a report has
        none near it, because no other report adds one.
        """
        spans: dict[tuple[UserId, ItemId, Instant, Instant], None] = {}
        repeated = _repeated([save.key for save in saves]) if len(self._known) < len(saves) else frozenset[Key]()
        for key, _, report, received_at, named in saves:
            known = self._known[key]
            if known is None:
                continue
            # A report adds a play only if the item is armed, which an earlier report of the batch may do.
            progress = known.progress
            if progress is not None and not progress.armed and key not in repeated and named is None:
                continue
            facts = known.facts
            if named is not None:
                facts = named.facts
            elif known.playable is not None:
                report, facts = place(report, facts, known.playable)  # noqa: PLW2901 - the report on its timeline
            span = viewing_span(report, facts, self._policy, received_at)
            if span is not None:
                spans[*key, *span] = None
        if not spans:
            return {}, {}
        plays = storage.find_plays(connection, [*spans])
        adding = {
            (user_id, item_id): None
            for user_id, item_id, start, end in spans
            if not any(start <= at <= end for at in plays.get((user_id, item_id), ()))
        }
        counts = storage.count_plays(connection, [*adding])
        return plays, {key: PLAYS_OF_ITEM.most - number for key, number in counts.items()}

    def decide(self, save: Save) -> Decision | Exception:
        key, kind, report, received_at, named = save
        known = self._known[key]
        refused = refusal(known, kind)
        if refused is not None or known is None:
            return refused or not_authenticated()
        previous = self._progress.get(key, known.progress)
        facts = known.facts
        if named is not None:
            previous, facts = in_whole_file(previous, named.decision), named.facts
        elif known.playable is not None:
            report, facts = place(report, facts, known.playable)
        plays = None if self._room.get(key, 1) <= 0 else self._plays.get(key, ())
        decision = advance(previous, report, facts, self._policy, received_at, plays)
        if kind is ItemKind.EPISODE and concerns_whole_file(previous, decision):
            if named is None:
                files = None if known.playable is None else known.playable.files
                self.whole_files.append((save._replace(report=report), NamedEpisode(facts, decision, files)))
        elif named is not None:
            return decision
        return self._take(key, known.progress, previous, decision)

    def _take(self, key: Key, stored: Progress | None, previous: Progress | None, decision: Decision) -> Decision:
        progress, play_at, taken_back, kept, _, _ = decision
        if progress is not previous:
            if previous is not stored:
                # All reports of a batch on one key are one change of its row.
                version = 1 if stored is None else stored.version + 1
                progress = progress._replace(version=version)
                decision = decision._replace(progress=progress)
            self._progress[key] = progress
        if play_at is not None:
            self.new_plays.append((key, play_at))
            self._plays.setdefault(key, []).append(play_at)
            if key in self._room:  # else the batch would add a play again that it has taken back
                self._room[key] -= 1
        if taken_back is not None:
            self._take_back(key, taken_back)
        if kept is not None:
            self.kept.append((key, kept))
        return decision

    def _take_back(self, key: Key, at: Instant) -> None:
        if (key, at) in self.new_plays:
            self.new_plays.remove((key, at))
        else:
            self.taken_back.append((*key, at))
        if at in self._plays.get(key, ()):
            self._plays[key].remove(at)
        if key in self._room:
            self._room[key] += 1

    def changed(self) -> list[tuple[Key, Progress]]:
        """Return the changed rows, sorted by key: unsorted rows of two processes deadlock."""
        return sorted(self._progress.items())

    def stored(self, lost: Collection[Key]) -> _Stored:
        """Return the changed progress of each key except lost ones, and whether its watched flag changed."""
        return {
            key: (progress, progress.watched != _was_watched(self._known[key]))
            for key, progress in self._progress.items()
            if key not in lost
        }

    def drop(self, keys: Sequence[Key]) -> None:
        """Discard the decisions for these keys."""
        self.new_plays = [(key, at) for key, at in self.new_plays if key not in keys]
        self.taken_back = [taken for taken in self.taken_back if taken[:2] not in keys]
        self.kept = [(key, point) for key, point in self.kept if key not in keys]
        self.whole_files = [(save, named) for save, named in self.whole_files if save.key not in keys]


def _others(connection: Connection, save: Save, seen: Sequence[FileFacts] | None) -> set[ItemId]:
    """Return the other episodes of the file that plays, which is one of those that the user may see; None: of all."""
    item_id = save.key[1]
    number, files = storage.find_files(connection, item_id)
    if not files:
        return storage.list_following(connection, item_id)
    meant = files_meant(save.report, item_id, number, files if seen is None else seen)
    return storage.list_in_files(connection, meant) - {item_id} if meant else set()


def _as_meant(saves: Sequence[Save], meant: Mapping[ItemId, ItemId]) -> Sequence[Save]:
    """Replace the ids that are aliases."""
    if not meant:
        return saves
    return [save._replace(key=(save.key[0], meant.get(save.key[1], save.key[1]))) for save in saves]


def _repeated(keys: Sequence[Key]) -> frozenset[Key]:
    return frozenset(key for key, number in Counter(keys).items() if number > 1)


def _was_watched(known: SaveLookup | None) -> bool:
    return known is not None and known.progress is not None and known.progress.watched


def _changes(saves: Sequence[Save], decisions: Sequence[Decision | Exception], stored: _Stored) -> list[Change]:
    # A repeated report changes nothing, and is announced again: the process that stored it may have been killed before
    # it announced it.
    told = {
        save.key: decision.progress
        for save, decision in zip(saves, decisions, strict=True)
        if isinstance(decision, Decision) and decision.applied
    }
    told |= {key: progress for key, (progress, _) in stored.items()}
    changes = [Change(user_id, Topic.PROGRESS, (item_id,), progress) for (user_id, item_id), progress in told.items()]
    for (user_id, item_id), (_, is_turned) in stored.items():
        if is_turned:
            changes.append(Change(user_id, Topic.WATCHED, (item_id,)))
    return changes


def _progress_of(lookup: SaveLookup | None, kind: ItemKind) -> Progress | PlayheadError | None:
    try:
        return require_item(lookup, kind).progress
    except PlayheadError as error:
        return error
