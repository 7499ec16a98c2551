"""Splitting items: chosen files become another item, new or present."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import NamedTuple

from playhead.domain.auditing import Act, AuditEntry
from playhead.domain.catalogue import Item, ParsedName, as_episode_of, identity
from playhead.domain.events import Publish
from playhead.domain.file_facts import played_file
from playhead.domain.model import FileId, Instant, ItemId, ItemKind, LibraryId, LibraryKind
from playhead.domain.playback import Policy
from playhead.domain.scanning import Departure
from playhead.errors import invalid
from playhead.services.access import Viewer
from playhead.services.merging import (
    account_of,
    choose_item,
    must_be,
    named,
    refuse_while_scanning,
    require_known,
    tell,
)
from playhead.storage import auditing, catalogue, identifying, merging
from playhead.storage import splitting as storage
from playhead.storage.engine.database import Connection, Database
from playhead.storage.identifying import NamedFile
from playhead.storage.playback import Key

Parse = Callable[[PurePosixPath, LibraryKind], ParsedName | None]
"""Reads a path relative to a library's folder."""


class SplitPlan(NamedTuple):
    """What an admin wants: these files of an item become another, `into_id` or a new one.

    A new movie or show is named `title` and `year`, else as its first file is. `with_state`: what users have of an item
    moves along if their last report of it named one of the files.
    """

    file_ids: Sequence[FileId]
    into_id: ItemId | None = None
    title: str | None = None
    year: int | None = None
    with_state: bool = False


class _Moves(NamedTuple):
    """The files of a split, their links as they will be, and each item with the one that its files go to."""

    files: list[NamedFile]
    links: dict[FileId, dict[ItemId, int | None]]
    pairs: dict[ItemId, ItemId]


