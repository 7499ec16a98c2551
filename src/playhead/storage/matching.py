"""Queries behind the search for the item that a file or a line means. Decides nothing."""

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from playhead.domain.catalogue import Holding, Item
from playhead.domain.matching import Clue, title_key
from playhead.domain.model import ItemId, ItemKind, LibraryId
from playhead.domain.scanning import ContentElsewhere, FoundItems
from playhead.storage.catalogue import chunks, find_items, holdings_of, resolve
from playhead.storage.schema import external_id, file_item, item, library, media_file

# Conditions in one statement: each is a node of an expression, of which SQLite allows a depth of 1,000.
_RANGES_AT_ONCE = 50


def find_candidates(
    connection: Connection, clues: Sequence[Clue], known_shows: Collection[ItemId] = frozenset()
) -> FoundItems:
    """Return the items that these clues may mean, with their holdings and shows, and all episodes of these shows.

    By id, aliases resolved; by external id of the item or its show; by title and year, where one year may be unknown or
    one off; by content, in any library but the clue's. `known_shows` are those whose episodes are not needed again.
    """
    ids = dict.fromkeys(each.id for each in clues if each.id is not None)
    for old, new in resolve(connection, list(ids)).items():
        del ids[old]
        ids[new] = None
    _add(ids, _by_external_ids(connection, clues))
    _add(ids, _by_titles(connection, clues))
    contents = _contents(connection, clues)
    _add(ids, (item_id for content in contents for item_id in content.item_ids))
    return load(connection, ids, contents, known_shows)


def load(
    connection: Connection,
    item_ids: Iterable[ItemId],
    contents: Sequence[ContentElsewhere] = (),
    known_shows: Collection[ItemId] = frozenset(),
) -> FoundItems:
    """Return these items with their holdings and shows, and all episodes of these shows. Shows come first."""
    items = dict[ItemId, Item]()

    def find(column: ColumnElement[str], values: Iterable[str]) -> None:
        for some in chunks(sorted(values)):
            items.update((each.id, each) for each in find_items(connection, select(item).where(column.in_(some))))

    find(item.c.id, item_ids)
    find(item.c.id, {each.show_id for each in items.values() if each.show_id} - items.keys())
    shows = {each.id for each in items.values() if each.kind is ItemKind.SHOW}
    find(item.c.show_id, shows.difference(known_shows))
    holdings = list[Holding]()
    for some in holdings_of(connection, items).values():
        holdings += some
    ordered = sorted(items.values(), key=lambda each: each.kind is ItemKind.EPISODE)
    return FoundItems(ordered, holdings, contents)


def _add(ids: dict[ItemId, None], more: Iterable[str]) -> None:
    ids.update(dict.fromkeys(ItemId(item_id) for item_id in more))


def _by_external_ids(connection: Connection, clues: Sequence[Clue]) -> list[str]:
    values: dict[str, dict[str, None]] = {}
    for clue in clues:
        for source, value in (*clue.external_ids.items(), *clue.show_ids.items()):
            values.setdefault(source, {})[value] = None
    found: list[str] = []
    for source, several in values.items():
        for some in chunks(list(several)):
            of_source = and_(external_id.c.source == source, external_id.c.value.in_(some))
            found += connection.scalars(select(external_id.c.item_id).where(of_source))
    return found


def _by_titles(connection: Connection, clues: Sequence[Clue]) -> list[str]:
    """Return movies and shows with these titles, and years that are equal, unknown or one off."""
    exact: dict[str, None] = {}
    of_any_year: dict[str, None] = {}
    for title, year in {(title, clue.year) for clue in clues for title in clue.titles}:
        key = title_key(title)
        if year is None:
            of_any_year[key] = None
        else:
            exact |= dict.fromkeys(f"{key}|{each}|" for each in (year, "", year - 1, year + 1))
    found: list[str] = []
    for some in chunks(list(exact)):
        found += connection.scalars(select(item.c.id).where(item.c.identity.in_(some)))
    keys = list(of_any_year)
    for start in range(0, len(keys), _RANGES_AT_ONCE):
        ranges = [
            and_(item.c.identity >= f"{key}|", item.c.identity < f"{key}}}")
            for key in keys[start : start + _RANGES_AT_ONCE]
        ]
        whole = item.c.kind != ItemKind.EPISODE.value
        found += connection.scalars(select(item.c.id).where(or_(*ranges), whole))
    return found


def _contents(connection: Connection, clues: Sequence[Clue]) -> list[ContentElsewhere]:
    """Return the files with the content of these clues in other libraries, present or not."""
    own: dict[str, LibraryId | None] = {
        clue.fingerprint: clue.library_id for clue in clues if clue.fingerprint is not None
    }
    links: dict[tuple[str, str, bool], list[tuple[int, int, ItemId]]] = {}
    for some in chunks(list(own)):
        query = (
            select(
                media_file.c.fingerprint,
                media_file.c.id,
                media_file.c.library_id,
                or_(media_file.c.removed_at.is_not(None), library.c.removed_at.is_not(None)).label("is_gone"),
                item.c.id.label("item_id"),
                item.c.season_number,
                item.c.episode_number,
            )
            .join(library, library.c.id == media_file.c.library_id)
            .join(file_item, file_item.c.file_id == media_file.c.id)
            .join(item, item.c.id == file_item.c.item_id)
            .where(media_file.c.fingerprint.in_(some), media_file.c.fault.is_(None))
        )
        for row in connection.execute(query):
            if row.library_id != own[row.fingerprint]:
                place = row.season_number or 0, row.episode_number or 0, ItemId(row.item_id)
                links.setdefault((row.fingerprint, row.id, not row.is_gone), []).append(place)
    return [
        ContentElsewhere(fingerprint, tuple(item_id for _, _, item_id in sorted(places)), is_present)
        for (fingerprint, _, is_present), places in sorted(links.items())
    ]
