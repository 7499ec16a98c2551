"""Merging items that are one title: by an admin, or because it is certain. Lets clients know, and sweeps afterwards."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from playhead.domain.auditing import Act, AuditEntry
from playhead.domain.catalogue import Item
from playhead.domain.doubles import Doubles, PossiblePair, find_doubles, keep_apart
from playhead.domain.events import Change, Publish, Topic
from playhead.domain.identifying import IdentifiedAs
from playhead.domain.matching import contradict
from playhead.domain.model import NOBODY, FileId, Instant, ItemId, ItemKind, UserId
from playhead.domain.playback import Policy
from playhead.domain.texts import shown
from playhead.errors import PlayheadError, conflict, invalid, not_found
from playhead.services.access import Viewer
from playhead.storage import auditing, catalogue, doubles, identifying
from playhead.storage import merging as storage
from playhead.storage.engine.database import Connection, Database
from playhead.storage.identifying import NamedFile, StoredIdentification
from playhead.storage.merging import MergeOutcome, StateMover
from playhead.storage.playback import Key

log = logging.getLogger(__name__)

_AT_ONCE = 5  # merges in one transaction, during which saves wait
_SWEEP_S = 5.0


class Merged(NamedTuple):
    """The result of a merge: the item that stays, and the other show's episodes without a counterpart in it."""

    item: Item
    left_over: Sequence[Item]


