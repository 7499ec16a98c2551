"""What two items become that are one title: their episodes, their members, and what libraries say of them."""

from datetime import date

from playhead.domain.catalogue import Holding, Item
from playhead.domain.merging import merge_holdings, merge_items, pair_episodes
from playhead.domain.model import Instant, ItemId, ItemKind, LibraryId, Milliseconds, UserId

FILMS = LibraryId("films")


def movie(item_id: str, **members: object) -> Item:
    return Item(ItemId(item_id), ItemKind.MOVIE, "Heat", "heat||", added_at=Instant(5), **members)  # type: ignore[arg-type]


def episode(item_id: str, number: int | None, aired: date | None = None, added: int = 0) -> Item:
    return Item(
        ItemId(item_id),
        ItemKind.EPISODE,
        "",
        "",
        added_at=Instant(added),
        show_id=ItemId("show"),
        season_number=1,
        episode_number=number,
        air_date=aired,
    )


def holding(item_id: str, **members: object) -> Holding:
    return Holding(ItemId(item_id), FILMS, Instant(5), title="Heat", year=1995)._replace(**members)


def test_episodes_are_paired_by_number_and_those_without_one_by_date() -> None:
    day = date(2024, 1, 15)
    into = [episode("a1", 1), episode("a2", 2), episode("a-day", None, day)]
    source = [episode("b2", 2), episode("b-day", None, day), episode("b3", 3)]
    found = pair_episodes(into, source)
    assert set(found.pairs) == {("a2", "b2"), ("a-day", "b-day")}
    assert found.left_over == ("b3",)


def test_an_episode_whose_number_several_have_is_left_over() -> None:
    found = pair_episodes([episode("a1", 1), episode("also-a1", 1)], [episode("b1", 1)])
    assert found == ((), ("b1",))


def test_two_of_a_number_in_the_merged_show_become_one() -> None:
    found = pair_episodes([], [episode("newer", 1, added=9), episode("older", 1, added=3)])
    assert found == ((("older", "newer"),), ("older",))


def test_an_episode_without_number_and_date_is_left_over() -> None:
    assert pair_episodes([episode("a", None)], [episode("b", None)]) == ((), ("b",))


def test_an_item_gains_what_only_the_other_one_knows() -> None:
    day = date(1995, 12, 15)
    known = movie("b", year=1995, air_date=day, runtime_ms=Milliseconds(9), credits_ms=Milliseconds(8), is_open=True)
    merged = merge_items(movie("a", external_ids={"tmdb": "1"}), known)
    assert (merged.id, merged.year, merged.air_date, merged.runtime_ms, merged.credits_ms) == ("a", 1995, day, 9, 8)
    assert merged.is_open
    own = movie("a", year=1994, runtime_ms=Milliseconds(7), credits_ms=Milliseconds(6))
    merged = merge_items(own, movie("b", year=1995, runtime_ms=Milliseconds(9), external_ids={"imdb": "tt2"}))
    assert (merged.year, merged.runtime_ms, merged.credits_ms, merged.external_ids) == (1994, 7, 6, {"imdb": "tt2"})


def test_an_item_stays_private_only_if_both_were() -> None:
    ana = UserId("ana")
    assert merge_items(movie("a", owner_id=ana), movie("b", owner_id=ana)).owner_id == ana
    assert merge_items(movie("a", owner_id=ana), movie("b")).owner_id is None
    assert merge_items(movie("a"), movie("b", owner_id=ana)).owner_id is None


def test_the_older_holding_gives_the_title_and_keeps_the_name_of_the_other() -> None:
    newer = holding("a", added_at=Instant(9), title="Heat (HD)", year=None)
    merged = merge_holdings(newer, holding("b"))
    assert merged == holding("a", also=(("Heat (HD)", None),))
    assert merge_holdings(holding("a"), holding("b")).also == ()


def test_a_holding_is_living_if_either_was_and_ended_only_if_both_were() -> None:
    gone = {"removed_at": Instant(7), "ended_at": Instant(7)}
    assert merge_holdings(holding("a", **gone), holding("b")).is_living
    both = merge_holdings(holding("a", **gone), holding("b", removed_at=Instant(9), ended_at=Instant(8)))
    assert (both.removed_at, both.ended_at) == (9, 8)
