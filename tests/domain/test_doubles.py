"""Which items are one title, and which may be."""

from collections.abc import Mapping

from playhead.domain.catalogue import Item, identity
from playhead.domain.doubles import Doubt, Lengths, find_doubles, keep_apart
from playhead.domain.model import Instant, ItemId, ItemKind, Milliseconds, UserId

MINUTE = 60_000


def film(
    id_: str, title: str = "Copper Sky", year: int | None = 1974, minutes: int | None = 100, **what: object
) -> Item:
    return Item(
        ItemId(id_),
        ItemKind.MOVIE,
        title,
        identity(title, year),
        Instant(ord(id_[0])),
        year=year,
        runtime_ms=None if minutes is None else Milliseconds(minutes * MINUTE),
        **what,  # type: ignore[arg-type]
    )


def show(id_: str, title: str = "Tidal Station", year: int | None = 2021) -> Item:
    return Item(ItemId(id_), ItemKind.SHOW, title, identity(title, year), Instant(ord(id_[0])), year=year)


def certain(
    *items: Item, lengths: Mapping[ItemId, Lengths] | None = None, decided: frozenset[str] = frozenset()
) -> dict[str, str]:
    return dict(find_doubles(items, lengths or {}, decided).certain)


def doubts(
    *items: Item, lengths: Mapping[ItemId, Lengths] | None = None, decided: frozenset[str] = frozenset()
) -> list[tuple[str, str, Doubt]]:
    found = find_doubles(items, lengths or {}, decided).possible
    return [(pair.one.id, pair.other.id, pair.doubt) for pair in found]


def test_an_external_id_in_common_makes_one_title_of_two_names() -> None:
    one, other = film("a", external_ids={"tmdb": "7"}), film("b", "Kupferhimmel", None, external_ids={"tmdb": "7"})
    assert certain(one, other) == {"b": "a"}


def test_the_oldest_item_stays_whatever_the_order() -> None:
    assert certain(film("c"), film("b"), film("a")) == {"b": "a", "c": "a"}


def test_one_name_and_year_with_lengths_that_agree_is_one_title() -> None:
    assert certain(film("a"), film("b", minutes=104)) == {"b": "a"}


def test_lengths_that_differ_or_are_unknown_leave_it_to_a_person() -> None:
    assert doubts(film("a"), film("b", minutes=130)) == [("a", "b", Doubt.LENGTHS)]
    assert doubts(film("a"), film("b", minutes=None)) == [("a", "b", Doubt.UNKNOWN_LENGTHS)]


def test_years_that_are_unknown_or_one_off_leave_it_to_a_person() -> None:
    assert doubts(film("a"), film("b", year=1975), film("c", year=None)) == [
        ("a", "b", Doubt.YEARS),
        ("a", "c", Doubt.YEARS),
        ("b", "c", Doubt.YEARS),
    ]


def test_films_of_different_years_are_not_mentioned() -> None:
    assert not doubts(film("a"), film("b", year=2009))


def test_contradicting_ids_tell_titles_apart() -> None:
    one, other = film("a", external_ids={"tmdb": "7"}), film("b", external_ids={"tmdb": "8"})
    assert not certain(one, other)
    assert not doubts(one, other)


def test_what_was_learned_from_one_pair_counts_for_the_next() -> None:
    one = film("a", external_ids={"imdb": "tt1"})
    other = film("b", external_ids={"imdb": "tt1", "tmdb": "7"})
    third = film("c", external_ids={"tmdb": "8"})
    assert certain(one, other, third) == {"b": "a"}


def test_a_film_with_ids_of_two_others_is_only_listed_with_both() -> None:
    heat = film("a", "Heat", external_ids={"tmdb": "7"})
    ronin = film("b", "Ronin", external_ids={"imdb": "tt8"})
    torn = film("c", "Heat", external_ids={"tmdb": "7", "imdb": "tt8"})
    assert not certain(heat, ronin, torn)
    assert doubts(heat, ronin, torn) == [("a", "c", Doubt.IDS), ("b", "c", Doubt.IDS)]


def test_ids_of_two_films_that_are_one_by_their_name_mean_that_one() -> None:
    one, other = film("a", external_ids={"tmdb": "7"}), film("b", external_ids={"imdb": "tt8"})
    third = film("c", "Kupferhimmel", None, external_ids={"tmdb": "7", "imdb": "tt8"})
    assert certain(one, other, third) == {"b": "a", "c": "a"}


def test_films_that_a_person_told_apart_are_neither_merged_nor_listed() -> None:
    one, other = film("a", external_ids={"tmdb": "7"}), film("b", external_ids={"tmdb": "7"})
    apart = [frozenset({one.id, other.id})]
    found = find_doubles([one, other, film("c", year=1975)], {}, (), apart)
    assert found.certain == {}
    assert {(pair.one.id, pair.other.id) for pair in found.possible} == {("a", "c"), ("b", "c")}


def test_a_third_film_makes_no_two_one_that_a_person_told_apart() -> None:
    first, second, third = (film(id_, external_ids={"tmdb": "7"}) for id_ in "abc")
    for pair in ({first.id, second.id}, {second.id, third.id}, {first.id, third.id}):
        found = find_doubles([first, second, third], {}, (), [frozenset(pair)])
        assert len(found.certain) == 1
        assert frozenset(*found.certain.items()) != pair
        assert found.possible == []


def test_merges_that_make_two_films_one_which_a_person_told_apart_are_left_out() -> None:
    a, b, c, d = (ItemId(each) for each in "abcd")
    apart = [frozenset({b, c})]
    assert keep_apart({b: a, c: a, d: a}, apart) == {b: a, d: a}
    assert keep_apart({c: b, d: a}, apart) == {d: a}


def test_a_decision_of_a_person_is_not_overruled() -> None:
    one, other = film("a", external_ids={"tmdb": "7"}), film("b", external_ids={"tmdb": "7"})
    assert not certain(one, other, decided=frozenset("b"))
    assert doubts(one, other, decided=frozenset("b")) == [("a", "b", Doubt.DECIDED)]


def test_a_private_item_is_found_by_an_id_only() -> None:
    private = film("b", owner_id=UserId("u"))
    assert not certain(film("a"), private)
    assert not doubts(film("a"), private)
    by_id = film("b", owner_id=UserId("u"), external_ids={"tmdb": "7"})
    assert certain(film("a", external_ids={"tmdb": "7"}), by_id) == {"b": "a"}


def test_a_movie_and_a_show_of_one_name_are_two_titles() -> None:
    assert not certain(film("a", "Tidal Station", 2021), show("b"))


def test_shows_of_one_name_and_year_are_one_unless_an_episode_has_another_length() -> None:
    first, second = (1, 1), (1, 2)
    same = {
        ItemId("a"): {first: Milliseconds(30 * MINUTE)},
        ItemId("b"): {first: Milliseconds(31 * MINUTE), second: Milliseconds(50 * MINUTE)},
    }
    assert certain(show("a"), show("b"), lengths=same) == {"b": "a"}
    assert certain(show("a"), show("b")) == {"b": "a"}
    other = {ItemId("a"): {first: Milliseconds(30 * MINUTE)}, ItemId("b"): {first: Milliseconds(60 * MINUTE)}}
    assert doubts(show("a"), show("b"), lengths=other) == [("a", "b", Doubt.LENGTHS)]
