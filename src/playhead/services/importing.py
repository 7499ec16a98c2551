"""Catalogue imports for front ends that keep their own files: load, decide, store all or nothing."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from playhead.domain.catalogue import Library
from playhead.domain.importing import (
    FAULTS_MAX,
    ImportEntry,
    ImportPlan,
    LineFault,
    LookupKeys,
    StoredItems,
    details,
    plan,
    wanted,
)
from playhead.domain.model import Instant
from playhead.errors import invalid
from playhead.storage import importing
from playhead.storage.engine.database import Connection, Database
from playhead.storage.importing import ItemRows


@dataclass(frozen=True, slots=True)
class ImportReport:
    """How many lines added an item, changed one, or changed nothing."""

    added: int
    changed: int
    unchanged: int


class Importer:
    """Runs imports one at a time. `clock` returns the time, `new_id` a random UUID."""

    def __init__(self, database: Database, *, clock: Callable[[], Instant], new_id: Callable[[], str]) -> None:
        self._database = database
        self._clock = clock
        self._new_id = new_id
        self._turn = asyncio.Lock()

    async def run(self, entries: Sequence[ImportEntry], faults: Sequence[LineFault] = ()) -> ImportReport:
        """Import all lines in one transaction. Idempotent; items that no line names are not removed.

        `faults` are those of lines that could not be parsed. Raises INVALID with these and all further faults by line;
        nothing has been imported then.
        """
        if len(faults) > FAULTS_MAX:
            raise invalid(details(faults))
        async with self._turn:
            # Saves wait for the one writer, so as much as possible is done before taking it.
            needed = await asyncio.to_thread(wanted, entries)
            stored = await self._database.read_long(partial(importing.load, wanted=needed))
            decided = await asyncio.to_thread(self._decide, entries, stored, needed, faults)
            if decided.written:
                rows = await asyncio.to_thread(importing.rows_of, decided, stored.items, self._clock())
                decided = await self._database.write(partial(self._store, entries, stored, decided, rows))
        unchanged = len(entries) - decided.added_lines - decided.changed_lines
        return ImportReport(decided.added_lines, decided.changed_lines, unchanged)

    def _decide(
        self, entries: Sequence[ImportEntry], stored: StoredItems, needed: LookupKeys, faults: Sequence[LineFault] = ()
    ) -> ImportPlan:
        decided = plan(
            entries, stored, needed.identities, in_doubt=bool(faults), now=self._clock(), new_id=self._new_id
        )
        if faults or decided.faults:
            raise invalid(details((*faults, *decided.faults)))
        return decided

    def _store(
        self,
        entries: Sequence[ImportEntry],
        stored: StoredItems,
        decided: ImportPlan,
        rows: ItemRows,
        connection: Connection,
    ) -> ImportPlan:
        """Store the plan, or a new one if another process changed the items meanwhile."""
        needed = wanted(decided.written)
        concerned = [*(item.id for item in decided.changed), *(each.item_id for each in decided.holdings)]
        needed = needed._replace(ids=list(dict.fromkeys([*needed.ids, *concerned])))
        present = importing.load(connection, needed)
        same = all(
            stored.items.get(item_id) == item and stored.holdings.get(item_id) == present.holdings.get(item_id)
            for item_id, item in present.items.items()
        )
        same = same and all(stored.aliases.get(old) == item_id for old, item_id in present.aliases.items())
        there = all(item.id in present.items for item in decided.changed)
        if not (same and there and _libraries(stored) == _libraries(present)):
            needed = wanted(entries)
            present = importing.load(connection, needed)
            decided = self._decide(entries, present, needed)
            rows = importing.rows_of(decided, present.items, self._clock())
        importing.store(connection, rows)
        return decided


def _libraries(stored: StoredItems) -> list[Library]:
    return [library for library in stored.libraries if library.path is None]