class Merging:
    """Merges items. `clock` returns the time, `new_id` a random UUID; `publish` tells clients what changed."""

    def __init__(  # noqa: PLR0913 - what a service is made of
        self,
        database: Database,
        *,
        clock: Callable[[], Instant],
        new_id: Callable[[], str],
        policy: Policy,
        publish: Publish,
        sweep_s: float = _SWEEP_S,
    ) -> None:
        self._database = database
        self._clock = clock
        self._new_id = new_id
        self._policy = policy
        self._publish = publish
        self._sweep_s = sweep_s
        self._sweeping: asyncio.Task[None] | None = None

    # By an admin

    async def merge(self, by: Viewer, into_id: ItemId, source_id: ItemId) -> Merged:
        """Merge an item into another: everything that anybody has of it becomes the other's, and its id an alias.

        Raises NOT_FOUND, CONFLICT while a library is scanned or for private items of two users, and INVALID (`from`)
        for an item of another kind or the item itself.
        """
        now = self._clock()

        def run(connection: Connection) -> tuple[MergeOutcome, Merged]:
            into, source = require_known(connection, into_id, "id"), require_known(connection, source_id, "from")
            _refuse_unlike(into, source)
            refuse_while_scanning(connection, now)
            if contradict(into.external_ids, source.external_ids):  # else its files find the item by name
                files = identifying.files_of(connection, [source.id])
                links = identifying.links_of(connection, [file.id for file in files])
                chosen = {file_id: min(items) for file_id, items in links.items() if len(items) == 1}
                alone = [file for file in files if file.id in chosen]
                choose_item(connection, alone, chosen, self._new_id, by, now)
            outcome = storage.merge(connection, self._mover(now), {source.id: into.id}, now)
            subject = f"{named(source)} → {named(into)}"
            data = {"into": into.id, "from": source.id, "left_over": list(outcome.left_over)}
            auditing.add(connection, AuditEntry(self._new_id(), now, account_of(by), Act.MERGE, subject, data))
            items = [catalogue.find_item(connection, item_id) for item_id in (into.id, *outcome.left_over)]
            stays, *left_over = [each for each in items if each is not None]
            return outcome, Merged(stays, left_over)

        outcome, merged = await self._database.write(run)
        self._after([outcome])
        return merged

    async def tell_apart(self, by: Viewer, one_id: ItemId, other_id: ItemId) -> None:
        """Store that two items are two titles: scans and starts never merge them, and do not list them again.

        It holds until it is undone in the log, where it is stored, or until an admin merges them. Nothing changes if it
        is known already. Raises NOT_FOUND, and INVALID (`other`) for an item of another kind or the item itself.
        """
        now = self._clock()

        def run(connection: Connection) -> None:
            one, other = require_known(connection, one_id, "id"), require_known(connection, other_id, "other")
            _refuse_other_kind(one, other, "other")
            if frozenset((one.id, other.id)) not in auditing.told_apart(connection):
                subject, data = f"{named(one)} ≠ {named(other)}", {"item_ids": [one.id, other.id]}
                entry = AuditEntry(self._new_id(), now, account_of(by), Act.TELL_APART, subject, data)
                auditing.add(connection, entry)

        await self._database.write(run)

    # What is certain

    async def merge_certain(self) -> int:
        """Merge what is certainly one title; return how many items became aliases.

        Nothing is merged while a library is scanned: its items are looked at after the scan.
        """
        certain = (await self._find()).certain
        return await self._merge_all(certain)

    async def merge_found(self, pairs: Iterable[tuple[ItemId, ItemId]]) -> int:
        """Merge pairs (stays, goes) that a scan has found to be one title; return how many became aliases."""
        found: dict[ItemId, ItemId] = {}
        for stays, goes in pairs:
            if goes not in found and stays != goes:
                found[goes] = stays
        return await self._merge_all({goes: _final(found, stays) for goes, stays in found.items()})

    async def list_possible(self) -> Sequence[PossiblePair]:
        """Return pairs of items that may be one title, for an admin to decide."""
        return (await self._find()).possible

    async def _find(self) -> Doubles:
        titles = await self._database.read_long(doubles.load_shared)
        return await asyncio.to_thread(find_doubles, titles.items, titles.lengths, titles.decided, titles.apart)

    async def _merge_all(self, pairs: Mapping[ItemId, ItemId]) -> int:
        outcomes: list[MergeOutcome] = []
        rest = iter(sorted(pairs.items(), key=lambda pair: (pair[1], pair[0])))
        while some := dict(islice(rest, _AT_ONCE)):
            outcome = await self._database.write(lambda connection, some=some: self._merge_some(connection, some))
            if outcome is None:
                break
            outcomes.append(outcome)
            self._after([outcome])
        return sum(len(outcome.aliases) for outcome in outcomes)

    def _merge_some(self, connection: Connection, pairs: Mapping[ItemId, ItemId]) -> MergeOutcome | None:
        """Merge those of the pairs that still are two items of one kind; None while a library is scanned."""
        now = self._clock()
        if scanned_library(connection, now) is not None:
            return None
        known = storage.find_items_by_id(connection, {*pairs, *pairs.values()})
        still = {
            goes: stays
            for goes, stays in pairs.items()
            if goes in known and stays in known and known[goes].kind is known[stays].kind
        }
        still = keep_apart(still, auditing.told_apart(connection))
        if not still:
            return MergeOutcome({}, (), ())
        outcome = storage.merge(connection, self._mover(now), still, now)
        for goes, stays in still.items():
            subject = f"{named(known[goes])} → {named(known[stays])}"
            data = {"into": stays, "from": goes}
            auditing.add(connection, AuditEntry(self._new_id(), now, None, Act.MERGE, subject, data))
        return outcome

    # The sweep

    def start(self) -> None:
        """Merge what is certain, and sweep what earlier merges left, in the background."""
        self._sweeping = asyncio.create_task(self._begin())

    async def close(self) -> None:
        """End the work in the background; the next start goes on with it."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            with suppress(asyncio.CancelledError):
                await self._sweeping

    async def swept(self) -> None:
        """Wait until the work in the background has ended."""
        if self._sweeping is not None:
            await asyncio.wait([self._sweeping])

    async def sweep(self) -> bool:
        """Move what was stored under recent aliases after their merge. Returns whether some are still open."""
        now = self._clock()

        def run(connection: Connection) -> tuple[set[Key], bool]:
            return storage.sweep(connection, self._mover(now), now), storage.any_open(connection)

        changed, goes_on = await self._database.write(run)
        tell(self._publish, changed)
        return goes_on

    async def _begin(self) -> None:
        try:
            number = await self.merge_certain()
            if number:
                log.info("%s items were other items' titles, and are merged with them", number)
        except PlayheadError as error:
            log.warning("Items were not merged: %s", shown(error.message))
        await self._sweep_all()

    async def _sweep_all(self) -> None:
        goes_on = True
        while goes_on:
            with suppress(PlayheadError):  # the store is busy, full or has failed: retried
                goes_on = await self._database.read(storage.any_open) and await self.sweep()
            if goes_on:
                await asyncio.sleep(self._sweep_s)

    # Implementation

    def _mover(self, now: Instant) -> StateMover:
        return StateMover(self._policy, self._new_id, now)

    def _after(self, outcomes: Sequence[MergeOutcome]) -> None:
        for outcome in outcomes:
            tell(self._publish, outcome.changed, outcome.aliases)
        if self._sweeping is None or self._sweeping.done():
            self._sweeping = asyncio.create_task(self._sweep_all())


def choose_item(  # noqa: PLR0913 - one row per file
    connection: Connection,
    files: Iterable[NamedFile],
    chosen: Mapping[FileId, ItemId],
    new_id: Callable[[], str],
    by: Viewer,
    now: Instant,
) -> None:
    """Store that files are of the items chosen for them, so that later scans leave them there."""
    for file in files:
        before = identifying.remove(connection, file)
        told = identifying.decode(before[-1].told) if before else IdentifiedAs()
        row = StoredIdentification(
            new_id(),
            file.library_id,
            file.path,
            file.fingerprint,
            identifying.encode(replace(told, item_id=chosen[file.id])),
            by.user_id,
            now,
        )
        identifying.add(connection, [row])


def tell(publish: Publish, changed: Collection[Key], aliases: Mapping[ItemId, ItemId] | None = None) -> None:
    """Let each user's devices fetch what changed again, by the old ids, too."""
    old: dict[ItemId, list[ItemId]] = {}
    for goes, stays in (aliases or {}).items():
        old.setdefault(stays, []).append(goes)
    of_user: dict[UserId, list[ItemId]] = {}
    for user_id, item_id in sorted(changed):
        of_user.setdefault(user_id, []).extend((item_id, *old.get(item_id, ())))
    publish([Change(user_id, Topic.WATCHED, tuple(item_ids)) for user_id, item_ids in of_user.items()])


