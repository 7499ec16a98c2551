"""Which items are one title: certainly, or possibly, so that a person decides. Pure; no clock, no I/O."""

from collections.abc import Callable, Collection, Container, Hashable, Iterable, Mapping, Sequence
from enum import StrEnum
from itertools import combinations
from typing import NamedTuple

from playhead.domain.catalogue import Item
from playhead.domain.matching import agree, agree_in_length, contradict, mean_several
from playhead.domain.merging import merge_items
from playhead.domain.model import ItemId, ItemKind, Milliseconds

Lengths = Mapping[Hashable, Milliseconds]
"""The runtimes of a show's episodes by season and number, or by air date."""

Apart = Collection[frozenset[ItemId]]
"""Pairs of items that are two titles, as a person said."""


class Doubt(StrEnum):
    """Why two items of one name or id may be two titles.

    DECIDED: a person has said what a file of one of them is. IDS: one of them has ids of several titles.
    """

    IDS = "ids"
    YEARS = "years"
    LENGTHS = "lengths"
    UNKNOWN_LENGTHS = "unknown-lengths"
    DECIDED = "decided"


class PossiblePair(NamedTuple):
    """Two items that may be one title, the older first, and why that is not certain."""

    one: Item
    other: Item
    doubt: Doubt


class Doubles(NamedTuple):
    """Items that are certainly one title: the younger ids, each with the oldest. And pairs that may be."""

    certain: Mapping[ItemId, ItemId]
    possible: Sequence[PossiblePair]


def find_doubles(
    titles: Iterable[Item], lengths: Mapping[ItemId, Lengths], decided: Container[ItemId], apart: Apart = ()
) -> Doubles:
    """Find movies and shows that are one title: of one external id, or of one name and year with lengths that agree.

    One that has external ids of several titles is only listed. `lengths` has those of the episodes of shows. A person
    has `decided` about some items, which are only listed. Items that a person has told `apart` are neither merged nor
    listed, nor are those that become one with them. Private items have no name in common with others. Contradicting
    external ids tell items apart.
    """
    ordered = sorted(titles, key=_age)
    union = _Union(ordered, apart)
    of_ids = _groups(ordered, lambda each: [(each.kind, *pair) for pair in sorted(each.external_ids.items())])
    unclear = _join_by_ids(union, of_ids, decided)
    named = [each for each in ordered if each.owner_id is None]
    groups = _groups(named, lambda each: [(each.kind, each.identity.partition("|")[0])])
    for one, other in union.pairs(groups):
        if _doubt(one, other, lengths, decided, unclear) is None:
            union.join(one, other)
    unclear = _join_by_ids(union, of_ids, decided)  # the titles that its ids meant may be one by now
    possible = {
        (one.id, other.id): PossiblePair(one, other, Doubt.IDS)
        for one, other in union.pairs(of_ids)
        if not unclear.isdisjoint((one.id, other.id))
    }
    for one, other in union.pairs(groups):
        doubt = _doubt(one, other, lengths, decided, unclear)
        if doubt is not None and _is_near(one.year, other.year):
            possible[one.id, other.id] = PossiblePair(one, other, doubt)
    return Doubles(union.joined, list(possible.values()))


def keep_apart(pairs: Mapping[ItemId, ItemId], apart: Apart) -> dict[ItemId, ItemId]:
    """Return those merges, each of an item into another, that make no two items one that a person has told apart."""
    groups: dict[ItemId, set[ItemId]] = {}
    kept: dict[ItemId, ItemId] = {}
    for goes, stays in pairs.items():
        group = groups.setdefault(stays, {stays})
        if not any(frozenset((goes, each)) in apart for each in group):
            group.add(goes)
            kept[goes] = stays
    return kept


