"""Every rule of the tables reads its own example, so that none hides behind an earlier one."""

from pathlib import PurePosixPath

import pytest

from playhead.domain.model import LibraryKind
from playhead.media.names import numbering, parts
from playhead.media.names.filenames import likely_kind, parse
from playhead.media.names.rules import Rule

NUMBERS = (*numbering.EXPLICIT, *numbering.DATES, *numbering.SPECIALS, *numbering.WORDED)
ALONE = (numbering.DASHED_LAST, *numbering.ALONE)
LEADING = (numbering.LEADING, numbering.LEADING_WORDS)


def names(rules: tuple[Rule, ...]) -> list[str]:
    return [rule.name for rule in rules]


@pytest.mark.parametrize("rule", NUMBERS + ALONE, ids=names(NUMBERS + ALONE))
def test_a_rule_for_numbers_reads_its_example(rule: Rule):
    parsed = parse(PurePosixPath(f"{rule.example}.mkv"), LibraryKind.SHOWS)
    assert parsed is not None
    assert parsed.rule == rule.name
    assert parsed.title.split()[0] in {"Amber", "Ambar", "Амбер", "琥珀", "호박"}


@pytest.mark.parametrize("rule", LEADING, ids=names(LEADING))
def test_a_rule_for_the_first_number_reads_its_example_in_the_folder_of_a_show(rule: Rule):
    parsed = parse(PurePosixPath(f"Amber/{rule.example}.mkv"), LibraryKind.SHOWS)
    assert parsed is not None
    assert (parsed.rule, parsed.title, parsed.episode_number) == (rule.name, "Amber", 2)


@pytest.mark.parametrize("rule", numbering.SEASON_FOLDERS, ids=names(numbering.SEASON_FOLDERS))
def test_a_rule_for_the_folders_of_seasons_reads_its_example(rule: Rule):
    assert rule.pattern.fullmatch(rule.example)
    found = numbering.season_folder(rule.example)
    assert found is not None
    assert found[0] == 1


@pytest.mark.parametrize("rule", [*parts.ALWAYS, parts.AFTER_TITLE], ids=names((*parts.ALWAYS, parts.AFTER_TITLE)))
def test_a_rule_for_parts_reads_its_example(rule: Rule):
    parsed = parse(PurePosixPath(f"{rule.example}.mkv"), LibraryKind.MOVIES)
    assert parsed is not None
    assert (parsed.title, parsed.part) == ("Amber", 1)


def test_the_names_of_rules_are_unique():
    every = names((*NUMBERS, *ALONE, *LEADING))
    assert sorted(set(every)) == sorted(every)


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("Amber (1999).mkv", "Title (year)"),
        ("1999 - Amber.mkv", "year - Title"),
        ("Amber.1999.1080p.mkv", "Title.year"),
        ("Amber.1080p.BluRay.mkv", "Title, technical words"),
        ("Amber.mkv", "Title"),
        ("Amber (1999)/movie.mkv", "folder: Title (year)"),
    ],
)
def test_a_movie_tells_by_which_rule_it_was_read(path: str, rule: str):
    parsed = parse(PurePosixPath(path), LibraryKind.MOVIES)
    assert parsed is not None
    assert (parsed.title, parsed.rule) == ("Amber", rule)


def test_an_episode_read_from_its_folder_says_so():
    parsed = parse(PurePosixPath("Amber.S01E02.1080p-GRP/abc.mkv"), LibraryKind.SHOWS)
    assert parsed is not None
    assert parsed.rule == "folder: S01E02"


def test_the_kind_of_a_name_is_told_by_numbers_with_words_or_a_date():
    assert likely_kind("Amber/Amber S01E02.mkv") is LibraryKind.SHOWS
    assert likely_kind("Amber 2024-01-15.mkv") is LibraryKind.SHOWS
    assert likely_kind("Apollo 13 (1995).mkv") is LibraryKind.MOVIES
