"""The audit log: what admins did to the catalogue and for other users, and taking it back."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from playhead.domain.auditing import Act, AuditEntry
from playhead.domain.model import Instant, LibraryId
from playhead.errors import conflict, not_found
from playhead.services.correcting import Correcting
from playhead.services.cursors import TimeCursor, decode_cursor, encode_cursor
from playhead.services.libraries import Libraries
from playhead.storage import auditing as storage
from playhead.storage import lists
from playhead.storage.catalogue import LibraryNameTakenError
from playhead.storage.engine.database import Connection, Database

_NOT_UNDONE = "A merge or a split cannot be undone: split the item, or merge the two, instead"
_NOT_RETURNED = "A token cannot be taken back: revoke it instead"
_OF_LIBRARIES = frozenset({Act.RENAME_LIBRARY, Act.MOVE_LIBRARY, Act.REMOVE_LIBRARY})


class AuditView(NamedTuple):
    """An act and the name of who did it; None for the command line, for scans, and for accounts that are gone."""

    entry: AuditEntry
    user: str | None


class AuditPage(NamedTuple):
    """A page of the log; `next_cursor` is None at the end."""

    entries: Sequence[AuditView]
    next_cursor: str | None


class Audit:
    """The audit log. `clock` returns the time."""

    def __init__(
        self, database: Database, correcting: Correcting, libraries: Libraries, *, clock: Callable[[], Instant]
    ) -> None:
        self._database = database
        self._correcting = correcting
        self._libraries = libraries
        self._clock = clock

    async def page(self, cursor: str | None, limit: int) -> AuditPage:
        """Return acts, newest first. Raises INVALID (`cursor`)."""
        after = None if cursor is None else decode_cursor(cursor, TimeCursor)

        def load(connection: Connection) -> AuditPage:
            entries = storage.list_entries(connection, after, limit + 1)
            shown = entries[:limit]
            names = lists.names_of(connection, sorted({each.user_id for each in shown if each.user_id is not None}))
            views = [AuditView(each, None if each.user_id is None else names.get(each.user_id)) for each in shown]
            last = shown[-1] if len(entries) > limit else None
            return AuditPage(views, None if last is None else encode_cursor(TimeCursor(last.at, last.id)))

        return await self._database.read(load)

    async def undo(self, entry_id: str) -> None:
        """Undo an act. Raises NOT_FOUND, and CONFLICT for a merge, a split, a token, and what has changed since."""

        def run(connection: Connection) -> tuple[AuditEntry, set[LibraryId]]:
            entry = storage.find(connection, entry_id)
            if entry is None:
                raise not_found("Act not found")
            if entry.undone_at is not None:
                raise conflict("It is undone already")
            if not entry.can_undo:
                raise conflict(_NOT_RETURNED if entry.act is Act.CREATE_TOKEN else _NOT_UNDONE)
            undo = self._libraries.undo if entry.act in _OF_LIBRARIES else self._correcting.undo
            libraries = undo(connection, entry)
            storage.mark_undone(connection, entry.id, self._clock())
            return entry, libraries

        try:
            entry, libraries = await self._database.write(run)
        except LibraryNameTakenError:
            raise conflict("Another library has the name now", member="name") from None
        await self._libraries.restored(entry)
        self._correcting.rescan(libraries)
