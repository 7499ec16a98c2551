"""Which item a line of an import refers to, and what is wrong with it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest

from fakes import Ids
from playhead.domain.catalogue import FileFacts, Holding, Item, Library
from playhead.domain.importing import (
    FAULTS_MAX,
    ImportEntry,
    ImportPlan,
    LineFault,
    ShowName,
    StoredItems,
    details,
    plan,
    wanted,
)
from playhead.domain.model import FileId, Instant, ItemId, ItemKind, LibraryId, LibraryKind, Milliseconds, UserId

FILMS = Library(LibraryId("f0000000-0000-4000-8000-000000000000"), "Films", LibraryKind.MOVIES, None, Instant(0))
SERIES = Library(LibraryId("50000000-0000-4000-8000-000000000000"), "Series", LibraryKind.SHOWS, None, Instant(0))
DISK = Library(LibraryId("d0000000-0000-4000-8000-000000000000"), "Disk", LibraryKind.MOVIES, "/films", Instant(0))
OTHER = Library(LibraryId("00000000-0000-4000-8000-00000000000f"), "Others", LibraryKind.MOVIES, None, Instant(0))
OWN = ItemId("aaaaaaaa-0000-4000-8000-000000000001")
OTHER_OWN = ItemId("aaaaaaaa-0000-4000-8000-000000000002")
TIDAL = ShowName(title="Tidal Station", year=2021)


def movie(line: int = 1, title: str = "Harbour Lights", year: int | None = 2019, **members: object) -> ImportEntry:
    return ImportEntry(line, "Films", ItemKind.MOVIE, title, year=year, **members)


def show(line: int = 1, title: str = "Tidal Station", year: int | None = 2021, **members: object) -> ImportEntry:
    return ImportEntry(line, "Series", ItemKind.SHOW, title, year=year, **members)


def episode(line: int = 2, season: int | None = 1, number: int | None = 1, **members: object) -> ImportEntry:
    common: dict[str, object] = {"title": "Ebb", "show": TIDAL, "season_number": season, "episode_number": number}
    return ImportEntry(line, "Series", ItemKind.EPISODE, **common | members)


class Store:
    """Plans imports one after another, and keeps their results."""

    def __init__(self) -> None:
        self.items: dict[ItemId, Item] = {}
        self.holdings: dict[tuple[ItemId, LibraryId], Holding] = {}
        self.aliases: dict[ItemId, ItemId] = {}
        self.libraries = [FILMS, SERIES, DISK, OTHER]
        self.now = 0
        self._ids = Ids()

    def plan(self, *entries: ImportEntry, in_doubt: bool = False) -> ImportPlan:
        self.now += 1
        holdings: dict[ItemId, list[Holding]] = {}
        for each in self.holdings.values():
            holdings.setdefault(each.item_id, []).append(each)
        stored = StoredItems(self.libraries, dict(self.items), holdings, dict(self.aliases))
        identities = wanted(entries).identities
        return plan(entries, stored, identities, in_doubt=in_doubt, now=Instant(self.now), new_id=self._ids)

    def take(self, *entries: ImportEntry) -> tuple[int, int]:
        """Import, and return how many lines were added and changed."""
        planned = self.plan(*entries)
        assert planned.faults == []
        self.items |= {item.id: item for item in (*planned.new, *planned.changed)}
        self.holdings |= {(each.item_id, each.library_id): each for each in planned.holdings}
        self.aliases |= planned.aliases
        return planned.added_lines, planned.changed_lines

    def only(self) -> Item:
        (item,) = self.items.values()
        return item

    def removed_at(self, item_id: ItemId | None = None) -> Instant | None:
        (holding,) = [each for each in self.holdings.values() if item_id in (None, each.item_id)]
        return holding.removed_at

    def faults(self, *entries: ImportEntry, in_doubt: bool = False) -> dict[str, list[str]]:
        return details(self.plan(*entries, in_doubt=in_doubt).faults)


def test_unknown_items_are_added_and_unchanged_when_imported_again():
    store = Store()
    lines = (movie(), show(2), episode(3), episode(4, number=2))
    assert store.take(*lines) == (4, 0)
    before = dict(store.items)
    assert store.take(*lines) == (0, 0)
    assert store.items == before


def test_an_id_in_a_line_becomes_the_id_of_the_item():
    store = Store()
    store.take(movie(id=OWN))
    assert store.only().id == OWN


@pytest.mark.parametrize(
    "again",
    [
        movie(title="harbour lights!"),
        movie(title="Hafenlichter", year=None, external_ids={"tmdb": "603"}),
        movie(title="Hafenlichter", external_ids={"tmdb": "603", "imdb": "tt1"}),
    ],
)
def test_a_movie_is_identified_by_title_and_year_or_by_an_external_id(again: ImportEntry):
    store = Store()
    store.take(movie(external_ids={"tmdb": "603"}))
    first = store.only().id
    store.take(again)
    assert (store.only().id, store.only().title) == (first, again.title)


def test_a_movie_with_its_own_id_can_change_its_name_completely():
    store = Store()
    store.take(movie(id=OWN, external_ids={"tmdb": "603"}))
    assert store.take(movie(id=OWN, title="Hafenlichter", year=1950, external_ids={"tmdb": "604"})) == (0, 1)
    assert store.only().identity == "hafenlichter|1950|"


def test_movies_with_different_external_ids_are_two_whatever_their_titles():
    store = Store()
    store.take(movie(external_ids={"tmdb": "603"}))
    assert store.take(movie(external_ids={"tmdb": "604"})) == (1, 0)
    assert len(store.items) == 2


def test_movies_of_one_title_with_their_own_ids_are_two():
    store = Store()
    assert store.take(movie(1, id=OWN), movie(2, id=OTHER_OWN)) == (2, 0)
    assert store.take(movie(1, id=OWN), movie(2, id=OTHER_OWN)) == (0, 0)


@pytest.mark.parametrize("available", [True, False])
def test_of_several_candidates_a_line_finds_the_same_one_each_time(available: bool):  # noqa: FBT001
    store = Store()
    store.take(movie(1, external_ids={"tmdb": "1"}), movie(2, external_ids={"tmdb": "2"}))
    assert store.take(movie(available=available)) == (0, 1)
    assert store.take(movie(available=available)) == (0, 0)


def test_ids_that_mean_two_movies_find_neither_and_the_same_line_finds_its_own_again():
    store = Store()
    store.take(movie(1, "A", external_ids={"tmdb": "1"}), movie(2, "B", external_ids={"imdb": "tt2"}))
    both = movie(title="C", external_ids={"tmdb": "1", "imdb": "tt2"})
    assert store.take(both) == (1, 0)
    assert store.take(both) == (0, 0)
    assert sorted(item.title for item in store.items.values()) == ["A", "B", "C"]


def test_two_items_can_swap_titles_when_strong_names_say_so():
    store = Store()
    one, two = {"tmdb": "1"}, {"tmdb": "2"}
    store.take(movie(1, "Dawn", external_ids=one), movie(2, "Dusk", external_ids=two))
    ids = {item.external_ids["tmdb"]: item.id for item in store.items.values()}
    assert store.take(movie(1, "Dusk", external_ids=one), movie(2, "Dawn", external_ids=two)) == (0, 2)
    assert {item.external_ids["tmdb"]: item.id for item in store.items.values()} == ids


def test_a_line_replaces_everything_known_about_its_item():
    store = Store()
    store.take(movie(external_ids={"tmdb": "603"}, runtime_ms=5, credits_ms=4))
    added_at = store.only().added_at
    assert store.take(movie()) == (0, 1)
    item = store.only()
    assert (item.external_ids, item.runtime_ms, item.credits_ms, item.added_at) == ({}, None, None, added_at)


def test_an_unavailable_item_is_marked_removed_and_can_return():
    store = Store()
    store.take(movie())
    assert store.take(movie(available=False)) == (0, 1)
    removed_at = store.removed_at()
    assert removed_at is not None
    assert store.take(movie(available=False)) == (0, 0)
    assert store.removed_at() == removed_at
    assert store.take(movie()) == (0, 1)
    assert store.removed_at() is None


def test_a_new_item_may_be_unavailable():
    store = Store()
    assert store.take(movie(available=False)) == (1, 0)
    assert store.removed_at() is not None


# Shows and episodes


@pytest.mark.parametrize("name", [TIDAL, ShowName(external_ids={"tvdb": "7"}), ShowName(id=OWN)])
@pytest.mark.parametrize("earlier", [True, False])
def test_the_show_of_an_episode_may_come_earlier_or_later_or_be_stored(name: ShowName, earlier: bool):  # noqa: FBT001
    line = show(1 if earlier else 9, id=OWN, external_ids={"tvdb": "7"})
    store = Store()
    assert store.take(*([line, episode(show=name)] if earlier else [episode(show=name), line])) == (2, 0)
    assert store.take(episode(number=2, show=name)) == (1, 0)
    episodes = [item for item in store.items.values() if item.kind is ItemKind.EPISODE]
    assert {item.show_id for item in episodes} == {OWN}
    assert sorted(item.identity for item in episodes) == ["tidal station|2021|s1e1", "tidal station|2021|s1e2"]


def test_an_episode_with_a_date_instead_of_numbers_is_identified_by_it():
    store = Store()
    daily = episode(2, None, None, air_date=date(2024, 1, 15))
    store.take(show(), daily)
    assert store.take(replace(daily, title="Monday")) == (0, 1)


def test_renaming_a_show_keeps_its_episodes_and_renames_them():
    store = Store()
    store.take(show(id=OWN), episode(2), episode(3, number=2))
    before = set(store.items)
    planned_added = store.take(show(id=OWN, title="Low Water"))
    assert planned_added == (0, 1)
    assert store.take(episode(2, show=ShowName(title="Low Water", year=2021))) == (0, 0)
    assert set(store.items) == before
    assert {item.identity for item in store.items.values()} == {
        "low water|2021|",
        "low water|2021|s1e1",
        "low water|2021|s1e2",
    }


def test_a_removed_show_returns_with_an_episode_unless_its_own_line_says_otherwise():
    store = Store()
    store.take(show(id=OWN, available=False), episode(available=False))
    store.take(show(id=OWN, available=False), episode())
    assert store.removed_at(OWN) is not None
    store.take(episode())
    assert store.removed_at(OWN) is None


def test_an_episode_that_is_not_available_leaves_its_show_removed():
    store = Store()
    store.take(show(id=OWN, available=False), episode(available=False))
    store.take(episode(title="Flow", available=False))
    assert store.removed_at(OWN) is not None


def test_an_episode_can_move_to_other_numbers_by_its_external_id():
    store = Store()
    store.take(show(), episode(external_ids={"tvdb": "1"}))
    assert store.take(episode(2, number=1), episode(3, number=2, external_ids={"tvdb": "1"})) == (1, 1)


# Faults


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        (movie(title=" "), {"line 1: title": ["must not be blank"]}),
        (replace(movie(), library="Nothing"), {"line 1: library": ["there is no such library"]}),
        (replace(movie(), library="Disk"), {"line 1: library": ["has a folder: its items come from scans"]}),
        (replace(movie(), library="Series"), {"line 1: kind": ["does not belong into a library of shows"]}),
        (replace(show(), library="Films"), {"line 1: kind": ["does not belong into a library of movies"]}),
        (movie(show=TIDAL), {"line 1: show": ["belongs to an episode"]}),
        (movie(season_number=0), {"line 1: season_number": ["belongs to an episode"]}),
        (show(runtime_ms=5), {"line 1: runtime_seconds": ["does not belong to a show"]}),
        (
            movie(runtime_ms=5, credits_ms=6),
            {"line 1: credits_start_seconds": ["must be less than or equal to runtime_seconds"]},
        ),
        (episode(show=None), {"line 2: show": ["is required for an episode"]}),
        (episode(show=ShowName(year=2021)), {"line 2: show": ["must have an id, external_ids or a title"]}),
        (episode(), {"line 2: show": ["there is no such show in this library, nor in this import"]}),
        (
            episode(2, None, None),
            {
                "line 2: episode_number": ["is required for an episode without air_date"],
                "line 2: season_number": ["is required for an episode with a number"],
            },
        ),
        (
            episode(episode_end=0),
            {"line 2: episode_end": ["must be greater than or equal to episode_number"]},
        ),
    ],
)
def test_a_faulty_line_is_reported_with_its_fault(entry: ImportEntry, fault: dict[str, list[str]]):
    assert Store().faults(entry) == fault


def test_a_library_can_be_named_by_its_id():
    assert Store().take(replace(movie(), library=FILMS.id.upper())) == (1, 0)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (movie(3), movie(8)),
        (movie(3, id=OWN), movie(8, "Dawn", id=OWN)),
        (movie(3, external_ids={"tmdb": "1"}), movie(8, "Dawn", external_ids={"tmdb": "1"})),
        (movie(3, id=OWN), movie(8)),
        (movie(3, external_ids={"tmdb": "1"}), movie(8, external_ids={"imdb": "tt1"})),
    ],
)
def test_two_lines_for_the_same_item_are_a_fault_of_the_later(first: ImportEntry, second: ImportEntry):
    assert Store().faults(first, second) == {"line 8": ["means the same item as line 3"]}


def test_two_lines_for_the_same_stored_item_are_a_fault_of_the_later():
    store = Store()
    store.take(movie(external_ids={"tmdb": "1", "imdb": "tt1"}))
    one, two = movie(3, "Dawn", external_ids={"imdb": "tt1"}), movie(8, "Dusk", external_ids={"tmdb": "1"})
    assert store.faults(one, two) == {"line 8": ["means the same item as line 3"]}
    late_id = movie(8, "Dusk", id=store.only().id)
    assert store.faults(one, late_id) == {"line 8": ["means the same item as line 3"]}


def test_an_id_of_another_kind_is_a_fault():
    store = Store()
    store.take(movie(id=OWN))
    assert store.faults(show(5, id=OWN)) == {"line 5: id": ["is the id of another kind of item: movie"]}


@pytest.mark.parametrize("again", [movie(4, id=OTHER_OWN), movie(4, "Dawn", id=OTHER_OWN, external_ids={"tmdb": "1"})])
def test_a_new_id_of_a_known_item_becomes_its_alias(again: ImportEntry):
    store = Store()
    store.take(movie(id=OWN, external_ids={"tmdb": "1"}))
    assert store.take(again) == (0, 1)
    assert (store.only().id, store.aliases) == (OWN, {OTHER_OWN: OWN})
    assert store.take(again) == (0, 0)


def test_two_lines_with_ids_of_their_own_and_one_external_id_are_one_item_with_two_ids():
    store = Store()
    lines = (movie(1, id=OWN, external_ids={"tmdb": "603"}), movie(2, "X", id=OTHER_OWN, external_ids={"tmdb": "603"}))
    assert store.take(*lines) == (1, 1)
    assert (store.only().id, store.only().title, store.aliases) == (OWN, "Harbour Lights", {OTHER_OWN: OWN})
    assert store.take(*lines) == (0, 0)


@pytest.mark.parametrize("ids", [{"tmdb": "603"}, {}])
def test_a_movie_of_another_library_is_the_same_by_an_external_id_or_by_title_and_year(ids: dict[str, str]):
    store = Store()
    line = replace(movie(2, id=OTHER_OWN, external_ids=ids), library="Others")
    assert store.take(movie(id=OWN, external_ids=ids), line) == (1, 1)
    assert [(each.item_id, each.library_id) for each in store.holdings.values()] == [(OWN, FILMS.id), (OWN, OTHER.id)]
    assert store.take(movie(id=OWN, external_ids=ids), line) == (0, 0)


@pytest.mark.parametrize(
    "line",
    [
        movie(year=None),
        movie(year=2010),
        movie(external_ids={"tmdb": "2"}),
        movie(runtime_ms=1_000_000),
    ],
)
def test_a_title_in_another_library_is_not_enough_if_anything_else_differs(line: ImportEntry):
    store = Store()
    store.take(movie(external_ids={"tmdb": "1"}, runtime_ms=5_000_000))
    assert store.take(replace(line, library="Others")) == (1, 0)


def test_another_library_adds_what_is_unknown_and_the_first_one_is_shown():
    store = Store()
    store.take(movie(id=OWN, external_ids={"tmdb": "1"}))
    later = replace(movie(title="Hafenlichter", year=None, external_ids={"tmdb": "1", "imdb": "tt1"}), library="Others")
    later = replace(later, runtime_ms=Milliseconds(5), credits_ms=Milliseconds(4))
    assert store.take(later) == (0, 1)
    item = store.only()
    assert (item.title, item.year, item.runtime_ms, item.credits_ms) == ("Harbour Lights", 2019, 5, 4)
    assert item.external_ids == {"tmdb": "1", "imdb": "tt1"}
    assert store.take(replace(movie(external_ids={"tmdb": "1"}), available=False)) == (0, 1)
    assert (store.only().title, store.only().year) == ("Hafenlichter", None)


def test_lengths_of_files_outweigh_those_of_an_import():
    store = Store()
    store.take(movie(id=OWN))
    file = FileFacts(FileId("f"), DISK.id, Milliseconds(7), None, None, OWN, None)
    store.items[OWN] = replace(store.only(), runtime_ms=Milliseconds(7), files=(file,))
    assert store.take(movie(id=OWN, runtime_ms=9, credits_ms=8)) == (0, 0)


def test_a_private_item_is_not_found_by_its_title():
    store = Store()
    store.take(movie(id=OWN))
    store.items[OWN] = replace(store.only(), owner_id=UserId("ana"))
    assert store.take(replace(movie(), library="Others")) == (1, 0)


def test_the_ids_of_an_episode_of_another_show_are_ignored():
    store = Store()
    store.take(show(), show(2, "Other", id=OWN), episode(3, external_ids={"tvdb": "1"}))
    assert store.take(episode(4, show=ShowName(id=OWN), external_ids={"tvdb": "1"})) == (1, 0)


def test_a_show_of_another_library_is_held_by_the_library_of_its_episode():
    store = Store()
    more = Library(LibraryId("60000000-0000-4000-8000-000000000000"), "More", LibraryKind.SHOWS, None, Instant(0))
    store.libraries.append(more)
    store.take(show(id=OWN, external_ids={"tvdb": "7"}))
    second = replace(show(id=OTHER_OWN, title="Gezeiten", external_ids={"tvdb": "7"}), library="More")
    lines = (second, replace(episode(show=ShowName(id=OTHER_OWN)), library="More"))
    assert store.take(*lines) == (1, 1)
    by_title = replace(episode(5, number=2, show=ShowName(title="Gezeiten", year=2021)), library="More")
    assert store.take(by_title) == (1, 0)
    assert {item.show_id for item in store.items.values() if item.kind is ItemKind.EPISODE} == {OWN}


def test_an_item_with_a_line_of_its_own_is_not_matched_by_another_line():
    store = Store()
    store.take(movie(id=OWN))
    assert store.take(movie(1, id=OWN, available=False), movie(2, id=OTHER_OWN)) == (1, 1)


def test_an_ambiguous_show_must_be_named_by_its_id():
    store = Store()
    store.take(show(1, id=OWN), show(2, id=OTHER_OWN))
    assert store.faults(episode()) == {"line 2: show": ["several shows of this library are meant: name it by its id"]}
    assert store.take(episode(show=ShowName(id=OTHER_OWN))) == (1, 0)


@pytest.mark.parametrize(
    "faults", [lambda: Store().faults(show(title=" "), episode()), lambda: Store().faults(episode(), in_doubt=True)]
)
def test_an_episode_is_not_reported_while_its_show_may_be_a_faulty_line(faults: Callable[[], dict[str, list[str]]]):
    assert "line 2: show" not in faults()


def test_details_name_the_first_faults_by_line_and_say_when_there_are_more():
    faults = [LineFault(line, "title", "must not be blank") for line in range(FAULTS_MAX + 1, 0, -1)]
    named = details(faults)
    assert len(named) == FAULTS_MAX + 1
    assert next(iter(named)) == "line 1: title"
    assert named["body"] == [f"only the first {FAULTS_MAX} faults are listed"]
    assert "body" not in details(faults[:-1])
