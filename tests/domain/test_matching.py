"""Which item a clue means: the strongest evidence first, and never one of several by chance."""

from dataclasses import replace
from datetime import date
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playhead.domain.catalogue import FileFacts, Holding, Item, identity
from playhead.domain.matching import (
    Candidate,
    Clue,
    Match,
    MatchRule,
    NoMatch,
    agree_in_length,
    as_shown,
    candidate_of,
    match,
    name_of,
    title_key,
)
from playhead.domain.model import FileId, Instant, ItemId, ItemKind, LibraryId, Milliseconds

MINUTE = 60_000
HERE, THERE = LibraryId("here"), LibraryId("there")


def movie(item_id: str = "a", title: str = "Heat", year: int | None = 1995, **members: object) -> Candidate:
    return replace(
        Candidate(ItemId(item_id), ItemKind.MOVIE, frozenset({(title_key(title), year)})),
        **members,
    )


def episode(item_id: str = "a", season: int | None = 1, number: int | None = 2, **members: object) -> Candidate:
    found = Candidate(ItemId(item_id), ItemKind.EPISODE, frozenset({("dark", 2017)}))
    return replace(found, season_number=season, episode_number=number, **members)


def film(year: int | None = 1995, **members: object) -> Clue:
    return replace(Clue(ItemKind.MOVIE, titles=("Heat",), year=year), **members)


def part(season: int | None = 1, number: int | None = 2, **members: object) -> Clue:
    clue = Clue(ItemKind.EPISODE, titles=("Dark",), year=2017)
    return replace(clue, season_number=season, episode_number=number, **members)


TMDB, TVDB = {"tmdb": "1"}, {"tvdb": "7"}
FILE = film(library_id=HERE, runtime_ms=Milliseconds(100 * MINUTE))
DAY = date(2024, 1, 15)

FOUND = [
    (
        "the caller's own id, whatever else is said",
        film(id=ItemId("a"), external_ids=TMDB),
        [movie(title="X")],
        MatchRule.OWN_ID,
    ),
    ("its content", film(), [movie(title="X", has_content=True), movie("b")], MatchRule.CONTENT),
    (
        "an external id",
        film(external_ids=TMDB),
        [movie(title="X", external_ids=TMDB), movie("b")],
        MatchRule.EXTERNAL_ID,
    ),
    (
        "an external id that agrees though another differs",
        film(external_ids={"tmdb": "1", "imdb": "tt1"}),
        [movie(external_ids={"tmdb": "1", "imdb": "tt2"})],
        MatchRule.EXTERNAL_ID,
    ),
    (
        "an external id although the viewer may not see it",
        film(external_ids=TMDB),
        [movie(external_ids=TMDB, is_seen=False)],
        MatchRule.EXTERNAL_ID,
    ),
    ("title and year", film(), [movie(), movie("b", year=1996), movie("c", title="Cold")], MatchRule.TITLE),
    ("the title if a year is unknown", film(), [movie(year=None), movie("b", year=2001)], MatchRule.TITLE),
    ("the title if its own year is unknown", film(None), [movie()], MatchRule.TITLE),
    ("a year that is one off", film(), [movie(year=1994), movie("b", year=1999)], MatchRule.TITLE),
    (
        "the title that is not excluded by an id",
        film(external_ids=TMDB),
        [movie(), movie("b", external_ids={"tmdb": "2"})],
        MatchRule.TITLE,
    ),
    ("a title in its own library, whatever the length", FILE, [movie(libraries=frozenset({HERE}))], MatchRule.TITLE),
    (
        "a title in another library with a length that agrees",
        FILE,
        [movie(libraries=frozenset({THERE}), runtimes_ms=(Milliseconds(1), Milliseconds(104 * MINUTE)))],
        MatchRule.TITLE,
    ),
    ("a title and year that no library has", FILE, [movie()], MatchRule.TITLE),
    (
        "an episode's own id",
        part(external_ids={"tvdb": "9"}),
        [episode(number=5, external_ids={"tvdb": "9"})],
        MatchRule.EXTERNAL_ID,
    ),
    (
        "an episode's own id under another show without ids, with its numbers",
        part(titles=("Dunkel",), external_ids={"tvdb": "9"}),
        [episode(external_ids={"tvdb": "9"})],
        MatchRule.EXTERNAL_ID,
    ),
    (
        "an episode's own id whose show agrees",
        part(number=4, show_ids=TVDB, external_ids={"tvdb": "9"}),
        [episode(show_ids=TVDB, external_ids={"tvdb": "9"})],
        MatchRule.EXTERNAL_ID,
    ),
    (
        "the show's id and numbers",
        part(titles=(), show_ids=TVDB),
        [episode(show_ids=TVDB, is_seen=False)],
        MatchRule.NUMBERS,
    ),
    ("the show's title and numbers", part(), [episode(), episode("b", number=3)], MatchRule.NUMBERS),
    ("an absolute number", part(None, None, absolute_number=2), [episode(), episode("b", season=2)], MatchRule.NUMBERS),
    ("an air date", part(None, None, air_date=DAY), [episode(None, None, None, air_date=DAY)], MatchRule.NUMBERS),
    ("an air date where the numbers are unknown", part(9, 9, air_date=DAY), [episode(air_date=DAY)], MatchRule.NUMBERS),
]