class Splitting:
    """Splits items. `clock` returns the time, `new_id` a random UUID; `parse` reads the names of files."""

    def __init__(  # noqa: PLR0913 - what a service is made of
        self,
        database: Database,
        *,
        clock: Callable[[], Instant],
        new_id: Callable[[], str],
        policy: Policy,
        parse: Parse,
        publish: Publish,
    ) -> None:
        self._database = database
        self._clock = clock
        self._new_id = new_id
        self._policy = policy
        self._parse = parse
        self._publish = publish

    async def split(self, by: Viewer, item_id: ItemId, plan: SplitPlan) -> Item:
        """Make another item of some of an item's files, and return it. That lasts: later scans leave them there.

        The files of a show's episodes become episodes of another show with the same numbers. Those of one episode need
        `into_id`, another episode. Raises NOT_FOUND, CONFLICT while a library is scanned, INVALID (`file_ids`, `into`).
        """
        now = self._clock()

        def run(connection: Connection) -> tuple[Item, set[Key]]:
            refuse_while_scanning(connection, now)
            merging.lock_saves(connection)
            item = require_known(connection, item_id, "id")
            files, links = _chosen(connection, item, plan.file_ids)
            into = self._target(connection, item, plan, files, now)
            moves = self._moves(connection, item, into, files, links, now)
            self._carry_out(connection, moves, by, now)
            self._leave_names(connection, item, into, files)
            changed = self._move_states(connection, moves, plan.file_ids, now) if plan.with_state else set[Key]()
            subject = f"{named(item)} → {named(into)}"
            data = {"from": item.id, "into": into.id, "file_ids": list(plan.file_ids)}
            auditing.add(connection, AuditEntry(self._new_id(), now, account_of(by), Act.SPLIT, subject, data))
            return require_known(connection, into.id, "into"), changed

        into, changed = await self._database.write(run)
        tell(self._publish, changed)
        return into

    def carry(self, connection: Connection, departures: Sequence[Departure]) -> set[Key]:
        """Move state along with files that a scan found to be of other titles; return the keys on both sides.

        Only users whose last report was about such a file are affected. All states are moved in one step, because two
        files may have been swapped. Call `tell` with the result once the transaction has committed.
        """
        if not departures:
            return set()
        merging.lock_saves(connection)
        mover = merging.StateMover(self._policy, self._new_id, self._clock())
        reports = storage.last_reports(connection, {each.source for each in departures})
        moves = {
            (each.user_id, departure.source): departure.into
            for departure in departures
            for each in reports.get(departure.source, ())
            if played_file(each.file_id, each.duration_ms, departure.files) == departure.file_id
        }
        moved = mover.move_some(connection, moves)
        return moved | {key for key, into in moves.items() if (key[0], into) in moved}

    def tell(self, changed: Collection[Key]) -> None:
        """Let users' devices fetch again what has been carried."""
        tell(self._publish, changed)

    def _target(
        self, connection: Connection, item: Item, plan: SplitPlan, files: Sequence[NamedFile], now: Instant
    ) -> Item:
        """Return the item that gets the files; a new one is stored."""
        if plan.into_id is not None:
            into = require_known(connection, plan.into_id, "into")
            if into.id == item.id:
                raise invalid({"into": ["must be another item"]})
            if into.kind is not item.kind:
                raise invalid({"into": [must_be(item.kind)]})
            return into
        if item.kind is ItemKind.EPISODE:
            raise invalid({"into": ["must name the episode that the files belong to"]})
        read = self._read(connection, files[0])
        title, year = (item.title, item.year) if read is None else (read.title, read.year)
        if plan.title is not None:
            title, year = plan.title, plan.year
        into = Item(ItemId(self._new_id()), item.kind, title, identity(title, year), now, year=year)
        storage.add_items(connection, [into])
        return into

    def _read(self, connection: Connection, file: NamedFile) -> ParsedName | None:
        library = catalogue.find_library(connection, file.library_id)
        return None if library is None else self._parse(PurePosixPath(file.path), library.kind)

    def _moves(  # noqa: PLR0913 - both items, and what is known of the files
        self,
        connection: Connection,
        item: Item,
        into: Item,
        files: list[NamedFile],
        links: Mapping[FileId, Mapping[ItemId, int | None]],
        now: Instant,
    ) -> _Moves:
        pairs = {item.id: into.id}
        if item.kind is ItemKind.SHOW:
            pairs = self._pair_episodes(connection, into, {each for several in links.values() for each in several}, now)
        moved = {
            file_id: {pairs.get(each, each): part for each, part in several.items()}
            for file_id, several in links.items()
        }
        return _Moves(files, moved, pairs)

    def _pair_episodes(
        self, connection: Connection, into: Item, episode_ids: Collection[ItemId], now: Instant
    ) -> dict[ItemId, ItemId]:
        """Return each episode with that of the same number or date in another show; missing ones are added there."""
        mine = merging.find_items_by_id(connection, episode_ids)
        theirs = merging.find_items_by_id(connection, storage.episodes_of(connection, into.id))
        by_number = {_number(each): each.id for each in sorted(theirs.values(), key=lambda each: each.id, reverse=True)}
        added: list[Item] = []
        for episode in sorted(mine.values(), key=lambda each: each.id):
            if _number(episode) not in by_number:
                moved = as_episode_of(episode, into)
                new = replace(moved, id=ItemId(self._new_id()), added_at=now, external_ids={}, files=(), pinned={})
                added.append(new)
                by_number[_number(episode)] = new.id
        storage.add_items(connection, added)
        return {episode.id: by_number[_number(episode)] for episode in mine.values()}

    def _carry_out(self, connection: Connection, moves: _Moves, by: Viewer, now: Instant) -> None:
        identifying.replace_links(connection, moves.links)
        targets = merging.find_items_by_id(connection, moves.pairs.values())
        shows = {each.show_id for each in targets.values() if each.show_id is not None}
        targets |= merging.find_items_by_id(connection, shows)
        by_library: dict[LibraryId, list[Item]] = {}
        for file in moves.files:
            if file.is_present:
                items = [targets[each] for each in moves.links[file.id] if each in targets]
                items += [targets[each.show_id] for each in items if each.show_id is not None]
                by_library.setdefault(file.library_id, []).extend(items)
        for library_id, items in by_library.items():
            storage.hold(connection, items, [library_id], now)
        sources = merging.find_items_by_id(connection, moves.pairs)
        emptied = {*sources, *(each.show_id for each in sources.values() if each.show_id is not None)}
        storage.drop_empty_holdings(connection, emptied, now)
        first = {file.id: _first(moves.links[file.id], targets) for file in moves.files}
        choose_item(connection, moves.files, first, self._new_id, by, now)
        merging.renew_files(connection, {*moves.pairs, *moves.pairs.values()})

    def _leave_names(self, connection: Connection, item: Item, into: Item, files: Sequence[NamedFile]) -> None:
        """Take from an item the names of titles that it was merged with, if only files that have left it have them."""
        if item.kind is ItemKind.EPISODE:
            return
        staying = [file for file in identifying.files_of(connection, [item.id]) if file not in files]
        left = {identity(into.title, into.year), *self._names(connection, files)}
        left -= self._names(connection, staying)
        changed = [
            each._replace(also=kept)
            for each in catalogue.holdings_of(connection, [item.id])[item.id]
            if (kept := tuple(name for name in each.also if identity(*name) not in left)) != each.also
        ]
        catalogue.store_holdings(connection, changed)

    def _names(self, connection: Connection, files: Iterable[NamedFile]) -> set[str]:
        """Return the identities of the movies or shows that the names of files tell."""
        read = (self._read(connection, file) for file in files)
        return {identity(name.title, name.year) for name in read if name is not None}

    def _move_states(
        self, connection: Connection, moves: _Moves, file_ids: Collection[FileId], now: Instant
    ) -> set[Key]:
        """Move the state of users who played the files; return the keys on both sides, which devices fetch again."""
        mover = merging.StateMover(self._policy, self._new_id, now)
        changed: set[Key] = set()
        for item_id, reports in storage.last_reports(connection, moves.pairs).items():
            users = {each.user_id for each in reports if each.file_id in file_ids}
            moved = mover.move(connection, {item_id: moves.pairs[item_id]}, users) if users else set[Key]()
            changed |= moved | {(user_id, item_id) for user_id, _ in moved}
        return changed


def _chosen(
    connection: Connection, item: Item, file_ids: Sequence[FileId]
) -> tuple[list[NamedFile], dict[FileId, dict[ItemId, int | None]]]:
    """Return files of an item and their links. Raises INVALID (`file_ids`)."""
    of_item = {file.id: file for file in identifying.files_of(connection, [item.id])}
    if not file_ids:
        raise invalid({"file_ids": ["must name at least one file"]})
    strange = [file_id for file_id in file_ids if file_id not in of_item]
    if strange:
        raise invalid({"file_ids": [f"{file_id} is not a file of this item" for file_id in strange]})
    files = [of_item[file_id] for file_id in dict.fromkeys(file_ids)]
    return files, identifying.links_of(connection, [file.id for file in files])


def _number(episode: Item) -> tuple[object, ...]:
    if episode.episode_number is not None:
        return episode.season_number, episode.episode_number
    return (episode.air_date,)


def _first(links: Mapping[ItemId, int | None], known: Mapping[ItemId, Item]) -> ItemId:
    """Return the item that a file is chosen for: the first of its episodes."""
    return min(links, key=lambda each: (each not in known, known[each].episode_number or 0 if each in known else 0))
