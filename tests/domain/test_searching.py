"""What a search means, and which words a typo may stand for."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playhead.domain.catalogue import search_title
from playhead.domain.searching import (
    CORRECTIONS_MAX,
    WORDS_MAX,
    EpisodeQuery,
    Search,
    corrections,
    parse_search,
    spelling_keys,
    takes_typos,
    year_of,
)


def episode(text: str) -> EpisodeQuery | None:
    search = parse_search(text)
    assert search is not None
    return search.episode


@pytest.mark.parametrize("text", ["", "   ", "\t\n", "\0"])
def test_a_search_of_spaces_means_nothing(text: str):
    assert parse_search(text) is None


def test_the_words_of_a_search_are_those_of_a_title_without_case_accents_and_repetition():
    assert parse_search("Amélie,  AMÉLIE & (Co)") == Search(("amelie", "and", "co"))


def test_a_search_of_signs_is_for_these_signs():
    assert parse_search("???") == Search(("???",))


@pytest.mark.parametrize(
    "text", ["copper sky s07e18", "Copper Sky S7E18", "copper sky s07 e18", "S07.E18 copper sky", "copper 7x18 sky"]
)
def test_numbers_of_an_episode_are_found_anywhere_among_the_words_of_its_show(text: str):
    assert episode(text) == EpisodeQuery(("copper", "sky"), 7, 18)


def test_numbers_alone_are_an_episode_of_any_show_and_also_words_of_a_title():
    assert parse_search("s07e18") == Search(("s07e18",), EpisodeQuery((), 7, 18))
    assert parse_search("7x18") == Search(("7x18",), EpisodeQuery((), 7, 18))


def test_the_first_of_two_numbers_counts():
    assert episode("1x02 3x04") == EpisodeQuery(("3x04",), 1, 2)


@pytest.mark.parametrize("text", ["daily report 2024-01-15", "2024.1.15 daily report", "daily 2024/01/15 report"])
def test_a_date_is_an_episode_that_was_shown_on_it(text: str):
    assert episode(text) == EpisodeQuery(("daily", "report"), air_date=date(2024, 1, 15))


@pytest.mark.parametrize(
    "text",
    ["2024-13-15", "0000-01-15", "2024-01", "1920x1080", "s07", "e18", "s07 18", "s123456e1", "sky 1974", "e1 s1"],
)
def test_other_numbers_are_words_of_a_title(text: str):
    assert episode(text) is None


@pytest.mark.parametrize(("word", "year"), [("1974", 1974), ("1869", None), ("2200", None), ("197", None)])
def test_four_digits_may_be_a_year(word: str, year: int | None):
    assert year_of(word) == year


@pytest.mark.parametrize("word", ["19 4", "abcd", "१९७४"])
def test_only_ascii_digits_are_a_year(word: str):
    assert year_of(word) is None


def test_words_beyond_the_most_are_ignored():
    search = parse_search(" ".join(f"w{number}" for number in range(WORDS_MAX + 5)))
    assert search is not None
    assert len(search.words) == WORDS_MAX


@given(st.text(max_size=100))
def test_every_text_has_a_meaning(text: str):
    search = parse_search(text)
    assert (search is None) == (not search_title(text.replace("\0", " ")).split())
    for word in () if search is None else search.words:
        corrections(word, [word, text])


# Typos


@pytest.mark.parametrize(
    ("word", "takes"),
    [
        ("sky", False),
        ("dune", True),
        ("2049", False),
        ("s07e", False),
        ("????", False),
        ("свой", True),
        ("a" * 33, False),
    ],
)
def test_words_of_four_letters_and_more_may_have_a_typo(word: str, takes: bool):  # noqa: FBT001 - of a table
    assert takes_typos(word) is takes


@pytest.mark.parametrize(
    "typed",
    ["coper", "coppper", "ocpper", "cpoper", "coppre", "cooper", "xopper", "coppers", "opper", "coppe"],
)
def test_one_typo_is_corrected(typed: str):
    assert corrections(typed, ["copper", "cold"]) == ("copper",)


@pytest.mark.parametrize("typed", ["copper", "coer", "coopers", "copprxe", "ocppre", "pocper", "capqer", ""])
def test_two_typos_and_none_are_not(typed: str):
    assert corrections(typed, ["copper"]) == ()


def test_probable_typos_come_first_and_a_wrong_first_letter_last():
    known = ["tamer", "hammer", "games", "gaemr", "gammer", "gamer", "gamers", "gamey"]
    assert corrections("gamer", known) == ("gaemr", "gammer", "gamers", "games", "gamey")
    assert corrections("amer", ["hamer", "amber", "aemr", "imer"]) == ("aemr", "amber", "hamer", "imer")


def test_few_words_are_tried_in_a_fixed_order():
    known = [f"copp{letter}r" for letter in "zyxwvutsr"]
    assert corrections("copper", known) == corrections("copper", reversed(known))
    assert len(corrections("copper", known)) == CORRECTIONS_MAX


_LETTERS = "abc\u0431"
_WORDS = st.text(_LETTERS, min_size=1, max_size=7)


def one_edit(word: str) -> set[str]:
    cuts = [(word[:at], word[at:]) for at in range(len(word) + 1)]
    return {
        *(begin + end[1:] for begin, end in cuts if end),
        *(begin + letter + end for begin, end in cuts for letter in _LETTERS),
        *(begin + letter + end[1:] for begin, end in cuts if end for letter in _LETTERS),
        *(begin + end[1] + end[0] + end[2:] for begin, end in cuts if len(end) > 1),
    } - {word}


@given(_WORDS, _WORDS)
def test_corrections_are_exactly_the_words_one_edit_away(typed: str, word: str):
    assert (corrections(typed, [word]) == (word,)) == (word in one_edit(typed))


@given(_WORDS)
def test_words_one_edit_apart_have_a_spelling_key_in_common(word: str):
    assert all(spelling_keys(word) & spelling_keys(other) for other in one_edit(word))