@pytest.mark.parametrize(("clue", "candidates", "rule"), [row[1:] for row in FOUND], ids=[row[0] for row in FOUND])
def test_the_first_candidate_is_found_by(clue: Clue, candidates: list[Candidate], rule: MatchRule) -> None:
    first = replace(candidates[0], item_id=ItemId("a"))
    assert match(clue, [first, *candidates[1:]]) == Match(ItemId("a"), rule)


NOT_FOUND = [
    ("nothing", film(), [], NoMatch.NOT_FOUND),
    ("an own id of another kind", part(id=ItemId("a")), [movie()], NoMatch.OTHER_KIND),
    ("another kind", part(), [movie()], NoMatch.NOT_FOUND),
    ("another title", film(), [movie(title="Cold")], NoMatch.NOT_FOUND),
    ("a clue without a title", film(titles=()), [movie()], NoMatch.NOT_FOUND),
    ("a year two off", film(), [movie(year=1997)], NoMatch.NOT_FOUND),
    ("a title that the viewer may not see", film(), [movie(is_seen=False)], NoMatch.NOT_FOUND),
    ("another external id", film(external_ids=TMDB), [movie(external_ids={"tmdb": "2"})], NoMatch.NOT_FOUND),
    (
        "content whose id differs",
        film(external_ids=TMDB),
        [movie(external_ids={"tmdb": "2"}, has_content=True)],
        NoMatch.NOT_FOUND,
    ),
    (
        "two by an id",
        film(external_ids={"tmdb": "1", "imdb": "tt1"}),
        [movie(external_ids=TMDB), movie("b", external_ids={"imdb": "tt1"})],
        NoMatch.AMBIGUOUS,
    ),
    ("two by a title", film(), [movie(), movie("b")], NoMatch.AMBIGUOUS),
    ("two with unknown years", film(None), [movie(), movie("b", year=2001)], NoMatch.AMBIGUOUS),
    ("two that are one year off", film(), [movie(year=1994), movie("b", year=1996)], NoMatch.AMBIGUOUS),
    (
        "two by content and nothing else",
        film(titles=()),
        [movie(has_content=True), movie("b", has_content=True)],
        NoMatch.NOT_FOUND,
    ),
    (
        "a home video of another length",
        FILE,
        [movie(libraries=frozenset({THERE}), runtimes_ms=(Milliseconds(106 * MINUTE),))],
        NoMatch.NOT_FOUND,
    ),
    (
        "a home video of unknown length",
        replace(FILE, runtime_ms=None),
        [movie(libraries=frozenset({THERE}), runtimes_ms=(Milliseconds(1),))],
        NoMatch.NOT_FOUND,
    ),
    ("a title of no library without a year", replace(FILE, year=None), [movie(year=None)], NoMatch.NOT_FOUND),
    (
        "an episode's id under a show with another id",
        part(9, 9, show_ids={"tvdb": "8"}, external_ids={"tvdb": "9"}),
        [episode(show_ids=TVDB, external_ids={"tvdb": "9"})],
        NoMatch.NOT_FOUND,
    ),
    (
        "an episode's id under another show and number",
        part(9, 9, titles=("Dusk",), external_ids={"tvdb": "9"}),
        [episode(external_ids={"tvdb": "9"})],
        NoMatch.NOT_FOUND,
    ),
    ("another number", part(number=3), [episode()], NoMatch.NOT_FOUND),
    (
        "two shows with one id",
        part(show_ids=TVDB),
        [episode(show_ids=TVDB), episode("b", show_ids=TVDB)],
        NoMatch.AMBIGUOUS,
    ),
    ("two shows of one title", part(), [episode(), episode("b")], NoMatch.AMBIGUOUS),
]


@pytest.mark.parametrize(
    ("clue", "candidates", "reason"), [row[1:] for row in NOT_FOUND], ids=[row[0] for row in NOT_FOUND]
)
def test_nothing_is_found_by(clue: Clue, candidates: list[Candidate], reason: NoMatch) -> None:
    assert match(clue, candidates) == Match(None, reason=reason)


