"""Queries of searches, and the words that correct typos. What a search means is decided in `domain/searching.py`.

Both engines answer alike: a search uses LIKE, equality and b-tree indexes only. See
docs/decisions/0032-one-typo-through-an-index-of-words.md.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, FromClause, and_, func, literal, or_, select, true

from playhead.domain.model import ItemId, ItemKind, LibraryId, UserId
from playhead.domain.searching import (
    EXACT_ENOUGH,
    EpisodeQuery,
    Search,
    corrections,
    spelling_keys,
    takes_typos,
    year_of,
)
from playhead.storage.catalogue import ItemOrder, ListPosition, Matching, chunks, listed
from playhead.storage.engine.upserts import insert_for
from playhead.storage.schema import item, spelling

# A search with more matches reads a list in its order, in which it soon finds a page of them.
_CANDIDATES_MAX = 5_000
_KNOWN_MAX = 2_000

_Corrections = Mapping[str, Sequence[str]]
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Matches:
    """The items that a search selects: exactly, and those with a typo; None if there are none or none are needed."""

    exact: Matching
    similar: Matching | None = None


def find_matches(
    connection: Connection,
    search: Search | None,
    libraries: Collection[LibraryId],
    kind: ItemKind | None = None,
    *,
    user_id: UserId | None = None,
) -> Matches | None:
    """Return the items that a search selects, None without a search. Libraries and user are those of `listed`.

    Items with a typo are added if fewer than EXACT_ENOUGH items of these libraries, of one kind or of all, match
    exactly, and if they are not too many. The conditions contain items of other libraries, and removed ones.
    """
    if search is None:
        return None
    conditions = _conditions(search, {})
    found = _ids(connection, conditions)
    if found is None:
        return Matches(Matching(or_(*conditions), is_narrow=False))
    exact = _listed(found)
    seen = listed(libraries, user_id, exact, kind, ItemOrder.TITLE)
    if _count(connection, seen) >= EXACT_ENOUGH:
        return Matches(exact)
    known = _corrections(connection, search)
    similar = _ids(connection, _conditions(search, known)) if known else None
    return Matches(exact, _listed(similar - found) if similar else None)


def _listed(ids: Collection[ItemId]) -> Matching:
    return Matching(item.c.id.in_(sorted(ids)), is_narrow=True)


def in_order_of_match(
    matches: Matches | None,
    after: ListPosition | None,
    limit: int | None,
    load: Callable[..., list[tuple[R, ListPosition]]],
) -> list[tuple[R, ListPosition]]:
    """Return one page of a list: exact matches first, then similar ones, whose positions say so.

    `load` takes `matching`, `after` and `limit`, as `catalogue.list_items` does.
    """
    if matches is None:
        return load(matching=None, after=after, limit=limit)
    rows: list[tuple[R, ListPosition]] = []
    if after is None or not after.is_similar:
        rows, after = load(matching=matches.exact, after=after, limit=limit), None
    if matches.similar is not None and (limit is None or len(rows) < limit):
        further = load(matching=matches.similar, after=after, limit=None if limit is None else limit - len(rows))
        rows += [(row, position._replace(is_similar=True)) for row, position in further]
    return rows


def _ids(connection: Connection, conditions: Sequence[ColumnElement[bool]]) -> set[ItemId] | None:
    """Return the items of any of these conditions; None if one has more than _CANDIDATES_MAX."""
    found: set[ItemId] = set()
    for condition in conditions:
        ids = connection.scalars(select(item.c.id).where(condition).limit(_CANDIDATES_MAX + 1)).all()
        if len(ids) > _CANDIDATES_MAX:
            return None
        found.update(ids)
    return found


def _count(connection: Connection, conditions: Sequence[ColumnElement[bool]]) -> int:
    """Return the number of items that meet these conditions, EXACT_ENOUGH at most."""
    query = select(item.c.id).where(*conditions).limit(EXACT_ENOUGH)
    return len(connection.execute(query).all())


def _conditions(search: Search, known: _Corrections) -> list[ColumnElement[bool]]:
    conditions = [_has_words(item, search.words, known)]
    if search.episode is not None:
        conditions.append(_is_episode(search.episode, known))
    return conditions


def _is_episode(wanted: EpisodeQuery, known: _Corrections) -> ColumnElement[bool]:
    columns = item.c
    if wanted.air_date is not None:
        numbers = columns.air_date == wanted.air_date.isoformat()
    else:
        season, episode = wanted.season_number, wanted.episode_number
        first = columns.season_number == season
        numbers = and_(
            or_(first, columns.season_number.is_(None)) if season == 1 else first,
            columns.episode_number <= episode,
            func.coalesce(columns.episode_end, columns.episode_number) >= episode,
        )
    if wanted.air_date is not None and not wanted.words:
        return and_(columns.kind == ItemKind.EPISODE.value, numbers)
    show = item.alias("show")
    of_shows = select(show.c.id).where(show.c.kind == ItemKind.SHOW.value, _has_words(show, wanted.words, known))
    return and_(columns.kind == ItemKind.EPISODE.value, numbers, columns.show_id.in_(of_shows))


def _has_words(titles: FromClause, words: Iterable[str], known: _Corrections) -> ColumnElement[bool]:
    """Every word is a part of the title or the year; or the title has a word of which it is a misspelling."""
    # A word without corrections is compared sooner, and rules out most titles.
    in_order = sorted(words, key=lambda word: len(known.get(word, ())))
    return and_(true(), *(_has_word(titles, word, known.get(word, ())) for word in in_order))


def _has_word(titles: FromClause, word: str, corrected: Sequence[str]) -> ColumnElement[bool]:
    title, year = titles.c.search_title, year_of(word)
    any_of = [title.contains(word, autoescape=True)]
    if year is not None:
        any_of.append(titles.c.year == year)
    for other in corrected:
        # A part is found sooner than a whole word.
        whole = (literal(" ") + title + literal(" ")).contains(f" {other} ", autoescape=True)
        any_of.append(and_(title.contains(other, autoescape=True), whole))
    return or_(*any_of)


# The words of titles


def _corrections(connection: Connection, search: Search) -> _Corrections:
    """Return the words of titles that may have been meant, by the words of a search that may have a typo."""
    typed = [word for word in search.words if takes_typos(word)]
    keys = sorted(set[str]().union(*map(spelling_keys, typed)))
    query = select(spelling.c.word).distinct().where(spelling.c.key.in_(keys))
    known = list(connection.scalars(query.order_by(spelling.c.word).limit(_KNOWN_MAX)))
    found = {word: corrections(word, known) for word in typed}
    return {word: others for word, others in found.items() if others}


def learn_words(connection: Connection, search_titles: Iterable[str]) -> None:
    """Store the words of titles, folded as by `search_title`, that a typo may stand for. Idempotent.

    They stay when the last title with them is gone: such a word finds nothing.
    """
    words = sorted({word for title in search_titles for word in title.split() if takes_typos(word)})
    known: set[str] = set()
    for some in chunks(words):
        own = select(spelling.c.word).where(spelling.c.key.in_(some), spelling.c.key == spelling.c.word)
        known.update(connection.scalars(own))
    # Sorted, so that two processes that insert the same words concurrently cannot deadlock.
    rows = sorted((key, word) for word in words if word not in known for key in spelling_keys(word))
    if rows:
        statement = insert_for(connection, spelling).on_conflict_do_nothing()
        connection.execute(statement, [{"key": key, "word": word} for key, word in rows])
