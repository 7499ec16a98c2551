"""Which item is meant by a file, a line of an import, or an imported history: one order of evidence for all. Pure.

The caller's own id comes first; then the content of the file; an external id; the show with numbers, absolute number or
air date; title and year. What fits several items finds none of them.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from typing import Any, NamedTuple

from playhead.domain.catalogue import Holding, Item, identity
from playhead.domain.model import ItemId, ItemKind, LibraryId, Milliseconds

# Two releases of one film differ by logos and credits, or by the 4 % between 25 and 24 frames per second.
_RUNTIME_TOLERANCE = 0.05
_RUNTIME_TOLERANCE_MS = 120_000


class MatchRule(StrEnum):
    """The evidence by which an item was found, strongest first."""

    OWN_ID = "own-id"
    CONTENT = "content"
    EXTERNAL_ID = "external-id"
    NUMBERS = "numbers"
    TITLE = "title"


class NoMatch(StrEnum):
    """Why no item was found. OTHER_KIND: the caller's id means an item of another kind."""

    NOT_FOUND = "not-found"
    AMBIGUOUS = "ambiguous"
    OTHER_KIND = "other-kind"


@dataclass(frozen=True, slots=True)
class Clue:
    """What is known about an item that is to be found.

    `titles` and `year` are those of the movie or show; for an episode, those of its show. `id` is the caller's own,
    aliases resolved. `external_ids` are the item's, `show_ids` those of an episode's show. A file names its
    `library_id`: files of different libraries need more than a title in common.
    """

    kind: ItemKind
    id: ItemId | None = None
    external_ids: Mapping[str, str] = field(default_factory=dict[str, str])
    show_ids: Mapping[str, str] = field(default_factory=dict[str, str])
    titles: tuple[str, ...] = ()
    year: int | None = None
    season_number: int | None = None
    episode_number: int | None = None
    absolute_number: int | None = None
    air_date: date | None = None
    fingerprint: str | None = None
    runtime_ms: Milliseconds | None = None
    library_id: LibraryId | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """An item that a clue may mean.

    `names` are the title keys and years under which it is known; for an episode, those of its show. `runtimes_ms` are
    the lengths of its versions, `libraries` those that hold or held it. `is_seen`: whoever gives the clue may see it,
    else only an id finds it. `has_content`: the file of the clue is, or was, one of its files.
    """

    item_id: ItemId
    kind: ItemKind
    names: frozenset[tuple[str, int | None]] = frozenset()
    external_ids: Mapping[str, str] = field(default_factory=dict[str, str])
    show_ids: Mapping[str, str] = field(default_factory=dict[str, str])
    season_number: int | None = None
    episode_number: int | None = None
    air_date: date | None = None
    runtimes_ms: tuple[Milliseconds, ...] = ()
    libraries: frozenset[LibraryId] = frozenset()
    is_seen: bool = True
    has_content: bool = False


class Match(NamedTuple):
    """The item that a clue means and the rule that found it; or why none was found."""

    item_id: ItemId | None
    rule: MatchRule | None = None
    reason: NoMatch | None = None


_AMBIGUOUS = Match(None, reason=NoMatch.AMBIGUOUS)
_NOT_FOUND = Match(None, reason=NoMatch.NOT_FOUND)


def match(clue: Clue, candidates: Iterable[Candidate]) -> Match:
    """Return the item that a clue means. The order of the candidates, of which each is given once, makes no difference.

    Title and year need not be equal if one candidate alone is near enough: its year is unknown, or one off.
    """
    everything = list(candidates)
    own = next((each for each in everything if each.item_id == clue.id), None)
    if own is not None:
        if own.kind is not clue.kind:
            return Match(None, reason=NoMatch.OTHER_KIND)
        return Match(own.item_id, MatchRule.OWN_ID)
    possible = [
        each for each in everything if each.kind is clue.kind and not contradict(each.external_ids, clue.external_ids)
    ]
    by_content = [each for each in possible if each.has_content]
    if len(by_content) == 1:
        return Match(by_content[0].item_id, MatchRule.CONTENT)
    by_id = [each for each in possible if agree(each.external_ids, clue.external_ids)]
    by_id = [each for each in by_id if not _is_of_other_show(clue, each)]
    if by_id:
        return _only(by_id, MatchRule.EXTERNAL_ID)
    if clue.kind is ItemKind.EPISODE:
        return _find_episode(clue, possible)
    return _nearest(clue, possible, MatchRule.TITLE)