ids = st.sampled_from([{}, {"tmdb": "1"}, {"tmdb": "2"}, {"imdb": "tt1"}, {"tmdb": "1", "imdb": "tt2"}])
years = st.sampled_from([None, 1994, 1995, 1996])
candidates = st.lists(
    st.builds(
        movie,
        st.sampled_from("abcdef"),
        st.sampled_from(["Heat", "Cold"]),
        years,
        external_ids=ids,
        is_seen=st.booleans(),
        has_content=st.booleans(),
    ),
    max_size=5,
    unique_by=lambda each: each.item_id,
)
clues = st.builds(film, years, external_ids=ids, id=st.sampled_from([None, "a"]))


@given(clues, candidates, st.randoms())
def test_the_order_of_the_candidates_makes_no_difference(clue: Clue, several: list[Candidate], random: Random) -> None:
    shuffled = list(several)
    random.shuffle(shuffled)
    assert match(clue, several) == match(clue, shuffled)


@given(clues, candidates)
def test_of_two_alike_candidates_none_is_found(clue: Clue, several: list[Candidate]) -> None:
    found = match(clue, several)
    if found.rule not in {None, MatchRule.OWN_ID}:
        (chosen,) = [each for each in several if each.item_id == found.item_id]
        assert (
            match(clue, [*several, replace(chosen, item_id=ItemId("twin"))]).item_id != found.item_id
            or chosen.has_content
        )


@pytest.mark.parametrize(
    ("one", "other", "agree"), [(60, 62, True), (60, 63, True), (60, 64, False), (10, 12, True), (10, 13, False)]
)
def test_lengths_agree_within_two_minutes_or_five_percent_of_the_longer(one: int, other: int, agree: bool) -> None:  # noqa: FBT001
    assert agree_in_length(Milliseconds(one * MINUTE), Milliseconds(other * MINUTE)) is agree


# Items as candidates, and what an item shows

HEAT = Item(ItemId("a"), ItemKind.MOVIE, "Heat", identity("Heat", 1995), Instant(0), 1995, external_ids=TMDB)


def held(library: LibraryId, at: int, title: str = "", year: int | None = None, gone: int | None = None) -> Holding:
    return Holding(HEAT.id, library, Instant(at), None if gone is None else Instant(gone), title=title, year=year)


def test_a_candidate_has_the_names_that_libraries_tell_and_the_lengths_of_its_versions() -> None:
    file = FileFacts(FileId("f"), HERE, Milliseconds(9), None, None, HEAT.id, None)
    item = replace(HEAT, runtime_ms=Milliseconds(8), files=(file, file._replace(duration_ms=None)))
    candidate = candidate_of(item, None, [held(HERE, 1, "Heat", 1995), held(THERE, 2, "Hitze", None)], is_seen=False)
    assert candidate.names == {("heat", 1995), ("hitze", None)}
    assert (candidate.runtimes_ms, candidate.libraries, candidate.is_seen) == ((8, 9), {HERE, THERE}, False)


def test_an_episode_as_a_candidate_is_named_by_its_show() -> None:
    show = Item(ItemId("s"), ItemKind.SHOW, "Dark", identity("Dark", 2017), Instant(0), 2017, external_ids=TVDB)
    item = Item(
        ItemId("e"), ItemKind.EPISODE, "Lies", identity("Dark", 2017, season_number=1, episode_number=2), Instant(0)
    )
    candidate = candidate_of(item, show, [held(HERE, 1, "Lies")])
    assert (candidate.names, candidate.show_ids) == ({("dark", 2017)}, TVDB)
    assert name_of("dark||s1e2") == ("dark", None)


@pytest.mark.parametrize(
    ("holdings", "shown"),
    [
        ([], ("Heat", 1995)),
        ([held(THERE, 1, "Hitze", 1996), held(HERE, 2, "Heat", 1995)], ("Hitze", 1996)),
        ([held(THERE, 1, "Hitze", 1996, gone=3), held(HERE, 2, "Cold", None)], ("Cold", None)),
        ([held(HERE, 1)], ("Heat", 1995)),
    ],
)
def test_an_item_shows_what_its_oldest_living_holding_tells(
    holdings: list[Holding], shown: tuple[str, int | None]
) -> None:
    item = as_shown(HEAT, holdings)
    assert (item.title, item.year) == shown
    assert item.identity == identity(*shown)


def test_pinned_members_outweigh_all_holdings() -> None:
    item = replace(HEAT, pinned={"title": "Hitze", "runtime_ms": 7, "external_ids": {"tmdb": "2"}, "else": 1})
    shown = as_shown(item, [held(HERE, 1, "Cold", 2001)])
    assert (shown.title, shown.year, shown.runtime_ms, shown.external_ids) == ("Hitze", 2001, 7, {"tmdb": "2"})
    assert shown.identity == "hitze|2001|"


def test_the_identity_of_an_episode_is_left_to_its_show() -> None:
    item = Item(ItemId("e"), ItemKind.EPISODE, "Lies", "dark|2017|s1e2", Instant(0))
    assert as_shown(item, [held(HERE, 1, "Truth")]) == replace(item, title="Truth")
