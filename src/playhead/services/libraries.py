"""Changes of libraries by admins: name, folder, removal. Each is in the audit log and can be undone."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from playhead.domain.accounts import clean_name
from playhead.domain.auditing import Act, AuditEntry
from playhead.domain.catalogue import Library, TitlesOnRemoval
from playhead.domain.events import Change, Publish, Topic
from playhead.domain.model import Instant, ItemId, LibraryId, UserId
from playhead.errors import conflict, not_found, refuse_faults
from playhead.media.folders import nested
from playhead.services.access import Viewer
from playhead.services.catalogue import library_name_faults, readable_folder
from playhead.services.correcting import overtaken
from playhead.services.merging import account_of, refuse_while_scanning
from playhead.storage import auditing, catalogue, merging
from playhead.storage import libraries as storage
from playhead.storage.catalogue import LibraryNameTakenError
from playhead.storage.engine.database import Connection, Database

_ITEMS_AT_ONCE = 500  # in one transaction: saves wait for it


class Libraries:
    """Changes libraries. `clock` returns the time, `new_id` a random UUID."""

    def __init__(
        self, database: Database, *, clock: Callable[[], Instant], new_id: Callable[[], str], publish: Publish
    ) -> None:
        self._database = database
        self._clock = clock
        self._new_id = new_id
        self._publish = publish

    async def change(
        self, by: Viewer, library_id: LibraryId, *, name: str | None = None, path: str | None = None
    ) -> Library:
        """Give a library another name, another folder, or both. A scan then finds its files, by content if need be.

        Raises NOT_FOUND, INVALID (`name`, `path`), and CONFLICT for a name that is taken, for a folder of
        another library, and while the library is scanned.
        """
        folder = None if path is None else readable_folder(path)
        refuse_faults(
            name=[] if name is None else library_name_faults(name),
            path=["must be an existing folder that can be read"] if path is not None and folder is None else [],
        )

        def run(connection: Connection) -> Library:
            before = _require(connection, library_id)
            if name is not None and clean_name(name) != before.name:
                self._rename(connection, by, before, clean_name(name))
            if folder is not None and str(folder) != before.path:
                self._move(connection, by, before, folder)
            return _require(connection, library_id)

        try:
            return await self._database.write(run)
        except LibraryNameTakenError:
            raise conflict("This name is taken", member="name") from None

    def _rename(self, connection: Connection, by: Viewer, before: Library, name: str) -> None:
        catalogue.rename_library(connection, before.id, name)
        data = {"library_id": before.id, "before": before.name, "after": name}
        self._note(connection, by, Act.RENAME_LIBRARY, f"{before.name} → {name}", data)

    def _move(self, connection: Connection, by: Viewer, before: Library, folder: Path) -> None:
        if before.path is None:
            raise conflict(f"The library {before.name} has no folder: its items are imported", member="path")
        refuse_while_scanning(connection, self._clock())
        _refuse_nested(folder, (each for each in catalogue.list_libraries(connection) if each.id != before.id))
        storage.move(connection, before.id, str(folder))
        data = {"library_id": before.id, "before": before.path, "after": str(folder)}
        self._note(connection, by, Act.MOVE_LIBRARY, f"{before.name}: {before.path} → {folder}", data)

    async def remove(self, by: Viewer, library_id: LibraryId, titles: TitlesOnRemoval) -> None:
        """Remove a library. Its titles stay known, so that the same folder finds them again, wherever it is added.

        With DELETE, what all users have of titles that no library has any more is deleted; undoing does not bring that
        back. Raises NOT_FOUND, and CONFLICT while a library is scanned.
        """
        now = self._clock()

        def run(connection: Connection) -> tuple[list[ItemId], set[UserId]]:
            library = _require(connection, library_id)
            refuse_while_scanning(connection, now)
            catalogue.remove_library(connection, library.id, now)
            forgotten = storage.orphans_of(connection, library.id) if titles is TitlesOnRemoval.DELETE else []
            users = merging.remove_states(connection, forgotten)
            data = {"library_id": library.id, "removed_at": now, "forgotten": len(forgotten)}
            self._note(connection, by, Act.REMOVE_LIBRARY, library.name, data)
            return storage.items_of(connection, library.id), users

        items, users = await self._database.write(run)
        self._publish([Change(user_id, Topic.WATCHED, ()) for user_id in sorted(users)])
        await self._renew(items)

    async def _renew(self, items: list[ItemId]) -> None:
        """Let items forget, or know again, the files of a library. Viewers see only files that they may see anyway."""
        for start in range(0, len(items), _ITEMS_AT_ONCE):
            some = items[start : start + _ITEMS_AT_ONCE]
            await self._database.write(lambda connection, some=some: merging.renew_files(connection, some))

    # Undoing

    def undo(self, connection: Connection, entry: AuditEntry) -> set[LibraryId]:
        """Take an act back, in its transaction; return the libraries to scan. Raises CONFLICT if it is overtaken."""
        data: Any = entry.data
        library_id = LibraryId(data["library_id"])
        if entry.act is Act.REMOVE_LIBRARY:
            return self._restore(connection, library_id, data["removed_at"])
        library = _require(connection, library_id)
        if entry.act is Act.RENAME_LIBRARY:
            if library.name != data["after"]:
                raise overtaken()
            catalogue.rename_library(connection, library_id, data["before"])
            return set()
        if library.path != data["after"]:
            raise overtaken()
        refuse_while_scanning(connection, self._clock())
        _refuse_nested(Path(data["before"]), catalogue.list_libraries(connection))
        storage.move(connection, library_id, data["before"])
        return {library_id}

    def _restore(self, connection: Connection, library_id: LibraryId, removed_at: Instant) -> set[LibraryId]:
        library = storage.find_removed(connection, library_id, removed_at)
        if library is None:
            raise overtaken()
        if library.path is not None:
            _refuse_nested(Path(library.path), catalogue.list_libraries(connection))
        storage.restore(connection, library_id, removed_at)
        return set() if library.path is None else {library_id}

    async def restored(self, entry: AuditEntry) -> None:
        """Complete the undoing of a removal, after its transaction."""
        if entry.act is Act.REMOVE_LIBRARY:
            library_id = LibraryId(str(entry.data["library_id"]))
            await self._renew(await self._database.read(lambda connection: storage.items_of(connection, library_id)))

    def _note(self, connection: Connection, by: Viewer, act: Act, subject: str, data: Mapping[str, object]) -> None:
        entry = AuditEntry(self._new_id(), self._clock(), account_of(by), act, subject, data)
        auditing.add(connection, entry)


def _require(connection: Connection, library_id: LibraryId) -> Library:
    library = catalogue.find_library(connection, library_id)
    if library is None:
        raise not_found("Library not found")
    return library


def _refuse_nested(folder: Path, libraries: Iterable[Library]) -> None:
    others = [Path(each.path) for each in libraries if each.path is not None and Path(each.path) != folder]
    if nested(folder, others) is not None:
        raise conflict("The folder belongs to another library, or contains one", member="path")