def contradict(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Return whether external ids tell two items apart: a common source differs, and none agrees."""
    shared = one.keys() & other.keys()
    return bool(shared) and all(one[source] != other[source] for source in shared)


def agree(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Return whether two items have an external id in common."""
    return not one.items().isdisjoint(other.items())


def mean_several(found: Iterable[Collection[ItemId]]) -> bool:
    """Return whether external ids mean several titles: no item is among those with each id that any item has."""
    known = [frozenset(each) for each in found if each]
    return bool(known) and not known[0].intersection(*known)


def agree_in_length(one: Milliseconds, other: Milliseconds) -> bool:
    """Return whether two runtimes may be those of one title: within 5 % of the longer, or two minutes."""
    return abs(one - other) <= max(_RUNTIME_TOLERANCE_MS, _RUNTIME_TOLERANCE * max(one, other))


def title_key(title: str) -> str:
    """Return the key that spellings of one title share: the first member of an identity."""
    return identity(title).partition("|")[0]


def name_of(key: str) -> tuple[str, int | None]:
    """Return title key and year of an identity."""
    title, year, _ = key.split("|")
    return title, int(year) if year else None


def candidate_of(
    item: Item, show: Item | None = None, holdings: Sequence[Holding] = (), *, is_seen: bool = True
) -> Candidate:
    """Return an item as a candidate. `show` is an episode's, `holdings` are those of the item."""
    names = {name_of(item.identity)}
    if item.kind is not ItemKind.EPISODE:
        names |= {
            name_of(identity(each.title, each.year))
            for each in holdings
            if each.title and (each.title, each.year) != (item.title, item.year)
        }
    lengths = dict.fromkeys(
        each for each in (item.runtime_ms, *(file.duration_ms for file in item.files)) if each is not None
    )
    return Candidate(
        item.id,
        item.kind,
        frozenset(names),
        item.external_ids,
        {} if show is None else show.external_ids,
        item.season_number,
        item.episode_number,
        item.air_date,
        tuple(lengths),
        frozenset(each.library_id for each in holdings),
        is_seen,
    )


def as_shown(item: Item, holdings: Iterable[Holding]) -> Item:
    """Return an item with the title and year that it shows: pinned ones, else those of its oldest living holding.

    An item that no library has keeps what it showed last. Other pinned members are set, too. The identity of a movie or
    show follows.
    """
    living = [each for each in holdings if each.is_living and each.title]
    members: dict[str, Any] = {}
    if living:
        oldest = min(living, key=lambda each: (each.added_at, each.library_id))
        members = {"title": oldest.title, "year": oldest.year}
    shown = replace(item, **members | {name: item.pinned[name] for name in _PINNABLE & item.pinned.keys()})
    if shown.kind is not ItemKind.EPISODE and (shown.title, shown.year) != (item.title, item.year):
        shown = replace(shown, identity=identity(shown.title, shown.year))
    return shown


_PINNABLE = frozenset({"title", "year", "external_ids", "runtime_ms", "credits_ms"})


def _only(found: Sequence[Candidate], rule: MatchRule) -> Match:
    return Match(found[0].item_id, rule) if len(found) == 1 else _AMBIGUOUS


def _is_of_other_show(clue: Clue, candidate: Candidate) -> bool:
    """Whether an episode belongs to another show than the one named: some programs write wrong ids of episodes."""
    if clue.kind is not ItemKind.EPISODE or agree(clue.show_ids, candidate.show_ids):
        return False
    if contradict(clue.show_ids, candidate.show_ids):
        return True
    named = {title_key(title) for title in clue.titles}
    return bool(named) and named.isdisjoint(title for title, _ in candidate.names) and not _numbered(clue, candidate)


def _find_episode(clue: Clue, possible: Sequence[Candidate]) -> Match:
    of_show = [each for each in possible if agree(each.show_ids, clue.show_ids)]
    others = [each for each in possible if each.is_seen and not contradict(each.show_ids, clue.show_ids)]
    for fits in (_numbered, _absolute, _aired):
        found = [each for each in of_show if fits(clue, each)]
        if found:
            return _only(found, MatchRule.NUMBERS)
        result = _nearest(clue, [each for each in others if fits(clue, each)], MatchRule.NUMBERS)
        if result != _NOT_FOUND:
            return result
    return _NOT_FOUND


def _numbered(clue: Clue, candidate: Candidate) -> bool:
    numbers = clue.season_number, clue.episode_number
    return clue.episode_number is not None and numbers == (candidate.season_number, candidate.episode_number)


def _absolute(clue: Clue, candidate: Candidate) -> bool:
    # Absolute numbers are kept as those of season 1.
    return clue.absolute_number is not None and (candidate.season_number or 1, candidate.episode_number) == (
        1,
        clue.absolute_number,
    )


def _aired(clue: Clue, candidate: Candidate) -> bool:
    return clue.air_date is not None and clue.air_date == candidate.air_date


def _nearest(clue: Clue, candidates: Sequence[Candidate], rule: MatchRule) -> Match:
    """Return the candidate with the title of the clue whose year is equal, else unknown on one side, else one off."""
    titles = {title_key(title) for title in clue.titles}
    named = [
        (each, {year for title, year in each.names if title in titles})
        for each in candidates
        if each.is_seen and _may_be_named(clue, each)
    ]
    named = [(each, years) for each, years in named if years]
    tests: tuple[Callable[[set[int | None]], bool], ...] = (
        lambda years: clue.year in years,
        lambda years: clue.year is None or None in years,
        lambda years: any(abs((clue.year or 0) - (year or 0)) == 1 for year in years),
    )
    for test in tests:
        found = [each for each, years in named if test(years)]
        if found:
            return _only(found, rule)
    return _NOT_FOUND


def _may_be_named(clue: Clue, candidate: Candidate) -> bool:
    """Whether a title is enough: two home videos of one name in two libraries need lengths that agree, too."""
    if clue.kind is ItemKind.EPISODE or clue.library_id is None or clue.library_id in candidate.libraries:
        return True
    if not candidate.libraries and not candidate.runtimes_ms:
        return clue.year is not None and any(year == clue.year for _, year in candidate.names)
    return clue.runtime_ms is not None and any(agree_in_length(clue.runtime_ms, each) for each in candidate.runtimes_ms)
