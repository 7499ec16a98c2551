"""What a person says about a file counts before its name."""

from datetime import date

from playhead.domain.catalogue import ParsedName
from playhead.domain.identifying import Identification, Identifications, IdentifiedAs, identified
from playhead.domain.model import ItemKind
from playhead.domain.scanning import FoundFile

FILM = ParsedName(ItemKind.MOVIE, "Het", 1994, part=1, edition="Uncut", external_ids={"tmdb": "1"})
EPISODE = ParsedName(ItemKind.EPISODE, "Show", 2001, 1, 2, 3, "Pilot")
HEAT = IdentifiedAs(title="Heat", year=1995)


def test_a_title_replaces_title_year_and_ids_and_leaves_the_rest() -> None:
    found = identified(FILM, HEAT)
    assert found == ParsedName(ItemKind.MOVIE, "Heat", 1995, part=1, edition="Uncut")


def test_single_members_replace_those_of_the_name() -> None:
    told = IdentifiedAs(year=1995, external_ids={"imdb": "tt1"}, part=2, edition="Final cut")
    found = identified(FILM, told)
    assert found == ParsedName(ItemKind.MOVIE, "Het", 1995, part=2, edition="Final cut", external_ids={"imdb": "tt1"})


def test_numbers_replace_all_numbers_and_the_episodes_title() -> None:
    found = identified(EPISODE, IdentifiedAs(season_number=4, episode_number=5))
    assert found == ParsedName(ItemKind.EPISODE, "Show", 2001, 4, 5)
    day = date(2024, 1, 15)
    assert identified(EPISODE, IdentifiedAs(air_date=day)) == ParsedName(ItemKind.EPISODE, "Show", 2001, air_date=day)


def test_a_film_that_is_an_episode_needs_the_title_of_its_show() -> None:
    assert identified(FILM, IdentifiedAs(season_number=1, episode_number=2)) is None
    found = identified(FILM, IdentifiedAs(title="Show", season_number=1, episode_number=2))
    assert found == ParsedName(ItemKind.EPISODE, "Show", season_number=1, episode_number=2)
    assert identified(EPISODE, IdentifiedAs(kind=ItemKind.MOVIE, title="Heat")) == ParsedName(ItemKind.MOVIE, "Heat")


def test_a_file_whose_name_says_nothing_is_what_a_person_says() -> None:
    assert identified(None, HEAT) == ParsedName(ItemKind.MOVIE, "Heat", 1995)
    assert identified(None, IdentifiedAs(year=1995)) is None


def test_an_identification_is_found_by_content_before_path() -> None:
    by_content = Identification("1", None, "print", HEAT)
    by_path = Identification("2", "a.mkv", None, HEAT)
    both = Identifications([by_content, by_path])
    assert both.find("a.mkv", "print") == by_content
    assert both.find("a.mkv", "another") == by_path
    assert both.find("a.mkv", None) == by_path
    assert both.find("b.mkv", None) is None


def test_an_identification_follows_its_file_and_stays_for_what_replaces_it() -> None:
    said = Identification("1", "a.mkv", "print", HEAT)
    several = Identifications([said, Identification("2", "taken.mkv", "another", HEAT)])
    assert several.follow(said, {"b.mkv": "print"}).path == "b.mkv"
    assert several.follow(said, {"a.mkv": "print", "b.mkv": "print"}) == said
    assert several.follow(said, {"taken.mkv": "print"}) == said
    assert several.follow(said, {"a.mkv": "new"}) == said._replace(fingerprint="new")
    assert several.follow(said, {"a.mkv": "new", "b.mkv": "print"}) == said._replace(path="b.mkv")
    assert several.follow(said, {"a.mkv": None}) == said


def test_an_identification_of_another_library_follows_only_if_that_is_removed() -> None:
    said = Identification("1", None, "print", HEAT)
    assert Identifications([said]).follow(said, {"b.mkv": "print"}) == said
    free = said._replace(is_free=True)
    assert Identifications([free]).follow(free, {"b.mkv": "print"}).path == "b.mkv"
    assert Identifications([free]).follow(free, {"b.mkv": "new"}) == free


def test_an_identified_file_is_read_again_when_that_changes() -> None:
    file = FoundFile("a.mkv", 1, 1, "5")
    marked = {
        Identifications([Identification(id_, "a.mkv", None, HEAT)]).mark(file, None).evidence for id_ in ("1", "2")
    }
    assert len(marked | {file.evidence}) == 3
    assert Identifications().mark(file, None) == file