def account_of(by: Viewer) -> UserId | None:
    """Return the account of an admin; None for the command line."""
    return None if by.user_id == NOBODY else by.user_id


def scanned_library(connection: Connection, now: Instant) -> str | None:
    """Return the name of a library that is being scanned. No scan begins until the transaction ends."""
    running = (name for _, name, until in storage.lock_libraries(connection) if until is not None and now < until)
    return next(running, None)


def refuse_while_scanning(connection: Connection, now: Instant) -> None:
    """Raise CONFLICT if a library is being scanned: a scan would bring back what is changed meanwhile."""
    name = scanned_library(connection, now)
    if name is not None:
        raise conflict(f"The library {name} is being scanned: try again when the scan has ended")


def require_known(connection: Connection, item_id: ItemId, member: str) -> Item:
    """Return the item that an id means. Raises NOT_FOUND, with the `member` that names it."""
    found = catalogue.find_item(connection, item_id)
    if found is None:
        raise not_found("Item not found", member=member)
    return found


def _refuse_other_kind(one: Item, other: Item, member: str) -> None:
    if one.id == other.id:
        raise invalid({member: ["must be another item: they are one already"]})
    if one.kind is not other.kind:
        raise invalid({member: [must_be(one.kind)]})


def _refuse_unlike(into: Item, source: Item) -> None:
    _refuse_other_kind(into, source, "from")
    if into.owner_id is not None and source.owner_id not in (None, into.owner_id):
        raise conflict("Both are private items, of two users")


def must_be(kind: ItemKind) -> str:
    """Return the fault of an item that is of another kind."""
    return "must be an episode" if kind is ItemKind.EPISODE else f"must be a {kind.value}"


def named(item: Item) -> str:
    """Return an item in words, for the audit log."""
    if item.kind is ItemKind.EPISODE and item.episode_number is not None:
        return f"{item.title} (S{item.season_number or 0:02}E{item.episode_number:02})"
    return item.title if item.year is None else f"{item.title} ({item.year})"


def _final(pairs: Mapping[ItemId, ItemId], item_id: ItemId) -> ItemId:
    seen: set[ItemId] = set()
    while item_id in pairs and item_id not in seen:
        seen.add(item_id)
        item_id = pairs[item_id]
    return item_id