class _Union:
    """Items that are joined one by one. What is known of one of them then counts for all."""

    def __init__(self, items: Iterable[Item], apart: Apart) -> None:
        self._items = {each.id: each for each in items}
        self._apart: dict[ItemId, set[ItemId]] = {}
        for pair in apart:
            for each in pair:
                self._apart.setdefault(each, set()).update(pair - {each})
        self._into: dict[ItemId, ItemId] = {}

    @property
    def joined(self) -> dict[ItemId, ItemId]:
        return {item_id: self._meant(item_id).id for item_id in self._into}

    def pairs(self, groups: Iterable[Sequence[Item]]) -> Iterable[tuple[Item, Item]]:
        """Return pairs of what the items of a group mean now, the older first.

        Not those told apart, by a person or by external ids that contradict.
        """
        for each, another in (pair for group in groups for pair in combinations(group, 2)):
            one, other = sorted((self._meant(each.id), self._meant(another.id)), key=_age)
            told = other.id in self._apart.get(one.id, ())
            if one.id != other.id and not told and not contradict(one.external_ids, other.external_ids):
                yield one, other

    def meant(self, group: Iterable[Item]) -> set[ItemId]:
        """Return the items that these mean now."""
        return {self._meant(each.id).id for each in group}

    def join(self, one: Item, other: Item) -> None:
        self._into[other.id] = one.id
        for each in self._apart.pop(other.id, ()):
            self._apart[each].add(one.id)
            self._apart.setdefault(one.id, set()).add(each)
        self._items[one.id] = merge_items(one, other)

    def _meant(self, item_id: ItemId) -> Item:
        while item_id in self._into:
            item_id = self._into[item_id]
        return self._items[item_id]


def _age(item: Item) -> tuple[int, str]:
    return item.added_at, item.id


def _groups(items: Iterable[Item], keys_of: Callable[[Item], Iterable[Hashable]]) -> list[list[Item]]:
    """Return the items that have a key in common."""
    groups: dict[Hashable, list[Item]] = {}
    for each in items:
        for key in keys_of(each):
            groups.setdefault(key, []).append(each)
    return [group for group in groups.values() if len(group) > 1]


def _join_by_ids(union: _Union, groups: Sequence[Sequence[Item]], decided: Container[ItemId]) -> set[ItemId]:
    """Join the items of each group, which share an id; return those left out because their ids mean several titles."""
    others: dict[ItemId, list[set[ItemId]]] = {}
    for meant in map(union.meant, groups):
        for each in meant:
            others.setdefault(each, []).append(meant - {each})
    unclear = {each for each, several in others.items() if mean_several(several)}
    for one, other in union.pairs(groups):
        is_clear = unclear.isdisjoint((one.id, other.id)) and agree(one.external_ids, other.external_ids)
        if is_clear and one.id not in decided and other.id not in decided:
            union.join(one, other)
    return unclear


def _is_near(one: int | None, other: int | None) -> bool:
    return one is None or other is None or abs(one - other) <= 1


def _doubt(
    one: Item,
    other: Item,
    lengths: Mapping[ItemId, Lengths],
    decided: Container[ItemId],
    unclear: Container[ItemId],
) -> Doubt | None:
    """Return why two items of one name may be two titles; None if they are one."""
    if one.id in unclear or other.id in unclear:
        return Doubt.IDS
    if one.id in decided or other.id in decided:
        return Doubt.DECIDED
    if one.year is None or one.year != other.year:
        return Doubt.YEARS
    if one.kind is ItemKind.SHOW:
        mine, others = lengths.get(one.id, {}), lengths.get(other.id, {})
        compared = [agree_in_length(mine[key], others[key]) for key in mine.keys() & others.keys()]
        # Each library may have some seasons of a show, and two shows of one name and year are rare.
        return None if all(compared) else Doubt.LENGTHS
    if one.runtime_ms is None or other.runtime_ms is None:
        return Doubt.UNKNOWN_LENGTHS
    return None if agree_in_length(one.runtime_ms, other.runtime_ms) else Doubt.LENGTHS
