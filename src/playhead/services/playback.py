"""Saving and reading progress: load, decide by the domain's rules, store. Many reports share one transaction."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from playhead.domain.access import may_see
from playhead.domain.model import Instant, ItemId, ItemKind, Role, UserId
from playhead.domain.playback import Decision, Policy, Progress, Report, advance, completes
from playhead.errors import PlayheadError, access_denied, not_authenticated, not_found
from playhead.storage import playback as storage
from playhead.storage.batching import GroupCommit
from playhead.storage.database import Connection, Database
from playhead.storage.playback import Known

NOT_FOUND = {ItemKind.MOVIE: "Media item not found", ItemKind.EPISODE: "Episode not found"}
_WRONG_KIND = {ItemKind.MOVIE: "Media item is not a movie", ItemKind.EPISODE: "Episode not found"}


class Save(NamedTuple):
    """A report on its way to the store. `kind` is what the sender takes the item for."""

    user_id: UserId
    item_id: ItemId
    kind: ItemKind
    report: Report
    received_at: Instant


class Playback:
    """The progress of users. `clock` gives the time, `new_id` a random UUID."""

    def __init__(
        self, database: Database, *, clock: Callable[[], Instant], new_id: Callable[[], str], policy: Policy
    ) -> None:
        self._database = database
        self._clock = clock
        self._new_id = new_id
        self._policy = policy
        self._saves: GroupCommit[Save, Decision] = GroupCommit(self._commit)

    async def read(self, user_id: UserId, role: Role, kind: ItemKind, item_id: ItemId) -> Progress | None:
        """Return a user's progress of an item, None where nothing is saved. Raises NOT_FOUND, ACCESS_DENIED."""
        known = await self._database.peek(lambda connection: storage.find(connection, user_id, role, item_id))
        refusal = _refusal(known, kind)
        if refusal is not None:
            raise refusal
        return known.progress

    async def save(self, user_id: UserId, kind: ItemKind, item_id: ItemId, report: Report) -> Decision:
        """Apply a report and return what it did, once that is durable.

        Raises NOT_AUTHENTICATED for a user that is gone, NOT_FOUND, ACCESS_DENIED, UNAVAILABLE. Saving is idempotent:
        after UNAVAILABLE, send it again.
        """
        return await self._saves.submit(Save(user_id, item_id, kind, report, self._clock()))

    async def close(self) -> None:
        """Refuse further reports and wait until those that were accepted are durable."""
        await self._saves.close()

    async def _commit(self, saves: list[Save]) -> list[Decision | Exception]:
        return await self._database.apply(lambda connection: self._store(connection, saves))

    def _store(self, connection: Connection, saves: list[Save]) -> list[Decision | Exception]:
        batch = _Batch(connection, saves, self._policy)
        results: list[Decision | Exception] = [batch.decide(save) for save in saves]
        storage.store(connection, batch.changed())
        storage.add_plays(connection, [(*key, self._new_id(), at) for key, at in batch.new_plays])
        return results


Key = tuple[UserId, ItemId]


class _Batch:
    """What is known of the keys of one batch. Later reports on a key see what earlier ones decided."""

    def __init__(self, connection: Connection, saves: Sequence[Save], policy: Policy) -> None:
        self._policy = policy
        keys = list({(save.user_id, save.item_id): None for save in saves})
        self._known = dict(zip(keys, storage.load(connection, keys), strict=True))
        self._plays = storage.list_plays(connection, self._keys_completed(saves))
        self._progress: dict[Key, Progress] = {}
        self.new_plays: list[tuple[Key, Instant]] = []

    def _keys_completed(self, saves: Sequence[Save]) -> list[Key]:
        """Plays so far are looked up only where a report completes an item: a few in a hundred."""
        keys: dict[Key, None] = {}
        for save in saves:
            key = (save.user_id, save.item_id)
            known = self._known[key]
            if known is not None and completes(save.report, known.facts, self._policy):
                keys[key] = None
        return list(keys)

    def decide(self, save: Save) -> Decision | PlayheadError:
        key = (save.user_id, save.item_id)
        known = self._known[key]
        refusal = _refusal(known, save.kind)
        if known is None or refusal is not None:
            return refusal or not_authenticated()
        previous = self._progress.get(key, known.progress)
        plays = self._plays.get(key, [])
        decision = advance(previous, save.report, known.facts, self._policy, save.received_at, plays)
        if decision.progress is not previous:
            if previous is not known.progress:
                # However many reports a batch holds for a key, they are one change of its row.
                version = 1 if known.progress is None else known.progress.version + 1
                decision = decision._replace(progress=decision.progress._replace(version=version))
            self._progress[key] = decision.progress
        if decision.play_at is not None:
            self.new_plays.append((key, decision.play_at))
            self._plays.setdefault(key, []).append(decision.play_at)
        return decision

    def changed(self) -> list[tuple[Key, Progress]]:
        """Return what is to be stored, sorted by key: unsorted rows of two processes deadlock."""
        return sorted(self._progress.items())


def _refusal(known: Known | None, kind: ItemKind) -> PlayheadError | None:
    if known is None:
        return not_authenticated()
    if known.kind is None:
        return not_found(NOT_FOUND[kind])
    if not may_see(known.role, granted=known.granted):
        return access_denied()
    if known.kind != kind:
        return not_found(_WRONG_KIND[kind])
    return None
