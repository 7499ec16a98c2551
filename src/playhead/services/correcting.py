"""Corrections of the catalogue by admins: what a file is, what an item is called, where it belongs.

Each is in the audit log with what undoing it needs; `undo` takes it back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import msgspec

from playhead.domain.auditing import Act, AuditEntry
from playhead.domain.catalogue import Item, Library, ParsedName, as_episode_of, identity
from playhead.domain.identifying import IdentifiedAs
from playhead.domain.matching import as_shown
from playhead.domain.model import FileId, Instant, ItemId, ItemKind, LibraryId
from playhead.domain.scanning import with_files
from playhead.errors import PlayheadError, conflict, invalid, not_found
from playhead.media.names.filenames import is_guess
from playhead.services.access import Viewer
from playhead.services.merging import account_of, named, refuse_while_scanning, require_known
from playhead.services.splitting import Parse
from playhead.storage import auditing, catalogue, identifying, merging, splitting
from playhead.storage.engine.database import Connection, Database
from playhead.storage.identifying import NamedFile, StoredIdentification

_RETRY_S = 1.0
_REVIEWED = 200  # files of each kind in a review

PINNABLE = ("title", "year", "external_ids", "runtime_ms", "credits_ms")
"""The members of an item that an admin can set. Scans and imports then leave them alone."""


class FileIdentity(NamedTuple):
    """A file, how its name is read, and what a person said about it. `meant`: what its ids mean, if several items."""

    file: NamedFile
    library: str
    read: ParsedName | None
    told: IdentifiedAs | None
    told_at: Instant | None
    items: Sequence[Item]
    meant: Sequence[Item] = ()


class Review(NamedTuple):
    """The files of a library that a person may want to check: those that are skipped, and those that were guessed.

    A file is guessed if its name says little, or if its external ids mean several items.

    `is_complete`: there are no more of either.
    """

    skipped: Sequence[FileIdentity]
    guessed: Sequence[FileIdentity]
    is_complete: bool


class Correcting:
    """Corrects the catalogue. `scan` starts a scan of a library, `parse` reads the names of files.

    `clock` returns the time, `new_id` a random UUID.
    """

    def __init__(
        self,
        database: Database,
        *,
        scan: Callable[[LibraryId], Awaitable[object]],
        clock: Callable[[], Instant],
        new_id: Callable[[], str],
        parse: Parse,
    ) -> None:
        self._database = database
        self._scan = scan
        self._clock = clock
        self._new_id = new_id
        self._parse = parse
        self._rescans: dict[LibraryId, asyncio.Task[None]] = {}

    async def close(self) -> None:
        """Cancel scans that wait for others; the next scan of the library reads the corrected files."""
        waiting = [*self._rescans.values()]
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    async def rescanned(self) -> None:
        """Wait until the scans have begun that corrections have caused."""
        if self._rescans:
            await asyncio.wait(self._rescans.values())

    # Files

    async def read_identity(self, file_id: FileId) -> FileIdentity:
        """Return a file and what is known of its identity. Raises NOT_FOUND."""
        return await self._database.read(lambda connection: self._identity(connection, _file(connection, file_id)))

    async def list_identities(self, item_id: ItemId) -> list[FileIdentity]:
        """Return the files of an item, or of the episodes of a show, by library and path. Raises NOT_FOUND."""

        def run(connection: Connection) -> list[FileIdentity]:
            found = require_known(connection, item_id, "id")
            return [self._identity(connection, file) for file in identifying.files_of(connection, [found.id])]

        return await self._database.read(run)

    async def review(self, library_id: LibraryId) -> Review:
        """Return the files of a library that are skipped, and those that were guessed. Raises NOT_FOUND."""

        def load(connection: Connection) -> tuple[Library, list[NamedFile]]:
            library = catalogue.find_library(connection, library_id)
            if library is None:
                raise not_found("Library not found")
            return library, identifying.files_to_review(connection, library_id)

        library, files = await self._database.read_long(load)
        skipped = [file for file in files if file.fault is not None]
        guessed = await asyncio.to_thread(self._guessed, library, [file for file in files if file.fault is None])
        shown = skipped[:_REVIEWED], guessed[:_REVIEWED]
        identities = await self._database.read(
            lambda connection: [[self._identity(connection, file) for file in some] for some in shown]
        )
        return Review(*identities, is_complete=max(len(skipped), len(guessed)) <= _REVIEWED)

    def _guessed(self, library: Library, files: Iterable[NamedFile]) -> list[NamedFile]:
        """Return files of which name or ids do not say enough. Reading a name takes longer than looking one up."""
        found: list[NamedFile] = []
        for file in files:
            read = None if file.meant else self._parse(PurePosixPath(file.path), library.kind)
            if file.meant or (read is not None and is_guess(read)):
                found.append(file)
                if len(found) > _REVIEWED:
                    break
        return found

    async def read_identity_at(self, library_id: LibraryId, path: str) -> FileIdentity:
        """Return what is known of the file of a path in a library, as for files that were skipped. Raises NOT_FOUND."""

        def run(connection: Connection) -> FileIdentity:
            file = identifying.find_file_at(connection, library_id, path)
            if file is None:
                raise not_found("File not found")
            return self._identity(connection, file)

        return await self._database.read(run)

    async def identify(self, by: Viewer, file_ids: Sequence[FileId], told: IdentifiedAs) -> FileIdentity:
        """Store what files are, and read them again in the background; return the first of them.

        It is found by content and by path, so that it outlasts rescans, renames and replaced files. Raises NOT_FOUND,
        and INVALID (`item_id`) for an item that is a show or does not exist.
        """
        now = self._clock()

        def run(connection: Connection) -> tuple[FileIdentity, set[LibraryId]]:
            files = [_file(connection, file_id) for file_id in file_ids]
            meant = told if told.item_id is None else replace(told, item_id=_playable(connection, told.item_id))
            before = [row for file in files for row in identifying.remove(connection, file)]
            made = [
                StoredIdentification(
                    self._new_id(),
                    file.library_id,
                    file.path,
                    file.fingerprint,
                    identifying.encode(meant),
                    by.user_id,
                    now,
                )
                for file in files
            ]
            identifying.add(connection, made)
            subject = f"{_paths(files)}: {_as_words(meant)}"
            self._note(connection, by, Act.IDENTIFY, subject, _changed_rows(files, before, made))
            return self._identity(connection, files[0]), {file.library_id for file in files}

        identity_, libraries = await self._database.write(run)
        self._rescan(libraries)
        return identity_

    async def release(self, by: Viewer, file_id: FileId) -> None:
        """Remove what a person said about a file: it is what its name says. NOT_FOUND if nobody did."""

        def run(connection: Connection) -> LibraryId:
            file = _file(connection, file_id)
            before = identifying.remove(connection, file)
            if not before:
                raise not_found("Nobody has said what this file is")
            self._note(connection, by, Act.RELEASE, file.path, _changed_rows([file], before, []))
            return file.library_id

        self._rescan({await self._database.write(run)})

    def _identity(self, connection: Connection, file: NamedFile) -> FileIdentity:
        library = catalogue.find_library(connection, file.library_id)
        stored = identifying.find(connection, file)
        links = identifying.links_of(connection, [file.id])[file.id]
        items = merging.find_items_by_id(connection, links)
        meant = merging.find_items_by_id(connection, file.meant)
        return FileIdentity(
            file,
            "" if library is None else library.name,
            None if library is None else self._parse(PurePosixPath(file.path), library.kind),
            None if stored is None else identifying.decode(stored.told),
            None if stored is None else stored.made_at,
            [items[each] for each in sorted(items)],
            [meant[each] for each in sorted(meant)],
        )

    # Items

    async def change_item(self, by: Viewer, item_id: ItemId, changes: Mapping[str, Any]) -> Item:
        """Set members of an item, by the names of `PINNABLE`, so that scans and imports leave them alone.

        None lets files and imports decide a member again. Raises NOT_FOUND, CONFLICT while a library is scanned,
        INVALID.
        """
        now = self._clock()

        def run(connection: Connection) -> Item:
            refuse_while_scanning(connection, now)
            before = require_known(connection, item_id, "id")
            _refuse_members(before, changes)
            pinned = {**before.pinned, **changes}
            pinned = {name: value for name, value in pinned.items() if value is not None}
            after = self._store_pins(connection, before, pinned)
            data = {"item_id": before.id, "before": _pin_data(before), "after": _pin_data(after)}
            names = dict.fromkeys((named(before), named(after)))  # one if only ids or lengths are changed
            self._note(connection, by, Act.CHANGE_ITEM, " → ".join(names), data)
            return after

        return await self._database.write(run)

    def _store_pins(self, connection: Connection, item: Item, pinned: Mapping[str, Any]) -> Item:
        holdings = catalogue.holdings_of(connection, [item.id])[item.id]
        changed = as_shown(with_files(replace(item, pinned=pinned), item.files), holdings)
        merging.update_items(connection, [changed])
        if changed.kind is ItemKind.SHOW and changed.identity != item.identity:
            episodes = merging.find_items_by_id(connection, splitting.episodes_of(connection, item.id))
            merging.update_items(connection, [as_episode_of(each, changed) for each in episodes.values()])
        return changed

    async def end_holding(self, by: Viewer, library_id: LibraryId, item_id: ItemId) -> None:
        """Take an item, with a show's episodes, out of a library: who sees it by this library no longer does.

        Raises NOT_FOUND, also if the library does not have it.
        """
        now = self._clock()

        def run(connection: Connection) -> None:
            library = catalogue.find_library(connection, library_id)
            if library is None:
                raise not_found("Library not found", member="id")
            item = require_known(connection, item_id, "item")
            ended = splitting.end_holdings(connection, item.id, library.id, now)
            if not ended:
                raise not_found("The library does not have this item", member="item")
            data = {"library_id": library.id, "item_ids": ended, "ended_at": now}
            self._note(connection, by, Act.END_HOLDING, f"{named(item)} in {library.name}", data)

        await self._database.write(run)

    # Undoing

    def undo(self, connection: Connection, entry: AuditEntry) -> set[LibraryId]:
        """Take an act back, in its transaction; return the libraries to scan. Raises CONFLICT if it is overtaken."""
        data: Any = entry.data
        if entry.act is Act.TELL_APART:  # the entry alone says it
            return set()
        if entry.act is Act.CHANGE_ITEM:
            self._undo_change(connection, data)
            return set()
        if entry.act is Act.END_HOLDING:
            splitting.put_back(connection, data["item_ids"], data["library_id"], data["ended_at"])
            return set()
        files = [_file(connection, FileId(file_id)) for file_id in data["file_ids"]]
        removed = [row for file in files for row in identifying.remove(connection, file)]
        if {row.id for row in removed} != set(data["made"]):
            raise overtaken()
        identifying.add(connection, msgspec.convert(data["before"], list[StoredIdentification]))
        return {file.library_id for file in files}

    def rescan(self, library_ids: set[LibraryId]) -> None:
        """Scan libraries in the background, each after a scan that is running."""
        self._rescan(library_ids)

    def _undo_change(self, connection: Connection, data: Any) -> None:  # noqa: ANN401 - as it was stored
        refuse_while_scanning(connection, self._clock())
        item = require_known(connection, ItemId(data["item_id"]), "id")
        if dict(item.pinned) != data["after"]["pinned"]:
            raise overtaken()
        before = {name: value for name, value in data["before"].items() if name != "pinned"}
        was = replace(item, **before)
        if item.kind is not ItemKind.EPISODE:
            was = replace(was, identity=identity(was.title, was.year))
        merging.update_items(connection, [was])
        self._store_pins(connection, was, data["before"]["pinned"])

    # Implementation

    def _note(self, connection: Connection, by: Viewer, act: Act, subject: str, data: Mapping[str, object]) -> None:
        entry = AuditEntry(self._new_id(), self._clock(), account_of(by), act, subject, data)
        auditing.add(connection, entry)

    def _rescan(self, library_ids: set[LibraryId]) -> None:
        for library_id in library_ids:
            waiting = self._rescans.get(library_id)
            if waiting is None or waiting.done():
                self._rescans[library_id] = asyncio.create_task(self._scan_when_free(library_id))

    async def _scan_when_free(self, library_id: LibraryId) -> None:
        """Scan a library. A scan that runs already may have read a file before it was corrected: another follows."""
        while True:
            library = await self._database.read(lambda connection: catalogue.find_library(connection, library_id))
            if library is None or library.path is None:
                return
            if library.scan_until is None or library.scan_until <= self._clock():
                with suppress(PlayheadError):  # another process was faster, or the folder is away
                    await self._scan(library_id)
                return
            await asyncio.sleep(_RETRY_S)


def overtaken() -> PlayheadError:
    """The act cannot be undone: what it changed has changed again."""
    return conflict("It has been changed since")


def _file(connection: Connection, file_id: FileId) -> NamedFile:
    file = identifying.find_file(connection, file_id)
    if file is None:
        raise not_found("File not found")
    return file


def _playable(connection: Connection, item_id: ItemId) -> ItemId:
    found = catalogue.find_item(connection, item_id)
    if found is None or found.kind is ItemKind.SHOW:
        raise invalid({"item_id": ["must be a movie or an episode"]})
    return found.id


def _refuse_members(item: Item, changes: Mapping[str, Any]) -> None:
    faults: dict[str, list[str]] = {}
    if item.kind is ItemKind.EPISODE and changes.get("year") is not None:
        faults["year"] = ["must not be set: an episode has none"]
    for name in ("runtime_ms", "credits_ms"):
        if item.kind is ItemKind.SHOW and changes.get(name) is not None:
            faults[name] = ["must not be set: a show has none"]
    if faults:
        raise invalid(faults)


def _pin_data(item: Item) -> dict[str, object]:
    members: dict[str, object] = {name: getattr(item, name) for name in PINNABLE}
    return {"pinned": dict(item.pinned), **members}


def _changed_rows(
    files: Sequence[NamedFile], before: Sequence[StoredIdentification], made: Sequence[StoredIdentification]
) -> dict[str, object]:
    return {"file_ids": [file.id for file in files], "before": list(before), "made": [row.id for row in made]}


def _paths(files: Sequence[NamedFile]) -> str:
    more = "" if len(files) == 1 else f" (+{len(files) - 1})"
    return f"{files[0].path}{more}"


def _as_words(told: IdentifiedAs) -> str:
    if told.is_ignored:
        return "ignored"
    if told.item_id is not None:
        return f"item {told.item_id}"
    words = [] if told.title is None else [told.title if told.year is None else f"{told.title} ({told.year})"]
    if told.episode_number is not None:
        words.append(f"S{told.season_number or 0:02}E{told.episode_number:02}")
    words += [] if told.air_date is None else [told.air_date.isoformat()]
    words += [] if told.part is None else [f"part {told.part}"]
    words += [] if told.edition is None else [told.edition]
    words += [f"{source} {value}" for source, value in sorted(told.external_ids.items())]
    return ", ".join(words)
